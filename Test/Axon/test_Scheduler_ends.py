"""
The end of a run, however it comes: everybody is stopped, and the scheduler can run again.
"""

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from Axon.Scheduler import scheduler
from Test.Axon.scripts import Script, counter, run, sleeper


class BadEnd(Script):
    """Sleeps; its stop() fails, after it has done its work."""

    def __init__(self, name: str) -> None:
        super().__init__(sleeper, name)

    def stop(self) -> None:
        super().stop()
        raise ValueError(self.name)


def stopper(self: Script) -> Iterator[object]:
    yield 1
    self.scheduler.stop()
    yield 1


# ---- an exception in the turn in which stop() was called


def test_a_stop_is_carried_out_although_its_caller_fails_in_the_same_turn(
    engine: scheduler,
) -> None:
    def failing_stopper(self: Script) -> Iterator[object]:
        yield 1
        engine.stop()
        raise ValueError("at the same moment")

    other, asleep = Script(counter([], 5), "other"), Script(sleeper, "asleep")
    with pytest.raises(ValueError, match="at the same moment"):
        run(engine, Script(failing_stopper), other, asleep)
    assert (other.stops, asleep.stops) == (1, 1)
    assert engine.listAllThreads() == []
    turns: list[str] = []
    run(engine, Script(counter(turns, 3), "next"))
    assert turns == ["next"] * 3  # the request has not been left to the next run


# ---- a stop() that fails


def test_each_stop_that_fails_at_the_end_is_told_to_its_own_guard(engine: scheduler) -> None:
    told: list[tuple[str, str]] = []
    for name in "abc":
        one = BadEnd(name)
        one.isolate(lambda culprit, error: told.append((culprit.name, str(error))))
        one.activate(Scheduler=engine)
    run(engine, Script(stopper))
    assert told == [("a", "a"), ("b", "b"), ("c", "c")]
    assert engine.listAllThreads() == []


def test_the_first_stop_without_a_guard_that_fails_is_raised_when_all_have_been_stopped(
    engine: scheduler,
) -> None:
    bad = [BadEnd("a"), BadEnd("b")]
    good = Script(sleeper, "good")
    with pytest.raises(ValueError, match=r"\Aa"):
        run(engine, *bad, good, Script(stopper))
    assert [one.stops for one in (*bad, good)] == [1, 1, 1]
    assert engine.listAllThreads() == []


def test_a_stop_that_fails_in_a_timer_is_told_to_the_guard_of_the_stopped_one(
    engine: scheduler,
) -> None:
    told: list[tuple[str, str]] = []
    one = BadEnd("timed")
    one.isolate(lambda culprit, error: told.append((culprit.name, str(error))))
    engine.call_later(0.0, one.stop)
    run(engine, one)
    assert told[0] == ("timed", "timed")
    assert engine.listAllThreads() == []


# ---- no descriptors left


@contextmanager
def room_for(descriptors: int) -> Iterator[None]:
    """Let the process open so many more files, at the most."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + descriptors, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("room", [0, 1, 2])
def test_a_run_that_found_no_descriptors_loses_none_and_can_be_repeated(
    engine: scheduler, room: int
) -> None:
    turns: list[str] = []
    Script(counter(turns, 2), "one").activate(Scheduler=engine)
    before = open_files()
    with room_for(room), pytest.raises(OSError, match="Too many open files"):
        engine.runThreads()
    assert open_files() == before
    engine.runThreads()
    assert turns == ["one", "one"]


# ---- whose the scheduler is


def test_a_step_of_main_inside_a_run_does_not_take_the_scheduler_from_its_thread(
    engine: scheduler,
) -> None:
    owners: list[int | None] = []

    def script(self: Script) -> Iterator[object]:
        owners.append(engine.thread_id)
        next(engine.main())
        owners.append(engine.thread_id)
        with pytest.raises(RuntimeError, match="runs already"):
            engine.start_turns()
        yield 1

    run(engine, Script(script))
    assert owners[0] is not None
    assert owners[0] == owners[1]
    assert engine.thread_id is None


# ---- signals


@pytest.fixture
def interrupt_handler() -> Iterator[None]:
    """Put the handler of Ctrl-C back afterwards."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interrupt_handler")
def test_a_signal_handler_that_a_component_sets_meanwhile_is_kept(engine: scheduler) -> None:
    def mine(*_: object) -> None:
        """Never called: nobody sends the signal."""

    def script(self: Script) -> Iterator[object]:
        signal.signal(signal.SIGINT, mine)
        yield 1

    run(engine, Script(script))
    assert signal.getsignal(signal.SIGINT) is mine


@pytest.mark.usefixtures("interrupt_handler")
def test_without_that_the_handler_is_the_one_from_before_the_run(engine: scheduler) -> None:
    before = signal.getsignal(signal.SIGINT)
    during: list[object] = []

    def script(self: Script) -> Iterator[object]:
        during.append(signal.getsignal(signal.SIGINT))
        yield 1

    run(engine, Script(script))
    assert during != [before]
    assert signal.getsignal(signal.SIGINT) is before
