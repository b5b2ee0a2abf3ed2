"""The training loop: reads top to bottom, resumes exactly."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from amtnet_ros.data.annotations import Dataset, spread
from amtnet_ros.data.augmentation import AugmentationOptions
from amtnet_ros.data.cache import VideoCache
from amtnet_ros.data.samples import MixedSamples, PairOptions, PairSamples
from amtnet_ros.errors import UserError
from amtnet_ros.model.amtnet import AMTnet
from amtnet_ros.model.checkpoint import TrainingFacts, load_checkpoint, save_checkpoint
from amtnet_ros.model.streams import NetworkOptions, Streams
from amtnet_ros.training.batches import Batch, Plan, batches, collate
from amtnet_ros.training.config import Experiment, first_difference, stored_experiment
from amtnet_ros.training.distributed import Processes
from amtnet_ros.training.environment import StopRequest, describe_environment, memory_advice
from amtnet_ros.training.initial import STATISTICS_SAMPLES, earlier_runs, initialise, lacks_statistics, read_teacher
from amtnet_ros.training.learner import Learner, freeze
from amtnet_ros.training.run_folder import Bookkeeping, Losses, RunFolder
from amtnet_ros.training.sources import Source, hold_out, make_samples, open_dataset, open_sources
from amtnet_ros.training.tasks import make_task
from amtnet_ros.training.validation import ClassifierValidation, HeldOut, Validation

PICTURED = 8
"""So many training samples are drawn at the start."""


class Trainer:
    """One experiment in one run folder; `run` starts it, or goes on from the folder's checkpoint."""

    def __init__(
        self,
        experiment: Experiment,
        folder: Path,
        data_root: Path,
        device: str = "auto",
        allow_changes: bool = False,
    ) -> None:
        """allow_changes: go on with a run although its experiment was another.

        Raises UserError if the data, the initial weights, the device or the folder's checkpoint cannot be used.
        """
        self.experiment, self.data_root = experiment, data_root
        self.processes = Processes.of_environment(device)
        if experiment.run.threads:
            torch.set_num_threads(experiment.run.threads)
        torch.manual_seed(experiment.run.seed)
        self.dataset = open_dataset(experiment.data, data_root)
        with memory_advice(experiment):
            network = make_network(experiment, self.dataset).to(self.processes.device)
            self.learner = Learner(network, experiment, self.processes, self._teacher(network))
        self._earlier = json.dumps(earlier_runs(experiment))
        self.folder = RunFolder(folder)
        if self.folder.checkpoint.exists():
            self._resume(load_checkpoint(self.folder.checkpoint), allow_changes)

    def run(self, cache_folder: Path) -> bool:
        """Train to the last iteration; returns False if it was stopped before, between two steps (Ctrl-C, SIGTERM)."""
        config, processes = self.experiment, self.processes
        cache = VideoCache(cache_folder, config.data.flow)
        sources = self._sources(cache_folder)
        held_back = hold_out(self.dataset, config.data.held_out, config.run.seed)
        tests = spread(held_back or self.dataset.test, config.run.validate_clips)
        videos = [video for source in sources for video in source.videos()]
        videos += [self.dataset.videos[name] for name in tests]
        cache.fill(videos[processes.rank :: processes.world])
        processes.wait()
        options = pair_options(config)
        samples = make_samples(sources, cache, options, config.run.seed)
        held_out = HeldOut(self.dataset, tests, cache, options, config.run.validate_frames)
        feed = tuple(config.network.streams if fed == "both" else (fed,) for fed in config.data.feed)
        plan = Plan(config.optimiser.batch_size, feed, processes.rank, processes.world)
        if processes.is_first:
            environment = describe_environment(processes.device, processes.world)
            self.folder.begin(config, environment, self.learner.step)
            pictured = [samples.sample(*item) for step in range(PICTURED) for item in plan.items(step)[:1]]
            self.folder.draw_samples(pictured, self.dataset.classes, self.learner.step)
        if self.learner.step == 0 and lacks_statistics(config.initial):
            self.learner.take_statistics(self._of_all_streams(samples))
        finished = self._loop(samples, plan, held_out)
        self.folder.close()
        processes.leave()
        return finished

    def _sources(self, cache_folder: Path) -> tuple[Source, ...]:
        """What the first process may have to look for, the others read."""
        opened = partial(open_sources, self.experiment, self.dataset, self.data_root, cache_folder)
        if self.processes.is_first:
            opened()
        self.processes.wait()
        return opened()

    def _teacher(self, network: Streams) -> AMTnet | None:
        source = self.experiment.loss.teacher
        if source is None:
            return None
        teacher = read_teacher(source, network, self.dataset.classes).to(self.processes.device)
        return teacher.to(memory_format=torch.channels_last)

    def _of_all_streams(self, samples: PairSamples | MixedSamples) -> Iterator[Batch]:
        """The first samples, with all streams, the same in every process."""
        config = self.experiment
        plan = Plan(config.optimiser.batch_size, (config.network.streams,))
        for step in range(math.ceil(STATISTICS_SAMPLES / plan.batch_size)):
            yield collate([samples.sample(*item) for item in plan.items(step)]).to(self.processes.device)

    def _loop(self, samples: PairSamples | MixedSamples, plan: Plan, held_out: HeldOut) -> bool:
        config = self.experiment
        steps = range(self.learner.step, config.optimiser.iterations)
        books = Bookkeeping(
            self.folder,
            config.name,
            config.run,
            config.optimiser.iterations,
            _shown,
            self._save,
            partial(self.validate, held_out) if held_out.names else None,
        )
        bar = books.progress(steps.start, disable=not self.processes.is_first)
        with StopRequest() as stop, memory_advice(config), bar as (progress, task):
            if samples.left_out and self.processes.is_first:
                progress.print(f"{len(samples.left_out)} training videos have no pair to learn from, and are left out")
            for batch in batches(samples, plan, steps, config.run.workers):
                losses = self.learner.learn(batch.to(self.processes.device))
                progress.update(task, advance=1, losses=_shown(losses))
                stopping = self.processes.any(stop.asked)
                if self.processes.is_first:
                    books.after(self.learner.step, losses, progress, stopping)
                if stopping:
                    break
        return self.learner.step >= config.optimiser.iterations

    def validate(self, held_out: HeldOut) -> Validation | ClassifierValidation:
        """Validate the averaged weights where there are any."""
        network, average, task = self.learner.network, self.learner.average, make_task(self.experiment)
        if average is None:
            return task.validate(network, held_out, self.processes.device)
        current = {name: value.clone() for name, value in network.state_dict().items()}
        network.load_state_dict(average.state)
        result = task.validate(network, held_out, self.processes.device)
        network.load_state_dict(current)
        return result

    def _save(self) -> None:
        content = {
            "options": asdict(self.learner.network.options),
            "labels": list(self.dataset.classes),
            "experiment": self.experiment.model_dump_json(),
            "facts": json.dumps(asdict(self._facts())),
            "earlier": self._earlier,
            "processes": self.processes.world,
            **self.learner.state(),
        }
        save_checkpoint(self.folder.checkpoint, content)

    def _facts(self) -> TrainingFacts:
        data = self.experiment.data
        return TrainingFacts(data.dataset, data.split, self.experiment.run.seed, data.deltas, data.flow, data.placement)

    def _resume(self, content: dict[str, Any], allow_changes: bool) -> None:
        if not allow_changes:
            self._refuse_changes(content)
        try:
            self.learner.restore(content)
        except UserError as error:
            raise UserError(f"{self.folder.checkpoint}: {error}") from error

    def _refuse_changes(self, content: dict[str, Any]) -> None:
        before = stored_experiment(content["experiment"], self.folder.checkpoint)
        change = first_difference(before, self.experiment)
        processes = content.get("processes", self.processes.world)
        if processes != self.processes.world:
            change = f"there were {processes} processes, and are now {self.processes.world}"
        if change is not None:
            raise UserError(
                f"{self.folder.folder}: holds another run: {change}; choose another folder by --out, or go on all the "
                "same with --allow-changes"
            )


def pair_options(experiment: Experiment) -> PairOptions:
    """How an experiment draws its pairs."""
    return PairOptions(
        deltas=experiment.data.deltas,
        streams=experiment.network.streams,
        placement=experiment.data.placement,
        image_size=experiment.network.image_size,
        augmentation=AugmentationOptions(**experiment.augmentation.model_dump()),
        repeats=experiment.data.repeats,
    )


def make_network(experiment: Experiment, dataset: Dataset) -> Streams:
    """The experiment's network with its initial weights and frozen parts."""
    config = experiment.network
    options = NetworkOptions(n_classes=len(dataset.classes), **config.model_dump())
    network = make_task(experiment).make_network(options)
    network.dropout.p = experiment.optimiser.dropout
    initialise(network, experiment.initial, dataset.classes)
    freeze(network, experiment.optimiser)
    return network.to(memory_format=torch.channels_last)


def _shown(losses: Losses) -> str:
    names = {"classification": "class", "localisation": "box"}
    return " ".join(f"{word} {losses[name]:.2f}" for name, word in names.items() if name in losses)
