"""
Listen on a TCP port
====================
Makes a ConnectedSocketAdapter for each client and announces it; ServerCore is the component
that gives each client a protocol, and what most programs use.

Example Usage
-------------
The port is bound when the component is made, so a port that cannot be had is an OSError for
whoever asks for it. Port 0 lets the system choose::

    from Kamaelia.Internet.TCPServer import TCPServer

    server = TCPServer(("127.0.0.1", 0))
    host, port = server.address
    try:
        TCPServer((host, port))
    except OSError as error:
        print(str(error).replace(str(port), "1500"))
    server.stop()

It prints::

    [Errno 98] cannot listen on 127.0.0.1 port 1500: Address already in use

How does it work?
-----------------
At most 64 connections are accepted each time the port is reported ready, so that a flood of
them cannot keep the clients that are served already waiting. When file descriptors or memory
run out, accepting stops for a second, or until a client leaves: the connection stays in the
listen queue, and asking again at once would only burn the processor.

With ``tls``, an ssl.SSLContext, each connection begins with a handshake and is announced after it.
One that fails, or takes longer than ``handshake_timeout`` seconds, is closed with a line in the
log, and so is one that still goes on when the port is closed.
"""

from __future__ import annotations

import errno
import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from functools import partial
from math import inf
from typing import Any

from Axon.Component import component
from Axon.Guards import log_only
from Axon.Ipc import shutdownMicroprocess
from Axon.Timers import Timer
from Axon.Waiter import EPOLLIN
from Kamaelia.Internet.ConnectedSocketAdapter import ConnectedSocketAdapter
from Kamaelia.Internet.SendQueue import send_without_delay
from Kamaelia.Internet.TLSHandshake import TLSHandshake
from Kamaelia.Internet.TLSSocket import TLSSocket
from Kamaelia.IPC import newCSA, shutdownCSA

log = logging.getLogger(__name__)

BACKLOG = 4096  # the kernel lowers it to net.core.somaxconn
ACCEPTS_PER_EVENT = 64
RETRY_SECONDS = 1.0
LOG_SECONDS = 60.0
# What accept() reports of a client that gave up while it waited, or of the network it came by:
# see accept(2) of Linux. The next client may be fine. All else is about us.
_ABOUT_THE_CLIENT = {
    errno.ECONNABORTED,
    errno.ECONNRESET,
    errno.EPERM,
    errno.EPROTO,
    errno.ENETDOWN,
    errno.ENETUNREACH,
    errno.ENOPROTOOPT,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.ENONET,
}

_ANY_ADDRESS = {"", "0.0.0.0", "::"}  # noqa: S104 - compared with, not bound to

SocketOptions = tuple[int, int, int]
Address = int | tuple[str, int] | None


def listening_socket(
    listenport: Address, options: list[SocketOptions] | None = None
) -> socket.socket:
    """A bound, listening socket. listenport: a port on all IPv4 addresses, (host, port) with an
    IPv4 or IPv6 address as host, or None for any port. Raises OSError whose text names the
    address."""
    host, port = listenport if isinstance(listenport, tuple) else ("", listenport or 0)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family == socket.AF_INET6:
            # So that 0.0.0.0 and :: can both be listened on, whatever the system's default is.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        for option in options or ():
            listener.setsockopt(*option)
        listener.bind((host, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        error.strerror = f"cannot listen on {host or 'any address'} port {port}: {error.strerror}"
        raise
    except OverflowError:
        listener.close()
        text = f"cannot listen on {host or 'any address'} port {port}: there is no such port"
        raise OSError(errno.EINVAL, text) from None
    return listener


def host_and_port(address: Any) -> tuple[str, int]:  # noqa: ANN401 - of any family
    """The part of a socket address that people know; a local socket's is its path, and port 0."""
    return (address[0], address[1]) if isinstance(address, tuple) else (str(address), 0)


def addresses_of(sock: Any) -> tuple[str, int, str, int]:  # noqa: ANN401 - plain or TLS
    """(peer, its port, local address, its port) of a connected socket. Raises OSError if the peer
    is gone."""
    return (*host_and_port(sock.getpeername()), *host_and_port(sock.getsockname()))


def check_server_context(context: object) -> None:
    """Raise now what would otherwise be said to each client."""
    if not isinstance(context, ssl.SSLContext):
        raise TypeError(f"tls= must be an ssl.SSLContext, not {type(context).__name__}")
    if context.protocol == ssl.PROTOCOL_TLS_CLIENT:
        raise ValueError(
            "tls= is a context for clients: make one with"
            " ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)"
        )


class TCPServer(component):
    """TCPServer(listenport, socketOptions=None, sock=None) -> listens; listenport as for
    listening_socket.

    socketOptions: one setsockopt triple or a list of them. sock: a listening socket to use instead
    of making one."""

    Inboxes = {
        "_feedbackFromCSA": "object: unused; each client's socket calls when it is over",
        "newconnection": "object: unused; the scheduler's own wait reports the port",
        "control": "shutdownMicroprocess (so serverShutdown too): close the port and end",
    }
    Outboxes = {
        "protocolHandlerSignal": "newCSA: a client has come; shutdownCSA: it is gone",
        "signal": "shutdownMicroprocess: the one that came in",
        "_selectorSignal": "object: unused",
        "_selectorShutdownSignal": "object: unused",
    }

    woken_by_collection = False  # it never waits for that

    CSA: Callable[..., ConnectedSocketAdapter] = ConnectedSocketAdapter
    connection_limit: int | None = None  # clients above it wait in the kernel's listen queue
    tls: ssl.SSLContext | None = None  # to encrypt every connection with
    handshake_timeout = 30.0  # seconds

    def __init__(
        self,
        listenport: Address,
        socketOptions: SocketOptions | list[SocketOptions] | None = None,
        sock: socket.socket | None = None,
        **attributes: object,
    ) -> None:
        super().__init__(**attributes)
        if self.tls is not None:
            check_server_context(self.tls)
        options = [socketOptions] if isinstance(socketOptions, tuple) else socketOptions
        self.listener = sock if sock is not None else listening_socket(listenport, options)
        self.listener.setblocking(False)
        # Accepted sockets inherit it (tcp(7) of Linux): one system call less for each client.
        send_without_delay(self.listener)
        bound = host_and_port(self.listener.getsockname())
        # Where the clients of a listener connect to that is bound to one address; None: ask each.
        self._local = None if bound[0] in _ANY_ADDRESS else bound
        self._kind = (int(self.listener.family), int(self.listener.type), self.listener.proto)
        self._listening = False
        self._open = 0  # connections now
        self._retry: Timer | None = None
        self._quiet_until = -inf
        self._when_gone: Callable[[ConnectedSocketAdapter], object] | None = self._gone  # for all

    @property
    def address(self) -> tuple[str, int]:
        """(host, port) on which clients are taken."""
        return host_and_port(self.listener.getsockname())

    def main(self) -> Iterator[object]:
        self._listen()
        stop: object = None
        try:
            while stop is None:
                for message in self.Inbox("control"):
                    if isinstance(message, shutdownMicroprocess) or message is shutdownMicroprocess:
                        stop = message
                if stop is None:
                    self.pause()
                    yield 1
        finally:
            self._close()
        self.send(stop, "signal")

    def stop(self) -> None:
        self._close()
        super().stop()

    def _listen(self) -> None:
        if self._listening or self._is_full() or self.listener.fileno() < 0:
            return
        if self.scheduler:
            self.scheduler.register(self.listener.fileno(), EPOLLIN, self._accept)
            self._listening = True

    def _axon_forget(self) -> None:
        super()._axon_forget()
        self._when_gone = None  # a reference cycle

    def _unlisten(self) -> None:
        if self._listening and self.scheduler:
            self.scheduler.unregister(self.listener.fileno())
            self._listening = False

    def _close(self) -> None:
        self._unlisten()
        self.listener.close()
        for handshake in self.children:
            handshake.stop()

    def _accept(self, events: int) -> None:
        for _ in range(ACCEPTS_PER_EVENT):
            try:
                # As accept() does it, which makes enumerations of three numbers that we know.
                number, address = self.listener._accept()  # type: ignore[attr-defined]
                client = socket.socket(*self._kind, number)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _ABOUT_THE_CLIENT:
                    continue
                self._hold_off(error)
                return
            self._open += 1
            if self.tls is None:
                self._announce(client, address)
            else:
                self._shake_hands(client, self.tls, host_and_port(address)[0])
            if self._is_full():
                self._unlisten()
                return

    def _announce(
        self, client: socket.socket, address: object = None, encrypted: TLSSocket | None = None
    ) -> None:
        try:
            adapter = self.CSA(client)
            adapter.undelayed = True
            if encrypted is not None:
                adapter.use_tls(encrypted)
            elif self._local is not None:
                adapter.addresses = (*host_and_port(address), *self._local)
        except Exception:
            # Nobody stands between an exception in this call-back and the program's end.
            log.exception("connection closed: its socket's component could not be made")
            client.close()
            self._one_less()
            return
        adapter.when_gone = self._when_gone
        self.send(newCSA(self, adapter, client), "protocolHandlerSignal")

    def _gone(self, adapter: ConnectedSocketAdapter) -> None:
        self.send(shutdownCSA(self, adapter), "protocolHandlerSignal")
        self._one_less()

    def _one_less(self) -> None:
        self._open -= 1
        self._listen()

    # ---- TLS

    def _shake_hands(self, client: socket.socket, context: ssl.SSLContext, peer: str) -> None:
        client.setblocking(False)
        try:
            encrypted = TLSSocket(client, context, server_side=True)
        except ssl.SSLError:
            log.exception("connection from %s closed: no TLS with this context", peer)
            client.close()
            self._one_less()
            return
        handshake = TLSHandshake(encrypted, self.handshake_timeout)
        handshake.isolate(log_only)
        self.addChildren(handshake)
        handshake.call_on_close(partial(self._handshake_over, handshake, client, encrypted, peer))
        handshake.activate(Scheduler=self.scheduler)

    def _handshake_over(
        self, handshake: TLSHandshake, client: socket.socket, encrypted: TLSSocket, peer: str
    ) -> None:
        self.removeChild(handshake)
        if handshake.succeeded:
            self._announce(client, encrypted=encrypted)
        else:
            if handshake.error is not None:
                log.info("TLS handshake with %s failed: %s", peer, handshake.error)
            self._one_less()

    def _is_full(self) -> bool:
        return self.connection_limit is not None and self._open >= self.connection_limit

    def _hold_off(self, error: OSError) -> None:
        self._unlisten()
        if not self.scheduler:
            return
        now = self.scheduler.clock()
        if now >= self._quiet_until:  # it may come again with every client that leaves
            self._quiet_until = now + LOG_SECONDS
            log.error("cannot accept connections for now: %s; trying again all the time", error)
        if self._retry is None or not self._retry.pending:
            self._retry = self.scheduler.call_later(RETRY_SECONDS, self._listen)


__kamaelia_components__ = (TCPServer,)
