"""The server session: in virtual time, and its module's example on sockets."""

import gc
import smtplib
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import pytest

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import FakeClock, collect, drive, virtual_scheduler
from Kamaelia.Chassis.Graphline import Graphline
from Kamaelia.Protocol.SMTP import (
    LATE_SECONDS,
    SLOW_SECONDS,
    SOFT_ERRORS,
    SMTPServerSession,
)
from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities
from Kamaelia.Support.Protocol.SMTP.Events import (
    DataReceived,
    DataRequested,
    EndReason,
    HelloReceived,
    MessageComplete,
    RecipientGiven,
    SenderGiven,
    SessionEnded,
)
from Kamaelia.Support.Protocol.SMTP.Replies import Reply
from Kamaelia.Support.Protocol.SMTP.ServerSession import ServerLimits, ServerSession
from Test.Kamaelia.Apps.Grey.support import LETTER
from Test.Kamaelia.network import Script, World
from Test.Kamaelia.shutdown import Ends

BY_STATE = "what a shutdown does depends on where the dialogue is: played below, state by state"
SHUTDOWN = {SMTPServerSession: Ends(None, why=BY_STATE)}

FINE = Reply.of(250, "2.0.0", "fine")
GO_ON = Reply.of(354, "", "go on")
# Else most of what is here would have to come in small pieces.
LIMITS = ServerLimits(forbid_early_talk=False, forbid_pipelined_hello=False)
TALK = b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"


def session() -> ServerSession:
    return ServerSession("mx.example.org", capabilities=Capabilities, limits=LIMITS, tag="k3f9")


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


@pytest.mark.parametrize(
    ("seconds", "pieces"), [(LATE_SECONDS / 2, [[250, 250], [354]]), (2.0, [[250], [250], [354]])]
)
def test_replies_to_pipelined_commands_go_together_unless_one_takes_long(
    seconds: float, pieces: list[list[int]]
) -> None:
    talk = TALK.replace(b"DATA", b"RCPT TO:<e@f>\r\nDATA")
    sent = Serving(seconds=seconds).run([talk]).sent["outbox"]
    codes = [[int(line[:3]) for line in piece.splitlines()] for piece in sent]
    assert codes[1:-1] == pieces  # before: greeting, EHLO, MAIL; behind: the time-out


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


def test_a_client_that_hangs_up_inside_a_message_has_lost_it() -> None:
    serving = Serving().run([TALK, LETTER], [producerFinished()])
    assert serving.codes == [220, 250, 250, 250, 354]
    assert serving.owner.events[-1] == SessionEnded(EndReason.EOF, in_data=True)


def test_a_half_closed_client_hears_what_became_of_its_message() -> None:
    """It has sent its last byte, and listens."""
    serving = Serving(seconds=5.0).run([TALK, LETTER + b".\r\n"], [producerFinished()])
    assert serving.codes == [220, 250, 250, 250, 354, 250]
    assert serving.owner.events[-1] == SessionEnded(EndReason.EOF)
    assert isinstance(serving.sent["signal"][-1], producerFinished)


def test_one_whole_command_makes_time_begin_again_and_half_of_one_does_not() -> None:
    serving = Serving(timeout=300.0)
    inbox = serving.session.inboxes["inbox"]
    for seconds, data in ((200, b"EHLO x\r\n"), (400, b"NO"), (499, b"O")):
        serving.scheduler.call_later(seconds, partial(inbox.deliver, data))
    serving.run()
    assert serving.codes == [220, 250, 421]
    assert serving.clock() == 1000.0 + 200.0 + 300.0


def test_a_message_that_comes_in_drops_has_no_more_time_than_silence() -> None:
    serving = Serving(timeout=300.0)
    inbox = serving.session.inboxes["inbox"]
    for number in range(100):
        serving.scheduler.call_later(100.0 * number + 1, lambda: inbox.deliver(b"x"))
    serving.run([TALK])
    assert serving.codes == [220, 250, 250, 250, 354, 421]
    assert serving.clock() == 1300.0
    assert serving.owner.events[-1] == SessionEnded(EndReason.CLOSED)


@pytest.mark.parametrize("wrong", [b"RCPT FROM:<c@d>\r\n", b"JUNK\r\n", b"RCPT TO:<c@d>\r\n"])
def test_who_makes_one_mistake_after_the_other_is_answered_slowly(wrong: bytes) -> None:
    """No longer at once after ten; not at all after twenty."""
    few = Serving().run([b"EHLO x\r\n", *[wrong] * SOFT_ERRORS, b"QUIT\r\n"])
    assert few.clock() == 1000.0
    many = Serving().run([b"EHLO x\r\n", *[wrong] * (SOFT_ERRORS + 5), b"QUIT\r\n"])
    assert many.codes[-1] == 221
    assert many.clock() == 1000.0 + 5 * SLOW_SECONDS
    too_many = Serving().run([b"EHLO x\r\n", *[wrong] * 30])
    assert too_many.codes[-1] == 421
    assert too_many.owner.events[-1] == SessionEnded(EndReason.ERRORS)


def test_a_slow_answer_does_not_hold_up_a_shutdown() -> None:
    wrong = [b"JUNK\r\n"] * (SOFT_ERRORS + 1)
    serving = Serving().run([b"EHLO x\r\n", *wrong], [shutdownMicroprocess()])
    assert serving.codes[-1] == 421
    assert serving.clock() <= 1000.0 + SLOW_SECONDS


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


@pytest.mark.parametrize("how", ["quit", "hung up", "timed out", "stopped"])
def test_one_that_has_ended_is_gone_without_the_garbage_collector(how: str) -> None:
    """Ten thousand of them would wait for it, each with its client's last words."""
    clock = FakeClock(1000.0)
    engine = virtual_scheduler(clock)
    one = SMTPServerSession(session())
    one.activate(Scheduler=engine)
    engine.call_later(1.0, partial(one.inboxes["inbox"].deliver, b"EHLO x\r\nMAIL FROM:<a@b>\r\n"))
    if how == "quit":
        engine.call_later(2.0, partial(one.inboxes["inbox"].deliver, b"QUIT\r\n"))
    elif how == "hung up":
        engine.call_later(2.0, partial(one.inboxes["control"].deliver, producerFinished()))
    elif how == "stopped":
        engine.call_later(2.0, one.stop)
    gone = weakref.ref(one)
    gc.collect()
    gc.disable()
    try:
        engine.runThreads()
        assert one._isStopped()
        del one
        assert gone() is None
    finally:
        gc.enable()
