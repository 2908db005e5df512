"""A server that encrypts: protocols begin after the handshake, and no client harms another."""

import logging
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress

import pytest

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import FakeClock
from Kamaelia.Chassis.ConnectedServer import ServerCore
from Kamaelia.Internet.ConnectedSocketAdapter import ConnectedSocketAdapter
from Kamaelia.Internet.TCPServer import TCPServer
from Kamaelia.Internet.TimeOutCSA import NoActivityTimeout
from Kamaelia.Internet.TLS import TLSInfo
from Test.Kamaelia import tls
from Test.Kamaelia.network import (
    Echo,
    Greeter,
    Script,
    World,
    ended,
    open_files,
    pattern,
    reset,
)

MIB = 1 << 20


def connect(world: World, server: ServerCore) -> Script:
    return (yield from tls.secured(world, world.connect(server)))


def answers(world: World, server: ServerCore) -> Script:
    """A new client is served."""
    before = server.connections
    client = yield from connect(world, server)
    yield from tls.send_all(client, b"still there?")
    assert (yield from tls.receive(client, 12)) == b"still there?"
    client.close()
    yield from world.until(lambda: server.connections == before)


def test_every_client_is_served_encrypted(world: World) -> None:
    def script() -> Script:
        server = world.serve(Echo, tls=tls.server_context())
        for _ in range(3):
            yield from answers(world, server)

    world.play(script())


def test_five_megabytes_come_back(world: World) -> None:
    def script() -> Script:
        server = world.serve(Echo, tls=tls.server_context())
        client = yield from connect(world, server)
        data, sent, came = pattern(5 * MIB), 0, b""
        while len(came) < len(data):
            if sent < len(data):
                with suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    sent += client.send(data[sent : sent + 65_536])
            try:
                came += client.recv(MIB)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                yield 1
        assert came == data

    world.play(script())


def test_a_protocol_is_made_once_its_connection_is_encrypted(world: World) -> None:
    made: list[object] = []

    def protocol(**peer: object) -> component:
        made.append(peer)
        return Echo()

    def script() -> Script:
        server = world.serve(protocol, tls=tls.server_context())
        plain = world.connect(server)
        yield from world.settle()
        assert made == []
        assert server.connections == 0
        client = tls.wrap(world, plain, tls.client_context())
        yield from tls.shake_hands(client)
        yield from tls.send_all(client, b"at once")  # perhaps in one piece with the handshake
        assert (yield from tls.receive(client, 7)) == b"at once"
        assert len(made) == 1
        assert server.connections == 1

    world.play(script())


def test_two_hundred_clients_at_once(world: World) -> None:
    def script() -> Script:
        server = world.serve(Echo, tls=tls.server_context())
        context = tls.client_context()
        clients = [tls.wrap(world, world.connect(server), context) for _ in range(200)]
        for client in clients:
            with pytest.raises(ssl.SSLWantReadError):
                client.do_handshake()
        for number, client in enumerate(clients):
            yield from tls.shake_hands(client)
            yield from tls.send_all(client, b"%3d" % number)
        for number, client in enumerate(clients):
            assert (yield from tls.receive(client, 3)) == b"%3d" % number
        assert server.connections == 200
        for client in clients:
            client.close()
        yield from world.until(lambda: server.connections == 0)

    world.play(script())


@pytest.mark.parametrize("how", ["plain", "reset", "end", "half", "rubbish later"])
def test_a_client_that_fails_harms_nobody(
    world: World, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    caplog.set_level(logging.INFO)

    def script() -> Script:
        server = world.serve(Echo, tls=tls.server_context())
        good = yield from connect(world, server)
        bad = world.connect(server)
        yield from world.settle()
        if how == "plain":
            bad.sendall(b"EHLO example.org\r\n")
        elif how == "reset":
            reset(bad)
        elif how == "end":
            bad.shutdown(socket.SHUT_WR)
        else:
            client = tls.wrap(world, bad, tls.client_context())
            with pytest.raises(ssl.SSLWantReadError):
                client.do_handshake()
            if how == "rubbish later":
                socket.socket.send(client, b"no record at all")
            else:
                client.close()
        yield from world.until(lambda: caplog.records)
        yield from tls.send_all(good, b"hello")
        assert (yield from tls.receive(good, 5)) == b"hello"
        assert server.connections == 1
        yield from answers(world, server)
        # server, TCPServer, the script, and the good one's two
        yield from world.until(lambda: len(world.scheduler.threads) == 5)

    world.play(script())
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    assert "TLS handshake with 127.0.0.1 failed" in record.getMessage()


def test_a_handshake_that_does_not_end_is_given_up_and_counts_for_the_limit(
    world: World, clock: FakeClock
) -> None:
    def script() -> Script:
        server = world.serve(
            Echo, tls=tls.server_context(), handshake_timeout=10.0, connection_limit=2
        )
        silent = [world.connect(server) for _ in range(2)]
        third = world.connect(server)
        yield from world.settle()
        assert server.connections == 0
        client = tls.wrap(world, third, tls.client_context())
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        yield from world.settle()
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()  # nobody has accepted it yet
        clock.advance(10)
        for each in silent:
            assert (yield from world.receive_all(each)) == b""
        yield from tls.shake_hands(client)
        yield from tls.send_all(client, b"x")
        assert (yield from tls.receive(client, 1)) == b"x"

    world.play(script())


@pytest.mark.parametrize("how", ["shutdown", "stop listening", "stop"])
def test_when_the_port_is_closed_handshakes_are_given_up(world: World, how: str) -> None:
    def script() -> Script:
        before = open_files()
        server = world.serve(Echo, tls=tls.server_context())
        waiting = world.connect(server)
        yield from world.settle()
        if how == "shutdown":
            server.inboxes["control"].deliver(shutdownMicroprocess())
        elif how == "stop listening":
            server.stop_listening()
        else:
            server.stop()
        assert (yield from world.receive_all(waiting)) == b""
        yield from world.until(lambda: ended(server))
        yield from world.settle()
        waiting.close()
        assert open_files() == before
        assert not world.waiter.busy

    world.play(script())


def test_all_that_a_protocol_sent_before_it_ended_arrives_and_is_all(world: World) -> None:
    def script() -> Script:
        data = pattern(5 * MIB)
        server = world.serve(lambda **peer: Greeter(data, **peer), tls=tls.server_context())
        client = yield from connect(world, server)
        assert (yield from tls.receive_all(client)) == data
        yield from world.until(lambda: server.connections == 0)

    world.play(script())


def test_many_resets_while_sending_harm_nobody(world: World) -> None:
    def script() -> Script:
        server = world.serve(
            lambda **peer: Greeter(bytes(2 * MIB), **peer), tls=tls.server_context()
        )
        for _ in range(20):
            client = yield from connect(world, server)
            yield from tls.receive(client, 10)
            reset(client)
        yield from world.until(lambda: server.connections == 0)
        client = yield from connect(world, server)
        assert len((yield from tls.receive_all(client))) == 2 * MIB

    world.play(script())


def test_the_client_hears_the_last_words_of_a_failing_protocol(world: World) -> None:
    class Bomb(component):
        def main(self) -> Script:
            while not self.dataReady("inbox"):
                self.pause()
                yield 1
            raise ValueError("as it was told")

        def last_words(self) -> bytes:
            return b"421 sorry\r\n"

    def script() -> Script:
        server = world.serve(lambda **_peer: Bomb(), tls=tls.server_context())
        bad = yield from connect(world, server)
        yield from tls.send_all(bad, b"fail")
        assert (yield from tls.receive_all(bad)) == b"421 sorry\r\n"

    world.play(script())


def test_a_silent_client_is_dropped(world: World, clock: FakeClock) -> None:
    class PatientTCPServer(TCPServer):
        CSA = NoActivityTimeout(ConnectedSocketAdapter, timeout=60)

    def script() -> Script:
        server = world.serve(Echo, TCPS=PatientTCPServer, tls=tls.server_context())
        client = yield from connect(world, server)
        yield from world.until(lambda: server.connections == 1)
        yield from world.settle()
        clock.advance(60)
        assert (yield from tls.receive_all(client)) == b""

    world.play(script())


def test_a_socket_component_that_cannot_be_made_costs_that_client_only(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    failures = [RuntimeError("as it was told")]

    def adapter(sock: socket.socket) -> ConnectedSocketAdapter:
        if failures:
            raise failures.pop()
        return ConnectedSocketAdapter(sock)

    class OddTCPServer(TCPServer):
        CSA = staticmethod(adapter)

    def script() -> Script:
        server = world.serve(Echo, TCPS=OddTCPServer, tls=tls.server_context(), connection_limit=1)
        client = yield from connect(world, server)
        with pytest.raises((ssl.SSLError, ConnectionResetError)):  # the first of older Pythons, too
            yield from tls.receive_all(client)
        yield from answers(world, server)

    world.play(script())
    assert "as it was told" in caplog.text


@pytest.mark.parametrize(
    ("wrong", "kind"), [(tls.client_context(), ValueError), ("cert.pem", TypeError)]
)
def test_a_context_that_no_server_can_use_is_an_error_at_once(
    world: World, wrong: object, kind: type[Exception]
) -> None:
    before = open_files()
    with pytest.raises(kind, match="tls="):
        world.serve(Echo, tls=wrong)
    assert open_files() == before


def test_a_context_that_does_not_work_costs_that_client_and_a_log_line(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(ssl.SSLContext):
        def wrap_bio(self, *arguments: object, **options: object) -> ssl.SSLObject:
            raise ssl.SSLError(ssl.SSL_ERROR_SSL, "as it was told")

    def script() -> Script:
        server = world.serve(Echo, tls=Broken(ssl.PROTOCOL_TLS_SERVER), connection_limit=1)
        for _ in range(2):
            assert (yield from world.receive_all(world.connect(server))) == b""

    world.play(script())
    assert len(caplog.records) == 2


# ---- a protocol that asks for it later


class Upgrading(component):
    """Answers in capitals; TLS when it is asked for, with a greeting once it is there."""

    ExtraInboxes = {"sslready": "TLSInfo: it is encrypted now"}
    ExtraOutboxes = {"makessl": "ssl.SSLContext: encrypt"}

    def main(self) -> Iterator[object]:
        while not self.dataReady("control"):
            for info in self.Inbox("sslready"):
                assert isinstance(info, TLSInfo)
                self.send(b"now with " + info.version.encode())
            for data in self.Inbox("inbox"):
                if data == b"STARTTLS\r\n":
                    self.send(b"220 go ahead\r\n")
                    self.send(tls.server_context(), "makessl")
                else:
                    self.send(data.upper())
            self.pause()
            yield 1


def test_a_protocol_may_ask_for_it_later(world: World) -> None:
    def script() -> Script:
        server = world.serve(lambda **_peer: Upgrading())
        plain = world.connect(server)
        plain.sendall(b"hello")
        assert (yield from world.receive(plain, 5)) == b"HELLO"
        plain.sendall(b"STARTTLS\r\n")
        assert (yield from world.receive(plain, 14)) == b"220 go ahead\r\n"
        client = yield from tls.secured(world, plain)
        assert (yield from tls.receive(client, 16)) == b"now with TLSv1.3"
        yield from tls.send_all(client, b"secret")
        assert (yield from tls.receive(client, 6)) == b"SECRET"
        tls.end(client)
        yield from world.until(lambda: server.connections == 0)

    world.play(script())


def test_what_a_client_slips_in_behind_its_starttls_is_not_obeyed(world: World) -> None:
    heard: list[bytes] = []

    class Listening(Upgrading):
        def Inbox(self, boxname: str = "inbox") -> Iterator[object]:
            for message in super().Inbox(boxname):
                if boxname == "inbox":
                    heard.append(message)
                yield message

    def script() -> Script:
        server = world.serve(lambda **_peer: Listening())
        plain = world.connect(server)
        yield from world.until(lambda: server.connections == 1)
        plain.sendall(b"STARTTLS\r\n")
        yield from world.until(lambda: heard)
        plain.sendall(b"injected")
        assert b"INJECTED" not in (yield from world.receive_all(plain))

    world.play(script())
    assert heard == [b"STARTTLS\r\n"]


def test_encrypted_from_the_start_a_protocol_hears_of_it_too(world: World) -> None:
    def script() -> Script:
        server = world.serve(lambda **_peer: Upgrading(), tls=tls.server_context())
        client = yield from connect(world, server)
        assert (yield from tls.receive(client, 16)) == b"now with TLSv1.3"

    world.play(script())


def test_a_protocol_is_told_that_its_client_was_cut_off(world: World) -> None:
    told: list[object] = []

    class Watching(component):
        def main(self) -> Script:
            while not self.dataReady("control"):
                self.pause()
                yield 1
            told.append(self.recv("control"))

    def script() -> Script:
        server = world.serve(lambda **_peer: Watching(), tls=tls.server_context())
        client = yield from connect(world, server)
        client.shutdown(socket.SHUT_WR)
        yield from world.until(lambda: told)

    world.play(script())
    (message,) = told
    assert isinstance(message, producerFinished)
    assert isinstance(message.message[1], ssl.SSLEOFError)
