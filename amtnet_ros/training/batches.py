"""Samples into batches of tensors, prepared by worker processes."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from amtnet_ros.data.samples import MixedSamples, PairSample, PairSamples
from amtnet_ros.errors import UserError


@dataclass(frozen=True)
class Batch:
    """B samples. rgb: (B, n, 3, S, S), flow: (B, n, 15, S, S) uint8 or None; boxes and labels: one tensor a sample.

    searched: of each sample, see `data.samples.PairSample`.
    """

    rgb: Tensor | None
    flow: Tensor | None
    boxes: list[Tensor]
    labels: list[Tensor]
    names: list[str]
    searched: list[bool]

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        images = [None if x is None else x.to(device, non_blocking=True) for x in (self.rgb, self.flow)]
        boxes, labels = [x.to(device) for x in self.boxes], [x.to(device) for x in self.labels]
        return Batch(images[0], images[1], boxes, labels, self.names, self.searched)

    def part(self, i: int) -> Batch:
        """Sample i alone."""
        images = [None if x is None else x[i : i + 1] for x in (self.rgb, self.flow)]
        only = slice(i, i + 1)
        return Batch(images[0], images[1], self.boxes[only], self.labels[only], self.names[only], self.searched[only])

    def pin_memory(self) -> Batch:
        """The same with images in pinned memory, from which a GPU copies while it computes."""
        images = [None if x is None else x.pin_memory() for x in (self.rgb, self.flow)]
        return Batch(images[0], images[1], self.boxes, self.labels, self.names, self.searched)


def collate(samples: Sequence[PairSample]) -> Batch:
    """Stack samples of one shape."""
    rgb, flow = (
        None if arrays[0] is None else torch.from_numpy(np.stack([x for x in arrays if x is not None]))
        for arrays in ([s.rgb for s in samples], [s.flow for s in samples])
    )
    boxes = [torch.from_numpy(s.boxes) for s in samples]
    labels = [torch.from_numpy(s.labels) for s in samples]
    return Batch(rgb, flow, boxes, labels, [s.name for s in samples], [s.searched for s in samples])


class _Numbered(Dataset[PairSample]):
    """Samples by (number, streams)."""

    def __init__(self, samples: PairSamples | MixedSamples) -> None:
        self._samples = samples

    def __getitem__(self, item: tuple[int, tuple[str, ...]]) -> PairSample:
        return self._samples.sample(*item)


@dataclass(frozen=True)
class Plan:
    """Which samples each step uses: a function of the step alone, wherever a run resumed.

    batch_size: samples of a step in each process.
    feed: the streams of successive steps, in turn.
    rank, world: the number of this process, and how many there are; of the `batch_size * world` samples of a step it
        takes those whose position modulo `world` is its rank.
    """

    batch_size: int
    feed: tuple[tuple[str, ...], ...]
    rank: int = 0
    world: int = 1

    def items(self, step: int) -> list[tuple[int, tuple[str, ...]]]:
        """(number, streams) of a step's samples in this process."""
        streams = self.feed[step % len(self.feed)]
        begin = step * self.batch_size * self.world
        return [(begin + i * self.world + self.rank, streams) for i in range(self.batch_size)]


class _Steps(Sampler[list[tuple[int, tuple[str, ...]]]]):
    """The items of each step, made when it is their turn."""

    def __init__(self, plan: Plan, steps: range) -> None:
        self._plan, self._steps = plan, steps

    def __iter__(self) -> Iterator[list[tuple[int, tuple[str, ...]]]]:
        return map(self._plan.items, self._steps)

    def __len__(self) -> int:
        return len(self._steps)


def batches(samples: PairSamples | MixedSamples, plan: Plan, steps: range, workers: int) -> Iterator[Batch]:
    """The batches of these steps, prepared by `workers` processes. A UserError of theirs is raised as it was there."""
    # The sampler's items are (number, streams), and a batch is a Batch: more than the stubs know.
    loader: Iterable[Batch] = DataLoader(
        _Numbered(samples),
        batch_sampler=_Steps(plan, steps),
        num_workers=workers,
        collate_fn=collate,
        worker_init_fn=start_worker,
        pin_memory=torch.cuda.is_available(),
        multiprocessing_context="forkserver" if workers else None,
    )
    try:
        yield from loader
    except UserError as error:  # the loader wraps it into the worker's traceback, whose last line it is
        last = str(error).strip().splitlines()[-1]
        raise UserError(last.removeprefix(f"{UserError.__module__}.{UserError.__qualname__}: ")) from error


def start_worker(_: int) -> None:
    """What a process does first that prepares samples."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; only the trainer answers it
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
