"""One generator: activated, stepped, paused, woken and stopped."""

import threading
from collections.abc import Callable, Iterator

import pytest

from Axon.Microprocess import microprocess
from Axon.Scheduler import scheduler
from Axon.Testing import FakeClock, virtual_scheduler


class Script(microprocess):
    """Runs a function that is given the microprocess and makes the generator."""

    def __init__(self, script: Callable[["Script"], Iterator[object]]) -> None:
        super().__init__()
        self.script = script
        self.stops = 0
        self.closed = 0

    def main(self) -> Iterator[object]:
        return self.script(self)

    def stop(self) -> None:
        self.stops += 1
        super().stop()

    def _closeDownMicroprocess(self) -> object:
        self.closed += 1
        return super()._closeDownMicroprocess()


def sleeper(self: Script) -> Iterator[object]:
    while True:
        self.pause()
        yield 1


def three_turns(self: Script) -> Iterator[object]:
    yield 1
    yield 1


# ---- names


def test_each_has_a_number_and_a_name_of_its_own() -> None:
    first, second = microprocess(), microprocess()
    assert first.id < second.id
    assert str(first) == first.name == f"Axon.Microprocess.microprocess_{first.id}"
    assert str(first) == str(first) != str(second)
    first.name = "renamed"
    assert str(first) == "renamed"
    assert microprocess(tag="__tag").name.endswith("__tag")
    assert microprocess().init == 1


# ---- starting


def test_main_is_called_but_not_begun_by_activate(engine: scheduler) -> None:
    begun: list[int] = []

    def script(self: Script) -> Iterator[object]:
        begun.append(1)
        yield 1

    one = Script(script).activate(Scheduler=engine)
    assert begun == []
    assert engine.listAllThreads() == [one]
    engine.runThreads()
    assert begun == [1]


def test_another_method_can_be_the_main(engine: scheduler) -> None:
    class Other(microprocess):
        def main(self) -> Iterator[object]:
            raise AssertionError("not this one")

        def second(self) -> Iterator[object]:
            done.append("second")
            yield 1

    done: list[str] = []
    Other().activate(Scheduler=engine, mainmethod="second")
    engine.runThreads()
    assert done == ["second"]


def test_a_ready_generator_is_run_as_it_is(engine: scheduler) -> None:
    done: list[int] = []

    def generator() -> Iterator[object]:
        done.append(1)
        yield 1
        done.append(2)

    microprocess(generator(), closeDownValue=5).activate(Scheduler=engine)
    engine.runThreads()
    assert done == [1, 2]
    assert microprocess(closeDownValue=5)._closeDownMicroprocess() == 5


def test_a_main_that_is_no_generator_is_refused_by_name(engine: scheduler) -> None:
    class Forgot(microprocess):
        def main(self) -> None:
            """Somebody forgot the yield."""

    Forgot().activate(Scheduler=engine)
    with pytest.raises(TypeError, match=r"Forgot\.main\(\) must be a generator.*NoneType.*yield"):
        engine.runThreads()
    assert engine.listAllThreads() == []


def test_activating_twice_runs_it_once(engine: scheduler) -> None:
    turns: list[int] = []

    def script(self: Script) -> Iterator[object]:
        for number in range(3):
            turns.append(number)
            yield 1

    one = Script(script)
    assert one.activate(Scheduler=engine) is one
    assert one.activate(Scheduler=engine) is one
    engine.runThreads()
    assert turns == [0, 1, 2]
    assert one.activate(Scheduler=engine) is one
    engine.runThreads()  # over is over
    assert turns == [0, 1, 2]


def test_activating_a_sleeping_one_wakes_it(engine: scheduler) -> None:
    def script(self: Script) -> Iterator[object]:
        self.pause()
        yield 1

    one = Script(script).activate(Scheduler=engine)

    def other(self: Script) -> Iterator[object]:
        yield 1
        one.activate()

    Script(other).activate(Scheduler=engine)
    engine.runThreads()
    assert one._isStopped()


def test_the_scheduler_class_is_a_setting_with_a_default() -> None:
    class Mine(microprocess):
        """Has a setting of its own."""

    class Special(scheduler):
        """Another kind."""

    assert Mine.schedulerClass is scheduler
    Mine.setSchedulerClass(Special)
    assert Mine.schedulerClass is Special
    assert microprocess.schedulerClass is scheduler


def test_run_uses_the_default_scheduler_until_all_have_ended() -> None:
    turns: list[str] = []

    def script(self: Script) -> Iterator[object]:
        for _ in range(3):
            turns.append(self.name)
            yield 1

    first, second = Script(script), Script(script)
    first.activate()
    second.run()
    assert sorted(turns) == sorted([first.name, second.name] * 3)
    again = Script(script)
    again.run()
    assert turns[6:] == [again.name] * 3


# ---- steps by hand


def test_it_can_be_stepped_by_hand(engine: scheduler) -> None:
    one = microprocess(iter(["a", "b"])).activate(Scheduler=engine)
    assert one.next() == "a"
    assert next(one) == "b"
    with pytest.raises(StopIteration):
        one.next()
    engine.runThreads()


def test_a_step_before_activation_says_what_is_missing() -> None:
    with pytest.raises(RuntimeError, match="activate"):
        microprocess().next()


# ---- pausing and waking


def test_pause_takes_effect_at_the_yield() -> None:
    runner = virtual_scheduler()
    done: list[str] = []

    def script(self: Script) -> Iterator[object]:
        self.pause()
        done.append("goes on to the yield")
        yield 1
        done.append("woken")

    one = Script(script).activate(Scheduler=runner)
    runner.runThreads()
    assert done == ["goes on to the yield"]
    assert runner.isThreadPaused(one)
    assert not one._isRunnable()
    one.unpause()
    runner.runThreads()
    assert done == ["goes on to the yield", "woken"]
    assert one._isRunnable()


def test_before_activation_pause_and_unpause_do_nothing(engine: scheduler) -> None:
    one = Script(three_turns)
    one.pause()
    one.pause(1.0)
    one.unpause()
    one.activate(Scheduler=engine)
    engine.runThreads()  # would sleep for ever
    assert one.closed == 1


@pytest.mark.parametrize("first", ["pause", "unpause"])
def test_a_wake_up_in_the_turn_of_the_pause_is_not_lost(engine: scheduler, first: str) -> None:
    def script(self: Script) -> Iterator[object]:
        if first == "pause":
            self.pause()
            self.unpause()
        else:
            self.unpause()
            self.pause()
        yield 1

    one = Script(script).activate(Scheduler=engine)
    engine.runThreads()
    assert one.closed == 1


def test_after_its_end_pause_and_unpause_do_nothing(engine: scheduler) -> None:
    one = Script(three_turns).activate(Scheduler=engine)
    engine.runThreads()
    one.pause()
    one.unpause()
    one._unpause()
    engine.runThreads()
    assert one.closed == 1


def test_pausing_from_outside_one_that_sleeps_does_not_make_it_miss_its_next_turn(
    engine: scheduler,
) -> None:
    def script(self: Script) -> Iterator[object]:
        self.pause()
        yield 1
        yield "it did not ask to sleep here"

    one = Script(script).activate(Scheduler=engine)

    def other(self: Script) -> Iterator[object]:
        yield 1
        engine.pauseThread(one)
        one.unpause()

    Script(other).activate(Scheduler=engine)
    engine.runThreads()
    assert one.closed == 1


def test_a_pause_with_a_timeout_ends_by_itself() -> None:
    clock = FakeClock()
    runner = virtual_scheduler(clock)
    times: list[float] = []

    def script(self: Script) -> Iterator[object]:
        for seconds in (3600.0, 0.5, 0.0):
            self.pause(seconds)
            yield 1
            times.append(clock())

    Script(script).activate(Scheduler=runner)
    runner.runThreads()
    assert times == [3600.0, 3600.5, 3600.5]


def test_a_shorter_pause_after_a_longer_one_that_was_cut_short() -> None:
    clock = FakeClock()
    runner = virtual_scheduler(clock)
    times: list[float] = []

    def script(self: Script) -> Iterator[object]:
        runner.call_later(1.0, self.unpause)
        for seconds in (100.0, 5.0, 200.0):
            self.pause(seconds)
            yield 1
            times.append(clock())

    Script(script).activate(Scheduler=runner)
    runner.runThreads()
    assert times == [1.0, 6.0, 206.0]


def test_a_timeout_that_a_message_forestalled_costs_at_most_one_spurious_turn() -> None:
    clock = FakeClock()
    runner = virtual_scheduler(clock)
    times: list[float] = []

    def script(self: Script) -> Iterator[object]:
        runner.call_later(1.0, self.unpause)
        self.pause(10.0)
        yield 1
        while clock() < 50:
            times.append(clock())
            self.pause(100.0 if len(times) > 1 else None)
            yield 1

    one = Script(script).activate(Scheduler=runner)
    runner.runThreads()
    assert times == [1.0, 10.0]
    assert one.closed == 1
    assert clock() == 110.0


# ---- stopping


def test_a_sleeping_one_that_is_stopped_is_reaped(engine: scheduler) -> None:
    one = Script(sleeper).activate(Scheduler=engine)

    def other(self: Script) -> Iterator[object]:
        yield 1
        one.stop()

    Script(other).activate(Scheduler=engine)
    engine.runThreads()
    assert (one.stops, one.closed) == (1, 1)
    assert one._isStopped()
    with pytest.raises(StopIteration):
        one.next()


@pytest.mark.parametrize("pausing", [False, True])
def test_one_that_stops_itself_gets_no_other_turn(engine: scheduler, pausing: bool) -> None:
    done: list[str] = []

    def script(self: Script) -> Iterator[object]:
        self.stop()
        if pausing:
            self.pause()
        yield 1
        done.append("another turn")

    one = Script(script).activate(Scheduler=engine)
    engine.runThreads()  # does not wait for one that is over
    assert done == []
    assert (one.stops, one.closed) == (1, 1)
    assert engine.listAllThreads() == []


def test_stopping_closes_the_generator(engine: scheduler) -> None:
    done: list[str] = []

    def script(self: Script) -> Iterator[object]:
        try:
            yield 1
        finally:
            done.append("cleaned up")

    one = Script(script).activate(Scheduler=engine)

    def other(self: Script) -> Iterator[object]:
        one.stop()
        yield 1

    Script(other).activate(Scheduler=engine)
    engine.runThreads()
    assert done == ["cleaned up"]


def test_one_that_was_stopped_before_it_was_activated_never_runs(engine: scheduler) -> None:
    done: list[str] = []

    def script(self: Script) -> Iterator[object]:
        done.append("ran")
        self.pause()
        yield 1

    one = Script(script)
    one.stop()
    one.activate(Scheduler=engine)
    engine.runThreads()
    assert done == []
    assert engine.listAllThreads() == []


def test_stopping_twice_is_harmless(engine: scheduler) -> None:
    one = Script(sleeper).activate(Scheduler=engine)
    one.stop()
    one.stop()
    engine.runThreads()
    assert one.closed == 1


def test_stop_is_called_once_by_a_natural_end(engine: scheduler) -> None:
    one = Script(three_turns).activate(Scheduler=engine)
    engine.runThreads()
    assert (one.stops, one.closed) == (1, 1)


# ---- from other threads


def in_thread(call: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread


def test_unpause_and_stop_from_a_thread_reach_a_blocked_scheduler(engine: scheduler) -> None:
    asleep = threading.Event()
    awake = threading.Event()

    def script(self: Script) -> Iterator[object]:
        engine.call_from_thread(asleep.set)
        self.pause()
        yield 1
        awake.set()
        while True:
            engine.call_from_thread(asleep.set)
            self.pause()
            yield 1

    one = Script(script).activate(Scheduler=engine)

    def from_outside() -> None:
        asleep.wait(10)
        asleep.clear()
        one.unpause()
        awake.wait(10)
        asleep.wait(10)
        one.stop()

    thread = in_thread(from_outside)
    engine.runThreads()
    thread.join(10)
    assert awake.is_set()
    assert (one.stops, one.closed) == (1, 1)


def test_stop_from_a_thread_reaches_one_that_is_just_going_to_sleep(engine: scheduler) -> None:
    def script(self: Script) -> Iterator[object]:
        in_thread(self.stop).join(10)
        self.pause()
        yield 1
        raise AssertionError("another turn")

    one = Script(script).activate(Scheduler=engine)
    engine.runThreads()
    assert (one.stops, one.closed) == (1, 1)


def test_activate_from_a_thread_reaches_a_blocked_scheduler(engine: scheduler) -> None:
    asleep = threading.Event()

    def first(self: Script) -> Iterator[object]:
        engine.call_from_thread(asleep.set)
        self.pause()
        yield 1

    one = Script(first).activate(Scheduler=engine)

    def second(self: Script) -> Iterator[object]:
        one.unpause()
        yield 1

    two = Script(second)

    def from_outside() -> None:
        asleep.wait(10)
        two.activate(Scheduler=engine)

    thread = in_thread(from_outside)
    engine.runThreads()
    thread.join(10)
    assert (one.closed, two.closed) == (1, 1)
