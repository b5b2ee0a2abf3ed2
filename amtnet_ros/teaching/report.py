"""What a lesson brought: figures, a table and a picture of what is taken for what."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.table import Table

from amtnet_ros.contracts import OTHER, Int64
from amtnet_ros.files import WholeFile
from amtnet_ros.libraries import library
from amtnet_ros.teaching.lesson import Lesson

NONE_CLIPS = "clips of none"
STRANGERS = "an action that was not taught"
NOBODY_ELSE = "people of the model, who do something else"
"""People who do none of the actions: those of `none`, of each action once as if it were not taught, and others."""


@dataclass(frozen=True)
class Counts:
    """What held-out people are called. counts: (R, A) people, by a row of `titles` and an answer of `answers`.

    right: (R,) the answer that is right in each row.
    """

    titles: tuple[str, ...]
    answers: tuple[str, ...]
    right: Int64
    counts: Int64

    @property
    def shares(self) -> dict[str, float]:
        """Row → percentage that is called rightly."""
        totals = self.counts.sum(axis=1)
        hits = self.counts[np.arange(len(self.right)), self.right]
        return {title: 100 * int(hit) / int(n) for title, hit, n in zip(self.titles, hits, totals, strict=True) if n}

    @property
    def figures(self) -> dict[str, float]:
        """Those for the model's card, percentages."""
        other = self.answers.index(OTHER)
        actions = self.right != other
        named, claimed = _share(self.counts[actions], self.right[actions]), {}
        for title, row in zip(self.titles, self.counts, strict=True):
            if title in (NONE_CLIPS, STRANGERS, NOBODY_ELSE) and row.sum():
                claimed[f"an action claimed of {title} %"] = round(100 * float(row[:other].sum() / row.sum()), 1)
        return {"clips held out": float(self.counts[actions].sum()), "named %": round(100 * named, 1), **claimed}


def count(lesson: Lesson) -> Counts:
    """Of the people whom a lesson was judged by."""
    answers = lesson.answers
    judged, said = lesson.judged, lesson.judged_answers.argmax(axis=1)
    shown = (*answers.actions, OTHER)
    column = np.array(
        [answers.actions.index(one) if one in answers.actions else len(answers.actions) for one in answers.order]
    )
    rows = [(action, judged.own & ~judged.strange & (judged.right == k)) for k, action in enumerate(answers.actions)]
    rows += [
        (NONE_CLIPS, judged.none),
        (STRANGERS, judged.own & judged.strange & ~judged.none),
        (NOBODY_ELSE, ~judged.own & judged.strange),
    ]
    rows = [(title, chosen) for title, chosen in rows if chosen.any()]
    counts = [np.bincount(column[said[chosen]], minlength=len(shown)) for _, chosen in rows]
    right = [shown.index(title) if title in shown else shown.index(OTHER) for title, _ in rows]
    return Counts(tuple(title for title, _ in rows), shown, np.array(right), np.array(counts))


def _share(counts: Int64, right: Int64) -> float:
    return float(counts[np.arange(len(right)), right].sum() / max(counts.sum(), 1))


def table_of(counts: Counts, title: str) -> Table:
    """Rows: what is so; columns: what it is called."""
    table = Table(title=title)
    table.add_column("held out, and in truth")
    for answer in counts.answers:
        table.add_column(answer, justify="right")
    table.add_column("right", justify="right")
    for name, row, share in zip(counts.titles, counts.counts, counts.shares.values(), strict=True):
        table.add_row(name, *(str(int(n)) if n else "" for n in row), f"{share:.0f} %")
    return table


def draw_confusion(counts: Counts, path: Path) -> None:
    """The table as a picture. Raises UserError if it cannot be drawn or written."""
    library("matplotlib", "the picture of what is taken for what")
    from matplotlib.figure import Figure

    shares = counts.counts / np.maximum(counts.counts.sum(axis=1, keepdims=True), 1)
    n_rows, n_columns = shares.shape
    figure = Figure(figsize=(3.6 + 0.9 * n_columns, 1.6 + 0.5 * n_rows), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(n_columns), counts.answers, rotation=30, ha="right")
    axes.set_yticks(range(n_rows), counts.titles)
    axes.set_xlabel("called")
    for i, j in np.ndindex(n_rows, n_columns):
        if counts.counts[i, j]:
            dark = "white" if shares[i, j] > 0.6 else "black"
            axes.text(j, i, f"{int(counts.counts[i, j])}", ha="center", va="center", color=dark)
    with WholeFile(path, parents=True) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
