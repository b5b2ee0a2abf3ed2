"""The features of the people of a data set, looked at once and kept: what a lesson is learnt from."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from amtnet_ros.contracts import Float32
from amtnet_ros.data.actions_file import NONE
from amtnet_ros.data.annotations import ActionInstance, AnnotatedVideo, Dataset
from amtnet_ros.errors import UserError
from amtnet_ros.files import WholeFile
from amtnet_ros.inference.contract import ActorEngine
from amtnet_ros.inference.graph_file import file_hash
from amtnet_ros.media.video import open_source
from amtnet_ros.teaching.clips import source_of
from amtnet_ros.teaching.lesson import TaughtClip
from amtnet_ros.teaching.views import ways_of, whole_ways_of
from amtnet_ros.teaching.watching import watch

WAYS, WHOLE_WAYS = 3, 2
"""Ways to look at each person, and at the whole picture: the robot's, and others."""
VERSION = 3
"""Of what is kept."""


class _Person(NamedTuple):
    name: str
    label: str
    first_frame: int
    boxes: Float32


def look_at_clips(
    dataset: Dataset,
    names: Sequence[str],
    engine: ActorEngine,
    model: str,
    cache: Path,
    seed: int,
    say: Callable[[str], None],
    progress: Callable[[Sequence[str]], Iterable[str]] = lambda names: names,
) -> list[TaughtClip]:
    """Everybody in these videos of whom it is known what they do.

    model: a hash of the stream's graph. cache: folder for what was seen, so that a second lesson takes no time.
    say: takes a line about each video that nothing can be learnt from. progress: wraps the names.
    Raises UserError if the cache cannot be written.
    """
    found: list[TaughtClip] = []
    for name in progress(names):
        video = dataset.videos[name]
        people = [_person(video, number, one, dataset.classes) for number, one in enumerate(_people(video))]
        try:
            *seen, whole = _look(video, people, engine, model, cache, seed)
        except UserError as error:
            say(f"{name}: left out: {error}")
            continue
        clips = []
        for number, (person, ways) in enumerate(zip(people, seen, strict=True)):
            of_whole = tuple(way for way in whole if len(way)) if number == 0 else ()
            of_person = tuple(way for way in ways if len(way))
            clips.append(
                TaughtClip(person.name, person.label, _group(video), of_person, of_whole, alone=len(people) == 1)
            )
        kept = [clip for clip in clips if clip.ways]
        if not kept:
            say(f"{name}: left out: nobody in it is seen for long enough")
        found += kept
    return found


def _people(video: AnnotatedVideo) -> tuple[ActionInstance, ...]:
    return (*video.instances, *video.others)


def _person(video: AnnotatedVideo, number: int, person: ActionInstance, classes: Sequence[str]) -> _Person:
    """With a box in every frame, also where only some were drawn."""
    frames = np.arange(person.frames[0], person.frames[-1] + 1)
    boxes = np.stack([np.interp(frames, person.frames, side) for side in person.boxes.T], axis=1).astype(np.float32)
    label = (*classes, NONE)[person.label]
    return _Person(f"{video.name}#{number}", label, int(frames[0]), boxes)


def _group(video: AnnotatedVideo) -> str:
    return source_of(Path(video.path or video.name).stem)


def _look(
    video: AnnotatedVideo, people: Sequence[_Person], engine: ActorEngine, model: str, cache: Path, seed: int
) -> list[list[Float32]]:
    """Of each person, and last of the whole picture while the first of them is in it, the features of each way.

    From the cache, if video, boxes and stream are what they were.
    """
    if video.path is None or not people:
        raise UserError("the video is not at hand" if video.path is None else "nobody is in it")
    facts = hashlib.sha256(f"{VERSION} {model} {seed} {video.path.resolve()} {_state(video.path)}".encode())
    for person in people:
        facts.update(person.boxes.tobytes() + str(person.first_frame).encode())
    kept = cache / f"{facts.hexdigest()[:32]}.npz"
    try:
        with np.load(kept, allow_pickle=False) as file:
            flat = [file[str(number)] for number in range(len(people) * WAYS + WHOLE_WAYS)]
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):  # not there, or not whole: looked at anew
        source = open_source(str(video.path))
        rng = np.random.default_rng([seed, int(facts.hexdigest()[:8], 16)])
        ways = [way for one in people for way in ways_of(one.first_frame, one.boxes, source.rate, WAYS, rng)]
        first = people[0]
        ways += whole_ways_of(first.first_frame, len(first.boxes), video.size, source.rate, WHOLE_WAYS, rng)
        flat = [moments.features for moments in watch(engine, source, ways)]
        with WholeFile(kept, parents=True) as temporary, temporary.open("wb") as file:
            np.savez(file, **{str(number): features for number, features in enumerate(flat)})
    return [flat[begin : begin + WAYS] for begin in range(0, len(flat), WAYS)]


def _state(path: Path) -> str:
    status = path.stat()
    return f"{status.st_size} {status.st_mtime_ns}"


def model_hash(path: Path) -> str:
    """Of a stream's graph, for `look_at_clips`."""
    return file_hash(path)
