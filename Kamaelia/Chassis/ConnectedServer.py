"""
A server: one protocol component for each connection
====================================================
Give it a function or class that makes a protocol component, and every client is served by one
of its own.

Example Usage
-------------
A server on port 1500 that tells each client its address::

    # ends: ctrl-c
    from Kamaelia.Chassis.ConnectedServer import ServerCore
    from Kamaelia.Util.OneShot import OneShot


    def greeter(peer, peerport, localip, localport):
        return OneShot(f"hello {peer}\\n".encode())


    ServerCore(protocol=greeter, port=1500).run()

Behaviour
---------
The protocol's "outbox" goes to the client and its "inbox" gets what the client sends. When the
client has sent its last byte or is gone, "control" gets a socketShutdown; what the protocol
sends out of "signal" closes the connection, after all that was sent before is on its way. A
protocol that ends without a word closes it too.

An exception in a protocol component, or in one of its children, ends that connection alone, with a
line in the log. If the protocol has a method ``last_words() -> bytes``, the client hears those.

The port is bound when the server is activated: a port that cannot be had is an OSError there.
shutdownMicroprocess (so serverShutdown too) at "control", or from a protocol's outbox
"serversignal", closes the port and passes the shutdown to every protocol; ``stop_listening()``
closes the port only. Either way the server ends when the last connection has. producerFinished is
ignored: a server outlives its data.

With ``tls``, an ssl.SSLContext, connections are encrypted, and a protocol is made once its
connection is. A protocol with an outbox "makessl" may ask for that later, and hears at an inbox
"sslready" when it is (unless it has an attribute ``may_encrypt`` that is false): see
Kamaelia.Internet.TLS.
"""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any, Self

from Axon.AtOnce import act_at_once
from Axon.Box import Outbox, join, part
from Axon.BoxTables import LazyOutboxes
from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Microprocess import microprocess
from Axon.Scheduler import scheduler
from Axon.Sinks import has_said
from Kamaelia.Internet.ConnectedSocketAdapter import ConnectedSocketAdapter
from Kamaelia.Internet.TCPServer import Address, SocketOptions, TCPServer, addresses_of
from Kamaelia.IPC import newCSA

log = logging.getLogger(__name__)

ProtocolFactory = Callable[..., component]


def stop_tree(thecomponent: component) -> None:
    """Stop a component and everything it looks after, the innermost first."""
    with ExitStack() as stops:  # each is called, whatever another one raises
        stops.callback(thecomponent.stop)
        for child in thecomponent.children:
            stops.callback(stop_tree, child)


# Which outbox leads to which inbox of the other, beside the data.
_FROM_SOCKET = {"CreatorFeedback": "control", "sslready": "sslready"}
_FROM_PROTOCOL = {"signal": "control", "makessl": "makessl"}
_FOR_TLS = {"sslready", "makessl"}


class _Connection:
    """One client: its socket's component, its protocol's, and what happens when one ends or fails.

    It is itself what is called when one has ended and what guards both: methods for that would be
    128 bytes for each client. Each component is let go of once it is not needed any more, so that
    connections are freed without the garbage collector.
    """

    __slots__ = ("adapter", "linked", "peer", "protocol", "protocol_over", "server")

    def __init__(
        self, server: ServerCore, adapter: ConnectedSocketAdapter, protocol: component, peer: str
    ) -> None:
        self.server = server
        self.adapter: ConnectedSocketAdapter | None = adapter
        self.protocol: component | None = protocol
        self.protocol_over = False
        self.linked = False
        self.peer = peer

    def start(self, adapter: ConnectedSocketAdapter, protocol: component) -> None:
        """Link the two and activate them. Raises KeyError for a protocol without boxes for data."""
        server = self.server
        to_them, from_them = protocol.inboxes["inbox"], protocol.outboxes["outbox"]
        self.linked = True
        try:
            # Of those that are made late, half are for the end: idle clients do without.
            for outboxes in (adapter.outboxes, protocol.outboxes):
                if isinstance(outboxes, LazyOutboxes):
                    outboxes.wiring = self
                for outbox in list(dict.values(outboxes)):
                    self.box_made(outbox)
            join(adapter.outboxes["outbox"], to_them)
            join(from_them, adapter.inboxes["inbox"])
        except Exception:
            self.cut()  # what could be linked of what cannot be used in the end
            raise
        protocol.isolate(self)
        adapter.isolate(self)
        protocol.call_on_close(self)
        adapter.call_on_close(self)
        # Unless Axon says for it that it has failed, before its last words are said.
        adapter.ends_at_once = not (protocol.announces_end and hasattr(protocol, "last_words"))
        # Before the protocol: it may send in its first turn.
        adapter.activate(Scheduler=server.scheduler)
        protocol.activate(Scheduler=server.scheduler)

    def box_made(self, outbox: Outbox) -> None:
        """An outbox of one of the two is there: link it, unless it is the one for data."""
        name = outbox.name
        if name == "outbox" or self.adapter is None or self.protocol is None:
            return
        if name == "serversignal" and outbox.owner is self.protocol:
            join(outbox, self.server.inboxes["control"])
            return
        if outbox.owner is self.adapter:
            sink, theirs = _FROM_SOCKET.get(name), self.protocol.inboxes
        else:
            sink, theirs = _FROM_PROTOCOL.get(name), self.adapter.inboxes
        if sink is None or sink not in theirs:
            return
        if name not in _FOR_TLS or getattr(self.protocol, "may_encrypt", True):
            join(outbox, theirs[sink])

    def cut(self) -> None:
        """Undo the links, if nobody has done so before."""
        adapter, protocol = self.adapter, self.protocol
        if not self.linked or adapter is None or protocol is None:
            return
        self.linked = False
        for outboxes, inboxes in (
            (adapter.outboxes, protocol.inboxes),
            (protocol.outboxes, adapter.inboxes),
        ):
            if isinstance(outboxes, LazyOutboxes):
                outboxes.wiring = None
            for outbox in dict.values(outboxes):
                sink = outbox.target
                if sink is None:
                    continue
                if dict.get(inboxes, sink.name) is sink:
                    part(outbox, sink)
                elif outbox.name == "serversignal":
                    part(outbox, self.server.inboxes["control"])

    def __call__(self, culprit: microprocess | None = None, error: Exception | None = None) -> None:
        """One of the two has ended; or, with an exception, has failed, and has ended before."""
        if culprit is not None and error is not None:
            self.failed(culprit, error)
            return
        adapter, protocol = self.adapter, self.protocol
        scheduler = self.server.scheduler
        running = scheduler.threads
        if protocol is not None and not self.protocol_over and protocol not in running:
            signal = dict.get(protocol.outboxes, "signal")
            said = signal is not None and has_said(signal.sink)
            self.cut()
            self.protocol_over = True
            if adapter is None:
                self.protocol = None
            elif not said:
                # Not now: if this is a failure its last words are still to be said.
                tell = adapter.inboxes["control"].deliver
                scheduler.call_from_thread(partial(tell, producerFinished(self.server)))
        if adapter is not None and adapter not in running:
            self.cut()
            self.adapter = None
            self.server._forget_connection(adapter)
            if self.protocol_over:
                self.protocol = None
            elif protocol is not None and "control" not in protocol.inboxes:
                self._stop_protocol(protocol)  # it could not be told

    def failed(self, culprit: microprocess, error: Exception) -> None:
        """An exception in one of our components: log it, say the last words, close."""
        log.error(
            "connection from %s closed: component %s failed",
            self.peer,
            culprit.name,
            exc_info=error,
        )
        if self.adapter is not None:
            self._say_last_words(self.adapter)
            self.adapter.inboxes["control"].deliver(producerFinished(self.server))
        if self.protocol is not None:
            self._stop_protocol(self.protocol)

    def _say_last_words(self, adapter: ConnectedSocketAdapter) -> None:
        last_words = getattr(self.protocol, "last_words", None)
        if last_words is None:
            return
        try:
            adapter.inboxes["inbox"].deliver(last_words())
        except Exception:
            log.exception("connection from %s: its last words failed", self.peer)

    def _stop_protocol(self, protocol: component) -> None:
        try:
            stop_tree(protocol)
        except Exception:
            log.exception("connection from %s: its protocol could not be stopped", self.peer)

    def shut_down(self, message: object) -> None:
        """Hand a shutdown to the protocol; to the socket if the protocol cannot be told."""
        if self.protocol is not None and "control" in self.protocol.inboxes:
            self.protocol.inboxes["control"].deliver(message)
        elif self.adapter is not None:
            self.adapter.inboxes["control"].deliver(producerFinished(self.server))

    def stop(self) -> None:
        """Close at once."""
        with ExitStack() as stops:
            if self.adapter is not None:
                stops.callback(self.adapter.stop)
            if self.protocol is not None:
                stops.callback(stop_tree, self.protocol)


class ServerCore(component):
    """ServerCore(protocol=..., port=1601, host="", socketOptions=None, TCPS=TCPServer, sock=None,
    tls=None) -> a server.

    protocol: called with peer=, peerport=, localip=, localport= for each client; returns the
    component to serve it. host: an IPv4 or IPv6 address to listen on, "" for all IPv4 ones. sock: a
    listening socket to use instead."""

    Inboxes = {
        "inbox": "object: unused",
        "control": "shutdownMicroprocess (so serverShutdown too): stop serving",
        "_socketactivity": "newCSA or shutdownCSA: from the TCPServer",
        "_serverEnded": "shutdownMicroprocess: from the TCPServer, when the port is closed",
    }
    Outboxes = {
        "outbox": "object: unused",
        "signal": "shutdownMicroprocess: the one that came in, when all is over",
        "_serversignal": "shutdownMicroprocess: for the TCPServer",
    }

    woken_by_collection = False  # it never waits for that

    port: int | None = 1601
    host = ""
    protocol: Any = None
    socketOptions: SocketOptions | list[SocketOptions] | None = None
    TCPS: Callable[..., TCPServer] = TCPServer
    sock: socket.socket | None = None
    connection_limit: int | None = None  # clients above it wait in the kernel's listen queue
    tls: ssl.SSLContext | None = None  # to encrypt every connection with
    handshake_timeout = 30.0  # seconds

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401 - they become attributes
        super().__init__(**attributes)
        if self.protocol is None:
            raise TypeError(
                "ServerCore needs protocol=, a function that makes a component for a client"
            )
        self.server: TCPServer | None = None
        self._connections: dict[object, _Connection] = {}
        self._stop: object = None  # the shutdown that has come

    @property
    def address(self) -> tuple[str, int]:
        """(host, port) on which clients are taken; known once the server is active."""
        if self.server is None:
            raise RuntimeError("the server is not active yet")
        return self.server.address

    @property
    def connections(self) -> int:
        """Number of clients connected now."""
        return len(self._connections)

    def activate(
        self, Scheduler: scheduler | None = None, Tracker: object = None, mainmethod: str = "main"
    ) -> Self:
        """Bind the port and start. Raises OSError if the port cannot be had."""
        if self.server is None:
            listenport: Address = (self.host, self.port or 0) if self.host else self.port
            options: dict[str, Any] = {"sock": self.sock} if self.sock is not None else {}
            if self.connection_limit is not None:
                options["connection_limit"] = self.connection_limit
            if self.tls is not None:
                options |= {"tls": self.tls, "handshake_timeout": self.handshake_timeout}
            self.server = self.TCPS(listenport, socketOptions=self.socketOptions, **options)
            # A client is taken on in the moment in which it is announced: a turn of ours would cost
            # it more than that.
            act_at_once(self, "_socketactivity", self._hear_of_client)
            self.link((self.server, "protocolHandlerSignal"), (self, "_socketactivity"))
            self.link((self.server, "signal"), (self, "_serverEnded"))
            self.link((self, "_serversignal"), (self.server, "control"))
            self.addChildren(self.server)
        return super().activate(Scheduler, Tracker, mainmethod)

    def main(self) -> Iterator[object]:
        if self.server is not None:
            self.server.activate(Scheduler=self.scheduler)
        while True:
            for message in self.Inbox("control"):
                if self._stop is None and (
                    isinstance(message, shutdownMicroprocess) or message is shutdownMicroprocess
                ):
                    self._stop = message
                    self._shut_down(message)
            if self.dataReady("_serverEnded") and not self._connections:
                break
            self.pause()
            yield 1
        self.send(self._stop if self._stop is not None else self.recv("_serverEnded"), "signal")

    def stop(self) -> None:
        """Close the port and every connection at once."""
        with ExitStack() as stops:  # each is called, whatever another one raises
            stops.callback(super().stop)
            if self.server is not None:
                stops.callback(self.server.stop)
            for connection in list(self._connections.values()):
                stops.callback(connection.stop)

    def stop_listening(self) -> None:
        """Close the port; the clients that are connected are served to their end."""
        self.send(shutdownMicroprocess(self), "_serversignal")

    def make_protocol(self, **peer: object) -> component:
        """The component for one client."""
        made: component = self.protocol(**peer)
        return made

    def _hear_of_client(self, message: object) -> None:
        if isinstance(message, newCSA):
            self._take_on(message.object)  # type: ignore[arg-type]

    def _take_on(self, adapter: ConnectedSocketAdapter) -> None:
        try:
            peer, peerport, localip, localport = adapter.addresses or addresses_of(adapter.sock)
        except OSError as error:  # gone before we looked
            log.debug("connection lost before it was served: %s", error)
            self._give_up(adapter)
            return
        adapter.addresses = None  # the protocol has them
        try:
            protocol = self.make_protocol(
                peer=peer, peerport=peerport, localip=localip, localport=localport
            )
            connection = _Connection(self, adapter, protocol, peer)
            connection.start(adapter, protocol)
        except Exception:
            log.exception(
                "connection from %s closed: its protocol component could not be made", peer
            )
            self._give_up(adapter)
            return
        self._connections[adapter] = connection
        if self._stop is not None:
            connection.shut_down(self._stop)

    def _give_up(self, adapter: ConnectedSocketAdapter) -> None:
        adapter.activate(Scheduler=self.scheduler)
        adapter.inboxes["control"].deliver(shutdownMicroprocess(self))

    def _forget_connection(self, adapter: object) -> None:
        self._connections.pop(adapter, None)
        if not self._connections and self.server is not None and self.server._isStopped():
            self.unpause()  # it was the last one that we wait for

    def _closeDownMicroprocess(self) -> object:
        for connection in self._connections.values():
            connection.cut()
        return super()._closeDownMicroprocess()

    def _shut_down(self, message: object) -> None:
        self.send(message, "_serversignal")
        for connection in list(self._connections.values()):
            connection.shut_down(message)


class SimpleServer(ServerCore):
    """SimpleServer(protocol=..., port=1601) -> a ServerCore whose protocol is called without
    arguments."""

    def make_protocol(self, **peer: object) -> component:
        return super().make_protocol()


class FastRestartServer(ServerCore):
    """FastRestartServer(protocol=..., port=1601) -> a ServerCore that may take over a port that was
    in use just now."""

    socketOptions = (socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


MoreComplexServer = ServerCore


__kamaelia_components__ = (ServerCore, SimpleServer, FastRestartServer)
