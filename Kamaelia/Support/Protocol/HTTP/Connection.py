"""
One side of an HTTP/1.1 connection
==================================
What `ServerConnection` and `ClientConnection` share: bytes in any slices go in, events come out,
and h11 (https://h11.readthedocs.io) does the parsing. What is added here are the limits.

h11 limits only what is incomplete: a head of any size passes if it arrives in one read. So it is
fed piece by piece, never more of a head than one may have. In a chunked body the limit is on what
is not data: the names and values that may stand beside each chunk's length, of which a peer may
send any amount without ever coming to the end (CVE-2024-22019 in another server).

An owner feeds more only when `next_event` has returned None: that is the bound on what lies here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import h11

from Kamaelia.Exceptions import LocalProtocolError, ProtocolError

if TYPE_CHECKING:
    from Kamaelia.Support.Protocol.HTTP.Messages import Headers, Request

HeaderList = list[tuple[bytes, bytes]]

_BODY_SLICE = 65_536  # bytes
_CHUNKED_SLICE = 16_384  # bytes
_CHUNK_FRAME = 24  # bytes around a chunk: length and two line ends
_LONGEST_TEXT = 200  # characters of what is said about an error
_CHUNK_EXTRAS = 32_768  # bytes of extensions and trailers in a body


class HTTPSyntaxError(ProtocolError):
    """The peer broke the rules, or a limit; status is what a server answers to it."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class RequestReceived:
    """The head of a request is there. expects_continue: its client waits before it sends the
    body."""

    request: Request
    expects_continue: bool = False


@dataclass(frozen=True, slots=True)
class ResponseReceived:
    """The head of a response is there."""

    status: int
    headers: Headers
    version: str = "1.1"


@dataclass(frozen=True, slots=True)
class BodyReceived:
    """A piece of the body."""

    data: bytes


@dataclass(frozen=True, slots=True)
class BodyEnded:
    """The message is complete; also where it had no body."""


@dataclass(frozen=True, slots=True)
class PeerFinished:
    """The peer has closed its end, and not in the middle of a message."""


Event = RequestReceived | ResponseReceived | BodyReceived | BodyEnded | PeerFinished


class Connection:
    """What the two sides share. A ProtocolError ends it: nothing more may be received."""

    def __init__(self, h11_connection: h11.Connection, head_bytes: int, body_bytes: int) -> None:
        self._h11 = h11_connection
        self._head_bytes = head_bytes
        self._body_bytes = body_bytes
        self._waiting = b""  # received, not yet given to h11
        self._eof: bool | None = False  # None: h11 knows
        self._out: list[bytes] = []
        self._head_fed = 0
        self._body_fed = 0
        self._body_read = 0
        self._chunks = 0
        self._chunked = False

    def receive_data(self, data: bytes) -> None:
        self._waiting = self._waiting + data if self._waiting else data

    def receive_eof(self) -> None:
        if self._eof is False:
            self._eof = True

    def data_to_send(self) -> bytes:
        if len(self._out) == 1:
            return self._out.pop()
        data = b"".join(self._out)
        self._out.clear()
        return data

    def next_event(self) -> Event | None:
        """The next event; None: feed more, or (a server's) answer first. Raises
        HTTPSyntaxError."""
        while True:
            event = self._next_of_h11()
            if event is h11.NEED_DATA:
                if not self._feed():
                    return None
                continue
            made = None if event is h11.PAUSED else self._take(event)
            if made is not None or event is h11.PAUSED:
                return made

    def _next_of_h11(self) -> object:
        try:
            return self._h11.next_event()
        except h11.RemoteProtocolError as error:
            # Its frames refer to it, and by those that called them to all of this connection.
            error.__traceback__ = None
            # It quotes what came, of which there may be a whole head.
            status, text = error.error_status_hint, str(error)[:_LONGEST_TEXT]
        raise HTTPSyntaxError(status, text)

    def take_rest(self) -> bytes:
        """What was received and not read: the beginning of something else."""
        rest, self._waiting = self._h11.trailing_data[0] + self._waiting, b""
        return rest

    @property
    def in_body(self) -> bool:
        """The peer is in the middle of a body."""
        return self._h11.their_state is h11.SEND_BODY

    # ---- reading

    def _feed(self) -> bool:
        """Give h11 some more; False if there is nothing."""
        if not self._waiting:
            if self._eof:
                self._eof = None
                self._h11.receive_data(b"")
                return True
            return False
        piece = self._waiting[: self._room()]
        self._waiting = self._waiting[len(piece) :]
        if self.in_body:
            self._body_fed += len(piece)
        else:
            self._head_fed += len(piece)
        self._h11.receive_data(piece)
        return True

    def _room(self) -> int:
        """How much h11 may have next. Raises HTTPSyntaxError if it has had too much already."""
        if not self.in_body:
            if self._head_fed >= self._head_bytes:
                raise self._head_too_long()
            return self._head_bytes - self._head_fed
        if not self._chunked:
            return _BODY_SLICE
        extras = self._body_fed - self._body_read - self._chunks * _CHUNK_FRAME
        if extras > _CHUNK_EXTRAS:
            raise HTTPSyntaxError(400, "too much in the body that is not data")
        return _CHUNKED_SLICE

    def _head_too_long(self) -> HTTPSyntaxError:
        if b"\n" in self._h11.trailing_data[0]:
            return HTTPSyntaxError(431, f"the head has more than {self._head_bytes} bytes")
        return HTTPSyntaxError(414, f"the first line has more than {self._head_bytes} bytes")

    def _take(self, event: object) -> Event | None:
        """Ours for an event of h11; None for one that nobody needs."""
        match event:
            case h11.Data(data=data):
                self._chunks += event.chunk_start
                self._body_read += len(data)
                if self._body_read > self._body_bytes:
                    raise self._body_too_long()
                return BodyReceived(bytes(data))
            case h11.EndOfMessage():
                return BodyEnded()
            case h11.ConnectionClosed():
                return PeerFinished()
            case _:
                return None

    def _body_too_long(self) -> HTTPSyntaxError:
        return HTTPSyntaxError(413, f"the body has more than {self._body_bytes} bytes")

    def _head_is_complete(self, headers: HeaderList) -> None:
        """Look at its size, and what it says of that of the body."""
        left = len(self._h11.trailing_data[0])
        if self._head_fed - left > self._head_bytes:  # it began in what was left of the last one
            raise HTTPSyntaxError(431, f"the head has more than {self._head_bytes} bytes")
        self._body_fed, self._body_read, self._chunks = left, 0, 0
        self._chunked = any(name == b"transfer-encoding" for name, _ in headers)

    # ---- writing

    def _send(self, event: h11.Event) -> None:
        """Raises LocalProtocolError for what does not fit the state, or the length promised."""
        try:
            self._out += self._h11.send_with_data_passthrough(event) or ()
        except h11.LocalProtocolError as error:
            raise LocalProtocolError(str(error)) from None


def texts_of(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """As text; each byte is a character, so nothing is lost and nothing fails."""
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)
