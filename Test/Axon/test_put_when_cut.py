"""
Who sleeps in put() until there is room goes on when its link is cut or leads elsewhere, as a send
on that outbox then would.
"""

from collections.abc import Callable, Iterator

import pytest

from Axon.Box import join, part
from Axon.Component import component
from Axon.Scheduler import scheduler
from Axon.Testing import virtual_scheduler
from Test.Axon.producers import Receiver, keeper, link, run
from Test.Axon.scripts import Script

MESSAGES = 5


class Putter(component):
    """Puts so many messages, then ends."""

    def main(self) -> Iterator[object]:
        for number in range(MESSAGES):
            yield from self.put(number)


class PutterUnasked(Putter):
    """Is not woken when what it sent is taken."""

    woken_by_collection = False


class Full(component):
    """Has room for one message, and takes none."""

    def __init__(self) -> None:
        super().__init__()
        self.ending = False
        self.setInboxSize("inbox", 1)

    def main(self) -> Iterator[object]:
        while not self.ending:
            self.pause()
            yield 1


Cut = Callable[[], object]


def linked(putter: component, full: Full) -> Cut:
    wire = link(putter, full)
    return lambda: keeper.unlink(thelinkage=wire)


def linked_to_a_component(putter: component, full: Full) -> Cut:
    link(putter, full)
    return lambda: keeper.unlink(thecomponent=full)


def joined(putter: component, full: Full) -> Cut:
    source, sink = putter.outboxes["outbox"], full.inboxes["inbox"]
    join(source, sink)
    return lambda: part(source, sink)


def through_an_outbox(putter: component, full: Full) -> Cut:
    parent = component()
    link(putter, parent, "outbox", "outbox", passthrough=2)
    return linked(parent, full)


def through_an_inbox(putter: component, full: Full) -> Cut:
    parent = component()
    wire = link(parent, full, "inbox", "inbox", passthrough=1)
    link(putter, parent)
    return lambda: keeper.unlink(thelinkage=wire)


def ended(putter: component, full: Full) -> Cut:
    def cut() -> None:
        full.ending = True
        full.unpause()

    link(putter, full)
    return cut


def stopped(putter: component, full: Full) -> Cut:
    link(putter, full)
    return full.stop


WAYS = [
    linked,
    linked_to_a_component,
    joined,
    through_an_outbox,
    through_an_inbox,
    ended,
    stopped,
]


@pytest.fixture
def engine() -> scheduler:
    """Give a scheduler whose run ends when nothing can happen any more."""
    return virtual_scheduler()


@pytest.mark.parametrize("kind", [Putter, PutterUnasked])
@pytest.mark.parametrize("way", WAYS)
def test_the_cut_of_its_link_wakes_it(
    engine: scheduler, way: Callable[[component, Full], Cut], kind: type[Putter]
) -> None:
    putter, full = kind(), Full()
    cut = way(putter, full)
    engine.call_later(1.0, cut)
    run(engine, full, putter)
    assert putter._isStopped()


def test_one_that_was_woken_by_another_before_it_found_no_room_is_woken_too(
    engine: scheduler,
) -> None:
    def main(self: Script) -> Iterator[object]:
        self.send("the only one that fits")
        self.pause()  # it is noted as one to wake when that is taken
        yield 1
        yield from self.put("no room")

    putter, full = Script(main), Full()
    wire = link(putter, full)
    engine.call_later(1.0, putter.unpause)
    engine.call_later(2.0, lambda: keeper.unlink(thelinkage=wire))
    run(engine, full, putter)
    assert putter._isStopped()


def test_it_goes_on_over_the_new_link_where_there_is_room(engine: scheduler) -> None:
    putter, full, receiver = Putter(), Full(), Receiver()

    def relink() -> None:
        cut()
        link(putter, receiver)

    cut = linked(putter, full)
    engine.call_later(1.0, relink)
    run(engine, full, receiver, putter)
    assert putter._isStopped()
    assert full.recv() == 0
    assert receiver.taken == [1, 2, 3, 4]


def test_it_goes_on_when_what_filled_the_box_moves_on(engine: scheduler) -> None:
    putter, full, beyond = Putter(), Full(), component()
    link(putter, full)
    # Nobody takes anything there: only that there is room can have let it go on.
    engine.call_later(1.0, lambda: link(full, beyond, "inbox", "inbox", passthrough=1))
    run(engine, full, putter)
    assert putter._isStopped()
    assert list(beyond.Inbox()) == [0, 1, 2, 3, 4]


def test_one_that_only_sent_sleeps_on_when_its_link_is_cut(engine: scheduler) -> None:
    def main(self: Script) -> Iterator[object]:
        self.send("it fits")
        self.pause()
        yield 1

    sender, roomy = Script(main), Full()
    roomy.setInboxSize("inbox", 2)
    wire = link(sender, roomy)
    engine.call_later(1.0, lambda: keeper.unlink(thelinkage=wire))
    run(engine, roomy, sender)
    assert not sender._isStopped()
