"""What rules see of a message, and change in it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.FrontDoor.KeptMessage import KeptMessage, MessageRoom
from Kamaelia.Apps.Grey.FrontDoor.MessageEdits import (
    HEAD_BYTES,
    MOST_FIELDS,
    Edits,
    content_of,
    edited,
    footer_of,
    read_head,
)

LETTER = b"From: a@b\r\nSubject: one\r\n two\r\n\r\nhello\r\n"


def kept(wire: bytes, size: int = 1_000) -> KeptMessage:
    message = KeptMessage(MessageRoom())
    for place in range(0, len(wire), size):
        message.add(wire[place : place + size])
    return message


def after(wire: bytes, edits: Edits) -> bytes:
    message = kept(wire)
    return b"".join(edited(message, read_head(message), edits))


LINES = st.lists(
    st.sampled_from([b"A: b", b" folded", b"", b"text", b"..dot", b"Subject: x", b"\xff\xfe"]),
    max_size=12,
).map(lambda lines: b"".join(line + b"\r\n" for line in lines))


@settings(max_examples=100)
@given(wire=LINES, size=st.integers(1, 50))
def test_without_edits_a_message_stays_as_it_is(wire: bytes, size: int) -> None:
    message = kept(wire, size)
    head = read_head(message)
    assert b"".join(edited(message, head, Edits())) == wire
    content = content_of(message, head, 1, 10_000)
    seen = "".join([*content.headers, *content.chunks])
    plain = wire.replace(b"\r\n.", b"\r\n").removeprefix(b".").decode("utf-8", "backslashreplace")
    assert seen in (plain, plain.replace("\r\n\r\n", "\r\n", 1), plain.removeprefix("\r\n"))


@settings(max_examples=100)
@given(
    wire=LINES,
    text=st.text(max_size=60),
    index=st.none() | st.integers(-2, 9),
    footer=st.text(max_size=60),
    tag=st.text(max_size=20),
)
def test_no_edit_can_end_the_message_or_break_a_line(
    wire: bytes, text: str, index: int | None, footer: str, tag: str
) -> None:
    edits = Edits(b"X-Greylist: y\r\n", ((f"X-A: {text}", index),), tag, footer)
    sent = after(wire, edits)
    assert b"\r\n.\r\n" not in b"\r\n" + sent
    assert sent.replace(b"\r\n", b"").count(b"\r") == sent.replace(b"\r\n", b"").count(b"\n") == 0
    assert b"\0" not in sent
    assert sent.endswith(b"\r\n")


@pytest.mark.parametrize(("index", "place"), [(0, 0), (1, 1), (2, 2), (7, 2), (-1, 0), (None, 2)])
def test_a_header_stands_at_its_index(index: int | None, place: int) -> None:
    fields = [b"From: a@b\r\n", b"Subject: one\r\n two\r\n"]
    fields.insert(place, b"X-A: b\r\n")
    wire = after(LETTER, Edits(headers=(("X-A: b", index),)))
    assert wire == b"".join(fields) + b"\r\nhello\r\n"


def test_a_subject_is_tagged_in_front_and_keeps_its_folding() -> None:
    assert b"\r\nSubject: [x] one\r\n two\r\n" in after(LETTER, Edits(subject_tag="[x] "))


def test_a_message_without_subject_gets_one() -> None:
    assert after(b"A: b\r\n\r\n", Edits(subject_tag="[x] ")) == b"A: b\r\nSubject: [x]\r\n\r\n"


def test_a_tag_beyond_ascii_is_encoded() -> None:
    wire = after(b"SUBJECT : x\r\n\r\n", Edits(subject_tag="[\u00fc] "))
    assert wire == b"SUBJECT : =?utf-8?B?W8O8XSA=?= x\r\n\r\n"


def test_a_message_without_header_does_not_continue_ours() -> None:
    front = Edits(b"X-Greylist: y\r\n")
    assert after(b" x\r\n", front) == b"X-Greylist: y\r\n\r\n x\r\n"
    assert after(b"\r\nx\r\n", front) == b"X-Greylist: y\r\n\r\nx\r\n"
    assert after(b"", front) == b"X-Greylist: y\r\n"


def test_a_header_without_end_is_left_alone() -> None:
    wire = b"A: b\r\n" * (HEAD_BYTES // 6 + 10)
    message = kept(wire, 65_536)
    head = read_head(message)
    assert head.fields == ()
    edits = Edits(b"X-Greylist: y\r\n", subject_tag="[x]")
    assert b"".join(edited(message, head, edits)).endswith(b"\r\n" + wire)


@pytest.mark.parametrize(
    ("text", "wire"),
    [
        ("bye", b"bye\r\n"),
        ("\n-- \nbye\n", b"\r\n-- \r\nbye\r\n"),
        (".\n..\r\nx\ry", b"..\r\n...\r\nx?y\r\n"),
        ("\u00fc", b"?\r\n"),
    ],
)
def test_a_footer_is_lines_in_wire_form(text: str, wire: bytes) -> None:
    assert footer_of(text) == wire


@pytest.mark.parametrize(("peek", "seen"), [(0, []), (5, []), (9, ["hello\r\n"]), (99, None)])
def test_rules_see_whole_lines_and_no_more_than_they_may(peek: int, seen: list[str] | None) -> None:
    message = kept(b"A: b\r\n\r\nhello\r\nworld\r\n")
    content = content_of(message, read_head(message), 1, peek)
    assert content.chunks == (["hello\r\nworld\r\n"] if seen is None else seen)


def test_a_header_of_many_fields_is_seen_in_blocks() -> None:
    fields = [b"X-%d: %s\r\n" % (n, b"." * (n % 3)) for n in range(20_001)]
    message = kept(b"".join(fields) + b"\r\nbody\r\n", 65_536)
    head = read_head(message)
    assert head.fields == tuple(fields)
    seen = content_of(message, head, 1, 0).headers
    assert seen[:MOST_FIELDS] == [field.decode() for field in fields[:MOST_FIELDS]]
    assert len(seen) <= 2 * MOST_FIELDS
    assert "".join(seen) == b"".join(fields).decode()


def test_a_field_of_many_lines_is_one_and_is_found_at_once() -> None:
    field = b"X: a\r\n" + b" \r\n" * 80_000
    message = kept(b"A: b\r\n" + field + b"no field\r\n", 65_536)
    assert read_head(message).fields == (b"A: b\r\n", field)
    assert read_head(message).end == len(field) + 6
    assert read_head(kept(b" x\r\nA: b\r\n")).fields == ()
    assert read_head(kept(b"A: b\r\n c\r\nB: d\r\n")).fields == (b"A: b\r\n c\r\n", b"B: d\r\n")


def test_a_long_message_is_seen_in_chunks() -> None:
    message = kept(b"A: b\r\n\r\n" + (b"x" * 98 + b"\r\n") * 3_000, 65_536)
    content = content_of(message, read_head(message), 1, 200_000)
    assert len(content.chunks) > 2
    assert all(chunk.endswith("\r\n") for chunk in content.chunks)
    assert 199_800 <= sum(map(len, content.chunks)) <= 200_000
