"""For behaviours: a callback when an action begins or ends, and an end to every action of which nothing is heard."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from uuid import UUID

from rclpy.node import Node
from vision_msgs.msg import LabelInfo

from amtnet_ros.contracts import TubeState
from amtnet_ros.msg import ActionTubeArray
from amtnet_ros.ros.actions import Action, EndReason, Sessions
from amtnet_ros.ros.messages import steady_clock, update_from
from amtnet_ros.ros.qos import LATCHED, RESULTS

_LOOK = 0.05  # seconds between two looks at whether it has become silent
_INTRODUCTION = 3.0  # seconds that nodes may take to find each other
_SEARCH = 1.0  # seconds between two looks at who publishes
_REPEAT = 10.0  # seconds for which a cause must have been gone to be named again


@dataclass(frozen=True)
class Filter:
    """Which actions a client hears of.

    names: the classes; None for all actions, to which `other` does not belong: it has to be named. score: at least
    this. seconds: seen for at least so long.
    Tubes that the detector has not confirmed yet (TENTATIVE) are never among them.

        Filter(names=["wave"], score=0.3, seconds=0.5)
    """

    names: Collection[str] | None = None
    score: float = 0.0
    seconds: float = 0.0

    def passes(self, action: Action) -> bool:
        """Whether the action, as it is now, is one of them."""
        named = action.has_action if self.names is None else action.name in self.names
        return named and action.score >= self.score and action.seconds >= self.seconds


def _nothing(action: Action) -> None:
    """For callbacks that nobody asked for."""


class ActionClient:
    """Listens to a detector on behalf of a node.

    on_start: called once with each action that passes the filter, as soon as it does.
    on_update: called with each of those in every step in which it lives and still passes.
    on_end: called once with each that was started, when it is over (`action.reason` says why), when it no longer passes
    (its class changed, its score fell), and when nothing is heard of it any more; an action that passes again later
    starts again.
    on_person: called in every step with everybody who is confirmed, whatever they do: the filter does not count.

    timeout: seconds without any message, by a clock that never stops, after which all actions are over. A detector
    sends a message for each image that it looks at, also where nobody is in sight.
    max_age: seconds that the stamp of a message may be old, by the node's clock, which may be simulated; what is older
    starts nothing, and ends what goes on.
    topic: of the tubes, relative to the node's namespace. Where several detectors publish on it, each is followed by
    itself.

    What keeps it from hearing (nobody publishes, silence, age, several detectors, a name in the filter that the
    detector does not know) is said in a warning.

        client = ActionClient(node, on_start=stop, wanted=Filter(names=["wave"], score=0.3))
    """

    def __init__(
        self,
        node: Node,
        on_start: Callable[[Action], None] = _nothing,
        on_end: Callable[[Action], None] = _nothing,
        on_update: Callable[[Action], None] = _nothing,
        on_person: Callable[[Action], None] = _nothing,
        wanted: Filter | None = None,
        topic: str = "action_tubes",
        timeout: float = 0.6,
        max_age: float = 1.0,
    ) -> None:
        if not timeout > 0 or not max_age > 0:
            raise ValueError(f"timeout {timeout} and max_age {max_age} must be more than 0 s")
        self._node = node
        self._on_start, self._on_end = on_start, on_end
        self._on_update, self._on_person = on_update, on_person
        self._wanted = wanted or Filter()
        self._timeout, self._max_age = timeout, max_age
        self._sessions = Sessions(timeout)
        self._started: dict[tuple[UUID, int], Action] = {}
        self._people: dict[tuple[UUID, int], Action] = {}
        self._heard_at = -math.inf
        self._newest = 0
        self._doubts = _Doubts(node, topic)
        self._subscription = node.create_subscription(ActionTubeArray, topic, self._on_tubes, RESULTS)
        self._labels = node.create_subscription(LabelInfo, _beside(node, topic), self._on_labels, LATCHED)
        self._timer = node.create_timer(_LOOK, self._watch, clock=steady_clock())

    @property
    def actions(self) -> list[Action]:
        """Those that live and pass the filter, in the order in which they began."""
        return list(self._started.values())

    @property
    def people(self) -> list[Action]:
        """Everybody who is confirmed now, with an action or without."""
        return list(self._people.values())

    @property
    def hears(self) -> bool:
        """Whether the detector speaks, and what it says is young enough to act on; else nobody knows what goes on."""
        return not self._is_silent() and not self._is_old()

    def close(self) -> None:
        """Listen no longer."""
        self._node.destroy_timer(self._timer)
        self._node.destroy_subscription(self._labels)
        self._node.destroy_subscription(self._subscription)

    # What is heard

    def _on_tubes(self, message: ActionTubeArray) -> None:
        update, session = update_from(message)
        names = {tube.class_id: tube.class_name for tube in message.tubes}
        live, over = self._sessions.add(update, session, names, message.header.frame_id, time.monotonic())
        if self._sessions.several:
            self._doubts.several(self._subscription.topic_name)
        for action in over:
            self._people.pop((action.session, action.id), None)
            if self._started.pop((action.session, action.id), None):
                self._on_end(action)
        if update.tubes and not live:
            return  # only ends, which may be told long after the image that they are about
        self._heard_at, self._newest = time.monotonic(), update.stamp
        if self._is_old():
            self._break_off("old")
            return
        for action in live:
            self._follow(action)

    def _follow(self, action: Action) -> None:
        """Start, update or end one that lives, as the filter says."""
        key = (action.session, action.id)
        if action.state == TubeState.TENTATIVE:
            self._people.pop(key, None)
        else:
            self._people[key] = action
            self._on_person(action)
        if key in self._people and self._wanted.passes(action):
            new = key not in self._started
            self._started[key] = action
            if new:
                self._on_start(action)
            self._on_update(action)
        elif before := self._started.pop(key, None):
            before.reason = "changed"
            self._on_end(before)

    def _on_labels(self, message: LabelInfo) -> None:
        known = [label.class_name for label in message.class_map]
        self._doubts.names(self._wanted.names or (), known)

    # What is not heard

    def _is_silent(self) -> bool:
        return time.monotonic() - self._heard_at > self._timeout

    def _age(self) -> float:
        """Seconds since the stamp of the newest message."""
        return float(self._node.get_clock().now().nanoseconds - self._newest) / 1e9

    def _is_old(self) -> bool:
        return self._age() > self._max_age

    def _watch(self) -> None:
        if self._is_silent():
            self._break_off("silence")
            self._doubts.silence(self._subscription.topic_name, time.monotonic() - self._heard_at)
        elif self._is_old():
            self._break_off("old")

    def _break_off(self, reason: EndReason) -> None:
        """Nothing that was said holds any longer."""
        if reason == "old":
            self._doubts.age(self._subscription.topic_name, self._age(), self._max_age)
        over = list(self._started.values())
        self._started.clear()
        self._people.clear()
        for action in over:
            action.reason = reason
            self._on_end(action)


def _beside(node: Node, topic: str) -> str:
    """The topic of the labels that belong to the tubes on a topic; both as they are to be subscribed to.

    Who remaps the labels as well has said where they are; else they are beside the tubes, wherever those are.
    """
    labels = "/".join([*topic.split("/")[:-1], "action_labels"])
    if node.resolve_topic_name(labels) != node.resolve_topic_name(labels, only_expand=True):
        return labels
    return f"{node.resolve_topic_name(topic).rsplit('/', 1)[0]}/action_labels"


class _Doubts:
    """Says what keeps a client from hearing: once, and again when it was gone and comes back.

    subscribed: to what name: rclpy remaps what it is asked about, so that a resolved name would be remapped twice.
    """

    def __init__(self, node: Node, subscribed: str) -> None:
        self._node, self._subscribed = node, subscribed
        self._since = self._looked = time.monotonic()
        self._said: dict[str, float] = {}

    def several(self, topic: str) -> None:
        """More than one detector publishes on the topic."""
        self._say(
            "several",
            f"several detectors publish on {topic}; each is followed by itself, and ids are unique only together with "
            "the session; a namespace for each tells them apart",
        )

    def names(self, wanted: Collection[str], known: Collection[str]) -> None:
        """The filter's names, and those of the detector."""
        unknown = [name for name in wanted if name not in known]
        if unknown:
            which = ", ".join(f"'{name}'" for name in unknown)
            self._say(f"names {known}", f"the detector knows no action {which}; it knows: {', '.join(known)}")

    def age(self, topic: str, seconds: float, most: float) -> None:
        """What comes is too old."""
        self._say(
            "age",
            f"what comes on {topic} is {seconds:.1f} s old, more than max_age ({most:g} s): nothing is acted on; are "
            "the clocks of camera and robot synchronised, is use_sim_time the same everywhere?",
        )

    def silence(self, topic: str, seconds: float) -> None:
        """Nothing comes. seconds: since the newest message; infinite where there was none."""
        now = time.monotonic()
        if now - self._since < _INTRODUCTION or now - self._looked < _SEARCH:
            return
        self._looked = now
        found = self._node.get_publishers_info_by_topic(self._subscribed)
        who = sorted({f"{each.node_namespace.rstrip('/')}/{each.node_name}" for each in found})
        last = f"for {seconds:.1f} s" if math.isfinite(seconds) else "so far"
        if who:
            text = f"no message on {topic} {last}; is {', '.join(who)} active, and does its camera deliver images?"
        else:
            text = f"nobody publishes {topic}; does the detector run?{self._elsewhere(topic)}"
        self._say("silence" if who else "nobody", text)

    def _elsewhere(self, topic: str) -> str:
        kind = "amtnet_ros/msg/ActionTubeArray"
        names = [
            name
            for name, kinds in self._node.get_topic_names_and_types()
            if kind in kinds and name != topic and self._node.count_publishers(name)
        ]
        return f" Tubes are published on {', '.join(sorted(names))}" if names else ""

    def _say(self, kind: str, text: str) -> None:
        now = time.monotonic()
        if now - self._said.get(kind, -math.inf) > _REPEAT:
            self._node.get_logger().warning(text)
        self._said[kind] = now
