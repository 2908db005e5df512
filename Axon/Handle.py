"""
A component in the hands of ordinary code
=========================================
A Handle puts messages into a component's inboxes and gets what it sends, from code that is no
component: a script, a web framework's request, a test. The scheduler runs in another thread
(Axon.background); nothing here polls, on either side.

* ``put`` and ``get`` return at once, as queues do with ``block=False``; with a timeout they wait.
* What was put arrives in order, and a producerFinished in "control" after what was put before it.
* A get that finds nothing raises queue.Empty, or, once the component has ended and nothing can come
  any more, ComponentEndedError, which is a queue.Empty too.
* ``limit`` bounds what waits in the handle, for each box and each way: put raises queue.Full, and
  the component's send noSpaceInBox, so that its ``yield from self.put(...)`` sleeps. Without one a
  component that nobody reads from fills memory.

How it works. A port stands in for the component's neighbour. It owns an inbox for each of the
outboxes that lead nowhere yet, and the other thread takes messages out of that directly: a deque's
popleft is atomic. On the way in messages lie in the port until a call into the scheduler, one for
many messages, delivers them. The order of things that keeps wake-ups from getting lost is that of
Axon.ThreadedComponent: who has something puts it in place, then tells; who is to sleep says so,
then looks once more.

Example Usage
-------------
::

    from Axon.background import background
    from Axon.Handle import Handle

    with background():
        reverser = Handle(Reverser()).activate()
        reverser.put("hello", "inbox")
        print(reverser.get("outbox", timeout=5))  # seconds
        reverser.shutdown()
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from queue import Empty, Full
from time import monotonic
from typing import Any, Self

from Axon.AxonExceptions import noSpaceInBox
from Axon.Box import Inbox
from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Storage import CheckedDeque

# Never reached; but an inbox with a limit never exchanges its storage for one of another kind,
# which it must not do while another thread takes messages out of it.
_NO_LIMIT = sys.maxsize


class ComponentEndedError(Empty):
    """The component has ended, all that it sent was taken, and nothing more will come."""


class Port:
    """Port(component, limit, changed) -> the neighbour of a component that a handle stands for.

    changed() is called in the scheduler's thread: something may be there to take, there may be room
    again, or the component has ended. What is told to sleepers is told once: see listen()."""

    __slots__ = (
        "_asleep",
        "_changed",
        "_joined",
        "_told",
        "boxes",
        "component",
        "limit",
        "over",
        "pending",
    )

    def __init__(
        self, thecomponent: component, limit: int | None, changed: Callable[[], object]
    ) -> None:
        if not isinstance(thecomponent, component):
            raise TypeError(f"a handle needs a component, not {type(thecomponent).__name__}")
        if limit is not None and limit < 1:
            raise ValueError("a handle with a limit below 1 could never pass anything on")
        self._asleep: Callable[[Any], None] | None = None
        self._changed = changed
        self._joined = False
        self._told = False  # the scheduler will look at pending anyway
        self.component = thecomponent
        self.limit = limit
        self.over = False
        self.boxes: dict[str, Inbox] = {}  # ours, by the outbox that leads there
        self.pending: dict[str, deque[Any]] = {}

    # ---- from any thread

    def activate(self, Scheduler: Any = None) -> None:
        """Join the component's loose ends, then activate it. One that is active already is joined
        in the scheduler's thread; its messages up to then have gone nowhere."""
        if self.component._isStopped():
            self.over = True
        elif self.component.scheduler:
            self.component.scheduler.call_from_thread(self._attach)
        else:
            self._attach()  # nobody else knows it yet
            self.component.activate(Scheduler=Scheduler)
        self.tell()

    def has_room(self, boxname: str, limit: int | None) -> bool:
        """True if a message may be put; False: changed() will be called when that changes."""
        return self.over or limit is None or len(self.pending.get(boxname, ())) < limit

    def push(self, message: Any, boxname: str) -> None:
        """Have it delivered. Raises KeyError if the component has no such inbox."""
        if boxname not in self.component.inboxes:
            raise KeyError(f"{self.component.name} has no inbox {boxname!r}")
        if not self.over:  # else nobody would read it
            self.pending.setdefault(boxname, deque()).append(message)
            self.tell()

    def tell(self) -> None:
        """Have pour() called."""
        running = self.component.scheduler
        if running and not self._told:
            self._told = True
            running.call_from_thread(self.pour)

    def collect(self, boxname: str, found: list[Any]) -> bool:
        """Put the oldest message into found. False: there is none, but one may come. Raises
        KeyError if that outbox does not lead here."""
        over = self.over  # looked at first: it sends nothing after that
        box = self.boxes.get(boxname)
        if box is None:
            return over or self._not_joined(boxname)
        try:
            found.append(deque.popleft(box.q))
        except IndexError:
            return over
        running = self.component.scheduler
        if box.waiters or (not self._in_its_thread() and self._may_be_awaited(box)):
            running.call_from_thread(box.collected)
        return True

    @staticmethod
    def _may_be_awaited(box: Inbox) -> bool:
        # A sender in the other thread that was refused, or asked how full it is, may be about to
        # say that it waits for this collection: then it was that of the last message, or it made
        # room. The call comes after it has said so.
        left = len(box.q)
        return not left or left + 1 >= (box.size or 0)

    def _in_its_thread(self) -> bool:
        return abs(self.component.scheduler.thread_id or 0) == threading.get_ident()

    def _not_joined(self, boxname: str) -> bool:
        if self._joined or boxname not in self.component.outboxes:
            raise KeyError(
                f"no outbox {boxname!r} of {self.component.name} leads to its handle: it was linked"
                " elsewhere before, or does not exist"
            )
        return False

    def listen(self) -> None:
        """Have changed() called at the next delivery; look once more after this."""
        self._asleep = self._hear

    # ---- in the scheduler's thread

    def _attach(self) -> None:
        if self._joined:
            return  # activated twice, which is harmless everywhere
        if self.component._isStopped():
            self._end()
            return
        boxes: dict[str, Inbox] = {}
        for name, outbox in self.component.outboxes.items():
            if outbox.target is None:
                # A signal that leads to a "control" is told the component's end by Axon.
                box = boxes[name] = Inbox(self, "control" if name == "signal" else name)
                box.size = self.limit if self.limit is not None else _NO_LIMIT
                box.q = CheckedDeque()
                box.q.box = box
                box.addsource(outbox)
        self.boxes = boxes
        self._joined = True
        self.component.call_on_close(self._end)

    def _hear(self, me: object) -> None:
        self._changed()

    def pour(self) -> None:
        """Deliver what waits here, as far as there is room."""
        self._told = False
        left = False
        for name in list(self.pending):
            if name != "control":
                left |= self._pour_into(name)
        control = self.pending.get("control", ())
        # A shutdown does not overtake data; but one that means "at once" does.
        if not left or any(isinstance(message, shutdownMicroprocess) for message in control):
            self._pour_into("control")
        self._changed()

    def _pour_into(self, name: str) -> bool:
        """True if some are left."""
        queue = self.pending.get(name, deque())
        box = self.component.inboxes.get(name)
        if box is None:
            queue.clear()  # an adaptive component has deleted it
            return False
        while queue:
            try:
                box.deliver(queue[0])
            except noSpaceInBox:
                final: Any = box.final()  # an inbox: one that is full
                final.wake_on_collection(self)
                return True
            queue.popleft()
        return False

    def unpause(self) -> None:
        """There is room in an inbox that was full."""
        self.pour()
        # It is the receiver's own turn: were it to sleep at the end of that, what it was given now
        # would lie there.
        for name in self.pending:
            box = self.component.inboxes.get(name)
            if box is not None:
                box.final().owner.unpause()

    def _end(self) -> None:
        self.over = True
        for box in self.boxes.values():
            for outbox in list(box.sources):
                box.removesource(outbox)
        self._changed()


class Handle:
    """Handle(component, limit=None) -> the component for ordinary code, after activate().

    limit: the most messages that may wait for each box, on either way (None: any number)."""

    def __init__(self, thecomponent: component, limit: int | None = None) -> None:
        self._news = threading.Condition()
        self._port = Port(thecomponent, limit, self._changed)

    def activate(self, Scheduler: Any = None) -> Self:
        """Give the component to a scheduler (by default the default one); from any thread, before
        or after that scheduler was started. What was put before is delivered then."""
        self._port.activate(Scheduler)
        return self

    def put(self, message: Any, boxname: str = "inbox", timeout: float | None = 0) -> None:
        """Have a message delivered to an inbox. With a limit reached, wait up to timeout seconds
        for room (None: without limit), then raise queue.Full.

        For a component that has ended it is discarded. Raises KeyError for an unknown box."""
        port = self._port
        with self._news:
            if not self._wait(lambda: port.has_room(boxname, port.limit), timeout):
                raise Full
            port.push(message, boxname)

    def get(self, boxname: str = "outbox", timeout: float | None = 0) -> Any:
        """Take the oldest message of an outbox. If there is none, wait up to timeout seconds (None:
        without limit), then raise queue.Empty; ComponentEndedError once none can come any more.

        Raises KeyError for an unknown box, or one that was linked elsewhere before."""
        found: list[Any] = []
        with self._news:
            done = self._wait(lambda: self._port.collect(boxname, found), timeout)
        if found:
            return found[0]
        raise ComponentEndedError if done else Empty

    def messages(self, boxname: str = "outbox") -> Iterator[Any]:
        """All that comes out of an outbox, until the component has ended."""
        while True:
            try:
                message = self.get(boxname, timeout=None)
            except Empty:
                return
            yield message

    def anyReady(self) -> str | bool:
        """Name of the first outbox of which something may be taken, or False."""
        for name, box in self._port.boxes.items():
            if box.q:
                return name or True
        return False

    def shutdown(self, at_once: bool = False) -> None:
        """Tell the component to end: after what was put before, or at once."""
        message = shutdownMicroprocess() if at_once else producerFinished(self)
        with self._news:
            self._port.push(message, "control")

    def join(self, timeout: float | None = None) -> bool:
        """Wait until the component has ended, up to timeout seconds: True if it has."""
        with self._news:
            return self._wait(lambda: self._port.over, timeout)

    def _wait(self, done: Callable[[], bool], timeout: float | None) -> bool:
        """Wait, with the lock in hand, until done(). False: the time is over."""
        if timeout == 0:
            return done()
        until = None if timeout is None else monotonic() + timeout
        while True:
            self._port.listen()
            if done():
                return True
            left = None if until is None else until - monotonic()
            if left is not None and left <= 0:
                return False
            self._news.wait(left)

    def _changed(self) -> None:
        with self._news:
            self._news.notify_all()
