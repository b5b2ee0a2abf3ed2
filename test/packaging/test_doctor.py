"""`amtnet doctor` names what is wrong, and the remedy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("click", reason="click is not installed, which the command amtnet is written with")


def doctor(first: str = "", **environment: str) -> tuple[int, str]:
    """Exit code and output of the command, in a process that executes `first` before."""
    program = f"{first}\nimport sys\nsys.argv = ['amtnet', 'doctor']\nfrom amtnet_ros.cli.main import main\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_library_that_is_missing_is_named_with_the_remedy_and_the_rest_is_still_told() -> None:
    pytest.importorskip("av", reason="PyAV is not installed")
    old = "import av\nav.library_versions['libavcodec'] = (59, 37, 100)"  # FFmpeg 5.1's
    code, says = doctor(f"{old}\nimport sys\nsys.modules['onnxruntime'] = sys.modules['rich'] = None")
    assert code == 1
    assert "reads films of phones as they lie, not upright" in says
    assert "pip install 'av>=12'" in says
    assert "onnxruntime: WRONG does not work" in says
    assert "pip install onnxruntime" in says
    assert "numpy: " in says
    assert "Traceback" not in says
    assert says.splitlines()[-1].startswith("1 of these are wrong: onnxruntime")
    prose = [line for line in says.splitlines() if "remedy: " not in line and "/" not in line]
    assert max(map(len, prose)) <= 80


def test_fast_dds_without_its_profile_is_wrong_and_a_profile_that_is_no_file_too(tmp_path: Path) -> None:
    pytest.importorskip("rclpy", reason="rclpy is not installed: ./check installs it")
    clear = "import os\nfor name in ('FASTDDS', 'FASTRTPS'): os.environ.pop(f'{name}_DEFAULT_PROFILES_FILE', None)"
    blind = "import sys\nsys.modules['onnxruntime'] = None  # so that no model is tried"
    for distribution, variable in (("jazzy", "FASTRTPS"), ("kilted", "FASTDDS")):
        code, says = doctor(f"{clear}\n{blind}\nos.environ['ROS_DISTRO'] = '{distribution}'")
        assert code == 1
        assert f"remedy: export {variable}_DEFAULT_PROFILES_FILE=" in says
    code, says = doctor(
        blind, ROS_DISTRO="jazzy", FASTDDS_DEFAULT_PROFILES_FILE=__file__, FASTRTPS_DEFAULT_PROFILES_FILE=""
    )
    assert code == 1
    assert "FASTDDS_DEFAULT_PROFILES_FILE, which is set, is not read by this distribution" in " ".join(says.split())
    code, says = doctor(blind, ROS_DISTRO="kilted", FASTDDS_DEFAULT_PROFILES_FILE=str(tmp_path / "nothing.xml"))
    assert code == 1
    named = f"FASTDDS_DEFAULT_PROFILES_FILE names {tmp_path / 'nothing.xml'}, which is no file"
    assert named in " ".join(says.split())


def test_what_rosdep_left_out_and_what_only_some_need_is_named_with_the_remedy() -> None:
    pytest.importorskip("rclpy", reason="rclpy is not installed: ./check installs it")
    first = """
import importlib.util, sys
sys.modules['onnxruntime'] = sys.modules['std_srvs.srv'] = None
found = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name in ('av', 'bondpy', 'launch_ros') else found(name)
"""
    code, says = doctor(first, ROS_DISTRO="lyrical")
    assert code == 1
    assert "std_srvs.srv: WRONG" in says
    assert "remedy: rosdep install --from-paths src --ignore-src -y -r" in says
    ros = "ros-$ROS_DISTRO-"
    for name, apt in (("av", "python3-av"), ("bondpy", f"{ros}bondpy"), ("launch_ros", f"{ros}launch-ros")):
        assert f"{name}: not installed; " in says
        assert f"remedy: sudo apt install {apt}" in says
    assert "lyrical, with which it was not tried (humble, jazzy, kilted)" in " ".join(says.split())


def test_a_library_that_fails_at_import_under_numpy_2_gets_the_older_numpy_as_remedy(tmp_path: Path) -> None:
    (tmp_path / "cv2.py").write_text("raise ImportError('page one\\nnumpy.core.multiarray failed to import')")
    first = (
        f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nfrom importlib import metadata\nreal = metadata.version\n"
        "metadata.version = lambda name: '2.1.0' if name == 'numpy' else real(name)"
    )
    code, says = doctor(first)
    assert code == 1
    assert "cv2: WRONG does not work: numpy.core.multiarray failed to import" in " ".join(says.split())
    assert 'pip install "numpy<2"' in says
