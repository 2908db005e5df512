"""The milter session in front of another program's codec: the package miltertest, as the MTA."""

import threading
from collections.abc import Callable
from socket import create_connection
from typing import Any

import pytest

from Kamaelia.Protocol.Milter import MilterSession
from Kamaelia.Support.Protocol.Milter.Commands import (
    BodyChunk,
    Command,
    EndOfMessage,
    Header,
    MailFrom,
    Recipient,
)
from Kamaelia.Support.Protocol.Milter.Negotiation import Action, Wishes
from Kamaelia.Support.Protocol.Milter.Responses import (
    CONTINUE,
    REJECT,
    TEMPFAIL,
    add_header,
    add_recipient,
    add_recipient_with_arguments,
    change_header,
    change_sender,
    delete_recipient,
    insert_header,
    quarantine,
    replace_body,
    reply,
)
from Test.Kamaelia.network import Script, World

miltertest: Any = pytest.importorskip("miltertest")

WISHES = Wishes(Action.ALL, headers=True, body=True, replies=b"MRLB")
WAITING = 0x7F | 0x300 | 0x400  # nothing that comes without an answer
EDITS = [
    insert_header(0, "X-First", "1"),
    change_header(1, "Subject", "new"),
    add_header("X-Greylist", "Delayed\r\n for 00:05:00"),
    add_recipient("eve@d"),
    add_recipient_with_arguments("fay@d", "NOTIFY=NEVER"),
    delete_recipient("<bob@d>"),
    change_sender("alice@example.org", "SIZE=5"),  # it wants arguments always
    *replace_body(b"new body\r\n" * 10_000),
]


class Filter(MilterSession):
    """Answers by what the addresses say; makes every edit that there is."""

    seen: list[Command] = []

    def take(self, event: Command) -> None:
        self.seen.append(event)
        match event:
            case MailFrom(address):
                self.answer(REJECT if "nobody" in address else CONTINUE)
            case Recipient(address):
                if "later" in address:
                    self.answer(reply(451, "4.7.1", f"100% {self.session.macro('rcpt_addr')}"))
                else:
                    self.progress()
                    self.answer(CONTINUE)
            case Header() | BodyChunk():
                self.answer(CONTINUE)
            case EndOfMessage():
                final = TEMPFAIL if self.session.macro("i") == "bad" else CONTINUE
                self.answer(b"".join(EDITS) + final)


@pytest.fixture
def talk(world: World) -> Callable[[Callable[[Any], None]], list[Command]]:
    """Plays a blocking conversation against a server; returns what the filter has seen."""

    def play(conversation: Callable[[Any], None]) -> list[Command]:
        seen: list[Command] = []
        failed: list[BaseException] = []

        def protocol(**peer: Any) -> MilterSession:  # noqa: ANN401 - whose it is
            made = Filter(WISHES, **peer)
            made.seen = seen
            return made

        def client(address: tuple[str, int]) -> None:
            try:
                with create_connection(address, timeout=10) as sock:
                    conversation(miltertest.MilterConnection(sock))
            except BaseException as error:  # noqa: BLE001 - the test's own thread fails with it
                failed.append(error)

        def script() -> Script:
            server = world.serve(protocol)
            thread = threading.Thread(target=client, args=(server.address,))
            thread.start()
            yield from world.until(lambda: not thread.is_alive())
            thread.join()

        world.play(script())
        assert failed == []
        return seen

    return play


Play = Callable[[Callable[[Any], None]], list[Command]]


def begin(mta: Any) -> None:  # noqa: ANN401 - a package without types
    mta.send(miltertest.SMFIC_CONNECT, hostname="a", family="4", port=25, address="192.0.2.7")
    mta.send(miltertest.SMFIC_HELO, helo="mx.example.net")


def test_a_message_that_is_edited(talk: Play) -> None:
    def conversation(mta: Any) -> None:  # noqa: ANN401
        assert mta.optneg_mta(protocol=WAITING) == (0xFF, 0x400 | 0x300)
        begin(mta)
        mta.send_macro(miltertest.SMFIC_MAIL, i="4C1F", auth_authen="bob")
        mta.send(miltertest.SMFIC_MAIL, args=["<a@b>", "SIZE=5"])
        mta.send(miltertest.SMFIC_RCPT, args=["<bob@d>"])
        mta.send_headers([("Subject", "old"), ("To", "bob")])
        mta.send(miltertest.SMFIC_EOH)
        mta.send_body("x" * 100_000)
        got = mta.send_eom()
        assert [kind for kind, _ in got] == list("imh+2-ebbc")
        said = dict(got)
        assert said["i"] == {"index": 0, "name": "X-First", "value": "1"}
        assert said["m"]["value"] == "new"
        assert said["h"]["value"] == "Delayed\n for 00:05:00"
        assert said["+"]["rcpt"] == "<eve@d>"
        assert said["-"]["rcpt"] == "<bob@d>"
        assert said["e"]["from"] == "<alice@example.org>"
        assert "".join(data["buf"] for kind, data in got if kind == "b") == "new body\r\n" * 10_000
        mta._send(miltertest.SMFIC_ABORT)
        mta._send(miltertest.SMFIC_QUIT)
        assert mta.recv(eof_ok=True) is None

    seen = talk(conversation)
    assert MailFrom("<a@b>", ("SIZE=5",)) in seen
    assert Header(b"Subject", b"old") in seen
    assert sum(len(each.data) for each in seen if isinstance(each, BodyChunk)) == 100_000


def test_refusals_and_two_sessions_on_one_connection(talk: Play) -> None:
    def conversation(mta: Any) -> None:  # noqa: ANN401
        mta.optneg_mta(protocol=WAITING)
        for _ in range(2):
            begin(mta)
            assert mta.send_ar(miltertest.SMFIC_MAIL, args=["<nobody@b>"])[0] == "r"
            mta.send(miltertest.SMFIC_MAIL, args=["<>"])
            mta.send_macro(miltertest.SMFIC_RCPT, **{"{rcpt_addr}": "later@d"})
            kind, said = mta.send_ar(miltertest.SMFIC_RCPT, args=["<later@d>"])
            assert (kind, said["smtpcode"], said["text"]) == ("y", "451", "4.7.1 100%% later@d")
            mta.send(miltertest.SMFIC_RCPT, args=["<bob@d>"])
            mta.send_macro(miltertest.SMFIC_BODYEOB, i="bad")
            assert mta.send_eom()[-1][0] == "t"
            mta._send(miltertest.SMFIC_QUIT_NC)

    seen = talk(conversation)
    assert len([each for each in seen if isinstance(each, Recipient)]) == 4


def test_what_needs_no_answer_gets_none(talk: Play) -> None:
    def conversation(mta: Any) -> None:  # noqa: ANN401
        actions, steps = mta.optneg_mta()
        assert actions == 0xFF
        assert steps & 0x73000 == 0x73000  # connection, HELO, DATA, unknown commands, no headers
        address = {"hostname": "a", "family": "6", "port": 25, "address": "::1"}
        mta._send(miltertest.SMFIC_CONNECT, **address)
        mta._send(miltertest.SMFIC_HELO, helo="x")
        mta.send(miltertest.SMFIC_MAIL, args=["<a@b>"])  # the next answer is to this one
        mta.send(miltertest.SMFIC_RCPT, args=["<bob@d>"])
        mta.send_headers([("A", "b")])
        mta._send(miltertest.SMFIC_EOH)
        assert mta.send_eom()[-1][0] == "c"

    talk(conversation)


def test_an_edit_more_is_understood(talk: Play) -> None:
    def conversation(mta: Any) -> None:  # noqa: ANN401
        decoded = miltertest.codec.decode_msg(quarantine("why"))
        assert decoded[:2] == ("q", {"reason": "why"})
        mta.optneg_mta(protocol=WAITING)

    talk(conversation)
