"""A listening port: who is announced, what may go wrong, and that it never spins."""

import errno
import logging
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import FakeClock
from Kamaelia.Internet.ConnectedSocketAdapter import ConnectedSocketAdapter
from Kamaelia.Internet.TCPServer import (
    ACCEPTS_PER_EVENT,
    RETRY_SECONDS,
    TCPServer,
    addresses_of,
    listening_socket,
)
from Kamaelia.IPC import newCSA, serverShutdown, shutdownCSA
from Test.Kamaelia.network import Echo, Script, Silent, World, reset
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {
    TCPServer: Ends(None, why="no ports in virtual time; a finish is nothing to it: tests below")
}

ROOT = Path(__file__).resolve().parents[3]


class TroubledListener:
    """A listening socket whose next calls of accept fail."""

    def __init__(self, real: socket.socket, *errors: int) -> None:
        self.real = real
        self.errors = list(errors)
        self.calls = 0

    def _accept(self) -> tuple[int, object]:
        self.calls += 1
        if self.errors:
            number = self.errors.pop(0)
            raise OSError(number, os.strerror(number))
        accepted: tuple[int, object] = self.real._accept()  # type: ignore[attr-defined]
        return accepted

    def __getattr__(self, name: str) -> object:
        return getattr(self.real, name)


def start(world: World, server: TCPServer) -> Silent:
    """Make the server active; the component that hears of its clients."""
    owner = Silent()
    owner.link((server, "protocolHandlerSignal"), (owner, "inbox"))
    owner.link((server, "signal"), (owner, "control"))
    world.run(owner, server)
    return owner


# ---- the port


@pytest.mark.parametrize("address", [("127.0.0.1", 0), ("::1", 0), ("", 0), 0, None])
def test_it_listens_once_it_is_made(world: World, address: tuple[str, int] | int | None) -> None:
    server = TCPServer(address)
    host, port = server.address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as client:
        client.connect((host, port))
    server.stop()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_port_that_cannot_be_had_is_an_error_that_names_it(host: str) -> None:
    with listening_socket((host, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use") as caught:
            TCPServer((host, port))
    assert caught.value.errno == errno.EADDRINUSE
    assert f"{host} port {port}" in str(caught.value)


def test_an_address_that_is_not_ours_is_an_error() -> None:
    with pytest.raises(OSError, match=r"192\.0\.2\.1 port 0"):
        TCPServer(("192.0.2.1", 0))


@pytest.mark.parametrize("port", [70_000, -1])
def test_a_port_that_cannot_be_is_an_error_too(port: int) -> None:
    with pytest.raises(OSError, match=f"any address port {port}: there is no such"):
        TCPServer(port)


def test_ipv4_and_ipv6_may_have_the_same_port() -> None:
    with listening_socket(None) as four:
        port = four.getsockname()[1]
        listening_socket(("::", port)).close()


@pytest.mark.parametrize("several", [True, False])
def test_socket_options_are_set_before_binding(several: bool) -> None:
    option = (socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server = TCPServer(("127.0.0.1", 0), socketOptions=[option] if several else option)
    assert server.listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
    server.stop()


# ---- clients


def test_a_client_is_announced_when_it_comes_and_when_it_is_gone(world: World) -> None:
    def script() -> Script:
        server = TCPServer(("127.0.0.1", 0))
        owner = start(world, server)
        client = world.connect(server.address)
        yield from world.until(lambda: owner.dataReady("inbox"))
        come = owner.recv("inbox")
        assert isinstance(come, newCSA)
        assert come.caller is server
        adapter = come.object
        assert isinstance(adapter, ConnectedSocketAdapter)
        assert come.sock is adapter.sock
        assert adapter.sock.getpeername() == client.getsockname()
        world.run(adapter)
        yield from world.settle()
        reset(client)
        yield from world.until(lambda: owner.dataReady("inbox"))
        gone = owner.recv("inbox")
        assert isinstance(gone, shutdownCSA)
        assert gone.object is adapter
        yield from world.until(lambda: not server.postoffice.linkages)

    world.play(script())


@pytest.mark.parametrize("host", ["127.0.0.1", ""])
def test_a_client_is_asked_for_no_more_than_is_not_known(world: World, host: str) -> None:
    def script() -> Script:
        server = TCPServer((host, 0))
        owner = start(world, server)
        client = world.connect(("127.0.0.1", server.address[1]))
        yield from world.until(lambda: owner.dataReady("inbox"))
        adapter = owner.recv("inbox").object
        # The listener has it, and so has who comes by it, without being asked to.
        assert adapter.undelayed
        assert adapter.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        known = (*client.getsockname(), *client.getpeername())
        assert adapter.addresses == (known if host else None)
        assert addresses_of(adapter.sock) == known
        adapter.stop()

    world.play(script())


@pytest.mark.parametrize("how", ["stop", "exception"])
def test_a_client_whose_component_does_not_end_by_itself_is_announced_too(
    world: World, how: str
) -> None:
    class Failing(ConnectedSocketAdapter):
        def main(self) -> Script:
            self.pause()
            yield 1
            raise RuntimeError("as it was told")

    def script() -> Script:
        server = TCPServer(("127.0.0.1", 0), CSA=Failing)
        owner = start(world, server)
        world.connect(server.address)
        yield from world.until(lambda: owner.dataReady("inbox"))
        adapter = owner.recv("inbox").object
        adapter.isolate(lambda _culprit, _error: None)
        world.run(adapter)
        yield from world.settle()
        if how == "stop":
            adapter.stop()
        else:
            adapter.unpause()
        yield from world.until(lambda: owner.dataReady("inbox"))
        assert owner.recv("inbox").object is adapter

    world.play(script())


def test_a_flood_is_taken_in_portions(world: World) -> None:
    def script() -> Script:
        server = TCPServer(("127.0.0.1", 0))
        owner = Silent()
        owner.link((server, "protocolHandlerSignal"), (owner, "inbox"))
        server.scheduler = world.scheduler
        for _ in range(ACCEPTS_PER_EVENT + 10):
            world.connect(server.address)
        server._accept(0)
        assert owner.dataReady("inbox") == ACCEPTS_PER_EVENT
        server._accept(0)
        assert owner.dataReady("inbox") == ACCEPTS_PER_EVENT + 10
        for message in owner.Inbox("inbox"):
            message.object.stop()
        server.stop()
        yield 1

    world.play(script())


def test_clients_above_the_limit_wait_until_another_leaves(world: World) -> None:
    def script() -> Script:
        server = world.serve(Echo, connection_limit=2)
        clients = [world.connect(server) for _ in range(4)]
        for client in clients:
            client.sendall(b"x")
        for client in clients[:2]:
            assert (yield from world.receive(client, 1)) == b"x"
        yield from world.settle()
        assert server.connections == 2
        clients[0].close()
        assert (yield from world.receive(clients[2], 1)) == b"x"
        yield from world.settle()
        assert server.connections == 2
        reset(clients[1])
        assert (yield from world.receive(clients[3], 1)) == b"x"

    world.play(script())


def test_connections_that_failed_do_not_count_for_the_limit(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(ConnectedSocketAdapter):
        def main(self) -> Script:
            raise RuntimeError("as it was told")
            yield 1

    class FailingTCPServer(TCPServer):
        CSA = Failing

    def script() -> Script:
        server = world.serve(Echo, TCPS=FailingTCPServer, connection_limit=2)
        for _ in range(6):
            assert (yield from world.receive_all(world.connect(server))) == b""

    world.play(script())
    assert len(caplog.records) == 6


def test_a_socket_component_that_cannot_be_made_costs_that_client_only(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    made: list[object] = []

    def adapter(sock: socket.socket) -> ConnectedSocketAdapter:
        made.append(sock)
        if len(made) == 1:
            raise RuntimeError("as it was told")
        return ConnectedSocketAdapter(sock)

    def script() -> Script:
        server = TCPServer(("127.0.0.1", 0), CSA=adapter)
        owner = start(world, server)
        first, _second = world.connect(server.address), world.connect(server.address)
        assert (yield from world.receive_all(first)) == b""
        yield from world.until(lambda: owner.dataReady("inbox"))
        owner.recv("inbox").object.stop()

    world.play(script())
    (record,) = caplog.records
    assert record.exc_info is not None


# ---- trouble


def test_a_client_that_gave_up_does_not_keep_the_next_waiting(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def script() -> Script:
        listener = TroubledListener(listening_socket(("127.0.0.1", 0)), errno.ECONNABORTED)
        server = TCPServer(None, sock=listener)
        owner = start(world, server)
        world.connect(server.address)
        yield from world.until(lambda: owner.dataReady("inbox"))
        owner.recv("inbox").object.stop()

    world.play(script())
    assert not caplog.records


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.EINVAL])
def test_when_nothing_can_be_accepted_it_waits_a_second_and_says_so_once_a_minute(
    world: World, clock: FakeClock, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    def script() -> Script:
        listener = TroubledListener(listening_socket(("127.0.0.1", 0)), *[number] * 3)
        server = TCPServer(None, sock=listener)
        owner = start(world, server)
        world.connect(server.address)
        for calls in (1, 2, 3):
            yield from world.until(lambda wanted=calls: listener.calls == wanted)
            yield from world.settle()
            assert listener.calls == calls  # it does not ask again and again
            clock.advance(RETRY_SECONDS)
        yield from world.until(lambda: owner.dataReady("inbox"))
        owner.recv("inbox").object.stop()
        clock.advance(60)
        listener.errors.append(number)
        world.connect(server.address)
        yield from world.until(lambda: len(caplog.records) == 2)
        server.stop()
        clock.advance(RETRY_SECONDS)  # too late to listen again
        yield from world.settle()
        assert not world.waiter.busy

    world.play(script())
    assert {record.levelno for record in caplog.records} == {logging.ERROR}


OUT_OF_FILES = """
import logging
import resource
import sys
import time

from Axon.Component import component
from Kamaelia.Chassis.ConnectedServer import ServerCore
from Axon.Scheduler import scheduler

logging.basicConfig(stream=sys.stdout, format="%(message)s")

class Echo(component):
    def main(self):
        while not self.dataReady("control"):
            for data in self.Inbox("inbox"):
                self.send(b"%d" % (1000 * time.process_time()) if data == b"?" else data)
            self.pause()
            yield 1

server = ServerCore(protocol=Echo, host="127.0.0.1", port=0).activate()
print(server.address[1], flush=True)
resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
scheduler.run.runThreads()
"""


def test_out_of_file_descriptors_it_serves_on_and_recovers_without_spinning() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OUT_OF_FILES],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as child:
        assert child.stdout is not None
        clients: list[socket.socket] = []
        try:
            port = int(child.stdout.readline())
            for _ in range(25):
                client = socket.create_connection(("127.0.0.1", port), timeout=10)
                client.sendall(b"x")
                clients.append(client)
            assert clients[0].recv(1) == b"x"
            assert "Too many open files" in child.stdout.readline()
            clients[0].sendall(b"?")
            before = int(clients[0].recv(10))
            clients[-1].settimeout(0.5)
            with pytest.raises(TimeoutError):
                clients[-1].recv(1)
            clients[0].sendall(b"?")
            assert int(clients[0].recv(10)) - before < 100  # milliseconds of processor time
            for client in clients[:-1]:
                client.close()
            clients[-1].settimeout(10)
            assert clients[-1].recv(1) == b"x"
        finally:
            for client in clients:
                client.close()
            child.kill()


# ---- the end


@pytest.mark.parametrize("stop", [serverShutdown(), shutdownMicroprocess(), shutdownMicroprocess])
def test_a_shutdown_closes_the_port_and_is_passed_on(world: World, stop: object) -> None:
    def script() -> Script:
        server = TCPServer(("127.0.0.1", 0))
        address = server.address
        owner = start(world, server)
        yield from world.settle()
        server.inboxes["control"].deliver(producerFinished())
        server.inboxes["_feedbackFromCSA"].deliver("what it does not understand")
        yield from world.settle()
        assert server in world.scheduler.threads
        server.inboxes["control"].deliver(stop)
        yield from world.until(lambda: owner.dataReady("control"))
        assert owner.recv("control") is stop
        with pytest.raises(ConnectionRefusedError):
            world.connect(address)
        assert not world.waiter.busy

    world.play(script())


def test_clients_outlive_the_port(world: World) -> None:
    def script() -> Script:
        server = TCPServer(("127.0.0.1", 0))
        owner = start(world, server)
        client = world.connect(server.address)
        yield from world.until(lambda: owner.dataReady("inbox"))
        adapter = owner.recv("inbox").object
        world.run(adapter)
        server.inboxes["control"].deliver(serverShutdown())
        yield from world.until(lambda: server not in world.scheduler.threads)
        adapter.inboxes["inbox"].deliver(b"still here")
        assert (yield from world.receive(client, 10)) == b"still here"
        client.close()
        yield from world.settle()
        adapter.stop()
        yield from world.until(lambda: adapter not in world.scheduler.threads)
        assert not world.waiter.busy  # the closed port is not listened on again

    world.play(script())


def test_an_idle_port_costs_no_turns(real_time_world: World) -> None:
    world = real_time_world

    def script() -> Script:
        start(world, TCPServer(("127.0.0.1", 0)))
        yield from world.settle()
        waits = world.waiter.waits
        yield from world.rest(0.2)
        assert world.waiter.waits - waits < 5

    world.play(script())
