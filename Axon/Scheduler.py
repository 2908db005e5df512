"""
Who runs next, and what everybody waits for
===========================================
The scheduler gives each awake microprocess one step of its generator in turn, puts those that
paused to sleep, and waits in one place for sockets, timers and threads when nobody is awake.

The run queue is one list that only grows, read through one list iterator; a wake-up and a
re-queueing are both ``list.append``. It is cleared when it is used up and trimmed when its used
part outweighs the rest. No per-cycle copies: a cycle of one or two components, the usual case in a
program that mostly waits, costs as little as one of a thousand.

Turns are taken in slices. Between slices, and only if sockets, calls from threads or timers exist,
those are looked at without blocking. A slice is 64 turns at first, halved when it took over 1 ms
and doubled when under 0.25 ms: a component that never pauses delays a socket by about a
millisecond, and the looking costs little.

A step of a generator is taken by ``for result in gen: ... break``, with "finished" as the for's
else: half the price of next() and its StopIteration, and no exception of a component can be
mistaken for its end.

An exception of a microprocess stops the run and leaves runThreads() with a note that names the
culprit, unless the culprit or one of its parents isolates failures (``microprocess.isolate``): then
it ends alone.

Ctrl-C while runThreads() runs in the main thread becomes an orderly stop: every microprocess's
``stop()`` is called, then KeyboardInterrupt is raised. A second Ctrl-C interrupts at once, for
components that never yield.

Example Usage
-------------
::

    from Axon.Scheduler import scheduler

    scheduler.run.call_later(5.0, scheduler.run.stop)  # seconds
    MyComponent().run()
"""

from __future__ import annotations

import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush
from itertools import count, islice
from operator import length_hint
from time import monotonic, time
from types import FrameType
from typing import Any, ClassVar

from Axon.Ipc import WaitComplete, newComponent
from Axon.Microprocess import DONE, Guard, microprocess
from Axon.Waiter import EpollWaiter, FdCallback, Waiter

_FIRST_SLICE = 64
_SHORTEST_SLICE, _LONGEST_SLICE = 4, 256
_SLOW, _QUICK = 0.001, 0.000_25  # seconds a slice should take, at the most and at the least
_TRIM = 512


class Timer:
    """A call due at a time. Moving it later costs nothing: the heap's entry stays and is put back
    when it comes up."""

    __slots__ = ("_call", "_entry", "_owner", "when")

    def __init__(self, owner: scheduler, when: float, call: Callable[[], object]) -> None:
        self._owner = owner
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
            self._owner._timer_cancelled()

    def postpone(self, when: float) -> bool:
        """Move a pending timer to another time. False: it cannot be (it has run, or when is
        sooner): make a new one."""
        if self._call is None or when < self._entry:
            return False
        self.when = when
        return True


class scheduler(microprocess):
    """scheduler(clock=monotonic, waiter=None) -> runs microprocesses; clock gives seconds for
    timers and pauses."""

    __slots__ = (
        "_append",
        "_calls",
        "_cancelled",
        "_interrupted",
        "_ready",
        "_sequence",
        "_stopping",
        "_timers",
        "_waiter",
        "clock",
        "thread_id",
        "threads",
    )

    # The default instance. The original's interface wants a class attribute of this name, and so
    # hides the method.
    run: ClassVar[Any] = None

    def __init__(
        self, clock: Callable[[], float] = monotonic, waiter: Waiter | None = None, **argd: object
    ) -> None:
        super().__init__()
        if scheduler.run is None:
            scheduler.run = self
        self.clock = clock
        self.threads: dict[microprocess, None] = {}
        self.thread_id: int | None = None
        self._ready: list[microprocess] = []
        self._append = self._ready.append
        self._calls: deque[Callable[[], object]] = deque()
        self._timers: list[tuple[float, int, Timer]] = []
        self._sequence = count()
        self._cancelled = 0
        self._waiter: Waiter = waiter if waiter is not None else EpollWaiter()
        self._stopping = False
        self._interrupted = False

    @property
    def time(self) -> float:
        """Wall-clock time in seconds, as components of the original read it."""
        return time()

    # ---- what microprocesses ask for

    def _addThread(self, process: microprocess) -> None:
        """Take a new microprocess on; from any thread."""
        process.scheduler = self
        if self.thread_id is None or self.thread_id == threading.get_ident():
            self.threads[process] = None
            self._append(process)
        else:
            self.call_from_thread(lambda: self._adopt(process))

    def _adopt(self, process: microprocess) -> None:
        self.threads[process] = None
        self._append(process)

    def wakeThread(self, process: microprocess, canActivate: bool = False) -> None:
        """Wake a microprocess of this scheduler; with canActivate, take on one that it does not
        know yet."""
        if process in self.threads:
            process.unpause()
        elif canActivate:
            self._addThread(process)

    def pauseThread(self, process: microprocess) -> None:
        if process in self.threads and process._asleep is None:
            process._pausing = True

    def isThreadPaused(self, process: microprocess) -> bool:
        return process not in self.threads or process._asleep is not None

    def listAllThreads(self) -> list[microprocess]:
        """Every active microprocess, awake or asleep."""
        return list(self.threads)

    # ---- timers, threads, file descriptors

    def call_at(self, when: float, call: Callable[[], object]) -> Timer:
        """Call call() once clock() has reached when."""
        timer = Timer(self, when, call)
        heappush(self._timers, (when, next(self._sequence), timer))
        return timer

    def call_later(self, seconds: float, call: Callable[[], object]) -> Timer:
        return self.call_at(self.clock() + seconds, call)

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

    def _timer_cancelled(self) -> None:
        self._cancelled += 1
        if self._cancelled > 64 and self._cancelled * 2 > len(self._timers):
            # In place: the running loop holds this very list.
            self._timers[:] = [entry for entry in self._timers if entry[2].pending]
            heapify(self._timers)
            self._cancelled = 0

    def _run_timers(self) -> None:
        timers = self._timers
        now = self.clock()
        for _ in range(len(timers)):  # not those set meanwhile: components get their turn
            if not timers or timers[0][0] > now:  # a call may have cancelled many
                break
            timer = heappop(timers)[2]
            if timer._call is None:
                self._cancelled = max(0, self._cancelled - 1)
            elif timer.when > now:
                timer._entry = timer.when
                heappush(timers, (timer.when, next(self._sequence), timer))
            else:
                call, timer._call = timer._call, None
                call()

    # ---- running

    def runThreads(self, slowmo: float = 0) -> None:
        """Run until no microprocess is left, or stop() is called. slowmo: seconds to wait before
        each cycle.

        Raises what a microprocess raised and nobody isolated, KeyboardInterrupt after an orderly
        stop, and RuntimeError when it runs already."""
        if self.thread_id is not None:
            raise RuntimeError(
                "this scheduler runs already: activate() components instead of running it again"
            )
        self.thread_id = threading.get_ident()
        restore = self._catch_interrupts()
        try:
            self._loop(slowmo)
        finally:
            self.thread_id = None
            restore()
            # Also when an exception, or the last one's end, came first: the next run is a new one.
            self._stopping = False
            interrupted, self._interrupted = self._interrupted, False
        if interrupted:
            raise KeyboardInterrupt

    def stop(self) -> None:
        """End the run: stop() is called on every microprocess, asleep or not. Afterwards the
        scheduler is as new."""
        self._stopping = True
        self._waiter.wake()

    def _catch_interrupts(self) -> Callable[[], object]:
        """Turn Ctrl-C into an orderly stop while we run; returns the function that undoes it.

        The interpreter's wake-up file is set for every signal: without it one that arrives between
        the last look and the blocking system call would be handled only when something else
        happens."""
        if threading.current_thread() is not threading.main_thread():
            return lambda: None
        before = signal.set_wakeup_fd(self._waiter.wakeup_fd(), warn_on_full_buffer=False)
        ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler

        def interrupt(signum: int, frame: FrameType | None) -> None:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self._interrupted = True
            self.stop()

        def restore() -> None:
            signal.set_wakeup_fd(before)
            if ours:
                signal.signal(signal.SIGINT, signal.default_int_handler)

        if ours:
            signal.signal(signal.SIGINT, interrupt)
        return restore

    def _loop(self, slowmo: float) -> None:
        ready = self._ready
        waiter, calls, timers = self._waiter, self._calls, self._timers
        slice_length = _FIRST_SLICE
        unread = iter(ready)
        used = 0
        last = monotonic()
        try:
            while True:
                if slowmo:
                    self._slow_down(slowmo)
                    slice_length = length_hint(unread)  # exactly one cycle
                self._slice(islice(unread, slice_length))
                if self._stopping:
                    break
                used += slice_length
                left = length_hint(unread)
                if not left:
                    ready.clear()
                    unread = iter(ready)
                    used = 0
                    if not (self.threads or calls) or not self._look(None):
                        break
                    last = monotonic()
                    continue
                if used > _TRIM and used > left:
                    del ready[: len(ready) - left]
                    unread = iter(ready)
                    used = 0
                if waiter.busy or calls or timers:
                    took = monotonic() - last
                    if took > _SLOW:
                        slice_length = max(_SHORTEST_SLICE, slice_length >> 1)
                    elif took < _QUICK:
                        slice_length = min(_LONGEST_SLICE, slice_length << 1)
                    self._look(0)
                    last = monotonic()
        finally:
            # However it ends: those that had their turn are not to have it again in the next run.
            del ready[: len(ready) - length_hint(unread)]
        if self._stopping:
            self._stop_all()

    def _slice(self, turns: Iterator[microprocess]) -> None:
        """One step for each. This is the engine's innermost loop: about 55 ns a turn."""
        append = self._append
        usual = 1  # what nearly every main yields; a small int is one object: identity is enough
        process: microprocess | None = None
        while True:
            try:
                for process in turns:
                    for result in process._axon_gen:  # type: ignore[union-attr]
                        if result is not usual and result is not None:
                            self._special(process, result)
                        if process._pausing:
                            process._pausing = False
                            if process._poked:
                                process._poked = False
                                append(process)
                            else:
                                process._asleep = append
                        else:
                            append(process)
                        break
                    else:
                        self._finished(process)
                return  # noqa: TRY300 - an else would cost the loop nothing but hide its only exit
            except BaseException as error:
                # Outside the inner loop: not failing costs nothing. The iterator stands behind the
                # culprit, so going round once more carries on with the next in line.
                if process is None:
                    raise
                self._failed(process, error)

    def _special(self, process: microprocess, result: object) -> None:
        """The two things a main may yield that mean something; anything else is as good as 1."""
        if isinstance(result, newComponent):
            for component in result.components():
                component.activate(Scheduler=self)  # type: ignore[attr-defined]
        elif isinstance(result, WaitComplete) and not process._axon_stopped:
            # The generator takes the place of main until it ends; the component stays what sleeps
            # and is woken.
            process._axon_stack = [*(process._axon_stack or ()), process._axon_gen or DONE]
            process._axon_gen = result.args[0]

    def _finished(self, process: microprocess) -> None:
        if process._axon_stack and not process._axon_stopped:
            process._axon_gen = process._axon_stack.pop()
            process._pausing = False
            self._append(process)
            return
        self.threads.pop(process, None)
        try:
            try:
                if not process._axon_stopped:
                    process.stop()
            finally:
                process._axon_stopped = True  # whatever an overridden stop() did: this is the end
                process._closeDownMicroprocess()
        except BaseException:
            process._axon_guard = _guard_of(process)  # found now: _forget cuts the way
            raise
        finally:
            process._forget()

    def _failed(self, culprit: microprocess, error: BaseException) -> None:
        """Reap the culprit; then hand the exception to whoever isolates it, or let it out with a
        note.

        SystemExit and KeyboardInterrupt are not failures of a component and always get out.
        """
        culprit._axon_stack = None
        guard = _guard_of(culprit)
        error.add_note(f"raised in component {culprit.name}")
        second: Exception | None = None
        if culprit in self.threads:
            try:
                self._finished(culprit)
            except Exception as raised:  # noqa: BLE001 - goes where the first one goes
                raised.add_note(
                    f"raised while {culprit.name} was closed down after another exception"
                )
                second = raised
        if guard is None or not isinstance(error, Exception):
            if second is not None:
                raise second from error
            raise error
        guard(culprit, error)
        if second is not None:
            guard(culprit, second)

    def _look(self, timeout: float | None) -> bool:
        """Serve file descriptors, calls and timers; block until there is one of them or timeout
        seconds are over (None: no limit; 0: not at all)."""
        timers, calls = self._timers, self._calls
        if timers and timeout != 0:
            due = max(0.0, timers[0][0] - self.clock())
            timeout = due if timeout is None else min(timeout, due)
        alive = True
        if timeout != 0 or self._waiter.busy:
            alive = self._waiter.wait(timeout, self._has_calls)
        for _ in range(len(calls)):  # not those that arrive meanwhile: components get their turn
            calls.popleft()()
        if timers:
            self._run_timers()
        return alive or bool(self._ready)

    def _has_calls(self) -> bool:
        return bool(self._calls) or self._stopping

    def _stop_all(self) -> None:
        self._stopping = False
        first: Exception | None = None
        while self.threads:  # no loop over a copy: a stop() may activate others
            process = next(iter(self.threads))
            process._axon_stack = None
            try:
                self._finished(process)
            except Exception as error:  # noqa: BLE001 - one bad stop() must not keep the others from theirs
                error.add_note(f"raised while {process.name} was stopped")
                first = first or error
        self._ready.clear()
        if first is not None:
            raise first

    def _slow_down(self, seconds: float) -> None:
        until = self.clock() + seconds
        while not self._stopping and (left := until - self.clock()) > 0:
            self._look(left)


def _guard_of(process: microprocess | None) -> Guard | None:
    while process is not None:
        if process._axon_guard is not None:
            return process._axon_guard
        process = process._axon_parent
    return None


microprocess.setSchedulerClass(scheduler)
scheduler()
