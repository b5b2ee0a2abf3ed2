"""What every engine looks like, and how one is made.

The heads are linear in the two frames of a pair, so what a frame contributes as the first and as the second of a pair
is computed once (`encode`); any two frames then make micro-tubes by one addition, a softmax and the selection
(`detect`). A frame passes the network once although it belongs to two pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from amtnet_ros.contracts import Frame, MicroTubes, UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.inference.card import ModelCard, find_model, read_card
from amtnet_ros.inference.resize import Placement

EngineName = Literal["auto", "onnxruntime", "torch"]
Precision = Literal["auto", "fp32", "fp16", "int8"]
PRECISIONS: tuple[Precision, ...] = ("auto", "fp32", "fp16", "int8")


@dataclass(frozen=True, slots=True)
class Encoded:
    """One frame, encoded.

    first, second: (M, C + 9) its shares as first and as second of a pair; arrays of the engine's own, on its device.
    index, stamp: of the frame. image_size: (width, height) of the source image in pixels.
    """

    first: Any
    second: Any
    index: int
    stamp: int
    image_size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which of the M priors times C classes become micro-tubes. Raises UserError for values out of range.

    score_threshold: at least this score.
    nms_iou: within a class, a micro-tube whose box in the first frame overlaps a better one's by more is dropped.
    vote_iou: what is left is averaged with what overlaps it by more, see `voting`; None for no votes.
    max_per_class: the best so many of each class. limit: the best so many in all; None for no limit.
    classes: the labels wanted; None for all.
    """

    score_threshold: float = 0.05
    nms_iou: float = 0.45
    vote_iou: float | None = 0.6
    max_per_class: int = 10
    limit: int | None = None
    classes: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("score_threshold", "nms_iou", "vote_iou"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise UserError(f"{name}: {value} is not within 0 to 1")
        for name, count in (("max_per_class", self.max_per_class), ("limit", self.limit)):
            if count is not None and count < 1:
                raise UserError(f"{name}: {count} is not at least 1")


class Engine(Protocol):
    """A loaded model, warmed up. One engine serves one thread at a time.

    card: of the model. provider: what really computes, e.g. "CPUExecutionProvider" or "torch cuda:0".
    precision: of the encoding's arithmetic: fp32, fp16 or int8.
    """

    card: ModelCard
    provider: str
    precision: str

    def encode(self, frame: Frame, flow_stack: UInt8 | None) -> Encoded:
        """Encode one frame.

        frame: image of any size, RGB.
        flow_stack: (S, S, 3 * length) uint8 at the network's size S, the frame's stack of flow images
            (`amtnet_ros.flow.stack.FlowStack`); ignored where the model has no motion stream.
        Raises UserError on arrays that do not fit.
        """
        ...

    def encode_batch(self, frames: Sequence[Frame], flow_stacks: Sequence[UInt8 | None]) -> list[Encoded]:
        """Encode one frame of each of several cameras in one pass; the images may differ in size."""
        ...

    def detect(self, at_t: Encoded, at_t_plus_delta: Encoded, selection: Selection) -> MicroTubes:
        """Micro-tubes of the pair of two encoded frames of one camera, by falling score, boxes in source pixels."""
        ...

    def close(self) -> None:
        """Give back the device's memory; the engine cannot be used afterwards."""
        ...


def make_engine(
    model: str | Path,
    device: str = "auto",
    *,
    engine: EngineName = "auto",
    precision: Precision = "auto",
    threads: int = 0,
    require_gpu: bool = False,
    resize: Placement = "auto",
) -> Engine:
    """Load a model.

    model: its folder, or its name. device: auto, cpu, cuda:N or tensorrt:N. engine: auto is onnxruntime.
    precision: auto is int8 on a CPU that has instructions for it, where the model has that form; else the model's own.
    threads: of the CPU; 0 for one a core. require_gpu: refuse to run on the CPU.
    resize: where the image gets the network's size, host or device; auto is the device if it is a GPU, which then gets
        the image as it is.
    Raises UserError where the model or the device cannot be used.
    """
    if engine not in ("auto", "onnxruntime", "torch"):
        raise UserError(f"unknown engine '{engine}'; there are: onnxruntime, torch")
    folder = find_model(model)
    card = read_card(folder)
    if engine == "torch":
        return _make_torch_engine(folder, card, device, precision, threads, require_gpu, resize)
    from amtnet_ros.inference.device import choose_device, choose_precision
    from amtnet_ros.inference.onnxruntime_engine import OnnxRuntimeEngine

    chosen = choose_device(device, require_gpu)
    return OnnxRuntimeEngine(folder, card, chosen, choose_precision(precision, chosen, card), threads, resize)


def _make_torch_engine(
    folder: Path,
    card: ModelCard,
    device: str,
    precision: Precision,
    threads: int,
    require_gpu: bool,
    resize: Placement,
) -> Engine:
    try:
        from amtnet_ros.inference.torch_engine import TorchEngine, choose_torch_device
    except ImportError as error:
        raise UserError(f"the torch engine needs torch, torchvision and onnx ({error}); see docs/engines.md") from error
    chosen = choose_torch_device(device, require_gpu)
    if precision == "int8":
        raise UserError("the torch engine does not run int8 graphs; use the engine onnxruntime, or another precision")
    half = precision == "fp16" or (precision == "auto" and chosen.type == "cuda")
    return TorchEngine(folder, card, chosen, half=half, threads=threads, resize=resize)
