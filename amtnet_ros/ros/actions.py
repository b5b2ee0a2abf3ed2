"""Whole actions out of the increments on `action_tubes`."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from amtnet_ros.contracts import OTHER, Float32, Tube, TubeState, TubeUpdate
from amtnet_ros.tube_boxes import Box, grow

EndReason = Literal["ended", "lost", "session", "silence", "old", "changed"]
"""Why an action is over for whoever acts on it. ended: the detector says so. lost: its end was in a message that never
came. session: the detector began anew. silence: no message came for too long. old: what comes is too old to act on.
changed: it goes on, but no longer passes the filter."""


@dataclass
class Action:
    """What one actor does, whole: a tube as far as it is known.

    session, id: who; unique together. name: the class, `other` where it is none of the known actions; score in 0..1;
    class_scores by label. state: a TubeState. start, last: ns, of the first and the newest box that was seen.
    frame_id: of the camera. image_size: (width, height) in pixels of the images that the boxes lie in.
    boxes: all since the client listens, ascending. complete: whether that is all of them: a tube that was under way
    when the client joined has lost its beginning.
    reason: why it is over; None while it goes on.
    """

    session: UUID
    id: int
    name: str
    score: float
    class_scores: Float32
    state: TubeState
    start: int
    last: int
    frame_id: str
    image_size: tuple[int, int]
    boxes: list[Box] = field(default_factory=list)
    complete: bool = True
    reason: EndReason | None = None

    @property
    def has_action(self) -> bool:
        """Whether it is one of the actions that the detector knows; else somebody is there who does none of them."""
        return self.name != OTHER

    @property
    def seconds(self) -> float:
        """For how long the actor has been seen."""
        return (self.last - self.start) / 1e9

    @property
    def box(self) -> Float32 | None:
        """Its newest box, x1, y1, x2, y2 in source pixels; None while none is known."""
        return self.boxes[-1].box if self.boxes else None


class ActionAssembler:
    """Puts increments together. Memory holds the tubes that live, each with its newest `history` boxes."""

    def __init__(self, history: int = 1000) -> None:
        self._history = history
        self._session: UUID | None = None
        self.actions: dict[int, Action] = {}

    def add(
        self, update: TubeUpdate, session: UUID, names: Mapping[int, str], frame_id: str
    ) -> tuple[list[Action], list[Action]]:
        """Take in one step: the actions as they are now, and those that are over.

        An action is over when it ENDED, and also when a new session begins or it is missing from a step: then the
        message that said so was lost.
        """
        over: list[Action] = []
        if session != self._session:
            over += end_all(self.actions, "session")
            self._session = session
        reported = {tube.id for tube in update.tubes}
        over += end_all({number: self.actions[number] for number in self.actions if number not in reported}, "lost")
        self.actions = {number: action for number, action in self.actions.items() if number in reported}
        for tube in update.tubes:
            action = self.actions[tube.id] = self._grown(tube, update, session, names, frame_id)
            if tube.state == TubeState.ENDED:
                over += end_all({tube.id: self.actions.pop(action.id)}, "ended")
        return list(self.actions.values()), over

    def _grown(self, tube: Tube, update: TubeUpdate, session: UUID, names: Mapping[int, str], frame_id: str) -> Action:
        known = self.actions.get(tube.id)
        boxes = known.boxes if known else []
        grow(boxes, tube, self._history)
        complete = known.complete if known else bool(boxes) and boxes[0].stamp <= tube.start_stamp
        return Action(
            session=session,
            id=tube.id,
            name=names[tube.label],
            score=tube.score,
            class_scores=tube.class_scores,
            state=tube.state,
            start=tube.start_stamp,
            last=tube.last_stamp,
            frame_id=frame_id,
            image_size=update.image_size,
            boxes=boxes,
            complete=complete,
        )


class Sessions:
    """An assembler for each session that speaks on a topic.

    A detector has one session at a time, so that a new one ends what was of the one before. But where one that had to
    make way speaks of live tubes again, several detectors publish on the topic: from then on each session is followed
    by itself, until it has been silent for `timeout` seconds.
    """

    _PAST = 64  # sessions that are remembered after their end

    def __init__(self, timeout: float) -> None:
        self.several = False
        self._timeout = timeout
        self._heard: dict[UUID, float] = {}
        self._assemblers: dict[UUID, ActionAssembler] = {}
        self._past: deque[UUID] = deque(maxlen=self._PAST)

    def add(
        self, update: TubeUpdate, session: UUID, names: Mapping[int, str], frame_id: str, now: float
    ) -> tuple[list[Action], list[Action]]:
        """Take in one step: the session's actions as they are now, and those that are over, of any session.

        now: seconds of a clock that never jumps.
        """
        over: list[Action] = []
        if session in self._past and session not in self._assemblers:
            if all(tube.state == TubeState.ENDED for tube in update.tubes):
                return [], []  # the last that it has to say
            self.several = True
        self._heard[session] = now
        for other in [other for other in self._assemblers if other != session]:
            if not self.several:
                over += self._end(other, "session")
            elif now - self._heard[other] > self._timeout:
                over += self._end(other, "silence")
        live, ended = self._assemblers.setdefault(session, ActionAssembler()).add(update, session, names, frame_id)
        return live, over + ended

    def _end(self, session: UUID, reason: EndReason) -> list[Action]:
        self._past.append(session)
        del self._heard[session]
        return end_all(self._assemblers.pop(session).actions, reason)


def end_all(actions: Mapping[int, Action], reason: EndReason) -> list[Action]:
    """The actions, marked as ended."""
    for action in actions.values():
        action.state, action.reason = TubeState.ENDED, reason
    return list(actions.values())
