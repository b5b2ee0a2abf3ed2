"""Part of `amtnet bench tubes`: whether two people stay two, close together and crossing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from amtnet_ros.bench.crossing import Scene, compose
from amtnet_ros.bench.switch import clip_of, one_of_each, said_of
from amtnet_ros.data.annotations import AnnotatedVideo, Dataset
from amtnet_ros.data.sources import read_dataset
from amtnet_ros.evaluation.kept import detect_video
from amtnet_ros.evaluation.linking import ever_active
from amtnet_ros.evaluation.online import IdentityErrors, IdentityScore, identity_errors, identity_score
from amtnet_ros.inference.factory import make_engine
from amtnet_ros.pipeline import Pipeline, PipelineOptions
from amtnet_ros.tubes import PER_CLASS, LinkerOptions, TubeAssembler, TubeLinker

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
