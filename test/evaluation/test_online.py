"""Early labels, delay and identity on hand-made videos with known answers."""

import numpy as np
import pytest
from scenes import BOX, FAR, make_dataset, pair

from amtnet_ros.contracts import Tube, TubeState, TubeUpdate
from amtnet_ros.errors import UserError
from amtnet_ros.evaluation.detections import VideoDetections
from amtnet_ros.evaluation.linking import MIN_BOXES, SHARES, ever_active, link_video, observed_frames
from amtnet_ros.evaluation.online import (
    IdentityErrors,
    IdentityScore,
    detection_delays,
    identity_errors,
    identity_score,
    score_observed,
)
from amtnet_ros.evaluation.tubes import ScoredTube
from amtnet_ros.evaluation.video_map import ACT, ROAD
from amtnet_ros.tubes import PER_CLASS, LinkerOptions


def make_tube(id, frames, boxes, label=0, state=TubeState.ACTIVE):
    n = len(frames)
    return Tube(
        id=id,
        state=state,
        label=label,
        score=0.5,
        class_scores=np.full(3, 0.2, np.float32),
        start_stamp=0,
        last_stamp=0,
        frames=np.array(frames, np.int64),
        stamps=np.array(frames, np.int64),
        boxes=np.array(boxes, np.float32).reshape(n, 4),
        scores=np.full(n, 0.5, np.float32),
        interpolated=np.zeros(n, np.bool_),
    )


def update(frame, *tubes):
    return TubeUpdate(frame=frame, stamp=frame, image_size=(320, 240), delta=1, tubes=tubes)


def video(*instances):
    return make_dataset({"v": instances}).videos["v"]


class TestDelay:
    action = (0, range(10, 20), [BOX] * 10)

    def delay(self, *updates, action=action):
        return detection_delays(video(action), updates)[0]

    def test_counts_from_the_start_to_the_first_correct_active_tube(self):
        updates = [
            update(11, make_tube(1, [11], [BOX], state=TubeState.TENTATIVE)),
            update(12, make_tube(1, [12], [FAR])),
            update(13, make_tube(1, [13], [BOX], label=1)),
            update(14, make_tube(1, [], [])),
            update(15, make_tube(1, [14], [BOX])),
            update(16, make_tube(1, [15, 16], [FAR, BOX])),
            update(17, make_tube(1, [17], [BOX])),
        ]
        assert self.delay(*updates) == 6

    def test_none_where_no_tube_was_ever_right_and_tubes_before_or_after_do_not_count(self):
        assert self.delay() is None
        assert self.delay(update(9, make_tube(1, [9], [BOX])), update(20, make_tube(1, [20], [BOX]))) is None

    def test_between_annotated_frames_the_actor_is_interpolated(self):
        sparse = (0, [10, 20], [BOX, FAR])  # 95 pixels right of BOX after half the way
        assert self.delay(update(15, make_tube(1, [15], [BOX])), action=sparse) is None
        assert self.delay(update(15, make_tube(1, [15], [[105, 10, 205, 110]])), action=sparse) == 5


class TestIdentity:
    def errors(self, *tubes, instances=((0, range(10), [BOX] * 10),), counted=None):
        ids = {tube.id for tube in tubes} if counted is None else counted
        return identity_errors(video(*instances), tubes, ids)

    def test_one_tube_all_along_makes_no_error(self):
        assert self.errors(make_tube(1, range(10), [BOX] * 10)) == IdentityErrors(0, 0, 10, 10)

    def test_another_tube_taking_over_is_a_switch(self):
        first, second = make_tube(1, range(5), [BOX] * 5), make_tube(2, range(5, 10), [BOX] * 5)
        assert self.errors(first, second) == IdentityErrors(switches=1, fragmentations=0, boxes=10, followed=10)

    def test_a_gap_is_a_fragmentation_and_with_another_tube_after_it_a_switch_too(self):
        same = make_tube(1, [0, 1, 2, 7, 8, 9], [BOX] * 6)
        assert self.errors(same) == IdentityErrors(0, 1, 10, 6)
        other = make_tube(1, [0, 1, 2], [BOX] * 3), make_tube(2, [7, 8, 9], [BOX] * 3)
        assert self.errors(*other) == IdentityErrors(1, 1, 10, 6)

    def test_never_followed_again_is_no_fragmentation(self):
        assert self.errors(make_tube(1, range(3), [BOX] * 3)) == IdentityErrors(0, 0, 10, 3)

    def test_a_better_tube_does_not_take_over_while_the_first_still_fits(self):
        near = make_tube(1, range(10), [[20, 10, 120, 110]] * 10)
        better = make_tube(2, range(3, 10), [BOX] * 7)
        assert self.errors(near, better) == IdentityErrors(0, 0, 10, 10)

    def test_two_actors_crossing_with_swapped_tubes_are_two_switches(self):
        instances = ((0, range(10), [BOX] * 10), (0, range(10), [FAR] * 10))
        one = make_tube(1, range(10), [BOX] * 5 + [FAR] * 5)
        two = make_tube(2, range(10), [FAR] * 5 + [BOX] * 5)
        assert self.errors(one, two, instances=instances) == IdentityErrors(2, 0, 20, 20)

    def test_assignment_leaves_nobody_out_who_can_be_matched(self):
        # Tube 1 overlaps both actors, tube 2 only the first: greedy by IoU would leave the second actor alone.
        left, right = [10, 10, 110, 110], [40, 10, 140, 110]
        instances = ((0, [0], [left]), (0, [0], [right]))
        both, only_left = make_tube(1, [0], [[15, 10, 115, 110]]), make_tube(2, [0], [[0, 10, 90, 110]])
        assert self.errors(both, only_left, instances=instances).followed == 2

    def test_other_classes_and_tubes_never_active_take_no_part(self):
        assert self.errors(make_tube(1, range(10), [BOX] * 10, label=1)).followed == 0
        assert self.errors(make_tube(1, range(10), [BOX] * 10), counted=set()).followed == 0

    def test_ever_active_is_any_time(self):
        tentative = make_tube(1, [0], [BOX], state=TubeState.TENTATIVE)
        updates = [
            update(1, make_tube(2, [1], [BOX]), tentative),
            update(2, make_tube(2, [], [], state=TubeState.ENDED)),
        ]
        assert ever_active(updates) == {2}


class TestWhoIsWho:
    """Two actors of two classes over ten frames; who is followed, not what is said of him, counts."""

    VIDEO = video((0, range(10), [BOX] * 10), (1, range(10), [FAR] * 10))

    def test_a_tube_for_each_is_perfect(self):
        tubes = [make_tube(1, range(10), [BOX] * 10, label=2), make_tube(2, range(10), [FAR] * 10, label=2)]
        assert identity_score(self.VIDEO, tubes, {1, 2}).idf1 == 1
        assert identity_errors(self.VIDEO, tubes, {1, 2}, any_class=True).switches == 0

    def test_tubes_that_swap_lose_the_shorter_part(self):
        tubes = [
            make_tube(1, range(10), [BOX] * 7 + [FAR] * 3, label=2),
            make_tube(2, range(10), [FAR] * 7 + [BOX] * 3, label=2),
        ]
        assert identity_score(self.VIDEO, tubes, {1, 2}) == IdentityScore(right=14, actors=20, tubes=20)
        errors = identity_errors(self.VIDEO, tubes, {1, 2}, any_class=True)
        assert (errors.switches, errors.followed) == (2, 20)
        assert identity_errors(self.VIDEO, tubes, {1, 2}).followed == 0, "of the wrong class"

    def test_a_tube_on_nobody_and_an_actor_without_a_tube_count_against_it(self):
        nowhere = [BOX[0] + 1000, BOX[1], BOX[2] + 1000, BOX[3]]
        tubes = [make_tube(1, range(10), [BOX] * 10, label=2), make_tube(2, range(5, 15), [nowhere] * 10, label=2)]
        assert identity_score(self.VIDEO, tubes, {1, 2}) == IdentityScore(right=10, actors=20, tubes=15)
        assert identity_score(self.VIDEO, tubes, {1}).idf1 == pytest.approx(20 / 30)


class TestObserved:
    def test_shares_are_ten(self):
        assert SHARES == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
        assert [observed_frames(40, share) for share in SHARES] == [4, 8, 12, 16, 20, 24, 28, 32, 36, 40]
        assert observed_frames(3, 0.1) == 1
        assert observed_frames(15, 0.7) == 11  # 10.5 frames

    def test_ground_truth_is_cut_where_the_video_was_seen_to(self):
        dataset = make_dataset({"v": [(0, range(100), [BOX] * 100)], "w": [(1, range(50, 100), [FAR] * 50)]})
        first_tenth = [ScoredTube("v", 0, 0.5, 0, np.array([BOX] * 10))]
        scores = score_observed(dataset, [first_tenth] * 10, [ACT], [0.5])
        # After 10 % the tube covers what was seen, and the action in w has not begun.
        assert [scores[0].video_maps[0].at(0.5), scores[0].accuracy] == [1.0, 0.5]
        # After 20 % it covers half, after 30 % a third; after 60 % w counts as well.
        assert scores[1].video_maps[0].at(0.5) == 1.0
        assert scores[2].video_maps[0].at(0.5) == 0.0
        covering = [ScoredTube("v", 0, 0.5, 0, np.array([BOX] * 60))]
        scores = score_observed(dataset, [covering] * 10, [ACT, ROAD], [0.2])
        assert [score.video_maps[0].at(0.2) for score in scores[4:6]] == [1.0, 0.5]


class TestLinking:
    def test_an_actor_seen_in_every_pair_becomes_one_tube_over_the_whole_video(self):
        pairs = tuple(pair(t, t + 2, (BOX, BOX, 1, 0.9)) for t in range(0, 20, 2))
        linked = link_video("v", 21, VideoDetections(2, 3, pairs), PER_CLASS)
        (tube,) = linked.scored
        assert (tube.video, tube.label, tube.first_frame, tube.boxes.tolist()) == ("v", 1, 0, [BOX] * 21)
        assert linked.updates[-1].tubes[0].state == TubeState.ENDED
        # 10 % of 21 frames are 3: the pair (0, 2) is seen; 20 % are 5: also (2, 4).
        assert [len(known[0].boxes) for known in linked.observed] == [3, 5, 7, 9, 11, 13, 15, 17, 19, 21]

    def test_nothing_of_the_future_is_known(self):
        pairs = tuple(pair(t, t + 1, *([(BOX, BOX, 1, 0.9)] if t >= 15 else [])) for t in range(29))
        linked = link_video("v", 30, VideoDetections(1, 3, pairs), PER_CLASS)
        # After 60 %, 18 frames, it is in frames 15 to 17 only: too short.
        assert [len(known) for known in linked.observed] == [0, 0, 0, 0, 0, 0, 1, 1, 1, 1]

    def test_short_tubes_are_scored_only_as_long_as_no_more_of_the_video_was_seen(self):
        pairs = [pair(t, t + 1, *([(BOX, BOX, 1, 0.9)] if t < MIN_BOXES - 2 else [])) for t in range(29)]
        linked = link_video("v", 30, VideoDetections(1, 3, tuple(pairs)), PER_CLASS)
        assert [len(tube.frames) for tube in linked.tubes] == [MIN_BOXES - 1]
        assert linked.scored == ()
        assert [len(known) for known in linked.observed] == [1] + [0] * 9  # 10 % are the first 3 frames

    def test_a_tube_of_an_actor_is_scored_for_every_likely_class(self):
        pairs = tuple(pair(t, t + 1, (BOX, BOX, 1, 0.9)) for t in range(9))
        linked = link_video("v", 10, VideoDetections(1, 3, pairs), LinkerOptions(mode="actor"))
        assert sorted((tube.label, pytest.approx(tube.score)) for tube in linked.scored) == [
            (0, 0.02),
            (1, 0.9),
            (2, 0.02),
        ]

    def test_a_video_without_pairs_has_no_tubes(self):
        linked = link_video("v", 1, VideoDetections(1, 3, ()), PER_CLASS)
        assert linked.scored == linked.tubes == ()
        assert len(linked.observed) == len(SHARES)

    def test_trimmed_tubes_are_scored_where_their_action_goes_on(self):
        pairs = tuple(pair(t, t + 1, (BOX, BOX, 1, 0.9 if 20 <= t < 40 else 0.1)) for t in range(59))
        detections = VideoDetections(1, 3, pairs)
        (whole,) = link_video("v", 60, detections, PER_CLASS).scored
        (part,) = link_video("v", 60, detections, PER_CLASS, trimmed=True).scored
        assert (whole.first_frame, len(whole.boxes)) == (0, 60)
        assert (part.first_frame, part.first_frame + len(part.boxes)) == (
            pytest.approx(20, abs=1),
            pytest.approx(41, abs=1),
        )
        assert part.score > 0.85 > whole.score
        with pytest.raises(UserError, match="mode actor cannot be trimmed"):
            link_video("v", 60, detections, LinkerOptions(mode="actor"), trimmed=True)
