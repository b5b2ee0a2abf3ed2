"""Every image of a topic, raw or compressed, for those who want them outside a node of their own."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image

from amtnet_ros.contracts import UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.ros.conversions import rgb_from_compressed, rgb_from_image
from amtnet_ros.ros.qos import EVERY_IMAGE

_KINDS = {"sensor_msgs/msg/Image": Image, "sensor_msgs/msg/CompressedImage": CompressedImage}
_LOOK = 0.2  # seconds between two looks for somebody who publishes the topic


class ImageListener:
    """Subscribes as soon as somebody publishes the topic, with the type that it has. Ends when it is closed."""

    ended = False

    def __init__(self, topic: str, on_image: Callable[[UInt8], None]) -> None:
        """on_image: is given each image, (height, width, 3) uint8 RGB, in a thread of this object's.

        Raises UserError for a name that no topic can have.
        """
        self.name, self._on_image = topic, on_image
        self.failure: UserError | None = None
        self._broken = ""
        self._context = Context()
        rclpy.init(context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        self._node = Node("amtnet_record", context=self._context)
        try:
            self._topic = self._node.resolve_topic_name(topic)
        except Exception as error:  # of several kinds, most of them private to rclpy
            self._context.try_shutdown()
            raise UserError(f"{topic}: no name of a topic ({' '.join(str(error).split())})") from error
        self._subscription: Subscription[Any] | None = None
        self._node.create_timer(_LOOK, self._look)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def why_silent(self) -> str:
        """A line that says why nothing comes."""
        if self._broken:
            return f"{self._topic}: {self._broken}"
        types = self._types()
        if set(types) & _KINDS.keys():
            return f"{self._topic}: has a publisher, but no image comes"
        if types:
            return f"{self._topic}: carries {', '.join(types)}, which is no image"
        others = sorted(
            name
            for name, kinds in self._node.get_topic_names_and_types()
            if set(kinds) & _KINDS.keys() and self._node.count_publishers(name)
        )
        found = f"; images are published on {', '.join(others)}" if others else "; is the camera running?"
        return f"{self._topic}: nobody publishes it{found}"

    def close(self) -> None:
        """End it."""
        self._executor.shutdown(1.0)
        self._thread.join(1.0)
        self._node.destroy_node()
        self._context.try_shutdown()

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()

    def _types(self) -> list[str]:
        return sorted({each.topic_type for each in self._node.get_publishers_info_by_topic(self._topic)})

    def _look(self) -> None:
        for name in self._types() if self._subscription is None else ():
            if name in _KINDS and self._subscription is None:
                self._subscription = self._node.create_subscription(
                    _KINDS[name], self._topic, self._on_message, EVERY_IMAGE
                )

    def _on_message(self, message: Image | CompressedImage) -> None:
        try:
            image = rgb_from_image(message) if isinstance(message, Image) else rgb_from_compressed(message)
        except UserError as error:
            self._broken = str(error)
            return
        self._broken = ""
        self._on_image(image)
