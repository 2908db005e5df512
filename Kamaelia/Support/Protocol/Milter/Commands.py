"""
Milter commands: what the MTA tells a filter
============================================
Takes a packet of the MTA apart into one of the classes below, and makes packets of them. Nobody
changes one.

>>> decode(b"R", b"<bob@example.org>\\0ORCPT=rfc822;bob@example.org\\0")
Recipient(address='<bob@example.org>', arguments=('ORCPT=rfc822;bob@example.org',))
>>> decode(b"C", b"mx.example.net\\x006\\x01\\xbbIPv6:2001:DB8:0:0:0:0:0:1\\0")
Connect(host='mx.example.net', family='6', port=443, address='2001:db8::1', path='')

The rules. An MTA passes on what strangers said, so nothing that it may send raises anything, if any
sense can be made of it: names in 8 bits, macros in UTF-8, missing NULs, packets without a payload.
Text is decoded as UTF-8, and each byte that is none becomes "\\xNN"; headers and bodies stay bytes.
MilterProtocolError is for an unknown command and for an offer that is too short.

An address is written as Python's ipaddress writes it, IPv4 in the shape of IPv6 as IPv4. It is ""
if there is none: no network (`L`, and then `path` is set), the MTA does not know (`U`, or Postfix's
`4` with the text "unknown"), or it is nonsense.
"""

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from struct import Struct, pack, unpack
from typing import TypeAlias

from Kamaelia.Exceptions import LocalProtocolError
from Kamaelia.Support.Protocol.Milter.Packets import MilterProtocolError

# The bytes that begin each packet.
NEGOTIATE, MACROS, CONNECT, HELO, MAIL, RCPT, DATA = (b"O", b"D", b"C", b"H", b"M", b"R", b"T")
UNKNOWN, HEADER, END_OF_HEADERS, BODY, END_OF_MESSAGE = (b"U", b"L", b"N", b"B", b"E")
ABORT, QUIT, QUIT_NEW = (b"A", b"Q", b"K")


@dataclass(frozen=True, slots=True)
class Negotiate:
    """What the MTA offers: the version it speaks, which edits, and which steps of the protocol."""

    version: int
    actions: int
    protocol: int


@dataclass(frozen=True, slots=True)
class Macros:
    """What the MTA knows about the step of the command byte `stage`; names have no braces."""

    stage: bytes
    values: dict[str, str]


@dataclass(frozen=True, slots=True)
class Connect:
    """A client has connected. host: its name, "[192.0.2.1]" or "unknown" if the MTA knows none.

    family: "4", "6", "L" (a socket in the file system, its name is `path`) or "U", as sent. port:
    the client's, 0 if there is none. address: "" if there is none."""

    host: str
    family: str
    port: int
    address: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class Helo:
    """The client's HELO or EHLO, which it may repeat."""

    name: str


@dataclass(slots=True, unsafe_hash=True)  # one for every message: a frozen one costs twice as much
class MailFrom:
    """A message begins. address: as sent, with < > or without. For bounces "<>", or "" from
    Postfix's non_smtpd_milters."""

    address: str
    arguments: tuple[str, ...] = ()


@dataclass(
    slots=True, unsafe_hash=True
)  # one for every recipient: a frozen one costs twice as much
class Recipient:
    """One recipient. address: as sent, with < > or without."""

    address: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DataCommand:
    """The client has said DATA."""


@dataclass(frozen=True, slots=True)
class UnknownCommand:
    """The client has said something that the MTA does not know."""

    line: str


@dataclass(frozen=True, slots=True)
class Header:
    """One header field. value: folded lines are joined with LF and stay folded; `blank` is what
    stood between the colon and it, one blank unless HEADER_LEADING_SPACE was agreed on."""

    name: bytes
    value: bytes
    blank: bytes = b" "

    @property
    def line(self) -> bytes:
        """The field as it stood in the message, with CR LF."""
        text = b"%b:%b%b\n" % (self.name, self.blank, self.value)
        return text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


@dataclass(frozen=True, slots=True)
class EndOfHeaders:
    """All header fields have been told."""


@dataclass(frozen=True, slots=True)
class BodyChunk:
    """A piece of the body, cut anywhere, with CR LF."""

    data: bytes


@dataclass(frozen=True, slots=True)
class EndOfMessage:
    """The message is complete: now it can be edited. data: an old MTA's last piece of the body."""

    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Abort:
    """The message is over, however it went; the session goes on."""


@dataclass(frozen=True, slots=True)
class Quit:
    """All is over."""


@dataclass(frozen=True, slots=True)
class QuitNewConnection:
    """The session is over; the next one comes on the same connection, without a negotiation."""


Command: TypeAlias = (
    Negotiate
    | Macros
    | Connect
    | Helo
    | MailFrom
    | Recipient
    | DataCommand
    | UnknownCommand
    | Header
    | EndOfHeaders
    | BodyChunk
    | EndOfMessage
    | Abort
    | Quit
    | QuitNewConnection
)

Decoder: TypeAlias = Callable[[bytes], Command]

LEADING_SPACE = 0x100000  # in `protocol`: header values come with the blanks before them
_offer = Struct(">III")
_FAMILIES = ("4", "6", "L", "U")


def decode(command: bytes, payload: bytes, protocol: int = 0) -> Command:
    """Take one packet apart. protocol: the steps that were agreed on, see Negotiation.Step.

    Raises MilterProtocolError for what no MTA would send."""
    decoder = decoders(protocol).get(command)
    if decoder is None:
        raise MilterProtocolError("an unknown command")
    return decoder(payload)


def decoders(protocol: int) -> Mapping[bytes, Decoder]:
    """What takes the payload of each command apart, for a session that asks again and again."""
    return _EXACT_DECODERS if protocol & LEADING_SPACE else _DECODERS


def text_of(data: bytes) -> str:
    """Text from an MTA: UTF-8, and what is none of it becomes visible."""
    return data.decode("utf-8", "backslashreplace")


def macros_of(payload: bytes) -> dict[str, str]:
    """The macros of a D packet, without its first byte. One that is told twice has its last
    value; a name without a value has ""."""
    words = text_of(payload.removesuffix(b"\0")).split("\0") if payload else []
    if len(words) % 2:
        words.append("")
    names = [name.strip("{}") for name in words[::2]]
    return dict(zip(names, words[1::2], strict=True))


def normal_address(text: str) -> str:
    """An IP address as everybody writes it, without "IPv6:" and brackets; "" if it is none."""
    text = text.strip("[]")
    if text[:5].lower() == "ipv6:":
        text = text[5:]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address).partition("%")[0]  # a zone means nothing to others


def _negotiate(payload: bytes) -> Negotiate:
    if len(payload) < _offer.size:
        raise MilterProtocolError("an offer that is too short")
    return Negotiate(*_offer.unpack_from(payload))


def _macros(payload: bytes) -> Macros:
    return Macros(payload[:1], macros_of(payload[1:]))


def _connect(payload: bytes) -> Connect:
    host, _, rest = payload.partition(b"\0")
    family = text_of(rest[:1])
    if family not in _FAMILIES:
        family = "U"
    if family == "U" or len(rest) < 3:
        return Connect(text_of(host), family, 0, "")
    (port,) = unpack(">H", rest[1:3])
    where = text_of(rest[3:].partition(b"\0")[0])
    if family == "L":
        return Connect(text_of(host), family, 0, "", where)
    return Connect(text_of(host), family, port, normal_address(where))


def _first(payload: bytes) -> str:
    return text_of(payload.partition(b"\0")[0])


def _mail(payload: bytes) -> MailFrom:
    address, _, rest = payload.decode("utf-8", "backslashreplace").partition("\0")
    return MailFrom(address, tuple(rest.removesuffix("\0").split("\0")) if rest else ())


def _recipient(payload: bytes) -> Recipient:
    address, _, rest = payload.decode("utf-8", "backslashreplace").partition("\0")
    return Recipient(address, tuple(rest.removesuffix("\0").split("\0")) if rest else ())


def _header(payload: bytes) -> Header:
    name, _, rest = payload.partition(b"\0")
    return Header(name, rest.partition(b"\0")[0])


def _exact_header(payload: bytes) -> Header:
    name, _, rest = payload.partition(b"\0")
    value = rest.partition(b"\0")[0]
    stripped = value.lstrip(b" \t")
    return Header(name, stripped, value[: len(value) - len(stripped)])


# Those that hold nothing: one of each will do.
_DATA, _END_OF_HEADERS, _END = DataCommand(), EndOfHeaders(), EndOfMessage()
_ABORT, _QUIT, _QUIT_NEW = Abort(), Quit(), QuitNewConnection()

_DECODERS: dict[bytes, Decoder] = {
    NEGOTIATE: _negotiate,
    MACROS: _macros,
    CONNECT: _connect,
    HELO: lambda payload: Helo(_first(payload)),
    MAIL: _mail,
    RCPT: _recipient,
    DATA: lambda _: _DATA,
    UNKNOWN: lambda payload: UnknownCommand(_first(payload)),
    HEADER: _header,
    END_OF_HEADERS: lambda _: _END_OF_HEADERS,
    BODY: BodyChunk,
    END_OF_MESSAGE: lambda payload: EndOfMessage(payload) if payload else _END,
    ABORT: lambda _: _ABORT,
    QUIT: lambda _: _QUIT,
    QUIT_NEW: lambda _: _QUIT_NEW,
}
_EXACT_DECODERS = _DECODERS | {HEADER: _exact_header}


def encode(command: Command, protocol: int = 0) -> tuple[bytes, bytes]:
    """The other way round: command byte and payload, for an MTA's side.

    Raises LocalProtocolError for a NUL inside a string, which would end it."""
    match command:
        case Negotiate(version, actions, steps):
            return NEGOTIATE, _offer.pack(version, actions, steps)
        case Macros(stage, values):
            pairs = [text for name, value in values.items() for text in (_braced(name), value)]
            return MACROS, stage + _strings(*pairs)
        case Connect(host, family, port, address, path):
            where = b"" if family == "U" else pack(">H", port) + _strings(path or address)
            return CONNECT, _strings(host) + family.encode("ascii") + where
        case Helo(text) | UnknownCommand(text):
            return HELO if isinstance(command, Helo) else UNKNOWN, _strings(text)
        case MailFrom(address, arguments):
            return MAIL, _strings(address, *arguments)
        case Recipient(address, arguments):
            return RCPT, _strings(address, *arguments)
        case Header(name, value, blank):
            return HEADER, _strings(name, blank + value if protocol & LEADING_SPACE else value)
        case BodyChunk(data) | EndOfMessage(data):
            return BODY if isinstance(command, BodyChunk) else END_OF_MESSAGE, data
        case _:
            return _EMPTY[type(command)], b""


def _strings(*texts: str | bytes) -> bytes:
    wire = b""
    for text in texts:
        data = text.encode("utf-8", "backslashreplace") if isinstance(text, str) else text
        if b"\0" in data:
            raise LocalProtocolError("a NUL ends a string, there is none inside")
        wire += data + b"\0"
    return wire


def _braced(name: str) -> str:
    return name if len(name) == 1 else f"{{{name}}}"


_EMPTY: dict[type[Command], bytes] = {
    DataCommand: DATA,
    EndOfHeaders: END_OF_HEADERS,
    Abort: ABORT,
    Quit: QUIT,
    QuitNewConnection: QUIT_NEW,
}
