"""Cameras and streams by address: a real HTTP server, a pipe, UDP; what stops and comes back."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from clips import camera_in_a_pipe, pattern, send, write_clip

from amtnet_ros.errors import UserError
from amtnet_ros.media import live
from amtnet_ros.media.live import LiveSource, open_stream
from amtnet_ros.media.video import open_source
from amtnet_ros.media.video_file import VideoFile


class Camera(BaseHTTPRequestHandler):
    """MJPEG over HTTP, as IP cameras and web_video_server have it: 20 pictures, then the connection breaks."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for number in range(20):
            data = cv2.imencode(".jpg", pattern(number))[1].tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n".encode()
            with suppress(OSError):
                self.wfile.write(head + data + b"\r\n")
            time.sleep(0.03)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], port: int = 0) -> Iterator[int]:
    """A server's port on this machine, while inside."""
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_BETWEEN_TRIES", 0.1)


def take(source: Any, count: int) -> list[tuple[int, np.ndarray]]:
    return [item for item, _ in zip(source.stamped(), range(count), strict=False)]


def test_an_mjpeg_server_that_stops_and_returns_is_waited_for() -> None:
    said: list[str] = []
    with serving(Camera) as port:
        source = open_source(f"http://me:secret@127.0.0.1:{port}/stream", said.append)
        assert isinstance(source, LiveSource)
        images = source.stamped()
        shown = [next(images) for _ in range(8)]

    def return_later() -> None:
        while not said:
            time.sleep(0.01)
        time.sleep(1.0)
        with serving(Camera, port):
            over.wait(20)

    over = threading.Event()
    threading.Thread(target=return_later, daemon=True).start()
    while not any("is back after" in line for line in said):
        shown.append(next(images))
    shown += [next(images) for _ in range(5)]
    over.set()
    assert all(image.shape == (64, 96, 3) for _, image in shown)
    stamps = [stamp for stamp, _ in shown]
    assert (np.diff(stamps) > 0).all()
    assert np.diff(stamps).max() > 0.8e9, "it was away for about a second"
    name = f"http://***@127.0.0.1:{port}/stream"
    assert said[0].startswith(f"{name}: no images any more (")
    assert said[0].endswith("); waiting for it to come back")
    assert said[1] == f"{name}: is back after 1 s"
    assert not any("secret" in line for line in said)


def test_one_that_does_not_return_ends_and_says_so() -> None:
    said: list[str] = []
    with serving(Camera) as port:
        source = open_stream(f"http://127.0.0.1:{port}/", said.append, patience=0.5)
        images = source.stamped()
        next(images)
    assert len(list(images)) <= 20
    assert said[-1].endswith("did not come back within 0.5 s")


class Plugged:
    """A camera in a socket that holds it badly: three pictures, then it is gone."""

    rate = 30.0

    def __iter__(self) -> Iterator[np.ndarray]:
        for number in range(3):
            time.sleep(0.02)
            yield pattern(number)
        raise UserError("the webcam delivers nothing; is it unplugged?")

    def close(self) -> None:
        pass


def test_a_camera_that_is_unplugged_is_waited_for_until_it_is_plugged_in_again() -> None:
    said: list[str] = []
    tries = iter([True, False, False, False, True])

    def connect() -> Plugged:
        if not next(tries, False):
            raise UserError("/dev/v4l/by-id/eye: there is no such webcam")
        return Plugged()

    source = LiveSource("/dev/v4l/by-id/eye", connect, said.append, patience=0.6)
    assert 2 <= len(list(source)) <= 6, "both times it was there; of a busy machine's not every one"
    assert said[0] == (
        "/dev/v4l/by-id/eye: no images any more (the webcam delivers nothing; is it unplugged?); waiting for it to "
        "come back"
    )
    assert said[1] == "/dev/v4l/by-id/eye: is back after 0 s"
    assert said[-1] == "/dev/v4l/by-id/eye: did not come back within 0.6 s"


def test_a_camera_that_comes_and_goes_is_not_spoken_of_every_time() -> None:
    said: list[str] = []
    images = LiveSource("eye", Plugged, said.append).stamped()
    for _ in range(15):
        next(images)
    images.close()
    assert len(said) == 2, said
    assert said[1] == "eye: is back after 0 s"


def test_a_file_behind_an_address_is_a_file_with_times_of_its_own(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", count=12)

    class Files(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(tmp_path))

        def log_message(self, *_: Any) -> None:
            pass

    with serving(Files) as port:
        source = open_source(f"http://127.0.0.1:{port}/clip.mp4")
        assert isinstance(source, VideoFile)
        assert [stamp for stamp, _ in source.stamped()] == [round(number / 30 * 1e9) for number in range(12)]
        with pytest.raises(UserError, match="cannot be opened"):
            open_source(f"http://127.0.0.1:{port}/none.mp4")


def test_a_transport_stream_over_udp_is_watched() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    stop = threading.Event()
    sender = threading.Thread(target=send, args=(f"udp://127.0.0.1:{port}?pkt_size=1316", stop), daemon=True)
    sender.start()
    shown = take(open_source(f"udp://127.0.0.1:{port}"), 5)
    stop.set()
    sender.join(10)
    assert [image.shape for _, image in shown] == 5 * [(64, 96, 3)]


def test_a_named_pipe_is_watched_as_it_comes(tmp_path: Path) -> None:
    with camera_in_a_pipe(tmp_path / "pipe.ts"):
        shown = take(open_source(str(tmp_path / "pipe.ts")), 5)
    assert [image.shape for _, image in shown] == 5 * [(64, 96, 3)]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("97", "/dev/video97: there is no such webcam"),
        ("/dev/video97", "there is no such webcam"),
        ("/dev/v4l/by-id/usb-no_such_camera-index0", "there is no such webcam"),
        ("/dev/null", "/dev/null: is no camera"),
        ("rtsp://127.0.0.1:9/stream", "rtsp://127.0.0.1:9/stream: cannot be opened (connection refused"),
        ("http://127.0.0.1:9/stream", "cannot be opened (connection refused"),
        ("rtsp://user:secret@127.0.0.1:9/", "rtsp://***@127.0.0.1:9/: cannot be opened"),
        ("nonsense://x", "cannot be opened"),
        ("x" * 300, "no such file or folder"),
    ],
)
def test_what_cannot_be_opened_is_named_in_one_line(source: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        open_source(source)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_video_device_is_opened_as_one_wherever_its_node_lies(tmp_path: Path) -> None:
    node = tmp_path / "by-id-usb-camera"
    try:
        os.mknod(node, 0o600 | 0o020000, os.makedev(81, 63))
    except PermissionError:
        pytest.skip("no right to make a device node")
    with pytest.raises(UserError, match="by-id-usb-camera: the webcam cannot be opened; is it in use"):
        open_source(str(node))
