"""Why nothing comes: the most frequent reason for a silent detector is an image that never arrives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Input:
    """What is known of the image topic.

    topic: its full name. name: what the detector calls it, and what is remapped.
    silence: seconds since the last image, or since the subscription if none came.
    age: seconds between the stamp of the newest image and its arrival; None if none came.
    publishers: how many there are. incompatible: the QoS policy in which a publisher and we disagree, or "".
    other_type: the type the topic is published with, if not ours, or "". elsewhere: other topics that carry images.
    """

    topic: str
    name: str
    silence: float
    age: float | None
    publishers: int
    incompatible: str = ""
    other_type: str = ""
    elsewhere: Sequence[str] = ()


def complaint(seen: Input, timeout: float, max_age: float) -> str:
    """One line that names the cause and the remedy, or "" while all is well. timeout, max_age: seconds."""
    if seen.silence > timeout:
        return _why_silent(seen)
    if seen.age is not None and seen.age > max_age:
        return (
            f"images on {seen.topic} are {seen.age:.1f} s old when they arrive; are the clocks of camera and robot "
            "synchronised, is use_sim_time right, is the network fast enough?"
        )
    if seen.age is not None and seen.age < -max_age:
        return (
            f"images on {seen.topic} are stamped {-seen.age:.1f} s in the future; are the clocks of camera and robot "
            "synchronised, is use_sim_time right?"
        )
    return ""


def _why_silent(seen: Input) -> str:
    if seen.other_type:
        return f"{seen.topic} carries {seen.other_type}, which is no image of the kind that image_transport asks for"
    if seen.incompatible:
        return (
            f"a publisher of {seen.topic} offers an incompatible QoS ({seen.incompatible}), nothing comes from it; "
            f"see the parameters qos_overrides.{seen.topic}.subscription.*"
        )
    if seen.publishers == 0:
        others = f"; images are published on {', '.join(seen.elsewhere)}" if seen.elsewhere else ""
        return f"nobody publishes {seen.topic}; is the camera running, is '{seen.name}' remapped to its topic?{others}"
    return f"no image on {seen.topic} for {seen.silence:.1f} s although it has {seen.publishers} publisher(s)"
