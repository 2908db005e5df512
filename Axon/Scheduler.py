"""
Who runs next, and what everybody waits for
===========================================
The scheduler gives each awake microprocess one step of its generator in turn, puts those that
paused to sleep, and waits in one place for sockets, timers and threads when nobody is awake.

How it does so is in Axon.Turns; this module is what others ask of it.

An exception of a microprocess stops the run and leaves runThreads() with a note that names the
culprit (Axon.Failures), unless the culprit or one of its parents isolates failures
(``microprocess.isolate``), or the scheduler is immortal: then it ends alone.

A run can also be had in small steps, from ``main()``, and inside another program's event loop, from
``start_turns()``, ``take_turns()``, ``may_rest()`` and ``end_turns()`` (Axon.AsyncioBridge).

Example Usage
-------------
::

    from Axon.Scheduler import scheduler

    one = MyComponent()
    scheduler.run.call_later(5.0, one.stop)  # seconds
    one.run()
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from itertools import islice
from operator import length_hint
from typing import Any, ClassVar

from Axon.Guests import Guest
from Axon.Interrupts import catch_interrupts
from Axon.Microprocess import microprocess
from Axon.Stages import not_yet
from Axon.Timers import Timer
from Axon.Turns import REAL_CLOCK, Turns
from Axon.Waiter import FdCallback, Waiter

_LONGEST_SLEEP_SECONDS = 0.05


class Steps:
    """What ``scheduler.main()`` gives: an iterator that also has the original's ``next()``."""

    def __init__(self, running: scheduler, steps: Iterator[object]) -> None:
        self._running = running
        self._steps = steps

    def __iter__(self) -> Steps:
        return self

    def __next__(self) -> object:
        # The scheduler belongs to this thread for one step only: nobody need run it to the end.
        before, self._running.thread_id = self._running.thread_id, threading.get_ident()
        try:
            return next(self._steps)
        finally:
            self._running.thread_id = before

    next = __next__


class scheduler(Turns):
    """scheduler(clock=monotonic, waiter=None) -> runs microprocesses; clock gives seconds for
    timers and pauses."""

    __slots__ = ("_interrupted",)

    # The default instance. The original's interface wants a class attribute of this name, and so
    # hides the method.
    run: ClassVar[Any] = None
    debuggingon = False
    extra: Any = None

    def __init__(
        self, clock: Callable[[], float] = REAL_CLOCK, waiter: Waiter | None = None, **argd: object
    ) -> None:
        super().__init__(clock, waiter)
        if scheduler.run is None:
            scheduler.run = self
        self._interrupted = False

    @property
    def time(self) -> float:
        """Wall-clock time in seconds, as components of the original read it."""
        return time.time()

    # ---- what microprocesses ask for

    def _known(self, process: Any) -> microprocess | None:
        """The microprocess that stands for it, if it is ours."""
        known = self._guests.get(process, process) if self._guests else process
        return known if known in self.threads else None

    def wakeThread(self, process: Any, canActivate: bool = False) -> None:
        """Wake a microprocess of this scheduler; with canActivate, take on one that it does not
        know yet."""
        known = self._known(process)
        if known is not None:
            known.unpause()
        elif canActivate:
            self._addThread(process)

    def pauseThread(self, process: Any) -> None:
        """Put it to sleep, after the step it may be in."""
        known = self._known(process)
        if known is not None and not known.asleep:
            known._asleep = not_yet

    def isThreadPaused(self, process: Any) -> bool:
        known = self._known(process)
        return known is None or known.asleep

    def listAllThreads(self) -> list[Any]:
        """Every active microprocess, awake or asleep."""
        return [one.thing if type(one) is Guest else one for one in self.threads]

    def waitForOne(self) -> None:
        """Do not end before at least one microprocess has been activated."""
        self.wait_for_one = not self.threads

    @classmethod
    def immortalise(cls) -> None:
        """From now on an exception ends only the microprocess that raised it, in the default
        scheduler, and is logged. See microprocess.isolate for a way with less reach."""
        cls.run._immortal = True

    @classmethod
    def mortalise(cls) -> None:
        cls.run._immortal = False

    # ---- timers, threads, file descriptors

    def call_at(self, when: float, call: Callable[[], object]) -> Timer:
        """Call call() once clock() has reached when."""
        return self._timers.add(when, call)

    def call_later(self, seconds: float, call: Callable[[], object]) -> Timer:
        return self._timers.add(self.clock() + seconds, call)

    def call_from_thread(self, call: Callable[[], object]) -> None:
        """Have call() called in the scheduler's own thread, soon; the only entrance for other
        threads."""
        self._calls.append(call)
        self._waiter.wake()

    def register(self, fd: int, events: int, callback: FdCallback) -> None:
        """See Axon.Waiter: callback(events) whenever the file descriptor is ready."""
        self._waiter.register(fd, events, callback)

    def modify(self, fd: int, events: int) -> None:
        self._waiter.modify(fd, events)

    def unregister(self, fd: int) -> None:
        self._waiter.unregister(fd)

    def hold(self) -> None:
        """A thread was started that will call in; release() when it has ended."""
        self._waiter.hold()

    def release(self) -> None:
        self._waiter.release()

    # ---- running

    def runThreads(self, slowmo: float = 0) -> None:
        """Run until no microprocess is left, or stop() is called. slowmo: seconds to wait before
        each cycle.

        Raises what a microprocess raised and nobody isolated, KeyboardInterrupt after an orderly
        stop, and RuntimeError when it runs already."""
        self.start_turns()
        restore: Callable[[], object] = int  # nothing to undo yet
        try:
            restore = catch_interrupts(self._waiter.wakeup_fd(), self._interrupt)
            if slowmo:
                for _ in self._cycles(slowmo, canblock=True):
                    pass
            else:
                while self._turn_over(None):
                    pass
        except BaseException as error:
            if self._stopping and not isinstance(error, KeyboardInterrupt):
                self._end_all()  # a stop that was asked for is carried out, whatever fails
            raise
        finally:
            restore()
            interrupted = self._interrupted
            self.end_turns()
        if interrupted:
            raise KeyboardInterrupt

    def main(self, slowmo: float = 0, canblock: bool = False) -> Any:
        """The same as an iterator of small steps, one before each microprocess's and one a cycle;
        never blocks unless canblock. It ends when no microprocess is left."""
        return Steps(self, self._cycles(slowmo, canblock))

    def start_turns(self) -> None:
        """This thread runs the scheduler until end_turns(). Raises RuntimeError if one does."""
        if self.thread_id is not None:
            raise RuntimeError(
                "this scheduler runs already: activate() components instead of running it again"
            )
        self.thread_id = threading.get_ident()

    def take_turns(self) -> bool:
        """A slice of turns and a look at what is ready, without blocking. False: the run is over.
        Raises what runThreads() would."""
        return self._turn_over(0)

    def may_rest(self) -> float | None:
        """Seconds until there is something to do by itself: 0 now, None when only a file
        descriptor or a thread can bring it."""
        if self._has_calls() or length_hint(self._unread) or self._used_outboxes:
            return 0.0
        return max(0.0, self._timers.next_due() - self.clock()) if self._timers else None

    def embed(self, on: bool) -> int:
        """While another program's loop waits for us: the file descriptor it must watch beside
        may_rest(). -1: there is none."""
        return self._waiter.embed(on)

    def end_turns(self) -> None:
        """The counterpart of start_turns(); afterwards the scheduler can run again."""
        # However it ended: those that had their turn are not to have it again in the next run.
        self._rewind()
        self.thread_id = None
        # Also when an exception, or the last one's end, came first: the next run is a new one.
        self._stopping = False
        self._interrupted = False

    def stop(self) -> None:
        """End the run: when each of those now awake has had its turn, stop() is called on every
        microprocess, asleep or not. Afterwards the scheduler can run again; timers stay set."""
        if self.thread_id == threading.get_ident() and not self._stopping:
            # Taking them here ends the slice: a component that never pauses gets one turn more at
            # the most, not all that are left of the slice.
            self._last_turns = list(self._unread)
        self._stopping = True
        self._waiter.wake()

    def _interrupt(self) -> None:
        self._interrupted = True
        self.stop()

    def _cycles(self, slowmo: float, canblock: bool) -> Iterator[object]:
        """Cycle by cycle: each of those awake once, in their order."""
        while not self._stopping:
            yield 1
            if slowmo:
                yield from self._slow_down(slowmo, canblock)
            for _ in range(length_hint(self._unread)):
                if self._stopping:
                    break
                yield 1
                self._slice(islice(self._unread, 1))
                self._count_turns(1)
            self._rewind()
            if self._ready:
                self._look(0)
            elif not self._stopping and not self._rest(None if canblock else 0):
                break
        if self._stopping:
            self._stop_all()

    def _slow_down(self, seconds: float, canblock: bool) -> Iterator[object]:
        if canblock and self.clock is REAL_CLOCK:
            while not self._stopping and seconds > 0:
                piece = min(seconds, _LONGEST_SLEEP_SECONDS)  # in pieces: stop() is noticed
                time.sleep(piece)
                seconds -= piece
                self._look(0)
            return
        now = time.time if self.clock is REAL_CLOCK else self.clock
        until = now() + seconds
        while not self._stopping and (left := until - now()) > 0:
            if canblock:
                self._look(left)
            else:
                yield 1


microprocess.setSchedulerClass(scheduler)
scheduler()
