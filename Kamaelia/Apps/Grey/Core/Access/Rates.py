"""
How much of something there was lately
======================================
`ratelimit` counts events under a key (a client, a sender) and asks for how many there were within a
period. Time is cut into slots, a twentieth of the period each, and each key has a count for those
slots in which something happened: to count takes the same time however many events there were, and
what is forgotten, is forgotten a slot at a time.

Keys come from strangers, so there are at most 10,000; the one that was quiet for longest goes.

>>> rates = Rates()
>>> [rates.count("mail", "192.0.2.7", now, 60) for now in (0, 1, 59, 70)]
[1, 2, 3, 2]
>>> rates.seen("mail", "192.0.2.8", 70, 60)
0
"""

from collections import OrderedDict, deque

MOST_KEYS = 10_000
_SLOTS = 20
_LONGEST_KEY = 512


class _Counter:
    """Counts by slot, oldest first, and their sum."""

    __slots__ = ("slots", "total")

    def __init__(self) -> None:
        self.slots: deque[list[int]] = deque()  # [slot, count]
        self.total = 0

    def forget(self, slot: int) -> None:
        if self.slots and self.slots[-1][0] > slot + _SLOTS:
            # A clock that ran far ahead and was set back: what counts with a slot that comes in
            # days would never be forgotten. So it counts from now on.
            self.slots = deque([[slot, self.total]])
        while self.slots and self.slots[0][0] <= slot - _SLOTS:
            self.total -= self.slots.popleft()[1]

    def add(self, slot: int, amount: int) -> None:
        # A clock that was set back: what happens now counts with the latest that is known.
        if self.slots and self.slots[-1][0] >= slot:
            self.slots[-1][1] += amount
        else:
            self.slots.append([slot, amount])
        self.total += amount


class Rates:
    """Rates(most_keys) -> all counters; a new rule set may take them over from the old one."""

    def __init__(self, most_keys: int = MOST_KEYS) -> None:
        self._most_keys = max(1, most_keys)
        self._counters: OrderedDict[tuple[str, str, int], _Counter] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counters)

    def count(self, name: str, key: str, now: float, seconds: int, amount: int = 1) -> int:
        """Count, and say how much there was in the last `seconds` with it."""
        seconds = max(1, seconds)
        place = (name, key[:_LONGEST_KEY], seconds)
        counter = self._counters.get(place)
        if counter is None:
            while len(self._counters) >= self._most_keys:
                self._counters.popitem(last=False)
            counter = self._counters[place] = _Counter()
        else:
            self._counters.move_to_end(place)
        slot = _slot(now, seconds)
        counter.forget(slot)
        counter.add(slot, amount)
        return counter.total

    def seen(self, name: str, key: str, now: float, seconds: int) -> int:
        """How much there was in the last `seconds`. Counts nothing."""
        seconds = max(1, seconds)
        counter = self._counters.get((name, key[:_LONGEST_KEY], seconds))
        if counter is None:
            return 0
        counter.forget(_slot(now, seconds))
        return counter.total


def _slot(now: float, seconds: int) -> int:
    return int(now * _SLOTS // seconds)
