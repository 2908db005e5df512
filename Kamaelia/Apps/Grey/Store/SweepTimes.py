"""
When old records are to be swept
================================
Each `interval` seconds, except after the wall clock has jumped: then not before a day is over. A
clock that is wrong by a year must not delete every pass before somebody sets it right.

>>> times = SweepTimes(interval=600.0, wall=1_000_000.0, monotonic=50.0)
>>> times.is_due(wall=1_000_599.0, monotonic=649.0), times.is_due(1_000_600.0, 650.0)
(False, True)
>>> times.done(650.0)
>>> times.due_at
1250.0
"""

import logging

log = logging.getLogger(__name__)

JUMP_SECONDS = 3600.0
PAUSE_AFTER_JUMP_SECONDS = 24 * 3600.0
# Rows stay for an hour after their end, so that a late retry is logged as late and not as new.
GRACE_SECONDS = 3600


class SweepTimes:
    """SweepTimes(interval, wall, monotonic) -> is_due(wall, monotonic), done(monotonic)."""

    __slots__ = ("_interval", "_offset", "due_at")

    def __init__(self, interval: float, wall: float, monotonic: float) -> None:
        self._interval = interval
        self._offset = wall - monotonic
        self.due_at = monotonic + interval

    def is_due(self, wall: float, monotonic: float) -> bool:
        before, self._offset = self._offset, wall - monotonic
        if abs(self._offset - before) > JUMP_SECONDS:
            log.warning(
                "the clock has jumped by %.0f s: old greylist records are kept for another day",
                self._offset - before,
            )
            self.due_at = monotonic + PAUSE_AFTER_JUMP_SECONDS
        return monotonic >= self.due_at

    def done(self, monotonic: float) -> None:
        """All were looked at, or it could not be done: the next time after the interval."""
        self.due_at = monotonic + self._interval
