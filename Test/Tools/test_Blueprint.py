"""The record of what was put together: who holds whom, what is linked, and nothing has run."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from Axon.Component import component
from Axon.Picture import mermaid
from Axon.Scheduler import scheduler
from Axon.Snapshot import Snapshot, from_json, to_json
from Kamaelia.Chassis.Graphline import Graphline
from Kamaelia.Chassis.Pipeline import Pipeline

sys.path.append(str(Path(__file__).parents[2] / "Tools"))
Blueprint = importlib.import_module("Blueprint")
blueprint, of_class = Blueprint.blueprint, Blueprint.of_class


class Part(component):
    """It complains when it runs."""

    ExtraInboxes = {"extra": "object: more"}

    def main(self) -> Iterator[object]:
        raise AssertionError("nothing is run")
        yield


def names(taken: Snapshot) -> dict[str, str | None]:
    known = {one.id: one.name for one in taken.components}
    return {one.name: known.get(one.parent or 0) for one in taken.components}


def links(taken: Snapshot) -> set[tuple[str, str, str, str, int]]:
    known = {one.id: one.name for one in taken.components}
    return {
        (
            known[link.source.component],
            link.source.box,
            known[link.sink.component],
            link.sink.box,
            link.passthrough,
        )
        for link in taken.links
    }


def graph() -> Graphline:
    return Graphline(
        LEFT=Part(),
        RIGHT=Pipeline(Part(name="deep"), Part(name="deeper")),
        linkages={("self", "inbox"): ("LEFT", "inbox"), ("LEFT", "outbox"): ("RIGHT", "inbox")},
    )


def test_members_are_inside_their_chassis_under_the_names_they_have_there() -> None:
    assert names(blueprint(graph())) == {
        "Graphline": None,
        "LEFT: Part": "Graphline",
        "RIGHT: Pipeline": "Graphline",
        "deep": "RIGHT: Pipeline",
        "deeper": "RIGHT: Pipeline",
    }


def test_links_are_recorded_with_their_direction() -> None:
    found = links(blueprint(graph()))
    assert ("Graphline", "inbox", "LEFT: Part", "inbox", 1) in found
    assert ("LEFT: Part", "outbox", "RIGHT: Pipeline", "inbox", 0) in found
    assert ("deeper", "signal", "RIGHT: Pipeline", "signal", 2) in found


def test_it_begins_anywhere_and_finds_the_whole() -> None:
    whole = graph()
    (first,) = [one for name, one in whole.components.items() if name == "LEFT"]
    assert set(names(blueprint(first))) == set(names(blueprint(whole)))


def test_a_neighbour_that_is_only_linked_stands_beside_it() -> None:
    one, other = Part(name="one"), Part(name="other")
    one.link((one, "outbox"), (other, "inbox"))
    assert names(blueprint(one)) == {"one": None, "other": None}


def test_what_only_passes_a_box_on_is_inside() -> None:
    outer, inner = Part(name="outer"), Part(name="inner")
    outer.link((outer, "inbox"), (inner, "inbox"), passthrough=1)
    assert names(blueprint(inner)) == {"outer": None, "inner": "outer"}


def test_children_are_inside() -> None:
    outer, inner = Part(name="outer"), Part(name="inner")
    outer.addChildren(inner)
    assert names(blueprint(outer)) == {"outer": None, "inner": "outer"}


def test_nobody_is_inside_himself_by_a_detour() -> None:
    one, other = Part(name="one"), Part(name="other")
    one.link((one, "inbox"), (other, "inbox"), passthrough=1)
    other.link((other, "extra"), (one, "extra"), passthrough=1)
    taken = blueprint(one)
    assert sum(one.parent is None for one in taken.components) == 1


def test_the_same_program_gives_the_same_record_and_it_is_one_like_others() -> None:
    taken = blueprint(graph())
    assert taken == blueprint(graph())
    assert [one.id for one in taken.components] == [1, 2, 3, 4, 5]
    assert from_json(to_json(taken)) == taken
    assert "subgraph" in mermaid(taken)


def test_nothing_is_activated() -> None:
    before = list(scheduler.run.threads)
    whole = graph()
    blueprint(whole)
    assert list(scheduler.run.threads) == before
    assert whole.children == []


def test_of_a_class_only_its_tables_are_needed() -> None:
    class NeedsMuch(Part):
        def __init__(self, much: object) -> None:
            raise AssertionError("it is not made")

    (only,) = of_class(NeedsMuch).components
    assert only.name == "NeedsMuch"
    assert [box.name for box in only.boxes] == ["inbox", "control", "extra", "outbox", "signal"]


def test_more_than_anybody_can_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Blueprint, "MOST", 3)
    with pytest.raises(Blueprint.TooLarge, match="more than 3"):
        blueprint(graph())
