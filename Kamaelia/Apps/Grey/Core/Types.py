"""
What the greylister talks about
===============================
The messages and records of the decision. Every one of them is a frozen value, so that it can go
through boxes, threads and logs without anybody asking who may change it. Those of which several are
made for each decision are frozen for mypy only (see `message`).

The way of one recipient: a front door makes an `Attempt`, `Decide` turns it into a `Decision`,
the decision carries the `Record` to be merged into the store under its `Triplet`.

>>> attempt = Attempt("192.0.2.7", "mx.example.net", "a@example.net", "b@example.org", "k3f9",
...                   recipient_local="b", recipient_domain="example.org")
>>> attempt.sender
'a@example.net'
>>> Record.started(now=1_000).deferred
1
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Protocol, TypeVar

from Kamaelia.Apps.Grey.Core.Access.Questions import Question
from Kamaelia.Apps.Grey.Core.Access.Rule import Ruling
from Kamaelia.Apps.Grey.Core.Access.Subject import Mail, Session, Subject
from Kamaelia.Apps.Grey.Core.Modes import KeyKind, Mode
from Kamaelia.Apps.Grey.Core.Networks import Network, Networks

if TYPE_CHECKING:
    # A checker is told that these are frozen, and refuses whoever sets a field of one.
    from dataclasses import dataclass as message
else:
    _T = TypeVar("_T")
    _Decorator = Callable[[type[_T]], type[_T]]

    def message(*, frozen: bool, slots: bool, order: bool = False) -> _Decorator:
        """As dataclass(frozen=True), but not frozen when it runs: to set each field of a new object
        around the lock takes two thirds of its making, and a decision makes six."""
        return dataclass(slots=slots, order=order, unsafe_hash=frozen)


class Verdict(Enum):
    """What the peer is told about one recipient."""

    PASS = "pass"  # noqa: S105 (not a password)
    DEFER = "defer"
    REJECT = "reject"


class Reason(Enum):
    """Why. The values stand in the mail log: they are an interface, do not rename them."""

    ALLOWED_SENDER = "allowed-sender"
    ALLOWED_NETWORK = "allowed-network"
    AUTHENTICATED = "authenticated"  # to the mail server behind, which alone knows the passwords
    RELAY_DENIED = "relay-denied"
    BAD_ROUTING = "bad-routing"
    WHITELISTED_TRIPLE = "whitelisted-triple"
    WHITELISTED_HELO = "whitelisted-helo"
    NEW = "new"
    TOO_EARLY = "too-early"
    RETRIED = "retried"
    KNOWN = "known"
    EXPIRED_WINDOW = "expired-window"  # came back, but so late that it counts as new
    EXPIRED_PASS = "expired-pass"  # noqa: S105 (was known, but not heard of for too long)
    TOO_MANY = "too-many"  # new triplets from one network: deferred, and not remembered
    STORE_FAILED = "store-failed"
    OFF = "off"  # greylist_mode = off
    OPTED_OUT = "opted-out"  # the recipient, or its domain
    EXPECTED = "expected"  # somebody has asked to let this one in
    CERTIFICATE = "certificate"  # of the client, verified
    SPF_PASS = "spf-pass"  # noqa: S105 - not a password
    ACCESS_MAP = "access-map"  # the MTA's {greylist} macro
    RULE = "rule"  # of greylist.conf: see Decision.ruling
    LOOKUP_FAILED = "lookup-failed"  # and without it nobody can tell (lookup_failure = defer)
    BIG_SENDER = "big-sender"
    TRUSTED_LIST = "trusted-list"
    NOT_SUSPICIOUS = "not-suspicious"  # greylist_mode = suspicious
    CLIENT_KNOWN = "client-known"  # so many of its triplets have passed
    DELAYED_REJECT = "delayed-reject"  # the null sender hears it at the end of the message


class FailMode(Enum):
    """What to do with strangers while the store does not answer."""

    ACCEPT = "accept"
    DEFER = "defer"


class Deliverable(Protocol):
    """An inbox."""

    def deliver(self, message: object) -> None: ...


class Addressee(Protocol):
    """A component, as far as an answer needs one."""

    @property
    def inboxes(self) -> Mapping[str, Deliverable]: ...


@message(frozen=True, slots=True)
class Attempt:
    """One RCPT. Addresses are text without <>; an empty sender is the null sender of bounces.

    `recipient_local` and `recipient_domain` are the two sides of the last unquoted @ of
    `recipient`, as the parser saw them: nobody takes an address apart a second time.
    `authenticated`: the real mail server has taken this client's AUTH. `mta`: it is a mail server
    that asks, which decides by itself what it relays. The Decision goes to the box that `reply_to`
    names, which must have no limit; None: out of the decider's "outbox".
    """

    client: str
    helo: str
    sender: str
    recipient: str
    session: str
    recipient_local: str
    recipient_domain: str
    authenticated: bool = False
    mta: bool = False
    reply_to: tuple[Addressee, str] | None = field(default=None, compare=False, repr=False)
    # What the access rules are asked about; None: the door was told that nobody asks.
    subject: Subject | None = field(default=None, compare=False, repr=False)


@message(frozen=True, slots=True, order=True)
class Triplet:
    """The key of a record. Three fields, never one joined text: `a@b` + `c@d` and `a@bc` + `@d`
    must not meet. Made by `Normalise.triplet_of`, which keeps the fields short and encodable.
    """

    network: str
    sender: str
    recipient: str


@message(frozen=True, slots=True)
class Record:
    """What is remembered of a triplet; all times are whole seconds since the epoch.

    `generation` counts fresh starts: a retry after the window, or a pass that was not used for
    too long, begins the next one. It is what lets `Merge` tell a fresh start from an old news.
    `passed_at` is the time of the latest pass. The counts are lower bounds when several
    decisions or machines count at the same moment.

    `due` is set by the first try and by no other; among two, the smaller holds. `until` is set by
    each pass; among two, the larger holds.
    """

    generation: int
    first_seen: int
    last_seen: int
    passed_at: int | None
    deferred: int
    passed: int
    due: int = 0  # from then on a retry gets in
    until: int = 0  # the pass ends then; 0: none yet

    @classmethod
    def started(cls, now: int, generation: int = 0, delay: int = 0) -> "Record":
        """A triplet that has just been deferred for the first time, for `delay` seconds."""
        return cls(generation, now, now, passed_at=None, deferred=1, passed=0, due=now + delay)


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long records live. Deciding and sweeping both ask here, so they cannot disagree."""

    window_seconds: int
    pass_seconds: int

    def is_over(self, record: Record, now: int) -> bool:
        """True once the record says nothing any more. Times in the future are never over:
        a clock that was set back must not cost anybody a pass."""
        if record.passed_at is None:
            return now - record.due > self.window_seconds  # a deferral lives for delay and window
        return now > record.until

    @property
    def renew_seconds(self) -> int:
        """How old a pass must be for the next one to be worth remembering: known senders come all
        the time, and a pass of weeks loses nothing by being an hour longer or shorter."""
        return min(3600, self.pass_seconds // 100)


@dataclass(frozen=True, slots=True)
class TripleRule:
    """Always pass: client in `networks` and both addresses match. `*` stands for any text;
    the null sender is written as an empty pattern or as `<>`."""

    networks: Networks
    sender: str
    recipient: str


@dataclass(frozen=True, slots=True)
class HeloRule:
    """Always pass: for senders that change their envelope address but not their HELO name."""

    helo: str
    networks: Networks
    recipient: str


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything a decision depends on, besides the attempt, its record and the time.

    `allowed_domains` are lower-case; `example.org` means that domain alone, `.example.org`
    means it and every domain below it. `new_per_network` is how many triplets of one network may
    become known in an hour, 0 for any number. The reasons for the default times are in
    Docs/operating/greylist.conf.md.

    From `greylist_mode` on the fields have the names of the settings that they come from. With
    their defaults here nothing of them costs anything: no list, no look-up, no history (so `nospf`
    is True here, and not in a silent greylist.conf). `suspicious_lists` and `trusted_lists` are
    zones of the DNS and the answers that mean "listed".
    """

    delay_seconds: int = 60
    window_seconds: int = 24 * 3600
    pass_seconds: int = 36 * 24 * 3600
    prefix4: int = 24
    prefix6: int = 64
    allowed_senders: Networks = field(default_factory=Networks)
    allowed_sender_nets: Networks = field(default_factory=Networks)
    allowed_domains: frozenset[str] = frozenset()
    greylist_authenticated: bool = False
    new_per_network: int = 1000
    whitelisted_triples: tuple[TripleRule, ...] = ()
    nonstandard_triples: tuple[HeloRule, ...] = ()
    store_failure: FailMode = FailMode.ACCEPT
    greylist_mode: Mode = Mode.ALL
    worst_delay: int = 240
    key_order: tuple[KeyKind, ...] = (KeyKind.NETWORK,)
    normalise_senders: bool = False
    client_passes: int = 0
    client_abuse: int = 50
    never_whitelist: Networks = field(default_factory=Networks)
    greylist_only_for: tuple[str, ...] = ()
    never_greylist_for: tuple[str, ...] = ()
    suspicious_lists: tuple[tuple[str, Network], ...] = ()
    trusted_lists: tuple[tuple[str, Network], ...] = ()
    nospf: bool = True
    noaccessdb: bool = False
    testmode: bool = False
    dry_run: bool = False
    quiet: bool = False
    greylist_code: str = "451"
    greylist_ecode: str = "4.7.1"

    @property
    def lifetimes(self) -> Lifetimes:
        return Lifetimes(self.window_seconds, self.pass_seconds)


@message(frozen=True, slots=True)
class Decision:
    """The answer for one recipient, and what the store must merge (`record` None: nothing).

    `wait_seconds` is how long a deferred sender has to wait from now on; `waited_seconds` is
    how long a retry has waited since the first attempt.
    """

    verdict: Verdict
    reason: Reason
    wait_seconds: int = 0
    triplet: Triplet | None = None
    record: Record | None = None
    waited_seconds: int = 0
    ruling: Ruling | None = None  # of the access rules, if they were asked
    reply: tuple[str, str, str] | None = None  # code, enhanced code, text; None: the door's own
    would: "Decision | None" = None  # dry_run: what it would have been
    flush: str = ""  # a network, all of whose records are to be forgotten (flushaddr)
    key_kind: str = ""  # what stands for the client: "spf", "name" or "network"
    also: tuple[tuple[Triplet, Record], ...] = ()  # more to be merged: the client's own history


@message(frozen=True, slots=True)
class MessageAttempt:
    """The end of a message, whose rules of the DATA stage are to be asked; answered by a
    MessageDecision to that box.

    `ruling`: of the last recipient (Decision.ruling). Rules of the DATA stage may greylist what the
    rules at RCPT let in by default only; without it they greylist nothing."""

    session: Session
    mail: Mail
    session_id: str
    reply_to: tuple[Addressee, str] = field(compare=False, repr=False)
    ruling: Ruling | None = field(default=None, compare=False, repr=False)


@message(frozen=True, slots=True)
class MessageDecision:
    """What the rules of the DATA stage say. verdict DEFER or REJECT: reply is what the client
    hears; PASS: the ruling has what is to be changed in the message.

    wait_seconds and waited_seconds as in Decision, the longest of all recipients; `records` is to
    be merged into the store; `flush` and `would` as in Decision."""

    verdict: Verdict
    ruling: Ruling
    reply: tuple[str, str, str] | None = None
    reason: Reason = Reason.RULE
    wait_seconds: int = 0
    waited_seconds: int = 0
    records: tuple[tuple[Triplet, Record], ...] = ()
    flush: str = ""
    would: "MessageDecision | None" = None


@message(frozen=True, slots=True)
class Decided:
    """One decision with what it was about, recipient or message: for logs and counters."""

    attempt: Attempt | MessageAttempt
    decision: Decision | MessageDecision
    now: float


# --- what decider and store service say to each other; here because neither imports the other ---


@message(frozen=True, slots=True)
class Query:
    """What is known of this triplet? The `Answer` goes to that box of that component."""

    triplet: Triplet
    reply_to: tuple[Addressee, str]


@message(frozen=True, slots=True)
class Remember:
    """Merge this record into the store. Not answered. The record is made of what an `Answer` said
    (or the triplet has none): the memory in front of the file takes it for all that is known."""

    triplet: Triplet
    record: Record


@message(frozen=True, slots=True)
class Forget:
    """Nothing is known any more of whoever stands behind this network. Not answered."""

    network: str


@message(frozen=True, slots=True)
class Answer:
    """The record, or None for a triplet never seen. `failed`: the store could not say."""

    triplet: Triplet
    record: Record | None = None
    failed: bool = False


# --- and what it says to who looks things up ---


@message(frozen=True, slots=True)
class Ask:
    """A question; a `Found` is to come to that box."""

    question: Question
    reply_to: tuple[Addressee, str]


@message(frozen=True, slots=True)
class Found:
    """What was found out: the answer that its question names, or a LookupFailed."""

    question: Question
    answer: object
