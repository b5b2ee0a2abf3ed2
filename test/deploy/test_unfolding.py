"""A model folder becomes the network again that it was exported from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny import LABELS, tiny_network, tiny_trained, trained_parts

from amtnet_ros.deploy.export import ExportOptions, export_model
from amtnet_ros.deploy.unfolding import read_as_checkpoint, read_network
from amtnet_ros.errors import UserError
from amtnet_ros.inference.card import read_card


def pictures() -> dict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    return {stream: torch.rand(2, n, 128, 128, generator=rng) * 255 for stream, n in (("rgb", 3), ("flow", 15))}


@pytest.mark.parametrize("tiny_folder", ["sum", "concat", "flow", "sum of half-size motion"], indirect=True)
@torch.no_grad()
def test_the_network_read_back_computes_what_was_exported(tiny_folder: Path) -> None:
    (trained,) = trained_parts(tiny_folder.name)
    network = read_network(tiny_folder, read_card(tiny_folder))
    assert network.options == trained.network.options
    assert network.state_dict().keys() == trained.network.state_dict().keys()
    given = {s: x if s in network.options.streams else None for s, x in pictures().items()}
    for mine, reference in zip(network.encode(**given), trained.network.encode(**given), strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-4, atol=1e-4)


def test_heads_are_read_back_to_the_bit(tiny_folder: Path) -> None:
    network, original = read_network(tiny_folder, read_card(tiny_folder)), tiny_network()
    for name, value in original.heads.state_dict().items():
        assert torch.equal(network.heads.state_dict()[name], value), name


@torch.no_grad()
def test_weights_stored_in_half_precision_are_near(tmp_path: Path) -> None:
    export_model([tiny_trained()], tmp_path / "half", ExportOptions(half_weights=True))
    network, images = read_network(tmp_path / "half", read_card(tmp_path / "half")), pictures()
    reference = tiny_network().encode(**images)[0]
    assert (network.encode(**images)[0] - reference).abs().max() < 2e-2 * reference.abs().max()


def test_what_the_card_knows_is_there_as_in_a_checkpoint(tiny_folder: Path) -> None:
    content = read_as_checkpoint(tiny_folder)
    assert (content["labels"], content["step"]) == (list(LABELS), 10)
    assert content["experiment"] == '{"name": "tiny"}'


@pytest.mark.parametrize("tiny_folder", ["late"], indirect=True)
def test_two_networks_that_are_fused_late_are_refused(tiny_folder: Path) -> None:
    with pytest.raises(UserError, match=r"late: two networks, fused late; start from a model of each instead"):
        read_as_checkpoint(tiny_folder)
