"""Responses: each is what an MTA understands, and nothing from outside gets out of its place."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Support.Protocol.Milter import Responses
from Kamaelia.Support.Protocol.Milter.Packets import PacketReader, packet
from Kamaelia.Support.Protocol.Milter.Responses import (
    BODY_BYTES,
    FINALS,
    LINE_BYTES,
    REPLY_LINES,
    add_header,
    add_recipient,
    add_recipient_with_arguments,
    change_header,
    change_sender,
    delete_recipient,
    header_value,
    insert_header,
    quarantine,
    replace_body,
    reply,
)


def payload(wire: bytes) -> bytes:
    """That of the one packet that there is."""
    reader = PacketReader()
    reader.receive_data(wire)
    found = reader.next_packet()
    assert found is not None
    assert reader.unread == 0
    return found[1]


@pytest.mark.parametrize(
    ("name", "byte"),
    [
        *(("CONTINUE", b"c"), ("ACCEPT", b"a"), ("REJECT", b"r"), ("TEMPFAIL", b"t")),
        *(
            ("DISCARD", b"d"),
            ("SKIP", b"s"),
            ("PROGRESS", b"p"),
            ("SHUTDOWN", b"4"),
            ("DROP", b"f"),
        ),
    ],
)
def test_constants(name: str, byte: bytes) -> None:
    assert getattr(Responses, name) == b"\0\0\0\1" + byte
    assert (byte in FINALS) is (name != "PROGRESS")


@pytest.mark.parametrize(
    ("code", "ecode", "text", "said"),
    [
        (451, "4.7.1", "come back", b"451 4.7.1 come back\0"),
        (550, "", "no", b"550 no\0"),
        (451, "4.7.1", "100% of %s", b"451 4.7.1 100%% of %%s\0"),
        (451, "4.7.1", "a\r\n250 ok\0b", b"451 4.7.1 a 250 ok b\0"),
        (421, "4.3.2", "M\u00fcll \udcff", b"421 4.3.2 M\xc3\xbcll \\udcff\0"),
        (451, "4.7.1", "", b"451 4.7.1 \0"),
    ],
)
def test_a_reply(code: int, ecode: str, text: str, said: bytes) -> None:
    assert payload(reply(code, ecode, text)) == said


@pytest.mark.parametrize(
    ("code", "ecode"),
    [(250, "2.0.0"), (399, ""), (600, ""), (451, "4.7"), (451, "4.7.1\r\n"), (451, "2.0.0")],
)
def test_a_reply_that_no_mta_would_believe_is_refused(code: int, ecode: str) -> None:
    with pytest.raises(ValueError, match="code"):
        reply(code, ecode, "text")


def test_a_long_reply_has_several_lines_cut_at_blanks() -> None:
    words = "word " * 250
    said = payload(reply(451, "4.7.1", words)).removesuffix(b"\0").split(b"\r\n")
    assert len(said) == 2
    assert said[0].startswith(b"451-4.7.1 word word ")
    assert said[1].startswith(b"451 4.7.1 word word ")
    assert b" ".join(line[10:] for line in said).decode() == words
    assert payload(reply(451, "", words)).startswith(b"451-word ")


@settings(max_examples=50, deadline=None)
@given(
    text=st.text(st.sampled_from("%\u00e9\U0001f600a \n"), max_size=40),
    before=st.integers(0, 12),
)
def test_a_long_reply_is_never_cut_inside_a_character_or_a_percent(text: str, before: int) -> None:
    whole = "x" * (LINE_BYTES - before) + text * 40
    lines = payload(reply(451, "4.7.1", whole)).removesuffix(b"\0").split(b"\r\n")
    for line in lines[:-1]:
        assert line.startswith(b"451-4.7.1 ")
    assert lines[-1].startswith(b"451 4.7.1 ")
    bare = [line[10:] for line in lines]
    for line in bare:
        assert len(line) <= LINE_BYTES
        assert b"%" not in line.replace(b"%%", b"")
        line.decode()
    said = b"".join(bare).replace(b"%%", b"%").decode().replace(" ", "")
    assert said == whole.replace(" ", "").replace("\n", "")


def test_a_reply_ends_with_its_last_line() -> None:
    said = payload(reply(550, "5.7.1", "%" * 60_000)).removesuffix(b"\0").split(b"\r\n")
    assert len(said) == REPLY_LINES
    assert {len(line) for line in said} == {LINE_BYTES + 10}


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("one line", b"one line"),
        (b"one\r\n two\r\n\tthree", b"one\n two\n\tthree"),
        ("one\nX-Evil: yes", b"one\n\tX-Evil: yes"),
        ("one\rtwo", b"one\n\ttwo"),
        ("one\r\n\r\nbody", b"one\n\tbody"),
        ("one\r\n \r\n", b"one\n "),
        ("one\r\n", b"one"),
        ("a\0b", b"a b"),
        ("\u00e9", b"\xc3\xa9"),
    ],
)
def test_a_header_value_stays_one_field(value: str | bytes, sent: bytes) -> None:
    assert header_value(value) == sent


def test_headers() -> None:
    assert add_header("X-A", "v") == packet(b"h", b"X-A\0v\0")
    assert add_header(b"X-A", b"v", leading_space=True) == packet(b"h", b"X-A\0 v\0")
    assert insert_header(0, "X-A", "v") == packet(b"i", b"\0\0\0\0X-A\0v\0")
    assert insert_header(258, "X-A", "v", leading_space=True) == packet(b"i", b"\0\0\1\2X-A\0 v\0")
    assert change_header(1, "X-A", "v") == packet(b"m", b"\0\0\0\1X-A\0v\0")
    assert change_header(2, "X-A", "v", leading_space=True) == packet(b"m", b"\0\0\0\2X-A\0 v\0")
    # Empty is what removes it: not even a blank may stand there.
    assert change_header(2, "X-A", "", leading_space=True) == packet(b"m", b"\0\0\0\2X-A\0\0")


@pytest.mark.parametrize("name", ["", "X A", "X:A", "X\nA", "X\0", b"X\xff"])
def test_a_name_that_is_none_is_refused(name: str | bytes) -> None:
    with pytest.raises(ValueError, match="header's name"):
        add_header(name, "v")


def test_a_non_ascii_name_does_not_pass_for_another() -> None:
    assert payload(add_header("X-\u00e9", "v")) == b"X-?\0v\0"


@pytest.mark.parametrize("size", [0, 1, BODY_BYTES, BODY_BYTES + 1, 200_000])
def test_a_body_goes_in_packets_that_an_mta_takes(size: int) -> None:
    data = b"x" * size
    wires = replace_body(data)
    assert [wire[4:5] for wire in wires] == [b"b"] * max(1, -(-size // BODY_BYTES))
    assert b"".join(payload(wire) for wire in wires) == data
    assert all(len(payload(wire)) <= BODY_BYTES for wire in wires)


def test_recipients_sender_and_quarantine() -> None:
    assert add_recipient("bob@d") == packet(b"+", b"<bob@d>\0")
    assert add_recipient_with_arguments("<bob@d>", "NOTIFY=NEVER") == packet(
        b"2", b"<bob@d>\0NOTIFY=NEVER\0"
    )
    assert delete_recipient("<bob@d>") == packet(b"-", b"<bob@d>\0")
    assert change_sender("") == packet(b"e", b"<>\0")
    assert change_sender("a@b", "SIZE=1") == packet(b"e", b"<a@b>\0SIZE=1\0")
    assert quarantine("why\r\nnot\0") == packet(b"q", b"why not \0")


@pytest.mark.parametrize("address", ["<a@b>\0<c@d>", "a\nb", "a\x7f"])
def test_an_address_with_control_characters_is_refused(address: str) -> None:
    for make in (add_recipient, delete_recipient, change_sender):
        with pytest.raises(ValueError, match="control"):
            make(address)
    with pytest.raises(ValueError, match="control"):
        change_sender("a@b", address)
