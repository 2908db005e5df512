"""
Drawings as text for Graphviz
=============================
``of_snapshot`` makes of a record of components (Axon.Snapshot: of a running program, or of
Blueprint) the text that Graphviz's ``dot`` lays out: each component a plate with its inboxes at the
left and its outboxes at the right, one that holds others a frame around them. ``of_chart`` does the
same for a Mermaid chart that MermaidText has read. Svg makes the picture.

The same record always gives the same text: whether a picture is stale is seen from that, without a
look at the picture, which differs a little from one version of Graphviz to the next.

Names come from other programs: all are cut to a length and escaped.

Example Usage
-------------
::

    from Axon.Survey import snapshot
    from DotText import of_snapshot

    print(of_snapshot(snapshot()))
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from MermaidText import Chart, Edge, Node, Shape

from Axon.Instruments import plain
from Axon.Picture import linked_boxes, nested
from Axon.Snapshot import BoxState, ComponentState, Direction, End, LinkState, Snapshot

LONGEST = 60
FONT = "DejaVu Sans"  # the widest of the usual ones: no other overflows what was laid out for it

# Colours by their part in the picture: Svg makes classes of them, so that they can be others on a
# dark ground. All texts have a contrast of 4.5 to what is below them, all lines 3.
PLATE, INK = "#ffffff", "#1b2733"
COMPONENT, RIM = "#e8f1fa", "#3b6ea5"
FRAME, EDGE_OF_FRAME = "#f6f6f2", "#77776d"
DATA, CONTROL = "#24527f", "#6a5a1c"

GENERAL = (
    f'node [shape=plain fontname="{FONT}" fontsize=13 fontcolor="{INK}" color="{RIM}" '
    f'fillcolor="{COMPONENT}"]',
    f'edge [fontname="{FONT}" fontsize=11 arrowsize=0.7 color="{DATA}" fontcolor="{DATA}"]',
)


@dataclass(frozen=True, slots=True)
class Drawing:
    """A text for Graphviz, and what a reader who does not see the picture is told."""

    dot: str
    title: str
    description: str


def _head(direction: str) -> Iterator[str]:
    yield "digraph picture {"
    yield (
        f'graph [rankdir={direction} bgcolor="{PLATE}" fontname="{FONT}" fontsize=13 '
        f'fontcolor="{INK}" ranksep=0.4 nodesep=0.25 pad=0.12]'
    )
    yield from GENERAL


def quoted(text: str) -> str:
    """A string of Graphviz's language, of printable characters in one line."""
    escaped = plain(text, LONGEST).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def marked(text: str) -> str:
    """The same inside Graphviz's table language."""
    return html.escape(plain(text, LONGEST)) or " "


# ---- components


def of_snapshot(
    taken: Snapshot, title: str | None = None, *, all_boxes: bool = False, direction: str = "LR"
) -> Drawing:
    """The drawing of a record. all_boxes: those too to which nothing is linked; one component
    alone is always drawn with all."""
    return _Plan(taken, all_boxes or len(taken.components) == 1).drawing(title, direction)


class _Plan:
    """One drawing while it is made: which boxes are shown, and by which names in the text."""

    def __init__(self, taken: Snapshot, all_boxes: bool) -> None:
        self._taken = taken
        self._all = all_boxes
        self._linked = linked_boxes(taken)
        self._holders = {one.id for one, _, opens in nested(taken) if one and opens}
        self._numbers: dict[int, dict[End, int]] = {}
        for one in taken.components:
            shown = [
                End(one.id, box.direction, box.name) for box in one.boxes if self._shown(one, box)
            ]
            self._numbers[one.id] = {end: number for number, end in enumerate(shown)}

    def _shown(self, one: ComponentState, box: BoxState) -> bool:
        end = End(one.id, box.direction, box.name)
        return self._all or end in self._linked.get(one.id, ())

    def drawing(self, title: str | None, direction: str) -> Drawing:
        lines = list(_head(direction))
        for one, _, opens in nested(self._taken):
            if one is None:
                lines.append("}")
            elif opens:
                lines += self._frame(one)
            else:
                lines.append(f"c{_number(one.id)} [label=<{self._plate(one)}>]")
        lines += [self._arrow(link) for link in self._taken.links if self._known(link)]
        names = [short_name(one) for one in self._taken.components]
        return Drawing(
            "\n".join([*lines, "}"]) + "\n", title or _title(names), " ".join(self._told())
        )

    def _known(self, link: LinkState) -> bool:
        return all(end in self._numbers.get(end.component, ()) for end in (link.source, link.sink))

    def _frame(self, one: ComponentState) -> Iterator[str]:
        yield f"subgraph cluster_{_number(one.id)} {{"
        yield (
            f'label={quoted(short_name(one))} style="rounded,filled" '
            f'color="{EDGE_OF_FRAME}" fillcolor="{FRAME}" margin=10'
        )
        for end in self._numbers[one.id]:
            yield (
                f"{self._end(end)} [label={quoted(end.box)} shape=box "
                f'style="rounded,filled" color="{EDGE_OF_FRAME}" fillcolor="{PLATE}" fontsize=11 '
                "height=0.25 width=0 margin=0.08]"
            )

    def _plate(self, one: ComponentState) -> str:
        ends = self._numbers[one.id]
        ins = [end for end in ends if end.direction is Direction.IN]
        outs = [end for end in ends if end.direction is Direction.OUT]
        rows = [f'<TR><TD COLSPAN="2" CELLPADDING="5"><B>{marked(short_name(one))}</B></TD></TR>']
        for at in range(max(len(ins), len(outs))):
            cells = self._cell(ins[at : at + 1], "LEFT") + self._cell(outs[at : at + 1], "RIGHT")
            rows.append(f"<TR>{cells}</TR>")
        return (
            f'<TABLE BORDER="1" CELLBORDER="0" CELLSPACING="0" CELLPADDING="3" STYLE="ROUNDED" '
            f'BGCOLOR="{COMPONENT}" COLOR="{RIM}">{"".join(rows)}</TABLE>'
        )

    def _cell(self, ends: list[End], side: str) -> str:
        if not ends:
            return "<TD></TD>"
        (end,) = ends
        port = self._numbers[end.component][end]
        return (
            f'<TD PORT="p{port}" ALIGN="{side}"><FONT POINT-SIZE="11">{marked(end.box)}</FONT></TD>'
        )

    def _end(self, end: End) -> str:
        """A box as Graphviz's text calls it: a node of its own in a frame, else a port."""
        number, name = self._numbers[end.component][end], _number(end.component)
        return f"b{name}_{number}" if end.component in self._holders else f"c{name}:p{number}"

    def _arrow(self, link: LinkState) -> str:
        out, into = (
            "" if end.component in self._holders else side
            for end, side in ((link.source, ":e"), (link.sink, ":w"))
        )
        wishes = []
        if link.passthrough:
            wishes.append("style=dashed arrowhead=empty")
        if _is_control(link):
            wishes.append(f'color="{CONTROL}" fontcolor="{CONTROL}"')
        if link.messages is not None:
            wishes.append(f'label="{link.messages}"')
        options = f" [{' '.join(wishes)}]" if wishes else ""
        return f"{self._end(link.source)}{out} -> {self._end(link.sink)}{into}{options}"

    def _told(self) -> Iterator[str]:
        names = {one.id: short_name(one) for one in self._taken.components}
        parents = {one.id: one.parent for one in self._taken.components}
        for holder in sorted(self._holders):
            inside = [names[one] for one, parent in parents.items() if parent == holder]
            yield f"{names[holder]} holds {_listed(inside)}."
        for link in self._taken.links:
            if self._known(link):
                source, sink = (f"{names[e.component]} {e.box}" for e in (link.source, link.sink))
                yield f"{source} leads to {sink}."
        if not self._taken.links:
            for one in self._taken.components:
                for kind, word in ((Direction.IN, "inboxes"), (Direction.OUT, "outboxes")):
                    boxes = [e.box for e in self._numbers[one.id] if e.direction is kind]
                    if boxes:
                        yield f"{word} of {names[one.id]}: {_listed(boxes)}."


def short_name(one: ComponentState) -> str:
    """A name that nobody set, <module>.<Class>_<number>, without the module."""
    name = one.name
    return plain(name.rpartition(".")[2] if name.endswith(f"_{one.id}") else name, LONGEST)


def _number(id_: int) -> str:
    """An id as part of a name: a hostile program may say that its ids are negative."""
    return str(id_).replace("-", "m")


def _is_control(link: LinkState) -> bool:
    return link.sink.box == "control" or link.source.box == "signal"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def _title(names: list[str]) -> str:
    few = _listed(names[:3])
    return f"{few} and {len(names) - 3} more" if len(names) > 3 else few or "nothing"


# ---- charts of a document

SHAPES = {
    Shape.BOX: "shape=box",
    Shape.ROUND: 'shape=box style="rounded,filled"',
    Shape.STADIUM: 'shape=box style="rounded,filled"',
    Shape.CIRCLE: "shape=ellipse",  # a circle around two words is larger than all else
    Shape.DIAMOND: "shape=diamond margin=0.06",
    Shape.STORE: "shape=cylinder",
    Shape.DOT: f'shape=circle width=0.16 label="" fillcolor="{INK}" color="{INK}"',
}


def of_chart(chart: Chart, title: str | None = None) -> Drawing:
    """The drawing of a Mermaid chart."""
    ids = {name: f"n{number}" for number, name in enumerate(chart.nodes)}
    lines = [*_head(chart.direction), "node [style=filled margin=0.15]"]
    lines += _chart_frames(chart, ids, "")
    lines += [_chart_arrow(edge, ids) for edge in chart.edges]
    told = [
        f"{_text(chart, edge.source)} leads to {_text(chart, edge.sink)}"
        + (f": {_one_line(edge.text)}." if edge.text else ".")
        for edge in chart.edges
    ]
    names = [_one_line(node.text) for node in chart.nodes.values() if node.text]
    return Drawing("\n".join([*lines, "}"]) + "\n", title or _title(names), " ".join(told))


def _chart_frames(chart: Chart, ids: dict[str, str], inside: str) -> Iterator[str]:
    for name, node in chart.nodes.items():
        if node.frame == inside:
            yield f"{ids[name]} [{_chart_node(node)}]"
    for number, (name, frame) in enumerate(chart.frames.items()):
        if frame.frame == inside:
            yield f"subgraph cluster_{number} {{ label={quoted(frame.text)}"
            yield f'style="rounded,filled" color="{EDGE_OF_FRAME}" fillcolor="{FRAME}" margin=10'
            yield from _chart_frames(chart, ids, name)
            yield "}"


def _chart_node(node: Node) -> str:
    if node.shape is Shape.DOT:
        return SHAPES[node.shape]
    return f"label={_lines(node.text)} {SHAPES[node.shape]}"


def _chart_arrow(edge: Edge, ids: dict[str, str]) -> str:
    wishes = [f"label={_lines(' ' + edge.text + ' ')}"] if edge.text else []
    if edge.dotted:
        wishes.append("style=dashed")
    if edge.both:
        wishes.append("dir=both")
    if not edge.arrow:
        wishes.append("arrowhead=none")
    return f"{ids[edge.source]} -> {ids[edge.sink]} [{' '.join(wishes)}]"


def _lines(text: str) -> str:
    """Each line of a text escaped by itself."""
    return '"' + "\\n".join(quoted(line)[1:-1] for line in text.split("\n")) + '"'


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _text(chart: Chart, name: str) -> str:
    node = chart.nodes[name]
    return _one_line(node.text) if node.shape is not Shape.DOT else "the dot"
