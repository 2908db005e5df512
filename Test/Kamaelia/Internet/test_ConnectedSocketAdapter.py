"""One socket as a component: bytes both ways, flow control, and every way to end."""

import socket
import tracemalloc
from array import array

import pytest

from Axon.AxonExceptions import noSpaceInBox
from Axon.Component import component
from Axon.Instruments import Counts
from Axon.Ipc import producerFinished
from Axon.Survey import snapshot
from Kamaelia.Internet.ConnectedSocketAdapter import (
    READ_BYTES,
    ConnectedSocketAdapter,
)
from Kamaelia.IPC import shutdownCSA
from Test.Kamaelia.network import (
    Script,
    Silent,
    World,
    pattern,
    reset,
    send_to,
    taken,
    tell,
)
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {
    ConnectedSocketAdapter: Ends(None, why="it says shutdownCSA: test_ConnectedSocketAdapter_ends")
}

MIB = 1 << 20


class Sender(component):
    """Sends so many messages, each when there is room."""

    def __init__(self, messages: list[bytes]) -> None:
        super().__init__()
        self.messages = messages
        self.refused = 0
        self.done = False

    def main(self) -> Script:
        for message in self.messages:
            while True:
                try:
                    self.send(message, "outbox")
                    break
                except noSpaceInBox:
                    self.refused += 1
                    self.pause()
                    yield 1
            yield 1
        self.done = True


# ---- bytes


def test_bytes_go_both_ways_unchanged(world: World) -> None:
    def script() -> Script:
        adapter, peer, owner = world.adapter()
        peer.sendall(b"\0to you\xff")
        yield from world.until(lambda: owner.dataReady("inbox"))
        assert owner.recv("inbox") == b"\0to you\xff"
        send_to(adapter, b"\0to me\xff")
        assert (yield from world.receive(peer, 7)) == b"\0to me\xff"

    world.play(script())


@pytest.mark.parametrize("made", [bytes, bytearray, memoryview])
def test_each_kind_of_bytes_is_sent(world: World, made: type) -> None:
    def script() -> Script:
        adapter, peer, _owner = world.adapter()
        send_to(adapter, made(b"hello"))
        assert (yield from world.receive(peer, 5)) == b"hello"

    world.play(script())


def test_a_view_of_wider_items_is_sent_to_its_last_byte(world: World) -> None:
    numbers = array("I", range(2 * MIB))

    def script() -> Script:
        adapter, peer, _owner = world.adapter(receive_buffer=4096)
        send_to(adapter, memoryview(numbers))
        tell(adapter, producerFinished())
        assert (yield from world.receive_all(peer)) == numbers.tobytes()

    world.play(script())


def test_what_becomes_of_a_buffer_after_it_was_sent_does_not_matter(world: World) -> None:
    def script() -> Script:
        adapter, peer, _owner = world.adapter(receive_buffer=4096)
        buffer = bytearray(8 * MIB)
        send_to(adapter, buffer)
        buffer[:] = b"x" * len(buffer)
        buffer.clear()  # an error while somebody holds a view of it
        tell(adapter, producerFinished())
        assert (yield from world.receive_all(peer)) == bytes(8 * MIB)

    world.play(script())


def test_an_empty_message_is_no_end(world: World) -> None:
    def script() -> Script:
        adapter, peer, _owner = world.adapter(receive_buffer=4096)
        send_to(adapter, b"")
        send_to(adapter, pattern(4 * MIB))
        send_to(adapter, b"")  # behind what waits
        send_to(adapter, b"end")
        assert (yield from world.receive(peer, 4 * MIB + 3)) == pattern(4 * MIB) + b"end"
        assert not adapter.closed

    world.play(script())


def test_a_local_socket_will_do(world: World) -> None:
    def script() -> Script:
        ours, theirs = socket.socketpair()
        world.keep(theirs)
        adapter = ConnectedSocketAdapter(ours)
        world.run(adapter)
        send_to(adapter, b"hello")
        assert (yield from world.receive(theirs, 5)) == b"hello"

    world.play(script())


def test_what_is_sent_before_it_is_active_is_sent(world: World) -> None:
    ours, theirs = world.tcp_pair(receive_buffer=4096)
    adapter = ConnectedSocketAdapter(ours)
    data = pattern(8 * MIB)
    send_to(adapter, data)
    assert len(adapter.inboxes["inbox"]) == 1

    def script() -> Script:
        world.run(adapter)
        assert (yield from world.receive(theirs, len(data))) == data

    world.play(script())


def test_a_connection_lost_before_it_is_active_ends_at_once(world: World) -> None:
    ours, theirs = world.tcp_pair()
    adapter, owner = ConnectedSocketAdapter(ours), Silent()
    owner.link((adapter, "signal"), (owner, "inbox"))
    reset(theirs)
    send_to(adapter, b"x")
    assert adapter.closed

    def script() -> Script:
        world.run(adapter)
        yield from world.until(lambda: adapter not in world.scheduler.threads)
        assert isinstance(owner.recv("inbox"), shutdownCSA)
        assert isinstance(adapter.reason, ConnectionResetError)

    world.play(script())


def test_whoever_links_the_inbox_onwards_takes_what_waits(world: World) -> None:
    ours, _theirs = world.tcp_pair(receive_buffer=4096)
    adapter, other = ConnectedSocketAdapter(ours), Silent()
    whole = pattern(16 * MIB)
    send_to(adapter, whole)
    adapter.link((adapter, "inbox"), (other, "inbox"), passthrough=1)
    assert whole.endswith(other.recv("inbox"))
    assert len(adapter.inboxes["inbox"].q) == 0
    adapter.stop()


# ---- what is no bytes


def test_text_is_refused_with_one_line_each_and_stops_nothing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def script() -> Script:
        adapter, peer, _owner = world.adapter()
        for message in (b"one ", "text", None, b"two"):
            send_to(adapter, message)
        assert (yield from world.receive(peer, 7)) == b"one two"
        yield from world.settle()
        assert not adapter.closed

    world.play(script())
    errors = [record.getMessage() for record in caplog.records]
    assert len(errors) == 2
    assert "not str" in errors[0]
    assert "not NoneType" in errors[1]


def test_text_is_refused_in_silence_if_so_wished(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def script() -> Script:
        adapter, peer, _owner = world.adapter(noisyErrors=False)
        send_to(adapter, "text")
        send_to(adapter, b"bytes")
        assert (yield from world.receive(peer, 5)) == b"bytes"

    world.play(script())
    assert not caplog.records


def test_text_is_an_error_of_the_sender_if_so_wished(world: World) -> None:
    ours, _theirs = world.tcp_pair()
    adapter, sender = ConnectedSocketAdapter(ours, crashOnBadDataToSend=True), component()
    sender.link((sender, "outbox"), (adapter, "inbox"))
    with pytest.raises(TypeError, match="not str"):
        sender.send("text", "outbox")
    adapter.stop()


# ---- a slow peer


def test_all_that_was_sent_before_the_end_arrives_at_a_slow_reader(world: World) -> None:
    data = pattern(20 * MIB)

    def script() -> Script:
        adapter, peer, owner = world.adapter()
        send_to(adapter, data)
        tell(adapter, producerFinished())
        received = []
        while part := (yield from world.receive(peer, 300_000)):
            received.append(part)
            yield from world.settle()
        assert b"".join(received) == data
        yield from world.until(lambda: owner.dataReady("control") == 2)
        assert adapter.reason is None

    world.play(script())


def test_a_bounded_inbox_refuses_and_wakes_the_sender_when_there_is_room(world: World) -> None:
    messages = [pattern(MIB)] * 16

    def script() -> Script:
        adapter, peer, _owner = world.adapter(inbox_limit=3)
        sender = Sender(messages)
        sender.link((sender, "outbox"), (adapter, "inbox"))
        world.run(sender)
        yield from world.settle()
        assert not sender.done
        assert sender.refused == 1  # it sleeps
        assert len(adapter.inboxes["inbox"]) == 3
        assert adapter.inboxes["inbox"].isFull()
        received = yield from world.receive(peer, 16 * MIB)
        assert received == b"".join(messages)
        yield from world.until(lambda: sender.done)

    world.play(script())


def test_a_sender_waiting_for_room_is_let_go_when_the_connection_is_lost(world: World) -> None:
    def script() -> Script:
        adapter, peer, _owner = world.adapter(inbox_limit=1)
        sender = Sender([pattern(8 * MIB)] * 4)
        sender.link((sender, "outbox"), (adapter, "inbox"))
        world.run(sender)
        yield from world.settle()
        assert sender.refused
        reset(peer)
        yield from world.until(lambda: sender.done)  # the rest goes nowhere

    world.play(script())


def test_an_inbox_of_size_nought_is_always_full(world: World) -> None:
    ours, _theirs = world.tcp_pair()
    adapter, sender = ConnectedSocketAdapter(ours, inbox_limit=0), component()
    sender.link((sender, "outbox"), (adapter, "inbox"))
    with pytest.raises(noSpaceInBox):
        sender.send(b"x", "outbox")
    adapter.stop()


def test_memory_stays_bounded_when_a_peer_sends_without_reading(world: World) -> None:
    """The protocol only answers, and knows nothing of flow control."""

    def script() -> Script:
        adapter, peer, _owner = world.adapter()
        adapter.outboxes["outbox"].target.removesource(adapter.outboxes["outbox"])
        adapter.link((adapter, "outbox"), (adapter, "inbox"))  # an echo without a generator
        queue = adapter._queue
        tracemalloc.start()
        sent = yield from world.fill(peer, limit=200 * MIB)
        _now, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert sent < 100 * MIB  # it was stopped, by the kernel's buffers being full
        assert 0 < queue.waiting_bytes <= adapter.write_high + READ_BYTES
        assert peak < 2 * adapter.write_high + 3 * READ_BYTES + MIB
        received = yield from world.receive(peer, sent)
        assert received == (bytes(range(256)) * (sent // 256 + 1))[:sent]

    world.play(script())


# ---- a slow receiver


@pytest.mark.parametrize("size", [None, 1, 3])
def test_a_receiver_that_does_not_read_stops_the_peer_and_loses_nothing(
    world: World, size: int | None
) -> None:
    def script() -> Script:
        adapter, peer, owner = world.adapter()
        owner.setInboxSize("inbox", size)
        tracemalloc.start()
        sent = yield from world.fill(peer, limit=200 * MIB)
        _now, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert sent < 100 * MIB
        assert owner.dataReady("inbox") <= (size or adapter.read_ahead)
        assert peak < (adapter.read_ahead + 2) * READ_BYTES + MIB
        received: list[bytes] = []
        while sum(map(len, received)) < sent:
            yield from world.until(lambda: owner.dataReady("inbox"))
            received.append(owner.recv("inbox"))
            assert owner.dataReady("inbox") <= (size or adapter.read_ahead)
        assert b"".join(received) == (bytes(range(256)) * (sent // 256 + 1))[:sent]

    world.play(script())


def test_a_relay_of_two_sockets_holds_the_sender_back(world: World) -> None:
    def script() -> Script:
        one, source, _ = world.adapter()
        other, target, _ = world.adapter()
        for adapter in (one, other):
            adapter.outboxes["outbox"].target.removesource(adapter.outboxes["outbox"])
        one.link((one, "outbox"), (other, "inbox"))
        sent = yield from world.fill(source, limit=200 * MIB)
        assert sent < 100 * MIB
        assert len(other.inboxes["inbox"]) <= one.read_ahead
        received = yield from world.receive(target, sent)
        assert received == (bytes(range(256)) * (sent // 256 + 1))[:sent]

    world.play(script())


def test_a_hang_up_while_the_receiver_is_full_does_not_spin_and_is_told_later(
    real_time_world: World,
) -> None:
    world = real_time_world

    def script() -> Script:
        adapter, peer, owner = world.adapter()
        for number in range(adapter.read_ahead):
            peer.sendall(b"%d" % number)
            yield from world.until(lambda wanted=number + 1: owner.dataReady("inbox") == wanted)
        reset(peer)
        yield from world.settle()
        waits = world.waiter.waits
        yield from world.rest(0.2)
        assert world.waiter.waits - waits < 5
        assert not adapter.closed  # nobody can know what was read is all
        assert b"".join(taken(owner)) == b"0123"
        yield from world.until(lambda: adapter.closed)
        assert isinstance(adapter.reason, ConnectionResetError)

    world.play(script())


def test_messages_to_a_socket_are_seen_by_instruments_and_in_snapshots(world: World) -> None:
    def script() -> Script:
        counts = Counts()
        world.scheduler.add_instrument(counts)
        csa, theirs, _ = world.adapter()
        sender = Silent()
        sender.link((sender, "outbox"), (csa, "inbox"))
        world.run(sender)
        yield from world.settle()
        for _ in range(3):
            sender.send(b"x", "outbox")
        assert (yield from world.receive(theirs, 3)) == b"xxx"
        taken = snapshot(world.scheduler, counts)
        (link,) = [link for link in taken.links if link.source.component == sender.id]
        assert (link.sink.component, link.sink.box, link.messages) == (csa.id, "inbox", 3)

    world.play(script())
