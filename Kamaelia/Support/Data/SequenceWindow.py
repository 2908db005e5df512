"""
A window of numbered items
==========================
Puts items into the order of their numbers, if none is more than so many places from its own:

>>> window = SequenceWindow(size=2)
>>> for number in (4, 6, 5, 5, 7, 9, 10, 11):
...     print(number, window.add(number, f"item {number}"))
4 []
6 []
5 ['item 4', 'item 5', 'item 6']
5 []
7 ['item 7']
9 []
10 []
11 ['item 9', 'item 10', 'item 11']
>>> window.rest()
[]

Rules:

* At the beginning ``size`` items are kept, since the first to come need not be the first in order.
* Then an item is given out at once if it is the next one. What is behind a gap is kept until the
  gap is filled, or more than ``size`` items wait for that: then it is given up.
* An item whose number was given out, passed by, or is kept already, is dropped.
* Numbers begin again at 0 after ``modulo - 1``, so half of them are before any number and half
  behind. If nothing but numbers before the expected one has come for a while, then whoever counts
  has started anew, and so does the window.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Generic, TypeVar

Item = TypeVar("Item")

_STRANGERS = 30  # late numbers in a row, at least, before they are taken for a new sequence


class SequenceWindow(Generic[Item]):
    """SequenceWindow(size, modulo=2**32) -> gives items out in order.

    Raises ValueError if there are too few numbers for the size."""

    def __init__(self, size: int, modulo: int = 2**32) -> None:
        if size < 1:
            raise ValueError(f"a window has room for at least one item, not {size}")
        if modulo <= 2 * size:
            raise ValueError(f"{modulo} numbers are too few for a window of {size}")
        self._size = size
        self._modulo = modulo
        # Counted on where the numbers begin again, so that they can be compared.
        self._places: list[int] = []  # a heap
        self._items: dict[int, Item] = {}  # by their places
        self._next: int | None = None  # place; None: nothing was given out yet
        self._strangers = 0  # late in a row

    def add(self, number: int, item: Item) -> list[Item]:
        """What is to be given out now."""
        place = self._place(number)
        if self._next is not None and place < self._next:
            self._strangers += 1
            if self._strangers <= max(self._size, _STRANGERS):
                return []
            out = self.rest()
            self._next = None
            return out + self.add(number, item)
        self._strangers = 0
        if place not in self._items:
            heappush(self._places, place)
            self._items[place] = item
        return self._ready()

    def rest(self) -> list[Item]:
        """All that is kept, in order: nothing more will come."""
        return [self._pop() for _ in range(len(self._places))]

    def _place(self, number: int) -> int:
        """The place with that number that is nearest to those of now."""
        near = self._next
        if near is None:
            near = self._places[0] if self._places else number
        ahead = (number - near) % self._modulo
        return near + (ahead if ahead < (self._modulo + 1) // 2 else ahead - self._modulo)

    def _ready(self) -> list[Item]:
        out = []
        while self._places and (self._places[0] == self._next or len(self._places) > self._size):
            out.append(self._pop())
        return out

    def _pop(self) -> Item:
        place = heappop(self._places)
        self._next = place + 1
        return self._items.pop(place)
