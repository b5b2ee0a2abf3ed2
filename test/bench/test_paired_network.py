"""The network as published gives the engines' answers, only slower."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import KINDS, scene

from amtnet_ros.bench.paired_network import PairedNetwork
from amtnet_ros.errors import UserError
from amtnet_ros.inference.card import read_card
from amtnet_ros.inference.contract import Selection
from amtnet_ros.inference.factory import make_engine

SELECTION = Selection(score_threshold=0.1, nms_iou=0.45, max_per_class=10)


@pytest.mark.parametrize("way", ["unsplit", "as_released"])
@pytest.mark.parametrize("tiny_folder", [kind for kind in KINDS if not kind.startswith("late")], indirect=True)
def test_the_unsplit_network_answers_as_the_engine(tiny_folder: Path, way: str) -> None:
    network = PairedNetwork(tiny_folder, read_card(tiny_folder), torch.device("cpu"))
    engine = make_engine(tiny_folder, "cpu", threads=1)
    frames = scene(1, 3), scene(2, 5)
    expected = engine.detect(engine.encode(*frames[0]), engine.encode(*frames[1]), SELECTION)
    found = getattr(network, way)(*frames, SELECTION)
    assert len(expected) > 3, "nothing is compared"
    assert found.labels.tolist() == expected.labels.tolist()
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.05)
    assert (found.frames, found.stamps) == (expected.frames, expected.stamps)
    engine.close()


@pytest.mark.parametrize("tiny_folder", ["late"], indirect=True)
def test_late_fusion_is_refused(tiny_folder: Path) -> None:
    with pytest.raises(UserError, match="two networks"):
        PairedNetwork(tiny_folder, read_card(tiny_folder), torch.device("cpu"))
