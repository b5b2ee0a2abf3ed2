"""What learns: a network, its optimiser and its averaged weights, and how one step goes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from amtnet_ros.errors import UserError
from amtnet_ros.model.amtnet import AMTnet
from amtnet_ros.model.streams import Streams
from amtnet_ros.training.batches import Batch
from amtnet_ros.training.config import Experiment, OptimiserConfig
from amtnet_ros.training.distributed import Processes
from amtnet_ros.training.initial import take_statistics
from amtnet_ros.training.optimiser import WeightAverage, make_optimiser, rate_factor, set_rates
from amtnet_ros.training.tasks import TaskLoss, make_task


class Learner:
    """step: how many steps were made. network: being trained. average: its moving average, where one is kept."""

    def __init__(
        self, network: Streams, experiment: Experiment, processes: Processes, teacher: AMTnet | None = None
    ) -> None:
        """teacher: see `tasks.DetectMicroTubes`."""
        options = experiment.optimiser
        self.network, self.experiment, self.processes = network, experiment, processes
        self.optimiser = make_optimiser(network, options)
        self.average = WeightAverage(network, options.ema) if options.ema else None
        self.step = 0
        self._task = make_task(experiment, teacher)
        fed_whole = len(network.options.streams) == 1 or set(experiment.data.feed) == {"both"}
        self._called = processes.wrap(network, always_whole=fed_whole and experiment.task == "detect")
        self._precision = choose_precision(options.precision, processes.device)
        scales = self._precision is torch.float16
        self._scaler = torch.amp.GradScaler(processes.device.type, enabled=scales)

    def take_statistics(self, batches: Iterable[Batch]) -> None:
        """Before the first step, where the initial weights came without batch statistics."""
        take_statistics(self.network, batches)
        if self.average:
            self.average = WeightAverage(self.network, self.average.decay)

    def learn(self, batch: Batch) -> dict[str, float]:
        """One step of the optimiser; returns its losses, the gradient's norm and the learning rate of the heads.

        Raises UserError when the loss or the gradient is not finite, naming the samples.
        """
        options = self.experiment.optimiser
        self.network.train()
        keep_frozen(self.network, options)
        # All that is random in a step follows from its number, so a resumed run repeats an unbroken one.
        torch.manual_seed(
            (self.experiment.run.seed * 1_000_003 + self.step) * self.processes.world + self.processes.rank
        )
        set_rates(self.optimiser, rate_factor(self.step, options))
        loss = self._loss(batch)
        if not torch.isfinite(loss.total):
            raise UserError(f"the loss is {loss.total.item()} at step {self.step}; {self._blame(batch)}")
        self.optimiser.zero_grad(set_to_none=True)
        # Gradients are averaged over the processes; so weighted, they are those of one process with all samples.
        share = self._share(loss.divisor)
        self._scaler.scale(loss.total * share).backward()  # type: ignore[no-untyped-call]
        self._scaler.unscale_(self.optimiser)
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), options.clip_gradient)
        if not (torch.isfinite(norm) or self._scaler.is_enabled()):  # the scaler leaves such a step out
            raise UserError(f"the gradient's norm is {norm.item()} at step {self.step}; {self._blame(batch)}")
        self._scaler.step(self.optimiser)
        self._scaler.update()
        if self.average:
            self.average.update(self.network, self.step)
        self.step += 1
        return {
            **{name: part.item() for name, part in loss.parts.items()},
            "gradient": float(norm),
            "rate": options.learning_rate * rate_factor(self.step - 1, options),
        }

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps, to go on exactly here."""
        return {
            "step": self.step,
            "network": self.network.state_dict(),
            "average": self.average.state if self.average else None,
            "optimiser": self.optimiser.state_dict(),
            "scaler": self._scaler.state_dict(),
        }

    def restore(self, content: dict[str, Any]) -> None:
        """The inverse of `state`; learning rates and decay are the experiment's, not the checkpoint's."""
        groups = [{key: group[key] for key in ("initial_lr", "weight_decay")} for group in self.optimiser.param_groups]
        try:
            self.network.load_state_dict(content["network"])
            self.optimiser.load_state_dict(content["optimiser"])
        except (RuntimeError, ValueError) as error:
            raise UserError(
                f"the checkpoint does not fit the experiment ({str(error).splitlines()[-1].strip()})"
            ) from error
        for group, settings in zip(self.optimiser.param_groups, groups, strict=True):
            group.update(settings)
        if self.average and content["average"]:
            self.average.state = {name: x.to(self.processes.device) for name, x in content["average"].items()}
        if content.get("scaler"):
            self._scaler.load_state_dict(content["scaler"])
        self.step = int(content["step"])

    def _loss(self, batch: Batch) -> TaskLoss:
        reduced = self._precision is not torch.float32
        with torch.autocast(self.processes.device.type, self._precision, enabled=reduced):
            return self._task.loss(self.network, self._called, batch)

    def _share(self, divisor: Tensor) -> Tensor | float:
        """What to multiply a loss by that was divided by this process's own divisor instead of the mean process's."""
        if self.processes.world == 1:
            return 1.0
        return divisor * self.processes.world / self.processes.total(divisor)

    @torch.no_grad()
    def _blame(self, batch: Batch) -> str:
        """Which samples of a batch have no finite loss by themselves, and what to do."""
        self.network.eval()
        guilty = []
        for i, name in enumerate(batch.names):
            loss = self._task.loss(self.network, self.network, batch.part(i))
            if not torch.isfinite(loss.total):
                guilty.append(name)
        if len(guilty) in (0, len(batch.names)):
            lower = "lower optimiser.learning_rate or optimiser.clip_gradient"
            return f"all samples alike, so the weights diverged: {lower} ({'; '.join(batch.names)})"
        return f"its cause: {'; '.join(guilty)}; look at the boxes there"


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """The type of the forward pass; auto is bfloat16 on a GPU that has it in hardware."""
    if name == "auto":
        fast = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
        return torch.bfloat16 if fast else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[name]


def freeze(network: Streams, options: OptimiserConfig) -> None:
    """Take the frozen blocks and heads out of learning. Raises UserError if a trunk has no such blocks."""
    for stream, blocks in options.freeze_blocks.items():
        for module in network.trunk(stream).lowest(blocks):
            module.requires_grad_(False)
    if options.freeze_heads and isinstance(network, AMTnet):
        network.heads.requires_grad_(False)


def keep_frozen(network: Streams, options: OptimiserConfig) -> None:
    """Layers that do not learn keep their batch statistics too."""
    modules = [m for stream, blocks in options.freeze_blocks.items() for m in network.trunk(stream).lowest(blocks)]
    modules += [module for stream in options.freeze_batch_norm for module in network.trunk(stream).pretrained()]
    for module in modules:
        module.eval()
