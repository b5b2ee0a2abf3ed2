"""The training loop of the actor stream; resumes exactly."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from amtnet_ros.contracts import UInt8
from amtnet_ros.data import people_detector
from amtnet_ros.data.actor_clips import ActorClips, ClipOptions
from amtnet_ros.data.actor_tracks import PersonTrack, read_tracks
from amtnet_ros.data.empty_places import LENGTH, EmptyPlaces
from amtnet_ros.data.jpeg_store import JpegStore
from amtnet_ros.data.people import SEGMENT
from amtnet_ros.errors import UserError
from amtnet_ros.model.checkpoint import load_checkpoint, save_checkpoint
from amtnet_ros.model.movinet import MoViNet
from amtnet_ros.model.movinet_weights import load_kinetics_weights
from amtnet_ros.training.actor_config import ActorExperiment
from amtnet_ros.training.actor_learner import ActorBatch, ActorLearner
from amtnet_ros.training.actor_validation import ActorValidation, ActorValidator
from amtnet_ros.training.batches import start_worker
from amtnet_ros.training.config import first_difference
from amtnet_ros.training.environment import StopRequest, describe_environment
from amtnet_ros.training.run_folder import Bookkeeping, Losses, RunFolder

WEIGHTS = "movinet_a0_stream_weights.npz"
PICTURED = 16
"""So many training clips are drawn at the start."""


class ActorTrainer:
    """One experiment in one run folder; `run` starts it, or goes on from the folder's checkpoint."""

    def __init__(self, experiment: ActorExperiment, folder: Path, data_root: Path, allow_changes: bool = False) -> None:
        """allow_changes: go on with a run although its experiment was another.

        Raises UserError if the data, the initial weights or the folder's checkpoint cannot be used.
        """
        self.experiment = experiment
        if experiment.run.threads:
            torch.set_num_threads(experiment.run.threads)
        torch.manual_seed(experiment.run.seed)
        data = experiment.data
        self._teachers = Path(data.teachers) if data.teachers is not None else data_root.parent / "teachers"
        self.tracks = read_tracks(data_root, data.split, data.held_out, experiment.run.seed)
        network = make_actor_network(experiment, len(self.tracks.classes) + 2)
        load_kinetics_weights(network, self._teachers / WEIGHTS)
        self._untaught = copy.deepcopy(network).eval()
        self.learner = ActorLearner(network, experiment)
        self.folder = RunFolder(folder)
        if self.folder.checkpoint.exists():
            self._resume(load_checkpoint(self.folder.checkpoint), allow_changes)

    def run(self, cache: Path) -> bool:
        """Train to the last iteration; returns False if it was stopped before, between two steps (Ctrl-C, SIGTERM)."""
        store = JpegStore(cache / "jpeg", self.tracks.videos)
        store.fill()
        clips = self._clips(store, cache)
        self.folder.begin(self.experiment, describe_environment(torch.device("cpu"), 1), self.learner.step)
        self.folder.draw("samples", sheet(clips, PICTURED), self.learner.step)
        validator = ActorValidator(self.tracks, store, self._untaught) if self.tracks.held_out else None
        finished = self._loop(clips, validator)
        self.folder.close()
        return finished

    def _clips(self, store: JpegStore, cache: Path) -> ActorClips:
        store.load()
        places = places_of(self.tracks.learnt, store)
        empty = EmptyPlaces(cache, store, self._teachers / people_detector.FILE).find(places)
        data = self.experiment.data
        options = ClipOptions(
            pictures=data.pictures,
            strides=data.strides,
            margins=data.margins,
            whole=data.whole,
            shares=tuple(sorted(data.shares.items())),
        )
        return ActorClips(self.tracks, store, empty, options, self.experiment.run.seed)

    def _loop(self, clips: ActorClips, validator: ActorValidator | None) -> bool:
        options = self.experiment.optimiser
        steps = range(self.learner.step, options.iterations)
        validate = None if validator is None else partial(self.validate, validator)
        run, save = self.experiment.run, self._save
        books = Bookkeeping(self.folder, self.experiment.name, run, options.iterations, _shown, save, validate)
        with StopRequest() as stop, books.progress(steps.start) as (progress, task):
            for batch in actor_batches(clips, options.batch_size, steps, run.workers):
                losses = self.learner.learn(batch)
                progress.update(task, advance=1, losses=_shown(losses))
                books.after(self.learner.step, losses, progress, stop.asked)
                if stop.asked:
                    break
        return self.learner.step >= options.iterations

    def validate(self, validator: ActorValidator) -> ActorValidation:
        """Validate the averaged weights."""
        averaged = copy.deepcopy(self.learner.network).eval()
        averaged.load_state_dict(self.learner.average.state)
        return validator.validate(averaged)

    def _save(self) -> None:
        content = {
            "labels": list(self.tracks.classes),
            "experiment": self.experiment.model_dump_json(),
            **self.learner.state(),
        }
        save_checkpoint(self.folder.checkpoint, content)

    def _resume(self, content: dict[str, Any], allow_changes: bool) -> None:
        try:
            before = ActorExperiment(**json.loads(content["experiment"]))
        except ValueError as error:
            raise UserError(f"{self.folder.checkpoint}: holds no experiment of the actor stream") from error
        change = first_difference(before, self.experiment)
        if change is not None and not allow_changes:
            raise UserError(
                f"{self.folder.folder}: holds another run: {change}; choose another folder by --out, or go on all the "
                "same with --allow-changes"
            )
        self.learner.restore(content)


def make_actor_network(experiment: ActorExperiment, answers: int) -> MoViNet:
    """The experiment's network, its new layer random and the rest to be filled."""
    network = MoViNet(answers, experiment.network.dropout, experiment.network.drop_path)
    return network.to(memory_format=torch.channels_last)


def places_of(tracks: Iterable[PersonTrack], store: JpegStore) -> list[tuple[str, int]]:
    """Where to look for room without anybody: the beginning and end of each video, or each segment; in order."""
    places = set()
    for track in tracks:
        last = store.length(track.video) - LENGTH
        if track.source[0] == "ucf101_people":
            places.add((track.video, track.first // SEGMENT * SEGMENT))
        elif last >= 0:
            places |= {(track.video, 0), (track.video, last)} if last >= 2 * LENGTH else {(track.video, 0)}
    return sorted(places)


class _Batches(Dataset[ActorBatch]):
    """The batch of each step."""

    def __init__(self, clips: ActorClips, size: int) -> None:
        self._clips, self._size = clips, size

    def __getitem__(self, step: int) -> ActorBatch:
        clips = [self._clips.clip(step * self._size + i) for i in range(self._size)]
        pictures, right = (np.stack(arrays) for arrays in zip(*((c.pictures, c.right) for c in clips), strict=True))
        return ActorBatch(torch.from_numpy(pictures), torch.from_numpy(right))


def actor_batches(clips: ActorClips, size: int, steps: range, workers: int) -> Iterator[ActorBatch]:
    """The batches of these steps, prepared by `workers` processes, which share the frames in memory."""
    loader: Iterable[ActorBatch] = DataLoader(
        _Batches(clips, size),
        batch_size=None,
        sampler=steps,
        num_workers=workers,
        worker_init_fn=start_worker,
        multiprocessing_context="fork" if workers else None,
    )
    yield from loader


def sheet(clips: ActorClips, count: int) -> UInt8:
    """The first clips under each other, with what is right written on them; (h, w, 3) uint8."""
    rows = []
    for number in range(count):
        clip = clips.clip(number)
        row = np.concatenate(list(clip.pictures), axis=1)
        right = [answer for answer, is_right in zip(clips.answers, clip.right, strict=True) if is_right]
        for ink, width in (((0, 0, 0), 3), ((80, 255, 80), 1)):
            words = f"{' | '.join(right)}: {clip.name}"
            row = cv2.putText(row, words, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, ink, width, cv2.LINE_AA)
        rows.append(row)
    return np.asarray(np.concatenate(rows), dtype=np.uint8)


def _shown(losses: Losses) -> str:
    return f"answers {losses['classification']:.2f} names {losses['names']:.2f}"
