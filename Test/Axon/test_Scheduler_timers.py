"""Calls at a time: order, moving, forgetting, and their bookkeeping."""

import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Axon.Component import component
from Axon.Scheduler import Timer, scheduler
from Axon.Testing import FakeClock, virtual_scheduler


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def runner(clock: FakeClock) -> scheduler:
    """Give a scheduler in virtual time with one sleeper, so that a run ends with the last timer."""
    made = virtual_scheduler(clock)

    class Sleeper(component):
        def main(self) -> Iterator[object]:
            while True:
                self.pause()
                yield 1

    Sleeper().activate(Scheduler=made)
    return made


def test_calls_come_in_the_order_of_their_times(runner: scheduler, clock: FakeClock) -> None:
    came: list[tuple[str, float]] = []
    for name, seconds in (("c", 3.0), ("a", 1.0), ("b", 2.0), ("a2", 1.0), ("now", 0.0)):
        runner.call_later(seconds, lambda name=name: came.append((name, clock())))  # type: ignore[misc]
    runner.runThreads()
    assert came == [("now", 0.0), ("a", 1.0), ("a2", 1.0), ("b", 2.0), ("c", 3.0)]


def test_a_time_that_is_over_means_now(runner: scheduler, clock: FakeClock) -> None:
    clock.advance(10)
    came: list[float] = []
    runner.call_at(3.0, lambda: came.append(clock()))
    runner.runThreads()
    assert came == [10.0]


def test_a_cancelled_call_is_never_made(runner: scheduler) -> None:
    came: list[str] = []
    timer = runner.call_later(1.0, lambda: came.append("cancelled"))
    other = runner.call_later(2.0, lambda: came.append("kept"))
    assert timer.pending
    timer.cancel()
    timer.cancel()
    assert not timer.pending
    assert not timer.postpone(5.0)
    runner.runThreads()
    assert came == ["kept"]
    assert not other.pending
    other.cancel()
    assert not other.postpone(5.0)


def test_a_call_may_cancel_another_of_the_same_moment(runner: scheduler) -> None:
    came: list[str] = []
    timers: list[Timer] = []
    runner.call_later(1.0, lambda: timers[0].cancel())
    timers.append(runner.call_later(1.0, lambda: came.append("cancelled")))
    runner.runThreads()
    assert came == []


def test_a_postponed_call_is_made_once_at_its_new_time(runner: scheduler, clock: FakeClock) -> None:
    came: list[float] = []
    timer = runner.call_later(1.0, lambda: came.append(clock()))
    assert timer.postpone(5.0)
    assert timer.postpone(3.0)  # sooner than before, not sooner than its entry
    assert not timer.postpone(0.5)
    assert timer.when == 3.0
    runner.runThreads()
    assert came == [3.0]


def test_a_postponed_call_cannot_be_moved_to_before_its_last_postponement_came_up(
    runner: scheduler, clock: FakeClock
) -> None:
    came: list[float] = []
    moved: list[bool] = []
    timer = runner.call_later(1.0, lambda: came.append(clock()))
    timer.postpone(5.0)
    runner.call_later(2.0, lambda: moved.append(timer.postpone(3.0)))
    runner.runThreads()
    assert moved == [False]
    assert came == [5.0]


def test_a_call_may_set_another(runner: scheduler, clock: FakeClock) -> None:
    came: list[float] = []

    def again() -> None:
        came.append(clock())
        if len(came) < 5:
            runner.call_later(1.0, again)

    runner.call_later(1.0, again)
    runner.runThreads()
    assert came == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_a_call_that_sets_itself_for_now_leaves_components_their_turns(clock: FakeClock) -> None:
    runner = virtual_scheduler(clock)

    class Counter(component):
        def main(self) -> Iterator[object]:
            for _ in range(500):
                yield 1

    one = Counter().activate(Scheduler=runner)

    def again() -> None:
        if not one._isStopped():
            runner.call_later(0.0, again)

    again()
    runner.runThreads()
    assert one._isStopped()


def test_cancelled_timers_do_not_pile_up(runner: scheduler) -> None:
    kept = runner.call_later(1e6, lambda: None)
    for _ in range(10_000):
        runner.call_later(1e6, lambda: None).cancel()
    assert len(runner._timers) < 200
    assert kept.pending


def test_those_left_after_many_were_cancelled_come_in_order(runner: scheduler) -> None:
    chance = random.Random(7)
    came: list[float] = []

    def at(when: float) -> Timer:
        return runner.call_at(when, lambda: came.append(when))

    times = [chance.random() for _ in range(2_000)]
    timers = [at(when) for when in times]
    gone = set(chance.sample(range(2_000), 1_500))
    for number in gone:
        timers[number].cancel()
    runner.runThreads()
    assert came == sorted(when for number, when in enumerate(times) if number not in gone)


def test_many_may_be_cancelled_by_a_call_while_timers_run(runner: scheduler) -> None:
    came: list[str] = []
    timers = [runner.call_later(1.0, lambda: came.append("cancelled")) for _ in range(500)]

    def cancel_all() -> None:
        for timer in timers:
            timer.cancel()
        runner.call_later(1.0, lambda: came.append("after"))

    runner.call_at(0.5, cancel_all)
    runner.call_at(1.5, lambda: came.append("last"))
    runner.runThreads()
    assert came == ["after", "last"] or came == ["last", "after"]


def test_all_others_of_the_same_moment_may_be_cancelled(runner: scheduler) -> None:
    came: list[str] = []
    timers: list[Timer] = []

    def cancel_all() -> None:
        came.append("first")
        for timer in timers:
            timer.cancel()

    runner.call_at(1.0, cancel_all)
    timers += [runner.call_at(1.0, lambda: came.append("cancelled")) for _ in range(500)]
    runner.runThreads()
    assert came == ["first"]
    assert runner._timers.entries == []
    assert runner._timers._cancelled == 0


def test_a_pause_for_each_message_leaves_one_timer() -> None:
    clock = FakeClock()
    runner = virtual_scheduler(clock)

    class Impatient(component):
        def main(self) -> Iterator[object]:
            for _ in range(10_000):
                self.pause(60.0)
                yield 1
                most.append(len(runner._timers))

    class Waker(component):
        def main(self) -> Iterator[object]:
            while not one._isStopped():
                one.unpause()
                yield 1

    most: list[int] = []
    one = Impatient().activate(Scheduler=runner)
    Waker().activate(Scheduler=runner)
    runner.runThreads()
    assert max(most) == 1


# Eighths of seconds, which add up exactly: virtual time moves by differences.
seconds = st.integers(0, 800).map(lambda eighths: eighths / 8)


@given(
    times=st.lists(seconds, max_size=200),
    postponed=st.lists(st.tuples(st.integers(0, 199), seconds), max_size=100),
    cancelled=st.sets(st.integers(0, 199)),
    seed=st.integers(),
)
def test_any_mixture_keeps_its_promises(
    times: list[float],
    postponed: list[tuple[int, float]],
    cancelled: set[int],
    seed: int,
) -> None:
    clock = FakeClock()
    runner = virtual_scheduler(clock)

    class Sleeper(component):
        def main(self) -> Iterator[object]:
            self.pause()
            yield 1

    Sleeper().activate(Scheduler=runner)
    came: dict[int, float] = {}
    timers: list[Timer] = []
    for number, when in enumerate(times):
        timers.append(
            runner.call_at(when, lambda number=number: came.setdefault(number, clock()))  # type: ignore[misc]
        )
    expected = dict(enumerate(times))
    for number, when in postponed:
        if number < len(timers):
            moved = timers[number].postpone(when)
            expected[number] = when if moved else expected[number]
    order = sorted(cancelled)
    random.Random(seed).shuffle(order)
    for number in order:
        if number < len(timers):
            timers[number].cancel()
            expected.pop(number, None)
    runner.runThreads()
    assert came == expected
