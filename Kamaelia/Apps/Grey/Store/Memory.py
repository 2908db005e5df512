"""
A store in a dict
=================
For tests, trials and whoever prefers that nothing touches the disk: all is forgotten at the end
of the process, so after a restart every stranger waits once more.

>>> from Kamaelia.Apps.Grey.Core.Types import Record, Triplet
>>> store = MemoryStore()
>>> store.merge(Triplet("192.0.2.0/24", "", "b@example.org"), Record.started(now=1_000))
>>> store.count()
1
"""

import heapq
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

from Kamaelia.Apps.Grey.Core.Merge import merge
from Kamaelia.Apps.Grey.Core.Types import Lifetimes, Record, Triplet
from Kamaelia.Apps.Grey.Store.Interface import Rows, minute_of
from Kamaelia.Apps.Grey.Store.Packing import News, key_of, packed


class MemoryStore:
    """MemoryStore() -> a Store (Interface.py) that lives as long as the object."""

    def __init__(self) -> None:
        self._records: dict[Triplet, Record] = {}
        self._undo: dict[Triplet, Record | None] | None = None  # a dict while in a batch

    def get(self, triplet: Triplet) -> Record | None:
        return self._records.get(triplet)

    def get_all(self, triplets: Sequence[Triplet]) -> dict[Triplet, Record]:
        found = {triplet: self.get(triplet) for triplet in triplets}
        return {triplet: record for triplet, record in found.items() if record is not None}

    def merge(self, triplet: Triplet, record: Record) -> None:
        known = self._records.get(triplet)
        self._note(triplet, known)
        self._records[triplet] = record if known is None else merge(known, record)

    def merge_all(self, news: Sequence[News]) -> None:
        with self.batch() if self._undo is None else nullcontext():
            for one in news:
                self.merge(Triplet(*one[1:4]), Record(*one[4:]))

    def delete(self, triplet: Triplet) -> None:
        self._note(triplet, self._records.pop(triplet, None))

    def forget(self, network: str) -> int:
        over = [triplet for triplet in self._records if triplet.network == network]
        for triplet in over:
            self.delete(triplet)
        return len(over)

    def announce(self, network: str, at: int) -> None:
        pass  # nobody else can have it open

    def announced(self, since: int | None) -> tuple[int, dict[str, int]]:
        return 0, {}

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
        keys = self._next_keys(after, limit)
        over = [
            key
            for key in keys
            if (passes or self._records[key].passed_at is None)
            and lifetimes.is_over(self._records[key], now)
        ]
        if gone is not None:
            gone.extend((key, self._records[key]) for key in over)
        for key in over:
            self.delete(key)
        if greys is not None:
            for record in filter(None, map(self._records.get, keys)):
                if record.passed_at is None:
                    minute = minute_of(record.due, now)
                    greys[minute] = greys.get(minute, 0) + 1
        return len(over), keys[-1] if len(keys) == limit else None

    def load(self, after: Triplet | None, limit: int) -> tuple[Rows, Triplet | None]:
        keys = self._next_keys(after, limit)
        rows = {key_of(key): packed(self._records[key]) for key in keys}
        return rows, keys[-1] if len(keys) == limit else None

    def count(self) -> int:
        return len(self._records)

    def scan(self) -> Iterator[tuple[Triplet, Record]]:
        yield from sorted(self._records.items(), key=lambda item: item[0])

    @contextmanager
    def batch(self) -> Iterator[None]:
        if self._undo is not None:
            raise RuntimeError("batches do not nest")
        self._undo = {}
        try:
            yield
        except BaseException:
            self._roll_back(self._undo)
            raise
        finally:
            self._undo = None

    def tidy(self) -> None:
        pass

    def close(self) -> None:
        pass

    def _next_keys(self, after: Triplet | None, limit: int) -> list[Triplet]:
        behind = (key for key in self._records if after is None or key > after)
        return heapq.nsmallest(limit, behind)

    def _note(self, triplet: Triplet, before: Record | None) -> None:
        if self._undo is not None:
            self._undo.setdefault(triplet, before)  # the first note is the state before the batch

    def _roll_back(self, undo: dict[Triplet, Record | None]) -> None:
        for triplet, before in undo.items():
            if before is None:
                self._records.pop(triplet, None)
            else:
                self._records[triplet] = before
