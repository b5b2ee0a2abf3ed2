"""Tubes as JSON lines, one tube a line:

``{"video": …, "label": name or index, "score": …, "first_frame": …, "boxes": [[x1, y1, x2, y2], …]}``

Frames count from 0; boxes are in pixels, 0-based, exclusive maximum, one for each frame from first_frame on.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from amtnet_ros.data.annotations import Dataset
from amtnet_ros.errors import UserError
from amtnet_ros.evaluation.tubes import Float64, ScoredTube
from amtnet_ros.files import WholeFile, parse_json

_KEYS = ("video", "label", "score", "first_frame", "boxes")

_TubeKey = tuple[str, int, int, bytes]


def read_tubes(file: Path, ground_truth: Dataset) -> list[ScoredTube]:
    """Read a tube file for the test videos of a dataset, in the order of the file; further keys are ignored.

    Raises UserError naming file, line and first mistake: a line that is not a JSON object (a file cut short), a missing
    key, an unknown video or class, a score or box that is not a finite number, boxes of the wrong count (none, not four
    numbers, or past the end of the video) or order (x2 <= x1), a tube that is there twice.
    A tube may be there as often as the ground truth has it (UCF-101-24 annotates one tube of its test videos twice).
    """
    test = set(ground_truth.test)
    seen: Counter[_TubeKey] = Counter()
    annotated: Counter[_TubeKey] | None = None
    tubes = []
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                tube = _tube(f"{file}, line {number}", line, ground_truth, test)
                tubes.append(tube)
                key = _key(tube.video, tube.label, tube.first_frame, np.asarray(tube.boxes))
                seen[key] += 1
                if seen[key] > 1:
                    annotated = annotated or _annotated(ground_truth)
                    if seen[key] > annotated[key]:
                        raise UserError(f"{file}, line {number}: this tube of video {tube.video!r} is there already")
    except OSError as error:
        raise UserError(f"{file}: cannot read: {error.strerror}") from error
    return tubes


def write_tubes(file: Path, tubes: Iterable[ScoredTube], classes: tuple[str, ...]) -> None:
    """Write tubes with the names of their classes; the file appears whole or not at all.

    Coordinates are rounded to 1/100 pixel; a box that is thinner than that keeps its full precision.
    """
    with WholeFile(file) as temporary, temporary.open("w", encoding="utf-8") as out:
        for tube in tubes:
            boxes = np.asarray(tube.boxes, dtype=np.float64)
            rounded = np.round(boxes, 2)
            line = {
                "video": tube.video,
                "label": classes[tube.label],
                "score": float(tube.score),
                "first_frame": int(tube.first_frame),
                "boxes": (rounded if (rounded[:, 2:] > rounded[:, :2]).all() else boxes).tolist(),
            }
            out.write(json.dumps(line) + "\n")


def _tube(where: str, line: bytes, ground_truth: Dataset, test: set[str]) -> ScoredTube:
    entry = parse_json(where, line, strict=True)
    if not isinstance(entry, dict):
        raise UserError(f"{where}: expected a JSON object with {', '.join(_KEYS)}")
    missing = next((key for key in _KEYS if key not in entry), None)
    if missing is not None:
        raise UserError(f"{where}: no {missing!r}; a tube has {', '.join(_KEYS)}")
    video = entry["video"]
    if not isinstance(video, str) or video not in test:
        known = "a training video" if video in ground_truth.train else "unknown"
        raise UserError(f"{where}: video {video!r} is {known}; expected a test video of {ground_truth.name}")
    score = entry["score"]
    if not _is_number(score) or not -sys.float_info.max <= score <= sys.float_info.max:
        raise UserError(f"{where}: score {score!r} is not a finite number")
    label = _label(where, entry["label"], ground_truth.classes)
    first_frame = entry["first_frame"]
    if not isinstance(first_frame, int) or isinstance(first_frame, bool) or first_frame < 0:
        raise UserError(f"{where}: first_frame {first_frame!r} is not a frame number (0 or more)")
    boxes = _boxes(where, entry["boxes"])
    n_frames = ground_truth.videos[video].n_frames
    if first_frame + len(boxes) > n_frames:
        raise UserError(
            f"{where}: {len(boxes)} boxes from frame {first_frame} on, but video {video!r} has {n_frames} frames"
        )
    return ScoredTube(video, label, float(score), first_frame, boxes)


def _label(where: str, label: Any, classes: tuple[str, ...]) -> int:
    if isinstance(label, str) and label in classes:
        return classes.index(label)
    if isinstance(label, int) and not isinstance(label, bool) and 0 <= label < len(classes):
        return label
    raise UserError(
        f"{where}: label {label!r} is neither a class ({classes[0]}, …) nor an index 0 to {len(classes) - 1}"
    )


def _boxes(where: str, boxes: Any) -> Float64:
    if not isinstance(boxes, list) or not boxes:
        raise UserError(f"{where}: boxes must be a list with at least one box")
    for i, box in enumerate(boxes):
        if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
            raise UserError(f"{where}: box {i} is {box!r}, expected four numbers x1, y1, x2, y2")
    try:
        result = np.array(boxes, dtype=np.float64)
    except OverflowError as error:
        raise UserError(f"{where}: boxes have a number too large to be a pixel") from error
    wrong = ~np.isfinite(result).all(axis=1)
    if wrong.any():
        raise UserError(f"{where}: box {np.argmax(wrong)} is {boxes[np.argmax(wrong)]}, which is not finite")
    wrong = (result[:, 2:] <= result[:, :2]).any(axis=1)
    if wrong.any():
        raise UserError(f"{where}: box {np.argmax(wrong)} is {boxes[np.argmax(wrong)]}; x1 < x2 and y1 < y2 are needed")
    return result


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _key(video: str, label: int, first_frame: int, boxes: Float64) -> _TubeKey:
    return video, label, first_frame, boxes.astype(np.float64).tobytes()


def _annotated(ground_truth: Dataset) -> Counter[_TubeKey]:
    return Counter(
        _key(name, instance.label, int(instance.frames[0]), instance.boxes.astype(np.float64))
        for name in ground_truth.test
        for instance in ground_truth.videos[name].instances
    )
