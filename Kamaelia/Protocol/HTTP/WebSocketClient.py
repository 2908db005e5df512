"""
The client's end of a WebSocket
===============================
What comes in is sent to the server, what the server sends comes out: str for text, bytes for the
rest.

Example Usage
-------------
A program that talks with itself; the server ends with the first message that it gets::

    from Axon.Component import component
    from Kamaelia.Chassis.ConnectedServer import ServerCore
    from Kamaelia.Protocol.HTTP.HTTPServer import HTTPProtocol
    from Kamaelia.Protocol.HTTP.WebSocket import WebSocketProtocol
    from Kamaelia.Protocol.HTTP.WebSocketClient import WebSocketClient


    class Polite(component):
        def main(self):
            while not self.dataReady("inbox"):
                self.pause()
                yield 1
            yield from self.put(f"goodbye, {self.recv('inbox')}", "outbox")


    class Caller(component):
        def main(self):
            server = ServerCore(protocol=HTTPProtocol(routing), port=0, host="127.0.0.1")
            server.activate()
            client = WebSocketClient("ws://127.0.0.1:%d/" % server.address[1])
            self.link((self, "outbox"), (client, "inbox"))
            self.link((client, "outbox"), (self, "inbox"))
            client.activate()
            self.send("world")
            while not self.dataReady("inbox"):
                self.pause()
                yield 1
            print(self.recv("inbox"))
            server.stop()


    routing = [["/", WebSocketProtocol(lambda request: Polite())]]
    Caller().run()

It prints::

    goodbye, world

Messages that come before the connection stands wait for it. When it is over, for whatever reason,
producerFinished(self, Closed(code, reason)) goes out of "signal"; 1006 is a connection that could
not be made, or broke. For wss:// the server's certificate is checked.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Sequence

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Kamaelia.Internet.TCPClient import TCPClient
from Kamaelia.Protocol.HTTP.Connecting import ConnectingMixin
from Kamaelia.Protocol.HTTP.WebSocketTalk import WebSocketTalkMixin
from Kamaelia.Support.Protocol.HTTP.WebSocket import (
    GOING_AWAY,
    LOST,
    NORMAL,
    ClientSession,
    Closed,
    Session,
)


class WebSocketClient(ConnectingMixin, WebSocketTalkMixin, component):
    """WebSocketClient(url, origin=None, subprotocols=(), tls=None, connectionclass=TCPClient,
    max_size=1 MiB, open_timeout=30.0, ping_interval=20.0, ping_timeout=20.0, close_timeout=10.0)
    -> one connection; times in seconds. tls: an ssl.SSLContext instead of the usual one.

    Raises UrlError."""

    Inboxes = {
        "inbox": "str, bytes or Closed: to the server",
        "control": "producerFinished (send what waits, then close) or shutdownMicroprocess (say"
        " goodbye and end)",
        "_received": "bytes: from the server",
        "_over": "producerFinished: the connection is; its message is the reason",
    }
    Outboxes = {
        "outbox": "str or bytes: from the server",
        "signal": "producerFinished: it is over, its message is a Closed; or the"
        " shutdownMicroprocess that came in",
        "_toServer": "bytes: to the server",
        "_close": "producerFinished or shutdownMicroprocess: to the connection",
    }

    BYTES_IN, BYTES_OUT = "_received", "_toServer"
    MESSAGES_IN, MESSAGES_OUT = "inbox", "outbox"

    open_timeout = 30.0

    def __init__(
        self,
        url: str,
        origin: str | None = None,
        subprotocols: Sequence[str] = (),
        tls: ssl.SSLContext | None = None,
        connectionclass: Callable[..., component] = TCPClient,
        **settings: object,
    ) -> None:
        super().__init__(**settings)
        self._client = ClientSession(url, self.max_size, origin, subprotocols)
        self.tls = tls
        self.connectionclass = connectionclass
        self._opened = False

    def main(self) -> Iterator[object]:
        self._connect(self._client.url, self.open_timeout)
        self._close_deadline = self.now() + self.open_timeout
        yield from self._talk(self._client)
        self.send(producerFinished(self) if self._opened else shutdownMicroprocess(self), "_close")
        yield from self._see_them_end()
        stop = self.told_to_stop()
        told = isinstance(stop, shutdownMicroprocess)
        self.send(stop if told else producerFinished(self, self._closed), "signal")

    def _hear(self, session: Session) -> None:
        stop = self.told_to_stop()
        if session.is_open and not self._opened:
            self._opened, self._close_deadline = True, float("inf")
        if isinstance(stop, shutdownMicroprocess):
            self._close(session, GOING_AWAY)
            self._close_deadline = self.now()
        elif stop is not None and not self.dataReady("inbox"):
            self._close(session, NORMAL)
            if not self._opened:
                self._close_deadline = self.now()  # there is nothing for which to open it
        if self.dataReady("_over") and not self.dataReady("_received"):
            reason = self.inboxes["_over"].q[0].message
            if not self._opened and reason is not None:
                self._closed = self._closed or Closed(LOST, str(reason))
            session.receive_eof()


__kamaelia_components__ = (WebSocketClient,)
