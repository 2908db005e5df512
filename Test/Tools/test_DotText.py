"""Drawings as text for Graphviz: what is shown, and that no name can add to it."""

import importlib
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings

from Axon.Snapshot import End, LinkState, Snapshot
from Test.Axon.test_Picture import IN, OUT, TAKEN, box, part
from Test.Axon.test_Snapshot import SNAPSHOTS

sys.path.append(str(Path(__file__).parents[2] / "Tools"))
DotText = importlib.import_module("DotText")
MermaidText = importlib.import_module("MermaidText")
Svg = importlib.import_module("Svg")
of_snapshot = DotText.of_snapshot


def test_a_container_is_a_frame_with_its_linked_boxes_and_a_member_a_plate() -> None:
    dot = of_snapshot(TAKEN).dot
    assert "subgraph cluster_1 {" in dot
    assert 'b1_0 [label="control"' in dot
    assert "c2:p0:e -> c3:p0:w" in dot
    assert re.search(r"b1_0 -> c3:p1:w \[style=dashed arrowhead=empty color=", dot)


def test_boxes_without_a_link_are_shown_if_that_is_wanted_or_it_is_alone() -> None:
    spare = replace(
        TAKEN, components=(*TAKEN.components, part(4, "x", box("spare", OUT), parent=1))
    )
    assert "spare" not in of_snapshot(spare).dot
    assert "spare" in of_snapshot(spare, all_boxes=True).dot
    alone = replace(TAKEN, components=(part(4, "x", box("spare", OUT)),), links=())
    assert "spare" in of_snapshot(alone).dot


def test_numbers_of_messages_are_on_the_links_if_they_were_counted() -> None:
    assert 'label="20"' in of_snapshot(TAKEN).dot


def test_it_is_described_for_those_who_do_not_see_it() -> None:
    drawing = of_snapshot(TAKEN)
    assert drawing.title == "pipe, reader, writer"
    assert "pipe holds reader, writer." in drawing.description
    assert "reader outbox leads to writer inbox." in drawing.description
    alone = replace(TAKEN, components=(part(4, "x", box("in", IN), box("out", OUT)),), links=())
    assert of_snapshot(alone).description == "inboxes of x: in. outboxes of x: out."
    assert of_snapshot(TAKEN, "The whole").title == "The whole"


def test_an_empty_record_is_an_empty_drawing() -> None:
    assert of_snapshot(replace(TAKEN, components=(), links=())).title == "nothing"


def test_a_link_to_one_that_is_not_in_the_record_is_left_out() -> None:
    stray = LinkState(End(2, OUT, "outbox"), End(9, IN, "inbox"), 0, None)
    assert "->" not in of_snapshot(replace(TAKEN, links=(stray,))).dot


EVIL = 'x"]; evil [label="<b>&\\n\n'


def test_a_name_cannot_add_to_the_drawing() -> None:
    inner = part(2, EVIL, box(EVIL, IN), parent=1)
    taken = replace(
        TAKEN,
        components=(part(1, EVIL, box(EVIL, IN)), inner),
        links=(LinkState(End(1, IN, EVIL), End(2, IN, EVIL), 1, None),),
    )
    dot = of_snapshot(taken).dot
    assert '\\"]; evil [label=\\"<b>&\\\\n\\\\n"' in dot  # in quotes
    assert "x&quot;]; evil [label=&quot;&lt;b&gt;&amp;\\n\\n" in dot  # in a table


@pytest.mark.needs("dot")
@settings(max_examples=5, deadline=None)
@given(SNAPSHOTS)
def test_graphviz_takes_whatever_a_program_says_of_itself(taken: Snapshot) -> None:
    assert Svg.picture(of_snapshot(taken)).startswith("<svg")


def test_a_chart_becomes_nodes_frames_and_arrows() -> None:
    chart = MermaidText.read(
        'flowchart TD\nsubgraph f["Frame"]\nA["one<br>two"]\nend\nA -. "t" .-> B\nB --- C{"why?"}\n'
        "C <--> D[(store)]"
    )
    drawing = DotText.of_chart(chart)
    assert "rankdir=TB" in drawing.dot
    assert 'subgraph cluster_0 { label="Frame"' in drawing.dot
    assert 'n0 [label="one\\ntwo" shape=box]' in drawing.dot
    assert 'n0 -> n1 [label=" t " style=dashed]' in drawing.dot
    assert "n1 -> n2 [arrowhead=none]" in drawing.dot
    assert "n2 -> n3 [dir=both]" in drawing.dot
    assert 'n3 [label="store" shape=cylinder]' in drawing.dot
    assert drawing.description.startswith("one two leads to B: t. B leads to why?.")


def test_a_state_diagram_has_dots() -> None:
    drawing = DotText.of_chart(MermaidText.read("stateDiagram-v2\n[*] --> A"))
    assert 'shape=circle width=0.16 label=""' in drawing.dot
    assert drawing.description == "the dot leads to A."


# ---- colours


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("ground", [0, 1], ids=["light", "dark"])
def test_every_text_and_line_can_be_seen(ground: int) -> None:
    colours = {part: pair[ground] for part, pair in Svg.COLOURS.items()}
    for below in ("ground", "frame", "component"):
        assert contrast(colours["ink"], colours[below]) >= 7
    for below in ("ground", "frame"):
        for text in ("data", "control"):
            assert contrast(colours[text], colours[below]) >= 4.5
        for line in ("rim", "frame-edge"):
            assert contrast(colours[line], colours[below]) >= 3
