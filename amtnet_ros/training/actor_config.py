"""The experiment of the actor stream: `task: actor` in a YAML file of config/train."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from amtnet_ros.training.config import RunConfig, Section


class ActorData(Section):
    """What is learnt from; shares and ranges as in data.actor_clips.ClipOptions.

    held_out: share of each class that is not taught, to validate by. teachers: the folder with the weights to start
    from and the people detector; `teachers` beside the data sets if not given.
    """

    split: int = Field(1, ge=1, le=3)
    held_out: float = Field(0.12, ge=0, lt=1)
    teachers: str | None = None
    pictures: int = Field(8, ge=2)
    strides: tuple[int, int] = (2, 4)
    margins: tuple[float, float] = (1.2, 2.2)
    whole: float = Field(0.2, ge=0, le=1)
    shares: dict[Literal["jhmdb21", "ucf101_24", "ucf101_people", "nobody", "still"], float]

    @model_validator(mode="after")
    def _makes_sense(self) -> ActorData:
        if not sum(self.shares.values()) > 0 or min(self.shares.values()) < 0:
            raise ValueError("shares: none may be negative, and one must be positive")
        if not 1 <= self.strides[0] <= self.strides[1] or not 0 < self.margins[0] <= self.margins[1]:
            raise ValueError("strides and margins: least and greatest, in this order")
        return self


class ActorNetwork(Section):
    """frozen_groups: the stem and so many groups stay as they were. The rest: see model.movinet.MoViNet."""

    frozen_groups: int = Field(2, ge=0, le=5)
    dropout: float = Field(0.3, ge=0, lt=1)
    drop_path: float = Field(0.0, ge=0, lt=1)


class ActorLoss(Section):
    """names: weight of the term that holds the 600 names to those of the untaught network. mixup: as in LossConfig."""

    label_smoothing: float = Field(0.1, ge=0, lt=1)
    names: float = Field(0.5, ge=0)
    mixup: float = Field(0.0, ge=0)


class ActorOptimiser(Section):
    """AdamW; cosine to 1 % after warmup. hidden_factor, answer_factor: of the rate of the head's hidden and new layer.

    ema: memory of the moving average of the weights, which is what is validated and exported.
    """

    learning_rate: float = Field(2e-4, gt=0)
    hidden_factor: float = Field(0.5, ge=0)
    answer_factor: float = Field(10.0, ge=0)
    weight_decay: float = Field(0.02, ge=0)
    batch_size: int = Field(16, ge=2)
    iterations: int = Field(4000, ge=1)
    warmup: int = Field(100, ge=0)
    ema: float = Field(0.998, gt=0, lt=1)
    clip_gradient: float = Field(5.0, gt=0)


class ActorExperiment(Section):
    """One YAML file."""

    name: str = Field(min_length=1)
    task: Literal["actor"]
    data: ActorData
    network: ActorNetwork = ActorNetwork()
    loss: ActorLoss = ActorLoss()
    optimiser: ActorOptimiser = ActorOptimiser()
    run: RunConfig = RunConfig()
