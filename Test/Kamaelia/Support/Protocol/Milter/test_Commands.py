"""Commands: what real MTAs send is understood, and nothing but a MilterProtocolError raised."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Support.Protocol.Milter.Commands import (
    LEADING_SPACE,
    Abort,
    BodyChunk,
    Command,
    Connect,
    DataCommand,
    EndOfHeaders,
    EndOfMessage,
    Header,
    Helo,
    Macros,
    MailFrom,
    Negotiate,
    Quit,
    QuitNewConnection,
    Recipient,
    UnknownCommand,
    decode,
    encode,
    normal_address,
)
from Kamaelia.Support.Protocol.Milter.Packets import MilterProtocolError

OFFER = bytes.fromhex("00000006000001ff001fffff")


@pytest.mark.parametrize(
    ("command", "payload", "meant"),
    [
        (b"O", OFFER, Negotiate(6, 0x1FF, 0x1FFFFF)),
        (b"O", OFFER + b"more", Negotiate(6, 0x1FF, 0x1FFFFF)),
        (b"D", b"Mi\x004C1F\0{auth_type}\0\0", Macros(b"M", {"i": "4C1F", "auth_type": ""})),
        (b"D", b"H", Macros(b"H", {})),  # Postfix and Sendmail: told that there are none
        (b"D", b"", Macros(b"", {})),
        (b"D", b"M{i\0x\0{}\0y\0", Macros(b"M", {"i": "x", "": "y"})),
        (b"D", b"Ci", Macros(b"C", {"i": ""})),  # neither value nor NUL
        (
            b"D",
            b"H{cert_subject}\0/CN=M\xc3\xbcller\0",
            Macros(b"H", {"cert_subject": "/CN=Müller"}),
        ),
        (b"H", b"mx.example.org\0", Helo("mx.example.org")),
        (b"H", b"mx\xff", Helo("mx\\xff")),
        (b"H", b"", Helo("")),
        (b"M", b"<a@b>\0SIZE=5\0BODY=8BITMIME\0", MailFrom("<a@b>", ("SIZE=5", "BODY=8BITMIME"))),
        (b"M", b"<>\0", MailFrom("<>")),
        (b"M", b"\0", MailFrom("")),  # Postfix, non_smtpd_milters, a bounce
        (b"M", b"", MailFrom("")),
        (b"R", b"bob@example.org", Recipient("bob@example.org")),
        (b"R", b"<b@d>\0NOTIFY=NEVER\0", Recipient("<b@d>", ("NOTIFY=NEVER",))),
        (b"R", b"<b\xe9@d>\0", Recipient("<b\\xe9@d>")),
        (b"T", b"", DataCommand()),
        (b"U", b"HELP me\0", UnknownCommand("HELP me")),
        (b"L", b"Subject\0hello\n world\0", Header(b"Subject", b"hello\n world")),
        (b"L", b"S\xfcbject\0\0", Header(b"S\xfcbject", b"")),
        (b"L", b"Subject", Header(b"Subject", b"")),
        (b"N", b"", EndOfHeaders()),
        (b"B", b"text\r\n", BodyChunk(b"text\r\n")),
        (b"E", b"", EndOfMessage()),
        (b"E", b"rest\r\n", EndOfMessage(b"rest\r\n")),
        (b"A", b"", Abort()),
        (b"A", b"what?", Abort()),
        (b"Q", b"", Quit()),
        (b"K", b"", QuitNewConnection()),
    ],
)
def test_a_packet_is_understood(command: bytes, payload: bytes, meant: Command) -> None:
    assert decode(command, payload) == meant


@pytest.mark.parametrize(
    ("payload", "meant"),
    [
        (b"a.example\x004\x12\x34192.0.2.7\0", Connect("a.example", "4", 0x1234, "192.0.2.7")),
        (b"[192.0.2.7]\x004\0\x19192.0.2.7", Connect("[192.0.2.7]", "4", 25, "192.0.2.7")),
        # Sendmail
        (b"a\x006\0\0IPv6:0:0:0:0:0:0:0:1\0", Connect("a", "6", 0, "::1")),
        # Postfix
        (b"a\x006\0\x012001:db8::1\0", Connect("a", "6", 1, "2001:db8::1")),
        (b"a\x006\0\1::ffff:192.0.2.7\0", Connect("a", "6", 1, "192.0.2.7")),
        (b"a\x006\0\1fe80::1%eth0\0", Connect("a", "6", 1, "fe80::1")),
        # Postfix behind XCLIENT ADDR=[UNAVAILABLE]
        (b"unknown\x004\0\0unknown\0", Connect("unknown", "4", 0, "")),
        (b"localhost\0U", Connect("localhost", "U", 0, "")),
        (b"localhost\0L\0\0/run/x\0", Connect("localhost", "L", 0, "", "/run/x")),
        (b"localhost\0X\0\0what\0", Connect("localhost", "U", 0, "")),
        (b"a\x004\0", Connect("a", "4", 0, "")),
        (b"a\x004\x00\x00300.1.1.1\0", Connect("a", "4", 0, "")),
        (b"h\xe9\0U", Connect("h\\xe9", "U", 0, "")),
        (b"a", Connect("a", "U", 0, "")),
        (b"", Connect("", "U", 0, "")),
    ],
)
def test_where_a_client_comes_from(payload: bytes, meant: Connect) -> None:
    assert decode(b"C", payload) == meant


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("IPV6:2001:DB8::A", "2001:db8::a"),
        ("[192.0.2.1]", "192.0.2.1"),
        ("IPv6:::ffff:192.0.2.1", "192.0.2.1"),
        ("192.0.2.01", ""),
        ("", ""),
        ("\u0661.1.1.1", ""),
    ],
)
def test_addresses_are_written_as_everybody_does(text: str, meant: str) -> None:
    assert normal_address(text) == meant


@pytest.mark.parametrize(("command", "payload"), [(b"O", OFFER[:-1]), (b"x", b""), (b"", b"")])
def test_what_makes_no_sense_is_an_error(command: bytes, payload: bytes) -> None:
    with pytest.raises(MilterProtocolError):
        decode(command, payload)


@pytest.mark.parametrize(
    ("payload", "header", "line"),
    [
        (b"A\0 b\0", Header(b"A", b"b", b" "), b"A: b\r\n"),
        (b"A\0b\0", Header(b"A", b"b", b""), b"A:b\r\n"),
        (b"A\0 \t b\n c\0", Header(b"A", b"b\n c", b" \t "), b"A: \t b\r\n c\r\n"),
        (b"A\0 \n b\0", Header(b"A", b"\n b", b" "), b"A: \r\n b\r\n"),
    ],
)
def test_a_header_is_known_exactly_if_that_was_agreed_on(
    payload: bytes, header: Header, line: bytes
) -> None:
    found = decode(b"L", payload, LEADING_SPACE)
    assert found == header
    assert header.line == line


def test_without_that_one_blank_stands_behind_the_colon() -> None:
    found = decode(b"L", b"Subject\0hello\r\n world\0")
    assert isinstance(found, Header)
    assert found.line == b"Subject: hello\r\n world\r\n"


@settings(max_examples=50, deadline=None)
@given(
    command=st.sampled_from([bytes([byte]) for byte in b"ODCHMRTULNBEAQKx"]),
    payload=st.binary(max_size=60),
    protocol=st.sampled_from([0, LEADING_SPACE]),
)
def test_no_bytes_raise_anything_else(command: bytes, payload: bytes, protocol: int) -> None:
    try:
        decode(command, payload, protocol)
    except MilterProtocolError:
        assert command == b"x" or (command == b"O" and len(payload) < len(OFFER))


@pytest.mark.parametrize(("command", "payload"), [(b"O", b"secret"), (b"x", b"secret")])
def test_an_error_repeats_nothing_of_what_came(command: bytes, payload: bytes) -> None:
    with pytest.raises(MilterProtocolError) as caught:
        decode(command, payload)
    assert "secret" not in str(caught.value)


TEXTS = st.text(st.sampled_from("ab<>@.{\u00e9 "), max_size=8)
WORDS = st.lists(TEXTS.filter(bool), max_size=3).map(tuple)
BYTES = st.binary(max_size=8).map(lambda data: data.replace(b"\0", b""))
COMMANDS = st.one_of(
    st.builds(Negotiate, *[st.integers(0, 2**32 - 1)] * 3),
    st.builds(Macros, st.just(b"M"), st.dictionaries(st.sampled_from(["i", "abc"]), TEXTS)),
    st.builds(Connect, TEXTS, st.just("4"), st.integers(0, 65_535), st.just("192.0.2.7")),
    st.builds(Connect, TEXTS, st.just("U"), st.just(0), st.just("")),
    st.builds(Connect, TEXTS, st.just("L"), st.just(0), st.just(""), TEXTS),
    st.builds(MailFrom, TEXTS, WORDS),
    st.builds(Recipient, TEXTS, WORDS),
    st.builds(Header, BYTES, BYTES.map(lambda data: data.lstrip(b" \t")), st.just(b" ")),
    *(st.builds(kind, TEXTS) for kind in (Helo, UnknownCommand)),
    *(st.builds(kind, BYTES) for kind in (BodyChunk, EndOfMessage)),
    *(st.just(kind()) for kind in (DataCommand, EndOfHeaders, Abort, Quit, QuitNewConnection)),
)


@settings(max_examples=50, deadline=None)
@given(command=COMMANDS, protocol=st.sampled_from([0, LEADING_SPACE]))
def test_what_is_written_is_read_again(command: Command, protocol: int) -> None:
    assert decode(*encode(command, protocol), protocol) == command
