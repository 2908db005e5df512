"""
What the rules are asked about
==============================
A `Session` is what is known of one client for as long as it stays: it is made by the door at which
the client came in. A `Message` is one mail of it; `Subject` is one question to the rules: may this
recipient (RCPT stage), may this message (DATA stage). All of it is text from strangers.

>>> session = Session("192.0.2.7", helo="mx.example.net")
>>> subject = Subject(session, Mail("<a@example.net>"), "<b@example.org>", now=0.0)
>>> subject.session.properties
{}
"""

from dataclasses import dataclass, field

from Kamaelia.Apps.Grey.Core.Access.Questions import LookupFailed, Question
from Kamaelia.Apps.Grey.Core.Access.Rates import Rates
from Kamaelia.Apps.Grey.Core.Access.Site import Site

Answers = dict[Question, object]

_NOWHERE = Site()


@dataclass(slots=True)
class Session:
    """One client. `client`: its address, "" if it has none (a local socket). `name`: the host name
    that the MTA gave; None: nobody has looked, so it is to be asked for. `tls_subject`: of a client
    certificate that was verified. `macros`: milter macros, without braces. Text without < >."""

    client: str
    name: str | None = None
    helo: str = ""
    auth_user: str = ""
    tls_subject: str = ""
    tls_version: str = ""
    macros: dict[str, str] = field(default_factory=dict)
    properties: dict[str, "Property"] = field(default_factory=dict)
    local_address: str = ""
    session_id: str = ""
    tarpitted: float = 0.0  # seconds that it has waited already
    counted: set[tuple[str, str]] = field(default_factory=set)  # rates that know of this session


@dataclass(slots=True)
class Property:
    """One of `set`, `rset` and what look-ups brought. `fleeting`: gone at the next recipient."""

    name: str
    value: str
    fleeting: bool = False
    recipient: str = ""


@dataclass(slots=True)
class Mail:
    """One message: reset at MAIL. Senders and recipients with < >, as the client gave them
    (`raw_sender`), or cleaned as Core.Normalise does (`sender`)."""

    sender: str
    raw_sender: str = ""
    recipients: list[str] = field(default_factory=list)  # those that were accepted
    queue_id: str = ""
    content: "Content | None" = None
    captures: list[str] = field(default_factory=list)  # groups of the latest clauses, newest first


@dataclass(slots=True)
class Content:
    """What the DATA stage sees. headers: "Name: value\\r\\n", folding kept; chunks: blocks of whole
    lines of the body, up to maxpeek bytes in all; size: bytes of the whole message."""

    message_id: int
    headers: list[str]
    chunks: list[str]
    size: int


@dataclass(slots=True)
class Subject:
    """One question to the rules. `recipient` is "" in the DATA stage. `now`: seconds since the
    epoch. `local`: (minute, hour, day of month, month 1-12, day of week with Sunday 0) there."""

    session: Session
    mail: Mail
    recipient: str
    now: float
    local: tuple[int, int, int, int, int] = (0, 0, 1, 1, 0)
    answers: Answers = field(default_factory=dict)
    matched_lists: list[str] = field(default_factory=list)  # names of DNSRBLs, newest first
    # What is about to be said, by %-codes: Xc Xe Xm Xh (code, enhanced code, text, X-Greylist), S
    # (accept, tempfail, reject), t (tarpit), and E, R (seconds waited, seconds still to wait).
    reply: "dict[str, str]" = field(default_factory=dict)
    rule_line: int = 0  # %cA: of the rule that is being looked at
    rule_id: str = ""  # %ca
    decided_line: int = 0  # %A: of the rule that decided
    decided_id: str = ""  # %a
    # For how many seconds this client has been kept waiting for this recipient once, and hung up.
    endured: float | None = None
    site: Site = _NOWHERE  # set by Evaluate, as all below
    rates: Rates | None = None
    counted: set[tuple[str, str]] = field(default_factory=set)  # rates that know of this question
    matched_property: Property | None = None  # %pn %pv %pr: the latest that a clause compared
    lines: list[str] = field(default_factory=list)  # what `log` clauses wrote
    found: dict[str, str] = field(default_factory=dict)  # what a look-up says instead of its rule

    def answer(self, question: Question) -> "object | None":
        """What is known; None: it has to be asked. A LookupFailed: it cannot be known."""
        return self.answers.get(question)


__all__ = ["Answers", "Content", "LookupFailed", "Mail", "Property", "Session", "Subject"]
