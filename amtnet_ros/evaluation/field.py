"""How well a detector serves in the field: clips of any source, and what it says of them, whoever is in view.

Frame by frame boxes are not needed: a clip says which actions are right in it (any of `expected`), that people in it do
none of them, or that nobody is in view. An update counts for the time since the update before; a tube that is ACTIVE in
it was active for that time, under the label that it has in it. TENTATIVE, COASTING and ENDED do not count, nor does
`other`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from amtnet_ros.contracts import NOBODY, OTHER, TubeState, TubeUpdate
from amtnet_ros.errors import UserError
from amtnet_ros.evaluation.reliability import Reliability, reliability
from amtnet_ros.files import read_json
from amtnet_ros.media.video import open_source
from amtnet_ros.pipeline import Pipeline

CLIPS = "clips.json"

Kind = Literal["action", "none", "nobody", "nobody_pan"]
"""Of a clip: an action is done; people do none of them; nobody is in view; the same, by a camera that only seems to
move over a photograph."""

_MOST, _LEAST, _SHARE = 0.5, 0.5, 0.25
"""A clip is named where its longest tube has expected labels for more than this share of its ACTIVE time, and for so
many seconds, or, of a short clip, for this share of the clip."""


@dataclass(frozen=True)
class FieldClip:
    """One clip. expected: the labels that are right, none where nobody does an action of the model's.

    origin: clips of one origin are counted together, the file's `set`.
    """

    name: str
    file: Path
    expected: tuple[str, ...]
    kind: Kind
    origin: str


class Claim(NamedTuple):
    """That somebody did an action (`label`) for some seconds, with what score."""

    label: str
    score: float
    seconds: float


@dataclass
class ActiveTube:
    """A tube that was ACTIVE at some time. start, end, seconds: in seconds of the clip; seconds of them ACTIVE.

    labels: seconds under each. score: its mean over the ACTIVE time. claims: of each update.
    """

    id: int
    start: float
    end: float = 0.0
    seconds: float = 0.0
    score: float = 0.0
    labels: dict[str, float] = field(default_factory=dict)
    claims: list[Claim] = field(default_factory=list)

    def add(self, label: str, score: float, span: float, now: float) -> None:
        """It was ACTIVE for a span of seconds that ends now."""
        self.claims.append(Claim(label, score, span))
        self.end = now
        self.seconds += span
        self.labels[label] = self.labels.get(label, 0.0) + span
        if self.seconds > 0:
            self.score += (score - self.score) * span / self.seconds

    @property
    def ranked(self) -> dict[str, float]:
        """Its labels, those it had longest first."""
        return dict(sorted(self.labels.items(), key=lambda each: (-each[1], each[0])))


@dataclass(frozen=True)
class Watched:
    """What came of one clip. tubes: those that were ACTIVE, the longest first. named: None where nothing is expected.

    said: of the longest tube's labels the one that makes it right, or wrong; None without a tube.
    others: seconds in which tubes were ACTIVE as `other`, which are persons and claim nothing.
    """

    clip: FieldClip
    seconds: float
    tubes: tuple[ActiveTube, ...]
    named: bool | None
    said: str | None
    others: float = 0.0


def read_field(folder: Path) -> tuple[FieldClip, ...]:
    """The clips of a folder, as its clips.json lists them; docs/evaluation.md describes it.

    Raises UserError, naming the clip, for the first thing that is wrong.
    """
    path = folder / CLIPS
    content = read_json(path)
    listed = content.get("clips") if isinstance(content, dict) else None
    if not isinstance(listed, dict) or not listed:
        raise UserError(f"{path}: 'clips' must name at least one clip")
    return tuple(_clip(folder, name, entry) for name, entry in listed.items())


def _clip(folder: Path, name: str, entry: Any) -> FieldClip:
    where = f"{folder / CLIPS}: clip '{name}'"
    if not isinstance(entry, dict) or not isinstance(entry.get("file"), str):
        raise UserError(f"{where}: 'file' is missing")
    expected, people = entry.get("expected"), entry.get("people")
    if not isinstance(expected, list) or not all(isinstance(label, str) for label in expected):
        raise UserError(f"{where}: 'expected' must be a list of labels, empty where none of the actions is done")
    if people != "several" and (isinstance(people, bool) or not isinstance(people, int) or people < 0):
        raise UserError(f"{where}: 'people' must be how many are in view: 0, 1 … or \"several\"")
    if expected and people == 0:
        raise UserError(f"{where}: {', '.join(expected)} with nobody in view")
    kind: Kind = "nobody_pan" if entry.get("synthetic") else "nobody"
    if expected or people != 0:
        kind = "action" if expected else "none"
    file = folder / entry["file"]
    if not file.exists():
        raise UserError(f"{where}: {file} does not exist")
    return FieldClip(name, file, tuple(expected), kind, str(entry.get("set", "clips")))


def check_labels(clips: Iterable[FieldClip], labels: Collection[str]) -> None:
    """Raises UserError for the first expected label that the model does not have."""
    for clip in clips:
        for label in clip.expected:
            if label not in labels:
                raise UserError(f"clip '{clip.name}' expects '{label}'; the model knows: {', '.join(labels)}")


def watch_clip(pipeline: Pipeline, clip: FieldClip, least_score: float = 0.0) -> Watched:
    """Watch a clip from start to end, as `amtnet run` does; it is a session of its own.

    least_score: a tube counts only while its score is at least this. Raises UserError for a clip that is broken.
    """
    source = open_source(str(clip.file))
    seen = _ActiveTime(pipeline.labels, least_score)
    seconds = 0.0
    for stamp, image in source.stamped():
        seen.add(pipeline.push(stamp, image))
        seconds = stamp / 1e9 + 1 / source.rate
    seen.add(pipeline.finish())
    pipeline.reset()
    return replace(judged(clip, seconds, seen.tubes.values()), others=seen.others)


class _ActiveTime:
    """The tubes of one clip, and how long each was ACTIVE under which label. others: see `Watched`."""

    def __init__(self, labels: Sequence[str], least_score: float) -> None:
        self._labels, self._least_score = labels, least_score
        self._newest: int | None = None
        self.tubes: dict[int, ActiveTube] = {}
        self.others = 0.0

    def add(self, updates: Iterable[TubeUpdate]) -> None:
        for update in updates:
            before = update.stamp if self._newest is None else self._newest
            self._newest = max(before, update.stamp)
            now, span = update.stamp / 1e9, max(0, update.stamp - before) / 1e9
            for tube in update.tubes:
                label = self._labels[tube.label]
                if tube.state != TubeState.ACTIVE or tube.score < self._least_score:
                    continue
                if label in (OTHER, NOBODY):
                    self.others += span
                else:
                    known = self.tubes.setdefault(tube.id, ActiveTube(tube.id, start=now - span))
                    known.add(label, tube.score, span, now)


def judged(clip: FieldClip, seconds: float, tubes: Iterable[ActiveTube]) -> Watched:
    """Whether the clip is named. seconds: its length."""
    ranked = tuple(sorted(tubes, key=lambda tube: (-tube.seconds, tube.id)))
    labels = ranked[0].ranked if ranked else {}
    if not clip.expected:
        return Watched(clip, seconds, ranked, None, next(iter(labels), None))
    right = sum(labels.get(label, 0.0) for label in clip.expected)
    named = right > _MOST * sum(labels.values()) and right >= min(_LEAST, _SHARE * seconds)
    said = next((label for label in labels if (label in clip.expected) == named), None)
    return Watched(clip, seconds, ranked, named, said)


def summarise(watched: Sequence[Watched]) -> dict[str, Any]:
    """All figures, ready for JSON.

    named: clips with expected labels, and how many are named; named_mean_over_labels: the mean of the shares of
    by_expected. false: of clips where no action is right, by kind: ACTIVE tubes a minute, ACTIVE tube-seconds a second,
    and how many persons without an action there are on average, which are false where nobody is.
    by_expected, by_set, false_by_set: the same for parts.
    """
    action = [each for each in watched if each.clip.kind == "action"]
    rest = [each for each in watched if each.clip.kind != "action"]
    by_expected = {key: _shares(part) for key, part in _parts(action, "expected").items()}
    shares = [part["share"] for part in by_expected.values()]
    return {
        "named": _shares(action),
        "named_mean_over_labels": round(sum(shares) / len(shares), 3) if shares else None,
        "tubes_on_action_clips": _rates(action),
        "false": {
            kind: _rates([each for each in rest if each.clip.kind == kind]) for kind in ("none", "nobody", "nobody_pan")
        },
        "by_expected": by_expected,
        "by_set": {key: _shares(part) for key, part in _parts(action, "origin").items()},
        "false_by_set": {key: _rates(part) for key, part in _parts(rest, "origin").items()},
    }


def reliability_of(watched: Iterable[Watched]) -> Reliability:
    """How often the actions claimed in all clips are right, by their scores; each for the seconds it was claimed.

    Wrong is whatever is claimed of people who do none of the actions, and where nobody is.
    """
    claims = [
        (claim.score, claim.label in each.clip.expected, claim.seconds)
        for each in watched
        for tube in each.tubes
        for claim in tube.claims
    ]
    scores, right, seconds = np.array(claims, np.float64).reshape(-1, 3).T
    return reliability(scores, right > 0, seconds)


def clips_as_json(watched: Sequence[Watched]) -> dict[str, Any]:
    """Each clip, down to its tubes."""
    return {
        each.clip.name: {
            "kind": each.clip.kind,
            "set": each.clip.origin,
            "expected": list(each.clip.expected),
            "seconds": round(each.seconds, 3),
            "named": each.named,
            "said": each.said,
            "tubes": [_tube_as_json(tube) for tube in each.tubes],
        }
        for each in watched
    }


def _tube_as_json(tube: ActiveTube) -> dict[str, Any]:
    labels = {label: round(seconds, 3) for label, seconds in tube.ranked.items()}
    span = {"from": round(tube.start, 3), "to": round(tube.end, 3)}
    return {"id": tube.id, "seconds": round(tube.seconds, 3), "score": round(tube.score, 4), **span, "labels": labels}


def _parts(watched: Sequence[Watched], by: Literal["expected", "origin"]) -> Mapping[str, list[Watched]]:
    parts: dict[str, list[Watched]] = {}
    for each in watched:
        key = "|".join(each.clip.expected) if by == "expected" else each.clip.origin
        parts.setdefault(key, []).append(each)
    return dict(sorted(parts.items()))


def _shares(watched: Sequence[Watched]) -> dict[str, Any]:
    named = sum(bool(each.named) for each in watched)
    wrong = Counter(each.said or "(no tube)" for each in watched if not each.named)
    return {
        "clips": len(watched),
        "named": named,
        "share": round(named / len(watched), 3) if watched else None,
        "no_tube": sum(not each.tubes for each in watched),
        "wrong": dict(wrong.most_common(5)),
    }


def _rates(watched: Sequence[Watched]) -> dict[str, Any]:
    seconds = sum(each.seconds for each in watched)
    tubes = [tube for each in watched for tube in each.tubes]
    labels: dict[str, float] = {}
    for tube in tubes:
        for label, active in tube.labels.items():
            labels[label] = labels.get(label, 0.0) + active
    total = sum(labels.values())
    longest = sorted(labels, key=lambda label: -labels[label])[:6]
    return {
        "clips": len(watched),
        "seconds": round(seconds, 2),
        "clips_with_a_tube": sum(bool(each.tubes) for each in watched),
        "tubes": len(tubes),
        "tubes_a_minute": round(60 * len(tubes) / seconds, 2) if seconds else None,
        "tube_seconds_a_second": round(sum(tube.seconds for tube in tubes) / seconds, 3) if seconds else None,
        "others_a_second": round(sum(each.others for each in watched) / seconds, 3) if seconds else None,
        "labels": {label: round(labels[label] / total, 3) for label in longest if labels[label] > 0},
    }
