"""The actor stream's place in the pipeline: tubes come in with what they were called, and leave with what they do."""

from __future__ import annotations

from dataclasses import dataclass, replace

from amtnet_ros.actors.actors import Actors
from amtnet_ros.actors.fusion import Fusion, Joined
from amtnet_ros.actors.last_second import LastSecond
from amtnet_ros.actors.memory import Answer
from amtnet_ros.contracts import Float32, Frame, Tube, TubeState, TubeUpdate


@dataclass
class _Known:
    """Of a live tube. box: the newest one; scores: the two-stream network's; joined: as it was last called, if ever."""

    box: Float32
    scores: LastSecond
    joined: Joined | None = None


class ActorStage:
    """Takes the linker's updates in order, of one camera.

    It gives each tube the label, the score and the class scores (one for each of `labels`) that follow from its last
    second. A tube where the stream sees nobody claims nothing: it is TENTATIVE. Tubes that the stream says nothing of
    stay what the two-stream network called them. Box scores stay: they say how sure it is of the box.

    actors: who is looked at. fusion: how answers are joined; another may take its place between two updates.
    """

    def __init__(self, actors: Actors, fusion: Fusion) -> None:
        self.actors, self.fusion = actors, fusion
        self._known: dict[int, _Known] = {}

    @property
    def labels(self) -> tuple[str, ...]:
        """By a tube's label."""
        return self.fusion.labels

    def reset(self) -> None:
        """A stream begins anew; ids may come again."""
        self.actors.reset()
        self._known.clear()

    def __call__(self, frame: Frame, update: TubeUpdate) -> TubeUpdate:
        """frame: the newest one of the update, with its picture."""
        living = [tube for tube in update.tubes if tube.state != TubeState.ENDED]
        for tube in living:
            if len(tube.boxes):
                known = self._known.setdefault(tube.id, _Known(tube.boxes[-1], LastSecond()))
                known.box = tube.boxes[-1]
        boxes = {tube.id: self._known[tube.id].box for tube in living if tube.id in self._known}
        answers = self.actors.look(frame, boxes)
        for tube in living:
            if tube.id in self._known:
                self._answer(tube, answers.get(tube.id))
        tubes = tuple(map(self._renamed, update.tubes))
        for tube in update.tubes:
            if tube.state == TubeState.ENDED:
                self._known.pop(tube.id, None)
        return replace(update, tubes=tubes)

    def _answer(self, tube: Tube, answer: Answer | None) -> None:
        known = self._known[tube.id]
        light = known.scores.add(tube.last_stamp, tube.class_scores)
        known.joined = None if answer is None else self.fusion.join(light, answer)

    def _renamed(self, tube: Tube) -> Tube:
        known = self._known.get(tube.id)
        if known is None or known.joined is None or len(known.joined.scores) != len(self.labels):
            return tube._replace(class_scores=self.fusion.widened(tube.class_scores))
        scores, nobody = known.joined
        label = int(scores.argmax())
        tube = tube._replace(label=label, score=float(scores[label]), class_scores=scores)
        if nobody > scores[label] and tube.state != TubeState.ENDED:
            return tube._replace(state=TubeState.TENTATIVE)
        return tube
