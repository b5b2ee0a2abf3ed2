"""The table of parameters as docs/parameters.md, which says how it is made."""

from __future__ import annotations

import json

from amtnet_ros.ros.parameters import PARAMETERS, Parameter

_KINDS = {bool: "bool", int: "int", float: "float", str: "string", list: "list of strings"}


def reference() -> str:
    """Every parameter of the detector as a Markdown table."""
    rows = [_row(parameter) for parameter in PARAMETERS]
    return "\n".join(
        [
            "# Parameters of the detector",
            "",
            "Made by `python -m amtnet_ros.ros.parameter_reference > docs/parameters.md`. The defaults, with comments,",
            "are in `config/detector.yaml`; `ros2 param describe /detector NAME` says the same on a robot.",
            "",
            "| parameter | type | default | values | meaning | takes effect |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _row(parameter: Parameter) -> str:
    if parameter.choices:
        values = ", ".join(f"`{choice}`" for choice in parameter.choices)
    else:
        values = f"{parameter.low:g} to {parameter.high:g}" if parameter.low is not None else ""
    cells = (
        f"`{parameter.name}`",
        _KINDS[type(parameter.default)],
        f"`{json.dumps(parameter.default)}`",
        values,
        parameter.text,
    )
    return "| " + " | ".join((*cells, parameter.effect)) + " |"


if __name__ == "__main__":
    print(reference(), end="")
