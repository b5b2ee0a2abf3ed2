"""What the network is given for single frames of a recorded video: to calibrate, to compare engines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from amtnet_ros.contracts import Frame, UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.flow.contract import FlowEngine, to_working_size
from amtnet_ros.flow.encoding import encode_flow
from amtnet_ros.flow.factory import make_flow
from amtnet_ros.flow.stack import window
from amtnet_ros.inference.card import ModelCard
from amtnet_ros.media.video import open_source

SECOND = 1_000_000_000


def frames_of_video(card: ModelCard, path: Path, n_frames: int) -> list[tuple[Frame, UInt8 | None]]:
    """`n_frames` frames of a video, evenly spread, each with its flow stack (None without a motion stream).

    Only the flow that is needed is computed. Raises UserError where the video cannot be read or is shorter than 2.
    """
    images = list(open_source(str(path)))
    if len(images) < 2:
        raise UserError(f"{path}: has {len(images)} frame; flow needs 2")
    flow = make_flow(card.flow.engine, card.flow.working_size, "cpu") if card.flow is not None else None
    chosen = []
    for t in np.linspace(0, len(images) - 1, n_frames + 2).astype(int)[1:-1]:
        stack = None if flow is None else flow_stack(card, images, int(t), flow)
        chosen.append((Frame(int(t), round(int(t) * SECOND / card.rate), images[t]), stack))
    return chosen


def flow_stack(card: ModelCard, images: Sequence[UInt8], t: int, flow: FlowEngine) -> UInt8:
    """The (S, S, 3 * length) stack of frame t of a whole video, all its frames being known."""
    assert card.flow is not None
    flow_images: dict[int, UInt8] = {}
    needed = window(t, len(images), card.flow.placement, card.flow.length)
    for index in set(needed):
        start = min(index, len(images) - 2)  # the last frame has no flow of its own: that before it is repeated
        encoded = encode_flow(flow(images[start], images[start + 1]))
        resized = cv2.resize(encoded, (card.image_size, card.image_size), interpolation=cv2.INTER_LINEAR)
        flow_images[index] = np.asarray(resized, dtype=np.uint8)
    return np.concatenate([flow_images[index] for index in needed], axis=2)


def inputs_of_videos(card: ModelCard, paths: Iterable[Path], n_frames: int) -> Iterator[dict[str, UInt8]]:
    """Inputs of the encode graph, (1, S, S, channels) uint8 by stream, of `n_frames` frames of each video."""
    size = (card.image_size, card.image_size)
    for path in paths:
        for frame, stack in frames_of_video(card, path, n_frames):
            given = {"rgb": to_working_size(frame.image, size), "flow": stack}
            yield {
                stream: array[None] for stream, array in given.items() if stream in card.streams and array is not None
            }
