"""Make .venv: all the package needs on a machine that has no ROS, in one folder.

    python3 dev/environment.py [--tests] [--venv FOLDER]

./demo and ./check call it first. Wheels from PyPI bring ROS 2 itself; the messages are compiled here; the Python code
is used from the checkout. --tests adds what training, the tests and the linters need (PyTorch: some 5 GB).

The last act of each step is a stamp: a hash of all that the step was made from. A step whose stamp fits is skipped, so
a second start costs next to nothing. One that was interrupted has no stamp and is done again, in a way that trusts
nothing the first attempt left behind. Only the standard library is used: this runs before anything is installed.
"""

from __future__ import annotations

import os
import signal

if __name__ == "__main__":  # until main() says more: Ctrl-C, while the libraries load, is no reason for a traceback
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))

import argparse
import fcntl
import hashlib
import importlib.util
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "dev" / "requirements"
SUPPORTED = ((3, 11), (3, 12))

NO_NETWORK = "NewConnectionError|NameResolutionError|ConnectTimeoutError|ProxyError|Network is unreachable"
"""How pip says that it reaches nobody."""

CUDA_DRIVER = 580
"""The oldest NVIDIA driver that runs the CUDA 13 of requirements/gpu.txt."""


class SetupError(Exception):
    """One line for the user: what is missing or failed, and what to do about it."""


@dataclass(frozen=True)
class Step:
    """One part of the set-up.

    name: of its stamp.
    inputs: files, and words, that determine what it makes.
    needs: the step it builds on; where that changes, this is made anew.
    make: makes it, from whatever state the last attempt left.
    beside: its log, where it is made beside the steps after it; None where they wait for it.
    """

    name: str
    title: str
    inputs: tuple[Path | str, ...]
    needs: str | None
    make: Callable[[], None]
    beside: Path | None = None


class Environment:
    """The virtual environment in the folder `path`, and how each part of it is made. pythons: that can make it."""

    pythons = SUPPORTED

    def __init__(self, path: Path, log: str = "log.txt") -> None:
        self.path = path
        self.python = path / "bin" / "python"
        self.stamps = path / "setup"
        self.log = self.stamps / log
        self.packages = path / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"

    def steps(self, tests: bool) -> list[Step]:
        """All there is to make, in order."""
        lists = ["ros", "runtime"]
        if not shutil.which("cmake") or not (shutil.which("make") or shutil.which("ninja")):
            lists.append("build")
        if gpu_wanted():
            lists.append("gpu")
        python = (str(self.path), sys.base_prefix, self.packages.parent.name)
        vision_msgs = ROOT / ".ci" / "vision_msgs"
        interfaces = (ROOT / "CMakeLists.txt", ROOT / "package.xml", ROOT / "msg")
        steps = [
            Step("venv", "virtual environment", python, None, self.make_venv),
            Step("wheels", "ROS 2 and libraries", requirements(lists), "venv", lambda: self.install(lists)),
            Step("vision_msgs", "messages vision_msgs", (vision_msgs,), "wheels", lambda: self.build(vision_msgs)),
            Step("amtnet_ros", "messages amtnet_ros", interfaces, "wheels", lambda: self.build(ROOT)),
            Step(
                "links",
                "links to this checkout",
                (str(ROOT), Path(__file__), *[path.name for path in launch_files()]),
                "amtnet_ros",
                self.link_checkout,
            ),
        ]
        if tests:  # minutes of unpacking, each on one core, while the messages are compiled
            steps[2:2] = [self.beside("torch", "PyTorch", lists), self.beside("test", "test tools", lists)]
        return steps

    def beside(self, name: str, title: str, lists: list[str]) -> Step:
        """The step that installs one more list, with a log of its own, beside the steps after it."""
        other = Environment(self.path, f"log_{name}.txt")
        return Step(
            name, title, requirements([name]), "wheels", lambda: other.install([*lists, name]), beside=other.log
        )

    def make(self, steps: list[Step]) -> None:
        """Make what was not made, or was made from something else."""
        keys: dict[str, str] = {}
        checked = False
        with ThreadPoolExecutor() as beside:
            waiting: list[tuple[str, Step, Future[None]]] = []
            for number, step in enumerate(steps, 1):
                keys[step.name] = digest((keys.get(step.needs or "", ""), *step.inputs))
                stamp = self.stamps / step.name
                if stamp.is_file() and stamp.read_text() == keys[step.name]:
                    continue
                if not checked:
                    check_machine(self.pythons)
                    check_path(self.path)
                    self.forget_interrupted_packages()
                    checked = True
                stamp.unlink(missing_ok=True)
                title = f"[{number}/{len(steps)}] {step.title}"
                if step.beside:
                    waiting.append((title, step, beside.submit(step.make)))
                    continue
                with progress(title, self.log):
                    step.make()
                replace_text(stamp, keys[step.name])
            for title, step, made in waiting:
                with progress(title, step.beside or self.log):
                    made.result()
                replace_text(self.stamps / step.name, keys[step.name])

    def make_venv(self) -> None:
        """A fresh virtual environment; everything that the folder held is removed."""
        if self.path.is_dir() and any(self.path.iterdir()) and not self.stamps.is_dir():
            raise SetupError(f"{self.path} was not made by this set-up: move it away and start again")
        self.stamps.mkdir(parents=True, exist_ok=True)
        for entry in [*self.stamps.iterdir(), *self.path.iterdir()]:
            if entry.is_dir() and not entry.is_symlink():
                if entry != self.stamps:
                    shutil.rmtree(entry)
            else:
                entry.unlink()
        self.run([sys.executable, "-I", "-m", "venv", str(self.path)])

    def install(self, lists: list[str]) -> None:
        """Install the pins of these lists, no more and no less."""
        pins = [pin for name in lists for pin in read_pins(name)]
        unwanted = (
            "onnxruntime" if "gpu" in lists else "onnxruntime-gpu"
        )  # They hold the same modules: only one can be.
        pins = [pin for pin in pins if not pin.startswith(f"{unwanted}==")]
        if any(self.packages.glob(f"{unwanted.replace('-', '_')}-*.dist-info")):
            self.pip("uninstall", "--yes", unwanted)
        # First what builds those that exist as source only, so that the build uses the pinned one as well.
        build_tool = [pin for pin in pins if pin.startswith("setuptools==")]
        self.pip("install", "--no-deps", *build_tool)
        # Compiling every file of PyTorch takes a minute or two; Python compiles those that it imports.
        self.pip("install", "--no-deps", "--no-build-isolation", "--no-compile", *pins)

    def forget_interrupted_packages(self) -> None:
        """Make pip see those packages as missing whose installation was cut off.

        pip takes a package for installed as soon as its METADATA exists. INSTALLER is written after all other files.
        """
        for metadata in self.packages.glob("*.dist-info"):
            if not (metadata / "INSTALLER").is_file():
                shutil.rmtree(metadata)
        for remains in self.packages.glob("~*"):
            shutil.rmtree(remains)

    def pip(self, *arguments: str) -> None:
        options = ("--disable-pip-version-check", "--no-input")
        self.run([str(self.python), "-m", "pip", arguments[0], *options, *arguments[1:]])

    def build(self, source: Path) -> None:
        """Build the messages of one package with CMake and install them into the environment."""
        self.mend_cmake_exports()
        build = self.path / "build" / source.name
        shutil.rmtree(build, ignore_errors=True)
        cmake = [shutil.which("cmake", path=self.variables()["PATH"]) or "cmake"]
        generator = [] if shutil.which("make") else ["-G", "Ninja"]
        definitions = [
            f"-DCMAKE_INSTALL_PREFIX={self.path}",
            f"-DPython3_EXECUTABLE={self.python}",
            "-DBUILD_TESTING=OFF",
            "-DINTERFACES_ONLY=ON",
            "--no-warn-unused-cli",
        ]
        self.run([*cmake, "-S", str(source), "-B", str(build), *generator, *definitions])
        self.run([*cmake, "--build", str(build), "--parallel", str(os.cpu_count() or 1)])
        self.run([*cmake, "--install", str(build)])
        shutil.rmtree(build)

    def mend_cmake_exports(self) -> None:
        """Point the wheels' CMake files at the headers here, not at those of the machine they were built on."""
        built_with = r"/opt/python/cp\d+-cp\d+/"
        places = [self.packages / "numpy" / core / "include" for core in ("_core", "core")]  # the latter's in NumPy 1
        numpy = next((place for place in places if place.is_dir()), places[0])
        for path in (self.path / "share").glob("*/cmake/*.cmake"):
            text = path.read_text()
            mended = re.sub(built_with + r"lib/python[\d.]+/site-packages/numpy/_core/include", str(numpy), text)
            mended = re.sub(built_with + r"include/python[\d.]+", sysconfig.get_path("include"), mended)
            if mended != text:
                replace_text(path, mended)

    def link_checkout(self) -> None:
        """Use code, models and configuration from the checkout, so that a change needs no new set-up."""
        links = {
            self.path / "src" / "amtnet_ros": ROOT / "amtnet_ros",
            self.packages / "amtnet_ros_environment.py": ROOT / "dev" / "amtnet_ros_environment.py",
        }
        share = self.path / "share" / "amtnet_ros"
        for name in ("config", "models"):
            links[share / name] = ROOT / name
        launch = share / "launch"  # a folder of links: `ros2 launch PACKAGE` does not look into one that is a link
        launch.unlink() if launch.is_symlink() else shutil.rmtree(launch, ignore_errors=True)
        for path in launch_files():
            links[launch / path.name] = path
        for link, target in links.items():
            link.parent.mkdir(exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(target)
        # Read at the start of every Python of the environment, before the wheels' own ros_wheels_bootstrapper.pth.
        replace_text(self.packages / "amtnet_ros.pth", "import amtnet_ros_environment\n")
        command = self.path / "bin" / "amtnet"
        # No `#!` with the folder's path, which may hold spaces, or be too long. Ctrl-C ends it without a traceback from
        # the first moment on, so Python begins without its `site`, which takes a while, as `signal` does. -P: nothing
        # is imported from the working directory.
        program = (
            "import _signal, posix; _signal.signal(_signal.SIGINT, lambda *_: posix._exit(130)); "
            "import site; site.main(); "
            'from amtnet_ros.program import start; start("amtnet_ros.cli.main")'
        )
        lines = (
            "#!/bin/sh",
            f"""exec "$(dirname "$(readlink -f "$0")")/python" -P -S -c '{program}' "$@\"""",
            "",
        )
        replace_text(command, "\n".join(lines))
        command.chmod(0o755)

    def variables(self) -> dict[str, str]:
        """The process environment for tools: this virtual environment, and no other ROS or Python."""
        foreign = (
            "PYTHON",
            "AMENT_",
            "CMAKE_",
            "COLCON_",
            "ROS_",
            "_ROS_",
            "LD_LIBRARY_PATH",
            "PIP_USER",
            "PIP_TARGET",
        )
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        path = f"{self.path / 'bin'}{os.pathsep}{kept.get('PATH', os.defpath)}"
        return {**kept, "PATH": path, "VIRTUAL_ENV": str(self.path), "AMENT_PREFIX_PATH": str(self.path)}

    def run(self, command: list[str]) -> None:
        """Run a tool with its output in the log. It inherits the lock: should this process be killed, it may go on."""
        with self.log.open("a") as log:
            print("$", *command, file=log, flush=True)
            done = subprocess.run(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self.variables(), close_fds=False
            )
        if done.returncode:
            said = last_lines(self.log, 12)
            print("", *said, sep="\n    ", file=sys.stderr)
            if re.search(NO_NETWORK, "\n".join(said)):
                raise SetupError(
                    "no network: PyPI cannot be reached, as shown above. Try again with one; behind a proxy set "
                    "HTTPS_PROXY, for a mirror PIP_INDEX_URL. What is made so far is kept"
                )
            raise SetupError(f"{Path(command[0]).name} failed as shown above; all it said is in {self.log}")


def check_machine(supported: tuple[tuple[int, int], ...]) -> None:
    """Raise SetupError, naming everything that must come from the operating system and is not there."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        raise SetupError(
            "ROS 2 comes as wheels for Linux on x86-64 only: elsewhere install ROS 2, and build with colcon"
        )
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if sys.version_info[:2] not in supported:
        wanted = " or ".join(f"{major}.{minor}" for major, minor in supported)
        raise SetupError(
            f"Python {wanted} is needed, this is {version}: name another one in the variable PYTHON "
            "(uv python install 3.12, then PYTHON=$(uv python find 3.12))"
        )
    present = {
        "g++": shutil.which("g++") or shutil.which("c++"),
        f"python{version}-dev": Path(sysconfig.get_path("include"), "Python.h").is_file(),
        f"python{version}-venv": importlib.util.find_spec("ensurepip") is not None,
    }
    missing = " ".join(package for package, there in present.items() if not there)
    if missing:
        raise SetupError(f"missing on this machine: {missing}. Install with: sudo apt install {missing}")


def check_path(path: Path) -> None:
    """Raise SetupError for a folder in which the CMake files of ROS are known to fail, or were not tried."""
    if odd := re.sub(r"[A-Za-z0-9 /._+~@=,()-]", "", str(path)):
        raise SetupError(
            f"the CMake files of ROS take no '{odd[0]}' in the name of a folder: move the checkout, whose environment "
            f"would be {path}"
        )


def gpu_wanted() -> bool:
    """Whether to install ONNX Runtime's GPU build: AMTNET_GPU=0 or 1 decides, else whether there is a usable GPU."""
    if choice := os.environ.get("AMTNET_GPU"):
        return choice != "0"
    if not shutil.which("nvidia-smi"):
        return False
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    found = re.match(r"(\d+)\.", subprocess.run(query, capture_output=True, text=True).stdout)
    return found is not None and int(found[1]) >= CUDA_DRIVER


def launch_files() -> list[Path]:
    return sorted((ROOT / "launch").glob("*.launch.py"))


def read_pins(name: str) -> list[str]:
    lines = (REQUIREMENTS / f"{name}.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def requirements(lists: list[str]) -> tuple[Path, ...]:
    return tuple(REQUIREMENTS / f"{name}.txt" for name in lists)


def digest(inputs: tuple[Path | str, ...]) -> str:
    """A hash of words, and of files by name and content; a folder stands for all files in it."""
    result = hashlib.sha256()
    for item in inputs:
        if isinstance(item, str):
            result.update(item.encode() + b"\0")
            continue
        paths = sorted(path for path in item.rglob("*") if "__pycache__" not in path.parts) if item.is_dir() else [item]
        for path in filter(Path.is_file, paths):
            result.update(str(path.relative_to(ROOT)).encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return result.hexdigest()


def replace_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    os.replace(part, path)


@contextmanager
def progress(title: str, log: Path) -> Iterator[None]:
    """Show what is being made, for how long, and the newest line of the log; at the end, how long it took."""
    started = time.monotonic()
    ended = threading.Event()
    log.parent.mkdir(parents=True, exist_ok=True)

    def show() -> None:
        while not ended.wait(0.2):
            newest = last_lines(log, 1) or [""]
            line = f"{title} … {time.monotonic() - started:.0f} s  {newest[0].strip()}"
            print("\r\033[K" + line[: shutil.get_terminal_size().columns - 1], end="", flush=True)

    terminal = sys.stdout.isatty()
    thread = threading.Thread(target=show if terminal else ended.wait, daemon=True)
    print(f"{title} …", end="" if terminal else "\n", flush=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        print("\r\033[K" if terminal else "", end="")
    print(f"{title}: {time.monotonic() - started:.0f} s", flush=True)


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines of a file that may be long, or not be there."""
    if not path.is_file():
        return []
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        return file.read().decode(errors="replace").splitlines()[-count:]


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Let one set-up of a folder run at a time; also one that lost its parent, as it holds the same open file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        os.set_inheritable(file.fileno(), True)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Waiting for another set-up of the same environment to end …", file=sys.stderr, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the virtual environment of amtnet_ros.")
    parser.add_argument("--tests", action="store_true", help="also what training, tests and linters need")
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv", help="folder of the environment")
    arguments = parser.parse_args()
    path = arguments.venv.absolute()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with lock(path.with_name(path.name + ".lock")):
            environment = Environment(path)
            environment.make(environment.steps(arguments.tests))
    except SetupError as error:
        print(f"set-up: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("set-up: interrupted; the next start goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
