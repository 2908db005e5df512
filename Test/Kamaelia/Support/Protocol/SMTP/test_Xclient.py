"""XCLIENT: written so that a server reads it, read so that a stranger cannot cheat."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Kamaelia.Exceptions import LocalProtocolError
from Kamaelia.Support.Protocol.SMTP.Commands import CommandError
from Kamaelia.Support.Protocol.SMTP.Xclient import (
    COMMAND_BYTES,
    parse_xclient,
    xclient_commands,
)

ALL = frozenset(
    [b"NAME", b"ADDR", b"PORT", b"PROTO", b"HELO", b"LOGIN", b"DESTADDR", b"DESTPORT", b"X"]
)
WHOLE: dict[str, str | None] = {
    "ADDR": "192.0.2.7",
    "NAME": "client.example",
    "PORT": "4711",
    "PROTO": "ESMTP",
    "HELO": "[192.0.2.7]",
    "LOGIN": "anna+x=y",
    "DESTADDR": "2001:db8::1",
    "DESTPORT": "25",
}


def read(commands: list[bytes]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for line in commands:
        assert line.startswith(b"XCLIENT ")
        assert line.endswith(b"\r\n")
        found |= parse_xclient(line[len(b"XCLIENT ") : -2])
    return found


# --- written ------------------------------------------------------------------------------


def test_every_attribute_is_written_with_the_address_last() -> None:
    assert xclient_commands(WHOLE, ALL) == [
        b"XCLIENT NAME=client.example PORT=4711 PROTO=ESMTP HELO=[192.0.2.7] LOGIN=anna+2Bx+3Dy"
        b" DESTADDR=IPV6:2001:db8::1 DESTPORT=25 ADDR=192.0.2.7\r\n"
    ]
    assert read(xclient_commands(WHOLE, ALL)) == WHOLE


def test_only_what_the_server_takes_is_written() -> None:
    assert xclient_commands(WHOLE, frozenset([b"ADDR", b"PORT"])) == [
        b"XCLIENT PORT=4711 ADDR=192.0.2.7\r\n"
    ]


@pytest.mark.parametrize("taken", [frozenset[bytes](), ALL - {b"ADDR"}])
def test_a_server_that_takes_no_address_is_told_nothing(taken: frozenset[bytes]) -> None:
    assert xclient_commands(WHOLE, taken) == []


def test_what_is_not_known_is_unavailable() -> None:
    assert xclient_commands({"ADDR": None, "LOGIN": None}, ALL) == [
        b"XCLIENT LOGIN=[UNAVAILABLE] ADDR=[UNAVAILABLE]\r\n"
    ]
    assert xclient_commands({"NAME": "a"}, frozenset([b"LOGIN"])) == []


@pytest.mark.parametrize(
    ("given_as", "written"),
    [
        ("2001:DB8::7", b"IPV6:2001:db8::7"),
        ("::ffff:192.0.2.7", b"192.0.2.7"),
        ("fe80::1%eth0", b"IPV6:fe80::1"),
    ],
)
def test_addresses_are_written_in_one_form(given_as: str, written: bytes) -> None:
    assert xclient_commands({"ADDR": given_as}, ALL) == [b"XCLIENT ADDR=" + written + b"\r\n"]


def test_long_values_are_split_over_commands_with_the_address_in_the_last() -> None:
    commands = xclient_commands(WHOLE | {"NAME": "n" * 255, "HELO": "h" * 255}, ALL)
    assert len(commands) == 2
    assert all(len(line) <= COMMAND_BYTES for line in commands)
    assert [b"ADDR=192" in line for line in commands] == [False, True]
    assert read(commands) == WHOLE | {"NAME": "n" * 255, "HELO": "h" * 255}


@pytest.mark.parametrize("key", ["NAME", "HELO", "LOGIN"])
@pytest.mark.parametrize("value", ["", "a\r\nRSET", "a\0", "\u2028", "\u202e", "a" * 256, "\ud800"])
def test_what_a_stranger_chose_and_cannot_be_told_is_unavailable(key: str, value: str) -> None:
    assert xclient_commands({key: value}, ALL) == [b"XCLIENT %b=[UNAVAILABLE]\r\n" % key.encode()]


def test_a_value_whose_escapes_need_more_than_a_command_is_unavailable() -> None:
    (line,) = xclient_commands({"HELO": "=" * 165}, ALL)
    assert read([line]) == {"HELO": "=" * 165}
    assert xclient_commands({"HELO": "=" * 166}, ALL) == [b"XCLIENT HELO=[UNAVAILABLE]\r\n"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ADDR", "localhost"),
        ("ADDR", "192.0.2.7\r\n"),
        ("ADDR", "[192.0.2.7]"),
        ("ADDR", ""),
        ("DESTADDR", "IPV6:::1"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("DESTPORT", "-1"),
        ("DESTPORT", "1\n"),
        ("PROTO", "HTTP"),
        ("addr", "192.0.2.7"),
        ("REVERSE_NAME", "a"),
    ],
)
def test_a_bad_address_port_or_key_is_our_own_mistake(key: str, value: str) -> None:
    with pytest.raises(LocalProtocolError):
        xclient_commands({key: value}, ALL)


# --- read ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "attributes"),
    [
        (b"ADDR=192.0.2.7", {"ADDR": "192.0.2.7"}),
        (b"addr=ipv6:2001:DB8::7", {"ADDR": "2001:db8::7"}),
        (b"ADDR=IPV6:::ffff:192.0.2.7", {"ADDR": "192.0.2.7"}),
        (b"  NAME=[unavailable]  ADDR=[TEMPUNAVAIL] ", {"NAME": None, "ADDR": None}),
        (b"PORT=0025 DESTPORT=65535", {"PORT": "25", "DESTPORT": "65535"}),
        (b"PROTO=smtp", {"PROTO": "SMTP"}),
        (b"HELO=a+20b+2b LOGIN=j+C3+BCrgen", {"HELO": "a b+", "LOGIN": "j\u00fcrgen"}),
        (b"NAME=" + b"n" * 255, {"NAME": "n" * 255}),
    ],
)
def test_attributes_are_read(argument: bytes, attributes: dict[str, str | None]) -> None:
    assert parse_xclient(argument) == attributes


@pytest.mark.parametrize(
    "argument",
    [
        b"",
        b"   ",
        b"ADDR",
        b"ADDR=",
        b"=192.0.2.7",
        b"\xff=1",
        b"REVERSE_NAME=a",
        b"ADDR=192.0.2.7 addr=192.0.2.8",
        b"ADDR=192.0.2",
        b"ADDR=192.0.2.7%eth0",
        b"ADDR=2001:db8::7",
        b"ADDR=IPV6:fe80::1%eth0",
        b"ADDR=IPV6:192.0.2.7.1",
        b"ADDR=[192.0.2.7]",
        b"ADDR=localhost",
        b"PORT=0",
        b"PORT=65536",
        b"PORT=+1",
        b"PORT=1e3",
        b"PORT=+D9+A1",
        b"PROTO=LMTP",
        b"HELO=a+0D+0ARSET",
        b"HELO=a+00",
        b"HELO=a\0b",
        b"HELO=a\tb",
        b"HELO=a\x7fb",
        b"HELO=a\xffb",
        b"HELO=a=b",
        b"HELO=a+2",
        b"HELO=a+GG",
        b"HELO=+FF",
        b"HELO=+E2+80+A8",
        b"HELO=+E2+80+AE",
        b"HELO=" + b"a" * 256,
        b"NAME=a+20b",
        b"NAME=<script>",
        b"NAME=" + b"n" * 256,
        b"HELO=" + b"a" * 255 + b" LOGIN=" + b"b" * 241,
    ],
)
def test_whatever_is_not_in_order_is_refused(argument: bytes) -> None:
    with pytest.raises(CommandError) as error:
        parse_xclient(argument)
    assert (error.value.reply.code, error.value.reply.lines[0][:5]) == (501, b"5.5.4")


def test_a_command_of_just_512_bytes_is_taken() -> None:
    argument = b"HELO=" + b"a" * 255 + b" LOGIN=" + b"b" * 235
    assert len(b"XCLIENT \r\n") + len(argument) == 512
    assert len(parse_xclient(argument)) == 2


free = st.text(max_size=300)
descriptions = st.fixed_dictionaries(
    {"ADDR": st.ip_addresses().map(str) | st.none()},
    optional={
        "NAME": free | st.none(),
        "HELO": free | st.none(),
        "LOGIN": free | st.none(),
        "PORT": st.integers(1, 65_535).map(str) | st.none(),
        "DESTADDR": st.ip_addresses().map(str) | st.none(),
        "DESTPORT": st.integers(1, 65_535).map(str) | st.none(),
        "PROTO": st.sampled_from(["SMTP", "ESMTP", None]),
    },
)


@given(descriptions)
def test_whatever_is_written_can_be_read_and_breaks_no_line(
    description: dict[str, str | None],
) -> None:
    commands = xclient_commands(description, ALL)
    for line in commands:
        assert len(line) <= COMMAND_BYTES
        assert line[:-2].isascii()
        assert line[:-2].decode("ascii").isprintable()
    found = read(commands)
    assert found.keys() == description.keys()
    for key in ("NAME", "HELO", "LOGIN", "PORT", "DESTPORT", "PROTO"):
        assert found.get(key) in {description.get(key), None}
    assert commands[-1].split()[-1].startswith(b"ADDR=")


@given(st.binary(max_size=80) | st.from_regex(rb"(ADDR|HELO|PORT|NAME)=[!-~]{0,20}( |\Z)"))
def test_any_argument_is_read_cleanly_or_refused(argument: bytes) -> None:
    try:
        found = parse_xclient(argument)
    except CommandError:
        return
    assert all(value is None or value.isprintable() for value in found.values())
