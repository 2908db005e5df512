"""
What a store can do
===================
A store keeps one `Record` a `Triplet`. Records are merged, never overwritten (see Core/Merge.py),
so news may come twice and in any order. `Test/.../Store/test_Stores.py` is the other half of this
contract: a new store joins its parameters and has to pass it whole.

A store belongs to one thread, the one that made it. Nothing in it waits for long: `expire` and
`tidy` do a small piece of their work a call, and `scan` may be left at any place.

>>> from Kamaelia.Apps.Grey.Core.Types import Record, Triplet
>>> from Kamaelia.Apps.Grey.Store.Memory import MemoryStore
>>> store = MemoryStore()
>>> key = Triplet("192.0.2.0/24", "a@example.net", "b@example.org")
>>> with store.batch():  # all of it or nothing
...     store.merge(key, Record.started(now=1_000))
>>> store.get(key).first_seen
1000
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from Kamaelia.Apps.Grey.Core.Types import Lifetimes, Record, Triplet
from Kamaelia.Apps.Grey.Store.Packing import News

Rows = dict[bytes, bytes]
"""Records as memory has them: key_of(triplet) -> packed(record), see Packing.py."""

ANNOUNCED_MOST = 10_000
_MOST_MINUTES = 30 * 24 * 60


def minute_of(due: int, now: int) -> int:
    """The minute to count a grey record in: the one in which it is due, but all that are further
    away than a month as one, so that a strange file has no more minutes than another."""
    return min(max(due // 60, now // 60 - _MOST_MINUTES), now // 60 + _MOST_MINUTES)


class StoreError(Exception):
    """The store cannot do it now. Says what was tried, with which file, and what helps."""


class StoreLostError(StoreError):
    """It could not be opened again after something had happened to it: only another one helps."""


class Store(Protocol):
    """Every method may raise StoreError; the store can be asked again after that."""

    def get(self, triplet: Triplet) -> Record | None:
        """What is known of the triplet, lifetimes not regarded."""

    def get_all(self, triplets: Sequence[Triplet]) -> dict[Triplet, Record]:
        """What is known of these, as `get` gives it; those never seen are not in it."""

    def merge(self, triplet: Triplet, record: Record) -> None:
        """Make `merge(what is known, record)` known."""

    def merge_all(self, news: Sequence[News]) -> None:
        """The same for many, each as `Packing.news_of` gives it; all of it or nothing."""

    def delete(self, triplet: Triplet) -> None:
        """Forget the triplet; unknown ones are no error."""

    def forget(self, network: str) -> int:
        """Forget all triplets of that network; how many they were."""

    def announce(self, network: str, at: int) -> None:
        """Tell all who have the same store open that this network was forgotten at that time
        (seconds since the epoch)."""

    def announced(self, since: int | None) -> tuple[int, dict[str, int]]:
        """What others have announced after the number `since` (None: nothing), each network with
        its time, and the number of the newest. Only the newest `ANNOUNCED_MOST` are kept."""

    def expire(
        self,
        now: int,
        lifetimes: Lifetimes,
        after: Triplet | None,
        limit: int,
        greys: dict[int, int] | None = None,
        *,
        passes: bool = True,
        gone: list[tuple[Triplet, Record]] | None = None,
    ) -> tuple[int, Triplet | None]:
        """Look at `limit` records in the order of their keys, from behind `after` (None: from the
        start), and delete those that are over; those that have passed only with `passes`. Gives how
        many went and the cursor for the next call, None at the end. Those that stay and have not
        passed are counted into `greys`, by the minute in which they are due (see `minute_of`);
        those that go are added to `gone`."""

    def load(self, after: Triplet | None, limit: int) -> tuple[Rows, Triplet | None]:
        """`limit` records in the order of their keys, from behind `after` (None: from the start),
        and the cursor for the next call, None at the end."""

    def count(self) -> int:
        """How many records there are."""

    def scan(self) -> Iterator[tuple[Triplet, Record]]:
        """All records in the order of their keys; changes made meanwhile may show or not."""

    def batch(self) -> AbstractContextManager[None]:
        """One transaction: kept as a whole at its end, or not at all if an exception leaves it.
        Batches do not nest."""

    def tidy(self) -> None:
        """Do what would otherwise hold up a later call. To be called between batches."""

    def close(self) -> None:
        """Leave everything written and in order. Closing twice is harmless."""
