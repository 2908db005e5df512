"""A server with many clients at once, of which some behave badly: the others are served."""

import resource
import socket
import ssl
from collections import Counter
from collections.abc import Iterator

import pytest

from Axon.Component import component
from Axon.Instruments import Instrument
from Axon.Microprocess import microprocess
from Kamaelia.Chassis.ConnectedServer import ServerCore
from Kamaelia.Internet.ConnectedSocketAdapter import ConnectedSocketAdapter
from Kamaelia.Internet.TCPServer import TCPServer
from Test.Kamaelia import tls
from Test.Kamaelia.network import Echo, Script, World, answers, open_files, pattern, reset

MIB = 1 << 20
MANY = 600  # with both ends more than the 1024 descriptors of a select()


@pytest.fixture
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 3000:
        pytest.skip(f"this process may have no more than {hard} files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 3000), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Fragile(Echo):
    """An Echo that fails on b"fail"."""

    def send(self, message: object, boxname: str = "outbox") -> None:
        if message == b"fail":
            raise ValueError("as it was told")
        super().send(message, boxname)


class Bounded(ConnectedSocketAdapter):
    inbox_limit = 8


class BoundedTCPServer(TCPServer):
    CSA = Bounded


class Chatter(component):
    """Sends on and on, as fast as it may, and never looks at what it is told."""

    def main(self) -> Script:
        while True:
            yield from self.put(b"x" * 100_000)
            yield 1


def told(world: World, client: socket.socket, text: bytes) -> Script:
    """Send a text and hear it again."""
    client.sendall(text)
    assert (yield from world.receive(client, len(text))) == text


def test_six_hundred_clients_come_at_once_and_each_is_served(
    world: World, many_files: None
) -> None:
    def script() -> Script:
        server = world.serve(Echo)
        first = world.connect(server)
        yield from told(world, first, b"first")
        clients = [world.connect(server) for _ in range(MANY)]  # not one is accepted meanwhile
        for number, client in enumerate(clients):
            client.sendall(b"%03d" % number)
        yield from told(world, first, b"still served")
        for number, client in enumerate(clients):
            assert (yield from world.receive(client, 3)) == b"%03d" % number
        assert server.connections == MANY + 1
        for client in clients:
            client.close()
        yield from world.until(lambda: server.connections == 1)
        yield from answers_beside(world, server, first)

    world.play(script())


def answers_beside(world: World, server: ServerCore, other: socket.socket) -> Script:
    other.close()
    yield from world.until(lambda: server.connections == 0)
    yield from answers(world, server)


def test_a_flood_of_which_half_is_gone_before_it_is_accepted(
    world: World, many_files: None
) -> None:
    def script() -> Script:
        server = world.serve(Echo)
        yield from world.settle()
        threads, files = len(world.scheduler.threads), open_files()
        clients = [world.connect(server) for _ in range(MANY)]
        for number, client in enumerate(clients):
            client.sendall(b"hello")
            if number % 2:
                reset(client)
        for client in clients[::2]:
            assert (yield from world.receive(client, 5)) == b"hello"
            client.close()
        yield from world.until(lambda: server.connections == 0)
        yield from world.until(lambda: len(world.scheduler.threads) == threads)
        yield from world.settle()
        assert open_files() == files
        yield from answers(world, server)

    world.play(script())


def test_protocols_that_fail_by_the_hundred_end_their_own_connections(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def script() -> Script:
        server = world.serve(Fragile)
        clients = [world.connect(server) for _ in range(200)]
        for number, client in enumerate(clients):
            client.sendall(b"fail" if number % 2 else b"well")
        for number, client in enumerate(clients):
            expected = b"" if number % 2 else b"well"
            assert (yield from world.receive(client, 4)) == expected
        yield from world.until(lambda: server.connections == 100)
        for client in clients[::2]:
            yield from told(world, client, b"on and on")

    world.play(script())
    assert len(caplog.records) == 100


def test_clients_that_end_their_side_first_get_the_whole_answer(world: World) -> None:
    data = pattern(200_000)

    def script() -> Script:
        server = world.serve(Echo)
        clients = [world.connect(server) for _ in range(50)]
        left = dict.fromkeys(clients, data)
        got = dict.fromkeys(clients, b"")
        while any(len(each) < len(data) for each in got.values()):
            for client in clients:
                if left[client]:
                    sent = send_some(client, left[client])
                    left[client] = left[client][sent:]
                    if not left[client]:
                        client.shutdown(socket.SHUT_WR)
                got[client] += read_some(client)
            yield 1
        assert all(each == data for each in got.values())
        yield from world.until(lambda: server.connections == 0)

    world.play(script())


def send_some(client: socket.socket, data: bytes) -> int:
    try:
        return client.send(data)
    except BlockingIOError:
        return 0


def read_some(client: socket.socket) -> bytes:
    try:
        return client.recv(1 << 20)
    except BlockingIOError:
        return b""


@pytest.mark.parametrize("end", ["reads", "resets"])
def test_slow_readers_keep_nobody_waiting_and_take_little_memory(world: World, end: str) -> None:
    def script() -> Script:
        server = world.serve(Echo)
        slow = [world.connect(server) for _ in range(4)]
        yield from world.until(lambda: server.connections == 4)
        adapters = list(server._connections)
        sent: list[int] = []
        for client in slow:
            filled = yield from world.fill(client, limit=64 * MIB)
            sent.append(filled)
        for adapter in adapters:
            assert adapter._queue.waiting_bytes <= adapter.write_high + 6 * 65_536  # type: ignore[attr-defined]
        fast = world.connect(server)
        for _ in range(20):
            yield from told(world, fast, b"quick")
        for client, count in zip(slow, sent, strict=True):
            if end == "reads":
                repeated = bytes(range(256)) * (count // 256 + 1)
                assert (yield from world.receive(client, count)) == repeated[:count]
            else:
                reset(client)
        if end == "resets":
            yield from world.until(lambda: server.connections == 1)
        yield from told(world, fast, b"quick")

    world.play(script())


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_protocol_that_never_stops_sending_is_bounded_and_outlives_its_client(
    world: World, encrypted: bool
) -> None:
    made: list[Chatter] = []

    def protocol(**peer: object) -> component:
        made.append(Chatter(**peer))
        return made[-1]

    def script() -> Script:
        context = tls.server_context() if encrypted else None
        server = world.serve(protocol, TCPS=BoundedTCPServer, tls=context)
        clients: list[socket.socket] = []
        for _ in range(5):
            client = world.connect(server)
            if encrypted:
                client = yield from tls.secured(world, client)
            clients.append(client)
        yield from world.until(lambda: server.connections == 5)
        yield from world.settle()
        assert all(
            adapter._queue.waiting_bytes <= 8 * 100_000 for adapter in list(server._connections)
        )
        for client in clients:
            reset(client)
        yield from world.until(lambda: server.connections == 0)
        for each in made:
            each.stop()

    world.play(script())


def test_everything_at_once_and_nothing_is_left(world: World, many_files: None) -> None:
    def script() -> Script:
        server = world.serve(Fragile, tls=tls.server_context())
        yield from world.settle()
        threads, files = len(world.scheduler.threads), open_files()
        plain = [world.connect(server) for _ in range(120)]
        good = []
        for number, client in enumerate(plain):
            match number % 6:
                case 0:
                    good.append(tls.wrap(world, client, tls.client_context()))
                case 1:
                    reset(client)
                case 2:
                    client.sendall(b"no TLS\r\n")
                case 3:
                    client.shutdown(socket.SHUT_WR)
                case 4:
                    begun = tls.wrap(world, client, tls.client_context())
                    with pytest.raises(ssl.SSLWantReadError):
                        begun.do_handshake()
                    reset(begun)
                case 5:
                    failing = yield from tls.secured(world, client)
                    yield from tls.send_all(failing, b"fail")
        for client in good:
            yield from tls.shake_hands(client)
            yield from tls.send_all(client, b"well")
            assert (yield from tls.receive(client, 4)) == b"well"
        yield from world.until(lambda: server.connections == len(good))
        for each in world.sockets:
            each.close()
        world.sockets.clear()
        yield from world.until(lambda: len(world.scheduler.threads) == threads)
        yield from world.settle()
        assert open_files() == files

    world.play(script())


class Turns(Instrument):
    """Counts the turns of each kind of component."""

    def __init__(self) -> None:
        self.of: Counter[str] = Counter()

    def before_step(self, process: microprocess) -> None:
        self.of[type(process).__name__] += 1


class Once(component):
    """Says one thing, then ends."""

    def main(self) -> Iterator[object]:
        self.send(b"hello", "outbox")
        yield 1


def test_a_connection_costs_one_turn_more_than_its_protocol_takes(world: World) -> None:
    turns = Turns()

    def script() -> Script:
        server = world.serve(Once)
        yield from world.settle()
        world.scheduler.add_instrument(turns)
        clients = [world.connect(server) for _ in range(50)]
        for client in clients:
            assert (yield from world.receive_all(client)) == b"hello"
        yield from world.until(lambda: server.connections == 0)
        world.scheduler.remove_instrument(turns)

    world.play(script())
    assert turns.of["Once"] == 100  # to begin and to end
    assert turns.of["ConnectedSocketAdapter"] == 50  # the end
    assert turns.of["ServerCore"] == turns.of["TCPServer"] == 0
