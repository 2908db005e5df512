"""
What tests of encrypted connections share: an authority that signs, and the peer's side of TLS.

The peers are Python's own SSLSocket, in the same thread, as scripts of a World (see network.py).
"""

import datetime
import socket
import ssl
from contextlib import suppress
from functools import cache

import trustme

from Test.Kamaelia.network import Script, World

NAME = "mail.example.org"
LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


@cache
def authority() -> trustme.CA:
    return trustme.CA()


@cache
def certificate(*names: str, expired: bool = False) -> trustme.LeafCert:
    """Signed by the authority; for the tests' host name and 127.0.0.1 if no names are given."""
    until = LONG_AGO if expired else None
    return authority().issue_cert(*(names or (NAME, "127.0.0.1")), not_after=until)


def server_context(*names: str, expired: bool = False) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate(*names, expired=expired).configure_cert(context)
    return context


def client_context(trusting: trustme.CA | None = None) -> ssl.SSLContext:
    """Checks names and certificates, and trusts the tests' authority only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Some Pythons, such as Debian 12's, would take a connection that was cut for one that ended.
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    (trusting or authority()).configure_trust(context)
    return context


def limited_to(version: ssl.TLSVersion, context: ssl.SSLContext) -> ssl.SSLContext:
    context.minimum_version = context.maximum_version = version
    return context


def wrap(
    world: World, sock: socket.socket, context: ssl.SSLContext, name: str | None = NAME
) -> ssl.SSLSocket:
    """The peer's end, before its handshake."""
    server_side = context.protocol == ssl.PROTOCOL_TLS_SERVER
    # What is sent in two pieces is to arrive at once, and not the second after 40 ms.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    wrapped = context.wrap_socket(
        sock,
        server_side=server_side,
        server_hostname=None if server_side else name,
        do_handshake_on_connect=False,
        suppress_ragged_eofs=False,
    )
    wrapped.setblocking(False)
    world.keep(wrapped)
    return wrapped


def shake_hands(peer: ssl.SSLSocket) -> Script:
    while True:
        try:
            peer.do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            yield 1
        else:
            return


def secured(
    world: World, sock: socket.socket, context: ssl.SSLContext | None = None, name: str = NAME
) -> Script:
    """The peer's end, after its handshake."""
    peer = wrap(world, sock, context or client_context(), name)
    yield from shake_hands(peer)
    return peer


def receive(peer: ssl.SSLSocket, count: int) -> Script:
    """The next so many bytes; fewer if the other end ends TLS. Raises ssl.SSLEOFError if it is cut
    off."""
    parts: list[bytes] = []
    while count:
        try:
            part = peer.recv(min(count, 1 << 20))
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            yield 1
            continue
        except ssl.SSLZeroReturnError:
            break
        if not part:
            break
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def receive_all(peer: ssl.SSLSocket) -> Script:
    return (yield from receive(peer, 1 << 40))


def send_all(peer: ssl.SSLSocket, data: bytes) -> Script:
    view = memoryview(data)
    while view:
        try:
            view = view[peer.send(view[:65_536]) :]
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            yield 1


def end(peer: ssl.SSLSocket) -> None:
    """Say that there is no more, without waiting for the other end to say it."""
    with suppress(ssl.SSLError):
        peer.unwrap()
