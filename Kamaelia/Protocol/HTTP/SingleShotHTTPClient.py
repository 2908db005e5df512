"""
Fetch one address
=================
What the server answers comes out as it comes: a ParsedHTTPHeader, ParsedHTTPBodyChunks, a
ParsedHTTPEnd; or, as the last, an HTTPFailure.

Example Usage
-------------
What there is to see of a fetch that fails, since no server has this port::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Protocol.HTTP.HTTPClient import SingleShotHTTPClient
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.PureTransformer import PureTransformer

    show = PureTransformer(lambda message: f"{type(message).__name__}: {message.reason}\\n")
    Pipeline(SingleShotHTTPClient("http://127.0.0.1:1/"), show, ConsoleEchoer()).run()

It prints::

    HTTPFailure: [Errno 111] Connection refused

Up to three redirects are followed; see Support.Protocol.HTTP.Fetching for where they may not lead.
For https the server's certificate is checked. Each fetch has a connection of its own.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Generator, Iterator, Mapping

from Axon.AxonExceptions import noSpaceInBox
from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Kamaelia.Exceptions import ProtocolError
from Kamaelia.Internet.TCPClient import TCPClient
from Kamaelia.Protocol.HTTP.Caretaker import CaretakerMixin
from Kamaelia.Protocol.HTTP.Connecting import ConnectingMixin
from Kamaelia.Protocol.HTTP.HTTPParser import response_header
from Kamaelia.Support.Protocol.HTTP.ClientConnection import BODY_BYTES, ClientConnection
from Kamaelia.Support.Protocol.HTTP.Connection import (
    BodyEnded,
    BodyReceived,
    Event,
    ResponseReceived,
)
from Kamaelia.Support.Protocol.HTTP.Fetching import REDIRECTS, Fetch
from Kamaelia.Support.Protocol.HTTP.Messages import (
    HTTPFailure,
    ParsedHTTPBodyChunk,
    ParsedHTTPEnd,
    ParsedHTTPHeader,
)
from Kamaelia.Support.Protocol.HTTP.Uri import Url

PIECE_BYTES = 65_536
MAX_REDIRECTS = 3

ConnectionClass = Callable[..., component]


class _Failed(Exception):  # noqa: N818 - said by what is wrong, as in Axon
    """This fetch has; the text says why."""


class SingleShotHTTPClient(ConnectingMixin, CaretakerMixin, component):
    """SingleShotHTTPClient(starturl, postbody="", connectionclass=TCPClient, extraheaders=None,
    method=None, timeout=60.0, body_limit=16 MiB, tls=None) -> fetches one address.

    method: else POST with a postbody (text goes as UTF-8) and GET without. extraheaders: a
    dictionary. timeout: seconds in which nothing moves. tls: an ssl.SSLContext instead of the usual
    one."""

    Inboxes = {
        "inbox": "object: not read",
        "control": "shutdownMicroprocess (stop now); a producerFinished changes nothing",
        "_received": "bytes: from the server",
        "_over": "producerFinished: the connection is; its message is the reason",
    }
    Outboxes = {
        "outbox": "ParsedHTTPHeader, ParsedHTTPBodyChunk, ParsedHTTPEnd: the answer; or, as the"
        " last, an HTTPFailure",
        "debug": "str: a line for each request, for people",
        "signal": "producerFinished, or the shutdownMicroprocess that came in",
        "_toServer": "bytes: to the server",
        "_close": "shutdownMicroprocess: to the connection",
    }

    woken_by_collection = False  # it sends, and asks again when there was no room

    timeout = 60.0
    body_limit = BODY_BYTES
    tls: ssl.SSLContext | None = None

    def __init__(
        self,
        starturl: str,
        postbody: str | bytes = "",
        connectionclass: ConnectionClass = TCPClient,
        extraheaders: Mapping[str, str] | None = None,
        method: str | None = None,
        **settings: object,
    ) -> None:
        super().__init__(**settings)
        self.starturl = starturl
        self.connectionclass = connectionclass
        self._body = postbody.encode() if isinstance(postbody, str) else postbody
        self._method = method or ("POST" if self._body else "GET")
        self._headers = tuple((extraheaders or {}).items())
        self._unsent = b""
        self._deadline = 0.0

    def main(self) -> Iterator[object]:
        try:
            fetch: Fetch | None = Fetch(
                self._method, Url.parse(self.starturl), self._headers, self._body
            )
            while fetch is not None and not self._told():
                fetch = yield from self._fetch(fetch)
        except (ProtocolError, _Failed, TypeError, ValueError) as error:
            yield from self._put(HTTPFailure(self.starturl, str(error)))
        self.send(self._told() or producerFinished(self), "signal")

    def _told(self) -> shutdownMicroprocess | None:
        stop = self.told_to_stop()
        return stop if isinstance(stop, shutdownMicroprocess) else None

    # ---- one request

    def _fetch(self, fetch: Fetch) -> Generator[object, None, Fetch | None]:
        """Make a request; what to fetch instead, if it is to be another."""
        session = ClientConnection(
            fetch.method, fetch.url, fetch.all_headers, fetch.body, self.body_limit
        )
        self._unsent = session.data_to_send()
        self.send(f"{fetch.method} {fetch.url}", "debug")
        connection = self._connect(fetch.url, self.timeout)
        self._deadline = self.now() + self.timeout
        try:
            return (yield from self._exchange(session, fetch))
        finally:
            # Before the next one is made: what this one may still send is not for it.
            self.send(shutdownMicroprocess(self), "_close")
            self.removeChild(connection)
            for box in ("_received", "_over"):
                for _ in self.Inbox(box):
                    pass

    def _exchange(
        self, session: ClientConnection, fetch: Fetch
    ) -> Generator[object, None, Fetch | None]:
        while not self._told():
            event = session.next_event()
            if event is None:
                yield from self._wait_for_more(session)
            elif isinstance(event, ResponseReceived) and event.status in REDIRECTS:
                location = dict(event.headers).get("location")
                if location is not None:
                    return fetch.redirected(event.status, location, MAX_REDIRECTS)
                yield from self._put(_parsed(event))
            else:
                yield from self._put(_parsed(event))
                if isinstance(event, BodyEnded):
                    return None
        return None

    def _wait_for_more(self, session: ClientConnection) -> Iterator[object]:
        """Send what there is room for, and wait for what comes. Raises _Failed."""
        if self._push():
            self._deadline = self.now() + self.timeout
        if self.dataReady("_received"):
            session.receive_data(self.recv("_received"))
            self._deadline = self.now() + self.timeout
        elif self.dataReady("_over"):
            reason = self.recv("_over").message
            if reason is not None:
                raise _Failed(str(reason))
            session.receive_eof()
        elif self.now() >= self._deadline:
            raise _Failed(f"nothing came for {self.timeout:g} seconds")
        else:
            self.pause(self._deadline - self.now())
            yield 1

    def _push(self) -> bool:
        """Send some of the request; True if any went."""
        sent = False
        while self._unsent:
            try:
                self.send(self._unsent[:PIECE_BYTES], "_toServer")
            except noSpaceInBox:  # we are woken when there is room
                break
            self._unsent = self._unsent[PIECE_BYTES:]
            sent = True
        return sent

    def _put(self, message: object) -> Iterator[object]:
        """As put; given up when we are told to stop."""
        while not self._told():
            try:
                self.send(message, "outbox")
            except noSpaceInBox:
                self.pause()
                yield 1
            else:
                self._deadline = self.now() + self.timeout  # it was not the server that was slow
                return


def _parsed(event: Event) -> ParsedHTTPHeader | ParsedHTTPBodyChunk | ParsedHTTPEnd:
    match event:
        case ResponseReceived():
            return ParsedHTTPHeader(response_header(event))
        case BodyReceived(data):
            return ParsedHTTPBodyChunk(data)
        case _:
            return ParsedHTTPEnd()


__kamaelia_components__ = (SingleShotHTTPClient,)
