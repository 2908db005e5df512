"""Replies: written without injection, parsed within bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Kamaelia.Support.Protocol.SMTP.Replies import (
    Reply,
    ReplyLimits,
    ReplyParser,
    ReplySyntaxError,
    wrap,
)


def parse(data: bytes, limits: ReplyLimits | None = None) -> list[Reply]:
    parser = ReplyParser(limits or ReplyLimits())
    parser.receive_data(data)
    replies = []
    while (reply := parser.next_reply()) is not None:
        replies.append(reply)
    return replies


@pytest.mark.parametrize(
    ("code", "positive", "temporary", "permanent"),
    [
        (250, True, False, False),
        (354, False, False, False),
        (451, False, True, False),
        (550, False, False, True),
    ],
)
def test_a_code_belongs_to_one_kind(
    code: int, positive: bool, temporary: bool, permanent: bool
) -> None:
    reply = Reply.of(code, "", "x")
    kinds = (reply.is_positive, reply.is_temporary, reply.is_permanent)
    assert kinds == (positive, temporary, permanent)


def test_one_line_and_many_lines_are_written() -> None:
    assert Reply(250, (b"ok",)).to_wire() == b"250 ok\r\n"
    assert Reply(250, (b"a", b"b", b"c")).to_wire() == b"250-a\r\n250-b\r\n250 c\r\n"
    assert Reply.of(250, "", "ok").lines == (b"ok",)


@pytest.mark.parametrize("text", ["a\r\n250 b", "a\nb", "a\0", "a\x1b[0m", "a\x7f", "a\tb"])
def test_control_characters_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="control character"):
        Reply.of(250, "2.0.0", text)


@pytest.mark.parametrize("code", [0, 99, 199, 600, 25000, -250])
def test_codes_outside_of_smtp_are_refused(code: int) -> None:
    with pytest.raises(ValueError, match="no SMTP reply code"):
        Reply(code, (b"x",))


def test_a_reply_without_lines_is_refused() -> None:
    with pytest.raises(ValueError, match="needs lines"):
        Reply(250, ())


def test_non_ascii_text_of_ours_is_escaped() -> None:
    assert Reply.of(451, "", "sp\u00e4ter").lines == (b"sp\\xe4ter",)


def test_text_for_logs_is_one_bounded_ascii_line() -> None:
    assert Reply(250, (b"a\xff", b"b")).text == "a\\xff / b"
    assert len(Reply(250, (b"x" * 500,)).text) == 256


def test_a_tag_goes_to_the_end_of_the_last_line() -> None:
    assert Reply(451, (b"a", b"b")).tagged("k3f9").lines == (b"a", b"b (k3f9)")
    assert Reply(451, (b"a",)).tagged("").lines == (b"a",)


def test_a_tag_with_a_line_end_is_refused() -> None:
    with pytest.raises(ValueError, match="control character"):
        Reply(451, (b"a",)).tagged("x\r\n250 ok")


def test_a_reply_is_written_only_once() -> None:
    reply = Reply(250, (b"a", b"b"))
    assert reply.to_wire() is reply.to_wire()
    assert reply == Reply(250, (b"a", b"b"))
    assert hash(reply) == hash(Reply(250, (b"a", b"b")))


def test_long_text_is_wrapped_at_blanks_with_its_enhanced_code() -> None:
    reply = Reply.of(451, "4.7.1", "word " * 300)
    lines = reply.to_wire().split(b"\r\n")[:-1]
    assert len(lines) > 2
    assert all(len(line) + 2 <= 512 for line in lines)
    assert all(line[4:].startswith(b"4.7.1 word") for line in lines)
    assert b"".join(line[10:].replace(b" ", b"") for line in lines) == b"word" * 300


@given(st.binary(max_size=3000).map(lambda b: b.translate(None, bytes(range(33)) + b"\x7f")))
def test_wrapping_text_without_blanks_loses_nothing(text: bytes) -> None:
    lines = wrap(text)
    assert b"".join(lines) == text
    assert all(len(line) <= 506 for line in lines)


@pytest.mark.parametrize(
    ("data", "replies"),
    [
        (b"250 ok\r\n", [Reply(250, (b"ok",))]),
        (b"250 ok\n", [Reply(250, (b"ok",))]),
        (b"250\r\n", [Reply(250, (b"",))]),
        (b"250 \r\n", [Reply(250, (b"",))]),
        (b"250-a\r\n250-\r\n250 b\r\n", [Reply(250, (b"a", b"", b"b"))]),
        (b"250-a\r\n250\r\n", [Reply(250, (b"a", b""))]),
        (b"250 a\r\n550 b\r\n", [Reply(250, (b"a",)), Reply(550, (b"b",))]),
        (b"250 a\r\n25", [Reply(250, (b"a",))]),
        (b"451 a\x1b[31m\r b\x07\tc\x7f\r\n", [Reply(451, (b"a[31m b c",))]),
        (b"451 sp\xc3\xa4ter\r\n", [Reply(451, (b"sp??ter",))]),
    ],
)
def test_replies_are_read_and_made_harmless(data: bytes, replies: list[Reply]) -> None:
    assert parse(data) == replies


def test_the_line_of_a_challenge_is_never_wrapped() -> None:
    assert parse(b"334 " + b"x" * 1500 + b"\r\n") == [Reply(334, (b"x" * 1500,))]


def test_lines_that_servers_often_say_are_read_once() -> None:
    first, second = parse(b"250 2.1.0 Ok\r\n250 2.1.0 Ok\r\n")
    assert first is second


@pytest.mark.parametrize("text", [b"x" * 122, b"x" * 123, b"a\tb", b"\xff", b""])
@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r\r\n"])
def test_short_lines_and_long_ones_are_read_alike(text: bytes, end: bytes) -> None:
    clean = text.replace(b"\t", b" ").replace(b"\xff", b"?")
    assert parse(b"550 " + text + end) == [Reply(550, (clean,))]


def test_bytes_that_belong_to_no_reply_yet_are_pending() -> None:
    parser, seen = ReplyParser(), []
    for piece in (b"250-a\r", b"\n", b"250 b\r\n", b"250 c\n250 d\n", b""):
        parser.receive_data(piece)
        parser.next_reply()
        seen.append(parser.pending)
    assert seen == [True, True, False, True, False]


def test_long_lines_of_a_server_are_wrapped() -> None:
    (reply,) = parse(b"550 5.1.1 " + b"x" * 1500 + b"\r\n")
    assert len(reply.lines) == 3
    assert all(len(line) <= 506 and line.startswith(b"5.1.1 ") for line in reply.lines)
    (short,) = parse(b"550 " + b"y " * 300 + b"\r\n")
    assert len(short.lines) == 2


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n",
        b"hello\r\n",
        b"25 ok\r\n",
        b"2500 ok\r\n",
        b"250ok\r\n",
        b"250_ok\r\n",
        b"150 ok\r\n",
        b"650 ok\r\n",
        b"\xb2\xb2\xb2 ok\r\n",
        b"-50 ok\r\n",
        b" 250 ok\r\n",
        b"250-a\r\n550 b\r\n",
        b"250-a\r\nb\r\n",
        b"250 a\0b\r\n",
        b"HTTP/1.1 200 OK\r\n",
    ],
)
def test_hostile_replies_are_errors(data: bytes) -> None:
    with pytest.raises(ReplySyntaxError):
        parse(data)


def test_replies_before_a_bad_one_are_still_given() -> None:
    parser = ReplyParser()
    parser.receive_data(b"250 ok\r\nrubbish\r\n")
    assert parser.next_reply() == Reply(250, (b"ok",))
    with pytest.raises(ReplySyntaxError):
        parser.next_reply()


def test_a_line_without_end_is_given_up_at_the_limit() -> None:
    parser = ReplyParser(ReplyLimits(line_bytes=100))
    parser.receive_data(b"250 " + b"x" * 95)
    assert parser.next_reply() is None
    parser.receive_data(b"x")
    with pytest.raises(ReplySyntaxError, match="longer than 100 bytes"):
        parser.next_reply()


def test_a_reply_without_end_is_given_up_at_the_limit() -> None:
    limits = ReplyLimits(lines=128)
    assert len(parse(b"250-x\r\n" * 127 + b"250 x\r\n", limits)[0].lines) == 128
    with pytest.raises(ReplySyntaxError, match="128 lines"):
        parse(b"250-x\r\n" * 129, limits)


@given(
    st.lists(
        st.builds(
            Reply,
            st.integers(200, 599),
            st.lists(st.from_regex(rb"[ -~]{0,40}", fullmatch=True), min_size=1).map(tuple),
        ),
        max_size=5,
    ),
    st.integers(1, 20),
)
def test_replies_survive_the_wire_in_any_slices(replies: list[Reply], size: int) -> None:
    wire = b"".join(reply.to_wire() for reply in replies)
    parser, found = ReplyParser(), []
    for start in range(0, len(wire), size):
        parser.receive_data(wire[start : start + size])
        while (reply := parser.next_reply()) is not None:
            found.append(reply)
    assert found == replies
