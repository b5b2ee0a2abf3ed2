"""The model card: what a model folder holds, and whether it is whole."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from amtnet_ros.contracts import NOBODY, OTHER
from amtnet_ros.errors import UserError, quoted
from amtnet_ros.files import read_json
from amtnet_ros.inference.graph_file import check_file, file_hash
from amtnet_ros.inference.reading import read, within, written

CARD = "card.json"
ENCODE, ENCODE_INT8, DETECT = "encode.onnx", "encode.int8.onnx", "detect.onnx"
ACTOR, ACTOR_INT8 = "actor.onnx", "actor.int8.onnx"
PEOPLE = "people.npz"
FORMAT = 1
LARGEST = 4096
"""Pixels of a side that a network may look at."""
_MOST_BYTES = 1 << 20  # of a card
_LONGEST_LABEL, _MOST_LABELS = 100, 10_000


@dataclass(frozen=True)
class Normalisation:
    """The graph applies `(value - mean) / std` to values 0..255, channel by channel of each 3-channel image."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True)
class FlowCard:
    """What the motion stream was trained on, and therefore needs.

    engine: of `amtnet_ros.flow`. working_size: (width, height) the flow is computed at.
    encoding: of a flow image's three channels, u and v in pixels per nominal frame interval.
    placement, length: of the stack of flow images, see flow.stack.
    """

    engine: str = "dis:medium"
    working_size: tuple[int, int] = (320, 240)
    encoding: Literal["128+16*(u,v,|uv|)"] = "128+16*(u,v,|uv|)"
    placement: Literal["past", "causal", "centred"] = "past"
    length: int = within(5, least=1, most=64)


@dataclass(frozen=True)
class Training:
    """Where the weights come from.

    calibration_frames: that set the ranges of the int8 form. experiment: the training configuration, as it was run.
    earlier: the runs whose weights it started from, the first one first, each with its experiment and iterations.
    """

    dataset: str
    split: int | None = None
    seed: int | None = None
    iterations: int | None = None
    calibration_frames: int | None = None
    experiment: dict[str, Any] = field(default_factory=dict)
    earlier: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Int8:
    """The 8-bit form of the encode graph, for CPUs, that lies beside it.

    calibration: whose training clips set the ranges. accuracy: as the card's own.
    """

    calibration: str
    accuracy: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ActorRule:
    """The numbers by which two answers become one, see `actors.fusion.Rule`; what each means stands there."""

    w_light: float = within(least=0)
    w_taught: float = within(least=0)
    w_names: float = within(least=0)
    temperature: float = within(above=0)
    other: float
    whole: float = within(0.0, least=0, most=1)


@dataclass(frozen=True, kw_only=True)
class ActorCard:
    """The stream that looks at one person at a time, in `actor.onnx`.

    picture_size: side in pixels of the square it sees. answers: what it was taught to say, in the graph's order: the
    model's actions, `other` and `nobody`. n_names: classes of Kinetics that it names besides.
    actions: what the model tells apart, in order, where that is not what the two-stream network does: the stream was
    taught others (`amtnet teach`). None: the same.
    rule: how its answers and the two-stream network's are joined.
    origin, licence, changes: whose weights it began with, and what was done to them; for people to read.
    training, accuracy: as the card's own. int8: present where the folder also holds an 8-bit form.
    """

    picture_size: int = within(172, least=1, most=LARGEST)
    answers: tuple[str, ...]
    actions: tuple[str, ...] | None = None
    n_names: int = within(600, least=1, most=10_000)
    rule: ActorRule
    origin: str
    licence: str
    changes: str
    training: dict[str, Any] = field(default_factory=dict)
    accuracy: dict[str, float] = field(default_factory=dict)
    int8: Int8 | None = None


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """One model folder: its graphs and this card, `card.json`.

    actions: what the two-stream network tells apart, called `labels` in the file; the index is a micro-tube's label.
        What tubes may be called are `named_actions` and `other`.
    image_size: side in pixels of the square input.
    streams: what the network looks at.
    fusion, trunk, motion_stride: see the network.
    delta: default distance of a pair in frames at the nominal `rate` (frames a second of the training video).
    flow: present where there is a motion stream. normalisation: of each stream, done inside the graph.
    precision: of the encode graph's arithmetic. opset: of both graphs.
    accuracy: measured figures, name → value, as the evaluation commands print them, at that precision.
    int8: present where the folder also holds an 8-bit encode graph.
    actor: present where it also holds a stream that looks at persons.
    files: name → SHA-256, of every other file of the folder.
    """

    format: int = FORMAT
    name: str
    description: str = ""
    actions: tuple[str, ...] = within(called="labels")
    image_size: int = within(300, least=32, most=LARGEST)
    streams: tuple[Literal["rgb", "flow"], ...]
    fusion: Literal["sum", "mean", "concat", "late", "none"]
    trunk: str
    motion_stride: int = within(1, least=1, most=64)
    delta: int = within(1, least=1, most=64)
    rate: float = within(30.0, least=0.1, most=1000)
    flow: FlowCard | None = None
    normalisation: dict[str, Normalisation]
    training: Training
    accuracy: dict[str, float] = field(default_factory=dict)
    precision: Literal["fp32", "fp16"] = "fp32"
    int8: Int8 | None = None
    actor: ActorCard | None = None
    opset: int
    files: dict[str, str]

    @property
    def named_actions(self) -> tuple[str, ...]:
        """The actions that the whole model names: those of the stream that looks at persons, where it has its own."""
        return self.actions if self.actor is None or self.actor.actions is None else self.actor.actions

    @property
    def labels(self) -> tuple[str, ...]:
        """What a tube may be called, by its label: the actions, and `other` where a stream looks at persons."""
        return self.actions if self.actor is None else (*self.named_actions, OTHER)

    @property
    def values(self) -> int:
        """What a frame's share holds for each prior: class logits with the background's, 8 offsets; see `deployed`."""
        logits = len(self.actions) + 1
        return logits + 8 + (logits if self.fusion == "late" else 0)

    @property
    def digest(self) -> str:
        """SHA-256 over all files' SHA-256: one number that names the model."""
        lines = "".join(f"{self.files[name]}  {name}\n" for name in sorted(self.files))
        return hashlib.sha256(lines.encode()).hexdigest()


def read_card(folder: Path) -> ModelCard:
    """Read and check a model folder: the card, and that every file it names is there and unchanged.

    Raises UserError, one line, for each thing that can be wrong with a folder.
    """
    path = folder / CARD
    if not folder.is_dir():
        raise UserError(f"no such model folder: {folder}")
    if not path.exists():
        raise UserError(f"{folder}: not a model folder (it has no {CARD})")
    content = read_json(path, _MOST_BYTES)
    if not isinstance(content, dict):
        raise UserError(f"{path}: must hold keys and values")
    if content.get("format", FORMAT) != FORMAT:
        raise UserError(
            f"{path}: format {quoted(content['format'])} is not known here (known: {FORMAT}); update amtnet_ros"
        )
    if content.pop("motion_trunk", None) is not None:  # a key of the tag with-all-variants, null in most cards
        raise UserError(f"{path}: its streams have two kinds of trunks, which this version does not know")
    try:
        card = card_of(content)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    _check_sense(path, card)
    _check_files(folder, card)
    return card


def card_of(content: Mapping[str, Any]) -> ModelCard:
    """A card from the content of its file. Raises UserError that names the key of what is missing or wrong."""
    return read(ModelCard, content)


def content_of(card: ModelCard) -> dict[str, Any]:
    """What the card's file holds."""
    content: dict[str, Any] = written(card)
    return content


def model_folders() -> list[Path]:
    """Folders that hold models by name: of every prefix of AMENT_PREFIX_PATH, then the source tree's or the wheel's."""
    prefixes = [Path(prefix) for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix]
    package = Path(__file__).resolve().parents[1]
    folders = [*(prefix / "share" / "amtnet_ros" for prefix in prefixes), package.parent, package]
    return [models for folder in folders if (models := folder / "models").is_dir()]


def list_models() -> dict[str, Path]:
    """Name → folder of every model that is found by its name."""
    found: dict[str, Path] = {}
    for folder in model_folders():
        for card in sorted(folder.glob(f"*/{CARD}")):
            found.setdefault(card.parent.name, card.parent)
    return found


def find_model(name_or_path: str | Path) -> Path:
    """The folder of a model given by name, or by path. Raises UserError naming the models there are."""
    path = Path(name_or_path).expanduser()
    models = list_models()
    if str(name_or_path) in models:
        return models[str(name_or_path)]
    if path.is_dir():
        return path
    known = ", ".join(models) or "none is installed"
    if path.is_file():
        raise UserError(f"{path}: is a file; give the model's folder, or a name ({known})")
    raise UserError(f"no model '{name_or_path}': neither a folder, nor one of the models here ({known})")


def _check_sense(path: Path, card: ModelCard) -> None:
    """What single fields cannot show."""
    if not card.actions or any(not label.strip() for label in card.actions):
        raise UserError(f"{path}: labels: there must be at least one, none of them empty")
    if len(card.actions) > _MOST_LABELS or max(map(len, card.labels)) > _LONGEST_LABEL:
        raise UserError(f"{path}: labels: there may be {_MOST_LABELS}, of {_LONGEST_LABEL} characters")
    if twice := [label for label, count in Counter(card.actions).items() if count > 1]:
        raise UserError(f"{path}: labels: '{min(twice)}' stands there twice")
    if card.streams not in (("rgb",), ("flow",), ("rgb", "flow")):
        raise UserError(f"{path}: streams: must be rgb, flow, or both in this order, not {list(card.streams)}")
    if set(card.normalisation) != set(card.streams):
        raise UserError(f"{path}: normalisation: must be given for {' and '.join(card.streams)}, and nothing else")
    if ("flow" in card.streams) != (card.flow is not None):
        raise UserError(f"{path}: flow: needed with a motion stream, and only then")
    if card.flow is not None:
        _check_flow(path, card.flow)
    graphs = [ENCODE, DETECT, *([ENCODE_INT8] if card.int8 else [])]
    if card.actor is not None:
        _check_actor(path, card, card.actor)
        graphs += [ACTOR, *([ACTOR_INT8] if card.actor.int8 else [])]
    for name in graphs:
        if name not in card.files:
            raise UserError(f"{path}: files: '{name}' is missing")


def _check_actor(path: Path, card: ModelCard, actor: ActorCard) -> None:
    if {OTHER, NOBODY} & {*card.actions, *card.named_actions}:
        raise UserError(f"{path}: labels: '{OTHER}' and '{NOBODY}' are no actions of a model with an actor stream")
    if not card.named_actions or any(not label.strip() for label in card.named_actions):
        raise UserError(f"{path}: actor.actions: there must be at least one, none of them empty")
    if sorted(actor.answers) != sorted([*card.named_actions, OTHER, NOBODY]):
        raise UserError(f"{path}: actor.answers: must be the actions, '{OTHER}' and '{NOBODY}', each once")
    rule = actor.rule
    if abs(rule.w_light + rule.w_taught + rule.w_names - 1) > 1e-3:
        raise UserError(f"{path}: actor.rule: w_light, w_taught and w_names must sum to 1")


def _check_flow(path: Path, flow: FlowCard) -> None:
    if not 16 <= min(flow.working_size) <= max(flow.working_size) <= LARGEST:
        raise UserError(
            f"{path}: flow.working_size: must be at least 16x16, and {LARGEST} a side at most, not "
            f"{list(flow.working_size)}"
        )
    if flow.engine.startswith("onnx") or flow.engine.count(":") > 1:
        raise UserError(f"{path}: flow.engine: {quoted(flow.engine)} names a file, which a card must not")


def _check_files(folder: Path, card: ModelCard) -> None:
    for name, expected in card.files.items():
        path = folder / name
        if Path(name).name != name or name == ".." or len(name) > 255:
            raise UserError(f"{folder / CARD}: files: {quoted(name)} is not a plain file name")
        try:
            check_file(path)
            found = file_hash(path)
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror})") from error
        if found != expected.lower():
            raise UserError(f"{path}: damaged or changed: SHA-256 {found[:12]}…, the card says {quoted(expected[:12])}")
