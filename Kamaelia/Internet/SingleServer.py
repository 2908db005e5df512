"""
Serve one client at a time
==========================
The component is the connection: what comes in at "inbox" goes to the client, what the client sends
comes out of "outbox". While one is served, others that come are turned away; after it has left, the
next may come.

Example Usage
-------------
One client says something and hears it again; then both sides end::

    from Axon.Component import component
    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Internet.SingleServer import SingleServer, echo
    from Kamaelia.Internet.TCPClient import TCPClient


    class Talker(component):
        def main(self):
            self.send(b"hello")
            while not self.dataReady("inbox"):
                self.pause()
                yield 1
            print(self.recv("inbox"))


    server = SingleServer(port=0, host="127.0.0.1").activate()
    Pipeline(server, echo(), circular=True).activate()
    Pipeline(Talker(), TCPClient(*server.address), circular=True).run()

It prints::

    b'hello'

Behaviour
---------
The port is bound when the component is activated. Messages that come to "inbox" while there is no
client wait for one. When a client has left, producerFinished goes out of "signal", with the reason
as its message. What is behind may end then, and its end may be the server's, as above.

producerFinished at "control" ends the server after all that waits is sent, for which it waits for a
client; shutdownMicroprocess ends it at once. (The original could not be told.)
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, Self

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Scheduler import scheduler
from Kamaelia.Internet.ConnectedSocketAdapter import ConnectedSocketAdapter
from Kamaelia.Internet.TCPServer import Address, SocketOptions, TCPServer
from Kamaelia.IPC import newCSA, shutdownCSA, socketShutdown
from Kamaelia.Util.PassThrough import PassThrough


class SingleServer(component):
    """SingleServer(port=1601, host="", socketOptions=None, TCPS=TCPServer, tls=None) -> one client
    at a time. host: an IPv4 or IPv6 address to listen on, "" for all IPv4 ones."""

    Inboxes = {
        "inbox": "bytes: to send to the client",
        "control": "producerFinished (send what waits, then end) or shutdownMicroprocess (end)",
        "_oobinfo": "newCSA or shutdownCSA: from the TCPServer",
        "_CSA_signal": "socketShutdown or shutdownCSA: from the client's socket",
    }
    Outboxes = {
        "outbox": "bytes: as they came from the client",
        "signal": "producerFinished: a client has left; and the shutdown that came in",
        "_toCSA": "producerFinished: for the client's socket",
    }

    announces_end = False  # it has said so itself
    woken_by_collection = False  # it never waits for that

    port: int | None = 1601
    host = ""
    socketOptions: SocketOptions | list[SocketOptions] | None = None
    TCPS: Callable[..., TCPServer] = TCPServer
    tls: ssl.SSLContext | None = None  # to encrypt every connection with
    inbox_limit: int | None = None  # messages that may wait to be sent; then noSpaceInBox

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401 - they become attributes
        super().__init__(**attributes)
        self.setInboxSize("inbox", self.inbox_limit)
        self.server: TCPServer | None = None
        self._client: ConnectedSocketAdapter | None = None

    @property
    def address(self) -> tuple[str, int]:
        """(host, port) on which clients are taken; known once it is active."""
        if self.server is None:
            raise RuntimeError("the server is not active yet")
        return self.server.address

    def activate(
        self, Scheduler: scheduler | None = None, Tracker: object = None, mainmethod: str = "main"
    ) -> Self:
        """Bind the port and start. Raises OSError if the port cannot be had."""
        if self.server is None:
            listenport: Address = (self.host, self.port or 0) if self.host else self.port
            options = {"tls": self.tls} if self.tls is not None else {}
            self.server = self.TCPS(listenport, socketOptions=self.socketOptions, **options)
            self.link((self.server, "protocolHandlerSignal"), (self, "_oobinfo"))
            self.addChildren(self.server)
        return super().activate(Scheduler, Tracker, mainmethod)

    def main(self) -> Iterator[object]:
        if self.server is not None:
            self.server.activate(Scheduler=self.scheduler)
        finishing = False
        while True:
            stop = self.told_to_stop()
            for message in self.Inbox("_CSA_signal"):  # first: there may be room for the next
                self._hear(message, stop)
            for message in self.Inbox("_oobinfo"):
                if isinstance(message, newCSA):
                    self._take_on(message.object)  # type: ignore[arg-type]
            if isinstance(stop, shutdownMicroprocess) or (stop and self._is_done()):
                break
            if stop and self._client is not None and not finishing:
                finishing = True
                self.send(producerFinished(self), "_toCSA")
            self.pause()
            yield 1
        self.send(stop, "signal")

    def stop(self) -> None:
        """Close the port and the connection at once."""
        with ExitStack() as stops:  # each is called, whatever another one raises
            stops.callback(super().stop)
            if self.server is not None:
                stops.callback(self.server.stop)
            if self._client is not None:
                stops.callback(self._client.stop)

    def _is_done(self) -> bool:
        return self._client is None and not self.dataReady("inbox")

    def _take_on(self, adapter: ConnectedSocketAdapter) -> None:
        if self._client is not None:
            adapter.activate(Scheduler=self.scheduler)
            adapter.inboxes["control"].deliver(shutdownMicroprocess(self))
            return
        self._client = adapter
        adapter.setInboxSize("inbox", self.inbox_limit)
        self.link((adapter, "outbox"), (self, "outbox"), passthrough=2)
        self.link((adapter, "CreatorFeedback"), (self, "_CSA_signal"))
        self.link((adapter, "signal"), (self, "_CSA_signal"))
        self.link((self, "_toCSA"), (adapter, "control"))
        self.link((self, "inbox"), (adapter, "inbox"), passthrough=1)
        self.addChildren(adapter)
        adapter.activate(Scheduler=self.scheduler)

    def _hear(self, message: object, stop: object) -> None:
        adapter = self._client
        if adapter is None:
            return
        if isinstance(message, socketShutdown):
            # Nothing more will come, and whoever uses us knows no half-closed connection.
            self.send(producerFinished(self), "_toCSA")
        elif isinstance(message, shutdownCSA):
            self._client = None
            self.removeChild(adapter)  # and our linkages with it
            if not stop:
                self.send(producerFinished(self, adapter.reason), "signal")


class FastRestartSingleServer(SingleServer):
    """FastRestartSingleServer(port=1601) -> a SingleServer that may take over a port that was in
    use just now."""

    socketOptions = (socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


class echo(PassThrough):  # noqa: N801 - the original's name
    """echo() -> sends back what it gets, behind a SingleServer in a circular Pipeline."""


__kamaelia_components__ = (SingleServer, FastRestartSingleServer, echo)
