"""A machine that is told: what waits, goes out in its order, whatever the other side does."""

import logging
import socket
import threading
from contextlib import suppress

import pytest

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import FakeClock
from Kamaelia.Apps.Grey.Sync.Peer import (
    LAST_CALL,
    LAST_SECONDS,
    LOOK_AGAIN,
    Peer,
    is_local,
    is_ours,
)
from Kamaelia.Apps.Grey.Sync.SyncSettings import SyncSettings
from Kamaelia.Support.Protocol.MXSync.Commands import Add, Flush
from Test.Kamaelia.Apps.Grey.Sync.machines import names_of
from Test.Kamaelia.Apps.Grey.Sync.other_side import DONE, GREETING, HOST, Other, add
from Test.Kamaelia.network import Script, World
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {
    Peer: Ends(lambda: Peer("192.0.2.1", SyncSettings(), component())),
}


def test_commands_go_out_in_their_order_one_at_a_time(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        other = Other(world, clock)
        other.tell(add(1), add(2), Flush("192.0.2.7"))
        sock = yield from other.established()
        assert "<s1@example.org>" in (yield from other.line(sock))
        yield from world.settle()
        with pytest.raises(BlockingIOError):
            sock.recv(1)
        assert other.peer.status.queued == 3
        sock.sendall(DONE)
        assert "<s2@example.org>" in (yield from other.line(sock))
        sock.sendall(DONE)
        assert (yield from other.line(sock)) == "flush addr 192.0.2.7\r\n"
        sock.sendall(DONE)
        yield from world.until(lambda: other.peer.status.sent == 3)
        assert other.peer.waiting == ()
        assert other.peer.status.connected

    world.play(script())


def test_the_connection_is_kept_for_what_comes_later(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        other = Other(world, clock)
        other.tell(add(1))
        sock = yield from other.established()
        yield from other.line(sock)
        sock.sendall(DONE)
        yield from other.passes(86_000)
        other.tell(add(2))
        assert "<s2@example.org>" in (yield from other.line(sock))
        assert not other.accepts_now()

    world.play(script())


@pytest.mark.parametrize("answer", [b"", b"999 what?\n", DONE + DONE, b"x" * 600])
def test_what_was_not_done_for_certain_is_told_again_before_all_else(
    world: World, clock: FakeClock, answer: bytes
) -> None:
    def script() -> Script:
        other = Other(world, clock)
        other.tell(add(1), add(2))
        sock = yield from other.established()
        yield from other.line(sock)
        done = answer.startswith(DONE)
        sock.sendall(answer)
        if not answer:
            sock.close()
        yield from world.until(lambda: not other.peer.status.connected)
        assert other.peer.waiting[0] == add(2 if done else 1)
        assert other.peer.status.last_error
        yield from other.passes(1.0)
        sock = yield from other.established()
        assert f"<s{2 if done else 1}@example.org>" in (yield from other.line(sock))

    world.play(script())


def test_a_peer_that_says_nothing_is_given_up_in_its_time(
    world: World, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    def script() -> Script:
        other = Other(world, clock, timeout=3.0)
        other.tell(add(1))
        sock = yield from other.established()
        yield from other.line(sock)
        yield from other.passes(2.9)
        assert other.peer.status.connected
        yield from other.passes(0.2)
        assert (yield from world.receive_all(sock)) == b""
        assert "cannot sync with peer mx2: timed out (1 entries queued)" in caplog.messages

    world.play(script())


def test_a_time_out_of_nothing_waits_for_ever(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        other = Other(world, clock, timeout=0)
        other.tell(add(1))
        sock = yield from other.established()
        yield from other.line(sock)
        yield from other.passes(86_400)
        sock.sendall(DONE)
        yield from world.until(lambda: other.peer.status.sent == 1)

    world.play(script())


def test_the_pause_between_attempts_grows_to_a_minute_and_not_further(
    world: World, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    def script() -> Script:
        other = Other(world, clock)
        other.tell(add(1))
        yield from other.refuses_for_a_while(1, 2, 4, 8, 16, 32, 60, 60)
        sock = yield from other.established()
        yield from other.line(sock)
        sock.sendall(DONE)
        yield from world.until(lambda: other.peer.status.sent == 1)
        other.tell(add(2))
        yield from other.line(sock)
        sock.close()
        yield from world.until(lambda: other.peer._not_before > clock())
        assert other.peer._not_before - clock() == 1
        said = [text for text in caplog.messages if text.startswith("cannot sync with peer mx2: ")]
        assert len(said) < 5  # in three minutes
        assert "no permission" in said[0]

    world.play(script())


def test_when_the_queue_is_full_the_new_one_is_dropped(
    world: World, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    def script() -> Script:
        other = Other(world, clock, listening=False, queue_limit=2)
        yield from world.settle()
        other.tell(*map(add, range(5)))
        assert other.peer.waiting == (add(0), add(1))
        assert other.peer.status.dropped == 3
        overflows = [text for text in caplog.messages if "overflow" in text]
        assert overflows == ["peer mx2 queue overflow (2 entries), discarding new entry"]

    world.play(script())


def test_a_command_that_is_refused_is_not_told_for_ever(
    world: World, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    def script() -> Script:
        other = Other(world, clock)
        other.tell(add(1), add(2))
        sock = yield from other.established()
        yield from other.line(sock)
        sock.sendall(b'104 Unexpected keyword "x"\n')
        yield from other.passes(1.0)
        sock = yield from other.established()
        assert "<s2@example.org>" in (yield from other.line(sock))
        assert other.peer.status.dropped == 1
        assert any("an entry is dropped, refused" in text for text in caplog.messages)

    world.play(script())


def test_what_cannot_be_said_does_not_stop_what_can(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        other = Other(world, clock)
        long = Add("192.0.2.1", "<" + "s" * 300, "<" + "r" * 300, 5)
        other.tell(long, Flush("192.0.2.1"), add(1))
        sock = yield from other.accept()
        sock.sendall(GREETING)
        yield from other.line(sock)
        sock.sendall(b"102 Invalid command\n")
        assert (yield from other.line(sock)) == "vers2\n"
        sock.sendall(b"102 Invalid command\n")
        line = yield from other.line(sock)
        assert line.startswith("add addr 192.0.2.1 from <s1@")
        assert other.peer.status.version == 1
        assert other.peer.status.dropped == 2

    world.play(script())


def test_all_addresses_of_a_name_are_tried_from_the_address_that_is_set(
    world: World, clock: FakeClock
) -> None:
    def script() -> Script:
        table = names_of({"mx2": ["127.77.1.9", HOST]})
        other = Other(world, clock, names=table, source="127.77.1.5")
        other.tell(add(1))
        sock = yield from other.established()
        assert sock.getpeername()[0] == "127.77.1.5"

    world.play(script())


def test_a_name_that_nobody_knows_is_asked_for_again(
    world: World, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    table: dict[str, list[str]] = {}

    def script() -> Script:
        other = Other(world, clock, names=lambda name: names_of(table)(name))
        other.tell(add(1))
        yield from world.until(lambda: caplog.messages)
        assert caplog.messages == [
            "cannot sync with peer mx2: mx2 is not known (1 entries queued)",
        ]
        table["mx2"] = [HOST]
        while not other.accepts_now():  # what was found just now counts for a while
            yield from other.passes(3.0)

    world.play(script())


def test_a_peer_at_our_own_address_is_ourselves(
    world: World, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    def script() -> Script:
        other = Other(world, clock, listen_host="*")
        other.tell(add(1))
        yield from world.until(lambda: other.peer.status.ourselves)
        other.tell(add(2))
        assert other.peer.waiting == ()
        clock.advance(LOOK_AGAIN)
        other.tell(add(2))
        yield from world.until(lambda: other.peer.status.ourselves)
        assert caplog.messages == ["peer mx2 is this machine itself, and not called"]
        assert not other.accepts_now()
        # Elsewhere by now: this is looked at again.
        other.peer.change(SyncSettings(port=other.port, listen_host="127.77.1.2"), 3.0)
        other.tell(add(3))
        yield from other.established()

    world.play(script())


@pytest.mark.parametrize(
    ("listen_host", "ours", "others"),
    [
        ("192.0.2.1", ["192.0.2.1", "127.0.1.1", "::1"], ["192.0.2.2", "2001:db8::1"]),
        ("2001:db8::1", ["2001:db8::1", "127.0.1.1"], ["192.0.2.1", "2001:db8::2"]),
        ("127.77.1.2", ["127.77.1.2"], ["127.77.1.1", "127.0.1.1"]),
        ("*", ["127.0.1.1", "192.0.2.7"], ["192.0.2.1"]),
        ("::", ["127.0.1.1", "192.0.2.7"], ["192.0.2.1"]),
    ],
)
def test_an_own_name_may_lead_to_a_loopback_address(
    listen_host: str, ours: list[str], others: list[str]
) -> None:
    settings = SyncSettings(listen_host=listen_host)
    local = ["127.0.1.1", "192.0.2.7"].__contains__
    assert [each for each in ours + others if is_ours(each, settings, local)] == ours


def test_only_addresses_of_this_machine_are_local() -> None:
    assert is_local("127.77.1.1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # where there is a way to others
        assert is_local(probe.getsockname()[0])
    assert not is_local("192.0.2.1")
    assert not is_local("2001:db8::1")


def test_at_the_end_what_waits_is_told_if_the_peer_listens(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        other = Other(world, clock)
        other.tell(add(1), add(2))
        sock = yield from other.established()
        yield from other.line(sock)
        other.peer.inboxes["control"].deliver(producerFinished())
        yield from world.settle()
        sock.sendall(DONE)
        yield from other.line(sock)
        sock.sendall(DONE)
        assert (yield from other.line(sock)) == "quit\n"
        yield from world.until(other.peer._isStopped)
        assert (yield from world.receive_all(sock)) == b""

    world.play(script())


@pytest.mark.parametrize("connected", [True, False])
def test_at_the_end_nobody_waits_long_for_a_peer(
    world: World, clock: FakeClock, connected: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def script() -> Script:
        other = Other(world, clock, timeout=0)
        other.tell(add(1), add(2))
        if connected:
            sock = yield from other.established()
            yield from other.line(sock)
        else:
            yield from other.accept()
        other.peer.inboxes["control"].deliver(producerFinished())
        patience = LAST_SECONDS if connected else LAST_CALL
        yield from other.passes(patience - 0.1)
        assert not other.peer._isStopped()
        clock.advance(0.1)
        yield from world.until(other.peer._isStopped)
        assert caplog.messages[-1] == "peer mx2 was not told of 2 entries"

    world.play(script())


def test_the_end_does_not_wait_for_a_name(world: World, clock: FakeClock) -> None:
    gate = threading.Event()

    def look_up(name: str) -> list[str]:
        gate.wait(10)
        return [HOST]

    def script() -> Script:
        other = Other(world, clock, names=look_up)
        other.tell(add(1))
        yield from world.until(lambda: other.names._lookups)
        other.peer.inboxes["control"].deliver(producerFinished())
        yield from world.until(other.peer._isStopped)
        gate.set()
        yield from world.until(lambda: not other.names._lookups)
        assert not other.accepts_now()

    world.play(script())


def test_told_to_stop_at_once_it_does(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        other = Other(world, clock)
        other.tell(add(1))
        sock = yield from other.established()
        yield from other.line(sock)
        other.peer.inboxes["control"].deliver(shutdownMicroprocess())
        yield from world.until(other.peer._isStopped)
        assert (yield from world.receive_all(sock)) == b""

    world.play(script())


def test_it_says_when_a_connection_stands(
    world: World, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    def script() -> Script:
        other = Other(world, clock)
        other.tell(add(1))
        yield from other.established()
        yield from world.until(lambda: other.peer.status.connected)
        assert "Connection to mx2 established, protocol version 3" in caplog.messages

    world.play(script())
