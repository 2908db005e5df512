"""One socket as a component: every way in which it ends, and what is left then: nothing."""

import gc
import logging
import socket
import weakref

import pytest

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import FakeClock
from Kamaelia.Internet.ConnectedSocketAdapter import (
    LINGER_SECONDS,
)
from Kamaelia.IPC import shutdownCSA, socketShutdown
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

MIB = 1 << 20


# ---- the peer ends


def test_the_peer_s_end_is_told_and_what_we_send_still_reaches_it(world: World) -> None:
    def script() -> Script:
        adapter, peer, owner = world.adapter()
        peer.sendall(b"my last")
        peer.shutdown(socket.SHUT_WR)
        yield from world.until(lambda: owner.dataReady("control"))
        told = owner.recv("control")
        assert isinstance(told, socketShutdown)
        assert told.caller is adapter
        assert told.message == [adapter.sock, None]
        assert taken(owner) == [b"my last"]
        send_to(adapter, b"and mine")
        tell(adapter, producerFinished())
        assert (yield from world.receive_all(peer)) == b"and mine"
        yield from world.until(lambda: owner.dataReady("control"))
        (over,) = taken(owner, "control")
        assert isinstance(over, shutdownCSA)
        assert over.object == (adapter, adapter.sock)
        assert adapter.reason is None

    world.play(script())


@pytest.mark.parametrize("waiting", [8 * MIB, 0])
def test_a_half_closed_connection_costs_no_turns(real_time_world: World, waiting: int) -> None:
    world = real_time_world

    def script() -> Script:
        adapter, peer, owner = world.adapter(receive_buffer=4096)
        send_to(adapter, pattern(waiting))
        peer.shutdown(socket.SHUT_WR)
        yield from world.until(lambda: owner.dataReady("control"))
        yield from world.settle()
        waits = world.waiter.waits
        yield from world.rest(0.2)
        assert world.waiter.waits - waits < 5
        assert (yield from world.receive(peer, waiting)) == pattern(waiting)

    world.play(script())


def test_our_side_may_not_take_for_ever_to_finish_after_the_peer(
    world: World, clock: FakeClock
) -> None:
    def script() -> Script:
        adapter, peer, owner = world.adapter()
        peer.shutdown(socket.SHUT_WR)
        yield from world.until(lambda: owner.dataReady("control"))
        clock.advance(adapter.half_close_timeout - 1)
        yield from world.settle()
        assert not adapter.closed
        clock.advance(1)
        yield from world.until(lambda: adapter.closed)
        assert adapter.reason == "our side did not finish after the peer had"
        assert (yield from world.receive_all(peer)) == b""

    world.play(script())


def test_a_peer_that_closes_while_we_send_ends_the_connection(world: World) -> None:
    def script() -> Script:
        adapter, peer, owner = world.adapter(receive_buffer=4096)
        send_to(adapter, pattern(8 * MIB))
        peer.close()
        yield from world.until(lambda: owner.dataReady("control") == 2)
        lost, over = taken(owner, "control")
        assert isinstance(lost, socketShutdown)
        assert isinstance(over, shutdownCSA)
        assert adapter.closed
        assert len(adapter.inboxes["inbox"]) == 0

    world.play(script())


@pytest.mark.parametrize("sending", [True, False])
def test_a_reset_ends_the_connection_and_the_reason_is_told(world: World, sending: bool) -> None:
    def script() -> Script:
        adapter, peer, owner = world.adapter(receive_buffer=4096)
        yield from world.settle()
        if sending:
            send_to(adapter, pattern(8 * MIB))
        reset(peer)
        yield from world.until(lambda: owner.dataReady("control") == 2)
        lost, over = taken(owner, "control")
        assert isinstance(lost.message[1], ConnectionResetError)
        assert isinstance(over, shutdownCSA)
        send_to(adapter, b"too late")  # into the void, not an error

    world.play(script())


def test_a_send_into_a_connection_that_was_reset_ends_it_and_not_the_sender(world: World) -> None:
    def script() -> Script:
        adapter, peer, _owner = world.adapter()
        sender = component()
        sender.link((sender, "outbox"), (adapter, "inbox"))
        yield from world.settle()
        reset(peer)
        sender.send(b"x", "outbox")  # before anybody looked at the socket
        assert adapter.closed
        assert isinstance(adapter.reason, ConnectionResetError)
        sender.send(b"x", "outbox")

    world.play(script())


def test_what_the_peer_said_before_it_stopped_taking_is_still_heard(world: World) -> None:
    def script() -> Script:
        adapter, peer, owner = world.adapter()
        sender = component()
        sender.link((sender, "outbox"), (adapter, "inbox"))
        yield from world.settle()
        peer.sendall(b"552 we do not like the beginning\r\n")
        reset(peer)
        sender.send(b"the middle", "outbox")  # before anybody looked at the socket
        assert adapter.closed
        assert taken(owner, "inbox") == [b"552 we do not like the beginning\r\n"]

    world.play(script())


# ---- we end


def test_a_shutdown_closes_at_once_and_drops_what_waits(world: World) -> None:
    def script() -> Script:
        adapter, peer, owner = world.adapter(receive_buffer=4096)
        send_to(adapter, pattern(16 * MIB))
        tell(adapter, shutdownMicroprocess())
        yield from world.until(lambda: owner.dataReady("control") == 2)
        lost, _over = taken(owner, "control")
        assert lost.message[1] == "shut down"
        assert len((yield from world.receive_all(peer))) < 16 * MIB

    world.play(script())


def test_the_class_of_the_shutdown_message_is_understood_too(world: World) -> None:
    def script() -> Script:
        adapter, _peer, _owner = world.adapter()
        tell(adapter, "what a socket does not understand")
        yield from world.settle()
        assert not adapter.closed
        tell(adapter, shutdownMicroprocess)
        yield from world.until(lambda: adapter.closed)

    world.play(script())


def test_a_peer_that_does_not_take_the_rest_is_given_up(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        adapter, _peer, owner = world.adapter(receive_buffer=4096)
        send_to(adapter, pattern(16 * MIB))
        tell(adapter, producerFinished())
        yield from world.settle()
        clock.advance(adapter.flush_timeout - 1)
        yield from world.settle()
        assert not adapter.closed
        clock.advance(1)
        yield from world.until(lambda: owner.dataReady("control") == 2)
        assert adapter.reason == "the peer did not take what was left to send"

    world.play(script())


def test_a_slow_peer_gets_the_rest_however_long_it_takes(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        adapter, peer, _owner = world.adapter(receive_buffer=4096)
        data = pattern(8 * MIB)
        send_to(adapter, data)
        tell(adapter, producerFinished())
        yield from world.settle()
        received = b""
        while len(received) < len(data):
            before = adapter._queue.waiting_bytes
            received += yield from world.receive(peer, min(MIB, len(data) - len(received)))
            yield from world.settle()
            if not adapter.closed and adapter._queue.waiting_bytes < before:
                clock.advance(adapter.flush_timeout - 1)
                yield from world.settle()
        assert received == data

    world.play(script())


def test_after_the_end_was_announced_nothing_more_is_taken(world: World) -> None:
    def script() -> Script:
        adapter, peer, owner = world.adapter(receive_buffer=4096)
        data = pattern(8 * MIB)
        send_to(adapter, data)
        tell(adapter, producerFinished())
        yield from world.until(lambda: adapter.state.name == "FLUSHING")
        send_to(adapter, b"more")
        peer.sendall(b"and this is not delivered any more")
        assert (yield from world.receive_all(peer)) == data
        assert taken(owner) == []

    world.play(script())


def test_a_reset_while_the_rest_is_sent_ends_it(world: World) -> None:
    def script() -> Script:
        adapter, peer, _owner = world.adapter(receive_buffer=4096)
        send_to(adapter, pattern(8 * MIB))
        tell(adapter, producerFinished())
        yield from world.until(lambda: adapter.state.name == "FLUSHING")
        reset(peer)
        yield from world.until(lambda: adapter.closed)
        assert isinstance(adapter.reason, ConnectionResetError)

    world.play(script())


def test_last_words_are_not_lost_to_bytes_that_nobody_read(world: World) -> None:
    """Closing a socket with unread bytes in it resets the connection, with the last words."""

    def script() -> Script:
        adapter, peer, owner = world.adapter()
        owner.setInboxSize("inbox", 1)
        for _ in range(4):
            peer.sendall(b"x" * 10_000)
            yield from world.settle()
        send_to(adapter, b"421 go away\r\n")
        tell(adapter, producerFinished())
        yield from world.until(lambda: adapter.state.name == "LINGERING")
        peer.sendall(b"y" * 100_000)  # still talking
        assert (yield from world.receive_all(peer)) == b"421 go away\r\n"
        assert not adapter.closed
        peer.shutdown(socket.SHUT_WR)
        yield from world.until(lambda: adapter.closed)
        assert adapter.reason is None

    world.play(script())


def test_a_peer_that_never_closes_is_not_waited_for_long(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        adapter, peer, owner = world.adapter()
        owner.setInboxSize("inbox", 0)
        peer.sendall(b"x")
        yield from world.settle()
        peer.sendall(b"x")
        tell(adapter, producerFinished())
        yield from world.until(lambda: adapter.state.name == "LINGERING")
        clock.advance(LINGER_SECONDS)
        yield from world.until(lambda: adapter.closed)
        assert adapter.reason is None

    world.play(script())


def test_a_peer_that_resets_while_we_linger_is_gone(world: World) -> None:
    def script() -> Script:
        adapter, peer, owner = world.adapter()
        owner.setInboxSize("inbox", 0)
        peer.sendall(b"x")
        yield from world.settle()
        peer.sendall(b"x")
        tell(adapter, producerFinished())
        yield from world.until(lambda: adapter.state.name == "LINGERING")
        reset(peer)
        yield from world.until(lambda: adapter.closed)

    world.play(script())


def test_stop_closes_at_once(world: World) -> None:
    def script() -> Script:
        adapter, peer, _owner = world.adapter()
        yield from world.settle()
        adapter.stop()
        assert adapter.reason == "stopped"
        assert (yield from world.receive_all(peer)) == b""
        adapter.stop()  # twice does no harm
        yield from world.until(lambda: adapter not in world.scheduler.threads)
        adapter.stop()  # nor when all is over

    world.play(script())


@pytest.mark.parametrize("way", ["end of the peer", "reset", "shutdown", "stop", "idle"])
def test_nothing_is_left_and_no_collector_is_needed(
    world: World, clock: FakeClock, way: str
) -> None:
    def script() -> Script:
        before = open_files()
        adapter, peer, owner = world.adapter(inactivity_timeout=10.0)
        yield from world.settle()
        if way == "end of the peer":
            peer.close()
            yield from world.until(lambda: owner.dataReady("control"))
            tell(adapter, producerFinished())
        elif way == "reset":
            reset(peer)
        elif way == "shutdown":
            tell(adapter, shutdownMicroprocess())
        elif way == "stop":
            adapter.stop()
        else:
            clock.advance(10)
        while adapter in world.scheduler.threads:
            yield 1
        peer.close()
        assert open_files() == before
        assert not world.waiter.busy
        taken(owner, "control")  # its messages name it
        owner.postoffice.unlinkAll()
        gone = weakref.ref(adapter)
        del adapter
        yield from world.settle()  # the run queue's used part is trimmed now and then
        assert gone() is None

    gc.collect()
    gc.disable()
    try:
        world.play(script())
    finally:
        gc.enable()


def test_no_log_line_for_an_ordinary_life(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    def script() -> Script:
        adapter, peer, owner = world.adapter()
        send_to(adapter, b"hello")
        peer.close()
        yield from world.until(lambda: owner.dataReady("control"))
        tell(adapter, producerFinished())
        yield from world.until(lambda: adapter.closed)

    world.play(script())
    assert not caplog.records


def test_what_the_peer_said_before_it_hung_up_is_heard_though_our_send_failed(
    world: World,
) -> None:
    """A mail server that dislikes the beginning of a message refuses it and hangs up."""

    def script() -> Script:
        adapter, peer, owner = world.adapter()
        yield from world.settle()
        peer.sendall(b"552 too big\r\n")
        reset(peer)
        send_to(adapter, b"more of the message")  # before anybody looked at the socket
        assert adapter.closed
        assert isinstance(adapter.reason, ConnectionError)
        assert taken(owner) == [b"552 too big\r\n"]

    world.play(script())


def test_no_more_is_read_from_a_broken_connection_than_the_receiver_takes(world: World) -> None:
    def script() -> Script:
        adapter, peer, owner = world.adapter(receive_buffer=4096)
        owner.setInboxSize("inbox", 1)
        send_to(adapter, pattern(8 * MIB))
        yield from world.settle()
        for _ in range(3):
            peer.sendall(b"x" * 1000)
            yield from world.settle()
        reset(peer)
        yield from world.until(lambda: adapter.closed)
        assert owner.dataReady("inbox") == 1

    world.play(script())
