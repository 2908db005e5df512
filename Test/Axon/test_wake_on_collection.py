"""
Who sent a message and then slept is woken when it has been taken (contract 3.9: a recv wakes the
owner of every outbox in the chains that lead there).

The engine does that late, when nobody is awake or after some thousand turns. These tests say what
may be relied upon.
"""

from collections.abc import Callable, Iterator

import pytest

from Axon.Component import component
from Axon.Scheduler import scheduler
from Axon.Testing import FakeClock, virtual_scheduler
from Axon.TestingTime import VirtualWaiter
from Test.Axon.producers import Producer, Receiver, Slow, link, run
from Test.Axon.scripts import Script

SOME_THOUSAND_TURNS = 20_000


class Busy(Receiver):
    """Never sleeps: takes what is there until the producer has ended or its patience has."""

    def __init__(self, producer: component) -> None:
        super().__init__()
        self.producer = producer
        self.turns = 0

    def main(self) -> Iterator[object]:
        while not self.producer._isStopped() and self.turns < SOME_THOUSAND_TURNS:
            self.taken += self.Inbox()
            self.turns += 1
            yield 1


class CountingWaiter(VirtualWaiter):
    """Counts how often a scheduler would have blocked."""

    blocked = 0

    def wait(self, timeout: float | None, has_calls: Callable[[], bool]) -> bool:
        self.blocked += timeout != 0
        return super().wait(timeout, has_calls)


@pytest.fixture
def engine() -> scheduler:
    """Give a scheduler whose run ends when nothing can happen any more."""
    return virtual_scheduler()


# ---- the rule


@pytest.mark.parametrize("producer_first", [True, False])
def test_a_producer_is_woken_when_an_idle_receiver_has_taken_its_message(
    engine: scheduler, producer_first: bool
) -> None:
    producer, receiver = Producer(), Receiver()
    link(producer, receiver)
    run(engine, *([producer, receiver] if producer_first else [receiver, producer]))
    assert producer._isStopped()
    assert receiver.taken == [0, 1, 2]


@pytest.mark.parametrize("who_is_busy", ["the receiver", "a third"])
def test_it_is_woken_after_some_thousand_turns_if_somebody_never_sleeps(
    engine: scheduler, who_is_busy: str
) -> None:
    producer = Producer(count=1)
    busy = Busy(producer)
    receiver: Receiver = busy if who_is_busy == "the receiver" else Receiver()
    link(producer, receiver)
    run(engine, producer, busy, *({receiver} - {busy}))
    assert producer._isStopped()
    assert receiver.taken == [0]
    assert busy.turns < SOME_THOUSAND_TURNS


def test_it_is_woken_beside_a_busy_component_in_a_run_in_steps(engine: scheduler) -> None:
    producer = Producer(count=1)
    busy = Busy(producer)
    link(producer, busy)
    for part in (producer, busy):
        part.activate(Scheduler=engine)
    for _ in engine.main():
        pass
    assert busy.turns < SOME_THOUSAND_TURNS


def test_it_is_woken_in_a_run_in_steps(engine: scheduler) -> None:
    producer, receiver = Producer(), Receiver()
    link(producer, receiver)
    for part in (producer, receiver):
        part.activate(Scheduler=engine)
    stepper = engine.main()
    for _ in range(40):
        stepper.next()
    assert producer._isStopped()


def test_it_is_not_woken_while_its_message_lies_there(engine: scheduler) -> None:
    producer, receiver = Producer(), component()
    link(producer, receiver)
    run(engine, producer)
    engine.runThreads()
    assert producer.turns == 0
    assert receiver.dataReady() == 1


def test_it_is_woken_by_the_collection_of_a_message_that_stayed_for_long() -> None:
    clock = FakeClock()
    waiter = CountingWaiter(clock)
    engine = scheduler(clock=clock, waiter=waiter)
    woken: list[float] = []

    def producing(self: Script) -> Iterator[object]:
        self.send("a message")
        self.pause()
        yield 1
        woken.append(self.now())

    def taking(self: Script) -> Iterator[object]:
        while self.now() < 3600.0:
            self.pause(3600.0 - self.now())
            yield 1
        self.recv()

    producer, receiver = Script(producing), Script(taking)
    link(producer, receiver)
    run(engine, producer, receiver)
    assert woken == [3600.0]
    assert waiter.blocked <= 3


def test_an_idle_system_blocks_and_does_not_go_round() -> None:
    clock = FakeClock()
    waiter = CountingWaiter(clock)
    engine = scheduler(clock=clock, waiter=waiter)
    producers, receiver = [Producer() for _ in range(10)], component()
    for producer in producers:
        link(producer, receiver)
    run(engine, *producers)
    assert waiter.blocked == 1
    assert engine.may_rest() is None


# ---- not more than that


def test_of_a_thousand_sleeping_producers_only_the_one_whose_message_was_taken_is_woken(
    engine: scheduler,
) -> None:
    class OnDemand(component):
        turns = 0

        def main(self) -> Iterator[object]:
            while True:
                if self.dataReady():
                    self.send(self.recv())
                self.pause()
                yield 1
                self.turns += 1

    producers, receiver = [OnDemand() for _ in range(1000)], Receiver()
    for producer in producers:
        link(producer, receiver)
        producer._deliver("first")
    run(engine, receiver, *producers)
    assert len(receiver.taken) == 1000
    before = [producer.turns for producer in producers]
    producers[500]._deliver("second")
    engine.runThreads()
    assert receiver.taken[1000:] == ["second"]
    more = [producer.turns - was for producer, was in zip(producers, before, strict=True)]
    assert more[500] == 2  # it was given something to send, and it was taken
    assert sum(more) == 2


def test_a_periodic_sender_takes_its_turns_and_no_more(engine: scheduler) -> None:
    turns: list[float] = []

    def ticking(self: Script) -> Iterator[object]:
        for _ in range(10):
            turns.append(self.now())
            self.send("tick")
            self.pause(1.0)
            yield 1

    ticker, receiver = Script(ticking), Receiver()
    link(ticker, receiver)
    run(engine, receiver, ticker)
    assert turns == [float(second) for second in range(10)]
    assert len(receiver.taken) == 10


def test_a_time_out_that_did_not_come_up_does_not_delay_a_later_wake(engine: scheduler) -> None:
    woken: list[float] = []

    def main(self: Script) -> Iterator[object]:
        self.pause(60.0)
        yield 1  # woken by a message after a second
        self.send("a message")
        self.pause()
        yield 1
        woken.append(self.now())

    producer, receiver = Script(main), Receiver()
    link(producer, receiver)
    engine.call_later(1.0, producer.unpause)
    run(engine, producer, receiver)
    assert woken == [1.0]


@pytest.mark.parametrize("when", ["taken", "not taken"])
def test_one_that_ended_meanwhile_is_forgotten(engine: scheduler, when: str) -> None:
    def once(self: Script) -> Iterator[object]:
        self.send("a message")
        yield 1

    producer = Script(once)
    receiver = Receiver() if when == "taken" else component()
    link(producer, receiver)
    run(engine, producer, *([receiver] if when == "taken" else []))
    assert engine.listAllThreads() == ([receiver] if when == "taken" else [])
    assert engine.may_rest() is None


def test_relinking_for_each_message_leaves_nothing_behind(engine: scheduler) -> None:
    def restless(self: Script) -> Iterator[object]:
        for number in range(1000):
            wire = self.link((self, "outbox"), (receiver, "inbox"))
            self.send(number)
            yield 1
            self.unlink(thelinkage=wire)
        noted.append(len(engine._used_outboxes))

    noted: list[int] = []
    receiver = Receiver()
    run(engine, Script(restless), receiver)
    assert receiver.taken == list(range(1000))
    assert noted[0] <= 2


# ---- several messages in one box


def test_one_is_woken_for_its_own_message_although_it_was_woken_for_anothers(
    engine: scheduler,
) -> None:
    class Patient(component):
        def main(self) -> Iterator[object]:
            self.send(self)
            while self not in receiver.taken:
                self.pause()
                yield 1

    producers, receiver = [Patient() for _ in range(5)], Slow()
    for producer in producers:
        link(producer, receiver)
    run(engine, receiver, *producers)
    assert all(producer._isStopped() for producer in producers)


def test_it_is_woken_for_the_last_of_several_messages(engine: scheduler) -> None:
    woken: list[int] = []

    def main(self: Script) -> Iterator[object]:
        for number in range(3):
            self.send(number)
        while len(receiver.taken) < 3:
            self.pause()
            yield 1
            woken.append(len(receiver.taken))

    producer, receiver = Script(main), Slow()
    link(producer, receiver)
    run(engine, receiver, producer)
    assert woken == [1, 2, 3]


def test_one_that_asked_how_many_wait_is_woken_for_that_and_not_forgotten(
    engine: scheduler,
) -> None:
    def main(self: Script) -> Iterator[object]:
        self.send("a message")
        self.pause()
        yield 1
        woken.append(len(self.outboxes["outbox"]))

    def curious(self: Script) -> Iterator[object]:
        self.pause(0.5)  # when the scheduler has seen that the message still lies there
        yield 1
        lengths.append(len(producer.outboxes["outbox"]))  # its owner is to be woken for that too
        receiver.activate(Scheduler=engine)

    woken: list[int] = []
    lengths: list[int] = []
    producer, receiver = Script(main), Receiver()
    link(producer, receiver)
    run(engine, producer, Script(curious))
    assert (lengths, woken) == ([1], [0])
