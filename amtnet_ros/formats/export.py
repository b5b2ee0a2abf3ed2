"""Recorded tubes in other tools' formats."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

from amtnet_ros.formats.recorded import RecordedTube, Recording, SeenBox


def as_coco(recording: Recording, file_name: str) -> str:
    """COCO with videos (CocoVID), as JSON: an image for each frame, an annotation for each box.

    file_name: of the video; its frames are called after it. `track_id` and `instance_id` are the tube's.
    """
    images = [
        {
            "id": frame + 1,
            "video_id": 1,
            "frame_id": frame,
            "file_name": f"{recording.name}/{frame:06d}.jpg",
            "width": recording.width,
            "height": recording.height,
        }
        for frame in range(recording.n_frames)
    ]
    size = {"width": recording.width, "height": recording.height}
    numbers = count(1)
    content = {
        "videos": [{"id": 1, "name": recording.name, "file_name": file_name, **size, "fps": recording.rate}],
        "images": images,
        "categories": [{"id": number, "name": name} for name, number in recording.labels.items()],
        "annotations": [
            _coco_annotation(next(numbers), tube, seen, recording) for tube in recording.tubes for seen in tube.boxes
        ],
    }
    return json.dumps(content) + "\n"


def _coco_annotation(number: int, tube: RecordedTube, seen: SeenBox, recording: Recording) -> dict[str, Any]:
    x1, y1, x2, y2 = seen.box
    width, height = round(x2 - x1, 2), round(y2 - y1, 2)
    return {
        "id": number,
        "image_id": seen.frame + 1,
        "video_id": 1,
        "category_id": recording.labels[seen.label],
        "track_id": tube.id,
        "instance_id": tube.id,
        "bbox": [x1, y1, width, height],
        "area": round(width * height, 2),
        "iscrowd": 0,
        "score": seen.score,
    }


def as_mot(recording: Recording) -> str:
    """MOT Challenge: frame, id, left, top, width, height, score, -1, -1, -1; frames, ids and pixels count from 1."""
    rows = sorted((seen.frame, tube.id, seen) for tube in recording.tubes for seen in tube.boxes)
    return "".join(
        f"{frame + 1},{number},{seen.box[0] + 1:.2f},{seen.box[1] + 1:.2f},"
        f"{seen.box[2] - seen.box[0]:.2f},{seen.box[3] - seen.box[1]:.2f},{seen.score:.4f},-1,-1,-1\n"
        for frame, number, seen in rows
    )


def as_ava(recording: Recording, *, people: bool = False) -> str:
    """AVA: a line for each tube at each full second; boxes as shares of the picture; the last column is the score.

    people: the last column is the tube's number instead, as in AVA's annotations.
    """
    seconds = {round(second * recording.rate): second for second in range(int(recording.n_frames / recording.rate) + 1)}
    rows = sorted(
        (seen.frame, tube.id, seen) for tube in recording.tubes for seen in tube.boxes if seen.frame in seconds
    )
    return "".join(
        _ava_line(recording, seconds[frame], seen, str(number) if people else f"{seen.score:.4f}")
        for frame, number, seen in rows
    )


def _ava_line(recording: Recording, second: int, seen: SeenBox, last: str) -> str:
    sides = (recording.width, recording.height) * 2
    box = ",".join(f"{value / side:.4f}" for value, side in zip(seen.box, sides, strict=True))
    return f"{recording.name},{second:04d},{box},{recording.labels[seen.label]},{last}\n"


def ava_action_list(recording: Recording) -> str:
    """The list of actions that goes with `as_ava`, as AVA has it (.pbtxt)."""
    return "".join(f'item {{\n  name: "{name}"\n  id: {number}\n}}\n' for name, number in recording.labels.items())
