"""The course of a run as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, BinaryIO

LOSSES = ("classification", "localisation", "overlap")
WINDOW = 1 / 50
"""Losses are shown as means over this share of the run, since those of single batches scatter."""


def draw_curves(records: Sequence[dict[str, Any]], name: str, file: BinaryIO) -> None:
    """Losses, learning rate and validation over the steps, from the records of the log, as PNG."""
    from matplotlib.figure import Figure

    steps = [record for record in records if LOSSES[0] in record]
    looks = [record for record in records if "named" in record]
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    figure.suptitle(name)
    losses, rate, validation = figure.subplots(1, 3)
    for key in LOSSES:
        if any(key in record for record in steps):
            losses.plot(*_means(steps, key), label=key, linewidth=1.2)
    losses.set(title="loss, a sample or positive prior", xlabel="step", yscale="log")
    losses.legend()
    rate.plot([r["step"] for r in steps], [r["rate"] for r in steps], linewidth=1.2)
    rate.set(title="learning rate of the heads", xlabel="step")
    for key in ("located", "named", "clips_named", "frame_map"):
        points = [(look["step"], 100 * look[key]) for look in looks if key in look]
        if points:
            validation.plot(*zip(*points, strict=True), label=key, marker=".", linewidth=1.2)
    validation.set(title="validation, %", xlabel="step", ylim=(0, 100))
    if looks:
        validation.set_xlim(0, max(record["step"] for record in records) + 1)
        validation.legend()
    figure.savefig(file, format="png", dpi=110)


def _means(records: Sequence[dict[str, Any]], key: str) -> tuple[list[float], list[float]]:
    length = max(1, round(len(records) * WINDOW))
    parts = [records[i : i + length] for i in range(0, len(records), length)]
    steps = [sum(r["step"] for r in part) / len(part) for part in parts]
    return steps, [sum(r[key] for r in part) / len(part) for part in parts]
