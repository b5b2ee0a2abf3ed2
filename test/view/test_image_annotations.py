"""Foxglove's boxes and captions: where, of whom, in which colours."""

from __future__ import annotations

import numpy as np
import pytest

from amtnet_ros.contracts import Tube, TubeState, TubeUpdate
from amtnet_ros.media.drawing import colour_of
from amtnet_ros.view.image_annotations import LINE_LOOP, image_annotations

STAMP = 3_000_000_007


def tube(number: int, label: int, state: TubeState = TubeState.ACTIVE, stamp: int = STAMP) -> Tube:
    box, score = np.array([[10, 20, 60, 90]], np.float32) + number, np.array([0.5], np.float32)
    stamps = np.array([stamp])
    return Tube(number, state, label, 0.61, score, 0, stamp, stamps, stamps, box, score, np.zeros(1, np.bool_))


def test_each_tube_of_the_newest_image_has_a_box_and_a_caption() -> None:
    tubes = (
        tube(1, 0),
        tube(2, 1),
        tube(3, 0, TubeState.TENTATIVE),
        tube(4, 0, TubeState.COASTING, stamp=STAMP - 1),
        tube(5, 0, TubeState.ENDED),
    )
    content = image_annotations(TubeUpdate(0, STAMP, (640, 480), 1, tubes), ("wave", "other"))
    assert [each["text"] for each in content["texts"]] == ["#1 wave 0.61", "#2 other", "#3 wave 0.61"]
    actor, idler, newcomer = content["points"]
    for each in (actor, idler, newcomer):
        assert each["timestamp"] == {"sec": 3, "nsec": 7}
        assert each["type"] == LINE_LOOP
    assert actor["points"] == [{"x": x, "y": y} for x, y in ((11, 21), (61, 21), (61, 91), (11, 91))]
    colour = actor["outline_color"]
    assert [255 * colour[channel] for channel in "rgb"] == pytest.approx(colour_of(1))
    assert colour["a"] == 1.0
    assert idler["outline_color"]["r"] == idler["outline_color"]["g"] == idler["outline_color"]["b"]
    assert idler["thickness"] < actor["thickness"]
    assert newcomer["outline_color"]["a"] == 0.5
