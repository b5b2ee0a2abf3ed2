"""The actor stream's place in the pipeline: tubes come in with what they were called, and leave with what they do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from amtnet_ros.actors.actors import Actors
from amtnet_ros.actors.fusion import Fusion, Joined
from amtnet_ros.actors.memory import Answer
from amtnet_ros.contracts import OTHER, Float32, Frame, Tube, TubeState, TubeUpdate

CLAIMED_ALONE = 0.7
"""Where the stream cannot look, an action is claimed by the two-stream network alone from this score on. Of people held
out of the training it leaves out 8 in 10 claims on those who do something else (14) and 1 in 5 right names (30 others).
"""

OnAnswer = Callable[[int, int, Answer, Joined], None]


@dataclass
class _Known:
    """Of a live tube. box: the newest one; joined: what was last said of it, if ever; label: what it was called then;
    confirmed: see `ActorStage`.
    """

    box: Float32
    joined: Joined | None = None
    label: int | None = None
    confirmed: bool = False


class ActorStage:
    """Takes the linker's updates in order, of one camera, and the frames between them.

    It gives each tube the label, the score and the class scores (one for each of `labels`) that follow from its last
    second: of the stream's answers, and of the linker's class scores, which forget (see `LinkerOptions.class_memory`).
    A tube where the stream sees nobody claims nothing: it is TENTATIVE. Box scores stay: they say how sure the
    two-stream network is of the box.

    A tube is TENTATIVE until both have spoken of it with a score of `confirm_score`, so that nothing is claimed of
    anybody whom only one of the two networks has seen. Who waits for a turn keeps what was said last. Where the camera
    is too slow for the stream, tubes are what the two-stream network calls them, or `other`: it knows no such answer,
    and its low scores say little. So its scores are lowered, that of `CLAIMED_ALONE` to 0.5; `other` gets what is left.

    actors: who is looked at. fusion: how answers are joined. confirm_score: of whatever a tube is called, `other` too;
    it stays confirmed when its score falls. label_margin: the label changes only to one that leads by more than this.
    wanted: the labels that may be reported, by number; what speaks for another speaks for `other`. None: all.
    on_answer: called with a stamp (ns), the tube's id, what the stream answers of it then, and what both networks say
    together.
    """

    def __init__(self, actors: Actors, fusion: Fusion) -> None:
        self.actors, self.fusion = actors, fusion
        self.confirm_score = self.label_margin = 0.0
        self.wanted: frozenset[int] | None = None
        self.on_answer: OnAnswer | None = None
        self._known: dict[int, _Known] = {}
        self._living: list[Tube] = []

    @property
    def labels(self) -> tuple[str, ...]:
        """By a tube's label."""
        return self.fusion.labels

    def reset(self) -> None:
        """A stream begins anew; ids may come again."""
        self.actors.reset()
        self._known.clear()
        self._living = []

    def __call__(self, frame: Frame, update: TubeUpdate) -> TubeUpdate:
        """frame: the newest one of the update, with its picture."""
        self._living = [tube for tube in update.tubes if tube.state != TubeState.ENDED]
        for tube in self._living:
            if len(tube.boxes):
                known = self._known.setdefault(tube.id, _Known(tube.boxes[-1]))
                known.box = tube.boxes[-1]
        self.look_again(frame)
        return self.named(update)

    def look_again(self, frame: Frame) -> None:
        """A frame after the newest update's: who is due is looked at where that update left them."""
        living = [tube for tube in self._living if tube.id in self._known]
        answers = self.actors.look(frame, {tube.id: self._known[tube.id].box for tube in living})
        for tube in living:
            self._answer(frame.stamp, tube, answers.get(tube.id))

    def named(self, update: TubeUpdate) -> TubeUpdate:
        """An update without a new picture, as when all tubes end: each tube as it was last called."""
        tubes = tuple(map(self._renamed, update.tubes))
        for tube in update.tubes:
            if tube.state == TubeState.ENDED:
                self._known.pop(tube.id, None)
        return replace(update, tubes=tubes)

    def _answer(self, stamp: int, tube: Tube, answer: Answer | None) -> None:
        known = self._known[tube.id]
        if answer is not None:
            known.joined = self.fusion.join(tube.class_scores, answer, self.actors.whole(tube.id))
            if self.on_answer:
                self.on_answer(stamp, tube.id, answer, known.joined)
        elif self.actors.too_slow:
            known.joined = None

    def _renamed(self, tube: Tube) -> Tube:
        known = self._known.get(tube.id)
        if known is None or (known.joined is None and not self.actors.too_slow):
            return _unconfirmed(self._of_pairs(tube))
        nobody = 0.0
        if known.joined is None:
            tube = self._of_pairs_alone(tube)
        else:
            scores, nobody = self._of_wanted(known.joined.scores), known.joined.nobody
            known.label = label = self._label(scores, known.label)
            tube = tube._replace(label=label, score=float(scores[label]), class_scores=scores)
        known.confirmed |= tube.score >= max(self.confirm_score, nobody)
        return tube if known.confirmed and tube.score >= nobody else _unconfirmed(tube)

    def _label(self, scores: Float32, before: int | None) -> int:
        best = int(scores.argmax())
        if before is not None and scores[before] > 0 and scores[best] <= scores[before] + self.label_margin:
            return before
        return best

    def _of_pairs(self, tube: Tube) -> Tube:
        """A tube as the two-stream network calls it."""
        label = self.fusion.label_of(tube.label)
        return tube._replace(label=label, class_scores=self.fusion.widened(tube.class_scores))

    def _of_pairs_alone(self, tube: Tube) -> Tube:
        """A tube that the stream cannot look at."""
        tube = self._of_pairs(tube)
        other = self.labels.index(OTHER)
        if tube.label == other:
            return tube
        scores = tube.class_scores * (0.5 / CLAIMED_ALONE)
        scores[other] = 1 - scores[tube.label]
        label = tube.label if scores[tube.label] >= 0.5 else other
        return tube._replace(label=label, score=float(scores[label]), class_scores=scores)

    def _of_wanted(self, scores: Float32) -> Float32:
        """What speaks for labels that nobody wants to hear of, speaks for `other`."""
        if self.wanted is None:
            return scores
        other = self.labels.index(OTHER)
        unwanted = [label for label in range(len(scores)) if label not in self.wanted and label != other]
        scores = scores.copy()
        scores[other] += scores[unwanted].sum()
        scores[unwanted] = 0
        return scores


def _unconfirmed(tube: Tube) -> Tube:
    return tube if tube.state == TubeState.ENDED else tube._replace(state=TubeState.TENTATIVE)
