"""
What a rule may have to ask the world
=====================================
A clause cannot wait: it has no socket and no clock. Where it needs to know something that is not in
the subject it gives a Question; whoever drives the evaluation finds the answer, puts it into
`Subject.answers` and goes on (see Evaluate.py). Questions are values: two that are equal are one
look-up, and what is remembered of an answer is remembered under its question.

A look-up that failed has a `LookupFailed` for its answer. What that means is a setting.

>>> Dnsrbl("dyn", "192.0.2.7") == Dnsrbl("dyn", "192.0.2.7")
True
"""

from dataclasses import dataclass, field
from enum import Enum


class SpfResult(Enum):
    """RFC 7208 section 2.6; the values are the words of greylist.conf."""

    PASS = "pass"  # noqa: S105 (not a password)
    FAIL = "fail"
    SOFTFAIL = "softfail"
    NEUTRAL = "neutral"
    UNKNOWN = "unknown"  # permerror
    ERROR = "error"  # temperror
    NONE = "none"


@dataclass(frozen=True, slots=True)
class HostName:
    """The client's forward-confirmed name: answer str, "" if it has none."""

    client: str


@dataclass(frozen=True, slots=True)
class Dnsrbl:
    """Whether the client is in that list of the file: answer bool."""

    list_name: str
    client: str


@dataclass(frozen=True, slots=True)
class Mx:
    """The addresses of a domain's mail servers: answer tuple[str, ...]."""

    domain: str


@dataclass(frozen=True, slots=True)
class Spf:
    """What the sender's domain says of that client: answer SpfAnswer. sender: "" for the null
    sender, whose identity is HELO."""

    client: str
    helo: str
    sender: str


@dataclass(frozen=True, slots=True)
class SpfAnswer:
    """domain: whose record it was; text: the explanation, for a header or a log."""

    result: SpfResult
    domain: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Country:
    """Where the client's address is: answer str, upper-case code, "ZZ" if unknown."""

    client: str


@dataclass(frozen=True, slots=True)
class P0f:
    """What p0f says of the client: answer str, genre and detail, "" if unknown."""

    client: str


@dataclass(frozen=True, slots=True)
class UrlCheck:
    """What an HTTP server says: answer LookupText. name: the urlcheck of the file; with_message:
    the message with that id is posted."""

    name: str
    url: str
    with_message: bool = False
    message_id: int = 0


@dataclass(frozen=True, slots=True)
class LdapCheck:
    """What a directory says: answer LookupText."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class LookupText:
    """`key: value` lines, keys in lower case, in the order in which they came; matched: whether it
    counts as a match (it said so)."""

    matched: bool
    lines: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Spamd:
    """What SpamAssassin says of the message with that id: answer SpamAnswer."""

    message_id: int


@dataclass(frozen=True, slots=True)
class SpamAnswer:
    """tenths: the score times ten."""

    is_spam: bool
    tenths: int


@dataclass(frozen=True, slots=True)
class Dkim:
    """Whether the signatures of the message with that id hold: answer SpfAnswer, with its words."""

    message_id: int


Question = HostName | Dnsrbl | Mx | Spf | Country | P0f | UrlCheck | LdapCheck | Spamd | Dkim


@dataclass(frozen=True, slots=True)
class LookupFailed:
    """The answer could not be found. reason: one line for the log, without control characters."""

    reason: str = field(compare=False)
