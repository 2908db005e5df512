"""SMTP smuggling, judged by what servers that read wrongly would see: whatever a client sends, and
in whatever pieces, the server behind gets the messages that were meant, and no other byte."""

import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parents[4] / "Tools" / "Fuzz"))

from Readers import EAGER, LIMITS, READINGS, Reading, meant
from Smuggling import judge, judge_replies

from Kamaelia.Support.Protocol.SMTP.ClientSession import ClientSession
from Kamaelia.Support.Protocol.SMTP.Events import (
    ClientEvent,
    DataReceived,
    ReplyReceived,
    ServerEvent,
)
from Kamaelia.Support.Protocol.SMTP.Replies import Reply
from Kamaelia.Support.Protocol.SMTP.ServerSession import ServerSession

EHLO = b"EHLO client.example\r\n"
GOOD = b"MAIL FROM:<good@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"
EVIL = b"MAIL FROM:<evil@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nevil\r\n.\r\n"
END = b"\r\n.\r\n"
FALSE_ENDS = [
    *(b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r.\r\n", b"\r\n.\n", b"\r\n.\r", b"\n.\r", b"\r.\n"),
    *(b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\r\0\n.\r\n", b"\0\r\n.\r\n", b"\r\n.\r\0\n"),
    *(b"\r\n.\r\n\0", b"\r\n.\r\r\n", b"\r\r\n.\r\n", b"\n\n.\r\n", b"\r\n..\r\n", b"\r\n. \r\n"),
]


def cut(stream: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, *(at for at in cuts if at < len(stream)), len(stream)})
    return [stream[a:b] for a, b in pairwise(edges)]


def faults(stream: bytes, pieces: list[bytes], pipelining: bool = True) -> Iterator[str]:
    for reading in READINGS:
        for limits in (LIMITS, EAGER):
            for fault in judge(stream, pieces, reading, pipelining, limits):
                yield f"{reading.name}: {fault}"


# ---- the payloads that are known


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize("false_end", FALSE_ENDS, ids=ascii)
def test_no_server_sees_more_than_was_meant(false_end: bytes, size: int) -> None:
    stream = EHLO + GOOD + b"text" + false_end + EVIL + END + GOOD + b"more" + END + b"QUIT\r\n"
    pieces = [stream[i : i + size] for i in range(0, len(stream), size)]
    assert list(faults(stream, pieces, pipelining=size != 2)) == []


def test_what_was_meant_is_what_the_rfc_says() -> None:
    stream = EHLO + GOOD + b".x\r\n..\r\n.\n" + EVIL
    assert meant(stream).begun == [b"good@b"]
    assert meant(stream).messages == []
    stream = EHLO + GOOD + b"..\r\n.\r\n" + EVIL
    assert meant(stream).messages == [(b"good@b", b"..\r\n"), (b"evil@b", b"evil\r\n")]


# ---- any mixture of them

tokens = st.sampled_from([b"\r\n", b"\r", b"\n", b".", b"\0", b" ", b"\r\n.", b".\r\n", b"x"])
mixtures = st.lists(tokens, min_size=1, max_size=8).map(b"".join)


@st.composite
def mutants(draw: st.DrawFn) -> bytes:
    """A known payload with bytes put in, taken out or exchanged."""
    payload = bytearray(draw(st.sampled_from(FALSE_ENDS)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(payload)))
        new = draw(st.sampled_from([b"", b"\r", b"\n", b".", b"\0", b" ", b"\r\n"]))
        payload[at : at + draw(st.integers(0, 2))] = new
    return bytes(payload)


pieces_of_a_stream = st.one_of(
    mutants(),
    mixtures,
    st.sampled_from([GOOD, EVIL, END, b"text", b"RSET\r\n", b"EHLO again\r\n", b"NOOP\r\n"]),
    st.sampled_from([b"RCPT TO:<e@f>\r\n", b"DATA\r\n", b"QUIT\r\n", b"JUNK\r\n", b"\xff" * 40]),
)
streams = st.lists(pieces_of_a_stream, max_size=8).map(
    lambda found: EHLO + GOOD + b"text" + b"".join(found)
)
cuts = st.lists(st.integers(0, 400), max_size=12)


@settings(max_examples=60)
@given(streams, cuts, st.booleans())
@example(EHLO + GOOD + b".\r\n" + EVIL, [60, 61, 62], True)
def test_no_stream_in_no_pieces_means_two_things(
    stream: bytes, at: list[int], pipelining: bool
) -> None:
    assert list(faults(stream, cut(stream, at), pipelining)) == []


# ---- the judge himself

LF = next(reading for reading in READINGS if reading.name == "LF.LF, NUL: keep")
SMUGGLED = EHLO + GOOD + b"text\n.\n" + EVIL
GOOD_STREAM = EHLO + GOOD + b"one\r\ntwo" + END


class Lenient(ServerSession):
    """Takes LF for a line end, as some servers do."""

    __slots__ = ()

    def receive_data(self, data: bytes) -> None:
        super().receive_data(data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))


class Careless(ServerSession):
    """Hands on bare line ends."""

    __slots__ = ()

    def next_event(self) -> ServerEvent | None:
        event = super().next_event()
        if isinstance(event, DataReceived):
            return DataReceived(event.data.replace(b"\r\n", b"\n", 1))
        return event


class Hasty(ClientSession):
    """Forgets the dot."""

    __slots__ = ()

    def end_data(self) -> None:
        return


class Doubling(ClientSession):
    """Gives its first reply twice."""

    __slots__ = ("given",)

    def next_event(self) -> ClientEvent | None:
        given = getattr(self, "given", 0)
        if given == 1:
            self.given = 2
            return ReplyReceived("RCPT", Reply(250, (b"made up",)))
        event = super().next_event()
        if isinstance(event, ReplyReceived):
            self.given = given + 1
        return event


def test_the_judge_convicts_a_proxy_that_takes_lf_for_a_line_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert judge(SMUGGLED, [SMUGGLED], LF) == []
    monkeypatch.setattr("Smuggling.ServerSession", Lenient)
    assert any("evil@b" in fault for fault in judge(SMUGGLED, [SMUGGLED], LF))


def test_the_judge_convicts_a_proxy_that_hands_on_bare_line_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("Smuggling.ServerSession", Careless)
    found = judge(GOOD_STREAM, [GOOD_STREAM], LF)
    assert any("for the server behind" in fault for fault in found)


def test_the_judge_convicts_a_proxy_that_forgets_the_dot(monkeypatch: pytest.MonkeyPatch) -> None:
    assert judge(GOOD_STREAM, [GOOD_STREAM], LF) == []
    monkeypatch.setattr("Smuggling.ClientSession", Hasty)
    assert judge(GOOD_STREAM, [GOOD_STREAM], LF)


@pytest.mark.parametrize("reading", READINGS, ids=lambda reading: reading.name)
def test_each_way_of_reading_takes_a_good_message(reading: Reading) -> None:
    stream = EHLO + GOOD + b"..a\r\n\r\n..\r\n" + END[2:] + GOOD + END[2:]
    assert judge(stream, [stream], reading) == []
    assert len(meant(stream).messages) == 2


# ---- the other direction: a server that would speak to the client

HELLO = [b"220 mx\r\n", b"250-mx\r\n250 PIPELINING\r\n"]
said = st.one_of(
    st.sampled_from([b"250 ok\r\n", b"250 ok\r\n250 ok\r\n", b"354 go\r\n", b"550-a\r\n550 b\r\n"]),
    st.sampled_from(
        [b"421 bye\r\n", b"250 a\r250 b\r\n", b"250 a\n250 b\n", b"250-a\r\n", b"\r\n"]
    ),
    st.sampled_from([b"250 " + b"x" * 1500 + b"\r\n", b"250\r\n", b"451 \x1b[2J\x07\xff\r\n"]),
    st.builds(lambda c, t: b"%d %b\r\n" % (c, t), st.integers(100, 600), st.binary(max_size=30)),
    st.binary(max_size=30),
)


@settings(max_examples=60)
@given(st.lists(said, max_size=12), st.booleans(), st.integers(1, 40))
@example([b"250 ok\r\n250 ok\r\n", b"354 go\r\n", b"250 a\r250 b\r\n"], True, 9)
def test_a_server_cannot_make_the_client_hear_what_it_did_not_say(
    script: list[bytes], friendly: bool, size: int
) -> None:
    whole = [*HELLO, *script] if friendly else script
    assert judge_replies(whole, size) == []


def test_the_judge_convicts_replies_that_are_handed_on_as_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def raw(self: Reply) -> bytes:
        return b"%d %b\r\n250 2.0.0 taken\r\n" % (self.code, self.lines[0])

    script = [*HELLO, b"250 ok\r\n250 ok\r\n", b"354 go\r\n", b"550 no\r\n"]
    assert judge_replies(script) == []
    monkeypatch.setattr(Reply, "to_wire", raw)
    assert judge_replies(script)


def test_the_judge_convicts_a_session_that_loses_count(monkeypatch: pytest.MonkeyPatch) -> None:
    script = [*HELLO, b"250 ok\r\n550 no\r\n", b"550 no\r\n", b"354 go\r\n"]
    assert judge_replies(script) == []
    monkeypatch.setattr("Smuggling.ClientSession", Doubling)
    assert judge_replies(script)
