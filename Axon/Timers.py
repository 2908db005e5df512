"""
Calls that are due at a time
============================
A heap of (time, number, timer). Two things make it cheap for what components do, which is to set a
time-out, be woken by a message first, and set it again:

* a timer that is moved later leaves its entry where it is; when that comes up, the timer is put
  back at its real time, so ten thousand postponements cost the heap one move;
* a cancelled timer is left until it comes up, unless most of the heap is of that kind: then the
  heap is made anew.

Example Usage
-------------
Through a scheduler::

    timer = scheduler.run.call_later(5.0, on_timeout)  # seconds
    timer.cancel()
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count

_LITTER = 64

Failed = Callable[[Callable[..., object], Exception], object]


class Timer:
    """A call due at a time (``when``, by the scheduler's clock)."""

    __slots__ = ("_call", "_entry", "_heap", "when")

    def __init__(self, heap: TimerHeap, when: float, call: Callable[[], object]) -> None:
        self._heap = heap
        self._call: Callable[[], object] | None = call
        self._entry = when
        self.when = when

    @property
    def pending(self) -> bool:
        return self._call is not None

    def cancel(self) -> None:
        """Forget the call; harmless if it was made or cancelled already."""
        if self._call is not None:
            self._call = None
            self._heap.one_was_cancelled()

    def postpone(self, when: float) -> bool:
        """Move a pending timer to another time. False: it cannot be (it has run, or when is
        sooner): make a new one."""
        if self._call is None or when < self._entry:
            return False
        self.when = when
        return True


class TimerHeap:
    """TimerHeap() -> the timers of one scheduler."""

    __slots__ = ("_cancelled", "_numbers", "entries")

    def __init__(self) -> None:
        # The number keeps those of the same moment in the order in which they were set.
        self.entries: list[tuple[float, int, Timer]] = []
        self._numbers = count()
        self._cancelled = 0

    def __len__(self) -> int:
        return len(self.entries)

    def add(self, when: float, call: Callable[[], object]) -> Timer:
        timer = Timer(self, when, call)
        heappush(self.entries, (when, next(self._numbers), timer))
        return timer

    def next_due(self) -> float:
        """Time of the earliest entry. Raises IndexError if there is none."""
        return self.entries[0][0]

    def one_was_cancelled(self) -> None:
        self._cancelled += 1
        if self._cancelled > _LITTER and self._cancelled * 2 > len(self.entries):
            # In place: run() may be going through this very list.
            self.entries[:] = [entry for entry in self.entries if entry[2].pending]
            heapify(self.entries)
            self._cancelled = 0

    def run(self, now: float, failed: Failed | None = None) -> None:
        """Make the calls that are due; not those set meanwhile: components get their turn. A call
        that fails is told to failed(call, error), else it raises."""
        entries = self.entries
        for _ in range(len(entries)):
            if not entries or entries[0][0] > now:  # a call may have cancelled many
                break
            timer = heappop(entries)[2]
            if timer._call is None:
                self._cancelled = max(0, self._cancelled - 1)
            elif timer.when > now:
                timer._entry = timer.when
                heappush(entries, (timer.when, next(self._numbers), timer))
            else:
                call, timer._call = timer._call, None
                try:
                    call()
                except Exception as error:
                    if failed is None:
                        raise
                    failed(call, error)
