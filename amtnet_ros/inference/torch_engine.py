"""The PyTorch engine: the same answers as ONNX Runtime's, from the same model folder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
import torch
from torch import Tensor
from torchvision.ops import batched_nms

from amtnet_ros.contracts import Frame, MicroTubes, UInt8
from amtnet_ros.device.torch_device import CapturedGraph
from amtnet_ros.errors import UserError
from amtnet_ros.inference.card import ENCODE, ModelCard
from amtnet_ros.inference.contract import STEPS, Encoded, Selection
from amtnet_ros.inference.resize import SIZES_KEPT, ResizePlacement, resize_matrices, resize_on_host, resizes_on_device
from amtnet_ros.inference.selection import CANDIDATES, Survivors, check_pair, network_inputs, to_micro_tubes
from amtnet_ros.model.amtnet import AMTnet
from amtnet_ros.model.deployed import deploy, weight_names
from amtnet_ros.model.priors import decode_micro_tubes
from amtnet_ros.model.streams import NetworkOptions


class TorchEngine:
    """See `Engine`. Made by `make_engine(..., engine="torch")`.

    half: compute in float16 (on a GPU), L2Norm's sums excepted. On a GPU the encoding of one frame is captured once as
    a CUDA graph and replayed.
    """

    def __init__(
        self,
        folder: Path,
        card: ModelCard,
        device: torch.device,
        half: bool,
        threads: int = 0,
        resize: ResizePlacement = "auto",
    ) -> None:
        """resize: where the image is; see `make_engine`."""
        self.card = card
        self._device, self.device = device, str(device)
        self._dtype = torch.float16 if half else torch.float32
        if threads:
            torch.set_num_threads(threads)
        self.provider, self.precision = f"torch {device}", "fp16" if half else "fp32"
        network = load_deployed(folder, card)
        self._network = network.to(device, self._dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._priors = make_networks(card)[0].priors.to(device)
        self._normalise = Normaliser(card, device)
        on_device = resizes_on_device(resize, device.type != "cpu")
        side = card.image_size
        self._resize = TorchResize(device, side) if on_device else partial(resize_on_host, side=side)
        self._graph: CapturedGraph | None = None
        self._warm_up()

    def encode(self, frame: Frame, flow_stack: UInt8 | None) -> Encoded:
        return self.encode_batch([frame], [flow_stack])[0]

    @torch.inference_mode()
    def encode_batch(self, frames: Sequence[Frame], flow_stacks: Sequence[UInt8 | None]) -> list[Encoded]:
        tensors = self._inputs(frames, flow_stacks)
        if self._graph is not None and len(frames) == 1:
            first, second = (share.clone() for share in self._graph(*tensors))
        else:
            first, second = self._encode(*(x.to(self._device, non_blocking=True) for x in tensors))
        return [Encoded(first[i], second[i], frame.index, frame.stamp, frame.size) for i, frame in enumerate(frames)]

    @torch.inference_mode()
    def detect(self, at_t: Encoded, at_t_plus_delta: Encoded, selection: Selection) -> MicroTubes:
        check_pair(at_t, at_t_plus_delta)
        rows = at_t.first.float() + at_t_plus_delta.second.float()
        survivors = Survivors(*(x.cpu().numpy() for x in select(self.card, rows, self._priors, selection)))
        return to_micro_tubes(survivors, at_t, at_t_plus_delta, selection)

    def close(self) -> None:
        self._graph = None
        del self._network, self._priors, self._resize
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _inputs(self, frames: Sequence[Frame], flow_stacks: Sequence[UInt8 | None]) -> list[Tensor]:
        """Of each stream, (B, S, S, channels) uint8, on the host or already on the device."""
        inputs = network_inputs(self.card, frames, flow_stacks, self._resize)
        return [torch.as_tensor(inputs[stream]) for stream in self.card.streams]

    def _encode(self, *images: Tensor) -> tuple[Tensor, Tensor]:
        """images: of each stream, (B, S, S, channels) uint8 on the device → both shares."""
        first, second = self._network(*(x.to(self._dtype) for x in self._normalise(images)))
        return first, second

    def _warm_up(self) -> None:
        size, flow = self.card.image_size, self.card.flow
        blank = Frame(0, 0, np.zeros((size, size, 3), dtype=np.uint8))
        stack = None if flow is None else np.full((size, size, 3 * flow.length), 128, dtype=np.uint8)
        for _ in range(2):
            encoded = self.encode(blank, stack)
            self.detect(encoded, encoded, Selection())
        if self._device.type == "cuda":
            self._graph = CapturedGraph(self._encode, self._inputs([blank], [stack]), self._device)


class TorchResize:
    """Images of any sizes → one batch on the device; each is copied to it once, as the camera gave it."""

    def __init__(self, device: torch.device, side: int) -> None:
        self._device = device

        @lru_cache(SIZES_KEPT)
        def matrices(size: tuple[int, int]) -> list[Tensor]:
            return [torch.from_numpy(matrix).to(device) for matrix in resize_matrices(size, side)]

        self._matrices = matrices

    def __call__(self, images: Sequence[UInt8]) -> Tensor:
        """B images (H, W, 3) uint8 → (B, side, side, 3) uint8."""
        return torch.stack([self._resized(image) for image in images])

    def _resized(self, image: UInt8) -> Tensor:
        height, width, channels = image.shape
        rows, columns = self._matrices((width, height))
        # torch takes no arrays that are read-only, as those of messages are, or run backwards.
        raw = torch.from_numpy(np.require(image, requirements=["C", "W"])).to(self._device)
        fewer_rows = (rows @ raw.view(height, -1).float()).view(-1, width, channels)
        small = (fewer_rows.transpose(1, 2) @ columns.T).transpose(1, 2)
        return small.round().to(torch.uint8)


class Normaliser:
    """Raw images → what the network takes: `(value - mean) / std`, by channel."""

    def __init__(self, card: ModelCard, device: torch.device) -> None:
        self._statistics = [
            torch.tensor([card.normalisation[stream].mean, card.normalisation[stream].std], device=device)
            for stream in card.streams
        ]

    def __call__(self, images: Sequence[Tensor]) -> list[Tensor]:
        """images: of each stream, (B, S, S, channels) uint8 → (B, channels, S, S) float32, channels last in memory."""
        planes = []
        for statistics, image in zip(self._statistics, images, strict=True):
            mean, std = statistics.repeat(1, image.shape[-1] // 3)
            planes.append(((image.float() - mean) / std).permute(0, 3, 1, 2))
        return planes


def select(
    card: ModelCard, rows: Tensor, priors: Tensor, selection: Selection
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Values (M, …) of all priors → the survivors, as the detect graph finds them."""
    n_logits = len(card.actions) + 1
    scores = rows[:, :n_logits].softmax(-1)
    if card.fusion == "late":
        scores = (scores + rows[:, n_logits + 8 :].softmax(-1)) / 2
    scores = scores[:, 1:]
    best = scores.max(dim=-1).values.topk(min(CANDIDATES, len(scores))).indices
    scores, boxes = scores[best], decode_micro_tubes(rows[best, n_logits : n_logits + 8], priors[best])
    which, label = (scores > selection.score_threshold).nonzero(as_tuple=True)
    score = scores[which, label]
    kept = batched_nms(boxes[which, 0], score, label, selection.nms_iou)  # by falling score
    kept = kept[_rank_within(label[kept], n_logits - 1) < selection.max_per_class]
    which, label, score = which[kept], label[kept], score[kept]
    return boxes[which], label, score, scores[which]


def make_networks(card: ModelCard) -> list[AMTnet]:
    """Networks of the card's shape, untrained: one, or two for late fusion."""
    parts = [(stream,) for stream in card.streams] if card.fusion == "late" else [card.streams]
    fusion = card.fusion if card.fusion in ("mean", "concat") else "sum"
    n, size = len(card.actions), card.image_size
    return [AMTnet(NetworkOptions(n, card.trunk, part, fusion, size, card.motion_stride)).eval() for part in parts]


def load_deployed(folder: Path, card: ModelCard) -> torch.nn.Module:
    """The module of a model folder, with the weights of its encode graph. Raises UserError where they do not fit."""
    module = deploy(make_networks(card))
    weights = read_weights(onnx.load(folder / ENCODE), weight_names(module))
    try:
        module.load_state_dict({name: value.float() for name, value in weights.items()}, strict=False)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise UserError(f"{folder}: the graph's weights are not those of {card.trunk} ({reason})") from error
    return module


def read_weights(model: onnx.ModelProto, names: Sequence[str]) -> dict[str, Tensor]:
    """The network's weights, by their names in torch. Raises UserError where one is missing."""
    found = {tensor.name: tensor for tensor in model.graph.initializer}
    missing = [name for name in names if name not in found]
    if missing:
        raise UserError(f"the graph holds no weight '{missing[0]}'; the torch engine needs a model exported as fp32")
    values = {name: torch.from_numpy(onnx.numpy_helper.to_array(found[name]).copy()) for name in names}
    for name in names:
        if name + STEPS in found:
            values[name] = values[name] * torch.from_numpy(onnx.numpy_helper.to_array(found[name + STEPS]).copy())
    return values


def _rank_within(labels: Tensor, n_classes: int) -> Tensor:
    """(n,) labels in order of falling score → each one's place within its class, from 0."""
    counts = torch.nn.functional.one_hot(labels, n_classes).cumsum(0)
    return counts.gather(1, labels[:, None])[:, 0] - 1
