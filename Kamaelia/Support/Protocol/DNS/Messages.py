"""
What is asked of a resolver, and what it says
=============================================
>>> question = Question("example.org", "MX", tag=7)
>>> answer = Answer(question, (MX(10, "mail.example.org"),), ttl=3600)
>>> answer.records[0].host, answer.failure, answer.question.tag
('mail.example.org', None, 7)

What the records of an `Answer` are is said by the kind of its question:

    A, AAAA          str: an address
    CNAME, NS, PTR   str: a host name, without a dot at its end (the root is ".")
    MX, SOA, SRV     the dataclass of that name
    TXT              bytes: the strings of one record, joined

Names are what the DNS says. They may hold whatever somebody wrote there: in them a byte that is no
printable ASCII, and a dot or backslash inside a label, is escaped with a backslash.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Protocol


class Kind(StrEnum):
    """The types of records that can be asked for."""

    A = "A"
    AAAA = "AAAA"
    CNAME = "CNAME"
    MX = "MX"
    NS = "NS"
    PTR = "PTR"
    SOA = "SOA"
    SRV = "SRV"
    TXT = "TXT"


class Failure(Enum):
    """Why there are no records."""

    NXDOMAIN = "there is no such name"
    NODATA = "the name has no record of this type"
    BAD_NAME = "this cannot be a name"
    SERVFAIL = "every server refused or failed"
    BAD_REPLY = "the servers' replies make no sense"
    TIMEOUT = "no server replied in time"
    UNREACHABLE = "no server can be reached"
    OVERLOADED = "too many questions at once"
    STOPPED = "the resolver was stopped"

    @property
    def temporary(self) -> bool:
        """Nobody knows: another time there may be records. The others are facts."""
        return self not in _FACTS


_FACTS = frozenset({Failure.NXDOMAIN, Failure.NODATA, Failure.BAD_NAME})


class Deliverable(Protocol):
    """An inbox."""

    def deliver(self, message: object) -> None: ...


class Addressee(Protocol):
    """A component, as far as an answer needs one."""

    @property
    def inboxes(self) -> Mapping[str, Deliverable]: ...


ReplyTo = tuple[Addressee, str]


@dataclass(frozen=True, slots=True)
class Question:
    """Question(name, kind="A", tag=None, reply_to=None) -> which records of this kind are there?

    name: taken as it is, nothing is ever added to it; for PTR an address will do. tag: the asker's
    own. reply_to: (component, inbox) that gets the answer; without, it comes out of "outbox".
    Raises ValueError or KeyError for a kind or a box that there is not."""

    name: str
    kind: str = Kind.A
    tag: object = None
    reply_to: ReplyTo | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        # Here, in the asker's code, and not in a resolver that many share.
        Kind(self.kind)
        if not isinstance(self.name, str):
            raise TypeError(f"a name is text, not {self.name!r:.60}")
        if self.reply_to is not None:
            addressee, boxname = self.reply_to
            if boxname not in addressee.inboxes:
                raise KeyError(f"{addressee!r:.60} has no inbox {boxname!r} for the answer")


@dataclass(frozen=True, slots=True)
class MX:
    """A mail server; the host "." says that the domain takes no mail (RFC 7505)."""

    preference: int
    host: str


@dataclass(frozen=True, slots=True)
class SRV:
    """Where a service is."""

    priority: int
    weight: int
    port: int
    host: str


@dataclass(frozen=True, slots=True)
class SOA:
    """Who answers for a zone, and its times in seconds."""

    primary: str
    mailbox: str
    serial: int
    refresh: int
    retry: int
    expire: int
    minimum: int


Record = str | bytes | MX | SRV | SOA


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was found out about a name: an `Answer` before it is known who asked.

    ttl: seconds for which it is true. canonical: the name at the end of the CNAMEs."""

    records: tuple[Record, ...] = ()
    ttl: float = 0.0
    failure: Failure | None = None
    canonical: str = ""
    size: int = 0  # bytes of the reply


@dataclass(frozen=True, slots=True)
class Answer:
    """The records, or the failure; ttl: whole seconds for which this stays true."""

    question: Question
    records: tuple[Record, ...] = ()
    ttl: int = 0
    failure: Failure | None = None
    canonical: str = ""

    @classmethod
    def of(cls, question: Question, outcome: Outcome) -> Answer:
        return cls(question, outcome.records, int(outcome.ttl), outcome.failure, outcome.canonical)
