"""
What one socket has still to send
=================================
The storage of a ConnectedSocketAdapter's inbox: an object with the ``append`` that delivery calls,
so that a message is on its way before its sender's next line. It keeps what the socket does not
take, and it is what noSpaceInBox tells a sender about when the inbox has a size.

Example Usage
-------------
By its adapter, and by nobody else; what it has kept can be seen there::

    import socket

    from Kamaelia.Internet.ConnectedSocketAdapter import ConnectedSocketAdapter

    ours, theirs = socket.socketpair()
    adapter = ConnectedSocketAdapter(ours)
    for _ in range(100):
        adapter.inboxes["inbox"].deliver(bytes(65536))
    print("the socket takes no more:", adapter.dataReady("inbox") > 0)
    adapter.stop()
    theirs.close()

It prints::

    the socket takes no more: True
"""

from __future__ import annotations

import logging
import socket
import struct
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from enum import Enum
from fcntl import ioctl
from termios import FIONREAD
from typing import TYPE_CHECKING, Self

from Axon.AxonExceptions import noSpaceInBox
from Axon.Box import Inbox
from Axon.Storage import Nobody

if TYPE_CHECKING:
    from Kamaelia.Internet.ConnectedSocketAdapter import ConnectedSocketAdapter
    from Kamaelia.Internet.TLSSocket import TLSSocket

log = logging.getLogger(__name__)

_BYTES = (bytes, bytearray, memoryview)


class State(Enum):
    """Where in its life a connection is. Only ever moves down this list."""

    OPEN = "bytes flow both ways"
    FLUSHING = "our side has finished; what waits is still sent"
    LINGERING = "all is sent and our end is shut; the peer's last bytes are read and dropped"
    CLOSED = "the socket is gone"


OPEN = State.OPEN  # looking it up in its class costs as much as delivering a message


# Owner of the inbox: what is put there is sent at once, and so wakes nobody. Not NOBODY itself,
# which says that the owner has ended.
NEVER_ASLEEP = Nobody()


class SendQueue:
    """Storage of the inbox: sends what is appended, keeps what the socket does not take yet."""

    __slots__ = ("adapter", "box", "chunks", "waiting_bytes")

    def __init__(self, adapter: ConnectedSocketAdapter, box: Inbox) -> None:
        self.adapter = adapter
        self.box = box
        # None while nothing waits, as nearly always: an empty deque would be 760 bytes.
        self.chunks: deque[memoryview] | None = None
        self.waiting_bytes = 0

    @property
    def holder(self) -> ConnectedSocketAdapter | None:
        """Whose box it is, for those who look into a running program."""
        return getattr(self, "adapter", None)

    def __len__(self) -> int:
        return len(self.chunks) if self.chunks else 0

    def __iter__(self) -> Iterator[memoryview]:
        return iter(self.chunks or ())  # for whoever looks into a running program

    def append(self, data: bytes) -> None:
        adapter = self.adapter
        chunks, size = self.chunks, self.box.size
        if size is not None and (0 if chunks is None else len(chunks)) >= size:
            raise noSpaceInBox(len(self), size)
        if adapter.state is not OPEN:
            return  # our side has finished, or the peer is gone: nobody is left to tell
        if type(data) is not bytes and not isinstance(data, _BYTES):
            self.refuse(data)
            return
        sent = 0
        if chunks is None:
            try:
                sent = adapter.sock.send(data)
            except BlockingIOError:
                pass
            except OSError as error:
                adapter.fail_to_send(error)
                return
            if adapter._idle is not None:
                adapter.touch()
            if sent == len(data):
                return
        self.keep(data, sent)
        adapter.watch()

    def keep(self, data: bytes | bytearray | memoryview, sent: int) -> None:
        """Keep what is left of data after the first so many bytes."""
        if not isinstance(data, bytes):
            # A copy: the owner may change or resize it. And bytes: a view may be of wider items.
            data, sent = memoryview(data).cast("B")[sent:].tobytes(), 0
        rest = memoryview(data)[sent:]
        if self.chunks is None:
            self.chunks = deque()
        self.chunks.append(rest)
        self.waiting_bytes += len(rest)

    def refuse(self, data: object) -> None:
        """What is no bytes: say so once for each, and go on without."""
        adapter = self.adapter
        text = f"{adapter.name}: only bytes can be sent to a socket, not {type(data).__name__}"
        if adapter.crashOnBadDataToSend:
            raise TypeError(text)
        if adapter.noisyErrors:
            log.error("%s", text)

    def take_all(self) -> bytes:
        """Whoever asks sends all that waits himself; senders that wait for room are let go on."""
        rest = b"".join(self.chunks or ())
        self.clear()
        if self.box.waiters:
            self.box.collected()
        return rest

    def popleft(self) -> bytes:
        """For whoever links the inbox onwards: the oldest chunk not yet sent."""
        if self.chunks is None:
            raise IndexError("nothing waits to be sent")
        if self.adapter.tls is not None:
            raise IndexError("what waits may be encrypted in part: it cannot be taken back")
        chunk = self.chunks.popleft()
        if not self.chunks:
            self.chunks = None
        self.waiting_bytes -= len(chunk)
        return bytes(chunk)

    def send_some(self, sock: socket.socket | TLSSocket) -> bool:
        """Send until the socket takes no more; True if something left."""
        chunks = self.chunks
        progress = False
        while chunks:
            chunk = chunks[0]
            try:
                sent = sock.send(chunk)
            except BlockingIOError:
                break
            progress = progress or sent > 0
            self.waiting_bytes -= sent
            if sent < len(chunk):
                chunks[0] = chunk[sent:]
                break
            chunks.popleft()
        if not chunks:
            self.chunks = None
        return progress

    def clear(self) -> None:
        self.chunks = None
        self.waiting_bytes = 0


class Steps:
    """What stands for the generator of a main that is always at the same place: a sixth of its
    size, and nothing to make and to close."""

    __slots__ = ("_adapter",)

    def __init__(self, adapter: ConnectedSocketAdapter) -> None:
        self._adapter = adapter

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> int:
        if self._adapter.step():
            return 1
        raise StopIteration


def send_without_delay(sock: socket.socket | TLSSocket) -> None:
    """Otherwise a small write waits for the peer's delayed acknowledgement: 40 ms each."""
    with suppress(OSError):  # a local socket has no such option
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def unread_bytes(sock: socket.socket | TLSSocket) -> int:
    """How many have come and lie in the kernel."""
    try:
        return int(struct.unpack("i", ioctl(sock.fileno(), FIONREAD, b"\0\0\0\0"))[0])
    except OSError:
        return 0
