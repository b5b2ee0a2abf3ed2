"""Markers for RViz: somebody without an action is not drawn as an actor."""

from __future__ import annotations

import numpy as np
from std_msgs.msg import Header

from amtnet_ros.contracts import Tube, TubeState, TubeUpdate
from amtnet_ros.ros.markers import MarkerPainter

SECOND = 10**9


def test_who_does_none_of_the_actions_is_thin_grey_and_without_score() -> None:
    stamps, boxes = np.array([SECOND]), np.array([[10, 10, 50, 90]], np.float32)
    scores, seen = np.array([0.5], np.float32), np.zeros(1, np.bool_)
    walker, idler = (
        Tube(i, TubeState.ACTIVE, i, 0.5, scores, SECOND, SECOND, stamps, stamps, boxes, scores, seen) for i in (0, 1)
    )
    update = TubeUpdate(0, SECOND, (160, 120), 1, (walker, idler))
    markers = MarkerPainter(("walk", "other")).draw(update, Header(), None).markers
    _, walker_box, walker_name, idler_box, idler_name = markers
    assert (walker_name.text, idler_name.text) == ("#0 walk 0.50", "#1 other")
    assert idler_box.scale.x < walker_box.scale.x
    for marker in (idler_box, idler_name):
        assert marker.color.r == marker.color.g == marker.color.b
    assert len({walker_box.color.r, walker_box.color.g, walker_box.color.b}) > 1
