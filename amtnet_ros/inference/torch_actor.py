"""The actor stream by PyTorch: the same answers as ONNX Runtime's, from the same graph's weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from amtnet_ros.contracts import Float32, UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.inference.card import ACTOR, ActorCard
from amtnet_ros.inference.contract import LEAST_AWAY, Look
from amtnet_ros.inference.torch_engine import read_weights
from amtnet_ros.model.movinet import FEATURES, IMAGE_SIZE, MoViNet

PREFIX = "network."
"""Of the names of the weights in the graph."""
DIRECTION, MIDDLE = PREFIX + "answer.direction", PREFIX + "answer.middle"
"""What a taught graph has besides, see `deploy.answer_layer`."""
TEMPORAL, TEMPORAL_BIAS = ".temporal.weight", ".temporal.bias"


class TorchActorEngine:
    """See `ActorEngine`. Made by `make_actor_engine(..., engine="torch")`; computes in float32."""

    def __init__(self, folder: Path, actor: ActorCard, device: torch.device, threads: int = 0) -> None:
        if threads:
            torch.set_num_threads(threads)
        self.provider, self.precision = f"torch {device}", "fp32"
        self.picture_size, self.n_features = IMAGE_SIZE, FEATURES
        self._device = device
        network = load_actor(folder / ACTOR, len(actor.answers)).to(device)
        self._network = network.to(memory_format=torch.channels_last)
        self._empty = tuple(memory[0].to(device) for memory in network.empty_memory(1))

    @torch.inference_mode()
    def look(
        self, pictures: UInt8, memories: Sequence[tuple[Tensor, ...] | None], earlier: Float32, count: Float32
    ) -> Look:
        images = torch.from_numpy(np.ascontiguousarray(pictures)).to(self._device)
        before = tuple(map(torch.stack, zip(*(self._empty if m is None else m for m in memories), strict=True)))
        features, after = self._network.step(images.permute(0, 3, 1, 2).float() / 255, before)
        seen = torch.as_tensor(count, dtype=torch.float32, device=self._device).reshape(-1, 1) + 1
        said = self._network.say((torch.as_tensor(earlier, device=self._device) + features) / seen)
        answers, names = (x.softmax(dim=1).cpu().numpy() for x in (said.answers, said.names))
        return Look(answers, names, features.cpu().numpy(), list(zip(*(x.unbind() for x in after), strict=True)))

    def close(self) -> None:
        del self._network
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


def load_actor(graph: Path, n_answers: int) -> MoViNet:
    """The network with the weights that a graph holds under their names; gains are part of other weights there.

    Raises UserError where they do not fit.
    """
    network, model = MoViNet(n_answers).eval(), onnx.load(graph)
    names = [name for name in network.state_dict() if not name.endswith((".gain", TEMPORAL))]
    weights = read_weights(model, [PREFIX + name for name in names])
    state = {name: weights[PREFIX + name].float() for name in names}
    try:
        network.load_state_dict(state | _temporal_weights(model), strict=False)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise UserError(f"{graph}: the weights are not those of an actor stream ({reason})") from error
    if any(tensor.name == DIRECTION for tensor in model.graph.initializer):
        taught = read_weights(model, [DIRECTION, MIDDLE])
        network.answer = _ByDirection(network.answer, taught[DIRECTION].float(), taught[MIDDLE].float())
    return network


class _ByDirection(nn.Linear):
    """A layer that is linear in its input too, and in the direction of its input from a middle."""

    def __init__(self, plain: nn.Linear, direction: Tensor, middle: Tensor) -> None:
        super().__init__(plain.in_features, plain.out_features)
        self.load_state_dict(plain.state_dict())
        self.register_buffer("direction", direction)
        self.register_buffer("middle", middle)

    def forward(self, input: Tensor) -> Tensor:
        away = F.normalize(input - self.get_buffer("middle"), dim=1, eps=LEAST_AWAY)
        return super().forward(input) + F.linear(away, self.get_buffer("direction"))


def _temporal_weights(model: onnx.ModelProto) -> dict[str, Tensor]:
    """Weights of convolutions over time, known by their biases: the graph keeps them in another order, unnamed."""
    values = {tensor.name: tensor for tensor in model.graph.initializer}
    found = {}
    for node in model.graph.node:
        if node.op_type == "Conv" and node.input[-1].endswith(TEMPORAL_BIAS):
            name = node.input[-1].removeprefix(PREFIX).removesuffix(TEMPORAL_BIAS) + TEMPORAL
            weight = torch.from_numpy(
                onnx.numpy_helper.to_array(values[node.input[1]]).copy()
            )  # (channels, 1, size, 1)
            found[name] = weight.float().permute(2, 0, 1, 3)
    return found
