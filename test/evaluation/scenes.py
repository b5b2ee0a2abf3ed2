"""Hand-made videos, actions and micro-tubes."""

import numpy as np

from amtnet_ros.contracts import MicroTubes
from amtnet_ros.data.annotations import ActionInstance, AnnotatedVideo, Dataset

BOX, FAR = [10, 10, 110, 110], [200, 10, 300, 110]


def make_dataset(videos, classes=("run", "jump", "sit"), n_frames=100, size=(320, 240)):
    """{name: [(label, frames, boxes), …]} → a dataset of test videos."""
    annotated = {
        name: AnnotatedVideo(
            name=name,
            size=size,
            n_frames=n_frames,
            instances=tuple(
                ActionInstance(label, np.asarray(frames, np.int64), np.asarray(boxes, np.float32).reshape(-1, 4))
                for label, frames, boxes in instances
            ),
            path=None,
        )
        for name, instances in videos.items()
    }
    return Dataset("hand-made", tuple(classes), annotated, train=(), test=tuple(annotated))


def pair(first, second, *found, n_classes=3):
    """found: (box in first, box in second, label, score)."""
    labels = np.array([label for _, _, label, _ in found], np.int64)
    scores = np.array([score for *_, score in found], np.float32)
    class_scores = np.full((len(found), n_classes), 0.02, np.float32)
    class_scores[np.arange(len(found)), labels] = scores
    return MicroTubes(
        boxes=np.array([[a, b] for a, b, _, _ in found], np.float32).reshape(-1, 2, 4),
        labels=labels,
        scores=scores,
        class_scores=class_scores,
        frames=(first, second),
        stamps=(first * 33_000_000, second * 33_000_000),
        image_size=(320, 240),
    )
