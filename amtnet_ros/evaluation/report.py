"""An evaluation as JSON, tables, rows for a text and curves; all figures in percent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from amtnet_ros.evaluation.results import Evaluation, OnlineScores
from amtnet_ros.evaluation.video_map import VideoMap
from amtnet_ros.files import WholeFile

SUMMARY_THRESHOLDS = (0.2, 0.5, 0.75)
CLASS_THRESHOLDS = (0.2, 0.5, 0.75)
_COLUMNS = ("definition", "frame-mAP", "0.2", "0.5", "0.75", "0.5:0.95", "accuracy")


def as_json(result: Evaluation) -> dict[str, Any]:
    """Everything but the curves, as JSON takes it; percent, null where a figure does not exist.

    Delays are in frames, counts are counts.
    """
    content: dict[str, Any] = {
        "ground_truth": result.ground_truth,
        "videos": result.videos,
        "actions": result.actions,
        "tubes": result.tubes,
        "unit": "percent",
        "accuracy": _percent(result.accuracy),
        "video_map": {scores.definition.name: _video_map(scores) for scores in result.video_maps},
        "per_class": {
            name: {
                scores.definition.name: {
                    f"{threshold:g}": _percent(scores.average_precision[row, label])
                    for row, threshold in enumerate(scores.thresholds)
                }
                for scores in result.video_maps
            }
            for label, name in enumerate(result.video_maps[0].classes)
        },
    }
    if result.frame_map is not None:
        content["frame_map"] = {
            "0.5": _percent(result.frame_map.mean),
            "per_class": {
                name: _percent(ap)
                for name, ap in zip(result.frame_map.classes, result.frame_map.average_precision, strict=True)
            },
        }
    if result.online is not None:
        content["online"] = _online(result.online)
    return content


def headline(result: Evaluation) -> dict[str, float]:
    """The few figures by which models are compared, in percent, for a model's card."""
    figures = {"frame-mAP@0.5 %": result.frame_map.mean} if result.frame_map is not None else {}
    for scores in result.video_maps:
        figures[f"video-mAP@0.5 {scores.definition.name} %"] = scores.at(0.5)
        figures[f"video-mAP@0.5:0.95 {scores.definition.name} %"] = scores.strict_mean
    figures["accuracy %"] = result.accuracy
    return {name: round(100 * value, 1) for name, value in figures.items() if not math.isnan(value)}


def print_tables(result: Evaluation, console: Console) -> None:
    """The summary, the per-class APs, and what is known of the online behaviour."""
    counts = f"{result.tubes} tubes against {result.actions} actions in {result.videos} videos"
    console.print(f"{result.ground_truth}: {counts}; figures in percent")
    summary = Table(title="Video-mAP at δ, and accuracy")
    for column in _COLUMNS:
        summary.add_column(column, justify="left" if column == "definition" else "right")
    for row in _rows(result):
        summary.add_row(*row)
    console.print(summary)
    console.print(_class_table(result))
    if result.online is not None:
        _print_online(result.online, console)


def markdown_rows(result: Evaluation, name: str) -> str:
    """A Markdown table with one row for each definition."""
    lines = ["| " + " | ".join(("", *_COLUMNS)) + " |", "|---|---|" + "---:|" * (len(_COLUMNS) - 1)]
    lines += ["| " + " | ".join((name, *row)) + " |" for row in _rows(result)]
    return "\n".join(lines)


def latex_rows(result: Evaluation, name: str) -> str:
    """Rows for a LaTeX tabular, one for each definition; the columns are named in a comment."""
    lines = ["% " + " & ".join(("name", *_COLUMNS))]
    lines += [" & ".join((_latex(name), *row)) + r" \\" for row in _rows(result)]
    return "\n".join(lines)


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
    with WholeFile(file) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def _video_map(scores: VideoMap) -> dict[str, float | None]:
    figures = {f"{threshold:g}": _percent(scores.at(threshold)) for threshold in scores.thresholds}
    return {**figures, "0.5:0.95": _percent(scores.strict_mean)}


def _online(online: OnlineScores) -> dict[str, Any]:
    return {
        "observed": [
            {
                "share": observed.share,
                "accuracy": _percent(observed.accuracy),
                "video_map": {
                    scores.definition.name: {f"{t:g}": _percent(scores.at(t)) for t in scores.thresholds}
                    for scores in observed.video_maps
                },
            }
            for observed in online.observed
        ],
        "delay_frames": {
            "found": _percent(online.found),
            "median": _number(online.median_delay),
            "mean": _number(online.mean_delay),
        },
        "identity": {
            "switches": online.identity.switches,
            "fragmentations": online.identity.fragmentations,
            "boxes": online.identity.boxes,
            "followed": online.identity.followed,
        },
    }


def _rows(result: Evaluation) -> list[tuple[str, ...]]:
    return [
        (
            scores.definition.name,
            _text(result.frame_map.mean) if result.frame_map is not None else "–",
            *(_text(scores.at(threshold)) for threshold in SUMMARY_THRESHOLDS),
            _text(scores.strict_mean),
            _text(result.accuracy),
        )
        for scores in result.video_maps
    ]


def _class_table(result: Evaluation) -> Table:
    table = Table(title="AP of each class at δ")
    table.add_column("class")
    for scores in result.video_maps:
        for threshold in CLASS_THRESHOLDS:
            table.add_column(f"{scores.definition.name}\n{threshold:g}", justify="right")
    if result.frame_map is not None:
        table.add_column("frame\n0.5", justify="right")
    for label, name in enumerate(result.video_maps[0].classes):
        row = [
            _text(scores.average_precision[scores.thresholds.index(threshold), label])
            for scores in result.video_maps
            for threshold in CLASS_THRESHOLDS
        ]
        if result.frame_map is not None:
            row.append(_text(result.frame_map.average_precision[label]))
        table.add_row(name, *row)
    return table


def _print_online(online: OnlineScores, console: Console) -> None:
    table = Table(title="As a function of the observed share of the videos")
    table.add_column("observed", justify="right")
    table.add_column("accuracy", justify="right")
    maps = online.observed[0].video_maps
    for scores in maps:
        for threshold in scores.thresholds:
            table.add_column(f"{scores.definition.name} {threshold:g}", justify="right")
    for observed in online.observed:
        figures = [scores.at(threshold) for scores in observed.video_maps for threshold in scores.thresholds]
        table.add_row(f"{observed.share:.0%}", _text(observed.accuracy), *map(_text, figures))
    console.print(table)
    waited = f", after {online.median_delay:g} frames (median; mean {online.mean_delay:.1f})" if online.found else ""
    console.print(f"Detection delay: {_text(online.found)} % of the actions got a correct active tube{waited}")
    identity = online.identity
    followed = identity.followed / identity.boxes if identity.boxes else math.nan
    console.print(
        f"Identity: {identity.switches} switches, {identity.fragmentations} fragmentations; "
        f"a tube was on {_text(followed)} % of the actors' boxes"
    )


def _percent(share: float | np.floating[Any]) -> float | None:
    return _number(100 * float(share))


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)


def _text(share: float | np.floating[Any]) -> str:
    return "–" if math.isnan(share) else f"{100 * float(share):.1f}"


def _latex(text: str) -> str:
    escaped: Sequence[str] = [f"\\{c}" if c in "&%$#_{}" else c for c in text]
    return "".join(escaped)
