"""Whole tubes from increments."""

import numpy as np
import pytest
from tube_streams import box, pair

from amtnet_ros.contracts import TubeState
from amtnet_ros.tubes import LinkerOptions, TubeAssembler, TubeLinker


def stream(n, **options):
    linker = TubeLinker(3, LinkerOptions(**options))
    yield from (linker.update(pair([(0, 0.5, box(i), box(i + 2))], (2 * i, 2 * i + 2)), 2) for i in range(n))
    yield linker.end()


def test_tubes_are_whole_and_keep_their_newest_state():
    assembler = TubeAssembler()
    ended = [assembler.add(update) for update in stream(5)]
    (tube,) = assembler.tubes()
    assert tube.state == TubeState.ENDED
    assert tube.frames.tolist() == list(range(11))
    assert [len(tubes) for tubes in ended] == [0] * 5 + [1]
    np.testing.assert_array_equal(ended[-1][0].boxes, tube.boxes)


def test_short_tubes_can_be_left_out():
    assembler = TubeAssembler()
    for update in stream(1):
        assembler.add(update)
    assert len(assembler.tubes(min_frames=3)) == 1
    assert len(assembler.tubes(min_frames=4)) == 0


@pytest.mark.parametrize("revise", [False, True])
def test_a_history_limit_keeps_the_newest_boxes(revise):
    everything, limited = TubeAssembler(), TubeAssembler(history_limit=7)
    for update in stream(100, revise=revise):
        everything.add(update)
        limited.add(update)
        assert all(len(tube.frames) <= 7 for tube in limited.tubes())
    (whole,), (newest,) = everything.tubes(), limited.tubes()
    assert len(newest.frames) == 7
    for column in ("frames", "stamps", "boxes", "scores", "interpolated"):
        expected = getattr(whole, column)[-7:]
        np.testing.assert_array_equal(getattr(newest, column), expected)


def test_ended_tubes_can_be_forgotten():
    assembler = TubeAssembler(keep_ended=False)
    ended = [assembler.add(update) for update in stream(3)]
    assert [len(tube.frames) for tube in ended[-1]] == [7]
    assert assembler.tubes() == ()


def test_a_history_without_boxes_is_refused():
    with pytest.raises(ValueError, match="holds no tube"):
        TubeAssembler(history_limit=0)
