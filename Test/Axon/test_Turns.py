"""
The loop that runs microprocesses, by itself: its run queue, its slices, and running it by hand.
What it does for components: test_Scheduler and contract/test_scheduler_rules.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from Axon import Turns
from Axon.Component import component
from Axon.Ipc import reactivate, shutdownMicroprocess
from Axon.Microprocess import microprocess
from Axon.Scheduler import scheduler
from Axon.Testing import FakeClock, virtual_scheduler
from Axon.TestingTime import VirtualWaiter
from Test.Axon.scripts import Script, counter, sleeper


class NotedWaiter(VirtualWaiter):
    """Writes down how long it was asked to wait."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.timeouts: list[float | None] = []

    def wait(self, timeout: float | None, has_calls: Callable[[], bool]) -> bool:
        self.timeouts.append(timeout)
        return super().wait(timeout, has_calls)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def waiter(clock: FakeClock) -> NotedWaiter:
    return NotedWaiter(clock)


@pytest.fixture
def engine(clock: FakeClock, waiter: NotedWaiter) -> scheduler:
    """Give a scheduler whose run ends when nothing can happen any more."""
    return scheduler(clock=clock, waiter=waiter)


def spin(turns: int) -> Callable[[Script], Iterator[object]]:
    def main(self: Script) -> Iterator[object]:
        for _ in range(turns):
            yield 1

    return main


# ---- the run queue


@pytest.mark.parametrize("count", [1, 2, 100, 700])
def test_the_run_queue_does_not_grow_however_long_the_run(engine: scheduler, count: int) -> None:
    longest = 0

    def measuring(self: Script) -> Iterator[object]:
        nonlocal longest
        for _ in range(20_000 // count):
            longest = max(longest, len(engine._ready))
            yield 1

    for _ in range(count):
        Script(measuring).activate(Scheduler=engine)
    engine.runThreads()
    assert longest <= 2 * max(count, Turns._TRIM) + 2 * Turns._LONGEST_SLICE


def test_trimming_loses_no_turn_and_keeps_the_order(engine: scheduler) -> None:
    turns: list[str] = []
    for name in "abc":
        Script(counter(turns, 3000), name).activate(Scheduler=engine)
    engine.runThreads()
    assert turns == list("abc") * 3000


def test_after_an_exception_in_the_middle_of_a_slice_the_others_go_on_in_order(
    engine: scheduler,
) -> None:
    def failing(self: Script) -> Iterator[object]:
        yield 1
        raise ValueError

    turns: list[str] = []
    for name in "abcdef":
        make = failing if name == "c" else counter(turns, 3)
        Script(make, name).activate(Scheduler=engine)
    with pytest.raises(ValueError):  # noqa: PT011 - which one is clear
        engine.runThreads()
    engine.runThreads()
    assert turns == list("abdef") * 3


def test_the_order_of_turns_can_be_changed_in_one_place() -> None:
    class Backwards(scheduler):
        def _slice(self, turns: Iterator[microprocess]) -> None:
            super()._slice(iter(list(turns)[::-1]))

    clock = FakeClock()
    engine = Backwards(clock=clock, waiter=VirtualWaiter(clock))
    turns: list[str] = []
    for name in "abc":
        Script(counter(turns, 1), name).activate(Scheduler=engine)
    engine.runThreads()
    assert turns == list("cba")


# ---- slices


class Machine:
    """Stands in for the time the machine takes: so much for each slice."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += self.seconds
        return self.now


@pytest.mark.parametrize(
    ("seconds", "length"),
    [(0.01, Turns._SHORTEST_SLICE), (0.000_01, Turns._LONGEST_SLICE), (0.000_5, 64)],
    ids=["slow", "quick", "just right"],
)
def test_slices_become_as_long_as_the_machine_is_quick(
    engine: scheduler, monkeypatch: pytest.MonkeyPatch, seconds: float, length: int
) -> None:
    monkeypatch.setattr(Turns, "time", Machine(seconds))
    engine.call_later(1000.0, lambda: None)
    Script(spin(20_000)).activate(Scheduler=engine)
    engine.start_turns()
    engine.take_turns()
    engine._slice_length = 64  # now that the time is the machine's
    for _ in range(20):
        engine.take_turns()
    assert engine._slice_length == length
    engine.end_turns()


def test_without_anything_to_look_at_nothing_is_looked_at(
    engine: scheduler, waiter: NotedWaiter
) -> None:
    Script(spin(20_000)).activate(Scheduler=engine)
    engine.runThreads()
    assert waiter.timeouts == []


# ---- the end of a run


def test_with_linger_a_run_ends_only_by_stop(engine: scheduler, clock: FakeClock) -> None:
    engine.linger = True
    engine.call_later(5.0, engine.stop)
    Script(spin(1)).activate(Scheduler=engine)
    engine.runThreads()
    assert clock() == 5.0


def test_with_linger_components_may_come_later(engine: scheduler) -> None:
    turns: list[str] = []
    late = Script(counter(turns, 2), "late")
    engine.linger = True
    engine.call_later(5.0, lambda: late.activate(Scheduler=engine))
    engine.call_later(6.0, engine.stop)
    engine.runThreads()
    assert turns == ["late", "late"]


def test_waiting_for_one_ends_with_the_last_of_those_that_came(engine: scheduler) -> None:
    turns: list[str] = []
    late = Script(counter(turns, 2), "late")
    engine.waitForOne()
    engine.call_later(5.0, lambda: late.activate(Scheduler=engine))
    engine.runThreads()
    assert turns == ["late", "late"]
    assert not engine.wait_for_one


def test_an_empty_run_ends_at_once_also_with_timers(engine: scheduler, clock: FakeClock) -> None:
    engine.call_later(5.0, lambda: None)
    engine.runThreads()
    assert clock() == 0.0


# ---- what an end asks for


def test_an_end_may_wake_another_that_sleeps(engine: scheduler) -> None:
    woken: list[str] = []

    def main(self: Script) -> Iterator[object]:
        self.pause()
        yield 1
        woken.append("woken")

    other = Script(main).activate(Scheduler=engine)
    microprocess(closeDownValue=reactivate(other)).activate(Scheduler=engine)
    engine.runThreads()
    assert woken == ["woken"]


def test_an_end_may_bring_one_that_is_not_active(engine: scheduler) -> None:
    turns: list[str] = []
    other = Script(counter(turns, 1), "other")
    other._axon_gen = other.main()
    microprocess(closeDownValue=reactivate(other)).activate(Scheduler=engine)
    engine.runThreads()
    assert turns == ["other"]


def test_an_end_may_stop_others(engine: scheduler) -> None:
    others = [Script(sleeper).activate(Scheduler=engine) for _ in range(3)]
    microprocess(closeDownValue=shutdownMicroprocess(*others[:2])).activate(Scheduler=engine)
    engine.runThreads()
    assert engine.listAllThreads() == others[2:]


# ---- by hand


def test_a_run_can_be_taken_in_pieces(engine: scheduler, clock: FakeClock) -> None:
    turns: list[str] = []

    def main(self: Script) -> Iterator[object]:
        turns.append("begun")
        self.pause(2.0)
        yield 1
        turns.append("woken")

    Script(main).activate(Scheduler=engine)
    engine.start_turns()
    assert engine.may_rest() == 0.0
    assert engine.take_turns()
    assert turns == ["begun"]
    assert engine.may_rest() == 2.0
    clock.advance(1.5)
    assert engine.take_turns()
    assert engine.may_rest() == 0.5
    clock.advance(1.0)
    assert engine.may_rest() == 0.0
    assert engine.take_turns()
    while engine.take_turns():
        pass
    engine.end_turns()
    assert turns == ["begun", "woken"]


def test_taking_turns_never_blocks(engine: scheduler, waiter: NotedWaiter) -> None:
    Script(sleeper).activate(Scheduler=engine)
    engine.call_later(10.0, lambda: None)
    engine.start_turns()
    for _ in range(5):
        assert engine.take_turns()
    engine.end_turns()
    assert set(waiter.timeouts) <= {0}


def test_with_nothing_to_come_it_may_rest_for_ever(engine: scheduler) -> None:
    Script(sleeper).activate(Scheduler=engine)
    engine.start_turns()
    engine.take_turns()
    assert engine.may_rest() is None
    engine.call_from_thread(lambda: None)
    assert engine.may_rest() == 0.0
    engine.end_turns()


def test_it_may_not_rest_before_it_has_seen_what_was_taken(engine: scheduler) -> None:
    """Otherwise a sleeping producer would wait for the next event of another program's loop."""

    def sending(self: Script) -> Iterator[object]:
        self.send("a message")
        self.pause()
        yield 1

    one, other = Script(sending).activate(Scheduler=engine), component()
    one.link((one, "outbox"), (other, "inbox"))
    engine.start_turns()
    engine._slice(iter([one]))
    engine._rewind()
    engine._ready.clear()
    engine._unread = iter(engine._ready)
    other.recv()
    assert engine.may_rest() == 0.0
    assert engine.take_turns()
    assert not one.asleep
    engine.end_turns()


def test_what_is_late_may_not_be_waited_for(engine: scheduler, clock: FakeClock) -> None:
    engine.call_later(1.0, lambda: None)
    clock.advance(5.0)
    engine.linger = True
    engine.start_turns()
    assert engine.may_rest() == 0.0
    engine.end_turns()


def test_a_stop_is_noticed_by_the_next_turns(engine: scheduler) -> None:
    one = Script(sleeper).activate(Scheduler=engine)
    engine.start_turns()
    engine.take_turns()
    engine.stop()
    assert engine.may_rest() == 0.0
    while engine.take_turns():
        pass
    engine.end_turns()
    assert one._isStopped()
    assert engine.listAllThreads() == []


def test_while_it_is_run_by_hand_it_cannot_be_run_otherwise(engine: scheduler) -> None:
    engine.start_turns()
    with pytest.raises(RuntimeError, match="runs already"):
        engine.runThreads()
    with pytest.raises(RuntimeError, match="runs already"):
        engine.start_turns()
    engine.end_turns()
    engine.runThreads()


def test_an_exception_comes_out_of_the_turns_in_which_it_was_raised(engine: scheduler) -> None:
    def failing(self: Script) -> Iterator[object]:
        yield 1
        raise ValueError("on demand")

    turns: list[str] = []
    Script(failing).activate(Scheduler=engine)
    Script(counter(turns, 3), "a").activate(Scheduler=engine)
    engine.start_turns()
    with pytest.raises(ValueError, match="on demand"):
        engine.take_turns()
    engine.end_turns()
    engine.runThreads()
    assert turns == ["a"] * 3


def test_what_is_embedded_says_what_to_watch() -> None:
    class Watched(NotedWaiter):
        states: list[bool] = []

        def embed(self, on: bool) -> int:
            self.states.append(on)
            return 7

    clock = FakeClock()
    engine = scheduler(clock=clock, waiter=Watched(clock))
    assert engine.embed(True) == 7
    engine.embed(False)
    assert Watched.states == [True, False]


# ---- sleeping and waking


def test_who_is_put_to_sleep_twice_can_still_be_woken(engine: scheduler) -> None:
    one = Script(sleeper).activate(Scheduler=engine)
    engine.runThreads()
    engine.pauseThread(one)
    one._deliver("wake up")
    assert not one.asleep
    assert not engine.isThreadPaused(one)


def test_who_is_told_to_pause_while_it_sleeps_can_still_be_woken(engine: scheduler) -> None:
    woken: list[object] = []

    def main(self: Script) -> Iterator[object]:
        self.pause()
        yield 1
        woken.append(self.recv())

    one = Script(main).activate(Scheduler=engine)
    engine.runThreads()
    one.pause()  # by somebody else, say its parent
    one._deliver("wake up")
    engine.runThreads()
    assert woken == ["wake up"]


def test_who_is_woken_many_times_has_one_turn(engine: scheduler) -> None:
    turns = 0

    def main(self: Script) -> Iterator[object]:
        nonlocal turns
        while True:
            turns += 1
            self.pause()
            yield 1

    one = Script(main).activate(Scheduler=engine)
    engine.runThreads()
    for _ in range(10):
        one._deliver("wake up")
        one.unpause()
    engine.runThreads()
    # One turn, and one more as unpause() reached it while it was awake already.
    assert turns == 3


def test_a_wake_up_while_awake_cancels_one_pause_and_no_more(engine: scheduler) -> None:
    turns: list[int] = []

    def main(self: Script) -> Iterator[object]:
        for number in range(10):
            turns.append(number)
            if number == 2:
                self.unpause()
                self.unpause()
            if number >= 3:
                self.pause()
            yield 1

    Script(main).activate(Scheduler=engine)
    engine.runThreads()
    assert turns == [0, 1, 2, 3, 4]
    assert engine._poked == {}


def test_one_that_ends_awake_and_poked_leaves_nothing(engine: scheduler) -> None:
    def main(self: Script) -> Iterator[object]:
        self.unpause()
        yield 1

    Script(main).activate(Scheduler=engine)
    engine.runThreads()
    assert engine._poked == {}
    assert engine.threads == {}


# ---- looking beside the busy


def test_calls_and_timers_are_served_between_slices(engine: scheduler, clock: FakeClock) -> None:
    came: list[Any] = []

    def busy(self: Script) -> Iterator[object]:
        engine.call_from_thread(lambda: came.append("call"))
        engine.call_later(0.0, lambda: came.append("timer"))
        for _ in range(2000):
            yield 1
        came.append("end")

    Script(busy).activate(Scheduler=engine)
    engine.runThreads()
    assert came == ["call", "timer", "end"]


def test_a_virtual_scheduler_is_one_of_these() -> None:
    assert isinstance(virtual_scheduler(), Turns.Turns)
