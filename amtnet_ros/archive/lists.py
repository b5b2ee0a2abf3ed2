"""Moments as lists for other tools."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from amtnet_ros.archive.moment import Moment
from amtnet_ros.errors import UserError
from amtnet_ros.files import write_whole


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
