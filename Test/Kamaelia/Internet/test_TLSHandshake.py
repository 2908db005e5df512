"""The handshake as a component: how it goes is said, and what it leaves behind is nothing."""

import socket
import ssl

import pytest

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import FakeClock
from Kamaelia.Internet.TLSHandshake import TLSHandshake
from Kamaelia.Internet.TLSSocket import TLSInfo, TLSSocket
from Test.Kamaelia import tls
from Test.Kamaelia.network import Script, Silent, World, reset
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {TLSHandshake: Ends(None, why="it needs a socket: see the tests of its ends here")}


def start(world: World, **settings: float) -> tuple[TLSHandshake, socket.socket, Silent]:
    """A server's handshake, its client's socket, and what hears of it."""
    ours, theirs = world.tcp_pair()
    ours.setblocking(False)
    handshake = TLSHandshake(TLSSocket(ours, tls.server_context(), server_side=True), **settings)
    owner = Silent()
    owner.link((handshake, "outbox"), (owner, "inbox"))
    owner.link((handshake, "signal"), (owner, "control"))
    world.run(owner, handshake)
    world.keep(ours)
    return handshake, theirs, owner


def outcome(world: World, handshake: TLSHandshake, owner: Silent) -> Script:
    yield from world.until(lambda: handshake not in world.scheduler.threads)
    assert not world.waiter.busy
    return owner.recv("inbox") if owner.dataReady("inbox") else None


def test_what_was_agreed_on_is_said_and_the_socket_is_left_open(world: World) -> None:
    def script() -> Script:
        handshake, plain, owner = start(world)
        peer = yield from tls.secured(world, plain)
        assert isinstance((yield from outcome(world, handshake, owner)), TLSInfo)
        assert handshake.succeeded
        assert isinstance(owner.recv("control"), producerFinished)
        handshake._socket.send(b"hello")
        assert (yield from tls.receive(peer, 5)) == b"hello"

    world.play(script())


@pytest.mark.parametrize("how", ["rubbish", "reset", "end"])
def test_an_error_is_said_and_the_socket_is_closed(world: World, how: str) -> None:
    def script() -> Script:
        handshake, plain, owner = start(world)
        yield from world.settle()
        if how == "rubbish":
            plain.sendall(b"EHLO example.org\r\n")
        elif how == "reset":
            reset(plain)
        else:
            plain.close()
        error = yield from outcome(world, handshake, owner)
        kind = ConnectionResetError if how == "reset" else ssl.SSLError
        assert isinstance(error, kind)
        assert error is handshake.error
        assert handshake._socket.fileno() == -1

    world.play(script())


def test_the_client_is_told_what_is_wrong(world: World) -> None:
    def script() -> Script:
        ours, theirs = world.tcp_pair()
        ours.setblocking(False)
        client = TLSSocket(ours, tls.client_context(), server_hostname="other.example.org")
        world.run(TLSHandshake(client))
        with pytest.raises(ssl.SSLError, match="alert"):
            yield from tls.shake_hands(tls.wrap(world, theirs, tls.server_context()))

    world.play(script())


def test_a_peer_that_is_too_slow_is_given_up(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        handshake, plain, owner = start(world, timeout=10.0)
        hello = tls.wrap(world, plain, tls.client_context())
        with pytest.raises(ssl.SSLWantReadError):
            hello.do_handshake()  # it begins, and never goes on
        yield from world.settle()
        clock.advance(9)
        yield from world.settle()
        assert handshake in world.scheduler.threads
        clock.advance(1)
        error = yield from outcome(world, handshake, owner)
        assert isinstance(error, TimeoutError)
        assert "10 seconds" in str(error)

    world.play(script())


@pytest.mark.parametrize("kind", [producerFinished, shutdownMicroprocess])
def test_told_to_stop_it_gives_up_and_passes_that_on(
    world: World, kind: type[producerFinished] | type[shutdownMicroprocess]
) -> None:
    def script() -> Script:
        handshake, plain, owner = start(world)
        yield from world.settle()
        message = kind()
        handshake.inboxes["control"].deliver(message)
        assert (yield from outcome(world, handshake, owner)) is None
        assert owner.recv("control") is message
        assert (yield from world.receive_all(plain)) == b""

    world.play(script())


def test_it_waits_for_room_to_say_how_it_went(world: World) -> None:
    def script() -> Script:
        handshake, plain, owner = start(world)
        owner.setInboxSize("inbox", 1)
        owner.inboxes["inbox"].deliver("something else")
        yield from tls.secured(world, plain)
        yield from world.settle()
        assert handshake in world.scheduler.threads
        assert owner.recv("inbox") == "something else"
        assert isinstance((yield from outcome(world, handshake, owner)), TLSInfo)

    world.play(script())


def test_a_peer_that_does_not_read_costs_no_turns(real_time_world: World) -> None:
    world = real_time_world

    def script() -> Script:
        ours, _theirs = world.tcp_pair(receive_buffer=4096)
        ours.setblocking(False)
        encrypted = TLSSocket(ours, tls.server_context(), server_side=True, first=bytes(16 << 20))
        handshake = TLSHandshake(encrypted)
        world.run(handshake)
        yield from world.settle()
        waits = world.waiter.waits
        yield from world.rest(0.2)
        assert world.waiter.waits - waits < 30
        assert encrypted.blocked

    world.play(script())
