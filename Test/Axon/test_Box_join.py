"""join() and part(): what addsource() and removesource() do, quicker."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Axon.AxonExceptions import BoxAlreadyLinkedToDestination, LinkageCycle
from Axon.Box import join, part
from Axon.Component import component
from Axon.Ipc import producerFinished
from Axon.Testing import FakeClock, virtual_scheduler

SENDERS = 7  # more than a tuple of sources holds


class Quiet(component):
    """One that is never woken by a collection."""

    woken_by_collection = False


def state(*those: component) -> list[Any]:
    """All that linking changes, with names in the place of boxes."""
    found: list[Any] = []
    for number, one in enumerate(those):
        for box in (*one.inboxes.values(), *one.outboxes.values()):
            to = box.target
            sink = getattr(box, "sink", None)
            found.append(
                (
                    number,
                    box.name,
                    None if to is None else (to.name, those.index(to.owner)),
                    type(box.sources),
                    [(source.name, those.index(source.owner)) for source in box.sources],
                    type(sink),
                    getattr(sink, "said", None),
                )
            )
    return found


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["join", "part", "send", "onwards"]),
        st.integers(0, SENDERS - 1),
        st.sampled_from(["outbox", "signal"]),
        st.sampled_from(["inbox", "control"]),
    ),
    max_size=30,
)


@settings(max_examples=50, deadline=None)
@given(steps=STEPS)
def test_whatever_is_joined_and_parted_ends_as_by_the_long_way(steps: list[Any]) -> None:
    quick = [component() for _ in range(SENDERS + 2)]
    slow = [component() for _ in range(SENDERS + 2)]
    for what, sender, outbox, inbox in steps:
        for those, short in ((quick, True), (slow, False)):
            source = those[sender].outboxes[outbox]
            # The receiver is one of the senders, too: a link to oneself is a case of its own.
            sink = those[0].inboxes[inbox]
            if what == "join" and source.target is None:
                join(source, sink) if short else sink.addsource(source)
            elif what == "part":
                part(source, sink) if short else sink.removesource(source)
            elif what == "send":
                message = producerFinished() if outbox == "signal" else sender
                those[sender].send(message, outbox)
            elif what == "onwards" and sink.target is None:
                those[-1].inboxes[inbox].addsource(sink)
        assert state(*quick) == state(*slow)
    assert [one.dataReady("inbox") for one in quick] == [one.dataReady("inbox") for one in slow]
    assert [one.dataReady("control") for one in quick] == [one.dataReady("control") for one in slow]


def test_what_cannot_be_linked_is_refused_as_ever() -> None:
    left, right = component(), component()
    join(left.outboxes["outbox"], right.inboxes["inbox"])
    with pytest.raises(BoxAlreadyLinkedToDestination):
        join(left.outboxes["outbox"], right.inboxes["control"])
    left.inboxes["inbox"].addsource(left.inboxes["control"])
    with pytest.raises(LinkageCycle):
        join(left.inboxes["inbox"], left.inboxes["control"])


def test_to_part_what_leads_elsewhere_does_nothing() -> None:
    left, right = component(), component()
    part(left.outboxes["outbox"], right.inboxes["inbox"])
    join(left.outboxes["outbox"], right.inboxes["inbox"])
    part(left.outboxes["outbox"], right.inboxes["control"])
    left.send("still there")
    assert right.recv() == "still there"


def test_who_waits_for_room_is_let_go_on_when_parted() -> None:
    running = virtual_scheduler(FakeClock())
    done: list[str] = []

    class Sender(component):
        def main(self) -> Iterator[object]:
            yield from self.put(1)
            done.append("sent")

    sender, full = Sender(), component()
    full.setInboxSize("inbox", 0)
    join(sender.outboxes["outbox"], full.inboxes["inbox"])
    sender.activate(Scheduler=running)
    running.call_later(1.0, lambda: part(sender.outboxes["outbox"], full.inboxes["inbox"]))
    running.runThreads()
    assert done == ["sent"]


def test_one_that_is_not_woken_by_a_collection_need_not_be_noted() -> None:
    quiet, other, right = Quiet(), component(), component()
    join(quiet.outboxes["outbox"], right.inboxes["inbox"])
    join(other.outboxes["outbox"], right.inboxes["inbox"])
    assert (quiet.outboxes["outbox"].unused, other.outboxes["outbox"].unused) == (None, True)
    part(quiet.outboxes["outbox"], right.inboxes["inbox"])
    assert quiet.outboxes["outbox"].unused is True
