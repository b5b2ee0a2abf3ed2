"""Whole tubes from the increments that the linker reports."""

from __future__ import annotations

import numpy as np

from amtnet_ros.contracts import Tube, TubeState, TubeUpdate


class TubeAssembler:
    """Keeps every tube's boxes, as of the newest update.

    history_limit: keep only the newest so many boxes of a tube; None keeps all (evaluation).
    keep_ended: whether `tubes` also gives the tubes that ended; a node that runs for days says no.
    """

    def __init__(self, history_limit: int | None = None, keep_ended: bool = True) -> None:
        if history_limit is not None and history_limit < 1:
            raise ValueError(f"a history of {history_limit} boxes holds no tube")
        self.history_limit = history_limit
        self.keep_ended = keep_ended
        self._tubes: dict[int, _Parts] = {}

    def add(self, update: TubeUpdate) -> tuple[Tube, ...]:
        """Take in one update; returns, whole, the tubes that ended in it."""
        ended = []
        for tube in update.tubes:
            parts = self._tubes.setdefault(tube.id, _Parts())
            parts.add(tube, self.history_limit)
            if tube.state == TubeState.ENDED:
                ended.append(parts.whole())
                if not self.keep_ended:
                    del self._tubes[tube.id]
        return tuple(ended)

    def tubes(self, min_frames: int = 1) -> tuple[Tube, ...]:
        """All tubes with at least so many boxes, whole, by id. The release evaluates those of 4 and more."""
        whole = (parts.whole() for _, parts in sorted(self._tubes.items()))
        return tuple(tube for tube in whole if len(tube.frames) >= min_frames)


class _Parts:
    """One tube: its newest report, and its boxes in pieces, joined when someone asks or when they grow too many."""

    def __init__(self) -> None:
        self.newest: Tube | None = None
        self.pieces: list[Tube] = []
        self.unjoined = 0

    def add(self, tube: Tube, limit: int | None) -> None:
        self.newest = tube
        if not len(tube.frames):
            return
        # a linker that revises the shared frame sends that frame again
        while self.pieces and self.pieces[-1].stamps[-1] >= tube.stamps[0]:
            last = self.pieces.pop()
            keep = int(last.stamps.searchsorted(tube.stamps[0]))
            if keep:
                self.pieces.append(cut(last, slice(keep)))
        self.pieces.append(tube)
        self.unjoined += len(tube.frames)
        if limit is not None and self.unjoined > limit:
            self.pieces = [cut(self.whole(), slice(-limit, None))]
            self.unjoined = 0

    def whole(self) -> Tube:
        assert self.newest is not None
        pieces = self.pieces or [self.newest]
        return self.newest._replace(
            frames=np.concatenate([piece.frames for piece in pieces]),
            stamps=np.concatenate([piece.stamps for piece in pieces]),
            boxes=np.concatenate([piece.boxes for piece in pieces]),
            scores=np.concatenate([piece.scores for piece in pieces]),
            interpolated=np.concatenate([piece.interpolated for piece in pieces]),
        )


def cut(tube: Tube, part: slice) -> Tube:
    """The tube with only this part of its boxes."""
    return tube._replace(
        frames=tube.frames[part],
        stamps=tube.stamps[part],
        boxes=tube.boxes[part],
        scores=tube.scores[part],
        interpolated=tube.interpolated[part],
    )
