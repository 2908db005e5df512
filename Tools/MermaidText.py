"""
Reading Mermaid charts
======================
The documents have a few charts in Mermaid's language, which some viewers show as a picture. Where
nothing may be fetched from elsewhere (the site that Docs/conf.py describes) they are drawn by
Graphviz, and this reads them. Of Mermaid's many kinds it knows two, and of these what is in use:

* ``flowchart LR`` (or TB, TD, RL, BT; also ``graph``): nodes as ``A``, ``A["text"]``, ``A(text)``,
  ``A([text])``, ``A((text))``, ``A{text}``, ``A[(text)]``; arrows ``-->``, ``---``, ``-.->``,
  ``==>``, ``<-->``, with a text as ``-->|"text"|`` or ``-- "text" -->``; chains of them; ``&``
  between nodes; ``subgraph`` to ``end``; comments after ``%%``.
* ``stateDiagram-v2``: ``A --> B: text``, ``[*]`` for the beginning and the end, ``A: text``,
  ``direction LR``.

Anything else is a ChartError with its line, never a picture that is not what was written.

Example Usage
-------------
::

    from MermaidText import read

    chart = read('flowchart LR\\n    A["one"] -->|"goes to"| B["two"]\\n')
    print(chart.edges[0].text)
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum, auto


class ChartError(ValueError):
    """A chart that this does not understand; the text says the line."""


class Shape(Enum):
    """What a node looks like."""

    BOX = auto()
    ROUND = auto()
    STADIUM = auto()
    CIRCLE = auto()
    DIAMOND = auto()
    STORE = auto()
    DOT = auto()  # where a state diagram begins or ends


@dataclass(frozen=True, slots=True)
class Node:
    """A node, and in which frame it stands ("": in none)."""

    text: str
    shape: Shape
    frame: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame around nodes, and in which other one it stands."""

    text: str
    frame: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """An arrow, or a line."""

    source: str
    sink: str
    text: str = ""
    dotted: bool = False
    arrow: bool = True
    both: bool = False  # an arrow at either end


@dataclass(slots=True)
class Chart:
    """A chart as it was read; nodes and frames by their ids, in the order in which they came."""

    direction: str = "TB"
    nodes: dict[str, Node] = field(default_factory=dict)
    frames: dict[str, Frame] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)


DIRECTIONS = {"LR": "LR", "RL": "RL", "TB": "TB", "TD": "TB", "BT": "BT"}
BRACKETS = {  # the longer ones first: each begins with a shorter one
    "((": ("))", Shape.CIRCLE),
    "([": ("])", Shape.STADIUM),
    "[(": (")]", Shape.STORE),
    "[": ("]", Shape.BOX),
    "(": (")", Shape.ROUND),
    "{": ("}", Shape.DIAMOND),
}
ID = re.compile(r"[A-Za-z_]\w*")
ARROW = re.compile(
    r"""(?P<line><?(?:-->|-\.->|==>)|---|-\.-|===)\s*(\|(?P<bars>"[^"]*"|[^|"]*)\|)?
      | (?P<plain_begin><?)--\s+(?P<plain>"[^"]*"|[^-"]+?)\s*(?P<plain_end>-->|---)
      | (?P<dotted_begin><?)-\.\s+(?P<dotted>"[^"]*"|[^."]+?)\s*(?P<dotted_end>\.->|\.-)
      | (?P<thick_begin><?)==\s+(?P<thick>"[^"]*"|[^="]+?)\s*(?P<thick_end>==>|===)""",
    re.VERBOSE,
)
HEADER = re.compile(r"(?:flowchart|graph)(?:\s+(\w+))?")
SUBGRAPH = re.compile(r"subgraph\s+(?P<id>[A-Za-z_]\w*)?\s*(?P<text>.*)")
STATE_EDGE = re.compile(r"(\[\*\]|\w+)\s*-->\s*(\[\*\]|\w+)\s*(?::\s*(.+))?")
STATE = re.compile(r"(\w+)\s*:\s*(.+)")


def read(text: str) -> Chart:
    """The chart that a text in Mermaid's language describes. Raises ChartError."""
    lines = [
        (number, line.split("%%")[0].strip()) for number, line in enumerate(text.split("\n"), 1)
    ]
    lines = [(number, line.rstrip(";")) for number, line in lines if line]
    if not lines:
        raise ChartError("line 1: the chart is empty")
    (number, header), *rest = lines
    if header == "stateDiagram-v2":
        return _each(_States(), rest)
    found = HEADER.fullmatch(header)
    if found is None or (found[1] or "TB") not in DIRECTIONS:
        raise ChartError(f"line {number}: not a flowchart and not a stateDiagram-v2: {header}")
    return _each(_Flow(DIRECTIONS[found[1] or "TB"]), rest)


def _each(reader: _Flow | _States, lines: list[tuple[int, str]]) -> Chart:
    for number, line in lines:
        try:
            reader.line(line)
        except ChartError as error:
            raise ChartError(f"line {number}: {error}: {line}") from None
    return reader.end()


def _unquoted(text: str) -> str:
    """The text of a label: without its quotes, with the line breaks that it asks for."""
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1]
    text = re.sub(r"<br\s*/?>|\\n", "\n", text)
    return text.replace("#quot;", '"').strip()


class _Flow:
    """A flowchart while it is read."""

    def __init__(self, direction: str) -> None:
        self._chart = Chart(direction)
        self._open: list[str] = []

    def line(self, line: str) -> None:
        if line == "end":
            if not self._open:
                raise ChartError("no subgraph is open here")
            self._open.pop()
        elif line.startswith("direction "):
            return  # of a subgraph: Graphviz has one direction for all
        elif (found := SUBGRAPH.fullmatch(line)) is not None:
            self._subgraph(found["id"], found["text"])
        else:
            self._statement(line)

    def end(self) -> Chart:
        if self._open:
            raise ChartError(f"the subgraph {self._open[-1]} has no end")
        for name in self._chart.frames:
            if name in self._chart.nodes:
                raise ChartError(f"an arrow at the subgraph {name}: lead it to a node inside")
        return self._chart

    def _subgraph(self, name: str | None, text: str) -> None:
        title = _unquoted(text.strip("[]")) if text else ""
        name = name or f"frame {len(self._chart.frames)}"
        inside = self._open[-1] if self._open else ""
        self._chart.frames[name] = Frame(title or name, inside)
        self._open.append(name)

    def _statement(self, line: str) -> None:
        sources, at = self._nodes(line, 0)
        while at < len(line):
            found = ARROW.match(line, at)
            if found is None:
                raise ChartError(f"an arrow was expected at {line[at:]!r}")
            sinks, at = self._nodes(line, _skip(line, found.end()))
            for source in sources:
                self._chart.edges += [_edge(source, sink, found) for sink in sinks]
            sources = sinks

    def _nodes(self, line: str, at: int) -> tuple[list[str], int]:
        """Those that `&` joins, from there on, and where they end."""
        name, at = self._node(line, at)
        names = [name]
        while line[at : at + 1] == "&":
            name, at = self._node(line, _skip(line, at + 1))
            names.append(name)
        return names, at

    def _node(self, line: str, at: int) -> tuple[str, int]:
        found = ID.match(line, at)
        if found is None:
            raise ChartError(f"a node was expected at {line[at:]!r}")
        name, at = found[0], found.end()
        inside = self._open[-1] if self._open else ""
        for opening, (closing, shape) in BRACKETS.items():
            if line.startswith(opening, at):
                end = _closing(line, at + len(opening), closing)
                text = _unquoted(line[at + len(opening) : end])
                self._chart.nodes[name] = Node(text, shape, inside)
                at = end + len(closing)
                break
        else:
            self._chart.nodes.setdefault(name, Node(name, Shape.BOX, inside))
        return name, _skip(line, at)


def _skip(line: str, at: int) -> int:
    while at < len(line) and line[at] == " ":
        at += 1
    return at


def _closing(line: str, at: int, closing: str) -> int:
    """Where a bracket closes; inside of quotes it is a letter like others."""
    if line.startswith('"', at):
        at = line.find('"', at + 1)
    end = line.find(closing, at) if at >= 0 else -1
    if end < 0:
        raise ChartError(f"no {closing} closes the text")
    return end


def _edge(source: str, sink: str, found: re.Match[str]) -> Edge:
    part = found.groupdict("")
    line = part["line"]
    for kind in ("plain", "dotted", "thick"):
        line = line or part[f"{kind}_begin"] + part[f"{kind}_end"]
    text = _unquoted(part["bars"] or part["plain"] or part["dotted"] or part["thick"])
    return Edge(source, sink, text, "." in line, line.endswith(">"), line.startswith("<"))


class _States:
    """A state diagram while it is read."""

    def __init__(self) -> None:
        self._chart = Chart("LR")

    def line(self, line: str) -> None:
        if line.startswith("direction ") and line.split()[-1] in DIRECTIONS:
            self._chart.direction = DIRECTIONS[line.split()[-1]]
        elif (found := STATE_EDGE.fullmatch(line)) is not None:
            source = self._state(found[1], "beginning")
            sink = self._state(found[2], "end")
            self._chart.edges.append(Edge(source, sink, _unquoted(found[3] or "")))
        elif (found := STATE.fullmatch(line)) is not None:
            self._chart.nodes[found[1]] = Node(_unquoted(found[2]), Shape.ROUND)
        else:
            raise ChartError("not understood")

    def end(self) -> Chart:
        return self._chart

    def _state(self, name: str, role: str) -> str:
        if name == "[*]":
            self._chart.nodes.setdefault(f"[{role}]", Node("", Shape.DOT))
            return f"[{role}]"
        self._chart.nodes.setdefault(name, Node(name, Shape.ROUND))
        return name
