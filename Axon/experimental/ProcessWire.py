"""
A component's boxes, stretched over a socket
============================================
``Wire`` is one end of a socket between two processes: frames in, frames out, never blocking.
``Bridge`` is a component at each end of it, and both ends are the same: what comes to an inbox of
one leaves the outbox of the same number at the other.

A frame is a header (kind, number of the box, length or count) and for most kinds a payload.

Windows. A Bridge puts at most ``window`` messages of a box on the way that the receiver over there
has not yet taken out of *its* inbox; the other end says TAKEN when it has. What is more waits in
the Bridge's inbox, where a limit is felt by the sender as of any component. So a slow consumer
holds its producer up through the process border, and no memory fills.

Order. Each box's messages keep theirs. A shutdown ("control", "signal") waits until the data sent
before it has gone, so that producerFinished cuts nothing off; only shutdownMicroprocess, which
means now, may overtake data for which a receiver has no room. While a shutdown waits, windows do
not count: what is left is finite, and there are components that look at their data only when they
know that it is all there.

Why sockets that do not block and no thread: the scheduler waits for them in the place where it
waits for everything, so a wire costs nothing while it is silent, and nothing needs a lock.

Example Usage
-------------
See Axon.experimental.Process, whose two ends these are::

    wire.attach(self.scheduler, self.unpause)
    while wire.open:
        self.exchange()
        self.pause()
        yield 1
"""

from __future__ import annotations

import reprlib
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from Axon.AxonExceptions import noSpaceInBox
from Axon.Box import Inbox
from Axon.Component import component
from Axon.experimental.ProcessPickle import TravelError, pack_message, unpack_message
from Axon.Ipc import shutdownMicroprocess
from Axon.Storage import NOBODY
from Axon.Waiter import EPOLLIN, EPOLLOUT

if TYPE_CHECKING:
    from Axon.Scheduler import scheduler

HEADER = struct.Struct("!BHI")
LONGEST_BYTES = 2**30  # of a message; what is longer is better named than sent
READ_BYTES = 65_536
BACKLOG_BYTES = 262_144  # unsent, from which on no more is taken out of inboxes
_ORDERS = ("control", "signal")


class Kind(IntEnum):
    """What a frame says."""

    START = 1  # to the child, first: what to run
    MESSAGE = 2  # for a box
    TAKEN = 3  # so many messages of a box have been collected
    ENDED = 4  # from the child, last: the component has ended
    FAILED = 5  # from the child, last: the exception it ended with


@dataclass(frozen=True, slots=True)
class Frame:
    """One thing said on a wire."""

    kind: Kind
    box: int
    count: int
    payload: bytes


class Wire:
    """Wire(sock) -> one end of a socket pair; owns the socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.open = True  # the other end may still say something
        self._sock = sock
        self._heard = bytearray()
        self._unsent = bytearray()
        self._runner: scheduler | None = None
        self._wake: Callable[[], object] = _nothing
        self._watched = 0

    @property
    def backlog(self) -> int:
        """Bytes that the socket has not taken yet."""
        return len(self._unsent)

    def attach(self, runner: scheduler, wake: Callable[[], object]) -> None:
        """Have wake() called, in the scheduler's thread, when there is something to do here."""
        self._sock.setblocking(False)
        self._runner, self._wake = runner, wake
        self._watched = EPOLLIN
        runner.register(self._sock.fileno(), EPOLLIN, self._ready)

    def put(self, kind: Kind, box: int = 0, payload: bytes = b"", count: int = 0) -> None:
        """Queue a frame; count only where there is no payload. To one who has gone: nothing."""
        if self.open:
            self._unsent += HEADER.pack(kind, box, len(payload) or count)
            self._unsent += payload

    def frames(self) -> Iterator[Frame]:
        """What has arrived whole."""
        while len(self._heard) >= HEADER.size:
            number, box, count = HEADER.unpack_from(self._heard)
            kind = Kind(number)
            end = HEADER.size + (0 if kind is Kind.TAKEN else count)
            if len(self._heard) < end:
                return
            payload = bytes(self._heard[HEADER.size : end])
            del self._heard[:end]
            yield Frame(kind, box, count, payload)

    def flush(self) -> None:
        """Send what the socket takes; the rest goes by itself."""
        if self._unsent:
            try:
                del self._unsent[: self._sock.send(self._unsent)]
            except BlockingIOError:
                pass  # later
            except OSError:
                self._unsent.clear()  # nobody reads; what was said to us may still lie there
        wanted = EPOLLIN | (EPOLLOUT if self._unsent else 0)
        if self._runner is not None and self._watched not in (0, wanted):
            self._watched = wanted
            self._runner.modify(self._sock.fileno(), wanted)

    def close(self) -> None:
        """Hang up; the other end is told by that. May be called again."""
        self._detach()
        self.open = False
        self._unsent.clear()
        self._sock.close()

    def wait_for_frame(self) -> Frame | None:
        """Before attach(): block until a frame has come; None if the other end hangs up."""
        while self.open:
            for frame in self.frames():
                return frame
            self._receive()
        return None

    def finish(self, seconds: float) -> None:
        """Block, at the longest for so long, until all is sent: the last act of a process."""
        self._detach()
        self._sock.settimeout(seconds)
        with suppress(OSError):
            self._sock.sendall(self._unsent)
        self._unsent.clear()

    def _ready(self, events: int) -> None:
        if events & ~EPOLLOUT:
            self._receive()
        if events & EPOLLOUT:
            self.flush()
        self._wake()

    def _receive(self) -> None:
        try:
            data = self._sock.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:  # it died with something of ours unread: no more than another end
            data = b""
        self._heard += data
        if not data:
            self.open = False
            self._detach()

    def _detach(self) -> None:
        if self._watched and self._runner is not None:
            self._watched = 0
            self._runner.unregister(self._sock.fileno())


def _nothing() -> None:
    """Nobody is to be woken yet."""


def _is_stop(message: object) -> bool:
    """True also for the class itself, which some send by mistake."""
    return isinstance(message, shutdownMicroprocess) or message is shutdownMicroprocess


class Bridge(component):
    """Bridge(**attributes) -> one end; a subclass connects it and calls exchange() in its main."""

    window = 64
    wire: Wire  # put there by the subclass, before its first exchange

    def __init__(self, **attributes: object) -> None:
        super().__init__(**attributes)
        if not 1 <= self.window < 2**16:
            raise ValueError(f"window must be 1 to 65535 messages, not {self.window!r}")
        self.finishing = False  # no more will come to our inboxes: windows no longer count
        self._in_names, self._out_names = tuple(self.inboxes), tuple(self.outboxes)
        self._may_send = [self.window for _ in self._in_names]
        self._arrived: list[deque[Any]] = [deque() for _ in self._out_names]
        self._untold = [0 for _ in self._out_names]  # arrived, and not yet said to be TAKEN
        self._orders: dict[int, deque[Any]] = {  # out of such a box, and not yet on the wire
            index: deque() for index, name in enumerate(self._in_names) if name in _ORDERS
        }

    def exchange(self) -> Frame | None:
        """All there is to do now, both ways; the last frame, if the other end has said it."""
        last = None
        for frame in self.wire.frames():
            if frame.kind in (Kind.ENDED, Kind.FAILED):
                last = frame
            else:
                self._hear(frame)
        self.hand_out()
        self.take_in()
        self.wire.flush()
        return last

    def hand_out(self) -> bool:
        """Send what came over the wire; True if some is left because a receiver is full."""
        left = False
        for index in sorted(range(len(self._arrived)), key=self._is_for_orders):
            queue = self._arrived[index]
            if left and self._is_for_orders(index) and not any(map(_is_stop, queue)):
                continue  # data goes first
            with suppress(noSpaceInBox):  # we are woken when there is room
                while queue:
                    self.send(queue[0], self._out_names[index])
                    queue.popleft()
            left |= bool(queue)
        for index, untold in enumerate(self._untold):
            if untold:
                self._tell_taken(index, untold)
        return left or any(self._arrived)

    def take_in(self) -> bool:
        """Put on the wire what came to our inboxes; True if some must wait."""
        left = False
        for index, orders in self._orders.items():
            orders.extend(self.Inbox(self._in_names[index]))
        hurry = self.finishing or any(self._orders.values())
        for index, name in enumerate(self._in_names):
            if index not in self._orders and self.dataReady(name):
                left |= self._put_all(index, name, hurry)
        for index, orders in self._orders.items():
            if not left or any(map(_is_stop, orders)):
                while orders:
                    self._put(index, orders.popleft())
        return left or any(self._orders.values())

    def _is_for_orders(self, index: int) -> bool:
        return self._out_names[index] in _ORDERS

    def _hear(self, frame: Frame) -> None:
        if frame.kind is Kind.TAKEN:
            self._may_send[frame.box] += frame.count
            return
        boxname = self._out_names[frame.box]
        try:
            message = unpack_message(frame.payload)
        except Exception as error:
            raise TravelError(
                f"{self.name}: a message for {boxname!r} cannot be put together here: {error}"
            ) from error
        self._arrived[frame.box].append(message)
        self._untold[frame.box] += 1

    def _tell_taken(self, index: int, untold: int) -> None:
        waiting = len(self._arrived[index]) + self._waiting_at_receiver(index)
        taken = untold - waiting
        # By halves of the window: told of each, the two ends would do little else.
        if taken > 0 and (not waiting or taken * 2 >= self.window):
            self.wire.put(Kind.TAKEN, index, count=taken)
            self._untold[index] -= taken

    def _waiting_at_receiver(self, index: int) -> int:
        outbox = self.outboxes[self._out_names[index]]
        final = outbox.final()
        # Others keep nothing, or (a finished component's inbox) nothing that is ever collected.
        if isinstance(final, Inbox) and final.owner is not NOBODY and isinstance(final.q, deque):
            return len(outbox)  # asked of the outbox: so we are woken when one is taken
        return 0

    def _put_all(self, index: int, name: str, hurry: bool) -> bool:
        while self.dataReady(name):
            if self.wire.backlog > BACKLOG_BYTES or (self._may_send[index] <= 0 and not hurry):
                return True
            self._put(index, self.recv(name))
        return False

    def _put(self, index: int, message: object) -> None:
        try:
            payload = pack_message(message)
            if len(payload) > LONGEST_BYTES:
                raise TravelError(f"it has more than {LONGEST_BYTES} bytes")  # noqa: TRY301
        except Exception as error:
            raise TravelError(
                f"{self.name}: the message {reprlib.repr(message)} in {self._in_names[index]!r}"
                f" cannot cross to another process: {error}"
            ) from error
        self.wire.put(Kind.MESSAGE, index, payload)
        self._may_send[index] -= 1
