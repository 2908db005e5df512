"""
Answers, for as long as they are true
=====================================
>>> cache = Cache(limit=2)
>>> cache.put("a", 1, until=60.0)
>>> cache.put("b", 2, until=60.0)
>>> cache.get("a", now=59.0), cache.get("a", now=60.0)
(1, None)

The least recently asked for goes first when there is no room, so a flood of questions that nobody
asks twice cannot take more than the limit:

>>> cache.put("c", 3, until=60.0)
>>> cache.put("d", 4, until=60.0)
>>> cache.get("b", now=0.0) is None, len(cache)
(True, 2)
"""

from collections.abc import Hashable


class Cache:
    """Cache(limit) -> what is known, by question. Times are of one clock, whichever it is."""

    __slots__ = ("_kept", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: dict[Hashable, tuple[float, object]] = {}  # in the order of use

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, question: Hashable, answer: object, until: float) -> None:
        """Keep an answer (never None); what was known before is forgotten."""
        self._kept.pop(question, None)
        if self._limit > 0:
            if len(self._kept) >= self._limit:
                del self._kept[next(iter(self._kept))]
            self._kept[question] = (until, answer)

    def get(self, question: Hashable, now: float) -> object | None:
        """The answer; None: nobody knows."""
        found = self._kept.pop(question, None)
        if found is None or now >= found[0]:
            return None
        self._kept[question] = found  # behind the others
        return found[1]

    def clear(self) -> None:
        self._kept.clear()
