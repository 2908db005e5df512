"""Who runs when: turns, new components, detours and fairness."""

import itertools
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterator
from functools import partial

import pytest

from Axon.Component import component
from Axon.Ipc import WaitComplete, newComponent
from Axon.Scheduler import scheduler
from Axon.Testing import FakeClock, virtual_scheduler
from Axon.Waiter import EPOLLIN
from Test.Axon.scripts import Script, counter, sleeper

# ---- turns


def test_each_has_one_turn_a_cycle_in_the_order_of_activation(engine: scheduler) -> None:
    turns: list[str] = []
    for name in "abc":
        Script(counter(turns, 3), name).activate(Scheduler=engine)
    engine.runThreads()
    assert "".join(turns) == "abcabcabc"


@pytest.mark.parametrize("slowmo", [0, 0.000_001])
def test_each_component_has_its_share_however_long_the_run(slowmo: float) -> None:
    clock = FakeClock()
    runner = virtual_scheduler(clock)
    turns: list[str] = []
    for name in "abcdefg":
        Script(counter(turns, 700), name).activate(Scheduler=runner)
    runner.runThreads(slowmo)
    assert "".join(turns) == "abcdefg" * 700


def test_slow_motion_waits_before_each_cycle() -> None:
    clock = FakeClock()
    runner = virtual_scheduler(clock)
    times: list[float] = []

    def script(self: Script) -> Iterator[object]:
        for _ in range(5):
            times.append(clock())
            yield 1

    for _ in range(3):
        Script(script).activate(Scheduler=runner)
    runner.runThreads(slowmo=1.0)
    assert times == [second for second in (1.0, 2.0, 3.0, 4.0, 5.0) for _ in range(3)]


def test_slow_motion_can_be_stopped_while_it_waits(engine: scheduler) -> None:
    one = Script(sleeper).activate(Scheduler=engine)
    engine.call_later(0.01, engine.stop)
    engine.runThreads(slowmo=3600)
    assert one.stops == 1


@pytest.mark.parametrize("value", [0, 1, 2, None, False, "text", object(), component, [1]])
def test_what_is_yielded_means_nothing(engine: scheduler, value: object) -> None:
    turns: list[object] = []

    def script(self: Script) -> Iterator[object]:
        for _ in range(2):
            turns.append(value)
            yield value

    Script(script).activate(Scheduler=engine)
    engine.runThreads()
    assert turns == [value, value]


def test_a_run_without_components_ends_at_once(engine: scheduler) -> None:
    engine.runThreads()
    engine.runThreads()


def test_the_table_lists_who_is_active_awake_or_asleep(engine: scheduler) -> None:
    seen: list[list[str]] = []

    def script(self: Script) -> Iterator[object]:
        yield 1
        seen.append(sorted(one.name for one in engine.listAllThreads()))
        asleep.unpause()
        asleep.stop()

    asleep = Script(sleeper, "asleep").activate(Scheduler=engine)
    awake = Script(script, "awake").activate(Scheduler=engine)
    assert not engine.isThreadPaused(awake)
    engine.runThreads()
    assert seen == [["asleep", "awake"]]
    assert engine.listAllThreads() == []
    assert engine.isThreadPaused(awake)  # unknown counts as paused


def test_the_scheduler_wakes_and_pauses_those_it_knows(engine: scheduler) -> None:
    one = Script(counter([], 2)).activate(Scheduler=engine)
    stranger = Script(counter([], 2))
    engine.pauseThread(stranger)
    engine.wakeThread(stranger)
    engine.pauseThread(one)

    def other(self: Script) -> Iterator[object]:
        yield 1
        assert engine.isThreadPaused(one)
        engine.wakeThread(one)

    Script(other).activate(Scheduler=engine)
    engine.runThreads()
    assert one.stops == 1
    assert stranger.stops == 0


def test_a_ready_microprocess_can_be_taken_on_by_waking_it(engine: scheduler) -> None:
    turns: list[str] = []
    one = Script(counter(turns, 2), "x")
    one._axon_gen = one.main()
    engine.wakeThread(one, canActivate=True)
    engine.runThreads()
    assert turns == ["x", "x"]


def test_a_scheduler_that_runs_cannot_be_run_again(engine: scheduler) -> None:
    def script(self: Script) -> Iterator[object]:
        with pytest.raises(RuntimeError, match="runs already"):
            engine.runThreads()
        yield 1

    Script(script).activate(Scheduler=engine)
    engine.runThreads()


def test_the_default_scheduler_is_there_after_import_and_stays() -> None:
    default = scheduler.run
    assert isinstance(default, scheduler)
    scheduler()
    assert scheduler.run is default
    assert abs(default.time - time.time()) < 10


# ---- new components


def test_new_components_are_activated_on_the_scheduler_that_runs(engine: scheduler) -> None:
    turns: list[str] = []
    children = [Script(counter(turns, 1), name) for name in "ab"]

    def script(self: Script) -> Iterator[object]:
        yield newComponent(*children)
        turns.append("parent")
        yield 1

    Script(script).activate(Scheduler=engine)
    engine.runThreads()
    assert sorted(turns) == ["a", "b", "parent"]
    assert all(child.scheduler is engine for child in children)


def test_a_component_activated_twice_by_its_parent_runs_once(engine: scheduler) -> None:
    turns: list[str] = []
    child = Script(counter(turns, 2), "x")

    def script(self: Script) -> Iterator[object]:
        yield newComponent(child, child)
        yield newComponent(child)

    Script(script).activate(Scheduler=engine)
    engine.runThreads()
    assert turns == ["x", "x"]


# ---- detours


def test_wait_complete_runs_the_generator_in_the_place_of_main(engine: scheduler) -> None:
    done: list[str] = []

    def inner(self: Script) -> Iterator[object]:
        done.append("inner")
        yield 1

    def helper(self: Script) -> Iterator[object]:
        done.append("helper")
        yield WaitComplete(inner(self), tag="__inner")
        done.append("helper again")
        yield 1

    def script(self: Script) -> Iterator[object]:
        done.append("main")
        yield WaitComplete(helper(self))
        done.append("main again")
        yield WaitComplete(iter(()))
        done.append("end")

    one = Script(script).activate(Scheduler=engine)
    engine.runThreads()
    assert done == ["main", "helper", "inner", "helper again", "main again", "end"]
    assert one.stops == 1


def test_pause_and_messages_work_inside_a_detour(engine: scheduler) -> None:
    turns = 0

    def receive(self: Script, got: list[object]) -> Iterator[object]:
        nonlocal turns
        while not self.dataReady():
            turns += 1
            self.pause()
            yield 1
        got.append(self.recv())

    def script(self: Script) -> Iterator[object]:
        got: list[object] = []
        yield WaitComplete(receive(self, got))
        assert got == ["first"]
        yield from receive(self, got)
        assert got == ["first", "second"]
        engine.stop()
        yield 1

    one = Script(script).activate(Scheduler=engine)
    engine.call_later(0.01, lambda: one._deliver("first"))
    engine.call_later(0.02, lambda: one._deliver("second"))
    engine.runThreads()
    assert turns == 2


def test_a_pause_at_the_very_end_of_a_detour_does_not_make_main_sleep(engine: scheduler) -> None:
    def helper(self: Script) -> Iterator[object]:
        yield 1
        self.pause()

    def script(self: Script) -> Iterator[object]:
        yield WaitComplete(helper(self))
        yield 1

    one = Script(script).activate(Scheduler=engine)
    engine.runThreads()
    assert one.stops == 1


def test_a_component_stopped_in_a_detour_does_not_come_back(engine: scheduler) -> None:
    done: list[str] = []

    def helper(self: Script) -> Iterator[object]:
        self.stop()
        yield WaitComplete(sleeper(self))

    def script(self: Script) -> Iterator[object]:
        yield WaitComplete(helper(self))
        done.append("came back")

    one = Script(script).activate(Scheduler=engine)
    engine.runThreads()
    assert done == []
    assert one.stops == 1


def test_yield_from_hands_back_what_the_generator_returns(engine: scheduler) -> None:
    def ask(self: Script) -> Generator[object, None, int]:
        yield 1
        return 42

    def script(self: Script) -> Iterator[object]:
        answer = yield from ask(self)
        answers.append(answer)

    answers: list[object] = []
    Script(script).activate(Scheduler=engine)
    engine.runThreads()
    assert answers == [42]


# ---- fairness


def busy(until: threading.Event) -> Callable[[Script], Iterator[object]]:
    def script(self: Script) -> Iterator[object]:
        while not until.is_set():
            yield 1

    return script


@pytest.mark.parametrize("how_many", [1, 100])
def test_sockets_timers_and_calls_are_served_beside_those_that_never_pause(
    engine: scheduler, how_many: int
) -> None:
    done = threading.Event()
    left, right = socket.socketpair()
    with left, right:
        order: list[str] = []

        def readable(events: int) -> None:
            order.append(left.recv(10).decode())
            engine.unregister(left.fileno())
            done.set()

        def timer() -> None:
            order.append("timer")
            engine.call_from_thread(lambda: right.send(b"socket"))

        engine.register(left.fileno(), EPOLLIN, readable)
        engine.call_later(0.001, timer)
        for _ in range(how_many):
            Script(busy(done)).activate(Scheduler=engine)
        engine.runThreads()
        assert order == ["timer", "socket"]


def test_a_thread_is_heard_beside_components_that_never_pause(engine: scheduler) -> None:
    done = threading.Event()
    Script(busy(done)).activate(Scheduler=engine)
    thread = threading.Thread(target=lambda: engine.call_from_thread(done.set))
    thread.start()
    engine.runThreads()
    thread.join()
    assert done.is_set()


def test_components_have_their_turn_beside_calls_that_never_end(engine: scheduler) -> None:
    turns: list[str] = []
    one = Script(counter(turns, 1000), "x").activate(Scheduler=engine)

    def again() -> None:
        if not one.stops:
            engine.call_from_thread(again)

    again()
    engine.runThreads()
    assert len(turns) == 1000


def test_slow_turns_do_not_keep_a_timer_waiting() -> None:
    # Each turn takes a millisecond of real time; a slice must have become short by then.
    engine = virtual_scheduler()
    waits: list[int] = []
    turns = 0
    stamp = threading.Event()

    def script(self: Script) -> Iterator[object]:
        nonlocal turns
        for _ in range(100):
            turns += 1
            stamp.wait(0.001)
            yield 1

    def look() -> None:
        waits.append(turns)
        if turns < 100:
            engine.call_from_thread(look)

    Script(script).activate(Scheduler=engine)
    engine.call_from_thread(look)
    engine.runThreads()
    gaps = [later - earlier for earlier, later in itertools.pairwise(waits)]
    assert gaps[-1] <= 8


# ---- sockets and threads


def test_data_on_a_socket_wakes_a_component(engine: scheduler) -> None:
    left, right = socket.socketpair()
    with left, right:
        got: list[bytes] = []

        def script(self: Script) -> Iterator[object]:
            engine.register(left.fileno(), EPOLLIN, lambda _: self._deliver(left.recv(100)))
            while not self.dataReady():
                self.pause()
                yield 1
            got.append(self.recv())
            engine.modify(left.fileno(), 0)
            engine.unregister(left.fileno())

        Script(script).activate(Scheduler=engine)
        engine.call_later(0.01, lambda: right.send(b"hello"))
        engine.runThreads()
        assert got == [b"hello"]


def test_an_exception_of_a_callback_comes_out_and_nothing_is_lost(engine: scheduler) -> None:
    turns: list[str] = []
    Script(counter(turns, 3), "x").activate(Scheduler=engine)

    def broken() -> None:
        raise ValueError("of a callback")

    engine.call_from_thread(broken)
    engine.call_from_thread(lambda: turns.append("called"))
    with pytest.raises(ValueError, match="of a callback"):
        engine.runThreads()
    engine.runThreads()
    assert sorted(turns) == ["called", "x", "x", "x"]


def test_calls_from_threads_reach_a_blocked_scheduler_in_order(engine: scheduler) -> None:
    heard: list[int] = []
    one = Script(sleeper).activate(Scheduler=engine)

    def from_outside() -> None:
        for number in range(2_000):
            engine.call_from_thread(partial(heard.append, number))
        engine.call_from_thread(one.stop)

    thread = threading.Thread(target=from_outside)
    thread.start()
    engine.runThreads()
    thread.join()
    assert heard == list(range(2_000))
