"""Looks at the persons whose tubes are in view, and says what each did in the last second."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from amtnet_ros.actors.crops import cut, is_visible, square_around, whole_view
from amtnet_ros.actors.memory import Answer, Memory, Person
from amtnet_ros.actors.schedule import Schedule
from amtnet_ros.contracts import Float32, Frame, UInt8
from amtnet_ros.inference.contract import ActorEngine

log = logging.getLogger(__name__)

TOO_SLOW = "fewer than four pictures a second: the two-stream network alone tells what people do, if it is sure"
FEW = 2
"""Among more people nobody is alone soon: the whole picture is not looked at."""


@dataclass
class ActorCounters:
    """Since the start: looks, one of one person each; whole: looks at the whole picture; crowded: steps in which
    somebody had to wait for a turn.
    """

    looks: int = 0
    whole: int = 0
    crowded: int = 0


class Actors:
    """Watches the persons of one camera. A memory each, freed with the tube; nothing is computed while nobody is there.

    counters: see `ActorCounters`. waiting: persons who have no turn now. too_slow: whether the camera (or the
    processing) brings too few pictures a second to tell movements; then nobody is looked at.

    The whole picture can be looked at beside one person or two: it shows what is around them, and all of a large
    movement. It speaks for somebody who is alone in view; of several people it could not tell whose action it shows.
    """

    def __init__(self, engine: ActorEngine, at_once: int = 4, nobody: int | None = None) -> None:
        """at_once: persons looked at in one step, at most.

        nobody: the answer that means that a box is wrong, by number; None: the whole picture is not looked at.
        """
        self._engine, self._schedule, self._nobody = engine, Schedule(at_once), nobody
        self.counters = ActorCounters()
        self._told = False
        self.reset()

    @property
    def waiting(self) -> int:
        return self._schedule.waiting

    @property
    def too_slow(self) -> bool:
        return self._schedule.slow

    def reset(self) -> None:
        """Forget everybody; a stream begins anew."""
        self._schedule.reset()
        self._persons: dict[int, Person] = {}
        self._whole = Memory()
        self._alone: int | None = None
        self._stamp: int | None = None

    def close(self) -> None:
        """Give back the device's memory."""
        self._engine.close()

    def look(self, frame: Frame, boxes: Mapping[int, Float32]) -> dict[int, Answer]:
        """Take the next frame: look at those who are due by its stamp.

        boxes: x1 y1 x2 y2 in pixels, by the id of the tube, of everybody in view; who is not among them is forgotten.
        Returns what is said of each person's last second, by id; of persons of whom too little was seen nothing.
        """
        if self._stamp is not None and frame.stamp < self._stamp:
            self.reset()
        self._stamp = frame.stamp
        self._persons = {tube: self._persons.get(tube) or Person() for tube in boxes}
        due = self._schedule.due(frame.stamp, boxes)
        self._tell()
        for tube, person in self._persons.items():
            person.box.add(frame.stamp, boxes[tube])
            if tube not in self._schedule.in_turn:
                person.forget()
        views = [(self._persons[tube], self._picture(frame, tube)) for tube in due]
        pictures: list[tuple[Memory, UInt8]] = [(view, picture) for view, picture in views if picture is not None]
        self.counters.looks += len(pictures)
        if self._nobody is not None:
            somebody = self._somebody(self._nobody)
            self._alone = self._who_is_alone(somebody)
            if pictures and len(somebody) <= FEW:
                pictures.append((self._whole, cut(frame.image, whole_view(frame.size), self._engine.picture_size)))
                self.counters.whole += 1
        if pictures:
            self._ask(frame.stamp, pictures)
        answers = ((tube, person.answer(frame.stamp)) for tube, person in self._persons.items())
        return {tube: answer for tube, answer in answers if answer is not None}

    def whole(self, tube: int) -> Answer | None:
        """What the whole picture says of a person, after `look`: None unless the person is alone in view."""
        return self._whole.answer(self._stamp) if self._stamp is not None and tube == self._alone else None

    def _somebody(self, nobody: int) -> list[int]:
        """The tubes that are said to be of somebody. nobody: the answer that means that a box is wrong."""
        told = [(tube, person) for tube, person in self._persons.items() if person.answered]
        return [tube for tube, person in told if not person.is_answered_by(nobody)]

    def _who_is_alone(self, somebody: list[int]) -> int | None:
        """The only tube that is of somebody; None where there is none, or several.

        Tubes of which nothing was said yet count only where there is no other: most of those that come up beside a
        person are gone at once, and what the person is called should not change with them.
        """
        candidates = somebody or [tube for tube, person in self._persons.items() if not person.answered]
        return candidates[0] if len(candidates) == 1 else None

    def _picture(self, frame: Frame, tube: int) -> UInt8 | None:
        """What is seen of a person; None where there is nothing to see."""
        box = self._persons[tube].box.mean
        if box is None or not is_visible(box, frame.size):
            return None
        return cut(frame.image, square_around(box), self._engine.picture_size)

    def _ask(self, stamp: int, pictures: Sequence[tuple[Memory, UInt8]]) -> None:
        """pictures: of each view, with what is remembered of it."""
        views = [view for view, _ in pictures]
        earlier = [view.earlier(stamp, self._engine.n_features) for view in views]
        look = self._engine.look(
            np.stack([picture for _, picture in pictures]),
            [view.memory for view in views],
            np.stack([total for total, _ in earlier]),
            np.array([count for _, count in earlier], np.float32),
        )
        rows = zip(views, look.features, look.memories, look.answers, look.names, strict=True)
        for view, features, memory, answers, names in rows:
            view.remember(stamp, features, memory, Answer(answers, names))

    def _tell(self) -> None:
        """Say once what the stream cannot do here; count how often somebody waits."""
        self.counters.crowded += self._schedule.waiting > 0
        if self.too_slow and not self._told:
            self._told = True
            log.warning(TOO_SLOW)
