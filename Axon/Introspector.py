"""
Telling about every change of a running program
===============================================
An Introspector is a component that says, whenever components, boxes or links were added or removed,
what: as the lines of text that the original's topology viewers read. What waits where, and who is
awake, is in a snapshot (Axon.Survey).

It sleeps between its looks, so the program idles as before; and it must not keep a program running
that would end without it: it ends when it has had company and only what it talks to is left.

Example Usage
-------------
Every change of the program's shape, on the console::

    Pipeline(Introspector(interval=0.5), ConsoleEchoer()).activate()
    MyProgram().run()
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from Axon.Component import component
from Axon.Instruments import plain
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Microprocess import microprocess
from Axon.Snapshot import Direction, End, Snapshot
from Axon.Storage import holder_of
from Axon.Survey import snapshot


class Introspector(component):
    """Introspector(interval=0.5) -> text about every change of what the program consists of;
    interval: seconds between looks."""

    Inboxes = {
        "inbox": "object: not used, thrown away",
        "control": "producerFinished or shutdownMicroprocess: ends it",
    }
    Outboxes = {
        "outbox": "str: lines DEL ALL, ADD NODE, DEL NODE, ADD LINK and DEL LINK",
        "signal": "the shutdown that came in, or producerFinished when it is alone",
    }

    def __init__(self, interval: float = 0.5, **argd: Any) -> None:
        super().__init__(**argd)
        self.interval = interval

    def main(self) -> Iterator[object]:
        yield 1  # those activated together with this one are there at the first look
        self.send("DEL ALL\n", "outbox")
        seen = Topology()
        company = False
        while True:
            now = Topology.of(snapshot(self.scheduler))
            if changes := seen.changes(now):
                self.send(changes, "outbox")
            seen = now
            others = self._others()
            if company and not others:
                self.send(producerFinished(self), "signal")
                return
            company = company or others
            until = self.now() + self.interval
            while (left := until - self.now()) > 0:
                self.pause(left)
                yield 1
                for _ in self.Inbox("inbox"):
                    pass  # nobody else would
                for message in self.Inbox("control"):
                    if isinstance(message, producerFinished | shutdownMicroprocess):
                        self.send(message, "signal")
                        return

    def _others(self) -> bool:
        """Tell whether anything runs that is not there for the sake of this component: what its
        boxes lead to, and what contains it or that."""
        ours: dict[microprocess, None] = {self: None}
        waiting: list[microprocess] = [self]
        for process in waiting:
            for other in _downstream(process):
                if other not in ours:
                    ours[other] = None
                    waiting.append(other)
        return any(
            process not in ours and not isinstance(process, Introspector)
            for process in self.scheduler.threads
        )


def _downstream(process: microprocess) -> Iterator[microprocess]:
    if process._axon_parent is not None:
        yield process._axon_parent
    if isinstance(process, component):
        for box in process.outboxes.values():
            holder = None if box.target is None else holder_of(box.target)
            if isinstance(holder, component):
                yield holder


class Topology:
    """Topology() -> an empty one; Topology.of(snapshot) -> nodes and links by the text that names
    them in the lines of an Introspector."""

    def __init__(self) -> None:
        self.nodes: dict[str, str] = {}  # what names a node -> the lines that add it
        self.links: dict[tuple[str, str], None] = {}

    @classmethod
    def of(cls, taken: Snapshot) -> Topology:
        made = cls()
        for one in taken.components:
            made.nodes[f"{one.id}"] = f'"{_quotable(one.name)}" randompos component\n'
            for box in one.boxes:
                node = _node(End(one.id, box.direction, box.name))
                kind = "inbox" if box.direction is Direction.IN else "outbox"
                made.nodes[node] = (
                    f'"{_quotable(box.name)}" randompos {kind}\nADD LINK "{one.id}" "{node}"\n'
                )
        for link in taken.links:
            made.links[_node(link.source), _node(link.sink)] = None
        return made

    def changes(self, now: Topology) -> str:
        """The lines that turn a viewer's picture of this one into that one."""
        lines = [f'DEL LINK "{a}" "{b}"\n' for a, b in self.links if (a, b) not in now.links]
        lines += [f'DEL NODE "{node}"\n' for node in self.nodes if node not in now.nodes]
        lines += [
            f'ADD NODE "{node}" {rest}'
            for node, rest in now.nodes.items()
            if node not in self.nodes
        ]
        lines += [f'ADD LINK "{a}" "{b}"\n' for a, b in now.links if (a, b) not in self.links]
        return "".join(lines)


def _node(end: End) -> str:
    letter = "i" if end.direction is Direction.IN else "o"
    return f"({end.component}, '{letter}', '{_quotable(end.box)}')"


def _quotable(text: str) -> str:
    """A name between double quotes in a line: without either."""
    return plain(text.replace('"', "'"))
