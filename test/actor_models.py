"""Actor streams small enough to be made in a moment: one of real layers with random weights, one written down."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from amtnet_ros.inference.card import ACTOR
from amtnet_ros.inference.graph_file import file_hash

RULE = {"w_light": 0.3, "w_taught": 0.5, "w_names": 0.2, "temperature": 1.0, "other": 0.0}
TINY_SIDE, TINY_FEATURES = 8, 2

# Each picture has two features: its brightness, and how far that is from the picture's before. Bright pictures are
# answered by the first action, those that change by the second.
_TINY = """
<ir_version: 10, opset_import: ["" : 18]>
actor (uint8[N, 8, 8, 3] pictures, float[N, 1] memory, float[N, 2] earlier, float[N, 1] count)
    => (float[N, ANSWERS] answers, float[N, 600] names, float[N, 2] features, float[N, 1] memory_out)
    <float[2, ANSWERS] to_answers, float[2, 600] to_names, int64[3] axes>
{
    white = Constant <value_float = 255.0> ()
    one = Constant <value_float = 1.0> ()
    values = Cast <to = 1> (pictures)
    summed = ReduceMean <keepdims = 0> (values, axes)
    column = Constant <value_ints = [1]> ()
    means = Unsqueeze (summed, column)
    memory_out = Div (means, white)
    difference = Sub (memory_out, memory)
    change = Abs (difference)
    features = Concat <axis = 1> (memory_out, change)
    all = Add (earlier, features)
    seen = Add (count, one)
    mean = Div (all, seen)
    answer_logits = MatMul (mean, to_answers)
    name_logits = MatMul (mean, to_names)
    answers = Softmax <axis = 1> (answer_logits)
    names = Softmax <axis = 1> (name_logits)
}
"""


def to_answers(n: int) -> np.ndarray:
    """(2, n) of the tiny network."""
    weights = np.zeros((2, n), np.float32)
    weights[0, 0], weights[1, 1] = 8, 30
    return weights


def write_tiny_actor(path: Path, n_answers: int) -> None:
    """The written-down one."""
    import onnx
    import onnx.numpy_helper
    import onnx.parser

    model = onnx.parser.parse_model(_TINY.replace("ANSWERS", str(n_answers)))
    del model.graph.initializer[:]
    to_names = np.random.default_rng(0).normal(size=(2, 600)).astype(np.float32)
    for name, value in (("to_answers", to_answers(n_answers)), ("to_names", to_names), ("axes", np.array([1, 2, 3]))):
        model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    onnx.save(model, path)


def write_real_actor(path: Path, n_answers: int, seed: int = 0) -> None:
    """MoViNet with random weights, such that what it says depends on what it sees."""
    import torch
    from torch import Tensor

    from amtnet_ros.deploy.actor_graph import MEMORY, ActorStream, Look, ready_to_run
    from amtnet_ros.model.movinet import FEATURES, IMAGE_SIZE, MoViNet

    class OfBytes(ActorStream):
        """Takes pictures as they are, (N, 172, 172, 3) uint8."""

        def forward(self, pictures: Tensor, memory: Tensor, earlier: Tensor, count: Tensor) -> Look:
            return super().forward(pictures.permute(0, 3, 1, 2).float() / 255, memory, earlier, count)

    torch.manual_seed(seed)
    network = MoViNet(n_answers)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.ndim > 1:
                weight.normal_(0, 0.5 if "temporal" in name else (2 / weight[0].numel()) ** 0.5)
            elif weight.ndim == 1:
                weight.uniform_(-0.1, 0.1)
            else:
                weight.fill_(0.7)
        network.answer.weight.mul_(0.5)
        network.classify.weight.mul_(0.5)
    example = (
        torch.zeros(2, IMAGE_SIZE, IMAGE_SIZE, 3, dtype=torch.uint8),
        torch.zeros(2, MEMORY),
        torch.zeros(2, FEATURES),
        torch.zeros(2, 1),
    )
    torch.onnx.export(
        OfBytes(ready_to_run(network)).eval(),
        example,
        path,
        dynamo=True,
        opset_version=18,
        input_names=["pictures", "memory", "earlier", "count"],
        output_names=["answers", "names", "hidden", "features", "memory_out"],
        dynamic_shapes=({0: torch.export.Dim("persons", min=1, max=64)},) * 4,
        external_data=False,
        verbose=False,
    )


def with_actor(model: Path, folder: Path, actor: Path, **changes: Any) -> Path:
    """A copy of a model folder that holds an actor stream too; changes: to its section of the card."""
    shutil.copytree(model, folder)
    shutil.copyfile(actor, folder / ACTOR)
    card = json.loads((folder / "card.json").read_text())
    card["actor"] = {
        "answers": [*card["labels"], "other", "nobody"],
        "rule": RULE,
        "origin": "nowhere",
        "licence": "Apache-2.0",
        "changes": "none",
        **changes,
    }
    card["files"][ACTOR] = file_hash(folder / ACTOR)
    (folder / "card.json").write_text(json.dumps(card))
    return folder
