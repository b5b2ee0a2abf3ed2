"""Slow and obviously right: the metrics once more, with loops over Python numbers, written after their definitions.

Nothing here is shared with the package: `road` works on x, y, w, h as the release of Singh et al. does, `act` on
inclusive maxima with "+1" in every width and height as the release of ACT does. Overlaps are exact fractions, so that
one equal to a threshold is equal.
"""

import itertools
import math
from fractions import Fraction


def road_box_iou(truth, found):
    x, y, w, h = truth[0], truth[1], truth[2] - truth[0], truth[3] - truth[1]
    # A detection's w and h are differences of inclusive maxima; then 1 is added to all four numbers.
    fx, fy = found[0] + 1, found[1] + 1
    fw, fh = (found[2] - 1 - found[0]) + 1, (found[3] - 1 - found[1]) + 1
    across = max(0, min(x + w, fx + fw) - max(x, fx))
    down = max(0, min(y + h, fy + fh) - max(y, fy))
    return across * down / (w * h + fw * fh - across * down)


def act_box_iou(truth, found):
    a = (truth[0], truth[1], truth[2] - 1, truth[3] - 1)
    b = (found[0], found[1], found[2] - 1, found[3] - 1)
    across = max(0, min(a[2], b[2]) - max(a[0], b[0]) + 1)
    down = max(0, min(a[3], b[3]) - max(a[1], b[1]) + 1)
    area_a = (a[2] - a[0] + 1) * (a[3] - a[1] + 1)
    area_b = (b[2] - b[0] + 1) * (b[3] - b[1] + 1)
    return across * down / (area_a + area_b - across * down)


def naive_tube_overlap(instance, tube, definition):
    """Temporal IoU times mean spatial IoU over the common annotated frames."""
    truth = {int(f): [Fraction(float(v)) for v in box] for f, box in zip(instance.frames, instance.boxes, strict=True)}
    found = {tube.first_frame + i: [Fraction(float(v)) for v in box] for i, box in enumerate(tube.boxes)}
    first, last = min(truth), max(truth)
    found_first, found_last = min(found), max(found)
    common = min(last, found_last) - max(first, found_first) + 1
    if common < (2 if definition == "road" else 1):
        return Fraction(0)
    union = max(last, found_last) - min(first, found_first) + 1
    box_iou = road_box_iou if definition == "road" else act_box_iou
    ious = [box_iou(truth[f], found[f]) for f in truth if f in found]
    return Fraction(common, union) * sum(ious) / len(ious) if ious else Fraction(0)


def naive_average_precision(judged, positives, definition):
    """judged: (score, right) in the order in which ties are taken."""
    ordered = [right for _, right in sorted(judged, key=lambda pair: -pair[0])]
    points, hits = [], 0
    for seen, right in enumerate(ordered, 1):
        hits += right
        points.append((hits / positives, hits / seen))
    if definition == "act":
        curve = [(0.0, 1.0), *points]
        return sum((r1 - r0) * (p0 + p1) / 2 for (r0, p0), (r1, p1) in itertools.pairwise(curve))
    area, before = 0.0, 0.0
    for i, (recall, _) in enumerate(points):
        area += (recall - before) * max(p for _, p in points[i:])
        before = recall
    return area


def naive_video_map(dataset, tubes, definition, threshold):
    """Per class AP, NaN for a class without ground truth."""
    result, limit = [], Fraction(str(threshold))
    for label in range(len(dataset.classes)):
        judged, positives = [], 0
        for name in dataset.test:
            truths = [i for i in dataset.videos[name].instances if i.label == label]
            positives += len(truths)
            mine = sorted((t for t in tubes if t.video == name and t.label == label), key=lambda t: -t.score)
            for tube in mine:
                overlaps = [naive_tube_overlap(truth, tube, definition) for truth in truths]
                best = max(range(len(truths)), key=lambda i: overlaps[i], default=None)
                right = best is not None and (
                    overlaps[best] > limit if definition == "road" else overlaps[best] >= limit
                )
                if right:
                    del truths[best]
                judged.append((tube.score, right))
        result.append(naive_average_precision(judged, positives, definition) if positives else math.nan)
    return result


def naive_frame_map(dataset, detections, threshold):
    """detections: {video: [(frame, box, label, score), …]}; per class AP with the VOC 2010 envelope."""
    result, limit = [], Fraction(str(threshold))
    for label in range(len(dataset.classes)):
        judged, positives = [], 0
        for name in dataset.test:
            video = dataset.videos[name]
            for frame in range(video.n_frames):
                truths = [
                    [Fraction(float(v)) for v in box]
                    for i in video.instances
                    if i.label == label
                    for f, box in zip(i.frames, i.boxes, strict=True)
                    if f == frame
                ]
                positives += len(truths)
                here = [d for d in detections.get(name, ()) if d[0] == frame and d[2] == label]
                for _, box, _, score in sorted(here, key=lambda d: -d[3]):
                    ious = [act_box_iou(truth, [Fraction(float(v)) for v in box]) for truth in truths]
                    best = max(range(len(truths)), key=lambda i: ious[i], default=None)
                    right = best is not None and ious[best] >= limit
                    if right:
                        del truths[best]
                    judged.append((score, right))
        result.append(naive_average_precision(judged, positives, "road") if positives else math.nan)
    return result
