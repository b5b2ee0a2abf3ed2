"""What the detector says of its own health, and a line where its inputs are not as they should be."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from amtnet_ros.errors import quoted
from amtnet_ros.stream import Admission

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
_MISSES = 5  # steps without depth, or images with stamps that stand still, in a row: fewer happen
_MOST_LOST = 0.05  # share of the messages that may be lost without a word
FRAME_ID = "frame_id"
"""The word in what is said of frames."""
_GAPS = 3  # images in a row that come too late; more would keep the user waiting


class Rate:
    """Events a second over the last few seconds."""

    def __init__(self, window: float = 5.0) -> None:
        self._window = window
        self._times: deque[float] = deque(maxlen=10_000)

    def tick(self) -> None:
        """An event, now."""
        self._times.append(time.monotonic())

    @property
    def hertz(self) -> float:
        """Of the events in the window; 0 with fewer than two."""
        recent = [when for when in tuple(self._times) if when > time.monotonic() - self._window]
        return (len(recent) - 1) / (recent[-1] - recent[0]) if len(recent) > 1 and recent[-1] > recent[0] else 0.0


class Losses:
    """Which messages of a topic were lost on the way, of those of the last few seconds."""

    _WINDOW = 10.0  # seconds

    def __init__(self) -> None:
        self._events: deque[tuple[float, bool]] = deque(maxlen=10_000)

    def note(self, lost: bool, count: int = 1) -> None:
        """So many messages arrived, or were lost, now."""
        self._events.extend([(time.monotonic(), lost)] * min(count, 1000))

    def counts(self) -> tuple[int, int]:
        """How many were lost, and how many were sent."""
        recent = [lost for when, lost in tuple(self._events) if when > time.monotonic() - self._WINDOW]
        return sum(recent), len(recent)


@dataclass
class Stamps:
    """How the stamps of the images that were looked at follow each other.

    stuck: so many images in a row were left out because they carry the newest stamp, or one a little before it.
    gaps: so many in a row came too long after the one before to make a pair. interval: seconds between the newest two.
    """

    stuck: int = 0
    gaps: int = 0
    interval: float = 0.0
    newest: int = 0

    def note(self, stamp: int, admission: Admission) -> None:
        """An image of this stamp (ns), and what became of it."""
        self.stuck = self.stuck + 1 if admission in (Admission.DUPLICATE, Admission.LATE) else 0
        if admission in (Admission.DUPLICATE, Admission.LATE, Admission.TOO_SOON):
            return
        self.gaps = self.gaps + 1 if admission is Admission.GAP else 0
        self.interval, self.newest = (stamp - self.newest) / 1e9, stamp


@dataclass
class Health:
    """Counted and measured since the node was configured.

    stamps: of the images. depth_away: seconds between the newest step and the depth nearest to it; None where there is
    none. depth_misses: steps in a row that no depth served. depth_readable: whether it is known how to read depth.
    The last refusal is of an image or of depth.
    """

    images_in: Rate = field(default_factory=Rate)
    steps_out: Rate = field(default_factory=Rate)
    received: int = 0
    refused: int = 0
    depth_refused: int = 0
    defects: int = 0
    clock_jumps: int = 0
    tubes_alive: int = 0
    image_age: float | None = None
    delay: float | None = None
    latency: Mapping[str, float] = field(default_factory=dict)
    stamps: Stamps = field(default_factory=Stamps)
    depth_away: float | None = None
    depth_misses: int = 0
    depth_readable: bool = True
    last_refusal: str = ""
    last_refusal_at: float = float("-inf")

    def refuse(self, reason: str) -> None:
        """An input could not be used."""
        self.last_refusal, self.last_refusal_at = reason, time.monotonic()

    def values(self) -> dict[str, str]:
        """Everything as diagnostics show it."""
        values = {
            "input rate [Hz]": f"{self.images_in.hertz:.1f}",
            "output rate [Hz]": f"{self.steps_out.hertz:.1f}",
            "images received": str(self.received),
            "images refused": str(self.refused),
            "depth refused": str(self.depth_refused),
            "internal errors": str(self.defects),
            "clock jumps": str(self.clock_jumps),
            "tubes alive": str(self.tubes_alive),
        }
        if self.image_age is not None:
            values["image age on arrival [ms]"] = f"{self.image_age * 1e3:.1f}"
        if self.delay is not None:
            values["image stamp to tubes [ms]"] = f"{self.delay * 1e3:.1f}"
        values.update({f"{stage} [ms]": f"{seconds * 1e3:.1f}" for stage, seconds in self.latency.items()})
        return values


def status(name: str, hardware: str, level: bytes, message: str, values: Mapping[str, str]) -> DiagnosticStatus:
    """A diagnostic status message."""
    return DiagnosticStatus(
        level=level,
        name=name,
        hardware_id=hardware,
        message=message,
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )


@dataclass(frozen=True)
class TopicFacts:
    """What is known of a topic that the detector listens to.

    topic: its full name. name: what the detector calls it, and what is remapped.
    silence: seconds since the last message, or since the subscription if none came.
    publishers: the full names of the nodes that publish messages of our type.
    incompatible: the QoS policy in which a publisher and we disagree, or "".
    other_type: the type the topic is published with, if not ours, or "". elsewhere: other topics with our type.
    what: what its messages are, in the singular: image, or depth.
    lost, sent: of the last seconds, as far as the middleware tells. size: bytes of the newest.
    frames: the frame_ids of the last seconds, each once.
    """

    topic: str
    name: str
    silence: float
    publishers: Sequence[str] = ()
    incompatible: str = ""
    other_type: str = ""
    elsewhere: Sequence[str] = ()
    what: str = "image"
    lost: int = 0
    sent: int = 0
    size: int = 0
    frames: Sequence[str] = ()


@dataclass(frozen=True)
class Limits:
    """Beyond which the user wants to hear of it, all in seconds; see the parameters of these names."""

    image_timeout: float
    max_image_age: float
    max_frame_gap: float


def complaint_about_images(facts: TopicFacts, health: Health, limits: Limits) -> str:
    """One line that names the cause and the remedy, or "" while all is well."""
    return (
        _why_silent(facts, limits.image_timeout)
        or _too_many_publishers(facts)
        or _lost_on_the_way(facts)
        or _wrong_stamps(facts, health.stamps)
        or _wrong_age(facts, health.image_age, limits.max_image_age)
        or _too_far_apart(facts, health, limits.max_frame_gap)
    )


def complaint_about_depth(facts: TopicFacts, health: Health, tolerance: float, timeout: float) -> str:
    """The same for depth. tolerance: seconds that the stamps of depth and image may differ; timeout: of silence."""
    if reason := _why_silent(facts, timeout) or _too_many_publishers(facts) or _lost_on_the_way(facts):
        return reason
    if health.depth_away is None or health.depth_misses < _MISSES:
        return ""
    if not health.depth_readable:
        return (
            f"depth images come on {facts.topic}, but no CameraInfo with a calibration on the topic camera_info beside "
            "the colour images; places need both"
        )
    return (
        f"no depth on {facts.topic} belongs to the images: the nearest depth is {health.depth_away:.2f} s away; "
        f"tolerance {tolerance:.2f} s (depth.tolerance); are both cameras' clocks synchronised?"
    )


def complaint_about_frames(facts: TopicFacts) -> str:
    """The same where the headers do not say, or not clearly, in which frame the messages are."""
    names = " and ".join(map(quoted, facts.frames))
    if len(facts.frames) > 1:
        return (
            f"{facts.what} on {facts.topic} comes with more than one {FRAME_ID}: {names}; each result is in that of "
            "its own message; give two cameras a topic each"
        )
    if "" in facts.frames:
        return (
            f"{facts.what} on {facts.topic} comes without a {FRAME_ID}: results cannot be placed in space; set it in "
            "the camera's driver"
        )
    return ""


def _why_silent(facts: TopicFacts, timeout: float) -> str:
    if facts.silence <= timeout:
        return ""
    if facts.other_type:
        source = "image_transport" if facts.what == "image" else "depth.source"
        return f"{facts.topic} carries {facts.other_type}, which is no {facts.what} of the kind that {source} asks for"
    if facts.incompatible:
        return (
            f"a publisher of {facts.topic} offers an incompatible QoS ({facts.incompatible}), nothing comes from it; "
            f"see the parameters qos_overrides.{facts.topic}.subscription.*"
        )
    if not facts.publishers:
        such = "images" if facts.what == "image" else "such messages"
        others = f"; {such} are published on {', '.join(facts.elsewhere)}" if facts.elsewhere else ""
        return (
            f"nobody publishes {facts.topic}; is the camera running, is '{facts.name}' remapped to its topic?{others}"
        )
    count = len(facts.publishers)
    return f"no {facts.what} on {facts.topic} for {facts.silence:.1f} s although it has {count} publisher(s)"


def _too_many_publishers(facts: TopicFacts) -> str:
    if len(facts.publishers) < 2:
        return ""
    return (
        f"{len(facts.publishers)} publishers on {facts.topic}: {', '.join(facts.publishers)}; what they send is taken "
        "for one camera's; give each a topic of its own, and see the parameter cameras"
    )


def _lost_on_the_way(facts: TopicFacts) -> str:
    if facts.lost < _MISSES or facts.lost < _MOST_LOST * facts.sent:
        return ""
    return (
        f"{facts.lost} of {facts.sent} messages on {facts.topic}, of {facts.size / 1e6:.1f} MB, were lost on the way; "
        f"take them reliably (qos_overrides.{facts.topic}.subscription.reliability:=reliable), compressed "
        "(image_transport:=compressed) or smaller, and start the camera with the package's Fast DDS profile, see "
        "docs/ros.md"
    )


def _wrong_stamps(facts: TopicFacts, stamps: Stamps) -> str:
    if stamps.stuck < _MISSES:
        return ""
    return (
        f"the last {stamps.stuck} images on {facts.topic} are left out: their stamps do not exceed that of an earlier "
        f"one, {stamps.newest / 1e9:.3f} s; does the driver stamp each image anew, does /clock run?"
    )


def _wrong_age(facts: TopicFacts, age: float | None, most: float) -> str:
    if age is not None and age > most:
        return (
            f"images on {facts.topic} are {age:.1f} s old when they arrive; are the clocks of camera and robot "
            "synchronised, is use_sim_time right, is the network fast enough?"
        )
    if age is not None and age < -most:
        return (
            f"images on {facts.topic} are stamped {-age:.1f} s in the future; are the clocks of camera and robot "
            "synchronised, is use_sim_time right?"
        )
    return ""


def _too_far_apart(facts: TopicFacts, health: Health, most: float) -> str:
    if health.stamps.gaps < _GAPS:
        return ""
    seconds = f"{health.stamps.interval:.2f} s"
    who = f"images on {facts.topic} are {seconds} apart"
    if health.images_in.hertz * most > 1:
        who = f"this machine looks at an image of {facts.topic} every {seconds} only"
    return (
        f"{who}, more than max_frame_gap ({most:.2f} s): no two are compared, so no tube begins; raise max_frame_gap, "
        "or the rate"
    )
