"""
Encrypted connections
=====================
A program asks for TLS with an ``ssl.SSLContext`` of its own, or the system's default for a client,
which checks certificate and name. There is no way to say "do not check" here: that is a setting of
a context, and should look like one. Three ways lead to it:

* a server: ``ServerCore(..., tls=context)``, or TCPServer. Each connection begins with a handshake,
  for which ``handshake_timeout`` seconds are given, and only then is its protocol made;
* a client: ``TCPClient(host, port, tls=context)``; the name to check is ``server_hostname``, or the
  host;
* later: any message at "makessl" (of a TCPClient, a ConnectedSocketAdapter, or sent by a protocol
  of ServerCore that has such an outbox) turns a running connection into TLS. The message may be the
  context, and on a server it must be. "sslready" answers with a TLSInfo.

Example Usage
-------------
Certificates for trying out are made by the package trustme::

    import ssl

    import trustme

    from Axon.Ipc import shutdownMicroprocess
    from Kamaelia.Chassis.ConnectedServer import ServerCore
    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Internet.TCPClient import TCPClient
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.OneShot import OneShot

    authority = trustme.CA()
    ours, theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(ours)
    authority.configure_trust(theirs)


    def greeter(**peer):
        server.stop_listening()
        return OneShot(b"nobody else hears this")


    server = ServerCore(protocol=greeter, host="127.0.0.1", port=0, tls=ours).activate()
    Pipeline(TCPClient(*server.address, tls=theirs), ConsoleEchoer()).run()

It prints::

    b'nobody else hears this'

Rules
-----
* Nothing sent before "makessl" is encrypted, all that is sent after it is, whatever waits: the
  request takes effect at once, and what had not left yet leaves first.
* What came unencrypted and nobody has read when TLS is asked for ends the connection with an error.
  It would be taken for encrypted afterwards, and anybody on the way could have put it there
  (CVE-2011-0411). A protocol that reads lines must itself drop what follows the one that asked.
  Only where TLS is to begin with what was read already, as behind a PROXY header, a TLSRequest says
  so and has it.
* Errors are reasons, as all that ends a connection: ssl.SSLCertVerificationError, another
  ssl.SSLError, TimeoutError, ConnectionResetError, or ssl.SSLEOFError for a connection that was cut
  off, so that what came may not be all.
* Each side ends its sending properly: after producerFinished all is sent, then TLS is ended, then
  the connection.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from Axon.AxonExceptions import noSpaceInBox
from Axon.Waiter import EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT
from Kamaelia.Internet.SendQueue import OPEN
from Kamaelia.Internet.TLSHandshake import TLSHandshake
from Kamaelia.Internet.TLSSocket import TLSInfo, TLSSocket

if TYPE_CHECKING:
    from Kamaelia.Internet.ConnectedSocketAdapter import ConnectedSocketAdapter

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TLSRequest:
    """For "makessl": go on in TLS, which began with these bytes that were read already."""

    context: ssl.SSLContext
    received: bytes


class TLSRequests:
    """Storage of a ConnectedSocketAdapter's "makessl": acts at once, before anything is sent that
    should be secret."""

    __slots__ = ("_adapter",)

    def __init__(self, adapter: ConnectedSocketAdapter) -> None:
        self._adapter = adapter

    @property
    def holder(self) -> ConnectedSocketAdapter:
        """Whose box it is, for those who look into a running program."""
        return self._adapter

    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Iterator[object]:
        return iter(())

    def append(self, request: object) -> None:
        adapter = self._adapter
        if adapter.state is not OPEN:
            return  # nobody is left to tell
        if adapter.tls is not None:
            adapter.tls.answer()
            return
        try:
            encrypted = _encrypted(adapter, request)
        except ssl.SSLError as error:
            failure = error.with_traceback(None)
        else:
            adapter.use_tls(encrypted)
            return
        log.error("%s: %s", adapter.name, failure)
        adapter.fail(failure)


class TLSLink:
    """What is different for a ConnectedSocketAdapter, its friend, once it speaks TLS."""

    __slots__ = ("_adapter", "_begun", "_handshake", "_socket", "_told")

    def __init__(self, adapter: ConnectedSocketAdapter, encrypted: TLSSocket) -> None:
        self._adapter = adapter
        self._socket = encrypted
        self._handshake: TLSHandshake | None = None
        self._begun = False
        self._told = False  # that it is ready, to whoever asked for it

    # ---- the beginning

    def begin(self) -> None:
        """Once the adapter is active."""
        if self._begun:
            return
        self._begun = True
        if self._socket.ready:
            self._be_ready()
            return
        adapter = self._adapter
        self._handshake = TLSHandshake(self._socket, adapter.handshake_timeout)
        adapter.addChildren(self._handshake)
        self._handshake.call_on_close(self._handshake_over)
        self._handshake.activate(Scheduler=adapter.scheduler)

    def _handshake_over(self) -> None:
        handshake, self._handshake = self._handshake, None
        if handshake is None or self._adapter.closed:
            return
        self._adapter.removeChild(handshake)
        if handshake.succeeded:
            self._be_ready()
        elif handshake.error is not None:
            self._adapter.fail(handshake.error)
        else:
            self._adapter.stop()

    def _be_ready(self) -> None:
        adapter = self._adapter
        adapter.touch()
        if adapter._queue.chunks:
            adapter._write()  # what has waited for it
        self.go_on()
        adapter._advance()

    def answer(self) -> None:
        """Somebody asks again."""
        self._told = False
        self.go_on()

    def go_on(self) -> None:
        """What may wait for a receiver: in each turn of the adapter."""
        if not self._socket.ready or self._adapter.closed:
            return
        if not self._told:
            with suppress(noSpaceInBox):  # the send has arranged that we are woken
                self._adapter.send(self._socket.info, "sslready")
                self._told = True
        if self._socket.pending and self._wants_input():
            self._read()
            self._adapter.watch()

    # ---- while it lasts

    def _wants_input(self) -> bool:
        adapter = self._adapter
        if adapter._peer_finished or self._socket.congested:
            return False
        return adapter._reading or adapter.state is not OPEN

    def wanted(self) -> int:
        """What the scheduler has to watch for; -1: nothing at all."""
        if not self._begun or self._handshake is not None:
            return -1
        mask = 0
        if self._wants_input():
            mask |= EPOLLIN
        chunks = self._adapter._queue.chunks
        if self._socket.blocked or (chunks and not self._socket.waits_for_input):
            mask |= EPOLLOUT
        return mask

    def ready(self, events: int) -> None:
        """Something can be read or written, or the connection has failed."""
        adapter = self._adapter
        adapter.touch()
        if events & EPOLLOUT:
            self._write()
        if events & (EPOLLIN | EPOLLHUP | EPOLLERR) and not adapter.closed:
            if self._wants_input():
                self._read()
            elif not adapter._queue.chunks and not self._socket.blocked:
                adapter._unwatch()  # an error or a hang-up; the next wanted read finds it
        adapter._advance()

    def _write(self) -> None:
        try:
            flushed = self._socket.flush()
        except OSError as error:
            self._adapter.fail_to_send(error)
            return
        if flushed and self._adapter._queue.chunks:
            self._adapter._write()

    def _read(self) -> None:
        adapter = self._adapter
        # Once we have finished, what the peer sends is dropped anyway.
        self._socket.lenient = adapter.state is not OPEN
        adapter._read()
        while self._socket.pending and not adapter.closed and self._wants_input():
            adapter._read()

    # ---- the end

    def has_ended(self) -> bool:
        """All is sent, that there is no more is said, and that has left, too. Says it."""
        if self._handshake is not None or not self._socket.ready:
            return False
        try:
            return self._socket.end()
        except OSError:
            return True  # nobody is there any more to hear it

    def close(self, proper: bool) -> None:
        """The connection is about to be closed; proper: nothing of ours was lost."""
        if self._handshake is not None:
            handshake, self._handshake = self._handshake, None
            handshake.stop()
        elif proper and self._socket.ready:
            with suppress(OSError):
                self._socket.end()


def _encrypted(adapter: ConnectedSocketAdapter, request: object) -> TLSSocket:
    """What takes the place of the adapter's socket. Raises ssl.SSLError if it cannot be had, or
    must not."""
    sock = adapter.sock
    if isinstance(sock, TLSSocket):
        return sock
    if adapter._held is not None or len(adapter.outboxes["outbox"].sink.q):
        raise _refusal("unencrypted bytes lay unread when TLS was asked for")
    received = b""
    if isinstance(request, TLSRequest):
        context, received = request.context, request.received
    elif isinstance(request, ssl.SSLContext):
        context = request
    elif adapter.server_hostname is not None:
        context = ssl.create_default_context()
    else:
        raise _refusal("TLS needs an ssl.SSLContext, or the name of a server to check")
    server_side = context.protocol == ssl.PROTOCOL_TLS_SERVER
    name = None if server_side else adapter.server_hostname
    return TLSSocket(sock, context, server_side, name, adapter._queue.take_all(), received)


def _refusal(why: str) -> ssl.SSLError:
    return ssl.SSLError(ssl.SSL_ERROR_SSL, f"TLS refused: {why}")


__all__ = ["TLSInfo", "TLSLink", "TLSRequest", "TLSRequests", "TLSSocket"]
