"""Moments for eyes and for other tools: as video files, as one picture, as lists."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from amtnet_ros.archive.moment import Moment, drawn
from amtnet_ros.archive.places import name_of
from amtnet_ros.archive.recording import SECOND
from amtnet_ros.archive.tube import ArchivedTube
from amtnet_ros.contracts import UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.files import write_whole
from amtnet_ros.media.video import VideoWriter

AROUND = 0.5
"""Seconds of a clip before and after the moment."""
SHOTS = 3
"""Pictures of a moment on a contact sheet."""
WIDTH, HEIGHT, TEXT, COLUMNS = 240, 180, 22, 2
"""Pixels of one of these pictures, and of the line below a moment; moments side by side."""

TubeOf = Callable[[Moment], ArchivedTube]


def write_clips(moments: Iterable[Moment], tube_of: TubeOf, name: str, folder: Path) -> list[Path]:
    """Write each moment as a video with the tube drawn; returns the files.

    Raises UserError where one cannot be read or written.
    """
    return [_write_clip(moment, tube_of(moment), name, folder) for moment in moments]


def _write_clip(moment: Moment, tube: ArchivedTube, name: str, folder: Path) -> Path:
    stem = Path(name_of(moment.dataset or moment.file)).stem
    path = folder / f"{moment.rank:03}_{stem}_{moment.begin // SECOND}s_{moment.tube}.mp4"
    with VideoWriter(path) as writer:
        first = None
        for stamp, image in drawn(moment, tube, name, AROUND):
            first = stamp if first is None else first
            writer.write(image, (stamp - first) / SECOND)
    return path


def write_contact_sheet(moments: Sequence[Moment], tube_of: TubeOf, name: str, path: Path) -> None:
    """Write one JPEG with some pictures of each moment, in two columns, best first.

    Raises UserError where one cannot be read or written, and where there is none.
    """
    if not moments:
        raise UserError(f"{path}: nothing was found to show")
    if path.suffix.lower() not in (".jpg", ".jpeg"):
        raise UserError(f"{path}: a contact sheet is written as .jpg")
    strips = [_strip(moment, tube_of(moment), name) for moment in moments]
    strips += [np.full_like(strips[0], 255)] * (-len(strips) % COLUMNS)
    rows = [np.hstack(strips[i : i + COLUMNS]) for i in range(0, len(strips), COLUMNS)]
    _, data = cv2.imencode(".jpg", np.vstack(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])
    write_whole(path, data.tobytes(), parents=True)


def _strip(moment: Moment, tube: ArchivedTube, name: str) -> UInt8:
    """Some pictures of a moment side by side, and a line below that says which it is."""
    # Drawn twice as large: letters have a smallest size, at which they would hide the person.
    images = [image for _, image in drawn(moment, tube, name, most=(2 * WIDTH, 2 * HEIGHT))]
    if not images:
        raise UserError(f"{moment.file}: no picture at {moment.when}; was the file changed since?")
    shots = [images[round(i)] for i in np.linspace(0, len(images) - 1, 2 * SHOTS + 1)[1::2]]
    strip = np.full((HEIGHT + TEXT, SHOTS * WIDTH + 6, 3), 255, np.uint8)
    for i, shot in enumerate(shots):
        strip[:HEIGHT, i * WIDTH : (i + 1) * WIDTH] = _centred(
            cv2.resize(shot, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        )
    text = f"{moment.rank}. {moment.score:.2f}  {moment.when}  {moment.where}"
    text = text if len(text) <= 94 else f"{text[:91]}..."
    place = (2, HEIGHT + TEXT - 7)
    cv2.putText(strip, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    return strip


def _centred(image: Any) -> UInt8:
    """An image in the middle of WIDTH × HEIGHT, on white."""
    whole = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    y, x = (HEIGHT - image.shape[0]) // 2, (WIDTH - image.shape[1]) // 2
    whole[y : y + image.shape[0], x : x + image.shape[1]] = image
    return whole


def write_lerobot_list(moments: Sequence[Moment], path: Path) -> None:
    """Write a JSON object: data set's folder → numbers of the episodes with a moment, ascending.

    They are what `LeRobotDataset(…, episodes=[…])` takes. Raises UserError where no moment is of a data set.
    """
    episodes: dict[str, set[int]] = {}
    for moment in moments:
        if moment.episode is not None:
            episodes.setdefault(moment.dataset, set()).add(moment.episode)
    if not episodes:
        raise UserError(f"{path}: no moment that was found is of a LeRobot data set")
    write_whole(path, json.dumps({name: sorted(each) for name, each in episodes.items()}, indent=1), parents=True)


def write_bag_list(moments: Sequence[Moment], path: Path) -> None:
    """Write a JSON list: of each moment in a bag the file, the topic, and from when to when, by the bag's clock (ns).

    They are what `mcap filter -s … -e …` and rosbag2's readers take. Raises UserError where no moment is of a bag.
    """
    rows = [
        {
            "file": moment.file,
            "topic": moment.topic,
            "start_nsecs": moment.begin,
            "end_nsecs": moment.stop + moment.offset,
            "score": moment.score,
        }
        for moment in moments
        if moment.kind == "bag"
    ]
    if not rows:
        raise UserError(f"{path}: no moment that was found is of a bag")
    write_whole(path, json.dumps(rows, indent=1), parents=True)
