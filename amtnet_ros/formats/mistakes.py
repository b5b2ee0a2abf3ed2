"""What is wrong with a file that does not fit its model, in one line."""

from __future__ import annotations

from pydantic import ValidationError


def first_mistake(error: ValidationError) -> str:
    """Place and reason of the first: "tasks[0], annotations: Field required"."""
    first = error.errors()[0]
    text = ""
    for part in first["loc"]:
        text += f"[{part}]" if isinstance(part, int) else f", {part}" if text else part
    return f"{text}: {first['msg']}"
