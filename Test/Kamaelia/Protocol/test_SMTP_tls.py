"""The server session and STARTTLS: in virtual time, and with Python's own TLS at the other end."""

import socket
import ssl
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import FakeClock, collect, virtual_scheduler
from Kamaelia.Chassis.ConnectedServer import ServerCore
from Kamaelia.Chassis.Graphline import Graphline
from Kamaelia.Protocol.SMTP import SMTPServerSession
from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities
from Kamaelia.Support.Protocol.SMTP.Events import (
    DataRequested,
    EndReason,
    MessageComplete,
    RecipientGiven,
    SenderGiven,
    SessionEnded,
)
from Kamaelia.Support.Protocol.SMTP.Replies import Reply
from Kamaelia.Support.Protocol.SMTP.ServerSession import ServerSession
from Test.Kamaelia.Apps.Grey.support import LETTER
from Test.Kamaelia.mail_server import Visit
from Test.Kamaelia.network import Script, World, ended
from Test.Kamaelia.tls import client_context, secured, server_context

OFFER = Capabilities(starttls=True)


def session() -> ServerSession:
    return ServerSession("mx.example.org", capabilities=lambda: OFFER, tag="k3f9")


# ---- in virtual time


class Serving:
    """A session whose encryption is played by hand."""

    def __init__(self) -> None:
        self.clock = FakeClock(1000.0)
        self.scheduler = virtual_scheduler(self.clock)
        self.context = server_context()
        self.session = SMTPServerSession(session(), tls=lambda: self.context)
        self.sent = collect(self.session, ["outbox", "makessl", "events", "signal"])

    def later(self, seconds: float, message: object, box: str = "inbox") -> None:
        self.scheduler.call_later(seconds, partial(self.session.inboxes[box].deliver, message))

    def run(self, *slices: bytes) -> "Serving":
        for number, data in enumerate(slices):
            self.later(number, data)
        self.session.activate(Scheduler=self.scheduler)
        self.scheduler.runThreads()
        return self

    @property
    def wire(self) -> bytes:
        return b"".join(self.sent["outbox"])

    @property
    def codes(self) -> list[int]:
        return [int(line[:3]) for line in self.wire.splitlines() if line[3:4] == b" "]


def test_the_context_goes_out_behind_the_220_and_then_nothing_is_said() -> None:
    serving = Serving()
    serving.later(200.0, object(), "sslready")
    serving.later(250.0, b"EHLO x\r\n")
    serving.later(260.0, b"QUIT\r\n")
    serving.run(b"EHLO x\r\n", b"STARTTLS\r\n")
    assert serving.sent["makessl"] == [serving.context]
    assert serving.codes == [220, 250, 220, 250, 221]
    assert serving.sent["outbox"][2] == b"220 2.0.0 Ready to start TLS\r\n"
    assert serving.wire.count(b"STARTTLS") == 1  # it is not offered twice
    assert serving.sent["events"][-1] == SessionEnded(EndReason.QUIT)


@pytest.mark.parametrize("tls", [lambda: None, None])
def test_where_there_is_nothing_to_encrypt_with_the_session_ends(
    tls: Callable[[], None] | None,
) -> None:
    """The certificate may have gone since EHLO: the client does not wait for a handshake."""
    serving = Serving()
    serving.session._tls = tls
    serving.run(b"EHLO x\r\n", b"STARTTLS\r\n", b"\x16\x03\x01")
    assert serving.codes == [220, 250, 220]  # what came next would be plain text where TLS is due
    assert serving.sent["makessl"] == []
    assert serving.sent["events"][-1] == SessionEnded(EndReason.CLOSED, in_data=False)
    assert [type(message) for message in serving.sent["signal"]] == [producerFinished]
    assert serving.session._isStopped()
    assert serving.clock() < 1300.0  # at once, and not with its time


def test_all_begins_anew_under_tls() -> None:
    serving = Serving()
    serving.later(200.0, object(), "sslready")
    serving.later(250.0, b"MAIL FROM:<a@b>\r\n")
    serving.later(251.0, b"EHLO x\r\n")
    serving.later(252.0, b"STARTTLS\r\n")
    serving.later(253.0, b"QUIT\r\n")
    serving.run(b"EHLO x\r\n", b"STARTTLS\r\n")
    assert serving.codes == [220, 250, 220, 503, 250, 503, 221]
    assert len(serving.sent["makessl"]) == 1


def test_plain_text_that_came_before_the_answer_ends_the_session() -> None:
    """In a piece of its own: it lay in our inbox when the client was told to go ahead."""
    serving = Serving()
    for data in (b"EHLO x\r\n", b"STARTTLS\r\n", b"MAIL FROM:<evil@b>\r\n"):
        serving.session.inboxes["inbox"].deliver(data)
    serving.run()
    assert serving.codes == [220, 250, 220]
    assert serving.sent["makessl"] == []
    assert [event for event in serving.sent["events"] if isinstance(event, SenderGiven)] == []
    assert serving.sent["events"][-1] == SessionEnded(EndReason.ABUSE)
    assert isinstance(serving.sent["signal"][-1], producerFinished)


def test_plain_text_that_came_with_the_command_is_not_answered() -> None:
    serving = Serving().run(b"EHLO x\r\n", b"STARTTLS\r\nMAIL FROM:<evil@b>\r\n")
    assert serving.codes == [220, 250, 554]
    assert serving.sent["makessl"] == []
    assert serving.sent["events"][-1] == SessionEnded(EndReason.ABUSE)


@pytest.mark.parametrize("seconds", [1.5, 100.0])
def test_a_client_that_leaves_instead_of_a_handshake_is_gone(seconds: float) -> None:
    serving = Serving()
    serving.later(seconds, producerFinished(), "control")
    serving.run(b"EHLO x\r\n", b"STARTTLS\r\n")
    assert serving.codes == [220, 250, 220]
    assert serving.sent["events"][-1] == SessionEnded(EndReason.EOF)
    assert serving.clock() == 1000.0 + seconds


def test_what_nobody_asked_to_be_encrypted_is_not() -> None:
    """A stray message at "sslready" must not make us believe that we are under TLS."""
    serving = Serving()
    serving.later(0.5, object(), "sslready")
    serving.run(b"EHLO x\r\n", b"EHLO x\r\n", b"QUIT\r\n")
    assert serving.wire.count(b"STARTTLS") == 2


def test_a_shutdown_ends_it_in_the_middle_of_a_handshake() -> None:
    serving = Serving()
    serving.later(5.0, shutdownMicroprocess(), "control")
    serving.run(b"EHLO x\r\n", b"STARTTLS\r\n")
    assert serving.clock() == 1005.0
    assert serving.sent["events"][-1] == SessionEnded(EndReason.CLOSED)


# ---- on sockets


class Owner(component):
    """Takes all; keeps what it was told."""

    def __init__(self, told: list[object]) -> None:
        super().__init__()
        self.told = told

    def main(self) -> Iterator[object]:
        while True:
            for event in self.Inbox("inbox"):
                self.told.append(event)
                if isinstance(event, RecipientGiven | MessageComplete):
                    self.send(Reply.of(250, "2.0.0", "fine"))
                elif isinstance(event, DataRequested):
                    self.send(Reply.of(354, "", "go on"))
                elif isinstance(event, SessionEnded):
                    return
            self.pause()
            yield 1


class Server:
    """A mail server with STARTTLS, and what it was told."""

    def __init__(self, world: World) -> None:
        self.told: list[object] = []
        self.world = world
        self.core: ServerCore = world.serve(self._protocol)

    def _protocol(self, **_: object) -> Graphline:
        return Graphline(
            SESSION=SMTPServerSession(session(), tls=server_context),
            OWNER=Owner(self.told),
            linkages={
                ("self", "inbox"): ("SESSION", "inbox"),
                ("self", "control"): ("SESSION", "control"),
                ("self", "sslready"): ("SESSION", "sslready"),
                ("SESSION", "outbox"): ("self", "outbox"),
                ("SESSION", "signal"): ("self", "signal"),
                ("SESSION", "makessl"): ("self", "makessl"),
                ("SESSION", "events"): ("OWNER", "inbox"),
                ("OWNER", "outbox"): ("SESSION", "replies"),
            },
        )

    def greeted(self) -> Script:
        """A client that has been greeted and offered STARTTLS."""
        client = Visit(self.world, self.world.connect(self.core))
        assert (yield from client.hear()).startswith(b"220 ")
        client.say(b"EHLO client.example")
        assert (yield from client.hear(2)).endswith(b"STARTTLS\r\n")
        return client

    def is_over(self, reason: EndReason) -> Script:
        yield from self.world.until(lambda: SessionEnded(reason) in self.told)
        yield from self.world.until(lambda: self.core.connections == 0)


def test_a_message_is_taken_under_tls(world: World) -> None:
    server = Server(world)

    def script() -> Script:
        client = yield from server.greeted()
        client.say(b"STARTTLS")
        assert (yield from client.hear()).startswith(b"220 ")
        client.sock = yield from secured(world, client.sock, client_context())
        assert isinstance(client.sock, ssl.SSLSocket)
        for line, lines in (
            (b"EHLO client.example", b"250 mx.example.org\r\n"),  # nothing is offered any more
            (b"MAIL FROM:<a@b>", b"250 2.1.0 Ok\r\n"),
            (b"RCPT TO:<c@d>", b"250 2.0.0 fine\r\n"),
            (b"DATA", b"354 go on\r\n"),
            (LETTER + b".", b"250 2.0.0 fine\r\n"),
            (b"QUIT", b"221 2.0.0 Bye\r\n"),
        ):
            client.say(line)
            assert (yield from client.hear()) == lines
        yield from server.is_over(EndReason.QUIT)

    world.play(script())


def test_injected_text_is_neither_obeyed_nor_answered(world: World) -> None:
    server = Server(world)

    def script() -> Script:
        client = yield from server.greeted()
        client.say(b"STARTTLS", b"RSET", b"MAIL FROM:<evil@example.net>")
        assert (yield from client.hear()) == b"554 5.5.0 you speak before your turn (k3f9)\r\n"
        assert (yield from client.hear()) == b""
        yield from server.is_over(EndReason.ABUSE)

    world.play(script())
    assert [event for event in server.told if isinstance(event, SenderGiven)] == []


@pytest.mark.parametrize("how", ["garbage", "untrusting", "gone"])
def test_a_handshake_that_fails_ends_that_client_alone(world: World, how: str) -> None:
    server = Server(world)

    def script() -> Script:
        other = yield from server.greeted()
        client = yield from server.greeted()
        client.say(b"STARTTLS")
        yield from client.hear()
        if how == "garbage":
            client.say(b"this is no handshake, as everybody can see from far away")
            yield from world.until(partial(is_closed, client.sock))
        elif how == "untrusting":
            with pytest.raises(ssl.SSLCertVerificationError):
                yield from secured(world, client.sock, client_context(), "other.example.org")
        else:
            client.sock.close()
        yield from world.until(lambda: server.core.connections == 1)
        yield from world.until(lambda: SessionEnded in [type(event) for event in server.told])
        other.say(b"NOOP")
        assert (yield from other.hear()) == b"250 2.0.0 Ok\r\n"
        assert not ended(server.core)

    world.play(script())


def is_closed(sock: socket.socket) -> bool:
    try:
        while sock.recv(1000):
            pass
    except BlockingIOError:
        return False
    except ConnectionResetError:
        pass
    return True
