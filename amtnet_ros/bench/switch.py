"""`amtnet bench switch`: how long it takes until a person who does something else now is said to do so."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from amtnet_ros.boxes import iou
from amtnet_ros.command_options import data_root_option, device_option, json_option, model_option, precision_option
from amtnet_ros.contracts import Float32, MicroTubes, Tube
from amtnet_ros.data.annotations import AnnotatedVideo, Dataset, spread
from amtnet_ros.data.sources import read_dataset
from amtnet_ros.evaluation.detections import detect_video
from amtnet_ros.inference.contract import Precision
from amtnet_ros.inference.factory import make_engine
from amtnet_ros.pipeline import Pipeline, PipelineOptions
from amtnet_ros.tubes import PER_CLASS, LinkerOptions, TubeLinker

SECOND = 1_000_000_000
LEAST_FRAMES = 36
"""Shorter clips are left out."""
AFTERWARDS = 4.0
"""Seconds of the second action."""


@dataclass(frozen=True)
class Clip:
    """One person doing one thing: the micro-tubes of a clip's pairs, which follow each other end to start.

    boxes: (n + 1, 4) the annotated person at the ends of the n pairs. label: of the action.
    """

    pairs: tuple[MicroTubes, ...]
    boxes: Float32
    label: int


@dataclass(frozen=True)
class Switch:
    """What was said around one change of action. delay: seconds until the new action was named for good, None if it
    never was; switches: changes of the label from a second before the change of action on; ids: of the person.
    """

    delay: float | None
    switches: int
    ids: int


@click.command("switch")
@model_option
@device_option
@precision_option
@click.option("--delta", type=click.IntRange(1, 64), default=4, show_default=True, help="Frames between a pair's two.")
@click.option("--clips", type=click.IntRange(2), default=42, show_default=True, help="J-HMDB-21 clips, spread evenly.")
@click.option("--split", type=click.IntRange(1, 3), default=1, show_default=True, help="Whose training clips.")
@click.option("--seconds", type=float, multiple=True, default=(2.0, 5.0, 20.0, 60.0), help="Of the first action.")
@click.option("--memory", type=float, multiple=True, default=(0.0, 0.5, 1.0, 2.0), help="link.class_memory, seconds.")
@click.option("--margin", type=float, multiple=True, default=(0.0, 0.05, 0.1), help="link.label_margin.")
@json_option
@data_root_option
def bench_switch(
    model: str,
    device: str,
    precision: Precision,
    delta: int,
    clips: int,
    split: int,
    seconds: tuple[float, ...],
    memory: tuple[float, ...],
    margin: tuple[float, ...],
    as_json: bool,
    data_root: Path,
) -> None:
    """Splice clips of two actions so that one person does first the one, then the other; what is said, and when.

    A clip goes on there and back for as long as it is wanted. Clips that are misnamed by themselves are left out.
    """
    dataset = read_dataset(f"jhmdb21:{split}", data_root)
    options = PipelineOptions(delta=delta, score_threshold=0.01, nms_iou=0.45, max_per_class=10)
    pipeline = Pipeline(make_engine(model, device, precision=precision), options)
    names = one_of_each(dataset, clips)
    seen = [read_clip(pipeline, dataset.videos[name], delta) for name in track(names, console=Console(stderr=True))]
    pipeline.close()
    named = [clip for clip in seen if said_of(clip, len(dataset.classes)) == clip.label]
    rows = [
        {"memory": keep, "margin": lead, "seconds": first, **summary(measure(named, first, keep, lead))}
        for keep in memory
        for lead in margin
        for first in seconds
    ]
    if as_json:
        click.echo(json.dumps({"clips": len(seen), "named": len(named), "rows": rows}, indent=2))
    else:
        show(rows, f"{len(named)} of {len(seen)} clips are named rightly; each is followed by the next")


def one_of_each(dataset: Dataset, count: int) -> tuple[str, ...]:
    """Long enough training clips, `count` in all, as many of each class; neighbours differ in class."""
    by_class: list[list[str]] = [[] for _ in dataset.classes]
    for name in dataset.train:
        video = dataset.videos[name]
        if video.n_frames >= LEAST_FRAMES:
            by_class[video.instances[0].label].append(name)
    rounds = -(-count // len(by_class))
    some = [names[:: max(1, len(names) // rounds)] for names in by_class]
    chosen = [names[i] for i in range(rounds) for names in some if i < len(names)]
    return spread(tuple(chosen), count)


def read_clip(pipeline: Pipeline, video: AnnotatedVideo, delta: int) -> Clip:
    """What the network sees in the clip of one person."""
    return clip_of(video, detect_video(pipeline, video, delta).pairs)


def clip_of(video: AnnotatedVideo, pairs: Sequence[MicroTubes]) -> Clip:
    """What was seen in a clip whose one person is annotated in every frame."""
    (person,) = video.instances
    return Clip(tuple(pairs), person.boxes[[0, *(pair.frames[1] for pair in pairs)]], person.label)


def stream(clip: Clip, seconds: float, after: MicroTubes | None, box: Float32 | None) -> list[MicroTubes]:
    """The clip's pairs there and back for so long, following `after`, the person beginning in `box` (4,)."""
    there = list(clip.pairs)
    back = [replace(pair, boxes=pair.boxes[:, ::-1]) for pair in reversed(there)]
    cycle = there + back
    frame, stamp = (after.frames[1], after.stamps[1]) if after else (0, 0)
    end = stamp + round(seconds * SECOND)
    result: list[MicroTubes] = []
    while stamp < end:
        pair = cycle[len(result) % len(cycle)]
        length = pair.frames[1] - pair.frames[0], pair.stamps[1] - pair.stamps[0]
        frames, stamps = (frame, frame + length[0]), (stamp, stamp + length[1])
        boxes = pair.boxes if box is None else carried(pair.boxes, clip.boxes[0], box)
        result.append(replace(pair, boxes=boxes, frames=frames, stamps=stamps))
        frame, stamp = frames[1], stamps[1]
    return result


def carried(boxes: Float32, source: Float32, target: Float32) -> Float32:
    """Boxes (..., 4) moved and stretched as `source` (4,) must be to become `target` (4,)."""
    scale = np.tile((target[2:] - target[:2]) / (source[2:] - source[:2]), 2)
    return np.asarray((boxes - np.tile(source[:2], 2)) * scale + np.tile(target[:2], 2), dtype=np.float32)


def said_of(clip: Clip, n_classes: int) -> int:
    """The label of the tube on the person of a clip that is seen alone, over all of it; -1 if there is none."""
    linker = TubeLinker(n_classes, replace(PER_CLASS, mode="actor"))
    said = [on_person(linker.update(pair, 1).tubes, strongest(pair)) for pair in clip.pairs]
    return said[-1][1]


def on_person(tubes: Sequence[Tube], box: Float32) -> tuple[int, int]:
    """Id and label of the tube whose newest box overlaps `box` (4,) the most; -1, -1 where none does by half."""
    newest = [(tube.id, tube.label, tube.boxes[-1]) for tube in tubes if len(tube.boxes)]
    if not newest:
        return -1, -1
    boxes = np.array([at for *_, at in newest], np.float64)
    overlap = iou(boxes.T, box.astype(np.float64)[:, None])
    best = int(overlap.argmax())
    return newest[best][:2] if overlap[best] >= 0.5 else (-1, -1)


def measure(clips: Sequence[Clip], seconds: float, memory: float, margin: float) -> list[Switch]:
    """Each clip for so long, followed by the next, which shows another action."""
    pairs = zip(clips, [*clips[1:], *clips[:1]], strict=True)
    options = LinkerOptions(class_memory=memory, label_margin=margin)
    return [watch(one, other, seconds, options) for one, other in pairs if one.label != other.label]


def watch(one: Clip, other: Clip, seconds: float, options: LinkerOptions) -> Switch:
    """One person does what the first clip shows for so long, then what the second shows."""
    linker = TubeLinker(one.pairs[0].class_scores.shape[1], options)
    before = stream(one, seconds, None, None)
    after = stream(other, AFTERWARDS, before[-1], strongest(before[-1]))
    change = before[-1].stamps[1]
    said = []
    for pair in [*before, *after]:
        tubes = linker.update(pair, 1).tubes
        if pair.stamps[1] > change - SECOND:
            said.append((pair.stamps[1], *on_person(tubes, strongest(pair))))
    return judged(said, change, other.label)


def strongest(pair: MicroTubes) -> Float32:
    """(4,) the second box of the likeliest micro-tube."""
    return np.asarray(pair.boxes[pair.scores.argmax(), 1])


def judged(said: Sequence[tuple[int, int, int]], change: int, label: int) -> Switch:
    """said: stamp, id and label of what was said at each step, from a second before the change (ns) on."""
    known = [(stamp, i, what) for stamp, i, what in said if i >= 0]
    wrong = [stamp for stamp, _, what in known if stamp > change and what != label]
    settled = max(wrong, default=change)
    right = [stamp for stamp, _, what in known if stamp > settled and what == label]
    switches = sum(a[2] != b[2] for a, b in pairwise(known))
    return Switch((right[0] - change) / SECOND if right else None, switches, len({i for _, i, _ in known}))


def summary(found: Sequence[Switch]) -> dict[str, Any]:
    """Figures of all changes of action."""
    delays = [one.delay for one in found if one.delay is not None]
    return {
        "changes": len(found),
        "named": len(delays),
        "median_delay": round(float(np.median(delays)), 2) if delays else None,
        "longest_delay": round(max(delays), 2) if delays else None,
        "exactly_one_switch": sum(one.switches == 1 for one in found),
        "new_ids": sum(one.ids - 1 for one in found),
        "each": [asdict(one) for one in found],
    }


def show(rows: Sequence[dict[str, Any]], title: str) -> None:
    """Print the rows as a table."""
    names = [name for name in rows[0] if name != "each"]
    table = Table(*(name.replace("_", " ") for name in names), title=title)
    for row in rows:
        table.add_row(*(str(row[name]) for name in names))
    Console().print(table)
