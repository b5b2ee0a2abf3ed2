"""`amtnet bench eval`: how long it takes to score the whole UCF-101-24 test set, and how much memory."""

from __future__ import annotations

import json
import os
import resource
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from amtnet_ros.bench.machine import processor
from amtnet_ros.command_options import data_root_option, json_option
from amtnet_ros.data.annotations import Dataset
from amtnet_ros.data.sources import read_dataset
from amtnet_ros.evaluation.tube_file import read_tubes, write_tubes
from amtnet_ros.evaluation.tubes import ScoredTube
from amtnet_ros.evaluation.video_map import DEFINITIONS, THRESHOLDS, video_map

TARGET = 15.0
"""Seconds that scoring may take: both definitions, all thresholds, on one core."""

_Result = TypeVar("_Result")


@click.command("eval")
@click.option("--tubes", "n_tubes", type=click.IntRange(1), default=5000, show_default=True, help="Tubes to score.")
@click.option("--seed", type=int, default=0, show_default=True)
@json_option
@data_root_option
def bench_eval(n_tubes: int, seed: int, as_json: bool, data_root: Path) -> None:
    """Score random tubes near the UCF-101-24 annotations: 24 classes, 11 thresholds, both definitions, one core."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    ground_truth, read_truth = _timed(lambda: read_dataset("ucf101_24", data_root))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tubes.jsonl"
        write_tubes(file, random_tubes(ground_truth, n_tubes, seed), ground_truth.classes)
        tubes, read_file = _timed(lambda: read_tubes(file, ground_truth))
    scoring = {
        name: _timed(partial(video_map, ground_truth, tubes, definition))[1] for name, definition in DEFINITIONS.items()
    }
    seconds = {"read ground truth": read_truth, "read tubes": read_file, **scoring}
    total = sum(seconds.values())
    record = {
        "machine": f"{processor()}, 1 of {os.cpu_count()} cores",
        "videos": len(ground_truth.test),
        "tubes": len(tubes),
        "boxes": sum(len(tube.boxes) for tube in tubes),
        "thresholds": len(THRESHOLDS),
        "seconds": {name: round(value, 3) for name, value in {**seconds, "total": total}.items()},
        "share_of_target": round(total / TARGET, 3),
        "peak_memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    if as_json:
        click.echo(json.dumps(record, indent=2))
    else:
        _print(record)


def random_tubes(ground_truth: Dataset, count: int, seed: int) -> list[ScoredTube]:
    """Tubes near annotated ones: moved, cut in time, a fifth of them with another label."""
    rng = np.random.default_rng(seed)
    actions = [(name, action) for name in ground_truth.test for action in ground_truth.videos[name].instances]
    tubes = []
    for _ in range(count):
        name, action = actions[rng.integers(len(actions))]
        start = int(rng.integers(len(action.frames) // 2 + 1))
        boxes = action.boxes[start:] + rng.normal(0, 8, (1, 4))
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
        label = int(rng.integers(len(ground_truth.classes))) if rng.random() < 0.2 else action.label
        tubes.append(ScoredTube(name, label, float(rng.random()), int(action.frames[start]), boxes))
    return tubes


def _timed(work: Callable[[], _Result]) -> tuple[_Result, float]:
    before = time.perf_counter()
    result = work()
    return result, time.perf_counter() - before


def _print(record: dict[str, object]) -> None:
    table = Table(title="Scoring the UCF-101-24 test set")
    table.add_column("what")
    table.add_column("value", justify="right")
    for key, value in record.items():
        if isinstance(value, dict):
            for name, seconds in value.items():
                table.add_row(str(name), f"{seconds} s")
        else:
            table.add_row(key.replace("_", " "), str(value))
    Console().print(table)
