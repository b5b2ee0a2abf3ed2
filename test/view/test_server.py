"""The page's server: what it costs, whom it serves, and that nobody holds anybody up."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from itertools import count
from uuid import UUID

import cv2
import numpy as np
import pytest

from amtnet_ros.contracts import Tube, TubeState, TubeUpdate, UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.view.live import LiveView
from amtnet_ros.view.server import PORT, PageServer

SESSION = UUID(int=5)


class Camera:
    """Shows the view one image after another, each brighter by one than the one before; counts those that are drawn."""

    def __init__(self, view: LiveView) -> None:
        self.view, self.drawn, self._numbers = view, 0, count()

    def show(self) -> int:
        """The next image, and a tube that is found in it; the image's brightness."""
        number = next(self._numbers) % 250
        stamp = number * 33_000_000

        def load() -> UInt8:
            self.drawn += 1
            return np.full((480, 640, 3), number, np.uint8)

        self.view.add_image(stamp, load)
        box, score = np.array([[10, 20, 60, 90]], np.float32), np.array([0.5], np.float32)
        stamps, seen = np.array([stamp]), np.zeros(1, np.bool_)
        tube = Tube(1, TubeState.ACTIVE, 0, 0.5, score, 0, stamp, stamps, stamps, box, score, seen)
        self.view.add_tubes(TubeUpdate(number, stamp, (640, 480), 1, (tube,)), SESSION, ("walk", "other"))
        return number


@pytest.fixture
def view() -> Iterator[LiveView]:
    view = LiveView("camera")
    yield view
    view.close()


@pytest.fixture
def server(view: LiveView) -> Iterator[PageServer]:
    server = PageServer(view, port=0)
    yield server
    server.close()


def port_of(server: PageServer) -> int:
    return int(server.address.rsplit(":", 1)[1])


def wait_until(condition: Callable[[], object], what: str) -> None:
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until, f"waited in vain until {what}"
        time.sleep(0.01)


class Viewer:
    """Somebody who looks at the picture."""

    def __init__(self, server: PageServer) -> None:
        self._connection = socket.create_connection(("127.0.0.1", port_of(server)), timeout=20)
        self._connection.sendall(f"GET /picture HTTP/1.1\r\nHost: 127.0.0.1:{port_of(server)}\r\n\r\n".encode())
        self._file = self._connection.makefile("rb")

    def brightness(self) -> int:
        """Of the next picture that arrives, in a corner where nothing is drawn."""
        while not (line := self._file.readline()).startswith(b"Content-Length"):
            assert line, "the stream goes on"
        self._file.readline()
        data = self._file.read(int(line.split(b":")[1]))
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        return round(float(picture[-20:, -20:].mean()))

    def leave(self) -> None:
        self._file.close()
        self._connection.close()


def test_nothing_is_drawn_while_nobody_looks(view: LiveView, server: PageServer) -> None:
    camera = Camera(view)
    for _ in range(5):
        camera.show()
    assert not view.is_watched
    viewer = Viewer(server)
    wait_until(lambda: view.is_watched, "the viewer is noticed")
    shown = camera.show()
    assert viewer.brightness() == pytest.approx(shown, abs=2)
    assert camera.drawn == 1
    viewer.leave()
    wait_until(lambda: not view.is_watched, "it is noticed that the viewer has left")
    camera.show()
    time.sleep(0.1)
    assert camera.drawn == 1


def test_a_viewer_who_takes_nothing_holds_nobody_up_and_sees_new_pictures_later(
    view: LiveView, server: PageServer
) -> None:
    camera, slow, quick = Camera(view), Viewer(server), Viewer(server)
    wait_until(lambda: view._viewers == 2, "both are noticed")
    for _ in range(200):
        shown = camera.show()
        while (seen := quick.brightness()) < shown - 2:
            pass
        assert seen == pytest.approx(shown, abs=2)
    assert camera.drawn == 200, "once for both"
    slowly = []
    while not slowly or slowly[-1] < shown - 2:
        slowly.append(slow.brightness())
    assert len(slowly) < 150, "it has missed most of them"
    for viewer in (slow, quick):
        viewer.leave()


def test_facts_tell_what_is_new_and_that_it_is_over(view: LiveView, server: PageServer) -> None:
    camera = Camera(view)
    camera.show()
    connection = HTTPConnection("127.0.0.1", port_of(server), timeout=20)
    connection.request("GET", "/facts")
    answer = connection.getresponse()
    assert answer.getheader("Content-Type") == "text/event-stream"

    def told() -> dict[str, object]:
        line = answer.readline()
        assert answer.readline() == b"\n"
        assert line.startswith(b"data: ")
        return dict(json.loads(line[6:]))

    first = told()
    assert first["points"] == [[0, 0.0, 0, 0.5, "ACTIVE"]]
    assert first["actions"]["0"][0] == "walk"
    for _ in range(4):
        camera.show()
    new = told()
    assert [point[1] for point in new["points"]] == [0.132]
    view.close()
    rest = answer.read()
    assert b"event: end" in rest


def test_it_listens_at_this_machine_alone_and_refuses_to_be_called_by_a_name_from_elsewhere(
    server: PageServer,
) -> None:
    assert server.address.startswith("http://127.0.0.1:")
    for name, status in (("127.0.0.1", 200), ("localhost:80", 200), ("evil.example.com", 403)):
        connection = HTTPConnection("127.0.0.1", port_of(server), timeout=20)
        connection.request("GET", "/", headers={"Host": name})
        assert connection.getresponse().status == status
    connection = HTTPConnection("127.0.0.1", port_of(server), timeout=20)
    connection.request("GET", "/../live.py")
    assert connection.getresponse().status == 404


def test_a_port_that_is_taken_is_named_and_the_usual_one_makes_way(view: LiveView, server: PageServer) -> None:
    with pytest.raises(UserError, match=rf"cannot listen at 127.0.0.1, port {port_of(server)} \(.*in use"):
        PageServer(view, port=port_of(server))
    with pytest.raises(UserError, match=r"cannot listen at 192\.0\.2\.1"):
        PageServer(view, host="192.0.2.1")
    first, second = PageServer(view), PageServer(view)
    try:
        assert first.address != second.address
        assert port_of(second) != PORT
    finally:
        first.close()
        second.close()
