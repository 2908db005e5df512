"""
Where an outbox leads, when it is not simply another component's inbox
======================================================================
The sink of an outbox is nearly always an inbox of another component, and then a send needs nothing
of this module. The other cases are objects that look enough like an inbox for a send:

* ``NULL_SINK``: linked to nothing. Messages are discarded, as in the original; in strict mode the
  send raises UnlinkedOutbox instead. (``SAID_SINK``: the same for a "signal" that was cut after a
  shutdown message had gone through it.)
* ``SelfSink``: an inbox of the very component that sends.
* ``SignalSink``: an inbox to which a "signal" outbox leads. It notices whether a shutdown message
  has gone through, so that a component that ends without a word can be spoken for.

Example Usage
-------------
To find the outbox that was misspelt or never linked, while a program is being written::

    with strict_outboxes():
        Pipeline(Reader(), Writer()).run()
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Self

from Axon.AxonExceptions import UnlinkedOutbox, noSpaceInBox
from Axon.Ipc import is_shutdown
from Axon.Storage import DISCARD, NOBODY, UNUSED, CheckedDeque, ShownDeque

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from Axon.Box import Inbox, Outbox
    from Axon.Storage import Owner

_TAKEN_FROM = {deque, CheckedDeque, ShownDeque}  # by a component that has not ended


class NullSink:
    """Stands for "linked to nothing": takes messages and keeps none."""

    __slots__ = ("owner", "q")

    def __init__(self) -> None:
        self.owner: Owner = NOBODY
        self.q: Any = DISCARD

    @property
    def size(self) -> int | None:
        return None

    def open_(self, message: Any, source: Outbox) -> None:
        """The storage has no append: the AttributeError came from inside an append, or this is
        strict mode, in which the storage of this sink is the tuple that has none."""
        if self.q is not UNUSED:
            raise
        if source.name != "signal":
            sender = getattr(source.owner, "name", source.owner)
            # Not "from" the AttributeError: that is how this was noticed, not why it happened.
            raise UnlinkedOutbox(sender, source.name, message) from None

    def wake_on_collection(self, sender: Owner, outbox: Outbox | None = None) -> None:
        """Nothing is ever collected here."""


NULL_SINK = NullSink()
SAID_SINK = NullSink()


class strict_outboxes:  # noqa: N801 - reads as what it does: with strict_outboxes()
    """strict_outboxes() -> from now on a message to an outbox that leads nowhere raises
    UnlinkedOutbox in its sender; "signal" excepted, which the last of a line rightly leaves open.
    As a context manager: until the end of the block. For the whole process."""

    def __init__(self) -> None:
        self._before = NULL_SINK.q
        NULL_SINK.q = UNUSED  # has no append: costs nothing while the mode is off

    def off(self) -> None:
        """Back to what it was."""
        NULL_SINK.q = self._before

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.off()


class SelfSink(NullSink):
    """Sink of an outbox that leads to an inbox of its own component.

    A component that sends itself a message after its last look and then pauses is awake while the
    message arrives, so the delivery wakes nobody. unpause() on an awake component cancels the pause
    that follows: no lost wake-up."""

    __slots__ = ("box",)

    def __init__(self, box: Inbox) -> None:
        self.owner = NOBODY
        self.q = self
        self.box = box

    @property
    def size(self) -> int | None:
        return self.box.size

    def wake_on_collection(self, sender: Owner, outbox: Outbox | None = None) -> None:
        self.box.wake_on_collection(sender, outbox)

    def __len__(self) -> int:
        return len(self.box.q)

    def append(self, message: Any) -> None:
        self.box.deliver(message)
        self.box.owner.unpause()


class SignalSink(SelfSink):
    """Sink of a "signal". ``said``: a shutdown message has gone through it."""

    __slots__ = ("said", "source")

    def __init__(self, box: Inbox, source: Outbox) -> None:
        super().__init__(box)
        self.source = source
        self.said = has_said(source.sink)  # it is said once, also if it is then linked elsewhere

    def append(self, message: Any) -> None:
        if self.box.owner is self.source.owner:
            super().append(message)
        else:
            self.box.deliver(message)
        if is_shutdown(message):
            self._note()

    def _note(self) -> None:
        # Also for the containers whose "signal" this one's passes through: it was their word.
        box: Any = self.source
        while box is not None:
            sink = getattr(box, "sink", None)
            if isinstance(sink, SignalSink):
                sink.said = True
            box = box.target

    def say(self, message: object) -> None:
        """Put in a shutdown message on behalf of a component that has ended: it cannot wait until
        the receiver has room, so the limit does not count for it."""
        append_though_full(self.append, self.box, message)


def append_though_full(append: Callable[[Any], object], box: Inbox, message: object) -> None:
    """Put in what cannot wait until this inbox has room, by the function that does it."""
    try:
        append(message)
    except noSpaceInBox:
        limit, box.size = box.size, None
        try:
            append(message)
        finally:
            box.size = limit


def inbox_of(sink: Inbox | NullSink) -> Inbox | NullSink:
    """The inbox behind a sink, if there is one."""
    return sink.box if isinstance(sink, SelfSink) else sink


def has_said(sink: Inbox | NullSink) -> bool:
    """Has a shutdown message gone through the "signal" that leads there?"""
    return sink is SAID_SINK or (isinstance(sink, SignalSink) and sink.said)


def sink_for(box: Outbox, final: Inbox | None) -> Inbox | NullSink:
    """What an outbox sends to that leads to this inbox (None: its link has been cut)."""
    if final is None:
        return SAID_SINK if has_said(box.sink) else NULL_SINK
    if box.name == "signal":
        return SignalSink(final, box)
    return SelfSink(final) if final.owner is box.owner else final


# ---- who is woken when a message is taken: Axon.Turns says how


def note_use(outbox: Outbox) -> None:
    """A first message has been sent: have the scheduler look after a while whether it was taken.
    Not where nothing is ever taken: a socket sends at once."""
    used = getattr(getattr(outbox.owner, "_axon_scheduler", None), "_used_outboxes", None)
    if used is None:
        return  # sent before activation, or run by a scheduler of another make
    box = outbox.sink.box if isinstance(outbox.sink, SignalSink) else outbox.sink
    if type(box.q) in _TAKEN_FROM and getattr(outbox.owner, "woken_by_collection", True):
        outbox.unused = False
        used.append(outbox)
    else:
        outbox.unused = None


def settle_use(outbox: Outbox) -> bool:
    """Its owner sleeps. True: what it sent has been taken, wake it (or the receiver has ended or is
    another now, and nobody can tell). Otherwise it is woken when that happens."""
    outbox.unused = True
    box = inbox_of(outbox.sink)
    if box.q and type(box.q) in _TAKEN_FROM:
        box.wake_on_collection(outbox.owner, outbox)
        return False
    return not isinstance(box, NullSink)  # if it was taken before the cut: see leave


def leave(outbox: Outbox, before: Inbox | NullSink) -> None:
    """An outbox leads elsewhere now: wake its owner if it waits for room where it led before, or if
    what it sent there has been taken already."""
    box = inbox_of(before)
    owner = outbox.owner
    waiters = getattr(box, "waiters", None)
    if waiters and owner in waiters:
        noted, size = waiters.pop(owner), box.size
        # That it was noted says only that it sent before. Where the box was full (or was until what
        # lay in it moved on) it may sleep until there is room, and nobody else would wake it.
        if noted is None or (size is not None and not 0 < len(box.q) < size):
            owner.unpause()
        else:
            note_use(outbox)  # its message may have moved to where it leads now
    elif outbox.unused is False and not box.q:
        owner.unpause()
