"""The two session components: in virtual time, on sockets, and before real and false servers."""

import smtplib
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import FakeClock, collect, drive, virtual_scheduler
from Kamaelia.Chassis.Graphline import Graphline
from Kamaelia.Protocol.SMTP import SMTPClientSession, SMTPServerSession
from Kamaelia.Support.Protocol.SMTP.Address import Path
from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities
from Kamaelia.Support.Protocol.SMTP.ClientCommands import (
    Abandoned,
    ClientTimes,
    EndData,
    GiveRecipient,
    GiveSender,
    ResetTransaction,
    StartData,
)
from Kamaelia.Support.Protocol.SMTP.Events import (
    DataReceived,
    DataRequested,
    EndReason,
    FailReason,
    HelloReceived,
    MessageComplete,
    Ready,
    RecipientGiven,
    ReplyReceived,
    SenderGiven,
    SessionEnded,
    SessionFailed,
)
from Kamaelia.Support.Protocol.SMTP.Replies import Reply
from Kamaelia.Support.Protocol.SMTP.ServerSession import ServerSession
from Test.Kamaelia.Apps.Grey.support import LETTER, OK, Act, FakeServer, Gate
from Test.Kamaelia.network import Script, Silent, World
from Test.Kamaelia.shutdown import Ends

BY_STATE = "what a shutdown does depends on where the dialogue is: played below, state by state"
SHUTDOWN = {
    SMTPServerSession: Ends(None, why=BY_STATE),
    SMTPClientSession: Ends(None, why=BY_STATE),
}

FINE = Reply.of(250, "2.0.0", "fine")
GO_ON = Reply.of(354, "", "go on")
MAIL = GiveSender(Path(b"a@b", b"a", b"b"), {})
RCPT = GiveRecipient(Path(b"c@d", b"c", b"d"), {})
TALK = b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"


def session() -> ServerSession:
    return ServerSession("mx.example.org", capabilities=Capabilities, tag="k3f9")


# ---- the server's side, in virtual time


class Owner(component):
    """Answers each event after so many seconds; keeps all of them."""

    Outboxes = {"outbox": "Reply: to the session", "signal": "object: unused"}

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__()
        self.seconds = seconds
        self.events: list[object] = []

    def main(self) -> Iterator[object]:
        while True:
            for event in self.Inbox("inbox"):
                self.events.append(event)
                if isinstance(event, RecipientGiven | DataRequested | MessageComplete):
                    yield from self._think()
                    self.send(GO_ON if isinstance(event, DataRequested) else FINE, "outbox")
                if isinstance(event, SessionEnded):
                    return
            self.pause()
            yield 1

    def _think(self) -> Iterator[object]:
        assert self.scheduler
        until = self.scheduler.clock() + self.seconds
        while (left := until - self.scheduler.clock()) > 0:
            self.pause(left)
            yield 1


class Serving:
    """A server session with an owner, in virtual time."""

    def __init__(self, *, seconds: float = 0.0, room: int | None = None, **settings: Any) -> None:  # noqa: ANN401 - the session's
        self.clock = FakeClock(1000.0)
        self.scheduler = virtual_scheduler(self.clock)
        self.session = SMTPServerSession(session(), **settings)
        self.owner = Owner(seconds)
        if room is not None:
            self.owner.setInboxSize("inbox", room)
        self.session.link((self.session, "events"), (self.owner, "inbox"))
        self.session.link((self.owner, "outbox"), (self.session, "replies"))
        self.sent = collect(self.session, ["outbox", "signal"])

    def run(self, slices: Iterable[bytes] = (), control: Iterable[object] = ()) -> "Serving":
        for data in slices:
            self.session.inboxes["inbox"].deliver(data)
        for message in control:
            self.session.inboxes["control"].deliver(message)
        self.owner.activate(Scheduler=self.scheduler)
        self.session.activate(Scheduler=self.scheduler)
        self.scheduler.runThreads()
        return self

    @property
    def wire(self) -> bytes:
        return b"".join(self.sent["outbox"])

    @property
    def codes(self) -> list[int]:
        return [int(line[:3]) for line in self.wire.splitlines() if line[3:4] == b" "]


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_a_session_is_the_same_in_any_slicing(size: int) -> None:
    whole = TALK + LETTER + b".\r\nQUIT\r\n"
    serving = Serving().run(whole[at : at + size] for at in range(0, len(whole), size))
    assert serving.codes == [220, 250, 250, 250, 354, 250, 221]
    kinds = [type(event) for event in serving.owner.events if not isinstance(event, DataReceived)]
    assert kinds == [
        *(HelloReceived, SenderGiven, RecipientGiven, DataRequested, MessageComplete, SessionEnded),
    ]
    data = [event.data for event in serving.owner.events if isinstance(event, DataReceived)]
    assert b"".join(data) == LETTER
    assert isinstance(serving.sent["signal"][-1], producerFinished)


def test_silence_is_ended_with_421() -> None:
    serving = Serving(timeout=300.0).run()
    assert serving.codes == [220, 421]
    assert serving.wire.endswith(b"421 4.4.2 time-out, closing the connection (k3f9)\r\n")
    assert serving.owner.events == [SessionEnded(EndReason.CLOSED)]
    assert isinstance(serving.sent["signal"][-1], producerFinished)
    assert serving.clock() == 1300.0


def test_the_clients_time_stands_still_while_its_owner_thinks() -> None:
    serving = Serving(seconds=1000.0, timeout=300.0).run([TALK])
    assert serving.codes == [220, 250, 250, 250, 354, 421]
    assert serving.clock() == 1000.0 + 1000.0 + 1000.0 + 300.0  # RCPT, DATA, silence


def test_a_refusal_stands_in_the_place_of_the_greeting() -> None:
    refusal = Reply.of(421, "4.3.2", "too many")
    serving = Serving(refusal=refusal).run([TALK])
    assert serving.wire == b"421 4.3.2 too many\r\n"
    assert serving.owner.events == [SessionEnded(EndReason.CLOSED)]


def test_a_client_that_has_sent_all_hears_all_its_replies() -> None:
    serving = Serving(seconds=5.0).run([TALK], [producerFinished()])
    assert serving.codes == [220, 250, 250, 250, 354]
    assert serving.owner.events[-1] == SessionEnded(EndReason.EOF, in_data=True)


def test_shutdown_ends_a_session_between_two_messages_with_421() -> None:
    serving = Serving().run([b"EHLO x\r\n"], [shutdownMicroprocess()])
    assert serving.codes == [220, 250, 421]
    assert serving.wire.endswith(b"421 4.3.2 service is shutting down, try again later (k3f9)\r\n")


def test_shutdown_lets_a_message_end() -> None:
    serving = Serving(seconds=1.0).run([TALK + LETTER + b".\r\nNOOP\r\n"], [shutdownMicroprocess()])
    assert serving.codes == [220, 250, 250, 250, 354, 250, 250, 421]


def test_what_is_no_shutdown_at_control_is_let_go() -> None:
    assert Serving().run([b"QUIT\r\n"], ["hello"]).codes == [220, 221]


def test_an_owner_without_room_holds_the_session_back_and_loses_nothing() -> None:
    letter = b"0123456789abcd\r\n" * 1000
    serving = Serving(room=1).run(
        [TALK, *(letter[at : at + 100] for at in range(0, len(letter), 100)), b".\r\nQUIT\r\n"]
    )
    assert serving.codes[-2:] == [250, 221]
    data = [event.data for event in serving.owner.events if isinstance(event, DataReceived)]
    assert b"".join(data) == letter


def test_one_that_nobody_listens_to_greets_and_ends() -> None:
    out = drive(SMTPServerSession(session()), inbox=[b"QUIT\r\n"])
    assert b"".join(out["outbox"]) == b"220 mx.example.org ESMTP\r\n221 2.0.0 Bye\r\n"
    assert out["events"] == [SessionEnded(EndReason.QUIT)]


# ---- the example of the module, on real sockets


def agreeable_protocol() -> Callable[..., component]:
    """What the module's example defines, without running its server."""
    example = (sys.modules[SMTPServerSession.__module__].__doc__ or "").partition("::\n")[2]
    lines = [line[4:] for line in example.splitlines()]
    source = "\n".join(line for line in lines if ".run()" not in line)
    names: dict[str, Any] = {each.__name__: each for each in (SMTPServerSession, component)}
    names |= {each.__name__: each for each in (MessageComplete, RecipientGiven, DataRequested)}
    names |= {each.__name__: each for each in (SessionEnded, Reply, ServerSession, Capabilities)}
    names["Graphline"] = Graphline
    exec(compile(source, "the module's example", "exec"), names)  # noqa: S102 - running it is the test
    protocol: Callable[..., component] = names["protocol"]
    return protocol


def test_the_modules_example_takes_mail_from_smtplib(real_time_world: World) -> None:
    world = real_time_world
    answers: list[object] = []

    def send(port: int) -> None:
        with smtplib.SMTP("127.0.0.1", port, timeout=15) as client:
            answers.append(client.sendmail("a@example.net", ["b@example.org"], LETTER))
            answers.append(client.noop()[0])

    def script() -> Script:
        server = world.serve(agreeable_protocol())
        sender = threading.Thread(target=send, args=(server.address[1],))
        sender.start()
        while sender.is_alive():
            yield from world.rest(0.01)

    world.play(script())
    assert answers == [{}, 250]


# ---- the client's side


class Using:
    """A client session in a World, and what it says to its owner."""

    def __init__(self, world: World, port: int, times: ClientTimes | None = None) -> None:
        self.world = world
        self.session = SMTPClientSession("127.0.0.1", port, "proxy.example.org", times)
        self.owner = Silent()
        self.owner.link((self.session, "outbox"), (self.owner, "inbox"))
        self.owner.link((self.session, "signal"), (self.owner, "control"))
        world.run(self.owner, self.session)

    def say(self, *commands: object) -> None:
        for command in commands:
            self.session.inboxes["inbox"].deliver(command)

    def abandon(self) -> None:
        self.session.inboxes["abandon"].deliver(producerFinished())

    def hear(self) -> Script:
        yield from self.world.until(lambda: self.owner.dataReady("inbox"))
        return self.owner.recv("inbox")

    def hear_codes(self, count: int) -> Script:
        codes = []
        for _ in range(count):
            event = yield from self.hear()
            assert isinstance(event, ReplyReceived), event
            codes.append((event.command, event.reply.code))
        return codes

    def end(self, message: object) -> Script:
        self.session.inboxes["control"].deliver(message)
        yield from self.world.until(lambda: self.owner.dataReady("control"))
        assert self.owner.recv("control") is message
        yield from self.world.until(self.session._isStopped)


@pytest.fixture
def server() -> Iterator[Callable[..., FakeServer]]:
    made: list[FakeServer] = []

    def start(**answers: Any) -> FakeServer:  # noqa: ANN401 - said by FakeServer
        made.append(FakeServer(**answers))
        return made[-1]

    yield start
    for each in made:
        each.close()


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


def test_commands_given_to_a_session_that_has_failed_are_not_obeyed_by_the_next(
    world: World, server: Callable[..., FakeServer]
) -> None:
    """The owner cannot know yet: it will hear of the failure, and ask again."""
    backend = server()

    def script() -> Script:
        using = Using(world, backend.address[1])
        using.say(MAIL, ResetTransaction())
        yield from using.hear()
        yield from using.hear_codes(2)
        # In one turn: the server has hung up, and the owner begins the next message.
        using.session.inboxes["_closed"].deliver(producerFinished())
        using.say(MAIL, RCPT)
        failed = yield from using.hear()
        assert failed == SessionFailed(FailReason.LOST, None)
        yield from world.settle()
        assert len(backend.visits) == 1
        using.say(MAIL, RCPT)
        assert isinstance((yield from using.hear()), Ready)
        assert (yield from using.hear_codes(2)) == [("MAIL", 250), ("RCPT", 250)]
        yield from using.end(producerFinished())

    world.play(script())
    assert backend.visit(1).verbs() == ["EHLO", "MAIL", "RCPT", "QUIT"]


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
