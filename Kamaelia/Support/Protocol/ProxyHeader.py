"""
PROXY headers: who is behind a connection that a load balancer made
===================================================================
A balancer that only copies bytes puts a header before them: version 1 is a line of text, version 2
is binary (haproxy's proxy-protocol.txt; there is no RFC).

>>> make_v1(("192.0.2.7", 4711), ("198.51.100.1", 25))
b'PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\\r\\n'
>>> parser = ProxyHeaderParser()
>>> parser.receive_data(make_v2(("192.0.2.7", 4711), ("198.51.100.1", 25)) + b"EHLO a")
>>> parser.header.source, parser.rest
(('192.0.2.7', 4711), b'EHLO a')

The rules. A header is believed, so it may be taken only from addresses that the configuration
names, and must be there within seconds. Nothing is guessed: what is not exactly a header raises
ProxyHeaderError, and then no byte of the stream may be used for anything. LOCAL (a health check of
the balancer itself) and UNKNOWN name no addresses: those of the connection hold. IPv4 addresses in
the shape of IPv6 (::ffff:192.0.2.7) come out as IPv4. Of the further values of version 2 only "was
it TLS" and "which host was asked for" are read; a host that could not be one is left out, as it is
the client who chose it. The checksum is not verified.
"""

import ipaddress
import re
import struct
from dataclasses import dataclass
from typing import TypeAlias

from Kamaelia.Exceptions import LocalProtocolError, ProtocolError

Endpoint: TypeAlias = tuple[str, int]
_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LOCAL_V2 = SIGNATURE + b"\x20\x00\x00\x00"
V1_BYTES = 107  # with the line's end
V2_BYTES = 2_048  # in all: room for every TLV that is in use but a client's certificate
_FIXED = len(LOCAL_V2)
_START_V1 = b"PROXY "
_LOCAL, _PROXY = 0x20, 0x21
_UNSPECIFIED, _TCP4, _TCP6 = 0x00, 0x11, 0x21
_AUTHORITY, _SSL = 0x02, 0x20
_SSL_BYTES = 5  # client flags, and the result of its verification
_line_v1 = re.compile(
    rb"PROXY TCP([46]) ([0-9a-fA-F.:]+) ([0-9a-fA-F.:]+)"
    rb" (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4})\r\n"
).fullmatch
_unknown_v1 = re.compile(rb"PROXY UNKNOWN(?: [ -~]*)?\r\n").fullmatch
_is_host = re.compile(rb"[A-Za-z0-9_.-]{1,253}").fullmatch


class ProxyHeaderError(ProtocolError):
    """What came is no PROXY header. The text never repeats what came."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """What a header said. source, destination: address and port, or None: those of the connection.

    local: the balancer speaks for itself. tls: the client spoke TLS to it, and for which
    `server_name` ("" if it named none)."""

    source: Endpoint | None = None
    destination: Endpoint | None = None
    local: bool = False
    tls: bool = False
    server_name: str = ""


def make_v1(source: Endpoint, destination: Endpoint) -> bytes:
    """Return the line that tells of a connection. Of two families both are written as IPv6."""
    ours, theirs = _same_family(source[0], destination[0])
    ports = (_check_port(source[1]), _check_port(destination[1]))
    line = f"PROXY TCP{ours.version} {ours} {theirs} {ports[0]} {ports[1]}\r\n"
    return line.encode("ascii")


def make_v2(source: Endpoint, destination: Endpoint) -> bytes:
    """Return the binary header that tells of a connection; for none at all there is LOCAL_V2."""
    ours, theirs = _same_family(source[0], destination[0])
    ports = struct.pack("!HH", _check_port(source[1]), _check_port(destination[1]))
    body = ours.packed + theirs.packed + ports
    family = _TCP4 if ours.version == 4 else _TCP6
    return SIGNATURE + struct.pack("!BBH", _PROXY, family, len(body)) + body


class ProxyHeaderParser:
    """Takes the first bytes of a connection in any slices; `header` is None until it is complete,
    and `rest` is what came behind it."""

    __slots__ = ("_buffer", "header", "rest")

    def __init__(self) -> None:
        self._buffer = b""
        self.header: ProxyHeader | None = None
        self.rest = b""

    def receive_data(self, data: bytes) -> None:
        """Add bytes; ProxyHeaderError if they are no header, however often it is called then."""
        if self.header is not None:
            self.rest += data
            return
        self._buffer += data
        if self._buffer.startswith(_START_V1):
            size = self._size_v1()
        elif self._buffer.startswith(SIGNATURE):
            size = self._size_v2()
        elif _START_V1.startswith(self._buffer) or SIGNATURE.startswith(self._buffer):
            return
        else:
            raise ProxyHeaderError("no PROXY header")
        if size is not None:
            whole, rest = self._buffer[:size], self._buffer[size:]
            self.header = _read_v2(whole) if whole.startswith(SIGNATURE) else _read_v1(whole)
            self.rest, self._buffer = rest, b""

    def _size_v1(self) -> int | None:
        """Return how long the header is; None: not known yet, or not all there."""
        end = self._buffer.find(b"\n", 0, V1_BYTES)
        if end >= 0:
            return end + 1
        if len(self._buffer) >= V1_BYTES:
            raise ProxyHeaderError("PROXY line without an end")
        return None

    def _size_v2(self) -> int | None:
        if len(self._buffer) < _FIXED:
            return None
        size = _FIXED + int.from_bytes(self._buffer[_FIXED - 2 : _FIXED], "big")
        if size > V2_BYTES:
            raise ProxyHeaderError(f"PROXY header longer than {V2_BYTES} bytes")
        return size if len(self._buffer) >= size else None


def _read_v1(line: bytes) -> ProxyHeader:
    if _unknown_v1(line):
        return ProxyHeader()  # and whatever it says besides must be ignored
    found = _line_v1(line)
    if found is None:
        raise ProxyHeaderError("bad PROXY line")
    family, *hosts = found.group(1, 2, 3)
    kind = ipaddress.IPv4Address if family == b"4" else ipaddress.IPv6Address
    try:
        source, destination = (str(_plain(kind(host.decode("ascii")))) for host in hosts)
    except ValueError:
        raise ProxyHeaderError("bad address in a PROXY line") from None
    ports = int(found[4]), int(found[5])
    if max(ports) > 65_535:
        raise ProxyHeaderError("bad port in a PROXY line")
    return ProxyHeader((source, ports[0]), (destination, ports[1]))


def _read_v2(whole: bytes) -> ProxyHeader:
    command, family = whole[len(SIGNATURE) : len(SIGNATURE) + 2]
    if command == _LOCAL:
        return ProxyHeader(local=True)
    if command != _PROXY:
        raise ProxyHeaderError("unknown version or command of a PROXY header")
    if family == _UNSPECIFIED:
        return ProxyHeader()
    if family not in (_TCP4, _TCP6):
        raise ProxyHeaderError("PROXY header of a connection that is not TCP")
    kind, width = (ipaddress.IPv4Address, 4) if family == _TCP4 else (ipaddress.IPv6Address, 16)
    body = whole[_FIXED:]
    if len(body) < 2 * width + 4:
        raise ProxyHeaderError("PROXY header without its addresses")
    ports = struct.unpack_from("!HH", body, 2 * width)
    hosts = body[:width], body[width : 2 * width]
    source, destination = (str(_plain(kind(host))) for host in hosts)
    values = _read_values(body[2 * width + 4 :])
    verdict = values.get(_SSL)
    if verdict is not None and len(verdict) < _SSL_BYTES:
        raise ProxyHeaderError("PROXY header with a cut TLS value")
    name = values.get(_AUTHORITY, b"")
    return ProxyHeader(
        (source, ports[0]),
        (destination, ports[1]),
        tls=verdict is not None and bool(verdict[0] & 1),
        server_name=name.decode("ascii").lower() if _is_host(name) else "",
    )


def _read_values(data: bytes) -> dict[int, bytes]:
    """Read type, length, value, as often as they come; of one that comes twice the first holds."""
    values: dict[int, bytes] = {}
    while data:
        size = int.from_bytes(data[1:3], "big")
        if len(data) < 3 + size:
            raise ProxyHeaderError("PROXY header with a cut value")
        values.setdefault(data[0], data[3 : 3 + size])
        data = data[3 + size :]
    return values


def _plain(address: _Address) -> _Address:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _same_family(source: str, destination: str) -> tuple[_Address, _Address]:
    ours, theirs = _parse(source), _parse(destination)
    if ours.version == theirs.version:
        return ours, theirs
    return _as_ipv6(ours), _as_ipv6(theirs)


def _parse(host: str) -> _Address:
    try:  # the zone of a link-local address is ours, and means nothing to others
        return _plain(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        raise LocalProtocolError("a PROXY header needs addresses") from None


def _as_ipv6(address: _Address) -> _Address:
    if address.version == 6:
        return address
    return ipaddress.IPv6Address(b"\0" * 10 + b"\xff\xff" + address.packed)


def _check_port(port: int) -> int:
    if not 0 <= port <= 65_535:
        raise LocalProtocolError("a PROXY header needs ports")
    return port
