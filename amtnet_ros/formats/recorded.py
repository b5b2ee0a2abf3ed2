"""Tubes that `amtnet run` or the recorder wrote, by frame, for those who write them in another tool's format."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from amtnet_ros.data.actions_file import first_mistake
from amtnet_ros.errors import UserError
from amtnet_ros.files import parse_json


class SeenBox(NamedTuple):
    """A box of a tube. frame: 0-based. box: x1, y1, x2, y2 in pixels. label: what the tube was called then."""

    frame: int
    box: tuple[float, float, float, float]
    score: float
    label: str


@dataclass(frozen=True)
class RecordedTube:
    """A tube of a recording. id: from 1 on, unique in the recording. boxes: ascending by frame, one a frame."""

    id: int
    boxes: tuple[SeenBox, ...]


@dataclass(frozen=True)
class Recording:
    """The tubes of a video. name: of the video. n_frames: of the video, if known, else up to the last box.

    labels: the number of each class, by its name: the number that the model has for it, plus 1.
    """

    name: str
    width: int
    height: int
    n_frames: int
    rate: float
    labels: dict[str, int]
    tubes: tuple[RecordedTube, ...]


class _Label(BaseModel):
    stamp: int
    class_id: int = Field(ge=0)
    class_name: str


class _Box(BaseModel):
    stamp: int
    box: tuple[float, float, float, float]
    score: float


class _Line(BaseModel):
    session: str
    id: int
    confirmed: bool
    image_width: int = Field(ge=1)
    image_height: int = Field(ge=1)
    labels: list[_Label] = Field(min_length=1)
    boxes: list[_Box]


_LINE = TypeAdapter(_Line)


def read_recording(
    file: Path, name: str, rate: float, *, n_frames: int | None = None, start: int = 0, unconfirmed: bool = False
) -> Recording:
    """The tubes of a JSON lines file, as `media.tube_lines` describes it.

    rate: frames a second. n_frames: of the video, if known. start: stamp (ns) of frame 0. unconfirmed: also tubes that
    never were ACTIVE. Raises UserError naming file, line and mistake: no whole JSON object, a missing key, images of
    several sizes, a stamp that is not of the video; and where there is no tube.
    """
    lines = _lines(file)
    if not lines:
        raise UserError(f"{file}: holds no tubes")
    size = (lines[0].image_width, lines[0].image_height)
    other = next((i for i, line in enumerate(lines) if (line.image_width, line.image_height) != size), None)
    if other is not None:
        raise UserError(f"{file}, line {other + 1}: of images of another size than line 1; one file holds one camera")
    tubes = [
        RecordedTube(0, _seen(f"{file}, line {number}", line, rate, n_frames, start))
        for number, line in enumerate(lines, 1)
        if line.confirmed or unconfirmed
    ]
    if not tubes:
        raise UserError(f"{file}: no tube was ever confirmed; --unconfirmed takes the others, too")
    tubes.sort(key=lambda tube: tube.boxes[0].frame if tube.boxes else -1)
    last = max((tube.boxes[-1].frame for tube in tubes if tube.boxes), default=-1)
    labels = {label.class_name: label.class_id + 1 for line in lines for label in line.labels}
    return Recording(
        name=name,
        width=size[0],
        height=size[1],
        n_frames=last + 1 if n_frames is None else n_frames,
        rate=rate,
        labels=dict(sorted(labels.items(), key=lambda item: item[1])),
        tubes=tuple(RecordedTube(number, tube.boxes) for number, tube in enumerate(tubes, 1)),
    )


def _lines(file: Path) -> list[_Line]:
    try:
        texts = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read ({error})") from error
    lines = []
    for number, text in enumerate(texts, 1):
        where = f"{file}, line {number}"
        content = parse_json(where, text)
        try:
            lines.append(_LINE.validate_python(content))
        except ValidationError as error:
            raise UserError(f"{where}: no recorded tube: {first_mistake(error)}") from error
    return lines


def _seen(where: str, line: _Line, rate: float, n_frames: int | None, start: int) -> tuple[SeenBox, ...]:
    stamps = [label.stamp for label in line.labels]
    boxes: dict[int, SeenBox] = {}
    for box in line.boxes:
        frame = round((box.stamp - start) * rate / 1e9)
        if frame < 0 or (n_frames is not None and frame >= n_frames) or frame > 1e8:
            raise UserError(
                f"{where}: stamp {box.stamp} is of no frame of the video; --start gives the stamp of its first frame, "
                f"if it is not {start}"
            )
        label = line.labels[max(bisect.bisect_right(stamps, box.stamp) - 1, 0)]
        boxes[frame] = SeenBox(frame, box.box, box.score, label.class_name)
    return tuple(boxes[frame] for frame in sorted(boxes))
