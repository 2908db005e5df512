"""
A TCP relay that knows where in an SMTP dialogue each connection is
===================================================================
It stands between two programs, hands on every byte, and asks at each place of the dialogue whether
something shall happen there::

    async def cut_at_the_dot(point: Point, link: Link) -> None:
        if point is Point.DOT:
            link.cut()

    async with CuttingRelay(("127.0.0.1", sink.port), cut_at_the_dot) as relay:
        ...                                # programs connect to relay.address

`Dialogue` finds the places and is plain Python: bytes in, in any slices; bytes and places out. A
place is reached when all bytes before it have been handed on and none after it: at `Point.MAIL` the
server has the command MAIL, even if RCPT came in the same packet, and the client has no reply.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator
from enum import Enum
from typing import Self

END = b"\r\n.\r\n"
BODY_AT = 400  # bytes into a message is the middle of it: all have more
DRIBBLED = 60  # bytes of each direction that a slow connection lets through one by one
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close by breaking the connection

Address = tuple[str, int]


class Point(Enum):
    """The places of a dialogue, in their order."""

    BANNER = "before the banner"
    GREETED = "after the banner"
    EHLO = "EHLO"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    BODY = "inside the message"
    UNDOTTED = "after the message, before the dot"
    DOT = "after the dot"
    REPLY = "before the reply to the dot, which was given"
    ANSWERED = "after the reply to the dot"
    QUIT = "QUIT"


_VERBS = {
    b"EHLO": Point.EHLO,
    b"MAIL": Point.MAIL,
    b"RCPT": Point.RCPT,
    b"DATA": Point.DATA,
    b"QUIT": Point.QUIT,
}
Piece = tuple[bytes, Point | None]  # bytes to hand on, and the place that is reached with them


class Dialogue:
    """Dialogue() -> takes what client and server say, gives pieces to hand on."""

    def __init__(self) -> None:
        self._held = b""  # of the client, not yet handed on
        self._greeted = False
        self._data_asked = False
        self._in_body = False
        self._body_seen = 0
        self._after_dot = False

    def from_client(self, data: bytes) -> Iterator[Piece]:
        self._held += data
        while self._held:
            before = len(self._held)
            yield from self._body() if self._in_body else self._command()
            if len(self._held) == before:
                return

    def from_server(self, data: bytes) -> Iterator[Piece]:
        if not self._greeted:
            self._greeted = True
            yield b"", Point.BANNER
            yield data, Point.GREETED
        elif self._after_dot:
            self._after_dot = False
            yield b"", Point.REPLY
            yield data, Point.ANSWERED
        else:
            if self._data_asked and (data.startswith(b"354") or b"\n354" in data):
                self._data_asked, self._in_body, self._body_seen = False, True, 0
            yield data, None

    def _take(self, size: int) -> bytes:
        taken, self._held = self._held[:size], self._held[size:]
        return taken

    def _command(self) -> Iterator[Piece]:
        line = self._take(self._held.find(b"\n") + 1)
        if line:
            verb = line[:4].upper()
            self._data_asked = verb == b"DATA"
            yield line, _VERBS.get(verb)

    def _body(self) -> Iterator[Piece]:
        end = self._held.find(END)
        # What may be the beginning of the end waits for the rest of it.
        limit = end + 2 if end >= 0 else max(0, len(self._held) - len(END) + 1)
        if self._body_seen < BODY_AT <= self._body_seen + limit:
            size = BODY_AT - self._body_seen
            size = min(size, end) if end >= 0 else size
            self._body_seen = BODY_AT
            yield self._take(size), Point.BODY
        elif end < 0:
            self._body_seen += limit
            if limit:
                yield self._take(limit), None
        else:
            yield self._take(limit), Point.UNDOTTED
            self._in_body, self._after_dot = False, True
            yield self._take(3), Point.DOT


class Link:
    """One connection through the relay."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.slow = False
        self._writers: list[asyncio.StreamWriter] = []

    def cut(self) -> None:
        """Break it, on both sides, as a firewall does that has forgotten it."""
        for writer in self._writers:
            if not writer.transport.is_closing():
                sock: socket.socket = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()

    def add(self, writer: asyncio.StreamWriter) -> asyncio.StreamWriter:
        self._writers.append(writer)
        return writer


class CuttingRelay:
    """CuttingRelay(server, reached, source="") -> a relay on loopback, in an `async with`.

    reached: called at each place of each connection; nothing of that connection is handed on in
    that direction until it is done. source: address from which the server is connected."""

    def __init__(
        self,
        server: Address,
        reached: Callable[[Point, Link], Awaitable[None]],
        source: str = "",
    ) -> None:
        self.server = server
        self.reached = reached
        self.links = 0
        self._source = source
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1000)
        self.address: Address = self._listener.sockets[0].getsockname()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.links += 1
        link = Link(self.links)
        link.add(writer)
        try:
            source = (self._source, 0) if self._source else None
            server, to_server = await asyncio.open_connection(*self.server, local_addr=source)
            link.add(to_server)
            dialogue = Dialogue()
            await asyncio.gather(
                self._pump(reader, to_server, dialogue.from_client, link),
                self._pump(server, writer, dialogue.from_server, link),
            )
        except (OSError, asyncio.CancelledError):
            pass  # one of the two is gone, so the other hears that it is
        finally:
            link.cut()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        pieces: Callable[[bytes], Iterator[Piece]],
        link: Link,
    ) -> None:
        while data := await reader.read(65_536):
            for piece, point in pieces(data):
                await _write(writer, piece, link)
                if point is not None:
                    await self.reached(point, link)
        if not writer.transport.is_closing():
            with contextlib.suppress(OSError):  # it has gone at the same time
                writer.write_eof()


async def _write(writer: asyncio.StreamWriter, data: bytes, link: Link) -> None:
    if link.slow:
        for place in range(min(DRIBBLED, len(data))):
            writer.write(data[place : place + 1])
            await writer.drain()
            await asyncio.sleep(0.001)
        data = data[DRIBBLED:]
    if data:
        writer.write(data)
        await writer.drain()
