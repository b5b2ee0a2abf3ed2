"""`amtnet teach`: new actions from annotated clips, in a minute or two."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, track

from amtnet_ros.command_options import device_option
from amtnet_ros.contracts import NOBODY, OTHER
from amtnet_ros.data.actions_file import NONE
from amtnet_ros.data.annotations import Dataset
from amtnet_ros.data.custom import read_custom
from amtnet_ros.errors import UserError
from amtnet_ros.files import cache_folder
from amtnet_ros.inference.card import ACTOR, ActorCard, ModelCard, find_model, read_card
from amtnet_ros.inference.factory import make_actor_engine
from amtnet_ros.teaching.known_people import read_people
from amtnet_ros.teaching.layer import Answers
from amtnet_ros.teaching.lesson import Lesson, Rows, TaughtClip, rows_of
from amtnet_ros.teaching.report import Counts, count, draw_confusion, table_of


@click.command()
@click.argument("actions", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="The model folder to write.")
@click.option("--model", default="light", show_default=True, help="The model to teach: a name or a folder.")
@click.option("--keep", is_flag=True, help="It goes on naming the actions that it knows.")
@device_option
@click.option("--seed", type=int, default=0, show_default=True, help="Of how clips are looked at and held out.")
@click.option("--overwrite", is_flag=True, help="Replace a model folder that is there.")
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    help="What was seen of the clips. Default: teach/ in $AMTNET_CACHE or ~/.cache/amtnet_ros.",
)
def teach(
    actions: Path, out: Path, model: str, keep: bool, device: str, seed: int, overwrite: bool, cache: Path | None
) -> None:
    """Teach a model the classes of ACTIONS, a file of `amtnet annotate`, and write it to a new model folder.

    It learns from the clips whose split is "train". What it will get right is told by clips that were held out of the
    learning in turn, whole sources at a time, and by the people who came with the model.
    """
    from amtnet_ros.teaching.model_folder import with_clips, write_taught_model

    console, begin = Console(stderr=True), time.monotonic()
    base = find_model(model)
    card = read_card(base)
    dataset = read_custom(actions)
    actor = _check(base, card, dataset, actions, out, overwrite)
    known = read_people(base)
    looker = _Looker(dataset, base, device, cache or cache_folder() / "teach", seed, console)
    clips = looker.look(dataset.train, "looking at the clips")
    _check_taught(dataset, clips, actions)
    answers, rows = _answers(base, actor, dataset, keep), rows_of(clips, known, looker.hidden)
    lesson = _learn(rows, answers, actor, seed, console)
    counts = count(lesson)
    training: dict[str, Any] = {
        "taught": {"base": card.name, "base_digest": card.digest, "data": actions.name, "seed": seed},
        "clips": {label: sum(clip.label == label for clip in clips) for label in (*dataset.classes, NONE)},
    }
    people = with_clips(known, clips)
    write_taught_model(base, card, out, lesson, people, training, counts.figures, overwrite)
    _tell(out, counts, lesson, looker, dataset)
    click.echo(f"{time.monotonic() - begin:.0f} seconds in all. Try it:\n  amtnet run my_video.mp4 --model {out}")


class _Looker:
    """Looks at clips by the model's actor stream."""

    def __init__(self, dataset: Dataset, base: Path, device: str, cache: Path, seed: int, console: Console) -> None:
        from amtnet_ros.deploy.answer_layer import hidden_layer
        from amtnet_ros.teaching.watching import AT_ONCE

        with console.status(f"loading {base.name}"):
            self._engine = make_actor_engine(base, device, at_once=AT_ONCE)
            self.hidden = hidden_layer(base / ACTOR)
        self._dataset, self._base, self._cache, self._seed, self._console = dataset, base, cache, seed, console

    def look(self, names: Sequence[str], what: str) -> list[TaughtClip]:
        from amtnet_ros.teaching.taught_clips import look_at_clips, model_hash

        def shown(names: Sequence[str]) -> Iterable[str]:
            return track(names, what, console=self._console)

        def say(line: str) -> None:
            self._console.print(escape(line), highlight=False, soft_wrap=True)

        # the last layer, which is taught, has no part in what is seen; but its graph is the one there is
        seen_by = f"{model_hash(self._base / ACTOR)} {self._engine.precision}"
        return look_at_clips(self._dataset, names, self._engine, seen_by, self._cache, self._seed, say, shown)


def _check(base: Path, card: ModelCard, dataset: Dataset, actions: Path, out: Path, overwrite: bool) -> ActorCard:
    """What can be known to go wrong before anything is looked at."""
    if card.actor is None:
        raise UserError(f"model '{card.name}' has no actor stream, which is what is taught; give another --model")
    for label in (OTHER, NOBODY):
        if label in dataset.classes:
            raise UserError(
                f"{actions}: classes: '{label}' is an answer of its own; people without an action are '{NONE}'"
            )
    if out.exists() and out.resolve() == base.resolve():
        raise UserError(f"{out}: is the model that is taught; give another folder")
    if out.exists() and not overwrite:
        raise UserError(f"{out}: exists already; give another folder, or --overwrite to replace it")
    if not dataset.train:
        raise UserError(f"{actions}: no video has the split 'train'; there is nothing to learn from")
    return card.actor


def _check_taught(dataset: Dataset, clips: Sequence[TaughtClip], actions: Path) -> None:
    for label in dataset.classes:
        if not any(clip.label == label for clip in clips):
            raise UserError(f"{actions}: there is no clip of '{label}' to learn from; add some, or leave the class out")


def _answers(base: Path, actor: ActorCard, dataset: Dataset, keep: bool) -> Answers:
    if not keep:
        return Answers(dataset.classes)
    from amtnet_ros.deploy.answer_layer import answer_weights
    from amtnet_ros.teaching.layer import Layer
    from amtnet_ros.teaching.model_folder import given_answers

    kept, given = given_answers(Layer(*answer_weights(base / ACTOR)), actor, dataset.classes)
    return Answers(dataset.classes, kept, given)


def _learn(rows: Rows, answers: Answers, actor: ActorCard, seed: int, console: Console) -> Lesson:
    from amtnet_ros.teaching import lesson
    from amtnet_ros.teaching.judging import SHARES

    shares = SHARES if answers.given is None else (actor.rule.whole,)  # the rule of what is kept stays
    with Progress(console=console) as progress:
        task = progress.add_task("learning", total=lesson.layers_of(answers) + 1)
        taught = lesson.teach(rows, answers, seed, lambda: progress.advance(task), shares)
        progress.advance(task)
    return taught


def _tell(out: Path, counts: Counts, lesson: Lesson, looker: _Looker, dataset: Dataset) -> None:
    from amtnet_ros.teaching.lesson import probabilities

    Console().print(table_of(counts, f"{out.name}: what held-out people are called"))
    if dataset.test:
        clips = looker.look(dataset.test, "looking at the test clips")
        right = [clip.label if clip.label != NONE else OTHER for clip in clips]
        said = probabilities(lesson, *map(looker.hidden, _last_seconds(clips))).argmax(axis=1) if clips else []
        hits = sum(lesson.answers.order[int(one)] == label for one, label in zip(said, right, strict=True))
        click.echo(f"Of {len(clips)} people in test clips {hits} are called rightly.")
    picture = out.parent / f"{out.name}_confusion.png"
    draw_confusion(counts, picture)
    click.echo(f"Model: {out}\nWhat is taken for what: {picture}")


def _last_seconds(clips: Sequence[TaughtClip]) -> tuple[Any, Any]:
    """(N, F) of the persons, and of the whole pictures."""
    import numpy as np

    persons, wholes = zip(*(clip.last_second for clip in clips), strict=True)
    return np.stack(persons), np.stack(wholes)
