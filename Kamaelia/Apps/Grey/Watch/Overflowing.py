"""
What waits to be written, while a disk hangs
============================================
The storage of the inbox of those who write lines. Mail goes first: what comes while too much waits
is dropped, and counted for who has to say so.

>>> waiting: Overflowing[str] = Overflowing()
>>> len(waiting), waiting.lost
(0, 0)
"""

from collections import deque
from typing import TypeVar

WAITING_LINES = 100_000
T = TypeVar("T")


class Overflowing(deque[T]):
    """Overflowing() -> takes so many, and counts in `lost` those beyond."""

    lost = 0

    def append(self, event: T) -> None:
        if len(self) < WAITING_LINES:
            deque.append(self, event)
        else:
            self.lost += 1
