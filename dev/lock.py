"""Pin everything: resolve dev/requirements/*.in, all together, and write each one's closure to *.txt.

    python3.11 dev/lock.py

Run it with the oldest Python the set-up supports (3.11), so that every pin exists for all of them. The set-up installs
the lists as they are, without resolving anything.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parent / "requirements"

# Each list, and those it is installed on top of: what they hold, it need not repeat.
LISTS: dict[str, tuple[str, ...]] = {
    "ros": (),
    "runtime": ("ros",),
    "build": ("ros", "runtime"),
    "gpu": ("ros", "runtime"),
    "torch": ("ros", "runtime"),
    "test": ("ros", "runtime", "torch"),
}


def canonical(name: str) -> str:
    """The name as PyPI compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def resolve(lists: tuple[str, ...]) -> dict[str, str]:
    """Name → version of all that pip would install for these lists."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-"]
    for name in lists:
        command += ["--requirement", str(REQUIREMENTS / f"{name}.in")]
    report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    metadata = [package["metadata"] for package in report["install"]]
    return {canonical(package["name"]): package["version"] for package in metadata}


def main() -> None:
    versions = resolve(tuple(LISTS))
    for name, below in LISTS.items():
        closure = resolve((*below, name)).keys() - (resolve(below).keys() if below else set())
        lines = [f"# Written by dev/lock.py from {name}.in: change that, and run it again."]
        lines += [f"{package}=={versions[package]}" for package in sorted(closure)]
        (REQUIREMENTS / f"{name}.txt").write_text("\n".join(lines) + "\n")
        print(f"{name}.txt: {len(closure)} packages")


if __name__ == "__main__":
    main()
