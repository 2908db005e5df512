"""
HTTP, WebSocket, DNS, frames and the configuration as targets
=============================================================
See Targets.py.
"""

# ruff: noqa: S101 - a target asserts, as a test does

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from Target import Target, slices

from Kamaelia.Apps.Grey.Config.Loader import loads
from Kamaelia.Apps.Grey.Config.Problem import ConfigError
from Kamaelia.Exceptions import ProtocolError
from Kamaelia.Support.Protocol.DNS.Messages import Kind, Outcome
from Kamaelia.Support.Protocol.DNS.Settings import SERVERS_LIMIT, servers_of
from Kamaelia.Support.Protocol.DNS.Wire import (
    RECORDS_LIMIT,
    BadNameError,
    Frames,
    Query,
    framed,
    key_of,
    name_of,
)
from Kamaelia.Support.Protocol.Framing import (
    ChunkParser,
    CorruptFrame,
    ShortFrame,
    SimpleFrame,
    encode_chunk,
)
from Kamaelia.Support.Protocol.HTTP.ClientConnection import ClientConnection
from Kamaelia.Support.Protocol.HTTP.Connection import (
    BodyEnded,
    Connection,
    HTTPSyntaxError,
    PeerFinished,
    RequestReceived,
)
from Kamaelia.Support.Protocol.HTTP.Messages import Response
from Kamaelia.Support.Protocol.HTTP.ServerConnection import ServerConnection
from Kamaelia.Support.Protocol.HTTP.StaticFiles import (
    NoSuchFile,
    RangeNotSatisfiable,
    extent_of,
    file_parts,
    matches,
)
from Kamaelia.Support.Protocol.HTTP.Uri import Url, UrlError, split_uri
from Kamaelia.Support.Protocol.HTTP.WebSocket import (
    ClientSession as WebSocketClient,
)
from Kamaelia.Support.Protocol.HTTP.WebSocket import (
    ServerSession as WebSocketServer,
)

_control = re.compile(rb"[\x00-\x1f\x7f]").search
_control_text = re.compile(r"[\x00-\x1f\x7f]").search
_bare = re.compile(rb"\r(?!\n)|(?<!\r)\n").search


# --- HTTP and WebSocket -------------------------------------------------------------------------


def http_server(data: bytes) -> None:
    connection = ServerConnection()
    with contextlib.suppress(HTTPSyntaxError):
        for piece in slices(data):
            connection.receive_data(piece)
            for request in _requests(connection):
                assert not _control_text(request.request.target), request
                for name, value in request.request.headers:
                    assert not _control_text(name + value.replace("\t", "")), request
                assert dict(request.request)["method"] == request.request.method
        connection.receive_eof()
        list(_requests(connection))


def _requests(connection: ServerConnection) -> Iterator[RequestReceived]:
    """The requests that have come; each is answered when its end has come."""
    while (event := connection.next_event()) not in (None, PeerFinished()):
        if isinstance(event, RequestReceived):
            yield event
        elif isinstance(event, BodyEnded):
            connection.send_head(Response(b"hi", length=2))
            connection.send_data(b"hi")
            connection.end()
            assert connection.data_to_send().startswith(b"HTTP/1.1 200 ")
            if not connection.reusable:
                return
            connection.next_cycle()


def http_client(data: bytes) -> None:
    connection: Connection = ClientConnection("GET", Url.parse("http://example.org/"))
    with contextlib.suppress(HTTPSyntaxError):
        for piece in slices(data):
            connection.receive_data(piece)
            while connection.next_event() not in (None, PeerFinished()):
                pass
        connection.receive_eof()
        while connection.next_event() not in (None, PeerFinished()):
            pass


def http_address(data: bytes) -> None:
    text = data.decode("latin-1")
    split_uri(text)
    with contextlib.suppress(UrlError):
        url = Url.parse(text)
        for part in (url.target, url.host, url.authority, str(url)):
            assert re.fullmatch(r"[!-~]*", part), part
        with contextlib.suppress(UrlError):
            url.join(text[::-1])
    with contextlib.suppress(NoSuchFile):
        for name in file_parts(text):
            assert name not in ("", ".", ".."), name
            assert not re.search(r"[/\\\x00-\x1f]", name), name
    matches(text, '"tag"')
    with contextlib.suppress(RangeNotSatisfiable):
        extent = extent_of(text, 1000)
        assert extent is None or 0 <= extent.start < extent.start + extent.length <= 1000, extent


def websocket_server(data: bytes) -> None:
    """Bytes of a client; those whose first byte is below 128 come behind a good handshake."""
    server = WebSocketServer(max_size=4096)
    pieces = slices(data)
    if data[:1] < b"\x80" and pieces:
        client = WebSocketClient("ws://example.org/chat")
        pieces[0] = client.data_to_send() + pieces[0]
    for piece in pieces:
        server.receive_data(piece)
        for event in iter(server.next_event, None):
            assert not isinstance(event, str | bytes) or len(event) <= 4096
        server.data_to_send()
    server.receive_eof()
    server.data_to_send()


def websocket_client(data: bytes) -> None:
    client, server = WebSocketClient("ws://example.org/chat", max_size=4096), WebSocketServer()
    server.receive_data(client.data_to_send())
    if data[:1] < b"\x80":
        client.receive_data(server.data_to_send())
    for piece in slices(data):
        client.receive_data(piece)
        for event in iter(client.next_event, None):
            assert not isinstance(event, str | bytes) or len(event) <= 4096
        client.data_to_send()
    client.receive_eof()
    client.data_to_send()


# --- DNS, frames, configuration -----------------------------------------------------------------


def dns_reply(data: bytes) -> None:
    """Flags, counts and records of a reply to our question; the first byte says of which kind."""
    kind = list(Kind)[(data[0] if data else 0) % len(Kind)]
    query = Query(name_of("example.org", "A"), kind, number=4711)
    query.read(data)  # as it is: hardly ever a reply
    question = query.wire[12:29]
    found = query.read(query.wire[:2] + data[1:9].ljust(8, b"\0") + b"\0\0" + question + data[9:])
    if isinstance(found, Outcome):
        assert len(found.records) <= RECORDS_LIMIT
        assert found.ttl >= 0
        assert not _control_text(found.canonical), found
        for record in found.records:
            assert not isinstance(record, str) or not _control_text(record), found


def dns_text(data: bytes) -> None:
    """Names to ask for, a resolv.conf, and the messages in a stream."""
    text = data.decode("utf-8", "surrogateescape")
    with contextlib.suppress(BadNameError):
        name = name_of(text, "PTR" if len(text) & 1 else "A")
        assert len(name.to_wire() or b"") <= 255
        key_of(name)
    assert 0 < len(servers_of(text)) <= SERVERS_LIMIT
    frames, found = Frames(), list[bytes]()
    for piece in slices(b"".join([data[:1] or b"\0", framed(data[:65_535]), framed(b"x")])):
        frames.receive_data(piece)
        while (message := frames.message()) is not None:
            found.append(message)
    assert found == [data[:65_535], b"x"] or not data  # no length is none that is waited for


def framing(data: bytes) -> None:
    with contextlib.suppress(CorruptFrame, ShortFrame):
        tag, body = SimpleFrame.fromString(data)
        assert SimpleFrame.fromString(bytes(SimpleFrame(tag, body))) == (tag, body)
    dropped: list[ProtocolError] = []
    parser = ChunkParser(dropped.append, "XyX", limit=500)
    for piece in slices(data):
        for chunk in parser.chunks(piece):
            assert len(chunk) <= 500
    list(parser.flush())
    again = ChunkParser(dropped.append, "XyX", limit=1 << 20)
    sent = encode_chunk(data, "XyX")
    assert isinstance(sent, bytes)
    assert [*again.chunks(sent), *again.flush()] == [data]


def configuration(data: bytes) -> None:
    """A greylist.conf; what is wrong with it is said in text that a terminal can show."""
    text = data.decode("utf-8", "replace")
    try:
        loads(text)
    except ConfigError as error:
        said = str(error)
        assert said
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\x9b]", said), said


# --- where to begin ------------------------------------------------------------------------------

_SMTP_WORDS = (b"\r\n.\r\n", b"\n.\n", b"\r\n", b"\r", b"\0", b"MAIL FROM:<a@b>", b"RCPT TO:<c@d>")
_HTTP_WORDS = (b"Content-Length: ", b"Transfer-Encoding: chunked\r\n", b"\r\n\r\n", b"HTTP/1.1 ")
_CONF = b'port = 25\nservername = "mx.example.org"  # ours\nallowed_domains:\n    example.org\n'
_MX = b"\x85\x80\0\1\0\1\0\0\xc0\x0c\0\x0f\0\1\0\0\x0e\x10\0\x09\0\x0a\4mail\xc0\x0c"
_V2 = b"\r\n\r\n\0\r\nQUIT\n!\x11\0\x0c\x7f\0\0\1\x7f\0\0\1\1\2\0\x19"

TARGETS: dict[str, Target] = {
    "http_server": Target(
        http_server,
        (
            b"\0GET /a?b HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"\5PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"
            b"\r\n",
        ),
        _HTTP_WORDS,
    ),
    "http_client": Target(
        http_client,
        (
            b"\0HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
            b"\1HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 404 No\r\n\r\nrest",
        ),
        _HTTP_WORDS,
    ),
    "http_address": Target(
        http_address,
        (b"http://u:p@example.org:8080/a/b?c#d", b"img/a%20b.png", b"bytes=5-10", b'W/"tag", *'),
    ),
    "websocket_server": Target(
        websocket_server,
        (
            b"\0\x81\x82\0\0\0\0hi\x88\x82\0\0\0\0\3\xe8",
            b"\xff\x01\x81\0\0\0\0h\x80\x81\0\0\0\0i",
            b"\x81GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
        ),
    ),
    "websocket_client": Target(
        websocket_client, (b"\0\x81\2hi\x88\2\3\xe8", b"\x80HTTP/1.1 101 Switching\r\n\r\n")
    ),
    "dns_reply": Target(dns_reply, (b"\3" + _MX, b"\0\x81\x83\0\1\0\0\0\0", b"\2" + _MX)),
    "dns_text": Target(dns_text, (b"example.org", b"192.0.2.1", b"nameserver 192.0.2.1\n")),
    "framing": Target(framing, (b"7 5\nhello", b"\2XyXone%58twoXyXthree", b"-1 0\n"), (b"XyX",)),
    "configuration": Target(
        configuration,
        (_CONF, b'greylist_delay = 5m\nwhitelisted_triples:\n    192.0.2.0/24  *  "a b"@x\n'),
        (b"greylist_delay", b"allowed_senders:\n ", b" = ", b"\\\n", b'"'),
    ),
}
