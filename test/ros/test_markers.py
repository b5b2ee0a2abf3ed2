"""Markers for RViz: somebody without an action is not drawn as an actor."""

from __future__ import annotations

import numpy as np
from std_msgs.msg import Header

from amtnet_ros.contracts import Tube, TubeState, TubeUpdate
from amtnet_ros.ros.markers import MarkerPainter
from amtnet_ros.ros.places import ActorPlace, ActorPlaces

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


def test_the_way_in_space_is_a_line_through_the_places_until_the_tube_ends_or_the_frame_changes() -> None:
    painter = MarkerPainter(("walk", "other"))
    no_stamps, no_boxes, none = np.zeros(0, np.int64), np.zeros((0, 4), np.float32), np.zeros(0, np.float32)

    def lines(step: int, number: int, frame: str = "eye", state: TubeState = TubeState.ACTIVE) -> list[list[float]]:
        tube = Tube(number, state, 0, 0.5, none, 0, 0, no_stamps, no_stamps, no_boxes, none, np.zeros(0, np.bool_))
        place = ActorPlace(np.array([step, 0, 3], np.float32), np.ones(3, np.float32))
        places = {} if state == TubeState.ENDED else {number: place}
        update = TubeUpdate(step, step * SECOND, (160, 120), 1, (tube,))
        markers = painter.in_space(update, ActorPlaces(frame, places), Header(frame_id=frame))
        return [[point.x for point in each.points] for each in markers if each.ns == "action_trails"]

    assert lines(0, 1) == []
    assert lines(1, 1) == [[0.0, 1.0]]
    assert lines(2, 1) == [[0.0, 1.0, 2.0]]
    assert lines(3, 1, state=TubeState.ENDED) == []
    assert lines(4, 1) == [], "a number that begins anew has not come this way"
    assert lines(5, 1) == [[4.0, 5.0]]
    assert lines(6, 1, frame="lidar") == []
