"""What all engines share: their inputs, checked; and their last step on the few survivors, which makes micro-tubes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from amtnet_ros.boxes import area, clip, intersection
from amtnet_ros.contracts import Bool, Float32, Frame, Int64, MicroTubes, UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.inference.card import ModelCard
from amtnet_ros.inference.contract import Encoded, Selection

Resized = TypeVar("Resized")

CANDIDATES = 1000
"""Number of priors, those with the highest class scores, that are decoded and go into non-maximum suppression."""


def network_inputs(
    card: ModelCard,
    frames: Sequence[Frame],
    flow_stacks: Sequence[UInt8 | None],
    resize: Callable[[Sequence[UInt8]], Resized],
) -> dict[str, UInt8 | Resized]:
    """Stream → (B, S, S, 3 or 3 * length) uint8: the inputs of the encode graph. Raises UserError for unfit arrays.

    resize: makes one batch (B, S, S, 3) of images of any sizes, wherever the engine wants it; see `resize`.
    """
    size = card.image_size
    inputs: dict[str, UInt8 | Resized] = {}
    if "rgb" in card.streams:
        for frame in frames:
            _check(frame.image, f"frame {frame.index}", None, 3)
        inputs["rgb"] = resize([frame.image for frame in frames])
    if card.flow is not None:
        stacks = []
        for frame, stack in zip(frames, flow_stacks, strict=True):
            if stack is None:
                raise UserError(
                    f"frame {frame.index}: the model '{card.name}' has a motion stream and needs a flow stack"
                )
            _check(stack, f"frame {frame.index}, flow stack", size, 3 * card.flow.length)
            stacks.append(stack)
        inputs["flow"] = np.stack(stacks)
    return inputs


def _check(image: UInt8, what: str, side: int | None, channels: int) -> None:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        raise UserError(f"{what}: is {getattr(image, 'dtype', type(image).__name__)}; must be 8-bit (uint8)")
    expected = ("H", "W", channels) if side is None else (side, side, channels)
    fits = image.ndim == 3 and image.shape[2] == channels and 0 not in image.shape
    if not fits or (side is not None and image.shape[:2] != (side, side)):
        raise UserError(f"{what}: has shape {image.shape}; must be ({', '.join(map(str, expected))})")


def check_pair(at_t: Encoded, at_t_plus_delta: Encoded) -> None:
    """Raise UserError unless both frames can be of one camera."""
    if at_t.image_size != at_t_plus_delta.image_size:
        sizes = " and ".join(f"{width}x{height}" for width, height in (at_t.image_size, at_t_plus_delta.image_size))
        raise UserError(f"the two frames of a pair differ in size: {sizes}; begin anew when the camera's size changes")


class Survivors(NamedTuple):
    """What non-maximum suppression left.

    boxes: (n, 2, 4) corners as shares of the image; labels, scores: (n,); class_scores: (n, C).
    """

    boxes: Float32
    labels: Int64
    scores: Float32
    class_scores: Float32


def to_micro_tubes(survivors: Survivors, at_t: Encoded, at_t_plus_delta: Encoded, selection: Selection) -> MicroTubes:
    """The survivors as the contract wants them.

    Boxes are voted on (see `voting`), scaled to source pixels and clipped to the image; a micro-tube of which nothing
    is left there is dropped. Ordered by falling score, equal ones by label. Classes that are not wanted score 0.
    """
    boxes, labels, scores, class_scores = survivors
    if selection.vote_iou is not None:
        boxes = vote(boxes, scores, selection.vote_iou)
    width, height = at_t.image_size
    sides = np.array([width, height, width, height], dtype=np.float32)
    pixels: Float32 = clip((boxes * sides).transpose(2, 0, 1), width, height).transpose(1, 2, 0)
    wanted: Bool = np.all(pixels[..., 2:] > pixels[..., :2], axis=(1, 2))
    if selection.classes is not None:
        wanted &= np.isin(labels, selection.classes)
        unwanted = np.setdiff1d(np.arange(class_scores.shape[1]), selection.classes)
        class_scores = class_scores.copy()
        class_scores[:, unwanted] = 0  # else the linker, in mode actor, might name a tube after one of these
    order = np.lexsort((labels, -scores))
    rows = order[wanted[order]][: selection.limit]
    return MicroTubes(
        boxes=pixels[rows],
        labels=labels[rows],
        scores=scores[rows],
        class_scores=class_scores[rows],
        frames=(at_t.index, at_t_plus_delta.index),
        stamps=(at_t.stamp, at_t_plus_delta.stamp),
        image_size=at_t.image_size,
    )


def vote(boxes: Float32, scores: Float32, min_iou: float) -> Float32:
    """Each micro-tube's boxes become the mean of those around it, weighted by their scores → (n, 2, 4).

    boxes: (n, 2, 4) corners, of all classes: the best box of another class lies on the same actor.
    scores: (n,), above 0. min_iou: those vote whose boxes in the first frame overlap by more; each votes for itself.
    """
    first = boxes[:, 0].T
    common = intersection(first[:, :, None], first[:, None])
    union = np.add.outer(area(first), area(first)) - common
    # As a product, since boxes may be empty.
    weight = ((common > min_iou * union) | np.eye(len(boxes), dtype=np.bool_)) * scores
    weight /= weight.sum(axis=1, keepdims=True)
    voted: Float32 = (weight @ boxes.reshape(-1, 8)).reshape(-1, 2, 4).astype(np.float32)
    return voted
