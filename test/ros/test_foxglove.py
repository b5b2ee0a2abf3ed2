"""The annotations for Foxglove, where its messages are installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from stage import Stage, wait_until, walker

from amtnet_ros.ros.messages import nanoseconds

msg = pytest.importorskip("foxglove_msgs.msg", reason="foxglove_msgs is on no package index; a robot has it from apt")


def test_boxes_and_captions_are_those_of_the_tubes(stage: Stage) -> None:
    heard: list[Any] = []
    stage.node.create_subscription(msg.ImageAnnotations, "/detector/annotations", heard.append, 10)
    stage.detector()
    wait_until(lambda: stage.node.count_publishers("/detector/annotations"), "annotations are offered")
    stage.film(walker(), until=lambda: sum(bool(message.texts) for message in heard) >= 5)
    tubes = {
        (nanoseconds(array.header.stamp), f"#{tube.id} {tube.class_name} {tube.score:.2f}"): box
        for array in stage.tubes
        for tube in array.tubes
        for box in tube.boxes
        if box.stamp == array.header.stamp
    }
    compared = 0
    for message in heard:
        for outline, caption in zip(message.points, message.texts, strict=True):
            box = tubes.get((nanoseconds(caption.timestamp), caption.text))
            if box is None:
                continue  # its tubes were told before we listened
            assert outline.type == msg.PointsAnnotation.LINE_LOOP
            corners = [(point.x, point.y) for point in outline.points]
            np.testing.assert_allclose([*corners[0], *corners[2]], [box.x1, box.y1, box.x2, box.y2], atol=1e-3)
            assert (caption.position.x, caption.position.y) == corners[0]
            compared += 1
    assert compared >= 5
