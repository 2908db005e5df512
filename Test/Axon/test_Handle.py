"""
A component in the hands of ordinary code: order, limits, ends, and no wake-up lost between threads.
"""

import subprocess
import sys
import threading
from collections.abc import Iterator
from queue import Empty, Full
from typing import Any

import pytest

from Axon.AdaptiveCommsComponent import AdaptiveCommsComponent
from Axon.background import background
from Axon.Box import Inbox
from Axon.Component import component
from Axon.Handle import ComponentEndedError, Handle
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Scheduler import scheduler
from Axon.Waiter import EpollWaiter
from Test.Axon.plain_code import Deaf, Doubler, Failing
from Test.Axon.scripts import Script, sleeper

PATIENCE = 20.0  # seconds


@pytest.fixture
def default(engine: scheduler) -> Iterator[scheduler]:
    """Make a scheduler of the test's own the default one."""
    before, scheduler.run = scheduler.run, engine
    yield engine
    scheduler.run = before


@pytest.fixture
def running(default: scheduler) -> Iterator[scheduler]:
    """The same, running in the background."""
    with background():
        yield default


def turn(engine: scheduler) -> None:
    """Let everybody act, here and now, until nobody is awake."""
    engine.start_turns()
    engine.linger = True
    try:
        while engine.take_turns() and engine.may_rest() == 0:
            pass
    finally:
        engine.end_turns()


# ---- with a scheduler in another thread


def test_messages_go_in_and_come_out_in_order(running: scheduler) -> None:
    handle = Handle(Doubler()).activate()
    for number in range(5):
        handle.put(number)
    assert [handle.get(timeout=PATIENCE) for _ in range(5)] == [0, 2, 4, 6, 8]


def test_what_was_put_before_the_activation_arrives(running: scheduler) -> None:
    handle = Handle(Doubler())
    handle.put(4, "inbox")
    assert handle.activate().get("outbox", timeout=PATIENCE) == 8


def test_a_scheduler_started_after_the_activation_serves_it(default: scheduler) -> None:
    handle = Handle(Doubler()).activate()
    handle.put(4)
    with background():
        assert handle.get(timeout=PATIENCE) == 8


def test_to_activate_twice_is_harmless(running: scheduler) -> None:
    handle = Handle(Doubler()).activate().activate()
    handle.put(4)
    assert handle.get(timeout=PATIENCE) == 8
    handle.activate().put(5)
    assert handle.get(timeout=PATIENCE) == 10


def test_a_component_that_is_active_already_is_joined(running: scheduler) -> None:
    one = Doubler().activate()
    handle = Handle(one).activate()
    handle.put(4)
    assert handle.get(timeout=PATIENCE) == 8


def test_all_output_until_the_end(running: scheduler) -> None:
    handle = Handle(Doubler()).activate()
    for number in range(3):
        handle.put(number)
    handle.shutdown()
    assert list(handle.messages()) == [0, 2, 4]
    assert [type(message) for message in handle.messages("signal")] == [producerFinished]


def test_a_get_that_waits_hears_of_the_end(running: scheduler) -> None:
    handle = Handle(Doubler()).activate()
    handle.shutdown(at_once=True)
    with pytest.raises(ComponentEndedError):
        handle.get(timeout=None)
    assert handle.join(PATIENCE)
    assert isinstance(handle.get("signal"), shutdownMicroprocess)


def test_the_failure_of_a_component_ends_a_get_and_comes_out_of_background(
    default: scheduler,
) -> None:
    def use() -> None:
        with background():
            handle = Handle(Failing()).activate()
            handle.put(1)
            handle.get(timeout=None)

    with pytest.raises(ZeroDivisionError):
        use()


def test_the_failure_of_another_ends_a_get_as_well(default: scheduler) -> None:
    def use() -> None:
        with background():
            handle = Handle(Doubler()).activate()
            Handle(Failing()).activate().put(1)
            handle.get(timeout=None)

    with pytest.raises(ZeroDivisionError):
        use()


def test_a_put_with_a_timeout_waits_for_room(running: scheduler) -> None:
    deaf = Deaf()
    deaf.setInboxSize("inbox", 1)
    handle = Handle(deaf, limit=1).activate()
    for number in range(2):  # one lies in the inbox, one in the handle
        handle.put(number, timeout=PATIENCE)
    done = threading.Event()

    def third() -> None:
        handle.put(2, timeout=PATIENCE)
        done.set()

    putting = threading.Thread(target=third)
    putting.start()
    with pytest.raises(Full):
        handle.put("one too many")
    assert not done.is_set()
    handle.put("take one", "go")
    assert done.wait(PATIENCE)
    putting.join()
    assert handle.get(timeout=PATIENCE) == 0


def test_two_threads_and_small_limits_lose_no_wake_up(running: scheduler) -> None:
    one = Doubler()
    one.setInboxSize("inbox", 1)
    handle = Handle(one, limit=1).activate()
    number = 3000

    def feed() -> None:
        for each in range(number):
            handle.put(each, timeout=PATIENCE)

    feeding = threading.Thread(target=feed)
    feeding.start()
    assert [handle.get(timeout=PATIENCE) for _ in range(number)] == list(range(0, 2 * number, 2))
    feeding.join()


def test_several_threads_share_a_handle(running: scheduler) -> None:
    handle = Handle(Doubler(), limit=3).activate()
    each, threads = 500, 4
    got: list[list[tuple[int, int]]] = [[] for _ in range(threads)]

    def feed(me: int) -> None:
        for number in range(each):
            handle.put((me, number), timeout=PATIENCE)

    def eat(me: int) -> None:
        for message in handle.messages():
            got[me].append(message[:2])

    feeders = [threading.Thread(target=feed, args=(me,)) for me in range(threads)]
    eaters = [threading.Thread(target=eat, args=(me,)) for me in range(threads)]
    for thread in feeders + eaters:
        thread.start()
    for thread in feeders:
        thread.join(PATIENCE)
    handle.shutdown()
    for thread in eaters:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in eaters)
    arrived = [message for mine in got for message in mine]
    assert sorted(arrived) == [(me, number) for me in range(threads) for number in range(each)]
    for mine in got:  # and to each eater those of one feeder come in order
        for feeder in range(threads):
            numbers = [number for me, number in mine if me == feeder]
            assert numbers == sorted(numbers)


def test_a_producer_that_asks_how_full_it_is_is_woken_by_a_get(running: scheduler) -> None:
    def script(self: Script) -> Iterator[object]:
        for number in range(300):
            self.send(number, "outbox")
            while len(self.outboxes["outbox"]):
                self.pause()
                yield 1

    handle = Handle(Script(script)).activate()
    assert [handle.get(timeout=PATIENCE) for _ in range(300)] == list(range(300))


@pytest.mark.parametrize("limit", [None, 2])
def test_a_get_between_the_asking_and_the_waiting_of_a_producer_wakes_it(
    default: scheduler, limit: int | None
) -> None:
    woken: list[bool] = []

    def script(self: Script) -> Iterator[object]:
        for number in range(limit or 1):
            self.outboxes["outbox"].append(number)  # as if another had sent it
        sink: Any = self.outboxes["outbox"].sink
        assert len(sink.q) == (limit or 1)  # it looks how full the box is ...
        taking = threading.Thread(target=handle.get)
        taking.start()
        taking.join()  # ... from which the other thread takes something ...
        sink.wake_on_collection(self)  # ... before this one has said that it waits for that
        self.pause()
        yield 1
        woken.append(True)

    handle = Handle(Script(script), limit).activate()
    turn(default)
    assert woken == [True]


def test_a_box_keeps_its_storage_under_the_hands_of_the_other_thread(default: scheduler) -> None:
    def script(self: Script) -> Iterator[object]:
        self.send("message", "outbox")
        while len(self.outboxes["outbox"]):
            self.pause()
            yield 1

    handle = Handle(Script(script)).activate()
    storage = handle._port.boxes["outbox"].q
    turn(default)
    assert handle.get() == "message"
    turn(default)
    assert handle.join(0)
    assert handle._port.boxes["outbox"].q is storage


def test_an_idle_handle_costs_nothing(default: scheduler) -> None:
    """Contract 3.15, the defect: the original has a thread that polls, for each handle."""
    waits: list[float | None] = []
    at_rest = threading.Semaphore(0)

    class Watched(EpollWaiter):
        def wait(self, timeout: float | None, has_calls: Any) -> bool:  # noqa: ANN401
            waits.append(timeout)
            at_rest.release()
            return super().wait(timeout, has_calls)

    default._waiter = Watched()
    before = threading.active_count()
    with background():
        handle = Handle(Doubler()).activate()
        handle.put(1)
        assert handle.get(timeout=PATIENCE) == 2
        assert threading.active_count() == before + 1
        waits.clear()
        default.call_from_thread(lambda: None)
        while None not in waits:  # a wait without a limit: it blocks until something comes
            assert at_rest.acquire(timeout=PATIENCE)
            assert len(waits) < 100
    default._waiter.close()


# ---- without one, step by step


def test_get_does_not_block_and_says_empty(default: scheduler) -> None:
    """Contract 3.15: non-blocking, queue.Empty if nothing."""
    handle = Handle(Doubler())
    with pytest.raises(Empty):
        handle.get()
    handle.activate()
    with pytest.raises(Empty) as caught:
        handle.get("outbox")
    assert not isinstance(caught.value, ComponentEndedError)
    with pytest.raises(Empty):
        handle.get("outbox", timeout=0.001)
    turn(default)
    with pytest.raises(Empty):
        handle.get("signal")


def test_a_producer_finished_does_not_overtake_data(default: scheduler) -> None:
    deaf = Deaf()
    deaf.setInboxSize("inbox", 1)
    handle = Handle(deaf).activate()
    for number in range(3):
        handle.put(number)
    handle.shutdown()
    turn(default)
    assert not handle.join(0)
    for _ in range(2):
        handle.put("take one", "go")
        turn(default)
    assert handle.join(0)
    assert list(handle.messages()) == [0, 1, ("left", 2)]


def test_a_shutdown_at_once_does(default: scheduler) -> None:
    deaf = Deaf()
    deaf.setInboxSize("inbox", 1)
    handle = Handle(deaf).activate()
    for number in range(3):
        handle.put(number)
    handle.shutdown(at_once=True)
    turn(default)
    assert handle.join(0)


def test_room_that_is_made_in_the_receivers_own_turn_does_not_leave_it_asleep(
    default: scheduler,
) -> None:
    taken: list[int] = []

    def one_a_turn(self: Script) -> Iterator[object]:
        while True:
            if self.dataReady():
                taken.append(self.recv())
            self.pause()  # without a look whether more has come
            yield 1

    one = Script(one_a_turn)
    one.setInboxSize("inbox", 1)
    handle = Handle(one).activate()
    for number in range(3):
        handle.put(number)
    turn(default)
    assert taken == [0, 1, 2]


def test_a_limit_makes_the_component_sleep_until_messages_are_taken(default: scheduler) -> None:
    handle = Handle(Doubler(), limit=2).activate()
    for start in range(0, 6, 2):
        handle.put(start)
        handle.put(start + 1)
        turn(default)
    got = []
    while len(got) < 6:
        got.append(handle.get())
        turn(default)
    assert got == [0, 2, 4, 6, 8, 10]


def test_a_limit_makes_put_refuse(default: scheduler) -> None:
    handle = Handle(Doubler(), limit=2).activate()
    handle.put(1)
    handle.put(2)
    with pytest.raises(Full):
        handle.put(3)
    with pytest.raises(Full):
        handle.put(3, timeout=0.001)
    handle.put("other boxes have room", "control")


def test_any_box_of_any_name_may_be_used(default: scheduler) -> None:
    """Contract 3.15, the defect: only the four default boxes."""

    class Odd(component):
        Inboxes = {"in put": "object: anything"}
        Outboxes = {"": "object: the same", "errors": "str: never"}

        def main(self) -> Iterator[object]:
            while not self.dataReady("in put"):
                self.pause()
                yield 1
            self.send(self.recv("in put"), "")

    handle = Handle(Odd()).activate()
    handle.put("x", "in put")
    turn(default)
    assert handle.anyReady() is True  # the name is empty
    assert handle.get("") == "x"


def test_any_ready_names_a_box(default: scheduler) -> None:
    handle = Handle(Doubler()).activate()
    assert handle.anyReady() is False
    handle.put(1)
    turn(default)
    assert handle.anyReady() == "outbox"


def test_unknown_boxes_are_refused_where_they_are_used(default: scheduler) -> None:
    handle = Handle(Doubler())
    for _ in range(2):
        with pytest.raises(KeyError, match="no inbox 'imbox'"):
            handle.put(1, "imbox")
        with pytest.raises(KeyError, match="no outbox 'out'"):
            handle.get("out")
        handle.activate()


def test_a_box_that_leads_elsewhere_stays_as_it_is(default: scheduler) -> None:
    one, other = Doubler(), Doubler()
    one.link((one, "outbox"), (other, "inbox"))
    first, second = Handle(one).activate(), Handle(other).activate()
    first.put(1)
    turn(default)
    with pytest.raises(KeyError, match="elsewhere"):
        first.get()
    assert second.get() == 4


def test_a_component_that_has_ended_takes_and_gives_nothing(default: scheduler) -> None:
    one = Doubler()
    handle = Handle(one, limit=1).activate()
    handle.shutdown()
    turn(default)
    for _ in range(3):
        handle.put(1, timeout=None)
    with pytest.raises(ComponentEndedError):
        handle.get()
    assert not any(handle._port.pending.values())
    late = Handle(one).activate()
    assert late.join(0)
    with pytest.raises(ComponentEndedError):
        late.get()


def test_one_that_ends_before_it_could_be_joined(default: scheduler) -> None:
    one = Doubler().activate()
    handle = Handle(one).activate()
    with pytest.raises(Empty):
        handle.get()  # not joined yet: it is done in the scheduler's thread
    one.stop()
    turn(default)
    assert handle.join(0)


def test_what_waits_for_a_component_that_ends_is_dropped(default: scheduler) -> None:
    one = Script(sleeper)
    one.setInboxSize("inbox", 1)
    handle = Handle(one).activate()
    for number in range(3):
        handle.put(number)
    turn(default)
    one.stop()
    turn(default)
    assert handle.join(0)
    assert not any(handle._port.pending.values())


def test_the_end_leaves_no_reference_to_the_component_s_boxes(default: scheduler) -> None:
    handle = Handle(Doubler()).activate()
    handle.shutdown()
    turn(default)
    assert [box.sources for box in handle._port.boxes.values()] == [(), ()]


def test_an_inbox_that_is_deleted_meanwhile_takes_its_messages_along(default: scheduler) -> None:
    class Adaptive(AdaptiveCommsComponent):
        def main(self) -> Iterator[object]:
            while True:
                self.pause()
                yield 1

    one = Adaptive()
    name = one.addInbox("extra")
    one.setInboxSize(name, 1)
    handle = Handle(one).activate()
    for number in range(3):
        handle.put(number, name)
    turn(default)
    box: Inbox = one.inboxes[name]
    one.deleteInbox(name)
    box.pop()  # makes room in a box that is nobody's any more
    turn(default)
    assert not any(handle._port.pending.values())


def test_only_components_have_handles_and_only_limits_that_let_something_pass() -> None:
    wrong: Any = Doubler
    with pytest.raises(TypeError, match="needs a component"):
        Handle(wrong)
    with pytest.raises(ValueError, match="limit"):
        Handle(Doubler(), limit=0)


def test_nothing_is_printed_at_import() -> None:
    """Contract 3.15, the defect: a notice of five lines."""
    code = "import Axon.background, Axon.Handle, Axon.AsyncioBridge"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout + done.stderr == b""
