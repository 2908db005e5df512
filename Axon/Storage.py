"""
What the messages of an inbox lie in
====================================
An inbox does with a message what its storage ``q`` does when something is appended to it, and
nothing else is asked while a message moves. The kinds:

* ``UNUSED``, the empty tuple: no message ever came. An idle component owns no deque, which would be
  760 bytes. It has no append, which is how the first message is noticed.
* a plain deque: the usual case, in which a delivery is one call of C code.
* ``CheckedDeque``: a limit is set, or somebody waits for room.
* ``ShownDeque``: the same, and each message is printed (``setShowTransit``).
* ``ClosedDeque``: the owner has ended and something still lies there; it may be read.
* ``DISCARD``: leads nowhere.
* any other object with an ``append``, put there by the box's owner: a socket that sends. If its
  append sends something back to the sender, it must also call the sender's ``unpause()``: a message
  that comes to a component in its own turn does not keep it from pausing.

Example Usage
-------------
Boxes choose it; a component that wants to act on each message at once brings its own::

    self.inboxes["inbox"].q = self.queue  # has append(message), popleft() and a length
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from Axon.AxonExceptions import noSpaceInBox

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


class Notified:
    """Notified(notify) -> owner of a box that is told of messages by a call."""

    __slots__ = ("_notify",)

    def __init__(self, notify: Callable[[], object]) -> None:
        self._notify = notify

    @property
    def _asleep(self) -> Callable[[Any], None] | None:
        return self._wake

    @_asleep.setter
    def _asleep(self, awake: Callable[[Any], None] | None) -> None:
        """It is told of every message."""

    def _wake(self, owner: object) -> None:
        self._notify()

    def unpause(self) -> None:
        self._notify()


NOBODY = Nobody()
UNUSED: Any = ()


def holder_of(box: Any) -> Any:
    """The component that has this box; None if there is none any more.

    That is its owner, unless the owner was exchanged so that nobody is woken for it, as a socket's
    component does; then the storage says whose it is, by an attribute `holder`."""
    owner = box.owner
    return getattr(getattr(box, "q", None), "holder", None) if isinstance(owner, Nobody) else owner


class _Discard(deque[Any]):
    """A type of its own, so that a discarding box is never taken for one with a plain deque."""

    __slots__ = ()


DISCARD = _Discard(maxlen=0)


class Limited(Protocol):
    """What a CheckedDeque asks of its inbox."""

    size: int | None
    waiters: dict[Owner, Any] | None

    def collected(self) -> None: ...


class CheckedDeque(deque[Any]):
    """Storage of an inbox that has a limit, or whose next collection somebody waits for."""

    __slots__ = ("box",)

    box: Limited

    def append(self, message: Any) -> None:
        size = self.box.size
        if size is not None and len(self) >= size:
            raise noSpaceInBox(len(self), size)
        deque.append(self, message)

    def popleft(self) -> Any:
        message = deque.popleft(self)
        if self.box.waiters:
            self.box.collected()
        return message


class ShownDeque(CheckedDeque):
    """Storage of an inbox whose messages are printed as they come. For the rest it does all that a
    CheckedDeque does: looking at a program must not change what it does."""

    __slots__ = ("tag",)

    tag: str

    def append(self, message: Any) -> None:
        super().append(message)
        print(f"{self.tag}{message!r}")  # noqa: T201 - what it is there for


class ClosedDeque(deque[Any]):
    """Storage of a finished component's inbox in which something still lies: may be read, takes
    nothing more."""

    __slots__ = ()

    def append(self, message: Any) -> None:
        """Nobody would ever read it."""
