"""
stop() from wherever it is called: the finally clauses of the stopped one run in its own last turn.
"""

import gc
import threading
import weakref
from collections.abc import Callable, Iterator

import pytest

from Axon.Ipc import WaitComplete
from Axon.Scheduler import scheduler
from Test.Axon.scripts import PATIENCE, Script, run, sleeper

TURNS = 1000  # more than a slice has: calls from threads have been looked at by then


def elsewhere(call: Callable[[], object]) -> None:
    """Make a call in another thread, and wait until it has been made."""
    thread = threading.Thread(target=call)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def busy(self: Script) -> Iterator[object]:
    while True:
        yield 1


def end_after(turns: int) -> Script:
    """One that ends the run, so that a sleeper nobody wakes fails the test and does not hang it."""

    def script(self: Script) -> Iterator[object]:
        for _ in range(turns):
            yield 1
        self.scheduler.stop()
        yield 1

    return Script(script, "end")


def test_one_stopped_awake_from_another_thread_leaves_nothing_behind(engine: scheduler) -> None:
    victims = [Script(busy, "victim").activate(Scheduler=engine)]
    seen = weakref.ref(victims[0])
    found: list[object] = []

    def stopper(self: Script) -> Iterator[object]:
        yield 1
        elsewhere(victims.pop().stop)
        for _ in range(TURNS):
            yield 1
        gc.collect()
        found.extend([dict(engine._poked), seen(), [one.name for one in engine.listAllThreads()]])

    run(engine, Script(stopper, "stopper"))
    assert found == [{}, None, ["stopper"]]


def test_one_stopped_asleep_from_another_thread_cleans_up_in_the_schedulers_thread(
    engine: scheduler,
) -> None:
    threads: list[int] = []

    def tidy(self: Script) -> Iterator[object]:
        try:
            yield from sleeper(self)
        finally:
            threads.append(threading.get_ident())

    victim = Script(tidy).activate(Scheduler=engine)

    def stopper(self: Script) -> Iterator[object]:
        yield 1
        elsewhere(victim.stop)
        assert threads == []  # not in the other thread, and not in the middle of this turn
        while victim in engine.threads:
            yield 1

    run(engine, Script(stopper))
    assert threads == [threading.get_ident()]


def test_the_finally_clauses_of_a_stopped_one_run_after_the_turn_of_who_stops_it(
    engine: scheduler,
) -> None:
    order: list[str] = []

    def tidy(self: Script) -> Iterator[object]:
        try:
            yield from sleeper(self)
        finally:
            order.append("finally")

    victim = Script(tidy).activate(Scheduler=engine)

    def stopper(self: Script) -> Iterator[object]:
        yield 1
        victim.stop()
        order.append("stopped")
        yield 1

    run(engine, Script(stopper))
    assert order == ["stopped", "finally"]


def test_what_a_stopped_one_sends_at_last_reaches_the_stopper_although_it_pauses(
    engine: scheduler,
) -> None:
    got: list[object] = []

    def tidy(self: Script) -> Iterator[object]:
        try:
            yield from sleeper(self)
        finally:
            self.send("my last result")

    victim = Script(tidy)
    victim.announces_end = False

    def stopper(self: Script) -> Iterator[object]:
        self.link((victim, "outbox"), (self, "inbox"))
        yield 1
        yield 1
        victim.stop()
        self.pause()
        yield 1
        got.append(self.recv())

    run(engine, victim, Script(stopper), end_after(50))
    assert got == ["my last result"]


@pytest.mark.parametrize("moment", ["in the turn", "when its wait is arranged"])
def test_one_stopped_from_another_thread_at_its_wait_complete_does_not_go_on(
    engine: scheduler, moment: str
) -> None:
    left: list[str] = []

    class Late(WaitComplete):
        """The scheduler is about to put the inner generator in the place of main when stop() comes
        from the other thread."""

        @property
        def args(self) -> tuple[Iterator[object]]:
            elsewhere(victim.stop)
            return (busy(victim),)

    def script(self: Script) -> Iterator[object]:
        yield 1
        if moment == "in the turn":
            elsewhere(self.stop)
            yield WaitComplete(busy(self))
        else:
            yield Late.__new__(Late)

    def witness(self: Script) -> Iterator[object]:
        for _ in range(TURNS):
            yield 1
        left.extend(one.name for one in engine.listAllThreads())
        engine.stop()
        yield 1

    victim = Script(script, "victim")
    run(engine, victim, Script(witness, "witness"))
    assert left == ["witness"]
    assert victim._isStopped()


def test_one_that_stops_itself_does_not_begin_what_it_waits_for(engine: scheduler) -> None:
    steps: list[int] = []

    def inner() -> Iterator[object]:
        steps.append(1)
        yield 1

    def script(self: Script) -> Iterator[object]:
        yield 1
        self.stop()
        yield WaitComplete(inner())
        steps.append(2)

    run(engine, Script(script))
    assert steps == []
    assert engine.listAllThreads() == []
