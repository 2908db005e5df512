"""
Time and order under a test's control
=====================================
Two things make the same program behave differently from run to run: time, and who happens to be
awake first. Here both belong to the test.

* ``FakeClock`` is the time, and stands still until somebody moves it.
* ``VirtualWaiter`` moves it instead of sleeping: a program that waits an hour ends at once.
* ``SeededScheduler`` gives the awake components their turns in an order that a seed decides. A
  component that only works because its neighbour always ran first is found by some seed, and found
  again by the same one.

The order depends on the seed and on what the components do, and on nothing else: not on addresses,
hashes, the speed of the machine. (Threads are the exception: what they send arrives when it
arrives.) That is why a SeededScheduler serves timers and calls only between cycles. The plain
scheduler looks at them whenever its slice of turns has taken long enough, which no two runs agree
about.

Example Usage
-------------
Ten orders of the same program, an hour each, in no time::

    for seed in range(10):
        engine = SeededScheduler(seed)
        Server().activate(Scheduler=engine)
        engine.go(seconds=3600)
        print(engine.clock(), list(engine.trace)[-3:])
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from itertools import islice
from operator import length_hint
from random import Random
from typing import TYPE_CHECKING

from Axon.Microprocess import microprocess
from Axon.Scheduler import scheduler

if TYPE_CHECKING:
    from Axon.Waiter import FdCallback

REAL_PATIENCE_SECONDS = 20.0
"""How long, in real time, a thread may be silent while nothing else can happen."""

REAL_GRACE_SECONDS = 0.05
"""How long, in real time, threads are given before virtual time moves on without them."""

_ROUNDING = 1e-9  # 0.1 + 0.1 + 0.1 seconds are still "within 0.3"
_REMEMBERED_TURNS = 10_000
_BUSY_CYCLES = 100_000


class FakeClock:
    """FakeClock(start=0.0) -> call it for the time in seconds; advance() moves it and wakes
    schedulers that wait."""

    def __init__(self, start: float = 0.0) -> None:
        self._now = start
        self._watchers: list[scheduler] = []

    def __call__(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        """Move time on; timers of attached schedulers that are now due will run. From any
        thread."""
        self._now += seconds
        for watcher in self._watchers:
            watcher.call_from_thread(_nothing)

    def attach(self, watcher: scheduler) -> None:
        """Wake this scheduler whenever the clock is moved by hand."""
        self._watchers.append(watcher)


def _nothing() -> None:
    """A call that only makes its scheduler look at its timers again."""


class VirtualWaiter:
    """VirtualWaiter(clock) -> lets a scheduler wait in virtual time: instead of sleeping it moves
    the clock, but not past ``deadline`` (None: as far as the timers lead).

    There are no file descriptors in virtual time. Threads there are: while one is held, waiting
    means waiting for it. Raises TimeoutError if, without a deadline, a thread stays silent for
    REAL_PATIENCE_SECONDS."""

    def __init__(self, clock: FakeClock) -> None:
        self.busy = False
        self.failed: Callable[[FdCallback, Exception], bool] | None = None
        self.deadline: float | None = None
        self.patience = REAL_GRACE_SECONDS  # real seconds for threads before giving a deadline up
        self._clock = clock
        self._held = 0
        self._called = threading.Event()

    def register(self, fd: int, events: int, callback: FdCallback) -> None:
        raise NotImplementedError(
            "there are no file descriptors in virtual time: use a real scheduler"
        )

    def modify(self, fd: int, events: int) -> None:
        """There can be none."""

    def unregister(self, fd: int) -> None:
        """There can be none."""

    def wait(self, timeout: float | None, has_calls: Callable[[], bool]) -> bool:
        if timeout == 0 or has_calls():
            return True
        if self._held and self._thread_called(timeout):
            return True
        return timeout is not None and self._move(timeout)

    def _move(self, seconds: float) -> bool:
        """Let so much time pass; False: the deadline comes first."""
        when = self._clock._now + seconds
        if self._beyond(when):
            return False
        self._clock._now = when
        return True

    def _beyond(self, when: float) -> bool:
        return self.deadline is not None and when > self.deadline + _ROUNDING

    def _thread_called(self, timeout: float | None) -> bool:
        """Give the threads some real time; False if all of them were silent."""
        if timeout is not None and not self._beyond(self._clock._now + timeout):
            patience = REAL_GRACE_SECONDS
        else:
            patience = REAL_PATIENCE_SECONDS if self.deadline is None else self.patience
        called = self._called.wait(patience)
        self._called.clear()
        if not called and timeout is None and self.deadline is None:
            raise TimeoutError(f"a thread has been silent for {patience} seconds")
        return called

    def wake(self) -> None:
        self._called.set()

    def wakeup_fd(self) -> int:
        return -1

    def hold(self) -> None:
        self._held += 1

    def release(self) -> None:
        self._held -= 1

    def embed(self, on: bool) -> int:
        return -1

    def close(self) -> None:
        """Nothing to give back."""


def virtual_scheduler(clock: FakeClock | None = None) -> scheduler:
    """A scheduler of its own in virtual time: runThreads() ends when nothing can happen any
    more."""
    clock = clock if clock is not None else FakeClock()
    return scheduler(clock=clock, waiter=VirtualWaiter(clock))


class BusyWaitError(AssertionError):
    """Components take turn after turn, time stands still, and nothing else comes of it."""


class SeededScheduler(scheduler):
    """SeededScheduler(seed=None, clock=None, tick=0.0) -> a scheduler in virtual time whose
    order of turns is decided by the seed (None: the engine's own order, first awake first).

    tick: seconds that each cycle takes, for components that look at the time again and again
    instead of sleeping. Without it a program in which somebody never sleeps stays at one moment for
    ever; BusyWaitError is raised after ``busy_cycles`` of them."""

    busy_cycles = _BUSY_CYCLES

    def __init__(
        self, seed: int | None = None, clock: FakeClock | None = None, tick: float = 0.0
    ) -> None:
        self.virtual_clock = clock if clock is not None else FakeClock()
        self._virtual = VirtualWaiter(self.virtual_clock)
        super().__init__(clock=self.virtual_clock, waiter=self._virtual)
        self.seed = seed
        self.tick = tick
        self.cycles = 0
        self.trace: deque[tuple[float, str]] = deque(maxlen=_REMEMBERED_TURNS)
        self._random = Random(seed) if seed is not None else None  # noqa: S311 - the same each time
        self._labels: dict[microprocess, str] = {}
        self._numbers: dict[str, int] = {}
        self._until: Callable[[], bool] | None = None
        self._cycles_left: int | None = None
        self._still = (self.virtual_clock(), 0)  # since when, in cycles, the clock has not moved

    # ---- running

    def go(
        self,
        until: Callable[[], bool] | None = None,
        seconds: float | None = None,
        cycles: int | None = None,
        patience: float = REAL_GRACE_SECONDS,
    ) -> bool:
        """Run until the condition holds, so many seconds or cycles have passed, or nothing can
        happen any more, whichever is first; True if the condition holds.

        The condition is looked at before every cycle. Seconds are virtual, except for patience:
        what components with threads are given before the time is up. go() may be called again."""
        clock, virtual = self.virtual_clock, self._virtual
        deadline = None if seconds is None else clock() + seconds
        self._until, self._cycles_left = until, cycles
        virtual.deadline, virtual.patience = deadline, patience
        self._still = (clock(), self.cycles)
        try:
            self.runThreads()
            done = until is not None and until()
            if deadline is not None and not done and cycles is None:
                clock._now = max(clock(), deadline)  # nothing happens until then
            return done
        finally:
            self._until = self._cycles_left = None
            virtual.deadline = None

    def step(self) -> bool:
        """One turn for each that is awake, in no time; False if all sleep or have ended."""
        before = self.cycles
        self.go(seconds=0, cycles=1)
        return self.cycles > before

    def _turn_over(self, timeout: float | None) -> bool:
        """A cycle, or, if nobody is awake, a rest; and never a look at anything else within one."""
        if self._stopping:
            self._stop_all()
            return False
        if self._over():
            return False
        if not length_hint(self._unread):
            return self._rest(timeout)
        self._look(0)
        cycle = list(self._unread)
        self._rewind()
        if self._random is not None:
            self._random.shuffle(cycle)
        self._note(cycle)
        turns = iter(cycle)
        try:
            self._slice(turns)
        finally:
            # One that raised has ended the run, and the others still have their turn to come.
            self._ready[:0] = turns
        return True

    def _note(self, cycle: list[microprocess]) -> None:
        self.cycles += 1
        if self._cycles_left is not None:
            self._cycles_left -= 1
        self.virtual_clock._now += self.tick
        now = self.virtual_clock()
        self.trace.extend((now, self.label(process)) for process in cycle)

    def _over(self) -> bool:
        """True if go() is to return before the next cycle."""
        if self._until is not None and self._until():
            return True
        if self._cycles_left is not None and self._cycles_left <= 0:
            return True
        now = self.virtual_clock()
        if now != self._still[0]:
            self._still = (now, self.cycles)
        elif self.cycles - self._still[1] >= self.busy_cycles:
            raise BusyWaitError(self._who_is_busy())
        return self.tick > 0 and self._virtual._beyond(now + self.tick)

    def _who_is_busy(self) -> str:
        names = ", ".join(self.label(process) for process in islice(self.awake(), 5))
        return (
            f"after {self.busy_cycles} cycles at {self.virtual_clock()} s these are still awake and"
            f" never pause: {names}; give a tick to let time pass while they poll"
        )

    # ---- seeing

    def awake(self) -> list[microprocess]:
        """Those that have a turn in the next cycle."""
        return list(self._ready)

    def label(self, process: microprocess) -> str:
        """A name that is the same in each run: ``Class#1``, ``Class#2`` in the order of their first
        turns, or the name that its author gave it.

        The usual name has a number which counts everything made in this process so far."""
        known = self._labels.get(process)
        if known is None:
            kind = type(process)
            known = process.name
            if known == f"{kind.__module__}.{kind.__name__}_{process.id}":
                number = self._numbers[kind.__name__] = self._numbers.get(kind.__name__, 0) + 1
                known = f"{kind.__name__}#{number}"
            if len(self._labels) > 100 + 2 * len(self.threads):  # forget those that have ended
                self._labels = {p: text for p, text in self._labels.items() if p in self.threads}
            self._labels[process] = known
        return known
