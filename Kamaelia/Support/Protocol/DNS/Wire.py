"""
One question as bytes, and what a reply to it says
==================================================
The only module that knows dnspython, and of it only what makes and reads messages: names, the
message format with its compression, and chains of CNAMEs.

>>> query = Query(name_of("example.org", "A"), "A", number=4711)
>>> query.read(b"anything else") is None
True

Rules for a reply (RFC 5452): it has our number, and our question to the letter; anything else is
None, as if it had not come. Whether it came from where we sent the question to is for the socket to
know.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum, auto
from ipaddress import ip_address
from random import Random
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from Kamaelia.Exceptions import ProtocolError
from Kamaelia.Support.Protocol.DNS.Messages import MX, SOA, SRV, Failure, Outcome, Record

Name = dns.name.Name

LONGEST_NAME_TEXT = 1_100  # 255 bytes, each of them escaped
LONGEST_REPLY = 65_535
PAYLOAD = 1232  # no datagram of this size is ever cut into pieces, which others could forge
RECORDS_LIMIT = 256  # of one answer; no honest one has as many
# So many of a reply are read. Each may have a name of 127 labels in two bytes: to read the 5000
# that there is room for takes a second, in which nothing else happens.
MOST_RECORDS = 512

_FORGIVEN = frozenset({dns.rcode.FORMERR, dns.rcode.NOTIMP, dns.rcode.BADVERS})
_letters = re.compile(rb"[A-Za-z]").sub


class BadNameError(ProtocolError):
    """This cannot be asked for."""


class Trouble(Enum):
    """A reply that does not settle it."""

    TRUNCATED = auto()  # more than a datagram holds: ask by TCP
    NO_EDNS = auto()  # the server may know only the DNS of 1987
    REFUSED = auto()  # it cannot or will not say
    NONSENSE = auto()  # a loop of CNAMEs, or records of a name that is said not to exist


def name_of(text: str, kind: str) -> Name:
    """The name to ask for. Raises BadNameError."""
    try:
        address = ip_address(text)
    except ValueError:
        pass
    else:
        if kind != "PTR":
            raise BadNameError(f"{text} is an address, not a name")
        text = address.reverse_pointer
    if text in ("", "@") or len(text) > LONGEST_NAME_TEXT:
        raise BadNameError(f"no name: {text[:60]!r}")
    try:
        return dns.name.from_text(text)
    except (dns.exception.DNSException, UnicodeError) as error:
        raise BadNameError(f"no name: {text[:60]!r}: {error}") from error


def text_of(name: Name) -> str:
    return name.to_text(omit_final_dot=True)


def key_of(name: Name) -> str:
    """The same for all spellings of a name."""
    return text_of(name.canonicalize())


class Query:
    """Query(name, kind, number, edns=True, mixer=None) -> what to send is `wire`.

    number: unguessable, of 16 bits. mixer: where capitals come from, or None."""

    def __init__(
        self, name: Name, kind: str, number: int, edns: bool = True, mixer: Random | None = None
    ) -> None:
        self._name = name if mixer is None else _mixed(name, mixer)
        self._edns = edns
        payload = PAYLOAD if edns else None  # without one there is no EDNS
        self._message = dns.message.make_query(self._name, kind, id=number, payload=payload)
        self.kind = kind
        self.wire = self._message.to_wire()

    def read(self, wire: bytes) -> Outcome | Trouble | None:
        """What a reply says, or None if this is none to our question."""
        first = _first_records(wire)
        cut = first is not wire
        try:
            message = dns.message.from_wire(
                first, keyring=False, raise_on_truncation=True, ignore_trailing=cut
            )
        except dns.message.Truncated as truncated:
            message = truncated.message()  # type: ignore[no-untyped-call]
        except dns.exception.DNSException:
            return None
        if not isinstance(message, dns.message.QueryMessage) or not self._is_answered_by(message):
            return None
        if message.flags & dns.flags.TC:
            return Trouble.TRUNCATED
        code = message.rcode()
        if code not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            return Trouble.NO_EDNS if self._edns and code in _FORGIVEN else Trouble.REFUSED
        return self._understood(message, len(wire))

    def _is_answered_by(self, message: dns.message.Message) -> bool:
        return self._message.is_response(message) and all(
            rrset.name.labels == self._name.labels for rrset in message.question
        )

    def _understood(self, message: dns.message.QueryMessage, size: int) -> Outcome | Trouble:
        try:
            chain = message.resolve_chaining()
        except dns.exception.DNSException:
            return Trouble.NONSENSE
        ttl, failure = float(chain.minimum_ttl), None
        if chain.answer is None:
            failure = Failure.NXDOMAIN if message.rcode() == dns.rcode.NXDOMAIN else Failure.NODATA
            if not _has_soa(message, chain.canonical_name):
                if not message.flags & (dns.flags.AA | dns.flags.RA):
                    return Trouble.REFUSED  # it only knows whom else to ask
                ttl = 0.0  # RFC 2308 section 5: nobody said for how long
        records = _records(chain.answer, self.kind)
        name = text_of(chain.canonical_name)
        return Outcome(records, ttl, failure, name, size)


def _first_records(wire: bytes) -> bytes:
    """The message, saying that it has no more than MOST_RECORDS."""
    left = MOST_RECORDS
    counts = b""
    for at in (6, 8, 10):  # answer, authority, additional
        count = min(int.from_bytes(wire[at : at + 2]), left)
        left -= count
        counts += count.to_bytes(2)
    return wire[:6] + counts + wire[12:] if left == 0 else wire


def _has_soa(message: dns.message.Message, name: Name) -> bool:
    return any(
        rrset.rdtype == dns.rdatatype.SOA and name.is_subdomain(rrset.name)
        for rrset in message.authority
    )


def _mixed(name: Name, mixer: Random) -> Name:
    def mix(letter: re.Match[bytes]) -> bytes:
        return letter[0].upper() if mixer.getrandbits(1) else letter[0].lower()

    return Name(_letters(mix, label) for label in name.labels)


def _records(rrset: dns.rrset.RRset | None, kind: str) -> tuple[Record, ...]:
    if rrset is None:
        return ()
    read = _READERS[kind]
    return tuple(read(item) for item in list(rrset)[:RECORDS_LIMIT])


def _address(item: Any) -> str:  # noqa: ANN401 - dnspython makes a class for each kind
    return str(item.address)


def _target(item: Any) -> str:  # noqa: ANN401
    return text_of(item.target)


def _mx(item: Any) -> MX:  # noqa: ANN401
    return MX(item.preference, text_of(item.exchange))


def _srv(item: Any) -> SRV:  # noqa: ANN401
    return SRV(item.priority, item.weight, item.port, text_of(item.target))


def _soa(item: Any) -> SOA:  # noqa: ANN401
    times = (item.serial, item.refresh, item.retry, item.expire, item.minimum)
    return SOA(text_of(item.mname), text_of(item.rname), *times)


def _txt(item: Any) -> bytes:  # noqa: ANN401
    return b"".join(item.strings)


_READERS: dict[str, Callable[[Any], Record]] = {
    "A": _address,
    "AAAA": _address,
    "CNAME": _target,
    "MX": _mx,
    "NS": _target,
    "PTR": _target,
    "SOA": _soa,
    "SRV": _srv,
    "TXT": _txt,
}


class Frames:
    """Frames() -> the messages in a TCP stream, each behind its length (RFC 1035, 4.2.2)."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def receive_data(self, data: bytes) -> None:
        self._buffer += data  # read only as far as one message: see `wanted`

    @property
    def wanted(self) -> int:
        """How many bytes the next message still lacks; of its length, if that is not there."""
        return self._end() - len(self._buffer)

    def message(self) -> bytes | None:
        """The next one, once it is complete."""
        end = self._end()
        if end == 2 or len(self._buffer) < end:
            return None
        found = bytes(self._buffer[2:end])
        del self._buffer[:end]
        return found

    def _end(self) -> int:
        return 2 + int.from_bytes(self._buffer[:2]) if len(self._buffer) >= 2 else 2


def framed(wire: bytes) -> bytes:
    return len(wire).to_bytes(2) + wire
