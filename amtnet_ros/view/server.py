"""A local web page that shows a `LiveView`: the picture as MJPEG, all else as server-sent events."""

from __future__ import annotations

import json
import os
import select
import socket
import threading
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from amtnet_ros.errors import UserError
from amtnet_ros.view.live import LiveView

HOST, PORT = "127.0.0.1", 8765
LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""This machine's names for itself."""
_FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}
_BOUNDARY = "picture"
_FACTS_INTERVAL = 0.2  # seconds
_PATIENCE = 10.0  # seconds that a viewer may take to fetch anything before it is given up
_SEND_BUFFER = 65536  # bytes, which the kernel doubles: a slow viewer gets newer pictures, not all of them late


class PageServer:
    """Serves the page, each viewer from a thread of its own, until it is closed.

    address: what to type into a browser.
    """

    def __init__(self, view: LiveView, host: str = HOST, port: int | None = None) -> None:
        """host: the address to listen at, "0.0.0.0" for all. port: None for the usual one, or another if that is taken.

        Raises UserError where it cannot listen there.
        """
        self._server = _listen(view, host, port)
        self.address = address_of(host, self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, name="page", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listen no more; viewers leave with their view (`LiveView.close`)."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a viewer who hangs holds nobody up

    def handle_error(self, request: object, client_address: object) -> None:
        """A viewer who leaves in the middle of an answer is none of anybody's business."""


def _listen(view: LiveView, host: str, port: int | None) -> _Server:
    handler = partial(_Handler, view, host in LOOPBACK)
    for number in [PORT, 0] if port is None else [port]:
        try:
            return _Server((host, number), handler)
        except OSError as error:
            refused = cannot_listen(host, port or PORT, error, "try another --view-port or --view-host")
    raise refused


def address_of(host: str, port: int) -> str:
    """What to type into a browser."""
    return f"http://{socket.gethostname() if host in ('0.0.0.0', '') else host}:{port}"


def cannot_listen(host: str, port: int, error: OSError, advice: str) -> UserError:
    """What is said where a port is taken, or is not for everybody."""
    return UserError(f"cannot listen at {host}, port {port} ({(error.strerror or str(error)).lower()}); {advice}")


class _Handler(BaseHTTPRequestHandler):
    """One request of a viewer. local: whether only this machine may ask."""

    timeout = _PATIENCE

    def __init__(self, view: LiveView, local: bool, *arguments: object) -> None:
        self._view, self._local = view, local
        super().__init__(*arguments)  # type: ignore[arg-type]  # it answers the request

    def setup(self) -> None:
        """Let nothing pile up for somebody who is slow."""
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        super().setup()

    def do_GET(self) -> None:
        """Answer it."""
        if self._local and not self._asked_for_here():
            self.send_error(HTTPStatus.FORBIDDEN, "this page is for this machine only")
            return
        path = self.path.split("?")[0]
        with suppress(ConnectionError, TimeoutError):
            if path in _FILES:
                self._file(*_FILES[path])
            elif path == "/picture":
                self._pictures()
            elif path == "/facts":
                self._facts()
            elif path == "/favicon.ico":
                self.send_response(HTTPStatus.NO_CONTENT)
                self.end_headers()
            else:
                self.send_error(HTTPStatus.NOT_FOUND)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing of each request."""

    def _asked_for_here(self) -> bool:
        """Whether the browser knows the page by this machine's own name; else a page from elsewhere may have sent it
        here under another (DNS rebinding), to see what the camera sees."""
        host = self.headers.get("Host", "")
        return host.rsplit(":", 1)[0].strip("[]") in LOOPBACK

    def _begin(self, kind: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", "default-src 'self'")
        self.end_headers()

    def _file(self, name: str, kind: str) -> None:
        self._begin(kind)
        self.wfile.write(Path(__file__).with_name(name).read_bytes())

    def _pictures(self) -> None:
        """The newest picture, again and again: what is drawn while this viewer is busy it never gets."""
        self._begin(f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
        with self._view.watching():
            number = 0
            while self._view.is_open and not self._has_left():
                picture = self._view.next_picture(number, timeout=_FACTS_INTERVAL)
                if picture is None:
                    continue
                number = picture.number
                head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture.data)}\r\n\r\n"
                self.wfile.write(head.encode() + picture.data + b"\r\n")

    def _facts(self) -> None:
        """Timeline, rates and latency, a few times a second."""
        self._begin("text/event-stream")
        era, last, pause = 0, -1, threading.Event()
        with self._view.watching():
            while not self._has_left():
                ending = not self._view.is_open
                facts = self._view.facts(era, last)
                era, last = facts["era"], facts["last"]
                self.wfile.write(f"data: {json.dumps(facts)}\n\n".encode())
                if ending:
                    self.wfile.write(b"event: end\ndata: {}\n\n")
                    return
                pause.wait(_FACTS_INTERVAL)

    def _has_left(self) -> bool:
        """Whether the viewer has closed the connection."""
        readable, _, _ = select.select([self.connection], [], [], 0)
        return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)


_BROWSER = 5.0  # seconds that a browser may take to start


def has_desktop() -> bool:
    """Whether there is a screen to open a browser on."""
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


@contextmanager
def shown(view: LiveView, host: str, port: int | None, say: Callable[[str], None]) -> Iterator[LiveView]:
    """Serve the view's page while inside; leaving closes both.

    Says the page's address. On a desktop a browser opens it, and is waited for, so that nothing is missed.
    Raises UserError where nothing can listen there.
    """
    server = PageServer(view, host, port)
    try:
        say(f"View: {server.address}")
        if has_desktop():
            threading.Thread(target=webbrowser.open, args=(server.address,), daemon=True).start()
            view.await_viewer(_BROWSER)
        yield view
    finally:
        view.close()
        server.close()
