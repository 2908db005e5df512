"""
The scheduler stepped by hand, running things that are no microprocesses.

How many steps each thing may take is part of what is promised: harnesses of the original's time
step a fixed number of times and then look.
"""

from collections.abc import Iterator

import pytest

import Axon.Scheduler
from Axon.Component import component
from Axon.Ipc import newComponent, reactivate
from Axon.Microprocess import microprocess
from Axon.Scheduler import scheduler
from Test.Axon.contract.old_fakes import OldProcess, OldTime, steps

MANY = [1, 2, 3, 5, 10]


@pytest.fixture
def restored_default() -> Iterator[None]:
    """Give the process its default scheduler back."""
    before = scheduler.run
    yield
    scheduler.run = before


@pytest.fixture
def old_time(monkeypatch: pytest.MonkeyPatch) -> OldTime:
    """Replace the time that slow motion goes by."""
    fake = OldTime()
    monkeypatch.setattr(Axon.Scheduler, "time", fake)
    return fake


def added(engine: scheduler, count: int) -> list[OldProcess]:
    made = [OldProcess() for _ in range(count)]
    for one in made:
        engine._addThread(one)
    return made


# ---- step budgets


@pytest.mark.parametrize("before", range(8))
def test_one_microprocess_runs_at_least_once_in_any_three_steps(
    engine: scheduler, before: int
) -> None:
    (one,) = added(engine, 1)
    stepper = engine.main()
    steps(stepper, before)
    for _ in range(20):
        runs = one.runs
        steps(stepper, 3)
        assert one.runs > runs


@pytest.mark.parametrize("before", range(8))
@pytest.mark.parametrize("count", MANY[1:])
def test_each_of_n_runs_at_least_once_in_any_2n_steps(
    engine: scheduler, count: int, before: int
) -> None:
    many = added(engine, count)
    stepper = engine.main()
    steps(stepper, before)
    for _ in range(10):
        runs = [one.runs for one in many]
        steps(stepper, 2 * count)
        assert all(one.runs > was for one, was in zip(many, runs, strict=True))


def test_all_run_equally_often(engine: scheduler) -> None:
    many = added(engine, 5)
    steps(engine.main(), 1000)
    assert max(one.runs for one in many) - min(one.runs for one in many) <= 1


def test_an_empty_scheduler_ends_within_five_steps(engine: scheduler) -> None:
    with pytest.raises(StopIteration):
        steps(engine.main(), 5)


@pytest.mark.parametrize("count", MANY)
def test_when_all_have_ended_the_run_ends_within_five_steps_and_a_cycle(
    engine: scheduler, count: int
) -> None:
    many = [OldProcess(steps=3) for _ in range(count)]
    for one in many:
        engine._addThread(one)
    stepper = engine.main()
    with pytest.raises(StopIteration):
        steps(stepper, 4 * 2 * count + 5)
    assert all(one.log == ["next"] * 3 + ["stop", "closed"] for one in many)


@pytest.mark.parametrize("before", range(6))
@pytest.mark.parametrize("count", MANY)
def test_a_pause_takes_effect_within_3n_steps(engine: scheduler, count: int, before: int) -> None:
    many = added(engine, count)
    stepper = engine.main()
    steps(stepper, before)
    engine.pauseThread(many[-1])
    steps(stepper, 3 * count)
    assert engine.isThreadPaused(many[-1])
    runs = many[-1].runs
    steps(stepper, 5 * count)
    assert many[-1].runs == runs
    if count > 1:
        assert many[0].runs > runs


@pytest.mark.parametrize("before", range(6))
@pytest.mark.parametrize("count", MANY)
def test_a_wake_takes_effect_within_5n_steps(engine: scheduler, count: int, before: int) -> None:
    many = added(engine, count)
    stepper = engine.main()
    engine.pauseThread(many[0])
    steps(stepper, 3 * count + before)
    runs = many[0].runs
    engine.wakeThread(many[0])
    steps(stepper, 5 * count)
    assert not engine.isThreadPaused(many[0])
    assert many[0].runs > runs


@pytest.mark.parametrize("count", MANY)
def test_all_may_be_paused_and_the_iterator_goes_on_without_blocking(
    engine: scheduler, count: int
) -> None:
    many = added(engine, count)
    stepper = engine.main()
    for one in many:
        engine.pauseThread(one)
    steps(stepper, 3 * count)
    assert all(engine.isThreadPaused(one) for one in many)
    runs = [one.runs for one in many]
    steps(stepper, 100)
    assert [one.runs for one in many] == runs


def test_the_iterator_has_the_old_and_the_new_spelling(engine: scheduler) -> None:
    (one,) = added(engine, 1)
    stepper = engine.main()
    assert iter(stepper) is stepper
    for _ in range(3):
        next(stepper)
        stepper.next()
    assert one.runs >= 2


# ---- a cycle


def test_pauses_first_then_wakes_so_a_wake_in_the_same_cycle_wins(engine: scheduler) -> None:
    """A wake-up is never lost, whichever of the two was asked for first."""
    first, second = added(engine, 2)
    stepper = engine.main()
    steps(stepper, 1)
    engine.wakeThread(first)
    engine.pauseThread(first)
    engine.pauseThread(second)
    engine.wakeThread(second)
    steps(stepper, 12)
    assert not engine.isThreadPaused(first)
    assert not engine.isThreadPaused(second)


@pytest.mark.parametrize("asleep", [False, True])
def test_waking_one_that_is_awake_changes_nothing_for_the_others(
    engine: scheduler, asleep: bool
) -> None:
    many = added(engine, 3)
    stepper = engine.main()
    if asleep:
        engine.pauseThread(many[1])
    steps(stepper, 12)
    before = [one.runs for one in many]
    engine.wakeThread(many[0])
    engine.wakeThread(many[0])
    steps(stepper, 40)
    gained = [one.runs - was for one, was in zip(many, before, strict=True)]
    assert abs(gained[0] - gained[2]) <= 1, "an extra wake-up gives no extra turns"
    assert (gained[1] == 0) is asleep


def test_strangers_are_neither_woken_nor_paused(engine: scheduler) -> None:
    stranger = OldProcess()
    (one,) = added(engine, 1)
    engine.wakeThread(stranger)
    engine.pauseThread(stranger)
    assert engine.isThreadPaused(stranger), "unknown counts as paused"
    steps(engine.main(), 20)
    assert stranger.log == []
    assert engine.listAllThreads() == [one]


def test_a_stranger_is_taken_on_by_a_wake_that_may_activate(engine: scheduler) -> None:
    stranger = OldProcess(steps=2)
    engine.wakeThread(stranger, canActivate=True)
    engine.runThreads()
    assert stranger.log == ["next", "next", "stop", "closed"]


def test_the_flag_may_be_given_by_position(engine: scheduler) -> None:
    stranger = OldProcess(steps=1)
    engine.wakeThread(stranger, True)
    engine.runThreads()
    assert stranger.runs == 1


def test_one_that_has_ended_is_neither_woken_nor_listed(engine: scheduler) -> None:
    one = OldProcess(steps=1)
    engine._addThread(one)
    other = added(engine, 1)[0]
    stepper = engine.main()
    steps(stepper, 10)
    engine.wakeThread(one)
    steps(stepper, 10)
    assert one.log == ["next", "stop", "closed"]
    assert engine.listAllThreads() == [other]
    assert engine.isThreadPaused(one)


def test_all_are_listed_awake_or_asleep(engine: scheduler) -> None:
    many = added(engine, 4)
    engine.pauseThread(many[2])
    assert set(engine.listAllThreads()) == set(many)
    steps(engine.main(), 12)
    assert set(engine.listAllThreads()) == set(many)


def test_what_was_added_twice_runs_once_a_cycle(engine: scheduler) -> None:
    one, other = added(engine, 2)
    engine._addThread(one)
    steps(engine.main(), 61)
    assert abs(one.runs - other.runs) <= 1


def test_one_that_is_added_while_others_run_has_its_turn(engine: scheduler) -> None:
    added(engine, 2)
    stepper = engine.main()
    steps(stepper, 5)
    (late,) = added(engine, 1)
    steps(stepper, 6)
    assert late.runs > 0


def test_the_run_ends_with_the_last_even_if_another_was_stopped(engine: scheduler) -> None:
    many = [OldProcess(steps=count) for count in (1, 5, 3)]
    for one in many:
        engine._addThread(one)
    engine.runThreads()
    assert [one.runs for one in many] == [1, 5, 3]


# ---- the end of a process


def test_at_its_end_stop_is_called_and_then_it_is_closed_down(engine: scheduler) -> None:
    one = OldProcess(steps=2)
    engine._addThread(one)
    engine.runThreads()
    assert one.log == ["next", "next", "stop", "closed"]


def test_an_end_may_put_another_back_to_work(engine: scheduler) -> None:
    original = OldProcess(steps=2)
    helper = OldProcess(steps=1, ending=reactivate(original))
    engine._addThread(helper)
    engine.runThreads()
    assert original.log == ["next", "next", "stop", "closed"]


@pytest.mark.parametrize("ending", [0, None, 1, "text"])
def test_any_other_value_at_the_end_is_ignored(engine: scheduler, ending: object) -> None:
    one = OldProcess(steps=1, ending=ending)
    engine._addThread(one)
    engine.runThreads()
    assert one.log == ["next", "stop", "closed"]


def test_an_exception_out_of_next_comes_out_of_the_run_as_it_is(engine: scheduler) -> None:
    error = KeyError("mine")

    class Failing(OldProcess):
        def next(self) -> object:
            raise error

    engine._addThread(Failing())
    with pytest.raises(KeyError) as caught:
        engine.runThreads()
    assert caught.value is error


@pytest.mark.parametrize("kind", [ValueError, RuntimeError, LookupError, Exception])
def test_an_exception_out_of_next_comes_out_of_a_step(
    engine: scheduler, kind: type[Exception]
) -> None:
    class Failing(OldProcess):
        def next(self) -> object:
            if self.runs == 2:
                raise kind("failed")
            return super().next()

    engine._addThread(Failing())
    stepper = engine.main()
    with pytest.raises(kind, match="failed"):
        steps(stepper, 20)


def test_what_an_old_process_yields_is_understood(engine: scheduler) -> None:
    child = component()

    class Parent(OldProcess):
        def next(self) -> object:
            super().next()
            return newComponent(child)

    engine._addThread(Parent(steps=1))
    stepper = engine.main()
    steps(stepper, 3)
    assert child in engine.listAllThreads()


def test_a_microprocess_with_its_own_next_is_stepped_by_that(engine: scheduler) -> None:
    class Counting(microprocess):
        count = 0

        def next(self) -> object:
            self.count += 1
            if self.count > 3:
                raise StopIteration
            return 1

    one = Counting().activate(Scheduler=engine)
    engine.runThreads()
    assert one.count == 4


# ---- stop, several schedulers, the default one


def test_stop_reaches_all_awake_or_asleep_and_ends_the_run(engine: scheduler) -> None:
    many = added(engine, 3)
    stepper = engine.main()
    engine.pauseThread(many[1])
    steps(stepper, 9)
    engine.stop()
    with pytest.raises(StopIteration):
        steps(stepper, 5)
    assert [one.log.count("stop") for one in many] == [1, 1, 1]
    assert engine.listAllThreads() == []


def test_two_schedulers_know_nothing_of_each_other() -> None:
    here, there = scheduler(), scheduler()
    one, other = OldProcess(), OldProcess(steps=2)
    here._addThread(one)
    there._addThread(other)
    there.runThreads()
    assert (one.runs, other.runs) == (0, 2)
    assert there.isThreadPaused(one)
    there.wakeThread(one)
    stepper = here.main()
    steps(stepper, 6)
    assert one.runs > 0
    assert (here.listAllThreads(), there.listAllThreads()) == ([one], [])


def test_two_schedulers_can_be_stepped_in_turn() -> None:
    here, there = scheduler(), scheduler()
    (one,), (other,) = added(here, 1), added(there, 1)
    a, b = here.main(), there.main()
    for _ in range(10):
        a.next()
        b.next()
    assert one.runs == other.runs > 2


def test_new_components_go_to_the_scheduler_that_runs(engine: scheduler) -> None:
    """The original used the default one."""
    child = component()

    class Parent(component):
        def main(self) -> Iterator[object]:
            yield newComponent(child)

    Parent().activate(Scheduler=engine)
    engine.runThreads()
    assert child.scheduler is engine
    assert child not in scheduler.run.listAllThreads()


@pytest.mark.usefixtures("restored_default")
def test_the_first_scheduler_made_while_there_is_none_is_the_default() -> None:
    scheduler.run = None
    first, second = scheduler(), scheduler()
    assert scheduler.run is first
    assert scheduler.run is not second


@pytest.mark.usefixtures("restored_default")
def test_the_default_may_be_replaced_by_assignment() -> None:
    Axon.Scheduler.scheduler.run = mine = scheduler()
    one = component().activate()
    assert one.scheduler is mine
    assert mine.listAllThreads() == [one]


def test_a_scheduler_is_itself_a_microprocess() -> None:
    made = scheduler()
    assert isinstance(made, microprocess)
    assert made.init
    assert made.name


def test_unknown_keywords_are_accepted() -> None:
    assert scheduler(anything="at all").listAllThreads() == []


def test_time_is_the_wall_clock_and_does_not_run_backwards(engine: scheduler) -> None:
    seen = []

    class Reader(component):
        def main(self) -> Iterator[object]:
            for _ in range(3):
                seen.append(self.scheduler.time)
                yield 1

    Reader().activate(Scheduler=engine)
    engine.runThreads()
    assert seen == sorted(seen)
    assert seen[0] > 1_600_000_000


# ---- waiting for one, immortality


def test_waiting_for_one_outlives_the_empty_table(engine: scheduler) -> None:
    engine.waitForOne()
    stepper = engine.main()
    steps(stepper, 20)
    one = OldProcess(steps=1)
    engine._addThread(one)
    with pytest.raises(StopIteration):
        steps(stepper, 20)
    assert one.runs == 1


class Crasher(component):
    stops = 0

    def main(self) -> Iterator[object]:
        yield 1
        raise ValueError("crashed")

    def stop(self) -> None:
        self.stops += 1
        super().stop()


@pytest.mark.usefixtures("restored_default")
def test_the_immortal_survive_the_exceptions_of_their_processes() -> None:
    """Only the process that failed is stopped."""
    scheduler.run = scheduler()
    scheduler.immortalise()
    crasher = Crasher().activate()
    other = OldProcess(steps=5)
    scheduler.run._addThread(other)
    scheduler.run.runThreads()
    assert (crasher.stops, other.runs) == (1, 5)


@pytest.mark.usefixtures("restored_default")
def test_who_was_made_mortal_again_dies_of_them() -> None:
    scheduler.run = scheduler()
    scheduler.run.immortalise()
    scheduler.run.mortalise()
    Crasher().activate()
    with pytest.raises(ValueError, match="crashed"):
        scheduler.run.runThreads()


@pytest.mark.usefixtures("restored_default")
def test_only_the_default_scheduler_becomes_immortal(engine: scheduler) -> None:
    scheduler.run = scheduler()
    engine.immortalise()
    Crasher().activate(Scheduler=engine)
    with pytest.raises(ValueError, match="crashed"):
        engine.runThreads()


# ---- slow motion goes by time.time and time.sleep, looked up in the module


def test_slow_motion_without_blocking_yields_until_the_time_is_over(
    engine: scheduler, old_time: OldTime
) -> None:
    (one,) = added(engine, 1)
    stepper = engine.main(slowmo=0.5)
    steps(stepper, 50)
    assert (one.runs, old_time.slept) == (0, [])
    old_time.now += 0.51
    steps(stepper, 4)
    assert one.runs == 1
    steps(stepper, 50)
    assert one.runs == 1
    old_time.now += 0.51
    steps(stepper, 4)
    assert one.runs == 2


@pytest.mark.parametrize("count", MANY)
def test_slow_motion_waits_for_a_cycle_and_not_for_each_process(
    engine: scheduler, old_time: OldTime, count: int
) -> None:
    many = added(engine, count)
    stepper = engine.main(slowmo=1)
    steps(stepper, 10 * count)
    for cycle in range(1, 4):
        old_time.now += 1.01
        steps(stepper, 10 * count)
        assert [one.runs for one in many] == [cycle] * count


def test_slow_motion_that_may_block_sleeps(engine: scheduler, old_time: OldTime) -> None:
    (one,) = added(engine, 1)
    stepper = engine.main(slowmo=0.5, canblock=True)
    steps(stepper, 9)
    assert one.runs > 2
    assert sum(old_time.slept) == pytest.approx(0.5 * (one.runs + 1), abs=0.5)


def test_a_slow_run_sleeps_once_a_cycle_in_all(engine: scheduler, old_time: OldTime) -> None:
    engine._addThread(OldProcess(steps=3))
    engine.runThreads(slowmo=2)
    assert sum(old_time.slept) == pytest.approx(8, abs=2.1)


def test_slow_motion_ends_although_the_sleep_does_not_move_the_clock(
    engine: scheduler, old_time: OldTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(old_time, "sleep", slept.append)
    engine._addThread(OldProcess(steps=1))
    engine.runThreads(slowmo=0.5)
    assert sum(slept) >= 0.5


def test_a_scheduler_can_be_made_while_the_time_is_replaced(old_time: OldTime) -> None:
    made = scheduler()
    one = OldProcess(steps=3)
    made._addThread(one)
    made.runThreads()
    assert one.runs == 3
    assert old_time.slept == []
