"""
What a server offers in its EHLO reply
======================================
A proxy may offer its clients only what the server behind it can do, for the extensions that go
from end to end (8BITMIME, SMTPUTF8, DSN, DELIVERBY, MT-PRIORITY, REQUIRETLS, AUTH). PIPELINING,
SIZE, CHUNKING, STARTTLS and XCLIENT go from hop to hop. BINARYMIME is never offered: its messages
could not be handed on as DATA.

>>> backend = Capabilities.from_ehlo([b"mx.example.org", b"SIZE 5000", b"DSN", b"CHUNKING"])
>>> own = Capabilities(size=9000, size_offered=True, eightbitmime=True, dsn=True, starttls=True)
>>> Capabilities.offered(own, backend).ehlo_keywords()
(b'PIPELINING', b'SIZE 5000', b'DSN', b'STARTTLS')

What a client may use at the moment is for ServerSession to say: it hides STARTTLS under TLS, AUTH
and REQUIRETLS without it, and XCLIENT from all but listed fronts.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_SIZE_DIGITS = 20  # RFC 1870, section 3
_BY_DIGITS = 9  # RFC 2852, section 4
# What a server names goes into an EHLO reply of ours: only harmless words, and not many of them.
_WORDS = 16
_is_mechanism = re.compile(rb"[A-Z0-9_-]{1,20}").fullmatch  # RFC 4422, section 3.1
_is_attribute = re.compile(rb"[A-Z]{1,16}").fullmatch
_limit = re.compile(rb"(RCPTMAX|MAILMAX|RCPTDOMAINMAX)=([1-9][0-9]{0,5})").fullmatch  # RFC 9422

PASS_THROUGH = (b"*",)  # as `auth` of a proxy: whatever mechanisms the server behind it has
_EXTENSION_OF = {
    "SIZE": "size_offered",
    "BODY": "eightbitmime",
    "SMTPUTF8": "smtputf8",
    "RET": "dsn",
    "ENVID": "dsn",
    "NOTIFY": "dsn",
    "ORCPT": "dsn",
    "BY": "deliverby",
    "MT-PRIORITY": "mt_priority",
    "REQUIRETLS": "requiretls",
    "AUTH": "auth",
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
    starttls: bool = False
    auth: tuple[bytes, ...] = ()  # mechanisms, upper case
    chunking: bool = False
    binarymime: bool = False
    deliverby: bool = False
    deliverby_minimum: int = 0  # seconds; 0: none was named (RFC 2852, section 4)
    mt_priority: bool = False
    requiretls: bool = False
    limits: tuple[tuple[bytes, int], ...] = ()  # RFC 9422: RCPTMAX, MAILMAX, RCPTDOMAINMAX
    xclient: frozenset[bytes] = frozenset()  # names of attributes that may be told

    @classmethod
    def from_ehlo(cls, lines: Iterable[bytes]) -> "Capabilities":
        """Read the lines of an EHLO reply; the first is the server's greeting, no keyword."""
        words = [line.upper().split() for line in list(lines)[1:]]
        found = {entry[0]: entry[1:] for entry in words if entry}
        limits = (_limit(word) for word in found.get(b"LIMITS", [])[:_WORDS])
        return cls(
            size=_number(found.get(b"SIZE", []), _SIZE_DIGITS),
            eightbitmime=b"8BITMIME" in found,
            smtputf8=b"SMTPUTF8" in found,
            dsn=b"DSN" in found,
            pipelining=b"PIPELINING" in found,
            enhancedstatuscodes=b"ENHANCEDSTATUSCODES" in found,
            size_offered=b"SIZE" in found,
            starttls=b"STARTTLS" in found,
            auth=tuple(filter(_is_mechanism, found.get(b"AUTH", [])[:_WORDS])),
            chunking=b"CHUNKING" in found,
            binarymime=b"BINARYMIME" in found,
            deliverby=b"DELIVERBY" in found,
            deliverby_minimum=_number(found.get(b"DELIVERBY", []), _BY_DIGITS) or 0,
            mt_priority=b"MT-PRIORITY" in found,
            requiretls=b"REQUIRETLS" in found,
            limits=tuple((limit[1], int(limit[2])) for limit in limits if limit),
            xclient=frozenset(filter(_is_attribute, found.get(b"XCLIENT", [])[:_WORDS])),
        )

    @staticmethod
    def offered(own: "Capabilities", backend: "Capabilities") -> "Capabilities":
        """Return what a proxy with `own` abilities may offer in front of `backend`.

        own.requiretls means that our connection to the backend is under TLS, own.auth is
        PASS_THROUGH or empty. `deliverby_minimum` and `limits` are the stricter of both.
        """
        sizes = [size for size in (own.size, backend.size) if size is not None]
        deliverby = own.deliverby and backend.deliverby
        return Capabilities(
            size=min(sizes, default=None),
            eightbitmime=own.eightbitmime and backend.eightbitmime,
            smtputf8=own.smtputf8 and backend.smtputf8,
            dsn=own.dsn and backend.dsn,
            pipelining=True,  # a matter between the client and us: ServerSession always can
            enhancedstatuscodes=own.enhancedstatuscodes and backend.enhancedstatuscodes,
            size_offered=own.size_offered or own.size is not None,  # we check it ourselves
            starttls=own.starttls,
            auth=backend.auth if own.auth else (),
            chunking=own.chunking,  # ServerSession makes DATA of it
            deliverby=deliverby,
            deliverby_minimum=(
                max(own.deliverby_minimum, backend.deliverby_minimum) if deliverby else 0
            ),
            mt_priority=own.mt_priority and backend.mt_priority,
            requiretls=own.requiretls and backend.requiretls,
            limits=_stricter(own.limits, backend.limits),
            xclient=own.xclient,
        )

    def takes(self, keyword: str) -> bool:
        """Whether this parameter (upper case) of MAIL or RCPT belongs to what is offered."""
        return keyword in _EXTENSION_OF and bool(getattr(self, _EXTENSION_OF[keyword]))

    def ehlo_keywords(self) -> tuple[bytes, ...]:
        """Return the keyword lines of an EHLO reply."""
        limits, minimum = (b"%b=%d" % limit for limit in self.limits), self.deliverby_minimum
        offers = (
            (self.pipelining, b"PIPELINING"),
            (self.size_offered, b"SIZE" if self.size is None else b"SIZE %d" % self.size),
            (self.eightbitmime, b"8BITMIME"),
            (self.smtputf8, b"SMTPUTF8"),
            (self.dsn, b"DSN"),
            (self.enhancedstatuscodes, b"ENHANCEDSTATUSCODES"),
            (self.starttls, b"STARTTLS"),
            (self.auth, b" ".join((b"AUTH", *self.auth))),
            (self.chunking, b"CHUNKING"),
            (self.binarymime, b"BINARYMIME"),
            (self.deliverby, b"DELIVERBY %d" % minimum if minimum else b"DELIVERBY"),
            (self.mt_priority, b"MT-PRIORITY"),
            (self.requiretls, b"REQUIRETLS"),
            (self.limits, b" ".join((b"LIMITS", *limits))),
            (self.xclient, b" ".join((b"XCLIENT", *sorted(self.xclient)))),
        )
        return tuple(keyword for offered, keyword in offers if offered)


def _number(words: list[bytes], digits: int) -> int | None:
    """Zero and a missing or unreadable number all mean: no limit is known."""
    if not words or not words[0].isdigit() or len(words[0]) > digits:
        return None
    return int(words[0]) or None


def _stricter(
    one: tuple[tuple[bytes, int], ...], other: tuple[tuple[bytes, int], ...]
) -> tuple[tuple[bytes, int], ...]:
    limits = dict(one)
    for name, value in other:
        limits[name] = min(value, limits.get(name, value))
    return tuple(limits.items())
