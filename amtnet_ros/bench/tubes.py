"""`amtnet bench tubes`: how fast the linker is, whether it stays so, and what linking costs in accuracy."""

from __future__ import annotations

import gc
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from amtnet_ros.bench.linking_study import VARIANTS, LinkingScores, link_all, score, variants
from amtnet_ros.bench.machine import machine
from amtnet_ros.bench.noisy_truth import Noise, NoisyPair, noisy_pairs, perfect_tubes
from amtnet_ros.bench.people import people
from amtnet_ros.bench.plain_linker import PlainLinker
from amtnet_ros.command_options import data_root_option, json_option
from amtnet_ros.contracts import MicroTubes
from amtnet_ros.data.annotations import Dataset, spread
from amtnet_ros.data.sources import read_dataset
from amtnet_ros.errors import UserError
from amtnet_ros.evaluation.detections import open_kept
from amtnet_ros.evaluation.tubes import Float64
from amtnet_ros.evaluation.video_map import VideoMap
from amtnet_ros.tubes import PAPER, LinkerOptions, TubeLinker
from amtnet_ros.tubes import PER_CLASS as EVALUATED

CLASSES, PER_CLASS, PEOPLE, DELTA = 24, 10, 100, 4
SIZE = (1280, 720)
UPDATE = 33_333_333
"""Nanoseconds between two updates."""
DAY = 2_592_000
"""Updates in a day at 30 a second."""
WINDOW, BLOCK = 10_000, 1_000
"""Updates of the day that are compared, the first so many with the last so many; and how many between go together."""
DELTAS = (1, 2, 4, 8, 16)
PARTS = ("speed", "day", "linking", "people")


@click.command("tubes")
@click.option(
    "--part", "parts", multiple=True, type=click.Choice(PARTS), default=PARTS, help="Repeatable.  [default: all]"
)
@click.option(
    "--updates",
    type=click.IntRange(2 * WINDOW, DAY),
    default=6 * WINDOW,
    show_default=True,
    help=f"How many of a day's {DAY} updates (30 a second) are made: the first and the last {WINDOW}, and blocks of "
    f"{BLOCK} evenly between.",
)
@click.option(
    "--videos",
    type=click.IntRange(1),
    default=60,
    show_default=True,
    help="UCF-101-24 test videos whose annotations are linked.",
)
@click.option(
    "--detections",
    type=click.Path(path_type=Path),
    help="Link these kept detections (amtnet eval --detections) instead of noisy annotations.",
)
@click.option("--dataset", default="jhmdb21:1", show_default=True, help="Data set of --detections.")
@click.option(
    "--option",
    "changed",
    multiple=True,
    type=click.Choice([*VARIANTS, "none"]),
    default=tuple(VARIANTS),
    help="Option of the linker to study, repeatable; none leaves the study out.  [default: all]",
)
@click.option("--model", default="light", show_default=True, help="Name or folder of the model that sees `people`.")
@click.option("--seed", type=int, default=0, show_default=True)
@json_option
@data_root_option
def bench_tubes(
    parts: tuple[str, ...],
    updates: int,
    videos: int,
    detections: Path | None,
    dataset: str,
    changed: tuple[str, ...],
    model: str,
    seed: int,
    as_json: bool,
    data_root: Path,
) -> None:
    """Time the linker in a crowd, run it for a day, link noisy ground truth of UCF-101-24, and people who meet.

    With --detections, only link those: each option of the linker changed alone.
    """
    record: dict[str, Any] = {"machine": machine()}
    if detections is not None:
        record["options"] = study_detections(detections, dataset, data_root, changed)
    else:
        if "linking" in parts:
            record["linking"] = study_noise(read_dataset("ucf101_24", data_root), videos, seed, changed)
        if "people" in parts:
            record["people"] = people(model, data_root)
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        if "speed" in parts:
            record["speed"] = {"machine": machine(), **speed(seed)}
        if "day" in parts:
            record["day"] = {"machine": machine(), **day(updates, seed)}
    if as_json:
        click.echo(json.dumps(record, indent=2))
    else:
        show(record)


def crowd(seed: int, actors: bool) -> list[MicroTubes]:
    """Half a second's worth of pairs of a scene with 100 people who walk: 24 classes, 10 micro-tubes a class, shuffled.

    actors: as the network lists people: a micro-tube for each of a person's likely classes, with the same boxes;
    otherwise each person has one class, and the rest is false and weak.
    """
    rng = np.random.default_rng(seed)
    # ten rows of ten; neighbours touch, but nobody hides anybody
    place = np.stack(np.meshgrid(np.arange(10) * 120.0, np.arange(10) * 65.0), axis=2).reshape(-1, 2)
    corner, side = place + rng.uniform(0, 30, (PEOPLE, 2)), rng.uniform(40, 80, (PEOPLE, 2))
    n = CLASSES * PER_CLASS
    own = np.arange(PEOPLE) % CLASSES
    pairs = []
    for i in range(15):
        at = np.concatenate([corner, corner + side], axis=1)
        boxes = np.concatenate([at[:, None], at[:, None] + 2], axis=1)
        if actors:
            who = np.arange(n) % PEOPLE
            labels = (own[who] + np.arange(n) // PEOPLE) % CLASSES
            class_scores = np.full((PEOPLE, CLASSES), 0.005, np.float32)
            class_scores[np.arange(n) % PEOPLE, labels] = rng.uniform(0.2, 0.3, n)
            class_scores = class_scores[who]
            boxes = (boxes + rng.normal(0, 1, boxes.shape))[who]
        else:
            false = np.repeat(np.arange(CLASSES), PER_CLASS - np.bincount(own, minlength=CLASSES))
            labels = np.concatenate([own, false])
            spot = rng.uniform(0, 1, (n - PEOPLE, 2)) * [SIZE[0] - 30, SIZE[1] - 30]
            small = np.concatenate([spot, spot + 20], axis=1)
            boxes = np.concatenate([boxes, np.stack([small, small], axis=1)]) + rng.normal(0, 1, (n, 2, 4))
            class_scores = np.full((n, CLASSES), 0.001, np.float32)
            strong = np.arange(n) < PEOPLE
            class_scores[np.arange(n), labels] = np.where(strong, rng.uniform(0.5, 0.9, n), rng.uniform(0.02, 0.1, n))
        order = rng.permutation(n)
        labels, class_scores, boxes = labels[order], class_scores[order], boxes[order].astype(np.float32)
        frames = (i * DELTA, (i + 1) * DELTA)
        scores = class_scores[np.arange(n), labels]
        pairs.append(MicroTubes(boxes, labels, scores, class_scores, frames, (0, 0), SIZE))
    return pairs


class Endless:
    """The pairs of a scene forwards, backwards, forwards …, one following the other, without end."""

    def __init__(self, scene: Sequence[MicroTubes]) -> None:
        self._there_and_back = [*scene, *scene[-2:0:-1]]

    def __getitem__(self, i: int) -> MicroTubes:
        pair = self._there_and_back[i % len(self._there_and_back)]
        return replace(pair, frames=(i * DELTA, (i + 1) * DELTA), stamps=(i * UPDATE, (i + 1) * UPDATE))


def crowd_options(mode: str) -> LinkerOptions:
    """As the plain linker links; weak micro-tubes start no tube, so that 100 live."""
    return replace(PAPER, mode=mode, start_score=0.15, actor_limit=PEOPLE, max_candidates=CLASSES * PER_CLASS)


def speed(seed: int, updates: int = 2000, plain_updates: int = 200) -> dict[str, Any]:
    """Milliseconds an update, of the linker in both modes and of the plain one, on the same pairs in turn."""
    linkers = {mode: TubeLinker(CLASSES, crowd_options(mode)) for mode in ("per_class", "actor")}
    scenes = {mode: Endless(crowd(seed, actors=mode == "actor")) for mode in linkers}
    plain = PlainLinker(CLASSES, crowd_options("per_class"))
    timers = {name: Timer(updates) for name in (*linkers, "plain")}
    live = {}
    for i in range(updates):
        for mode, linker in linkers.items():
            pair = scenes[mode][i]
            with timers[mode]:
                update = linker.update(pair, DELTA)
            live[mode] = len(update.tubes)
            if mode == "per_class" and i < plain_updates:
                with timers["plain"]:
                    plain.update(pair)
                live["plain"] = sum(map(len, plain.live))
    first = {mode: np.median(timers[mode].wall[:plain_updates]) for mode in linkers}
    return {
        "classes": CLASSES,
        "micro_tubes": CLASSES * PER_CLASS,
        "live_tubes": live,
        "median_ms": {name: timer.median() for name, timer in timers.items()},
        "p99_ms": {name: timer.p99() for name, timer in timers.items()},
        "median_cpu_ms": {name: timer.median(cpu=True) for name, timer in timers.items()},
        "p99_cpu_ms": {name: timer.p99(cpu=True) for name, timer in timers.items()},
        "times_faster_than_plain": round(float(np.median(timers["plain"].wall) / first["per_class"]), 1),
    }


def day(updates: int, seed: int) -> dict[str, Any]:
    """The crowd for a day: time of its first and of its last updates, memory after the first and at the end.

    Between the blocks of updates that are made nothing comes, so everybody is lost and found again as somebody new.
    """
    linker, pairs = TubeLinker(CLASSES, crowd_options("per_class")), Endless(crowd(seed, actors=False))
    first, last = Timer(WINDOW), Timer(WINDOW)
    made, before = 0, 0
    for i in tracked(sampled(updates), "a day"):
        pair = pairs[i]
        if WINDOW <= i < DAY - WINDOW:
            linker.update(pair, DELTA)
        else:
            with first if i < WINDOW else last:
                linker.update(pair, DELTA)
        if i == WINDOW:
            before = resident()
        made += 1
    return {
        "updates_in_a_day": DAY,
        "updates_made": made,
        "window": WINDOW,
        "first_median_ms": first.median(),
        "last_median_ms": last.median(),
        "last_over_first": round(last.median(cpu=True) / first.median(cpu=True), 3),
        "first_median_cpu_ms": first.median(cpu=True),
        "last_median_cpu_ms": last.median(cpu=True),
        "memory_growth_mib": round((resident() - before) / 2**20, 3),
        "tubes_started": linker.counters.started,
    }


def sampled(updates: int) -> Sequence[int]:
    """Which updates of a day are made: about so many."""
    starts = np.linspace(WINDOW, DAY - WINDOW - BLOCK, (updates - 2 * WINDOW) // BLOCK).round().astype(int)
    return [
        *range(WINDOW),
        *(i for start in starts.tolist() for i in range(start, start + BLOCK)),
        *range(DAY - WINDOW, DAY),
    ]


class Timer:
    """Wall-clock and processor time of what runs within it, each time, in seconds; does not grow while it measures."""

    def __init__(self, times: int) -> None:
        self._taken = np.zeros((2, times)) + np.nan
        self._n = 0

    @property
    def wall(self) -> Float64:
        return self._taken[0, : self._n]

    @property
    def cpu(self) -> Float64:
        return self._taken[1, : self._n]

    def __enter__(self) -> None:
        self._begin = time.perf_counter(), time.thread_time()

    def __exit__(self, *_: object) -> None:
        self._taken[:, self._n] = time.perf_counter() - self._begin[0], time.thread_time() - self._begin[1]
        self._n += 1

    def median(self, cpu: bool = False) -> float:
        """Milliseconds."""
        return round(1e3 * float(np.median(self.cpu if cpu else self.wall)), 3)

    def p99(self, cpu: bool = False) -> float:
        """Milliseconds that 99 of 100 stay below."""
        return round(1e3 * float(np.quantile(self.cpu if cpu else self.wall, 0.99)), 3)


def resident() -> int:
    """Bytes of memory that this process holds."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def study_noise(dataset: Dataset, n_videos: int, seed: int, changed: Sequence[str]) -> dict[str, Any]:
    """Link noisy micro-tubes made from ground truth: both modes at every Δ, and at one Δ each option changed alone."""
    names = spread(dataset.test, n_videos)
    dataset = replace(dataset, test=names)
    noise = Noise()
    pairs = {
        delta: {
            name: noisy_pairs(dataset.videos[name], len(dataset.classes), delta, noise, seed)
            for name in tracked(names, f"making micro-tubes, delta {delta}")
        }
        for delta in DELTAS
    }
    by_delta = []
    for delta in tracked(DELTAS, "linking at every delta"):
        for mode in ("per_class", "actor"):
            row = {
                "delta": delta,
                "mode": mode,
                **figures(link(dataset, pairs[delta], delta, base(mode))),
            }
            perfect = [
                tube for name in names for tube in perfect_tubes(name, pairs[delta][name], every_class=mode == "actor")
            ]
            by_delta.append({**row, "perfect_association": map_figures(score(dataset, perfect))})
    options = []
    for mode in ("per_class", "actor") if "none" not in changed else ():
        for name, how in tracked(variants(base(mode), changed), f"options, {mode}"):
            options.append({"mode": mode, "option": name, **figures(link(dataset, pairs[DELTA], DELTA, how))})
        if mode == "per_class":
            cut = link(dataset, pairs[DELTA], DELTA, base(mode), trimmed=True)
            options.append({"mode": mode, "option": "defaults, trimmed", **figures(cut)})
    return {
        "videos": len(names),
        "seed": seed,
        "noise": asdict(noise),
        "by_delta": by_delta,
        "options_delta": DELTA,
        "options": options,
    }


def study_detections(folder: Path, source: str, data_root: Path, changed: Sequence[str]) -> list[dict[str, Any]]:
    """Link kept detections of a model, with each option changed alone."""
    dataset, kept = read_dataset(source, data_root), open_kept(folder)
    missing = kept.missing(dataset)
    if missing:
        raise UserError(
            f"{folder}: {len(missing)} videos are missing, the first {missing[0]!r}; finish amtnet eval first"
        )
    detections = {name: kept.read(name) for name in dataset.test}
    studied = [name for name in changed if name != "none"]
    delta = next(iter(detections.values())).delta
    pairs = {name: one.pairs for name, one in detections.items()}
    return [
        {"mode": mode, "option": name, **figures(link_all(dataset, pairs, delta, how))}
        for mode in ("per_class", "actor")
        for name, how in tracked(variants(base(mode), studied), f"options, {mode}")
    ]


def base(mode: str) -> LinkerOptions:
    """The options that are changed one by one: those of the paper's measure, of scores over whole tubes."""
    return replace(EVALUATED, mode=mode)


def link(
    dataset: Dataset,
    pairs: dict[str, list[NoisyPair]],
    delta: int,
    options: LinkerOptions,
    *,
    trimmed: bool = False,
) -> LinkingScores:
    """Link noisy pairs."""
    micro_tubes = {name: [one.micro_tubes for one in some] for name, some in pairs.items()}
    return link_all(dataset, micro_tubes, delta, options, trimmed=trimmed)


def tracked(items: Sequence[Any], what: str) -> Iterator[Any]:
    """The items, with a progress bar."""
    return iter(track(items, what, console=Console(stderr=True), transient=True))


def figures(scores: LinkingScores) -> dict[str, Any]:
    """What the tables show."""
    following = scores.following
    return {
        **map_figures(scores.video_maps),
        "id_switches": scores.identity.switches,
        "fragmentations": scores.identity.fragmentations,
        "idf1": round(100 * scores.identities.idf1, 1),
        "delay_frames": scores.delay,
        "actions_missed": scores.missed,
        "tubes_per_person": round(following.tubes_per_person, 2),
        "switches_per_person": round(following.switches_per_person, 2),
        "coverage": round(following.coverage, 3),
        "tubes": scores.tubes,
    }


def map_figures(maps: Mapping[str, VideoMap]) -> dict[str, Any]:
    """Video-mAP in percent."""
    return {
        f"video_map_{name}": {
            **{str(at): round(100 * one.at(at), 1) for at in (0.2, 0.5, 0.75)},
            "0.5:0.95": round(100 * one.strict_mean, 1),
        }
        for name, one in maps.items()
    }


def show(record: dict[str, Any]) -> None:
    """Print what was measured as tables."""
    console = Console()
    console.print(record["machine"])
    for part in ("speed", "day"):
        if part in record:
            table = Table("what", "value", title=f"Linker, {part}")
            for key, value in record[part].items():
                shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
                table.add_row(key.replace("_", " "), shown)
            console.print(table)
    if "people" in record:
        table = Table(*(name.replace("_", " ") for name in record["people"][0]), title="People who meet")
        for row in record["people"]:
            table.add_row(*map(str, row.values()))
        console.print(table)
    linking = record.get("linking", {"options": record.get("options", [])})
    if "by_delta" in linking:
        console.print(linking_table("Linking noisy ground truth, by delta", "delta", linking["by_delta"]))
    if linking["options"]:
        console.print(linking_table("Linking, one option changed", "option", linking["options"]))


def linking_table(title: str, key: str, rows: list[dict[str, Any]]) -> Table:
    """Video-mAP is that of the definition `road`."""
    table = Table("mode", key, "0.2", "0.5", "0.75", "0.5:0.95", title=title)
    perfect = any("perfect_association" in row for row in rows)
    for name in (*(["perfect 0.5", "perfect 0.5:0.95"] if perfect else []), "switches", "tubes/person", "delay"):
        table.add_column(name, justify="right")
    for row in rows:
        best = row.get("perfect_association", {}).get("video_map_road", {})
        cells = [*row["video_map_road"].values(), *([best["0.5"], best["0.5:0.95"]] if best else [])]
        cells += [row["id_switches"], row["tubes_per_person"], row["delay_frames"]]
        table.add_row(row["mode"], str(row[key]), *map(str, cells))
    return table
