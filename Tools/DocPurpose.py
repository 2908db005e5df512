"""
What a component is for, in one word
====================================
The catalogue of the component library is read with a purpose in mind: where do messages come from,
who slows them down, what talks to a network? ``purpose`` finds the word for a component: from the
package it lives in; in a package that has something of everything, such as Kamaelia.Util, from
``WORDS``, by its own name or its module's; and for one that is not there from its boxes: who reads
nothing is a source, who sends nothing is a sink.

Example Usage
-------------
::

    from DocPurpose import purpose
    from Kamaelia.Util.DataSource import DataSource

    print(purpose(DataSource).title)
"""

from __future__ import annotations

import re
from enum import Enum


class Purpose(Enum):
    """A section of the catalogue: its title, and what its components have in common."""

    CHASSIS = ("Chassis", "put others together: a line, a graph, one after another")
    SOURCE = ("Sources", "messages begin here")
    SINK = ("Sinks", "messages end here")
    TRANSFORM = ("Transformers", "a message comes in, another one comes out")
    FILTER = ("Filters", "some messages pass, others do not")
    SPREAD = ("Spreading and joining", "one to many, many to one")
    FLOW = ("Flow control", "when, and in which order, messages go on")
    RATE = ("Time and rate", "how many messages or bytes a second")
    FILE = ("Files and programs", "read, write, and run what the machine has")
    NETWORK = ("Networks", "sockets, servers and clients")
    PROTOCOL = ("Protocols", "what bytes on a connection mean")
    LOOKING = ("Looking inside and testing", "see what a system does")
    SERVICE = ("Services", "found by name")
    OTHER = ("More", "and what has no section of its own")

    @property
    def title(self) -> str:
        return self.value[0]

    @property
    def about(self) -> str:
        return self.value[1]


PACKAGES = {  # the longest that fits
    "Kamaelia.Chassis": Purpose.CHASSIS,
    "Kamaelia.Chassis.ConnectedServer": Purpose.NETWORK,
    "Kamaelia.Experimental.Chassis": Purpose.CHASSIS,
    "Kamaelia.Experimental.Services": Purpose.SERVICE,
    "Kamaelia.Experimental": Purpose.OTHER,
    "Kamaelia.File": Purpose.FILE,
    "Kamaelia.Internet": Purpose.NETWORK,
    "Kamaelia.Protocol": Purpose.PROTOCOL,
    "Kamaelia.XML": Purpose.PROTOCOL,
    "Kamaelia.Visualisation": Purpose.LOOKING,
    "Kamaelia.Automata": Purpose.SOURCE,
}
WORDS = {  # by component, or by module where all of it is of one kind
    "Backplane": Purpose.SPREAD,
    "ByteRate_RequestControl": Purpose.RATE,
    "Chargen": Purpose.SOURCE,
    "Chooser": Purpose.FLOW,
    "Chunkifier": Purpose.TRANSFORM,
    "Clock": Purpose.RATE,
    "Collate": Purpose.SPREAD,
    "Comparator": Purpose.SPREAD,
    "Console": Purpose.OTHER,
    "ConsoleEchoer": Purpose.SINK,
    "ConsoleReader": Purpose.SOURCE,
    "DataSink": Purpose.SINK,
    "DataSource": Purpose.SOURCE,
    "Fanout": Purpose.SPREAD,
    "Filter": Purpose.FILTER,
    "FirstOnly": Purpose.FILTER,
    "Introspector": Purpose.LOOKING,
    "LossyConnector": Purpose.FLOW,
    "NullSink": Purpose.SINK,
    "OneShot": Purpose.SOURCE,
    "PromptedTurnstile": Purpose.FLOW,
    "RangeFilter": Purpose.FILTER,
    "RateChunker": Purpose.RATE,
    "RateFilter": Purpose.RATE,
    "Splitter": Purpose.SPREAD,
    "Sync": Purpose.FLOW,
    "TTL": Purpose.CHASSIS,
    "TestResult": Purpose.LOOKING,
    "Time": Purpose.RATE,
    "TwoWaySplitter": Purpose.SPREAD,
    "UnseenOnly": Purpose.FILTER,
}
UNUSED = re.compile(r"\b(not read|unused|not used|nothing|never)\b")


def purpose(item: object) -> Purpose:
    """The section for a component, or for a function that makes one."""
    module: str = getattr(item, "__module__", "")
    fits = [name for name in PACKAGES if f"{module}.".startswith(f"{name}.")]
    if fits:
        return PACKAGES[max(fits, key=len)]
    for word in (getattr(item, "__name__", ""), module.rpartition(".")[2]):
        if word in WORDS:
            return WORDS[word]
    return _by_boxes(item)


def _by_boxes(item: object) -> Purpose:
    ins, outs = getattr(item, "Inboxes", None), getattr(item, "Outboxes", None)
    if not isinstance(ins, dict) or not isinstance(outs, dict):
        return Purpose.OTHER
    if _idle(ins, "inbox", "control"):
        return Purpose.SOURCE
    if _idle(outs, "outbox", "signal"):
        return Purpose.SINK
    return Purpose.TRANSFORM


def _idle(boxes: dict[str, str], usual: str, of_shutdown: str) -> bool:
    """True if no data goes through these: there is but the usual box, and its text says so."""
    data = {name for name in boxes if name != of_shutdown and not name.startswith("_")}
    return not data or (data == {usual} and UNUSED.search(boxes[usual]) is not None)
