"""Asking a milter: in front of a script, and of a MilterSession on a socket."""

from typing import Any

import pytest

from Axon.Component import component
from Axon.Ipc import producerFinished
from Axon.Testing import drive
from Kamaelia.Chassis.Graphline import Graphline
from Kamaelia.Internet.TCPClient import TCPClient
from Kamaelia.Protocol.Milter import MilterSession
from Kamaelia.Protocol.MilterClient import Answered, MilterClient
from Kamaelia.Support.Protocol.Milter.Commands import (
    Abort,
    Command,
    Connect,
    EndOfMessage,
    Header,
    Macros,
    MailFrom,
    Quit,
    Recipient,
)
from Kamaelia.Support.Protocol.Milter.MTASession import MTASession, Response
from Kamaelia.Support.Protocol.Milter.Negotiation import Action, Wishes, negotiate
from Kamaelia.Support.Protocol.Milter.Packets import packet
from Kamaelia.Support.Protocol.Milter.Responses import (
    ACCEPT,
    CONTINUE,
    PROGRESS,
    add_header,
    reply,
)
from Test.Kamaelia.network import Script, World
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {MilterClient: Ends(lambda: MilterClient())}

WISHES = Wishes(Action.ADD_HEADERS, replies=b"R")
CONNECT = Connect("mx.example.net", "4", 25, "192.0.2.7")
MAIL, RCPT, ANOTHER = MailFrom("<a@b>"), Recipient("<c@d>"), Recipient("<later@d>")
AGREED = negotiate(MTASession().offer, WISHES).wire


def test_each_command_has_its_answer_in_order() -> None:
    wire = AGREED + CONTINUE + PROGRESS + add_header("A", "b") + ACCEPT
    out = drive(
        MilterClient(),
        commands=[CONNECT, Macros(b"M", {"i": "1"}), MAIL, RCPT, EndOfMessage(), Abort(), Quit()],
        inbox=[wire[:20], wire[20:]],
    )
    assert out["answers"] == [
        Answered(CONNECT),
        Answered(MAIL),
        Answered(RCPT, (), Response(b"c")),
        Answered(EndOfMessage(), (Response(b"h", b"A\0b\0"),), Response(b"a")),
        Answered(Abort()),
        Answered(Quit()),
    ]
    assert packet(b"D", b"Mi\x001\0") + packet(b"M", b"<a@b>\0") in out["outbox"]
    assert out["outbox"][-1] == packet(b"Q")
    assert isinstance(out["signal"][-1], producerFinished)


def test_what_is_not_wished_for_is_not_told() -> None:
    out = drive(MilterClient(), commands=[Header(b"A", b"b"), Quit()], inbox=[AGREED])
    assert out["answers"] == [Answered(Header(b"A", b"b")), Answered(Quit())]
    assert len(out["outbox"]) == 2  # the offer and the end


@pytest.mark.parametrize("wire", [CONTINUE, AGREED + CONTINUE, b"\0\0\0\0"])
def test_a_filter_that_breaks_the_rules_is_left(
    wire: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    out = drive(MilterClient(), commands=[RCPT], inbox=[wire, CONTINUE])
    assert isinstance(out["signal"][-1], producerFinished)
    assert len(caplog.messages) == 1
    assert out["answers"] == ([Answered(RCPT, (), Response(b"c"))] if AGREED in wire else [])


def test_a_filter_that_goes_away_leaves_commands_without_an_answer() -> None:
    out = drive(
        MilterClient(), commands=[CONNECT, RCPT], inbox=[AGREED], control=[producerFinished()]
    )
    assert Answered(RCPT) not in out["answers"]
    assert isinstance(out["signal"][-1], producerFinished)


class Filter(MilterSession):
    def take(self, event: Command) -> None:
        if isinstance(event, Recipient):
            later = "later" in event.address
            self.answer(reply(451, "4.7.1", self.session.macro("i")) if later else CONTINUE)
        elif isinstance(event, EndOfMessage):
            self.answer(add_header("X-Seen", "yes") + CONTINUE)


class Asker(component):
    """Asks, and keeps what is answered."""

    def __init__(self, commands: list[Command]) -> None:
        super().__init__()
        self.commands = commands
        self.answers: list[Answered] = []

    def main(self) -> Script:
        for command in self.commands:
            self.send(command, "outbox")
        while not self.answers or not isinstance(self.answers[-1].command, Quit):
            self.pause()
            yield 1
            self.answers += self.Inbox("inbox")


def test_the_two_sides_understand_each_other(world: World) -> None:
    asker = Asker(
        [CONNECT, MAIL, Macros(b"R", {"i": "4C1F"}), ANOTHER, RCPT, EndOfMessage(), Quit()]
    )

    def serve(**peer: Any) -> MilterSession:  # noqa: ANN401 - whose it is
        return Filter(WISHES, **peer)

    def script() -> Script:
        server = world.serve(serve)
        client = Graphline(
            ASKER=asker,
            MILTER=MilterClient(),
            TCP=TCPClient("127.0.0.1", server.address[1]),
            linkages={
                ("ASKER", "outbox"): ("MILTER", "commands"),
                ("MILTER", "answers"): ("ASKER", "inbox"),
                ("MILTER", "outbox"): ("TCP", "inbox"),
                ("TCP", "outbox"): ("MILTER", "inbox"),
                ("MILTER", "signal"): ("TCP", "control"),
                ("TCP", "signal"): ("MILTER", "control"),
            },
        )
        world.run(client)
        yield from world.until(asker._isStopped)
        yield from world.until(lambda: server.connections == 0)

    world.play(script())
    finals = [each.final.kind if each.final else b"" for each in asker.answers]
    assert finals == [b"", b"", b"y", b"c", b"c", b""]
    deferred = asker.answers[2].final
    assert deferred is not None
    assert deferred.text == "451 4.7.1 4C1F"
    assert asker.answers[4].edits[0].strings == (b"X-Seen", b"yes")
