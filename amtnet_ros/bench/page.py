"""What the live page costs: latency and CPU time of the detector, and the viewer's, with so many people looking."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import numpy as np

from amtnet_ros.bench.detector_process import cpu_seconds
from amtnet_ros.bench.node_measures import READY, await_answer, play, running
from amtnet_ros.bench.pipeline import quantiles
from amtnet_ros.contracts import Float32
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
    rounds: dict[int, list[_Round]] = {number: [] for number in VIEWERS}
    with running(model, device) as (camera, detector), _viewer() as (viewer, port):
        for number in VIEWERS * ROUNDS:
            time.sleep(0 if number else _FAREWELL)
            with _people(number, port) as people:
                processes = (detector.pid, viewer.pid)
                before, begin = [cpu_seconds(pid) for pid in processes], time.monotonic()
                stamps = play(camera, size, rate, -(-images // ROUNDS))
                await_answer(camera, stamps[-1])
                used = [cpu_seconds(pid) - already for pid, already in zip(processes, before, strict=True)]
                seconds = time.monotonic() - begin
            answers = [camera.received[stamp] for stamp in stamps if stamp in camera.received]
            pictures = sum(each.pictures for each in people)
            rounds[number].append(_Round(answers, pictures, used[0] / max(len(answers), 1), used[1] / seconds))
    if not all(any(each.answers for each in some) for some in rounds.values()):
        raise UserError(f"the detector answered none of the images of {size}; is the machine overloaded?")
    return [_row(number, rounds[number], rounds[0]) for number in VIEWERS]


class _Round(NamedTuple):
    """answers: seconds from stamp to tubes, each. pictures: that came to all viewers together. detector: CPU seconds an
    answered image. viewer: cores that its process kept busy."""

    answers: list[float]
    pictures: int
    detector: float
    viewer: float


def _row(number: int, rounds: list[_Round], nobody: list[_Round]) -> dict[str, Any]:
    def latency(some: list[_Round]) -> Float32:
        return np.array([answer for each in some for answer in each.answers], np.float32)

    def detector(some: list[_Round]) -> float:
        return float(np.median([each.detector for each in some if each.answers]))

    return {
        "viewers": number,
        "latency_ms": quantiles(latency(rounds)),
        "latency_ratio": round(float(np.median(latency(rounds)) / np.median(latency(nobody))), 3),
        "detector_cpu_ratio": round(detector(rounds) / detector(nobody), 3),
        "viewer_cpu_percent": round(100 * float(np.mean([each.viewer for each in rounds])), 1),
        "pictures_each": sum(each.pictures for each in rounds) // max(number, 1),
    }


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
        with suppress(ConnectionError), connection, connection.makefile("rb") as answer:
            while line := answer.readline():
                if line.startswith(b"Content-Length:"):
                    answer.read(int(line.split(b":")[1]) + 2)
                    self.pictures += 1


def _asked(port: int, what: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=READY)
    connection.sendall(f"GET /{what} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n".encode())
    return connection
