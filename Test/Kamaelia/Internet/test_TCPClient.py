"""Connecting: to what may answer, refuse or say nothing, without stopping anybody else."""

import errno
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from Axon.AxonExceptions import noSpaceInBox
from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import FakeClock
from Kamaelia.Chassis.Pipeline import Pipeline
from Kamaelia.Internet.TCPClient import TCPClient, addresses_of
from Kamaelia.Internet.TCPServer import listening_socket
from Test.Kamaelia.network import Echo, Script, Silent, World, reset
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {
    TCPClient: Ends(None, why="it says producerFinished with a reason, whatever ended it: below")
}

MIB = 1 << 20


def start(world: World, client: TCPClient) -> Silent:
    """Make the client active; the component that its boxes lead to."""
    owner = Silent()
    owner.link((client, "outbox"), (owner, "inbox"))
    owner.link((client, "signal"), (owner, "control"))
    world.run(owner, client)
    return owner


def listen(world: World, host: str = "127.0.0.1") -> tuple[socket.socket, tuple[str, int]]:
    listener = world.keep(listening_socket((host, 0)))
    return listener, listener.getsockname()[:2]


def accept(world: World, listener: socket.socket) -> Script:
    while True:
        try:
            peer, _address = listener.accept()
        except BlockingIOError:
            yield 1
            continue
        peer.setblocking(False)
        return world.keep(peer)


def over(world: World, owner: Silent) -> Script:
    """Wait for the client's end; its reason."""
    yield from world.until(lambda: owner.dataReady("control"))
    told = owner.recv("control")
    assert isinstance(told, producerFinished)
    assert isinstance(told.caller, TCPClient)
    yield from world.until(lambda: told.caller not in world.scheduler.threads)
    return told.message


@contextmanager
def silent_address() -> Iterator[tuple[str, int]]:
    """Where a connection attempt gets no answer: the listen queue is full, and stays so."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()


class Names:
    """Takes the place of getaddrinfo for names; addresses are looked up really."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.real = socket.getaddrinfo
        self.answers: dict[str, list[tuple[str, int]] | OSError] = {}
        self.threads: list[threading.Thread] = []
        self.gate = threading.Event()
        self.gate.set()
        monkeypatch.setattr(socket, "getaddrinfo", self.getaddrinfo)

    def getaddrinfo(self, host: str, port: int, *rest: int, **options: int) -> list[Any]:
        if host not in self.answers or options.get("flags") == socket.AI_NUMERICHOST:
            return self.real(host, port, *rest, **options)
        self.threads.append(threading.current_thread())
        self.gate.wait(10)
        answer = self.answers[host]
        if isinstance(answer, OSError):
            raise answer
        return [found for each in answer for found in self.real(*each, **options)]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    return Names(monkeypatch)


# ---- connected


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_once_connected_it_is_the_socket(world: World, host: str) -> None:
    def script() -> Script:
        server = world.serve(Echo, host=host)
        client = TCPClient(host, server.address[1])
        owner = start(world, client)
        yield from world.until(lambda: server.connections)
        client.inboxes["inbox"].deliver(b"hello")
        yield from world.until(lambda: owner.dataReady("inbox"))
        assert owner.recv("inbox") == b"hello"
        client.inboxes["control"].deliver(producerFinished())
        assert (yield from over(world, owner)) is None
        yield from world.until(lambda: server.connections == 0)

    world.play(script())


def test_messages_that_come_before_the_connection_stands_are_sent_in_order(world: World) -> None:
    def script() -> Script:
        listener, address = listen(world)
        client = TCPClient(*address, delay=5)
        owner = start(world, client)
        for number in range(3):
            client.inboxes["inbox"].deliver(b"%d" % number)
        yield from world.settle()
        world.scheduler.clock.advance(5)
        peer = yield from accept(world, listener)
        client.inboxes["inbox"].deliver(b"3")
        assert (yield from world.receive(peer, 4)) == b"0123"
        client.inboxes["control"].deliver(producerFinished())
        yield from over(world, owner)

    world.play(script())


def test_what_waits_is_sent_before_the_end(world: World) -> None:
    def script() -> Script:
        listener, address = listen(world)
        client = TCPClient(*address)
        owner = start(world, client)
        peer = yield from accept(world, listener)
        client.inboxes["inbox"].deliver(bytes(8 * MIB))
        client.inboxes["control"].deliver(producerFinished())
        assert (yield from world.receive_all(peer)) == bytes(8 * MIB)
        assert (yield from over(world, owner)) is None

    world.play(script())


def test_a_request_and_its_end_in_one_pipeline_are_sent(world: World) -> None:
    class Request(component):
        def main(self) -> Script:
            self.send(b"request", "outbox")
            self.send(producerFinished(self), "signal")
            yield 1

    def script() -> Script:
        listener, address = listen(world)
        line = Pipeline(Request(), TCPClient(*address, wait_for_serverclose=True))
        owner = Silent()
        owner.link((line, "outbox"), (owner, "inbox"))
        owner.link((line, "signal"), (owner, "control"))
        world.run(owner, line)
        peer = yield from accept(world, listener)
        assert (yield from world.receive(peer, 7)) == b"request"
        peer.sendall(b"answer")
        yield from world.until(lambda: owner.dataReady("inbox"))
        peer.close()
        yield from over(world, owner)
        assert owner.recv("inbox") == b"answer"

    world.play(script())


def test_the_server_s_end_ends_it_after_its_last_byte(world: World) -> None:
    def script() -> Script:
        listener, address = listen(world)
        owner = start(world, TCPClient(*address))
        peer = yield from accept(world, listener)
        peer.sendall(b"x" * 2000 + b"end")
        peer.close()
        assert (yield from over(world, owner)) is None
        assert b"".join(owner.Inbox("inbox")) == b"x" * 2000 + b"end"

    world.play(script())


def test_a_reset_is_its_reason(world: World) -> None:
    def script() -> Script:
        listener, address = listen(world)
        owner = start(world, TCPClient(*address))
        peer = yield from accept(world, listener)
        yield from world.settle()
        reset(peer)
        assert isinstance((yield from over(world, owner)), ConnectionResetError)

    world.play(script())


def test_with_wait_for_serverclose_only_a_shutdown_ends_it(world: World) -> None:
    def script() -> Script:
        listener, address = listen(world)
        client = TCPClient(*address, wait_for_serverclose=True)
        owner = start(world, client)
        peer = yield from accept(world, listener)
        client.inboxes["control"].deliver(producerFinished())
        yield from world.settle()
        peer.sendall(b"still there?")
        yield from world.until(lambda: owner.dataReady("inbox"))
        client.inboxes["control"].deliver(shutdownMicroprocess())
        assert (yield from over(world, owner)) == "shut down"

    world.play(script())


def test_a_bounded_inbox_holds_the_sender_back_before_and_after(world: World) -> None:
    class Impatient(TCPClient):
        inbox_limit = 2

    def script() -> Script:
        listener, address = listen(world)
        client, sender = Impatient(*address, delay=5), component()
        sender.link((sender, "outbox"), (client, "inbox"))
        owner = start(world, client)
        for _ in range(2):
            sender.send(bytes(8 * MIB), "outbox")
        with pytest.raises(noSpaceInBox):
            sender.send(b"x", "outbox")
        yield from world.settle()
        world.scheduler.clock.advance(5)
        peer = yield from accept(world, listener)
        yield from world.settle()
        with pytest.raises(noSpaceInBox):
            sender.send(b"x", "outbox")
        assert len((yield from world.receive(peer, 16 * MIB))) == 16 * MIB
        sender.send(b"x", "outbox")
        assert (yield from world.receive(peer, 1)) == b"x"
        client.inboxes["control"].deliver(shutdownMicroprocess())
        yield from over(world, owner)

    world.play(script())


def test_it_may_connect_from_an_address_of_one_s_choice(world: World) -> None:
    def script() -> Script:
        listener, address = listen(world)
        owner = start(world, TCPClient(*address, source_address=("127.0.0.2", 0)))
        peer = yield from accept(world, listener)
        assert peer.getpeername()[0] == "127.0.0.2"
        peer.close()
        yield from over(world, owner)

    world.play(script())


# ---- not connected


def test_a_refused_connection_is_its_reason(world: World) -> None:
    def script() -> Script:
        listener, address = listen(world)
        listener.close()
        owner = start(world, TCPClient(*address))
        assert isinstance((yield from over(world, owner)), ConnectionRefusedError)
        assert not world.waiter.busy

    world.play(script())


@pytest.mark.parametrize(
    ("host", "settings", "number"),
    [
        ("127.255.255.255", {}, {errno.ENETUNREACH, errno.EACCES}),  # a broadcast address
        ("127.0.0.1", {"source_address": ("192.0.2.1", 0)}, {errno.EADDRNOTAVAIL}),
    ],
)
def test_what_cannot_even_be_tried_is_its_reason(
    world: World, host: str, settings: dict[str, Any], number: set[int]
) -> None:
    def script() -> Script:
        reason = yield from over(world, start(world, TCPClient(host, 1, **settings)))
        assert isinstance(reason, OSError)
        assert reason.errno in number

    world.play(script())


def test_without_an_answer_it_gives_up_after_the_time_out(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        with silent_address() as address:
            owner = start(world, TCPClient(*address, connect_timeout=7))
            yield from world.settle()
            clock.advance(6)
            yield from world.settle()
            assert not owner.dataReady("control")
            clock.advance(1)
            assert isinstance((yield from over(world, owner)), TimeoutError)
            assert not world.waiter.busy

    world.play(script())


@pytest.mark.parametrize("message", [producerFinished(), shutdownMicroprocess()])
@pytest.mark.parametrize("wait", [True, False])
def test_it_may_be_stopped_while_it_connects(world: World, message: object, wait: bool) -> None:
    def script() -> Script:
        with silent_address() as address:
            client = TCPClient(*address, wait_for_serverclose=wait)
            owner = start(world, client)
            yield from world.settle()
            client.inboxes["control"].deliver("this wakes it for nothing")
            yield from world.settle()
            client.inboxes["control"].deliver(message)
            yield from world.settle()
            if wait and isinstance(message, producerFinished):
                assert not owner.dataReady("control")
                client.inboxes["control"].deliver(shutdownMicroprocess())
            assert (yield from over(world, owner)) is None
            assert not world.waiter.busy

    world.play(script())


@pytest.mark.parametrize("delay", [0, 5])
def test_messages_and_their_end_may_both_come_before_the_connection(
    world: World, delay: int
) -> None:
    def script() -> Script:
        listener, address = listen(world)
        client = TCPClient(*address, delay=delay)
        client.inboxes["inbox"].deliver(b"all there is")
        client.inboxes["control"].deliver(producerFinished())
        owner = start(world, client)
        yield from world.settle()
        world.scheduler.clock.advance(delay)
        peer = yield from accept(world, listener)
        assert (yield from world.receive_all(peer)) == b"all there is"
        assert (yield from over(world, owner)) is None

    world.play(script())


def test_a_shutdown_drops_what_waits_for_the_connection(world: World) -> None:
    def script() -> Script:
        with silent_address() as address:
            client = TCPClient(*address)
            owner = start(world, client)
            client.inboxes["inbox"].deliver(b"dropped")
            client.inboxes["control"].deliver(producerFinished())
            yield from world.settle()
            assert not owner.dataReady("control")
            client.inboxes["control"].deliver(shutdownMicroprocess())
            client.inboxes["control"].deliver(producerFinished())
            assert (yield from over(world, owner)) is None

    world.play(script())


def test_it_may_be_stopped_before_it_connects(world: World) -> None:
    def script() -> Script:
        client = TCPClient("127.0.0.1", 1, delay=3600)
        owner = start(world, client)
        yield from world.settle()
        client.inboxes["control"].deliver(shutdownMicroprocess())
        assert (yield from over(world, owner)) is None

    world.play(script())


@pytest.mark.parametrize("when", ["connecting", "connected"])
def test_stop_closes_at_once(world: World, when: str) -> None:
    def script() -> Script:
        with silent_address() as nowhere:
            listener, address = listen(world)
            client = TCPClient(*(nowhere if when == "connecting" else address))
            start(world, client)
            if when == "connected":
                peer = yield from accept(world, listener)
            yield from world.settle()
            client.stop()
            yield from world.until(lambda: len(world.scheduler.threads) == 2)
            assert not world.waiter.busy
            if when == "connected":
                assert (yield from world.receive_all(peer)) == b""

    world.play(script())


# ---- names


def test_a_name_is_looked_up_in_a_thread_and_stops_nobody(world: World, names: Names) -> None:
    def script() -> Script:
        server = world.serve(Echo)
        names.answers["mail.test"] = [server.address]
        names.gate.clear()
        client = TCPClient("mail.test", server.address[1])
        owner = start(world, client)
        client.inboxes["inbox"].deliver(b"hello")
        yield from world.until(lambda: names.threads)
        assert names.threads != [threading.current_thread()]
        other = world.connect(server)
        other.sendall(b"meanwhile")
        assert (yield from world.receive(other, 9)) == b"meanwhile"
        names.gate.set()
        yield from world.until(lambda: owner.dataReady("inbox"))
        assert owner.recv("inbox") == b"hello"

    world.play(script())


def test_an_unknown_name_is_its_reason(world: World, names: Names) -> None:
    def script() -> Script:
        names.answers["no.test"] = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        reason = yield from over(world, start(world, TCPClient("no.test", 25)))
        assert isinstance(reason, socket.gaierror)

    world.play(script())


def test_a_name_without_addresses_is_its_reason(world: World, names: Names) -> None:
    def script() -> Script:
        names.answers["empty.test"] = []
        reason = yield from over(world, start(world, TCPClient("empty.test", 25)))
        assert isinstance(reason, OSError)
        assert "'empty.test' has no address" in str(reason)

    world.play(script())


@pytest.mark.parametrize("host", ["a" * 64 + ".test", "a..test", "nul\0.test"])
def test_what_cannot_be_a_name_is_its_reason(world: World, host: str) -> None:
    def script() -> Script:
        reason = yield from over(world, start(world, TCPClient(host, 25)))
        assert isinstance(reason, socket.gaierror)
        assert "\0" not in str(reason)

    world.play(script())


@pytest.mark.parametrize("port", [70_000, -1])
def test_what_cannot_be_a_port_is_its_reason(world: World, port: int) -> None:
    def script() -> Script:
        reason = yield from over(world, start(world, TCPClient("127.0.0.1", port)))
        assert isinstance(reason, OSError)

    world.play(script())


def test_its_addresses_are_tried_one_after_the_other(world: World, names: Names) -> None:
    def script() -> Script:
        server = world.serve(Echo)
        port = server.address[1]
        # Nobody listens there: IPv6 first, and an address that cannot be tried at all.
        names.answers["mail.test"] = [("::1", port), ("127.255.255.255", port), ("127.0.0.1", port)]
        client = TCPClient("mail.test", port)
        owner = start(world, client)
        client.inboxes["inbox"].deliver(b"hello")
        yield from world.until(lambda: owner.dataReady("inbox"))

    world.play(script())


def test_the_last_address_s_error_is_the_reason(world: World, names: Names) -> None:
    def script() -> Script:
        listener, (_host, port) = listen(world)
        listener.close()
        names.answers["mail.test"] = [("127.255.255.255", port), ("127.0.0.1", port)]
        reason = yield from over(world, start(world, TCPClient("mail.test", port)))
        assert isinstance(reason, ConnectionRefusedError)

    world.play(script())


@pytest.mark.parametrize("before", [True, False])
def test_it_may_be_stopped_while_the_name_is_looked_up(
    world: World, names: Names, before: bool
) -> None:
    def script() -> Script:
        names.answers["mail.test"] = [("127.0.0.1", 1)]
        names.gate.clear()
        client = TCPClient("mail.test", 1)
        if before:
            client.inboxes["control"].deliver(shutdownMicroprocess())
        owner = start(world, client)
        if not before:
            yield from world.until(lambda: names.threads)
            client.inboxes["control"].deliver(shutdownMicroprocess())
        assert (yield from over(world, owner)) is None
        assert len(names.threads) == (not before)
        names.gate.set()  # the thread itself cannot be stopped
        yield from world.until(lambda: len(world.scheduler.threads) == 2)

    world.play(script())


def test_being_stopped_ends_the_trying_of_addresses(world: World, names: Names) -> None:
    def script() -> Script:
        with silent_address() as address:
            server = world.serve(Echo)
            names.answers["mail.test"] = [address, server.address]
            client = TCPClient("mail.test", 1)
            owner = start(world, client)
            yield from world.until(lambda: client._connecting is not None)
            yield from world.settle()
            client.inboxes["control"].deliver(shutdownMicroprocess())
            assert (yield from over(world, owner)) is None
            assert server.connections == 0

    world.play(script())


def test_localhost_has_an_address() -> None:
    assert ("127.0.0.1", 25) in [found[3][:2] for found in addresses_of("localhost", 25)]


def test_many_failures_leave_nothing(world: World) -> None:
    def script() -> Script:
        listener, address = listen(world)
        listener.close()
        for _ in range(200):
            yield from over(world, start(world, TCPClient(*address)))
        clients = [each for each in world.scheduler.threads if isinstance(each, TCPClient)]
        assert clients == []
        assert not world.waiter.busy

    world.play(script())


def test_it_has_the_boxes_of_the_original() -> None:
    client = TCPClient("127.0.0.1", 1)
    assert {"_socketFeedback", "makessl"} <= client.inboxes.keys()
    assert {"_selectorSignal", "sslready"} <= client.outboxes.keys()
