"""
Threaded components, stepped by hand with next() and under whatever scheduler they were given.

Nobody runs a scheduler here: all that the thread asks for must be done by those steps.
"""

from collections.abc import Callable, Iterator
from threading import Event, current_thread
from typing import Any

import pytest

from Axon.AxonExceptions import noSpaceInBox
from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Scheduler import scheduler
from Axon.ThreadedComponent import threadedadaptivecommscomponent, threadedcomponent
from Test.Axon.contract.threads import (
    ByHand,
    step_to_the_end,
    step_until,
)
from Test.Axon.scripts import PATIENCE

Made = Callable[[], Any]


# ---- its end


def test_it_ends_with_stop_iteration(make: Made) -> None:
    made = ByHand(lambda self: None).activate(Scheduler=make())
    step_to_the_end(made)
    for _ in range(2):
        with pytest.raises(StopIteration):
            made.next()


def test_there_is_a_step_more_after_the_thread_has_been_seen_dead(make: Made) -> None:
    made = ByHand(lambda self: None).activate(Scheduler=make())
    made.next()
    made._axon_thread.join(PATIENCE)
    assert not made._axon_thread.is_alive()
    made.next()  # sees that it is dead
    step_to_the_end(made)


def test_the_thread_starts_at_the_first_step_and_not_before(make: Made) -> None:
    started = Event()
    made = ByHand(lambda self: started.set())
    made.activate(Scheduler=make())
    assert not started.is_set()
    made.next()
    assert started.wait(PATIENCE)
    step_to_the_end(made)


def test_main_runs_in_another_thread(make: Made) -> None:
    made = ByHand(lambda self: self.results.append(current_thread()))
    made.activate(Scheduler=make())
    step_to_the_end(made)
    assert made.results != [current_thread()]


def test_the_three_parts_are_called_when_there_is_no_main(make: Made) -> None:
    log: list[str] = []

    class Parts(threadedcomponent):
        def initialiseComponent(self) -> object:
            log.append("initialise")
            return None

        def mainBody(self) -> object:
            log.append("body")
            return log.count("body") < 3

        def closeDownComponent(self) -> object:
            log.append("close")
            return None

    step_to_the_end(Parts().activate(Scheduler=make()))
    assert log == ["initialise", "body", "body", "body", "close"]


def test_the_main_method_may_be_named(make: Made) -> None:
    log = []

    class Other(threadedcomponent):
        def work(self) -> None:
            log.append("work")

    step_to_the_end(Other().activate(Scheduler=make(), mainmethod="work"))
    assert log == ["work"]


@pytest.mark.parametrize("kind", [threadedcomponent, threadedadaptivecommscomponent])
def test_keywords_become_attributes_and_boxes_may_be_given(kind: type[Any]) -> None:
    made = kind(queuelengths=5, colour="red", Inboxes=["a"], Outboxes=("b",))
    assert (made.queuelengths, made.colour) == (5, "red")
    assert (list(made.inboxes), list(made.outboxes)) == (["a"], ["b"])
    assert (kind().queuelengths, kind.DefaultQueueSize) == (1000, 1000)


class ManyArguments(Exception):  # noqa: N818 - any exception
    """One whose constructor needs other arguments than a text."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(first, second)


@pytest.mark.parametrize("error", [ValueError("text"), RuntimeError(), ManyArguments(1, 2)])
def test_an_exception_of_the_thread_is_raised_by_a_step_as_it_is(
    make: Made, error: Exception
) -> None:
    def script(self: ByHand) -> None:
        raise error

    made = ByHand(script).activate(Scheduler=make())
    with pytest.raises(type(error)) as caught:
        step_until(lambda: False, made)
    assert caught.value is error
    assert any(entry.name == "script" for entry in caught.traceback)


# ---- messages


def test_messages_go_through_in_order(make: Made) -> None:
    def echo(self: ByHand) -> None:
        while not self.dataReady("control"):
            for message in self.Inbox("inbox"):
                self.send(message, "outbox")
            self.pause()
        self.send(self.recv("control"), "signal")

    made = ByHand(echo).activate(Scheduler=make())
    tester = component()
    tester.link((tester, "outbox"), (made, "inbox"))
    tester.link((tester, "signal"), (made, "control"))
    tester.link((made, "outbox"), (tester, "inbox"))
    tester.link((made, "signal"), (tester, "control"))
    for number in range(20):
        tester.send(number)
        step_until(lambda: tester.dataReady("inbox"), made)
        assert tester.recv("inbox") == number
    stop = producerFinished(tester)
    tester.send(stop, "signal")
    step_to_the_end(made)
    assert tester.recv("control") is stop


def test_a_shutdown_does_not_overtake_data(make: Made) -> None:
    def read(self: ByHand) -> None:
        while not self.dataReady("control"):
            self.pause()
        self.results.extend(self.Inbox("inbox"))

    made = ByHand(read)
    for number in range(50):
        made._deliver(number)
    made._deliver(shutdownMicroprocess(), "control")
    made.activate(Scheduler=make())
    step_to_the_end(made)
    assert made.results == list(range(50))


def test_all_that_was_sent_arrives_before_the_end(make: Made) -> None:
    def send(self: ByHand) -> None:
        for number in range(30):
            self.send(number)

    made = ByHand(send).activate(Scheduler=make())
    tester = component()
    tester.link((made, "outbox"), (tester, "inbox"))
    step_to_the_end(made)
    assert list(tester.Inbox()) == list(range(30))


def test_it_does_not_end_while_a_full_box_keeps_messages_back(make: Made) -> None:
    def send(self: ByHand) -> None:
        for number in range(5):
            self.send(number)

    made = ByHand(send).activate(Scheduler=make())
    tester = component()
    tester.link((made, "outbox"), (tester, "inbox"), pipewidth=1)
    got: list[object] = []
    made.next()
    made._axon_thread.join(PATIENCE)
    for _ in range(4):
        for _ in range(20):
            made.next()  # raises nothing: it goes on
        assert tester.dataReady() == 1
        got.append(tester.recv())
    step_to_the_end(made)
    assert [*got, tester.recv()] == [0, 1, 2, 3, 4]


def test_messages_that_wait_inside_do_not_keep_it_alive(make: Made) -> None:
    made = ByHand(lambda self: None)
    for number in range(10):
        made._deliver(number)
    made.activate(Scheduler=make())
    step_to_the_end(made)


def test_an_empty_box_is_an_index_error(make: Made) -> None:
    """In the original it blocked for ever."""

    def script(self: ByHand) -> None:
        with pytest.raises(IndexError):
            self.recv("inbox")
        self.results.append("raised")

    made = ByHand(script).activate(Scheduler=make())
    step_to_the_end(made)
    assert made.results == ["raised"]


def test_what_waits_is_seen_from_the_thread(make: Made) -> None:
    def script(self: ByHand) -> None:
        while self.dataReady("inbox") < 3:
            self.pause()
        self.results.append((self.dataReady("inbox"), self.anyReady()))
        self.results.extend(self.recv("inbox") for _ in range(3))
        self.results.append((self.dataReady(), self.anyReady()))

    made = ByHand(script)
    for letter in "abc":
        made._deliver(letter)
    made.activate(Scheduler=make())
    step_to_the_end(made)
    assert made.results == [(3, "inbox"), "a", "b", "c", (0, False)]


# ---- sleeping


@pytest.mark.parametrize("timeout", [0, 0.01])
def test_a_pause_ends_with_its_time(make: Made, timeout: float) -> None:
    def script(self: ByHand) -> None:
        self.pause(timeout)
        self.results.append("went on")

    made = ByHand(script).activate(Scheduler=make())
    step_to_the_end(made)
    assert made.results == ["went on"]


def test_a_pause_ends_with_a_message(make: Made) -> None:
    def script(self: ByHand) -> None:
        while not self.anyReady():
            self.pause()
        self.results.append(self.recv())

    made = ByHand(script).activate(Scheduler=make())
    for _ in range(5):
        made.next()
    made._deliver("wake up")
    step_to_the_end(made)
    assert made.results == ["wake up"]


def test_a_pause_ends_when_there_is_room_again(make: Made) -> None:
    def script(self: ByHand) -> None:
        number = 0
        while number < 10:
            try:
                self.send(number)
                number += 1
            except noSpaceInBox:
                self.pause()

    made = ByHand(script, 1).activate(Scheduler=make())
    tester = component()
    tester.link((made, "outbox"), (tester, "inbox"), synchronous=True)
    got: list[object] = []

    def all_there() -> bool:
        got.extend(tester.Inbox())
        return len(got) == 10

    step_until(all_there, made)
    step_to_the_end(made)
    assert got == list(range(10))


def test_stop_from_outside_is_noticed_by_the_thread(make: Made) -> None:
    ended = Event()

    def script(self: ByHand) -> None:
        try:
            while True:
                self.pause()
        finally:
            ended.set()

    made = ByHand(script).activate(Scheduler=make())
    made.next()
    made.stop()
    assert ended.wait(PATIENCE)


# ---- under a scheduler that is stepped


def test_it_runs_under_a_scheduler_that_is_stepped(engine: scheduler) -> None:
    target = component()

    class Ticker(component):
        def main(self) -> Iterator[object]:
            while not target.dataReady():
                yield 1

    def script(self: ByHand) -> None:
        self.link((self, "outbox"), (target, "inbox"))
        self.send("hello")

    made = ByHand(script).activate(Scheduler=engine)
    Ticker().activate(Scheduler=engine)
    for _ in engine.main(canblock=True):
        pass
    assert made._isStopped()
    assert target.recv() == "hello"
