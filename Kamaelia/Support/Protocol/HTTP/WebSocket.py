"""
WebSocket sessions without sockets
==================================
`ServerSession` and `ClientSession` are the two ends of a WebSocket connection (RFC 6455), on the
sans-IO core of `websockets` (https://websockets.readthedocs.io): that does the frames, the masks,
the pings of the peer and the closing. What is done here is putting fragments together to messages,
text as str and the rest as bytes.

>>> client = ClientSession("ws://example.org/chat")
>>> server = ServerSession()
>>> server.receive_data(client.data_to_send())
>>> client.receive_data(server.data_to_send())
>>> client.send("hello")
>>> server.receive_data(client.data_to_send())
>>> server.next_event()
Opened(subprotocol=None)
>>> server.next_event()
'hello'

Events are Opened, then str and bytes, Pong, then Closed, the last. After `close`, and when `over`,
what data_to_send gives is the last, and the connection is to be closed behind it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from Kamaelia.Exceptions import LocalProtocolError
from Kamaelia.Support.Protocol.HTTP.Uri import Url

if TYPE_CHECKING:
    from websockets.frames import Frame
    from websockets.http11 import Request, Response
    from websockets.protocol import Protocol

MESSAGE_BYTES = 1_048_576
NORMAL, GOING_AWAY, BAD_TEXT, INTERNAL_ERROR, LOST = 1000, 1001, 1007, 1011, 1006
_REASON_BYTES = 123  # what a close frame has room for


@dataclass(frozen=True, slots=True)
class Opened:
    """The handshake is done."""

    subprotocol: str | None = None


@dataclass(frozen=True, slots=True)
class Pong:
    """The peer has answered a ping."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Closed:
    """The session is over; code 1006: without a word. Sent by an application, it closes."""

    code: int = NORMAL
    reason: str = ""


Event = str | bytes | Opened | Pong | Closed


class Session:
    """What the two ends share."""

    def __init__(self, core: Protocol) -> None:
        self._core = core
        self._events: deque[Event] = deque()
        self._opened = False
        self._fragments: list[bytes] = []
        self._is_text = False
        self._said_closed = False
        self.over = False  # nothing more is to be sent after what data_to_send gives

    def receive_data(self, data: bytes) -> None:
        """Bytes from the peer, sliced anywhere."""
        if self._core.reader.eof:
            return
        self._core.receive_data(data)
        self._look()

    def receive_eof(self) -> None:
        """The peer has closed the connection."""
        self._core.receive_eof()
        self._look()

    def next_event(self) -> Event | None:
        return self._events.popleft() if self._events else None

    def data_to_send(self) -> bytes:
        pieces = self._core.data_to_send()
        self.over = self.over or b"" in pieces  # websockets' way to say so
        return b"".join(pieces)

    @property
    def is_open(self) -> bool:
        """Messages may be sent."""
        return self._opened and self._core.close_sent is None and not self._said_closed

    @property
    def is_closing(self) -> bool:
        """It was open, and no message may be sent any more."""
        return self._opened and not self.is_open

    def send(self, message: str | bytes) -> None:
        """Raises LocalProtocolError unless `is_open`, TypeError for other messages."""
        if not self.is_open:
            raise LocalProtocolError("the WebSocket is not open")
        if isinstance(message, str):
            self._core.send_text(message.encode("utf-8", "replace"))
        elif isinstance(message, bytes):
            self._core.send_binary(message)
        else:
            raise TypeError(f"a WebSocket takes str and bytes, not {type(message).__name__}")

    def ping(self, data: bytes) -> None:
        if self.is_open:
            self._core.send_ping(data)

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Begin to close; Closed comes when the peer has answered. Again: does nothing."""
        from websockets.exceptions import ProtocolError

        if not self.is_open:
            return
        # Cut in bytes; half a character at the end of them is dropped.
        short = reason.encode("utf-8", "replace")[:_REASON_BYTES].decode("utf-8", "ignore")
        try:
            self._core.send_close(code, short)
        except ProtocolError as error:
            raise LocalProtocolError(str(error)) from None

    # ---- reading

    def _look(self) -> None:
        """Make events of what the core has understood."""
        from websockets.http11 import Request, Response

        for event in self._core.events_received():
            if isinstance(event, Request | Response):
                self._handshake(event)
            else:
                self._take(event)
        core = self._core
        if core.parser_exc is not None:
            core.parser_exc.__traceback__ = None  # its frames refer to it: a reference cycle
        if self._said_closed or not self._opened:
            return
        if core.close_rcvd is not None:
            self._close(Closed(core.close_rcvd.code, core.close_rcvd.reason))
        elif core.parser_exc is not None:
            sent = core.close_sent
            if sent is None or isinstance(core.parser_exc, EOFError):
                self._close(Closed(LOST))
            else:  # the peer broke the rules, and we have told it which
                self._close(Closed(sent.code, sent.reason))

    def _handshake(self, event: Request | Response) -> None:
        raise NotImplementedError

    def _open(self) -> None:
        self._opened = True
        self._events.append(Opened(self._core.subprotocol))

    def _close(self, closed: Closed) -> None:
        self._said_closed = True
        self._events.append(closed)

    def _take(self, frame: Frame) -> None:
        from websockets.frames import Opcode

        if self._said_closed:
            return  # it came together with what made us close
        match frame.opcode:
            case Opcode.TEXT | Opcode.BINARY | Opcode.CONT:
                if frame.opcode is not Opcode.CONT:
                    self._is_text = frame.opcode is Opcode.TEXT
                if frame.data:  # of empty ones a message of any size may have any number
                    self._fragments.append(bytes(frame.data))
                if frame.fin:
                    self._message(b"".join(self._fragments))
                    self._fragments.clear()
            case Opcode.PONG:
                self._events.append(Pong(bytes(frame.data)))

    def _message(self, data: bytes) -> None:
        if not self._is_text:
            self._events.append(data)
            return
        try:
            self._events.append(data.decode("utf-8"))
        except UnicodeDecodeError:
            self._core.fail(BAD_TEXT, "text that is not UTF-8")
            self._close(Closed(BAD_TEXT, "text that is not UTF-8"))


class ServerSession(Session):
    """ServerSession(max_size=1 MiB, origins=None, subprotocols=()) -> a client's session, from its
    request on.

    max_size: bytes of a message. origins: those whose pages may connect, as texts like
    "https://example.org" or compiled patterns; None: any. A refused handshake is answered, and
    then it is `over`."""

    def __init__(
        self,
        max_size: int = MESSAGE_BYTES,
        origins: Sequence[str | re.Pattern[str] | None] | None = None,
        subprotocols: Sequence[str] = (),
    ) -> None:
        # Here, since it takes a tenth of a second and most programs need none of it.
        from websockets.server import ServerProtocol

        self._server = ServerProtocol(
            origins=origins,  # type: ignore[arg-type]
            subprotocols=list(subprotocols),  # type: ignore[arg-type]
            # Not those that offer none, too: there is nothing wrong with speaking no subprotocol.
            select_subprotocol=_first_common if subprotocols else None,  # type: ignore[arg-type]
            max_size=max_size,
        )
        super().__init__(self._server)

    def _handshake(self, event: Request | Response) -> None:
        response = self._server.accept(cast("Request", event))
        # What stands behind a request that is refused may be no frame either: then websockets has
        # said its last word already, and fails if it is to say another.
        if response.status_code == 101 or self._server.parser_exc is None:
            self._server.send_response(response)
        if response.status_code == 101:
            self._open()


def _first_common(server: object, offered: Sequence[str]) -> str | None:
    known: Sequence[str] = getattr(server, "available_subprotocols", None) or ()
    return next((name for name in known if name in offered), None)


class ClientSession(Session):
    """ClientSession(url, max_size=1 MiB, origin=None, subprotocols=()) -> what data_to_send gives
    first is the handshake. A server that refuses it: Closed with code 1006 and the reason.

    Raises UrlError."""

    def __init__(
        self,
        url: str,
        max_size: int = MESSAGE_BYTES,
        origin: str | None = None,
        subprotocols: Sequence[str] = (),
    ) -> None:
        from websockets.client import ClientProtocol
        from websockets.uri import WebSocketURI

        self.url = where = Url.parse(url)
        path, _, query = where.target.partition("?")
        name, _, password = (where.user or "").partition(":")
        user = (name, password) if where.user is not None else (None, None)
        self._client = ClientProtocol(
            WebSocketURI(where.scheme == "wss", where.host, where.port, path, query, *user),
            origin=origin,  # type: ignore[arg-type]
            subprotocols=list(subprotocols) or None,  # type: ignore[arg-type]
            max_size=max_size,
        )
        super().__init__(self._client)
        self._client.send_request(self._client.connect())

    def _handshake(self, event: Request | Response) -> None:
        if self._client.handshake_exc is None:
            self._open()

    def _look(self) -> None:
        super()._look()
        error = self._client.handshake_exc
        if error is not None and not self._said_closed:
            self.over = True
            self._close(Closed(LOST, str(error)[:_REASON_BYTES]))
