"""Another last layer in the graphs of the bundled actor stream: other answers, and all else as before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from amtnet_ros.errors import UserError

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from amtnet_ros.deploy.answer_layer import answer_weights, hidden_layer, with_answers  # noqa: E402

FOLDER = Path(__file__).parents[2] / "models" / "light"
OUTPUTS = ("answers", "names", "hidden", "features", "memory_out")


def run(model, feed):
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return dict(zip(OUTPUTS, session.run(list(OUTPUTS), feed), strict=True))


@pytest.mark.parametrize("name", ["actor.onnx", "actor.int8.onnx"])
def test_the_answers_are_the_new_layers_and_the_rest_stays(name: str) -> None:
    rng = np.random.default_rng(0)
    model = onnx.load(FOLDER / name)
    memory = next(one for one in model.graph.input if one.name == "memory").type.tensor_type
    kind = np.uint8 if memory.elem_type == onnx.TensorProto.UINT8 else np.float32
    feed = {
        "pictures": rng.integers(0, 256, (3, 172, 172, 3)).astype(np.uint8),
        "memory": np.zeros((3, memory.shape.dim[1].dim_value), kind),
        "earlier": np.zeros((3, 480), np.float32),
        "count": np.zeros((3, 1), np.float32),
    }
    weight, direction = rng.normal(0, [[[0.05]], [[2.0]]], (2, 5, 2048)).astype(np.float32)
    bias, middle = rng.normal(size=5).astype(np.float32), rng.random(2048).astype(np.float32)
    before, after = run(model, feed), run(with_answers(model, weight, bias, direction, middle), feed)
    away = after["hidden"] - middle
    logits = after["hidden"] @ weight.T + bias + away / np.linalg.norm(away, axis=1, keepdims=True) @ direction.T
    np.testing.assert_allclose(after["answers"], softmax(logits, axis=1), atol=1e-5)
    for output in OUTPUTS[1:]:
        np.testing.assert_array_equal(after[output], before[output])
    if kind is np.float32:
        np.testing.assert_allclose(hidden_layer(FOLDER / name)(before["features"]), before["hidden"], atol=1e-4)
        old_weight, old_bias, old_direction, _ = answer_weights(FOLDER / name)
        np.testing.assert_allclose(
            softmax(before["hidden"] @ old_weight.T + old_bias, axis=1), before["answers"], atol=1e-3
        )
        assert not old_direction.any()


def test_a_graph_without_these_outputs_is_refused() -> None:
    model = onnx.load(FOLDER / "detect.onnx")
    with pytest.raises(UserError, match="has no 'answers'"):
        with_answers(model, *(np.zeros(shape, np.float32) for shape in ((2, 4), 2, (2, 4), 4)))
