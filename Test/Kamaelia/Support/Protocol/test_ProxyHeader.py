"""PROXY headers: read in any slices, written so that others read them, junk refused."""

import doctest
import importlib
import struct
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Kamaelia.Exceptions import LocalProtocolError
from Kamaelia.Support.Protocol.ProxyHeader import (
    LOCAL_V2,
    SIGNATURE,
    V2_BYTES,
    ProxyHeader,
    ProxyHeaderError,
    ProxyHeaderParser,
    make_v1,
    make_v2,
)

SOURCE, DESTINATION = ("192.0.2.7", 4711), ("198.51.100.1", 25)
SOURCE_6, DESTINATION_6 = ("2001:db8::7", 4711), ("2001:db8::1", 25)
ADDRESSES_4 = bytes([192, 0, 2, 7, 198, 51, 100, 1]) + struct.pack("!HH", 4711, 25)


def feed(parser: ProxyHeaderParser, slices: Iterable[bytes]) -> None:
    for piece in slices:
        parser.receive_data(piece)


def read(*slices: bytes) -> tuple[ProxyHeader | None, bytes]:
    parser = ProxyHeaderParser()
    feed(parser, slices)
    return parser.header, parser.rest


def version_2(body: bytes, command: int = 0x21, family: int = 0x11) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(body)) + body


def value(kind: int, data: bytes) -> bytes:
    return struct.pack("!BH", kind, len(data)) + data


def test_the_example_of_the_module_is_true() -> None:
    module = importlib.import_module("Kamaelia.Support.Protocol.ProxyHeader")
    failed, tried = doctest.testmod(module)
    assert (failed, tried > 0) == (0, True)


# --- written ------------------------------------------------------------------------------


def test_headers_are_written_byte_for_byte_as_the_protocol_has_them() -> None:
    assert make_v1(SOURCE, DESTINATION) == b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n"
    assert make_v1(SOURCE_6, DESTINATION_6) == b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 25\r\n"
    assert make_v2(SOURCE, DESTINATION) == (
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\x12\x67\0\x19"
    )
    assert make_v2(SOURCE_6, DESTINATION_6)[:16] == SIGNATURE + b"\x21\x21\0\x24"
    assert LOCAL_V2 == b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"


def test_two_families_are_written_as_ipv6_and_zones_are_left_out() -> None:
    assert make_v1(SOURCE, DESTINATION_6) in {  # Pythons write it in one way or the other
        b"PROXY TCP6 ::ffff:c000:207 2001:db8::1 4711 25\r\n",
        b"PROXY TCP6 ::ffff:192.0.2.7 2001:db8::1 4711 25\r\n",
    }
    header, _ = read(make_v2(("fe80::1%eth0", 1), SOURCE))
    assert header == ProxyHeader(("fe80::1", 1), SOURCE)
    assert make_v1(("::ffff:192.0.2.7", 4711), DESTINATION) == make_v1(SOURCE, DESTINATION)


@pytest.mark.parametrize(
    "bad", [("", 1), ("localhost", 1), ("1.2.3.4\r\n", 1), ("1.2.3.4", -1), ("1.2.3.4", 65536)]
)
def test_what_is_no_address_is_our_own_mistake(bad: tuple[str, int]) -> None:
    for make in (make_v1, make_v2):
        with pytest.raises(LocalProtocolError):
            make(bad, DESTINATION)
        with pytest.raises(LocalProtocolError):
            make(DESTINATION, bad)


ports = st.integers(0, 65_535)
hosts = st.ip_addresses().map(str)


@given(st.tuples(hosts, ports), st.tuples(hosts, ports), st.integers(1, 40), st.booleans())
def test_what_is_written_is_read_again_in_any_slices(
    source: tuple[str, int], destination: tuple[str, int], size: int, first: bool
) -> None:
    wire = (make_v1 if first else make_v2)(source, destination)
    assert not first or len(wire) <= 107
    stream = wire + b"EHLO a\r\n"
    header, rest = read(*(stream[i : i + size] for i in range(0, len(stream), size)))
    plain = read(make_v2(source, source))[0]
    assert plain is not None
    assert header is not None
    assert header.source == plain.source
    assert header.destination is not None
    assert header.destination[1] == destination[1]
    assert rest == b"EHLO a\r\n"
    assert (header.local, header.tls, header.server_name) == (False, False, "")


# --- version 1 ----------------------------------------------------------------------------


def test_the_longest_line_is_taken() -> None:
    host = ":".join(["ffff"] * 8)
    line = f"PROXY TCP6 {host} {host} 65535 65535\r\n".encode()
    assert read(line)[0] == ProxyHeader((host, 65_535), (host, 65_535))
    unknown = f"PROXY UNKNOWN {host} {host} 65535 65535\r\n".encode()
    assert len(unknown) == 107
    assert read(unknown) == (ProxyHeader(), b"")
    assert read(b"PROXY UNKNOWN\r\nx") == (ProxyHeader(), b"x")


def test_ipv4_in_the_shape_of_ipv6_comes_out_as_ipv4() -> None:
    header, _ = read(b"PROXY TCP6 ::ffff:192.0.2.7 2001:db8::1 1 2\r\n")
    assert header == ProxyHeader(("192.0.2.7", 1), ("2001:db8::1", 2))


@pytest.mark.parametrize(
    "line",
    [
        b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\n",
        b"PROXY TCP4  192.0.2.7 198.51.100.1 4711 25\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 4711\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 25 1\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 025\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 65536\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 -1\r\n",
        b"PROXY TCP4 192.0.2 198.51.100.1 4711 25\r\n",
        b"PROXY TCP4 192.0.2.07 198.51.100.1 4711 25\r\n",
        b"PROXY TCP4 2001:db8::1 2001:db8::2 4711 25\r\n",
        b"PROXY TCP6 192.0.2.7 198.51.100.1 4711 25\r\n",
        b"PROXY TCP6 fe80::1%eth0 fe80::2 4711 25\r\n",
        b"PROXY UDP4 192.0.2.7 198.51.100.1 4711 25\r\n",
        b"PROXY \r\n",
        b"PROXY UNKNOWNX\r\n",
        b"PROXY UNKNOWN \0\r\n",
        b"proxy TCP4 192.0.2.7 198.51.100.1 4711 25\r\n",
        b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n",
        b"PROXY UNKNOWN " + b"x" * 93,
        b"EHLO client\r\n",
        b"\x16\x03\x01",
        b"\r\n\r\n\0\r\nQUIT\r",
    ],
)
def test_a_bad_line_is_an_error_whatever_comes_then(line: bytes) -> None:
    for slices in ([line], [line[i : i + 1] for i in range(len(line))]):
        parser = ProxyHeaderParser()
        with pytest.raises(ProxyHeaderError):
            feed(parser, slices)
        with pytest.raises(ProxyHeaderError):
            parser.receive_data(make_v1(SOURCE, DESTINATION))
        assert parser.header is None


# --- version 2 ----------------------------------------------------------------------------


def test_local_and_unspecified_name_no_addresses() -> None:
    assert read(LOCAL_V2 + b"EHLO") == (ProxyHeader(local=True), b"EHLO")
    assert read(version_2(ADDRESSES_4, command=0x20)) == (ProxyHeader(local=True), b"")
    assert read(version_2(b"whatever", family=0)) == (ProxyHeader(), b"")


@pytest.mark.parametrize(
    ("values", "tls", "name"),
    [
        (b"", False, ""),
        (value(0x20, b"\1\0\0\0\0"), True, ""),
        (value(0x20, b"\0\0\0\0\1"), False, ""),
        (value(0x20, b"\6\0\0\0\0"), False, ""),
        (value(0x20, b"\7\0\0\0\0" + value(0x21, b"TLSv1.3")), True, ""),
        (value(0x02, b"MX.example.org"), False, "mx.example.org"),
        (value(0x04, b"") + value(0x02, b"a") + value(0x02, b"b"), False, "a"),
        (value(0x02, b"a\r\nb"), False, ""),
        (value(0x02, b"\xff" * 10), False, ""),
        (value(0x02, b"a" * 254), False, ""),
        (value(0xEE, b"x" * 999) + value(0x02, b"a"), False, "a"),
    ],
)
def test_the_values_that_matter_are_read(values: bytes, tls: bool, name: str) -> None:
    header, rest = read(version_2(ADDRESSES_4 + values), b"rest")
    assert header == ProxyHeader(SOURCE, DESTINATION, tls=tls, server_name=name)
    assert rest == b"rest"


@pytest.mark.parametrize(
    "wire",
    [
        version_2(ADDRESSES_4, command=0x22),
        version_2(ADDRESSES_4, command=0x11),
        version_2(ADDRESSES_4, family=0x12),
        version_2(ADDRESSES_4, family=0x31),
        version_2(ADDRESSES_4, family=0x21),
        version_2(ADDRESSES_4[:-1]),
        version_2(b""),
        version_2(ADDRESSES_4 + b"\x20"),
        version_2(ADDRESSES_4 + b"\x20\0"),
        version_2(ADDRESSES_4 + b"\x20\0\5\1\0\0\0"),
        version_2(ADDRESSES_4 + value(0x20, b"\1\0\0\0")),
        version_2(ADDRESSES_4 + value(0x02, b"a") + b"x"),
        version_2(bytes(V2_BYTES - 15)),
        SIGNATURE + b"\x21\x11\xff\xff",
        SIGNATURE + b"\x20\0\xff\xff",
    ],
)
def test_a_bad_binary_header_is_an_error(wire: bytes) -> None:
    with pytest.raises(ProxyHeaderError):
        read(wire)


def test_the_longest_header_is_taken_and_a_cut_one_is_waited_for() -> None:
    room = V2_BYTES - len(LOCAL_V2) - len(ADDRESSES_4) - 3
    wire = version_2(ADDRESSES_4 + value(0xE0, b"x" * room))
    assert len(wire) == V2_BYTES
    assert read(wire)[0] == ProxyHeader(SOURCE, DESTINATION)
    for end in range(len(wire)):
        assert read(wire[:end]) == (None, b"")


# --- anything -----------------------------------------------------------------------------

STARTS = [b"", b"PROXY ", b"PROXY TCP4 1.2.3.4 ", b"\r\n", SIGNATURE, SIGNATURE + b"\x21\x11\0\x20"]


@given(st.sampled_from(STARTS), st.binary(max_size=200), st.integers(1, 50))
def test_junk_is_refused_or_read_alike_in_any_slices(start: bytes, junk: bytes, size: int) -> None:
    wire = start + junk

    def outcome(*slices: bytes) -> tuple[ProxyHeader | None, bytes] | str:
        try:
            return read(*slices)
        except ProxyHeaderError as error:
            return str(error)

    whole = outcome(wire)
    assert outcome(*(wire[i : i + size] for i in range(0, len(wire), size))) == whole
