"""Micro-tubes of whole videos on disk, so that linking and scoring need no network."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np

from amtnet_ros.contracts import MicroTubes
from amtnet_ros.errors import UserError
from amtnet_ros.evaluation.frame_map import FrameDetections
from amtnet_ros.files import WholeFile

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
