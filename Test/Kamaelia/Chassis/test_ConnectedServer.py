"""A server: who is served, what a failure ends and what it does not, and how a server stops."""

import errno
import gc
import socket
import weakref
from contextlib import suppress

import pytest

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Scheduler import scheduler
from Axon.Testing import FakeClock
from Kamaelia.Chassis.ConnectedServer import (
    FastRestartServer,
    MoreComplexServer,
    ServerCore,
    SimpleServer,
)
from Kamaelia.Chassis.Pipeline import Pipeline
from Kamaelia.Internet.ConnectedSocketAdapter import ConnectedSocketAdapter
from Kamaelia.IPC import serverShutdown, socketShutdown
from Test.Kamaelia.network import (
    CountingWaiter,
    Echo,
    Greeter,
    Mute,
    Script,
    World,
    answers,
    ended,
    open_files,
    reset,
)
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {
    kind: Ends(None, why="no ports in virtual time; a finish is nothing to it: tests below")
    for kind in (ServerCore, SimpleServer, FastRestartServer)
}

MIB = 1 << 20


class Tuner(component):
    """Keeps what it is told about its connection, and ends with it."""

    def __init__(self, **peer: object) -> None:
        super().__init__(**peer)
        self.told: list[object] = []

    def main(self) -> Script:
        while not self.dataReady("control"):
            self.pause()
            yield 1
        self.told.extend(self.Inbox("control"))
        self.send(producerFinished(self), "signal")


# ---- serving


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_every_client_is_served_by_a_protocol_of_its_own(world: World, host: str) -> None:
    def script() -> Script:
        server = world.serve(Echo, host=host)
        clients = [world.connect(server) for _ in range(5)]
        for number, client in enumerate(clients):
            client.sendall(b"hello %d" % number)
        for number, client in enumerate(clients):
            assert (yield from world.receive(client, 7)) == b"hello %d" % number
        assert server.connections == 5
        for client in clients:
            client.close()
        yield from world.until(lambda: server.connections == 0)

    world.play(script())


def test_no_host_means_all_ipv4_addresses(world: World) -> None:
    def script() -> Script:
        server = world.serve(Echo, host="")
        assert server.address[0] == "0.0.0.0"  # noqa: S104 - what the system calls it
        yield from answers(world, server)

    world.play(script())


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_protocol_is_told_whom_it_talks_to(world: World, host: str) -> None:
    made: list[dict[str, object]] = []

    def protocol(**peer: object) -> component:
        made.append(peer)
        return Echo(**peer)

    def script() -> Script:
        server = world.serve(protocol, host=host)
        client = world.connect(server)
        yield from world.until(lambda: made)
        assert made == [
            {
                "peer": host,
                "peerport": client.getsockname()[1],
                "localip": host,
                "localport": server.address[1],
            }
        ]

    world.play(script())


def test_a_client_of_a_local_socket_has_no_port(world: World, tmp_path: object) -> None:
    made: list[dict[str, object]] = []

    def protocol(**peer: object) -> component:
        made.append(peer)
        return Echo()

    def script() -> Script:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(f"{tmp_path}/s")
        listener.listen()
        server = world.serve(protocol, sock=listener)
        assert server.address == (f"{tmp_path}/s", 0)
        client = world.keep(socket.socket(socket.AF_UNIX))
        client.connect(f"{tmp_path}/s")
        client.setblocking(False)
        client.sendall(b"x")
        assert (yield from world.receive(client, 1)) == b"x"
        assert (made[0]["peer"], made[0]["peerport"]) == ("", 0)
        assert made[0]["localip"] == f"{tmp_path}/s"

    world.play(script())


def test_the_simple_server_s_protocol_takes_no_arguments(world: World) -> None:
    def protocol() -> component:
        return Echo()

    def script() -> Script:
        yield from answers(world, world.serve(protocol, SimpleServer))

    world.play(script())


def test_a_setting_may_be_a_class_attribute(world: World) -> None:
    class Mine(FastRestartServer):
        protocol = Echo
        host = "127.0.0.1"
        port = 0

    def script() -> Script:
        server = Mine()
        world.run(server)
        assert server.server is not None
        listener = server.server.listener
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
        yield from answers(world, server)

    world.play(script())


def test_the_old_name_is_the_same_class() -> None:
    assert MoreComplexServer is ServerCore


def test_all_that_a_protocol_sent_before_it_ended_arrives(world: World) -> None:
    text = bytes(range(256)) * 4096 * 20

    def script() -> Script:
        server = world.serve(lambda **peer: Greeter(text, **peer))
        client = world.connect(server)
        assert (yield from world.receive_all(client)) == text
        yield from world.until(lambda: server.connections == 0)

    world.play(script())


def test_a_protocol_without_boxes_for_shutdowns_ends_with_its_connection(world: World) -> None:
    def script() -> Script:
        server = world.serve(Mute)
        client = world.connect(server)
        client.sendall(b"hello")
        assert (yield from world.receive(client, 5)) == b"hello"
        alone = len(world.scheduler.threads) - 2
        reset(client)
        yield from world.until(lambda: len(world.scheduler.threads) == alone)

    world.play(script())


def test_a_protocol_that_cannot_be_told_of_the_client_s_end_has_time_to_answer(
    world: World, clock: FakeClock
) -> None:
    def script() -> Script:
        server = world.serve(Mute)
        client = world.connect(server)
        client.sendall(b"hello")
        client.shutdown(socket.SHUT_WR)
        assert (yield from world.receive(client, 5)) == b"hello"
        yield from world.settle()
        assert server.connections == 1
        clock.advance(ConnectedSocketAdapter.half_close_timeout)
        assert (yield from world.receive_all(client)) == b""
        yield from world.until(lambda: server.connections == 0)

    world.play(script())


@pytest.mark.parametrize("how", ["end", "reset"])
def test_a_protocol_is_told_once_that_its_client_is_gone(world: World, how: str) -> None:
    made: list[Tuner] = []

    def protocol(**peer: object) -> component:
        made.append(Tuner(**peer))
        return made[-1]

    def script() -> Script:
        server = world.serve(protocol)
        client = world.connect(server)
        yield from world.until(lambda: made)
        yield from world.settle()
        if how == "reset":
            reset(client)
        else:
            client.close()
        yield from world.until(lambda: made[0].told)
        yield from world.until(lambda: server.connections == 0)
        (told,) = made[0].told
        assert isinstance(told, socketShutdown)
        assert isinstance(told.message[1], ConnectionResetError) == (how == "reset")

    world.play(script())


# ---- stopping


def test_a_shutdown_closes_the_port_and_ends_the_server_after_its_connections(
    world: World,
) -> None:
    def script() -> Script:
        server, owner = world.serve(Echo), component()
        address = server.address
        owner.link((server, "signal"), (owner, "inbox"))
        clients = [world.connect(server) for _ in range(3)]
        yield from world.until(lambda: server.connections == 3)
        server.inboxes["control"].deliver(producerFinished())  # it outlives its data
        yield from world.settle()
        assert not ended(server)
        stop = serverShutdown()
        server.inboxes["control"].deliver(stop)
        for client in clients:
            assert (yield from world.receive_all(client)) == b""
        yield from world.until(lambda: ended(server))
        assert owner.recv("inbox") is stop
        with pytest.raises(ConnectionRefusedError):
            world.connect(address)

    world.play(script())


def test_the_run_ends_when_the_server_does(world: World) -> None:
    server = world.serve(Echo)
    world.connect(server)
    server.inboxes["control"].deliver(shutdownMicroprocess())
    world.scheduler.runThreads()
    assert not world.scheduler.threads


def test_a_client_that_waits_to_be_accepted_at_the_shutdown_is_told_too(world: World) -> None:
    def script() -> Script:
        server = world.serve(Echo)
        yield from world.settle()
        client = world.connect(server)
        server.inboxes["control"].deliver(shutdownMicroprocess())
        with suppress(ConnectionResetError):  # if it was never accepted
            assert (yield from world.receive_all(client)) == b""
        yield from world.until(lambda: ended(server))

    world.play(script())


def test_a_client_accepted_while_the_server_stops_is_told_too(world: World) -> None:
    def script() -> Script:
        server = world.serve(Echo)
        yield from world.settle()
        client = world.connect(server)
        server.inboxes["control"].deliver(shutdownMicroprocess())
        yield 1  # the server has had its turn, and the port is still open
        assert server.server is not None
        server.server._accept(0)
        assert (yield from world.receive_all(client)) == b""
        yield from world.until(lambda: ended(server))

    world.play(script())


@pytest.mark.parametrize("how", ["shutdown", "stop"])
def test_last_bytes_are_still_sent_after_a_shutdown_and_dropped_by_stop(
    world: World, how: str
) -> None:
    def script() -> Script:
        server = world.serve(lambda **peer: Greeter(bytes(16 * MIB), **peer))
        client = world.connect(server)
        yield from world.receive(client, 1)
        yield from world.settle()  # the protocol has ended, the socket's component has not
        assert server.connections == 1
        if how == "stop":
            server.stop()
        else:
            server.inboxes["control"].deliver(shutdownMicroprocess())
        received = yield from world.receive_all(client)
        assert (len(received) == 16 * MIB - 1) == (how == "shutdown")
        yield from world.until(lambda: ended(server))
        assert server.connections == 0

    world.play(script())


def test_a_protocol_without_control_is_closed_at_the_shutdown(world: World) -> None:
    def script() -> Script:
        server = world.serve(Mute)
        client = world.connect(server)
        yield from world.until(lambda: server.connections == 1)
        server.inboxes["control"].deliver(shutdownMicroprocess)
        assert (yield from world.receive_all(client)) == b""
        yield from world.until(lambda: len(world.scheduler.threads) == 1)

    world.play(script())


def test_a_protocol_may_stop_the_server(world: World) -> None:
    class Commander(component):
        Outboxes = {
            "outbox": "bytes: nothing",
            "signal": "producerFinished",
            "serversignal": "serverShutdown: on every message",
        }

        def main(self) -> Script:
            while not self.anyReady():
                self.pause()
                yield 1
            if self.dataReady("inbox"):
                self.send(serverShutdown(), "serversignal")
            while not self.dataReady("control"):
                self.pause()
                yield 1

    def script() -> Script:
        server = world.serve(Commander)
        client, other = world.connect(server), world.connect(server)
        client.sendall(b"stop")
        for each in (client, other):
            assert (yield from world.receive_all(each)) == b""
        yield from world.until(lambda: ended(server))

    world.play(script())


def test_stop_listening_serves_the_connected_to_their_end_and_then_ends(world: World) -> None:
    def script() -> Script:
        server = world.serve(Echo)
        address = server.address
        client = world.connect(server)
        yield from world.until(lambda: server.connections == 1)
        server.stop_listening()
        yield from world.settle()
        with pytest.raises(ConnectionRefusedError):
            world.connect(address)
        client.sendall(b"still here")
        assert (yield from world.receive(client, 10)) == b"still here"
        assert server.connections == 1
        client.close()
        yield from world.until(lambda: ended(server))
        assert server.connections == 0

    world.play(script())


def test_stop_closes_the_port_and_every_connection_at_once(world: World) -> None:
    def script() -> Script:
        yield from world.settle()
        before = open_files()
        server = world.serve(lambda **_peer: Pipeline(Echo(), Echo()))
        clients = [world.connect(server) for _ in range(3)]
        yield from world.until(lambda: server.connections == 3)
        late = world.connect(server)
        assert server.server is not None
        server.server._accept(0)  # nobody has had a turn since
        assert server.connections == 4
        server.stop()
        for client in (*clients, late):
            assert (yield from world.receive_all(client)) == b""
            client.close()
        yield from world.until(lambda: len(world.scheduler.threads) == 1)
        assert open_files() == before

    world.play(script())


def test_stop_goes_on_past_a_protocol_whose_stop_fails(world: World) -> None:
    class Stubborn(Echo):
        def stop(self) -> None:
            super().stop()
            raise RuntimeError("will not")

    def script() -> Script:
        server = world.serve(Stubborn)
        address = server.address
        clients = [world.connect(server) for _ in range(2)]
        yield from world.until(lambda: server.connections == 2)
        with pytest.raises(RuntimeError, match="will not"):
            server.stop()
        for client in clients:
            assert (yield from world.receive_all(client)) == b""
        with pytest.raises(ConnectionRefusedError):
            world.connect(address)

    world.play(script())


# ---- the port


def test_a_port_in_use_is_an_error_for_whoever_activates_the_server() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        runner = scheduler(waiter=CountingWaiter())
        server = ServerCore(protocol=Echo, host="127.0.0.1", port=port)
        with pytest.raises(OSError, match=rf"127\.0\.0\.1 port {port}: .*in use") as caught:
            server.activate(Scheduler=runner)
        assert caught.value.errno == errno.EADDRINUSE
        assert not runner.threads


def test_the_address_is_known_once_the_server_is_active(world: World) -> None:
    server = ServerCore(protocol=Echo, host="127.0.0.1", port=0)
    with pytest.raises(RuntimeError, match="not active"):
        server.address  # noqa: B018 - the property raises

    def script() -> Script:
        world.run(server)
        world.run(server)  # twice does no harm
        assert server.address[1] > 0
        yield 1

    world.play(script())


def test_a_server_stopped_before_it_was_active_is_no_error() -> None:
    ServerCore(protocol=Echo).stop()


def test_a_server_without_a_protocol_is_refused() -> None:
    with pytest.raises(TypeError, match="protocol="):
        ServerCore(port=0)


def test_a_listening_socket_may_be_handed_over(world: World) -> None:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    port = listener.getsockname()[1]

    def script() -> Script:
        server = world.serve(Echo, sock=listener)
        assert server.address == ("127.0.0.1", port)
        yield from answers(world, server)

    world.play(script())


# ---- costs


def test_two_thousand_connections_leave_nothing(world: World) -> None:
    gone: list[weakref.ref[object]] = []

    def protocol(**peer: object) -> component:
        made = Echo(**peer)
        gone.append(weakref.ref(made))
        return made

    def script() -> Script:
        server = world.serve(protocol)
        yield from world.settle()
        threads, files = len(world.scheduler.threads), open_files()
        for round_ in range(20):
            clients = [world.connect(server) for _ in range(100)]
            for client in clients:
                client.sendall(b"x")
            for client in clients:
                yield from world.receive(client, 1)
            gone.extend(weakref.ref(each) for each in server._connections)
            for client in clients:
                (reset if round_ % 2 else socket.socket.close)(client)
            world.sockets.clear()
            yield from world.until(lambda: server.connections == 0)
        yield from world.until(lambda: len(world.scheduler.threads) == threads)
        yield from world.settle()
        assert open_files() == files
        assert server.server is not None
        assert len(server.postoffice.linkages) == 3
        assert len(server.server.postoffice.linkages) == 0
        assert len(gone) == 4000
        # One: the last message, still in a variable of the component that took it.
        assert sum(ref() is not None for ref in gone) <= 1

    gc.collect()
    gc.disable()
    try:
        world.play(script())
    finally:
        gc.enable()


def test_idle_connections_cost_no_turns(real_time_world: World) -> None:
    world = real_time_world

    def script() -> Script:
        server = world.serve(Echo)
        clients = [world.connect(server) for _ in range(200)]
        yield from world.until(lambda: server.connections == 200)
        clients[0].sendall(b"x")
        yield from world.receive(clients[0], 1)
        waits = world.waiter.waits
        yield from world.rest(0.3)
        assert world.waiter.waits - waits < 5

    world.play(script())


def test_the_memory_of_a_server_stays_bounded_when_a_client_does_not_read(
    world: World, clock: FakeClock
) -> None:
    def script() -> Script:
        server = world.serve(Echo)
        client = world.connect(server)
        yield from world.until(lambda: server.connections == 1)
        (adapter,) = server._connections
        sent = yield from world.fill(client, limit=200 * MIB)
        assert sent < 100 * MIB
        assert adapter._queue.waiting_bytes <= adapter.write_high + 6 * 65_536
        assert (yield from world.receive(client, sent)) == (bytes(range(256)) * (sent // 256 + 1))[
            :sent
        ]

    world.play(script())
