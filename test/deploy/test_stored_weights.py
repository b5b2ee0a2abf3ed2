"""Weights in fewer bits: a smaller folder that says nearly the same, to every engine."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
import onnxruntime as ort
import pytest
from tiny import scene

from amtnet_ros.deploy.stored_weights import shrink_model, store_in_8_bits
from amtnet_ros.inference.card import read_card
from amtnet_ros.inference.factory import make_engine


def multiplication(weight: np.ndarray) -> onnx.ModelProto:
    """y = x · weightᵀ."""
    kind = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Gemm", ["x", "weight"], ["y"], transB=1)],
        "multiplication",
        [onnx.helper.make_tensor_value_info("x", kind, [1, weight.shape[1]])],
        [onnx.helper.make_tensor_value_info("y", kind, [1, weight.shape[0]])],
        [onnx.numpy_helper.from_array(weight, "weight")],
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)


def test_a_weight_moves_by_half_a_step_of_its_channel_at_most() -> None:
    rng = np.random.default_rng(0)
    weight = (rng.normal(size=(5, 40)) * [[1], [100], [1e-4], [0], [3]]).astype(np.float32)
    model = multiplication(weight)
    store_in_8_bits(model, ["weight"])
    onnx.checker.check_model(model, full_check=True)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found = np.concatenate([session.run(None, {"x": row[None]})[0] for row in np.eye(40, dtype=np.float32)]).T
    bound = np.abs(weight).max(axis=1, keepdims=True) / 254
    assert (np.abs(found - weight) <= bound * 1.001).all()
    assert np.abs(found - weight).max() > 0
    assert {t.name: t.data_type for t in model.graph.initializer}["weight"] == onnx.TensorProto.INT8


@pytest.mark.parametrize("engine", ["onnxruntime", "torch"])
def test_a_shrunk_model_is_half_as_large_and_sees_nearly_the_same(
    tiny_folder: Path, tmp_path: Path, engine: str
) -> None:
    small = tmp_path / "small"
    shutil.copytree(tiny_folder, small)
    shrink_model(small)
    assert read_card(small).files.keys() == read_card(tiny_folder).files.keys()
    assert (small / "encode.onnx").stat().st_size < 0.6 * (tiny_folder / "encode.onnx").stat().st_size
    shares = []
    for folder in (tiny_folder, small):
        made = make_engine(folder, "cpu", engine=engine, threads=1)
        shares.append(np.asarray(made.encode(*scene(1)).first.numpy()))
        made.close()
    assert 0 < np.abs(shares[0] - shares[1]).max() < 0.02 * np.abs(shares[0]).max()
