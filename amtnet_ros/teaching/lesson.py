"""What is learnt from clips of new actions: the layer, how careful it must be, and what it gets right by itself.

Nothing is judged by what it was learnt from: clips are held out by groups, people of the model's folder by what they
do, and each new action once as a whole, as if nobody had taught it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from amtnet_ros.contracts import NOBODY, OTHER, Bool, Float32, Int64
from amtnet_ros.data.actions_file import NONE
from amtnet_ros.teaching.known_people import KnownPeople
from amtnet_ros.teaching.layer import Layer, learn_layer

Float64 = NDArray[np.float64]
PENALTY = 1e-3
"""Of the layer's weights, see `learn_layer`."""
FOLDS = 4
CLAIMED = 0.1
"""The share of people who do something else that may be said to do one of the actions, among those held out."""
OF_NOBODY = 0.5
"""What windows without anybody weigh, in actions."""


@dataclass(frozen=True)
class TaughtClip:
    """One person of a clip. label: an action, or `NONE`. group: clips of the same have one source.

    ways: of each way to look at the person (M, F) features, the robot's way first; the last row is of the last second.
    """

    name: str
    label: str
    group: str
    ways: tuple[Float32, ...]


@dataclass(frozen=True)
class Rows:
    """N moments to learn from, or to be judged by. hidden: (N, H). labels, groups: N. weights: (N,), in actions.

    judged: (N,), whether the moment is the one that tells what a clip, or a person, is called.
    own: (N,), whether it is of a clip rather than of the people who came with the model.
    """

    hidden: Float32
    labels: NDArray[np.str_]
    groups: NDArray[np.str_]
    clips: Int64
    judged: Bool
    own: Bool

    def part(self, rows: Bool) -> Rows:
        """Only these rows."""
        return Rows(*(getattr(self, name)[rows] for name in Rows.__annotations__))


@dataclass(frozen=True)
class Answers:
    """What a layer tells apart. learnt: new actions, and, where nothing is kept, `other` and `nobody`.

    given: what the layer before keeps saying, with its rows; () where nothing is kept.
    """

    actions: tuple[str, ...]
    kept: tuple[str, ...] = ()
    given: Layer | None = None

    @property
    def order(self) -> tuple[str, ...]:
        """Of the layer's rows: the new actions come first."""
        return (*self.actions, *self.kept, OTHER, NOBODY)

    @property
    def n_learnt(self) -> int:
        return len(self.actions) + (0 if self.given is not None else 2)

    def right(self, labels: NDArray[np.str_]) -> Int64:
        """(N,) the index of the right answer of each label; of one that is no answer it is `other`."""
        index = {name: i for i, name in enumerate(self.order)}
        return np.array([index.get(str(label), index[OTHER]) for label in labels], np.int64)


@dataclass(frozen=True)
class Judged:
    """What a layer says of people it has not learnt from.

    right, said: (N,) of `Answers.order`. strange: (N,), whether nothing like it was learnt. own: as in `Rows`.
    logits: (N, A).
    """

    logits: Float64
    right: Int64
    own: Bool
    strange: Bool

    def said(self, other: int, careful: float) -> Int64:
        """(N,) what is answered where the logarithm of `other` gets so much more."""
        logits = self.logits.copy()
        logits[:, other] += careful
        return np.asarray(logits.argmax(axis=1))


@dataclass(frozen=True)
class Lesson:
    """layer: all rows, in the order of `answers`. careful: what the logarithm of `other` gets on top.

    judged: of people held out.
    """

    answers: Answers
    layer: Layer
    careful: float
    judged: Judged


def rows_of(clips: Sequence[TaughtClip], known: KnownPeople, hidden: Callable[[Float32], Float32]) -> Rows:
    """All moments of clips and of known people. hidden: makes (N, H) of features (N, F)."""
    features: list[Float32] = []
    labels: list[str] = []
    groups: list[str] = []
    numbers: list[int] = []
    judged: list[bool] = []
    for number, clip in enumerate(clips):
        for place, way in enumerate(clip.ways):
            features += list(way)
            judged += [place == 0 and row == len(way) - 1 for row in range(len(way))]
        count = len(features) - len(labels)
        labels += [clip.label] * count
        groups += [clip.group] * count
        numbers += [number] * count
    n_own, n_known = len(features), len(known.labels)
    return Rows(
        hidden=hidden(
            np.concatenate([np.array(features, np.float32).reshape(-1, known.features.shape[1]), known.features])
        ),
        labels=np.array([*labels, *known.labels]),
        groups=np.array([*groups, *(f"known {group}" for group in known.groups)]),
        clips=np.array([*numbers, *range(len(clips), len(clips) + n_known)], np.int64),
        judged=np.array([*judged, *[True] * n_known]),
        own=np.arange(n_own + n_known) < n_own,
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
    weights = weights_of(rows, answers)
    learnt = learn_layer(rows.hidden, answers.right(rows.labels), weights, answers.n_learnt, PENALTY, answers.given)
    return learnt if answers.given is None else learnt.with_rows_of(answers.given)


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
    parts: list[tuple[Float64, Int64, Bool, Bool]] = []
    other = answers.order.index(OTHER)
    for held_out, strange in folds_of(rows, answers, seed):
        chosen = held_out & rows.judged
        if chosen.any() and _can_learn(rows.part(~held_out), answers, bool(strange.any())):
            layer = learn(rows.part(~held_out), answers)
            right = np.where(strange[chosen], other, answers.right(rows.labels[chosen]))
            lone = strange[chosen] | (rows.labels[chosen] == NONE)
            parts.append(
                (_unlearnt(layer.logits(rows.hidden[chosen]), rows, held_out, answers), right, rows.own[chosen], lone)
            )
        progress()
    logits, right, own, strange = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Judged(logits, right, own, strange)


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


def choose_careful(judged: Judged, answers: Answers) -> float:
    """What the logarithm of `other` must get so that few people who do something else are said to do an action.

    It holds for those of the clips, who are filmed as the robot will see people, and for those who came with the model.
    """
    actions, other = len(answers.actions), answers.order.index(OTHER)
    lead = judged.logits[:, :actions].max(axis=1) - judged.logits[:, other]
    strange = judged.strange & np.isfinite(lead)
    groups = [lead[strange & chosen] for chosen in (judged.own, ~judged.own)]
    return max((float(np.quantile(group, 1 - CLAIMED, method="higher")) for group in groups if len(group)), default=0.0)


def teach(rows: Rows, answers: Answers, seed: int, progress: Callable[[], None] = lambda: None) -> Lesson:
    """The whole lesson. progress: called after each of the layers that are learnt to judge by."""
    judged = judge(rows, answers, seed, progress)
    return Lesson(answers, learn(rows, answers), choose_careful(judged, answers), judged)


def probabilities(lesson: Lesson, hidden: Float32) -> Float64:
    """(N, A) as the model will answer."""
    logits = lesson.layer.logits(hidden)
    logits[:, lesson.answers.order.index(OTHER)] += lesson.careful
    return np.asarray(softmax(logits, axis=1), dtype=np.float64)
