"""What the set-up installs is pinned to the last package."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "dev" / "requirements"
LISTS = sorted(path.stem for path in FOLDER.glob("*.in"))


def pins(path):
    return [line for line in path.read_text().splitlines() if line and not line.startswith("#")]


def canonical(pin):
    name, version = re.fullmatch(r"([\w.-]+)(?:\[[\w,-]+\])?==([\w.]+)", pin).groups()
    return re.sub(r"[-_.]+", "-", name).lower(), version


def test_each_list_was_resolved():
    assert {"ros", "runtime", "build", "gpu", "torch", "test"} <= set(LISTS)
    assert sorted(path.stem for path in FOLDER.glob("*.txt")) == LISTS


@pytest.mark.parametrize("name", LISTS)
def test_every_pin_is_exact_and_the_resolved_list_keeps_what_was_asked_for(name):
    resolved = [canonical(pin) for pin in pins(FOLDER / f"{name}.txt")]
    assert len({package for package, _ in resolved}) == len(resolved)
    # A package that an earlier list brought is not repeated.
    everything = {canonical(pin) for path in FOLDER.glob("*.txt") for pin in pins(path)}
    assert {canonical(pin) for pin in pins(FOLDER / f"{name}.in")} <= everything


def test_no_package_has_two_versions():
    versions: dict[str, set[str]] = {}
    for path in FOLDER.glob("*.txt"):
        for package, version in map(canonical, pins(path)):
            versions.setdefault(package, set()).add(version)
    assert {package: found for package, found in versions.items() if len(found) > 1} == {}


def test_the_runtime_needs_no_torch():
    packages = {canonical(pin)[0] for name in ("ros", "runtime") for pin in pins(FOLDER / f"{name}.txt")}
    assert not packages & {"torch", "torchvision", "triton"}
