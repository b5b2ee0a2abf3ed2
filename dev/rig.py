"""One environment of the matrix: the library versions of a ROS 2 distribution, and the node's tests run in it.

    python3.12 dev/rig.py jazzy [--folder FOLDER] [--build-only] [PYTEST ARGUMENTS]

dev/matrix calls it for each distribution with a Python that fits. Neither PyTorch nor onnx is installed, as on a robot:
the tests that need them are skipped, and say so. Only the standard library is used, as in environment.py.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from environment import ROOT, Environment, SetupError, Step, lock, replace_text

LISTS = ROOT / "dev" / "rigs"
PYTHONS = {"humble": (3, 10), "jazzy": (3, 12)}
"""The Python of each distribution's Ubuntu."""

HUMBLES_NAMES = {"event_handler": "qos_event", "clock_type": "_clock_type"}
"""Modules of Jazzy's rclpy, and what to call them: Humble has the one under another name, the other not at all."""

TESTS = (
    "test/ros",
    "test/inference/test_reading.py",
    "test/packaging/test_imports.py",
    "test/packaging/test_doctor.py",
)


class Rig(Environment):
    """An environment with one list of pins, and without training."""

    def __init__(self, distribution: str, path: Path) -> None:
        super().__init__(path)
        self.distribution = distribution
        self.pythons = (PYTHONS[distribution],)
        self.pins = LISTS / f"{distribution}.txt"

    def steps(self, tests: bool = False) -> list[Step]:
        steps = super().steps(tests=False)
        python, _, *others = steps
        return [python, Step("wheels", "libraries", (self.pins,), "venv", self.install_pins), *others]

    def install_pins(self) -> None:
        """Install the pins of the distribution, with nothing that they ask for besides."""
        self.forget_interrupted_packages()
        pins = [line for line in self.pins.read_text().splitlines() if line and not line.startswith("#")]
        self.pip("install", *[pin for pin in pins if pin.startswith("setuptools==")])
        self.pip("install", "--no-deps", "--no-build-isolation", "--no-compile", *pins)

    def link_checkout(self) -> None:
        super().link_checkout()
        if self.distribution == "humble":
            self.take_humbles_names()

    def take_humbles_names(self) -> None:
        """No wheels of Humble's rclpy exist: Jazzy's stands in, with what Humble calls otherwise under its old name."""
        for name, in_humble in HUMBLES_NAMES.items():
            module = self.packages / "rclpy" / f"{name}.py"
            if not module.is_file():
                continue
            module.rename(module.with_name(f"{in_humble}.py"))
            for path in (self.packages / "rclpy").rglob("*.py"):
                text = path.read_text()
                renamed = re.sub(rf"\bfrom (rclpy)?\.{name}\b", rf"from \1.{in_humble}", text)
                if renamed != text:
                    replace_text(path, renamed)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("distribution", choices=sorted(PYTHONS))
    parser.add_argument("--folder", type=Path, default=ROOT / ".rigs", help="where the environments are")
    parser.add_argument("--build-only", action="store_true", help="run no tests")
    arguments, of_pytest = parser.parse_known_args()
    path = arguments.folder.absolute() / arguments.distribution
    path.mkdir(parents=True, exist_ok=True)
    rig = Rig(arguments.distribution, path)
    try:
        with lock(path.with_name(path.name + ".lock")):
            rig.make(rig.steps())
    except SetupError as error:
        print(f"rig: {error}", file=sys.stderr)
        return 1
    if arguments.build_only:
        return 0
    command = [str(rig.python), "-m", "pytest", *(of_pytest or ["-q", *TESTS])]
    environment = {**rig.variables(), "ROS_DISTRO": arguments.distribution}
    return subprocess.run(command, cwd=ROOT, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
