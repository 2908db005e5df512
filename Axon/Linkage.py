"""
One connection between two boxes
================================
A linkage says which box leads where; making one connects nothing, ``postoffice.link`` (and so
``component.link``) does. Its direction is the ``passthrough`` number of the original: 0 from an
outbox to an inbox, 1 from a parent's inbox to a child's inbox, 2 from a child's outbox to a
parent's outbox.

Example Usage
-------------
Inside a component that wraps another::

    self.link((self, "inbox"), (child, "inbox"), passthrough=1)
    self.link((child, "outbox"), (self, "outbox"), passthrough=2)
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any, Protocol

from Axon.Base import AxonObject

if TYPE_CHECKING:
    from Axon.Box import Inbox, Outbox


class Passthrough(IntEnum):
    """The directions a linkage can have."""

    OUTBOX_TO_INBOX = 0
    INBOX_TO_INBOX = 1
    OUTBOX_TO_OUTBOX = 2


class HasBoxes(Protocol):
    """All that a linkage needs of the components it joins."""

    inboxes: dict[str, Inbox]
    outboxes: dict[str, Outbox]


class linkage(AxonObject):
    """linkage(source, sink, sourcebox="outbox", sinkbox="inbox", passthrough=0, pipewidth=None,
    synchronous=None).

    pipewidth=n limits the sink box to n messages; synchronous=True is pipewidth=1. Raises KeyError
    for a box name that the component does not have."""

    __slots__ = ("passthrough", "sink", "sinkbox", "source", "sourcebox")

    def __init__(
        self,
        source: HasBoxes,
        sink: HasBoxes,
        sourcebox: str = "outbox",
        sinkbox: str = "inbox",
        passthrough: int = 0,
        pipewidth: int | None = None,
        synchronous: bool | None = None,
    ) -> None:
        self.source = source
        self.sink = sink
        self.sourcebox = sourcebox
        self.sinkbox = sinkbox
        self.passthrough = passthrough
        # A wrong name is an error here and now, not when the first message is sent.
        self.getSourcebox()
        self.getSinkbox()
        if pipewidth is not None:
            self.setSynchronous(pipewidth)
        elif synchronous:
            self.setSynchronous(1)

    def getSourcebox(self) -> Inbox | Outbox:
        if self.passthrough == Passthrough.INBOX_TO_INBOX:
            return self.source.inboxes[self.sourcebox]
        return self.source.outboxes[self.sourcebox]

    def getSinkbox(self) -> Inbox | Outbox:
        if self.passthrough == Passthrough.OUTBOX_TO_OUTBOX:
            return self.sink.outboxes[self.sinkbox]
        return self.sink.inboxes[self.sinkbox]

    def sourcePair(self) -> tuple[HasBoxes, str]:
        return self.source, self.sourcebox

    def sinkPair(self) -> tuple[HasBoxes, str]:
        return self.sink, self.sinkbox

    def setSynchronous(self, pipewidth: int | None = None) -> int | None:
        """Limit the sink box to pipewidth messages (None: no limit); returns the limit now in
        force."""
        box: Any = self.getSinkbox()
        box = box.final() if hasattr(box, "final") else box  # a test's own box may do without
        if hasattr(box, "setSize"):
            limit: int | None = box.setSize(pipewidth)
            return limit
        return None  # an outbox that leads nowhere yet has no storage to limit

    def setShowTransit(self, showtransit: bool = True, tag: str | None = None) -> None:
        """Print each message that comes to the sink box (False: no more), with the tag."""
        self.getSinkbox().setShowTransit(showtransit, tag)

    def short_str(self) -> str:
        """As str(), with the names of the components cut to their last part."""
        source = str(getattr(self.source, "name", self.source)).rpartition(".")[2]
        sink = str(getattr(self.sink, "name", self.sink)).rpartition(".")[2]
        return f"[{source}:{self.sourcebox}] -> [{sink}:{self.sinkbox}]"

    def __str__(self) -> str:
        source = getattr(self.source, "name", self.source)
        sink = getattr(self.sink, "name", self.sink)
        return f"Link( source:[{source},{self.sourcebox}], sink:[{sink},{self.sinkbox}] )"

    __repr__ = __str__
