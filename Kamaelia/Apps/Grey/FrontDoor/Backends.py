"""
Which real mail server gets this recipient
==========================================
There may be several: one for each domain, a second in case the first is away, two that share the
load. Rules say which serves what; what happened lately says which can be used now.

Example Usage
-------------
>>> rules = [BackendRule("192.0.2.1", 25), BackendRule("192.0.2.2", 25, priority=2),
...          BackendRule("192.0.2.3", 25, domains=("lists.example.org", ".example.net"))]
>>> backends = Backends(rules, make=lambda rule: rule.host, random=lambda: 0.5)
>>> backends.candidates("example.org", now=0.0)
['192.0.2.1', '192.0.2.2']
>>> backends.candidates("a.example.net", now=0.0)
['192.0.2.3']
>>> [backends.failed("192.0.2.1", now) for now in (1.0, 2.0)]
[None, None]
>>> print(backends.failed("192.0.2.1", 3.0))
mail server 192.0.2.1 port 25 is not used for 1 s: failed 3 times in a row
>>> backends.candidates("example.org", now=3.5)
['192.0.2.2']

The states of a server's circuit::

    CLOSED     in use. 3 failures in a row within a minute -> OPEN
    OPEN       left alone for 1 s. Then the first who calls opened() tries it -> HALF_OPEN
    HALF_OPEN  one tries. succeeded -> CLOSED; failed -> OPEN, for 2, 4, 8 ... at most 60 s;
               nobody left, or no result within a minute -> the next one may try

A server whose trial is due stands in its usual place among the candidates, so what is back is used
again; when every circuit is open and no trial is due, there are no candidates, and the client hears
"try again later" without anybody waiting for a connection that fails. One server alone is treated
like several: a single time-out never closes the door, three in a row do for a second.

The owner calls opened() when it begins a session (before it connects), closed() when that is over,
and in between succeeded() or failed(). Whatever these return is to be logged."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from Kamaelia.Apps.Grey.Core.Normalise import fold_domain

FAILURES = 3  # in a row ...
FAILURES_WITHIN = 60.0  # ... and in this many seconds, open a circuit
FIRST_WAIT = 1.0
LONGEST_WAIT = 60.0
TRIAL_SECONDS = 60.0  # who tries a server and says nothing for so long is not waited for

T = TypeVar("T", bound=Hashable)


class Circuit(Enum):
    """Whether a server is used. The values are for display."""

    CLOSED = "in use"
    OPEN = "not used"
    HALF_OPEN = "on trial"


@dataclass(frozen=True, slots=True)
class BackendRule:
    """A server and whose mail it takes.

    priority: lower ones are asked first. domains: `example.org` is that domain alone,
    `.example.org` that and every domain below it (as in allowed_domains), `*` whatever no other
    rule names.
    """

    host: str
    port: int
    priority: int = 1
    domains: tuple[str, ...] = ("*",)


@dataclass(frozen=True, slots=True)
class Change:
    """A circuit changed its state. str() is the line for the log.

    `news` is False for what repeats as long as a server is away: trials, and their failures.
    """

    host: str
    port: int
    before: Circuit
    after: Circuit
    failures: int
    wait_seconds: float

    @property
    def news(self) -> bool:
        return self.after is Circuit.CLOSED or self.before is Circuit.CLOSED

    def __str__(self) -> str:
        server = f"mail server {self.host} port {self.port}"
        match self.after:
            case Circuit.CLOSED:
                return f"{server} is used again"
            case Circuit.HALF_OPEN:
                return f"{server} is tried once more"
            case _:
                return (
                    f"{server} is not used for {self.wait_seconds:g} s: "
                    f"failed {self.failures} times in a row"
                )


@dataclass(frozen=True, slots=True)
class BackendStatus:
    """One server, for display. `retry_seconds`: until the next trial, 0 if the circuit is closed
    or somebody may try now."""

    host: str
    port: int
    circuit: Circuit
    sessions: int
    failures: int
    retry_seconds: float


class _Slot(Generic[T]):
    """What is known of one server, however many rules name it."""

    __slots__ = (
        "backend",
        "circuit",
        "failures",
        "host",
        "port",
        "recent",
        "retry_at",
        "sessions",
        "trial_seen",
        "wait",
    )

    def __init__(self, host: str, port: int, backend: T) -> None:
        self.host = host
        self.port = port
        self.backend = backend
        self.circuit = Circuit.CLOSED
        self.sessions = 0
        self.failures = 0  # in a row
        self.recent: tuple[float, ...] = ()  # when the latest of these were; at most FAILURES
        self.wait = 0.0  # how long the circuit is open
        self.retry_at = 0.0  # when it has been open for so long
        self.trial_seen: float | None = None  # when somebody first asked during this trial

    def may_be_tried(self, now: float) -> bool:
        if self.circuit is Circuit.CLOSED:
            return True
        if self.circuit is Circuit.OPEN:
            return now >= self.retry_at
        # opened() is not told the time, so a trial is counted from the first question after it:
        # before anybody asks, nobody is kept waiting.
        if self.trial_seen is None:
            self.trial_seen = now
        return now - self.trial_seen >= TRIAL_SECONDS

    def to(self, after: Circuit) -> Change:
        before, self.circuit = self.circuit, after
        return Change(self.host, self.port, before, after, self.failures, self.wait)


_Ranked = tuple[int, _Slot[T]]  # with its priority, which is the rule's, not the server's


class Backends(Generic[T]):
    """Backends(rules, make, random) -> the servers, made by make(rule), and which to use when.

    rules: at least one, each with a domain, else ValueError. make: gives another object for each
    server, else ValueError; a server that several rules name is made once, from the first.
    random: gives 0.0 <= x < 1.0, and decides between equals.
    """

    def __init__(
        self,
        rules: Sequence[BackendRule],
        make: Callable[[BackendRule], T],
        random: Callable[[], float],
    ) -> None:
        if not rules or not all(rule.domains for rule in rules):
            raise ValueError("at least one backend is needed, and each needs a domain")
        self._random = random
        # How many servers have failed since they were last of use; nobody else sets it. While there
        # are none nobody needs to be told of a success.
        self.failing = 0
        servers: dict[tuple[str, int], _Slot[T]] = {}
        self._slots: dict[T, _Slot[T]] = {}
        sets: dict[str, list[_Ranked[T]]] = {}
        for rule in rules:
            slot = servers.get((rule.host, rule.port))
            if slot is None:
                slot = _Slot(rule.host, rule.port, make(rule))
                servers[rule.host, rule.port] = self._slots[slot.backend] = slot
            for domain in rule.domains:
                sets.setdefault(fold_domain(domain), []).append((rule.priority, slot))
        if len(self._slots) != len(servers):
            raise ValueError("make() gave the same object for two backends")
        self._sets = {domain: _without_repetition(ranked) for domain, ranked in sets.items()}
        self._has_suffixes = any(domain.startswith(".") for domain in sets)
        self._for_the_rest: tuple[_Ranked[T], ...] = self._sets.get("*", ())
        # <postmaster> without a domain must be taken (RFC 5321, section 4.5.1), so somebody is
        # responsible for it even if every rule names domains.
        self._for_no_domain = self._for_the_rest or next(iter(self._sets.values()))

    @property
    def all(self) -> tuple[T, ...]:
        """Every server, in the order of the rules."""
        return tuple(self._slots)

    # ---- which one

    def candidates(self, domain: str, now: float) -> list[T]:
        """Which servers to try for a recipient of this domain, best first; `now` is in monotonic
        seconds. Nothing: none can be used now, or (see `serves`) no rule is for this domain.

        Only the first is sure to be free for a trial: ask `usable` before turning to the others.
        """
        ranked = self._set_for(domain)
        if len(ranked) == 1:  # the common case
            slot = ranked[0][1]
            return [slot.backend] if slot.may_be_tried(now) else []
        usable = [
            (priority, slot.sessions, self._random(), place)
            for place, (priority, slot) in enumerate(ranked)
            if slot.may_be_tried(now)
        ]
        usable.sort()
        return [ranked[place][1].backend for *_, place in usable]

    def serves(self, domain: str) -> bool:
        """Whether there is a server for this domain, be it up or down."""
        return bool(self._set_for(domain))

    def same(self, backend: T, domain: str) -> bool:
        """Whether a recipient of this domain may go over a connection to that server."""
        ranked = self._set_for(domain)
        slot = self._slots[backend]
        if len(ranked) == 1:  # the common case
            return ranked[0][1] is slot
        return any(other is slot for _, other in ranked)

    def usable(self, backend: T, now: float) -> bool:
        """Whether a session may be begun: in use, or a trial is due and nobody is at it."""
        return self._slots[backend].may_be_tried(now)

    def due(self, now: float) -> list[T]:
        """Which servers wait for a trial: a health probe that takes them spares clients that."""
        return [
            slot.backend
            for slot in self._slots.values()
            if slot.circuit is not Circuit.CLOSED and slot.may_be_tried(now)
        ]

    def all_down(self, now: float) -> bool:
        """Whether no server may be tried now, for any domain."""
        return not any(slot.may_be_tried(now) for slot in self._slots.values())

    # ---- what happened

    def opened(self, backend: T) -> Change | None:
        """A session begins. If the circuit is not closed, it is the trial."""
        slot = self._slots[backend]
        slot.sessions += 1
        if slot.circuit is Circuit.CLOSED:
            return None
        slot.trial_seen = None
        return slot.to(Circuit.HALF_OPEN) if slot.circuit is Circuit.OPEN else None

    def closed(self, backend: T) -> Change | None:
        """A session is over, however it went."""
        slot = self._slots[backend]
        slot.sessions = max(0, slot.sessions - 1)
        if slot.circuit is Circuit.HALF_OPEN and not slot.sessions:
            # Whoever tried went away without a result. The old time is over: the next may try.
            return slot.to(Circuit.OPEN)
        return None

    def succeeded(self, backend: T) -> Change | None:
        """It greeted us, or answered a command."""
        slot = self._slots[backend]
        if not slot.failures:
            return None
        self.failing -= 1
        slot.failures, slot.recent, slot.wait = 0, (), 0.0
        return slot.to(Circuit.CLOSED) if slot.circuit is not Circuit.CLOSED else None

    def failed(self, backend: T, now: float) -> Change | None:
        """It could not be reached, refused us, or was silent for too long."""
        slot = self._slots[backend]
        if slot.circuit is Circuit.OPEN:
            return None  # a session from before: nothing that we do not know
        self.failing += not slot.failures
        slot.failures += 1
        if slot.circuit is Circuit.CLOSED:
            slot.recent = (*slot.recent, now)[-FAILURES:]
            if len(slot.recent) < FAILURES or now - slot.recent[0] > FAILURES_WITHIN:
                return None
        slot.wait = min(2 * slot.wait, LONGEST_WAIT) or FIRST_WAIT
        slot.retry_at = now + slot.wait
        return slot.to(Circuit.OPEN)

    def status(self, now: float) -> list[BackendStatus]:
        """Every server, in the order of the rules."""
        return [
            BackendStatus(
                slot.host,
                slot.port,
                slot.circuit,
                slot.sessions,
                slot.failures,
                max(0.0, slot.retry_at - now) if slot.circuit is Circuit.OPEN else 0.0,
            )
            for slot in self._slots.values()
        ]

    def _set_for(self, domain: str) -> tuple[_Ranked[T], ...]:
        """The set that names the domain most exactly: itself, the longest suffix, the rest."""
        if not domain:
            return self._for_no_domain
        if len(self._sets) == 1 and self._for_the_rest:
            return self._for_the_rest  # the common case: one set for everything
        folded = fold_domain(domain)
        found = self._sets.get(folded)
        if found is None and self._has_suffixes:
            found = self._sets.get(f".{folded}")
            dot = folded.find(".")
            while found is None and dot >= 0:
                found = self._sets.get(folded[dot:])
                dot = folded.find(".", dot + 1)
        return self._for_the_rest if found is None else found


def _without_repetition(ranked: list[_Ranked[T]]) -> tuple[_Ranked[T], ...]:
    """A server that stands in one set twice keeps its best priority."""
    best: dict[int, _Ranked[T]] = {}
    for priority, slot in ranked:
        known = best.get(id(slot))
        if known is None or priority < known[0]:
            best[id(slot)] = (priority, slot)
    return tuple(best.values())
