"""
What is left of those that have ended, and of boxes that were deleted: nothing that keeps them in
memory, the engine busy, or others waiting.
"""

import gc
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from Axon.AdaptiveCommsComponent import AdaptiveCommsComponent
from Axon.Box import Inbox
from Axon.Component import component
from Axon.Microprocess import microprocess
from Axon.Scheduler import scheduler
from Test.Axon.scripts import Script, counter, run


class Adaptive(AdaptiveCommsComponent):
    """Runs a function that is given the component and makes the generator."""

    def __init__(self, script: Callable[["Adaptive"], Iterator[object]]) -> None:
        super().__init__()
        self.script = script

    def main(self) -> Iterator[object]:
        return self.script(self)


def reader(self: Script) -> Iterator[object]:
    while True:
        for _ in self.Inbox():
            pass
        self.pause()
        yield 1


def end_after(turns: int) -> Script:
    """One that ends the run, so that a sleeper nobody wakes fails the test and does not hang it."""

    def script(self: Script) -> Iterator[object]:
        for _ in range(turns):
            yield 1
        self.scheduler.stop()
        yield 1

    return Script(script, "end")


# ---- boxes that were deleted


@pytest.mark.parametrize("lives_on", [False, True])
def test_a_deleted_outbox_that_was_used_neither_keeps_its_owner_nor_the_engine_busy(
    engine: scheduler, lives_on: bool
) -> None:
    sink = Script(reader, "sink").activate(Scheduler=engine)

    def once(self: Adaptive) -> Iterator[object]:
        yield 1
        name = self.addOutbox("x")
        wire = self.link((self, name), (sink, "inbox"))
        self.send("a message", name)
        self.unlink(thelinkage=wire)
        self.deleteOutbox(name)
        while lives_on:
            self.pause()
            yield 1

    owner = weakref.ref(Adaptive(once).activate(Scheduler=engine))
    engine.start_turns()
    try:
        for _ in range(50):
            engine.take_turns()
        gc.collect()
        assert engine.may_rest() is None  # nothing will happen by itself
        assert (owner() is not None) == lives_on
    finally:
        engine.stop()
        engine.take_turns()
        engine.end_turns()


def test_who_waits_for_room_in_an_inbox_goes_on_when_it_is_deleted(engine: scheduler) -> None:
    boxes: list[Inbox] = []
    put: list[int] = []

    def receiver(self: Adaptive) -> Iterator[object]:
        name = self.addInbox("x")
        self.setInboxSize(name, 1)
        boxes.append(self.inboxes[name])
        root.link((sender, "outbox"), (self, name))
        sender.activate(Scheduler=engine)
        for _ in range(5):
            yield 1
        assert put == [0]  # it waits for room
        self.deleteInbox(name)

    def send(self: Script) -> Iterator[object]:
        for number in range(3):
            yield from self.put(number)
            put.append(number)

    root, sender = component(), Script(send, "sender")
    run(engine, Adaptive(receiver), end_after(50))
    assert put == [0, 1, 2]
    assert list(boxes[0].q) == [0]  # what comes later is not kept: nobody would read it
    assert not isinstance(boxes[0].owner, component)


# ---- schedulers that were dropped


def test_schedulers_that_are_dropped_give_their_descriptors_back() -> None:
    def open_files() -> int:
        gc.collect()
        return len(list(Path("/proc/self/fd").iterdir()))

    before = open_files()
    for _ in range(20):
        dropped = scheduler()
        microprocess().activate(Scheduler=dropped)
        dropped.runThreads()
        del dropped
    assert open_files() == before


# ---- messages before a pause


@pytest.mark.parametrize("sender_first", [True, False])
def test_a_message_before_the_first_turn_makes_the_first_pause_not_count(
    engine: scheduler, sender_first: bool
) -> None:
    got: list[object] = []

    def receive(self: Script) -> Iterator[object]:
        self.pause()
        yield 1
        got.append(self.recv())

    def send(self: Script) -> Iterator[object]:
        self.send("hello")
        yield 1

    sender, receiver, root = Script(send), Script(receive), component()
    root.link((sender, "outbox"), (receiver, "inbox"))
    pair = (sender, receiver) if sender_first else (receiver, sender)
    run(engine, *pair, end_after(50))
    assert got == ["hello"]


# ---- calls at the end


def test_a_call_at_the_end_that_fails_keeps_neither_the_others_nor_the_links(
    engine: scheduler,
) -> None:
    happened: list[str] = []

    def fail() -> None:
        raise ZeroDivisionError("on purpose")

    def child_main(self: Script) -> Iterator[object]:
        self.link((self, "outbox"), (parent, "inbox"))
        yield 1

    def parent_main(self: Script) -> Iterator[object]:
        self.addChildren(child)
        child.call_on_close(fail)
        child.call_on_close(lambda: happened.append("called"))
        child.activate(Scheduler=engine)
        while not child._isStopped():
            self.pause()
            yield 1
        happened.append("told")

    child, parent = Script(child_main, "child"), Script(parent_main, "parent")
    parent.isolate(lambda culprit, error: happened.append(f"{culprit.name}: {error}"))
    run(engine, parent, end_after(50))
    assert happened == ["called", "child: on purpose", "told"]
    assert child.postoffice.linkages == []
    assert not parent.inboxes["inbox"].sources


def test_the_first_call_at_the_end_that_fails_is_raised_and_has_the_others_as_notes(
    engine: scheduler,
) -> None:
    def fail(text: str) -> Callable[[], object]:
        def call() -> None:
            raise ZeroDivisionError(text)

        return call

    one = Script(counter([], 1), "one")
    one.call_on_close(fail("first"))
    one.call_on_close(fail("second"))
    with pytest.raises(ZeroDivisionError, match="first") as raised:
        run(engine, one)
    assert any("ZeroDivisionError('second')" in note for note in raised.value.__notes__)


def test_a_child_that_ended_before_it_was_added_wakes_its_parent(engine: scheduler) -> None:
    happened: list[str] = []
    child = Script(counter([], 1), "child")

    def parent(self: Script) -> Iterator[object]:
        while child in engine.listAllThreads():
            yield 1
        self.addChildren(child)
        self.pause()
        yield 1
        happened.append("woken")

    run(engine, child, Script(parent, "parent"), end_after(50))
    assert happened == ["woken"]


def test_a_call_for_the_end_of_one_that_has_ended_is_made_at_once(engine: scheduler) -> None:
    one = Script(counter([], 1), "one")
    run(engine, one)
    called: list[str] = []
    one.call_on_close(lambda: called.append("at once"))
    assert called == ["at once"]
