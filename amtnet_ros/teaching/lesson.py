"""What is learnt from clips of new actions: the layer, how careful it must be, and what it gets right by itself.

Nothing is judged by what it was learnt from: clips are held out by groups, people of the model's folder by what they
do, and each new action once as a whole, as if nobody had taught it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from amtnet_ros.contracts import NOBODY, OTHER, Bool, Float32, Int64
from amtnet_ros.data.actions_file import NONE
from amtnet_ros.teaching.judging import SHARES, Judged, choose_rule, joined
from amtnet_ros.teaching.known_people import KnownPeople
from amtnet_ros.teaching.layer import Answers, Layer, learn_layer

Float64 = NDArray[np.float64]
PENALTY = 1e-3
"""Of the layer's weights, see `learn_layer`."""
FOLDS = 4
OF_NOBODY = 0.5
"""What windows without anybody weigh, in actions."""


@dataclass(frozen=True)
class TaughtClip:
    """One person of a clip. label: an action, or `NONE`. group: clips of the same have one source.

    ways: of each way to look at the person (M, F) features, the robot's way first; the last row is of the last second.
    whole: the same of the whole picture; of a clip of several persons one of them has it. alone: whether the whole
    picture speaks for the person, which is so while nobody else is in view.
    """

    name: str
    label: str
    group: str
    ways: tuple[Float32, ...]
    whole: tuple[Float32, ...] = ()
    alone: bool = True

    @property
    def last_second(self) -> tuple[Float32, Float32]:
        """(F,) of the person, and of the whole picture; where that does not speak, the person's again."""
        person = self.ways[0][-1]
        return person, self.whole[0][-1] if self.whole and self.alone else person


@dataclass(frozen=True)
class Rows:
    """N moments to learn from, or to be judged by. hidden: (N, H). labels, groups: N. clips: (N,), their numbers.

    whole: (N, H), of the whole picture at that moment; where that does not speak, `hidden`.
    judged: (N,), whether the moment is the one that tells what a clip, or a person, is called.
    own: (N,), whether it is of a clip rather than of the people who came with the model.
    """

    hidden: Float32
    whole: Float32
    labels: NDArray[np.str_]
    groups: NDArray[np.str_]
    clips: Int64
    judged: Bool
    own: Bool

    def part(self, rows: Bool) -> Rows:
        """Only these rows."""
        return Rows(*(getattr(self, name)[rows] for name in Rows.__annotations__))


@dataclass(frozen=True)
class Lesson:
    """layer: all rows, in the order of `answers`, as careful as `careful` times `Answers.caution` makes it.

    whole: the share of the whole picture in what is said of somebody alone in view. judged: of people held out.
    """

    answers: Answers
    layer: Layer
    careful: float
    whole: float
    judged: Judged

    @property
    def judged_answers(self) -> Float64:
        """(N, A) what is said of the people held out: probabilities, of person and whole picture together."""
        return self.judged.answers(self.careful * self.answers.caution, self.whole)


def rows_of(clips: Sequence[TaughtClip], known: KnownPeople, hidden: Callable[[Float32], Float32]) -> Rows:
    """All moments of clips and of known people. hidden: makes (N, H) of features (N, F)."""
    features: list[Float32] = []
    labels: list[str] = []
    groups: list[str] = []
    numbers: list[int] = []
    judged: list[bool] = []
    for number, clip in enumerate(clips):
        for place, way in enumerate((*clip.ways, *clip.whole)):
            features += list(way)
            judged += [place == 0 and row == len(way) - 1 for row in range(len(way))]
        count = len(features) - len(labels)
        labels += [clip.label] * count
        groups += [clip.group] * count
        numbers += [number] * count
    n_own, n_known, scenes = len(features), len(known.labels), np.flatnonzero(known.of_scenes)
    own = np.array(features, np.float32).reshape(-1, known.features.shape[1])
    seen = hidden(np.concatenate([own, known.features, known.whole[scenes]]))
    whole = seen.copy()
    if clips:
        whole[:n_own][judged] = hidden(np.stack([clip.last_second[1] for clip in clips]))
    whole[n_own + scenes] = seen[n_own + n_known :]
    order = [*range(n_known), *scenes]
    return Rows(
        hidden=seen,
        whole=whole,
        labels=np.array([*labels, *(known.labels[i] for i in order)]),
        groups=np.array([*groups, *(f"known {known.groups[i]}" for i in order)]),
        clips=np.array([*numbers, *(len(clips) + i for i in order)], np.int64),
        judged=np.array([*judged, *[True] * n_known, *[False] * len(scenes)]),
        own=np.arange(len(seen)) < n_own,
    )


def weights_of(rows: Rows, answers: Answers) -> Float64:
    """Each action weighs the same, and each clip of it; people who do something else weigh as much as all actions.

    Of that, half is of the clips `none`, where there are some.
    """
    shares = np.zeros(len(rows.labels))
    none, stranger = rows.labels == NONE, ~np.isin(rows.labels, [*answers.order, NONE])
    parts = [(rows.labels == name, 1.0) for name in (*answers.actions, *answers.kept)]
    n_actions = float(len(parts))
    each = n_actions / max(1, int(none.any()) + int(stranger.any()))
    for chosen, total in (*parts, (none, each), (stranger, each), (rows.labels == NOBODY, OF_NOBODY)):
        if chosen.any():
            clips, place, counts = np.unique(rows.clips[chosen], return_inverse=True, return_counts=True)
            shares[chosen] = total / len(clips) / counts[place]
    return shares


def learn(rows: Rows, answers: Answers) -> Layer:
    """The layer, all its rows."""
    weights, given = weights_of(rows, answers), answers.given
    middle = given.middle if given is not None and given.direction.any() else middle_of(rows)
    still = answers.order.index(OTHER) if given is None else None
    learnt = learn_layer(
        rows.hidden, answers.right(rows.labels), weights, answers.n_learnt, PENALTY, middle, given, still
    )
    return learnt if given is None else learnt.with_rows_of(given)


def middle_of(rows: Rows) -> Float32:
    """(H,), of the people who came with the model, or, where there are none, of all."""
    known = ~rows.own & (rows.labels != NOBODY)
    return np.asarray(rows.hidden[known if known.any() else slice(None)].mean(axis=0), np.float32)


def folds_of(rows: Rows, answers: Answers, seed: int) -> Iterator[tuple[Bool, Bool]]:
    """Which rows are held out, and which of those are strange: their like is not learnt either.

    Clips, and people who do what is learnt, by groups; other people by what they do; each new action once as a whole,
    where there are several.
    """
    rng = np.random.default_rng(seed)
    familiar = rows.own | np.isin(rows.labels, answers.order)
    fold = np.zeros(len(rows.labels), np.int64)
    for label in np.unique(rows.labels):
        for kind, units in ((rows.own, rows.groups), (~rows.own & familiar, rows.groups), (~familiar, rows.labels)):
            of_kind = kind & (rows.labels == label)
            names = rng.permutation(np.unique(units[of_kind]))
            first = int(rng.integers(FOLDS))
            for place, name in enumerate(names):
                fold[of_kind & (units == name)] = (first + place) % FOLDS
    for number in range(FOLDS):
        yield fold == number, (fold == number) & ~familiar
    if len(answers.actions) > 1:
        for action in answers.actions:
            held_out = rows.own & (rows.labels == action)
            yield held_out, held_out


def layers_of(answers: Answers) -> int:
    """How many layers are learnt to judge by."""
    return FOLDS + (len(answers.actions) if len(answers.actions) > 1 else 0)


def judge(rows: Rows, answers: Answers, seed: int, progress: Callable[[], None] = lambda: None) -> Judged:
    """What layers say of moments that were held out of what they learnt from. progress: called after each layer."""
    parts: list[Judged] = []
    other = answers.order.index(OTHER)
    for held_out, strange in folds_of(rows, answers, seed):
        chosen = held_out & rows.judged
        if chosen.any() and _can_learn(rows.part(~held_out), answers, bool(strange.any())):
            layer = learn(rows.part(~held_out), answers)
            right = np.where(strange[chosen], other, answers.right(rows.labels[chosen]))
            none = rows.own[chosen] & (rows.labels[chosen] == NONE)
            lone = strange[chosen] | (rows.labels[chosen] == NONE)
            views = (layer.logits(view[chosen]) for view in (rows.hidden, rows.whole))
            logits, whole = (_unlearnt(view, rows, held_out, answers) for view in views)
            parts.append(Judged(logits, whole, right, rows.own[chosen], lone, none))
        progress()
    return Judged(*(np.concatenate([getattr(part, name) for part in parts]) for name in Judged.__annotations__))


def _can_learn(rows: Rows, answers: Answers, strange: bool) -> bool:
    present = set(rows.labels.tolist())
    lacking = [action for action in answers.actions if action not in present]
    return len(lacking) <= int(strange)


def _unlearnt(logits: Float64, rows: Rows, held_out: Bool, answers: Answers) -> Float64:
    """An action of which nothing was learnt is not answered."""
    left = set(rows.labels[~held_out].tolist())
    gone = [i for i, action in enumerate(answers.actions) if action not in left]
    logits[:, gone] = -np.inf
    return logits


def teach(
    rows: Rows,
    answers: Answers,
    seed: int,
    progress: Callable[[], None] = lambda: None,
    shares: Sequence[float] = SHARES,
) -> Lesson:
    """The whole lesson. progress: called after each of the layers that are learnt to judge by.

    shares: that the whole picture may have in what is said of somebody alone in view, 0..1; one where it is given.
    """
    judged = judge(rows, answers, seed, progress)
    careful, whole = choose_rule(judged, answers, shares)
    layer = learn(rows, answers)
    careful_bias = (layer.bias + careful * answers.caution).astype(np.float32)
    return Lesson(answers, replace(layer, bias=careful_bias), careful, whole, judged)


def probabilities(lesson: Lesson, hidden: Float32, whole: Float32) -> Float64:
    """(N, A) as the model will answer. hidden, whole: (N, H), of persons and of the whole picture, as in `Rows`."""
    return joined(lesson.layer.logits(hidden), lesson.layer.logits(whole), lesson.whole)
