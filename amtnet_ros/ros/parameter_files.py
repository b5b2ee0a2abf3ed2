"""The table of settings as files to read: `config/detector.yaml` and `docs/parameters.md`, written from it.

python -m amtnet_ros.ros.parameter_files    # in the root of the repository
"""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import wrap

from amtnet_ros.command_options import flag_of
from amtnet_ros.options import AT_ONCE, Option
from amtnet_ros.settings import GROUPS, Group

_KINDS = {bool: "bool", int: "int", float: "float", str: "string", tuple: "list of strings"}


def configuration() -> str:
    """Every parameter at its default, with comments, as a ROS parameters file."""
    lines = [
        "# Parameters of the detector, all of them, at their defaults. docs/ros.md describes them; so does",
        "# `ros2 param describe`. Unless said otherwise a change takes effect at once, also by `ros2 param set`.",
        "# Made by `python -m amtnet_ros.ros.parameter_files`.",
        "/**:",
        "  ros__parameters:",
    ]
    for group in GROUPS:
        lines += [f"    # --- {group.title} ---", *_section(group), ""]
    return "\n".join(lines[:-1]) + "\n"


def _section(group: Group) -> list[str]:
    margin = "    "
    lines = []
    if group.prefix:
        lines.append(f"{margin}{group.prefix.removesuffix('.')}:")
        margin += "  "
    for option in group.options:
        effect = f" Read {option.effect}." if option.effect != AT_ONCE else ""
        lines += wrap(option.text + effect, 120, initial_indent=f"{margin}# ", subsequent_indent=f"{margin}# ")
        values = f"  # {option.values}" if option.values else ""
        lines.append(f"{margin}{option.name.removeprefix(group.prefix)}: {_default(option)}{values}")
    return lines


def reference() -> str:
    """Every parameter as a row of a Markdown table."""
    rows = [_row(option, group) for group in GROUPS for option in group.options]
    return "\n".join(
        [
            "# Parameters of the detector",
            "",
            "Made by `python -m amtnet_ros.ros.parameter_files`, as is `config/detector.yaml`: the defaults, with",
            "comments. `ros2 param describe /detector NAME` says the same on a robot. `amtnet run` has what is not for",
            "robots only, under the same name with hyphens for dots and underscores, with the same default and values.",
            "",
            "| parameter | of `amtnet run` | type | default | values | meaning | takes effect |",
            "|---|---|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _row(option: Option, group: Group) -> str:
    cells = (
        f"`{option.name}`",
        "" if group.on_robots else f"`{flag_of(option.name)}`",
        _KINDS[option.kind],
        f"`{_default(option)}`",
        option.values,
        option.text,
        option.effect,
    )
    return "| " + " | ".join(cells) + " |"


def _default(option: Option) -> str:
    """As YAML: that a list of strings is empty, ROS cannot be told but by [""]."""
    if option.kind is str:
        return str(option.default)
    return json.dumps(list(option.default) or [""] if option.kind is tuple else option.default)


if __name__ == "__main__":
    Path("config/detector.yaml").write_text(configuration(), encoding="utf-8")
    Path("docs/parameters.md").write_text(reference(), encoding="utf-8")
