"""
Postboxes: where messages wait and how they get there
=====================================================
A component reads from inboxes and writes to outboxes; linkages join them. Delivery is immediate: a
send puts the message into the storage of the inbox at the end of the chain of linkages and wakes
that inbox's owner. There is no postman.

What makes it fast is decided when boxes are linked, so that nothing is left to decide when a
message moves: an Outbox knows its *final* inbox (``sink``), worked out anew for everything upstream
whenever a link is made or cut, and what an inbox does with a message follows from the type of its
storage (Axon.Storage).

Waking on collection. A sender that found the box full, or asked how full it is, is remembered in
the inbox's ``waiters`` and woken at the next collection. Only those are: waking every producer
upstream at every collection costs a fan-in half its speed, and a service with a thousand sleeping
clients all of it. One that only sent and then slept is the scheduler's to remember (see
Axon.Turns): its outbox notes itself there at the first send, and when the scheduler has looked, at
the next.

Example Usage
-------------
Boxes are made by components; a test or a thread-safe call back may use one directly::

    receiver.inboxes["inbox"].deliver("a message")  # stores it and wakes the receiver
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from Axon.AxonExceptions import BoxAlreadyLinkedToDestination, LinkageCycle, noSpaceInBox
from Axon.Base import AxonObject
from Axon.Sinks import (
    NULL_SINK,
    SAID_SINK,
    NullSink,
    SignalSink,
    inbox_of,
    leave,
    note_use,
    settle_use,
    sink_for,
)
from Axon.Sinks import strict_outboxes as strict_outboxes
from Axon.Storage import DISCARD, UNUSED, CheckedDeque, ClosedDeque, Notified, Owner, ShownDeque
from Axon.Storage import NOBODY as NOBODY

_FEW = 4
_SHORT = 64


class postbox(AxonObject):
    """What inboxes and outboxes share: a place in the graph of linkages."""

    __slots__ = ("name", "owner", "sources", "target")

    owner: Owner
    name: str
    target: Inbox | Outbox | None
    # Nearly always none or one: a tuple is a fifth of a dict. But a service is the sink of
    # thousands of links, and each must come and go in constant time: then it is a dict.
    sources: tuple[Inbox | Outbox, ...] | dict[Inbox | Outbox, None]

    def addsource(self, source: Inbox | Outbox) -> None:
        """Make this box the destination of source.

        Raises BoxAlreadyLinkedToDestination if source has one, LinkageCycle if messages would go
        round for ever."""
        if source.target is not None:
            raise BoxAlreadyLinkedToDestination(self, source.target, source)
        final = me = self._self()
        while final is not source and final.target is not None:
            final = final.target
        if final is source:
            raise LinkageCycle(source)
        moving = source.local_len()
        if moving and isinstance(final, Inbox) and final.size is not None:
            waiting = len(final.q)
            if waiting + moving > final.size:
                raise noSpaceInBox(waiting, final.size)  # all that waits moves on, or none of it
        source.target = me
        if isinstance(self.sources, dict):
            self.sources[source] = None
        elif len(self.sources) < _FEW:
            self.sources = (*self.sources, source)
        else:
            self.sources = dict.fromkeys((*self.sources, source))
        _retarget(source, final)

    def removesource(self, source: Inbox | Outbox) -> None:
        """Undo addsource; messages stay where they are."""
        if source in self.sources:
            if isinstance(self.sources, dict):
                del self.sources[source]
            else:
                self.sources = tuple(other for other in self.sources if other is not source)
            source.target = None
            _retarget(source, source)

    def setShowTransit(self, showtransit: bool = True, tag: str | None = None) -> None:
        """Print each message that comes to the end of the chain that begins here (False: no
        more), with the tag."""
        box = self.final()
        if not isinstance(box, Inbox):
            return
        if isinstance(box.q, ShownDeque):
            box.q = deque(box.q)
            box.use_storage()
        if showtransit and (box.q is UNUSED or type(box.q) in {deque, CheckedDeque}):
            box.q = ShownDeque(box.q)
            box.q.box = box
            box.q.tag = f"{tag or box.name}: "

    def getnotifys(self) -> list[Callable[[], object]]:
        """What wakes the owners of the outboxes upstream of this box."""
        found: list[Callable[[], object]] = []
        stack = list(self.sources)
        while stack:
            box = stack.pop()
            if isinstance(box, Outbox):
                found.append(box.owner.unpause)
            stack.extend(box.sources)
        return found

    @property
    def storage(self) -> Any:
        """Where the messages of this box lie: those of the inbox at the end of its chain."""
        final = self.final()
        return final.q if isinstance(final, Inbox) else DISCARD

    def _self(self) -> Inbox | Outbox:
        raise NotImplementedError

    def local_len(self) -> int:
        """Messages that lie in this very box."""
        return 0

    def final(self) -> Inbox | Outbox:
        """The box at the end of the chain of linkages that begins here."""
        box = self._self()
        while box.target is not None:
            box = box.target
        return box


class Inbox(postbox):
    """A box that its owner reads. ``size`` is the most messages it may hold (None: no limit, 0:
    always full)."""

    __slots__ = ("q", "size", "waiters")

    def __init__(self, owner: Owner, name: str) -> None:
        self.owner = owner
        self.name = name
        self.target = None
        self.sources = ()
        self.q: Any = UNUSED  # Any: see above, it is chosen for its append
        self.size: int | None = None
        # Those to wake at the next collection; with the outbox of one that has not asked for it.
        self.waiters: dict[Owner, Outbox | None] | None = None

    def _self(self) -> Inbox:
        return self

    def __repr__(self) -> str:
        return f"<inbox {self.name!r} of {getattr(self.owner, 'name', 'nobody')}>"

    def open_(self, message: Any, source: object = None) -> None:
        """Store the first message ever: this is where the deque is allocated."""
        if self.q is not UNUSED:
            raise  # called from an except clause: the AttributeError came from inside an append
        self.use_storage()
        self.q.append(message)

    def use_storage(self) -> None:
        """(Re)choose the kind of deque: checked when there is a limit or a waiter, plain
        otherwise."""
        if self.size is not None or self.waiters:
            if not isinstance(self.q, CheckedDeque):
                checked = CheckedDeque(self.q)
                checked.box = self
                self.q = checked
        elif type(self.q) is not deque:
            self.q = deque(self.q)

    def deliver(self, message: Any) -> None:
        """Put a message in and wake the owner; follows linkages. Only from the scheduler's own
        thread."""
        box = self if self.target is None else self.final()
        try:
            box.q.append(message)  # type: ignore[union-attr]
        except AttributeError:
            if isinstance(box, Outbox):
                return  # linked out to nothing
            box.open_(message)
        owner = box.owner
        wake = owner._asleep
        if wake is not None:
            owner._asleep = None
            wake(owner)

    append = deliver

    def pop(self, index: int = 0) -> Any:
        """Take the oldest message. Raises IndexError if there is none."""
        try:
            return self.q.popleft()
        except AttributeError:
            raise IndexError("pop from an empty box") from None

    def wake_on_collection(self, sender: Owner, outbox: Outbox | None = None) -> None:
        """Wake sender, once, when a message has been taken out of this inbox. With its outbox, and
        if that was the message of another: once more for the next."""
        if self.waiters is None:
            self.waiters = {}
        if outbox is not None or sender not in self.waiters:
            self.waiters[sender] = outbox
        if type(self.q) is deque or self.q is UNUSED:
            self.use_storage()

    def collected(self) -> None:
        waiters, self.waiters = self.waiters, None
        # A long one stays as it is: to exchange it is to copy it, perhaps for each message.
        if self.size is None and type(self.q) is CheckedDeque and len(self.q) < _SHORT:
            self.use_storage()
        for waiter, outbox in (waiters or {}).items():
            waiter.unpause()
            if outbox is not None and outbox.unused and self.q:
                outbox.note()

    def close(self) -> None:
        """The owner has ended: wake no one, keep nothing that comes, let those go on who wait for
        room."""
        self.owner = NOBODY
        self.q = ClosedDeque(self.q) if isinstance(self.q, deque) and self.q else DISCARD
        self.size = None
        if self.waiters:
            self.collected()

    def setSize(self, size: int | None) -> int | None:
        """Limit the number of waiting messages; lowering it below the present number is allowed."""
        if self.owner is NOBODY:
            return None  # no one will ever make room: a limit would block the senders for good
        self.size = size
        # A box that is full while empty must be able to refuse its very first message.
        if type(self.q) in (deque, CheckedDeque) or (self.q is UNUSED and size == 0):
            self.use_storage()
        if self.waiters:
            self.collected()  # there may be room now
        return size

    def getSize(self) -> int | None:
        return self.size

    @property
    def sink(self) -> Inbox | Outbox:
        return self.final()

    def local_len(self) -> int:
        """Messages waiting here, which a box linked onwards never has."""
        return len(self.q)

    def isFull(self) -> bool:
        box = self.final()
        return isinstance(box, Inbox) and box.size is not None and len(box.q) >= box.size

    def __len__(self) -> int:
        box = self.final()
        return len(box.q) if isinstance(box, Inbox) else 0

    def __bool__(self) -> bool:
        return True  # a box is a thing, not its content


class Outbox(postbox):
    """A box that its owner writes to. ``sink`` is the inbox at the end of its chain of linkages."""

    __slots__ = ("sink", "unused")

    def __init__(self, owner: Owner, name: str) -> None:
        self.owner = owner
        self.name = name
        self.target = None
        self.sources = ()
        self.sink: Inbox | NullSink = NULL_SINK
        # True: the next send is to be noted. False: it was, and the scheduler will look. None: it
        # need not be, as long as it is linked in this way.
        self.unused: bool | None = True

    def _self(self) -> Outbox:
        return self

    def __repr__(self) -> str:
        return f"<outbox {self.name!r} of {getattr(self.owner, 'name', 'nobody')}>"

    note = note_use
    settle = settle_use

    def append(self, message: Any) -> None:
        """What send does, for those who hold a box and not its component."""
        sink = self.sink
        if isinstance(sink, Inbox):
            sink.deliver(message)
            if self.unused:
                self.note()
            return
        try:
            sink.q.append(message)
        except AttributeError:
            sink.open_(message, self)

    def pop(self, index: int = 0) -> Any:
        """Take the oldest message out of the final destination's storage."""
        sink = inbox_of(self.sink)
        if isinstance(sink, Inbox):
            return sink.pop(index)
        raise IndexError("pop from an empty box")

    def setSize(self, size: int | None) -> int | None:
        """Limit the inbox at the end of its chain."""
        final = self.final()
        return final.setSize(size) if isinstance(final, Inbox) else None

    def getSize(self) -> int | None:
        return self.sink.size

    def isFull(self) -> bool:
        """True if a send would raise noSpaceInBox; then the owner is woken when there is room."""
        sink = self.sink
        if sink.size is not None and len(sink.q) >= sink.size:
            sink.wake_on_collection(self.owner)
            return True
        return False

    def __len__(self) -> int:
        """Messages waiting at the destination; if there are any, the owner is woken when one is
        taken."""
        sink = self.sink
        waiting = len(sink.q)
        if waiting:
            sink.wake_on_collection(self.owner)
        return waiting

    def __bool__(self) -> bool:
        return True


def _point(box: Outbox, final: Inbox | Outbox) -> None:
    """Have messages sent on an outbox go to the final box, or nowhere if that is an outbox."""
    box.sink = sink_for(box, final if isinstance(final, Inbox) else None)
    if box.unused is None:
        box.unused = True


def _retarget(box: Inbox | Outbox, final: Inbox | Outbox) -> None:
    """Make final the sink of box and of everything upstream of it, with an explicit stack: chains
    may be longer than Python's recursion limit. Messages that waited in the middle move on."""
    if type(box) is Outbox and not box.sources and box.sink is NULL_SINK:
        # The usual first link, which must be cheap: a connection of a server makes a dozen.
        _point(box, final)
        return
    stack: list[Inbox | Outbox] = [box]
    while stack:
        current = stack.pop()
        if isinstance(current, Outbox):
            before = current.sink
            _point(current, final)
            leave(current, before)
        elif current is not final and isinstance(final, Inbox) and current.q:
            waiters, current.waiters = current.waiters, None  # to move on is not to be taken
            while current.q:
                final.deliver(current.q.popleft())
            current.waiters = waiters
            final.owner.unpause()  # the one in whose turn this happens may be the receiver
        stack.extend(current.sources)


# ---- links without an object for each, for those who make and cut thousands a second


def join(source: Outbox, sink: Inbox) -> None:
    """What sink.addsource(source) does, at a tenth of the price where neither is linked yet.

    Raises what that raises."""
    if (
        source.target is not None
        or source.sources
        or source.sink is not NULL_SINK
        or sink.target is not None
        or source.owner is sink.owner
    ):
        sink.addsource(source)
        return
    source.target = sink
    sources = sink.sources
    if type(sources) is dict:
        sources[source] = None
    else:
        sink.sources = (
            (*sources, source) if len(sources) < _FEW else dict.fromkeys((*sources, source))
        )
    if not getattr(source.owner, "woken_by_collection", True):
        source.unused = None  # what a first send would find out
    source.sink = SignalSink(sink, source) if source.name == "signal" else sink


def part(source: Outbox, sink: Inbox) -> None:
    """What sink.removesource(source) does, with less work for what join() has made. Nothing if the
    one does not lead to the other, or not any more."""
    if source.target is not sink:
        return
    before = source.sink
    sources = sink.sources
    if source.sources or sink.target is not None or source not in sources:
        sink.removesource(source)
        return
    if type(sources) is dict:
        del sources[source]
    else:
        sink.sources = () if len(sources) == 1 else tuple(s for s in sources if s is not source)
    source.target = None
    source.sink = SAID_SINK if type(before) is SignalSink and before.said else NULL_SINK
    unused = source.unused
    if unused is None:
        source.unused = True
    if unused is False or sink.waiters:
        leave(source, before)


# ---- the original's way to make boxes by themselves; components make theirs directly

ShowAllTransits = False  # True: boxes made by these two functions from then on print what comes


def makeInbox(notify: Callable[[], object], size: int | None = None) -> Inbox:
    """An inbox that calls notify() when a message arrives."""
    made = Inbox(Notified(notify), "inbox")
    made.setSize(size)
    if ShowAllTransits:
        made.setShowTransit()
    return made


def makeOutbox(notify: Callable[[], object]) -> Outbox:
    """An outbox that calls notify() when a message of its has been taken."""
    return _NotifyingOutbox(Notified(notify), "outbox")


class _NotifyingOutbox(Outbox):
    __slots__ = ()

    def append(self, message: Any) -> None:
        super().append(message)
        self.sink.wake_on_collection(self.owner)


realsink, nullsink = makeInbox, NullSink
