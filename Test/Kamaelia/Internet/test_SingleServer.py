"""A server that is one connection: the first client's, then the next one's."""

import socket

import pytest

from Axon.AxonExceptions import noSpaceInBox
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Kamaelia.Chassis.Pipeline import Pipeline
from Kamaelia.Internet.SingleServer import FastRestartSingleServer, SingleServer, echo
from Test.Kamaelia import tls
from Test.Kamaelia.network import Script, Silent, World, open_files, pattern, reset
from Test.Kamaelia.shutdown import Ends

MIB = 1 << 20
_WHY = "it binds a port, and there are none in virtual time: its ends are tested here"
SHUTDOWN = {
    SingleServer: Ends(None, why=_WHY),
    FastRestartSingleServer: Ends(None, why=_WHY),
    echo: Ends(echo),
}


def start(world: World, **settings: object) -> tuple[SingleServer, Silent]:
    server = SingleServer(port=0, host="127.0.0.1", **settings)
    owner = Silent()
    owner.link((server, "outbox"), (owner, "inbox"))
    owner.link((server, "signal"), (owner, "control"))
    world.run(owner, server)
    return server, owner


def put(server: SingleServer, data: object) -> None:
    server.inboxes["inbox"].deliver(data)


def tell(server: SingleServer, message: object) -> None:
    server.inboxes["control"].deliver(message)


def heard(world: World, owner: Silent, count: int) -> Script:
    """The next so many bytes that a client sent."""
    came = b""
    while len(came) < count:
        came += b"".join(owner.Inbox("inbox"))
        yield 1
    return came


def left(world: World, owner: Silent) -> Script:
    """What is said when the client has left."""
    yield from world.until(lambda: owner.dataReady("control"))
    return owner.recv("control")


def ended(world: World, server: SingleServer) -> Script:
    yield from world.until(lambda: server not in world.scheduler.threads)
    yield from world.settle()
    assert not world.waiter.busy


def test_it_is_its_client_s_connection(world: World) -> None:
    def script() -> Script:
        server, owner = start(world)
        client = world.connect(server.address)
        client.sendall(b"hello")
        assert (yield from heard(world, owner, 5)) == b"hello"
        put(server, b"you too")
        assert (yield from world.receive(client, 7)) == b"you too"

    world.play(script())


def test_messages_that_come_before_the_client_wait_for_it(world: World) -> None:
    def script() -> Script:
        server, _owner = start(world)
        put(server, b"one")
        put(server, b"two")
        client = world.connect(server.address)
        assert (yield from world.receive(client, 6)) == b"onetwo"

    world.play(script())


def test_a_second_client_is_turned_away_and_the_next_is_served(world: World) -> None:
    def script() -> Script:
        server, owner = start(world)
        first = world.connect(server.address)
        first.sendall(b"first")
        assert (yield from heard(world, owner, 5)) == b"first"
        second = world.connect(server.address)
        assert (yield from world.receive_all(second)) == b""
        put(server, b"still yours")
        assert (yield from world.receive(first, 11)) == b"still yours"
        first.close()
        told = yield from left(world, owner)
        assert isinstance(told, producerFinished)
        assert told.caller is server
        assert told.message is None
        third = world.connect(server.address)
        third.sendall(b"third")
        assert (yield from heard(world, owner, 5)) == b"third"
        put(server, b"yours")
        assert (yield from world.receive(third, 5)) == b"yours"

    world.play(script())


@pytest.mark.parametrize("sending", [True, False])
def test_a_client_that_resets_is_told_and_the_next_is_served(world: World, sending: bool) -> None:
    def script() -> Script:
        server, owner = start(world)
        client = world.connect(server.address)
        client.sendall(b"x")
        yield from heard(world, owner, 1)
        if sending:
            put(server, bytes(16 * MIB))
        reset(client)
        told = yield from left(world, owner)
        assert isinstance(told.message, ConnectionResetError)
        again = world.connect(server.address)
        again.sendall(b"again")
        assert (yield from heard(world, owner, 5)) == b"again"

    world.play(script())


def test_what_comes_while_nobody_is_there_is_the_next_client_s(world: World) -> None:
    def script() -> Script:
        server, owner = start(world)
        world.connect(server.address).close()
        yield from left(world, owner)
        put(server, b"for the next")
        client = world.connect(server.address)
        assert (yield from world.receive(client, 12)) == b"for the next"

    world.play(script())


def test_a_bounded_inbox_holds_the_sender_back_before_and_after(world: World) -> None:
    def script() -> Script:
        server, _owner = start(world, inbox_limit=2)
        put(server, bytes(4 * MIB))
        put(server, bytes(4 * MIB))
        with pytest.raises(noSpaceInBox):
            put(server, b"x")
        client = world.connect(server.address)
        yield from world.until(lambda: not server.dataReady("inbox"))
        while len(server._client.inboxes["inbox"]) < 2:  # type: ignore[union-attr]
            put(server, bytes(MIB))
            yield 1
        with pytest.raises(noSpaceInBox):
            put(server, b"x")
        yield from world.receive(client, 8 * MIB)
        yield from world.until(lambda: len(server._client.inboxes["inbox"]) < 2)  # type: ignore[union-attr]
        put(server, b"x")

    world.play(script())


def test_a_receiver_that_does_not_read_holds_the_client_back(world: World) -> None:
    def script() -> Script:
        server, owner = start(world)
        owner.setInboxSize("inbox", 2)
        client = world.connect(server.address)
        sent = yield from world.fill(client, limit=64 * MIB)
        assert sent < 64 * MIB
        assert owner.dataReady("inbox") == 2

    world.play(script())


def test_a_finish_sends_all_that_waits_and_ends_it(world: World) -> None:
    def script() -> Script:
        server, owner = start(world)
        client = world.connect(server.address)
        client.sendall(b"x")
        yield from heard(world, owner, 1)
        data = pattern(8 * MIB)
        put(server, data)
        stop = producerFinished()
        tell(server, stop)
        assert (yield from world.receive_all(client)) == data
        assert (yield from left(world, owner)) is stop
        assert not owner.dataReady("control")
        yield from ended(world, server)

    world.play(script())


def test_a_finish_waits_for_the_client_if_something_waits_for_it(world: World) -> None:
    def script() -> Script:
        server, owner = start(world)
        put(server, b"for somebody")
        stop = producerFinished()
        tell(server, stop)
        yield from world.settle()
        assert server in world.scheduler.threads
        assert (yield from world.receive_all(world.connect(server.address))) == b"for somebody"
        assert (yield from left(world, owner)) is stop
        yield from ended(world, server)

    world.play(script())


def test_a_finish_with_nothing_to_do_ends_it(world: World) -> None:
    def script() -> Script:
        server, owner = start(world)
        stop = producerFinished()
        tell(server, stop)
        assert (yield from left(world, owner)) is stop
        yield from ended(world, server)

    world.play(script())


@pytest.mark.parametrize("connected", [True, False])
def test_a_shutdown_ends_it_at_once(world: World, connected: bool) -> None:
    def script() -> Script:
        server, owner = start(world)
        address = server.address
        client: socket.socket | None = None
        if connected:
            client = world.connect(address)
            client.sendall(b"x")
            yield from heard(world, owner, 1)
        put(server, bytes(16 * MIB))
        stop = shutdownMicroprocess()
        tell(server, stop)
        assert (yield from left(world, owner)) is stop
        yield from ended(world, server)
        with pytest.raises(ConnectionRefusedError):
            world.connect(address)
        if client is not None:
            assert len((yield from world.receive_all(client))) < 16 * MIB

    world.play(script())


def test_stop_closes_the_port_and_the_connection(world: World) -> None:
    def script() -> Script:
        before = open_files()
        server, owner = start(world)
        client = world.connect(server.address)
        client.sendall(b"x")
        yield from heard(world, owner, 1)
        server.stop()
        assert (yield from world.receive_all(client)) == b""
        yield from ended(world, server)
        client.close()
        assert open_files() == before

    world.play(script())


def test_with_an_echo_in_a_circle_it_serves_one_client_and_ends(world: World) -> None:
    def script() -> Script:
        server = FastRestartSingleServer(port=0, host="127.0.0.1")
        world.run(server, Pipeline(server, echo(), circular=True))
        client = world.connect(server.address)
        client.sendall(b"hello")
        assert (yield from world.receive(client, 5)) == b"hello"
        client.close()
        yield from ended(world, server)

    world.play(script())


def test_it_may_encrypt(world: World) -> None:
    def script() -> Script:
        server, owner = start(world, tls=tls.server_context())
        client = yield from tls.secured(world, world.connect(server.address))
        yield from tls.send_all(client, b"hello")
        assert (yield from heard(world, owner, 5)) == b"hello"

    world.play(script())


def test_a_port_in_use_is_an_error_for_whoever_activates_it(world: World) -> None:
    def script() -> Script:
        server, _owner = start(world)
        with pytest.raises(OSError, match="in use"):
            SingleServer(port=server.address[1], host="127.0.0.1").activate(world.scheduler)
        yield 1

    world.play(script())


def test_its_address_is_known_once_it_is_active() -> None:
    with pytest.raises(RuntimeError, match="not active"):
        _ = SingleServer().address


def test_an_idle_one_costs_no_turns(real_time_world: World) -> None:
    world = real_time_world

    def script() -> Script:
        server, owner = start(world)
        client = world.connect(server.address)
        client.sendall(b"x")
        yield from heard(world, owner, 1)
        yield from world.settle()
        waits = world.waiter.waits
        yield from world.rest(0.2)
        assert world.waiter.waits - waits < 5

    world.play(script())
