"""
What one socket has still to send
=================================
The storage of a ConnectedSocketAdapter's inbox: an object with the ``append`` that delivery calls,
so that a message is on its way before its sender's next line. It keeps what the socket does not
take, and it is what noSpaceInBox tells a sender about when the inbox has a size.

Example Usage
-------------
By its adapter, and by nobody else::

    inbox.q = SendQueue(adapter, inbox)
    inbox.owner = NEVER_ASLEEP
"""

from __future__ import annotations

import socket
from collections import deque
from enum import Enum
from typing import TYPE_CHECKING

from Axon.AxonExceptions import noSpaceInBox
from Axon.Box import Inbox
from Axon.Storage import Nobody

if TYPE_CHECKING:
    from Kamaelia.Internet.ConnectedSocketAdapter import ConnectedSocketAdapter

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

    def __len__(self) -> int:
        return len(self.chunks) if self.chunks else 0

    def append(self, data: bytes) -> None:
        adapter = self.adapter
        size = self.box.size
        if size is not None and len(self) >= size:
            raise noSpaceInBox(len(self), size)
        if adapter.state is not OPEN:
            return  # our side has finished, or the peer is gone: nobody is left to tell
        if not isinstance(data, _BYTES):
            adapter.bad_data(data)
            return
        sent = 0
        if self.chunks is None:
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

    def popleft(self) -> bytes:
        """For whoever links the inbox onwards: the oldest chunk not yet sent."""
        if self.chunks is None:
            raise IndexError("nothing waits to be sent")
        chunk = self.chunks.popleft()
        if not self.chunks:
            self.chunks = None
        self.waiting_bytes -= len(chunk)
        return bytes(chunk)

    def send_some(self, sock: socket.socket) -> bool:
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
