"""
The commands of a topology viewer
=================================
What an Introspector says, and what else may be said to change or to ask for a graph of nodes and
links, as lists of words:

>>> graph = Topology()
>>> graph.obey(["ADD", "NODE", "1", "a parser", "randompos", "component"])
>>> graph.obey(["ADD", "NODE", "2", "a sink", "(20,30)", "component"])
>>> graph.obey(["ADD", "LINK", "1", "2"])
>>> graph.obey(["GET_NAME", "NODE", "2"])
('GET_NAME', 'NODE', 'a sink')

All of them::

    ADD NODE id name position type      position: randompos, auto or (x,y)
    DEL NODE id                         its links too
    ADD LINK from to                    the order counts; one that is there already stays
    DEL LINK from to
    DEL ALL
    UPDATE_NAME NODE id name
    GET_NAME NODE id                    answer: (GET_NAME, NODE, name)
    GET ALL                             answer: (TOPOLOGY, the commands that make it anew)

The two words of a command may be in small letters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from Kamaelia.Exceptions import ProtocolError

Command = tuple[str, ...]
Answer = tuple[str, str, str] | tuple[str, tuple[Command, ...]]

_POSITION = re.compile(r"randompos|auto|\(\s*-?[\d.]{1,20}\s*,\s*-?[\d.]{1,20}\s*\)", re.ASCII)


class BadCommand(ProtocolError):  # noqa: N818 - named like the neighbours
    """There is no such command, or it does not fit what is there."""


@dataclass(frozen=True, slots=True)
class Node:
    """What is known of a node; its id is not part of it."""

    name: str
    position: str
    type: str


class Topology:
    """Topology(limit=100_000) -> an empty one; limit: of the nodes, and of the links."""

    def __init__(self, limit: int = 100_000) -> None:
        self._limit = limit
        self.nodes: dict[str, Node] = {}
        # By both ends, so that a node can go without a look at all links; values are not used.
        self._links_from: dict[str, dict[str, None]] = {}
        self._links_to: dict[str, dict[str, None]] = {}
        self._links = 0
        self._commands: dict[tuple[str, str, int], Callable[..., Answer | None]] = {
            ("ADD", "NODE", 4): self._add_node,
            ("DEL", "NODE", 1): self._delete_node,
            ("ADD", "LINK", 2): self._add_link,
            ("DEL", "LINK", 2): self._delete_link,
            ("DEL", "ALL", 0): self._delete_all,
            ("UPDATE_NAME", "NODE", 2): self._rename,
            ("GET_NAME", "NODE", 1): self._name_of,
            ("GET", "ALL", 0): self._all,
        }

    def obey(self, words: Sequence[str]) -> Answer | None:
        """Change what the command says, or answer. Raises BadCommand, and has changed nothing."""
        verb, noun, *arguments = [*words, "", ""] if len(words) < 2 else words
        command = self._commands.get((verb.upper(), noun.upper(), len(arguments)))
        if command is None:
            raise BadCommand(f"there is no command {' '.join(words)[:200]!r}")
        return command(*arguments)

    def links(self) -> list[tuple[str, str]]:
        """All links: from, to."""
        return [(start, end) for start, ends in self._links_from.items() for end in ends]

    def _add_node(self, node: str, name: str, position: str, type_: str) -> None:
        if node in self.nodes:
            raise BadCommand(f"there is a node {node!r} already")
        if not _POSITION.fullmatch(position):
            raise BadCommand(f"{position!r} is no position: randompos, auto or (x,y)")
        self._check_room(len(self.nodes), "nodes")
        self.nodes[node] = Node(name, position, type_)

    def _delete_node(self, node: str) -> None:
        self._check(node)
        for end in [*self._links_from.get(node, ())]:
            self._delete_link(node, end)
        for start in [*self._links_to.get(node, ())]:
            self._delete_link(start, node)
        del self.nodes[node]

    def _add_link(self, start: str, end: str) -> None:
        self._check(start)
        self._check(end)
        if end in self._links_from.get(start, ()):
            return
        self._check_room(self._links, "links")
        self._links_from.setdefault(start, {})[end] = None
        self._links_to.setdefault(end, {})[start] = None
        self._links += 1

    def _delete_link(self, start: str, end: str) -> None:
        if end not in self._links_from.get(start, ()):
            raise BadCommand(f"there is no link from {start!r} to {end!r}")
        del self._links_from[start][end]
        del self._links_to[end][start]
        self._links -= 1
        # Ids come and go as long as the program that is watched runs.
        if not self._links_from[start]:
            del self._links_from[start]
        if not self._links_to[end]:
            del self._links_to[end]

    def _delete_all(self) -> None:
        self.nodes.clear()
        self._links_from.clear()
        self._links_to.clear()
        self._links = 0

    def _rename(self, node: str, name: str) -> None:
        self._check(node)
        self.nodes[node] = replace(self.nodes[node], name=name)

    def _name_of(self, node: str) -> Answer:
        self._check(node)
        return ("GET_NAME", "NODE", self.nodes[node].name)

    def _all(self) -> Answer:
        nodes = [
            ("ADD", "NODE", node, known.name, known.position, known.type)
            for node, known in self.nodes.items()
        ]
        links = [("ADD", "LINK", start, end) for start, end in self.links()]
        return ("TOPOLOGY", (("DEL", "ALL"), *nodes, *links))

    def _check(self, node: str) -> None:
        if node not in self.nodes:
            raise BadCommand(f"there is no node {node!r}")

    def _check_room(self, number: int, what: str) -> None:
        if number >= self._limit:
            raise BadCommand(f"no more than {self._limit} {what}")
