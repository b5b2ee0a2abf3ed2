"""A model small enough to load a hundred times: it sees `bright` in a bright picture, `dark` in a dark one.

Real graphs for the real engine, with weights written down instead of learned: the score follows from the picture's mean
brightness, and the one box is the middle of the picture, half as wide and as high. The graphs lie in tiny_model/, so
that the tests run where onnx, which writes them, is not installed:

    python test/ros/tiny_model.py
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

from amtnet_ros.inference.card import DETECT, ENCODE, ModelCard, Normalisation, Training, content_of, file_hash

GRAPHS = Path(__file__).with_suffix("")
SIZE, OPSET = 32, 18
LABELS = ("bright", "dark")

# R = 3 logits and 8 offsets; in a white picture the logits of a pair sum to 0, 6, -6, in a black one to 0, -6, 6.
_WEIGHTS = np.array([0, 6, -6] + 8 * [0], dtype=np.float32).reshape(1, 1, 11)
_BIAS = np.array([0, -3, 3] + 8 * [0], dtype=np.float32).reshape(1, 1, 11)
_PRIORS = np.array([[0.5, 0.5, 0.5, 0.5]], dtype=np.float32)

_ENCODE = """
<ir_version: 10, opset_import: ["" : 18]>
encode (uint8[B, 32, 32, 3] rgb) => (float[B, 1, 11] first, float[B, 1, 11] second)
    <float[1, 1, 11] weights, float[1, 1, 11] bias, int64[2] axes>
{
    last = Constant <value_ints = [3]> ()
    white = Constant <value_float = 255.0> ()
    values = Cast <to = 1> (rgb)
    rows = ReduceMean <keepdims = 1> (values, axes)
    mean = ReduceMean <keepdims = 0> (rows, last)
    brightness = Div (mean, white)
    scaled = Mul (brightness, weights)
    first = Add (scaled, bias)
    second = Identity (first)
}
"""


def box_in(width: int, height: int) -> tuple[float, float, float, float]:
    """The box it sees in a picture of that size, in its pixels."""
    return 0.25 * width, 0.25 * height, 0.75 * width, 0.75 * height


def write_graphs(folder: Path) -> None:
    """Write the two graphs into a folder."""
    import onnx
    import onnx.numpy_helper
    import onnx.parser

    from amtnet_ros.deploy.detect_graph import make_detect_graph

    encode = onnx.parser.parse_model(_ENCODE)
    del encode.graph.initializer[:]
    for name, value in (("weights", _WEIGHTS), ("bias", _BIAS), ("axes", np.array([1, 2]))):
        encode.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    onnx.save(encode, folder / ENCODE)
    onnx.save(make_detect_graph(_PRIORS, len(LABELS), OPSET), folder / DETECT)


def make_tiny_model(folder: Path) -> Path:
    """Write the model folder; returns it."""
    shutil.copytree(GRAPHS, folder)
    card = ModelCard(
        name="tiny",
        actions=LABELS,
        image_size=SIZE,
        streams=("rgb",),
        fusion="none",
        trunk="mean",
        normalisation={"rgb": Normalisation(mean=(0, 0, 0), std=(1, 1, 1))},
        training=Training(dataset="none"),
        opset=OPSET,
        files={name: file_hash(folder / name) for name in (ENCODE, DETECT)},
    )
    (folder / "card.json").write_text(json.dumps(content_of(card)))
    return folder


if __name__ == "__main__":
    GRAPHS.mkdir(exist_ok=True)
    write_graphs(GRAPHS)
