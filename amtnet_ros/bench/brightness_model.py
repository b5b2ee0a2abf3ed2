"""A model that was written down, not learnt, and costs next to nothing: it sees bright and dark parts of a picture.

The picture is divided into cells. A cell is `bright` or `dark`; the score follows from its mean brightness, and the box
is the middle of the cell, half as wide and as high. What it says can be foretold, and it takes a fraction of a
millisecond: for what is about everything but the network.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from amtnet_ros.inference.card import DETECT, ENCODE, ModelCard, Normalisation, Training, content_of
from amtnet_ros.inference.graph_file import file_hash
from amtnet_ros.libraries import library

BRIGHTNESS_LABELS = ("bright", "dark")
SIDE, OPSET = 32, 18

# R = 3 logits and 8 offsets; in a white cell the logits of a pair sum to 0, 6, -6, in a black one to 0, -6, 6.
_WEIGHTS = np.array([0, 6, -6] + 8 * [0], dtype=np.float32).reshape(1, 1, 11)
_BIAS = np.array([0, -3, 3] + 8 * [0], dtype=np.float32).reshape(1, 1, 11)

_ENCODE = """
<ir_version: 10, opset_import: ["" : {opset}]>
encode (uint8[B, {side}, {side}, 3] rgb) => (float[B, {count}, 11] first, float[B, {count}, 11] second)
    <float[1, 1, 11] weights, float[1, 1, 11] bias, int64[3] axes>
{{
    cells = Constant <value_ints = [0, {cells}, {cell}, {cells}, {cell}, 3]> ()
    column = Constant <value_ints = [0, {count}, 1]> ()
    white = Constant <value_float = 255.0> ()
    values = Cast <to = 1> (rgb)
    parts = Reshape (values, cells)
    means = ReduceMean <keepdims = 0> (parts, axes)
    levels = Reshape (means, column)
    brightness = Div (levels, white)
    scaled = Mul (brightness, weights)
    first = Add (scaled, bias)
    second = Identity (first)
}}
"""


def write_brightness_graphs(folder: Path, cells: int = 1) -> None:
    """Write the two graphs into a folder. cells: a side, which divide 32. It needs onnx, and no torch."""
    onnx = library("onnx", "the brightness model")
    library("onnx.parser", "the brightness model")
    from amtnet_ros.deploy.detect_graph import make_detect_graph

    shape = {"side": SIDE, "cells": cells, "cell": SIDE // cells, "count": cells**2, "opset": OPSET}
    encode = onnx.parser.parse_model(_ENCODE.format(**shape))
    del encode.graph.initializer[:]
    for name, value in (("weights", _WEIGHTS), ("bias", _BIAS), ("axes", np.array([2, 4, 5]))):
        encode.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    middles = (np.arange(cells, dtype=np.float32) + 0.5) / cells
    x, y = np.meshgrid(middles, middles)
    size = np.full(cells**2, 0.5 / cells, dtype=np.float32)
    priors = np.stack([x.ravel(), y.ravel(), size, size], axis=1)
    onnx.save(encode, folder / ENCODE)
    onnx.save(make_detect_graph(priors, len(BRIGHTNESS_LABELS), OPSET), folder / DETECT)


def write_brightness_card(folder: Path) -> None:
    """Write the card of the graphs that lie in the folder."""
    card = ModelCard(
        name="brightness",
        actions=BRIGHTNESS_LABELS,
        image_size=SIDE,
        streams=("rgb",),
        fusion="none",
        trunk="mean",
        normalisation={"rgb": Normalisation(mean=(0, 0, 0), std=(1, 1, 1))},
        training=Training(dataset="none"),
        opset=OPSET,
        files={name: file_hash(folder / name) for name in (ENCODE, DETECT)},
    )
    (folder / "card.json").write_text(json.dumps(content_of(card)))
