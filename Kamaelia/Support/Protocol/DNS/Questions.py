"""
All questions that have no answer yet
=====================================
Everything about many questions at once, without a socket and without a clock: what the cache knows
is answered at once, the same question asked twice is one look-up, and only so many look-ups are on
their way while the others queue.

>>> questions = Questions([("192.0.2.1", 53)], Settings(), Random(1))
>>> questions.ask(Question("two..dots"), now=0.0).failure
<Failure.BAD_NAME: 'this cannot be a name'>
>>> questions.ask(Question("Example.org"), now=0.0)
>>> questions.ask(Question("example.org."), now=0.0)
>>> lookup = questions.start(now=0.0)
>>> found = Outcome(("192.0.2.7",), ttl=60.0)
>>> [answer.records for answer in questions.finish(lookup, found, now=0.1)]
[('192.0.2.7',), ('192.0.2.7',)]

Some names are nobody's business (RFC 6761, RFC 7686) and never leave the machine: localhost and
what is below it are this machine, and neither "invalid" nor "onion" has anything below it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from Kamaelia.Support.Protocol.DNS.Cache import Cache, Key
from Kamaelia.Support.Protocol.DNS.Lookup import Lookup, Servers
from Kamaelia.Support.Protocol.DNS.Messages import Answer, Failure, Outcome, Question
from Kamaelia.Support.Protocol.DNS.Settings import Server, Settings
from Kamaelia.Support.Protocol.DNS.Wire import BadNameError, Name, key_of, name_of

_LOOPBACK = {"A": Outcome(("127.0.0.1",)), "AAAA": Outcome(("::1",))}


@dataclass(frozen=True, slots=True)
class _Queued:
    name: Name
    key: Key
    until: float  # nobody waits longer for a look-up to begin


class Questions:
    """Questions(servers, settings, random) -> who waits for what. Times are as `now` is."""

    def __init__(self, servers: Iterable[Server], settings: Settings, random: Random) -> None:
        self._settings = settings
        self._random = random
        self._servers = Servers(servers, settings.rest)
        self._cache = Cache(
            settings.cache_limit,
            settings.longest_ttl,
            settings.longest_negative_ttl,
            settings.failure_ttl,
        )
        self._askers: dict[Key, list[Question]] = {}
        self._queue: deque[_Queued] = deque()
        self._in_flight = 0
        self.unanswered = 0

    def ask(self, question: Question, now: float) -> Answer | None:
        """The answer, if it can be had at once; else it comes of `finish` or `overdue`."""
        try:
            name = name_of(question.name, question.kind)
        except BadNameError:
            return Answer(question, failure=Failure.BAD_NAME)
        key = (key_of(name), str(question.kind))
        known = _special(*key) or self._cache.get(key, now)
        if known is not None:
            return Answer.of(question, known)
        if self.unanswered >= self._settings.waiting_limit:
            return Answer(question, failure=Failure.OVERLOADED)
        self.unanswered += 1
        if key in self._askers:
            self._askers[key].append(question)
        else:
            self._askers[key] = [question]
            self._queue.append(_Queued(name, key, now + self._settings.patience))
        return None

    def start(self, now: float) -> Lookup | None:
        """A look-up to begin now, if one waits and there is room for it."""
        if not self._queue or self._in_flight >= self._settings.in_flight_limit:
            return None
        queued = self._queue.popleft()
        self._in_flight += 1
        kind = queued.key[1]
        return Lookup(queued.name, kind, self._servers, self._settings, self._random)

    def finish(self, lookup: Lookup, outcome: Outcome, now: float) -> list[Answer]:
        """The look-up is over: the answers to all who asked that."""
        self._in_flight -= 1
        return self._answered(lookup.key, self._cache.put(lookup.key, outcome, now))

    def overdue(self, now: float) -> list[Answer]:
        """The answers to those whose look-up has not even begun in all that time."""
        answers: list[Answer] = []
        while self._queue and now >= self._queue[0].until:
            answers += self._answered(self._queue.popleft().key, _OVERLOADED)
        return answers

    @property
    def overdue_at(self) -> float | None:
        return self._queue[0].until if self._queue else None

    def abandon(self) -> list[Answer]:
        """Nothing will be looked up any more."""
        self._queue.clear()
        return [answer for key in list(self._askers) for answer in self._answered(key, _STOPPED)]

    def _answered(self, key: Key, outcome: Outcome) -> list[Answer]:
        askers = self._askers.pop(key)
        self.unanswered -= len(askers)
        return [Answer.of(question, outcome) for question in askers]


_OVERLOADED = Outcome(failure=Failure.OVERLOADED)
_STOPPED = Outcome(failure=Failure.STOPPED)


def _special(name: str, kind: str) -> Outcome | None:
    last = name.rpartition(".")[2]
    if last == "localhost":
        return _LOOPBACK.get(kind) or Outcome(failure=Failure.NODATA)
    if last in ("invalid", "onion"):
        return Outcome(failure=Failure.NXDOMAIN)
    return None
