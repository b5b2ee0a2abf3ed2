"""Precision-recall curves as a picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from amtnet_ros.errors import UserError
from amtnet_ros.evaluation.video_map import VideoMap


def plot_curves(video_maps: Sequence[VideoMap], threshold: float, file: Path, title: str) -> None:
    """One small plot for each class that has ground truth, a line for each definition; a PNG, whole or not at all.

    Raises UserError if the file cannot be written.
    """
    from matplotlib.figure import Figure

    positives = video_maps[0].judged.positives
    labels = [label for label in range(len(positives)) if positives[label]]
    columns = min(6, max(1, len(labels)))
    rows = max(1, -(-len(labels) // columns))
    figure = Figure(figsize=(2.2 * columns, 2.2 * rows + 0.6), layout="constrained")
    figure.suptitle(f"{title}: precision over recall at overlap {threshold:g}")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axis in axes.flat[len(labels) :]:
        axis.set_axis_off()
    for axis, label in zip(axes.flat, labels, strict=False):
        for scores, style in zip(video_maps, ("-", "--"), strict=False):
            recall, precision = scores.judged.curve(label, threshold)
            ap = scores.average_precision[scores.thresholds.index(threshold), label]
            axis.plot(
                [0, *recall],
                [1, *precision],
                label=f"{scores.definition.name} {100 * ap:.1f}",
                linewidth=1.2,
                linestyle=style,
            )
        axis.set(title=video_maps[0].classes[label], xlim=(0, 1), ylim=(0, 1.05))
        axis.title.set_fontsize(8)
        axis.legend(fontsize=6, loc="lower left")
    figure.supxlabel("recall")
    figure.supylabel("precision")
    partial = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        figure.savefig(partial, format="png", dpi=120)
        os.replace(partial, file)
    except OSError as error:
        raise UserError(f"{file}: cannot write: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)
