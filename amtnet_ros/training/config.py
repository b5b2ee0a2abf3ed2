"""An experiment: everything that decides what `amtnet train` does, read from a YAML file and those that it inherits."""

from __future__ import annotations

import difflib
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from amtnet_ros.data.cache import RepeatHandling
from amtnet_ros.errors import UserError
from amtnet_ros.inference.card import CARD, list_models

log = logging.getLogger(__name__)

Stream = Literal["rgb", "flow"]
JOINED = "joined"
CHECKPOINT_SUFFIX = ".pt"
RETIRED = {
    "network": ("motion_trunk",),
    "augmentation": ("paste_growth", "paste_stretch", "paste_turn"),
    "optimiser": ("freeze_rgb_blocks", "freeze_rgb_batch_norm"),
}
"""Section → keys that older checkpoints hold and that there no longer are; the tag with-all-variants has them all."""


class Section(BaseModel, extra="forbid", frozen=True):
    """Unknown keys are mistakes, not comments."""


class SourceConfig(Section):
    """One of several data sets.

    weight: of so many successive pairs as the weights' sum, this many are from it.
    labels: what a class of it is in the network; null where nobody can say which. Of classes that are not named, those
        of the same name are the same, and of others nobody can say.
    """

    weight: int = Field(ge=1)
    labels: dict[str, str | None] = Field(default_factory=dict)


class DataConfig(Section):
    """What is learnt from.

    dataset: 'jhmdb21' with its `split`, 'ucf101_24', or 'custom', your own actions.
    root: the data set's folder, or the JSON file of your own actions; not needed for a data set under the data root.
    deltas: distances of a pair's frames, one of which is drawn for each pair; (0,) alone makes single frames.
    flow: engine of the flow images.
    placement: of the five-flow window, see flow.stack.
    feed: the streams that successive steps are given, in turn: 'rgb', 'flow' or 'both'. A two-stream network that is
        given one stream answers by it alone (see `model.streams.fuse_one`), so that this stream must learn the classes
        too.
    clips: train on this many training clips only, evenly spread, for a quick try.
    repeats: 'skip' draws no pair with a near-repeated frame, see data.cache.
    sources: data sets to draw pairs from, by name: that of `dataset`; jhmdb21; ucf101_24 and ucf101_people, both with
        the people whom a detector finds; a JSON file of own actions. None: `dataset` alone. The classes are those of
        `dataset` in any case.
    held_out: share of each class's training videos, whole source videos, that is not learnt from; validation looks at
        those of `dataset` in place of test videos.
    teachers: the folder with the people detector; `teachers` beside the data sets if not given.
    """

    dataset: Literal["jhmdb21", "ucf101_24", "custom"] = "jhmdb21"
    root: str | None = None
    split: int = Field(1, ge=1, le=3)
    deltas: tuple[Annotated[int, Field(ge=0)], ...] = Field((1,), min_length=1)
    flow: str = "dis:medium"
    placement: Literal["centred", "causal", "past"] = "past"
    feed: tuple[Literal["rgb", "flow", "both"], ...] = Field(("both",), min_length=1)
    clips: int | None = Field(None, ge=1)
    repeats: RepeatHandling = "keep"
    sources: dict[str, SourceConfig] = Field(default_factory=dict)
    held_out: float = Field(0.0, ge=0, lt=1)
    teachers: str | None = None

    @model_validator(mode="after")
    def _sources_make_sense(self) -> DataConfig:
        if self.dataset == "custom" and self.root is None:
            raise ValueError("dataset custom needs root, the JSON file of your own actions")
        if self.dataset in self.sources and self.sources[self.dataset].labels:
            raise ValueError(f"sources, {self.dataset}, labels: its classes are the network's own")
        return self


class NetworkConfig(Section):
    """See model.streams.NetworkOptions."""

    trunk: str = "efficientnet_lite0"
    streams: tuple[Stream, ...] = Field(("rgb", "flow"), min_length=1)
    fusion: Literal["sum", "mean", "concat"] = "sum"
    image_size: int = Field(300, ge=64)
    motion_stride: Literal[1, 2, 3] = 1


def is_trained(source: str | None) -> bool:
    """Whether a source of weights is a trained network: a checkpoint (.pt), or a model by its name or folder."""
    if source is None or source.endswith(CHECKPOINT_SUFFIX):
        return source is not None
    return source in list_models() or (Path(source) / CARD).is_file()


class InitialConfig(Section):
    """Where weights come from.

    rgb, flow: the trunk of a stream. 'imagenet'; a file with a trunk's state dict (.pth); or what was trained before, a
        checkpoint (.pt), or a model by its name or folder, e.g. light. null: random weights.
    heads: a checkpoint or model folder of the same fusion, or of one stream. Where its classes are others, boxes,
        background and classes of the same name are taken. 'joined': the heads of what both streams start from,
        such that the network starts with the mean of their answers; exact with concat, and with sum and mean if both
        have learnt by the same heads. null: random weights (Xavier).
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


class LossConfig(Section):
    """Weights and regularisation of the loss.

    localisation_weight: of smooth L1 on the offsets.
    overlap_weight: of 1 - GIoU of the positives' boxes, besides.
    label_smoothing: share of a target that is spread over all classes.
    negative_iou: a prior whose IoU with an actor lies between this and 0.5 is ignored; 0.5 ignores none.
    open_border: boxes of actors whom the picture cuts off may reach beyond it; see `model.loss.cut_at_border`.
    teacher: a checkpoint or model folder whose class scores are learnt in place of the labels, wherever a prior
        overlaps an actor; see `model.loss.taught_classification`. Same classes, streams and image size.
    mixup: for the task classify: alpha of the Beta distribution of the shares in which two images are mixed.
    """

    localisation_weight: float = Field(1.0, ge=0)
    overlap_weight: float = Field(0.0, ge=0)
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    negative_iou: float = Field(0.5, ge=0, le=0.5)
    open_border: bool = False
    teacher: str | None = None
    mixup: float = Field(0.0, ge=0)


class OptimiserConfig(Section):
    """How weights are learnt.

    learning_rate: of the heads. Factors of it: trunk_factor for trunks, pretrained_factor besides for the layers that
        initial weights exist for, bias_factor for biases.
    batch_size: pairs a step of each process; rates are not scaled with the number of processes.
    warmup: steps in which the rate rises from 0.
    schedule: 'step' divides the rate by 10 at each of `drops`; 'cosine' lets it fall to 1 % at the end.
    clip_gradient: the largest norm of a step's gradient.
    ema: decay of the moving average of the weights, which is what is validated and exported; 0 keeps none.
    dropout: share of the fused maps' channels that is dropped before the heads.
    freeze_blocks: stream → number of its trunk's blocks that, with the stem, keep their initial weights and batch
        statistics.
    freeze_batch_norm: streams whose pretrained layers keep their batch statistics.
    freeze_heads: heads keep their initial weights, and only trunks learn.
    precision: of the forward pass. 'auto' is bfloat16 on a GPU that has it, else float32; float16 scales the loss.
    """

    name: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = Field(5e-4, gt=0)
    trunk_factor: float = Field(0.5, ge=0)
    pretrained_factor: float = Field(1.0, ge=0)
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
    dropout: float = Field(0.0, ge=0, lt=1)
    freeze_blocks: dict[Stream, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    freeze_batch_norm: tuple[Stream, ...] = ()
    freeze_heads: bool = False
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"


class RunConfig(Section):
    """The run itself; all but the seed may change when it goes on.

    workers: processes that prepare samples.
    threads: of torch; 0 is its own choice.
    checkpoint_every, validate_every: in steps.
    validate_frames: frames a test clip that validation looks at.
    validate_clips: number of test clips, evenly spread, that it looks at; null: all.
    """

    seed: int = Field(0, ge=0)
    workers: int = Field(1, ge=0)
    threads: int = Field(0, ge=0)
    checkpoint_every: int = Field(100, ge=1)
    validate_every: int = Field(500, ge=1)
    validate_frames: int = Field(2, ge=1)
    validate_clips: int | None = Field(None, ge=1)


class Experiment(Section):
    """One recipe of config/train, with what it inherits.

    task: 'detect' micro-tubes; or 'classify' close-ups of actors, which teaches a trunk actions from few pixels before
        it learns to find actors (see `model.amtnet.ActorClassifier`).
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
        if self.task == "classify" and self.data.sources:
            raise ValueError("data.sources: people of unknown action cannot be learnt from by task classify")
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
    """Read and validate an experiment, see `read_content`. Raises UserError naming the first wrong key."""
    return make_experiment(Experiment, read_content(path, overrides), path)


def read_content(path: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The keys and values of an experiment, not yet validated.

    A file may name another in its folder by the key `inherits`: of that it takes what it does not say itself, key by
    key within the sections. overrides: `section.key=value`, values in YAML. Raises UserError if a file cannot be read.
    """
    content = _with_inherited(path, ())
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


def stored_experiment(text: str, source: Path) -> Experiment:
    """The experiment that a checkpoint holds, as JSON; retired keys are ignored, with one line in the log.

    Raises UserError if it is none of this version.
    """
    try:
        content = json.loads(text)
        retired = [f"{name}.{key}" for name, keys in RETIRED.items() for key in keys if key in content.get(name, ())]
        for name in retired:
            section, _, key = name.partition(".")
            del content[section][key]
        experiment = Experiment(**content)
    except (ValidationError, ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{source}: holds no experiment of this version") from error
    if retired:
        log.warning("%s: keys that there no longer are, ignored: %s", source, ", ".join(retired))
    return experiment


def first_difference(old: Kind, new: Kind) -> str | None:
    """The first key, and its two values, that makes the two learn differently; None if they learn the same."""
    before, after = old.model_dump(exclude={"name"}), new.model_dump()
    task = before.pop("task")
    if task != after["task"]:
        return f"task was {task}, and is now {after['task']}"
    for section, values in before.items():
        for key, value in values.items():
            if value != after[section][key] and (section != "run" or key == "seed"):
                return f"{section}.{key} was {value}, and is now {after[section][key]}"
    return None


def _with_inherited(path: Path, children: tuple[Path, ...]) -> dict[str, Any]:
    """A file's content over what it inherits; children: the files that inherit from it."""
    content = _read_yaml(path)
    parent = content.pop("inherits", None)
    if parent is None:
        return content
    if not isinstance(parent, str):
        raise UserError(f"{path}: inherits: must be the name of a file")
    children = (*children, path)
    parent_path = path.parent / parent
    if parent_path.resolve() in [child.resolve() for child in children]:
        raise UserError(f"{path}: inherits: {parent} inherits from this file itself")
    inherited = _with_inherited(parent_path, children)
    for key, value in content.items():
        section = inherited.get(key)
        inherited[key] = {**section, **value} if isinstance(section, dict) and isinstance(value, dict) else value
    return inherited


def _read_yaml(path: Path) -> dict[str, Any]:
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
    return content


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
