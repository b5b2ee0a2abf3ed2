"""What every engine looks like.

The heads are linear in the two frames of a pair, so what a frame contributes as the first and as the second of a pair
is computed once (`encode`); any two frames then make micro-tubes by one addition, a softmax and the selection
(`detect`). A frame passes the network once although it belongs to two pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from amtnet_ros.contracts import Float32, Frame, MicroTubes, UInt8
from amtnet_ros.inference.card import ModelCard
from amtnet_ros.options import check_options, option

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

    classes: the labels wanted; None for all. The others stand below.
    """

    score_threshold: float = option(0.05, "Micro-tubes with a lower score are ignored.", low=0.0, high=1.0)
    nms_iou: float = option(
        0.45,
        "Of two micro-tubes of a class whose boxes in the first frame overlap more (IoU), the weaker is dropped.",
        low=0.0,
        high=1.0,
    )
    vote_iou: float | None = option(
        0.6,
        "What is left is averaged with what overlaps it by more, see `voting`; None: it is not.",
        low=0.0,
        high=1.0,
        optional=True,
    )
    max_per_class: int = option(
        10, "At most this many micro-tubes of each class are kept, the best.", low=1, high=1_000
    )
    limit: int | None = option(
        None, "At most this many micro-tubes in all, the best; None: any number.", low=1, optional=True
    )
    classes: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        check_options(self)


STEPS = "_steps"
"""Behind the name of a weight that a graph stores in 8 bits: what a unit of it is, by output channel."""


class Engine(Protocol):
    """A loaded model, warmed up. One engine serves one thread at a time.

    card: of the model. device: where it computes: "cpu", "cuda:N" or "tensorrt:N".
    provider: what really computes, e.g. "CPUExecutionProvider" or "torch cuda:0".
    precision: of the encoding's arithmetic: fp32, fp16 or int8.
    """

    card: ModelCard
    device: str
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


LEAST_AWAY = 1e-6
"""How near the hidden layer's values may be to the middle of a taught layer: nearer, there is no direction from it."""


class Look(NamedTuple):
    """What N pictures, of one person each, show after those before them.

    answers: (N, A), probabilities of the model's own answers; names: (N, 600), of Kinetics' classes; both of the mean
        of this picture's and the earlier features.
    features: (N, F) of this picture.
    memories: N, each the engine's own and on its device; what that person's next picture must come with.
    """

    answers: Float32
    names: Float32
    features: Float32
    memories: list[Any]


class ActorEngine(Protocol):
    """A loaded network that looks at persons, warmed up. One serves one thread at a time.

    picture_size: width and height of the pictures. n_features: F. provider, precision: as `Engine`'s.
    """

    picture_size: int
    n_features: int
    provider: str
    precision: str

    def look(self, pictures: UInt8, memories: Sequence[Any], earlier: Float32, count: Float32) -> Look:
        """Look at the next picture of each of N persons.

        pictures: (N, S, S, 3) RGB. memories: N, of each person's last picture; None before the first.
        earlier: (N, F), the sum of the features of the earlier pictures that count; count: (N,), how many those are.
        """
        ...

    def close(self) -> None:
        """Give back the device's memory; the engine cannot be used afterwards."""
        ...
