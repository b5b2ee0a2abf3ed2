"""Box voting: what non-maximum suppression left says together where the boxes are.

Gidaris and Komodakis, "Object detection via a multi-region and semantic segmentation-aware CNN model", ICCV 2015, §5.
"""

from __future__ import annotations

import numpy as np

from amtnet_ros.contracts import Float32


def vote(boxes: Float32, scores: Float32, min_iou: float) -> Float32:
    """Each micro-tube's boxes become the mean of those around it, weighted by their scores → (n, 2, 4).

    boxes: (n, 2, 4) corners, of all classes: the best box of another class lies on the same actor.
    scores: (n,), above 0. min_iou: those vote whose boxes in the first frame overlap by more; each votes for itself.
    """
    first = boxes[:, 0]
    low = np.maximum(first[:, None, :2], first[None, :, :2])
    high = np.minimum(first[:, None, 2:], first[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(axis=-1)
    area = (first[:, 2:] - first[:, :2]).prod(axis=-1)
    union = area[:, None] + area[None, :] - common
    # As a product, since boxes may be empty.
    weight = ((common > min_iou * union) | np.eye(len(boxes), dtype=np.bool_)) * scores
    weight /= weight.sum(axis=1, keepdims=True)
    voted: Float32 = (weight @ boxes.reshape(-1, 8)).reshape(-1, 2, 4).astype(np.float32)
    return voted
