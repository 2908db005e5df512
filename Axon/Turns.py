"""
Turns: the loop that runs microprocesses
========================================
What the scheduler does from one moment to the next. Axon.Scheduler puts on top of it what others
ask of a scheduler.

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

Collections. A producer that sent and then slept is to be woken when its message has been taken.
Doing so at the collection would cost a fan-in half its speed, for a wake-up that hardly any program
needs. So the outboxes that were used are noted, each once, and looked at when nobody is awake, or
after some thousand turns: a sleeping producer whose message is gone is woken, one whose message
still lies there is from then on woken by the collection itself. A send pays a few nanoseconds,
however many links there are.

Example Usage
-------------
Through a scheduler; to run its microprocesses in another order override the turns of a slice::

    class Backwards(scheduler):
        def _slice(self, turns):
            super()._slice(iter(list(turns)[::-1]))
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from operator import length_hint
from typing import Any

from Axon.Box import Outbox
from Axon.Failures import describe, left_in_the_middle
from Axon.Guards import guard_of, log_only
from Axon.Guests import Guest
from Axon.Ipc import WaitComplete, newComponent, reactivate, shutdownMicroprocess
from Axon.Microprocess import microprocess
from Axon.Stages import DONE, RAN_OUT, for_a_time, not_begun, not_yet
from Axon.Timers import TimerHeap
from Axon.Waiter import EpollWaiter, Waiter
from Axon.Watched import Watched

_FIRST_SLICE = 64
_SHORTEST_SLICE, _LONGEST_SLICE = 4, 256
_SLOW, _QUICK = 0.001, 0.000_25  # seconds a slice should take, at the most and at the least
_TRIM = 512
_TURNS_BETWEEN_LOOKS = 4096
REAL_CLOCK = time.monotonic


class Turns(Watched):
    """The running half of a scheduler."""

    __slots__ = (
        "_calls",
        "_guests",
        "_immortal",
        "_last_turns",
        "_poked",
        "_slice_length",
        "_stopping",
        "_timers",
        "_turns",
        "_unread",
        "_used",
        "_used_outboxes",
        "_waiter",
        "_watched_since",
        "clock",
        "linger",
        "thread_id",
    )

    wait_for_one = False  # True: a run does not end before something has been activated

    def __init__(self, clock: Callable[[], float], waiter: Waiter | None) -> None:
        self.threads: dict[microprocess, None] = {}
        self._ready: list[microprocess] = []
        self._append = self._ready.append
        super().__init__()
        self.clock = clock
        self.thread_id: int | None = None
        self.linger = False
        """True: a run does not end when nobody is left, only by stop()."""
        self._unread = iter(self._ready)
        self._used = 0
        self._slice_length = _FIRST_SLICE
        self._watched_since = time.monotonic()
        self._used_outboxes: list[Outbox] = []  # those through which somebody sent
        self._turns = 0  # since those were last looked at
        self._poked: dict[microprocess, None] = {}  # woken while awake
        self._calls: deque[Callable[[], object]] = deque()
        self._timers = TimerHeap()
        self._waiter: Waiter = waiter if waiter is not None else EpollWaiter()
        self._waiter.failed = self._callback_failed
        self._guests: dict[object, Guest] = {}
        self._immortal = False
        self._last_turns: list[microprocess] = []  # those still to come when stop() was called
        self._stopping = False

    # ---- taking on

    def _addThread(self, process: Any) -> None:
        """Take a new microprocess on, or anything with next(); from any thread."""
        if not isinstance(process, microprocess) or type(process).next is not microprocess.next:
            if process not in self._guests:
                self._guests[process] = Guest(process)
            process = self._guests[process]
        process._axon_scheduler = self
        if self.thread_id is None or self.thread_id == threading.get_ident():
            self._adopt(process)
        else:
            self._calls.append(lambda: self._adopt(process))
            self._waiter.wake()

    def _adopt(self, process: microprocess) -> None:
        if process in self.threads:
            process.unpause()
            return
        if self.wait_for_one:
            self.wait_for_one = False
        self.threads[process] = None
        self._append(process)
        if self._instruments:
            self._tell("activated", process)

    def _adopt_asleep(self, process: microprocess) -> None:
        """Take one on that has nothing to do before it is woken. Only in the scheduler's thread."""
        process._axon_scheduler = self  # type: ignore[assignment]  # we are half of one
        process._asleep = self._to_wake
        self.threads[process] = None
        if self._instruments:
            self._tell("activated", process)

    # ---- turns

    def _rewind(self) -> None:
        """Drop the used part of the run queue."""
        del self._ready[: len(self._ready) - length_hint(self._unread)]
        self._unread = iter(self._ready)
        self._used = 0

    def _turn_over(self, timeout: float | None) -> bool:
        """A slice, then a look at everything else; with nobody awake wait up to timeout seconds
        (None: no limit; 0: not at all). False: the run is over."""
        length = self._slice_length
        self._slice(islice(self._unread, length))
        if self._stopping:
            self._stop_all()
            return False
        left = length_hint(self._unread)
        if not left:
            self._rewind()
            return self._rest(timeout)
        self._used += length
        if self._used > _TRIM and self._used > left:
            self._count_turns(self._used)
            self._rewind()
        if self._waiter.busy or self._calls or self._timers.entries:
            took = time.monotonic() - self._watched_since
            if took > _SLOW:
                self._slice_length = max(_SHORTEST_SLICE, length >> 1)
            elif took < _QUICK:
                self._slice_length = min(_LONGEST_SLICE, length << 1)
            self._look(0)
            self._watched_since = time.monotonic()
        return True

    def _rest(self, timeout: float | None) -> bool:
        """Nobody is awake: look for those whose messages were taken, then wait."""
        if self._used_outboxes:
            if self._waiter.busy or self._calls or self._timers.entries:
                self._look(0)
            if not self._ready:
                self._wake_senders()
            if self._ready:
                return True
        if not (self.threads or self._calls or self.linger or self.wait_for_one):
            return False
        left_in_the_middle.clear()  # nobody failed at it: do not keep it while we wait
        alive = self._look(timeout)
        self._watched_since = time.monotonic()
        return alive

    def _count_turns(self, turns: int) -> None:
        """After so many turns: also beside those who never sleep, senders are to be woken."""
        self._turns += turns
        if self._used_outboxes and self._turns > _TURNS_BETWEEN_LOOKS:
            self._wake_senders()

    def _wake_senders(self) -> None:
        """Wake those who sent, slept, and whose message has been taken meanwhile."""
        used, self._used_outboxes = self._used_outboxes, []
        self._turns = 0
        for outbox in used:
            owner: Any = outbox.owner
            if owner not in self.threads and owner not in self._guests:
                outbox.unused = True  # it has ended
            elif not owner.asleep:
                self._used_outboxes.append(outbox)  # it may yet fall asleep
            elif owner._asleep is self._to_wake_timed:
                outbox.unused = True  # it sleeps for a time, and is not waiting for this
            elif outbox.settle():
                owner.unpause()

    def _slice(self, turns: Iterator[microprocess]) -> None:
        """One step for each. This is the engine's innermost loop: about 55 ns a turn."""
        append, to_wake, poked = self._append, self._to_wake, self._poked
        if self._instruments:
            turns = self._seen(turns)
        usual = 1  # what nearly every main yields; a small int is one object: identity is enough
        process: microprocess | None = None
        while True:
            try:
                for process in turns:
                    for result in process._axon_gen:  # type: ignore[union-attr]
                        if result is not usual and result is not None:
                            self._special(process, result)
                        asleep = process._asleep
                        if asleep is None or (poked and self._is_poked(process)):
                            append(process)
                        elif asleep is not_yet:
                            process._asleep = to_wake
                        else:
                            self._in_between(process)
                        break
                    else:
                        self._finished(process, ran_out=True)
                return  # noqa: TRY300 - an else would cost the loop nothing but hide its only exit
            except BaseException as error:
                # Outside the inner loop: not failing costs nothing. The iterator stands behind the
                # culprit, so going round once more carries on with the next in line.
                if process is None:
                    raise
                self._failed(process, error)

    def _in_between(self, process: microprocess) -> None:
        """After a turn in which it neither simply went on nor simply paused."""
        if process._asleep is for_a_time:
            process._asleep = self._to_wake_timed
        elif process._asleep is not_begun:  # its first turn, and it did not pause
            process._asleep = None
            self._append(process)

    def _is_poked(self, process: microprocess) -> bool:
        """Was it woken while awake? Then this pause does not count."""
        if process not in self._poked:
            return False
        del self._poked[process]
        process._asleep = None
        return True

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

    # ---- ends

    def _finished(self, process: microprocess, ran_out: bool = False) -> None:
        if process not in self.threads:
            return  # it failed in a callback, and stood in the run queue as well
        if process._axon_stack and not process._axon_stopped:
            process._axon_gen = process._axon_stack.pop()
            if not process.asleep:
                process._asleep = None
            self._append(process)
            return
        del self.threads[process]
        if type(process) is Guest:
            self._guests.pop(process.thing, None)
        value = None
        try:
            try:
                if not process._axon_stopped:
                    if ran_out:
                        process._axon_gen = RAN_OUT  # nothing of it is to be closed
                    process.stop()
            finally:
                process._axon_stopped = True  # whatever an overridden stop() did: this is the end
                try:
                    if process._axon_stack is not None:
                        process._axon_close_mains()
                finally:
                    value = self._say_and_close(process)
        except BaseException:
            process._axon_guard = guard_of(process)  # found now: _axon_forget cuts the way
            raise
        else:
            if process._axon_guard is not None or guard_of(process) is not None:
                process._axon_guard = log_only  # whatever still calls it, and fails, fails alone
        finally:
            if self._instruments:
                self._tell("ended", process)
            process._axon_forget()
            if self._poked:
                self._poked.pop(process, None)
        if value:
            self.handleMicroprocessShutdownKnockon(value)

    def _say_and_close(self, process: microprocess) -> object:
        try:
            if not self._stopping:
                process._axon_last_words()
        finally:
            value = process._closeDownMicroprocess()
        return value

    def handleMicroprocessShutdownKnockon(self, knockon: object) -> None:
        """What the end of a microprocess (its ``_closeDownMicroprocess``) asks for: another to go
        on (reactivate), or others to stop (shutdownMicroprocess)."""
        if isinstance(knockon, reactivate):
            original: Any = knockon.original
            if original in self.threads:
                original.unpause()
            else:
                self._addThread(original)
        elif isinstance(knockon, shutdownMicroprocess):
            for process in knockon.microprocesses():
                process.stop()  # type: ignore[attr-defined]

    def _failed(self, culprit: microprocess, error: BaseException) -> None:
        """Reap the culprit; then hand the exception to whoever isolates it, or let it out with a
        note.

        SystemExit and KeyboardInterrupt are not failures of a component and always get out.
        """
        culprit._axon_stack = None  # a detour that failed: main does not go on
        guard = guard_of(culprit) or (log_only if self._immortal else None)
        error.add_note(describe(culprit, error))
        if self._instruments:
            self._tell("failed", culprit, error)
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

    def _stop_all(self) -> None:
        turns, self._last_turns = self._last_turns, []
        try:
            self._slice(iter(turns))  # the cycle in which stop() was called is finished
        finally:
            self._end_all()

    def _end_all(self) -> None:
        first: Exception | None = None
        while self.threads:  # no loop over a copy: a stop() may activate others
            process = next(iter(self.threads))
            process._axon_stack = None
            try:
                self._finished(process)
            except Exception as error:  # noqa: BLE001 - one bad stop() must not keep the others from theirs
                try:
                    self._failed(process, error)  # to its guard, if it has one
                except Exception as unguarded:  # noqa: BLE001 - raised when all have been stopped
                    first = first or unguarded
        self._stopping = False
        self._ready.clear()
        self._unread = iter(self._ready)
        if first is not None:
            raise first

    # ---- everything else there is to wait for

    def _look(self, timeout: float | None) -> bool:
        """Serve file descriptors, calls and timers; block until there is one of them or timeout
        seconds are over (None: no limit; 0: not at all)."""
        timers, calls = self._timers, self._calls
        if timers.entries and timeout != 0:
            due = max(0.0, timers.next_due() - self.clock())
            timeout = due if timeout is None else min(timeout, due)
        alive = True
        if timeout != 0 or self._waiter.busy:
            alive = self._waiter.wait(timeout, self._has_calls)
        for _ in range(len(calls)):  # not those that arrive meanwhile: components get their turn
            call = calls.popleft()
            try:
                call()
            except Exception as error:  # noqa: BLE001 - goes where those of its component go
                self._callback_failed(call, error)
        if timers.entries:
            timers.run(self.clock(), self._callback_failed)
        return alive or bool(self._ready)

    def _callback_failed(self, call: Any, error: Exception) -> bool:
        """A method of a component that was called for a descriptor, a timer or a thread has failed:
        so has the component. A failure of any other function ends the run. True: do not call it
        again, its component has ended."""
        owner = getattr(call, "__self__", None)
        if not isinstance(owner, microprocess):
            raise error
        if owner in self.threads:
            self._failed(owner, error)
        else:
            error.add_note(describe(owner, error))
            guard = guard_of(owner) or (log_only if self._immortal else None)
            if guard is None:
                raise error
            guard(owner, error)
        return owner not in self.threads

    def _has_calls(self) -> bool:
        return bool(self._calls) or self._stopping
