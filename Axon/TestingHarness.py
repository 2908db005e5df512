"""
A test's conversation with components
=====================================
The harness is the world of the components under test: it activates them in a SeededScheduler, holds
the other end of every outbox that leads nowhere, and lets time pass only while something is
expected. What a test does not take stays where it is, in order, so a test reads from top to bottom
as what happens does.

When an expectation fails, or anything else raises inside the ``with``, the failure carries a
report: the time, the seed, who sleeps where and until when, what nobody has read, the last turns.

Example Usage
-------------
::

    with harness(Doubler(), seed=17) as h:
        h.put(21)
        h.expect("outbox", 42)
        h.expect_nothing("outbox", during=60)
        h.limit(0)  # the receiver is full from now on
        h.put(1)
        h.settle()
        h.not_ended()
        h.finish()
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from Axon.Component import component
from Axon.Ipc import producerFinished
from Axon.Postoffice import postoffice
from Axon.Scheduler import scheduler
from Axon.TestingMatchers import anything, describe, matches, one_of, show_all
from Axon.TestingReport import Collector, Watch, crashing, report_of
from Axon.TestingTime import FakeClock, SeededScheduler

if TYPE_CHECKING:
    from types import TracebackType

    from Axon.Microprocess import microprocess

THREAD_PATIENCE_SECONDS = 5.0  # real ones, for what a component with a thread is expected to send

Where = str | tuple[component, str]


@contextmanager
def as_default(runner: scheduler) -> Iterator[None]:
    """What components activate with a plain activate() is to run here too."""
    before = scheduler.run
    scheduler.run = runner
    try:
        yield
    finally:
        scheduler.run = before


class ExpectationError(AssertionError):
    """Something came that should not have, or did not that should."""


class Harness:
    """Harness(*components, seed=None, clock=None, tick=0.0, collecting=None) -> a test's
    conversation with them; use it in a ``with``: inside they are active, afterwards they have been
    stopped.

    Outboxes that lead nowhere are collected, but for those that the component is going to link by
    itself: those whose names begin with "_", or with ``collecting`` all that it does not name. A
    box is named by its name, for the first component,
    or by ``(component, name)``. Seconds are virtual. See SeededScheduler for seed and tick."""

    def __init__(
        self,
        *components: component,
        seed: int | None = None,
        clock: FakeClock | None = None,
        tick: float = 0.0,
        collecting: Iterable[str] | None = None,
    ) -> None:
        if not components:
            raise ValueError("harness() is empty: give it at least one component")
        for one in components:
            if not isinstance(one, component):
                raise TypeError(f"harness takes component instances, not {one!r}")
        self._collecting = None if collecting is None else frozenset(collecting)
        self.components = list(components)
        self.scheduler = SeededScheduler(seed, clock, tick)
        self.clock = self.scheduler.virtual_clock
        self._office = postoffice("harness")
        self._ends: dict[tuple[component, str], Collector] = {}
        self._watch: Watch | None = None
        self._default = as_default(self.scheduler)
        self._open: bool | None = None  # None: not yet

    def __enter__(self) -> Self:
        if self._open is None:
            self._open = True
            self._default.__enter__()
            self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._open:
            return
        self._open = False
        if error is not None and not isinstance(error, ExpectationError):
            error.add_note(self.report())
        try:
            self.scheduler.stop()
            self.scheduler.runThreads()
        except Exception as second:
            if error is None:
                raise
            error.add_note(f"and while the components were stopped: {second!r}")
        finally:
            if self._watch is not None:
                self.scheduler.remove_instrument(self._watch)
            self._office.unlinkAll()
            self._default.__exit__(None, None, None)

    def start(self, *components: component) -> None:
        """Activate further components."""
        self.components += components
        for one in self.components:
            for name, outbox in one.outboxes.items():
                if outbox.target is None and (one, name) not in self._ends and self._wanted(name):
                    end = self._ends[one, name] = Collector(name)
                    self._office.link((one, name), (end, end.boxname))
            self.scheduler.label(one)  # numbered in the order of the test, whoever runs first
            if not one.scheduler:
                one.activate(Scheduler=self.scheduler)

    def _wanted(self, outbox: str) -> bool:
        if self._collecting is None:
            return not outbox.startswith("_")
        return outbox in self._collecting

    # ---- putting in

    def put(self, message: Any, box: Where = "inbox") -> None:
        """Put a message into an inbox. Raises noSpaceInBox if it is full, KeyError if there is no
        such box."""
        owner, name = self._place(box)
        owner.inboxes[name].deliver(message)

    def put_all(self, messages: Iterable[Any], box: Where = "inbox") -> None:
        for message in messages:
            self.put(message, box)

    def finish(self, message: Any = None, within: float = 5.0) -> None:
        """Tell the first component to stop, by producerFinished unless another message is given,
        and expect the end of all."""
        __tracebackhide__ = True
        self.put(producerFinished() if message is None else message, "control")
        self.expect_end(within=within)

    # ---- letting happen

    def run_for(self, seconds: float) -> None:
        """Let so much time pass."""
        self.scheduler.go(seconds=seconds)

    def run_until(self, condition: Callable[[], bool], within: float = 5.0) -> None:
        """Run until the condition holds; fails if it does not within so many seconds."""
        __tracebackhide__ = True
        if not self._go(condition, within):
            raise self._failure(f"expected within {within} s that {describe(condition)}")

    def settle(self) -> None:
        """Run until all sleep, without letting time pass."""
        self.scheduler.go(seconds=0)

    def step(self, turns: int = 1) -> None:
        """Give each that is awake so many turns, without letting time pass."""
        for _ in range(turns):
            self.scheduler.step()

    def _go(self, until: Callable[[], bool], seconds: float) -> bool:
        return self.scheduler.go(until, max(0.0, seconds), patience=THREAD_PATIENCE_SECONDS)

    # ---- expecting

    def expect(
        self,
        box: Where = "outbox",
        expected: Any = anything,
        within: float = 5.0,
        skipping: bool = False,
    ) -> Any:
        """Take the next message that was sent to this outbox, and return it. Fails if it does not
        match, or if none comes in time.

        skipping: take and drop messages that do not match. See Axon.TestingMatchers for what may be
        expected."""
        __tracebackhide__ = True
        end, deadline = self._end(box), self.clock() + within
        dropped: list[Any] = []
        wanted = f"expected from {self._called(box)} within {within} s: {describe(expected)}"
        while self._go(lambda: len(end) > 0, deadline - self.clock()):
            message = end.take()
            if matches(expected, message):
                return message
            dropped.append(message)
            if not skipping:
                raise self._failure(wanted, f"came instead: {show_all([message, *end.waiting()])}")
        raise self._failure(
            wanted, f"only came: {show_all(dropped)}" if dropped else "nothing came"
        )

    def expect_all(
        self,
        box: Where,
        expected: Iterable[Any],
        within: float = 5.0,
        in_any_order: bool = False,
    ) -> list[Any]:
        """Take as many messages as are expected, all within so many seconds; returns them as they
        came. In any order: when two senders share a box, their order is the seed's."""
        __tracebackhide__ = True
        missing, deadline = list(expected), self.clock() + within
        taken: list[Any] = []
        while missing:
            first = one_of(*missing) if in_any_order else missing[0]
            taken.append(self.expect(box, first, deadline - self.clock()))
            missing.pop(next(i for i, one in enumerate(missing) if matches(one, taken[-1])))
        return taken

    def expect_nothing(self, box: Where = "outbox", during: float = 1.0) -> None:
        """Let so many seconds pass; fails if a message is or comes into this box."""
        __tracebackhide__ = True
        end = self._end(box)
        if self.scheduler.go(lambda: len(end) > 0, during):
            raise self._failure(
                f"expected nothing from {self._called(box)} during {during} s",
                f"came: {show_all(end.waiting())}",
            )

    def expect_end(self, thecomponent: component | None = None, within: float = 5.0) -> None:
        """Run until the component, or all that the harness was given, have ended."""
        __tracebackhide__ = True
        those = self.components if thecomponent is None else [thecomponent]
        if not self._go(lambda: all(one._isStopped() for one in those), within):
            alive = [self.scheduler.label(one) for one in those if not one._isStopped()]
            raise self._failure(f"expected to end within {within} s: {', '.join(alive)}")

    def not_ended(self, thecomponent: component | None = None) -> None:
        """Fails if the component, or one of those that the harness was given, has ended."""
        __tracebackhide__ = True
        those = self.components if thecomponent is None else [thecomponent]
        ended = [self.scheduler.label(one) for one in those if one._isStopped()]
        if ended:
            raise self._failure(f"expected not to have ended: {', '.join(ended)}")

    def take(self, box: Where = "outbox") -> list[Any]:
        """Take what lies in this box now, without running anything."""
        end = self._end(box)
        return [end.take() for _ in range(len(end))]

    def watch(self, box: Where) -> None:
        """From now on also expect() messages of an outbox that leads to another component; they are
        copies, and the other one gets them as before."""
        if self._watch is None:
            self._watch = Watch()
            self.scheduler.add_instrument(self._watch)
        owner, name = self._place(box)
        end = self._ends[owner, name] = Collector(name)
        self._watch.ends[owner.outboxes[name]] = end

    # ---- doing harm

    def limit(self, size: int | None, box: Where = "outbox") -> None:
        """Let the box that this outbox leads to hold so many messages and no more (0: always full;
        None: no limit). What a test expects is taken out of it, which makes room."""
        self._end(box).box.setSize(size)

    def crash(self, error: BaseException, thecomponent: microprocess | None = None) -> None:
        """Raise this inside a component (the first) at its next turn, where it stands."""
        victim = self.components[0] if thecomponent is None else thecomponent
        crashing(victim, error)

    # ---- seeing

    def report(self) -> str:
        """The time, the seed, who sleeps where, and what nobody has read."""
        return report_of(self.scheduler, self.components, self._ends)

    def _failure(self, *lines: str) -> ExpectationError:
        return ExpectationError("\n".join([*lines, self.report()]))

    def _place(self, box: Where) -> tuple[component, str]:
        return (self.components[0], box) if isinstance(box, str) else box

    def _called(self, box: Where) -> str:
        owner, name = self._place(box)
        return f"{name!r} of {self.scheduler.label(owner)}"

    def _end(self, box: Where) -> Collector:
        owner, name = self._place(box)
        end = self._ends.get((owner, name))
        if end is None:
            why = "leads to another component: watch() it first"
            if name not in owner.outboxes:
                why = f"does not exist, but {', '.join(map(repr, owner.outboxes))}"
            raise KeyError(f"outbox {self._called(box)} {why}")
        return end
