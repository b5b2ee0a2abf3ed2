"""When memory runs out: what to lower."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from amtnet_ros.errors import UserError
from amtnet_ros.training.config import Experiment


@contextmanager
def memory_advice(experiment: Experiment) -> Iterator[None]:
    """A block whose running out of memory, on GPU, CPU or in a worker, becomes a UserError that says what helps."""
    options, run = experiment.optimiser, experiment.run
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise UserError(
            f"the GPU's memory is full: lower optimiser.batch_size (now {options.batch_size}) or network.image_size "
            f"(now {experiment.network.image_size}), or freeze more blocks (optimiser.freeze_blocks)"
        ) from error
    except MemoryError as error:
        raise UserError(_of_cpu(options.batch_size, run.workers)) from error
    except RuntimeError as error:
        text = str(error)
        if "can't allocate memory" in text:
            raise UserError(_of_cpu(options.batch_size, run.workers)) from error
        if "DataLoader worker" in text and ("killed" in text or "exited" in text):
            raise UserError(
                f"a process that prepares samples was killed, probably for want of memory: lower run.workers (now "
                f"{run.workers}) or optimiser.batch_size (now {options.batch_size}); run.workers=0 shows its own error"
            ) from error
        if "No space left on device" in text or "shared memory" in text:
            raise UserError(
                f"shared memory (/dev/shm) is full: lower run.workers (now {run.workers}), or give the container more "
                "(docker run --shm-size=8g)"
            ) from error
        raise


def _of_cpu(batch_size: int, workers: int) -> str:
    return f"memory is full: lower optimiser.batch_size (now {batch_size}) or run.workers (now {workers})"
