"""`amtnet eval field`: what a detector says of clips from the field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table

from amtnet_ros.command_options import settings_from, settings_options
from amtnet_ros.data.annotations import spread
from amtnet_ros.evaluation.field import (
    CLIPS,
    check_labels,
    clips_as_json,
    read_field,
    reliability_of,
    summarise,
    watch_clip,
)
from amtnet_ros.evaluation.reliability import plot_reliability
from amtnet_ros.files import check_distinct, write_whole
from amtnet_ros.media.drawing import Style
from amtnet_ros.pipeline import Pipeline


@click.command("field")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--limit", type=click.IntRange(1), help="Only so many clips, spread over the list.")
@click.option(
    "--tube-score",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="A tube counts only while its score is at least this.",
)
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Also write everything, down to each tube, as JSON.")
@click.option("--reliability", type=click.Path(path_type=Path), help="Also draw how often scores are right; a PNG.")
@settings_options(without=(Style,))
def field(
    folder: Path, limit: int | None, tube_score: float, out: Path | None, reliability: Path | None, **given: Any
) -> None:
    """Count what is right and what is false in the clips of FOLDER, as its clips.json says what is to be seen in them.

    NAMED: in how many clips with an expected action the longest ACTIVE tube bears it, most of the time. FALSE: ACTIVE
    tubes where nobody is in view, and where people do none of the actions; `other` is not one. The detector has the
    options of `amtnet run`.
    """
    console = Console(stderr=True)
    settings = settings_from(given)
    clips = spread(read_field(folder), limit)
    for output in filter(None, (out, reliability)):
        check_distinct(output, folder / CLIPS, *(clip.file for clip in clips))
    pipeline = Pipeline.from_model(settings["model"], settings["device"], settings.options, settings["precision"])
    check_labels(clips, pipeline.labels)
    made_with = {"model": pipeline.card.name, "provider": pipeline.provider, "precision": pipeline.precision}
    console.print(", ".join(made_with.values()), highlight=False)
    watched = [watch_clip(pipeline, clip, tube_score) for clip in track(clips, "watching", console=console)]
    pipeline.close()
    summary = summarise(watched)
    if out is not None:
        changed = {name: list(value) if isinstance(value, tuple) else value for name, value in settings.changed.items()}
        record = {**made_with, "settings": changed, "tube_score": tube_score}
        content = {**record, "summary": summary, "clips": clips_as_json(watched)}
        write_whole(out, json.dumps(content, indent=1) + "\n", parents=True)
    if reliability is not None:
        plot_reliability({"field clips": reliability_of(watched)}, reliability, made_with["model"])
    _show(summary, Console())


def _show(summary: dict[str, Any], console: Console) -> None:
    named = summary["named"]
    if named["clips"]:
        console.print(
            f"NAMED {named['named']} of {named['clips']}, {named['share']:.1%}; mean over the labels "
            f"{summary['named_mean_over_labels']:.1%}; without any tube {named['no_tube']}",
            highlight=False,
        )
        for title, key in (("expected", "by_expected"), ("clips of", "by_set")):
            table = Table(title)
            for column in ("clips", "named", "share"):
                table.add_column(column, justify="right")
            table.add_column("instead")
            for name, row in summary[key].items():
                wrong = ", ".join(f"{label} {count}" for label, count in row["wrong"].items())
                table.add_row(name, str(row["clips"]), str(row["named"]), f"{row['share']:.0%}", wrong)
            console.print(table)
    table = Table("FALSE")
    for column in ("clips", "seconds", "with a tube", "tubes/min", "tube-s/s", "others"):
        table.add_column(column, justify="right")
    table.add_column("said, by ACTIVE time")
    for part in ("false", "false_by_set"):
        for name, row in summary[part].items():
            if row["clips"]:
                said = ", ".join(f"{label} {share:.0%}" for label, share in row["labels"].items())
                counts = (row["clips"], f"{row['seconds']:.0f}", row["clips_with_a_tube"])
                rates = (
                    f"{row['tubes_a_minute']:.1f}",
                    f"{row['tube_seconds_a_second']:.2f}",
                    f"{row['others_a_second']:.2f}",
                )
                table.add_row(name, *map(str, counts), *rates, said)
        table.add_section()
    if table.row_count:
        console.print(table)
