"""What is written down as a training goes on: each step's losses, checkpoints, validations, curves; and its bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from amtnet_ros.training.config import RunConfig
from amtnet_ros.training.run_folder import RunFolder

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
