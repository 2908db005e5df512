"""
How many strangers one network may bring
========================================
Every new triplet is a row in memory and on disk, and whoever makes up senders can make a million of
them in a minute. So each network may bring so many new ones an hour; those beyond are deferred like
any stranger, but not remembered. Known triplets are not asked about: who has passed passes on.

What is remembered of a network are an hour's beginning and a number. That, too, has an end: above
`most_networks` all are forgotten, so that the counting never costs more than it saves.

>>> newcomers = Newcomers(limit=2)
>>> [newcomers.admit("192.0.2.0/24", now=10.0) for _ in range(3)]
[True, True, False]
>>> newcomers.admit("192.0.2.0/24", now=3610.0)
True
"""

HOUR = 3600.0


class Newcomers:
    """Newcomers(limit) -> admit(network, now); a limit of 0 is none.

    `now` is in seconds of a monotonic clock: to set the wall clock opens no door."""

    __slots__ = ("_limit", "_most_networks", "_seen")

    def __init__(self, limit: int, most_networks: int = 100_000) -> None:
        self._limit = limit
        self._most_networks = most_networks
        self._seen: dict[str, tuple[float, int]] = {}  # network -> (since, how many)

    def admit(self, network: str, now: float) -> bool:
        """Count one more; False if that is too many."""
        if not self._limit:
            return True
        since, number = self._seen.get(network, (now, 0))
        if now - since >= HOUR:
            since, number = now, 0
        if number >= self._limit:
            return False
        if len(self._seen) >= self._most_networks:
            self._seen.clear()
        self._seen[network] = (since, number + 1)
        return True
