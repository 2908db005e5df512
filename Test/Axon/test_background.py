"""
A scheduler in a thread: it stays, it stops when told to, and what fails in it is heard of.
"""

import logging
import threading
from collections.abc import Iterator

import pytest

from Axon.background import background
from Axon.Component import component
from Axon.CoordinatingAssistantTracker import coordinatingassistanttracker
from Axon.Scheduler import scheduler

PATIENCE = 20.0  # seconds


@pytest.fixture
def default(engine: scheduler) -> Iterator[scheduler]:
    """Make a scheduler of the test's own the default one."""
    before, scheduler.run = scheduler.run, engine
    yield engine
    scheduler.run = before


def fail(afterwards: BaseException | None = None) -> None:
    """Have a component fail in a block, which then raises something of its own."""
    with background() as runner:
        Failing().activate()
        assert runner._thread is not None
        runner._thread.join(PATIENCE)
        if afterwards is not None:
            raise afterwards


class Announcer(component):
    """Says in which thread it runs, and that it was stopped; sleeps between."""

    def __init__(self) -> None:
        super().__init__()
        self.ran, self.stopped = threading.Event(), threading.Event()
        self.thread: threading.Thread | None = None

    def main(self) -> Iterator[object]:
        self.thread = threading.current_thread()
        self.ran.set()
        while True:
            self.pause()
            yield 1

    def stop(self) -> None:
        self.stopped.set()
        super().stop()


class Failing(component):
    def main(self) -> Iterator[object]:
        yield 1
        raise ZeroDivisionError("on purpose")


class FailsToStop(Announcer):
    def stop(self) -> None:
        super().stop()
        raise ValueError("bad stop")


class Stopper(component):
    def main(self) -> Iterator[object]:
        self.runner.stop()
        yield 1

    def __init__(self, runner: background) -> None:
        super().__init__()
        self.runner = runner


def test_it_stays_although_the_system_is_empty_and_runs_what_comes_later(
    default: scheduler,
) -> None:
    """Contract 3.14, the defect: the original ends, and later components never run."""
    with background():
        for _ in range(3):
            one = Announcer().activate()
            assert one.ran.wait(PATIENCE)
            one.stop()
            assert one.stopped.wait(PATIENCE)


def test_components_run_in_a_daemon_thread_that_is_not_ours(default: scheduler) -> None:
    with background():
        one = Announcer().activate()
        assert one.ran.wait(PATIENCE)
    assert one.thread is not None
    assert one.thread is not threading.current_thread()
    assert one.thread.daemon


def test_components_activated_before_the_start_run(default: scheduler) -> None:
    one = Announcer().activate()
    with background():
        assert one.ran.wait(PATIENCE)


def test_there_is_one_at_a_time(default: scheduler) -> None:
    """Contract 3.14: RuntimeError on construction of a second, until the first has ended."""
    first = background()
    with pytest.raises(RuntimeError, match="already"):
        background()
    first.start()
    with pytest.raises(RuntimeError, match="already"):
        background()
    first.stop()
    assert first.join(PATIENCE)
    with background():
        pass


def test_one_that_was_never_started_and_is_forgotten_is_in_nobodys_way(default: scheduler) -> None:
    background()
    with background():
        pass


def test_it_is_started_once_and_joined_after_that(default: scheduler) -> None:
    runner = background()
    with pytest.raises(RuntimeError, match="not started"):
        runner.join()
    runner.start()
    with pytest.raises(RuntimeError, match="before"):
        runner.start()
    runner.stop()
    assert runner.join(PATIENCE)


class SlowToBegin(scheduler):
    def start_turns(self) -> None:
        threading.Event().wait(0.02)
        super().start_turns()


def test_start_returns_when_the_scheduler_has_an_owner(default: scheduler) -> None:
    scheduler.run = default = SlowToBegin(waiter=default._waiter)
    runner = background().start()
    assert default.thread_id is not None
    assert runner.is_alive()
    runner.stop()
    assert runner.join(PATIENCE)
    assert not runner.is_alive()
    assert default.thread_id is None


def test_a_scheduler_that_runs_elsewhere_is_not_run_twice(default: scheduler) -> None:
    default.start_turns()
    runner = background()
    with pytest.raises(RuntimeError, match="runs already"):
        runner.start()
    default.end_turns()
    runner.stop()  # nothing to stop, and no failure of a component
    assert runner.join(PATIENCE)
    with background():
        pass


def test_stop_stops_every_component_asleep_or_not(default: scheduler) -> None:
    runner = background().start()
    some = [Announcer().activate() for _ in range(3)]
    assert all(one.ran.wait(PATIENCE) for one in some)
    runner.stop()
    assert runner.join(PATIENCE)
    assert all(one.stopped.is_set() and one._isStopped() for one in some)
    assert default.listAllThreads() == []


def test_a_component_may_stop_it(default: scheduler) -> None:
    runner = background().start()
    Stopper(runner).activate()
    assert runner.join(PATIENCE)


def test_join_with_a_timeout_says_whether_it_has_ended(default: scheduler) -> None:
    with background() as runner:
        assert runner.join(0) is False
        runner.stop()
        assert runner.join(PATIENCE) is True


def test_stop_before_the_start_and_after_the_end_asks_nothing_of_the_next_run(
    default: scheduler,
) -> None:
    runner = background()
    runner.stop()
    runner.start()
    one = Announcer().activate()
    assert one.ran.wait(PATIENCE)
    runner.stop()
    assert runner.join(PATIENCE)
    runner.stop()
    turns: list[int] = []

    class Counter(component):
        def main(self) -> Iterator[object]:
            for number in range(3):
                turns.append(number)
                yield 1

    Counter().run()  # and the scheduler does not linger any more
    assert turns == [0, 1, 2]


def test_a_failure_is_logged_at_once_and_raised_by_join_and_stop(
    default: scheduler, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "Axon.background")
    runner = background().start()
    witness = Announcer().activate()
    assert witness.ran.wait(PATIENCE)
    Failing().activate()
    assert witness.stopped.wait(PATIENCE)  # the others do not stand about unserved
    assert "on purpose" in caplog.text
    with pytest.raises(ZeroDivisionError, match="on purpose") as caught:
        runner.join(PATIENCE)
    assert any("Failing" in note for note in caught.value.__notes__)
    with pytest.raises(ZeroDivisionError):
        runner.stop()
    with background():  # there may be another
        pass


def test_a_failure_comes_out_of_the_with_block(default: scheduler) -> None:
    with pytest.raises(ZeroDivisionError):
        fail()


def test_a_failure_is_told_rather_than_what_the_block_made_of_it(default: scheduler) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        fail(LookupError("no answer"))
    assert isinstance(caught.value.__context__, LookupError)


def test_an_interrupt_is_not_hidden_by_a_failure(default: scheduler) -> None:
    with pytest.raises(KeyboardInterrupt):
        fail(KeyboardInterrupt())


def test_an_exception_of_the_block_stops_it_and_gets_out(default: scheduler) -> None:
    with pytest.raises(LookupError), background() as runner:
        raise LookupError
    assert not runner.is_alive()


def test_an_isolated_failure_ends_nothing_else(default: scheduler) -> None:
    lost = threading.Event()
    with background():
        one = Failing()
        one.isolate(lambda culprit, error: lost.set())
        one.activate()
        assert lost.wait(PATIENCE)
        assert Announcer().activate().ran.wait(PATIENCE)


def test_a_stop_that_fails_keeps_none_of_the_others_from_theirs(default: scheduler) -> None:
    runner = background().start()
    some = [Announcer(), FailsToStop(), Announcer()]
    assert all(one.activate().ran.wait(PATIENCE) for one in some)
    runner.stop()
    with pytest.raises(ValueError, match="bad stop"):
        runner.join(PATIENCE)
    assert all(one.stopped.is_set() for one in some)


def test_a_stop_that_fails_after_a_failure_is_logged(
    default: scheduler, caplog: pytest.LogCaptureFixture
) -> None:
    runner = background().start()
    assert FailsToStop().activate().ran.wait(PATIENCE)
    Failing().activate()
    with pytest.raises(ZeroDivisionError):
        runner.join(PATIENCE)
    assert "bad stop" in caplog.text


def test_zap_begins_with_a_new_scheduler_and_an_empty_tracker(default: scheduler) -> None:
    """Contract 3.14."""
    tracker = coordinatingassistanttracker.getcat()
    left_over = Announcer().activate()
    tracker.trackValue("of the test", 1)
    runner = background(zap=True)
    assert scheduler.run is not default
    assert scheduler.run.listAllThreads() == []
    assert tracker.informationItemsLogged() == []
    with runner:
        assert Announcer().activate().ran.wait(PATIENCE)
    assert not left_over.ran.is_set()
    scheduler.run._waiter.close()


def test_slowmo_waits_before_each_cycle_and_still_stops(default: scheduler) -> None:
    with background(slowmo=0.001):
        assert Announcer().activate().ran.wait(PATIENCE)
