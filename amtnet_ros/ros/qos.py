"""Quality of service of the package's topics."""

from __future__ import annotations

from copy import copy
from typing import Any

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ModuleNotFoundError:  # its name in Humble
    from rclpy.qos_event import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

__all__ = [
    "EVERY_IMAGE",
    "LATCHED",
    "NEWEST_IMAGE",
    "PICTURES",
    "RESULTS",
    "SubscriptionEventCallbacks",
    "overridable",
    "unknown_overrides",
]

OVERRIDES = "qos_overrides."
"""What the names of the parameters that override a topic's QoS begin with."""


def overridable(profile: QoSProfile) -> dict[str, Any]:
    """Arguments for a topic whose reliability, durability, history and depth may be overridden by parameters.

    The profile is a copy: rclpy writes the overrides of one topic into the profile that it is given.
    """
    policies = (QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH, QoSPolicyKind.RELIABILITY, QoSPolicyKind.DURABILITY)
    return {"qos_profile": copy(profile), "qos_overriding_options": QoSOverridingOptions(policies)}


def unknown_overrides(node: Node) -> list[str]:
    """Overrides given at start that no topic of the node, which has all its topics, has taken."""
    given = [name for name in node._parameter_overrides if name.startswith(OVERRIDES)]
    return sorted(name for name in given if not node.has_parameter(name))


# Images in: only the newest counts, and a best-effort subscription matches every publisher.
NEWEST_IMAGE = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=1,
    reliability=ReliabilityPolicy.BEST_EFFORT,
    durability=DurabilityPolicy.VOLATILE,
)

# Images in, where each one counts (a recording): a few may wait.
EVERY_IMAGE = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=30,
    reliability=ReliabilityPolicy.BEST_EFFORT,
    durability=DurabilityPolicy.VOLATILE,
)

# Results out: each message carries boxes that no other repeats.
RESULTS = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=30,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.VOLATILE,
)

# Pictures and markers out: for people's eyes.
PICTURES = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.VOLATILE,
)

# Said once, also to those who come later.
LATCHED = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
