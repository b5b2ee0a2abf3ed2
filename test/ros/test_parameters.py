"""Parameters: described, checked together, applied all or none, while images come."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from rcl_interfaces.srv import DescribeParameters, GetParameters
from rclpy.parameter import parameter_value_to_python
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from stage import Stage, ends, set_together, stamps_of, wait_until, walker

from amtnet_ros.errors import UserError
from amtnet_ros.options import AT_START
from amtnet_ros.settings import TABLE


def get(stage: Stage, *names: str) -> list[Any]:
    answer = stage.call(GetParameters, "/detector/get_parameters", GetParameters.Request(names=list(names)))
    return [parameter_value_to_python(value) for value in answer.values]


def test_an_integer_stands_for_a_float_and_nothing_else_for_anything() -> None:
    assert TABLE["score_threshold"].checked(1) == 1.0
    for name, wrong in [("score_threshold", True), ("delta", 1.0), ("autostart", 1), ("model", 3), ("classes", "walk")]:
        with pytest.raises(UserError, match=name):
            TABLE[name].checked(wrong)


def test_parameters_at_run_time(stage: Stage) -> None:
    detector = stage.detector()
    stage.film(walker(), until=lambda: any(message.tubes for message in stage.tubes))

    # Described, with ranges and read-only flags.
    names = list(TABLE)
    described = stage.call(
        DescribeParameters, "/detector/describe_parameters", DescribeParameters.Request(names=names)
    ).descriptors
    for parameter, descriptor in zip(TABLE.values(), described, strict=True):
        assert parameter.text in descriptor.description
        assert descriptor.read_only == (parameter.effect == AT_START)
        ranged = bool(descriptor.floating_point_range or descriptor.integer_range)
        assert ranged == (parameter.low is not None)

    # All or none, and the reason is given.
    result = set_together(stage, score_threshold=0.5, classes=["levitate"])
    assert not result.successful
    assert "levitate" in result.reason
    assert get(stage, "score_threshold") == [0.05]
    for name, wrong in [("score_threshold", 1.5), ("delta", -1), ("image_timeout", "soon"), ("autostart", False)]:
        result = set_together(stage, **{name: wrong, "trail_length": 7})
        assert not result.successful
        assert name in result.reason
        assert get(stage, "trail_length") == [30]

    result = set_together(stage, model="nosuch")
    assert not result.successful
    assert "no model 'nosuch'" in result.reason

    # An integer is taken for a float's value, and leaves the type.
    assert set_together(stage, image_timeout=7).successful
    assert [type(value) for value in get(stage, "image_timeout")] == [float]
    assert get(stage, "image_timeout") == [7.0]

    # A change takes effect while images come.
    assert set_together(stage, score_threshold=1.0, trail_length=7).successful
    assert get(stage, "score_threshold", "trail_length") == [1.0, 7]

    def calm() -> bool:
        return len(stage.tubes) > 10 and not any(message.tubes for message in stage.tubes[-3:])

    stage.film(walker(), until=calm)
    assert set_together(stage, score_threshold=0.0).successful
    stage.film(walker(), until=lambda: stage.tubes[-1].tubes)
    assert "Traceback" not in detector.output


def test_parameters_that_change_with_every_image_disturb_nothing(stage: Stage) -> None:
    detector = stage.detector()

    def changing() -> Iterator[np.ndarray]:
        for number, frame in enumerate(walker()):
            changes: dict[str, Any] = {"delta": number % 3, "score_threshold": 0.01 * (number % 5), "draw_scale": 2.0}
            changes |= {"link__max_misses": 1 + number % 4, "link__mode": ("actor", "per_class")[number % 2]}
            assert set_together(stage, **changes).successful
            yield frame

    stage.film(changing(), until=lambda: sum(bool(message.tubes) for message in stage.tubes) >= 20)
    stamps = stamps_of(stage.tubes)
    assert stamps == sorted(set(stamps))
    assert len(ends(stage.tubes)) == len(set(ends(stage.tubes)))
    assert "error" not in detector.output.lower()


def test_an_unknown_parameter_is_named_with_the_one_that_was_meant(stage: Stage) -> None:
    detector = stage.run(
        "detector_node",
        "--ros-args",
        "-p",
        "score_treshold:=0.4",
        "-p",
        f"model:={stage.model}",
        "-p",
        "autostart:=true",
    )
    output = detector.wait_for("Looking at")
    assert "unknown parameter 'score_treshold' is ignored; did you mean 'score_threshold'?" in output


def test_qos_overrides_are_taken_and_those_that_fit_nothing_are_named(stage: Stage) -> None:
    settings = {
        "qos_overrides./image.subscription.reliability": "reliable",
        "qos_overrides./action_tubes.publisher.durability": "transient_local",
        "qos_overrides./action_tubes.publisher.history": "keep_all",
        "qos_overrides./imago.subscription.depth": 5,
    }
    given = [part for name, value in settings.items() for part in ("-p", f"{name}:={value}")]
    arguments = ("-p", f"model:={stage.model}", "-p", "autostart:=true", *given)
    detector = stage.run("detector_node", "--ros-args", *arguments)
    detector.wait_for("qos_overrides./imago.subscription.depth is ignored")
    assert "qos_overrides./image." not in detector.output
    assert "qos_overrides./action_tubes" not in detector.output
    tubes = wait_until(lambda: stage.node.get_publishers_info_by_topic("/action_tubes"), "its tubes are found")
    assert [each.qos_profile.durability for each in tubes] == [DurabilityPolicy.TRANSIENT_LOCAL]
    images = wait_until(lambda: stage.node.get_subscriptions_info_by_topic("/image"), "it subscribes")
    assert [each.qos_profile.reliability for each in images] == [ReliabilityPolicy.RELIABLE]

    # No other topic is touched.
    boxes = wait_until(lambda: stage.node.get_publishers_info_by_topic("/action_detections"), "its boxes are found")
    assert [each.qos_profile.durability for each in boxes] == [DurabilityPolicy.VOLATILE]
    infos = wait_until(lambda: stage.node.get_subscriptions_info_by_topic("/camera_info"), "it subscribes to that, too")
    assert [each.qos_profile.reliability for each in infos] == [ReliabilityPolicy.BEST_EFFORT]
