"""A ROS domain of one's own, for processes that must not meet others; needs no ROS."""

from __future__ import annotations

import contextlib
import os
import socket

from amtnet_ros.errors import UserError


def free_domain() -> int:
    """A ROS domain that nobody uses on this machine: the port of its first participant is free."""
    for attempt in range(100):
        domain = 1 + (os.getpid() + attempt) % 100
        if is_free(domain):
            return domain
    raise UserError("all ROS domains from 1 to 100 are in use on this machine")


def is_free(domain: int) -> bool:
    """Whether nobody uses a ROS domain on this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.bind(("", 7410 + 250 * domain))
        return True
    return False
