"""Micro-tubes of whole videos on disk, with what they were made with, so that linking and scoring need no network."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np

from amtnet_ros.contracts import MicroTubes
from amtnet_ros.data.annotations import AnnotatedVideo, Dataset
from amtnet_ros.errors import UserError
from amtnet_ros.evaluation.frame_map import FrameDetections
from amtnet_ros.files import WholeFile, read_json, write_whole
from amtnet_ros.media.video import open_source
from amtnet_ros.pipeline import Pipeline

_VERSION = 1


@dataclass(frozen=True, slots=True)
class VideoDetections:
    """What the network saw in one video.

    delta: distance of the pairs in frames at the model's nominal rate.
    n_classes: C.
    pairs: the micro-tubes of each pair of frames, in the order in which they were seen.
    """

    delta: int
    n_classes: int
    pairs: tuple[MicroTubes, ...]

    def in_frames(self) -> FrameDetections:
        """Detections in every frame.

        Frame t has the first boxes of the pair (t, t + delta); frames between the two have the boxes between, linear
        in time; the last frame has the second boxes of the last pair. Frames after it have none.
        """
        frames, boxes, labels, scores = [], [], [], []
        for i, pair in enumerate(self.pairs):
            first, second = pair.frames
            is_last = i + 1 == len(self.pairs)
            stop = second + 1 if is_last else min(self.pairs[i + 1].frames[0], second)
            for frame in range(first, stop):
                weight = (frame - first) / (second - first)
                frames.append(np.full(len(pair), frame))
                boxes.append((1 - weight) * pair.boxes[:, 0].astype(np.float64) + weight * pair.boxes[:, 1])
                labels.append(pair.labels)
                scores.append(pair.scores)
        return FrameDetections(
            frames=np.concatenate([np.zeros(0, np.int64), *frames]),
            boxes=np.concatenate([np.zeros((0, 4)), *boxes]),
            labels=np.concatenate([np.zeros(0, np.int64), *labels]),
            scores=np.concatenate([np.zeros(0, np.float32), *scores]),
        )


def detections_file(folder: Path, video: str) -> Path:
    """Where the detections of a video are kept; any name makes one plain file name."""
    return folder / f"{quote(video, safe='')}.npz"


def write_detections(file: Path, detections: VideoDetections) -> None:
    """Write the detections of one video; the file appears whole or not at all."""
    pairs = detections.pairs
    arrays = {
        "version": np.array(_VERSION),
        "delta": np.array(detections.delta),
        "n_classes": np.array(detections.n_classes),
        "frames": np.array([pair.frames for pair in pairs], dtype=np.int64).reshape(-1, 2),
        "stamps": np.array([pair.stamps for pair in pairs], dtype=np.int64).reshape(-1, 2),
        "image_size": np.array([pair.image_size for pair in pairs], dtype=np.int64).reshape(-1, 2),
        "count": np.array([len(pair) for pair in pairs], dtype=np.int64),
        "boxes": _joined([pair.boxes for pair in pairs], (2, 4), np.float32),
        "labels": _joined([pair.labels for pair in pairs], (), np.int64),
        "scores": _joined([pair.scores for pair in pairs], (), np.float32),
        "class_scores": _joined([pair.class_scores for pair in pairs], (detections.n_classes,), np.float32),
    }
    with WholeFile(file) as temporary, temporary.open("wb") as out:
        np.savez_compressed(out, **arrays)  # type: ignore[arg-type]


def read_detections(file: Path) -> VideoDetections:
    """Read what `write_detections` wrote. Raises UserError if the file is missing, damaged or of another kind."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            content = {name: arrays[name] for name in arrays.files}
        if int(content["version"]) != _VERSION:
            raise UserError(f"{file}: written by another version of this program; delete it and run the model again")
        start = np.concatenate([[0], np.cumsum(content["count"])])
        pairs = tuple(
            MicroTubes(
                boxes=content["boxes"][start[i] : start[i + 1]],
                labels=content["labels"][start[i] : start[i + 1]],
                scores=content["scores"][start[i] : start[i + 1]],
                class_scores=content["class_scores"][start[i] : start[i + 1]],
                frames=(int(content["frames"][i, 0]), int(content["frames"][i, 1])),
                stamps=(int(content["stamps"][i, 0]), int(content["stamps"][i, 1])),
                image_size=(int(content["image_size"][i, 0]), int(content["image_size"][i, 1])),
            )
            for i in range(len(content["count"]))
        )
        return VideoDetections(int(content["delta"]), int(content["n_classes"]), pairs)
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(f"{file}: not readable as detections ({error}); delete it and run the model again") from error


def _joined(parts: Sequence[np.ndarray], shape: tuple[int, ...], dtype: type) -> np.ndarray:
    return np.concatenate([np.zeros((0, *shape), dtype), *parts])


SECOND = 1_000_000_000
_MANIFEST = "made_with.json"


@dataclass(frozen=True, slots=True)
class KeptDetections:
    """Detections of the videos of one data set, by one model with one setting.

    made_with: name → text of all that the detections depend on: model, data set, delta, flow.
    """

    folder: Path
    made_with: Mapping[str, str]

    def missing(self, dataset: Dataset) -> list[str]:
        """Test videos without detections, in the order of the data set."""
        return [name for name in dataset.test if not detections_file(self.folder, name).is_file()]

    def read(self, video: str) -> VideoDetections:
        """Raises UserError if they are missing or damaged."""
        return read_detections(detections_file(self.folder, video))

    def write(self, video: str, detections: VideoDetections) -> None:
        """The file appears whole or not at all, so an interrupted run goes on where it stopped."""
        write_detections(detections_file(self.folder, video), detections)


def open_kept(folder: Path) -> KeptDetections:
    """Open what is there. Raises UserError if there is nothing."""
    manifest = folder / _MANIFEST
    if not manifest.exists():
        raise UserError(f"{folder}: no kept detections here; run `amtnet eval --model …` first")
    content = read_json(manifest)
    if not isinstance(content, dict):
        raise UserError(f"{manifest}: expected a JSON object; delete {folder} and run the model again")
    return KeptDetections(folder, {str(key): str(value) for key, value in content.items()})


def make_kept(folder: Path, made_with: Mapping[str, str]) -> KeptDetections:
    """Open a folder for the detections of this setting, new or begun earlier.

    Raises UserError if it holds detections made with anything else: mixed, they would be scored as one.
    """
    manifest = folder / _MANIFEST
    if manifest.exists():
        kept = open_kept(folder)
        for key in made_with.keys() | kept.made_with.keys():
            if made_with.get(key) != kept.made_with.get(key):
                raise UserError(
                    f"{folder}: holds detections with {key} {kept.made_with.get(key)}, now it is {made_with.get(key)}; "
                    "choose another --detections folder, or delete this one"
                )
        return kept
    write_whole(manifest, json.dumps(dict(made_with), indent=2) + "\n", parents=True)
    return KeptDetections(folder, dict(made_with))


def detect_video(pipeline: Pipeline, video: AnnotatedVideo, delta: int) -> VideoDetections:
    """Pass all frames of a video through a pipeline; returns the micro-tubes of every pair, before linking.

    delta: that of the pipeline, for the record. The frames get stamps at the model's nominal rate: in a data set,
    frames count, not seconds. Raises UserError if the video cannot be read or has another size than its annotations.
    """
    if video.path is None:
        raise UserError(f"video {video.name!r}: only its annotations are known; a model needs the video itself")
    pairs: list[MicroTubes] = []
    pipeline.reset()
    pipeline.on_micro_tubes = pairs.append
    try:
        for index, image in enumerate(open_source(str(video.path))):
            if (image.shape[1], image.shape[0]) != video.size:
                raise UserError(
                    f"{video.path}: frame {index} is {image.shape[1]}x{image.shape[0]}, annotated is "
                    f"{video.size[0]}x{video.size[1]}"
                )
            pipeline.push(round(index * SECOND / pipeline.card.rate), image)
        pipeline.finish()
    finally:
        pipeline.on_micro_tubes = None
    return VideoDetections(delta, len(pipeline.card.actions), tuple(pairs))
