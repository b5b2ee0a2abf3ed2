"""The actor stream as it learns: network, untaught network, optimiser, averaged weights, and one step."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from amtnet_ros.errors import UserError
from amtnet_ros.model.movinet import Answers, MoViNet
from amtnet_ros.training.actor_config import ActorExperiment, ActorOptimiser
from amtnet_ros.training.optimiser import WeightAverage, cosine, set_rates
from amtnet_ros.training.tasks import draw_mixture, mixed


def answer_loss(logits: Tensor, right: Tensor, smoothing: float) -> Tensor:
    """-log of the probability of all right answers together, a sample: (B, n), (B, n) bool → (B,).

    With one right answer it is the cross-entropy. smoothing: this share of the target is spread over all answers.
    """
    scores = logits.log_softmax(dim=-1)
    chosen = scores.masked_fill(~right, -float("inf")).logsumexp(dim=-1)
    return -(1 - smoothing) * chosen - smoothing * scores.mean(dim=-1)


def forgetting(names: Tensor, untaught: Tensor) -> Tensor:
    """Kullback-Leibler divergence of the names (B, 600 logits) from those of the untaught network, mean → ()."""
    return F.kl_div(names.log_softmax(-1), untaught.log_softmax(-1), reduction="batchmean", log_target=True)


class ActorBatch(NamedTuple):
    """pictures: (B, T, s, s, 3) uint8. right: (B, n) bool, which answers are."""

    pictures: Tensor
    right: Tensor


class ActorLearner:
    """step: how many steps were made. network: being taught. average: its moving average."""

    def __init__(self, network: MoViNet, experiment: ActorExperiment) -> None:
        """network: with the weights to start from; a copy of it says what the names were."""
        self.network, self.experiment, self.step = network, experiment, 0
        self._untaught = copy.deepcopy(network).eval().requires_grad_(False)
        self._groups = experiment.network.frozen_groups
        for module in (network.stem, *network.groups[: self._groups]):
            module.requires_grad_(False)
        self.optimiser = _make_optimiser(network, experiment.optimiser)
        self.average = WeightAverage(network, experiment.optimiser.ema)

    def learn(self, batch: ActorBatch) -> dict[str, float]:
        """One step; returns its losses, the gradient's norm and the learning rate. Raises UserError if it diverges."""
        options = self.experiment.optimiser
        # All that is random in a step follows from its number, so a resumed run repeats an unbroken one.
        torch.manual_seed(self.experiment.run.seed * 1_000_003 + self.step)
        self.network.train()
        factor = cosine(self.step, options.warmup, options.iterations)
        set_rates(self.optimiser, factor)
        classification, names = self._losses(batch)
        total = classification + self.experiment.loss.names * names
        if not torch.isfinite(total):
            raise UserError(f"the loss is {total.item()} at step {self.step}; lower optimiser.learning_rate")
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), options.clip_gradient)
        self.optimiser.step()
        self.average.update(self.network, self.step)
        self.step += 1
        found = {"classification": classification.item(), "names": names.item(), "gradient": float(norm)}
        return {**found, "rate": options.learning_rate * factor}

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps, to go on exactly here."""
        network, average = self.network.state_dict(), self.average.state
        return {"step": self.step, "network": network, "average": average, "optimiser": self.optimiser.state_dict()}

    def restore(self, content: dict[str, Any]) -> None:
        """The inverse of `state`. Raises UserError where the checkpoint is of another network."""
        try:
            self.network.load_state_dict(content["network"])
            self.optimiser.load_state_dict(content["optimiser"])
            self.average.state = content["average"]
            self.step = int(content["step"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise UserError(f"the checkpoint does not fit the experiment ({str(error).splitlines()[-1]})") from error

    def _losses(self, batch: ActorBatch) -> tuple[Tensor, Tensor]:
        options, clips = self.experiment.loss, len(batch.pictures)
        order, share = draw_mixture(clips, options.mixup)
        pictures = mixed(as_input(batch.pictures), order, share)
        # What is frozen need not be exact: half the time in bfloat16.
        with torch.no_grad(), torch.autocast(pictures.device.type, torch.bfloat16):
            below = self.network.lower(pictures, self._groups)
            untaught = self._say(self._untaught, below, clips).names.float()
        said = self._say(self.network, below.float(), clips)
        own, other = (answer_loss(said.answers, x, options.label_smoothing) for x in (batch.right, batch.right[order]))
        return (share * own + (1 - share) * other).mean(), forgetting(said.names, untaught)

    def _say(self, network: MoViNet, below: Tensor, clips: int) -> Answers:
        return network.say(network.upper(below, clips, self._groups).mean(dim=1))


def as_input(pictures: Tensor) -> Tensor:
    """(…, s, s, 3) uint8 → (…, 3, s, s) float RGB in 0..1."""
    return pictures.movedim(-1, -3).float() / 255


def _make_optimiser(network: MoViNet, options: ActorOptimiser) -> torch.optim.Optimizer:
    """Weights decay, biases and gains do not."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    factors = {"hidden": options.hidden_factor, "answer": options.answer_factor}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            rate = options.learning_rate * factors.get(name.partition(".")[0], 1.0)
            decay = options.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((rate, decay), []).append(parameter)
    return torch.optim.AdamW(
        [{"params": p, "lr": rate, "initial_lr": rate, "weight_decay": decay} for (rate, decay), p in groups.items()]
    )
