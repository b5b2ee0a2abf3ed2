"""Frames that come late, twice, not at all, from the past, or in another size."""

import pytest
from tube_streams import FRAME, MS, box, pair

from amtnet_ros.contracts import TubeState
from amtnet_ros.tubes import LinkerOptions, TubeLinker

PERSON = [(0, 0.5, box(10), None)]


@pytest.fixture
def online():
    linker = TubeLinker(3, LinkerOptions(confirm_time=0.0, confirm_score=0.0))
    linker.update(pair(PERSON, (100, 101)), 1)
    linker.update(pair(PERSON, (101, 102)), 1)
    return linker


def states(update):
    return [(tube.id, tube.state.name, len(tube.frames)) for tube in update.tubes]


@pytest.mark.parametrize("frames", [(101, 102), (100, 101), (99, 102), (80, 90)])
def test_duplicate_and_late_pairs_change_nothing(online, frames):
    update = online.update(pair([(1, 0.9, box(200), None)], frames), 1)
    assert states(update) == [(1, "ACTIVE", 0)]
    assert (update.frame, update.stamp) == (102, 102 * FRAME)
    assert online.counters.late == 1
    assert states(online.update(pair(PERSON, (102, 103)), 1)) == [(1, "ACTIVE", 1)]


def test_lost_frames_are_bridged(online):
    update = online.update(pair(PERSON, (106, 107)), 1)
    assert states(update) == [(1, "ACTIVE", 5)]
    assert update.tubes[0].interpolated.tolist() == [True, True, True, False, False]


def test_a_long_gap_times_tubes_out(online):
    seconds = [2.0 + 102 * FRAME * 1e-9, 2.1 + 102 * FRAME * 1e-9]
    in_time = pair(PERSON, (161, 162), stamps=(int(seconds[0] * 1e9), int(seconds[1] * 1e9)))
    assert states(online.update(in_time, 1)) == [(1, "ACTIVE", 60)]
    late = in_time.stamps[1] + 2_001 * MS
    update = online.update(pair(PERSON, (230, 231), stamps=(late, late + FRAME)), 1)
    assert states(update) == [(1, "ENDED", 0), (2, "TENTATIVE", 2)]
    assert online.counters.timed_out == 1
    assert states(online.update(pair([], (231, 232), stamps=(late + FRAME, late + 2 * FRAME)), 1)) == [
        (2, "TENTATIVE", 0)
    ]


def test_a_skipped_frame_misses_nobody_but_time_passes(online):
    for frame in range(103, 110):
        assert states(online.skip(frame, frame * FRAME, (320, 240), 1)) == [(1, "ACTIVE", 0)]
    assert states(online.skip(110, 102 * FRAME + 2_000 * MS + 1, (320, 240), 1)) == [(1, "ENDED", 0)]
    assert states(online.skip(111, 102 * FRAME + 2_000 * MS + 2, (320, 240), 1)) == []


def test_a_small_jump_back_is_ignored_and_a_large_one_starts_anew(online):
    newest = 102 * FRAME
    back = pair(PERSON, (103, 104), stamps=(newest - 95 * MS - FRAME, newest - 95 * MS))
    assert states(online.update(back, 1)) == [(1, "ACTIVE", 0)]
    loop = pair(PERSON, (105, 106), stamps=(newest - 1_000 * MS - FRAME, newest - 1_000 * MS))
    update = online.update(loop, 1)
    assert states(update) == [(1, "ENDED", 0), (2, "TENTATIVE", 2)]
    assert (update.frame, update.stamp) == (106, newest - 1_000 * MS)
    assert (online.counters.late, online.counters.restarts) == (1, 1)


def test_frames_numbered_anew_start_anew(online):
    update = online.update(pair(PERSON, (0, 1), stamps=(103 * FRAME, 104 * FRAME)), 1)
    assert states(update) == [(1, "ENDED", 0), (2, "TENTATIVE", 2)]


def test_another_resolution_starts_anew(online):
    update = online.update(pair(PERSON, (102, 103), size=(640, 480)), 1)
    assert states(update) == [(1, "ENDED", 0), (2, "TENTATIVE", 2)]
    assert update.image_size == (640, 480)


def test_delta_may_change_from_pair_to_pair(online):
    assert states(online.update(pair(PERSON, (102, 110)), 8)) == [(1, "ACTIVE", 8)]
    update = online.update(pair(PERSON, (110, 112)), 2)
    assert states(update) == [(1, "ACTIVE", 2)]
    assert update.delta == 2


def test_a_jump_back_of_nothing_is_never_a_new_start():
    linker = TubeLinker(3, LinkerOptions(reset_jump=0.0))
    linker.update(pair(PERSON, (0, 1)), 1)
    assert [tube.state for tube in linker.update(pair(PERSON, (0, 1)), 1).tubes] == [TubeState.TENTATIVE]
    assert linker.counters.late == 1


def test_after_the_end_any_time_will_do(online):
    online.end()
    update = online.update(pair(PERSON, (0, 1)), 1)
    assert states(update) == [(2, "TENTATIVE", 2)]
    assert (online.counters.late, online.counters.restarts) == (0, 0)
