"""Pictures of a run, for a person to look at: samples as the network gets them, and the curves of its log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, BinaryIO

import cv2
import numpy as np

from amtnet_ros.contracts import Float32, UInt8
from amtnet_ros.data.annotations import UNKNOWN
from amtnet_ros.data.samples import PairSample

LOSSES = ("classification", "localisation", "overlap")

WINDOW = 1 / 50
"""Losses are shown as means over this share of the run, since those of single batches scatter."""

_COLOURS = ((80, 255, 80), (255, 160, 40), (90, 170, 255), (255, 90, 200))  # of the micro-tubes, RGB
_GAP = 4
_SHOWN_FLOW = slice(-3, None)  # the newest flow image of the stack


def sheet(samples: Sequence[PairSample], classes: Sequence[str]) -> UInt8:
    """Several samples under each other, (h, w, 3) uint8; rows of another width (fewer streams) are padded."""
    rows = [sample_picture(sample, classes) for sample in samples]
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, _GAP), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows]
    return np.concatenate(padded, axis=0)


def sample_picture(sample: PairSample, classes: Sequence[str]) -> UInt8:
    """One sample as a row, (S, n, 3) uint8: the image of each frame, then its newest flow image; boxes in all.

    A micro-tube has one colour in both frames, and its class is written in the first.
    """
    tiles: list[UInt8] = []
    for images, part in ((sample.rgb, slice(None)), (sample.flow, _SHOWN_FLOW)):
        for k, image in enumerate(images if images is not None else ()):
            tile = np.ascontiguousarray(image[part].transpose(1, 2, 0))
            last = sample.boxes.shape[1] - 1
            _draw_boxes(tile, sample.boxes[:, min(k, last)], sample.labels if not tiles else (), classes)
            tiles += [tile, np.full((len(tile), _GAP, 3), 255, np.uint8)]
    return np.concatenate(tiles[:-1], axis=1)


def _draw_boxes(tile: UInt8, boxes: Float32, labels: Sequence[int] | np.ndarray, classes: Sequence[str]) -> None:
    side = len(tile)
    for k, box in enumerate(boxes):
        colour = _COLOURS[k % len(_COLOURS)]
        x1, y1, x2, y2 = (round(float(v) * side) for v in box)
        cv2.rectangle(tile, (x1, y1), (max(x2 - 1, x1), max(y2 - 1, y1)), colour, 2)
        if k < len(labels):
            origin = (max(x1, 0) + 4, max(y1, 0) + 14)
            for ink, width in (((0, 0, 0), 3), (colour, 1)):
                word = "?" if labels[k] == UNKNOWN else classes[int(labels[k])]
                cv2.putText(tile, word, origin, cv2.FONT_HERSHEY_SIMPLEX, 0.45, ink, width, cv2.LINE_AA)


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
    for key in ("located", "tight", "named", "clips_named", "frame_map"):
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
