"""
Agree on encryption
===================
Does the handshake of a TLSSocket, without stopping anybody else, and says how it went. TCPServer
gives one to each client of a server with ``tls``, a ConnectedSocketAdapter has one when it is asked
to go on in TLS.

Example Usage
-------------
A peer that says nothing is not waited for longer than the time it is given::

    import socket
    import ssl

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Internet.TLSHandshake import TLSHandshake
    from Kamaelia.Internet.TLSSocket import TLSSocket
    from Kamaelia.Util.Console import ConsoleEchoer

    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    encrypted = TLSSocket(ours, ssl.create_default_context(), server_hostname="example.org")
    Pipeline(TLSHandshake(encrypted, timeout=0.1), ConsoleEchoer()).run()
    theirs.close()

It prints::

    [Errno 110] no TLS handshake within 0.1 seconds
"""

from __future__ import annotations

import errno
from collections.abc import Iterator

from Axon.Component import component
from Axon.Waiter import EPOLLIN, EPOLLOUT
from Kamaelia.Internet.TLSSocket import TLSSocket


class TLSHandshake(component):
    """TLSHandshake(encrypted, timeout=30) -> does the handshake of a TLSSocket; timeout in seconds.

    When it has ended, ``succeeded`` says whether the socket can be used. If not, it is closed, and
    ``error`` is the reason, or None if the handshake was stopped."""

    Inboxes = {
        "inbox": "object: unused",
        "control": "producerFinished or shutdownMicroprocess: give up",
    }
    Outboxes = {
        "outbox": "TLSInfo or OSError: how it went; nothing if it was stopped",
        "signal": "the shutdown that came in, or producerFinished",
    }

    def __init__(self, encrypted: TLSSocket, timeout: float = 30.0, **attributes: object) -> None:
        super().__init__(**attributes)
        self._socket = encrypted
        self._timeout = timeout
        self._mask = 0
        self.succeeded = False
        self.error: OSError | None = None

    def main(self) -> Iterator[object]:
        until = self.now() + self._timeout
        self._ready(0)
        while not self.succeeded and self.error is None:
            left = until - self.now()
            if left <= 0:
                text = f"no TLS handshake within {self._timeout:g} seconds"
                self.error = TimeoutError(errno.ETIMEDOUT, text)
            elif self.told_to_stop():
                return
            else:
                self.pause(left)
                yield 1
        yield from self.put(self._socket.info if self.succeeded else self.error)

    def stop(self) -> None:
        self._watch(0)
        if not self.succeeded:
            self._socket.close()
        super().stop()

    def _ready(self, events: int) -> None:
        try:
            self.succeeded = self._socket.handshake()
        except OSError as error:
            self.error = error.with_traceback(None)  # its frames would keep us in memory
        if self.succeeded or self.error is not None:
            self._watch(0)
            self.unpause()
        else:
            # Nothing is read before all has left: reading was not what it was woken for then.
            self._watch(EPOLLOUT if self._socket.blocked else EPOLLIN)

    def _watch(self, mask: int) -> None:
        scheduler = self.scheduler
        if not scheduler or mask == self._mask:
            return
        if not self._mask:
            scheduler.register(self._socket.fileno(), mask, self._ready)
        elif mask:
            scheduler.modify(self._socket.fileno(), mask)
        else:
            scheduler.unregister(self._socket.fileno())
        self._mask = mask


__kamaelia_components__ = (TLSHandshake,)
