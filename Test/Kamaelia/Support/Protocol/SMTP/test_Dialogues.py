"""
Plays Test/Dialogues/*.smtp against the server session. The format, one step a line::

    # a comment
    # offers: STARTTLS, XCLIENT ADDR   more keywords than usual; with XCLIENT the client may use it
    C: a line of the client, sent with CR LF
    C! raw bytes of the client, with the escapes \\r \\n \\0 \\xNN, sent as they are
    S: 250 2.1.0        the next reply; the text must begin one of its lines
    = accept            the owner answers what waits: accept, defer, reject, or a reply of its own
    E: SenderGiven text=a@b     this event came since the last line of the client; event or path
                                has these attributes (parser only: a live test skips E lines)
    * tls               the handshake that the client asked for has been done
    * closed            the session must be closed
    * eof               the client closes its side

Every reply must be expected: one that is left over when the client goes on, or at the end, fails.
"""

import re
from pathlib import Path

import pytest

from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities
from Kamaelia.Support.Protocol.SMTP.Events import DataRequested, ServerEvent, TLSRequested
from Kamaelia.Support.Protocol.SMTP.Replies import Reply
from Kamaelia.Support.Protocol.SMTP.ServerSession import ServerSession

FOLDER = Path(__file__).parents[4] / "Dialogues"
DIALOGUES = sorted(FOLDER.glob("*.smtp"))
ALL = Capabilities(10_000_000, True, True, True, True, True, True)
ANSWERS = {
    "accept": Reply.of(250, "2.0.0", "Ok"),
    "defer": Reply.of(451, "4.7.1", "Greylisted"),
    "reject": Reply.of(550, "5.7.1", "Refused"),
}
ESCAPES = {b"\\r": b"\r", b"\\n": b"\n", b"\\0": b"\0"}


def unescape(text: str) -> bytes:
    return re.sub(
        rb"\\(?:[rn0]|x([0-9a-f]{2}))",
        lambda m: bytes.fromhex(m[1].decode()) if m[1] else ESCAPES[m[0]],
        text.encode(),
    )


class Player:
    """Plays one dialogue, step by step."""

    def __init__(self, more: list[bytes]) -> None:
        offer = Capabilities.from_ehlo([b"mx", *ALL.ehlo_keywords(), *more])
        self.session = ServerSession(
            "mx.example.org",
            capabilities=lambda: offer,
            xclient_allowed=bool(offer.xclient),
        )
        self.session.greet()
        self.events: list[ServerEvent] = []
        self.lines: list[str] = []
        self.drain()

    def drain(self) -> None:
        while (event := self.session.next_event()) is not None:
            self.events.append(event)
        self.lines += self.session.data_to_send().decode().splitlines()

    def step(self, kind: str, text: str) -> None:
        match kind:
            case "C:":
                self.send(text.encode() + b"\r\n")
            case "C!":
                self.send(unescape(text))
            case "S:":
                self.expect_reply(text)
            case "=":
                self.answer(text)
            case "E:":
                name, *attributes = text.split(" ", 1)
                self.expect_event(name, attributes[0] if attributes else "")
            case "*":
                self.star(text)
            case _:
                pytest.fail(f"no such step: {kind} {text}")

    def send(self, data: bytes) -> None:
        assert self.lines == [], "replies that the dialogue does not expect"
        assert not self.session.waiting, "the owner has not answered"
        assert not self.session.closed
        self.events.clear()
        self.session.receive_data(data)
        self.drain()

    def expect_reply(self, text: str) -> None:
        assert self.lines, f"no reply, expected {text}"
        end = next(i for i, line in enumerate(self.lines) if line[3:4] != "-") + 1
        reply, self.lines = self.lines[:end], self.lines[end:]
        assert any(line.startswith(text) for line in reply), f"{reply} is not {text}"

    def answer(self, text: str) -> None:
        assert self.session.waiting, "no event waits for an answer"
        if text == "accept" and isinstance(self.events[-1], DataRequested):
            reply = Reply.of(354, "", "Go ahead")
        else:
            reply = ANSWERS.get(text) or Reply.of(int(text[:3]), "", text[4:])
        self.session.reply(reply)
        self.drain()

    def expect_event(self, name: str, attributes: str) -> None:
        event = next((e for e in self.events if type(e).__name__ == name), None)
        assert event is not None, f"no {name} in {self.events}"
        thing = getattr(event, "path", event)
        for key, value in re.findall(r"(\w+)=((?:\"[^\"]*\"|\S)*)", attributes):
            found = getattr(thing, key)
            assert (found.decode() if isinstance(found, bytes) else str(found)) == value

    def star(self, text: str) -> None:
        if text == "eof":
            self.session.receive_eof()
            self.drain()
        elif text == "tls":
            assert self.events == [TLSRequested()], "the client has not asked for TLS"
            self.session.tls_started()
        else:
            assert text == "closed"
            assert self.session.closed

    def finish(self) -> None:
        assert self.lines == [], "replies that the dialogue does not expect"
        assert not self.session.waiting


def play(text: str) -> None:
    found = re.search("^# offers: (.+)$", text, re.M)
    player = Player(found[1].encode().split(b", ") if found else [])
    for number, line in enumerate(text.splitlines(), 1):
        if line and not line.startswith("#"):
            kind, _, rest = line.partition(" ")
            try:
                player.step(kind, rest)
            except AssertionError as error:
                raise AssertionError(f"line {number}: {line}: {error}") from error
    player.finish()


@pytest.mark.parametrize("path", DIALOGUES, ids=lambda path: path.stem)
def test_the_dialogue_goes_as_written(path: Path) -> None:
    play(path.read_text())


def test_there_are_dialogues() -> None:
    assert len(DIALOGUES) >= 15


@pytest.mark.parametrize(
    "text",
    [
        "S: 250",
        "C: EHLO x",
        "S: 220\nC: EHLO x\nS: 250\nS: 250",
        "S: 220\n* tls",
        "S: 220\n* closed",
        "S: 220\n= accept",
        "S: 220\nE: SenderGiven",
        "S: 220\nC: EHLO x\nS: 250\nC: MAIL FROM:<a@b>\nE: SenderGiven text=c@d\nS: 250",
        "S: 220\nC: EHLO x\nS: 250-NEVERHEARDOF",
        "S: 220\nC: EHLO x\nS: 250\nC: MAIL FROM:<a@b>\nS: 250\nC: RCPT TO:<a@b>",
    ],
)
def test_a_dialogue_that_goes_otherwise_fails(text: str) -> None:
    with pytest.raises(AssertionError):
        play(text)
