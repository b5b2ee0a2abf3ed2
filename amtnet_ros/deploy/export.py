"""From a checkpoint to a model folder: encode graph, detect graph and card, checked against torch by running them.

Weights may be stored in half precision once the fp32 graph has passed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
import torch

from amtnet_ros.contracts import Frame
from amtnet_ros.deploy.detect_graph import make_detect_graph
from amtnet_ros.deploy.encode_graph import OPSET, trace_encode_graph
from amtnet_ros.deploy.folder import new_folder, write_card
from amtnet_ros.deploy.stored_weights import store_in_half
from amtnet_ros.errors import UserError
from amtnet_ros.inference.card import DETECT, ENCODE, FlowCard, ModelCard, Normalisation, Training
from amtnet_ros.inference.factory import make_engine
from amtnet_ros.model.amtnet import AMTnet
from amtnet_ros.model.checkpoint import TrainingFacts, load_network, read_facts
from amtnet_ros.model.deployed import deploy, weight_names
from amtnet_ros.model.streams import IN_CHANNELS, STACK_LENGTH

TOLERANCE = {"fp32": 2e-3, "half_weights": 1e-2, "fp16": 3e-2}
"""Largest difference between torch in float32 and the exported graph that passes, in shares of the largest value.

half_weights: what rounding alone may do, to a graph that passed before its weights were rounded.
"""


@dataclass(frozen=True)
class ExportOptions:
    """What a checkpoint does not know.

    delta: None is the smallest of the training. rate: frames a second of the training videos.
    half_weights: store them in half precision, whatever the precision of the computation; see `store_in_half`.
    """

    description: str = ""
    delta: int | None = None
    rate: float = 30.0
    precision: Literal["fp32", "fp16"] = "fp32"
    half_weights: bool = False


@dataclass(frozen=True)
class Trained:
    """A trained network and what is known of it. experiment, earlier: see `card.Training`."""

    network: AMTnet
    labels: tuple[str, ...]
    facts: TrainingFacts
    experiment: dict[str, Any]
    iterations: int | None = None
    earlier: tuple[dict[str, Any], ...] = ()


def read_trained(checkpoint: Path) -> Trained:
    """Read a checkpoint of `amtnet train`. Raises UserError where it cannot be read."""
    network, content = load_network(checkpoint)
    return Trained(
        network,
        tuple(content["labels"]),
        read_facts(content, str(checkpoint)),
        json.loads(content["experiment"]),
        int(content["step"]),
        tuple(json.loads(content.get("earlier", "[]"))),
    )


def export_model(
    trained: Sequence[Trained], folder: Path, options: ExportOptions, overwrite: bool = False
) -> ModelCard:
    """Write a model folder; it appears whole, and only once its graphs gave torch's own answers.

    trained: one network; or two of one stream each, appearance and motion, for late fusion.
    Raises UserError where they do not fit together or the folder cannot be written.
    """
    card = make_card(trained, folder.name, options)
    networks = [part.network.eval() for part in trained]
    half = options.precision == "fp16"
    with new_folder(folder, overwrite) as partial:
        deployed = deploy(networks)
        encode = trace_encode_graph(deployed, card.image_size, card.normalisation, half)
        onnx.save(encode, partial / ENCODE)
        detect = make_detect_graph(networks[0].priors.numpy(), len(card.actions), OPSET, half, card.fusion == "late")
        onnx.save(detect, partial / DETECT)
        card = write_card(partial, card)
        check_against_torch(partial, networks, TOLERANCE[options.precision])
        if options.half_weights and not half:
            store_in_half(encode, weight_names(deployed))
            onnx.save(encode, partial / ENCODE)
            card = write_card(partial, card)
            check_against_torch(partial, networks, TOLERANCE["half_weights"])
    return card


def make_card(trained: Sequence[Trained], name: str, options: ExportOptions) -> ModelCard:
    """The card, without the files' hashes. Raises UserError where two networks cannot be fused."""
    network, facts, motion = trained[0].network, trained[0].facts, trained[-1].facts
    streams = tuple(stream for part in trained for stream in part.network.options.streams)
    if len(trained) > 1:
        _check_late(trained, streams)
    deltas = [delta for delta in facts.deltas if delta > 0]
    trunks = {stream: part.network.trunk(stream) for part in trained for stream in part.network.options.streams}
    return ModelCard(
        name=name,
        description=options.description,
        actions=tuple(trained[0].labels),
        image_size=network.options.image_size,
        streams=cast(Any, streams),
        fusion=cast(Any, "late" if len(trained) > 1 else network.options.fusion if len(streams) == 2 else "none"),
        trunk=network.options.trunk,
        motion_stride=trained[-1].network.options.stride(streams[-1]),
        delta=options.delta or min(deltas, default=1),
        rate=options.rate,
        flow=FlowCard(engine=motion.flow, placement=motion.placement, length=STACK_LENGTH)
        if "flow" in streams
        else None,
        normalisation={stream: Normalisation(mean=trunk.mean, std=trunk.std) for stream, trunk in trunks.items()},
        training=Training(
            dataset=facts.dataset,
            split=facts.split,
            seed=facts.seed,
            iterations=trained[0].iterations,
            experiment=trained[0].experiment,
            earlier=_earlier_runs(trained),
        ),
        precision=options.precision,
        opset=OPSET,
        files={},
    )


def _earlier_runs(trained: Sequence[Trained]) -> tuple[dict[str, Any], ...]:
    """The runs before; of late fusion also the motion network's own, which `experiment` does not tell."""
    runs = list(trained[0].earlier)
    for part in trained[1:]:
        runs += [*part.earlier, {"experiment": part.experiment, "iterations": part.iterations}]
    return tuple(runs)


def _check_late(trained: Sequence[Trained], streams: tuple[str, ...]) -> None:
    if streams != ("rgb", "flow"):
        raise UserError(f"late fusion joins an rgb network and a flow network, not {' and '.join(streams)}")
    appearance, motion = trained
    for what, of_both in (
        ("labels", (appearance.labels, motion.labels)),
        ("trunk", (appearance.network.options.trunk, motion.network.options.trunk)),
        ("image size", (appearance.network.options.image_size, motion.network.options.image_size)),
    ):
        if of_both[0] != of_both[1]:
            raise UserError(f"late fusion: the two networks differ in their {what}")


@torch.no_grad()
def check_against_torch(folder: Path, networks: Sequence[AMTnet], tolerance: float) -> None:
    """Run the exported encode graph on noise and compare with torch.

    tolerance: as in TOLERANCE. Raises UserError where they differ by more.
    """
    engine = make_engine(folder, "cpu")
    card = engine.card
    rng = np.random.default_rng(0)
    images = {
        stream: rng.integers(0, 256, (card.image_size, card.image_size, channels), dtype=np.uint8)
        for stream, channels in IN_CHANNELS.items()
    }
    encoded = engine.encode(Frame(0, 0, images["rgb"]), images["flow"])
    engine.close()
    tensors = {stream: torch.from_numpy(x).permute(2, 0, 1)[None].float() for stream, x in images.items()}
    expected = [
        network.encode(*(tensors[s] if s in network.options.streams else None for s in ("rgb", "flow")))
        for network in networks
    ]
    for k, (name, share) in enumerate((("first", encoded.first), ("second", encoded.second))):
        reference = expected[0][k][0].numpy()
        if len(expected) > 1:
            reference = np.concatenate([reference, expected[1][k][0, :, : len(card.actions) + 1].numpy()], axis=-1)
        error = float(np.abs(share.numpy() - reference).max() / max(1.0, np.abs(reference).max()))
        if not error <= tolerance:
            raise UserError(f"{folder.name}: the exported graph's '{name}' is off torch's by {error:.1e}; not written")
