"""What tests of an encrypted ConnectedSocketAdapter share."""

import socket

from Kamaelia.Internet.ConnectedSocketAdapter import ConnectedSocketAdapter
from Kamaelia.Internet.TLSSocket import TLSSocket
from Kamaelia.IPC import shutdownCSA, socketShutdown
from Test.Kamaelia import tls
from Test.Kamaelia.network import Script, Silent, World, taken


def ask(adapter: ConnectedSocketAdapter, message: object) -> None:
    adapter.inboxes["makessl"].deliver(message)


def server_side(
    world: World, receive_buffer: int | None = None, **settings: object
) -> tuple[ConnectedSocketAdapter, socket.socket, Silent]:
    """An adapter that was asked to be a server, and the socket of its client."""
    adapter, peer, owner = world.adapter(receive_buffer=receive_buffer, **settings)
    ask(adapter, tls.server_context())
    return adapter, peer, owner


def open_one(
    world: World, receive_buffer: int | None = None, **settings: object
) -> Script:  # -> adapter, peer, owner
    """The same, when the handshake is over on both sides."""
    adapter, plain, owner = server_side(world, receive_buffer, **settings)
    peer = yield from tls.secured(world, plain)
    yield from world.until(lambda: ready(adapter))
    return adapter, peer, owner


def ready(adapter: ConnectedSocketAdapter) -> bool:
    return isinstance(adapter.sock, TLSSocket) and adapter.sock.ready


def over(world: World, owner: Silent) -> Script:
    """What the adapter said when the peer had finished."""
    yield from world.until(lambda: owner.dataReady("control") == 2)
    lost, end = taken(owner, "control")
    assert isinstance(lost, socketShutdown)
    assert isinstance(end, shutdownCSA)
    return lost.message[1]
