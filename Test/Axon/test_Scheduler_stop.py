"""How stop() ends a run: everything is stopped, and the scheduler is as new."""

import threading
from collections.abc import Callable, Iterator

import pytest

from Axon.Ipc import WaitComplete
from Axon.Scheduler import scheduler
from Test.Axon.scripts import Script, counter, sleeper


def busy(until: threading.Event) -> Callable[[Script], Iterator[object]]:
    def script(self: Script) -> Iterator[object]:
        while not until.is_set():
            yield 1

    return script


def test_stop_by_a_component_stops_all_and_leaves_the_scheduler_as_new(engine: scheduler) -> None:
    def ender(self: Script) -> Iterator[object]:
        yield 1
        engine.stop()
        yield 1

    parts = [Script(sleeper).activate(Scheduler=engine) for _ in range(3)]
    parts.append(Script(busy(threading.Event())).activate(Scheduler=engine))
    parts.append(Script(ender).activate(Scheduler=engine))
    engine.runThreads()
    assert [one.stops for one in parts] == [1] * 5
    assert engine.listAllThreads() == []
    turns: list[str] = []
    Script(counter(turns, 3), "x").activate(Scheduler=engine)
    engine.runThreads()
    assert turns == ["x"] * 3


def test_stop_from_a_thread_reaches_a_blocked_scheduler(engine: scheduler) -> None:
    for _ in range(20):
        asleep = threading.Event()
        one = Script(sleeper).activate(Scheduler=engine)
        engine.call_from_thread(asleep.set)

        def from_outside(asleep: threading.Event = asleep) -> None:
            asleep.wait(10)
            engine.stop()

        thread = threading.Thread(target=from_outside)
        thread.start()
        engine.runThreads()
        thread.join()
        assert one.stops == 1


def test_stop_reaches_a_component_in_a_detour(engine: scheduler) -> None:
    def script(self: Script) -> Iterator[object]:
        yield WaitComplete(sleeper(self))
        raise AssertionError("must not come back")

    one = Script(script).activate(Scheduler=engine)
    engine.call_later(0.01, engine.stop)
    engine.runThreads()
    assert one.stops == 1


def test_a_bad_stop_keeps_no_other_from_its_own(engine: scheduler) -> None:
    class Bad(Script):
        def stop(self) -> None:
            raise ValueError("bad stop")

    parts = [Script(sleeper), Bad(sleeper, "culprit"), Bad(sleeper), Script(sleeper)]
    for one in parts:
        one.activate(Scheduler=engine)
    parts[0].link((parts[3], "outbox"), (parts[0], "inbox"))
    parts[1].link((parts[0], "outbox"), (parts[3], "inbox"))
    engine.call_later(0.01, engine.stop)
    with pytest.raises(ValueError, match="bad stop") as raised:
        engine.runThreads()
    assert "culprit" in " ".join(raised.value.__notes__)
    assert (parts[0].stops, parts[3].stops) == (1, 1)
    assert engine.listAllThreads() == []
    assert parts[0].outboxes["outbox"].target is None  # closed down all the same
    engine.runThreads()  # would block for ever, were one left


def test_what_a_stop_activates_is_stopped_too(engine: scheduler) -> None:
    late = Script(sleeper)

    class Reviver(Script):
        def stop(self) -> None:
            super().stop()
            late.activate(Scheduler=engine)

    Reviver(sleeper).activate(Scheduler=engine)
    engine.call_later(0.01, engine.stop)
    engine.runThreads()
    assert late.stops == 1
    assert engine.listAllThreads() == []
    engine.runThreads()


def test_one_stop_may_stop_another(engine: scheduler) -> None:
    class Parent(Script):
        def stop(self) -> None:
            super().stop()
            child.stop()

    child = Script(sleeper)
    Parent(sleeper).activate(Scheduler=engine)
    child.activate(Scheduler=engine)
    engine.call_later(0.01, engine.stop)
    engine.runThreads()
    assert child.stops == 1
    assert engine.listAllThreads() == []


def test_a_stop_that_forgets_its_super_ends_it_all_the_same(engine: scheduler) -> None:
    class Forgetful(Script):
        def stop(self) -> None:
            """Does not call super."""

    one = Forgetful(sleeper).activate(Scheduler=engine)
    engine.call_later(0.01, engine.stop)
    engine.runThreads()
    assert one._isStopped()
    assert engine.listAllThreads() == []


def test_what_was_stopped_while_awake_is_closed_down_once(engine: scheduler) -> None:
    class Closing(Script):
        def _closeDownMicroprocess(self) -> object:
            closed.append(self.name)
            return super()._closeDownMicroprocess()

    closed: list[str] = []
    Closing(busy(threading.Event()), "x").activate(Scheduler=engine)
    engine.call_later(0.001, engine.stop)
    engine.runThreads()
    engine.runThreads()
    assert closed == ["x"]


def test_a_stop_that_comes_with_an_error_does_not_spoil_the_next_run(engine: scheduler) -> None:
    def script(self: Script) -> Iterator[object]:
        yield 1
        engine.stop()
        raise ValueError("first")

    turns: list[str] = []
    Script(script).activate(Scheduler=engine)
    with pytest.raises(ValueError, match="first"):
        engine.runThreads()
    Script(counter(turns, 500), "y").activate(Scheduler=engine)
    engine.runThreads()
    assert turns == ["y"] * 500


def test_a_stop_that_comes_with_the_last_end_does_not_spoil_the_next_run(
    engine: scheduler,
) -> None:
    class Last(Script):
        def _closeDownMicroprocess(self) -> object:
            engine.stop()
            return super()._closeDownMicroprocess()

    turns: list[str] = []
    Last(counter(turns, 1), "x").activate(Scheduler=engine)
    engine.runThreads()
    Script(counter(turns, 500), "y").activate(Scheduler=engine)
    engine.runThreads()
    assert turns == ["x"] + ["y"] * 500
