"""The client session as its owners use it: commands in lists, LMTP, AUTH, connections that are
kept, a server that takes nothing for a while."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from Axon.AtOnce import act_at_once
from Axon.AxonExceptions import noSpaceInBox
from Axon.Component import component
from Axon.Instruments import Instrument
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Microprocess import microprocess
from Axon.Testing import FakeClock
from Kamaelia.Protocol.SMTPClient import HELD_LIMIT, ServerAccess
from Kamaelia.Support.Protocol.SMTP.ClientCommands import (
    Abandoned,
    ClientTimes,
    EndData,
    GiveAuth,
    GiveAuthLine,
    Greet,
    ResetTransaction,
    StartData,
)
from Kamaelia.Support.Protocol.SMTP.Events import (
    DataReceived,
    FailReason,
    Ready,
    ReplyReceived,
    SessionFailed,
)
from Test.Kamaelia.Apps.Grey.support import LETTER, FakeServer
from Test.Kamaelia.mail_server import (
    GREETING,
    MAIL,
    RCPT,
    PlayedServer,
    Using,
    Visit,
    ehlo,
)
from Test.Kamaelia.network import Script, World, pattern, reset

PIECE = 65_536
LOGIN: list[bytes] = [b"334 VXNlcm5hbWU6"]


def ready(
    world: World, server: PlayedServer, *extensions: bytes, access: ServerAccess | None = None
) -> Script:
    """A session that has been greeted, and the server's end of it."""
    using = Using(world, server.port, access=access or ServerAccess())
    using.say(Greet())
    visit = yield from server.greet(*extensions)
    assert isinstance((yield from using.hear()), Ready)
    return using, visit


def to_data(using: Using, visit: Visit) -> Script:
    """As far as the 354."""
    using.say([MAIL, RCPT, StartData()])
    assert (yield from visit.hear()).startswith(b"MAIL")
    visit.say(b"250 ok")
    yield from visit.answer((b"RCPT", [b"250 ok"]), (b"DATA", [b"354 go on"]))
    yield from using.hear_codes(3)


# ---- commands


def test_greet_connects_and_says_what_is_offered_once(world: World) -> None:
    server = PlayedServer(world)

    def script() -> Script:
        using = Using(world, server.port)
        using.say(Greet(), Greet())
        visit = yield from server.greet(b"SIZE 77", b"PIPELINING")
        assert (yield from using.hear()).capabilities.size == 77
        using.say(Greet())
        yield from world.settle()
        assert not using.has_heard
        using.say(MAIL)
        assert (yield from visit.hear()).startswith(b"MAIL")  # nothing else was said before
        yield from using.end(shutdownMicroprocess())

    world.play(script())


class Sent(Instrument):
    """What goes to the server, message by message."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def message(self, message: Any, outbox: Any, inbox: Any) -> None:  # noqa: ANN401 - as there
        if outbox is not None and outbox.name == "_to_server":
            self.pieces.append(message)


def test_what_is_given_in_one_list_goes_out_in_one_piece(world: World) -> None:
    server = PlayedServer(world)
    sent = Sent()

    def script() -> Script:
        using, visit = yield from ready(world, server, b"PIPELINING")
        world.scheduler.add_instrument(sent)
        using.say([MAIL, RCPT, StartData()])
        assert sent.pieces == [b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"]
        assert (yield from visit.hear(3)) == sent.pieces[0]
        world.scheduler.remove_instrument(sent)
        yield from using.end(shutdownMicroprocess())

    world.play(script())


def test_without_pipelining_each_command_waits_for_the_reply_to_the_one_before(
    world: World,
) -> None:
    server = PlayedServer(world)

    def script() -> Script:
        using, visit = yield from ready(world, server)
        using.say([MAIL, RCPT])
        assert (yield from visit.hear()).startswith(b"MAIL")
        yield from world.settle()
        assert visit.unread == b""
        visit.say(b"250 ok")
        yield from visit.answer((b"RCPT", [b"550 no"]))
        assert (yield from using.hear_codes(2)) == [("MAIL", 250), ("RCPT", 550)]
        yield from using.end(shutdownMicroprocess())

    world.play(script())


class Turns(Instrument):
    def __init__(self) -> None:
        self.of: list[microprocess] = []

    def before_step(self, process: microprocess) -> None:
        self.of.append(process)


def test_a_command_and_its_reply_cost_no_turn_of_the_session_nor_of_its_connection(
    world: World,
) -> None:
    server = PlayedServer(world)

    def script() -> Script:
        using, visit = yield from ready(world, server, b"PIPELINING")
        yield from world.settle()
        turns = Turns()
        world.scheduler.add_instrument(turns)
        using.say([MAIL, RCPT])
        yield from visit.hear(2)
        visit.say(b"250 ok", b"250 ok")
        yield from using.hear_codes(2)
        world.scheduler.remove_instrument(turns)
        connection = using.session._connection
        assert connection is not None
        involved = [using.session, connection, *connection.children]
        assert [each.name for each in turns.of if each in involved] == []
        yield from using.end(shutdownMicroprocess())

    world.play(script())


class Impatient(component):
    """Leaves the first session in the moment in which it is ready, and begins another at once."""

    Inboxes = {"inbox": "ClientEvent: from the session", "control": "object: unused"}
    Outboxes = {"outbox": "ClientCommand: to it", "abandon": "object: to it", "signal": "unused"}

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[object] = []
        act_at_once(self, "inbox", self.hear)

    def hear(self, event: object) -> None:
        self.heard.append(event)
        if len(self.heard) == 1:
            self.send(producerFinished(), "abandon")
            self.send([MAIL])

    def main(self) -> Iterator[object]:
        while True:
            self.pause()
            yield 1


def test_an_owner_may_leave_a_session_in_the_moment_in_which_it_is_ready(world: World) -> None:
    server = PlayedServer(world)

    def script() -> Script:
        using, owner = Using(world, server.port), Impatient()
        using.owner.unlink(using.session)
        owner.link((using.session, "outbox"), (owner, "inbox"))
        owner.link((owner, "outbox"), (using.session, "inbox"))
        owner.link((owner, "abandon"), (using.session, "abandon"))
        world.run(owner)
        using.say([MAIL, RCPT])
        first = yield from server.greet(b"PIPELINING")
        second = yield from server.greet(b"PIPELINING")
        yield from second.answer((b"MAIL FROM:<a@b>", [b"250 ok"]))
        yield from world.until(lambda: len(owner.heard) == 4)
        assert [type(each) for each in owner.heard] == [Ready, Abandoned, Ready, ReplyReceived]
        assert (yield from first.is_left())  # and was told nothing
        using.session.inboxes["control"].deliver(shutdownMicroprocess())
        yield from world.until(using.session._isStopped)
        assert second.unread == b""

    world.play(script())


def test_what_a_session_is_asked_too_early_is_its_owners_fault_and_harms_nobody_else(
    world: World,
) -> None:
    server = PlayedServer(world)
    told: list[str] = []

    def script() -> Script:
        using, visit = yield from ready(world, server)
        using.session.isolate(lambda culprit, error: told.append(str(error)))
        using.say(DataReceived(b"Subject: too early\r\n"))
        yield from world.until(using.session._isStopped)
        assert (yield from visit.is_left())

    world.play(script())
    assert told == ["message data before the server said 354"]


# ---- LMTP, AUTH


def test_lmtp_greets_with_lhlo_and_folds_the_replies_to_a_message(world: World) -> None:
    server = PlayedServer(world)

    def script() -> Script:
        using = Using(world, server.port, access=ServerAccess(lmtp=True))
        using.say([MAIL, RCPT, RCPT])
        visit = yield from server.accept()
        visit.say(GREETING[:-2])
        yield from visit.answer((b"LHLO proxy.example.org", ehlo(b"PIPELINING")))
        yield from using.hear()
        yield from visit.hear(3)
        visit.say(b"250 ok", b"250 ok", b"250 ok")
        yield from using.hear_codes(3)
        using.say(StartData())
        yield from visit.answer((b"DATA", [b"354 go on"]))
        yield from using.hear_codes(1)
        using.say([DataReceived(LETTER), EndData()])
        yield from visit.hear(4)
        visit.say(b"250 ok")
        yield from world.settle()
        assert not using.has_heard  # of the other recipient we know nothing
        visit.say(b"250 ok")
        assert (yield from using.hear_codes(1)) == [(".", 250)]
        yield from using.end(shutdownMicroprocess())

    world.play(script())


@pytest.mark.parametrize(("verdict", "code"), [(b"235 welcome", 235), (b"535 no", 535)])
def test_auth_is_passed_through_and_such_a_connection_is_for_nobody_else(
    world: World, verdict: bytes, code: int
) -> None:
    server = PlayedServer(world)

    def script() -> Script:
        using, visit = yield from ready(world, server, b"AUTH LOGIN")
        assert using.session.reusable
        using.say(GiveAuth(b"LOGIN", None))
        yield from visit.answer((b"AUTH LOGIN\r\n", LOGIN))
        assert (yield from using.hear_codes(1)) == [("AUTH", 334)]
        assert not using.session.reusable
        using.say(GiveAuthLine(b"YW5uYQ=="))
        yield from visit.answer((b"YW5uYQ==\r\n", [verdict]))
        assert (yield from using.hear_codes(1)) == [("AUTH", code)]
        assert using.session.reusable is (code != 235)
        yield from using.end(shutdownMicroprocess())

    world.play(script())


def test_auth_connects_if_need_be(world: World) -> None:
    server = PlayedServer(world)

    def script() -> Script:
        using = Using(world, server.port)
        using.say(GiveAuth(b"PLAIN", b"AGEAYg=="))
        visit = yield from server.greet(b"AUTH PLAIN")
        yield from using.hear()
        yield from visit.answer((b"AUTH PLAIN AGEAYg==", [b"235 welcome"]))
        assert (yield from using.hear_codes(1)) == [("AUTH", 235)]
        yield from using.end(shutdownMicroprocess())

    world.play(script())


@pytest.mark.parametrize("where", ["auth", "data asked", "message"])
def test_in_the_middle_of_something_it_ends_without_a_goodbye(world: World, where: str) -> None:
    server = PlayedServer(world)

    def script() -> Script:
        using, visit = yield from ready(world, server, b"PIPELINING", b"AUTH LOGIN")
        if where == "auth":
            using.say(GiveAuth(b"LOGIN", None))
            yield from visit.answer((b"AUTH", LOGIN))
            yield from using.hear_codes(1)
        elif where == "message":
            yield from to_data(using, visit)
        else:
            using.say([MAIL, RCPT, StartData()])
            yield from visit.hear(3)
        yield from using.end(producerFinished())  # no time passes here: it does not wait
        assert (yield from visit.is_left())

    world.play(script())


# ---- connections that are kept


def test_it_counts_messages_and_refusals_and_says_when_it_may_be_used_again(world: World) -> None:
    server = PlayedServer(world)

    def script() -> Script:
        using = Using(world, server.port)
        session = using.session
        assert (session.reusable, session.messages, session.refusals) == (False, 0, 0)
        using.say(Greet())
        assert not session.reusable  # not greeted yet
        visit = yield from server.greet(b"PIPELINING")
        yield from using.hear()
        assert session.reusable
        using.say([MAIL, RCPT, RCPT, StartData()])
        assert not session.reusable
        yield from visit.hear(4)
        visit.say(b"250 ok", b"550 no", b"250 ok", b"354 go on")
        yield from using.hear_codes(4)
        assert session.refusals == 1
        using.say([DataReceived(LETTER), EndData()])
        yield from visit.hear(4)
        assert not session.reusable
        visit.say(b"250 queued")
        yield from using.hear_codes(1)
        assert (session.reusable, session.messages, session.refusals) == (True, 1, 1)
        using.say([MAIL])
        yield from visit.answer((b"MAIL", [b"250 ok"]))
        yield from using.hear_codes(1)
        assert not session.reusable  # in a transaction
        using.say([ResetTransaction()])
        assert not session.reusable
        yield from visit.answer((b"RSET", [b"250 ok"]))
        yield from using.hear_codes(1)
        assert session.reusable
        visit.sock.close()
        assert (yield from using.hear()) == SessionFailed(FailReason.LOST, None)
        assert (session.reusable, session.messages, session.refusals) == (False, 0, 0)
        yield from using.end(producerFinished())

    world.play(script())


# ---- flow control and time


class Feeder(component):
    """Puts commands, one after the other, and sleeps while there is no room."""

    def __init__(self, commands: Sequence[object]) -> None:
        super().__init__()
        self.commands = commands
        self.put_so_far = 0

    def main(self) -> Iterator[object]:
        for command in self.commands:
            yield from self.put(command)
            self.put_so_far += 1


def feed(world: World, using: Using, size: int) -> Feeder:
    whole = pattern(size)
    pieces = [DataReceived(whole[at : at + PIECE]) for at in range(0, size, PIECE)]
    feeder = Feeder(pieces)
    feeder.link((feeder, "outbox"), (using.session, "inbox"))
    world.run(feeder)
    return feeder


def stuck(world: World, feeder: Feeder) -> Script:
    """Until the server's window is full, and the feeder sleeps."""
    before = -1
    while feeder.put_so_far != before:
        before = feeder.put_so_far
        yield from world.settle()
    assert not feeder._isStopped()
    assert not feeder._isRunnable()


def test_a_server_that_takes_nothing_holds_its_owner_back_and_loses_nothing(
    world: World,
) -> None:
    server, size = PlayedServer(world), 400 * PIECE

    def script() -> Script:
        using = Using(world, server.port)
        using.say(Greet())
        visit = yield from server.accept(receive_buffer=PIECE)
        visit.say(GREETING[:-2])
        yield from visit.answer((b"EHLO", ehlo(b"PIPELINING")))
        yield from using.hear()
        yield from to_data(using, visit)
        feeder = feed(world, using, size)
        yield from stuck(world, feeder)
        assert not using.session.reusable
        with pytest.raises(noSpaceInBox):
            using.say(EndData())
        got = bytearray()
        while len(got) < size:
            got += yield from world.receive(visit.sock, min(PIECE, size - len(got)))
        assert bytes(got) == pattern(size)
        yield from world.until(feeder._isStopped)
        yield from using.end(shutdownMicroprocess())

    world.play(script())


@pytest.mark.parametrize("how", ["reset", "abandon", "time"])
def test_whoever_waits_for_room_goes_on_when_the_session_is_over(
    world: World, clock: FakeClock, how: str
) -> None:
    server = PlayedServer(world)
    times = ClientTimes(connect=30.0, reply=300.0, data_block=20.0, final=70.0)

    def script() -> Script:
        using = Using(world, server.port, times)
        using.say(Greet())
        visit = yield from server.accept(receive_buffer=PIECE)
        visit.say(GREETING[:-2])
        yield from visit.answer((b"EHLO", ehlo(b"PIPELINING")))
        yield from using.hear()
        yield from to_data(using, visit)
        feeder = feed(world, using, 400 * PIECE)
        yield from stuck(world, feeder)
        if how == "reset":
            reset(visit.sock)
            expected: object = SessionFailed(FailReason.LOST, None)
        elif how == "abandon":
            using.abandon()
            expected = Abandoned()
        else:
            clock.advance(19)
            yield from world.settle()
            assert not using.has_heard
            clock.advance(2)
            expected = SessionFailed(FailReason.TIMEOUT, None)
        assert (yield from using.hear()) == expected
        yield from world.until(feeder._isStopped)  # what it still had, nobody takes
        yield from using.end(producerFinished())

    world.play(script())


def test_a_message_that_its_owner_is_slow_with_has_no_limit_here(
    world: World, clock: FakeClock
) -> None:
    """Between the 354 and the dot it is the client who is waited for, and that is others' to do."""
    server = PlayedServer(world)

    def script() -> Script:
        using, visit = yield from ready(world, server, b"PIPELINING")
        yield from to_data(using, visit)
        using.say(DataReceived(LETTER))
        clock.advance(100_000)
        yield from world.settle()
        assert not using.has_heard
        using.say(EndData())
        yield from visit.hear(4)
        visit.say(b"250 queued")
        assert (yield from using.hear_codes(1)) == [(".", 250)]
        yield from using.end(shutdownMicroprocess())

    world.play(script())


def test_the_second_of_two_replies_has_all_of_its_time_again(
    world: World, clock: FakeClock
) -> None:
    server = PlayedServer(world)
    times = ClientTimes(connect=30.0, reply=10.0, data_block=20.0, final=70.0)

    def script() -> Script:
        using = Using(world, server.port, times)
        using.say([MAIL, RCPT])
        visit = yield from server.greet(b"PIPELINING")
        yield from using.hear()
        yield from visit.hear(2)
        clock.advance(9)
        visit.say(b"250 ok")
        yield from using.hear_codes(1)
        clock.advance(9)
        yield from world.settle()
        assert not using.has_heard
        clock.advance(2)
        assert (yield from using.hear()) == SessionFailed(FailReason.TIMEOUT, None)
        assert (yield from visit.is_left())
        yield from using.end(producerFinished())

    world.play(script())


def test_an_early_refusal_ends_the_session_and_the_next_sender_connects_anew(
    world: World, server: Callable[..., FakeServer]
) -> None:
    backend = server(body=(10, b"552 5.3.4 too much\r\n"))

    def script() -> Script:
        using = Using(world, backend.address[1])
        using.say([MAIL, RCPT, StartData()])
        yield from using.hear()
        yield from using.hear_codes(3)
        using.say(DataReceived(LETTER))
        assert (yield from using.hear_codes(1)) == [(".", 552)]
        using.say([DataReceived(LETTER), EndData()])  # it may not have heard: no harm
        using.say([MAIL])
        assert isinstance((yield from using.hear()), Ready)
        assert (yield from using.hear_codes(1)) == [("MAIL", 250)]
        yield from using.end(producerFinished())

    world.play(script())
    assert backend.messages == []


def test_an_owner_that_asks_for_too_much_before_the_greeting_has_lost_its_session(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """And hears of it: it would wait in vain for the replies to what was dropped."""
    server = PlayedServer(world)

    def script() -> Script:
        using = Using(world, server.port)
        using.say(MAIL, *[RCPT] * (HELD_LIMIT - 1))
        visit = yield from server.accept()
        assert not using.has_heard
        using.say(RCPT)
        assert (yield from using.hear()) == SessionFailed(FailReason.LOST, None)
        assert (yield from visit.is_left())
        using.say(RCPT)  # of the session that has failed: nobody takes it
        using.say(MAIL)
        again = yield from server.greet()
        assert isinstance((yield from using.hear()), Ready)
        yield from again.answer((b"MAIL", [b"250 ok"]))
        assert (yield from using.hear_codes(1)) == [("MAIL", 250)]
        yield from using.end(shutdownMicroprocess())

    world.play(script())
    (said,) = caplog.messages
    assert "more than 16 commands before the greeting of 127.0.0.1 port" in said
