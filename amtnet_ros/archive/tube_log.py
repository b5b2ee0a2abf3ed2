"""Keeps the tubes of one pipeline, and what is said of them by the second, while it watches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from amtnet_ros.actors.fusion import Joined
from amtnet_ros.actors.memory import Answer
from amtnet_ros.actors.names import kinetics_names
from amtnet_ros.archive.tube import ArchivedTube, Seconds, boxes_as_arrays
from amtnet_ros.contracts import TubeState, TubeUpdate, UInt8
from amtnet_ros.pipeline import Pipeline
from amtnet_ros.tube_boxes import Box, grow


@dataclass
class _Growing:
    """A tube that lives."""

    session: int
    offset: int
    size: tuple[int, int]
    actions: Seconds
    names: Seconds
    confirmed: bool = False
    boxes: list[Box] = field(default_factory=list)

    def archived(self) -> ArchivedTube:
        said = tuple(self.actions.close()), tuple(self.names.close())
        return ArchivedTube(self.session, self.offset, self.size, self.confirmed, *boxes_as_arrays(self.boxes), *said)


class TubeLog:
    """Pushes pictures through a pipeline, and collects the tubes.

    tubes: those that ended. session: number of the present one, from 0.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self.tubes: list[ArchivedTube] = []
        self.session = 0
        self._pipeline, self._id = pipeline, pipeline.session
        self._offset: int | None = None
        self._growing: dict[int, _Growing] = {}
        if pipeline.stage is not None:
            pipeline.stage.on_answer = self._on_answer

    def push(self, position: int, stamp: int, image: UInt8) -> None:
        """The next picture; position: see `Recording`."""
        updates = self._pipeline.push(stamp, image)
        if self._pipeline.session != self._id:
            self._take(updates[:1])  # it ends the session before, to which this picture does not belong
            updates = updates[1:]
            self._id, self._offset = self._pipeline.session, None
            self.session += 1
        if self._offset is None:
            self._offset = position - stamp
        self._take(updates)

    def finish(self) -> None:
        """No more pictures come."""
        self._take(self._pipeline.finish())

    def _take(self, updates: Iterable[TubeUpdate]) -> None:
        for update in updates:
            for tube in update.tubes:
                growing = self._growing_of(tube.id)
                growing.size = update.image_size
                grow(growing.boxes, tube)
                growing.confirmed |= tube.state in (TubeState.ACTIVE, TubeState.COASTING)
                if self._answers_alone:
                    growing.actions.add(update.stamp, tube.class_scores)
                if tube.state == TubeState.ENDED:
                    self.tubes.append(self._growing.pop(tube.id).archived())

    def _on_answer(self, stamp: int, tube: int, answer: Answer, joined: Joined) -> None:
        stage = self._pipeline.stage
        if stage is None or joined.nobody > joined.scores.max():
            return
        growing = self._growing_of(tube)
        growing.actions.add(stamp, joined.scores)
        growing.names.add(stamp, stage.fusion.of_each_name(joined, answer))

    @property
    def _answers_alone(self) -> bool:
        """Whether nobody looks at persons, or nothing could be seen at so few pictures a second."""
        actors = self._pipeline.actors
        return actors is None or actors.too_slow

    def _growing_of(self, tube: int) -> _Growing:
        if tube not in self._growing:
            seconds = Seconds(self._pipeline.labels), Seconds(kinetics_names())
            self._growing[tube] = _Growing(self.session, self._offset or 0, (0, 0), *seconds)
        return self._growing[tube]
