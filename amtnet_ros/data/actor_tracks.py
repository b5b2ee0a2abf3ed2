"""People of whom it is known what they do, or what they do not: what the actor stream is taught from.

An answer is one of J-HMDB's 21 labels, OTHER (a person who does none of them) or NOBODY. Where several answers are as
right, any of them is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from amtnet_ros.contracts import Float32
from amtnet_ros.data.annotations import Dataset
from amtnet_ros.data.groups import draw_groups, read_kept_out
from amtnet_ros.data.jhmdb21 import read_jhmdb21
from amtnet_ros.data.people import read_ucf101_people
from amtnet_ros.data.ucf101_24 import read_ucf101_24

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
    kept_out = read_kept_out(root)
    videos = {
        **{f"jhmdb21/{name}": path for name in jhmdb.videos if (path := jhmdb.videos[name].path) is not None},
        **{f"ucf101_24/{name}": root / "ucf101_24" / "videos" / f"{name}.mp4" for name in ucf.train},
        **{f"ucf101_people/{name}": root / "ucf101_people" / f"{name}.mp4" for name in (*PEOPLE_ANSWERS, *UNSEEN)},
    }
    ucf101 = (*_of_ucf(ucf), *_of_people(root / "ucf101_people"))
    tracks = [
        *_of_jhmdb(jhmdb),
        *(track for track in ucf101 if track.group not in kept_out and videos[track.video].is_file()),
    ]
    unseen = [track for track in tracks if track.source[1] in UNSEEN]
    taught = [track for track in tracks if track.source[1] not in UNSEEN]
    kept_back = draw_groups(((track.source, track.group) for track in taught), held_out, seed)
    named = {track.video for track in tracks}
    return Tracks(
        learnt=tuple(track for track in taught if track.group not in kept_back),
        held_out=tuple(track for track in taught if track.group in kept_back),
        unseen=tuple(unseen),
        videos={name: path for name, path in videos.items() if name in named},
        classes=jhmdb.classes,
    )


def few_of_each(tracks: Sequence[PersonTrack], most: int) -> list[PersonTrack]:
    """At most this many people of each class, spread evenly over the list."""
    by_class: dict[tuple[str, str], list[PersonTrack]] = {}
    for track in tracks:
        by_class.setdefault(track.source, []).append(track)
    counts = [(found, min(most, len(found))) for found in by_class.values()]
    return [found[i * len(found) // count] for found, count in counts for i in range(count)]


def _of_jhmdb(dataset: Dataset) -> Iterator[PersonTrack]:
    for name in dataset.train:
        action = dataset.videos[name].instances[0]
        label = dataset.classes[action.label]
        yield PersonTrack(f"jhmdb21/{name}", 0, action.boxes, (label,), ("jhmdb21", label), dataset.groups[name])


def _of_ucf(dataset: Dataset) -> Iterator[PersonTrack]:
    """The annotated people of the clips that are there; what they do before and after is not known."""
    for name in dataset.train:
        label = name.partition("/")[0]
        if label not in UCF101_24_ANSWERS and label not in UNSEEN:
            continue
        for action in dataset.videos[name].instances:
            answers, source = UCF101_24_ANSWERS.get(label, (OTHER,)), ("ucf101_24", label)
            group = dataset.groups[name]
            yield PersonTrack(f"ucf101_24/{name}", int(action.frames[0]), action.boxes, answers, source, group)


def _of_people(folder: Path) -> Iterator[PersonTrack]:
    dataset = read_ucf101_people(folder)
    for segment in dataset.videos.values():
        name = segment.name.partition("@")[0]
        for person in segment.instances:
            first, label = (segment.first or 0) + int(person.frames[0]), dataset.classes[person.label]
            answers, source = PEOPLE_ANSWERS.get(label, (OTHER,)), ("ucf101_people", label)
            yield PersonTrack(name, first, person.boxes, answers, source, dataset.groups[segment.name])
