"""Video-mAP: cases with known answers, the naive implementation on random tubes, and the published golden numbers."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_metrics import naive_video_map
from scenes import make_dataset

from amtnet_ros.data.ucf101_24 import read_ucf101_24
from amtnet_ros.evaluation.tubes import ScoredTube
from amtnet_ros.evaluation.video_map import ACT, DEFINITIONS, ROAD, STRICT_TEN, tube_nms, video_map

BOX = [10, 10, 110, 110]


def tube(video="v", label=0, score=0.5, first=0, boxes=None, n=10):
    return ScoredTube(video, label, score, first, np.array(boxes if boxes is not None else [BOX] * n, dtype=float))


def one_action(n=10, **videos):
    return make_dataset({"v": [(0, range(n), [BOX] * n)], **videos})


def class_ap(dataset, tubes, definition, threshold=0.5, label=0):
    return video_map(dataset, tubes, definition, [threshold]).average_precision[0, label]


@pytest.mark.parametrize("definition", DEFINITIONS.values(), ids=DEFINITIONS)
class TestBothDefinitions:
    def test_a_perfect_tube_scores_one_and_nothing_scores_zero(self, definition):
        assert class_ap(one_action(), [tube()], definition) == 1.0
        assert class_ap(one_action(), [], definition) == 0.0

    def test_a_second_tube_on_the_same_action_is_wrong(self, definition):
        dataset = make_dataset({"v": [(0, range(10), [BOX] * 10), (0, range(50, 60), [BOX] * 10)]})
        tubes = [tube(score=0.9), tube(score=0.8), tube(score=0.7, first=50)]
        # right, wrong, right: precisions 1, 1/2, 2/3 at recalls 1/2, 1/2, 1
        expected = {"road": 0.5 + 0.5 * 2 / 3, "act": 0.5 + 0.5 * (1 / 2 + 2 / 3) / 2}
        assert class_ap(dataset, tubes, definition) == pytest.approx(expected[definition.name])

    def test_ties_are_taken_in_the_order_of_test_videos_then_of_tubes(self, definition):
        dataset = one_action(w=[(0, range(10), [BOX] * 10)])
        wrong_then_right = [tube(video="w"), tube(video="v", first=50)]
        # Video v comes first in the test list, although its tube is given last: wrong, right.
        expected = {"road": 0.5 * 0.5, "act": 0.5 * (0 + 1 / 2) / 2}
        assert class_ap(dataset, wrong_then_right, definition) == pytest.approx(expected[definition.name])
        within = [tube(video="w", first=50), tube(video="w")]
        assert class_ap(dataset, within, definition) == pytest.approx(expected[definition.name])

    def test_a_class_without_ground_truth_has_no_ap_and_is_not_in_the_mean(self, definition):
        result = video_map(one_action(), [tube(), tube(label=1)], definition, [0.5])
        assert np.isnan(result.average_precision[0]).tolist() == [False, True, True]
        assert result.at(0.5) == 1.0

    def test_without_any_ground_truth_there_is_no_map(self, definition):
        assert math.isnan(video_map(make_dataset({"v": []}), [tube()], definition, [0.5]).at(0.5))

    def test_right_place_but_wrong_class_is_wrong(self, definition):
        dataset = make_dataset({"v": [(0, range(10), [BOX] * 10)], "w": [(1, range(10), [BOX] * 10)]})
        assert class_ap(dataset, [tube(label=1)], definition, label=0) == 0.0
        assert class_ap(dataset, [tube(label=1)], definition, label=1) == 0.0

    def test_boxes_outside_the_picture_and_frames_outside_the_video_count_as_they_are(self, definition):
        # A video of 100 frames; the action is in its last 10, the tube goes on for 30: temporal IoU 1/3.
        dataset = make_dataset({"v": [(0, range(90, 100), [BOX] * 10)]})
        late = tube(first=90, n=30)
        assert class_ap(dataset, [late], definition, threshold=0.2) == 1.0
        assert class_ap(dataset, [late], definition, threshold=0.34) == 0.0
        assert class_ap(dataset, [tube(first=90, boxes=[[-500, -500, -400, -400]] * 10)], definition, 0.01) == 0.0

    def test_each_tube_takes_the_free_action_it_overlaps_most(self, definition):
        near, far = [10, 10, 110, 110], [30, 10, 130, 110]
        dataset = make_dataset({"v": [(0, range(10), [near] * 10), (0, range(10), [far] * 10)]})
        between = [18, 10, 118, 110]  # overlaps near with 92/108, far with 88/112
        both = [tube(score=0.9, boxes=[between] * 10), tube(score=0.8, boxes=[far] * 10)]
        assert class_ap(dataset, both, definition, 0.7) == 1.0
        # The best of the second one is taken by the first: it falls back on the other, which it hardly overlaps.
        rivals = [tube(score=0.9, boxes=[near] * 10), tube(score=0.8, boxes=[between] * 10)]
        assert class_ap(dataset, rivals, definition, 0.7) == 1.0
        assert class_ap(dataset, rivals, definition, 0.8) < 1.0

    def test_a_tube_of_another_video_or_class_or_with_nan_is_refused(self, definition):
        for bad in (
            tube(video="x"),
            tube(label=3),
            tube(label=-1),
            tube(score=math.nan),
            tube(boxes=[[0, 0, 1, np.inf]]),
        ):
            with pytest.raises(ValueError, match="tube"):
                video_map(one_action(), [tube(), bad], definition)


def test_one_frame_in_common_counts_for_act_only():
    dataset = one_action(n=1)
    assert class_ap(dataset, [tube(n=1)], ACT, 0.95) == 1.0
    assert class_ap(dataset, [tube(n=1)], ROAD, 0.01) == 0.0


def test_an_overlap_equal_to_the_threshold_is_right_for_act_and_wrong_for_road():
    # Half the frames, and for road boxes that are shifted back beforehand.
    dataset = one_action(n=10)
    assert class_ap(dataset, [tube(n=5)], ACT, 0.5) == 1.0
    assert class_ap(dataset, [tube(n=5, boxes=[[9, 9, 109, 109]] * 5)], ROAD, 0.5) == 0.0
    assert class_ap(dataset, [tube(n=6, boxes=[[9, 9, 109, 109]] * 6)], ROAD, 0.5) == 1.0
    # 0.55 and 0.6 are no binary fractions; the mean over frames rounds.
    for hundredths in range(50, 100, 5):
        part = [[10, 10, 10 + hundredths, 110]] * 10
        assert class_ap(dataset, [tube(boxes=part)], ACT, hundredths / 100) == 1.0


def test_strict_mean_is_over_ten_thresholds():
    assert STRICT_TEN == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
    # A tube of IoU 0.72 is right at 0.50 … 0.70: five of ten.
    result = video_map(one_action(), [tube(boxes=[[10, 10, 82, 110]] * 10)], ACT)
    assert result.strict_mean == pytest.approx(0.5)
    assert math.isnan(video_map(one_action(), [tube()], ACT, [0.5]).strict_mean)


def random_scene(rng, n_videos=4, n_classes=3):
    """Actions and tubes near them: duplicates, tied scores, sparse annotation, everything."""
    videos, tubes = {}, []
    for v in range(n_videos):
        instances = []
        for _ in range(rng.integers(0, 4)):
            label, first, n = int(rng.integers(n_classes)), int(rng.integers(0, 30)), int(rng.integers(1, 20))
            corner = rng.integers(0, 60, 2) + np.cumsum(rng.integers(-2, 3, (n, 2)), axis=0)
            boxes = np.hstack([corner, corner + rng.integers(5, 80, 2)]).astype(float)
            kept = np.sort(rng.choice(n, rng.integers(1, n + 1), replace=False)) if rng.random() < 0.3 else np.arange(n)
            instances.append((label, first + kept, boxes[kept]))
            for _ in range(rng.integers(0, 4)):
                cut, more = int(rng.integers(0, n)), rng.integers(-3, 4, (1, 4)) * rng.integers(0, 2)
                moved = np.maximum(boxes[cut:] + more, [[-9, -9, -9, -9]])
                moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
                found = label if rng.random() < 0.8 else int(rng.integers(n_classes))
                tubes.append(ScoredTube(f"v{v}", found, float(rng.integers(0, 5)) / 4, first + cut, moved))
        videos[f"v{v}"] = instances
    order = rng.permutation(len(tubes))
    return make_dataset(videos, classes=[f"c{i}" for i in range(n_classes)]), [tubes[i] for i in order]


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_equal_to_the_naive_implementation_on_random_tubes(seed):
    dataset, tubes = random_scene(np.random.default_rng(seed))
    thresholds = [0.1, 0.2, 0.5, 0.55, 0.75, 0.85]
    for definition in (ROAD, ACT):
        result = video_map(dataset, tubes, definition, thresholds)
        naive = [naive_video_map(dataset, tubes, definition.name, threshold) for threshold in thresholds]
        assert np.allclose(result.average_precision, naive, rtol=0, atol=1e-12, equal_nan=True)


@pytest.fixture(scope="module")
def ucf101_24(data_root):
    return read_ucf101_24(data_root / "ucf101_24")


def test_perfect_tubes_on_ucf101_24_give_the_published_numbers(ucf101_24):
    perfect = [
        ScoredTube(name, instance.label, 1.0, int(instance.frames[0]), instance.boxes)
        for name in ucf101_24.test
        for instance in ucf101_24.videos[name].instances
    ]
    act = video_map(ucf101_24, perfect, ACT)
    assert [act.at(threshold) for threshold in act.thresholds] == [1.0] * 11
    road = video_map(ucf101_24, perfect, ROAD)
    assert round(100 * road.at(0.9), 1) == 87.9
    assert round(100 * road.at(0.95), 1) == 44.5
    assert road.at(0.75) == 1.0


def test_tube_nms_drops_what_overlaps_a_better_tube_of_its_class():
    best, close = tube(score=0.9), tube(score=0.8, boxes=[[20, 10, 120, 110]] * 10)
    apart, other = tube(score=0.7, first=40), tube(score=0.6, label=1)
    elsewhere = tube(video="w", score=0.5)
    # `chained` overlaps `close`, which is dropped and so drops nobody itself: 40 of 160 pixels with the best.
    chained = tube(score=0.4, boxes=[[70, 10, 170, 110]] * 10)
    given_order = [close, chained, best, apart, other, elsewhere]
    assert tube_nms(given_order, 0.3) == [chained, best, apart, other, elsewhere]
