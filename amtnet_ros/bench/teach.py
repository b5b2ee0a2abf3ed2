"""`amtnet bench teach`: how many clips of a new action it takes, by classes of UCF-101 taught as if they were new.

For each number of clips, new actions are drawn, and of each of them clips; clips of other groups (other people, other
places) are held out. What is counted is what the taught model says of the person followed longest, in the last second
(and of the whole picture, where nobody else is followed):
of held-out clips the right action, of clips of all other classes any of the new actions, `other` being allowed.
Beside it, where the others are lost: in how many held-out clips somebody is followed at all, and in how many the right
one of the new actions is the likeliest, `other` left aside.
"""

from __future__ import annotations

import json
import re
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from amtnet_ros.bench.machine import machine
from amtnet_ros.boxes import iou
from amtnet_ros.command_options import data_root_option
from amtnet_ros.contracts import Float32, UInt8
from amtnet_ros.data.actions_file import NONE
from amtnet_ros.data.annotations import ActionInstance
from amtnet_ros.data.groups import read_field_groups
from amtnet_ros.data.people import SEGMENT
from amtnet_ros.data.ucf101_24 import read_ucf101_24
from amtnet_ros.errors import UserError
from amtnet_ros.files import WholeFile, cache_folder, read_json, write_whole
from amtnet_ros.inference.card import ACTOR, find_model, read_card
from amtnet_ros.inference.factory import make_actor_engine
from amtnet_ros.media.video import open_source
from amtnet_ros.pipeline import Pipeline, PipelineOptions
from amtnet_ros.teaching.known_people import KnownPeople, read_people
from amtnet_ros.teaching.layer import Answers, Float64
from amtnet_ros.teaching.lesson import Lesson, TaughtClip, probabilities, rows_of, teach
from amtnet_ros.teaching.people import DetectorTubes, PersonTube
from amtnet_ros.teaching.taught_clips import WAYS, WHOLE_WAYS
from amtnet_ros.teaching.views import ways_of, whole_ways_of
from amtnet_ros.teaching.watching import watch

RATE = 25.0
LEAST_CLIPS, LONGEST = 15, 50
"""Of a class; of the frames of a clip that are watched."""


@dataclass(frozen=True, eq=False)
class StudyClip:
    """Frames first … first + count - 1 of a video. truth: of an annotated person, if there is one and no other."""

    label: str
    group: int
    path: Path
    first: int
    count: int
    truth: ActionInstance | None


@dataclass(frozen=True)
class Seen:
    """What the detector and the stream see of a clip. ways: of the person followed longest, none if there is none.

    whole: ways to see the whole picture meanwhile. alone: whether nobody else is followed.
    overlap: mean IoU of that person's boxes with the truth; nan where it is not known.
    """

    ways: tuple[Float32, ...]
    whole: tuple[Float32, ...]
    alone: bool
    overlap: float

    def as_taught(self, name: str, label: str, group: str) -> TaughtClip:
        """As `amtnet teach` takes it."""
        return TaughtClip(name, label, group, self.ways, self.whole, self.alone)


@click.command("teach")
@click.option("--model", default="light", show_default=True)
@click.option("--clips", default="1,3,5,10,20", show_default=True, help="Clips of each new action.")
@click.option("--actions", type=click.IntRange(2), default=3, show_default=True, help="New actions at a time.")
@click.option("--draws", type=click.IntRange(1), default=20, show_default=True)
@click.option(
    "--of-each-class", type=click.IntRange(LEAST_CLIPS), default=30, show_default=True, help="Clips, at most."
)
@click.option("--classes", type=click.IntRange(3), help="So many of the classes only, drawn by the seed.")
@click.option("--persons-only", is_flag=True, help="For comparison: leave the whole pictures out.")
@click.option(
    "--none",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Clips of `none`, of one half of the other classes; of the other half it is counted what is claimed.",
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Also write the figures to this JSON file.")
@data_root_option
def bench_teach(
    model: str,
    clips: str,
    actions: int,
    draws: int,
    of_each_class: int,
    classes: int | None,
    persons_only: bool,
    none: int,
    seed: int,
    out: Path | None,
    data_root: Path,
) -> None:
    """Teach classes of UCF-101 by few clips, and count what is named, and what is claimed.

    Each clip is watched once by the detector, as `amtnet annotate` does; what was seen is kept.
    """
    console = Console(stderr=True)
    folder = find_model(model)
    by_class = study_clips(data_root, of_each_class, seed)
    if classes is not None:
        drawn = np.random.default_rng(seed).permutation(sorted(by_class))[:classes].tolist()
        by_class = {label: by_class[label] for label in drawn}
    everything = [clip for found in by_class.values() for clip in found]
    looker = _Looker(folder, cache_folder() / "bench_teach", seed)
    seen = {clip: looker.look(clip) for clip in track(everything, "watching clips", console=console)}
    if persons_only:
        seen = {clip: replace(one, whole=()) for clip, one in seen.items()}
    study = Study(by_class, seen, read_people(folder), folder, none)
    rows = []
    for count in (int(text) for text in clips.split(",")):
        shown = track(range(draws), f"{count} clips", console=console, transient=True)
        rows.append(study.figures(count, actions, [seed * 1000 + draw for draw in shown]))
    overlaps = np.array([one.overlap for one in seen.values()])
    boxes = float(np.nanmean(overlaps)) if np.isfinite(overlaps).any() else float("nan")
    Console().print(_table(rows, f"{actions} new actions of {len(by_class)}, {draws} draws"))
    known = int(np.isfinite(overlaps).sum())
    click.echo(f"boxes: mean IoU {boxes:.3f} to the truth of {known} clips with one annotated person")
    if out is not None:
        content = {
            "machine": machine(),
            "model": folder.name,
            "draws": draws,
            "classes": list(by_class),
            "clips": len(everything),
            "whole picture": not persons_only,
            "clips of none": none,
            "boxes IoU": boxes,
            "rows": rows,
        }
        write_whole(out, json.dumps(content, indent=2) + "\n")


def study_clips(root: Path, most: int, seed: int) -> dict[str, list[StudyClip]]:
    """Clips by class, of UCF-101-24 and ucf101_people, each time another group if possible; no field test's groups.

    Raises UserError where a data set is missing.
    """
    kept_out = read_field_groups(root / "field" / "field_groups.txt")
    found: dict[str, dict[int, list[StudyClip]]] = defaultdict(lambda: defaultdict(list))
    for clip in (*_of_ucf(root / "ucf101_24"), *_of_people(root / "ucf101_people")):
        if (clip.label, clip.group) not in kept_out:
            found[clip.label][clip.group].append(clip)
    rng = np.random.default_rng(seed)
    chosen: dict[str, list[StudyClip]] = {}
    for label, groups in found.items():
        if sum(map(len, groups.values())) >= LEAST_CLIPS:
            order = [int(group) for group in rng.permutation(sorted(groups))]
            chosen[label] = in_rounds([clip for clips in groups.values() for clip in clips], order)[:most]
    return chosen


def in_rounds(clips: list[StudyClip], groups: list[int]) -> list[StudyClip]:
    """The first clip of each of these groups, in their order, then the second of each, and so on."""
    return in_turn([[clip for clip in clips if clip.group == group] for group in groups])


def in_turn(clips: list[list[StudyClip]]) -> list[StudyClip]:
    """The first clip of each list, then the second of each, and so on."""
    longest = max(map(len, clips), default=0)
    return [clip for depth in range(longest) for of_one in clips for clip in of_one[depth : depth + 1]]


def _of_ucf(folder: Path) -> Iterator[StudyClip]:
    """Clips with one annotated person, from where the annotation begins."""
    for name, video in sorted(read_ucf101_24(folder).videos.items()):
        path = folder / "videos" / f"{name}.mp4"
        if len(video.instances) == 1 and len(video.instances[0].frames) >= SEGMENT and path.exists():
            label, group = _class_and_group(name)
            first, count = int(video.instances[0].frames[0]), min(LONGEST, len(video.instances[0].frames))
            yield StudyClip(label, group, path, first, count, video.instances[0])


def _of_people(folder: Path) -> Iterator[StudyClip]:
    names = read_json(folder / "names.json")["classes"]
    with np.load(folder / "segments.npz", allow_pickle=False) as file:
        columns = [file[key] for key in ("seg_file", "seg_pos", "seg_clip", "kept_out")]
    for number, position, name, kept_out in zip(*columns, strict=True):
        if not kept_out:
            group = _class_and_group(str(name))[1]
            yield StudyClip(
                names[number], group, folder / f"{names[number]}.mp4", SEGMENT * int(position), SEGMENT, None
            )


def _class_and_group(name: str) -> tuple[str, int]:
    found = re.search(r"v_(\w+)_g(\d+)_c\d+$", name)
    if found is None:
        raise UserError(f"{name}: not the name of a clip of UCF-101")
    return found[1], int(found[2])


class _Looker:
    """Watches clips as `amtnet annotate` and `amtnet teach` do, and keeps what it saw."""

    def __init__(self, folder: Path, cache: Path, seed: int) -> None:
        card = read_card(folder)
        self._cache, self._seed = cache / f"{card.files[ACTOR][:12]}_whole", seed
        self._find = DetectorTubes(Pipeline.from_model(folder, "cpu", PipelineOptions(delta=2)))
        self._engine = make_actor_engine(folder, "cpu", at_once=16)
        self._images: tuple[Path, list[UInt8]] | None = None

    def look(self, clip: StudyClip) -> Seen:
        """From the cache, or anew."""
        kept = self._cache / f"{clip.path.stem}_{clip.first}_{clip.count}_{self._seed}.npz"
        if kept.exists():
            with np.load(kept, allow_pickle=False) as file:
                ways, whole = ([file[key] for key in file.files if key.startswith(kind)] for kind in ("way", "whole"))
                return Seen(tuple(ways), tuple(whole), bool(file["alone"]), float(file["overlap"]))
        seen = self._watch(clip)
        with WholeFile(kept, parents=True) as temporary, temporary.open("wb") as file:
            views: dict[str, Any] = {f"way{number}": way for number, way in enumerate(seen.ways)}
            views |= {f"whole{number}": way for number, way in enumerate(seen.whole)}
            np.savez(file, overlap=np.array(seen.overlap), alone=np.array(seen.alone), **views)
        return seen

    def _watch(self, clip: StudyClip) -> Seen:
        if self._images is None or self._images[0] != clip.path:  # many clips lie in one file
            self._images = (clip.path, list(open_source(str(clip.path))))
        images = self._images[1][clip.first : clip.first + clip.count]
        people = self._find(images, RATE)
        if not people:
            return Seen((), (), False, 0.0 if clip.truth else float("nan"))
        rng = np.random.default_rng([self._seed, clip.first, clip.group])
        person, size = people[0], (images[0].shape[1], images[0].shape[0])
        ways = ways_of(person.first_frame, person.boxes, RATE, WAYS, rng)
        ways += whole_ways_of(person.first_frame, len(person.boxes), size, RATE, WHOLE_WAYS, rng)
        seen = [one.features for one in watch(self._engine, images, ways)]
        of_person, whole = (tuple(way for way in part if len(way)) for part in (seen[:WAYS], seen[WAYS:]))
        return Seen(of_person, whole, len(people) == 1, overlap_with(people[0], clip))


def overlap_with(person: PersonTube, clip: StudyClip) -> float:
    """Mean IoU with the annotated person, in the frames that both have; nan where there is no truth."""
    if clip.truth is None:
        return float("nan")
    frames = clip.first + person.first_frame + np.arange(len(person.boxes))
    _, mine, true = np.intersect1d(frames, clip.truth.frames, return_indices=True)
    return float(iou(person.boxes[mine].T, clip.truth.boxes[true].T).mean()) if len(mine) else 0.0


class Study:
    """Teaches drawn classes, and counts."""

    def __init__(
        self,
        by_class: dict[str, list[StudyClip]],
        seen: dict[StudyClip, Seen],
        known: KnownPeople,
        folder: Path,
        none: int = 0,
    ) -> None:
        """none: how many clips of `none` are given."""
        from amtnet_ros.deploy.answer_layer import hidden_layer

        self._by_class, self._seen, self._known, self._none = by_class, seen, known, none
        self._hidden = hidden_layer(folder / ACTOR)

    def figures(self, count: int, n_actions: int, seeds: Iterable[int]) -> dict[str, float]:
        """Means over draws, percentages; seconds of teaching."""
        found = [self._draw(count, n_actions, seed) for seed in seeds]
        means = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
        return {"clips": float(count), **means}

    def _draw(self, count: int, n_actions: int, seed: int) -> dict[str, float]:
        rng = np.random.default_rng(seed)
        labels = tuple(str(label) for label in rng.permutation(sorted(self._by_class))[:n_actions])
        others = rng.permutation([label for label in sorted(self._by_class) if label not in labels]).tolist()
        shown, strange = (others[::2], others[1::2]) if self._none else ([], others)
        taught: list[TaughtClip] = []
        asked: list[StudyClip] = []
        for label in labels:
            learnt, held_out = draw_clips(self._by_class[label], count, rng)
            asked += held_out
            taught += self._taught(label, learnt)
        none = in_turn([self._by_class[label] for label in shown])[: self._none]
        begin = time.perf_counter()
        lesson = teach(rows_of([*taught, *self._taught(NONE, none)], self._known, self._hidden), Answers(labels), seed)
        seconds = time.perf_counter() - begin
        right = np.array([labels.index(clip.label) for clip in asked])
        of_asked = self._said(lesson, asked)
        of_strangers = self._said(lesson, [clip for label in strange for clip in self._by_class[label]])
        followed = of_asked.any(axis=1)
        shares = {
            "named %": followed & (of_asked.argmax(axis=1) == right),
            "claimed %": of_strangers.any(axis=1) & (of_strangers.argmax(axis=1) < n_actions),
            "followed %": followed,
            "told apart %": followed & (of_asked[:, :n_actions].argmax(axis=1) == right),
        }
        return {name: 100 * float(chosen.mean()) for name, chosen in shares.items()} | {"seconds": seconds}

    def _taught(self, label: str, clips: list[StudyClip]) -> list[TaughtClip]:
        """As `amtnet teach` takes them; a clip in which nobody is followed teaches nothing."""
        followed = [clip for clip in clips if self._seen[clip].ways]
        return [
            self._seen[clip].as_taught(f"{label} {clip.path} {clip.first}", label, f"{clip.label} {clip.group}")
            for clip in followed
        ]

    def _said(self, lesson: Lesson, clips: list[StudyClip]) -> Float64:
        """(N, A) probabilities; zeros of clips in which nobody is followed, of which nothing is said."""
        said = np.zeros((len(clips), len(lesson.answers.order)))
        followed = [i for i, clip in enumerate(clips) if self._seen[clip].ways]
        if followed:
            seconds = zip(*(self._seen[clips[i]].as_taught("", "", "").last_second for i in followed), strict=True)
            said[followed] = probabilities(lesson, *(self._hidden(np.stack(view)) for view in seconds))
        return said


def draw_clips(clips: list[StudyClip], count: int, rng: np.random.Generator) -> tuple[list[StudyClip], list[StudyClip]]:
    """Clips to learn from, of as many groups as there are at most, and those of all groups left; some always are."""
    groups = [int(group) for group in rng.permutation(sorted({clip.group for clip in clips}))]
    learnt = in_rounds(clips, groups[max(1, len(groups) // 4) :])[:count]
    taken = {clip.group for clip in learnt}
    return learnt, [clip for clip in clips if clip.group not in taken]


def _table(rows: list[dict[str, float]], title: str) -> Table:
    table = Table(title=title)
    shares = ("named %", "claimed %", "followed %", "told apart %")
    for name in ("clips of each", *shares, "seconds to learn"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(f"{row['clips']:.0f}", *(f"{row[name]:.1f}" for name in shares), f"{row['seconds']:.1f}")
    return table
