"""
The linkages that one component made
====================================
A component can only undo what it made itself, and all of that is undone when it ends. Linkages are
indexed by the components they join, so that a server with ten thousand connections unlinks one of
them in constant time.

Example Usage
-------------
A component's own postoffice is behind ``self.link`` and ``self.unlink``::

    wire = self.link((reader, "outbox"), (writer, "inbox"))
    self.unlink(thelinkage=wire)
    self.unlink(thecomponent=reader)  # every linkage of ours that touches it
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from Axon.AxonExceptions import AxonException
from Axon.Base import AxonObject
from Axon.Box import Inbox
from Axon.Linkage import HasBoxes, linkage

if TYPE_CHECKING:
    from Axon.Box import Outbox


class postoffice(AxonObject):
    """postoffice(debugname="") -> keeps, makes and cuts linkages."""

    __slots__ = ("_all", "_index", "debugname")

    def __init__(self, debugname: str = "") -> None:
        self.debugname = debugname + ":" if debugname else ""
        # With the boxes joined: an adaptive component may meanwhile have deleted one, or made
        # another of the same name, so a cut cannot go by the names.
        self._all: dict[linkage, tuple[Inbox | Outbox, Inbox | Outbox]] = {}
        # Linkages by the components they join; made when somebody first unlinks a component, since
        # most postoffices only ever cut everything at once. Keyed by id(): boxes' owners need not
        # be hashable. An entry lives only as long as one of its linkages, which holds the
        # component, so an id cannot be taken over by another object.
        self._index: dict[int, dict[linkage, None]] | None = None

    @property
    def linkages(self) -> list[linkage]:
        """The linkages now in force, oldest first."""
        return list(self._all)

    def link(
        self,
        source: tuple[HasBoxes, str],
        sink: tuple[HasBoxes, str],
        passthrough: int = 0,
        pipewidth: int | None = None,
        synchronous: bool | None = None,
    ) -> linkage:
        """Connect (component, box) to (component, box). See linkage for the options and errors;
        also raises BoxAlreadyLinkedToDestination, LinkageCycle, and noSpaceInBox if waiting
        messages would not fit."""
        made = linkage(source[0], sink[0], source[1], sink[1], passthrough)
        boxes = made.getSourcebox(), made.getSinkbox()
        if pipewidth is None and synchronous:
            pipewidth = 1
        if pipewidth is None:
            boxes[1].addsource(boxes[0])
        elif hasattr(boxes[1], "final"):
            _add_with_limit(boxes[0], boxes[1], pipewidth)
        else:  # a test's own box, which knows nothing of chains
            boxes[1].addsource(boxes[0])
            made.setSynchronous(pipewidth)
        self._all[made] = boxes
        if self._index is not None:
            self._enter(self._index, made)
        return made

    def unlink(self, thecomponent: object = None, thelinkage: linkage | None = None) -> None:
        """Cut one linkage, or all that touch a component. Those not made here are left alone."""
        if thelinkage is not None and thelinkage in self._all:
            self._cut(thelinkage)
        if thecomponent is not None:
            if self._index is None:
                self._index = {}
                for made in self._all:
                    self._enter(self._index, made)
            for cut in list(self._index.get(id(thecomponent), ())):
                self._cut(cut)

    def unlinkAll(self) -> None:
        self._index = None
        while self._all:
            source, sink = self._all.popitem()[1]
            sink.removesource(source)

    def islinkageregistered(self, thelinkage: linkage) -> int:
        return 1 if thelinkage in self._all else 0

    deregisterlinkage = unlink

    def _cut(self, cut: linkage) -> None:
        source, sink = self._all.pop(cut)
        if self._index is not None:
            for end in {id(cut.source), id(cut.sink)}:
                of_end = self._index[end]
                del of_end[cut]
                if not of_end:
                    del self._index[end]
        sink.removesource(source)

    @staticmethod
    def _enter(index: dict[int, dict[linkage, None]], made: linkage) -> None:
        index.setdefault(id(made.source), {})[made] = None
        index.setdefault(id(made.sink), {})[made] = None

    def __str__(self) -> str:
        return f"{{{{ POSTOFFICE: {self.debugname}links {self.linkages} }}}}"


def _add_with_limit(source: Inbox | Outbox, sink: Inbox | Outbox, pipewidth: int) -> None:
    """Link and limit, or, if the link is refused, neither."""
    final = sink.final()
    if not isinstance(final, Inbox):
        sink.addsource(source)  # it leads nowhere yet: there is no storage to limit
        return
    before = final.getSize()
    final.setSize(pipewidth)
    try:
        sink.addsource(source)
    except AxonException:
        final.setSize(before)
        raise
