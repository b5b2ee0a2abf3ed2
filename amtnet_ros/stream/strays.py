"""One stamp that is far from all others among good ones: a driver's slip, which must not end what is going on."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class Strays(Generic[T]):
    """Tells a stray stamp from a clock that jumped (a bag that loops, NTP): by the stamp that comes after it.

    An item whose stamp is far from the one before is kept back until the next one comes: if that is nearer to it, the
    clock has jumped and both belong; if not, the one kept back was a stray.

        belonging, stray = strays.take(stamp, item)
    """

    def __init__(self) -> None:
        self._last: int | None = None
        self._held: tuple[int, T] | None = None

    @property
    def holds(self) -> bool:
        """Whether an item is kept back."""
        return self._held is not None

    def take(self, stamp: int, item: T, far: int) -> tuple[list[T], T | None]:
        """The next item, its stamp in ns. far: ns from the stamp before beyond which it is doubted.

        Returns the items that belong now, in order, and the stray that this one has exposed, or None.
        """
        last, held = self._last, self._held
        if last is None or abs(stamp - last) < far:
            self._last, self._held = stamp, None
            return [item], held[1] if held else None
        if held is None:
            self._held = stamp, item
            return [], None
        if abs(stamp - held[0]) < abs(stamp - last):
            self._last, self._held = stamp, None
            return [held[1], item], None
        self._held = stamp, item
        return [], held[1]

    def believe(self) -> list[T]:
        """The item that is kept back, where there is one, which belongs: none comes that could tell."""
        if self._held is None:
            return []
        (self._last, item), self._held = self._held, None
        return [item]

    def reset(self) -> None:
        """The next item belongs, whatever its stamp; one that is kept back is left out."""
        self._last = self._held = None
