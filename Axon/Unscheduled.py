"""
What stands where a scheduler will be
=====================================
A microprocess can be asked to pause or wake before anybody runs it. So that its methods need not
ask first, ``microprocess.scheduler`` is then this object: false, and deaf.

Example Usage
-------------
::

    if self.scheduler:
        self.scheduler.call_later(5.0, self.unpause)  # it runs
"""

from __future__ import annotations

from typing import Any


class _NoScheduler:
    """What ``microprocess.scheduler`` is before activation: false, and deaf to pause and wake."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False

    def wakeThread(self, process: object, canActivate: bool = False) -> None:
        """Nobody sleeps here."""

    def pauseThread(self, process: object) -> None:
        """Nobody runs here."""

    def isThreadPaused(self, process: object) -> bool:
        return False


NO_SCHEDULER: Any = _NoScheduler()
