"""Time and order under a test's control."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Axon import TestingTime
from Axon.Component import component
from Axon.Ipc import newComponent
from Axon.Scheduler import scheduler
from Axon.TestingTime import (
    BusyWaitError,
    FakeClock,
    SeededScheduler,
    VirtualWaiter,
    virtual_scheduler,
)

ROOT = Path(__file__).resolve().parent.parent.parent


class Reminder(component):
    def __init__(self, after: float) -> None:
        super().__init__()
        self.after = after

    def main(self) -> Iterator[object]:
        self.pause(self.after)
        yield 1
        self.send("now")


# ---- clocks


def test_a_clock_stands_still_until_it_is_moved() -> None:
    clock = FakeClock(5.0)
    assert clock() == clock() == 5.0
    clock.advance(1.5)
    assert clock() == 6.5


def test_moving_an_attached_clock_wakes_a_scheduler_that_waits_in_real_time() -> None:
    clock = FakeClock()
    runner = scheduler(clock=clock)
    clock.attach(runner)
    asleep = threading.Event()
    one = Reminder(after=3600).activate(Scheduler=runner)
    runner.call_from_thread(asleep.set)

    def from_outside() -> None:
        asleep.wait(10)
        clock.advance(1800)
        clock.advance(1800)

    thread = threading.Thread(target=from_outside)
    thread.start()
    runner.runThreads()
    thread.join()
    runner._waiter.close()
    assert one._isStopped()


def test_an_attached_clock_may_be_moved_between_two_runs() -> None:
    clock = FakeClock()
    runner = virtual_scheduler(clock)
    clock.attach(runner)
    came: list[float] = []
    runner.call_at(10.0, lambda: came.append(clock()))
    clock.advance(11.0)
    runner.runThreads()
    assert came == [11.0]


# ---- the virtual waiter


def nothing_called() -> bool:
    return False


def test_waiting_moves_the_clock() -> None:
    clock = FakeClock()
    waiter = VirtualWaiter(clock)
    assert waiter.wait(5.0, nothing_called)
    assert clock() == 5.0
    assert waiter.wait(0, nothing_called)
    assert waiter.wait(7.0, lambda: True)
    assert clock() == 5.0
    assert not waiter.wait(None, nothing_called)


def test_there_are_no_files_in_virtual_time() -> None:
    runner = virtual_scheduler()
    with pytest.raises(NotImplementedError, match="real scheduler"):
        runner.register(0, 1, lambda events: None)
    runner.modify(0, 1)
    runner.unregister(0)
    VirtualWaiter(FakeClock()).close()


def test_a_thread_that_is_held_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    waiter = VirtualWaiter(clock)
    waiter.hold()
    waiter.wake()
    assert waiter.wait(None, nothing_called)
    assert waiter.wait(5.0, nothing_called)  # silent: time goes on
    assert clock() == 5.0
    waiter.wake()
    assert waiter.wait(5.0, nothing_called)
    assert clock() == 5.0
    monkeypatch.setattr(TestingTime, "REAL_PATIENCE_SECONDS", 0.01)
    with pytest.raises(TimeoutError, match="silent"):
        waiter.wait(None, nothing_called)
    waiter.release()
    assert not waiter.wait(None, nothing_called)


def test_without_a_clock_given_it_makes_one() -> None:
    assert virtual_scheduler().clock() == 0.0


def test_waiting_does_not_lead_past_a_deadline() -> None:
    clock = FakeClock()
    waiter = VirtualWaiter(clock)
    waiter.deadline = 3.0
    assert waiter.wait(3.0, nothing_called)
    assert not waiter.wait(0.5, nothing_called)
    assert clock() == 3.0
    assert not waiter.wait(None, nothing_called)


def test_roundings_do_not_lead_past_a_deadline() -> None:
    waiter = VirtualWaiter(FakeClock())
    waiter.deadline = 0.3
    assert all(waiter.wait(0.1, nothing_called) for _ in range(3))  # 0.30000000000000004


def test_a_silent_thread_is_given_its_patience_before_the_deadline_counts() -> None:
    waiter = VirtualWaiter(FakeClock())
    waiter.deadline, waiter.patience = 3.0, 0.01
    waiter.hold()
    assert not waiter.wait(None, nothing_called)
    assert not waiter.wait(5.0, nothing_called)
    waiter.wake()
    assert waiter.wait(5.0, nothing_called)


def test_nothing_else_can_wait_for_a_virtual_waiter() -> None:
    waiter = VirtualWaiter(FakeClock())
    assert waiter.embed(True) == waiter.wakeup_fd() == -1


# ---- order


class Talker(component):
    """Writes its name so many times, and now and then sleeps."""

    def __init__(self, name: str, said: list[str], times: int = 20) -> None:
        super().__init__()
        self.name = name
        self.said = said
        self.times = times

    def main(self) -> Iterator[object]:
        for number in range(self.times):
            self.said.append(self.name)
            if number % 3 == 2:
                self.pause(0.5)
            yield 1


def words(seed: int | None, times: int = 20) -> tuple[list[str], SeededScheduler]:
    engine = SeededScheduler(seed)
    said: list[str] = []
    for name in "ABCDEFGH":
        Talker(name, said, times).activate(Scheduler=engine)
    engine.runThreads()
    return said, engine


@given(seed=st.integers())
def test_the_same_seed_gives_the_same_trace(seed: int) -> None:
    said, engine = words(seed)
    again, other = words(seed)
    assert said == again
    assert list(engine.trace) == list(other.trace)


def test_another_seed_gives_another_order() -> None:
    assert len({tuple(words(seed)[0]) for seed in range(20)}) == 20


def test_whatever_the_seed_each_that_is_awake_has_one_turn_a_cycle() -> None:
    said, _ = words(5, times=3)
    cycles = ["".join(sorted(said[i : i + 8])) for i in range(0, len(said), 8)]
    assert cycles == ["ABCDEFGH"] * 3


def test_without_a_seed_the_order_is_the_engines_own() -> None:
    plain: list[str] = []
    engine = virtual_scheduler()
    for name in "ABCDEFGH":
        Talker(name, plain).activate(Scheduler=engine)
    engine.runThreads()
    assert words(None)[0] == plain


SCRIPT = """
from Axon.Component import component
from Axon.TestingTime import SeededScheduler

class Child(component):
    def main(self):
        for _ in range(5):
            self.pause(0.25)
            yield 1

class Talker(component):
    def main(self):
        for name in {"a", "b", "c", "d"} - {"d"}:  # only their number matters
            Child().activate(Scheduler=self.scheduler)
            yield 1

engine = SeededScheduler(7)
for _ in range(100):
    Talker().activate(Scheduler=engine)
engine.runThreads()
print(engine.cycles, list(engine.trace))
"""


def test_the_trace_is_the_same_in_every_process() -> None:
    def trace(hashseed: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={"PYTHONHASHSEED": hashseed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    assert "Child#300" in trace("1")
    assert trace("1") == trace("2")


def test_one_that_raises_leaves_the_others_their_turns() -> None:
    class Broken(component):
        def main(self) -> Iterator[object]:
            yield 1
            raise ValueError("broken")

    for seed in range(10):
        engine = SeededScheduler(seed)
        said: list[str] = []
        for name in "ABC":
            Talker(name, said, times=2).activate(Scheduler=engine)
        Broken().activate(Scheduler=engine)
        with pytest.raises(ValueError, match="broken"):
            engine.runThreads()
        engine.runThreads()
        assert sorted(said) == ["A", "A", "B", "B", "C", "C"]


# ---- running for a while


def test_go_ends_when_the_time_is_up_and_goes_on_when_called_again() -> None:
    engine = SeededScheduler()
    one = Reminder(after=10).activate(Scheduler=engine)
    assert not engine.go(seconds=4)
    assert engine.clock() == 4.0
    assert not engine.go(one._isStopped, seconds=5.9)
    assert engine.go(one._isStopped, seconds=1)
    assert engine.clock() == 10.0


def test_time_passes_also_when_nobody_is_left() -> None:
    engine = SeededScheduler()
    engine.go(seconds=4)
    assert engine.clock() == 4.0


def test_a_condition_that_holds_is_noticed_before_anything_runs() -> None:
    engine = SeededScheduler()
    Reminder(after=0).activate(Scheduler=engine)
    assert engine.go(lambda: True)
    assert engine.cycles == 0


def test_go_ends_after_so_many_cycles() -> None:
    engine = SeededScheduler()
    said: list[str] = []
    Talker("A", said).activate(Scheduler=engine)
    engine.go(cycles=2)
    assert said == ["A", "A"]


def test_a_step_serves_timers_that_are_due() -> None:
    engine = SeededScheduler()
    one = Reminder(after=5).activate(Scheduler=engine)
    assert engine.step()
    assert not engine.step()
    engine.virtual_clock.advance(5)
    assert engine.step()
    assert one._isStopped()


def test_stop_ends_everybody_without_another_turn() -> None:
    engine = SeededScheduler(3)
    said: list[str] = []
    talkers = [Talker(name, said).activate(Scheduler=engine) for name in "ABC"]
    engine.go(cycles=1)
    engine.stop()
    engine.go(lambda: True)
    assert len(said) == 3
    assert all(one._isStopped() for one in talkers)
    assert not engine.awake()


def test_a_component_may_stop_the_scheduler() -> None:
    class Stopper(component):
        def main(self) -> Iterator[object]:
            self.scheduler.stop()
            yield 1

    engine = SeededScheduler()
    one = Reminder(after=5).activate(Scheduler=engine)
    Stopper().activate(Scheduler=engine)
    engine.runThreads()
    assert one._isStopped()
    assert engine.clock() == 0.0


class Poller(component):
    """As many of the original's: looks again and again, and never sleeps."""

    def main(self) -> Iterator[object]:
        while self.now() < 10:
            yield 1


def test_one_that_never_sleeps_is_named() -> None:
    engine = SeededScheduler()
    engine.busy_cycles = 50
    Poller().activate(Scheduler=engine)
    with pytest.raises(BusyWaitError, match=r"after 50 cycles at 0\.0 s .*Poller#1; give a tick"):
        engine.runThreads()


def test_cycles_count_as_busy_only_while_the_clock_stands_still() -> None:
    engine = SeededScheduler()
    engine.busy_cycles = 5
    Talker("A", [], times=40).activate(Scheduler=engine)
    engine.runThreads()
    assert engine.cycles > 40


def test_with_a_tick_time_passes_for_those_that_poll() -> None:
    engine = SeededScheduler(tick=0.5)
    one = Poller().activate(Scheduler=engine)
    assert not engine.go(one._isStopped, seconds=6)
    assert engine.clock() == 6.0
    assert engine.go(one._isStopped, seconds=6)
    assert engine.clock() == 10.0


def test_slow_motion_works_too() -> None:
    engine = SeededScheduler()
    said: list[str] = []
    Talker("A", said, times=2).activate(Scheduler=engine)
    engine.runThreads(slowmo=0.000_001)
    assert said == ["A", "A"]


def test_labels_are_the_authors_name_or_a_class_and_a_number() -> None:
    engine = SeededScheduler()
    assert engine.label(Talker("Anna", [])) == "Anna"
    assert [engine.label(Reminder(0)) for _ in range(2)] == ["Reminder#1", "Reminder#2"]


def test_labels_of_those_that_ended_are_forgotten() -> None:
    class Parent(component):
        def main(self) -> Iterator[object]:
            for _ in range(300):
                yield newComponent(Reminder(0))
                self.pause(1)
                yield 1

    engine = SeededScheduler()
    Parent().activate(Scheduler=engine)
    engine.runThreads()
    assert len(engine._labels) < 150
    assert engine.trace[-2][1] == "Reminder#300"
