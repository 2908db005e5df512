"""
Boxes, chains of them, and who is woken by what.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from Axon.AxonExceptions import BoxAlreadyLinkedToDestination, noSpaceInBox
from Axon.Box import makeInbox, makeOutbox
from Axon.Component import component
from Axon.Scheduler import scheduler
from Test.Axon.contract.old_fakes import steps

# ---- boxes without components


def test_boxes_can_be_made_with_whom_to_notify() -> None:
    heard: list[str] = []
    inbox = makeInbox(notify=lambda: heard.append("receiver"))
    outbox = makeOutbox(notify=lambda: heard.append("sender"))
    outbox.append("lost")
    inbox.addsource(outbox)
    outbox.append("kept")
    assert (heard, len(inbox), inbox.local_len(), len(outbox)) == (["receiver"], 1, 1, 1)
    assert inbox.pop(0) == "kept"
    assert heard == ["receiver", "sender"]
    inbox.removesource(outbox)
    outbox.append("lost")
    assert len(inbox) == 0


def test_a_made_box_may_have_a_size() -> None:
    inbox = makeInbox(notify=lambda: None, size=2)
    outbox = makeOutbox(notify=lambda: None)
    inbox.addsource(outbox)
    outbox.append(1)
    outbox.append(2)
    with pytest.raises(noSpaceInBox) as caught:
        outbox.append(3)
    assert caught.value.args == (2, 2)
    assert (inbox.getSize(), inbox.isFull(), outbox.isFull()) == (2, True, True)


def test_an_empty_box_has_nothing_to_pop() -> None:
    for box in (makeInbox(lambda: None), makeOutbox(lambda: None)):
        with pytest.raises(IndexError):
            box.pop(0)


def test_both_sinks_are_named_when_a_source_has_a_destination_already() -> None:
    """The arguments: the box asked for, the one that the source leads to already, the source. In
    the original the second was something else."""
    source = makeOutbox(lambda: None)
    first, second = makeInbox(lambda: None), makeInbox(lambda: None)
    first.addsource(source)
    with pytest.raises(BoxAlreadyLinkedToDestination) as caught:
        second.addsource(source)
    assert caught.value.args == (second, first, source)


# ---- through a chain


def chain(length: int = 2) -> list[component]:
    """Inbox to inbox to inbox: the last one reads."""
    line = [component() for _ in range(length + 1)]
    for outer, inner in pairwise(line):
        outer.link((outer, "inbox"), (inner, "inbox"), passthrough=1)
    return line


def test_on_a_linked_outbox_pop_and_len_act_on_the_final_storage() -> None:
    line = chain(2)
    sender = component()
    sender.link((sender, "outbox"), (line[0], "inbox"))
    for number in range(3):
        sender.send(number)
    assert len(sender.outboxes["outbox"]) == 3
    assert sender.outboxes["outbox"].pop(0) == 0
    assert line[-1].dataReady() == 2
    assert len(line[0].inboxes["inbox"]) == 2
    assert [sender.outboxes["outbox"].pop(0) for _ in range(2)] == [1, 2]
    assert line[-1].dataReady() == 0
    assert len(sender.outboxes["outbox"]) == 0


def test_an_unlinked_outbox_holds_nothing_and_has_nothing_to_pop() -> None:
    sender = component()
    sender.send("lost")
    assert len(sender.outboxes["outbox"]) == 0
    with pytest.raises(IndexError):
        sender.outboxes["outbox"].pop(0)


def test_an_inbox_that_is_passed_through_looks_empty_to_its_owner() -> None:
    outer, inner = chain(1)
    outer._deliver("hello")
    assert (outer.dataReady(), outer.anyReady()) == (0, False)
    assert (len(outer.inboxes["inbox"]), outer.inboxes["inbox"].local_len()) == (1, 0)
    assert inner.recv() == "hello"


def test_messages_go_by_reference_at_once_and_in_order() -> None:
    outer, inner = chain(1)
    sender = component()
    sender.link((sender, "outbox"), (outer, "inbox"))
    message: list[int] = []
    sender.send(message)
    assert inner.dataReady() == 1
    message.append(1)
    received = inner.recv()
    assert received is message
    assert received == [1]


def test_a_size_may_be_lowered_below_what_waits() -> None:
    a, b = component(), component()
    a.link((a, "outbox"), (b, "inbox"))
    for number in range(3):
        a.send(number)
    b.setInboxSize("inbox", 1)
    with pytest.raises(noSpaceInBox) as caught:
        a.send(3)
    assert caught.value.args == (3, 1)
    assert b.dataReady() == 3


# ---- who is woken: stepped, with a fake process under each box's owner


def woken(engine: scheduler, who: component) -> bool:
    return not engine.isThreadPaused(who)


def asleep_all(engine: scheduler, *parts: component) -> Any:  # noqa: ANN401 - a stepper
    stepper = engine.main()
    for _ in range(2):  # a pause does not count for one to whom a message came meanwhile
        for part in parts:
            engine.pauseThread(part)
        for _ in range(4 * len(parts) + 4):
            stepper.next()
    assert not any(woken(engine, part) for part in parts)
    return stepper


class Idle(component):
    """Never looks into its boxes."""

    def main(self) -> Iterator[object]:
        while True:
            yield 1


def test_a_delivery_wakes_the_final_owner_only(engine: scheduler) -> None:
    outer, middle, inner, sender = (Idle().activate(Scheduler=engine) for _ in range(4))
    outer.link((outer, "inbox"), (middle, "inbox"), passthrough=1)
    middle.link((middle, "inbox"), (inner, "inbox"), passthrough=1)
    sender.link((sender, "outbox"), (outer, "inbox"))
    asleep_all(engine, outer, middle, inner, sender)
    sender.send("wake up")
    seen = [woken(engine, one) for one in (outer, middle, inner, sender)]
    assert seen == [False, False, True, False]


def test_a_collection_wakes_every_producer_and_no_inbox_in_between(engine: scheduler) -> None:
    """Also one that only sent and then slept, and a component whose outbox lies in between."""
    child, parent, other, outer, inner = (Idle().activate(Scheduler=engine) for _ in range(5))
    parent.link((child, "outbox"), (parent, "outbox"), passthrough=2)
    parent.link((parent, "outbox"), (outer, "inbox"))
    other.link((other, "outbox"), (outer, "inbox"))
    outer.link((outer, "inbox"), (inner, "inbox"), passthrough=1)
    for sender in (child, parent, other):
        sender.send("a message")
    stepper = asleep_all(engine, child, parent, other, outer)
    for _ in range(2):
        engine.pauseThread(inner)
        steps(stepper, 4)
    for _ in range(3):
        inner.recv()
    steps(stepper, 30)
    assert [woken(engine, one) for one in (child, parent, other)] == [True, True, True]
    assert not woken(engine, outer)


def test_a_producer_that_met_a_full_box_is_woken_by_the_collection(engine: scheduler) -> None:
    sender, receiver = (Idle().activate(Scheduler=engine) for _ in range(2))
    sender.link((sender, "outbox"), (receiver, "inbox"), pipewidth=1)
    sender.send(1)
    with pytest.raises(noSpaceInBox):
        sender.send(2)
    asleep_all(engine, sender, receiver)
    receiver.recv()
    assert woken(engine, sender)


def test_a_link_that_was_cut_wakes_nobody(engine: scheduler) -> None:
    sender, receiver, boss = (Idle().activate(Scheduler=engine) for _ in range(3))
    boss.link((sender, "outbox"), (receiver, "inbox"))
    sender.send(1)
    boss.unlink(thecomponent=sender)
    stepper = asleep_all(engine, sender, receiver)
    for _ in range(2):  # the cut itself may wake it, for once
        engine.pauseThread(boss)
        engine.pauseThread(sender)
        steps(stepper, 30)
    receiver.recv()
    steps(stepper, 30)
    assert not woken(engine, sender)
