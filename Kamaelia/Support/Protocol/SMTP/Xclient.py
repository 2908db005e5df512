"""
XCLIENT: for whom a proxy speaks
================================
A server that trusts a proxy takes from it who the client is (Postfix made the command up; there is
no RFC). Without it the server sees the proxy's own address, and a server that trusts its own
network would relay for the whole world.

>>> client = {"ADDR": "2001:db8::7", "HELO": "a b", "NAME": None}
>>> xclient_commands(client, frozenset([b"ADDR", b"HELO", b"NAME"]))
[b'XCLIENT NAME=[UNAVAILABLE] HELO=a+20b ADDR=IPV6:2001:db8::7\\r\\n']
>>> parse_xclient(b"NAME=[UNAVAILABLE] HELO=a+20b ADDR=IPV6:2001:db8::7") == client
True

The rules. Values are xtext (RFC 3461, section 4); what is hidden in it must be printable. A command
has at most 512 bytes; longer ones are split, with ADDR at the very end, because Postfix looks up
the new address to see whether it may say XCLIENT, and the next one is refused. For the same reason
a connection can be described once only there. Attributes stay until they are said anew, so whoever
describes the next client must take back what was said of the one before.

What a stranger chose (NAME, HELO, LOGIN) and cannot be told goes out as [UNAVAILABLE]; a bad
address or port can only be our own mistake and raises LocalProtocolError.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping

from Kamaelia.Exceptions import LocalProtocolError
from Kamaelia.Support.Protocol.SMTP.Commands import CommandError
from Kamaelia.Support.Protocol.SMTP.Replies import Reply

COMMAND_BYTES = 512  # with the verb and the line's end
_ROOM = COMMAND_BYTES - len("XCLIENT \r\n")
_VALUE_CHARACTERS = 255
_ABSENT = b"[UNAVAILABLE]"
_NOT_KNOWN = (_ABSENT, b"[TEMPUNAVAIL]")
_is_xtext = re.compile(rb"(?:[!-*,-<>-~]|\+[0-9A-Fa-f]{2})+").fullmatch
_hexchar = re.compile(rb"\+(..)")
_not_xchar = re.compile(rb"[^!-*,-<>-~]")
_is_name = re.compile(r"[A-Za-z0-9_.-]+").fullmatch
_is_port = re.compile(r"[0-9]{1,5}").fullmatch


def xclient_commands(description: Mapping[str, str | None], taken: frozenset[bytes]) -> list[bytes]:
    """Return the commands that tell a server who the client is, each with its line's end.

    description: what `encode_description` takes. taken: the attributes that the server named in its
    EHLO reply, in upper case; others are left out. The list is empty if nothing is left, or if the
    address would have to be left out: then the server would judge a client that it cannot see."""
    return pack(encode_description(description), taken)


def encode_description(description: Mapping[str, str | None]) -> dict[str, bytes]:
    """Return the attributes as they stand in a command, in its order; LocalProtocolError if one of
    them is not known, or is an address, a port or a protocol that is none.

    Values: NAME, HELO, LOGIN any text; ADDR, DESTADDR an address without brackets; PORT, DESTPORT 1
    to 65535; PROTO SMTP or ESMTP. None: not known."""
    if not description.keys() <= _READERS.keys():
        raise LocalProtocolError("XCLIENT has no such attribute")
    return {
        key: b"%b=%b" % (key.encode("ascii"), _encode(key, description[key]))
        for key in _READERS
        if key in description
    }


def pack(words: Mapping[str, bytes], taken: frozenset[bytes]) -> list[bytes]:
    """Spread encoded attributes over as few commands as possible; see `xclient_commands`."""
    if "ADDR" in words and b"ADDR" not in taken:
        return []
    lines: list[bytes] = []
    line = b""
    for key, word in words.items():
        if key.encode("ascii") not in taken:
            continue
        if line and len(line) + len(b" ") + len(word) > _ROOM:
            lines.append(line)
            line = b""
        line = line + b" " + word if line else word
    if line:
        lines.append(line)
    return [b"XCLIENT %b\r\n" % line for line in lines]


def parse_xclient(argument: bytes) -> dict[str, str | None]:
    """Read what follows "XCLIENT "; a value of None means that the peer does not know it.

    CommandError, with a reply 501 5.5.4, at whatever is not in order. Addresses come without their
    prefix and as IPv4 if they are (::ffff:192.0.2.1)."""
    if len(argument) > _ROOM:
        raise _bad("XCLIENT command too long")
    attributes: dict[str, str | None] = {}
    for word in argument.split(b" "):
        if not word:
            continue  # more blanks than one harm nobody
        name, equals, value = word.partition(b"=")
        key = name.decode("ascii", "replace").upper()
        if not equals or key not in _READERS:
            raise _bad("unknown XCLIENT attribute")
        if key in attributes:
            raise _bad("XCLIENT attribute given twice")
        attributes[key] = _decode(key, value)
    if not attributes:
        raise _bad("XCLIENT needs attributes")
    return attributes


def _encode(key: str, value: str | None) -> bytes:
    if value is None:
        return _ABSENT
    try:
        # The zone of a link-local address ("%eth0") is ours, and means nothing to others.
        plain = _READERS[key](value.partition("%")[0] if key in _ADDRESSES else value)
    except ValueError:
        if key in _FREE:
            return _ABSENT
        raise LocalProtocolError(f"bad {key} for XCLIENT") from None
    if ":" in plain and key in _ADDRESSES:
        plain = "IPV6:" + plain
    text = _not_xchar.sub(lambda found: b"+%02X" % found[0][0], plain.encode("utf-8"))
    # Escapes can make three bytes of each: one attribute never takes more than a command.
    return text if len(key) + len("=") + len(text) <= _ROOM else _ABSENT


def _decode(key: str, value: bytes) -> str | None:
    if value.upper() in _NOT_KNOWN:
        return None
    if not _is_xtext(value):
        raise _bad("bad XCLIENT value")
    try:
        text = _hexchar.sub(lambda found: bytes([int(found[1], 16)]), value).decode("utf-8")
        if key in _ADDRESSES:
            text = _without_prefix(text)
        return _READERS[key](text)
    except ValueError:  # a UnicodeDecodeError is one, too
        raise _bad("bad XCLIENT value") from None


def _without_prefix(text: str) -> str:
    if text[:5].upper() == "IPV6:":
        return text[5:]
    if ":" in text:
        raise ValueError(text)
    return text


def _bad(text: str) -> CommandError:
    return CommandError(Reply.of(501, "5.5.4", text))


# --- what a value may be; each reader gives it in one form, or raises ValueError ------------


def _read_address(text: str) -> str:
    if "%" in text:
        raise ValueError(text)
    address = ipaddress.ip_address(text)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _read_port(text: str) -> str:
    if not _is_port(text) or not 1 <= int(text) <= 65_535:
        raise ValueError(text)
    return str(int(text))


def _read_protocol(text: str) -> str:
    if text.upper() not in {"SMTP", "ESMTP"}:
        raise ValueError(text)
    return text.upper()


def _read_name(text: str) -> str:
    if not _is_name(text):
        raise ValueError(text)
    return _read_text(text)


def _read_text(text: str) -> str:
    # Printable: no line's end, and no mark that would turn the direction of a log's text.
    if not text or not text.isprintable() or len(text) > _VALUE_CHARACTERS:
        raise ValueError(text)
    return text


# In the order in which a command has them: ADDR must come last.
_READERS: dict[str, Callable[[str], str]] = {
    "NAME": _read_name,
    "PORT": _read_port,
    "PROTO": _read_protocol,
    "HELO": _read_text,
    "LOGIN": _read_text,
    "DESTADDR": _read_address,
    "DESTPORT": _read_port,
    "ADDR": _read_address,
}
_ADDRESSES = ("ADDR", "DESTADDR")
_FREE = ("NAME", "HELO", "LOGIN")  # what a stranger chose
