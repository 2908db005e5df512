"""The heap of timers by itself, against a model; through a scheduler: test_Scheduler_timers."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from Axon.Timers import Timer, TimerHeap

TIMES = st.integers(0, 20).map(float)


class Heap(RuleBasedStateMachine):
    """Any order of adding, moving, cancelling and running; the model is a dict of due times."""

    def __init__(self) -> None:
        super().__init__()
        self.heap = TimerHeap()
        self.timers: list[Timer] = []
        self.due: dict[int, float] = {}  # those that wait, by number
        self.called: list[int] = []
        self.now = 0.0

    @rule(when=TIMES)
    def add(self, when: float) -> None:
        number = len(self.timers)
        self.timers.append(self.heap.add(when, lambda: self.called.append(number)))
        self.due[number] = when

    @rule(how_many=st.integers(60, 90), when=TIMES)
    def add_and_cancel_many(self, how_many: int, when: float) -> None:
        for timer in [self.heap.add(when, self.never) for _ in range(how_many)]:
            timer.cancel()

    @staticmethod
    def never() -> None:
        raise AssertionError("it was cancelled")

    @precondition(lambda self: self.timers)
    @rule(choice=st.integers(0), when=TIMES)
    def postpone(self, choice: int, when: float) -> None:
        number = choice % len(self.timers)
        moved = self.timers[number].postpone(when)
        if moved:
            assert number in self.due
            self.due[number] = when
        elif number in self.due:  # only a time before its place in the heap is refused
            assert when < self.due[number]

    @precondition(lambda self: self.timers)
    @rule(choice=st.integers(0))
    def cancel(self, choice: int) -> None:
        number = choice % len(self.timers)
        self.timers[number].cancel()
        self.due.pop(number, None)

    @rule(seconds=st.integers(0, 10))
    def run_what_is_due(self, seconds: int) -> None:
        self.now += seconds
        # A postponed one may come up, be put back, and be due itself: that is the next run's.
        for _ in range(len(self.heap) + 1):
            self.heap.run(self.now)
        wanted = {number for number, when in self.due.items() if when <= self.now}
        assert set(self.called) == wanted
        assert len(self.called) == len(wanted)
        times = [self.due.pop(number) for number in self.called]
        assert all(timer is not None for timer in times)
        self.called.clear()

    @invariant()
    def the_waiting_are_pending_and_no_others(self) -> None:
        pending = {number for number, timer in enumerate(self.timers) if timer.pending}
        assert pending == set(self.due)

    @invariant()
    def nothing_is_due_before_the_first_entry(self) -> None:
        if self.due:
            assert self.heap.next_due() <= min(self.due.values())

    @invariant()
    def cancelled_ones_do_not_pile_up(self) -> None:
        assert len(self.heap) <= 2 * len(self.due) + 130

    @invariant()
    def the_count_of_cancelled_ones_is_right(self) -> None:
        cancelled = sum(not entry[2].pending for entry in self.heap.entries)
        assert self.heap._cancelled == cancelled


TestHeap = Heap.TestCase
TestHeap.settings = settings(max_examples=60, stateful_step_count=30)


def test_an_empty_heap_has_no_next_time() -> None:
    heap = TimerHeap()
    heap.run(100.0)
    assert len(heap) == 0
    with pytest.raises(IndexError):
        heap.next_due()


def test_those_of_one_moment_come_in_the_order_in_which_they_were_set() -> None:
    heap, came = TimerHeap(), ""

    def letter(one: str) -> None:
        nonlocal came
        came += one

    for one in "abcdefgh":
        heap.add(1.0, lambda one=one: letter(one))  # type: ignore[misc]
    heap.run(0.9)
    assert came == ""
    heap.run(1.0)
    assert came == "abcdefgh"


def test_ten_thousand_postponements_leave_one_entry() -> None:
    heap = TimerHeap()
    timer = heap.add(1.0, lambda: None)
    for number in range(10_000):
        assert timer.postpone(1.0 + number)
    assert len(heap) == 1
    assert timer.when == 10_000.0


def test_a_timer_may_be_moved_to_sooner_as_long_as_its_place_is_not_passed() -> None:
    heap, came = TimerHeap(), []
    timer = heap.add(1.0, lambda: came.append(1))
    assert timer.postpone(9.0)
    assert timer.postpone(2.0)
    heap.run(1.5)
    assert not timer.postpone(1.9)  # its place is that of 2.0 now
    heap.run(2.0)
    assert came == [1]
    assert not timer.postpone(3.0)


def test_a_call_that_fails_is_not_made_again() -> None:
    heap = TimerHeap()
    timer = heap.add(1.0, lambda: 1 // 0)
    came: list[str] = []
    heap.add(1.0, lambda: came.append("the next"))
    with pytest.raises(ZeroDivisionError):
        heap.run(1.0)
    assert not timer.pending
    heap.run(1.0)
    assert came == ["the next"]


def test_cancelling_most_of_many_makes_the_heap_anew_at_once() -> None:
    heap = TimerHeap()
    timers = [heap.add(float(number % 7), lambda: None) for number in range(1000)]
    for timer in timers[:900]:
        timer.cancel()
    assert len(heap) <= 500
    assert min(entry[0] for entry in heap.entries) == heap.next_due()
