"""
Fetch from web servers
======================
A SimpleHTTPClient fetches one address after the other: addresses in, bodies out. A
SingleShotHTTPClient fetches one, and gives what comes as it comes.

Example Usage
-------------
A program that asks itself; the second address does not exist::

    from Axon.Component import component
    from Kamaelia.Chassis.ConnectedServer import ServerCore
    from Kamaelia.Protocol.HTTP.HTTPClient import SimpleHTTPClient
    from Kamaelia.Protocol.HTTP.HTTPServer import HTTPProtocol
    from Kamaelia.Util.OneShot import OneShot


    def hello(request):
        return OneShot({"data": "hello", "content-type": "text/plain", "complete": True})


    class Asker(component):
        ExtraInboxes = {"errors": "HTTPFailure: what could not be fetched"}

        def main(self):
            protocol = HTTPProtocol([["/hello", hello]])
            server = ServerCore(protocol=protocol, host="127.0.0.1", port=0)
            server.activate()
            client = SimpleHTTPClient()
            self.link((self, "outbox"), (client, "inbox"))
            self.link((self, "signal"), (client, "control"))
            self.link((client, "outbox"), (self, "inbox"))
            self.link((client, "errors"), (self, "errors"))
            client.activate()
            for path in ("hello", "nothing"):
                self.send(f"http://127.0.0.1:{server.address[1]}/{path}")
            while not (self.dataReady("inbox") and self.dataReady("errors")):
                self.pause()
                yield 1
            print(self.recv("inbox"), self.recv("errors").status)
            server.stop()


    Asker().run()

It prints::

    b'hello' 404

Both follow up to three redirects (see Support.Protocol.HTTP.Fetching: no loops, no way from https
to http, no secrets to strangers), check certificates, and limit the size of what they take and the
time in which nothing comes. Failures are messages, HTTPFailure. The original knew no https, gave
the page of an error for a body, and had no errors at all.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator, Mapping

from Axon.Component import component
from Axon.Ipc import shutdownMicroprocess
from Kamaelia.Internet.TCPClient import TCPClient
from Kamaelia.Protocol.HTTP.Caretaker import CaretakerMixin
from Kamaelia.Protocol.HTTP.SingleShotHTTPClient import ConnectionClass, SingleShotHTTPClient
from Kamaelia.Support.Protocol.HTTP.ClientConnection import BODY_BYTES
from Kamaelia.Support.Protocol.HTTP.Messages import (
    HTTPFailure,
    ParsedHTTPBodyChunk,
    ParsedHTTPHeader,
)
from Kamaelia.Support.Protocol.HTTP.Uri import shown

log = logging.getLogger(__name__)

WINDOW = 4  # pieces of an answer that may wait


class SimpleHTTPClient(CaretakerMixin, component):
    """SimpleHTTPClient(connectionclass=TCPClient, timeout=60.0, body_limit=16 MiB, tls=None) ->
    fetches what it is told to, one after the other; see SingleShotHTTPClient."""

    Inboxes = {
        "inbox": "str: an address; or a dictionary with url and, at will, postbody, extraheaders,"
        " method",
        "control": "producerFinished (fetch what waits, then end) or shutdownMicroprocess (stop"
        " now)",
        "_answer": "ParsedHTTPHeader, ParsedHTTPBodyChunk, ParsedHTTPEnd, HTTPFailure: pieces",
        "_over": "object: this fetch is",
    }
    Outboxes = {
        "outbox": "bytes: the body, of each that could be fetched",
        "errors": "HTTPFailure: of each that could not; also one that a server answered with 400 or"
        " above",
        "debug": "str: a line for each request, for people",
        "signal": "the shutdown that came in",
        "_stop": "shutdownMicroprocess: to the one that fetches",
    }

    connectionclass: ConnectionClass = staticmethod(TCPClient)
    timeout = 60.0
    body_limit = BODY_BYTES
    tls: ssl.SSLContext | None = None

    def main(self) -> Iterator[object]:
        while True:
            stop = self.told_to_stop()
            if isinstance(stop, shutdownMicroprocess):
                return
            if self.dataReady("inbox"):
                yield from self._fetch(self.recv("inbox"))
                continue
            if stop is not None:
                return
            self.pause()
            yield 1

    def _fetch(self, order: object) -> Iterator[object]:
        client = self._client_for(order)
        self.link((client, "outbox"), (self, "_answer"), pipewidth=WINDOW)
        self.link((client, "signal"), (self, "_over"))
        self.link((client, "debug"), (self, "debug"), passthrough=2)
        self.link((self, "_stop"), (client, "control"))
        self.addChildren(client)
        client.activate(Scheduler=self.scheduler)
        status, body = 0, bytearray()
        failure: HTTPFailure | None = None
        while not (self.dataReady("_over") and not self.dataReady("_answer")):
            for piece in self.Inbox("_answer"):
                match piece:
                    case ParsedHTTPHeader(header):
                        status = int(header["responsecode"])
                    case ParsedHTTPBodyChunk(chunk):
                        body += chunk
                    case HTTPFailure():
                        failure = piece
            stop = self.told_to_stop()
            if isinstance(stop, shutdownMicroprocess):
                self.send(stop, "_stop")
                return
            if not self.dataReady("_over"):
                self.pause()
                yield 1
        self.recv("_over")
        self.removeChild(client)
        if failure is None and status >= 400:
            failure = HTTPFailure(client.starturl, f"the server answered {status}", status)
        yield from self._tell(bytes(body), failure)

    def _tell(self, body: bytes, failure: HTTPFailure | None) -> Iterator[object]:
        if failure is None:
            yield from self.put(body, "outbox")
            return
        log.warning("%s: %s", shown(failure.url), failure.reason)
        yield from self.put(failure, "errors")

    def _client_for(self, order: object) -> SingleShotHTTPClient:
        if isinstance(order, str):
            order = {"url": order}
        if not isinstance(order, Mapping) or not isinstance(order.get("url"), str):
            raise TypeError(f"{self.name}: inbox takes an address or a dictionary with one as url")
        return SingleShotHTTPClient(
            order["url"],
            order.get("postbody", ""),
            self.connectionclass,
            order.get("extraheaders"),
            order.get("method"),
            timeout=self.timeout,
            body_limit=self.body_limit,
            tls=self.tls,
        )


__kamaelia_components__ = (SimpleHTTPClient,)
