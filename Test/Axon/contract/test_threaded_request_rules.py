"""
What a thread asks to be done in the scheduler's thread: links, boxes, waiting for them.

Nobody runs a scheduler here: it must be done by stepping the component.
"""

from collections.abc import Callable
from threading import Event, Lock, current_thread
from typing import Any

import pytest

from Axon.Component import component
from Axon.Postoffice import postoffice
from Test.Axon.contract.threads import (
    AdaptiveByHand,
    ByHand,
    step_to_the_end,
    step_until,
)

Made = Callable[[], Any]


# ---- what the thread asks of the scheduler's thread


def test_the_thread_links_and_unlinks(make: Made) -> None:
    target = component()

    def script(self: ByHand) -> None:
        made = self.link((self, "outbox"), (target, "inbox"))
        self.send("linked", "outbox")
        self.sync()
        self.unlink(thelinkage=made)
        self.send("lost", "outbox")
        self.sync()
        self.link((self, "outbox"), (target, "control"))
        self.send("linked again", "outbox")
        self.sync()
        self.unlink(thecomponent=target)
        self.send("lost too", "outbox")

    made = ByHand(script).activate(Scheduler=make())
    step_to_the_end(made)
    assert list(target.Inbox("inbox")) == ["linked"]
    assert list(target.Inbox("control")) == ["linked again"]


@pytest.mark.parametrize("passthrough", [0, 1, 2])
def test_the_thread_makes_links_of_every_direction(make: Made, passthrough: int) -> None:
    other = component()

    def script(self: ByHand) -> None:
        source = "inbox" if passthrough == 1 else "outbox"
        sink = "outbox" if passthrough == 2 else "inbox"
        made = self.link((self, source), (other, sink), passthrough=passthrough)
        self.results.append((made.source, made.sink, made.passthrough))

    made = ByHand(script).activate(Scheduler=make())
    step_to_the_end(made)
    assert made.results == [(made, other, passthrough)]


def test_the_thread_may_limit_a_link(make: Made) -> None:
    """In the original it could not."""
    target = component()

    def script(self: ByHand) -> None:
        self.link((self, "outbox"), (target, "inbox"), pipewidth=7)

    step_to_the_end(ByHand(script).activate(Scheduler=make()))
    assert target.inboxes["inbox"].getSize() == 7


def test_an_error_in_linking_is_raised_in_the_thread(make: Made) -> None:
    def script(self: ByHand) -> None:
        try:
            self.link((self, "nobox"), (self, "inbox"))
        except KeyError as error:
            self.results.append(error.args)

    made = ByHand(script).activate(Scheduler=make())
    step_to_the_end(made)
    assert made.results == [("nobox",)]


def test_two_threads_are_never_in_the_postoffice_at_once(make: Made) -> None:
    inside = Lock()
    clashes: list[str] = []
    where = set()

    class Watched:
        """A postoffice with room for one."""

        def __init__(self) -> None:
            self.real = postoffice()

        def link(self, *where_to: Any, **named: Any) -> object:  # noqa: ANN401
            return self._alone(lambda: self.real.link(*where_to, **named))

        def unlink(self, *what: Any, **named: Any) -> object:  # noqa: ANN401
            return self._alone(lambda: self.real.unlink(*what, **named))

        def unlinkAll(self) -> None:
            self.real.unlinkAll()

        def _alone(self, call: Callable[[], object]) -> object:
            where.add(current_thread())
            if not inside.acquire(blocking=False):
                clashes.append("two at once")
                return None
            try:
                return call()
            finally:
                inside.release()

    shared: Any = Watched()

    def script(self: ByHand) -> None:
        for _ in range(20):
            made = self.link((self, "outbox"), (self, "inbox"))
            self.unlink(thelinkage=made)

    many = [ByHand(script) for _ in range(3)]
    for one in many:
        one.postoffice = shared
        one.activate(Scheduler=make())
    step_to_the_end(*many)
    assert clashes == []
    assert where == {current_thread()}


def test_sync_waits_for_what_was_sent(make: Made) -> None:
    target = component()

    def script(self: ByHand) -> None:
        for number in range(5):
            self.send(number)
            self.sync()
            self.results.append(target.dataReady())

    made = ByHand(script)
    made.link((made, "outbox"), (target, "inbox"))
    made.activate(Scheduler=make())
    step_to_the_end(made)
    assert made.results == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("kind", ["Inbox", "Outbox"])
def test_the_thread_adds_and_deletes_boxes(make: Made, kind: str) -> None:
    boxes = kind.lower() + "es"
    default = "inbox" if kind == "Inbox" else "outbox"

    def script(self: AdaptiveByHand) -> None:
        add, delete = getattr(self, "add" + kind), getattr(self, "delete" + kind)
        names = [add("mine"), add("mine"), add(default), add()]
        self.results.append([name in getattr(self, boxes) for name in names])
        self.results.append(names)
        delete(names[0])
        self.results.append(names[0] in getattr(self, boxes))
        try:
            delete("nobox")
        except KeyError:
            self.results.append("refused")

    made = AdaptiveByHand(script).activate(Scheduler=make())
    step_to_the_end(made)
    there, names, still_there, refused = made.results
    assert there == [True] * 4
    assert isinstance(names, list)
    assert names[0] == "mine"
    assert len(set(names)) == 4
    assert [name[:4] for name in names[:2]] == ["mine", "mine"]
    assert all(name.startswith(default) and name != default for name in names[2:])
    assert (still_there, refused) == (False, "refused")


def test_messages_go_through_boxes_that_the_thread_added(make: Made) -> None:
    added = Event()

    def script(self: AdaptiveByHand) -> None:
        incoming, outgoing = self.addInbox("in"), self.addOutbox("out")
        added.set()
        while not self.dataReady(incoming):
            self.pause()
        self.send(self.recv(incoming), outgoing)

    made = AdaptiveByHand(script).activate(Scheduler=make())
    tester = component()
    step_until(added.is_set, made)
    tester.link((tester, "outbox"), (made, "in"))
    tester.link((made, "out"), (tester, "inbox"))
    tester.send("there and back")
    step_to_the_end(made)
    assert list(tester.Inbox()) == ["there and back"]


def test_resources_are_tracked_from_the_thread(make: Made) -> None:
    def script(self: AdaptiveByHand) -> None:
        name = self.addInbox("in")
        self.trackResource("a resource", name)
        self.results.append(self.retrieveTrackedResource(name))

    made = AdaptiveByHand(script).activate(Scheduler=make())
    step_to_the_end(made)
    assert made.results == ["a resource"]
