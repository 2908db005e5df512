"""Peers that call, strangers that call, and those who mean no good."""

import logging
import socket

import pytest

from Axon.Ipc import shutdownMicroprocess
from Axon.Testing import FakeClock
from Kamaelia.Apps.Grey.Core.PeerNews import State
from Kamaelia.Apps.Grey.Core.Types import Lifetimes, Reason, Remember
from Kamaelia.Apps.Grey.DoorServers import MOST_PEERS
from Kamaelia.Apps.Grey.Sync import SyncService as SyncService_module
from Kamaelia.Apps.Grey.Sync.IncomingPeer import IncomingPeer
from Kamaelia.Apps.Grey.Sync.SyncService import CONNECTIONS_A_PEER, SyncService
from Kamaelia.Apps.Grey.Sync.SyncSettings import SyncSettings
from Test.Kamaelia.Apps.Grey.Sync.machines import (
    CLIENT,
    EPOCH,
    RECIPIENT,
    SENDER,
    DictStore,
    Machine,
    names_of,
    triplet_of,
)
from Test.Kamaelia.network import Script, World, reset
from Test.Kamaelia.shutdown import Ends

PEER, OTHER, STRANGER, HERE = "127.77.2.1", "127.77.2.2", "127.77.2.9", "127.77.2.7"
DUE = EPOCH + 1_060
ADD = f"add addr {CLIENT} from <{SENDER}> rcpt <{RECIPIENT}> date {DUE}\r\n".encode()
PASSED = ADD.replace(b"add ", b"del2 ").rstrip() + f" aw {DUE + 900}\r\n".encode()
GREETING = b"200 Yeah, what do you want?\n"
DONE = b"201 All right, I'll do that\n"
GO_AWAY = b"106 You have no permission to talk, go away!\n"


def alone() -> IncomingPeer:
    service = SyncService(
        SyncSettings(), DictStore(), triplet_of, lambda: 0.0, 60, Lifetimes(3600, 7200)
    )
    return IncomingPeer(service, PEER)


SHUTDOWN = {IncomingPeer: Ends(alone)}


def here(world: World, clock: FakeClock, **settings: object) -> Machine:
    settings = {"peers": ((PEER, 3.0), (OTHER, 3.0))} | settings
    return Machine(world, lambda: EPOCH + clock(), HERE, 0, **settings)  # type: ignore[arg-type]


def call(world: World, machine: Machine, source: str = PEER) -> socket.socket:
    sock = world.keep(socket.create_connection((HERE, machine.port), 5, (source, 0)))
    sock.setblocking(False)
    return sock


def admitted(world: World, machine: Machine, source: str = PEER) -> Script:
    sock = call(world, machine, source)
    assert (yield from world.receive(sock, len(GREETING))) == GREETING
    return sock


def says(world: World, sock: socket.socket, line: bytes) -> Script:
    sock.sendall(line)
    return (yield from world.receive(sock, len(DONE)))


def test_what_a_peer_says_is_remembered_and_then_answered(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        machine = here(world, clock)
        sock = yield from admitted(world, machine)
        assert (yield from says(world, sock, ADD)) == DONE
        assert machine.state() == State(DUE, False)
        assert (yield from says(world, sock, PASSED)) == DONE
        assert machine.state() == State(DUE + 900, True)
        assert (yield from says(world, sock, ADD + ADD)) == DONE  # late, and twice
        assert (yield from world.receive(sock, len(DONE))) == DONE
        assert len(machine.store.heard) == 2
        assert (yield from says(world, sock, f"flush addr {CLIENT}\r\n".encode())) == DONE
        assert machine.state() is None
        assert machine.queued == 0

    world.play(script())


def test_a_sender_that_a_peer_knows_gets_in_here(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        machine = here(world, clock)
        sock = yield from admitted(world, machine)
        yield from says(world, sock, ADD)
        assert machine.attempt().reason is Reason.TOO_EARLY
        clock.advance(60)
        assert machine.attempt().reason is Reason.RETRIED

    world.play(script())


@pytest.mark.parametrize("source", [STRANGER, "127.0.0.1", HERE])
def test_strangers_hear_106_and_are_logged_once_a_minute(
    world: World, clock: FakeClock, caplog: pytest.LogCaptureFixture, source: str
) -> None:
    caplog.set_level(logging.INFO)

    def script() -> Script:
        machine = here(world, clock)
        for _ in range(3):
            sock = call(world, machine, source)
            sock.sendall(ADD)
            assert (yield from world.receive(sock, len(GO_AWAY))) == GO_AWAY
        clock.advance(60)
        yield from world.receive_all(call(world, machine, source))
        said = [text for text in caplog.messages if text.startswith("Remote host")]
        assert said == [f"Remote host {source} is not a peer MX"] * 2
        assert machine.store.heard == []

    world.play(script())


def test_no_socket_waits_for_strangers_to_read_or_to_go(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        machine = here(world, clock)
        for _ in range(50):
            call(world, machine, STRANGER).sendall(b"x" * 1000)
        yield from admitted(world, machine)  # they were before it
        assert machine.server is not None
        server = machine.server
        yield from world.until(lambda: server.connections == 1)  # no time has passed

    world.play(script())


def test_strangers_of_many_addresses_do_not_fill_the_log(
    world: World, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    def script() -> Script:
        machine = here(world, clock)
        yield from world.settle()
        for number in range(5_000):
            machine.service.stranger(f"2001:db8::{number:x}")
        said = [text for text in caplog.messages if text.startswith("Remote host")]
        assert 0 < len(said) <= SyncService_module.STRANGERS_LOGGED

    world.play(script())


def test_a_peer_by_name_is_known_by_what_the_name_is_now(world: World, clock: FakeClock) -> None:
    table = {"mx2": [PEER]}

    def script() -> Script:
        machine = here(world, clock, peers=(("mx2", 3.0),), look_up=lambda n: names_of(table)(n))
        yield from admitted(world, machine)
        table["mx2"] = [OTHER]
        clock.advance(6)
        assert (yield from world.receive_all(call(world, machine))) == GO_AWAY
        yield from admitted(world, machine, OTHER)

    world.play(script())


def test_if_the_store_cannot_say_the_peer_is_to_tell_it_again(
    world: World, clock: FakeClock
) -> None:
    def script() -> Script:
        machine = here(world, clock)
        machine.store.failing = True
        sock = yield from admitted(world, machine)
        sock.sendall(ADD)
        assert (yield from world.receive_all(sock)) == b""
        assert machine.store.heard == []

    world.play(script())


def test_a_store_that_takes_its_time_is_waited_for_line_by_line(
    world: World, clock: FakeClock
) -> None:
    def script() -> Script:
        machine = here(world, clock)
        machine.store.slow = True
        sock = yield from admitted(world, machine)
        sock.sendall(ADD + PASSED)
        yield from world.until(lambda: machine.store.asked)
        yield from world.settle()
        assert len(machine.store.asked) == 1
        machine.store.answer()
        yield from world.until(lambda: machine.store.asked)
        assert (yield from world.receive(sock, len(DONE))) == DONE
        machine.store.answer()
        assert (yield from world.receive(sock, len(DONE))) == DONE
        assert machine.state() == State(DUE + 900, True)

    world.play(script())


def test_an_answer_of_the_store_that_comes_too_late_is_nobodys(
    world: World, clock: FakeClock
) -> None:
    def script() -> Script:
        machine = here(world, clock)
        machine.store.slow = True
        sock = yield from admitted(world, machine)
        sock.sendall(ADD)
        yield from world.until(lambda: machine.store.asked)
        clock.advance(61)  # the session's patience
        assert (yield from world.receive_all(sock)) == b""
        machine.store.answer()
        assert machine.store.heard == []

    world.play(script())


def test_the_record_of_the_client_is_no_business_of_peers(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        machine = here(world, clock)
        sock = yield from admitted(world, machine)
        line = f"del2 addr {CLIENT} from <> rcpt <> date {DUE} aw {DUE + 9}\r\n".encode()
        assert (yield from says(world, sock, line)) == DONE
        assert machine.store.heard == []

    world.play(script())


def test_a_peer_that_lies_about_time_changes_nothing(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        machine = here(world, clock)
        sock = yield from admitted(world, machine)
        for line in (
            ADD.replace(str(DUE).encode(), b"4000000000"),
            PASSED.replace(str(DUE + 900).encode(), b"253402300799"),
            ADD.replace(str(DUE).encode(), b"0"),
        ):
            assert (yield from says(world, sock, line)) == DONE
        assert machine.store.heard == []

    world.play(script())


def test_a_flood_is_cut_off_and_others_are_heard(
    world: World, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    def script() -> Script:
        machine = here(world, clock)
        machine.service.hearing._most = 20
        sock = yield from admitted(world, machine)
        sock.sendall(ADD * 30)
        assert (yield from world.receive_all(sock)) == DONE * 20
        quiet = yield from admitted(world, machine, OTHER)
        assert (yield from says(world, quiet, PASSED)) == DONE
        assert sum("has sent 20 records in an hour" in text for text in caplog.messages) == 1
        again = yield from admitted(world, machine)
        again.sendall(ADD)
        assert (yield from world.receive_all(again)) == b""
        clock.advance(3600)
        again = yield from admitted(world, machine)
        assert (yield from says(world, again, ADD)) == DONE

    world.play(script())


def test_one_that_never_reads_stops_nobody_and_costs_little(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        machine = here(world, clock)
        deaf = yield from admitted(world, machine)
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        sent = 0
        stuck_since = world.waiter.waits
        data = b"help\n" * 7 + PASSED  # the answers are longer than what is sent
        while sent < 4_000_000 and world.waiter.waits < stuck_since + 60:
            try:
                sent += deaf.send(data * 100)
                stuck_since = world.waiter.waits
            except BlockingIOError:
                yield 1
        quiet = yield from admitted(world, machine, OTHER)
        assert (yield from says(world, quiet, ADD)) == DONE
        reset(deaf)

    world.play(script())


def test_half_a_line_is_waited_for_a_minute(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        machine = here(world, clock)
        sock = yield from admitted(world, machine)
        for _ in range(7):
            sock.sendall(b"a")
            yield from world.settle()
            clock.advance(10)
        assert (yield from world.receive_all(sock)) == b""
        assert machine.store.heard == []

    world.play(script())


def test_of_many_connections_of_one_peer_the_youngest_stay(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        machine = here(world, clock)
        socks: list[socket.socket] = []
        while len(socks) < CONNECTIONS_A_PEER + 2:
            socks += [(yield from admitted(world, machine))]
        for each in socks[:2]:
            assert (yield from world.receive_all(each)) == b""
        for each in socks[2:]:
            assert (yield from says(world, each, ADD)) == DONE
            each.close()
        yield from world.until(lambda: not machine.service._callers)

    world.play(script())


def test_of_all_peers_together_the_one_that_has_the_most_lets_one_go(
    world: World, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SyncService_module, "CONNECTIONS", 3)

    def script() -> Script:
        machine = here(world, clock)
        first = yield from admitted(world, machine)
        second = yield from admitted(world, machine)
        other = yield from admitted(world, machine, OTHER)
        another = yield from admitted(world, machine, OTHER)
        assert (yield from world.receive_all(first)) == b""
        for each in (second, other, another):
            assert (yield from says(world, each, ADD)) == DONE

    world.play(script())


def test_the_door_has_room_for_all_peers_and_as_many_strangers() -> None:
    assert MOST_PEERS >= 2 * SyncService_module.CONNECTIONS
    assert CONNECTIONS_A_PEER < SyncService_module.CONNECTIONS


def test_who_is_logged_in_here_is_no_peer_though_we_are_in_our_own_list(
    world: World, clock: FakeClock
) -> None:
    def script() -> Script:
        machine = here(world, clock, peers=((PEER, 3.0), (HERE, 3.0)))
        sock = call(world, machine, HERE)
        sock.sendall(PASSED)
        assert (yield from world.receive(sock, len(GO_AWAY))) == GO_AWAY
        yield from admitted(world, machine)
        assert machine.store.heard == []

    world.play(script())


def test_a_peer_that_calls_all_the_time_is_logged_once_a_minute(
    world: World, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    def script() -> Script:
        machine = here(world, clock)
        for _ in range(5):
            (yield from admitted(world, machine)).close()
        clock.advance(60)
        yield from admitted(world, machine)
        calls = [text for text in caplog.messages if text.startswith("Incoming")]
        assert calls == [f"Incoming MX sync connection from {PEER} ({PEER})"] * 2

    world.play(script())


def test_who_is_a_peer_no_longer_hears_so(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        machine = here(world, clock)
        sock = yield from admitted(world, machine)
        other = yield from admitted(world, machine, OTHER)
        machine.service.reload(SyncSettings(((OTHER, 3.0),), machine.port, HERE, machine.port))
        assert (yield from world.receive_all(sock)) == b"105 No more peers, shutting down!\n"
        assert (yield from says(world, other, ADD)) == DONE
        assert (yield from world.receive_all(call(world, machine))) == GO_AWAY

    world.play(script())


def test_who_is_a_peer_no_longer_while_it_is_looked_for_is_none(
    world: World, clock: FakeClock
) -> None:
    def script() -> Script:
        machine = here(world, clock)
        yield from world.settle()
        del machine.service._peers[PEER]  # the names have not heard of it yet
        assert (yield from world.receive_all(call(world, machine))) == GO_AWAY
        machine.service._peers.clear()

    world.play(script())


def test_the_server_ends_with_peers_connected(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        machine = here(world, clock)
        sock = yield from admitted(world, machine)
        assert machine.server is not None
        server = machine.server
        machine.server.inboxes["control"].deliver(shutdownMicroprocess())
        assert (yield from world.receive_all(sock)) == b""
        yield from world.until(server._isStopped)

    world.play(script())


def test_only_what_is_new_is_written(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        machine = here(world, clock)
        sock = yield from admitted(world, machine)
        for _ in range(3):
            yield from says(world, sock, ADD)
        assert len(machine.store.heard) == 1
        assert isinstance(machine.store.heard[0], Remember)

    world.play(script())
