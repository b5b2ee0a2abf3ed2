"""Micro-tubes for the linker's tests: written by hand, or drawn by hypothesis."""

import numpy as np
from hypothesis import strategies as st

from amtnet_ros.contracts import MicroTubes, TubeState

SIZE = (320, 240)
MS = 1_000_000
FRAME = 33 * MS


def pair(rows=(), frames=(0, 1), *, n_classes=3, size=SIZE, stamps=None, class_scores=None):
    """rows: (label, score, first box, second box or None for the same); the rest of the class scores is 0."""
    boxes = np.array([(first, second or first) for _, _, first, second in rows], np.float32).reshape(-1, 2, 4)
    labels = np.array([row[0] for row in rows], np.int64)
    scores = np.array([row[1] for row in rows], np.float32)
    if class_scores is None:
        class_scores = np.zeros((len(rows), n_classes), np.float32)
        class_scores[np.arange(len(rows)), labels] = scores
    stamps = stamps or (frames[0] * FRAME, frames[1] * FRAME)
    return MicroTubes(boxes, labels, scores, np.array(class_scores, np.float32), frames, stamps, size)


def box(x, y=50, width=40, height=80):
    return (x, y, x + width, y + height)


def permuted(micro_tubes, order):
    return MicroTubes(
        micro_tubes.boxes[order],
        micro_tubes.labels[order],
        micro_tubes.scores[order],
        micro_tubes.class_scores[order],
        micro_tubes.frames,
        micro_tubes.stamps,
        micro_tubes.image_size,
    )


def same_update(a, b):
    """Whether two updates hold the same tubes, bit for bit."""
    return (a.frame, a.stamp, a.image_size, a.delta, len(a.tubes)) == (
        b.frame,
        b.stamp,
        b.image_size,
        b.delta,
        len(b.tubes),
    ) and all(np.array_equal(x, y) for s, t in zip(a.tubes, b.tubes, strict=True) for x, y in zip(s, t, strict=True))


def live(update):
    return [tube for tube in update.tubes if tube.state != TubeState.ENDED]


@st.composite
def micro_tubes(draw, frames, stamps=None, n_classes=3, size=SIZE, most=12, inside=True):
    """Any micro-tubes: on a coarse grid, so that equal boxes and scores, and overlaps at the thresholds, do happen."""
    n = draw(st.integers(0, most))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    margin = 0 if inside else 40
    corners = rng.integers(-margin, [size[0] - 40 + margin, size[1] - 40 + margin], (n, 1, 2)) // 8 * 8
    corners = corners + rng.integers(0, 3, (n, 2, 2)) * 4
    sides = rng.integers(2, 5, (n, 1, 2)) * 8
    boxes = np.concatenate([corners, corners + sides], axis=2).astype(np.float32)
    class_scores = rng.integers(0, 17, (n, n_classes)).astype(np.float32) / (16 * n_classes)
    labels = class_scores.argmax(axis=1) if n else np.zeros(0, np.int64)
    scores = class_scores[np.arange(n), labels]
    stamps = stamps or (frames[0] * FRAME, frames[1] * FRAME)
    return MicroTubes(boxes, labels, scores, class_scores, frames, stamps, size)


@st.composite
def chains(draw, length=6, **kwargs):
    """Pairs that follow each other end to start."""
    delta = draw(st.integers(1, 5))
    return [
        draw(micro_tubes((i * delta, (i + 1) * delta), **kwargs)) for i in range(draw(st.integers(1, length)))
    ], delta


@st.composite
def hostile_streams(draw, length=10):
    """Pairs in any order, with gaps, overlaps, repeats, jumps of the clock and of the size; some values not finite."""
    stream = []
    frame, stamp = 0, 0
    for _ in range(draw(st.integers(1, length))):
        step = draw(st.sampled_from([-40, -3, -1, 0, 1, 1, 1, 2, 4, 30, 1000]))
        clock = draw(st.sampled_from([step * FRAME, step * FRAME, step * FRAME, -70 * MS, -5_000 * MS, 3_000 * MS]))
        frame, stamp = max(frame + step, 0), stamp + clock
        delta = draw(st.integers(1, 16))
        size = draw(st.sampled_from([SIZE, SIZE, SIZE, (640, 480)]))
        one = draw(micro_tubes((frame, frame + delta), (stamp, stamp + delta * FRAME), size=size, inside=False))
        if len(one) and draw(st.booleans()):
            one.boxes[draw(st.integers(0, len(one) - 1)), 0, 2] = draw(st.sampled_from([np.nan, np.inf, -np.inf]))
        stream.append((one, delta))
    return stream
