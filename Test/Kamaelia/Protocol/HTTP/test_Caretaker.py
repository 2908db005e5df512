"""What is left of an HTTP connection when it has ended, however it did: nothing."""

import gc
import weakref

import pytest

from Axon.Component import component
from Kamaelia.Protocol.EchoProtocol import EchoProtocol
from Kamaelia.Protocol.HTTP.EventStream import EventStream
from Kamaelia.Protocol.HTTP.HTTPServer import HTTPProtocol
from Kamaelia.Protocol.HTTP.WebSocket import WebSocketProtocol
from Kamaelia.Support.Protocol.HTTP.Messages import Request
from Test.Kamaelia.network import Script, World, reset
from Test.Kamaelia.Protocol.HTTP.handlers import Says, Waits, get

UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)


def feed(_: Request) -> component:
    return EventStream(Waits())


def page(_: Request) -> component:
    return Says({"data": "x", "complete": True})


def talk(_: Request) -> component:
    return EchoProtocol()


@pytest.mark.parametrize("rude", [False, True])
@pytest.mark.parametrize(
    "asked",
    [get("/"), get("/feed"), get("/ws", *UPGRADE), b"nonsense\r\n\r\n"],
    ids=["answered", "a feed", "a WebSocket", "refused"],
)
def test_nothing_waits_for_the_garbage_collector(world: World, asked: bytes, rude: bool) -> None:
    protocol = HTTPProtocol([["/feed", feed], ["/ws", WebSocketProtocol(talk)], ["/", page]])
    made: list[weakref.ref[component]] = []

    def noted(**peer: object) -> component:
        connection = protocol(**peer)
        made.append(weakref.ref(connection))
        return connection

    def script() -> Script:
        server = world.serve(noted)
        client = world.connect(server)
        client.sendall(asked)
        yield from world.receive(client, 10)
        (reset if rude else type(client).close)(client)
        yield from world.until(lambda: server.connections == 0)
        yield from world.settle()
        assert [connection() for connection in made] == [None]

    gc.collect()
    gc.disable()
    try:
        world.play(script())
    finally:
        gc.enable()
