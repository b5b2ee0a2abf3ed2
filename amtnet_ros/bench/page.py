"""What the live page costs: the detector's latency, and the viewer's CPU time, with so many people looking at it."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from amtnet_ros.bench.node_measures import READY, cpu_seconds, play, running
from amtnet_ros.bench.pipeline import quantiles
from amtnet_ros.errors import UserError

VIEWERS = (0, 1, 5)
ROUNDS = 3
"""Each number of viewers has its turn so often, so that what else the machine does meets all alike."""

_FAREWELL = 4.0  # seconds until the viewer has noticed that nobody looks any more


def measure_page(model: str, device: str, size: str, rate: float, images: int) -> list[dict[str, Any]]:
    """One detector, one viewer: a row for each number of people that look at its page.

    images: how many are timed for each number. Ratios are to nobody looking. Raises UserError where one of the two does
    not start.
    """
    latency: dict[int, list[float]] = {number: [] for number in VIEWERS}
    cores: dict[int, list[float]] = {number: [] for number in VIEWERS}
    seen: dict[int, int] = dict.fromkeys(VIEWERS, 0)
    with running(model, device) as (camera, _), _viewer() as (viewer, port):
        for number in VIEWERS * ROUNDS:
            time.sleep(0 if number else _FAREWELL)
            with _people(number, port) as people:
                before, begin = cpu_seconds(viewer.pid), time.monotonic()
                stamps = play(camera, size, rate, -(-images // ROUNDS))
                cores[number].append((cpu_seconds(viewer.pid) - before) / (time.monotonic() - begin))
            seen[number] += sum(each.pictures for each in people)
            latency[number] += [camera.received[stamp] for stamp in stamps if stamp in camera.received]
    if not all(latency.values()):
        raise UserError(f"the detector answered none of the images of {size}; is the machine overloaded?")
    medians = {number: float(np.median(times)) for number, times in latency.items()}
    return [
        {
            "viewers": number,
            "latency_ms": quantiles(np.array(latency[number], np.float32)),
            "latency_ratio": round(medians[number] / medians[0], 3),
            "viewer_cpu_percent": round(100 * float(np.mean(cores[number])), 1),
            "pictures_each": seen[number] // max(number, 1),
        }
        for number in VIEWERS
    ]


@contextmanager
def _viewer() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The executable, listening; its port."""
    command = [sys.executable, "-u", "-m", "amtnet_ros.ros.viewer"]
    environment = {**os.environ, "DISPLAY": "", "WAYLAND_DISPLAY": ""}  # no browser: who looks is counted
    viewer = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        assert viewer.stdout is not None
        said = re.search(r":(\d+)$", viewer.stdout.readline().strip())
        if said is None:
            raise UserError("the viewer did not start; what it said is above")
        yield viewer, int(said[1])
    finally:
        viewer.terminate()
        viewer.wait(READY)


@contextmanager
def _people(number: int, port: int) -> Iterator[list[_Person]]:
    """So many people look while inside; in the end each knows how many pictures came."""
    people = [_Person(port) for _ in range(number)]
    try:
        yield people
    finally:
        for person in people:
            person.leave()


class _Person:
    """Reads picture and facts as a browser does."""

    def __init__(self, port: int) -> None:
        self.pictures = 0
        self._sockets = [_asked(port, what) for what in ("picture", "facts")]
        self._threads = [threading.Thread(target=self._read, args=(each,), daemon=True) for each in self._sockets]
        for thread in self._threads:
            thread.start()

    def leave(self) -> None:
        """Look away."""
        for each in self._sockets:
            each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _read(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as answer:
            while line := answer.readline():
                if line.startswith(b"Content-Length:"):
                    answer.read(int(line.split(b":")[1]) + 2)
                    self.pictures += 1


def _asked(port: int, what: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=READY)
    connection.sendall(f"GET /{what} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n".encode())
    return connection
