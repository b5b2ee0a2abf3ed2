"""`amtnet eval persons`: what the detector calls the persons of a data set's test clips, by both networks together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table

from amtnet_ros.command_options import data_root_option, settings_from, settings_options
from amtnet_ros.contracts import OTHER
from amtnet_ros.data.annotations import spread
from amtnet_ros.data.sources import read_dataset
from amtnet_ros.errors import UserError
from amtnet_ros.evaluation.persons import reliability_of, rescored, says, watch_persons
from amtnet_ros.evaluation.reliability import plot_reliability
from amtnet_ros.evaluation.results import evaluate_tubes
from amtnet_ros.evaluation.tube_file import read_tubes
from amtnet_ros.evaluation.video_map import DEFINITIONS
from amtnet_ros.media.drawing import Style
from amtnet_ros.pipeline import Pipeline

POWER = 0.5
"""Of what a person is called, in the score of a tube."""


@click.command("persons")
@click.option("--dataset", default="jhmdb21", show_default=True, help="jhmdb21, ucf101_24 or a JSON file.")
@click.option("--split", type=int, help="Split of the data set.")
@click.option("--limit", type=click.IntRange(1), help="Only so many test videos, evenly spread.")
@click.option(
    "--tubes",
    "file",
    type=click.Path(path_type=Path),
    help="The model's tubes, of amtnet eval --tubes-out: scored as they are, and times what the persons are called.",
)
@click.option("--reliability", type=click.Path(path_type=Path), help="Also draw how often scores are right; a PNG.")
@data_root_option
@settings_options(without=(Style,))
def persons(
    dataset: str,
    split: int | None,
    limit: int | None,
    file: Path | None,
    reliability: Path | None,
    data_root: Path,
    **given: Any,
) -> None:
    """Watch the test videos as a robot would, and count where the person followed longest is called rightly in the end.

    Shown with `other` allowed, as the detector says it, and without. Of clips in which nobody does any of the actions
    (label `none`) it is counted how often an action is claimed. The detector has the options of `amtnet run`.
    """
    console, settings = Console(stderr=True), settings_from(given)
    truth = read_dataset(dataset + (f":{split}" if split is not None else ""), data_root)
    pipeline = Pipeline.from_model(settings["model"], settings["device"], settings.options, settings["precision"])
    if pipeline.card.named_actions != truth.classes:
        raise UserError(f"model {pipeline.card.name} knows other actions than {truth.name} has")
    chosen = spread(truth.test, limit)
    watched = {name: watch_persons(pipeline, truth.videos[name]) for name in track(chosen, "watching", console=console)}
    names = [name for name in chosen if truth.videos[name].instances]
    labels = {name: truth.classes[truth.videos[name].instances[0].label] for name in names}
    table = Table("persons", "clips", "named %", title=f"{pipeline.card.name}, {truth.name}, {pipeline.precision}")
    for title, with_other in (("other allowed", True), ("other not allowed", False)):
        right = sum(says(watched[name], pipeline.labels, with_other) == labels[name] for name in names)
        table.add_row(title, str(len(names)), _percent(right, len(names)))
    Console().print(table)
    if none := [name for name in chosen if name not in labels]:
        claimed = sum(says(watched[name], pipeline.labels, True) not in (None, OTHER) for name in none)
        click.echo(f"an action claimed in {claimed} of {len(none)} clips of none: {_percent(claimed, len(none))} %")
    if reliability is not None:
        found = reliability_of(((watched[name], labels[name]) for name in names), pipeline.labels)
        plot_reliability({f"{truth.name}, test clips": found}, reliability, pipeline.card.name)
    if file is None:
        return
    tubes = read_tubes(file, truth)
    by_video = {name: [tube for tube in tubes if tube.video == name] for name in names}
    changed = [tube for name in names for tube in rescored(by_video[name], watched[name], POWER)]
    for title, scored in (("tubes as they are", tubes), (f"times the persons' scores to the power {POWER}", changed)):
        result = evaluate_tubes(truth, scored, list(DEFINITIONS.values()))
        figures = {
            of.definition.name: {f"{at:g}": round(100 * of.at(at), 1) for at in (0.2, 0.5, 0.75)}
            | {"0.5:0.95": round(100 * of.strict_mean, 1)}
            for of in result.video_maps
        }
        click.echo(f"{title}: {json.dumps(figures)}")


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}" if whole else "-"
