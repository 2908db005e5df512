"""
What mail exchangers tell each other, and its lines
===================================================
Machines that greylist the same mail tell each other what they have seen, in the lines of
milter-greylist's MX sync (TCP port 5252). Three things are told:

>>> seen = Add("192.0.2.30", "<s@example.org>", "<r@example.net>", 1795290020)
>>> passed = Delete("192.0.2.30", "<s@example.org>", "<r@example.net>", 1795290020, 1795293621)
>>> to_line(seen, version=3)
b'add addr 192.0.2.30 from <s@example.org> rcpt <r@example.net> date 1795290020\\r\\n'
>>> to_line(Flush("192.0.2.30"), version=3)
b'flush addr 192.0.2.30\\r\\n'

There are three versions. Version 1 has add and del; 2 has del2, which says until when the mail may
pass; 3 has flush:

>>> to_line(passed, version=2)[-31:], to_line(passed, version=1)[-18:]
(b'date 1795290020 aw 1795293621\\r\\n', b' date 1795290020\\r\\n')
>>> to_line(Flush("192.0.2.30"), version=2) is None
True

and back:

>>> read_command("del2 addr ::1 from <a@b> rcpt <c@d> date 5 aw 9".split())
Delete(address='::1', sender='<a@b>', recipient='<c@d>', date=5, until=9)

Rules. Words are separated by blanks, so none may have one inside, nor anything else that is not
printable ASCII; they are looked at on the way in and on the way out. Capitals count. Addresses are
written in their shortest form, and IPv4 in the dress of IPv6 as IPv4: a real peer compares them as
text. A line has at most 511 bytes. Dates are seconds since 1970, from 0 to the end of the year
9999; a real peer reads 32 bits of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import TypeAlias

from Kamaelia.Exceptions import LocalProtocolError, ProtocolError

PORT = 5252
NEWEST_VERSION = 3
LINE_BYTES = 511  # with its end
WORD_BYTES = 324  # of a sender or recipient: a real peer cuts them there
LATEST_DATE = 253_402_300_799  # beyond that nobody could print it as a date
_SHOWN = 60  # characters of what a stranger said that are repeated
_DEL2_SINCE, _FLUSH_SINCE = 2, 3


@dataclass(frozen=True, slots=True)
class Add:
    """A stranger has tried. date: when this mail may pass (seconds since 1970)."""

    address: str
    sender: str
    recipient: str
    date: int


@dataclass(frozen=True, slots=True)
class Delete:
    """He waits no longer. date: the one that was told before, of the Add or of the Delete that this
    one renews. until: when his passing ends; not above `date`, or gone by: at once. None: the
    receiver's own time from now on, all that version 1 can say."""

    address: str
    sender: str
    recipient: str
    date: int
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Flush:
    """All that is known of this address is to be forgotten."""

    address: str


Command: TypeAlias = Add | Delete | Flush

_KEYWORDS = {
    "add": ("addr", "from", "rcpt", "date"),
    "del": ("addr", "from", "rcpt", "date"),
    "del2": ("addr", "from", "rcpt", "date", "aw"),
    "flush": ("addr",),
}


class SyncLineError(ProtocolError):
    """A peer's line is no command of ours. Its text is the answer, without a line end."""


def to_line(command: Command, version: int) -> bytes | None:
    """Return the line that says this to a peer of that version (1 to 3), CR LF included.

    None: that version has no words for it. Raises LocalProtocolError if no version has: a word with
    a blank in it, something that is no address, a line that is too long."""
    address = plain_address(command.address)
    if address is None:
        raise LocalProtocolError("a sync line needs an IP address")
    if isinstance(command, Flush):
        if version < _FLUSH_SINCE:
            return None
        return f"flush addr {address}\r\n".encode("ascii")
    until = command.until if isinstance(command, Delete) else None
    if not (is_word(command.sender) and is_word(command.recipient)):
        raise LocalProtocolError("a sync line needs addresses of mail without blanks")
    if not (is_date(command.date) and (until is None or is_date(until))):
        raise LocalProtocolError("a sync line needs dates from 1970 to 9999")
    verb = "add" if isinstance(command, Add) else "del"
    end = ""
    if until is not None and version >= _DEL2_SINCE:
        verb, end = "del2", f" aw {until}"
    line = (
        f"{verb} addr {address} from {command.sender} rcpt {command.recipient}"
        f" date {command.date}{end}\r\n"
    )
    if len(line) > LINE_BYTES:
        raise LocalProtocolError(f"a sync line of more than {LINE_BYTES} bytes")
    return line.encode("ascii")


def read_command(words: Sequence[str]) -> Command:
    """Return what a line says, given its words. Raises SyncLineError."""
    if not words:
        raise SyncLineError("101 No command")
    verb, values = words[0], []
    keywords = _KEYWORDS.get(verb)
    if keywords is None:
        raise SyncLineError(f'102 Invalid command "{shown(verb)}"')
    for at, keyword in enumerate(keywords):
        found = words[2 * at + 1 : 2 * at + 3]
        if found and found[0] != keyword:
            raise _unexpected(found[0])
        if len(found) < 2:
            raise SyncLineError("103 Incomplete command")
        values.append(found[1])
    if len(words) > 2 * len(keywords) + 1:
        raise _unexpected(words[2 * len(keywords) + 1])
    address = plain_address(values[0])
    if address is None:
        raise SyncLineError("107 Invalid IP address")
    if verb == "flush":
        return Flush(address)
    sender, recipient = (_read_word(word) for word in values[1:3])
    dates = [_read_date(word) for word in values[3:]]
    if verb == "add":
        return Add(address, sender, recipient, dates[0])
    return Delete(address, sender, recipient, dates[0], dates[1] if verb == "del2" else None)


def plain_address(text: str) -> str | None:
    """Return an IP address as it is written to a peer; None: it is none, or one with a zone, which
    means something to its own machine only."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return None
        return str(address.ipv4_mapped or address)
    return str(address)


def is_word(text: str) -> bool:
    """Whether a sender or recipient can be a word of a line."""
    return 0 < len(text) <= WORD_BYTES and _is_visible(text)


def is_date(number: int) -> bool:
    """Whether it can be the date of a line."""
    return 0 <= number <= LATEST_DATE


def shown(text: str) -> str:
    """Return what somebody said in a form that may be repeated: printable, and not for ever."""
    return "".join(letter if " " <= letter <= "~" else "?" for letter in text[:_SHOWN])


def _is_visible(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def _read_word(text: str) -> str:
    if not is_word(text):
        raise _unexpected(text)
    return text


def _read_date(text: str) -> int:
    if text.isascii() and text.isdigit() and is_date(number := int(text)):
        return number
    raise _unexpected(text)


def _unexpected(word: str) -> SyncLineError:
    return SyncLineError(f'104 Unexpected keyword "{shown(word)}"')
