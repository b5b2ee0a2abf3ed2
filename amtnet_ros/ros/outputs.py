"""The detector's topics out: each step to whoever listens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray, Detection3DArray, LabelInfo
from visualization_msgs.msg import MarkerArray

from amtnet_ros.media.drawing import Style, TubePainter
from amtnet_ros.msg import ActionTubeArray, Latency
from amtnet_ros.ros.conversions import compressed_from_rgb, image_from_rgb
from amtnet_ros.ros.markers import MarkerPainter
from amtnet_ros.ros.messages import (
    annotations_message,
    detections,
    detections_3d,
    foxglove_messages,
    label_info,
    tube_array,
)
from amtnet_ros.ros.places import ActorPlaces, Intrinsics
from amtnet_ros.ros.qos import LATCHED, PICTURES, RESULTS, overridable
from amtnet_ros.ros.worker import Done, Step
from amtnet_ros.view.image_annotations import image_annotations


class Outputs:
    """Publishers of one camera of a configured detector. Pictures and markers are made only while somebody subscribes.

    prefix: what the camera's topics begin with, "" or "NAME/".
    """

    def __init__(self, node: LifecycleNode, prefix: str, labels: Sequence[str], style: Style) -> None:
        self._node = node
        self._labels = labels
        self._painter = TubePainter(labels, style)
        self._markers = MarkerPainter(labels)
        self._publishers: list[LifecyclePublisher[Any]] = []
        self._tubes = self._publisher(ActionTubeArray, f"{prefix}action_tubes", RESULTS)
        self._detections = self._publisher(Detection2DArray, f"{prefix}action_detections", RESULTS)
        self._label_info = self._publisher(LabelInfo, f"{prefix}action_labels", LATCHED)
        self._debug_image = self._publisher(Image, f"~/{prefix}debug_image", PICTURES)
        self._compressed = self._publisher(CompressedImage, f"~/{prefix}debug_image/compressed", PICTURES)
        self._foxglove = foxglove_messages()
        if self._foxglove is not None:
            kind = self._foxglove.ImageAnnotations
            self._annotations = self._publisher(kind, f"~/{prefix}annotations", PICTURES)
        self._latency = self._publisher(Latency, f"~/{prefix}latency", PICTURES)
        self._marker_array = self._publisher(MarkerArray, f"~/{prefix}markers", PICTURES)
        self._places = self._publisher(Detection3DArray, f"{prefix}action_detections_3d", RESULTS)

    def _publisher(self, kind: type, topic: str, qos: QoSProfile) -> LifecyclePublisher[Any]:
        publisher: LifecyclePublisher[Any] = self._node.create_lifecycle_publisher(kind, topic, **overridable(qos))
        self._publishers.append(publisher)
        return publisher

    @property
    def wants_images(self) -> bool:
        """Whether somebody looks at the debug image."""
        return any(topic.get_subscription_count() > 0 for topic in (self._debug_image, self._compressed))

    def set_style(self, style: Style) -> None:
        """How the debug image is drawn from now on."""
        self._painter.style = style

    def publish_labels(self, threshold: float) -> None:
        """Latched: what the classes are called."""
        header = Header(stamp=self._node.get_clock().now().to_msg())
        self._label_info.publish(label_info(self._labels, threshold, header))

    def publish(self, step: Step, intrinsics: Intrinsics | None, places: ActorPlaces | None) -> None:
        """Everything somebody wants to know of this step; the tubes always, and first.

        intrinsics: of the step's image, None where they are not known. places: None where no depth belongs to the step.
        An output that fails keeps no other from what it has to say; the first one's error is raised in the end.
        """
        errors: list[Exception] = []
        outputs: tuple[Callable[[], None], ...] = (
            lambda: self._tubes.publish(tube_array(step.update, step.header, step.session, self._labels)),
            lambda: self._publish_detections(step),
            lambda: self._publish_places(step, places),
            lambda: self._publish_markers(step, intrinsics, places),
            lambda: self._publish_annotations(step),
            lambda: self._publish_debug_image(step),
        )
        for output in outputs:
            try:
                output()
            except Exception as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def publish_latency(self, done: Done, total: float) -> None:
        """How long an image took; total: seconds since its stamp."""
        if self._latency.get_subscription_count() > 0:
            self._latency.publish(Latency(header=done.header, total=total, **done.latency))

    def destroy(self, timeout: float) -> None:
        """Take the topics back, after waiting so many seconds at most until the last tubes have arrived."""
        self._tubes.wait_for_all_acked(Duration(seconds=timeout))
        for publisher in self._publishers:
            self._node.destroy_lifecycle_publisher(publisher)
        self._publishers.clear()

    def _publish_detections(self, step: Step) -> None:
        if self._detections.get_subscription_count() > 0:
            self._detections.publish(detections(step.update, step.header, self._labels))

    def _publish_places(self, step: Step, places: ActorPlaces | None) -> None:
        if places is not None:
            self._places.publish(detections_3d(step.update, places, _header_of(places, step), self._labels))

    def _publish_markers(self, step: Step, intrinsics: Intrinsics | None, places: ActorPlaces | None) -> None:
        if self._marker_array.get_subscription_count() == 0:
            return
        markers = self._markers.draw(step.update, step.header, intrinsics)
        if places is not None:
            markers.markers += self._markers.in_space(step.update, places, _header_of(places, step))
        self._marker_array.publish(markers)

    def _publish_annotations(self, step: Step) -> None:
        if self._foxglove is not None and self._annotations.get_subscription_count() > 0:
            content = image_annotations(step.update, self._labels)
            self._annotations.publish(annotations_message(content, self._foxglove))

    def _publish_debug_image(self, step: Step) -> None:
        self._painter.update(step.update)
        if step.image is None or not self.wants_images:
            return
        picture = self._painter.draw(step.image, step.update.stamp)
        if self._debug_image.get_subscription_count() > 0:
            self._debug_image.publish(image_from_rgb(picture, step.header))
        if self._compressed.get_subscription_count() > 0:
            self._compressed.publish(compressed_from_rgb(picture, step.header))


def _header_of(places: ActorPlaces, step: Step) -> Header:
    """The stamp of the image, the frame of the depth."""
    return Header(stamp=step.header.stamp, frame_id=places.frame_id)
