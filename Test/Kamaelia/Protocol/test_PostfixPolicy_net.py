"""PolicySession on real sockets: those who flood, who do not read, who stay silent, who close."""

import socket
from pathlib import Path

from Axon.Ipc import shutdownMicroprocess
from Axon.Testing import FakeClock
from Kamaelia.Protocol.PostfixPolicy import DUNNO, IDLE_SECONDS, PolicySession
from Test.Kamaelia.network import Script, World, ended

REQUEST = b"request=smtpd_access_policy\nprotocol_state=RCPT\n\n"


def asks(world: World, client: socket.socket, count: int = 1) -> Script:
    client.sendall(REQUEST * count)
    assert (yield from world.receive(client, len(DUNNO) * count)) == DUNNO * count


def test_many_questions_of_one_connection_are_answered(world: World) -> None:
    def script() -> Script:
        server = world.serve(PolicySession)
        client = world.connect(server)
        yield from asks(world, client)
        yield from asks(world, client, 1_000)
        client.close()
        yield from world.until(lambda: server.connections == 0)

    world.play(script())


def test_at_a_local_socket_too(world: World, tmp_path: Path) -> None:
    def script() -> Script:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(f"{tmp_path}/s")
        listener.listen()
        world.serve(PolicySession, sock=listener)
        client = world.keep(socket.socket(socket.AF_UNIX))
        client.connect(f"{tmp_path}/s")
        client.setblocking(False)
        yield from asks(world, client)

    world.play(script())


def test_who_sends_and_never_reads_is_held_back_and_others_are_served(
    world: World, clock: FakeClock
) -> None:
    def script() -> Script:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)  # clients inherit it
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = world.serve(PolicySession, sock=listener)
        other, flood = world.connect(server), world.keep(socket.socket())
        flood.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        flood.connect(server.address)
        flood.setblocking(False)
        sent, stuck_since = 0, world.waiter.waits
        data = REQUEST * 1_000
        while world.waiter.waits < stuck_since + 2_000:
            assert sent < 100_000_000
            try:
                sent += flood.send(data[sent % len(REQUEST) :])
                stuck_since = world.waiter.waits
            except BlockingIOError:
                yield 1
        yield from asks(world, other)
        # One interval in which it has asked something, one without, and some time to read the rest.
        for seconds in (IDLE_SECONDS + 1, IDLE_SECONDS + 1, 31.0):
            assert server.connections == 2
            clock.advance(seconds)
            yield from asks(world, other)
            yield from world.settle()
        yield from world.until(lambda: server.connections == 1)

    world.play(script())


def test_who_asks_nothing_is_let_go(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        server = world.serve(PolicySession)
        client = world.connect(server)
        client.sendall(REQUEST[:10])
        yield from world.settle()
        clock.advance(IDLE_SECONDS + 1)
        assert (yield from world.receive_all(client)) == b""
        yield from world.until(lambda: server.connections == 0)

    world.play(script())


def test_who_closes_its_side_behind_its_question_is_answered(world: World) -> None:
    def script() -> Script:
        client = world.connect(world.serve(PolicySession))
        client.sendall(REQUEST)
        client.shutdown(socket.SHUT_WR)
        assert (yield from world.receive_all(client)) == DUNNO

    world.play(script())


def test_a_server_that_shuts_down_closes_idle_connections(world: World) -> None:
    def script() -> Script:
        server = world.serve(PolicySession)
        client = world.connect(server)
        yield from asks(world, client)
        server.inboxes["control"].deliver(shutdownMicroprocess())
        assert (yield from world.receive_all(client)) == b""
        yield from world.until(lambda: ended(server))

    world.play(script())


def test_nonsense_is_not_answered(world: World) -> None:
    def script() -> Script:
        server = world.serve(PolicySession)
        client, other = world.connect(server), world.connect(server)
        client.sendall(b"EHLO mx.example.net\n\n")
        assert (yield from world.receive_all(client)) == b""
        yield from asks(world, other)

    world.play(script())
