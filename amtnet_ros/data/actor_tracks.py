"""People of whom it is known what they do, or what they do not: what the actor stream is taught from.

An answer is one of J-HMDB's 21 labels, OTHER (a person who does none of them) or NOBODY. Where several answers are as
right, any of them is.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from amtnet_ros.contracts import Float32
from amtnet_ros.data.annotations import Dataset
from amtnet_ros.data.jhmdb21 import read_jhmdb21
from amtnet_ros.data.ucf101_24 import read_ucf101_24
from amtnet_ros.errors import UserError

OTHER, NOBODY = "other", "nobody"

UCF101_24_ANSWERS: dict[str, tuple[str, ...]] = {
    "Basketball": ("shoot_ball",),
    "BasketballDunk": ("shoot_ball", "jump", "run"),
    "CliffDiving": (OTHER, "jump"),
    "CricketBowling": ("throw", "run"),
    "Diving": (OTHER, "jump"),
    "WalkingWithDog": ("walk",),
}
"""What the annotated people of these classes do. The classes that are missing are those of UNSEEN."""

PEOPLE_ANSWERS: dict[str, tuple[str, ...]] = {
    "ApplyEyeMakeup": (OTHER,),
    "Archery": ("shoot_bow",),
    "BaseballPitch": ("throw",),
    "BenchPress": (OTHER,),
    "CricketShot": (OTHER, "swing_baseball"),
    "Haircut": (OTHER, "brush_hair"),
    "HandstandWalking": (OTHER,),
    "HighJump": ("run", "jump"),
    "JugglingBalls": (OTHER, "throw", "catch"),
    "JumpRope": ("jump",),
    "JumpingJack": ("jump", "wave"),
    "PizzaTossing": (OTHER, "throw", "catch"),
    "PommelHorse": (OTHER,),
    "PullUps": ("pullup",),
    "Punch": (OTHER,),
    "SkyDiving": (OTHER,),
    "SumoWrestling": (OTHER, "push"),
    "Swing": (OTHER,),
    "TaiChi": (OTHER,),
}
"""Of the classes of ucf101_people."""

UNSEEN = (
    *("Biking", "Skiing", "Surfing", "BodyWeightSquats", "BoxingPunchingBag", "Drumming", "HorseRace", "Lunges"),
    *("Mixing", "PlayingCello", "PlayingPiano", "PlayingSitar", "PlayingViolin", "PushUps"),
)
"""Classes in which nobody does any of the 21, never taught: they show what is said of what was not seen."""

SEEN_IN_JHMDB = frozenset({("PullUps", 16), ("PullUps", 18), ("Archery", 2)})
"""Groups of UCF-101 that are the same videos as clips of J-HMDB-21, whatever its split makes of those."""

SEGMENT = 24
"""Frames of a segment of ucf101_people."""


@dataclass(frozen=True, slots=True)
class PersonTrack:
    """One person in consecutive frames.

    video: name in the store of frames. first: the frame of the first box. boxes: (n, 4) float32 x1 y1 x2 y2 pixels.
    answers: of which any is right. source: data set and class. group: of clips with the same source video.
    """

    video: str
    first: int
    boxes: Float32
    answers: tuple[str, ...]
    source: tuple[str, str]
    group: str


@dataclass(frozen=True)
class Tracks:
    """learnt: to be taught. held_out: of other groups, to choose by. unseen: people of classes that are never taught.

    videos: the file of each video that a track names. classes: the 21 labels.
    """

    learnt: tuple[PersonTrack, ...]
    held_out: tuple[PersonTrack, ...]
    unseen: tuple[PersonTrack, ...]
    videos: dict[str, Path]
    classes: tuple[str, ...]


def read_tracks(root: Path, split: int, held_out: float, seed: int) -> Tracks:
    """Everything the actor stream may learn from: training clips of J-HMDB-21 and UCF-101-24, and ucf101_people.

    root: the folder of the data sets. split: of J-HMDB-21. held_out: the share of each class that is not taught, whole
    groups of it. Groups that `field/field_groups.txt` names are left out altogether.
    Raises UserError where something is missing.
    """
    jhmdb, ucf = read_jhmdb21(root, split), read_ucf101_24(root / "ucf101_24")
    kept_out = SEEN_IN_JHMDB | read_field_groups(root / "field" / "field_groups.txt")
    videos = {
        **{f"jhmdb21/{name}": path for name in jhmdb.videos if (path := jhmdb.videos[name].path) is not None},
        **{f"ucf101_24/{name}": root / "ucf101_24" / "videos" / f"{name}.mp4" for name in ucf.train},
        **{f"ucf101_people/{name}": root / "ucf101_people" / f"{name}.mp4" for name in (*PEOPLE_ANSWERS, *UNSEEN)},
    }
    ucf101 = (*_of_ucf(ucf), *_of_people(root / "ucf101_people"))
    tracks = [
        *_of_jhmdb(jhmdb),
        *(track for track in ucf101 if _class_and_group(track.group) not in kept_out and videos[track.video].is_file()),
    ]
    unseen = [track for track in tracks if track.source[1] in UNSEEN]
    taught = [track for track in tracks if track.source[1] not in UNSEEN]
    kept_back = _drawn_groups(taught, held_out, seed)
    named = {track.video for track in tracks}
    return Tracks(
        learnt=tuple(track for track in taught if track.group not in kept_back),
        held_out=tuple(track for track in taught if track.group in kept_back),
        unseen=tuple(unseen),
        videos={name: path for name, path in videos.items() if name in named},
        classes=jhmdb.classes,
    )


def read_field_groups(path: Path) -> frozenset[tuple[str, int]]:
    """The classes and groups of UCF-101 that belong to test clips. Raises UserError if the list is missing or wrong."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return frozenset((name, int(group)) for name, group in (line.split() for line in lines if line.strip()))
    except OSError as error:
        raise UserError(f"{path}: the list of groups not to learn from cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise UserError(f"{path}: expected a class and a number of a group in each line ({error})") from error


def few_of_each(tracks: Sequence[PersonTrack], most: int) -> list[PersonTrack]:
    """At most so many of each class, evenly from the list."""
    by_class: dict[tuple[str, str], list[PersonTrack]] = {}
    for track in tracks:
        by_class.setdefault(track.source, []).append(track)
    counts = [(found, min(most, len(found))) for found in by_class.values()]
    return [found[i * len(found) // count] for found, count in counts for i in range(count)]


def _of_jhmdb(dataset: Dataset) -> Iterator[PersonTrack]:
    for name in dataset.train:
        action = dataset.videos[name].instances[0]
        label = dataset.classes[action.label]
        group = "jhmdb21/" + name[: name.rindex(f"_{label}_")]  # the source video
        yield PersonTrack(f"jhmdb21/{name}", 0, action.boxes, (label,), ("jhmdb21", label), group)


def _of_ucf(dataset: Dataset) -> Iterator[PersonTrack]:
    """The annotated people of the clips that are there; what they do before and after is not known."""
    for name in dataset.train:
        label = name.partition("/")[0]
        if label not in UCF101_24_ANSWERS and label not in UNSEEN:
            continue
        for action in dataset.videos[name].instances:
            answers, source = UCF101_24_ANSWERS.get(label, (OTHER,)), ("ucf101_24", label)
            yield PersonTrack(f"ucf101_24/{name}", int(action.frames[0]), action.boxes, answers, source, _group(name))


def _of_people(folder: Path) -> Iterator[PersonTrack]:
    path = folder / "segments.npz"
    try:
        names = json.loads((folder / "names.json").read_text(encoding="utf-8"))["classes"]
        with np.load(path, allow_pickle=False) as file:
            content = {key: file[key] for key in file}
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from error
    ends = np.cumsum(content["tube_stop"].astype(int) - content["tube_start"])
    boxes = np.split(content["tube_boxes"].astype(np.float32), ends[:-1])
    for segment, start, person in zip(content["tube_segment"], content["tube_start"], boxes, strict=True):
        if content["kept_out"][segment]:
            continue
        name = names[content["seg_file"][segment]]
        first = SEGMENT * int(content["seg_pos"][segment]) + int(start)
        group = _group(str(content["seg_clip"][segment]))
        answers, source = PEOPLE_ANSWERS.get(name, (OTHER,)), ("ucf101_people", name)
        yield PersonTrack(f"ucf101_people/{name}", first, person, answers, source, group)


def _group(clip: str) -> str:
    """`Diving/v_Diving_g01_c02` → `ucf101/Diving/1`."""
    found = re.search(r"v_(\w+)_g(\d+)_c\d+$", clip)
    if found is None:
        raise UserError(f"{clip}: not the name of a clip of UCF-101")
    return f"ucf101/{found[1]}/{int(found[2])}"


def _class_and_group(group: str) -> tuple[str, int]:
    _, name, number = group.split("/")
    return name, int(number)


def _drawn_groups(tracks: list[PersonTrack], share: float, seed: int) -> set[str]:
    """Groups with about this share of the tracks of each class, in an order that only their names and the seed make."""
    drawn: set[str] = set()
    by_class: dict[tuple[str, str], Counter[str]] = {}
    for track in tracks:
        by_class.setdefault(track.source, Counter())[track.group] += 1
    for groups in by_class.values():
        left = math.ceil(share * groups.total())
        for group in sorted(groups, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).hexdigest()):
            if groups[group] <= left:
                drawn.add(group)
                left -= groups[group]
    return drawn
