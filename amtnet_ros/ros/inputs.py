"""The detector's topics in: subscriptions that know whether anything comes, and if not, why."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import qos_policy_name_from_kind
from rclpy.subscription import Subscription
from rclpy.utilities import get_rmw_implementation_identifier

from amtnet_ros.ros.health import Losses, TopicFacts
from amtnet_ros.ros.qos import NEWEST_IMAGE, SubscriptionEventCallbacks, overridable

_WINDOW = 10.0  # seconds for which a frame_id is remembered
_MOST_FRAMES = 8


class InputTopic:
    """A subscription to the newest message of a topic.

    kind: of the messages, from sensor_msgs. name: as it is to be subscribed to, before remapping: a name that is
    resolved first would be remapped twice. what: what the messages are, in the singular. called: what the user remaps,
    where it is not the name itself.
    """

    def __init__(
        self, node: Node, kind: type, name: str, callback: Callable[[Any], None], what: str, called: str = ""
    ) -> None:
        self._node, self._name, self._callback = node, name, callback
        self._called, self._what = called or name, what
        self._kind = f"sensor_msgs/msg/{kind.__name__}"
        self._incompatible, self._losses, self._size = "", Losses(), 0
        self._frames: dict[str, float] = {}  # frame_id → when it came last
        self._last_at = time.monotonic()
        self._subscription: Subscription[Any] = node.create_subscription(
            kind,
            name,
            self._on_message,
            event_callbacks=self._event_callbacks(),
            **overridable(NEWEST_IMAGE),
        )

    @property
    def topic(self) -> str:
        """The full name of the topic that is listened to."""
        return str(self._subscription.topic_name)

    def destroy(self) -> None:
        """Unsubscribe."""
        self._node.destroy_subscription(self._subscription)

    def facts(self) -> TopicFacts:
        """What is known of the topic now. Whom else it could be is only asked where nothing comes."""
        silence = time.monotonic() - self._last_at
        found = self._node.get_publishers_info_by_topic(self._name)
        ours = [
            f"{each.node_namespace.rstrip('/')}/{each.node_name}" for each in found if each.topic_type == self._kind
        ]
        others = sorted({each.topic_type for each in found} - {self._kind})
        lost, sent = self._losses.counts()
        return TopicFacts(
            self.topic,
            self._called,
            silence,
            publishers=tuple(sorted(ours)),
            incompatible=self._incompatible,
            other_type=others[0] if others else "",
            elsewhere=self._elsewhere() if silence > 1.0 and not ours else (),
            what=self._what,
            lost=lost,
            sent=sent,
            size=self._size,
            frames=self._recent_frames(),
        )

    def _elsewhere(self) -> tuple[str, ...]:
        """Other topics with such messages, less what this node, and other detectors, publish themselves."""
        own = self._node.get_fully_qualified_name() + "/"
        return tuple(
            sorted(
                name
                for name, kinds in self._node.get_topic_names_and_types()
                if self._kind in kinds and name != self.topic and self._published(name)
                if not name.startswith(own) and not name.removesuffix("/compressed").endswith("/debug_image")
            )
        )

    def _recent_frames(self) -> tuple[str, ...]:
        """The frame_ids of the last seconds."""
        now = time.monotonic()
        return tuple(frame for frame, when in self._frames.copy().items() if now - when < _WINDOW)

    def _published(self, name: str) -> bool:
        return int(self._node.count_publishers(name)) > 0

    def _on_message(self, message: Any) -> None:
        self._last_at = time.monotonic()
        self._losses.note(lost=False)
        self._size = len(getattr(message, "data", ()))
        self._frames[message.header.frame_id] = self._last_at
        if len(self._frames) > _MOST_FRAMES:
            del self._frames[min(self._frames, key=self._frames.__getitem__)]
        self._callback(message)

    def _event_callbacks(self) -> SubscriptionEventCallbacks:
        """Not every middleware tells of losses, and to ask one that does not is an error."""
        on_lost = self._on_lost if "fastrtps" in get_rmw_implementation_identifier() else None
        return SubscriptionEventCallbacks(incompatible_qos=self._on_incompatible_qos, message_lost=on_lost)

    def _on_lost(self, event: Any) -> None:
        """Messages were lost on the way."""
        self._losses.note(lost=True, count=event.total_count_change)

    def _on_incompatible_qos(self, event: Any) -> None:
        """A publisher and our subscription do not fit."""
        self._incompatible = qos_policy_name_from_kind(event.last_policy_kind)
