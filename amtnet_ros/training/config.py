"""An experiment: everything that decides what `amtnet train` does, read from one YAML file."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from amtnet_ros.data.repeats import RepeatHandling
from amtnet_ros.errors import UserError
from amtnet_ros.inference.card import CARD

Stream = Literal["rgb", "flow"]


class Section(BaseModel, extra="forbid", frozen=True):
    """Unknown keys are mistakes, not comments."""


class DataConfig(Section):
    """What is learnt from.

    dataset: 'jhmdb21' with its `split`, 'ucf101_24', or 'custom', your own actions. root: the data set's folder, or the
    JSON file of your own actions; not needed for a data set under the data root.
    deltas: the pair's distances in frames, drawn from anew for each pair; (0,) alone makes single frames.
    flow: engine of the flow images; placement: of the five-flow window, see flow.stack.
    feed: which streams successive steps are fed with, in turn ('rgb', 'flow', 'both'). A two-stream network that is fed
    one stream answers by it alone: so each learns what the other would spare it, and to speak to heads they share.
    repeats: what becomes of near-repeated frames: keep, skip or repair, see data.repeats.
    """

    dataset: Literal["jhmdb21", "ucf101_24", "custom"] = "jhmdb21"
    root: str | None = None
    split: int = Field(1, ge=1, le=3)
    deltas: tuple[Annotated[int, Field(ge=0)], ...] = Field((1,), min_length=1)
    flow: str = "dis:medium"
    placement: Literal["centred", "causal", "past"] = "past"
    feed: tuple[Literal["rgb", "flow", "both"], ...] = Field(("both",), min_length=1)
    clips: int | None = Field(None, ge=1, description="use only so many training clips (for a quick try)")
    repeats: RepeatHandling = "keep"

    @model_validator(mode="after")
    def _own_actions_have_a_file(self) -> DataConfig:
        if self.dataset == "custom" and self.root is None:
            raise ValueError("dataset custom needs root, the JSON file of your own actions")
        return self


class NetworkConfig(Section):
    """See model.streams.NetworkOptions."""

    trunk: str = "efficientnet_lite0"
    motion_trunk: str | None = None
    streams: tuple[Stream, ...] = Field(("rgb", "flow"), min_length=1)
    fusion: Literal["sum", "mean", "concat"] = "sum"
    image_size: int = Field(300, ge=64)
    motion_stride: Literal[1, 2, 3] = 1


JOINED = "joined"
CHECKPOINT_SUFFIX = ".pt"


def is_trained(source: str | None) -> bool:
    """Whether a source of weights is a trained network: a checkpoint (.pt) or a model folder."""
    return source is not None and (source.endswith(CHECKPOINT_SUFFIX) or (Path(source) / CARD).is_file())


class InitialConfig(Section):
    """Where weights come from.

    rgb, flow: 'imagenet' (EfficientNet-Lite, VGG-16), 'people' (MobileNetV2), a file with a trunk's state dict (.pth),
    or what was trained before: a checkpoint (.pt) or a model folder, e.g. models/light; null starts from random
    weights. heads: a checkpoint or folder whose heads to start from (same fusion, or one stream; of other classes:
    boxes, background and classes of the same name); 'joined': those of what both streams start from, such that the
    network starts with the mean of their answers (with sum and mean only if both have learnt by the same heads);
    null: Xavier.
    """

    rgb: str | None = "imagenet"
    flow: str | None = "imagenet"
    heads: str | None = None


class AugmentationConfig(Section):
    """See data.augmentation.AugmentationOptions."""

    photometric: bool = True
    expand: float = Field(4.0, ge=1)
    crop: Literal["ssd", "jitter", "actor", "none"] = "ssd"
    mirror: bool = True
    copy_paste: float = Field(0.0, ge=0, le=1, description="how often another clip's actor is pasted in (J-HMDB only)")
    paste_growth: float = Field(1.0, ge=1, description="up to so many times as large or as small")
    paste_stretch: float = Field(1.0, ge=1, description="its width up to so many times more or less")
    paste_turn: float = Field(0.0, ge=0, le=180, description="up to so many degrees")


class LossConfig(Section):
    """Weights and regularisation of the loss.

    teacher: a checkpoint or model folder whose class scores the network learns to give in place of the labels, wherever
    a prior overlaps an actor; see `model.loss.taught_classification`. Same classes, streams and image size.
    open_border: the boxes of actors whom the picture cuts off may reach beyond it; see `model.loss.cut_at_border`.
    """

    localisation_weight: float = Field(1.0, ge=0)
    overlap_weight: float = Field(0.0, ge=0, description="of 1 - GIoU of the positives' boxes, besides their offsets")
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    negative_iou: float = Field(0.5, ge=0, le=0.5, description="from here to IoU 0.5 a prior is ignored; 0.5: none is")
    open_border: bool = False
    teacher: str | None = None
    mixup: float = Field(0.0, ge=0, description="of the task classify: alpha of the shares in which images are mixed")


class OptimiserConfig(Section):
    """Learning. Rates are those of the heads; the trunk's is multiplied by trunk_factor.

    batch_size: pairs a step of each process; rates are not scaled with the number of processes.
    schedule: 'step' drops by 10 at each of `drops`; 'cosine' falls to 1 % at the end. freeze_blocks, by
    stream: the stem and so many blocks of its trunk stay as they were initialised (batch statistics included).
    freeze_batch_norm: the streams in which the batch statistics of all ImageNet layers do. freeze_heads: the heads stay
    as they were initialised, and the trunks learn to speak to them.
    ema: memory of the moving average of the weights, which is what is validated and exported; 0 for none.
    precision: of the forward pass. auto is bfloat16 on a GPU that has it, else float32; float16 scales the loss.
    """

    name: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = Field(5e-4, gt=0)
    trunk_factor: float = Field(0.5, ge=0)
    pretrained_factor: float = Field(1.0, ge=0, description="besides, of the layers that initial weights exist for")
    bias_factor: float = Field(2.0, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    batch_size: int = Field(8, ge=1)
    iterations: int = Field(70_000, ge=1)
    warmup: int = Field(0, ge=0)
    schedule: Literal["step", "cosine"] = "step"
    drops: tuple[int, ...] = (50_000,)
    clip_gradient: float = Field(20.0, gt=0)
    ema: float = Field(0.0, ge=0, lt=1)
    dropout: float = Field(0.0, ge=0, lt=1, description="of whole channels of the fused maps, before the heads")
    freeze_blocks: dict[Stream, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    freeze_batch_norm: tuple[Stream, ...] = ()
    freeze_heads: bool = False
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"


class RunConfig(Section):
    """The run itself; all but the seed may change when it goes on.

    threads: of torch (0: its own choice); workers: processes that prepare samples.
    """

    seed: int = Field(0, ge=0)
    workers: int = Field(1, ge=0)
    threads: int = Field(0, ge=0)
    checkpoint_every: int = Field(100, ge=1)
    validate_every: int = Field(500, ge=1)
    validate_frames: int = Field(2, ge=1, description="frames a test clip in validation")
    validate_clips: int | None = Field(None, ge=1, description="so many test clips, evenly spread; all if not given")


class Experiment(Section):
    """One YAML file of config/train.

    task: 'detect' micro-tubes; or 'classify' close-ups of actors, which teaches a trunk actions from few pixels, before
    it learns to find actors (see model.classifier).
    """

    name: str = Field(min_length=1)
    task: Literal["detect", "classify"] = "detect"
    data: DataConfig = DataConfig()
    network: NetworkConfig = NetworkConfig()
    initial: InitialConfig = InitialConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    loss: LossConfig = LossConfig()
    optimiser: OptimiserConfig = OptimiserConfig()
    run: RunConfig = RunConfig()

    @model_validator(mode="after")
    def _parts_fit(self) -> Experiment:
        for fed in self.data.feed:
            if fed != "both" and fed not in self.network.streams:
                raise ValueError(f"data.feed: the network has no stream {fed} (network.streams)")
        if self.augmentation.copy_paste and self.data.dataset != "jhmdb21":
            raise ValueError("augmentation.copy_paste: needs the actors' masks, which only jhmdb21 has")
        if self.optimiser.batch_size == 1 and self.data.deltas == (0,) and self.network.trunk != "vgg16":
            raise ValueError("optimiser.batch_size: batch statistics of single frames need 2 or more")
        if (self.task == "classify") != (self.augmentation.crop == "actor"):
            raise ValueError("augmentation.crop: actor (close-ups) goes with task classify, and with no other")
        if self.task == "classify" and self.initial.heads is not None:
            raise ValueError("initial.heads: a network that classifies has no such heads")
        if self.optimiser.freeze_heads and self.initial.heads is None:
            raise ValueError("optimiser.freeze_heads: random heads would stay random; initial.heads names others")
        if self.initial.heads == JOINED:
            two = len(self.network.streams) == 2
            if not two or not all(map(is_trained, (self.initial.rgb, self.initial.flow))):
                raise ValueError(
                    f"initial.heads: {JOINED} needs two streams, and a checkpoint (.pt) or model folder of each"
                )
        if self.task == "detect" and self.network.image_size < 128:
            raise ValueError("network.image_size: to detect, at least 128 pixels are needed")
        if self.task == "detect" and self.loss.mixup:
            raise ValueError("loss.mixup: boxes cannot be mixed; it goes with task classify")
        of_boxes = (self.loss.teacher is not None, self.loss.overlap_weight, self.loss.open_border)
        if self.task == "classify" and any(of_boxes):
            raise ValueError("loss.teacher, loss.overlap_weight and loss.open_border go with task detect")
        if self.loss.teacher is not None and not is_trained(self.loss.teacher):
            raise ValueError(f"loss.teacher: {self.loss.teacher} is no checkpoint (.pt) and no model folder")
        for key in ("freeze_blocks", "freeze_batch_norm"):
            for stream in getattr(self.optimiser, key):
                if stream not in self.network.streams:
                    raise ValueError(f"optimiser.{key}: the network has no stream {stream} (network.streams)")
        return self


Kind = TypeVar("Kind", bound=BaseModel)


def read_experiment(path: Path, overrides: Sequence[str] = ()) -> Experiment:
    """Read and validate an experiment; overrides are `section.key=value`, values in YAML.

    Raises UserError naming the first wrong key.
    """
    return make_experiment(Experiment, read_content(path, overrides), path)


def read_content(path: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """The keys and values of an experiment, not yet validated. Raises UserError if they cannot be read."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not a text file") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not YAML ({_one_line(error)})") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: must hold keys and values")
    for override in overrides:
        _apply(content, override)
    return content


def make_experiment(kind: type[Kind], content: dict[str, Any], path: Path) -> Kind:
    """An experiment of this kind. path: of the file it is from. Raises UserError naming the first wrong key."""
    try:
        return kind(**content)
    except ValidationError as error:
        raise UserError(f"{path}: {_first_mistake(error, kind)}") from error
    except TypeError as error:
        raise UserError(f"{path}: keys must be words ({error})") from error


def first_difference(old: Kind, new: Kind) -> str | None:
    """The first key, and its two values, that makes the two learn differently; None if they learn the same."""
    before, after = old.model_dump(exclude={"name"}), new.model_dump()
    task = before.pop("task")
    if task != after["task"]:
        return f"task was {task}, and is now {after['task']}"
    for section, values in before.items():
        other = after[section]
        for key, value in values.items():
            if value != other[key] and (section != "run" or key == "seed"):
                return f"{section}.{key} was {value}, and is now {other[key]}"
    return None


def _first_mistake(error: ValidationError, kind: type[BaseModel]) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = "no such key" + _suggestion(first["loc"], kind)
    return f"{where}: {message}" if where else message


def _suggestion(location: tuple[int | str, ...], kind: type[BaseModel]) -> str:
    section: Any = kind
    for part in location[:-1]:
        section = section.model_fields[part].annotation
    close = difflib.get_close_matches(str(location[-1]), section.model_fields, n=1)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(section.model_fields)}"


def _one_line(error: yaml.YAMLError) -> str:
    return " ".join(str(error).split())


def _apply(content: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals:
        raise UserError(f"override '{override}': must look like optimiser.iterations=100")
    *sections, name = key.split(".")
    target = content
    for section in sections:
        target = target.setdefault(section, {})
        if not isinstance(target, dict):
            raise UserError(f"override '{override}': '{section}' is not a section")
    try:
        target[name] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise UserError(f"override '{override}': the value is not YAML ({_one_line(error)})") from error
