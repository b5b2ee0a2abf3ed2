"""The review page's server: for this machine's user alone, the videos of one file alone."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import BadRequest, Conflict, Forbidden, HTTPException, NotFound, UnprocessableEntity
from werkzeug.routing import Map, Rule
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from amtnet_ros.data.actions_file import NONE, Action, Video
from amtnet_ros.errors import UserError
from amtnet_ros.media.image_folder import FOLDER_RATE
from amtnet_ros.media.video import open_source
from amtnet_ros.review.frames import FrameStore
from amtnet_ros.review.reviewed import ChangedElsewhereError, ReviewedFile, version_of
from amtnet_ros.view.server import HOST, LOOPBACK, cannot_listen

PAGE = Path(__file__).with_name("page")
_HOSTS = [f"[{name}]" if ":" in name else name for name in LOOPBACK]  # at any port: ssh forwards it to another
_MOST_BYTES = 64 * 2**20  # of a request: the boxes of an hour
_FILES = {
    "": ("index.html", "text/html"),
    "review.js": ("review.js", "text/javascript"),
    "review.css": ("review.css", "text/css"),
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class _Request(Request):
    trusted_hosts = _HOSTS
    max_content_length = _MOST_BYTES


class _Change(BaseModel, extra="forbid"):
    """What the page sends. version: of the video that it changed."""

    version: str
    actions: list[Action]
    review: str


class ReviewApp:
    """The page and what it asks for, as a WSGI application."""

    def __init__(self, reviewed: ReviewedFile, frames: FrameStore) -> None:
        self._reviewed, self._frames = reviewed, frames
        rules = [Rule(f"/{path}", endpoint=self._page, methods=["GET"], defaults={"path": path}) for path in _FILES]
        rules += [
            Rule("/videos", endpoint=self._videos, methods=["GET"]),
            Rule("/video", endpoint=self._video, methods=["GET"]),
            Rule("/video", endpoint=self._change, methods=["POST"]),
            Rule("/frame", endpoint=self._frame, methods=["GET"]),
        ]
        self._map = Map(rules)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request = _Request(environ)
        try:
            _refuse_other_sites(request)
            endpoint, values = self._map.bind_to_environ(environ).match()
            response: Response = endpoint(request, **values)
        except UserError as error:
            response = _said(UnprocessableEntity(str(error)))
        except HTTPException as error:
            response = _said(error)
        response.headers.update(_HEADERS)
        return response(environ, start_response)

    def _page(self, _: Request, path: str) -> Response:
        name, kind = _FILES[path]
        return Response((PAGE / name).read_bytes(), mimetype=kind)

    def _videos(self, _: Request) -> Response:
        listed = [
            {"name": name, "labels": [action.label for action in video.actions], "review": video.review or "open"}
            for name, video in self._reviewed.videos.items()
        ]
        return _json({"file": self._reviewed.path.name, "labels": [*self._reviewed.classes, NONE], "videos": listed})

    def _video(self, request: Request) -> Response:
        name, video = self._named(request)
        content = video.model_dump(exclude_none=True, exclude={"path", "split"})
        return _json({"review": "open", "candidates": [], **content, "version": version_of(video), **self._facts(name)})

    def _facts(self, name: str) -> dict[str, Any]:
        """The rate at which a video is played; and why it cannot be, if so: then it can still be dropped."""
        file = self._reviewed.file_of(name)
        try:
            if file is None:
                raise UserError("its path is not given, so that it cannot be shown")
            return {"rate": open_source(str(file)).rate}
        except UserError as error:
            return {"rate": FOLDER_RATE, "problem": str(error)}

    def _change(self, request: Request) -> Response:
        name, video = self._named(request)
        try:
            change = _Change(**_object(request))
            changed = Video(**{**video.model_dump(), **change.model_dump(exclude={"version"})})
            version = self._reviewed.replace(name, change.version, changed)
        except ValidationError as error:
            raise BadRequest(str(error.errors()[0]["msg"])) from error
        except ChangedElsewhereError as error:
            raise Conflict("another program or page has changed this clip; load the page anew") from error
        return _json({"version": version})

    def _frame(self, request: Request) -> Response:
        name, video = self._named(request)
        number, file = request.args.get("number", -1, type=int), self._reviewed.file_of(name)
        if file is None or not 0 <= number < video.n_frames:
            raise NotFound("no such frame")
        return Response(self._frames.frame(file, number), mimetype="image/jpeg")

    def _named(self, request: Request) -> tuple[str, Video]:
        name = request.args.get("name", "")
        video = self._reviewed.videos.get(name)
        if video is None:
            raise NotFound(f"{self._reviewed.path.name} has no video {name!r}")
        return name, video


def listen(app: ReviewApp, port: int) -> BaseWSGIServer:
    """A server at this port of this machine, or at any that is free if it is 0. Raises UserError if it is taken."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((HOST, port))
        except OSError as error:
            raise cannot_listen(HOST, port, error, "--port takes another") from error
        bound.listen()
        return make_server(HOST, port, app, threaded=True, request_handler=_Quiet, fd=bound.fileno())


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"  # one connection for all frames

    def log_request(self, *_: object) -> None:
        """Nobody wants to read a line a frame."""


def _refuse_other_sites(request: Request) -> None:
    """Raises Forbidden for what a page of another site sends through the user's browser; its name for us is checked."""
    host = request.host  # raises SecurityError where it is not one of this machine's
    if request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
        raise Forbidden("asked for by another site")
    if request.method == "POST" and request.headers.get("Origin") != f"http://{host}":
        raise Forbidden("changed by another site")


def _object(request: Request) -> dict[str, Any]:
    if request.mimetype != "application/json":
        raise BadRequest("a change is JSON")
    content = request.get_json()
    if not isinstance(content, dict):
        raise BadRequest("a change is a JSON object")
    return content


def _json(content: Any) -> Response:
    return Response(json.dumps(content), mimetype="application/json")


def _said(error: HTTPException) -> Response:
    return Response(error.description or "", status=error.code, mimetype="text/plain")
