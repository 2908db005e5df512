"""
Testing components
==================
``drive`` runs one component by itself: messages in, all that it sent out, no wiring and no waiting.
``FakeClock`` is time under the test's control. Together they test a component that waits an hour in
no time and the same way every time.

Example Usage
-------------
What this page calls a test::

    def test_doubles_and_passes_the_shutdown_on():
        out = drive(Doubler(), inbox=[1, 2, 3], control=[producerFinished()])
        assert out["outbox"] == [2, 4, 6]
        assert isinstance(out["signal"][-1], producerFinished)

Time as a test's own::

    clock = FakeClock()
    out = drive(Reminder(after=3600), clock=clock)
    assert clock() == 3600
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from Axon.Component import component
from Axon.Scheduler import scheduler
from Axon.Waiter import FdCallback

REAL_PATIENCE_SECONDS = 20.0


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
    the clock.

    There are no file descriptors in virtual time. Threads there are: while one is held, waiting
    means waiting for it. Raises TimeoutError if a thread stays silent for REAL_PATIENCE_SECONDS.
    """

    def __init__(self, clock: FakeClock) -> None:
        self.busy = False
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
        if self._held:
            if not self._called.wait(REAL_PATIENCE_SECONDS if timeout is None else 0.05):
                if timeout is None:
                    raise TimeoutError(
                        f"a thread has been silent for {REAL_PATIENCE_SECONDS} seconds"
                    )
                self._clock._now += timeout
            self._called.clear()
            return True
        if timeout is None:
            return False
        self._clock._now += timeout
        return True

    def wake(self) -> None:
        self._called.set()

    def wakeup_fd(self) -> int:
        return -1

    def hold(self) -> None:
        self._held += 1

    def release(self) -> None:
        self._held -= 1

    def close(self) -> None:
        """Nothing to give back."""


def virtual_scheduler(clock: FakeClock | None = None) -> scheduler:
    """A scheduler of its own in virtual time: runThreads() ends when nothing can happen any
    more."""
    clock = clock if clock is not None else FakeClock()
    return scheduler(clock=clock, waiter=VirtualWaiter(clock))


class _Collector(component):
    """Takes what one outbox sends. Never runs: an inbox does not need its owner awake to take
    messages."""


def collect(thecomponent: component, names: Iterable[str] | None = None) -> dict[str, list[Any]]:
    """Link outboxes (all, or those named) that lead nowhere to a list each; returns outbox name ->
    list, filled as messages are sent."""
    collected: dict[str, list[Any]] = {}
    for name, outbox in thecomponent.outboxes.items():
        if names is not None and name not in names:
            continue
        messages: list[Any] = []
        collected[name] = messages
        if outbox.target is None:
            sink = _Collector().inboxes["inbox"]
            sink.q = messages  # a list has the append that delivery needs
            sink.addsource(outbox)
    return collected


def drive(
    thecomponent: component,
    *,
    clock: FakeClock | None = None,
    collecting: Iterable[str] | None = None,
    **inboxes: Iterable[Any],
) -> dict[str, list[Any]]:
    """Put the given messages into the named inboxes, run the component until it ends or nothing can
    happen any more, and return all that it sent: outbox name -> list of messages.

    Time is virtual: a pause with a time-out ends at once, with the clock moved on. Messages are all
    there at the start. Raises what the component raises, and KeyError for an inbox it does not
    have."""
    runner = virtual_scheduler(clock)
    sent = collect(thecomponent, collecting)
    for name, messages in inboxes.items():
        for message in messages:
            thecomponent.inboxes[name].deliver(message)
    thecomponent.activate(Scheduler=runner)
    runner.runThreads()
    return sent
