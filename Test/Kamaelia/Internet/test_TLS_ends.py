"""An encrypted connection: every way in which it ends, and what is left then: nothing."""

import gc
import logging
import socket
import ssl
import weakref

import pytest

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import FakeClock
from Kamaelia.Internet.SendQueue import unread_bytes
from Test.Kamaelia import tls
from Test.Kamaelia.network import (
    Script,
    World,
    open_files,
    pattern,
    reset,
    send_to,
    taken,
    tell,
)
from Test.Kamaelia.tls_adapter import open_one, over, server_side

MIB = 1 << 20


def test_all_is_sent_then_tls_is_ended_then_the_connection(world: World) -> None:
    def script() -> Script:
        adapter, peer, owner = yield from open_one(world, receive_buffer=4096)
        data = pattern(5 * MIB)
        send_to(adapter, data)
        tell(adapter, producerFinished())
        assert (yield from tls.receive_all(peer)) == data  # a cut would be an error
        assert (yield from over(world, owner)) is None

    world.play(script())


def test_what_waits_for_the_handshake_is_sent_before_the_end(world: World) -> None:
    def script() -> Script:
        adapter, plain, owner = server_side(world)
        send_to(adapter, b"last words")
        tell(adapter, producerFinished())
        yield from world.settle()
        peer = yield from tls.secured(world, plain)
        assert (yield from tls.receive_all(peer)) == b"last words"
        assert (yield from over(world, owner)) is None

    world.play(script())


def test_when_the_peer_ends_its_side_ours_is_still_heard(world: World) -> None:
    def script() -> Script:
        adapter, peer, owner = yield from open_one(world)
        peer.send(b"my last")
        tls.end(peer)
        yield from world.until(lambda: owner.dataReady("control"))
        told = owner.recv("control")
        assert told.message == [adapter.sock, None]
        assert taken(owner) == [b"my last"]
        send_to(adapter, b"and mine")
        tell(adapter, producerFinished())
        received = yield from world.receive_all(world.keep(peer_below(peer)))
        assert received  # encrypted: Python's own peer reads nothing after it has ended
        yield from world.until(lambda: adapter.closed)
        assert adapter.reason is None

    world.play(script())


def peer_below(peer: ssl.SSLSocket) -> socket.socket:
    return socket.socket(fileno=peer.detach())


@pytest.mark.parametrize("waiting", [8 * MIB, 0])
def test_a_half_closed_connection_costs_no_turns(real_time_world: World, waiting: int) -> None:
    world = real_time_world

    def script() -> Script:
        adapter, peer, owner = yield from open_one(world, receive_buffer=4096)
        send_to(adapter, pattern(waiting))
        tls.end(peer)
        yield from world.until(lambda: owner.dataReady("control"))
        yield from world.settle()
        waits = world.waiter.waits
        yield from world.rest(0.2)
        assert world.waiter.waits - waits < 30  # the kernel moves some; spinning is thousands

    world.play(script())


def test_a_connection_that_is_cut_off_says_so_after_its_data(world: World) -> None:
    def script() -> Script:
        _adapter, peer, owner = yield from open_one(world)
        peer.send(b"the first half of")
        peer.shutdown(socket.SHUT_WR)  # of the plain socket: TLS is not ended
        reason = yield from over(world, owner)
        assert isinstance(reason, ssl.SSLEOFError)
        assert taken(owner) == [b"the first half of"]

    world.play(script())


def test_it_does_not_matter_how_the_peer_leaves_once_we_have_finished(world: World) -> None:
    def script() -> Script:
        adapter, peer, owner = yield from open_one(world, receive_buffer=4096)
        data = pattern(2 * MIB)
        send_to(adapter, data)
        tell(adapter, producerFinished())
        yield from world.until(lambda: adapter.state.name == "FLUSHING")
        peer_plain = peer_below(peer)
        world.keep(peer_plain)
        peer_plain.shutdown(socket.SHUT_WR)
        received = yield from world.receive_all(peer_plain)
        assert len(received) > len(data)
        assert (yield from over(world, owner)) is None

    world.play(script())


def test_a_shutdown_drops_what_waits_and_does_not_pretend_that_it_was_all(world: World) -> None:
    def script() -> Script:
        adapter, peer, owner = yield from open_one(world, receive_buffer=4096)
        send_to(adapter, pattern(16 * MIB))
        tell(adapter, shutdownMicroprocess())
        with pytest.raises((ssl.SSLError, ConnectionResetError)):  # the first of older Pythons, too
            yield from tls.receive_all(peer)
        assert (yield from over(world, owner)) == "shut down"

    world.play(script())


def test_a_shutdown_with_nothing_waiting_ends_tls_properly(world: World) -> None:
    def script() -> Script:
        adapter, peer, _owner = yield from open_one(world)
        tell(adapter, shutdownMicroprocess())
        assert (yield from tls.receive_all(peer)) == b""

    world.play(script())


@pytest.mark.parametrize("sending", [True, False])
def test_a_reset_ends_it_and_the_reason_is_told(world: World, sending: bool) -> None:
    def script() -> Script:
        adapter, peer, owner = yield from open_one(world, receive_buffer=4096)
        if sending:
            send_to(adapter, pattern(8 * MIB))
        reset(peer)
        assert isinstance((yield from over(world, owner)), ConnectionResetError)

    world.play(script())


def test_bytes_that_are_no_tls_end_it(world: World) -> None:
    def script() -> Script:
        _adapter, peer, owner = yield from open_one(world)
        plain = world.keep(peer_below(peer))
        plain.sendall(b"this is no record at all\r\n")
        assert isinstance((yield from over(world, owner)), ssl.SSLError)
        assert taken(owner) == []

    world.play(script())


@pytest.mark.parametrize("what", ["reset", "end", "shutdown", "stop", "time", "half"])
def test_each_way_in_which_a_handshake_does_not_end_ends_it(
    world: World, clock: FakeClock, what: str
) -> None:
    def script() -> Script:
        adapter, plain, owner = server_side(world)
        yield from world.settle()
        kind: type[Exception] | None = None
        if what == "reset":
            reset(plain)
            kind = ConnectionResetError
        elif what == "end":
            plain.shutdown(socket.SHUT_WR)
            kind = ssl.SSLEOFError
        elif what == "half":
            hello = tls.wrap(world, plain, tls.client_context())
            with pytest.raises(ssl.SSLWantReadError):
                hello.do_handshake()
            yield from world.settle()
            hello.close()
            kind = ssl.SSLEOFError
        elif what == "time":
            clock.advance(adapter.handshake_timeout - 1)
            yield from world.settle()
            assert not adapter.closed
            clock.advance(1)
            kind = TimeoutError
        elif what == "shutdown":
            tell(adapter, shutdownMicroprocess())
        else:
            adapter.stop()
        reason = yield from over(world, owner)
        if kind is None:
            assert reason in ("shut down", "stopped")
        elif what == "half":
            assert isinstance(reason, kind | ConnectionResetError)  # the kernel's answer to bytes
        else:
            assert isinstance(reason, kind)

    world.play(script())


@pytest.mark.parametrize("way", ["end of the peer", "reset", "finish", "stop", "handshake"])
def test_nothing_is_left_and_no_collector_is_needed(world: World, way: str) -> None:
    def script() -> Script:
        before = open_files()
        if way == "handshake":
            adapter, peer, owner = server_side(world)
            yield from world.settle()
            peer.close()
        else:
            adapter, peer, owner = yield from open_one(world)
        if way == "end of the peer":
            tls.end(peer)
            yield from world.until(lambda: owner.dataReady("control"))
            tell(adapter, producerFinished())
        elif way == "reset":
            reset(peer)
        elif way == "finish":
            tell(adapter, producerFinished())
        elif way == "stop":
            adapter.stop()
        while adapter in world.scheduler.threads:
            yield 1
        peer.close()
        yield from world.settle()
        assert open_files() == before
        assert not world.waiter.busy
        taken(owner, "control")
        owner.postoffice.unlinkAll()
        gone = weakref.ref(adapter)
        del adapter
        yield from world.settle()
        assert gone() is None

    tls.server_context(), tls.client_context()
    gc.collect()
    gc.disable()
    try:
        world.play(script())
    finally:
        gc.enable()


def test_no_log_line_for_an_ordinary_life(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    def script() -> Script:
        adapter, peer, owner = yield from open_one(world)
        send_to(adapter, b"hello")
        tls.end(peer)
        yield from world.until(lambda: owner.dataReady("control"))
        tell(adapter, producerFinished())
        yield from world.until(lambda: adapter.closed)

    world.play(script())
    assert not caplog.records


def test_a_finish_in_the_handshake_waits_for_it_and_ends_properly(world: World) -> None:
    def script() -> Script:
        adapter, plain, owner = server_side(world)
        yield from world.settle()
        tell(adapter, producerFinished())
        yield from world.settle()
        assert not adapter.closed
        peer = yield from tls.secured(world, plain)
        assert (yield from tls.receive_all(peer)) == b""
        assert (yield from over(world, owner)) is None

    world.play(script())


def test_a_finish_with_nothing_left_to_say_to_a_peer_that_is_gone(world: World) -> None:
    def script() -> Script:
        adapter, peer, owner = yield from open_one(world)
        yield from world.settle()
        reset(peer)
        tell(adapter, producerFinished())  # before anybody looked at the socket
        yield from over(world, owner)

    world.play(script())


class Stingy:
    """A socket that takes nothing for a while."""

    def __init__(self, real: socket.socket, refusals: int) -> None:
        self.real, self.refusals = real, refusals

    def send(self, data: memoryview) -> int:
        if self.refusals:
            self.refusals -= 1
            raise BlockingIOError
        return self.real.send(data)

    def __getattr__(self, name: str) -> object:
        return getattr(self.real, name)


def test_the_end_itself_waits_for_a_socket_that_is_full(world: World) -> None:
    def script() -> Script:
        adapter, peer, owner = yield from open_one(world)
        adapter.sock._sock = Stingy(adapter.sock._sock, 2)
        tell(adapter, producerFinished())
        assert (yield from tls.receive_all(peer)) == b""
        assert (yield from over(world, owner)) is None

    world.play(script())


def test_a_handshake_that_somebody_stops_ends_it(world: World) -> None:
    def script() -> Script:
        adapter, _plain, owner = server_side(world)
        yield from world.settle()
        (handshake,) = adapter.children
        handshake.stop()
        assert (yield from over(world, owner)) == "stopped"

    world.play(script())


def test_a_hang_up_while_the_receiver_is_full_does_not_spin_and_is_told_later(
    real_time_world: World,
) -> None:
    world = real_time_world

    def script() -> Script:
        adapter, peer, owner = yield from open_one(world)
        owner.setInboxSize("inbox", 1)
        peer.send(b"x")
        yield from world.until(lambda: owner.dataReady("inbox"))
        peer.send(b"y")
        yield from world.until(lambda: adapter._held)
        reset(peer)
        yield from world.settle()
        waits = world.waiter.waits
        yield from world.rest(0.2)
        assert world.waiter.waits - waits < 5
        assert not owner.dataReady("control")
        assert owner.recv("inbox") == b"x"
        yield from world.until(lambda: owner.dataReady("inbox"))
        assert owner.recv("inbox") == b"y"
        assert isinstance((yield from over(world, owner)), ConnectionResetError)

    world.play(script())


def test_what_waits_cannot_be_taken_back_since_part_of_it_may_be_encrypted(world: World) -> None:
    def script() -> Script:
        adapter, _peer, owner = yield from open_one(world, receive_buffer=4096)
        send_to(adapter, pattern(8 * MIB))
        with pytest.raises(IndexError, match="encrypted"):
            adapter.link((adapter, "inbox"), (owner, "inbox"), passthrough=1)

    world.play(script())


def test_it_can_be_looked_at(world: World) -> None:
    def script() -> Script:
        adapter, _peer, _owner = yield from open_one(world, receive_buffer=4096)
        send_to(adapter, pattern(8 * MIB))
        assert "memory" in str(adapter)

    world.play(script())


class Answering:
    """An SSLObject that answers whatever comes with far more, as one does whose peer asks for new
    keys again and again; nothing of what comes is data."""

    def __init__(self, real: ssl.SSLObject) -> None:
        self.real = real

    def read(self, size: int) -> bytes:
        self.real.read(size)
        self.real.write(bytes(100_000))
        raise ssl.SSLWantReadError

    def __getattr__(self, name: str) -> object:
        return getattr(self.real, name)


def test_what_the_protocol_itself_answers_does_not_pile_up_for_one_who_does_not_read(
    world: World,
) -> None:
    def script() -> Script:
        adapter, peer, _ = yield from open_one(world, receive_buffer=4096)
        encrypted = adapter.sock
        encrypted._object = Answering(encrypted._object)
        for _ in range(200):
            peer.send(b"again")
            yield from world.settle()
        assert encrypted.congested
        assert len(encrypted._unsent) + encrypted._outgoing.pending < MIB
        assert unread_bytes(encrypted) > 0
        while encrypted.congested:
            yield from tls.receive(peer, 65_536)
        yield from world.until(lambda: unread_bytes(encrypted) == 0)

    world.play(script())
