"""What an experiment learns from: one data set, or several with a weight each and the meaning of their labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from amtnet_ros.data import people_detector
from amtnet_ros.data.annotations import UNKNOWN, ActionInstance, AnnotatedVideo, Dataset, spread
from amtnet_ros.data.cache import VideoCache
from amtnet_ros.data.groups import draw_groups, read_kept_out
from amtnet_ros.data.jhmdb21 import read_jhmdb21, read_masks
from amtnet_ros.data.people import find_people, read_ucf101_people
from amtnet_ros.data.samples import MixedSamples, PairOptions, PairSamples
from amtnet_ros.data.scene import Masks
from amtnet_ros.data.sources import read_dataset
from amtnet_ros.data.ucf101_24 import read_ucf101_24
from amtnet_ros.errors import UserError
from amtnet_ros.training.config import DataConfig, Experiment, SourceConfig


class Source(NamedTuple):
    """dataset: its labels are the network's. names: the videos to learn from. weight: see `MixedSamples`."""

    dataset: Dataset
    names: tuple[str, ...]
    weight: int
    masks: Masks | None = None

    def videos(self) -> list[AnnotatedVideo]:
        return [self.dataset.videos[name] for name in self.names]


def open_dataset(config: DataConfig, data_root: Path) -> Dataset:
    """The data set whose classes are taught. Raises UserError if it cannot be read or has nothing to train on."""
    if config.root is None:
        source = f"jhmdb21:{config.split}" if config.dataset == "jhmdb21" else config.dataset
        dataset = read_dataset(source, data_root)
    elif config.dataset == "jhmdb21":
        dataset = read_jhmdb21(Path(config.root), config.split)
    elif config.dataset == "ucf101_24":
        dataset = read_ucf101_24(Path(config.root))
    else:
        dataset = read_dataset(config.root, data_root)
    if not dataset.train:
        raise UserError(f"{config.root or dataset.name}: no video is marked for training (split: train)")
    return dataset


def hold_out(dataset: Dataset, share: float, seed: int) -> tuple[str, ...]:
    """The training videos that are kept back: about this share of each class, whole source videos of it."""
    classes = {name: {x.label for x in dataset.videos[name].instances} for name in dataset.train}
    members = [(label, dataset.groups.get(name, name)) for name in dataset.train for label in classes[name]]
    drawn = draw_groups(members, share, seed)
    return tuple(name for name in dataset.train if dataset.groups.get(name, name) in drawn)


def open_sources(experiment: Experiment, dataset: Dataset, data_root: Path, cache: Path) -> tuple[Source, ...]:
    """What to draw pairs from. dataset: that whose classes are taught. cache: where it is kept who was found.

    Raises UserError if a source cannot be read, or has labels that are not there.
    """
    config = experiment.data
    masks = None
    if experiment.augmentation.copy_paste:
        masks = partial(read_masks, Path(config.root) if config.root is not None else data_root / "jhmdb21")
    sources = []
    for name, source in (config.sources or {config.dataset: SourceConfig(weight=1)}).items():
        is_own = name == config.dataset
        read = dataset if is_own else _read(name, data_root, config, cache)
        kept_back = set(hold_out(read, config.held_out, experiment.run.seed))
        names = spread(tuple(name for name in read.train if name not in kept_back), config.clips)
        if not is_own:
            read = relabelled(read, source.labels, dataset.classes, name)
        sources.append(Source(read, names, source.weight, masks if is_own else None))
    return tuple(sources)


def make_samples(
    sources: tuple[Source, ...], cache: VideoCache, options: PairOptions, seed: int
) -> PairSamples | MixedSamples:
    """The samples of the sources; of one alone, its own."""
    plain = replace(options, augmentation=replace(options.augmentation, copy_paste=0.0))
    parts = [
        PairSamples(x.dataset, x.names, cache, plain if x.masks is None else options, seed, x.masks) for x in sources
    ]
    return parts[0] if len(parts) == 1 else MixedSamples(parts, [x.weight for x in sources], seed)


def relabelled(dataset: Dataset, labels: Mapping[str, str | None], classes: tuple[str, ...], source: str) -> Dataset:
    """A data set with the labels of a network's classes.

    labels: of the data set's classes, what they are there; None where nobody can say. Of classes that are not named,
    those of the same name are the same, and others UNKNOWN. Raises UserError for a class that is not there.
    """
    for theirs, ours in labels.items():
        if theirs not in dataset.classes:
            raise UserError(f"data.sources, {source}, labels: {theirs!r} is no class of it")
        if ours is not None and ours not in classes:
            raise UserError(f"data.sources, {source}, labels: {ours!r} is no class of the network")
    meant = {theirs: labels.get(theirs, theirs if theirs in classes else None) for theirs in dataset.classes}
    numbers = [UNKNOWN if (ours := meant[theirs]) is None else classes.index(ours) for theirs in dataset.classes]

    def renamed(people: Iterable[ActionInstance]) -> tuple[ActionInstance, ...]:
        return tuple(replace(x, label=UNKNOWN if x.label == UNKNOWN else numbers[x.label]) for x in people)

    videos = {name: replace(video, instances=renamed(video.instances)) for name, video in dataset.videos.items()}
    return replace(dataset, classes=classes, videos=videos)


def _read(name: str, data_root: Path, config: DataConfig, cache: Path) -> Dataset:
    """A source besides the data set: of UCF-101 what may be learnt from, or own actions."""
    if name == "jhmdb21" or name.endswith(".json"):
        return read_dataset(f"jhmdb21:{config.split}" if name == "jhmdb21" else name, data_root)
    if name not in ("ucf101_24", "ucf101_people"):
        raise UserError(
            f"data.sources: no {name}; there are jhmdb21, ucf101_24, ucf101_people, and JSON files of actions"
        )
    kept_out = read_kept_out(data_root)
    dataset = read_ucf101_24(data_root / name) if name == "ucf101_24" else read_ucf101_people(data_root / name)
    dataset = replace(dataset, train=tuple(x for x in dataset.train if dataset.groups[x] not in kept_out))
    if name == "ucf101_24":
        teachers = Path(config.teachers) if config.teachers is not None else data_root.parent / "teachers"
        dataset = find_people(dataset, cache, teachers / people_detector.FILE)
    return dataset
