"""
The look-up of one name: whom to ask next, and when to give up
==============================================================
A `Lookup` is told what happens, and says what to do: an `Attempt` (send this to that server), an
`Outcome` (it is over), or None (wait on). It has no socket and no clock.

>>> from Kamaelia.Support.Protocol.DNS.Wire import name_of
>>> servers = Servers([("192.0.2.1", 53)], rest=30.0)
>>> lookup = Lookup(name_of("example.org", "A"), "A", servers, Settings(), Random(1))
>>> attempt = lookup.begin(now=0.0)
>>> attempt.server, attempt.over_tcp, attempt.until
(('192.0.2.1', 53), False, 2.0)
>>> lookup.received(b"forged", now=1.0) is None
True

Rules:

    a reply that settles it        over
    TC, or many strange replies    the same server, by TCP
    no EDNS there                  the same server, without
    refused, nonsense, no way      that server is left out from now on; the next
    silence                        the next, and this one again in the next round
    nobody left, or no patience    over, with the failure that says most

Every attempt has a new number; whoever sends it uses a new port as well.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from Kamaelia.Support.Protocol.DNS.Messages import Failure, Outcome
from Kamaelia.Support.Protocol.DNS.Settings import Server, Settings
from Kamaelia.Support.Protocol.DNS.Wire import Name, Query, Trouble, key_of

STRANGERS_LIMIT = 10  # so many datagrams that are no reply: somebody guesses, so ask by TCP

# What to say at the end, when servers failed in several ways: the first of these.
_TELLING = (Failure.SERVFAIL, Failure.BAD_REPLY, Failure.TIMEOUT, Failure.UNREACHABLE)


class Servers:
    """Servers(addresses, rest) -> in which order to ask them: those that were silent a while ago
    come last, so that a dead one costs its time-out once and not at each question."""

    def __init__(self, addresses: Iterable[Server], rest: float) -> None:
        self._addresses = tuple(addresses)
        self._rest = rest
        self._silent: dict[Server, float] = {}

    def order(self, now: float) -> tuple[Server, ...]:
        return tuple(sorted(self._addresses, key=lambda server: self._rests(server, now)))

    def was_silent(self, server: Server, now: float) -> None:
        self._silent[server] = now

    def has_answered(self, server: Server) -> None:
        self._silent.pop(server, None)

    def _rests(self, server: Server, now: float) -> bool:
        return now < self._silent.get(server, float("-inf")) + self._rest


@dataclass(frozen=True, slots=True)
class Attempt:
    """Send these bytes to that server, and wait until then (a time as `now` is)."""

    server: Server
    wire: bytes
    over_tcp: bool
    until: float


class Lookup:
    """Lookup(name, kind, servers, settings, random) -> the state of one look-up.

    random: unguessable, as random.SystemRandom is."""

    def __init__(
        self, name: Name, kind: str, servers: Servers, settings: Settings, random: Random
    ) -> None:
        self.key = (key_of(name), kind)
        self._name, self._kind = name, kind
        self._servers, self._settings, self._random = servers, settings, random
        self._plan: deque[Server] = deque()
        self._failures: set[Failure] = set()
        self._give_up_at = 0.0
        self._server: Server = ("", 0)
        self._edns = True
        self._over_tcp = False
        self._query: Query | None = None
        self._strangers = 0

    def begin(self, now: float) -> Attempt | Outcome:
        self._give_up_at = now + self._settings.patience
        self._plan.extend(self._servers.order(now) * self._settings.rounds)
        return self._next(now)

    def received(self, wire: bytes, now: float) -> Attempt | Outcome | None:
        """Something came from where the last attempt was sent to."""
        reply = self._query.read(wire) if self._query else None
        if reply is None:
            return self._stranger(now)
        self._servers.has_answered(self._server)
        match reply:
            case Outcome():
                return reply
            case Trouble.TRUNCATED if not self._over_tcp:
                return self._ask(now, over_tcp=True)
            case Trouble.NO_EDNS:
                self._edns = False
                return self._ask(now, self._over_tcp)
            case Trouble.REFUSED:
                return self._leave_out(Failure.SERVFAIL, now)
            case _:
                return self._leave_out(Failure.BAD_REPLY, now)

    def failed(self, now: float) -> Attempt | Outcome:
        """It could not be sent, or the connection broke, or nobody listens there."""
        return self._leave_out(Failure.UNREACHABLE, now)

    def timed_out(self, now: float) -> Attempt | Outcome:
        """Nothing came until the time that was said in the attempt."""
        self._servers.was_silent(self._server, now)
        self._failures.add(Failure.TIMEOUT)
        return self._next(now)

    def _stranger(self, now: float) -> Attempt | Outcome | None:
        if self._over_tcp:  # nobody else can have sent that
            return self._leave_out(Failure.BAD_REPLY, now)
        self._strangers += 1
        if self._strangers < STRANGERS_LIMIT:
            return None
        return self._ask(now, over_tcp=True)

    def _leave_out(self, failure: Failure, now: float) -> Attempt | Outcome:
        self._failures.add(failure)
        self._plan = deque(server for server in self._plan if server != self._server)
        return self._next(now)

    def _next(self, now: float) -> Attempt | Outcome:
        if not self._plan or now >= self._give_up_at:
            return Outcome(failure=next(f for f in _TELLING if f in self._failures))
        self._server = self._plan.popleft()
        self._edns = True
        return self._ask(now, over_tcp=False)

    def _ask(self, now: float, over_tcp: bool) -> Attempt:
        self._over_tcp, self._strangers = over_tcp, 0
        mixer = self._random if self._settings.mix_case else None
        number = self._random.getrandbits(16)
        self._query = Query(self._name, self._kind, number, self._edns, mixer)
        until = min(now + self._settings.timeout, self._give_up_at)
        return Attempt(self._server, self._query.wire, over_tcp, until)
