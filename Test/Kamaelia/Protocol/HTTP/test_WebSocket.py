"""WebSocketHandler: applications behind it, closing, failing; against a client of another make."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import Harness, harness
from Kamaelia.Protocol.EchoProtocol import EchoProtocol
from Kamaelia.Protocol.HTTP.HTTPServer import HTTPProtocol
from Kamaelia.Protocol.HTTP.WebSocket import WebSocketHandler, WebSocketProtocol
from Kamaelia.Support.Protocol.HTTP.Messages import Request
from Kamaelia.Support.Protocol.HTTP.WebSocket import (
    ClientSession,
    Closed,
    Event,
    Opened,
    Pong,
)
from Test.Kamaelia.Protocol.HTTP.handlers import get, sent, server_in_a_thread, status_of
from Test.Kamaelia.shutdown import Ends

UPGRADE = Request(
    "GET",
    "/ws",
    (
        ("host", "x"),
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-version", "13"),
    ),
)


class Listener(component):
    """Says nothing by itself; a test sends for it, and sees what came."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[object] = []
        self.told: object = None

    def main(self) -> Iterator[object]:
        while not (told := self.told_to_stop()):
            self.got.extend(self.Inbox("inbox"))
            self.pause()
            yield 1
        self.told = told
        yield 1


class Bursts(component):
    """Fails when it gets a message."""

    def main(self) -> Iterator[object]:
        while not self.dataReady("inbox"):
            self.pause()
            yield 1
        raise ValueError("on purpose")


SHUTDOWN = {
    WebSocketHandler: Ends(
        lambda: WebSocketHandler(UPGRADE, lambda _: Listener(), ping_interval=1e6)
    )
}


class Talk:
    """A client of ours, without a network, on a server's connection."""

    def __init__(self, h: Harness, origin: str | None = None) -> None:
        self.h = h
        self.session = ClientSession("ws://x/ws", origin=origin)

    def go(self) -> list[Event]:
        """Carry bytes both ways; what has come."""
        events: list[Event] = []
        while True:
            data = self.session.data_to_send()
            if data:
                self.h.put(data)
            answer = sent(self.h)
            if answer:
                self.session.receive_data(answer)
            while (event := self.session.next_event()) is not None:
                events.append(event)
            if not data and not answer:
                return events


@contextmanager
def talking(
    application: Callable[[Request], component], origin: str | None = None, **settings: object
) -> Iterator[tuple[Talk, Harness]]:
    route = [["/ws", WebSocketProtocol(application, **settings)]]
    with harness(HTTPProtocol(route)()) as h:
        talk = Talk(h, origin)
        yield talk, h


# ---- applications


def test_messages_go_to_the_application_and_its_own_come_back() -> None:
    listener = Listener()
    with talking(lambda _: listener) as (talk, h):
        assert talk.go() == [Opened()]
        talk.session.send("text")
        talk.session.send(b"bytes")
        talk.go()
        assert listener.got == ["text", b"bytes"]
        listener.send("answer", "outbox")
        listener.send(b"\x00", "outbox")
        assert talk.go() == ["answer", b"\x00"]
        h.not_ended()


def test_the_application_is_made_from_the_request() -> None:
    seen: list[Request] = []

    def application(request: Request) -> component:
        seen.append(request)
        return Listener()

    with talking(application) as (talk, _):
        talk.go()
    assert seen[0]["uri-prefix-trigger"] == "/ws"


def test_a_client_that_closes_is_answered_and_the_application_told_why() -> None:
    listener = Listener()
    with talking(lambda _: listener) as (talk, h):
        talk.go()
        talk.session.close(4001, "enough")
        assert talk.go() == [Closed(4001, "enough")]
        h.expect_end()
    assert isinstance(listener.told, producerFinished)
    assert listener.told.message == Closed(4001, "enough")


def test_a_client_that_just_goes_is_lost() -> None:
    listener = Listener()
    with talking(lambda _: listener) as (talk, h):
        talk.go()
        h.put(producerFinished(), "control")
        h.expect_end()
    assert isinstance(listener.told, producerFinished)
    assert listener.told.message == Closed(1006)


def test_an_application_closes_by_ending_after_what_it_has_said() -> None:
    class Brief(component):
        def main(self) -> Iterator[object]:
            for number in range(50):
                yield from self.put(str(number))

    with talking(lambda _: Brief()) as (talk, h):
        *events, closed = talk.go()
        assert events == [Opened(), *map(str, range(50))]
        assert closed == Closed(1000)
        h.expect_end()


def test_an_application_may_close_with_a_code() -> None:
    listener = Listener()
    with talking(lambda _: listener) as (talk, _):
        talk.go()
        listener.send(Closed(4002, "not today"), "outbox")
        listener.send("too late", "outbox")
        assert talk.go() == [Closed(4002, "not today")]


def test_an_application_that_fails_closes_its_connection_and_the_log_says_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with talking(lambda _: Bursts()) as (talk, h):
        talk.go()
        talk.session.send("now")
        assert talk.go() == [Closed(1011)]
        h.expect_end()
    assert "on purpose" in caplog.text


def test_an_application_that_cannot_be_made_is_a_500() -> None:
    def application(_: Request) -> component:
        raise ValueError("on purpose")

    with talking(application) as (talk, h):
        h.put(talk.session.data_to_send())
        assert status_of(sent(h)) == 500


def test_what_is_no_message_closes_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    listener = Listener()
    with talking(lambda _: listener) as (talk, _):
        talk.go()
        listener.send(3, "outbox")
        assert talk.go() == [Closed(1011)]
    assert "takes str and bytes, not int" in caplog.text


def test_an_application_that_does_not_read_holds_the_client_back() -> None:
    class Deaf(component):
        def main(self) -> Iterator[object]:
            while True:
                self.pause()
                yield 1

    with talking(lambda _: Deaf(), ping_interval=20.0) as (talk, h):
        talk.go()
        for _ in range(200):
            talk.session.send(b"x" * 1000)
            h.put(talk.session.data_to_send())
        h.settle()
        assert h.components[0].dataReady("inbox") > 100
        h.run_for(1000)  # and it is not the client that does not answer
        h.not_ended()


def test_a_client_that_does_not_read_holds_the_application_back() -> None:
    class Eager(component):
        made = 0

        def main(self) -> Iterator[object]:
            while True:
                yield from self.put(b"x" * 1000)
                self.made += 1

    eager = Eager()
    with talking(lambda _: eager) as (talk, h):
        h.put(talk.session.data_to_send())
        h.limit(2)
        h.settle()
        assert eager.made < 100


# ---- closing, time


def test_a_server_that_stops_says_goodbye() -> None:
    listener = Listener()
    stop = shutdownMicroprocess()
    with talking(lambda _: listener) as (talk, h):
        talk.go()
        h.put(stop, "control")
        (closed,) = talk.go()
        assert isinstance(closed, Closed)
        assert closed.code == 1001
        assert h.expect("signal") is stop
        h.expect_end(within=10)
    assert isinstance(listener.told, shutdownMicroprocess)


def test_a_silent_client_is_asked_and_one_that_does_not_answer_is_given_up() -> None:
    listener = Listener()
    with talking(lambda _: listener, ping_interval=20.0, ping_timeout=20.0) as (talk, h):
        talk.go()
        h.run_for(19)
        assert h.take("outbox") == []
        h.run_for(2)
        talk.go()  # the ping, and its answer
        h.run_for(19)
        h.not_ended()
        h.run_for(2)
        assert h.take("outbox") != []  # another ping; and now nobody answers
        h.run_for(21)
        h.expect_end(within=10)
    assert isinstance(listener.told, producerFinished)


def test_a_client_that_does_not_answer_a_close_is_not_waited_for() -> None:
    listener = Listener()
    with talking(lambda _: listener, close_timeout=10.0) as (talk, h):
        talk.go()
        listener.send(Closed(), "outbox")
        sent(h)
        h.run_for(9)
        h.not_ended()
        h.expect_end(within=10)


def test_a_ping_of_the_client_is_answered() -> None:
    with talking(lambda _: Listener()) as (talk, _):
        talk.go()
        talk.session.ping(b"?")
        assert talk.go() == [Pong(b"?")]


def test_stopped_from_outside_the_application_is_stopped_too() -> None:
    listener = Listener()
    with harness(WebSocketHandler(UPGRADE, lambda _: listener)) as h:
        h.settle()
        h.components[0].stop()
        h.settle()
        assert listener._isStopped()


# ---- what is no handshake


def test_a_request_that_is_no_websocket_is_told_so() -> None:
    with talking(lambda _: Listener()) as (_, h):
        h.put(get("/ws"))
        answer = sent(h)
        assert status_of(answer) == 426
        assert b"Upgrade: websocket\r\n" in answer
        h.put(get("/ws"))
        assert status_of(sent(h)) == 426


@pytest.mark.parametrize("header", ["Content-Length: 4", "Transfer-Encoding: chunked"])
def test_a_handshake_with_a_body_is_refused(header: str) -> None:
    with talking(lambda _: Listener()) as (talk, h):
        wire = talk.session.data_to_send()
        h.put(wire[:-2] + header.encode() + b"\r\n\r\n4\r\n\x81\x80")
        assert status_of(sent(h)) == 400


def test_a_page_of_a_stranger_is_refused_before_there_is_an_application() -> None:
    def never(_: Request) -> component:
        raise AssertionError("was made")

    pages = ["https://example.org"]
    with talking(never, "https://evil.example", origins=pages) as (talk, h):
        h.put(talk.session.data_to_send())
        assert status_of(sent(h)) == 403
        h.expect_end()


def test_a_message_that_is_too_large_ends_it() -> None:
    with talking(lambda _: Listener(), max_size=100) as (talk, h):
        talk.go()
        talk.session.send("x" * 101)
        (closed,) = talk.go()
        assert isinstance(closed, Closed)
        assert closed.code == 1009
        h.expect_end()


# ---- a client of another make


@contextmanager
def calling(
    application: Callable[[Request], component], **settings: object
) -> Iterator[Callable[..., ClientConnection]]:
    protocol = HTTPProtocol([["/", WebSocketProtocol(application, **settings)]])
    with server_in_a_thread(protocol) as where:
        yield partial(connect, f"ws://{where}/", open_timeout=10)


def test_the_blocking_client_of_websockets_is_content() -> None:
    with calling(lambda _: EchoProtocol(), subprotocols=["echo"]) as call:
        with call(subprotocols=["echo"]) as client:
            assert client.subprotocol == "echo"
            for message in ["text", "é" * 10_000, b"\x00" * 500_000, ""]:
                client.send(message)
                assert client.recv(timeout=10) == message
            client.send(["in ", "frag", "ments"])
            assert client.recv(timeout=10) == "in fragments"
            assert client.ping().wait(10)
        assert client.close_code == 1000
        with call() as first, call() as second:
            first.send("1")
            second.send("2")
            assert (second.recv(timeout=10), first.recv(timeout=10)) == ("2", "1")


def test_it_hears_codes_and_refusals() -> None:
    with calling(lambda _: Bursts(), origins=["https://a"], max_size=10) as call:
        with pytest.raises(InvalidStatus, match="403"), call(origin="https://b"):
            pass
        for message, code in (("now", 1011), ("x" * 11, 1009)):
            with call(origin="https://a") as client:
                client.send(message)
                with pytest.raises(ConnectionClosed) as caught:
                    client.recv(timeout=10)
                assert caught.value.rcvd is not None
                assert caught.value.rcvd.code == code
