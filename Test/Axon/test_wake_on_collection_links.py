"""
Who sent a message and then slept is woken when it has been taken, whatever lies between the two and
however that changes meanwhile. The rule itself: test_wake_on_collection.
"""

from collections.abc import Iterator

import pytest

from Axon.AdaptiveCommsComponent import AdaptiveCommsComponent
from Axon.Component import component
from Axon.Scheduler import scheduler
from Axon.Testing import virtual_scheduler
from Test.Axon.producers import Producer, Receiver, Slow, keeper, link, run
from Test.Axon.scripts import Script


@pytest.fixture
def engine() -> scheduler:
    """Give a scheduler whose run ends when nothing can happen any more."""
    return virtual_scheduler()


# ---- what lies between


def test_it_is_woken_through_a_chain_of_passthroughs(engine: scheduler) -> None:
    producer, parent, outer, receiver = Producer(), component(), component(), Receiver()
    link(producer, parent, "outbox", "outbox", passthrough=2)
    link(parent, outer)
    link(outer, receiver, "inbox", "inbox", passthrough=1)
    run(engine, producer, receiver)
    assert producer._isStopped()
    assert receiver.taken == [0, 1, 2]


@pytest.mark.parametrize("kind", ["limited", "shown", "limited and shown"])
def test_the_kind_of_box_makes_no_difference(
    engine: scheduler, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    producer, receiver = Producer(), Receiver()
    wire = link(producer, receiver)
    if "limited" in kind:
        receiver.setInboxSize("inbox", 1)
    if "shown" in kind:
        wire.setShowTransit(True, "seen")
    run(engine, producer, receiver)
    assert producer._isStopped()
    assert ("seen: 2\n" in capsys.readouterr().out) == ("shown" in kind)


def test_a_signal_counts_as_well(engine: scheduler) -> None:
    producer, receiver = Producer(boxname="signal"), Receiver(boxname="control")
    link(producer, receiver, "signal", "control")
    run(engine, producer, receiver)
    assert producer._isStopped()


def test_what_is_put_into_the_outbox_itself_counts_as_well(engine: scheduler) -> None:
    def main(self: Script) -> Iterator[object]:
        self.outboxes["outbox"].append("a message")
        self.pause()
        yield 1

    producer, receiver = Script(main), Receiver()
    link(producer, receiver)
    run(engine, producer, receiver)
    assert producer._isStopped()


def test_a_message_to_oneself_wakes_nobody_later(engine: scheduler) -> None:
    def main(self: Script) -> Iterator[object]:
        self.send("note")
        while True:
            self.pause()
            yield 1
            turns.append(self.dataReady() and self.recv())

    turns: list[object] = []
    one = Script(main)
    link(one, one)
    run(engine, one)
    assert turns == ["note"]


def test_a_receiver_that_acts_on_each_message_at_once_takes_nothing(engine: scheduler) -> None:
    """A socket that sends what is appended: there is no collection to wait for."""
    sent: list[object] = []

    class Socket(component):
        def main(self) -> Iterator[object]:
            while True:
                self.pause()
                yield 1

    producer, socket = Producer(), Socket()
    socket.inboxes["inbox"].q = sent
    link(producer, socket)
    run(engine, producer, socket)
    assert (sent, producer.turns) == ([0], 0)


def test_a_box_names_all_who_may_be_woken_by_it() -> None:
    child, parent, outer, inner = (component() for _ in range(4))
    link(child, parent, "outbox", "outbox", passthrough=2)
    link(parent, outer)
    link(outer, inner, "inbox", "inbox", passthrough=1)
    assert inner.inboxes["inbox"].getnotifys() == [parent.unpause, child.unpause]
    assert child.outboxes["outbox"].getnotifys() == []


def test_of_very_many_producers_each_can_be_unlinked(engine: scheduler) -> None:
    producers, receiver = [Producer(count=1) for _ in range(50)], Receiver()
    wires = [link(producer, receiver) for producer in producers]
    for wire in wires[::2]:
        keeper.unlink(thelinkage=wire)
    run(engine, *producers, receiver)
    assert len(receiver.taken) == 25
    assert [one._isStopped() for one in producers] == [False, True] * 25


# ---- what changes meanwhile


def test_messages_that_were_sent_before_there_was_a_link_change_nothing(
    engine: scheduler,
) -> None:
    def main(self: Script) -> Iterator[object]:
        self.send("to nobody")
        yield 1
        link(self, receiver)
        self.send("a message")
        self.pause()
        yield 1

    producer, receiver = Script(main), Receiver()
    run(engine, producer, receiver)
    assert receiver.taken == ["a message"]
    assert producer._isStopped()


def test_it_is_woken_over_a_new_link_too(engine: scheduler) -> None:
    def main(self: Script) -> Iterator[object]:
        for receiver in receivers:
            wire = link(self, receiver)
            self.send("a message")
            self.pause()
            yield 1
            keeper.unlink(thelinkage=wire)

    producer, receivers = Script(main), [Receiver() for _ in range(3)]
    run(engine, producer, *receivers)
    assert producer._isStopped()
    assert [receiver.taken for receiver in receivers] == [["a message"]] * 3


def test_it_is_woken_when_its_message_was_taken_before_the_link_was_cut(
    engine: scheduler,
) -> None:
    def taking(self: Script) -> Iterator[object]:
        self.pause()
        yield 1
        self.recv()
        keeper.unlink(thelinkage=wire)

    producer, receiver = Producer(count=1), Script(taking)
    wire = link(producer, receiver)
    run(engine, receiver, producer)
    assert producer._isStopped()


def test_it_is_not_woken_when_the_link_was_cut_before(engine: scheduler) -> None:
    """Contract: links that are cut while messages wait take effect on who is woken."""
    producer, receiver = Producer(count=1), component()
    wire = link(producer, receiver)
    run(engine, producer)
    keeper.unlink(thelinkage=wire)
    receiver.recv()
    engine.runThreads()
    assert not producer._isStopped()


def test_a_message_that_moved_on_is_waited_for_where_it_is_now(engine: scheduler) -> None:
    producer, outer, receiver = Producer(count=1), component(), Slow()
    link(producer, outer)
    run(engine, producer)
    link(outer, receiver, "inbox", "inbox", passthrough=1)
    engine.runThreads()
    assert not producer._isStopped()
    run(engine, receiver)
    assert producer._isStopped()


@pytest.mark.parametrize("taken", [True, False])
def test_the_end_of_the_receiver_lets_it_go_on(engine: scheduler, taken: bool) -> None:
    def once(self: Script) -> Iterator[object]:
        while not self.dataReady():
            self.pause()
            yield 1
        if taken:
            self.recv()

    producer, receiver = Producer(count=1), Script(once)
    link(producer, receiver)
    run(engine, producer, receiver)
    assert producer._isStopped()


def test_to_one_that_has_ended_it_sends_once_and_sleeps(engine: scheduler) -> None:
    """Otherwise it would go round for ever, and the machine with it."""
    producer, receiver = Producer(count=5), component()
    link(producer, receiver)
    run(engine, receiver)
    run(engine, producer)
    assert producer.turns == 0


def test_an_outbox_that_was_deleted_wakes_its_owner_all_the_same(engine: scheduler) -> None:
    class Adaptive(AdaptiveCommsComponent):
        def main(self) -> Iterator[object]:
            name = self.addOutbox("extra")
            wire = link(self, receiver, name, "inbox")
            self.send("a message", name)
            yield 1
            keeper.unlink(thelinkage=wire)
            self.deleteOutbox(name)
            self.pause()
            yield 1

    producer, receiver = Adaptive(), Receiver()
    run(engine, receiver, producer)
    assert producer._isStopped()


def test_the_receiver_may_belong_to_another_scheduler() -> None:
    here, there = virtual_scheduler(), virtual_scheduler()
    producer, receiver = Producer(), Receiver()
    link(producer, receiver)
    producer.activate(Scheduler=here)
    receiver.activate(Scheduler=there)
    for _ in range(4):
        here.runThreads()
        there.runThreads()
    assert producer._isStopped()
    assert receiver.taken == [0, 1, 2]


def test_a_component_with_a_next_of_its_own_is_woken(engine: scheduler) -> None:
    class Stepped(component):
        left = 3

        def next(self) -> object:
            if not self.left:
                raise StopIteration
            self.left -= 1
            self.send(self.left)
            self.pause()
            return 1

    producer, receiver = Stepped(), Receiver()
    link(producer, receiver)
    run(engine, producer, receiver)
    assert receiver.taken == [2, 1, 0]
