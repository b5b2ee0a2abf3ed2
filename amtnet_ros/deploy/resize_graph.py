"""The resize graph: one raw image to the network's size on the device, as an ONNX model.

It is the same for every model and lies beside this file, since what runs a model need not have the package `onnx`.
After a change: `python -m amtnet_ros.deploy.resize_graph`.
"""

from __future__ import annotations

import onnx
import onnx.parser

from amtnet_ros.inference.onnxruntime_engine import GRAPH

# An image of H rows and W columns becomes one of S rows and S columns; for rows and columns see `resize_matrices`.
_GRAPH = """
<ir_version: 10, opset_import: ["" : 18]>
resize (uint8[H, W, 3] image, float[S, H] rows, float[S, W] columns) => (uint8[S, S, 3] resized)
{
    flat_shape = Constant <value_ints = [0, -1]> ()
    row_shape = Constant <value_ints = [0, -1, 3]> ()
    flat = Reshape (image, flat_shape)
    flat_single = Cast <to = 1> (flat)
    fewer_rows_flat = MatMul (rows, flat_single)
    fewer_rows = Reshape (fewer_rows_flat, row_shape)
    planes = Transpose <perm = [0, 2, 1]> (fewer_rows)
    by_column = Transpose <perm = [1, 0]> (columns)
    small_planes = MatMul (planes, by_column)
    small = Transpose <perm = [0, 2, 1]> (small_planes)
    rounded = Round (small)
    resized = Cast <to = 2> (rounded)
}
"""


def make_resize_graph() -> onnx.ModelProto:
    """Inputs image (H, W, 3) uint8 of any size, rows (S, H), columns (S, W) float32; output resized (S, S, 3) uint8."""
    model = onnx.parser.parse_model(_GRAPH)
    onnx.checker.check_model(model, full_check=True)
    return model


if __name__ == "__main__":
    onnx.save(make_resize_graph(), GRAPH)
