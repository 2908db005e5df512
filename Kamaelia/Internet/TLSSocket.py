"""
A socket that encrypts
======================
Looks like a non-blocking socket to whoever sends and receives, and speaks TLS on the wire. Nothing
in it waits: it is asked to go on when the plain socket is ready. TLSHandshake opens one,
ConnectedSocketAdapter uses one; see Kamaelia.Internet.TLS for how a program comes to them.

Example Usage
-------------
Two ends of a socket pair, taking turns until they agree::

    import socket
    import ssl

    import trustme  # makes certificates for trying out

    from Kamaelia.Internet.TLSSocket import TLSSocket

    authority = trustme.CA()
    ours, theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("example.org").configure_cert(ours)
    authority.configure_trust(theirs)
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)
    server = TLSSocket(left, ours, server_side=True)
    client = TLSSocket(right, theirs, server_hostname="example.org")
    while not (server.handshake() & client.handshake()):
        pass
    client.send(b"hello")
    print(server.recv(65536))
    client.close()
    server.close()

It prints::

    b'hello'

How does it work?
-----------------
OpenSSL works on two buffers in memory and never sees the socket. So there is no reading that waits
for writing, and after a ``recv`` nothing that was decrypted is left inside, where no readiness of
the plain socket would ever report it. (What can be left, beside half a record, shows in
``pending``.)

``send`` counts bytes as sent when their encryption has left. Until then it raises BlockingIOError
and expects, as OpenSSL itself does, to be called again with the same bytes. So whoever keeps what a
socket did not take needs to know nothing of TLS, and little is encrypted ahead.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass

_RECORD = 16_384  # the most that one TLS record carries
_CHUNK = 65_536
_ANSWERS = 262_144


@dataclass(frozen=True, slots=True)
class TLSInfo:
    """What two ends have agreed on."""

    version: str  # such as "TLSv1.3"
    cipher: str
    protocol: str | None  # chosen with ALPN
    certificate: bytes | None  # the peer's, DER, checked as the context says; None: it showed none


def _wrapped(
    context: ssl.SSLContext,
    incoming: ssl.MemoryBIO,
    outgoing: ssl.MemoryBIO,
    server_side: bool,
    server_hostname: str | None,
) -> ssl.SSLObject | str:
    """Or why it cannot be. (A text, since an exception that is raised where another one is handled
    keeps that one's frames in memory, and so the connection.)"""
    if context.check_hostname and not (server_side or server_hostname):
        return "cannot begin TLS: nobody said for which server's name a certificate must be"
    try:
        return context.wrap_bio(incoming, outgoing, server_side, server_hostname)
    except (ValueError, ssl.SSLError) as error:  # no name, or none that can be one; the other side
        return f"cannot begin TLS (server name {server_hostname!r}): {error}"


class TLSSocket:
    """TLSSocket(sock, context, server_side=False, server_hostname=None, first=b"", received=b"") ->
    encrypts over a non-blocking, connected socket, which it owns from then on.

    first: bytes that still have to leave unencrypted. received: what the peer's handshake begins
    with, if that was read already. Raises ssl.SSLError if the context cannot be
    used like this, for instance to check the name of a server whose name nobody said."""

    __slots__ = (
        "_broken",
        "_ended",
        "_incoming",
        "_object",
        "_outgoing",
        "_sock",
        "_taken",
        "_unsent",
        "lenient",
        "pending",
        "ready",
        "waits_for_input",
    )

    def __init__(
        self,
        sock: socket.socket,
        context: ssl.SSLContext,
        server_side: bool = False,
        server_hostname: str | None = None,
        first: bytes = b"",
        received: bytes = b"",
    ) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        if received:
            self._incoming.write(received)
        wrapped = _wrapped(context, self._incoming, self._outgoing, server_side, server_hostname)
        if isinstance(wrapped, str):
            raise ssl.SSLError(ssl.SSL_ERROR_SSL, wrapped)
        self._object = wrapped
        self._sock = sock
        self._unsent = memoryview(first)
        self._taken = 0  # bytes of the next send that are encrypted already
        self._broken: ssl.SSLError | None = None
        self._ended = False  # we have said our last
        self.ready = False  # the handshake is done
        self.pending = False  # recv has something without being reported readable
        self.waits_for_input = False  # sending goes on only after something was received
        self.lenient = False  # it does not matter whether all that the peer sent arrives

    @property
    def blocked(self) -> bool:
        """Something waits for the plain socket to become writable."""
        return bool(self._unsent) or bool(self._outgoing.pending)

    @property
    def congested(self) -> bool:
        """The protocol itself has more to say than the peer reads: it may ask for answers (new
        keys, for instance) as often as it likes. Nothing more is to be read until some has left."""
        return len(self._unsent) + self._outgoing.pending > _ANSWERS

    @property
    def info(self) -> TLSInfo:
        """Once it is ready."""
        cipher = self._object.cipher()
        return TLSInfo(
            self._object.version() or "",
            cipher[0] if cipher else "",
            self._object.selected_alpn_protocol(),
            self._object.getpeercert(binary_form=True),
        )

    # ---- the handshake

    def handshake(self) -> bool:
        """Go on with it; True once it is done. Raises ssl.SSLError (ssl.SSLCertVerificationError
        for a certificate) or another OSError."""
        while self._flushed():
            failure = self._shake()
            if failure is not None:
                self._flush_if_possible()  # the peer is told what we dislike
                raise failure
            if self.ready:
                self._flush_if_possible()
                self.pending = self._incoming.pending > 0
                return True
            if self._flushed() and not self._take_in():
                return False
        return False

    def _shake(self) -> ssl.SSLError | None:
        """A step of it; the error, or None."""
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLError as error:
            return error.with_traceback(None)
        self.ready = True
        return None

    def _take_in(self) -> bool:
        try:
            data = self._sock.recv(_CHUNK)
        except BlockingIOError:
            return False
        if not data:
            raise ssl.SSLEOFError(ssl.SSL_ERROR_EOF, "the peer hung up in the TLS handshake")
        self._incoming.write(data)
        return True

    # ---- what a ConnectedSocketAdapter asks of a socket

    def recv(self, size: int) -> bytes:
        """What has come, at most a record more than size; b"" after the peer's proper end. Raises
        BlockingIOError if there is nothing, ssl.SSLEOFError if the connection was cut off."""
        if self._ended:
            return self._sock.recv(size)  # only whether there is an end matters now
        if not self.pending:
            data = self._sock.recv(size)
            if not data:
                if self.lenient:
                    return b""
                text = "the peer hung up without ending TLS: what came may not be all"
                raise ssl.SSLEOFError(ssl.SSL_ERROR_EOF, text)
            self._incoming.write(data)
        parts, finished = self._decrypt()
        self.waits_for_input = False
        self._flush_if_possible()  # an answer to the protocol itself, or an alert
        self.pending = bool(parts) and (finished or self._broken is not None)
        if parts:
            return parts[0] if len(parts) == 1 else b"".join(parts)
        if self._broken is not None:
            raise self._broken
        if finished:
            return b""
        raise BlockingIOError

    def _decrypt(self) -> tuple[list[bytes], bool]:
        """All that is there, and whether the peer has ended it."""
        parts: list[bytes] = []
        try:
            while self._broken is None:
                part = self._object.read(_RECORD)
                if not part:
                    return parts, True
                parts.append(part)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._broken = error.with_traceback(None)
        return parts, False

    def send(self, data: bytes | bytearray | memoryview) -> int:
        """How many bytes have left. Raises BlockingIOError until some have: call it again with the
        same bytes then."""
        if not self.ready:
            raise BlockingIOError
        if self._broken is not None:
            raise self._broken
        self._flush()
        if not self._taken and len(data):
            self._taken = self._encrypt(memoryview(data).cast("B"))
            self._flush()
        taken, self._taken = self._taken, 0
        return taken

    def _encrypt(self, data: memoryview) -> int:
        taken = 0
        try:
            while taken < len(data) and taken < _CHUNK:
                taken += self._object.write(data[taken : taken + _RECORD])
        except ssl.SSLWantReadError:
            self.waits_for_input = True
        if not taken:
            raise BlockingIOError
        return taken

    def end(self) -> bool:
        """Say properly that we send no more; True once that has left."""
        if not self._ended:
            self._ended = True
            with suppress(ssl.SSLError):  # that the peer has not ended its side yet, mostly
                self._object.unwrap()
        return self._flushed()

    def shutdown(self, how: int) -> None:
        self._sock.shutdown(how)

    def close(self) -> None:
        """Close the plain socket; without a proper end, if end() has not been called."""
        self._sock.close()

    def fileno(self) -> int:
        return self._sock.fileno()

    def getpeername(self) -> object:
        return self._sock.getpeername()

    def getsockname(self) -> object:
        return self._sock.getsockname()

    def setsockopt(self, level: int, option: int, value: int) -> None:
        self._sock.setsockopt(level, option, value)

    # ---- the way out

    def flush(self) -> bool:
        """Send what is encrypted; False if the plain socket does not take all of it. Raises
        OSError."""
        return self._flushed()

    def _flush(self) -> None:
        while self._unsent or self._outgoing.pending:
            if not self._unsent:
                self._unsent = memoryview(self._outgoing.read())
            self._unsent = self._unsent[self._sock.send(self._unsent) :]

    def _flushed(self) -> bool:
        try:
            self._flush()
        except BlockingIOError:
            return False
        return True

    def _flush_if_possible(self) -> None:
        with suppress(OSError):  # not now, or never: whoever sends or reads next finds out
            self._flush()
