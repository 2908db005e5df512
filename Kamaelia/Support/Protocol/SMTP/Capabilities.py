"""
What a server offers in its EHLO reply
======================================
A proxy may offer its clients only what the server behind it can do, for the extensions that go
from end to end (8BITMIME, SMTPUTF8, DSN). PIPELINING and SIZE go from hop to hop.

>>> backend = Capabilities.from_ehlo([b"mx.example.org", b"SIZE 5000", b"DSN", b"CHUNKING"])
>>> own = Capabilities(size=9000, size_offered=True, eightbitmime=True, dsn=True)
>>> Capabilities.offered(own, backend).ehlo_keywords()
(b'PIPELINING', b'SIZE 5000', b'DSN')
"""

from collections.abc import Iterable
from dataclasses import dataclass

_SIZE_DIGITS = 20  # RFC 1870, section 3
_EXTENSION_OF = {
    "SIZE": "size_offered",
    "BODY": "eightbitmime",
    "SMTPUTF8": "smtputf8",
    "RET": "dsn",
    "ENVID": "dsn",
    "NOTIFY": "dsn",
    "ORCPT": "dsn",
}


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The extensions that matter to us; a keyword we do not know is not offered to anybody."""

    size: int | None = None  # None: no fixed limit was named
    eightbitmime: bool = False
    smtputf8: bool = False
    dsn: bool = False
    pipelining: bool = False
    enhancedstatuscodes: bool = False
    size_offered: bool = False  # SIZE may stand there without a number (RFC 1870, section 4)

    @classmethod
    def from_ehlo(cls, lines: Iterable[bytes]) -> "Capabilities":
        """Read the lines of an EHLO reply; the first is the server's greeting, no keyword."""
        words = [line.upper().split() for line in list(lines)[1:]]
        found = {entry[0]: entry[1:] for entry in words if entry}
        return cls(
            size=_size(found.get(b"SIZE", [])),
            eightbitmime=b"8BITMIME" in found,
            smtputf8=b"SMTPUTF8" in found,
            dsn=b"DSN" in found,
            pipelining=b"PIPELINING" in found,
            enhancedstatuscodes=b"ENHANCEDSTATUSCODES" in found,
            size_offered=b"SIZE" in found,
        )

    @staticmethod
    def offered(own: "Capabilities", backend: "Capabilities") -> "Capabilities":
        """Return what a proxy with `own` abilities may offer in front of `backend`."""
        sizes = [size for size in (own.size, backend.size) if size is not None]
        return Capabilities(
            size=min(sizes, default=None),
            eightbitmime=own.eightbitmime and backend.eightbitmime,
            smtputf8=own.smtputf8 and backend.smtputf8,
            dsn=own.dsn and backend.dsn,
            pipelining=True,  # a matter between the client and us: ServerSession always can
            enhancedstatuscodes=own.enhancedstatuscodes and backend.enhancedstatuscodes,
            size_offered=own.size_offered or own.size is not None,  # we check it ourselves
        )

    def takes(self, keyword: str) -> bool:
        """Whether this parameter (upper case) of MAIL or RCPT belongs to what is offered."""
        return keyword in _EXTENSION_OF and bool(getattr(self, _EXTENSION_OF[keyword]))

    def ehlo_keywords(self) -> tuple[bytes, ...]:
        """Return the keyword lines of an EHLO reply."""
        size = b"SIZE" if self.size is None else b"SIZE %d" % self.size
        offers = (
            (self.pipelining, b"PIPELINING"),
            (self.size_offered, size),
            (self.eightbitmime, b"8BITMIME"),
            (self.smtputf8, b"SMTPUTF8"),
            (self.dsn, b"DSN"),
            (self.enhancedstatuscodes, b"ENHANCEDSTATUSCODES"),
        )
        return tuple(keyword for offered, keyword in offers if offered)


def _size(words: list[bytes]) -> int | None:
    """Zero and a missing or unreadable number all mean: no limit is known."""
    if not words or not words[0].isdigit() or len(words[0]) > _SIZE_DIGITS:
        return None
    return int(words[0]) or None
