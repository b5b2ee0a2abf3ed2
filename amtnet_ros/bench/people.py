"""Part of `amtnet bench tubes`: whether two people stay two, close together and crossing.

A picture of two is made of what a network saw of each by himself. What is real is the micro-tubes: scores, jitter, what
is missed, false ones. What is made is where the two stand, and that who is behind is not seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rich.console import Console
from rich.progress import track

from amtnet_ros.bench.switch import Clip, clip_of, one_of_each, said_of, stream
from amtnet_ros.boxes import area, intersection, iou
from amtnet_ros.contracts import Float32, Int64, MicroTubes
from amtnet_ros.data.annotations import ActionInstance, AnnotatedVideo, Dataset
from amtnet_ros.data.sources import read_dataset
from amtnet_ros.evaluation.detections import detect_video
from amtnet_ros.evaluation.linking import ever_active
from amtnet_ros.evaluation.online import IdentityErrors, IdentityScore, identity_errors, identity_score
from amtnet_ros.inference.factory import make_engine
from amtnet_ros.pipeline import Pipeline, PipelineOptions
from amtnet_ros.tubes import PER_CLASS, LinkerOptions, TubeAssembler, TubeLinker

Layout = Literal["beside", "crossing"]
SIZE = (640, 240)
HIDDEN = 0.45
"""Share of a person's box that is covered from which on he is not seen."""
APART = 0.85
"""Of the mean width of the two, between the centres of people side by side."""


@dataclass(frozen=True)
class Scene:
    """What a network sees of two people, pairs end to start, and where they are."""

    video: AnnotatedVideo
    pairs: tuple[MicroTubes, ...]


def compose(name: str, people: tuple[Clip, Clip], layout: Layout, seconds: float) -> Scene:
    """Both for so long; the first stands, or passes, before the second."""
    streams = [stream(person, seconds, None, None) for person in people]
    length = min(len(one) for one in streams)
    frames = np.array([0, *(pair.frames[1] for pair in streams[0][:length])])
    here = [_boxes(person, length) for person in people]
    ways = _ways(here, layout)
    placed = [boxes + np.tile(way, (1, 2)) for boxes, way in zip(here, ways, strict=True)]
    labels = (person.label for person in people)
    instances = tuple(
        ActionInstance(label, frames, boxes.astype(np.float32)) for label, boxes in zip(labels, placed, strict=True)
    )
    pairs = []
    for i in range(length):
        parts = [_moved(one[i], way[i : i + 2]) for one, way in zip(streams, ways, strict=True)]
        front, behind = (boxes[i : i + 2] for boxes in placed)
        kept = [parts[0], _without(parts[1], behind) if _covered(front, behind) >= HIDDEN else parts[1]]
        pairs.append(_together(kept))
    return Scene(AnnotatedVideo(name, SIZE, int(frames[-1]) + 1, instances, None), tuple(pairs))


def _boxes(person: Clip, pairs: int) -> Float32:
    """(pairs + 1, 4) the person's boxes at the ends of the pairs, there and back."""
    there = person.boxes
    cycle = np.concatenate([there, there[-2::-1]])[:-1]
    return np.asarray(cycle[np.arange(pairs + 1) % len(cycle)])


def _ways(boxes: Sequence[Float32], layout: Layout) -> list[Float32]:
    """For each person (n, 2): how far the picture of him is moved, so that he is where he shall be."""
    n = len(boxes[0])
    widths = [float(np.mean(one[:, 2] - one[:, 0])) for one in boxes]
    gap = APART * sum(widths) / 2
    if layout == "beside":
        centres = [np.full(n, SIZE[0] / 2 - gap / 2), np.full(n, SIZE[0] / 2 + gap / 2)]
    else:
        far = 2.5 * gap
        centres = [SIZE[0] / 2 + np.linspace(-far, far, n), SIZE[0] / 2 + np.linspace(far, -far, n)]
    ways = []
    for one, x in zip(boxes, centres, strict=True):
        middle = (one[0, 0] + one[0, 2]) / 2  # as he stood in the beginning: what he does himself stays
        ways.append(np.stack([x - middle, np.zeros(n)], axis=1).astype(np.float32))
    return ways


def _moved(pair: MicroTubes, way: Float32) -> MicroTubes:
    return replace(pair, boxes=pair.boxes + np.tile(way, (1, 2)), image_size=SIZE)


def _covered(front: Float32, behind: Float32) -> float:
    """The share of the box behind that the box in front covers, in the pair's first frame or its second."""
    return float((intersection(front.T, behind.T) / area(behind.T)).max())


def _without(pair: MicroTubes, hidden: Float32) -> MicroTubes:
    """Without the micro-tubes on the hidden person."""
    first = pair.boxes[:, 0].astype(np.float64)
    on = iou(first.T, hidden[0].astype(np.float64)[:, None]) >= 0.3
    return _rows(pair, np.flatnonzero(~on))


def _rows(pair: MicroTubes, rows: Int64) -> MicroTubes:
    return replace(
        pair,
        boxes=pair.boxes[rows],
        labels=pair.labels[rows],
        scores=pair.scores[rows],
        class_scores=pair.class_scores[rows],
    )


def _together(parts: Sequence[MicroTubes]) -> MicroTubes:
    return replace(
        parts[0],
        boxes=np.concatenate([part.boxes for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        scores=np.concatenate([part.scores for part in parts]),
        class_scores=np.concatenate([part.class_scores for part in parts]),
    )


DELTA, SECONDS, CLIPS, VIDEOS = 4, 4.0, 42, 25
SCORE_THRESHOLD = 0.05
"""Of micro-tubes, as for robots."""
TOGETHER, LONGEST = 15, 420
"""Frames in which two people are annotated, at least; frames of a video, at most."""

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "defaults": {},
    "by overlap alone": {"assignment": "greedy", "match": "both", "motion": 0.0, "class_weight": 0.0},
    "without motion": {"motion": 0.0},
    "without class scores": {"class_weight": 0.0},
    "assignment=greedy": {"assignment": "greedy"},
    "assignment=optimal": {"assignment": "optimal"},
    "min_coasting=0.5": {"min_coasting": 0.5},
    "nms_iou=0.5": {"nms_iou": 0.5},
}


def people(model: str, data_root: Path) -> list[dict[str, Any]]:
    """Link two people composed of single ones (J-HMDB-21 training clips), and UCF-101-24 training videos of several.

    Videos that are not at hand are left out. A row of figures for each set and each way to link.
    """
    single, several = read_dataset("jhmdb21:1", data_root), read_dataset("ucf101_24", data_root)
    options = PipelineOptions(delta=DELTA, score_threshold=0.01, nms_iou=0.45, max_per_class=10, end_at_cuts=False)
    pipeline = Pipeline(make_engine(model), options)
    names = one_of_each(single, CLIPS)
    clips = [clip_of(single.videos[name], seen(pipeline, single.videos[name])) for name in tracked(names, "people")]
    n_classes = len(pipeline.card.labels)
    named = [clip for clip in clips if said_of(clip, n_classes) == clip.label]
    named.sort(key=lambda clip: float(np.mean(clip.boxes[:, 3] - clip.boxes[:, 1])))  # so that they can meet
    couples = list(zip(named[::2], named[1::2], strict=False))
    sets = {
        "beside each other": [compose(f"{i}", couple, "beside", SECONDS) for i, couple in enumerate(couples)],
        "crossing": [compose(f"{i}", couple, "crossing", SECONDS) for i, couple in enumerate(couples)],
        "UCF-101-24": [Scene(video, tuple(seen(pipeline, video))) for video in tracked(crowded(several), "videos")],
    }
    pipeline.close()
    base = LinkerOptions(score_threshold=SCORE_THRESHOLD)
    ways = {"as in the paper's measure": replace(PER_CLASS, mode="actor", score_threshold=SCORE_THRESHOLD)}
    ways |= {name: replace(base, **changes) for name, changes in VARIANTS.items()}
    return [
        {"set": name, "scenes": len(scenes), "option": way, **figures(scenes, n_classes, how)}
        for way, how in tracked(list(ways.items()), "linking")
        for name, scenes in sets.items()
        if scenes
    ]


def crowded(dataset: Dataset) -> list[AnnotatedVideo]:
    """Training videos that are at hand in which people are annotated at the same time."""

    def together(video: AnnotatedVideo) -> int:
        frames = np.concatenate([instance.frames for instance in video.instances])
        return int((np.unique(frames, return_counts=True)[1] > 1).sum())

    videos = [dataset.videos[name] for name in dataset.train]
    found = [v for v in videos if v.path is not None and v.n_frames <= LONGEST and together(v) >= TOGETHER]
    return found[:: max(1, -(-len(found) // VIDEOS))]


def seen(pipeline: Pipeline, video: AnnotatedVideo) -> tuple[Any, ...]:
    """The micro-tubes of a video."""
    return detect_video(pipeline, video, DELTA).pairs


def figures(scenes: Sequence[Scene], n_classes: int, options: LinkerOptions) -> dict[str, Any]:
    """How well tubes of whatever class keep people apart, over all scenes."""
    errors, score = IdentityErrors(), IdentityScore()
    for scene in scenes:
        linker, assembler = TubeLinker(n_classes, options), TubeAssembler()
        updates = [*(linker.update(pair, DELTA) for pair in scene.pairs), linker.end(DELTA)]
        for update in updates:
            assembler.add(update)
        active = ever_active(updates)
        errors += identity_errors(scene.video, assembler.tubes(), active, any_class=True)
        score += identity_score(scene.video, assembler.tubes(), active)
    return {
        "id_switches": errors.switches,
        "fragmentations": errors.fragmentations,
        "coverage": round(errors.followed / max(errors.boxes, 1), 3),
        "idf1": round(100 * score.idf1, 1),
    }


def tracked(items: Sequence[Any], what: str) -> Any:
    """The items, with a progress bar."""
    return track(items, what, console=Console(stderr=True), transient=True)
