"""The client session: before false servers and a real one, its times and its flow control."""

import socket
from collections.abc import Callable
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import FakeClock
from Kamaelia.Protocol.SMTPClient import SMTPClientSession
from Kamaelia.Support.Protocol.SMTP.ClientCommands import (
    Abandoned,
    ClientTimes,
    EndData,
    ResetTransaction,
    StartData,
)
from Kamaelia.Support.Protocol.SMTP.Events import (
    DataReceived,
    FailReason,
    Ready,
    SessionFailed,
)
from Test.Kamaelia.Apps.Grey.support import EHLO, LETTER, OK, Act, FakeServer, Gate
from Test.Kamaelia.mail_server import MAIL, RCPT, Using
from Test.Kamaelia.network import Script, World
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {SMTPClientSession: Ends(lambda: SMTPClientSession("127.0.0.1", 9, "proxy.example.org"))}


def test_nothing_is_connected_before_the_first_sender(
    world: World, server: Callable[..., FakeServer]
) -> None:
    backend = server()

    def script() -> Script:
        using = Using(world, backend.address[1])
        using.say(RCPT, StartData(), DataReceived(b"x\r\n"), ResetTransaction())
        yield from world.settle()
        assert not using.session.dataReady("inbox")  # let go
        assert not using.owner.dataReady("inbox")
        yield from using.end(producerFinished())

    world.play(script())
    assert backend.visits == []


def test_a_message_is_handed_over_and_goodbye_is_said(
    world: World, server: Callable[..., FakeServer]
) -> None:
    backend = server()

    def script() -> Script:
        using = Using(world, backend.address[1])
        using.say(MAIL, RCPT)
        assert isinstance((yield from using.hear()), Ready)
        assert (yield from using.hear_codes(2)) == [("MAIL", 250), ("RCPT", 250)]
        using.say(StartData())
        assert (yield from using.hear_codes(1)) == [("DATA", 354)]
        using.say(DataReceived(LETTER), EndData())
        assert (yield from using.hear_codes(1)) == [(".", 250)]
        using.say(MAIL, ResetTransaction())
        assert (yield from using.hear_codes(2)) == [("MAIL", 250), ("RSET", 250)]
        yield from using.end(producerFinished())

    world.play(script())
    visit = backend.visit()
    assert visit.verbs() == ["EHLO", "MAIL", "RCPT", "DATA", "MAIL", "RSET", "QUIT"]
    assert visit.messages == [LETTER]


def test_a_real_mail_server_takes_what_is_handed_over(real_time_world: World) -> None:
    world = real_time_world
    taken: list[str] = []

    class Keeper(Message):
        def handle_message(self, message: Any) -> None:  # noqa: ANN401 - aiosmtpd's
            taken.append(message.as_string())

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(Keeper(), hostname="127.0.0.1", port=port)
    controller.start()

    def script() -> Script:
        using = Using(world, port)
        using.say(MAIL, RCPT)
        ready = yield from using.hear()
        assert ready.capabilities.eightbitmime
        assert (yield from using.hear_codes(2)) == [("MAIL", 250), ("RCPT", 250)]
        using.say(StartData())
        assert (yield from using.hear_codes(1)) == [("DATA", 354)]
        using.say(DataReceived(b"Subject: x\r\n\r\n..dot\r\n"), EndData())
        assert (yield from using.hear_codes(1)) == [(".", 250)]
        yield from using.end(producerFinished())

    try:
        world.play(script())
    finally:
        controller.stop()
    (mail,) = taken
    assert "Subject: x\n" in mail
    assert mail.endswith("\n\n.dot\n")


def test_abandoning_sends_no_dot_and_the_next_sender_connects_anew(
    world: World, server: Callable[..., FakeServer]
) -> None:
    backend = server()

    def script() -> Script:
        using = Using(world, backend.address[1])
        using.say(MAIL, RCPT, StartData())
        yield from using.hear()
        yield from using.hear_codes(3)
        using.say(DataReceived(LETTER))
        using.abandon()
        using.say(MAIL)
        assert isinstance((yield from using.hear()), Abandoned)
        assert isinstance((yield from using.hear()), Ready)
        assert (yield from using.hear_codes(1)) == [("MAIL", 250)]
        yield from using.end(shutdownMicroprocess())

    world.play(script())
    first, second = backend.visits
    assert first.ended.wait(15)
    assert first.messages == []
    assert second.verbs() == ["EHLO", "MAIL"]


def test_what_waited_for_the_greeting_is_forgotten_with_the_session(
    world: World, server: Callable[..., FakeServer]
) -> None:
    """The owner hears of the failure, and says all of it again: nothing must be said twice."""
    backend = server(EHLO=[Act.DROP, EHLO])

    def script() -> Script:
        using = Using(world, backend.address[1])
        using.say(MAIL, RCPT)
        assert (yield from using.hear()) == SessionFailed(FailReason.LOST, None)
        using.say(RCPT, StartData())  # belongs to no session
        yield from world.settle()
        assert len(backend.visits) == 1
        using.say(MAIL, RCPT)
        assert isinstance((yield from using.hear()), Ready)
        assert (yield from using.hear_codes(2)) == [("MAIL", 250), ("RCPT", 250)]
        yield from using.end(producerFinished())

    world.play(script())
    assert backend.visit(1).verbs() == ["EHLO", "MAIL", "RCPT", "QUIT"]


def test_a_failure_is_in_the_owners_box_when_the_connection_has_ended(
    world: World, server: Callable[..., FakeServer]
) -> None:
    backend = server()

    def script() -> Script:
        using = Using(world, backend.address[1])
        using.say(MAIL, ResetTransaction())
        yield from using.hear()
        yield from using.hear_codes(2)
        using.session.inboxes["_closed"].deliver(producerFinished())
        assert using.owner.recv("inbox") == SessionFailed(FailReason.LOST, None)
        using.say(MAIL)
        assert isinstance((yield from using.hear()), Ready)
        yield from using.end(shutdownMicroprocess())

    world.play(script())
    assert len(backend.visits) == 2


def test_a_server_that_is_not_there_is_unreachable(world: World) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

        def script() -> Script:
            using = Using(world, port)
            using.say(MAIL, RCPT)
            failed = yield from using.hear()
            assert failed == SessionFailed(FailReason.UNREACHABLE, None)
            yield from using.end(producerFinished())

        world.play(script())


@pytest.mark.parametrize(
    ("answers", "reason", "code"),
    [
        ({"BANNER": b"554 no\r\n"}, FailReason.BANNER, 554),
        ({"BANNER": b"what?\r\n"}, FailReason.SYNTAX, None),
        ({"EHLO": b"421 no\r\n"}, FailReason.HELLO, 421),
        ({"EHLO": Act.DROP}, FailReason.LOST, None),
        ({"BANNER": Act.RESET}, FailReason.UNREACHABLE, None),
    ],
)
def test_a_session_that_does_not_begin_says_why(
    world: World,
    server: Callable[..., FakeServer],
    answers: dict[str, bytes | Act],
    reason: FailReason,
    code: int | None,
) -> None:
    backend = server(**answers)

    def script() -> Script:
        using = Using(world, backend.address[1])
        using.say(MAIL)
        failed = yield from using.hear()
        assert isinstance(failed, SessionFailed)
        assert failed.reason is reason
        assert (failed.reply.code if failed.reply else None) == code
        yield from using.end(producerFinished())

    world.play(script())


@pytest.mark.parametrize(
    ("verb", "commands", "replies", "seconds"),
    [
        ("BANNER", [MAIL], 0, 40),
        ("EHLO", [MAIL], 0, 10),
        ("MAIL", [MAIL], 0, 10),
        ("DOT", [MAIL, RCPT, StartData(), DataReceived(LETTER), EndData()], 3, 70),
    ],
)
def test_silence_has_a_limit_for_each_step(
    world: World,
    clock: FakeClock,
    server: Callable[..., FakeServer],
    verb: str,
    commands: list[object],
    replies: int,
    seconds: int,
) -> None:
    gate = Gate(Act.STALL)
    backend = server(**{verb: gate})
    times = ClientTimes(connect=30.0, reply=10.0, data_block=20.0, final=70.0)

    def script() -> Script:
        using = Using(world, backend.address[1], times)
        using.say(*commands[:3])
        if verb not in ("BANNER", "EHLO"):
            yield from using.hear()
        yield from using.hear_codes(replies)
        using.say(*commands[3:])
        yield from world.until(gate.reached.is_set)
        gate.open()
        yield from world.settle()
        clock.advance(seconds - 1)
        yield from world.settle()
        assert not using.owner.dataReady("inbox")
        clock.advance(2)
        failed = yield from using.hear()
        assert failed == SessionFailed(FailReason.TIMEOUT, None)
        yield from using.end(producerFinished())

    world.play(script())


def test_a_server_that_does_not_say_goodbye_is_not_waited_for_long(
    world: World, clock: FakeClock, server: Callable[..., FakeServer]
) -> None:
    gate = Gate(Act.STALL)
    backend = server(QUIT=gate)

    def script() -> Script:
        using = Using(world, backend.address[1])
        using.say(MAIL)
        yield from using.hear()
        yield from using.hear_codes(1)
        using.session.inboxes["control"].deliver(producerFinished())
        yield from world.until(gate.reached.is_set)
        gate.open()
        yield from world.settle()
        assert not using.session._isStopped()
        clock.advance(6)
        yield from world.until(using.session._isStopped)

    world.play(script())


def test_an_idle_session_has_no_limit(
    world: World, clock: FakeClock, server: Callable[..., FakeServer]
) -> None:
    backend = server()

    def script() -> Script:
        using = Using(world, backend.address[1])
        using.say(MAIL)
        yield from using.hear()
        yield from using.hear_codes(1)
        clock.advance(100_000)
        yield from world.settle()
        assert not using.owner.dataReady("inbox")
        using.say(RCPT)
        assert (yield from using.hear_codes(1)) == [("RCPT", 250)]
        yield from using.end(producerFinished())

    world.play(script())


def test_a_fault_in_the_connection_is_a_lost_connection(
    world: World, server: Callable[..., FakeServer], caplog: pytest.LogCaptureFixture
) -> None:
    backend = server()

    def script() -> Script:
        using = Using(world, backend.address[1])
        using.say(MAIL)
        yield from using.hear()
        yield from using.hear_codes(1)
        (connection,) = using.session.children

        def fail() -> bool:
            raise RuntimeError("planted")

        connection._told_to_stop = fail  # type: ignore[attr-defined]
        connection.unpause()
        assert (yield from using.hear()) == SessionFailed(FailReason.LOST, None)
        using.say(MAIL)
        assert isinstance((yield from using.hear()), Ready)
        yield from using.end(shutdownMicroprocess())

    world.play(script())
    assert "planted" in caplog.text
    assert backend.visit(0).ended.wait(15)


def test_stopping_it_closes_its_connection(world: World, server: Callable[..., FakeServer]) -> None:
    backend = server()

    def script() -> Script:
        using = Using(world, backend.address[1])
        using.say(MAIL)
        yield from using.hear()
        yield from using.hear_codes(1)
        using.session.stop()
        yield from world.until(backend.visit().ended.is_set)

    world.play(script())
    assert backend.visit().verbs() == ["EHLO", "MAIL"]


def test_replies_in_small_pieces_are_replies(
    world: World, server: Callable[..., FakeServer]
) -> None:
    def slowly(line: bytes) -> bytes:
        for byte in b"250-one\r\n250-two\r\n":
            backend.visit().sock.send(bytes([byte]))
        return b"250 three\r\n"

    backend = server(MAIL=slowly, RCPT=OK)

    def script() -> Script:
        using = Using(world, backend.address[1])
        using.say(MAIL, RCPT)
        yield from using.hear()
        answer = yield from using.hear()
        assert answer.reply.lines == (b"one", b"two", b"three")
        assert (yield from using.hear_codes(1)) == [("RCPT", 250)]
        yield from using.end(producerFinished())

    world.play(script())
