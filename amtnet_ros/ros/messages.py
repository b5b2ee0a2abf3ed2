"""Tube updates to messages, and back."""

from __future__ import annotations

import array
import importlib
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined]  # Humble has it nowhere else
from std_msgs.msg import Header
from unique_identifier_msgs import msg as unique_identifier
from vision_msgs.msg import (
    BoundingBox2D,
    BoundingBox3D,
    Detection2D,
    Detection2DArray,
    Detection3D,
    Detection3DArray,
    LabelInfo,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
    VisionClass,
)

from amtnet_ros.contracts import OTHER, Float32, Tube, TubeState, TubeUpdate
from amtnet_ros.msg import ActionBox, ActionTube, ActionTubeArray
from amtnet_ros.ros.places import ActorPlace, ActorPlaces
from amtnet_ros.tube_boxes import newest_box


def nanoseconds(time: Time) -> int:
    """The message's time in nanoseconds."""
    return int(time.sec) * 1_000_000_000 + int(time.nanosec)


def time_message(stamp: int) -> Time:
    """Nanoseconds as a message."""
    seconds, rest = divmod(stamp, 1_000_000_000)
    return Time(sec=seconds, nanosec=rest)


def steady_clock() -> Clock:
    """One that neither stops nor jumps, whatever the node's does: for timers."""
    return Clock(clock_type=ClockType.STEADY_TIME)


def tube_array(update: TubeUpdate, header: Header, session: UUID, labels: Sequence[str]) -> ActionTubeArray:
    """One step's tubes. header: of the source image, taken over untouched; labels: the classes' names, by label."""
    return ActionTubeArray(
        header=header,
        image_width=update.image_size[0],
        image_height=update.image_size[1],
        session=unique_identifier.UUID(uuid=np.frombuffer(session.bytes, dtype=np.uint8)),
        delta=update.delta,
        tubes=[_tube_message(tube, labels) for tube in update.tubes],
    )


def _tube_message(tube: Tube, labels: Sequence[str]) -> ActionTube:
    return ActionTube(
        id=tube.id,
        state=int(tube.state),
        class_id=tube.label,
        class_name=labels[tube.label],
        has_action=labels[tube.label] != OTHER,
        score=float(tube.score),
        class_scores=array.array("f", tube.class_scores.astype(np.float32).tobytes()),
        start=time_message(tube.start_stamp),
        last_update=time_message(tube.last_stamp),
        boxes=[
            _box_message(*values)
            for values in zip(
                tube.stamps.tolist(), tube.boxes.tolist(), tube.scores.tolist(), tube.interpolated.tolist(), strict=True
            )
        ],
    )


def _box_message(stamp: int, box: list[float], score: float, interpolated: bool) -> ActionBox:
    x1, y1, x2, y2 = box
    return ActionBox(stamp=time_message(stamp), x1=x1, y1=y1, x2=x2, y2=y2, score=score, interpolated=interpolated)


def update_from(message: ActionTubeArray) -> tuple[TubeUpdate, UUID]:
    """The update a message was made of, and its session. Frame indices are not on the wire: they are -1."""
    update = TubeUpdate(
        frame=-1,
        stamp=nanoseconds(message.header.stamp),
        image_size=(message.image_width, message.image_height),
        delta=message.delta,
        tubes=tuple(_tube_from(tube) for tube in message.tubes),
    )
    return update, UUID(bytes=bytes(np.asarray(message.session.uuid, dtype=np.uint8)))


def _tube_from(message: ActionTube) -> Tube:
    boxes = message.boxes
    return Tube(
        id=message.id,
        state=TubeState(message.state),
        label=message.class_id,
        score=message.score,
        class_scores=np.asarray(message.class_scores, dtype=np.float32),
        start_stamp=nanoseconds(message.start),
        last_stamp=nanoseconds(message.last_update),
        frames=np.full(len(boxes), -1, dtype=np.int64),
        stamps=np.array([nanoseconds(box.stamp) for box in boxes], dtype=np.int64),
        boxes=np.array([(box.x1, box.y1, box.x2, box.y2) for box in boxes], dtype=np.float32).reshape(-1, 4),
        scores=np.array([box.score for box in boxes], dtype=np.float32),
        interpolated=np.array([box.interpolated for box in boxes], dtype=np.bool_),
    )


def detections(update: TubeUpdate, header: Header, labels: Sequence[str]) -> Detection2DArray:
    """The boxes in the newest frame as plain detections; id is the tube's, class_id the action's name."""
    found = [
        _detection(tube, box, header, labels)
        for tube in update.tubes
        if tube.state != TubeState.ENDED and (box := newest_box(tube, update.stamp)) is not None
    ]
    return Detection2DArray(header=header, detections=found)


def _detection(tube: Tube, box: Float32, header: Header, labels: Sequence[str]) -> Detection2D:
    x1, y1, x2, y2 = box.tolist()
    bounds = BoundingBox2D(size_x=x2 - x1, size_y=y2 - y1)
    bounds.center.position.x, bounds.center.position.y = (x1 + x2) / 2, (y1 + y2) / 2
    hypothesis = ObjectHypothesis(class_id=labels[tube.label], score=float(tube.score))
    return Detection2D(
        header=header, id=str(tube.id), bbox=bounds, results=[ObjectHypothesisWithPose(hypothesis=hypothesis)]
    )


def detections_3d(update: TubeUpdate, places: ActorPlaces, header: Header, labels: Sequence[str]) -> Detection3DArray:
    """The tubes that have a place; id is the tube's, class_id the action's name. header: with the places' frame."""
    found = [
        _detection_3d(tube, places.by_tube[tube.id], header, labels)
        for tube in update.tubes
        if tube.id in places.by_tube
    ]
    return Detection3DArray(header=header, detections=found)


def _detection_3d(tube: Tube, place: ActorPlace, header: Header, labels: Sequence[str]) -> Detection3D:
    hypothesis = ObjectHypothesisWithPose(
        hypothesis=ObjectHypothesis(class_id=labels[tube.label], score=float(tube.score))
    )
    hypothesis.pose.pose = pose_of(place)
    box = BoundingBox3D(center=pose_of(place), size=size_of(place))
    return Detection3D(header=header, id=str(tube.id), bbox=box, results=[hypothesis])


def pose_of(place: ActorPlace) -> Pose:
    """The place's middle, upright in its frame."""
    x, y, z = place.position.tolist()
    return Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(w=1.0))


def size_of(place: ActorPlace) -> Vector3:
    """The place's extents."""
    x, y, z = place.size.tolist()
    return Vector3(x=x, y=y, z=z)


def label_info(labels: Sequence[str], threshold: float, header: Header) -> LabelInfo:
    """The classes by number and name, and the score threshold that detections have passed."""
    classes = [VisionClass(class_id=number, class_name=name) for number, name in enumerate(labels)]
    return LabelInfo(header=header, class_map=classes, threshold=threshold)


def foxglove_messages() -> Any | None:
    """The module `foxglove_msgs.msg`, or None where it is not installed."""
    try:
        return importlib.import_module("foxglove_msgs.msg")
    except ImportError:
        return None


def annotations_message(content: dict[str, Any], msg: Any) -> Any:
    """Boxes and captions for Foxglove's image panel: a foxglove_msgs/ImageAnnotations.

    content: as `view.image_annotations` has it. msg: as `foxglove_messages` gives it.
    """
    points = [
        msg.PointsAnnotation(
            timestamp=_foxglove_time(each["timestamp"]),
            type=each["type"],
            points=[msg.Point2(**point) for point in each["points"]],
            outline_color=msg.Color(**each["outline_color"]),
            fill_color=msg.Color(**each["fill_color"]),
            thickness=each["thickness"],
        )
        for each in content["points"]
    ]
    texts = [
        msg.TextAnnotation(
            timestamp=_foxglove_time(each["timestamp"]),
            position=msg.Point2(**each["position"]),
            text=each["text"],
            font_size=each["font_size"],
            text_color=msg.Color(**each["text_color"]),
            background_color=msg.Color(**each["background_color"]),
        )
        for each in content["texts"]
    ]
    return msg.ImageAnnotations(points=points, texts=texts)


def _foxglove_time(time: dict[str, int]) -> Time:
    return Time(sec=time["sec"], nanosec=time["nsec"])
