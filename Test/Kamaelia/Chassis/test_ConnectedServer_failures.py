"""A server when something of one connection fails: the others, and the server, live on."""

import errno
import logging
import socket

import pytest

from Axon.Component import component
from Kamaelia.Chassis.Pipeline import Pipeline
from Kamaelia.Internet.ConnectedSocketAdapter import ConnectedSocketAdapter
from Kamaelia.Internet.TCPServer import TCPServer
from Test.Kamaelia.network import (
    Echo,
    Greeter,
    Script,
    World,
    answers,
    reset,
)

MIB = 1 << 20


class Bomb(component):
    """Answers, until it is told to fail."""

    def main(self) -> Script:
        while True:
            for data in self.Inbox("inbox"):
                if data == b"fail":
                    raise ValueError("as it was told")
                self.send(data, "outbox")
            for message in self.Inbox("control"):
                self.send(message, "signal")
                return
            self.pause()
            yield 1


class PoliteBomb(Bomb):
    def last_words(self) -> bytes:
        return b"421 sorry\r\n"


def test_one_failing_protocol_ends_its_connection_alone(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def script() -> Script:
        server = world.serve(Bomb)
        good, bad = world.connect(server), world.connect(server)
        bad.sendall(b"fail")
        assert (yield from world.receive_all(bad)) == b""
        good.sendall(b"hello")
        assert (yield from world.receive(good, 5)) == b"hello"
        yield from world.until(lambda: server.connections == 1)
        good.close()
        yield from answers(world, server)

    world.play(script())
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "127.0.0.1" in record.getMessage()
    assert "Bomb" in record.getMessage()
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ValueError)


def test_the_client_hears_the_last_words_of_a_failing_protocol(world: World) -> None:
    def script() -> Script:
        server = world.serve(PoliteBomb)
        bad = world.connect(server)
        bad.sendall(b"hello")
        assert (yield from world.receive(bad, 5)) == b"hello"
        bad.sendall(b"fail")
        assert (yield from world.receive_all(bad)) == b"421 sorry\r\n"
        yield from answers(world, server)

    world.play(script())


def test_last_words_that_fail_are_logged_and_harm_nobody(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    class Stammerer(Bomb):
        def last_words(self) -> bytes:
            raise RuntimeError("no words left")

    def script() -> Script:
        server = world.serve(Stammerer)
        bad = world.connect(server)
        bad.sendall(b"fail")
        assert (yield from world.receive_all(bad)) == b""
        yield from answers(world, server)

    world.play(script())
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == [
        "as it was told",
        "no words left",
    ]


def test_a_stop_that_fails_is_logged_and_harms_nobody(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    class Stubborn(Echo):
        def stop(self) -> None:
            super().stop()
            raise RuntimeError("will not")

    def script() -> Script:
        server = world.serve(lambda **_peer: Pipeline(Bomb(), Stubborn()))
        bad = world.connect(server)
        bad.sendall(b"fail")
        assert (yield from world.receive_all(bad)) == b""
        yield from world.until(lambda: server.connections == 0)
        yield from answers(world, server)

    world.play(script())
    assert "will not" in caplog.text


@pytest.mark.parametrize("where", [0, 1, 2])
def test_a_failing_member_of_a_protocol_ends_all_of_it(
    world: World, caplog: pytest.LogCaptureFixture, where: int
) -> None:
    def protocol(**_peer: object) -> component:
        members: list[component] = [Echo(), Pipeline(Echo()), Echo()]
        members[where] = Pipeline(Echo(), Bomb())
        made = Pipeline(*members)
        made.last_words = lambda: b"bye"
        return made

    def script() -> Script:
        server = world.serve(protocol)
        yield from world.settle()
        alone = len(world.scheduler.threads)
        bad = world.connect(server)
        bad.sendall(b"fail")
        assert (yield from world.receive_all(bad)) == b"bye"
        yield from world.until(lambda: len(world.scheduler.threads) == alone)
        assert server.connections == 0

    world.play(script())
    (record,) = caplog.records
    assert "Bomb" in record.getMessage()


def test_a_child_that_outlives_its_protocol_fails_alone(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    made: list[Bomb] = []

    class Careless(component):
        def main(self) -> Script:
            made.append(Bomb())
            self.addChildren(made[0])
            made[0].activate(Scheduler=self.scheduler)
            yield 1

    def script() -> Script:
        server = world.serve(Careless)
        client = world.connect(server)
        assert (yield from world.receive_all(client)) == b""
        yield from world.until(lambda: server.connections == 0)
        yield from world.settle()
        made[0].inboxes["inbox"].deliver(b"fail")
        yield from world.until(lambda: made[0] not in world.scheduler.threads)

    world.play(script())
    assert len(caplog.records) == 1


def test_a_factory_that_fails_costs_that_connection_and_a_log_line(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    errors = [KeyError("unlucky"), FileNotFoundError(errno.ENOENT, "no template"), None]

    def protocol(**_peer: object) -> component:
        error = errors.pop(0)
        if error is not None:
            raise error
        return Echo()

    def script() -> Script:
        server = world.serve(protocol)
        for _ in range(2):
            assert (yield from world.receive_all(world.connect(server))) == b""
        yield from answers(world, server)

    world.play(script())
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [
        KeyError,
        FileNotFoundError,
    ]


def test_what_is_no_protocol_costs_that_connection_and_a_log_line(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    class Deaf(component):
        Inboxes = {"control": "object: all there is"}

    made = [None, Deaf(), Echo()]

    def script() -> Script:
        server = world.serve(lambda **_peer: made.pop(0))
        for _ in range(2):
            assert (yield from world.receive_all(world.connect(server))) == b""
        yield from answers(world, server)

    world.play(script())
    assert len(caplog.records) == 2


@pytest.mark.parametrize("host", ["127.0.0.1", ""])  # "": each client is asked for its address
def test_a_client_that_is_gone_before_it_is_served_is_forgotten(
    world: World, caplog: pytest.LogCaptureFixture, host: str
) -> None:
    caplog.set_level(logging.DEBUG)
    first = [True]

    class Gone(ConnectedSocketAdapter):
        """The first has a socket without a peer, as one that was reset while it waited to be
        accepted: when the reset is seen depends on the kernel, and a test must not."""

        def __init__(self, listensocket: socket.socket, **attributes: object) -> None:
            if first:
                first.pop()
                listensocket.close()
                listensocket = socket.socket()
            super().__init__(listensocket, **attributes)

    class GoneTCPServer(TCPServer):
        CSA = Gone

    def script() -> Script:
        server = world.serve(Echo, TCPS=GoneTCPServer, host=host)
        world.connect(("127.0.0.1", server.address[1]))
        yield from world.until(lambda: not first)
        yield from answers(world, server)
        # server, TCPServer and the script
        yield from world.until(lambda: len(world.scheduler.threads) == 3)

    world.play(script())
    assert [record.levelno for record in caplog.records] == ([] if host else [logging.DEBUG])


def test_a_socket_component_that_fails_ends_its_connection_alone(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    failing = [True]

    class Faulty(ConnectedSocketAdapter):
        def main(self) -> Script:
            if failing:
                failing.pop()
                raise RuntimeError("bad adapter")
            yield from super().main()

    class FaultyTCPServer(TCPServer):
        CSA = Faulty

    def script() -> Script:
        server = world.serve(Echo, TCPS=FaultyTCPServer)
        bad = world.connect(server)
        assert (yield from world.receive_all(bad)) == b""
        yield from world.until(lambda: server.connections == 0)
        yield from answers(world, server)
        yield from world.until(lambda: len(world.scheduler.threads) == 3)

    world.play(script())
    assert "bad adapter" in caplog.text


def test_many_resets_while_sending_harm_nobody(world: World) -> None:
    def script() -> Script:
        server = world.serve(lambda **peer: Greeter(b"x" * 4 * MIB, **peer))
        for _ in range(20):
            client = world.connect(server)
            yield from world.receive(client, 10)
            reset(client)
        yield from world.until(lambda: server.connections == 0)
        client = world.connect(server)
        assert len((yield from world.receive_all(client))) == 4 * MIB

    world.play(script())


class Mute(component):
    Outboxes = {"signal": "nothing"}


def test_a_protocol_that_cannot_be_linked_leaves_no_links(world: World) -> None:
    def script() -> Script:
        server = world.serve(lambda **_: Mute())
        yield from world.settle()
        before = len(server.postoffice.linkages)
        client = world.connect(server)
        assert (yield from world.receive_all(client)) == b""
        yield from world.settle()
        assert len(server.postoffice.linkages) == before

    world.play(script())
