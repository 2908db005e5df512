"""Reading Mermaid charts: what is in use is understood, anything else is refused with its line."""

import importlib
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "Tools"))
MermaidText = importlib.import_module("MermaidText")
read, Shape, ChartError = MermaidText.read, MermaidText.Shape, MermaidText.ChartError


def edges(text: str) -> list[tuple[str, str, str, bool, bool]]:
    found = read("flowchart LR\n" + text).edges
    return [(edge.source, edge.sink, edge.text, edge.dotted, edge.arrow) for edge in found]


@pytest.mark.parametrize(
    ("line", "edge"),
    [
        ("A --> B", ("A", "B", "", False, True)),
        ("A-->B", ("A", "B", "", False, True)),
        ("A --- B", ("A", "B", "", False, False)),
        ("A -.-> B", ("A", "B", "", True, True)),
        ("A ==> B", ("A", "B", "", False, True)),
        ('A -->|"x to y: 3"| B', ("A", "B", "x to y: 3", False, True)),
        ("A -->|plain| B", ("A", "B", "plain", False, True)),
        ('A -- "a - b" --> B', ("A", "B", "a - b", False, True)),
        ("A -- yes --> B", ("A", "B", "yes", False, True)),
        ('A -. "signal" .-> B', ("A", "B", "signal", True, True)),
        ('A == "much" ==> B', ("A", "B", "much", False, True)),
        ('A["one (1)"] --> B{"two?"};', ("A", "B", "", False, True)),
        ("A --> B %% a comment", ("A", "B", "", False, True)),
    ],
)
def test_an_arrow_is_understood(line: str, edge: tuple[str, str, str, bool, bool]) -> None:
    assert edges(line) == [edge]


@pytest.mark.parametrize(
    ("line", "both", "dotted", "text"),
    [
        ("A <--> B", True, False, ""),
        ("A <-.-> B", True, True, ""),
        ('A <-->|"x"| B', True, False, "x"),
        ('A <-- "x" --> B', True, False, "x"),
        ('A <-. "x" .-> B', True, True, "x"),
        ("A --> B", False, False, ""),
    ],
)
def test_an_arrow_may_have_two_ends(line: str, both: bool, dotted: bool, text: str) -> None:
    (edge,) = read("flowchart LR\n" + line).edges
    assert (edge.both, edge.dotted, edge.text, edge.arrow) == (both, dotted, text, True)


def test_chains_and_groups_make_an_edge_each() -> None:
    assert [edge[:2] for edge in edges("A & B --> C --> D & E")] == [
        ("A", "C"), ("B", "C"), ("C", "D"), ("C", "E"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("node", "text", "shape"),
    [
        ("A", "A", Shape.BOX),
        ("A[a text]", "a text", Shape.BOX),
        ('A[("records")]', "records", Shape.STORE),
        ('A["with ] inside"]', "with ] inside", Shape.BOX),
        ("A(round)", "round", Shape.ROUND),
        ('A(["box"])', "box", Shape.STADIUM),
        ("A((circle))", "circle", Shape.CIRCLE),
        ("A{really?}", "really?", Shape.DIAMOND),
        ('A["two<br/>lines"]', "two\nlines", Shape.BOX),
    ],
)
def test_a_node_is_understood(node: str, text: str, shape: object) -> None:
    made = read("flowchart TB\n" + node).nodes["A"]
    assert (made.text, made.shape) == (text, shape)


def test_a_node_named_again_keeps_its_text() -> None:
    assert read('graph LR\nA["one"] --> B\nB --> A').nodes["A"].text == "one"


def test_frames_nest_and_hold_what_is_named_in_them_first() -> None:
    chart = read('flowchart LR\nsubgraph x["Outer"]\nA\nsubgraph y\nB\nend\nend\nA --> B --> C')
    assert chart.frames["x"].text == "Outer"
    assert chart.frames["y"].frame == "x"
    assert [chart.nodes[name].frame for name in "ABC"] == ["x", "y", ""]


def test_a_state_diagram_has_a_dot_for_its_beginning_and_one_for_its_end() -> None:
    chart = read("stateDiagram-v2\n[*] --> Awake: go()\nAwake --> [*]\nAwake : wide awake")
    assert [(e.source, e.sink, e.text) for e in chart.edges] == [
        ("[beginning]", "Awake", "go()"),
        ("Awake", "[end]", ""),
    ]
    assert chart.nodes["[end]"].shape is Shape.DOT
    assert chart.nodes["Awake"].text == "wide awake"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("pie\n", 1),
        ("flowchart XY\nA", 1),
        ("flowchart LR\nA --> ", 2),
        ("flowchart LR\nA ~~~ B", 2),
        ("flowchart LR\n\nA[no end --> B", 3),
        ('flowchart LR\nA["no quote] --> B', 2),
        ("flowchart LR\nend", 2),
        ("flowchart LR\nclick A href", 2),
        ("stateDiagram-v2\nnote left of A", 2),
    ],
)
def test_what_is_not_understood_is_refused_with_its_line(text: str, line: int) -> None:
    with pytest.raises(ChartError, match=f"line {line}:"):
        read(text)


@pytest.mark.parametrize("text", ["subgraph x\nA", "subgraph x\nA\nend\nx --> A"])
def test_a_frame_without_end_and_an_arrow_at_a_frame_are_refused(text: str) -> None:
    with pytest.raises(ChartError, match="x"):
        read("flowchart LR\n" + text)


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet='ABend-.=>|"[](){}&%: \n', max_size=40))
def test_whatever_is_written_is_read_or_refused(text: str) -> None:
    try:
        chart = read("flowchart LR\n" + text)
    except ChartError:
        return
    assert all({edge.source, edge.sink} <= chart.nodes.keys() for edge in chart.edges)


def test_what_axon_draws_can_be_read() -> None:
    from Axon.Picture import mermaid
    from Test.Axon.test_Picture import TAKEN

    chart = read(mermaid(TAKEN))
    assert list(chart.frames) == ["s1"]
    assert [(e.source, e.sink) for e in chart.edges] == [("c2", "c3"), ("b1", "c3")]
