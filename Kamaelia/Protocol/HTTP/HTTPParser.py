"""
Bytes to HTTP messages
======================
For programs that want to see what is said in HTTP, on either side. Servers and clients of the
library do not need it: they speak h11 themselves.

Example Usage
-------------
The method and the body of a request that comes in pieces::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Protocol.HTTP.HTTPParser import HTTPParser, ParsedHTTPBodyChunk, ParsedHTTPHeader
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource
    from Kamaelia.Util.PureTransformer import PureTransformer

    pieces = [b"POST / HTTP/1.1\\r\\nHost: x\\r\\nCont", b"ent-Length: 5\\r\\n\\r\\nhello"]


    def show(message):
        match message:
            case ParsedHTTPHeader(header):
                return f"{header['method']} {header['raw-uri']}\\n"
            case ParsedHTTPBodyChunk(chunk):
                return f"{len(chunk)} bytes\\n"
        return "the end\\n"


    Pipeline(DataSource(pieces), HTTPParser(), PureTransformer(show), ConsoleEchoer()).run()

It prints::

    POST /
    5 bytes
    the end

The header of a request is a Request, that of a response a dictionary with the keys responsecode (a
text), version and headers. One message after the other is read until the connection ends. What is
no message gives a header whose "bad" is true, with "errormsg" and "statuscode", and ends it.
Bodies are bytes; the original decoded them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from Axon.Component import component
from Axon.Ipc import shutdown, shutdownMicroprocess
from Kamaelia.Support.Protocol.HTTP.ClientConnection import ClientConnection
from Kamaelia.Support.Protocol.HTTP.Connection import (
    BodyEnded,
    BodyReceived,
    Connection,
    Event,
    HTTPSyntaxError,
    PeerFinished,
    RequestReceived,
    ResponseReceived,
)
from Kamaelia.Support.Protocol.HTTP.Messages import (
    ParsedHTTPBodyChunk,
    ParsedHTTPEnd,
    ParsedHTTPHeader,
)
from Kamaelia.Support.Protocol.HTTP.ServerConnection import ServerConnection
from Kamaelia.Support.Protocol.HTTP.Uri import Url, split_uri

splitUri = split_uri

Parsed = ParsedHTTPHeader | ParsedHTTPBodyChunk | ParsedHTTPEnd


class HTTPParser(component):
    """HTTPParser(mode="request", peer="", peerport=0, localip="", localport=0) -> mode "request" or
    "response": what comes in."""

    Inboxes = {
        "inbox": "bytes: of a connection, sliced anywhere",
        "control": "producerFinished (the connection has ended), shutdownMicroprocess or shutdown"
        " (stop now)",
    }
    Outboxes = {
        "outbox": "ParsedHTTPHeader, ParsedHTTPBodyChunk or ParsedHTTPEnd: what has come",
        "debug": "str: a line for each message, for people",
        "signal": "the shutdown that came in, or producerFinished after a bad message",
    }

    peer = ""
    peerport = 0
    localip = ""
    localport = 0

    def __init__(self, mode: str = "request", **attributes: object) -> None:
        super().__init__(**attributes)
        makers: dict[str, Callable[[], Connection]] = {
            "request": self._of_requests,
            "response": self._of_responses,
        }
        if mode not in makers:
            raise ValueError(f'HTTPParser: mode is "request" or "response", not {mode!r}')
        self._make = makers[mode]
        self._connection = self._make()

    def _of_requests(self) -> Connection:
        who = {key: getattr(self, key) for key in ("peer", "peerport", "localip", "localport")}
        return ServerConnection(peer=who)

    def _of_responses(self) -> Connection:
        return ClientConnection("GET", Url.parse("http://localhost/"))  # it answers something

    def main(self) -> Iterator[object]:
        while True:
            stop = self._told()
            if isinstance(stop, shutdownMicroprocess):
                return
            try:
                for data in self.Inbox("inbox"):
                    if not isinstance(data, bytes):
                        kind = type(data).__name__
                        raise TypeError(f"{self.name}: inbox takes bytes, not {kind}")
                    self._connection.receive_data(data)
                    yield from self._parse()
                if stop is not None:
                    self._connection.receive_eof()
                    yield from self._parse()
            except HTTPSyntaxError as error:
                bad = {"bad": True, "errormsg": str(error), "statuscode": error.status}
                yield from self._tell(ParsedHTTPHeader(bad))
                return
            if stop is not None:
                return
            if not self.anyReady():
                self.pause()
            yield 1

    def _told(self) -> object:
        """As told_to_stop; and `shutdown`, the original's own word in HTTP, ends it at once too."""
        waiting = list(self.Inbox("control"))
        for message in waiting:
            order = shutdownMicroprocess(self) if isinstance(message, shutdown) else message
            self.inboxes["control"].deliver(order)
        return self.told_to_stop()

    def _parse(self) -> Iterator[object]:
        while (event := self._connection.next_event()) is not None:
            if isinstance(event, PeerFinished):
                return
            yield from self._tell(_parsed(event))
            if isinstance(event, BodyEnded):  # the next message, of which some may be here
                rest, self._connection = self._connection.take_rest(), self._make()
                self._connection.receive_data(rest)

    def _tell(self, message: Parsed) -> Iterator[object]:
        if isinstance(message, ParsedHTTPHeader):
            self.send(f"{self.name}: {dict(message.header)!r}", "debug")
        yield from self.put(message, "outbox")


def _parsed(event: Event) -> Parsed:
    match event:
        case RequestReceived(request):
            return ParsedHTTPHeader(request)
        case ResponseReceived():
            return ParsedHTTPHeader(response_header(event))
        case BodyReceived(data):
            return ParsedHTTPBodyChunk(data)
        case _:
            return ParsedHTTPEnd()


def response_header(event: ResponseReceived) -> Mapping[str, Any]:
    """A response's head by the original's names."""
    headers: dict[str, str] = {}
    for name, value in event.headers:
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return {
        "bad": False,
        "protocol": "HTTP",
        "version": event.version,
        "responsecode": str(event.status),
        "headers": headers,
    }


__kamaelia_components__ = (HTTPParser,)
