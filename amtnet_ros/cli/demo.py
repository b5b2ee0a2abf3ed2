"""`amtnet demo`: a camera, the detector and a recorder, as three processes over DDS."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

import click
from rich.console import Console
from rich.markup import escape

from amtnet_ros.cli.demo_clip import demo_clip
from amtnet_ros.command_options import page_options
from amtnet_ros.errors import UserError
from amtnet_ros.files import check_distinct, is_utf8
from amtnet_ros.media.live import LiveSource
from amtnet_ros.media.video import files_of, open_source
from amtnet_ros.ros.domain import free_domain

READY = 60
"""Seconds that the three may take to find each other."""
FAREWELL = 60
"""Seconds that a process may take to end; the recorder finishes its video in them."""

LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1

FILES = ("tubes.jsonl", "tubes.mp4")
"""What is found, in the folder."""

USER_ERROR = 2
"""Exit code of a process that has told the user what is wrong."""


@click.command("demo")
@click.argument("video", required=False)
@click.option("--camera", type=click.IntRange(0), help="Number of a webcam to watch, until Ctrl-C.")
@click.option("--model", help="Name or folder of the model.  [default: the detector's]")
@click.option("--device", default="auto", show_default=True, help="Where the network runs: auto, cpu, cuda, tensorrt.")
@click.option("--loop", is_flag=True, help="Play the video again and again, until Ctrl-C.")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("out/demo"),
    show_default=True,
    help="Folder for tubes.jsonl, tubes.mp4 and the logs.",
)
@click.option("--view", is_flag=True, help="Show it on a local web page, live.")
@page_options
def demo(
    video: str | None,
    camera: int | None,
    model: str | None,
    device: str,
    loop: bool,
    out: Path,
    view: bool,
    view_host: str,
    view_port: int | None,
) -> None:
    """Find action tubes in VIDEO (a file or a folder of images), in a webcam, or in the demo's own clip.

    Camera, detector and recorder run as processes of their own and talk over ROS 2, as they do on a robot.
    """
    if video is not None and camera is not None:
        raise click.UsageError("give a video or a camera, not both")
    console = Console()
    if camera is not None or video is not None:
        source = str(camera) if video is None else video
    else:
        with console.status("Fetching the clip"):
            source = str(demo_clip())
    opened = open_source(source)  # complain before anything is started; a webcam is free again at once
    live = isinstance(opened, LiveSource)
    if isinstance(opened, LiveSource):
        opened.close()
    if model and not is_utf8(model):
        raise UserError(f"{model}: the model's name is not UTF-8, as ROS parameters must be")
    for name in FILES:
        check_distinct(out / name, *files_of(opened))
    parameters = {"device": device} | ({"model": model} if model else {})
    clear(out)
    with Stage(console, out) as stage:
        if view:
            stage.start("viewer", "--view-host", view_host, *(["--view-port", str(view_port)] if view_port else []))
        play(stage, source, parameters, live=live, loop=loop)
        stage.conclude()
    if not any(json.loads(line)["confirmed"] for line in (out / "tubes.jsonl").open(encoding="utf-8")):
        console.print(
            f"No action tube was found in {source}: nobody was seen for long enough to be sure. "
            f"{out / 'detector.log'} holds what the detector said.",
            highlight=False,
            soft_wrap=True,
        )
    console.print(f"Tubes: {out / 'tubes.jsonl'}\nVideo: {out / 'tubes.mp4'}", highlight=False, soft_wrap=True)


def clear(out: Path) -> None:
    """Make the folder; what an earlier demo found is removed, lest it be taken for this one's."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            (out / name).unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be written ({(error.strerror or str(error)).lower()})") from None


def play(stage: Stage, source: str, parameters: dict[str, str], live: bool, loop: bool) -> None:
    """Run the three processes until the camera ends, or Ctrl-C. Raises UserError if one of them fails."""
    out = stage.folder
    stage.console.print(
        f"Camera, detector and recorder start in ROS_DOMAIN_ID={stage.domain}: {source}",
        highlight=False,
        soft_wrap=True,
    )
    # A video begins when all are ready, and is played as slowly as the detector needs it: no reason to complain.
    assignments = {
        **parameters,
        "autostart": "true",
        **({} if live else {"max_image_age": "3600.0", "image_timeout": "60.0"}),
    }
    stage.start(
        "detector_node",
        *("--ros-args", "-r", "image:=/camera/image_raw"),
        *(word for name, value in assignments.items() for word in ("-p", f"{name}:={value}")),
    )
    pace = ["--lockstep"] if not live else []
    stage.await_detector()
    stage.start("recorder", "--tubes", str(out / "tubes.jsonl"), "--video", str(out / "tubes.mp4"), "--events")
    stage.start("player", source, "--subscribers", "2", "--wait", str(READY), *pace, *(["--loop"] if loop else []))
    with contextlib.suppress(KeyboardInterrupt):
        stage.watch("player")


class Stage:
    """Runs the package's nodes in a ROS domain of their own; on leaving, all of them are ended.

    The detector's log goes to a file in `folder`; its warnings and errors are shown as well.
    """

    def __init__(self, console: Console, folder: Path) -> None:
        self.console, self.folder = console, folder
        self.domain = free_domain()
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._ready = threading.Event()
        self._refusal = ""
        self._listener: threading.Thread | None = None

    def start(self, module: str, *arguments: str) -> None:
        """Start `python -m amtnet_ros.ros.MODULE ARGUMENTS`."""
        environment = {
            **os.environ,
            "ROS_DOMAIN_ID": str(self.domain),
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
            "PYTHONUNBUFFERED": "1",
        }
        listened_to = module == "detector_node"
        process = subprocess.Popen(
            [sys.executable, "-m", f"amtnet_ros.ros.{module}", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if listened_to else None,
            stderr=subprocess.STDOUT if listened_to else None,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # Ctrl-C comes to this process alone, which ends the others one after the other.
            preexec_fn=end_with_parent,
        )
        self._processes[module] = process
        if process.stdout is not None:
            self._listener = threading.Thread(target=self._listen, args=(process.stdout,), daemon=True)
            self._listener.start()

    def await_detector(self) -> None:
        """Until the detector looks at the camera. Raises UserError if it never will."""
        with self.console.status("Loading the model"):
            while not self._ready.wait(0.1):
                self._check()

    def watch(self, module: str) -> None:
        """Wait until the process ends well. Raises UserError as soon as any of them fails."""
        while self._processes[module].poll() != 0:
            self._check()
            time.sleep(0.1)

    def _check(self) -> None:
        if self._processes["detector_node"].poll() is not None and self._listener:
            self._listener.join(1.0)  # its last words
        if self._refusal:
            raise UserError(f"the detector cannot start: {self._refusal}")
        for name, process in self._processes.items():
            if process.poll() == USER_ERROR:
                sys.exit(USER_ERROR)  # it has said why
            if process.poll() is not None:
                log = f"; see {self.folder / 'detector.log'}" if name == "detector_node" else ""
                raise UserError(f"the {name} ended too early, with exit code {process.returncode}{log}")

    def conclude(self) -> None:
        """End camera, detector and recorder, in this order. Raises UserError if the recorder could not write."""
        self._end("player")
        self._end("detector_node")
        code = self._end("recorder")
        if code == USER_ERROR:
            sys.exit(code)  # it has said why
        if code:
            raise UserError(f"the recorder failed, with exit code {code}")

    def _end(self, module: str) -> int | None:
        process = self._processes.get(module)
        if process is None:
            return None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            if process.poll() is None:
                process.send_signal(number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(FAREWELL)
        return process.wait()

    def _listen(self, output: IO[str]) -> None:
        """Log what the detector says, and show warnings and errors. A full disk costs the log alone."""
        with open(self.folder / "detector.log", "w", encoding="utf-8", buffering=1) as log:
            for line in output:
                with contextlib.suppress(OSError):
                    log.write(line)
                if "Looking at" in line:
                    self._ready.set()
                elif refusal := re.search(r"^detector: (.*)|Cannot be configured: (.*)", line):
                    self._refusal = refusal[1] or refusal[2]
                elif re.match(r"\[(WARN|ERROR|FATAL)\]", line):
                    self.console.print(escape(line.rstrip()), highlight=False, soft_wrap=True)

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        for module in ("player", "detector_node", "recorder", "viewer"):
            self._end(module)


def end_with_parent() -> None:
    """In a new process: be interrupted when the process that started this one dies, be it by SIGKILL."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGINT)
