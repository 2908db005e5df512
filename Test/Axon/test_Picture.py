"""Snapshots as a table, a tree and a drawing; names that try to do harm."""

from dataclasses import replace

from hypothesis import given

from Axon.Picture import mermaid, nested, summary, table, tree
from Axon.Snapshot import (
    BoxState,
    ComponentState,
    Direction,
    End,
    LinkState,
    Snapshot,
    State,
)
from Test.Axon.test_Snapshot import SNAPSHOTS

IN, OUT = Direction.IN, Direction.OUT


def part(id_: int, name: str, *boxes: BoxState, parent: int | None = None) -> ComponentState:
    return ComponentState(
        id_, name, "m.C", parent, State.ASLEEP, None, False, "m.py:7 in C.main", 10, boxes
    )


def box(name: str, direction: Direction, waiting: int = 0, limit: int | None = None) -> BoxState:
    return BoxState(name, direction, waiting, limit, 20, "")


READER = part(2, "reader", box("outbox", OUT), parent=1)
WRITER = part(3, "writer", box("inbox", IN, 3, 10), box("control", IN, 1), parent=1)
LINKS = (
    LinkState(End(2, OUT, "outbox"), End(3, IN, "inbox"), 0, 20),
    LinkState(End(1, IN, "control"), End(3, IN, "control"), 1, None),
)
TAKEN = Snapshot(
    77, 5.0, (part(1, "pipe", box("control", IN)), READER, WRITER), LINKS, 1, 2, 30, 20, 0
)


def test_the_summary_counts_everything() -> None:
    assert summary(TAKEN) == (
        "process 77: 3 components, 0 awake, 4 messages waiting, 1 timers, 2 files"
    )
    assert "3 components (9 more not shown)" in summary(replace(TAKEN, omitted=9))


def test_the_table_without_an_earlier_look_has_no_rates() -> None:
    lines = table(TAKEN).splitlines()
    assert lines[0].split() == [
        "id", "component", "state", "waiting", "steps/s", "messages/s", "at"
    ]  # fmt: skip
    assert lines[1].split()[:6] == ["3", "writer", "asleep", "4", "-", "-"]


def test_the_table_with_an_earlier_look_has_rates_and_the_busiest_first() -> None:
    busy = replace(READER, steps=30, boxes=(replace(READER.boxes[0], messages=27),))
    later = replace(
        TAKEN, time=7.0, components=(*TAKEN.components[:1], busy, *TAKEN.components[2:])
    )
    lines = [line.split() for line in table(later, TAKEN).splitlines()]
    assert [line[1] for line in lines[1:]] == ["reader", "writer", "pipe"]
    assert lines[1][4:6] == ["10", "3.5"]
    assert lines[2][4:6] == ["0", "0"]


def test_the_table_shows_at_most_so_many_rows() -> None:
    assert len(table(TAKEN, rows=1).splitlines()) == 2


def test_no_rates_without_counts_or_time() -> None:
    assert table(TAKEN, TAKEN) == table(TAKEN)
    uncounted = replace(TAKEN, time=9.0, steps=None)
    assert table(uncounted, TAKEN) == table(uncounted)


def test_a_sleeper_with_a_time_and_a_thread_are_marked() -> None:
    one = replace(READER, state=State.WAITING, seconds=1.25, threaded=True, place=None)
    text = table(replace(TAKEN, components=(one,)))
    assert "waiting 1.2 s, thread" in text
    assert not text.endswith(" ")


def test_the_tree_shows_children_boxes_and_where_they_lead() -> None:
    assert tree(TAKEN).splitlines() == [
        "pipe (1, asleep, at m.py:7 in C.main)",
        "    control -> writer.control",
        "  reader (2, asleep, at m.py:7 in C.main)",
        "      outbox -> writer.inbox",
        "  writer (3, asleep, at m.py:7 in C.main)",
        "      inbox [3 of 10]",
        "      control [1]",
    ]


def test_a_name_that_nobody_set_is_shown_without_its_module() -> None:
    named = (part(1, "a.b.Reader_1"), part(2, "smtp.example.com"))
    text = table(replace(TAKEN, components=named))
    assert "1  Reader_1 " in text
    assert "2  smtp.example.com " in text


def test_the_tree_of_a_child_whose_parent_is_not_shown_begins_with_it() -> None:
    assert tree(replace(TAKEN, components=(READER,), links=())).startswith("reader (2")


def test_a_link_to_one_that_is_not_shown_leads_to_a_question_mark() -> None:
    assert "outbox -> ?.inbox" in tree(replace(TAKEN, components=(READER,)))


def test_a_very_deep_tree_and_a_ring_of_parents_end() -> None:
    deep = [part(n, f"p{n}", parent=n - 1) for n in range(1, 3000)]
    assert len(tree(replace(TAKEN, components=tuple(deep), links=())).splitlines()) == 2999
    ring = (part(1, "a", parent=2), part(2, "b", parent=1))
    assert tree(replace(TAKEN, components=ring, links=())) == ""


def test_two_that_claim_the_same_number_do_not_draw_for_ever() -> None:
    twins = (part(0, "a"), part(0, "b", parent=0))
    assert len(tree(replace(TAKEN, components=twins, links=())).splitlines()) == 2


def test_the_drawing_has_a_node_each_inside_of_whom_it_belongs_to_and_an_arrow_each() -> None:
    assert mermaid(TAKEN) == (
        "flowchart LR\n"
        '    subgraph s1["pipe"]\n'
        '        b1(["control"])\n'
        '        c2["reader"]\n'
        '        c3["writer"]\n'
        "    end\n"
        '    c2 -->|"outbox to inbox: 20"| c3\n'
        '    b1 -.->|"to control"| c3\n'
    )


def test_the_drawing_of_a_link_out_of_a_container_begins_at_its_box() -> None:
    links = (
        LinkState(End(2, OUT, "outbox"), End(1, OUT, "outbox"), 2, 4),
        LinkState(End(1, OUT, "outbox"), End(4, IN, "inbox"), 0, None),
    )
    taken = replace(TAKEN, components=(part(4, "sink"), *TAKEN.components), links=links)
    assert mermaid(taken).splitlines()[-2:] == [
        '    c2 -.->|"outbox: 4"| b1',
        '    b1 -->|"to inbox"| c4',
    ]


def test_every_component_is_drawn_once_however_deep_and_rings_are_left_out() -> None:
    deep = tuple(part(n, f"p{n}", parent=n - 1) for n in range(1, 3000))
    order = list(nested(replace(TAKEN, components=deep)))
    assert [one.id for one, _, _ in order if one] == list(range(1, 3000))
    assert max(depth for _, depth, _ in order) == 40
    assert sum(opens for _, _, opens in order) == sum(one is None for one, _, _ in order)
    ring = (part(1, "a", parent=2), part(2, "b", parent=1), part(3, "c", parent=3))
    assert list(nested(replace(TAKEN, components=ring))) == []


def test_a_name_cannot_add_to_the_drawing() -> None:
    evil = part(1, 'x"]; click c1 "js:1"\n%%')
    lines = mermaid(replace(TAKEN, components=(evil,), links=())).splitlines()
    assert lines == ["flowchart LR", '    c1["x___ click c1 _js:1__n__"]']


@given(SNAPSHOTS)
def test_nothing_that_is_not_printable_gets_out(taken: Snapshot) -> None:
    for text in (summary(taken), table(taken), tree(taken), mermaid(taken)):
        assert all(char.isprintable() or char == "\n" for char in text)
    assert len(table(taken).splitlines()) == 1 + len(taken.components)
