"""From what survived to micro-tubes in source pixels."""

from __future__ import annotations

import numpy as np
import pytest

from amtnet_ros.errors import UserError
from amtnet_ros.inference.contract import Encoded, Selection
from amtnet_ros.inference.factory import make_engine
from amtnet_ros.inference.selection import Survivors, to_micro_tubes


def encoded(index: int, size: tuple[int, int] = (640, 480)) -> Encoded:
    return Encoded(None, None, index, index * 1000, size)


def survivors() -> Survivors:
    boxes = np.array(
        [
            [[0.1, 0.2, 0.3, 0.4], [0.2, 0.2, 0.4, 0.4]],
            [[-0.5, 0.5, 0.5, 1.5], [0.0, 0.0, 1.0, 1.0]],
            [[1.1, 0.1, 1.3, 0.2], [0.9, 0.1, 1.0, 0.2]],  # its first box lies beside the image
            [[0.5, 0.5, 0.6, 0.6], [0.5, 0.5, 0.6, 0.6]],
        ],
        np.float32,
    )
    scores = np.array([0.3, 0.6, 0.9, 0.3], np.float32)
    return Survivors(boxes, np.array([2, 0, 1, 1]), scores, np.eye(4, 3, dtype=np.float32))


def test_boxes_are_source_pixels_clipped_to_the_image_best_first() -> None:
    found = to_micro_tubes(survivors(), encoded(4), encoded(6), Selection())
    assert found.labels.tolist() == [0, 1, 2]  # equal scores by label; the one outside is gone
    np.testing.assert_allclose(found.boxes[0], [[0, 240, 320, 480], [0, 0, 640, 480]])
    np.testing.assert_allclose(found.boxes[2], [[64, 96, 192, 192], [128, 96, 256, 192]], rtol=1e-6)
    assert (found.frames, found.stamps, found.image_size) == ((4, 6), (4000, 6000), (640, 480))
    np.testing.assert_array_equal(found.class_scores, np.eye(4, 3)[[1, 3, 0]])


def test_only_the_classes_wanted_and_the_best_so_many() -> None:
    sure = survivors()._replace(class_scores=np.full((4, 3), 0.5, np.float32))
    chosen = to_micro_tubes(sure, encoded(0), encoded(1), Selection(classes=(1, 2)))
    assert chosen.labels.tolist() == [1, 2]
    assert chosen.class_scores.tolist() == [[0, 0.5, 0.5], [0, 0.5, 0.5]]
    best = to_micro_tubes(survivors(), encoded(0), encoded(1), Selection(limit=1))
    assert best.labels.tolist() == [0]


@pytest.mark.parametrize(
    ("name", "value"),
    [("score_threshold", 1.5), ("nms_iou", -0.1), ("vote_iou", 1.1), ("max_per_class", 0), ("limit", 0)],
)
def test_a_selection_out_of_range_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(UserError, match=name):
        Selection(**{name: value})


@pytest.mark.parametrize("engine_name", ["onnxruntime", "torch"])
def test_arrays_that_do_not_fit_are_refused_in_one_line(tiny_folder, engine_name: str) -> None:
    from tiny import scene

    from amtnet_ros.contracts import Frame

    engine = make_engine(tiny_folder, "cpu", engine=engine_name, threads=1)
    frame, stack = scene(0)
    for image, flow, says in (
        (frame.image[..., 0], stack, "frame 0"),
        (frame.image.astype(np.float32), stack, "uint8"),
        (frame.image[:0], stack, "shape"),
        (frame.image, stack[:100], "flow stack"),
        (frame.image, stack[..., :3], "15"),
        (frame.image, None, "needs a flow stack"),
    ):
        with pytest.raises(UserError, match=says):
            engine.encode(Frame(0, 0, image), flow)
    small, large = engine.encode(frame, stack), engine.encode(*scene(1, 1, (300, 300)))
    with pytest.raises(UserError, match="200x150 and 300x300"):
        engine.detect(small, large, Selection())
