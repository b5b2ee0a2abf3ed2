"""How well tubes serve while the video still runs: early labels, delay, identity."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from amtnet_ros.boxes import iou
from amtnet_ros.contracts import Int64, Tube, TubeState, TubeUpdate
from amtnet_ros.data.annotations import ActionInstance, AnnotatedVideo, Dataset
from amtnet_ros.evaluation.linking import SHARES, observed_frames
from amtnet_ros.evaluation.tubes import Float64, ScoredTube, classification_accuracy
from amtnet_ros.evaluation.video_map import Definition, VideoMap, video_map

RIGHT_PLACE = 0.5
"""A tube is where an actor is, in a frame, from this IoU on."""


@dataclass(frozen=True, slots=True)
class ObservedScore:
    """Scores of the tubes known after a share of each video.

    accuracy: of early labels, 0..1: the label of the best tube so far against the label of the whole video.
    video_maps: one for each definition; the ground truth is cut at the last frame seen.
    """

    share: float
    accuracy: float
    video_maps: tuple[VideoMap, ...]


def score_observed(
    ground_truth: Dataset,
    observed: Sequence[Sequence[ScoredTube]],
    definitions: Sequence[Definition],
    thresholds: Sequence[float],
) -> list[ObservedScore]:
    """Score what was known after each of SHARES (Singh et al., ICCV 2017, §4, fig. 4).

    observed: for each share the tubes of all videos as known then.
    """
    result = []
    for share, tubes in zip(SHARES, observed, strict=True):
        seen = {name: observed_frames(ground_truth.videos[name].n_frames, share) for name in ground_truth.test}
        maps = tuple(video_map(ground_truth, tubes, d, thresholds, observed=seen) for d in definitions)
        result.append(ObservedScore(share, classification_accuracy(ground_truth, tubes), maps))
    return result


def detection_delays(video: AnnotatedVideo, updates: Iterable[TubeUpdate]) -> list[int | None]:
    """Frames from each action's start to the first correct ACTIVE tube; None where none ever was.

    Correct: of the action's class, with a box in the newest frame that overlaps the actor's there by RIGHT_PLACE or
    more (between annotated frames the actor's box is interpolated). The delay counts to the newest frame of the
    update: it is what a robot waits for, Δ and confirmation included.
    """
    delays: list[int | None] = [None] * len(video.instances)
    for update in updates:
        waiting = [
            i
            for i, instance in enumerate(video.instances)
            if delays[i] is None and instance.frames[0] <= update.frame <= instance.frames[-1]
        ]
        for i in waiting:
            instance = video.instances[i]
            boxes = [
                tube.boxes[-1]
                for tube in update.tubes
                if tube.state == TubeState.ACTIVE
                and tube.label == instance.label
                and len(tube.frames)
                and tube.frames[-1] == update.frame
            ]
            actor = _boxes_at([instance], update.frame)
            if boxes and iou(actor, np.array(boxes, np.float64).T).max() >= RIGHT_PLACE:
                delays[i] = update.frame - int(instance.frames[0])
    return delays


@dataclass(frozen=True, slots=True)
class IdentityErrors:
    """How often tubes lose track of actors.

    switches: times an actor goes over from one tube to another.
    fragmentations: times an actor that was followed is lost and then followed again, by whichever tube.
    boxes: annotated boxes of all actors. followed: those of them on which a tube was.
    """

    switches: int = 0
    fragmentations: int = 0
    boxes: int = 0
    followed: int = 0

    def __add__(self, other: IdentityErrors) -> IdentityErrors:
        return IdentityErrors(
            self.switches + other.switches,
            self.fragmentations + other.fragmentations,
            self.boxes + other.boxes,
            self.followed + other.followed,
        )


@dataclass(frozen=True, slots=True)
class IdentityScore:
    """How well tubes keep actors apart, whatever they are said to do (IDF1; Ristani et al., ECCV 2016 workshops, §2).

    right: boxes of actors on which their own tube lies, where each actor has one tube and each tube one actor, chosen
    for the most such boxes. actors, tubes: boxes of all actors, and of all tubes in the frames in which an actor is.
    """

    right: int = 0
    actors: int = 0
    tubes: int = 0

    def __add__(self, other: IdentityScore) -> IdentityScore:
        return IdentityScore(self.right + other.right, self.actors + other.actors, self.tubes + other.tubes)

    @property
    def idf1(self) -> float:
        """0..1."""
        return 2 * self.right / max(self.actors + self.tubes, 1)


def identity_score(video: AnnotatedVideo, tubes: Sequence[Tube], counted: Collection[int]) -> IdentityScore:
    """Score whole tubes of these ids against the actors of a video, from an IoU of RIGHT_PLACE on."""
    from scipy.optimize import linear_sum_assignment

    chosen = [tube for tube in tubes if tube.id in counted and len(tube.frames)]
    frames = np.unique(np.concatenate([np.zeros(0, np.int64), *(one.frames for one in video.instances)]))
    common = np.zeros((len(video.instances), len(chosen)))
    for row, actor in enumerate(video.instances):
        for column, tube in enumerate(chosen):
            _, mine, its = np.intersect1d(actor.frames, tube.frames, return_indices=True)
            overlap = iou(actor.boxes[mine].T.astype(np.float64), tube.boxes[its].T.astype(np.float64))
            common[row, column] = (overlap >= RIGHT_PLACE).sum()
    rows, columns = linear_sum_assignment(common, maximize=True)
    return IdentityScore(
        right=int(common[rows, columns].sum()),
        actors=sum(len(actor.frames) for actor in video.instances),
        tubes=sum(int(np.isin(tube.frames, frames).sum()) for tube in chosen),
    )


def identity_errors(
    video: AnnotatedVideo, tubes: Sequence[Tube], counted: Collection[int], *, any_class: bool = False
) -> IdentityErrors:
    """Match tubes to actors frame by frame, and count where the match breaks (CLEAR MOT; Bernardin, Stiefelhagen 2008).

    tubes: whole; their frames ascend. counted: ids of those that take part. Only tubes of the actor's class are
    matched (any_class: all are), from an IoU of RIGHT_PLACE on. An actor keeps its tube as long as they overlap; the
    others are assigned for the greatest sum of IoU.
    """
    if any_class:
        instances = tuple(replace(instance, label=0) for instance in video.instances)
        return identity_errors(replace(video, instances=instances), [tube._replace(label=0) for tube in tubes], counted)
    labels = {instance.label for instance in video.instances}
    chosen = [tube for tube in tubes if tube.id in counted and tube.label in labels and len(tube.frames)]
    last: dict[int, int] = {}  # instance → id of the tube it was last matched to
    lost: set[int] = set()  # instances that were matched and are not now
    total = IdentityErrors()
    frames = sorted({int(frame) for instance in video.instances for frame in instance.frames})
    for frame in frames:
        actors = [i for i, instance in enumerate(video.instances) if _index(instance.frames, frame) is not None]
        matched = _match_frame(video, actors, chosen, frame, last)
        switches = sum(i in last and last[i] != matched[i] for i in matched)
        total += IdentityErrors(switches, len(lost & matched.keys()), len(actors), len(matched))
        last.update(matched)
        lost = (lost - matched.keys()) | {i for i in actors if i in last and i not in matched}
    return total


def _match_frame(
    video: AnnotatedVideo, actors: Sequence[int], tubes: Sequence[Tube], frame: int, last: Mapping[int, int]
) -> dict[int, int]:
    """Actors (indices of instances) → ids of the tubes on them in this frame."""
    from scipy.optimize import linear_sum_assignment

    here = [(tube, index) for tube in tubes if (index := _index(tube.frames, frame)) is not None]
    if not here or not actors:
        return {}
    boxes = np.array([tube.boxes[index] for tube, index in here], np.float64)
    labels = np.array([tube.label for tube, _ in here])
    overlap = iou(_boxes_at([video.instances[i] for i in actors], frame)[..., None], boxes.T[:, None])
    overlap[labels[None] != np.array([video.instances[i].label for i in actors])[:, None]] = 0.0
    overlap[overlap < RIGHT_PLACE] = 0.0
    ids = [tube.id for tube, _ in here]
    kept = {row: ids.index(last[i]) for row, i in enumerate(actors) if last.get(i) in ids}
    kept = {row: column for row, column in kept.items() if overlap[row, column] > 0}
    for row, column in kept.items():
        best = overlap[row, column]
        overlap[row], overlap[:, column] = 0.0, 0.0
        overlap[row, column] = best
    rows, columns = linear_sum_assignment(overlap, maximize=True)
    assigned = zip(rows.tolist(), columns.tolist(), strict=True)
    return {actors[row]: ids[column] for row, column in assigned if overlap[row, column] > 0}


def _index(frames: Int64, frame: int) -> int | None:
    """Where a frame is in an ascending list of frames."""
    i = int(np.searchsorted(frames, frame))
    return i if i < len(frames) and frames[i] == frame else None


def _boxes_at(instances: Sequence[ActionInstance], frame: int) -> Float64:
    """(4, N) boxes of actors in a frame between the first and last of each, interpolated where it is not annotated."""
    boxes = [[np.interp(frame, each.frames, each.boxes[:, i]) for each in instances] for i in range(4)]
    return np.array(boxes, np.float32).astype(np.float64)
