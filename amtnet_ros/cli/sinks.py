"""Where `amtnet run` puts what it sees and finds: files, lines, a live page, Rerun."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TextIO

import click
from rich.console import Console

from amtnet_ros.contracts import TubeUpdate, UInt8
from amtnet_ros.media.drawing import Style
from amtnet_ros.media.events import ActionEvents
from amtnet_ros.media.findings import Findings
from amtnet_ros.pipeline import Pipeline
from amtnet_ros.view.live import LiveView
from amtnet_ros.view.rerun_log import RerunLog
from amtnet_ros.view.server import shown


@dataclass(frozen=True)
class Wanted:
    """What is to come out.

    tubes: JSON lines file. video: annotated video, `width` pixels wide at most, or None. events: a line when an action
    begins and ends. page: (host, port or None) of the live page, or None. rerun: as --rerun has it, or None.
    """

    tubes: Path
    video: Path | None
    width: int
    events: bool
    page: tuple[str, int | None] | None
    rerun: str | None

    @property
    def files(self) -> tuple[Path, ...]:
        """All that is written."""
        log = Path(self.rerun) if self.rerun and self.rerun != "spawn" else None
        return tuple(file for file in (self.tubes, self.video, log) if file is not None)

    def __str__(self) -> str:
        """Where it was written, a line each."""
        files = {"Tubes": self.tubes, "Video": self.video, "Rerun": self.rerun if self.rerun != "spawn" else None}
        return "\n".join(f"{what}: {file}" for what, file in files.items() if file is not None)


@dataclass
class Sinks:
    """All that takes images and tubes. events, view, rerun: None where they were not asked for.

    out: stdout, whatever a progress bar puts in its place later.
    """

    findings: Findings
    events: ActionEvents | None
    view: LiveView | None
    rerun: RerunLog | None
    pipeline: Pipeline
    console: Console
    out: TextIO

    @property
    def failed(self) -> bool:
        """Whether something was given up, as on a full disk."""
        return self.findings.failed or (self.rerun is not None and self.rerun.failed)

    def written(self, wanted: Wanted) -> Wanted:
        """What of that there is in the end; without an image there is no video."""
        return replace(
            wanted,
            video=wanted.video if self.findings.images else None,
            rerun=wanted.rerun if self.rerun is not None and not self.rerun.failed else None,
        )

    def show(self, stamp: int, image: UInt8) -> None:
        """The next image, (height, width, 3) uint8 RGB, of that stamp (ns), before what is found in it."""
        self.findings.add_image(stamp, image)
        if self.view:
            self.view.add_image(stamp, lambda: image)
        if self.rerun:
            self.rerun.add_image(stamp, image)

    def take(self, updates: list[TubeUpdate]) -> None:
        """What was found."""
        labels = dict(enumerate(self.pipeline.labels))
        for update in updates:
            self.findings.add_tubes(update, self.pipeline.session, labels, "")
            if self.view:
                self.view.add_tubes(update, self.pipeline.session, labels, self.pipeline.latency)
            if self.rerun:
                self.rerun.add_tubes(update)
            for event in self.events.add(update) if self.events else ():
                self._say(event.line(0))

    def _say(self, line: str) -> None:
        """To stdout; above the progress bar, where both are in one terminal."""
        if self.console.is_terminal and self.out.isatty():
            self.console.print(line, markup=False, highlight=False)
        else:
            print(line, file=self.out, flush=True)


@contextmanager
def opened_sinks(
    wanted: Wanted, title: str, rate: float, style: Style, pipeline: Pipeline, console: Console
) -> Iterator[Sinks]:
    """What is wanted, open while inside; files appear whole where the block ends well, or not at all.

    title: what is watched. rate: images a second of the video. Raises UserError for what cannot be written or served.
    """
    say = partial(console.print, markup=False, highlight=False, soft_wrap=True)
    with ExitStack() as files:
        findings = files.enter_context(Findings(wanted.tubes, wanted.video, wanted.width, rate, style, say))
        view, log = None, None
        if wanted.rerun:
            log = files.enter_context(RerunLog(wanted.rerun, pipeline.labels, say))
            pipeline.on_flow = log.add_flow
        if wanted.page:
            view = files.enter_context(shown(LiveView(title, style), *wanted.page, click.echo))
        events = ActionEvents(pipeline.labels) if wanted.events else None
        yield Sinks(findings, events, view, log, pipeline, console, sys.stdout)
