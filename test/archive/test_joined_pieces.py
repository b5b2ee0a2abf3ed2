"""Long recordings in pieces: the same tubes as in one pass."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from recordings import SECOND, rows_of, run, setup_of, tubes_in, write_video

from amtnet_ros.archive.pieces import AFTER, BEFORE, Mark, WatchedPiece, cut, join
from amtnet_ros.archive.recording import Recording
from amtnet_ros.archive.store import PIECES
from amtnet_ros.archive.tube import ArchivedTube, Said
from amtnet_ros.boxes import iou
from amtnet_ros.inference.card import find_model


@pytest.mark.parametrize(("length", "count"), [(10.0, 1), (400.0, 1), (460.0, 2), (3000.0, 10)])
def test_pieces_lie_end_to_end_and_are_cut_at_whole_seconds(length: float, count: int) -> None:
    pieces = cut(Recording("k", "video", "f", end=round(length * SECOND)), 300.0)
    assert len(pieces) == count
    assert (pieces[0].begin, pieces[-1].end) == (None, None)
    for before, after in pairwise(pieces):
        assert before.end == after.begin
        assert before.end % SECOND == 0
        assert (before.read_to - before.end, after.begin - after.read_from) == (AFTER * SECOND, BEFORE * SECOND)


def tube(first: int, last: int, x: float = 0.0, session: int = 0, confirmed: bool = True) -> ArchivedTube:
    """A person at x, in each tenth of a second from `first` on and before `last` (tenths)."""
    stamps = np.arange(first, last) * (SECOND // 10)
    boxes = np.tile(np.array([x, 0, x + 10, 20], np.float32), (len(stamps), 1))
    said = tuple(Said(second, "wave", first / 1000) for second in range(first // 10, (last + 9) // 10))
    scores = np.full(len(stamps), first / 1000, np.float32)  # tells which piece it is of
    interpolated = np.zeros(len(stamps), np.bool_)
    return ArchivedTube(session, 0, (100, 50), confirmed, stamps, boxes, scores, interpolated, said, ())


CUT = Mark(0, 10 * SECOND)


def joined(before: list[ArchivedTube], after: list[ArchivedTube]) -> list[tuple[int, int, float]]:
    """First and last tenth, and x, of each tube of two pieces that were cut at 10 s."""
    tubes = join([WatchedPiece(tuple(before), None, CUT), WatchedPiece(tuple(after), CUT, None)])
    return sorted((int(t.stamps[0] * 10 // SECOND), int(t.stamps[-1] * 10 // SECOND) + 1, t.boxes[0, 0]) for t in tubes)


def test_a_tube_over_the_cut_is_one_with_the_boxes_and_seconds_of_each_side() -> None:
    (found,) = join([WatchedPiece((tube(20, 130),), None, CUT), WatchedPiece((tube(50, 200),), CUT, None)])
    np.testing.assert_array_equal(found.stamps, np.arange(20, 200) * (SECOND // 10))
    np.testing.assert_array_equal(found.scores, np.float32([0.02] * 80 + [0.05] * 100))
    assert [(said.second, said.score) for said in found.actions] == [
        *((second, 0.02) for second in range(2, 10)),
        *((second, 0.05) for second in range(10, 20)),
    ]


def test_a_tube_is_confirmed_if_one_of_its_parts_is() -> None:
    pieces = [
        WatchedPiece((tube(20, 130),), None, CUT),
        WatchedPiece((tube(50, 200, confirmed=False),), CUT, None),
    ]
    assert join(pieces)[0].confirmed


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([tube(20, 60)], [], [(20, 60, 0)]),
        ([], [tube(120, 180)], [(120, 180, 0)]),
        ([tube(105, 130)], [tube(105, 180)], [(105, 180, 0)]),  # begins behind the cut
        ([tube(20, 130), tube(20, 130, x=50)], [tube(50, 200, x=50), tube(50, 200)], [(20, 200, 0), (20, 200, 50)]),
        ([tube(20, 130)], [tube(50, 200, x=50)], [(20, 130, 0), (100, 200, 50)]),  # not the same person
        ([tube(105, 130, x=70)], [], []),  # seen by the piece alone that ends there
        ([], [tube(50, 90)], []),  # seen by the piece alone that begins there
        ([tube(20, 98)], [tube(50, 98)], [(20, 98, 0)]),  # ends just before the cut
    ],
)
def test_who_is_whom_at_a_cut(
    before: list[ArchivedTube], after: list[ArchivedTube], expected: list[tuple[int, int, float]]
) -> None:
    assert joined(before, after) == expected


def test_behind_a_part_that_cannot_be_read_a_new_session_begins() -> None:
    pieces = [
        WatchedPiece((tube(20, 70),), None, None),  # it broke off
        WatchedPiece((), None, None),  # nothing of it can be read
        WatchedPiece((tube(170, 250),), Mark(0, 20 * SECOND), None),
    ]
    found = join(pieces)
    assert [(t.session, int(t.stamps[0] * 10 // SECOND), len(t.stamps)) for t in found] == [(0, 20, 50), (1, 200, 50)]


def test_sessions_are_counted_on() -> None:
    pieces = [
        WatchedPiece((tube(20, 130, session=1),), None, Mark(1, 10 * SECOND)),
        WatchedPiece((tube(50, 200), tube(0, 40, session=1)), Mark(0, 10 * SECOND), Mark(1, 3 * SECOND)),
        WatchedPiece((replace(tube(10, 60), session=0),), Mark(0, 3 * SECOND), None),
    ]
    found = join(pieces)
    assert [(t.session, int(t.stamps[0] * 10 // SECOND), len(t.stamps)) for t in found] == [(1, 20, 180), (2, 0, 60)]


def test_pieces_of_a_real_clip_give_the_tubes_of_one_pass(tmp_path: Path, data_root: Path) -> None:
    """Five pictures a second of a training in a hall, for 17 seconds, cut after 9; pairs are 0.4 s apart."""
    clip = data_root / "ucf101_24/videos/Basketball/v_Basketball_g16_c01.mp4"
    setup = setup_of(find_model("light"), tmp_path / "whole", rate=5, delta=12, fast_flow=True)
    setup = replace(setup, precision="auto")
    run(setup, clip)
    run(replace(setup, store=str(tmp_path / "pieces")), clip, length=11)
    assert not list((tmp_path / "pieces" / PIECES).iterdir())
    whole, pieces = tubes_in(tmp_path / "whole"), tubes_in(tmp_path / "pieces")
    assert len(whole) >= 1
    assert len(pieces) == len(whole)
    for one, other in zip(whole, pieces, strict=True):
        np.testing.assert_array_equal(one.stamps, other.stamps)
        np.testing.assert_allclose(one.boxes, other.boxes, atol=0.01)
        said = {(each.second, each.label): each.score for each in one.actions if each.score > 0.1}
        again = {(each.second, each.label): each.score for each in other.actions}
        assert all(abs(again[key] - score) < 0.1 for key, score in said.items())
    assert float(iou(whole[0].boxes.T, pieces[0].boxes.T).min()) > 0.999


def test_pieces_that_were_watched_before_are_not_watched_again(tmp_path: Path, model: Path) -> None:
    video = write_video(tmp_path / "long.mp4", 16.0)
    out = tmp_path / "out"
    setup = setup_of(model, out, rate=10)
    run(setup, video, length=8)
    (expected,) = rows_of(out)
    (part,) = (out / "tubes").iterdir()
    table = part.read_bytes()
    assert run(setup, video, length=8).pictures == 0
    part.unlink()
    assert run(setup, video, length=8).pictures == 160 + 80  # what overlaps is watched twice
    assert part.read_bytes() == table
    assert rows_of(out) == [expected]
