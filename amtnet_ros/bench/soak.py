"""`amtnet bench soak`: a day on a robot, accelerated. A real detector amid everything that goes wrong."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import cv2
import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from amtnet_ros.bench.brightness_model import write_brightness_card, write_brightness_graphs
from amtnet_ros.bench.detector_process import Footprint, detector_process, footprint
from amtnet_ros.bench.machine import machine
from amtnet_ros.bench.pipeline import moving_texture
from amtnet_ros.command_options import json_option
from amtnet_ros.contracts import UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.media.video import open_source

if TYPE_CHECKING:
    from amtnet_ros.bench.soak_robot import Robot

RATE = 30
CELLS = 4  # a side, of the brightness model
WIDEST = 320  # pixels that clips are kept with
LONGEST = 300  # frames that are kept of a clip
GROWTH = 16.0  # MiB that memory may grow by after the first tenth, and the handles and threads by two
PARAMETERS = {"score_threshold": 0.5, "link.start_score": 0.6, "max_image_age": 3600.0}


@dataclass
class Campaign:
    """What came of it. tried, survived: faults by kind. tenths: of the steps, each with what the process holds then."""

    tried: Counter[str] = field(default_factory=Counter)
    survived: Counter[str] = field(default_factory=Counter)
    tenths: list[tuple[int, Footprint]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Plan:
    """steps: images to be looked at. begin, until: by time.monotonic(), or None. every: images between two faults."""

    steps: int
    begin: float
    until: float | None
    every: int
    kinds: tuple[str, ...]

    @property
    def is_over(self) -> bool:
        """Whether there is no time left."""
        return self.until is not None and time.monotonic() > self.until

    def share(self, steps: int) -> float:
        """How much of it is done after so many steps."""
        passed = 0.0 if self.until is None else (time.monotonic() - self.begin) / (self.until - self.begin)
        return max(passed, steps / self.steps)


def _known(kinds: tuple[str, ...]) -> tuple[str, ...]:
    """These kinds of faults, or all. Raises UserError for one that there is not."""
    from amtnet_ros.bench.soak_faults import FAULTS

    for kind in kinds:
        if kind not in FAULTS:
            raise UserError(f"--fault '{kind}': no such kind; there are {', '.join(FAULTS)}")
    return kinds or tuple(FAULTS)


@click.command("soak")
@click.argument("clips", nargs=-1, type=click.Path(path_type=Path))
@click.option("--steps", type=click.IntRange(100), default=3000, show_default=True, help="Images to be looked at.")
@click.option("--minutes", type=click.FloatRange(0.1), help="End after so many, however few steps that were.")
@click.option("--model", help="Name or folder of a model.  [default: one that tells bright from dark]")
@click.option("--every", type=click.IntRange(1), default=60, show_default=True, help="Images between two faults.")
@click.option("--fault", "kinds", multiple=True, help="Only faults of this kind; may be given several times.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the faults, their order and their times.")
@json_option
def bench_soak(
    clips: tuple[Path, ...],
    steps: int,
    minutes: float | None,
    model: str | None,
    every: int,
    kinds: tuple[str, ...],
    seed: int,
    as_json: bool,
) -> None:
    """The detector on looping CLIPS (without any, on moving textures), with faults drawn from a list.

    8 hours of a camera at 30 Hz are 864000 steps; their stamps are 1/30 s apart, but each image follows the
    answer to the one before. Exits with 1 where the detector broke a promise.
    """
    from amtnet_ros.bench.soak_robot import IMAGE_TIMEOUT

    begin = time.monotonic()
    plan = _Plan(steps, begin, begin + 60 * minutes if minutes else None, every, _known(kinds))
    rng = np.random.default_rng(seed)
    videos = [_frames(clip) for clip in clips] or [list(islice(moving_texture((160, 120), seed), LONGEST))]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "detector.log"
        chosen = model or str(_small_model(Path(folder)))
        with detector_process({"model": chosen, "image_timeout": IMAGE_TIMEOUT, **PARAMETERS}, log=log) as detector:
            campaign, robot = _soak(detector, videos, rng, plan)
        _judge(campaign, robot, detector.returncode, log.read_text(errors="replace"))
    report = {"bench": "soak", "machine": machine(), "model": model or "brightness", "seed": seed, "asked": steps}
    report |= {"clips": len(clips), "minutes": round((time.monotonic() - begin) / 60, 1)} | _report(campaign, robot)
    click.echo(json.dumps(report, indent=2)) if as_json else _show(report)
    sys.exit(1 if campaign.broken else 0)


def _frames(clip: Path) -> list[UInt8]:
    """The first images of a video, not wider than what is shown."""
    images = list(islice(open_source(str(clip)), LONGEST))
    if not images:
        raise UserError(f"{clip}: has no image")
    height, width = images[0].shape[:2]
    size = (min(width, WIDEST), max(1, round(height * min(1.0, WIDEST / width))))
    return [np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8) for image in images]


def _small_model(folder: Path) -> Path:
    made = folder / "brightness"
    made.mkdir()
    write_brightness_graphs(made, CELLS)
    write_brightness_card(made)
    return made


def _soak(
    detector: subprocess.Popen[bytes], videos: list[list[UInt8]], rng: np.random.Generator, plan: _Plan
) -> tuple[Campaign, Robot]:
    """The campaign itself."""
    import rclpy

    from amtnet_ros.bench.soak_faults import FAULTS, draw
    from amtnet_ros.bench.soak_robot import BrokenPromiseError, Robot, clips_as_images

    rclpy.init()
    robot, campaign = Robot(clips_as_images(videos, rng), rng, detector), Campaign()
    try:
        robot.await_detector()
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("soaking", total=plan.steps)
            while robot.steps < plan.steps and detector.poll() is None and not plan.is_over:
                kind = draw(rng, plan.kinds)
                campaign.tried[kind] += 1
                try:
                    robot.film(1 + int(rng.exponential(plan.every)))
                    FAULTS[kind][0](robot)
                    campaign.survived[kind] += 1
                except BrokenPromiseError as error:
                    campaign.broken.append(f"{kind}, at step {robot.steps}: {error}")
                _note(campaign, robot, plan)
                progress.update(task, completed=min(robot.steps, plan.steps))
        _end(campaign, robot)
    except BrokenPromiseError as error:
        campaign.broken.append(str(error))
    finally:
        robot.close()
    return campaign, robot


def _note(campaign: Campaign, robot: Robot, plan: _Plan) -> None:
    """At each tenth of the steps, or of the time where that is sooner over: what the detector holds."""
    due = 1 + len(campaign.tenths)
    if due <= 10 and plan.share(robot.steps) >= due / 10 and robot.detector.poll() is None:
        campaign.tenths.append((robot.steps, footprint(robot.detector.pid)))


def _end(campaign: Campaign, robot: Robot) -> None:
    """Deactivated, the detector ends all tubes, and the client all actions."""
    from lifecycle_msgs.msg import Transition

    robot.change_state(Transition.TRANSITION_DEACTIVATE)
    robot.wait_for(lambda: not robot.ledger.live, "all tubes end in the end")
    robot.wait_for(lambda: not robot.going_on, "all actions end in the end")


def _judge(campaign: Campaign, robot: Robot, exit_code: int, log: str) -> None:
    """What only the end tells."""
    ledger, said = robot.ledger, campaign.broken
    counts = {
        "ends told twice": ledger.twice,
        "tubes heard of after their end": ledger.revived,
        "tubes that never ended": len(ledger.live),
        "results under the header of no image": ledger.strangers,
        "actions begun or ended out of turn for a client": robot.client_errors,
        "internal errors": robot.defects + log.count("Traceback"),
    }
    said += [f"{count} {what}" for what, count in counts.items() if count]
    if exit_code != 0:
        said.append(f"the detector ended with exit code {exit_code}")
    if len(campaign.tenths) > 1:
        first, last = campaign.tenths[0][1], campaign.tenths[-1][1]
        if last.memory - first.memory > GROWTH:
            said.append(f"memory grew from {first.memory} to {last.memory} MiB")
        if last.files - first.files > 2 or last.threads - first.threads > 2:
            said.append(f"files or threads grew: {first} to {last}")


def _report(campaign: Campaign, robot: Robot) -> dict[str, Any]:
    ledger = robot.ledger
    return {
        "steps": robot.steps,
        "hours_at_30_hz": round(robot.steps / RATE / 3600, 2),
        "unanswered": robot.lost,
        "not_judged": robot.not_judged,
        "faults": {
            kind: {"tried": count, "survived": campaign.survived[kind]}
            for kind, count in sorted(campaign.tried.items())
        },
        "tubes": {
            "ended": len(ledger.ended),
            "ended_twice": ledger.twice,
            "never_ended": len(ledger.live),
            "heard_of_after_their_end": ledger.revived,
        },
        "strange_headers": ledger.strangers,
        "client_errors": robot.client_errors,
        "internal_errors": robot.defects,
        "tenths": [{"steps": steps, **asdict(held)} for steps, held in campaign.tenths],
        "broken": campaign.broken[:20],
    }


def _show(report: dict[str, Any]) -> None:
    """The report as tables."""
    console = Console()
    hours = f"{report['hours_at_30_hz']} h at 30 Hz, in {report['minutes']} min on {report['machine']}"
    held = Table("steps", "memory [MiB]", "files", "threads", title=f"{report['steps']} steps = {hours}")
    for row in report["tenths"]:
        held.add_row(str(row["steps"]), f"{row['memory']:.1f}", str(row["files"]), str(row["threads"]))
    console.print(held)
    faults = Table("fault", "tried", "survived")
    for kind, row in report["faults"].items():
        faults.add_row(kind, str(row["tried"]), str(row["survived"]))
    console.print(faults)
    tubes = report["tubes"]
    console.print(
        f"{tubes['ended']} tubes ended; twice: {tubes['ended_twice']}, never: {tubes['never_ended']}, heard of "
        f"after their end: {tubes['heard_of_after_their_end']}"
    )
    for line in _lines(report):
        console.print(line, markup=False, highlight=False)


def _lines(report: dict[str, Any]) -> Iterator[str]:
    yield from (f"BROKEN: {reason}" for reason in report["broken"])
    if not report["broken"]:
        yield "Every promise was kept."
