"""A connection that goes on in TLS: both sides, bytes on either side of the switch, and the end."""

import ssl
from contextlib import suppress

import pytest

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Kamaelia.Internet.ConnectedSocketAdapter import ConnectedSocketAdapter
from Kamaelia.Internet.TLS import TLSInfo
from Kamaelia.Internet.TLSSocket import TLSSocket
from Test.Kamaelia import tls
from Test.Kamaelia.network import (
    Script,
    Silent,
    World,
    pattern,
    send_to,
    taken,
    tell,
)
from Test.Kamaelia.tls_adapter import ask, open_one, over, ready

MIB = 1 << 20


# ---- bytes


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_bytes_go_both_ways_unchanged(world: World, version: ssl.TLSVersion) -> None:
    def script() -> Script:
        adapter, plain, owner = world.adapter()
        ask(adapter, tls.limited_to(version, tls.server_context()))
        peer = yield from tls.secured(world, plain)
        peer.send(b"hello")
        yield from world.until(lambda: owner.dataReady("inbox"))
        assert taken(owner) == [b"hello"]
        send_to(adapter, b"you too")
        assert (yield from tls.receive(peer, 7)) == b"you too"

    world.play(script())


def test_as_a_client_it_checks_the_name_it_was_told(world: World) -> None:
    def script() -> Script:
        for name, reason in ((tls.NAME, None), ("other.example.org", ssl.SSLCertVerificationError)):
            adapter, plain, _owner = world.adapter()
            adapter.server_hostname = name
            ask(adapter, tls.client_context())
            peer = tls.wrap(world, plain, tls.server_context())
            if reason is None:
                yield from tls.shake_hands(peer)
                send_to(adapter, b"hello")
                assert (yield from tls.receive(peer, 5)) == b"hello"
            else:
                with pytest.raises(ssl.SSLError, match="alert"):
                    yield from tls.shake_hands(peer)
                yield from world.until(lambda found=adapter: found.closed)
                assert isinstance(adapter.reason, reason)

    world.play(script())


def test_five_megabytes_go_each_way_at_the_same_time(world: World) -> None:
    def script() -> Script:
        adapter, peer, owner = yield from open_one(world)
        data = pattern(5 * MIB)
        send_to(adapter, data)
        received, came, sent = b"", b"", 0
        while len(received) < len(data) or len(came) < len(data):
            if sent < len(data):
                with suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    sent += peer.send(data[sent : sent + 65_536])
            try:
                received += peer.recv(1 << 20)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                yield 1
            came += b"".join(taken(owner))  # type: ignore[arg-type]
        assert received == data
        assert came == data

    world.play(script())


def test_memory_stays_bounded_when_the_peer_does_not_read(world: World) -> None:
    def script() -> Script:
        adapter, peer, _owner = yield from open_one(world, receive_buffer=4096, inbox_limit=4)
        data = pattern(MIB)
        accepted = 0
        for _ in range(40):
            if len(adapter.inboxes["inbox"]) < 4:
                send_to(adapter, data)
                accepted += 1
            yield from world.settle()
        assert accepted < 10
        assert adapter._queue.waiting_bytes <= 4 * MIB
        received = yield from tls.receive(peer, accepted * MIB)
        assert received == data * accepted

    world.play(script())


def test_a_receiver_that_does_not_read_stops_the_peer_and_loses_nothing(world: World) -> None:
    def script() -> Script:
        adapter, peer, owner = yield from open_one(world)
        data = pattern(4 * MIB)
        sent = 0
        stuck = 0
        while stuck < 100 and sent < 64 * MIB:
            try:
                sent += peer.send(data[sent % len(data) :][:16_384])
                stuck = 0
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                stuck += 1
                yield 1
        assert sent < 64 * MIB
        assert owner.dataReady("inbox") <= adapter.read_ahead
        came = b""
        while len(came) < sent:
            came += b"".join(taken(owner))  # type: ignore[arg-type]
            yield 1
        assert came == (data * (sent // len(data) + 1))[:sent]

    world.play(script())


def test_an_idle_connection_costs_no_turns(real_time_world: World) -> None:
    world = real_time_world

    def script() -> Script:
        adapter, peer, _owner = yield from open_one(world)
        send_to(adapter, b"x")
        yield from tls.receive(peer, 1)
        yield from world.settle()
        waits = world.waiter.waits
        yield from world.rest(0.2)
        assert world.waiter.waits - waits < 5

    world.play(script())


# ---- the switch


def test_what_was_sent_before_goes_unencrypted_and_what_follows_does_not(world: World) -> None:
    def script() -> Script:
        adapter, plain, _owner = world.adapter()
        send_to(adapter, b"220 go ahead\r\n")
        ask(adapter, tls.server_context())
        send_to(adapter, b"250 secret\r\n")  # in the very turn in which it was asked for
        assert (yield from world.receive(plain, 14)) == b"220 go ahead\r\n"
        yield from world.settle()
        with pytest.raises(BlockingIOError):
            plain.recv(1)
        peer = yield from tls.secured(world, plain)
        assert (yield from tls.receive(peer, 12)) == b"250 secret\r\n"

    world.play(script())


def test_what_the_socket_had_not_taken_yet_still_goes_first(world: World) -> None:
    def script() -> Script:
        adapter, plain, _owner = world.adapter(receive_buffer=4096, inbox_limit=1)
        first = pattern(8 * MIB)
        send_to(adapter, first)
        sender = Silent()
        sender.link((sender, "outbox"), (adapter, "inbox"))
        assert sender.outboxes["outbox"].isFull()
        ask(adapter, tls.server_context())
        assert not sender.outboxes["outbox"].isFull()
        sender.send(b"secret")
        assert (yield from world.receive(plain, len(first))) == first
        peer = yield from tls.secured(world, plain)
        assert (yield from tls.receive(peer, 6)) == b"secret"

    world.play(script())


def test_it_is_said_when_all_is_encrypted(world: World) -> None:
    def script() -> Script:
        adapter, plain, _owner = world.adapter()
        heard = Silent()
        heard.link((adapter, "sslready"), (heard, "inbox"))
        ask(adapter, tls.server_context())
        yield from world.settle()
        assert not heard.dataReady("inbox")
        ask(adapter, "once more, while it is under way")
        yield from tls.secured(world, plain)
        yield from world.until(lambda: heard.dataReady("inbox"))
        (info,) = taken(heard)
        assert isinstance(info, TLSInfo)
        assert info.version == "TLSv1.3"
        ask(adapter, "once more, though it is done")
        assert taken(heard) == [info]

    world.play(script())


def test_it_is_said_later_if_there_is_no_room(world: World) -> None:
    def script() -> Script:
        adapter, plain, _owner = world.adapter()
        heard = Silent()
        heard.setInboxSize("inbox", 1)
        heard.inboxes["inbox"].deliver("something else")
        heard.link((adapter, "sslready"), (heard, "inbox"))
        ask(adapter, tls.server_context())
        yield from tls.secured(world, plain)
        yield from world.until(lambda: ready(adapter))
        yield from world.settle()
        assert heard.recv("inbox") == "something else"
        yield from world.until(lambda: heard.dataReady("inbox"))
        assert isinstance(heard.recv("inbox"), TLSInfo)

    world.play(script())


@pytest.mark.parametrize("where", ["at the receiver", "held back"])
def test_unencrypted_bytes_that_nobody_has_read_end_it(
    world: World, caplog: pytest.LogCaptureFixture, where: str
) -> None:
    """Or what somebody on the way has put there would be taken for the client's (CVE-2011-0411)."""

    def script() -> Script:
        adapter, plain, owner = world.adapter()
        if where == "held back":
            owner.setInboxSize("inbox", 0)
        plain.sendall(b"RCPT TO:<injected@example.org>\r\n")
        yield from world.until(lambda: owner.dataReady("inbox") or adapter._held)
        send_to(adapter, b"220 go ahead\r\n")
        ask(adapter, tls.server_context())
        assert adapter.closed
        send_to(adapter, b"secret")
        reason = yield from over(world, owner)
        assert isinstance(reason, ssl.SSLError)
        assert "unread" in str(reason)
        assert (yield from world.receive_all(plain)) == b"220 go ahead\r\n"

    world.play(script())
    assert "unread" in caplog.text


def test_unencrypted_bytes_in_the_kernel_are_not_taken_for_encrypted_ones(world: World) -> None:
    def script() -> Script:
        adapter, plain, owner = world.adapter()
        yield from world.settle()
        plain.sendall(b"RCPT TO:<injected@example.org>\r\n")
        ask(adapter, tls.server_context())  # before anybody looked at the socket
        reason = yield from over(world, owner)
        assert isinstance(reason, ssl.SSLError)
        assert taken(owner) == []

    world.play(script())


def test_without_a_context_and_a_name_it_is_refused_and_nothing_goes_unencrypted(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def script() -> Script:
        adapter, plain, owner = world.adapter()
        ask(adapter, "please")
        send_to(adapter, b"secret")
        reason = yield from over(world, owner)
        assert isinstance(reason, ssl.SSLError)
        assert (yield from world.receive_all(plain)) == b""

    world.play(script())
    assert "SSLContext" in caplog.text


@pytest.mark.parametrize("end", ["finished", "closed"])
def test_once_it_ends_nobody_asks_any_more(world: World, end: str) -> None:
    def script() -> Script:
        adapter, plain, _owner = world.adapter(receive_buffer=4096)
        send_to(adapter, pattern(8 * MIB))
        tell(adapter, producerFinished() if end == "finished" else shutdownMicroprocess())
        yield from world.until(lambda: adapter.state.name != "OPEN")
        ask(adapter, tls.server_context())
        assert not isinstance(adapter.sock, TLSSocket)
        plain.close()
        yield from world.until(lambda: adapter.closed)

    world.play(script())


def test_it_may_be_asked_before_it_is_active(world: World) -> None:
    def script() -> Script:
        ours, plain = world.tcp_pair()
        adapter = ConnectedSocketAdapter(ours)
        ask(adapter, tls.server_context())
        send_to(adapter, b"secret")
        world.run(adapter)
        peer = yield from tls.secured(world, plain)
        assert (yield from tls.receive(peer, 6)) == b"secret"
        adapter.stop()

    world.play(script())
