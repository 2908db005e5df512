"""
What waits to be written, while a disk hangs
============================================
The storage of the inbox of those who write lines. Mail goes first: what comes while too much waits
is dropped, and counted for who has to say so.

>>> waiting = Overflowing()
>>> len(waiting), waiting.lost
(0, 0)
"""

from collections import deque

from Kamaelia.Apps.Grey.Core.Outcome import Outcome
from Kamaelia.Apps.Grey.Core.Types import Decided

WAITING_LINES = 100_000


class Overflowing(deque[Decided | Outcome]):
    """Overflowing() -> takes so many, and counts in `lost` those beyond."""

    lost = 0

    def append(self, event: Decided | Outcome) -> None:
        if len(self) < WAITING_LINES:
            deque.append(self, event)
        else:
            self.lost += 1
