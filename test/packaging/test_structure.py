"""Imports go one way: from part to part as pyproject.toml orders them, and from file to file without a circle."""

from __future__ import annotations

import ast
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli", reason="Python 3.10 reads TOML only with the package tomli")

ROOT = Path(__file__).parents[2]


def modules(root: Path) -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    found = {}
    for path in (root / "amtnet_ros").rglob("*.py"):
        name = ".".join(path.relative_to(root).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


def imports(path: Path, known: dict[str, Path]) -> set[str]:
    """The modules of the package that a file imports, at its top, in functions, or for types alone."""
    named: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            parts = {f"{node.module}.{alias.name}" for alias in node.names} & known.keys()
            named |= parts or {node.module}
    return named & known.keys()


def part(module: str) -> str:
    """amtnet_ros.flow.brox → flow."""
    return ([*module.split("."), ""])[1]


def mistakes(root: Path, order: list[str]) -> list[str]:
    """Everything that goes against the order, a line each."""
    known = modules(root)
    arrows = {name: imports(path, known) - {"amtnet_ros"} for name, path in known.items()}
    place = {name: i for i, name in enumerate(order)}
    found = [f"{name} is in no part" for name in sorted(known) if part(name) and part(name) not in place]
    for name, targets in sorted(arrows.items()):
        for target in sorted(targets):
            if part(name) in place and part(target) in place and place[part(target)] > place[part(name)]:
                found.append(f"{name} imports {target}")
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        found.append(" imports ".join(reversed(error.args[1])))
    return found


def test_no_import_goes_back_and_none_in_a_circle() -> None:
    order = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["amtnet_ros"]["parts"]
    assert mistakes(ROOT, order) == []


def test_arrows_back_and_circles_are_seen(tmp_path: Path) -> None:
    package = tmp_path / "amtnet_ros"
    for name, text in {
        "__init__.py": "",
        "early/__init__.py": "",
        "early/a.py": "from amtnet_ros.early import b",
        "early/b.py": "def f():\n    from amtnet_ros.early.a import g\n    from amtnet_ros.late.c import h",
        "late/__init__.py": "",
        "late/c.py": "import amtnet_ros.early.a",
        "stray.py": "",
    }.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    found = mistakes(tmp_path, ["early", "late"])
    assert found[0] == "amtnet_ros.stray is in no part"
    assert found[1] == "amtnet_ros.early.b imports amtnet_ros.late.c"
    assert "amtnet_ros.early.a imports amtnet_ros.early.b" in found[2]
    assert len(found) == 3
