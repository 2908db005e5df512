"""
Say a thing now and then, and not each time
===========================================
What is wrong with a neighbour is wrong each time that one meets it, and a log with ten thousand
lines about it is read by nobody.

Example Usage
-------------
>>> complaints = Seldom(3600.0)
>>> [complaints.is_due("mail.example.org", now) for now in (0.0, 1.0, 3599.0, 3600.0)]
[True, False, False, True]
>>> complaints.is_due("mail2.example.org", 3600.0)
True

Rules. Time is the caller's, in seconds, and never runs backwards. So many things are remembered at
most; beyond that all are forgotten, and said once more.
"""

from collections.abc import Hashable


class Seldom:
    """Seldom(seconds, most=1000) -> for each of at most so many things, whether it is time to say
    it again: not before so many seconds have passed."""

    __slots__ = ("_most", "_next", "_seconds")

    def __init__(self, seconds: float, most: int = 1_000) -> None:
        self._seconds = seconds
        self._most = most
        self._next: dict[Hashable, float] = {}

    def is_due(self, thing: Hashable, now: float) -> bool:
        """Whether to say it now; then it counts as said."""
        if now < self._next.get(thing, now):
            return False
        if len(self._next) >= self._most and thing not in self._next:
            self._next.clear()
        self._next[thing] = now + self._seconds
        return True
