"""A place for one item, the newest: what is not fetched in time is replaced, never queued."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class NewestSlot(Generic[T]):
    """Hands the newest item from one thread to another, so that the consumer is never more than one item behind.

    replaced: items that were overwritten before anyone took them.
    """

    def __init__(self) -> None:
        self._ready = threading.Condition()
        self._item: T | None = None
        self._closed = False
        self.replaced = 0

    def put(self, item: T) -> None:
        """Offer an item; it takes the place of one that still waits. Ignored once closed."""
        with self._ready:
            if self._closed:
                return
            self.replaced += self._item is not None
            self._item = item
            self._ready.notify()

    def take(self, timeout: float | None = None) -> T | None:
        """Wait for an item and remove it. None after `timeout` seconds without one, or once closed."""
        with self._ready:
            self._ready.wait_for(lambda: self._item is not None or self._closed, timeout)
            item, self._item = self._item, None
            return item

    @property
    def closed(self) -> bool:
        """Whether it delivers nothing any more."""
        return self._closed

    def clear(self) -> None:
        """Forget a waiting item; it does not count as replaced."""
        with self._ready:
            self._item = None

    def close(self) -> None:
        """Wake whoever waits; nothing is delivered from here on."""
        with self._ready:
            self._closed, self._item = True, None
            self._ready.notify_all()
