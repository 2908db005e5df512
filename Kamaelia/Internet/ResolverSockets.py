"""
The sockets of a Resolver
=========================
One question to one server, and what comes back: an `Exchange` by UDP, a `StreamExchange` by TCP.
They are no components, since most live for a millisecond; the Resolver owns them and tells them
when to close. What comes is said to a callback, in the scheduler's thread, and whether it is the
reply is for Kamaelia.Support.Protocol.DNS to know.

Each has a socket, and so a port, of its own: the kernel chooses it at random when the socket is
connected, and from then on drops what comes from any other address or port. So a forger has to
guess the port and the number of the question together (RFC 5452).
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from Axon.Scheduler import scheduler
from Axon.Waiter import EPOLLIN, EPOLLOUT
from Kamaelia.Support.Protocol.DNS.Lookup import Attempt
from Kamaelia.Support.Protocol.DNS.Wire import LONGEST_REPLY, Frames, framed

REPLIES_PER_EVENT = 16

Heard = Callable[[bytes | OSError], None]


class Exchange:
    """One attempt on its way by UDP. Says `heard(bytes)` for what comes, `heard(OSError)` once if
    it fails; close() in there is fine. Raises OSError if it cannot even begin."""

    kind = socket.SOCK_DGRAM

    def __init__(self, run: scheduler, attempt: Attempt, heard: Heard) -> None:
        self._run, self._heard = run, heard
        self._out = attempt.wire
        host, port = attempt.server
        # Numeric, so nobody waits; it knows what "%eth0" behind an address means.
        flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        family, _, _, _, address = socket.getaddrinfo(host, port, type=self.kind, flags=flags)[0]
        self._sock: socket.socket | None = socket.socket(family, self.kind)
        try:
            self._sock.setblocking(False)
            self._begin(self._sock, address)
        except OSError:
            self.close()
            raise

    def _begin(self, sock: socket.socket, address: Any) -> None:  # noqa: ANN401 - of any family
        sock.connect(address)
        with suppress(BlockingIOError):  # no room for it: as good as lost on its way
            sock.send(self._out)
        self._run.register(sock.fileno(), EPOLLIN, self._ready)

    def _ready(self, _events: int) -> None:
        for _ in range(REPLIES_PER_EVENT):
            if self._sock is None:
                return
            try:
                found: bytes | OSError = self._sock.recv(LONGEST_REPLY)
            except BlockingIOError:
                return
            except OSError as error:  # nobody listens there, says that host
                found = error
            self._heard(found)

    def close(self) -> None:
        sock, self._sock = self._sock, None
        if sock is not None:
            self._run.unregister(sock.fileno())
            sock.close()


class StreamExchange(Exchange):
    """The same by TCP."""

    kind = socket.SOCK_STREAM

    def _begin(self, sock: socket.socket, address: Any) -> None:  # noqa: ANN401 - of any family
        self._frames = Frames()
        self._out = framed(self._out)
        with suppress(BlockingIOError):  # it is connecting
            sock.connect(address)
        self._run.register(sock.fileno(), EPOLLIN | EPOLLOUT, self._ready)

    def _ready(self, _events: int) -> None:
        if self._sock is None:
            return
        try:
            if self._out:
                self._send(self._sock)
            message = self._receive(self._sock)
        except BlockingIOError:
            return
        except OSError as error:
            self._heard(error)
            return
        if message is not None:
            self._heard(message)

    def _send(self, sock: socket.socket) -> None:
        self._out = self._out[sock.send(self._out) :]
        if not self._out:
            self._run.modify(sock.fileno(), EPOLLIN)

    def _receive(self, sock: socket.socket) -> bytes | None:
        data = sock.recv(self._frames.wanted)
        if not data:
            raise ConnectionResetError("closed before it replied")
        self._frames.receive_data(data)
        return self._frames.message()
