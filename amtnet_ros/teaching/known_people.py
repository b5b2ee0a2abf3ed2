"""People that a model's actor stream has seen, as features: those to tell new actions from, `people.npz`.

Nobody who teaches a robot an action has J-HMDB at hand. So a model folder holds what its stream sees of some hundred
people, 480 numbers each, and as many of what is around them: no pictures, and nothing that pictures could be made of.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from amtnet_ros.actors.crops import whole_view
from amtnet_ros.contracts import NOBODY, Bool, Float32
from amtnet_ros.data.actor_clips import EMPTY_SIDES
from amtnet_ros.data.annotations import Dataset
from amtnet_ros.data.empty_places import draw_empty_square
from amtnet_ros.errors import UserError
from amtnet_ros.files import WholeFile
from amtnet_ros.inference.card import PEOPLE, ActorCard
from amtnet_ros.inference.contract import ActorEngine
from amtnet_ros.media.video import open_source
from amtnet_ros.teaching.views import Way, ways_of
from amtnet_ros.teaching.watching import watch

OF_EACH_ACTION = 12
"""Clips of a data set that people are taken from."""
EMPTY = 0.5
"""A window is of nobody if the stream itself says so, by as much."""


@dataclass(frozen=True)
class KnownPeople:
    """features: (N, F) float32. labels: N, what each does: an action, `none`, or `nobody` for a window without anybody.

    groups: N, such that moments of one recording have the same. whole: (N, F) float32, of the whole picture at that
    moment; where that does not speak, `features`.
    """

    features: Float32
    labels: tuple[str, ...]
    groups: tuple[str, ...]
    whole: Float32

    @property
    def of_scenes(self) -> Bool:
        """(N,), of whom there is a whole picture."""
        return np.asarray((self.whole != self.features).any(axis=1))

    def write(self, path: Path) -> None:
        """In 8 bits a number, with a step for each feature. Raises UserError if it cannot be written."""
        steps = np.maximum(np.maximum(self.features, self.whole).max(axis=0), 1e-6) / 255
        of_scenes = np.flatnonzero(self.of_scenes)
        with WholeFile(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(
                file,
                features=np.round(self.features / steps).astype(np.uint8),
                whole=np.round(self.whole[of_scenes] / steps).astype(np.uint8),
                of_scenes=of_scenes.astype(np.int32),
                steps=steps.astype(np.float32),
                labels=np.array(self.labels),
                groups=np.array(self.groups),
            )


def read_people(folder: Path) -> KnownPeople:
    """Those of a model folder. Raises UserError if it holds none."""
    path = folder / PEOPLE
    if not path.is_file():
        raise UserError(f"{folder}: holds no '{PEOPLE}', people to tell new actions from; `amtnet add-people` makes it")
    try:
        with np.load(path, allow_pickle=False) as file:
            features = file["features"].astype(np.float32) * file["steps"]
            whole = features.copy()
            if "whole" in file:  # models that were taught before have persons alone
                whole[file["of_scenes"]] = file["whole"].astype(np.float32) * file["steps"]
            return KnownPeople(features, tuple(file["labels"].tolist()), tuple(file["groups"].tolist()), whole)
    except (OSError, KeyError, ValueError, IndexError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: damaged ({error})") from error


def look_at_people(
    engine: ActorEngine, actor: ActorCard, dataset: Dataset, videos: Iterable[str], seed: int
) -> KnownPeople:
    """What a stream sees of the actors of these videos at the end, of the whole pictures, and of windows beside them.

    A window counts where the stream itself says that nobody is there.
    """
    rng = np.random.default_rng(seed)
    features: list[Float32] = []
    wholes: list[Float32] = []
    labels: list[str] = []
    groups: list[str] = []
    for name in videos:
        video, action = dataset.videos[name], dataset.videos[name].instances[0]
        (way,) = ways_of(int(action.frames[0]), action.boxes, 30.0, 1, rng)
        empty = draw_empty_square(rng, action.boxes, video.size, EMPTY_SIDES)
        views = [whole_view(video.size)] + ([empty] if empty is not None else [])
        ways = [way, *(Way(way.frames, (view,) * len(way.frames)) for view in views)]
        label = dataset.classes[action.label]
        person, whole, *windows = watch(engine, open_source(str(video.path)), ways)
        for found, around, said in ((person, whole, label), *((window, window, NOBODY) for window in windows)):
            is_empty = said == NOBODY
            if len(found.features) and (not is_empty or found.answers[-1, actor.answers.index(NOBODY)] >= EMPTY):
                features.append(found.features[-1])
                wholes.append(around.features[-1])
                labels.append(said)
                groups.append(name[: name.rindex(f"_{label}_")] if f"_{label}_" in name else name)
    return KnownPeople(np.stack(features), tuple(labels), tuple(groups), np.stack(wholes))


def some_of_each(dataset: Dataset, most: int = OF_EACH_ACTION) -> list[str]:
    """Training videos, at most this many of each class, spread evenly over the list."""
    by_class: dict[int, list[str]] = {}
    for name in dataset.train:
        by_class.setdefault(dataset.videos[name].instances[0].label, []).append(name)
    return [
        names[i * len(names) // min(most, len(names))]
        for names in by_class.values()
        for i in range(min(most, len(names)))
    ]
