"""Snapshots of schedulers: who is found, and what is said of it."""

import threading
from collections.abc import Iterator

import pytest

from Axon import Survey
from Axon.Component import component
from Axon.Instruments import Counts
from Axon.Ipc import WaitComplete
from Axon.Microprocess import microprocess
from Axon.Scheduler import scheduler
from Axon.Snapshot import BoxState, ComponentState, Direction, End, Snapshot, State
from Axon.Storage import Nobody
from Axon.Survey import between_turns, snapshot
from Axon.Testing import virtual_scheduler
from Test.Axon.scripts import Script, Threaded, run, sleeper, wait_for


def taken_from(engine: scheduler, *parts: component, counts: Counts | None = None) -> Snapshot:
    """A snapshot in the third turn of the program."""
    found: list[Snapshot] = []

    def photographer(self: Script) -> Iterator[object]:
        yield 1
        yield 1
        found.append(snapshot(engine, counts))
        engine.stop()

    run(engine, *parts, Script(photographer, "photographer"))
    return found[0]


def named(taken: Snapshot, name: str) -> ComponentState:
    (found,) = (one for one in taken.components if one.name == name)
    return found


def box(one: ComponentState, name: str) -> BoxState:
    (found,) = (box for box in one.boxes if box.name == name)
    return found


def dozing(self: Script) -> Iterator[object]:
    while True:
        self.pause(100)
        yield 1


def busy(self: Script) -> Iterator[object]:
    while True:
        yield 1


def test_states_are_told_apart() -> None:
    child = Script(sleeper, "child")
    parent = Script(sleeper, "parent")
    parent.addChildren(child)
    taken = taken_from(virtual_scheduler(), parent, Script(dozing, "dozing"), Script(busy, "busy"))
    states = {one.name: one.state for one in taken.components}
    assert states == {
        "parent": State.ASLEEP,
        "child": State.INACTIVE,
        "dozing": State.WAITING,
        "busy": State.AWAKE,
        "photographer": State.AWAKE,
    }
    assert named(taken, "dozing").seconds == 100
    assert named(taken, "child").parent == named(taken, "parent").id
    assert taken.timers == 1
    assert taken.omitted == 0


def test_a_component_says_what_it_is_and_where_it_stands(engine: scheduler) -> None:
    one = named(taken_from(engine, Script(sleeper, "one")), "one")
    assert one.kind == "Test.Axon.scripts.Script"
    assert one.place is not None
    assert one.place.startswith("scripts.py:")
    assert one.place.endswith("in sleeper")
    assert not one.threaded
    assert one.steps is None


def test_boxes_are_told_with_what_waits_and_their_limit(engine: scheduler) -> None:
    one = Script(sleeper, "one")
    one.setInboxSize("inbox", 7)
    for message in "abc":
        one.inboxes["inbox"].deliver(message)
    boxes = named(taken_from(engine, one), "one").boxes
    assert boxes[0] == BoxState("inbox", Direction.IN, 3, 7, None, one.Inboxes["inbox"])
    assert [box.name for box in boxes] == ["inbox", "control", "outbox", "signal"]
    assert [box.direction for box in boxes] == [Direction.IN] * 2 + [Direction.OUT] * 2


def test_boxes_that_were_declared_as_a_list_have_no_description(engine: scheduler) -> None:
    class Listed(Script):
        Inboxes = ["inbox", "control"]

    boxes = named(taken_from(engine, Listed(sleeper, "listed")), "listed").boxes
    assert boxes[0].description == ""


def test_links_are_followed_to_components_that_are_not_scheduled(engine: scheduler) -> None:
    outer, inner, far = (Script(sleeper, name) for name in ("outer", "inner", "far"))
    outer.link((outer, "inbox"), (inner, "inbox"), passthrough=1)
    outer.link((inner, "outbox"), (far, "inbox"))
    outer.link((inner, "signal"), (outer, "signal"), passthrough=2)
    taken = taken_from(engine, outer)
    ids = {name: named(taken, name).id for name in ("outer", "inner", "far")}
    links = {(link.source, link.sink, link.passthrough) for link in taken.links}
    assert links == {
        (End(ids["outer"], Direction.IN, "inbox"), End(ids["inner"], Direction.IN, "inbox"), 1),
        (End(ids["inner"], Direction.OUT, "outbox"), End(ids["far"], Direction.IN, "inbox"), 0),
        (End(ids["inner"], Direction.OUT, "signal"), End(ids["outer"], Direction.OUT, "signal"), 2),
    }


def test_links_of_a_box_whose_owner_is_never_woken_are_told(engine: scheduler) -> None:
    first, second = Script(sleeper, "first"), Script(sleeper, "second")
    first.link((first, "outbox"), (second, "inbox"))
    second.link((second, "inbox"), (first, "inbox"), passthrough=1)
    second.inboxes["inbox"].owner = Nobody()  # as a socket's component does
    taken = taken_from(engine, first, second)
    one, two = named(taken, "first").id, named(taken, "second").id
    assert {(link.source.component, link.sink.component) for link in taken.links} == {
        (one, two),
        (two, one),
    }


def test_a_component_in_a_waitcomplete_is_seen(engine: scheduler) -> None:
    def inner() -> Iterator[object]:
        while True:
            yield 1

    def waits(self: Script) -> Iterator[object]:
        yield WaitComplete(inner())

    one = named(taken_from(engine, Script(waits, "waits")), "waits")
    assert one.state is State.AWAKE
    assert one.place is not None
    assert one.place.endswith("inner")


def test_numbers_are_those_of_the_schedulers_counts(engine: scheduler) -> None:
    def talker(self: Script) -> Iterator[object]:
        self.send("a", "outbox")
        self.send("b", "outbox")
        self.send("lost", "signal")
        while True:
            yield 1

    outer, inner, far = Script(sleeper, "outer"), Script(talker, "inner"), Script(sleeper, "far")
    outer.link((inner, "outbox"), (outer, "outbox"), passthrough=2)
    outer.link((outer, "outbox"), (far, "inbox"))
    engine.add_instrument(Counts())
    taken = taken_from(engine, outer, inner, far)
    assert [link.messages for link in taken.links] == [2, 2]
    assert box(named(taken, "far"), "inbox").messages == 2
    assert box(named(taken, "inner"), "outbox").messages == 2
    assert box(named(taken, "inner"), "signal").messages == 1
    assert box(named(taken, "outer"), "outbox").messages == 0
    assert named(taken, "inner").steps == 3
    assert taken.messages == 3
    assert taken.steps is not None


def test_a_message_from_outside_is_counted_at_its_inbox(engine: scheduler) -> None:
    counts, one = Counts(), Script(sleeper, "one")
    counts.message("x", None, one.inboxes["inbox"])
    assert box(named(taken_from(engine, one, counts=counts), "one"), "inbox").messages == 1


def test_a_plain_microprocess_has_no_boxes(engine: scheduler) -> None:
    idle = microprocess(thread=iter([1, 1, 1, 1]))
    idle.activate(Scheduler=engine)
    one = next(one for one in taken_from(engine).components if one.id == idle.id)
    assert one.boxes == ()
    assert one.place is None


def test_a_thread_is_found_where_its_author_wrote_it(engine: scheduler) -> None:
    found: list[Snapshot] = []

    def look(self: Threaded) -> None:
        # From a thread: the answer is made between two turns of the scheduler.
        found.append(snapshot(engine))

    threaded = Threaded(look)
    threaded.name = "threaded"
    run(engine, threaded)
    one = named(found[0], "threaded")
    assert one.threaded
    assert one.place is not None
    assert one.place.startswith("test_Survey.py:")
    assert one.place.endswith("look")


def test_what_waits_for_a_thread_counts_as_waiting(engine: scheduler) -> None:
    def waits(self: Threaded) -> None:
        wait_for(self, "control")
        found.append(snapshot(engine))

    found: list[Snapshot] = []
    threaded = Threaded(waits)
    threaded.name = "threaded"
    for name in ("inbox", "inbox", "control"):
        threaded.inboxes[name].deliver("x")
    run(engine, threaded)
    assert box(named(found[0], "threaded"), "inbox").waiting == 2


def test_no_more_components_than_asked_for_and_it_is_said(engine: scheduler) -> None:
    for _ in range(5):
        Script(sleeper).activate(Scheduler=engine)
    taken = snapshot(engine, limit=2)
    assert len(taken.components) == 2
    assert taken.omitted == 3
    assert snapshot(engine).omitted == 0


def test_a_very_long_name_is_cut(engine: scheduler) -> None:
    Script(sleeper, "n" * 10_000).activate(Scheduler=engine)
    assert len(snapshot(engine).components[0].name) == Survey.LONGEST_TEXT


def test_the_default_scheduler_is_looked_at_if_none_is_given(
    engine: scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "run", engine)
    one = Script(sleeper, "one").activate(Scheduler=engine)
    assert snapshot().components[0].id == one.id


# ---- between turns


def test_a_call_is_made_in_the_schedulers_thread_and_its_result_comes_back(
    engine: scheduler,
) -> None:
    threads: list[int] = []

    def asks(self: Threaded) -> None:
        threads.append(between_turns(engine, threading.get_ident))

    run(engine, Threaded(asks))
    assert threads == [threading.get_ident()]


def test_what_a_call_raises_is_raised_where_it_was_asked_for(engine: scheduler) -> None:
    def asks(self: Threaded) -> None:
        with pytest.raises(ZeroDivisionError):
            between_turns(engine, lambda: 1 // 0)
        done.append(True)

    done: list[bool] = []
    run(engine, Threaded(asks))
    assert done


def test_a_scheduler_that_does_not_get_round_to_it_is_not_waited_for(
    engine: scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Survey, "ANSWER_SECONDS", 0.01)
    engine.thread_id = -1  # as if it ran in another thread, in an endless turn
    made: list[bool] = []
    with pytest.raises(TimeoutError, match="does not yield"):
        between_turns(engine, lambda: made.append(True))
    engine.thread_id = None
    engine.runThreads()  # the call that was given up is not made later
    assert made == []
