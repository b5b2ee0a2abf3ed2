"""Static int8 quantisation of a model's encode graph, for CPUs, and the frames of recorded videos that calibrate it."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnx.numpy_helper
import onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from amtnet_ros.contracts import Frame, UInt8
from amtnet_ros.deploy.folder import write_card
from amtnet_ros.deploy.stored_weights import store_in_half
from amtnet_ros.errors import UserError
from amtnet_ros.files import write_whole
from amtnet_ros.flow.contract import FlowEngine, to_working_size
from amtnet_ros.flow.encoding import encode_flow
from amtnet_ros.flow.factory import make_flow
from amtnet_ros.flow.stack import window
from amtnet_ros.inference.card import ENCODE, ENCODE_INT8, Int8, ModelCard, read_card
from amtnet_ros.inference.factory import make_engine
from amtnet_ros.media.video import open_source

SECOND = 1_000_000_000

# Activations and additions are quantised with the convolutions, so that what lies between two of them stays 8-bit.
QUANTISED_NODES = ["Conv", "Clip", "Relu", "Add", "AveragePool", "Resize"]
HEADS = "heads.weights."
"""In the name of the weights of convolutions that stay fp32. A share's logits span some hundred, of which all but a few
cancel in the sum of two frames' shares; 8 bits over the whole span would leave nothing of the difference."""


_HALF = np.finfo(np.float16).max


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, inputs: Iterable[dict[str, UInt8]]) -> None:
        self._inputs = iter(inputs)
        self.count = 0

    def get_next(self) -> dict[str, UInt8] | None:
        found = next(self._inputs, None)
        self.count += found is not None
        return found


def quantise_model(folder: Path, inputs: Iterable[dict[str, UInt8]], calibration: str) -> ModelCard:
    """Put an int8 encode graph beside the fp32 one of a model folder, in the place of an earlier one.

    inputs: of the encode graph for some hundred frames like those the model will see, see `inputs_of_videos`;
    weights use 7 of 8 bits, with a scale for each output channel, so that x86 CPUs without 8-bit dot products, which
    add pairs of products in 16 bits, compute what the others do; activations are 8-bit with the range seen in
    calibration.
    calibration: whose frames they are, for the card. The int8 form's accuracy has to be measured anew.
    Raises UserError where the folder holds no fp32 model or cannot be written.
    """
    card = read_card(folder)
    if card.precision != "fp32":
        raise UserError(f"{folder}: is {card.precision}; quantise the fp32 model")
    reader = _Reader(inputs)
    try:
        with tempfile.TemporaryDirectory(prefix=".quantise.", dir=folder.parent) as scratch, quiet():
            prepared, quantised = Path(scratch) / ENCODE, Path(scratch) / ENCODE_INT8
            quant_pre_process(str(folder / ENCODE), str(prepared), skip_symbolic_shape=True)
            quantize_static(
                prepared,
                quantised,
                reader,
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                reduce_range=True,
                op_types_to_quantize=QUANTISED_NODES,
                nodes_to_exclude=_kept_exact(prepared),
            )
            _store_in_half_what_it_holds(quantised)
            write_whole(folder / ENCODE_INT8, quantised.read_bytes())
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror})") from error
    training = replace(card.training, calibration_frames=reader.count)
    card = write_card(folder, replace(card, int8=Int8(calibration=calibration), training=training))
    make_engine(folder, "cpu", precision="int8").close()
    return card


def _kept_exact(graph: Path) -> list[str]:
    """Names of the nodes that are not quantised."""
    nodes = onnx.load(graph).graph.node
    return [node.name for node in nodes if node.op_type == "Conv" and HEADS in node.input[1]]


def _store_in_half_what_it_holds(graph: Path) -> None:
    """Weights that stay float, and were rounded to half precision once, are stored in it: half the size, no change."""
    model = onnx.load(graph)
    floats = [tensor for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT]
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in floats}
    exact = {name for name, x in values.items() if np.array_equal(x, np.clip(x, -_HALF, _HALF).astype(np.float16))}
    store_in_half(model, exact)
    onnx.save(model, graph)


@contextmanager
def quiet() -> Iterator[None]:
    """Without ONNX Runtime's advice on how to call it and its notes on what it optimises."""
    before = logging.root.level
    logging.root.setLevel(logging.ERROR)
    ort.set_default_logger_severity(3)
    try:
        yield
    finally:
        ort.set_default_logger_severity(2)  # its default
        logging.root.setLevel(before)


def inputs_of_videos(card: ModelCard, paths: Iterable[Path], n_frames: int) -> Iterator[dict[str, UInt8]]:
    """Inputs of the encode graph, (1, S, S, channels) uint8 by stream, of `n_frames` frames of each video."""
    size = (card.image_size, card.image_size)
    for path in paths:
        for frame, stack in frames_of_video(card, path, n_frames):
            given = {"rgb": to_working_size(frame.image, size), "flow": stack}
            yield {
                stream: array[None] for stream, array in given.items() if stream in card.streams and array is not None
            }


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
