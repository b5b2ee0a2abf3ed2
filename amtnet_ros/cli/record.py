"""`amtnet record`: clips of your own actions, by a key, from a webcam, a video or a ROS topic."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import click

from amtnet_ros.errors import UserError
from amtnet_ros.files import unwritable
from amtnet_ros.media.video import open_source
from amtnet_ros.program import on_ending
from amtnet_ros.recording.cameras import Camera, OnImage, SourceCamera
from amtnet_ros.recording.keys import QUIT, Keys, bind
from amtnet_ros.recording.session import ClipTaker, legend
from amtnet_ros.recording.tape import Tape

_WAKE_UP = 0.05  # seconds between two looks at the clock
_SILENCE = 3.0  # seconds without an image after which the user is told why, and the reason is looked for again


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.argument("actions", nargs=-1, required=True, metavar="ACTION[=KEY]...")
@click.option("--topic", help="Topic of a camera, raw or compressed, e.g. /camera/image_raw.")
@click.option("--source", help="Number of a webcam, or a video to cut clips from.  [default: 0, without --topic]")
@click.option("--before", type=click.FloatRange(0, 60), default=1.0, show_default=True, help="Seconds before a key.")
@click.option("--after", type=click.FloatRange(0.1, 60), default=2.0, show_default=True, help="Seconds after a key.")
def record(
    folder: Path, actions: tuple[str, ...], topic: str | None, source: str | None, before: float, after: float
) -> None:
    """Take clips of actions by a key: to FOLDER/ACTION/TIME.mp4 goes what was before the key and what comes after it.

    Each ACTION gets a letter of its name as its key, or the one given: wave_to_stop none=x. Name one action `none`, for
    people who do nothing of interest. Works over ssh: the camera is the robot's, the keys are yours.
    """
    if topic is not None and source is not None:
        raise UserError("give --topic or --source, not both")
    keys = bind(actions)
    tape = Tape(before + after + 1.0)
    stop = _stop_by_signal()
    camera = _camera(topic, source or "0", lambda image: tape.add(image, time.monotonic()))
    try:
        _make(folder)
        _say(f"Clips go to {folder}/ACTION/: {before:g} s before a key and {after:g} s after it")
        with Keys() as pressed:
            _watch(camera, tape, pressed, ClipTaker(folder, keys, tape, (before, after), _say), keys, stop)
    finally:
        camera.close()


def _say(text: str) -> None:
    """Print a line; where the terminal is gone, nobody is there to read it."""
    with suppress(OSError):
        click.echo(text)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error


def _watch(
    camera: Camera, tape: Tape, pressed: Keys, taker: ClipTaker, keys: dict[str, str], stop: threading.Event
) -> None:
    """Until a signal, the key that quits, or the camera's end."""
    introduced, complaints, quit_ = False, _Complaints(camera, tape), False
    _say(f"Waiting for images of {camera.name}")
    try:
        while not (stop.is_set() or quit_ or camera.ended or pressed.closed or taker.failure):
            if not introduced and tape.rate:
                _say(f"{tape.size[0]}x{tape.size[1]}. Keys:   {legend(keys)}   {QUIT} quits")
                introduced = True
            for key in pressed.wait(_WAKE_UP):
                quit_ = quit_ or key == QUIT
                if not quit_ and key.isprintable():
                    taker.press(key, time.monotonic())
            taker.tick(time.monotonic())
            complaints.tell()
    finally:
        taker.close(keep=camera.ended)
    if pressed.closed and not stop.is_set():
        _say("No key can come any more; this command wants a terminal")
    counts = ", ".join(f"{action} {count}" for action, count in sorted(taker.taken.items()))
    _say(f"{'Over' if camera.ended else 'Ended'}. Clips taken: {counts or 'none'}")
    if failure := taker.failure or camera.failure:
        raise failure


class _Complaints:
    """Says why no image comes: once, again when it is for another reason, and again after some came."""

    def __init__(self, camera: Camera, tape: Tape) -> None:
        self._camera, self._tape = camera, tape
        self._since = time.monotonic()
        self._told = ""

    def tell(self) -> None:
        newest = self._tape.newest or 0.0
        if newest > self._since:
            self._since, self._told = newest, ""
        if time.monotonic() - self._since > _SILENCE:
            self._since, reason = time.monotonic(), self._camera.why_silent()
            if reason != self._told:
                _say(reason)
            self._told = reason


def _stop_by_signal() -> threading.Event:
    """An event that Ctrl-C, SIGTERM and the end of the terminal set, to the end of the process."""
    stop = threading.Event()
    on_ending(lambda *_: stop.set())
    return stop


def _camera(topic: str | None, source: str, on_image: OnImage) -> Camera:
    if topic is None:
        return SourceCamera(source, open_source(source), on_image)
    return _listener()(topic, on_image)


def _listener() -> Callable[[str, OnImage], Camera]:
    """The class that listens to a topic, with the profile with which Fast DDS loses no images."""
    from amtnet_ros.ros import fastdds

    if profile := fastdds.bundled():
        os.environ.update(fastdds.variables(profile))
    try:
        from amtnet_ros.ros.image_listener import ImageListener
    except ModuleNotFoundError as error:
        raise UserError(f"--topic needs ROS 2 ({error.name} is missing): source its set-up first") from error
    return ImageListener
