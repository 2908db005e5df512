"""
What was found out, for as long as it is true
=============================================
>>> cache = Cache(limit=100, longest_ttl=86_400.0, longest_negative_ttl=3_600.0, failure_ttl=2.0)
>>> key = ("example.org.", "A")
>>> cache.put(key, Outcome(("192.0.2.1",), ttl=60.0), now=0.0).ttl
60.0
>>> cache.get(key, now=59.0).ttl
1.0
>>> cache.get(key, now=60.0) is None
True

What takes more bytes than `LONGEST_KEPT` is not kept, so the number of entries limits the memory
as well. What was asked for least recently goes first.
"""

from __future__ import annotations

from dataclasses import replace

from Kamaelia.Support.Protocol.DNS.Messages import Failure, Outcome

Key = tuple[str, str]  # name and kind

LONGEST_KEPT = 4096  # bytes of a reply


class Cache:
    """Cache(limit, longest_ttl, longest_negative_ttl, failure_ttl) -> outcomes by name and kind;
    times in seconds."""

    def __init__(
        self, limit: int, longest_ttl: float, longest_negative_ttl: float, failure_ttl: float
    ) -> None:
        self._limit = limit
        self._longest_ttl = longest_ttl
        self._longest_negative_ttl = longest_negative_ttl
        self._failure_ttl = failure_ttl
        self._kept: dict[Key, tuple[float, Outcome]] = {}  # in the order of use

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, key: Key, outcome: Outcome, now: float) -> Outcome:
        """Keep it if that is worth it. What is returned says how long it is true, by our limits."""
        self._kept.pop(key, None)
        seconds = self._seconds(outcome)
        if seconds > 0 and outcome.size <= LONGEST_KEPT and self._limit > 0:
            if len(self._kept) >= self._limit:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = (now + seconds, outcome)
        return _for_seconds(outcome, seconds)

    def get(self, key: Key, now: float) -> Outcome | None:
        """The outcome, with the seconds for which it will still be true."""
        if key not in self._kept:
            return None
        until, outcome = self._kept.pop(key)
        if now >= until:
            return None
        self._kept[key] = (until, outcome)  # behind the others
        return _for_seconds(outcome, until - now)

    def _seconds(self, outcome: Outcome) -> float:
        match outcome.failure:
            case None:
                return min(outcome.ttl, self._longest_ttl)
            case Failure.NXDOMAIN | Failure.NODATA:
                return min(outcome.ttl, self._longest_negative_ttl)
            case _:
                return self._failure_ttl


def _for_seconds(outcome: Outcome, seconds: float) -> Outcome:
    temporary = outcome.failure is not None and outcome.failure.temporary
    return replace(outcome, ttl=0.0 if temporary else seconds)
