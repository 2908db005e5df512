"""A message as a mail server's filter gets it, in wire form and back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.FrontDoor.KeptMessage import KeptMessage, MessageRoom, NoRoomError
from Kamaelia.Apps.Grey.FrontDoor.MessageEdits import content_of, read_head
from Kamaelia.Apps.Grey.FrontDoor.MilterMessage import AT_ONCE, MilterMessage, TooLargeError

Fields = list[tuple[bytes, bytes]]


def kept(fields: Fields, *chunks: bytes, in_memory: int = 1 << 20) -> MilterMessage:
    message = MilterMessage(KeptMessage(MessageRoom(), in_memory), 1 << 20)
    for name, value in fields:
        message.header(name, value)
    for chunk in chunks:
        message.body(chunk)
    message.end()
    return message


def wire(message: MilterMessage) -> bytes:
    return b"".join(message.kept.pieces())


def body(message: MilterMessage) -> bytes:
    return b"".join(message.body_pieces())


def test_it_is_put_together_with_its_dots_stuffed() -> None:
    message = kept([(b"Subject", b"x"), (b".odd", b"y")], b".a\r\n", b"..b\r\nc.\r\n")
    assert wire(message) == b"Subject: x\r\n..odd: y\r\n\r\n..a\r\n...b\r\nc.\r\n"
    assert body(message) == b".a\r\n..b\r\nc.\r\n"


def test_the_blank_behind_the_colon_is_what_the_mail_server_says_it_was() -> None:
    message = MilterMessage(KeptMessage(MessageRoom()), 1000)
    message.header(b"A", b"x", b"")
    message.header(b"B", b"x", b" \t")
    message.end()
    assert wire(message) == b"A:x\r\nB: \tx\r\n\r\n"


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        (b"a\n b", b"a\r\n b"),
        (b"a\r\n\tb", b"a\r\n\tb"),
        (b"a\nBcc: x", b"a\r\n Bcc: x"),
        (b"a\rBcc: x", b"a\r\n Bcc: x"),
        (b"a\n", b"a\r\n "),
        (b"a\n\nb", b"a\r\n \r\n b"),
    ],
)
def test_no_line_of_a_value_begins_a_header_of_its_own(value: bytes, lines: bytes) -> None:
    message = kept([(b"A", value), (b"B", b"x")])
    assert wire(message) == b"A: " + lines + b"\r\nB: x\r\n\r\n"
    assert len(read_head(message.kept).fields) == 2


def test_the_first_subject_is_kept_as_it_came() -> None:
    message = kept([(b"SUBJECT", b"one\n two"), (b"Subject", b"three")])
    assert message.subject == b"one\n two"
    assert kept([(b"From", b"x")]).subject is None


def test_headers_behind_the_body_are_none_of_the_messages() -> None:
    message = MilterMessage(KeptMessage(MessageRoom()), 1000)
    message.body(b"x\r\n")
    message.header(b"Subject", b"late")
    message.end()
    assert (wire(message), message.subject) == (b"\r\nx\r\n", None)


@pytest.mark.parametrize(
    ("chunks", "whole"),
    [((), b""), ((b"x",), b"x\r\n"), ((b"x\r",), b"x\r\n"), ((b"x\r", b"\n"), b"x\r\n")],
)
def test_a_body_ends_with_a_line_end(chunks: tuple[bytes, ...], whole: bytes) -> None:
    assert body(kept([(b"A", b"x")], *chunks)) == whole


def test_many_headers_are_put_away_in_pieces() -> None:
    fields = [(b"X-%d" % n, b"v" * 1000) for n in range(2 * AT_ONCE // 1000)]
    message = kept(fields, b"x\r\n")
    assert 2 <= len(list(message.kept.pieces())) <= 5
    assert len(read_head(message.kept).fields) == len(fields)


def test_a_message_that_is_too_large_is_said_to_be() -> None:
    message = MilterMessage(KeptMessage(MessageRoom()), 20)
    message.body(b"x" * 18)
    with pytest.raises(TooLargeError):
        message.body(b"x")


def test_no_room_is_said_as_a_kept_message_says_it() -> None:
    message = MilterMessage(KeptMessage(MessageRoom(total=10)), 1000)
    with pytest.raises(NoRoomError):
        message.body(b"x" * 11)


_text = st.binary(max_size=60).map(lambda data: data.replace(b"z", b"\r\n").replace(b"y", b"."))
_dotty = st.lists(st.sampled_from([b".", b"\r\n", b"\r", b"\n", b"a", b"\r\n."]), max_size=30).map(
    b"".join
)


@settings(max_examples=50)
@given(data=_dotty | _text, sizes=st.lists(st.integers(1, 7), min_size=1), in_file=st.booleans())
def test_a_body_comes_back_whatever_its_slices(
    data: bytes, sizes: list[int], in_file: bool
) -> None:
    chunks: list[bytes] = []
    at = 0
    while at < len(data):
        size = sizes[len(chunks) % len(sizes)]
        chunks.append(data[at : at + size])
        at += size
    message = kept([(b"A", b"x")], *chunks, in_memory=0 if in_file else 1 << 20)
    whole = data if not data or data.endswith(b"\r\n") else data.removesuffix(b"\r") + b"\r\n"
    assert body(message) == whole
    assert b"\r\n.\r\n" not in wire(message)
    assert wire(message) == wire(kept([(b"A", b"x")], data))
    head = read_head(message.kept)
    content = content_of(message.kept, head, message_id=1, peek_bytes=1 << 20)
    assert "".join(content.chunks) == whole.decode("utf-8", "backslashreplace")
    message.kept.close()
