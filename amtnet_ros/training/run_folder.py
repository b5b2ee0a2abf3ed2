"""Everything a run leaves behind, in one folder."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import cv2
from pydantic import BaseModel
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from amtnet_ros.contracts import UInt8
from amtnet_ros.data.samples import PairSample
from amtnet_ros.errors import UserError
from amtnet_ros.files import write_whole
from amtnet_ros.training.config import RunConfig
from amtnet_ros.training.pictures import draw_curves, sheet

CHECKPOINT = "checkpoint.pt"


class RunFolder:
    """A run's folder.

    experiment.json: the configuration. environment.json: machine and versions of each start. log.jsonl: one line a
    step, and one a validation. curves.png, samples.png: pictures. tensorboard/: the same for TensorBoard.
    checkpoint.pt: where the run goes on, and what is exported.
    """

    def __init__(self, folder: Path) -> None:
        """Raises UserError if the folder cannot be made."""
        self.folder = folder
        self.checkpoint = folder / CHECKPOINT
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{folder}: cannot be made ({error.strerror}); choose another folder by --out") from error
        self._board: Any = None

    def begin(self, experiment: BaseModel, environment: dict[str, Any], step: int) -> None:
        """Note what starts, or goes on, at a step; what the log holds of later steps will be repeated, and goes."""
        write_whole(self.folder / "experiment.json", experiment.model_dump_json(indent=2) + "\n")
        starts = [*self._starts(), {"time": datetime.now(timezone.utc).isoformat(), "step": step, **environment}]
        write_whole(self.folder / "environment.json", json.dumps(starts, indent=2) + "\n")
        kept = [record for record in self.records() if record["step"] <= step]
        write_whole(self.folder / "log.jsonl", "".join(json.dumps(record) + "\n" for record in kept))
        self._board = _open_board(self.folder / "tensorboard", step)

    def log(self, group: str, record: dict[str, Any]) -> None:
        """Append a record, with its `step`, to the log; TensorBoard shows its numbers under `group`."""
        try:
            with (self.folder / "log.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
        except OSError as error:
            raise UserError(f"{self.folder / 'log.jsonl'}: cannot be written ({error.strerror})") from error
        if self._board is not None:
            for key, value in record.items():
                if key != "step":
                    self._board.add_scalar(f"{group}/{key}", value, record["step"])

    def records(self) -> list[dict[str, Any]]:
        """What was logged, without a line that was cut short."""
        path = self.folder / "log.jsonl"
        records = []
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict) and "step" in record:
                records.append(record)
        return records

    def draw_samples(self, samples: Sequence[PairSample], classes: Sequence[str], step: int) -> None:
        """Draw training samples with their boxes."""
        self.draw("samples", sheet(samples, classes), step)

    def draw(self, name: str, picture: UInt8, step: int) -> None:
        """Write an image (h, w, 3) as NAME.png."""
        write_whole(self.folder / f"{name}.png", _png(picture))
        if self._board is not None:
            self._board.add_image(name, picture, step, dataformats="HWC")

    def draw_curves(self, name: str) -> None:
        """Draw the log."""
        buffer = io.BytesIO()
        draw_curves(self.records(), name, buffer)
        write_whole(self.folder / "curves.png", buffer.getvalue())

    def close(self) -> None:
        """Write what TensorBoard still holds back."""
        if self._board is not None:
            self._board.close()

    def _starts(self) -> list[Any]:
        try:
            content = json.loads((self.folder / "environment.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return []
        return content if isinstance(content, list) else []


def _png(picture: UInt8) -> bytes:
    _, encoded = cv2.imencode(".png", picture[..., ::-1])
    return encoded.tobytes()


def _open_board(folder: Path, step: int) -> Any:
    """A TensorBoard writer, or None where TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=step + 1)


Losses = Mapping[str, float]


@dataclass(frozen=True)
class Bookkeeping:
    """Of one run, in its folder.

    name: of the experiment. iterations: the last step. shown: losses in a few words. save: writes a checkpoint.
    validate: a dataclass of shares in 0..1; None where nobody is held out.
    """

    folder: RunFolder
    name: str
    run: RunConfig
    iterations: int
    shown: Callable[[Losses], str]
    save: Callable[[], None]
    validate: Callable[[], Any] | None

    @contextmanager
    def progress(self, step: int, disable: bool = False) -> Iterator[tuple[Progress, TaskID]]:
        """A bar that begins at a step."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[losses]}"),
        )
        with Progress(*columns, console=Console(stderr=True), disable=disable) as progress:
            yield progress, progress.add_task(self.name, total=self.iterations, completed=step, losses="")

    def after(self, step: int, losses: Losses, progress: Progress, stopping: bool) -> None:
        """After the step of this number, counted from 1. stopping: the run is asked to end here."""
        last = step == self.iterations
        self.folder.log("training", {"step": step, **losses})
        if step % self.run.checkpoint_every == 0 or last or stopping:
            self.save()
            if not progress.console.is_terminal:
                progress.print(f"step {step}: {self.shown(losses)}")
        validating = step % self.run.validate_every == 0 or last
        if self.validate is not None and validating:
            found: dict[str, Any] = asdict(self.validate())
            self.folder.log("validation", {"step": step, **found})
            progress.print(f"step {step}: " + ", ".join(f"{key} {100 * value:.1f} %" for key, value in found.items()))
        if stopping or validating:
            self.folder.draw_curves(self.name)
