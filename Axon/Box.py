"""
Postboxes: where messages wait and how they get there
=====================================================
A component reads from inboxes and writes to outboxes; linkages join them. Delivery is immediate: a
send puts the message into the storage of the inbox at the end of the chain of linkages and wakes
that inbox's owner. There is no postman.

What makes it fast is decided when boxes are linked, so that nothing is left to decide when a
message moves:

* An Outbox knows its *final* inbox (``sink``), worked out anew for everything upstream whenever a
  link is made or cut.
* What an inbox does with a message follows from the type of its storage ``q``, and the usual type
  is a plain deque, whose ``append`` is C code: the empty tuple (never used: an idle component owns
  no deque, which would be 760 bytes), a deque, a deque that counts and tells (a limit is set, or
  somebody waits for room), a deque of length 0 (linked to nothing: a discard at C speed), or an
  object of the owner's (a socket that sends what is appended).

Waking on collection. A sender that found the box full, or asked how full it is, is remembered in
the inbox's ``waiters`` and woken at the next collection. Only those are: waking every producer
upstream at every collection costs a fan-in half its speed, and a service with a thousand sleeping
clients all of it.

Example Usage
-------------
Boxes are made by components; a test or a thread-safe call back may use one directly::

    receiver.inboxes["inbox"].deliver("a message")  # stores it and wakes the receiver
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from Axon.AxonExceptions import BoxAlreadyLinkedToDestination, LinkageCycle, noSpaceInBox

if TYPE_CHECKING:
    from collections.abc import Callable


class Owner(Protocol):
    """What a box needs of the component it belongs to."""

    _asleep: Callable[[Any], None] | None

    def unpause(self) -> None: ...


class Nobody:
    """Owner of boxes whose messages wake no one: of finished components, and of the sink that
    discards."""

    __slots__ = ("_asleep",)

    def __init__(self) -> None:
        self._asleep: Callable[[Any], None] | None = None

    def unpause(self) -> None:
        """Nobody sleeps here."""


NOBODY = Nobody()
_UNUSED: Any = ()
_FEW = 4


class _Discard(deque[Any]):
    """A type of its own, so that a discarding box is never taken for one with a plain deque."""

    __slots__ = ()


DISCARD = _Discard(maxlen=0)


class _CheckedDeque(deque[Any]):
    """Storage of an inbox that has a limit, or whose next collection somebody waits for."""

    __slots__ = ("box",)

    box: Inbox

    def append(self, message: Any) -> None:
        size = self.box.size
        if size is not None and len(self) >= size:
            raise noSpaceInBox(len(self), size)
        deque.append(self, message)

    def popleft(self) -> Any:
        message = deque.popleft(self)
        if self.box.waiters:
            self.box._collected()
        return message


class _ClosedDeque(deque[Any]):
    """Storage of a finished component's inbox in which something still lies: may be read, takes
    nothing more."""

    __slots__ = ()

    def append(self, message: Any) -> None:
        """Nobody would ever read it."""


class _Box:
    """What inboxes and outboxes share: a place in the graph of linkages."""

    __slots__ = ("name", "owner", "sources", "target")

    def __init__(self, owner: Owner, name: str) -> None:
        self.owner = owner
        self.name = name
        self.target: Inbox | Outbox | None = None
        # Nearly always none or one: a tuple is a fifth of a dict. But a service is the sink of
        # thousands of links, and each must come and go in constant time: then it is a dict.
        self.sources: tuple[Inbox | Outbox, ...] | dict[Inbox | Outbox, None] = ()

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
        if type(source) is Inbox and source.q:
            _check_room(source, final)
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

    def _self(self) -> Inbox | Outbox:
        raise NotImplementedError

    def final(self) -> Inbox | Outbox:
        """The box at the end of the chain of linkages that begins here."""
        box = self._self()
        while box.target is not None:
            box = box.target
        return box


class Inbox(_Box):
    """A box that its owner reads. ``size`` is the most messages it may hold (None: no limit, 0:
    always full)."""

    __slots__ = ("q", "size", "waiters")

    def __init__(self, owner: Owner, name: str) -> None:
        self.owner = owner
        self.name = name
        self.target = None
        self.sources = ()
        self.q: Any = _UNUSED  # Any: see above, it is chosen for its append
        self.size: int | None = None
        self.waiters: dict[Owner, None] | None = None

    def _self(self) -> Inbox:
        return self

    def open_(self, message: Any) -> None:
        """Store the first message ever: this is where the deque is allocated."""
        if self.q is not _UNUSED:
            raise  # called from an except clause: the AttributeError came from inside an append
        self.use_storage()
        self.q.append(message)

    def use_storage(self) -> None:
        """(Re)choose the kind of deque: checked when there is a limit or a waiter, plain
        otherwise."""
        if self.size is not None or self.waiters:
            if type(self.q) is not _CheckedDeque:
                checked = _CheckedDeque(self.q)
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

    def wake_on_collection(self, sender: Owner) -> None:
        """Wake sender, once, when a message has been taken out of this inbox."""
        if self.waiters is None:
            self.waiters = {}
        self.waiters[sender] = None
        if type(self.q) is deque or self.q is _UNUSED:
            self.use_storage()

    def _collected(self) -> None:
        waiters, self.waiters = self.waiters, None
        if self.size is None and type(self.q) is _CheckedDeque:
            self.use_storage()
        for waiter in waiters or ():
            waiter.unpause()

    def close(self) -> None:
        """The owner has ended: wake no one, keep nothing that comes, let those go on who wait for
        room."""
        self.owner = NOBODY
        self.q = _ClosedDeque(self.q) if isinstance(self.q, deque) and self.q else DISCARD
        self.size = None
        if self.waiters:
            self._collected()

    def setSize(self, size: int | None) -> int | None:
        """Limit the number of waiting messages; lowering it below the present number is allowed."""
        if self.owner is NOBODY:
            return None  # no one will ever make room: a limit would block the senders for good
        self.size = size
        # A box that is full while empty must be able to refuse its very first message.
        if type(self.q) in (deque, _CheckedDeque) or (self.q is _UNUSED and size == 0):
            self.use_storage()
        if self.waiters:
            self._collected()  # there may be room now
        return size

    def getSize(self) -> int | None:
        return self.size

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


class _Sink:
    """Stands for "linked to nothing": takes messages and keeps none."""

    __slots__ = ("owner", "q")

    def __init__(self) -> None:
        self.owner: Owner = NOBODY
        self.q: Any = DISCARD

    @property
    def size(self) -> int | None:
        return None

    def open_(self, message: Any) -> None:
        raise  # as in an Inbox: it is open, so the AttributeError came from inside an append

    def wake_on_collection(self, sender: Owner) -> None:
        """Nothing is ever collected here."""


NULL_SINK = _Sink()


class _SelfSink(_Sink):
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

    def wake_on_collection(self, sender: Owner) -> None:
        self.box.wake_on_collection(sender)

    def __len__(self) -> int:
        return len(self.box.q)

    def append(self, message: Any) -> None:
        self.box.deliver(message)
        self.box.owner.unpause()


class Outbox(_Box):
    """A box that its owner writes to. ``sink`` is the inbox at the end of its chain of linkages."""

    __slots__ = ("sink",)

    def __init__(self, owner: Owner, name: str) -> None:
        self.owner = owner
        self.name = name
        self.target = None
        self.sources = ()
        self.sink: Inbox | _Sink = NULL_SINK

    def _self(self) -> Outbox:
        return self

    def append(self, message: Any) -> None:
        """What send does, for those who hold a box and not its component."""
        sink = self.sink
        if isinstance(sink, Inbox):
            sink.deliver(message)
        else:
            sink.q.append(message)

    def pop(self, index: int = 0) -> Any:
        """Take the oldest message out of the final destination's storage."""
        sink = self.sink
        if isinstance(sink, Inbox):
            return sink.pop(index)
        raise IndexError("pop from an empty box")

    def isFull(self) -> bool:
        """True if a send would raise noSpaceInBox; then the owner is woken when there is room."""
        sink = self.sink
        if sink.size is not None and len(sink.q) >= sink.size:
            sink.wake_on_collection(self.owner)
            return True
        return False

    def local_len(self) -> int:
        return 0

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


def _check_room(source: Inbox, final: Inbox | Outbox) -> None:
    """Refuse a link whose waiting messages do not fit: all of them move on, or none."""
    if not isinstance(final, Inbox) or final.size is None:
        return
    if len(final.q) + len(source.q) > final.size:
        raise noSpaceInBox(len(final.q), final.size)


def _stop_waiting(sender: Owner, sink: Inbox | _Sink) -> None:
    """Wake a sender that waits for room in a box to which it no longer leads."""
    box = sink.box if isinstance(sink, _SelfSink) else sink
    if isinstance(box, Inbox) and box.waiters and sender in box.waiters:
        del box.waiters[sender]
        sender.unpause()


def _retarget(box: Inbox | Outbox, final: Inbox | Outbox) -> None:
    """Make final the sink of box and of everything upstream of it, with an explicit stack: chains
    may be longer than Python's recursion limit. Messages that waited in the middle move on."""
    if type(box) is Outbox and not box.sources and box.sink is NULL_SINK:
        # The usual first link, which must be cheap: a connection of a server makes a dozen.
        if isinstance(final, Inbox):
            box.sink = _SelfSink(final) if final.owner is box.owner else final
        return
    stack: list[Inbox | Outbox] = [box]
    while stack:
        current = stack.pop()
        if isinstance(current, Outbox):
            before = current.sink
            if not isinstance(final, Inbox):
                current.sink = NULL_SINK
            elif final.owner is current.owner:
                current.sink = _SelfSink(final)
            else:
                current.sink = final
            _stop_waiting(current.owner, before)
        elif current is not final and isinstance(final, Inbox) and current.q:
            while current.q:
                final.deliver(current.q.popleft())
            final.owner.unpause()  # the one in whose turn this happens may be the receiver
        stack.extend(current.sources)
