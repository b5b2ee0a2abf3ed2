"""Keeps account of tubes: each that was seen must end exactly once, and never be heard of again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from amtnet_ros.msg import ActionTube, ActionTubeArray
from amtnet_ros.ros.messages import nanoseconds

_SHOWN = 512  # images whose headers are remembered: answers lag a few behind


class Shown(NamedTuple):
    """An image that was published: stamp in ns, and what every result of it must carry."""

    stamp: int
    frame_id: str
    size: tuple[int, int]


@dataclass
class TubeLedger:
    """What `action_tubes` said.

    live, ended: tubes by (session, id). twice: ends that were told again. revived: tubes heard of after their end.
    guest: frame_id of another camera, whose images are not shown here. guests: messages about those.
    strangers: other messages whose header or image size is that of no image that was shown.
    session: of the newest message.
    """

    live: set[tuple[bytes, int]] = field(default_factory=set)
    ended: set[tuple[bytes, int]] = field(default_factory=set)
    twice: int = 0
    revived: int = 0
    guest: str = ""
    guests: int = 0
    strangers: int = 0
    messages: int = 0
    session: bytes = b""
    _shown: dict[Shown, None] = field(default_factory=dict)

    def show(self, stamp: int, frame_id: str, size: tuple[int, int]) -> None:
        """An image is published now. size: (width, height)."""
        shown = Shown(stamp, frame_id, size)
        self._shown.pop(shown, None)
        self._shown[shown] = None
        if len(self._shown) > _SHOWN:
            del self._shown[next(iter(self._shown))]

    def add(self, message: ActionTubeArray) -> None:
        """A message of the detector."""
        self.messages += 1
        self.session = bytes(np.asarray(message.session.uuid))
        size = (message.image_width, message.image_height)
        if self.guest and message.header.frame_id == self.guest:
            self.guests += 1
        elif Shown(nanoseconds(message.header.stamp), message.header.frame_id, size) not in self._shown:
            self.strangers += 1
        for tube in message.tubes:
            key = (self.session, tube.id)
            if tube.state == ActionTube.ENDED:
                self.twice += key in self.ended
                self.ended.add(key)
                self.live.discard(key)
            elif key in self.ended:
                self.revived += 1
            else:
                self.live.add(key)
