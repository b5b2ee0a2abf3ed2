"""The linker on streams small enough to link by hand."""

from dataclasses import replace

import numpy as np
import pytest
from tube_streams import FRAME, box, live, pair

from amtnet_ros.contracts import TubeState
from amtnet_ros.tubes import PAPER, TubeAssembler, TubeLinker


def linker(n_classes=3, **options):
    """As the paper links, but for these options."""
    return TubeLinker(n_classes, replace(PAPER, **options))


def test_a_micro_tube_starts_a_tube_with_a_box_for_every_frame():
    update = linker().update(pair([(1, 0.75, box(10), box(18))], (8, 12)), 4)
    assert (update.frame, update.stamp, update.image_size, update.delta) == (12, 12 * FRAME, (320, 240), 4)
    (tube,) = update.tubes
    assert (tube.id, tube.state, tube.label, tube.score) == (1, TubeState.TENTATIVE, 1, 0.75)
    assert (tube.start_stamp, tube.last_stamp) == (8 * FRAME, 12 * FRAME)
    assert tube.frames.tolist() == [8, 9, 10, 11, 12]
    assert tube.stamps.tolist() == [frame * FRAME for frame in tube.frames.tolist()]
    assert tube.boxes.tolist() == [list(box(x)) for x in (10, 12, 14, 16, 18)]
    assert tube.interpolated.tolist() == [False, True, True, True, False]
    assert tube.scores.tolist() == [0.75] * 5
    assert tube.class_scores.tolist() == [0, 0.75, 0]


def test_a_tube_takes_the_micro_tube_whose_first_box_lies_where_it_ended():
    online = linker()
    online.update(pair([(0, 0.5, box(10), box(20))], (0, 2)), 2)
    update = online.update(pair([(0, 0.75, box(22), box(32)), (0, 0.25, box(200), box(190))], (2, 4)), 2)
    first, second = update.tubes
    assert (first.id, first.state, first.frames.tolist()) == (1, TubeState.ACTIVE, [3, 4])
    assert first.boxes[:, 0].tolist() == [26, 32]  # from its own box in frame 2, at 20
    assert first.scores.tolist() == [0.625, 0.75]
    assert first.score == 0.625  # mean of its micro-tubes
    assert (second.id, second.state, second.frames.tolist()) == (2, TubeState.TENTATIVE, [2, 3, 4])


def test_other_classes_do_not_count():
    online = linker()
    online.update(pair([(0, 0.5, box(10), None)], (0, 1)), 1)
    update = online.update(pair([(1, 0.9, box(10), None)], (1, 2)), 1)
    assert [(tube.id, tube.label) for tube in update.tubes] == [(1, 0), (2, 1)]


def test_the_strongest_tube_chooses_first_and_takes_the_best_score():
    online = linker(nms_iou=1.0)
    online.update(pair([(0, 0.5, box(10), None), (0, 0.75, box(30), None)], (0, 1)), 1)  # ids by score: 30 is 1
    update = online.update(pair([(0, 0.875, box(20), None), (0, 0.25, box(32), None)], (1, 2)), 1)
    assert {tube.id: tube.boxes[-1, 0] for tube in update.tubes} == {1: 20, 2: 32}


@pytest.mark.parametrize(("match", "chosen"), [("score", 40), ("iou", 12), ("similarity", 26), ("both", 20)])
def test_what_a_tube_prefers(match, chosen):
    online = linker(match=match, nms_iou=1.0)
    online.update(pair([(0, 0.5, box(10), None)], (0, 1)), 1)
    rows = [(0, 0.9, box(40), None), (0, 0.1, box(12), None), (0, 0.5, box(26), None), (0, 0.8, box(20), None)]
    update = online.update(pair(rows, (1, 2)), 1)
    assert update.tubes[0].boxes[-1, 0] == chosen


def test_optimal_assignment_serves_two_tubes_where_greed_serves_one():
    first = pair([(0, 0.75, box(10), None), (0, 0.5, box(70), None)], (0, 1))
    second = pair([(0, 0.8, box(40), None), (0, 0.7, box(0), None)], (1, 2))
    matched = {}
    for assignment in ("greedy", "optimal"):
        online = linker(assignment=assignment)
        online.update(first, 1)
        matched[assignment] = [tube.id for tube in online.update(second, 1).tubes if tube.state == TubeState.ACTIVE]
    assert matched == {"greedy": [1], "optimal": [1, 2]}


@pytest.mark.parametrize(("window", "winner"), [(0, 1), (2, 2)])
def test_strength_is_the_mean_of_the_best_scores_of_the_whole_tube_or_of_the_newest(window, winner):
    online = linker(top_scores=2, score_window=window)
    for i, (once_strong, steady) in enumerate([(0.9, 0.6), (0.8, 0.6), (0.1, 0.6), (0.1, 0.6)]):
        online.update(pair([(0, once_strong, box(10), None), (0, steady, box(100), None)], (i, i + 1)), 1)
    update = online.update(pair([(0, 0.7, box(30, width=100), None)], (4, 5)), 1)
    assert [tube.id for tube in update.tubes if tube.state == TubeState.ACTIVE] == [winner]


def test_missed_tubes_coast_come_back_and_get_boxes_for_the_frames_between():
    online = linker()
    online.update(pair([(0, 0.5, box(10), None)], (0, 1)), 1)
    online.update(pair([(0, 0.5, box(10), None)], (1, 2)), 1)
    for frame in (2, 3):
        (tube,) = online.update(pair([], (frame, frame + 1)), 1).tubes
        assert (tube.state, len(tube.frames), tube.last_stamp) == (TubeState.COASTING, 0, 2 * FRAME)
    (tube,) = online.update(pair([(0, 0.25, box(16), box(18))], (4, 5)), 1).tubes
    assert tube.state == TubeState.ACTIVE
    assert tube.frames.tolist() == [3, 4, 5]
    assert tube.boxes[:, 0].tolist() == [13, 16, 18]
    assert tube.interpolated.tolist() == [True, False, False]
    assert tube.scores.tolist() == [0.375, 0.25, 0.25]


def test_three_misses_in_a_row_end_a_tube_and_a_match_resets_the_count():
    online = linker()
    seen = [True, False, False, True, False, False, False, False]
    updates = [
        online.update(pair([(0, 0.5, box(10), None)] if there else [], (i, i + 1)), 1) for i, there in enumerate(seen)
    ]
    states = [[tube.state.name for tube in update.tubes] for update in updates]
    assert states == [
        ["TENTATIVE"],
        ["TENTATIVE"],
        ["TENTATIVE"],
        ["ACTIVE"],
        ["COASTING"],
        ["COASTING"],
        ["ENDED"],
        [],
    ]


def test_confirmation_needs_sightings_and_a_score_and_is_kept():
    online = linker(confirm_after=2, confirm_score=0.5)
    states = []
    for i, score in enumerate([0.25, 0.25, 1.0, 0.125, 0.125]):  # running means 0.25 0.25 0.5 0.41 0.35
        (tube,) = online.update(pair([(0, score, box(10), None)], (i, i + 1)), 1).tubes
        states.append(tube.state.name)
    assert states == ["TENTATIVE", "TENTATIVE", "ACTIVE", "ACTIVE", "ACTIVE"]


def test_tentative_tubes_may_end_sooner():
    online = linker(tentative_misses=1)
    online.update(pair([(0, 0.5, box(10), None)], (0, 1)), 1)
    (tube,) = online.update(pair([], (1, 2)), 1).tubes
    assert tube.state == TubeState.ENDED


def test_a_confirmed_tube_coasts_for_a_time_whatever_the_delta():
    online = linker(min_coasting=10 * FRAME / 1e9)
    online.update(pair([(0, 0.5, box(10), None)], (0, 1)), 1)
    online.update(pair([(0, 0.5, box(10), None), (0, 0.5, box(100), None)], (1, 2)), 1)
    states = [[tube.state.name for tube in online.update(pair([], (i, i + 1)), 1).tubes] for i in range(2, 12)]
    assert states == [["COASTING", "TENTATIVE"]] * 2 + [["COASTING", "ENDED"]] + [["COASTING"]] * 6 + [["ENDED"]]


@pytest.mark.parametrize(("lost_iou_threshold", "continued"), [(0.4, [2]), (0.1, [1])])
def test_a_tube_that_was_missed_may_have_moved_further(lost_iou_threshold, continued):
    online = linker(iou_threshold=0.4, lost_iou_threshold=lost_iou_threshold, confirm_after=1)
    online.update(pair([(0, 0.5, box(10), None)], (0, 1)), 1)
    online.update(pair([], (1, 2)), 1)
    update = online.update(pair([(0, 0.5, box(30), None)], (2, 3)), 1)  # IoU one third
    assert [tube.id for tube in update.tubes if tube.state == TubeState.ACTIVE] == continued


def test_a_weak_micro_tube_continues_a_tube_but_starts_none():
    online = linker(start_score=0.5)
    online.update(pair([(0, 0.75, box(10), None)], (0, 1)), 1)
    update = online.update(pair([(0, 0.25, box(10), None), (0, 0.25, box(200), None)], (1, 2)), 1)
    assert [(tube.id, tube.state) for tube in update.tubes] == [(1, TubeState.ACTIVE)]


@pytest.mark.parametrize(
    ("shared_box", "revise", "frames", "boxes", "scores"),
    [
        ("old", False, [3, 4], [26, 32], [0.625, 0.75]),
        ("new", False, [3, 4], [28, 32], [0.75, 0.75]),
        ("new", True, [2, 3, 4], [24, 28, 32], [0.75, 0.75, 0.75]),
        ("mean", False, [3, 4], [27, 32], [0.6875, 0.75]),
        ("mean", True, [2, 3, 4], [22, 27, 32], [0.625, 0.6875, 0.75]),
    ],
)
def test_which_box_stands_at_the_shared_frame(shared_box, revise, frames, boxes, scores):
    online, assembler = linker(shared_box=shared_box, revise=revise), TubeAssembler()
    assembler.add(online.update(pair([(0, 0.5, box(10), box(20))], (0, 2)), 2))
    update = online.update(pair([(0, 0.75, box(24), box(32))], (2, 4)), 2)
    (tube,) = update.tubes
    assert tube.frames.tolist() == frames
    assert tube.boxes[:, 0].tolist() == boxes
    assert tube.scores.tolist() == scores
    assembler.add(update)
    (whole,) = assembler.tubes()
    assert whole.frames.tolist() == [0, 1, 2, 3, 4]
    assert whole.boxes[:, 0].tolist() == ([10, 15, *boxes] if revise else [10, 15, 20, *boxes])
    assert whole.interpolated.tolist() == [False, True, False, True, False]


@pytest.mark.parametrize(
    ("rule", "between"), [("linear", [0.625, 0.5]), ("next", [0.375] * 2), ("lower", [0.375] * 2), ("zero", [0, 0])]
)
def test_scores_of_interpolated_boxes(rule, between):
    online = linker(interpolated_score=rule)
    online.update(pair([(0, 0.75, box(10), None)], (0, 1)), 1)
    (tube,) = online.update(pair([(0, 0.375, box(10), None)], (1, 4)), 3).tubes
    assert tube.interpolated.tolist() == [True, True, False]
    assert tube.scores.tolist() == [*between, 0.375]


def test_overlapping_pairs_are_matched_where_the_tube_stood_then():
    online = linker(iou_threshold=0.9)
    online.update(pair([(0, 0.5, box(0), box(40))], (0, 4)), 4)
    update = online.update(pair([(0, 0.5, box(20), box(60))], (2, 6)), 4)
    (tube,) = update.tubes
    assert (tube.id, tube.frames.tolist()) == (1, [5, 6])
    assert tube.boxes[:, 0].tolist() == [50, 60]


def test_one_person_is_one_tube_however_the_label_moves():
    online = linker(mode="actor")
    distributions = [(0.6, 0.3, 0), (0.2, 0.7, 0), (0.1, 0.8, 0)]
    labels = []
    for i, scores in enumerate(distributions):
        rows = [(label, scores[label], box(10), None) for label in (0, 1)]  # per-class NMS lists the prior twice
        update = online.update(pair(rows, (i, i + 1), class_scores=[scores, scores]), 1)
        (tube,) = update.tubes
        labels.append((tube.id, tube.label))
    assert labels == [(1, 0), (1, 1), (1, 1)]
    np.testing.assert_allclose(tube.class_scores, np.mean(distributions, axis=0), rtol=1e-6)
    assert tube.score == pytest.approx(0.6)
    assert tube.scores.tolist() == [pytest.approx(0.8)]


def test_actors_are_suppressed_across_classes():
    rows = [(0, 0.6, box(10), None), (1, 0.9, box(14), None), (2, 0.5, box(200), None)]
    assert [tube.label for tube in linker(mode="actor").update(pair(rows), 1).tubes] == [1, 2]
    assert [tube.label for tube in linker(mode="per_class").update(pair(rows), 1).tubes] == [0, 1, 2]


def test_label_margin_keeps_a_label_until_another_leads_clearly():
    online = linker(mode="actor", class_memory=1e-3, label_margin=0.2)
    labels = []
    for i, scores in enumerate([(0.5, 0.3, 0), (0.4, 0.5, 0), (0.3, 0.6, 0), (0.4, 0.5, 0)]):
        update = online.update(pair([(0, 0.5, box(10), None)], (i, i + 1), class_scores=[scores]), 1)
        labels.append(update.tubes[0].label)
    assert labels == [0, 0, 1, 1]


def test_class_memory_weighs_what_was_seen_by_its_age():
    online = linker(mode="actor", class_memory=0.5, max_misses=100)
    stamps = np.cumsum([33, 33, 250, 120]) * 10**6  # an uneven stream: ages count, not how many micro-tubes there were
    scores = np.array([0.75, 0.5, 0.25, 0.125])
    for i, (score, at) in enumerate(zip(scores, stamps.tolist(), strict=True)):
        update = online.update(pair([(0, score, box(10), None)], (i, i + 1), stamps=(at - 10**6, at)), 1)
    weights = np.exp((stamps - stamps[-1]) / 0.5e9)
    assert update.tubes[0].score == pytest.approx((weights * scores).sum() / weights.sum(), rel=1e-6)


@pytest.mark.parametrize("first", [2, 5, 20, 60])
@pytest.mark.parametrize("step", [1, 4])
def test_a_new_action_is_named_after_the_same_time_however_long_the_first_went_on(first, step):
    online = linker(mode="actor", class_memory=1.0)
    labels, n = [], round(first * 30 / step)
    for i in range(n + round(3 * 30 / step)):
        scores = (0.8, 0.1, 0.1) if i < n else (0.1, 0.8, 0.1)
        update = online.update(pair([(0, 0.8, box(10), None)], (i * step, (i + 1) * step), class_scores=[scores]), step)
        labels.append(update.tubes[0].label)
    delay = labels.index(1) - (n - 1)  # steps after the last of the first action
    assert labels == [0] * labels.index(1) + [1] * (len(labels) - labels.index(1))
    assert delay * step / 30 == pytest.approx(np.log(2), abs=0.2)


def test_a_tube_is_confirmed_by_time_and_by_the_score_it_has_then():
    online = linker(mode="actor", class_memory=1.0, confirm_after=2, confirm_time=0.25, confirm_score=0.4)
    states = {}
    for i in range(12):
        rows = [(0, 0.9 if i == 0 else 0.2, box(10), None), (0, 0.5, box(200), None)]  # one was sure once, one stays so
        for tube in online.update(pair(rows, (i, i + 1)), 1).tubes:
            states.setdefault(round(float(tube.boxes[-1, 0])), []).append(tube.state)
    assert states[10] == [TubeState.TENTATIVE] * 12
    first = states[200].index(TubeState.ACTIVE)
    assert (first + 1) * FRAME >= 0.25e9 > first * FRAME


def test_best_gives_each_tube_its_own_where_the_strongest_would_take_its_neighbours():
    begin = [(0, 0.9, box(10), None), (0, 0.5, box(35), None)]
    then = [(0, 0.9, box(31), None)]  # nearer to the weaker tube
    for assignment, follower in (("greedy", 1), ("best", 2)):
        online = linker(mode="actor", match="iou", assignment=assignment, nms_iou=0.45)
        online.update(pair(begin, (0, 1)), 1)
        update = online.update(pair(then, (1, 2)), 1)
        assert [tube.id for tube in update.tubes if len(tube.frames)] == [follower]


def test_who_was_missed_is_looked_for_where_he_was_going():
    for motion, follower in ((0.0, 2), (0.1, 1)):
        online = linker(mode="actor", motion=motion, min_coasting=1.0)
        for i in range(10):
            online.update(pair([(0, 0.5, box(8 * i), box(8 * i + 8))], (i, i + 1)), 1)
        for i in range(10, 16):
            online.update(pair([], (i, i + 1)), 1)
        update = online.update(pair([(0, 0.5, box(128), box(136))], (16, 17)), 1)
        assert [tube.id for tube in update.tubes if len(tube.frames)] == [follower]


def test_a_tube_prefers_who_does_the_same():
    people, other = [(0.8, 0.1, 0), (0.1, 0.8, 0)], [(0.1, 0.8, 0), (0.8, 0.1, 0)]
    for weight, x in ((0.0, 12), (1.0, 22)):
        online = linker(mode="actor", match="iou", assignment="best", class_weight=weight, nms_iou=0.9)
        rows = [(0, 0.8, box(10), None), (1, 0.8, box(24), None)]
        online.update(pair(rows, (0, 1), class_scores=people), 1)
        rows = [(1, 0.8, box(12), None), (0, 0.8, box(22), None)]
        update = online.update(pair(rows, (1, 2), class_scores=other), 1)
        assert {tube.id: tube.boxes[-1, 0] for tube in update.tubes}[1] == x


def test_a_second_micro_tube_on_a_person_continues_a_tube_but_starts_none():
    def ids(first, second):
        online = linker(mode="actor", nms_iou=0.6, start_overlap=0.3)
        online.update(pair(first, (0, 1)), 1)
        return [tube.id for tube in live(online.update(pair(second, (1, 2)), 1)) if len(tube.frames)]

    near = [(0, 0.9, box(10), None), (0, 0.5, box(24), None)]  # IoU 0.48
    apart = [(0, 0.9, box(10), None), (0, 0.5, box(50), None)]
    assert ids(near[:1], near) == [1]
    assert ids(apart, [(0, 0.9, box(20), None), (0, 0.5, box(36), None)]) == [1, 2]


def test_nms_then_the_best_of_each_class():
    rows = [(0, 0.9, box(10), None), (0, 0.8, box(12), None), (0, 0.7, box(100), None), (0, 0.6, box(200), None)]
    rows += [(1, 0.5, box(12), None), (1, 0.005, box(100), None)]
    update = linker(per_class_limit=2).update(pair(rows), 1)
    assert [(tube.label, tube.boxes[0, 0]) for tube in update.tubes] == [(0, 10), (0, 100), (1, 12)]


def test_boxes_are_clipped_and_what_lies_outside_or_is_no_number_is_refused():
    online = linker()
    rows = [(0, 0.9, (-20, -20, 30, 30), None), (0, 0.8, (330, 10, 380, 60), None)]
    rows += [(0, 0.7, (100, 100, np.nan, 140), None), (0, 0.6, (200, 100, np.inf, 140), None)]
    update = online.update(pair(rows), 1)
    assert [tube.boxes[0].tolist() for tube in update.tubes] == [[0, 0, 30, 30]]
    assert online.counters.refused == 3


def test_the_weakest_tubes_go_first_when_there_are_too_many():
    online = linker(max_tubes=2)
    online.update(pair([(0, 0.5, box(10), None), (0, 0.75, box(100), None)], (0, 1)), 1)
    update = online.update(
        pair([(0, 0.75, box(100), None), (0, 0.6, box(200), None), (0, 0.1, box(270), None)], (1, 2)), 1
    )
    assert [(tube.id, tube.state.name) for tube in update.tubes] == [(1, "ACTIVE"), (2, "ENDED"), (3, "TENTATIVE")]
    assert online.counters.dropped == 2


def test_history_limit_bounds_the_boxes_of_an_update():
    online = linker(history_limit=3)
    update = online.update(pair([(0, 0.5, box(10), box(20))], (0, 10)), 10)
    assert update.tubes[0].frames.tolist() == [8, 9, 10]
    assert update.tubes[0].boxes[:, 0].tolist() == [18, 19, 20]
    assert update.tubes[0].start_stamp == 0


def test_the_end_is_told_once_and_ids_go_on():
    online = linker()
    online.update(pair([(0, 0.5, box(10), None)], (0, 1)), 1)
    assert [(tube.id, tube.state) for tube in online.end().tubes] == [(1, TubeState.ENDED)]
    assert online.end().tubes == ()
    update = online.update(pair([(0, 0.5, box(10), None)], (0, 1)), 1)
    assert [(tube.id, tube.state) for tube in update.tubes] == [(2, TubeState.TENTATIVE)]


def test_ending_before_anything_came_says_nothing():
    assert linker().end().tubes == ()


def test_options_change_while_running():
    online = linker()
    online.update(pair([(0, 0.5, box(10), None), (0, 0.4, box(100), None)], (0, 1)), 1)
    online.options = replace(PAPER, score_threshold=0.6, top_scores=2, score_window=5)
    update = online.update(pair([(0, 0.5, box(10), None), (0, 0.7, box(100), None)], (1, 2)), 1)
    assert [(tube.id, tube.state.name) for tube in update.tubes] == [(1, "TENTATIVE"), (2, "ACTIVE")]
    online.options = replace(PAPER, mode="actor")
    update = online.update(pair([(0, 0.5, box(10), None)], (2, 3)), 1)
    assert [(tube.id, tube.state.name) for tube in update.tubes] == [(1, "ENDED"), (2, "ENDED"), (3, "TENTATIVE")]


def test_fewer_tubes_allowed_while_running_end_the_weakest():
    online = linker()
    online.update(pair([(0, 0.5, box(10), None), (0, 0.4, box(100), None), (1, 0.7, box(100), None)], (0, 1)), 1)
    online.options = replace(PAPER, max_tubes=1)
    assert [tube.label for tube in live(online.update(pair([], (1, 2)), 1))] == [1]


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (pair([(0, 0.5, box(10), None)], n_classes=4), "3 classes"),
        (pair([(0, 0.5, box(10), None)], frames=(3, 3)), "must be the later"),
        (pair([(0, 0.5, box(10), None)], stamps=(5, 5)), "must be the later"),
        (pair([(0, 0.5, box(10), None)], class_scores=[[1, 0]]), "class_scores"),
    ],
)
def test_arrays_that_do_not_fit_are_an_error(broken, message):
    with pytest.raises(ValueError, match=message):
        linker().update(broken, 1)


def test_labels_that_are_none_of_the_classes_are_an_error():
    micro_tubes = pair([(0, 0.5, box(10), None)])
    micro_tubes.labels[0] = 7
    with pytest.raises(ValueError, match="labels from 7 to 7"):
        linker().update(micro_tubes, 1)
