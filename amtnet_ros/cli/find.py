"""`amtnet find`: moments of an archive by what somebody does."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from amtnet_ros.archive.clips import write_bag_list, write_clips, write_contact_sheet, write_lerobot_list
from amtnet_ros.archive.moment import Moment, moments_of
from amtnet_ros.archive.query import Wanted, parse_between, parse_people
from amtnet_ros.archive.search import Archive

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("action")
@click.argument("folder")
@click.option("--score", type=click.FloatRange(0, 1), default=0.2, show_default=True, help="Of each second, at least.")
@click.option("--seconds", type=click.FloatRange(0), default=0, help="Length of a moment, at least.")
@click.option("--people", default="1-", show_default=True, help="In view, this one included: 1, 2-4, 2-.")
@click.option("--size", type=click.FloatRange(0, 1), default=0, help="Share of the picture's height, at least.")
@click.option("--between", help="Time of the day, UTC: 8-18, 22:30-6:00.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="So many of the best.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines instead of a table.")
@click.option("--clips", type=_PATH, help="Folder for a video of each moment, with the tube drawn.")
@click.option("--contact-sheet", type=_PATH, help="JPEG with pictures of each moment.")
@click.option("--mcap", type=_PATH, help="JSON list of the moments in bags: file, topic, from, to.")
@click.option("--lerobot", type=_PATH, help="JSON list of the episodes, by data set.")
def find(
    action: str,
    folder: str,
    score: float,
    seconds: float,
    people: str,
    size: float,
    between: str | None,
    limit: int,
    as_json: bool,
    clips: Path | None,
    contact_sheet: Path | None,
    mcap: Path | None,
    lerobot: Path | None,
) -> None:
    """Find the moments of an archive, FOLDER, in which somebody does ACTION, best first.

    ACTION: one of the model's actions, any of the 600 names of `amtnet actions`, or several under a label,
    `greet: [waving hand, shaking hands]`.
    """
    times = parse_between(between) if between else None
    wanted = Wanted(score, seconds, parse_people(people), size, times)
    archive = Archive(folder)
    moments = moments_of(archive.find(action, wanted, limit))
    _show(moments, as_json)
    name = action.partition(":")[0]
    if mcap:
        write_bag_list(moments, mcap)
    if lerobot:
        write_lerobot_list(moments, lerobot)
    if clips:
        written = write_clips(moments, archive.tube_of, name, clips)
        click.echo(f"{len(written)} clips: {clips}", err=True)
    if contact_sheet:
        write_contact_sheet(moments, archive.tube_of, name, contact_sheet)
        click.echo(f"Contact sheet: {contact_sheet}", err=True)


def _show(moments: list[Moment], as_json: bool) -> None:
    if as_json:
        import json
        from dataclasses import asdict

        for moment in moments:
            click.echo(json.dumps(asdict(moment), default=str))
        return
    if not moments:
        click.echo("No moment was found; a lower --score finds more.")
        return
    table = Table()
    for column in ("", "score"):
        table.add_column(column, justify="right")
    table.add_column("where", overflow="fold")
    for column in ("when", "length [s]", "tube", "people", "size"):
        table.add_column(column, justify="right")
    for each in moments:
        numbers = f"{each.seconds:.1f}", str(each.tube), str(each.people), f"{each.size:.2f}"
        table.add_row(str(each.rank), f"{each.score:.2f}", each.where, each.when, *numbers)
    Console().print(table)
