"""The last layer of an actor stream: taken out of a graph, and another one put in. The 600 names stay as they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
import onnxruntime as ort

from amtnet_ros.contracts import Float32
from amtnet_ros.errors import UserError
from amtnet_ros.inference.contract import LEAST_AWAY

HIDDEN, ANSWERS = "hidden", "answers"
WEIGHT, BIAS = "network.answer.weight", "network.answer.bias"
DIRECTION, MIDDLE = "network.answer.direction", "network.answer.middle"
"""What the answers' layer is called; the torch engine finds it by these names."""


def with_answers(
    model: onnx.ModelProto, weight: Float32, bias: Float32, direction: Float32, middle: Float32
) -> onnx.ModelProto:
    """A graph that gives other answers: softmax of a new layer on what it gives as `hidden`.

    The layer is linear in `hidden`, by weight, (A, H), and bias, (A,), of A answers, and in the direction of `hidden`
    from `middle`, (H,), by direction, (A, H). Works on graphs in floats and in 8 bits; the new layer is in floats.
    Raises UserError where the graph has no such outputs.
    """
    after = onnx.ModelProto()
    after.CopyFrom(model)
    graph = after.graph
    _check(graph)
    old = next(output for output in graph.output if output.name == ANSWERS)
    persons = old.type.tensor_type.shape.dim[0].dim_param or "persons"
    place = list(graph.output).index(old)
    _keep_only(graph, {output.name for output in graph.output} - {ANSWERS})
    for name, values in ((WEIGHT, weight), (BIAS, bias), (DIRECTION, direction), (MIDDLE, middle)):
        graph.initializer.append(onnx.numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name))
    graph.initializer.append(onnx.numpy_helper.from_array(np.array([-1], np.int64), "last_axis"))
    graph.initializer.append(onnx.numpy_helper.from_array(np.array(LEAST_AWAY, np.float32), "least_away"))
    graph.node.extend(_layer())
    graph.output.insert(
        place, onnx.helper.make_tensor_value_info(ANSWERS, onnx.TensorProto.FLOAT, [persons, len(bias)])
    )
    del graph.value_info[:]
    onnx.checker.check_model(after, full_check=True)
    return after


def _layer() -> list[onnx.NodeProto]:
    node = onnx.helper.make_node
    return [
        node("Gemm", [HIDDEN, WEIGHT, BIAS], ["plain_logits"], transB=1),
        node("Sub", [HIDDEN, MIDDLE], ["away"]),
        node("ReduceL2", ["away", "last_axis"], ["distance"]),
        node("Max", ["distance", "least_away"], ["some_distance"]),
        node("Div", ["away", "some_distance"], ["direction"]),
        node("Gemm", ["direction", DIRECTION, "plain_logits"], ["answer_logits"], transB=1),
        node("Softmax", ["answer_logits"], [ANSWERS], axis=-1),
    ]


def answer_weights(path: Path) -> tuple[Float32, Float32, Float32, Float32]:
    """The layer that gives a float graph's answers, as `with_answers` takes it.

    Where none was put in, nothing follows from the direction. Raises UserError where there is no layer.
    """
    found = {tensor.name: tensor for tensor in onnx.load(path).graph.initializer}
    if not {WEIGHT, BIAS} <= found.keys():
        raise UserError(f"{path}: its answers' layer, '{WEIGHT}', is not there; add the stream to the model anew")
    names = [name for name in (WEIGHT, BIAS, DIRECTION, MIDDLE) if name in found]
    weight, bias, *rest = (onnx.numpy_helper.to_array(found[name]).astype(np.float32) for name in names)
    direction, middle = rest or (np.zeros_like(weight), np.zeros_like(weight[0]))
    return weight, bias, direction, middle


def hidden_layer(path: Path) -> Callable[[Float32], Float32]:
    """What a graph makes of the mean features of a second: (N, F) → (N, H), its output `hidden`.

    Raises UserError where the graph cannot be read, or has no such output.
    """
    try:
        model = onnx.load(path)
    except Exception as error:  # a damaged file can raise anything
        raise UserError(f"{path}: cannot be read as a graph ({error})") from error
    _check(model.graph)
    graph = model.graph
    made_by = {output: node for node in graph.node for output in node.output}
    node = made_by[HIDDEN]
    while node.op_type not in ("Gemm", "MatMul"):
        node = made_by[node.input[0]]
    mean = node.input[0]
    graph.node.remove(made_by[mean])  # so that the mean has to come in
    _keep_only(graph, {HIDDEN})
    del graph.input[:], graph.value_info[:]
    graph.input.append(onnx.helper.make_tensor_value_info(mean, onnx.TensorProto.FLOAT, None))
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return lambda features: np.asarray(session.run([HIDDEN], {mean: features})[0], np.float32)


def _check(graph: onnx.GraphProto) -> None:
    lacking = {HIDDEN, ANSWERS} - {output.name for output in graph.output}
    if lacking:
        raise UserError(
            f"the graph of the actor stream has no '{sorted(lacking)[0]}'; add the stream to the model anew"
        )


def _keep_only(graph: onnx.GraphProto, outputs: set[str]) -> None:
    """Leave these outputs, and what they need."""
    used = set(outputs)
    needed = []
    for node in reversed(graph.node):  # who makes a value stands before those who use it
        if used & set(node.output):
            used |= set(node.input)
            needed.append(node)
    tensors = [tensor for tensor in graph.initializer if tensor.name in used]
    kept = [output for output in graph.output if output.name in outputs]
    for field, values in ((graph.node, needed[::-1]), (graph.initializer, tensors), (graph.output, kept)):
        copies = [type(value).FromString(value.SerializeToString()) for value in values]
        del field[:]
        field.extend(copies)
