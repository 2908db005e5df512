"""Boxes that are made when they are first asked for."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from Axon.Box import Inbox, Outbox
from Axon.BoxTables import LazyOutboxes
from Axon.Component import component
from Axon.Ipc import producerFinished
from Axon.Survey import snapshot
from Axon.Testing import FakeClock, virtual_scheduler


class Late(component):
    """Notes which of its boxes are made."""

    lazy_boxes = True
    ExtraInboxes = {"more": "object: hardly ever"}
    ExtraOutboxes = {"alarm": "str: never"}

    def __init__(self) -> None:
        self.made: list[str] = []
        self.heard: list[Any] = []
        super().__init__()

    def axon_box_made(self, box: Inbox | Outbox) -> None:
        self.made.append(box.name)

    def main(self) -> Iterator[object]:
        while True:
            self.heard.extend(self.Inbox("inbox"))
            if self.told_to_stop():
                return
            self.pause()
            yield 1


class Eager(Late):
    lazy_boxes = False


def test_none_is_made_with_the_component_and_each_once_with_its_first_use() -> None:
    late = Late()
    assert late.made == []
    first = late.inboxes["more"]
    assert late.inboxes["more"] is first
    assert (first.name, first.owner) == ("more", late)
    assert late.outboxes["alarm"].owner is late
    assert late.made == ["more", "alarm"]


@pytest.mark.parametrize("table", ["inboxes", "outboxes"])
def test_to_ask_whether_there_is_one_makes_none(table: str) -> None:
    late = Late()
    boxes = getattr(late, table)
    declared = getattr(late, table.capitalize())
    assert [name in boxes for name in declared] == [True] * len(declared)
    assert "nothing" not in boxes
    assert len(boxes) == len(declared)
    assert bool(boxes)
    assert late.made == []


@pytest.mark.parametrize("table", ["inboxes", "outboxes"])
@pytest.mark.parametrize(
    "all_of_it",
    [
        list,
        lambda boxes: list(boxes.keys()),
        lambda boxes: [box.name for box in boxes.values()],
        lambda boxes: [name for name, _ in boxes.items()],
        lambda boxes: [boxes.get(name).name for name in boxes],
    ],
)
def test_to_go_through_the_table_makes_all(table: str, all_of_it: Callable[[Any], Any]) -> None:
    late, eager = Late(), Eager()
    assert all_of_it(getattr(late, table)) == all_of_it(getattr(eager, table))
    assert sorted(late.made) == sorted(getattr(eager, table))


@pytest.mark.parametrize("table", ["inboxes", "outboxes"])
def test_one_that_was_not_declared_is_a_key_error(table: str) -> None:
    boxes = getattr(Late(), table)
    with pytest.raises(KeyError, match="nothing"):
        boxes["nothing"]
    assert boxes.get("nothing", 7) == 7


def test_a_component_without_boxes_has_tables_that_are_false() -> None:
    class Mute(component):
        lazy_boxes = True
        Inboxes = {}
        Outboxes = {}

    assert not Mute().inboxes
    assert not Mute().outboxes
    assert Mute().anyReady() is False


def test_messages_come_as_in_any_component() -> None:
    running = virtual_scheduler(FakeClock())
    late, sender = Late(), Late()
    sender.link((sender, "outbox"), (late, "inbox"))
    late.activate(Scheduler=running)
    sender.send(1)
    assert late.anyReady() == "inbox"
    with pytest.raises(IndexError):
        late.recv("more")
    late.inboxes["control"].deliver(producerFinished())
    running.runThreads()
    assert late.heard == [1]


def test_a_box_that_is_first_asked_for_after_the_end_takes_nothing() -> None:
    running = virtual_scheduler(FakeClock())
    late = Late()
    late.activate(Scheduler=running)
    late.stop()
    running.runThreads()
    late.made.clear()
    late.inboxes["more"].deliver("too late")
    assert late.dataReady("more") == 0
    late.send("to nobody", "alarm")
    with pytest.raises(KeyError):
        late.inboxes["nothing"]
    with pytest.raises(KeyError):
        late.outboxes["nothing"]
    assert late.made == []


def test_a_snapshot_shows_those_that_were_never_made() -> None:
    running = virtual_scheduler(FakeClock())
    Late().activate(Scheduler=running)
    (seen,) = snapshot(running).components
    assert {box.name for box in seen.boxes} == {*Late.Inboxes, *Late.Outboxes}


class Wiring:
    """Notes which outboxes it is told of, and whether their component has heard of them first."""

    def __init__(self, holder: Late) -> None:
        self.holder = holder
        self.told: list[tuple[Outbox, bool]] = []

    def box_made(self, outbox: Outbox) -> None:
        self.told.append((outbox, outbox.name in self.holder.made))


def test_who_wires_is_told_of_each_outbox_once_and_after_the_component() -> None:
    late = Late()
    early = late.outboxes["outbox"]
    wiring = Wiring(late)
    assert isinstance(late.outboxes, LazyOutboxes)
    late.outboxes.wiring = wiring
    late.send("to nobody", "alarm")
    late.send("again", "alarm")
    late.inboxes["more"]
    assert early not in [outbox for outbox, _ in wiring.told]
    assert wiring.told == [(late.outboxes["alarm"], True)]


def test_an_outbox_that_was_not_made_leads_nowhere_unless_somebody_wires_it() -> None:
    late = Late()
    outboxes = late.outboxes
    assert isinstance(outboxes, LazyOutboxes)
    assert not outboxes.may_lead("alarm")
    outboxes.wiring = Wiring(late)
    assert outboxes.may_lead("alarm")
    outboxes.wiring = None
    outboxes["alarm"]
    assert outboxes.may_lead("alarm")


def test_nobody_is_told_once_the_component_has_ended() -> None:
    running = virtual_scheduler(FakeClock())
    late = Late()
    wiring = Wiring(late)
    assert isinstance(late.outboxes, LazyOutboxes)
    late.outboxes.wiring = wiring
    late.activate(Scheduler=running)
    late.stop()
    running.runThreads()
    late.outboxes["alarm"]
    assert wiring.told == []
