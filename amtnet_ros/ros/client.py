"""For behaviours: whole tubes out of the increments on `action_tubes`, and a callback when an action begins or ends."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from rclpy.node import Node

from amtnet_ros.contracts import Float32, Tube, TubeState, TubeUpdate
from amtnet_ros.msg import ActionTubeArray
from amtnet_ros.ros.messages import update_from
from amtnet_ros.ros.qos import RESULTS
from amtnet_ros.tube_boxes import Box, grow


@dataclass
class Action:
    """One action of one actor, whole: a tube as far as it is known.

    session, id: who; unique together. name: the class; score in 0..1; class_scores by label.
    state: a TubeState. start, last: ns, of the first and the newest box that was seen; frame_id: of the camera.
    image_size: (width, height) in pixels of the images that the boxes lie in.
    boxes: all since the client listens, ascending. complete: whether that is all of them: a tube that was under way
    when the client joined has lost its beginning.
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

    @property
    def seconds(self) -> float:
        """For how long it has been seen."""
        return (self.last - self.start) / 1e9

    @property
    def box(self) -> Float32 | None:
        """Its newest box, x1, y1, x2, y2 in source pixels; None while none is known."""
        return self.boxes[-1].box if self.boxes else None


@dataclass(frozen=True)
class Filter:
    """Which actions a client hears of.

    names: the classes; None for all. score: at least this. seconds: seen for at least so long.
    Tubes that the detector has not confirmed yet (TENTATIVE) are never among them.
    """

    names: Collection[str] | None = None
    score: float = 0.0
    seconds: float = 0.0

    def passes(self, action: Action) -> bool:
        """Whether the action, as it is now, is one of them."""
        named = self.names is None or action.name in self.names
        return named and action.score >= self.score and action.seconds >= self.seconds


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
            over += self.actions.values()
            self.actions, self._session = {}, session
        reported = {tube.id for tube in update.tubes}
        over += [self.actions.pop(number) for number in list(self.actions) if number not in reported]
        for tube in update.tubes:
            action = self.actions[tube.id] = self._grown(tube, update, session, names, frame_id)
            if tube.state == TubeState.ENDED:
                over.append(self.actions.pop(action.id))
        for action in over:
            action.state = TubeState.ENDED
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
    by itself, until it has been silent for some seconds.
    """

    _PAST = 64  # sessions that are remembered after their end
    _TIMEOUT = 5.0  # seconds of silence after which one of several is over

    def __init__(self) -> None:
        self.several = False
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
            if not self.several or now - self._heard[other] > self._TIMEOUT:
                over += self._end(other)
        live, ended = self._assemblers.setdefault(session, ActionAssembler()).add(update, session, names, frame_id)
        return live, over + ended

    def _end(self, session: UUID) -> list[Action]:
        self._past.append(session)
        del self._heard[session]
        over = list(self._assemblers.pop(session).actions.values())
        for action in over:
            action.state = TubeState.ENDED
        return over


def _nothing(action: Action) -> None:
    """For callbacks that nobody asked for."""


class ActionClient:
    """Listens to a detector on behalf of a node.

    on_start: called once with each action that passes the filter, as soon as it does.
    on_update: called with each of those in every step in which it lives and still passes.
    on_end: called once with each that was started, when it is over, or no longer passes (its class changed, its score
    fell); an action that passes again later starts again.
    topic: of the tubes, relative to the node's namespace. Where several detectors publish on it, each is followed by
    itself, and a warning says so once.
    """

    def __init__(
        self,
        node: Node,
        on_start: Callable[[Action], None] = _nothing,
        on_end: Callable[[Action], None] = _nothing,
        on_update: Callable[[Action], None] = _nothing,
        wanted: Filter | None = None,
        topic: str = "action_tubes",
    ) -> None:
        self._node = node
        self._on_start, self._on_end, self._on_update = on_start, on_end, on_update
        self._wanted = wanted or Filter()
        self._sessions = Sessions()
        self._warned = False
        self._started: dict[tuple[UUID, int], Action] = {}
        self._subscription = node.create_subscription(ActionTubeArray, topic, self._on_tubes, RESULTS)

    @property
    def actions(self) -> list[Action]:
        """Those that live and pass the filter, by id."""
        return list(self._started.values())

    def close(self) -> None:
        """Listen no longer."""
        self._node.destroy_subscription(self._subscription)

    def _on_tubes(self, message: ActionTubeArray) -> None:
        update, session = update_from(message)
        names = {tube.class_id: tube.class_name for tube in message.tubes}
        live, over = self._sessions.add(update, session, names, message.header.frame_id, time.monotonic())
        if self._sessions.several and not self._warned:
            self._warn()
        for action in over:
            if self._started.pop((action.session, action.id), None):
                self._on_end(action)
        for action in live:
            self._follow(action)

    def _warn(self) -> None:
        self._warned = True
        self._node.get_logger().warning(
            f"several detectors publish on {self._subscription.topic_name}; each is followed by itself, and ids are "
            "unique only together with the session; a namespace for each tells them apart"
        )

    def _follow(self, action: Action) -> None:
        """Start, update or end one that lives, as the filter says."""
        key = (action.session, action.id)
        confirmed = action.state != TubeState.TENTATIVE
        if confirmed and self._wanted.passes(action):
            new = key not in self._started
            self._started[key] = action
            if new:
                self._on_start(action)
            self._on_update(action)
        elif self._started.pop(key, None):
            self._on_end(action)
