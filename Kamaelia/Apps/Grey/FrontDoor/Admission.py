"""
Who may come in
===============
A connection costs us memory, a descriptor and, if its mail passes, one more connection. So there is
a limit to all of them, to those of one client, and to how fast one client may make new ones.

Example Usage
-------------
>>> admission = Admission(AdmissionRules(max_connections=3, per_client=2), memory=lambda: 0)
>>> [admission.admit(client, now=0.0) for client in ("192.0.2.1", "192.0.2.1")]
[None, None]
>>> print(admission.admit("192.0.2.1", now=0.0).reply.text)
4.7.0 too many connections from your address
>>> admission.admit("192.0.2.2", now=0.0) is None
True
>>> print(admission.admit("192.0.2.3", now=0.0).reply.text)
4.3.2 too many connections, try again later
>>> admission.left("192.0.2.1")
>>> admission.admit("192.0.2.3", now=0.0) is None
True

The rules. One client is an IPv4 address or a /64 of IPv6, which one customer has for himself. It is
asked first whether the client has too many: so it hears what it can do something about. A refused
connection counts nowhere, neither among those that are open nor against the client's rate.

Of `max_connections`, the last `reserved` are for `reserved_networks` alone (if there are any): a
flood of strangers leaves them free. Everything is looked up, nothing searched. What is remembered
of a client that has gone is when its rate can be forgotten; that is limited to so many clients, and
a few are looked at with each new connection, so it goes away by itself.

All replies are 421: the client is to come back later, and the connection is over."""

from __future__ import annotations

import logging
import mmap
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from Kamaelia.Apps.Grey.Core.Networks import Networks, parsed
from Kamaelia.Support.Protocol.SMTP.Replies import Reply

log = logging.getLogger(__name__)

_LONGEST_ADDRESS = 100  # with a zone; what is longer is no address
_ADDRESSES = 4_096  # that are known without reading them again
_RATES = 100_000  # clients whose rate is remembered: some 25 MB
_SWEPT = 2  # of them are looked at with each connection, so the table shrinks faster than it grows


class Why(Enum):
    """Why a client is not let in. The values stand in the log."""

    PER_CLIENT = "too many connections from one client"
    RATE = "new connections of one client too fast"
    FULL = "too many connections"
    MEMORY = "not enough memory"


@dataclass(frozen=True, slots=True)
class Refusal:
    """What to say before hanging up; `wire` is the reply in bytes, made once."""

    why: Why
    reply: Reply
    wire: bytes


def _refusal(why: Why, enhanced: str, text: str) -> Refusal:
    reply = Reply.of(421, enhanced, text)
    return Refusal(why, reply, reply.to_wire())


# Made beforehand: in a flood, nearly every connection gets one of them.
PER_CLIENT = _refusal(Why.PER_CLIENT, "4.7.0", "too many connections from your address")
RATE = _refusal(Why.RATE, "4.7.0", "connection rate too high for your address, try again later")
FULL = _refusal(Why.FULL, "4.3.2", "too many connections, try again later")
MEMORY = _refusal(Why.MEMORY, "4.3.1", "not enough memory, try again later")


@dataclass(frozen=True, slots=True)
class AdmissionRules:
    """How many may come.

    per_client: open at the same time, 0 for any number. per_client_rate: new ones a minute, 0 for
    any number; per_client_burst: of these, so many may come at once. memory_limit: bytes, 0 for
    any. exempt: clients without a limit of their own. What is not possible is a ValueError.
    """

    max_connections: int = 1000
    reserved: int = 50
    reserved_networks: Networks = field(default_factory=Networks)
    per_client: int = 50
    per_client_rate: float = 0.0
    per_client_burst: int = 10
    memory_limit: int = 0
    exempt: Networks = field(default_factory=Networks)

    def __post_init__(self) -> None:
        if self.reserved_networks and self.reserved >= self.max_connections:
            raise ValueError("all connections are reserved: no stranger could ever get in")
        limits = (self.reserved, self.per_client, self.per_client_rate, self.memory_limit)
        if min(limits) < 0:
            raise ValueError("a limit must be 0 or more")
        if self.max_connections < 1 or self.per_client_burst < 1:
            raise ValueError("max_connections and per_client_burst must be 1 or more")


class _Client:
    """What the address of a client means; shared by all its connections."""

    __slots__ = ("exempt", "key", "reserved")

    def __init__(self, key: int | str, exempt: bool, reserved: bool) -> None:
        self.key = key
        self.exempt = exempt
        self.reserved = reserved


class Admission:
    """Admission(rules, memory) -> says of each new connection whether it may stay.

    memory: gives the bytes this process has in use; it is asked only if there is a limit.
    """

    __slots__ = (
        "_clients",
        "_complained",
        "_counts",
        "_memory",
        "_rates",
        "_rules",
        "_strangers",
        "_total",
    )

    def __init__(self, rules: AdmissionRules, memory: Callable[[], int]) -> None:
        self._memory = memory
        self._clients: dict[str, _Client] = {}  # what addresses mean, not who is there
        self._counts: dict[int | str, int] = {}  # who is there
        self._rates = _Rates(rules.per_client_rate, rules.per_client_burst)
        self._total = 0
        self._complained = False
        self.change(rules)

    def change(self, rules: AdmissionRules) -> None:
        """From now on these rules hold; who is in stays in."""
        self._rules = rules
        self._strangers = rules.max_connections - (rules.reserved if rules.reserved_networks else 0)
        self._clients.clear()
        self._rates.change(rules.per_client_rate, rules.per_client_burst)

    @property
    def connections(self) -> int:
        """How many are in."""
        return self._total

    @property
    def clients(self) -> int:
        """How many different clients these are."""
        return len(self._counts)

    def admit(self, client: str, now: float) -> Refusal | None:
        """Count a new connection of the client with that address, or say why not. `now` is in
        monotonic seconds. Whoever is let in must be reported by left(), once."""
        rules = self._rules
        known = self._clients.get(client) or self._look_at(client)
        count = self._counts.get(known.key, 0)
        limited = not known.exempt
        if limited and rules.per_client and count >= rules.per_client:
            return PER_CLIENT
        if self._total >= (rules.max_connections if known.reserved else self._strangers):
            return FULL
        if rules.memory_limit and self._memory() >= rules.memory_limit:
            return MEMORY
        # The last question, because it is counted by asking.
        if limited and rules.per_client_rate and not self._rates.take(known.key, now):
            return RATE
        self._counts[known.key] = count + 1
        self._total += 1
        return None

    def left(self, client: str) -> None:
        """A connection that was let in is over. Of one that was not, only the first is logged: it
        is a fault of the program, and may come with each connection."""
        key = (self._clients.get(client) or self._look_at(client)).key
        count = self._counts.get(key, 0)
        if not count:
            if not self._complained:
                self._complained = True
                log.error("connection from %a left without being let in", client[:_LONGEST_ADDRESS])
            return
        if count == 1:
            del self._counts[key]
        else:
            self._counts[key] = count - 1
        self._total -= 1

    def _look_at(self, client: str) -> _Client:
        """Read an address, and remember what it means."""
        # What is parsed here is looked for in other lists soon.
        address = parsed(client) if len(client) <= _LONGEST_ADDRESS else None
        if address is None:  # a socket without addresses, or a front's invention: one of its own
            known = _Client(client[:_LONGEST_ADDRESS], False, False)
        else:
            exempt = address in self._rules.exempt
            known = _Client(_key(address), exempt, address in self._rules.reserved_networks)
        if len(self._clients) >= _ADDRESSES:
            self._clients.clear()  # cheaper than knowing which was the oldest
        if len(client) <= _LONGEST_ADDRESS:
            self._clients[client] = known
        return known


def _key(address: IPv4Address | IPv6Address) -> int:
    """The address, or the first half of it: above all IPv4 addresses, so that none meet."""
    number = int(address)
    return number if isinstance(address, IPv4Address) else (number >> 64) + (1 << 32)


class _Rates:
    """A token bucket for each client, as one number: the time at which it is full again.

    A connection puts that time off by a minute / rate; if it is more than burst of these away, the
    bucket is empty. Once that time has come there is nothing to remember of the client.
    """

    __slots__ = ("_full_at", "_interval", "_most")

    def __init__(self, a_minute: float, burst: int) -> None:
        # Not a dict: taking the first of it again and again would walk over holes.
        self._full_at: OrderedDict[int | str, float] = OrderedDict()
        self.change(a_minute, burst)

    def __len__(self) -> int:
        return len(self._full_at)

    def change(self, a_minute: float, burst: int) -> None:
        self._interval = 60.0 / a_minute if a_minute else 0.0
        self._most = self._interval * burst
        self._full_at.clear()  # times of another rate mean nothing

    def take(self, key: int | str, now: float) -> bool:
        """Take a token, if there is one."""
        self._sweep(now)
        full_at = max(self._full_at.get(key, now), now) + self._interval
        # A thousandth: a client at exactly its rate must not fail by a rounding error.
        if full_at - now > self._most + self._interval / 1000:
            return False
        self._full_at[key] = full_at
        if len(self._full_at) > _RATES:
            # From more addresses than that a rate for each does not help; max_connections does.
            self._full_at.popitem(last=False)
        return True

    def _sweep(self, now: float) -> None:
        """Look at the next few: forget those who are full, put the others at the end."""
        for _ in range(min(_SWEPT, len(self._full_at))):
            key, full_at = self._full_at.popitem(last=False)
            if full_at > now:
                self._full_at[key] = full_at


class Memory:
    """Memory(clock) -> call it for the bytes of real memory this process uses.

    It is read at most once a second of `clock` (monotonic). Where it cannot be read it is 0, which
    is below every limit, and the log says so once.
    """

    __slots__ = ("_bytes", "_clock", "_file", "_next")

    def __init__(self, clock: Callable[[], float], file: Path = Path("/proc/self/statm")) -> None:
        self._clock = clock
        self._file = file
        self._next: float | None = None
        self._bytes = 0

    def __call__(self) -> int:
        now = self._clock()
        if self._next is None or now >= self._next:
            first, self._next = self._next is None, now + 1.0
            try:
                # proc(5): total and resident size, in pages
                self._bytes = int(self._file.read_bytes().split()[1]) * mmap.PAGESIZE
            except (OSError, ValueError, IndexError) as error:
                self._bytes = 0
                if first:
                    log.warning("memory_limit has no effect, cannot read %s: %s", self._file, error)
        return self._bytes


class RefusalLog:
    """RefusalLog(seconds=60.0) -> lines about refused clients: for each reason the first at once,
    then at most one in so many seconds, with how many there were."""

    __slots__ = ("_counts", "_next", "_seconds")

    def __init__(self, seconds: float = 60.0) -> None:
        self._seconds = seconds
        self._next: dict[Why, float] = {}
        self._counts: dict[Why, int] = {}  # not told of yet

    def refused(self, refusal: Refusal, client: str, now: float) -> str | None:
        """Count a refusal; return a line for the log if it is time for one."""
        why = refusal.why
        count = self._counts.get(why, 0) + 1
        self._counts[why] = count
        if now < self._next.get(why, now):
            return None
        return self._line(why, f", the last from {_shown(client)}", now)

    def due(self, now: float, *, all_of_it: bool = False) -> list[str]:
        """Lines about what has been counted and not told when it is time for them, or (at the end)
        at once: the end of a flood is no refusal."""
        return [
            self._line(why, "", now)
            for why in list(self._counts)
            if all_of_it or now >= self._next[why]
        ]

    def _line(self, why: Why, last: str, now: float) -> str:
        self._next[why] = now + self._seconds
        count = self._counts.pop(why)
        return f"refused {count} connection{'s' if count > 1 else ''}: {why.value}{last}"


def _shown(client: str) -> str:
    cut = client[:_LONGEST_ADDRESS]
    return cut if cut.isascii() and cut.isprintable() else ascii(cut)
