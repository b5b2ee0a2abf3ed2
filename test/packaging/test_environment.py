"""The set-up: what is done is not done again, what was interrupted is, and what is missing is named."""

import fcntl
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

click = pytest.importorskip("click", reason="click is not installed, which the command amtnet is written with")

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def environment():
    spec = importlib.util.spec_from_file_location("environment", ROOT / "dev" / "environment.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["environment"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tools(tmp_path):
    """A folder for PATH with everything but compilers and Pythons."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("bash", "basename", "dirname", "env", "readlink"):
        (folder / name).symlink_to(shutil.which(name))
    return folder


class Recipe:
    """Two steps, the second of which needs the first, and a record of what was made."""

    def __init__(self, environment, folder):
        self.module = environment
        self.environment = environment.Environment(folder)
        self.source = folder.parent / "source.txt"
        self.source.write_text("1")
        self.made = []
        self.failing = ""

    def make(self, name):
        if name == self.failing:
            raise self.module.SetupError("interrupted")
        self.made.append(name)

    def update(self, word="a"):
        """One run of the set-up; what it made."""
        self.made.clear()
        steps = [
            self.module.Step("first", "first", (word,), None, lambda: self.make("first")),
            self.module.Step("second", "second", (self.source,), "first", lambda: self.make("second")),
        ]
        self.environment.make(steps)
        return list(self.made)


@pytest.fixture
def recipe(environment, tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    return Recipe(environment, tmp_path / "venv")


def test_a_second_run_makes_nothing(recipe):
    assert recipe.update() == ["first", "second"]
    assert recipe.update() == []


def test_a_changed_file_makes_its_step_anew_but_not_the_one_before(recipe):
    recipe.update()
    recipe.source.write_text("2")
    assert recipe.update() == ["second"]


def test_a_changed_step_makes_those_anew_that_need_it(recipe):
    recipe.update()
    assert recipe.update("b") == ["first", "second"]


def test_an_interrupted_step_is_made_again(recipe, environment):
    recipe.failing = "second"
    with pytest.raises(environment.SetupError):
        recipe.update()
    recipe.failing = ""
    assert recipe.update() == ["second"]


def test_a_step_that_was_complete_is_made_again_after_its_renewal_was_interrupted(recipe, environment):
    recipe.update()
    recipe.source.write_text("2")
    recipe.failing = "second"
    with pytest.raises(environment.SetupError):
        recipe.update()
    recipe.failing = ""
    recipe.source.write_text("1")  # as it was when the step was last complete
    assert recipe.update() == ["second"]


def test_packages_whose_installation_was_cut_off_are_installed_again(environment, tmp_path):
    subject = environment.Environment(tmp_path)
    for name, files in {"whole-1.0": ("METADATA", "INSTALLER"), "cut-1.0": ("METADATA",)}.items():
        metadata = subject.packages / f"{name}.dist-info"
        metadata.mkdir(parents=True)
        for file in files:
            (metadata / file).touch()
    (subject.packages / "~ld").mkdir()
    subject.forget_interrupted_packages()
    assert sorted(path.name for path in subject.packages.iterdir()) == ["whole-1.0.dist-info"]


def test_a_folder_that_holds_something_else_is_left_alone(environment, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(environment.SetupError, match="was not made by this set-up"):
        environment.Environment(tmp_path).make_venv()
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_missing_tools_are_named_in_one_line_with_the_command_that_installs_them(tools, tmp_path):
    done = subprocess.run(
        [ROOT / "dev" / "set-up", "--venv", tmp_path / "venv"],
        env={"PATH": str(tools), "PYTHON": sys.executable, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == "set-up: missing on this machine: g++. Install with: sudo apt install g++\n"


def test_a_missing_python_is_named_with_ways_to_get_one(tools, tmp_path):
    newer = tools / "python3"
    newer.unlink(missing_ok=True)
    newer.write_text("#!/bin/sh\ncase $2 in *print*) echo '; python3 is 3.13';; *) exit 1;; esac\n")
    newer.chmod(0o755)
    done = subprocess.run([ROOT / "dev" / "set-up"], env={"PATH": str(tools)}, capture_output=True, text=True)
    assert done.returncode == 1
    first, *ways = done.stderr.splitlines()
    assert first.startswith(
        "set-up: no Python 3.11 or 3.12 found (tried: python3 python3.12 python3.11; python3 is 3.13)"
    )
    remedies = ("sudo apt install python3-dev", "deadsnakes", "uv python install", "PYTHON")
    for way, remedy in zip(ways, remedies, strict=True):
        assert remedy in way


def test_an_unreachable_index_is_said_to_be_one(environment, tmp_path, capsys):
    subject = environment.Environment(tmp_path)
    subject.stamps.mkdir()
    nowhere = ["--retries", "1", "--index-url", "http://127.0.0.1:9/simple", "--isolated", "--target", "t"]
    pip = [sys.executable, "-m", "pip", "install", *nowhere, "nothing"]
    with pytest.raises(environment.SetupError, match="no network: PyPI cannot be reached"):
        subject.run(pip)
    assert "nothing" in capsys.readouterr().err


def test_two_set_ups_of_one_folder_wait_for_each_other(environment, tmp_path):
    with environment.lock(tmp_path / "lock"):
        other = (tmp_path / "lock").open("w")
        with other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.skipif(Path(sys.prefix) != ROOT / ".venv", reason="not run by ./check, in .venv")
def test_the_environment_the_tests_run_in_is_up_to_date():
    done = subprocess.run([ROOT / "dev" / "set-up", "--tests"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.skipif(Path(sys.prefix) != ROOT / ".venv", reason="not run by ./check, in .venv")
def test_the_command_works_from_any_directory_and_inside_another_ros(tmp_path):
    other = tmp_path / "opt" / "ros" / "other"
    (other / "share" / "rclpy").mkdir(parents=True)
    (other / "share" / "rclpy" / "package.xml").touch()
    library = other / "lib" / "python3" / "site-packages"
    (library / "rclpy").mkdir(parents=True)
    (library / "rclpy" / "__init__.py").write_text("raise SystemExit('the other rclpy')")
    sourced = {
        "ROS_DISTRO": "other",
        "PYTHONPATH": str(library),
        "AMENT_PREFIX_PATH": str(other),
        "LD_LIBRARY_PATH": str(other / "lib"),
        "_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1",
    }
    program = "import rclpy, amtnet_ros.msg, vision_msgs.msg; rclpy.init(); rclpy.create_node('probe'); print('fine')"
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    python = subprocess.run(
        [ROOT / ".venv/bin/python", "-c", program],
        cwd=tmp_path,
        env=inherited | sourced,
        capture_output=True,
        text=True,
    )
    assert (python.returncode, python.stdout) == (0, "fine\n"), python.stderr
    command = subprocess.run([ROOT / ".venv/bin/amtnet", "--version"], cwd=tmp_path, capture_output=True, text=True)
    assert command.returncode == 0, command.stderr


@pytest.mark.parametrize(("name", "letter"), [("für", "ü"), ('a "b"', '"'), ("it's", "'"), ("a:b", ":")])
def test_a_folder_that_ros_cannot_be_built_in_is_named_before_the_work(environment, tmp_path, name, letter):
    made = environment.Environment(tmp_path / name / ".venv")
    with pytest.raises(environment.SetupError, match=f"take no '{letter}' in the name of a folder: move the checkout"):
        made.make(made.steps(tests=False))
    assert not (tmp_path / name).exists()
    environment.check_path(tmp_path / "with a space (2)" / ".venv")


@pytest.fixture(scope="module")
def odd_place(environment, tmp_path_factory):
    """A checkout in a folder of an odd name, with an environment that borrows the libraries of this one."""
    checkout = tmp_path_factory.mktemp("odd") / 'it\'s a "place", für alle $HOME'
    made = environment.Environment(checkout / ".venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(made.path)], check=True)
    (made.path / "share" / "amtnet_ros").mkdir(parents=True)
    made.link_checkout()
    (made.packages / "borrowed.pth").write_text(str(Path(click.__file__).parents[1]))
    shutil.copy(ROOT / "demo", checkout)
    (checkout / "dev").mkdir()
    (checkout / "dev" / "set-up").write_text("#!/bin/sh\nexit 0\n")
    (checkout / "dev" / "set-up").chmod(0o755)
    return checkout


@pytest.mark.parametrize("command", [".venv/bin/amtnet", "link", "demo"])
def test_the_commands_work_in_a_folder_of_any_name(odd_place, tmp_path, command):
    link = odd_place / "link"
    if not link.exists():
        link.symlink_to(".venv/bin/amtnet")
    done = subprocess.run([odd_place / command, "--help"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: amtnet ")


@pytest.mark.parametrize("command", [".venv/bin/amtnet", "demo"])
@pytest.mark.parametrize("after", [0.02, 0.1, 0.4])
def test_ctrl_c_at_any_time_ends_a_command_without_a_word(odd_place, tmp_path, command, after):
    arguments = [] if command == "demo" else ["run", str(tmp_path), "--model", "light"]
    place = {"cwd": tmp_path, "env": {**os.environ, "AMTNET_CACHE": str(tmp_path / "cache"), "PIP_NO_INDEX": "1"}}
    process = subprocess.Popen(
        [odd_place / command, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **place,
    )
    time.sleep(after)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    said, errors = process.communicate(timeout=60)
    if process.returncode not in (130, -signal.SIGINT):
        assert process.returncode == 2, "it was done before"
    elif "the folder holds no images" in errors:
        assert len(errors.splitlines()) == 1, "it had just said so"
    else:
        assert (said.strip() in ("", "Fetching the clip"), errors.strip()) == (True, "")


def test_what_the_command_starts_with_is_no_place_to_import_from(odd_place, tmp_path):
    (tmp_path / "click.py").write_text("raise SystemExit('the wrong click')")
    done = subprocess.run([odd_place / ".venv/bin/amtnet", "--version"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
