"""
Connect to a TCP server
=======================
Once connected it is the socket: what comes in at "inbox" is sent, what the server sends goes
out of "outbox". Messages that arrive before the connection stands wait for it.

Example Usage
-------------
What a server says, on the console; the server is one of this program::

    from Kamaelia.Chassis.ConnectedServer import ServerCore
    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Internet.TCPClient import TCPClient
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.OneShot import OneShot


    def greeter(**peer):
        server.stop_listening()  # one client is enough
        return OneShot(b"hello")


    server = ServerCore(protocol=greeter, host="127.0.0.1", port=0).activate()
    Pipeline(TCPClient(*server.address), ConsoleEchoer()).run()

It prints::

    b'hello'

Behaviour
---------
The addresses of the host are tried one after the other, IPv6 and IPv4, each for connect_timeout
seconds, without stopping anybody else: a name is looked up in a thread of its own. When it is
over, for whatever reason, producerFinished(self, reason) goes out of "signal": reason is None
after a proper end, otherwise the OSError or a text.

producerFinished or shutdownMicroprocess at "control" closes the connection, the former after all
is sent, for which it connects first if messages wait; with wait_for_serverclose only the latter
does.

With ``tls``, an ssl.SSLContext, the connection is encrypted from the start, and a message at
"makessl" has it encrypted from then on (see Kamaelia.Internet.TLS). If the context checks
certificates, as that of ``ssl.create_default_context()`` does, the server's must be for
server_hostname, or else for host.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Generator, Iterator
from typing import Any

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.ThreadedComponent import threadedcomponent
from Axon.Waiter import EPOLLOUT
from Kamaelia.Internet.ConnectedSocketAdapter import ConnectedSocketAdapter
from Kamaelia.IPC import shutdownCSA

AddressInfo = tuple[int, int, int, Any]  # family, type, protocol, socket address


def addresses_of(host: str, port: int, flags: int = 0) -> list[AddressInfo]:
    """Addresses to try, in the system's order. Raises socket.gaierror for an unknown name."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    except ValueError:  # for instance a UnicodeError: a label of more than 63 letters
        raise socket.gaierror(socket.EAI_NONAME, f"no host name: {host[:100]!r}") from None
    return [(family, kind, protocol, address) for family, kind, protocol, _, address in found]


class _Lookup(threadedcomponent):
    """_Lookup(host, port) -> asks the system for a host's addresses, in a thread, since that may
    take seconds."""

    Inboxes = {"control": "object: unused, a look-up cannot be interrupted"}
    Outboxes = {
        "outbox": "list[AddressInfo] or OSError: the answer",
        "signal": "producerFinished: after the answer",
    }

    def __init__(self, host: str, port: int) -> None:
        super().__init__()
        self._host, self._port = host, port

    def main(self) -> None:
        try:
            self.send(addresses_of(self._host, self._port), "outbox")
        except OSError as error:
            self.send(error, "outbox")
        self.send(producerFinished(self), "signal")


class TCPClient(component):
    """TCPClient(host, port, delay=0, connect_timeout=60, wait_for_serverclose=False, tls=None,
    server_hostname=None); times in seconds."""

    Inboxes = {
        "inbox": "bytes: to send to the server",
        "control": "producerFinished (send what waits, then close) or shutdownMicroprocess (close)",
        "makessl": "ssl.SSLContext, or anything for a default one: go on, or begin, in TLS",
        "_socketFeedback": "shutdownCSA: from the socket when it is over",
        "_addresses": "list[AddressInfo] or OSError: from the look-up of the name",
        "_serverFinished": "socketShutdown: the server has sent its last byte",
    }
    Outboxes = {
        "outbox": "bytes: as they came from the server",
        "signal": "producerFinished: the connection is over; its message is the reason",
        "sslready": "TLSInfo: from now on all is encrypted",
        "_selectorSignal": "object: unused",
        "_toSocket": "producerFinished or shutdownMicroprocess: for the socket",
    }

    woken_by_collection = False  # it never waits for that

    inbox_limit: int | None = None  # messages that may wait to be sent; then noSpaceInBox
    source_address: tuple[str, int] | None = None  # to connect from
    handshake_timeout = 30.0  # seconds
    CSA = ConnectedSocketAdapter

    def __init__(
        self,
        host: str,
        port: int,
        delay: float = 0,
        connect_timeout: float = 60,
        wait_for_serverclose: bool = False,
        tls: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
        **attributes: object,
    ) -> None:
        super().__init__(**attributes)
        self.host = host
        self.port = port
        self.delay = delay
        self.connect_timeout = connect_timeout
        self.wait_for_serverclose = wait_for_serverclose
        self.tls = tls
        self.server_hostname = server_hostname
        self.setInboxSize("inbox", self.inbox_limit)  # until the socket's own inbox takes over
        self._stop: object = None
        self._connecting: socket.socket | None = None
        self._adapter: ConnectedSocketAdapter | None = None

    def main(self) -> Iterator[object]:
        reason: object = None
        try:
            yield from self._sleep(self.delay)
            connection = yield from self._connect()
            if connection is not None:
                reason = yield from self._be_connected(connection)
        except OSError as error:
            reason = error.with_traceback(None)
        self.send(producerFinished(self, reason), "signal")

    def stop(self) -> None:
        self._drop_attempt()
        if self._adapter is not None:
            self._adapter.stop()
        super().stop()

    # ---- connecting

    def _connect(self) -> Generator[object, None, socket.socket | None]:
        """The connected socket, or None if we were told to stop. Raises the last address's
        OSError."""
        last: OSError = OSError(errno.EADDRNOTAVAIL, f"{self.host!r} has no address")
        for info in (yield from self._look_up()):
            if self._told_to_stop():
                return None
            try:
                return (yield from self._try_address(info))
            except OSError as error:
                last = error
        if self._told_to_stop():
            return None
        raise last

    def _look_up(self) -> Generator[object, None, list[AddressInfo]]:
        try:
            return addresses_of(self.host, self.port, socket.AI_NUMERICHOST)
        except socket.gaierror:
            pass  # a name, not an address
        if self._told_to_stop():
            return []  # without a thread that nobody can interrupt
        lookup = _Lookup(self.host, self.port)
        self.link((lookup, "outbox"), (self, "_addresses"))
        self.addChildren(lookup)
        lookup.activate(Scheduler=self.scheduler)
        while not self.dataReady("_addresses"):
            if self._told_to_stop():
                return []
            self.pause()
            yield 1
        self.removeChild(lookup)
        answer: list[AddressInfo] | OSError = self.recv("_addresses")
        if isinstance(answer, OSError):
            raise answer
        return answer

    def _try_address(self, info: AddressInfo) -> Generator[object, None, socket.socket]:
        family, kind, protocol, address = info
        self._connecting = socket.socket(family, kind, protocol)
        self._connecting.setblocking(False)
        try:
            if self.source_address is not None:
                self._connecting.bind(self.source_address)
            result = self._connecting.connect_ex(address)
            if result == errno.EINPROGRESS:
                result = yield from self._wait_until_connected(self._connecting)
        except OSError:
            self._drop_attempt()
            raise
        if result:
            self._drop_attempt()
            raise OSError(result, os.strerror(result))
        connected, self._connecting = self._connecting, None
        return connected

    def _wait_until_connected(self, sock: socket.socket) -> Generator[object, None, int]:
        scheduler = self.scheduler
        if not scheduler:
            return errno.ECANCELED
        reported: list[int] = []

        def ready(events: int) -> None:
            reported.append(events)
            scheduler.unregister(sock.fileno())
            self.unpause()

        until = scheduler.clock() + self.connect_timeout
        scheduler.register(sock.fileno(), EPOLLOUT, ready)
        try:
            while not reported:
                left = until - scheduler.clock()
                if left <= 0:
                    return errno.ETIMEDOUT
                if self._told_to_stop():
                    return errno.ECANCELED
                self.pause(left)
                yield 1
        finally:
            scheduler.unregister(sock.fileno())
        return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    def _drop_attempt(self) -> None:
        if self._connecting is not None:
            if self.scheduler:
                self.scheduler.unregister(self._connecting.fileno())
            self._connecting.close()
            self._connecting = None

    # ---- connected

    def _be_connected(self, sock: socket.socket) -> Generator[object, None, object]:
        """Let the socket's component take our place until it is over; the reason is returned."""
        adapter = self._adapter = self.CSA(sock, inbox_limit=self.inbox_limit)
        self._prepare_tls(adapter)
        self.link((adapter, "outbox"), (self, "outbox"), passthrough=2)
        self.link((adapter, "signal"), (self, "_socketFeedback"))
        self.link((adapter, "CreatorFeedback"), (self, "_serverFinished"))
        self.link((self, "_toSocket"), (adapter, "control"))
        self.link((self, "inbox"), (adapter, "inbox"), passthrough=1)
        self.addChildren(adapter)
        adapter.activate(Scheduler=self.scheduler)
        while not self.dataReady("_socketFeedback"):
            if self._told_to_stop():
                self.send(self._stop, "_toSocket")
                self._stop = None
            for _ in self.Inbox("_serverFinished"):
                # Nothing more will come, and whoever uses us knows no half-closed connection.
                self.send(producerFinished(self), "_toSocket")
            self.pause()
            yield 1
        over = self.recv("_socketFeedback")
        return adapter.reason if isinstance(over, shutdownCSA) else None

    def _prepare_tls(self, adapter: ConnectedSocketAdapter) -> None:
        adapter.server_hostname = self.server_hostname or self.host
        adapter.handshake_timeout = self.handshake_timeout
        self.link((adapter, "sslready"), (self, "sslready"), passthrough=2)
        if self.tls is not None:
            adapter.inboxes["makessl"].deliver(self.tls)
        # Before "inbox": if TLS was asked for already, nothing that waits is sent without.
        self.link((self, "makessl"), (adapter, "makessl"), passthrough=1)

    # ---- being told to stop

    def _told_to_stop(self) -> bool:
        for message in self.Inbox("control"):
            if isinstance(message, shutdownMicroprocess) or (
                isinstance(message, producerFinished)
                and not self.wait_for_serverclose
                and self._stop is None
            ):
                self._stop = message
        if isinstance(self._stop, producerFinished):
            # What still waits for the connection is sent first. Once there is one, nothing does.
            return not self.dataReady("inbox")
        return self._stop is not None

    def _sleep(self, seconds: float) -> Iterator[object]:
        scheduler = self.scheduler
        if not scheduler or seconds <= 0:
            return
        until = scheduler.clock() + seconds
        while (left := until - scheduler.clock()) > 0 and not self._told_to_stop():
            self.pause(left)
            yield 1


__kamaelia_components__ = (TCPClient,)
