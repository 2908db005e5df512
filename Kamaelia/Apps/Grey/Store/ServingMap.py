"""
The records in memory, from which decisions are served
======================================================
A map from the key of a triplet to its packed record (Packing.py), bounded, and never slow: whatever
is asked of it takes microseconds, however many records there are.

* 256 dicts in the place of one: a dict that grows copies itself, and of a million rows that would
  take a tenth of a second in the middle of somebody's decision; of a 256th of them, less than one
  millisecond.
* Above `limit` the oldest that have not passed make room: of the dict that grows, the few at the
  front are looked at, and those with a pass go to the back (so they are not looked at again before
  all others). What went is still in the file, but from then on the map cannot say "never seen".
* Sweeping is done in slices: `sweep` looks at so many records a call. `forget`, too, is done a dict
  at a time.

>>> from Kamaelia.Apps.Grey.Core.Types import Lifetimes, Record
>>> records = ServingMap(limit=1000)
>>> records.merge(b"k" * 20, Record.started(now=1_000))
>>> records.get(b"k" * 20).first_seen, records.get(b"x" * 20)
(1000, None)
>>> records.sweep(now=99_000, lifetimes=Lifetimes(100, 1000), limit=500), len(records)
(1, 0)
"""

from collections.abc import Container, Mapping

from Kamaelia.Apps.Grey.Core.Merge import merge
from Kamaelia.Apps.Grey.Core.Types import Lifetimes, Record
from Kamaelia.Apps.Grey.Store.Packing import has_passed, packed, says_all, unpacked

SHARDS = 256
_LOOKED_AT = 32  # to make room for one


class ServingMap:
    """ServingMap(limit) -> get, merge, load and sweep by key; never more than `limit` records."""

    __slots__ = ("_at", "_count", "_limit", "_shards", "_slice", "evicted")

    def __init__(self, limit: int) -> None:
        self._limit = max(limit, 1)
        self._shards: list[dict[bytes, bytes]] = [{} for _ in range(SHARDS)]
        self._count = 0
        self.evicted = 0  # how many had to make room; the owner may set it back
        self._at = 0  # where the sweep is: the shard, and what is left of it to look at
        self._slice: list[bytes] = []

    def __len__(self) -> int:
        return self._count

    def get(self, key: bytes) -> Record | None:
        """The record, lifetimes not regarded."""
        data = self._shards[key[0]].get(key)
        return None if data is None else unpacked(data)

    def merge(self, key: bytes, record: Record) -> None:
        """Make merge(what is known, record) known."""
        shard = self._shards[key[0]]
        known = shard.get(key)
        if known is None:
            self._add(shard, key, packed(record))
        elif says_all(known, record):  # nearly always: the record was made of what is known
            shard[key] = packed(record)
        else:
            shard[key] = packed(merge(unpacked(known), record))

    def load(self, rows: dict[bytes, bytes]) -> None:
        """Merge packed records: what a slice of the file has."""
        for key, data in rows.items():
            shard = self._shards[key[0]]
            known = shard.get(key)
            if known is None:
                self._add(shard, key, data)
            elif known != data:
                shard[key] = packed(merge(unpacked(known), unpacked(data)))

    def sweep(self, now: int, lifetimes: Lifetimes, limit: int) -> int:
        """Look at up to `limit` records, from where the last call ended, and delete those that are
        over; how many. All have been looked at when it leaves off `at_start`."""
        removed = 0
        while limit > 0:
            shard = self._shards[self._at]
            if not self._slice:
                self._slice = list(shard)
            seen, self._slice = self._slice[-limit:], self._slice[:-limit]
            for key in seen:
                data = shard.get(key)
                if data is not None and lifetimes.is_over(unpacked(data), now):
                    del shard[key]
                    removed += 1
            limit -= len(seen)
            if not self._slice:
                self._at = (self._at + 1) % SHARDS
                if not self._at:
                    break
        self._count -= removed
        return removed

    def forget(self, shard_number: int, kept: Mapping[bytes, Container[bytes]]) -> int:
        """Delete, from one of the `SHARDS` dicts, the records whose keys end in one of those tags
        (Packing.tag_of), but not the keys that `kept` has for that tag; how many."""
        shard = self._shards[shard_number]
        over = [key for key in shard if key[-4:] in kept and key not in kept[key[-4:]]]
        for key in over:
            del shard[key]
        self._count -= len(over)
        return len(over)

    def delete(self, key: bytes) -> None:
        """Forget it; unknown keys are no error."""
        if self._shards[key[0]].pop(key, None) is not None:
            self._count -= 1

    @property
    def at_start(self) -> bool:
        """Whether the next sweep begins with the first record."""
        return self._at == 0 and not self._slice

    def _add(self, shard: dict[bytes, bytes], key: bytes, data: bytes) -> None:
        if self._count >= self._limit:
            self._make_room(shard)
        shard[key] = data
        self._count += 1

    def _make_room(self, shard: dict[bytes, bytes]) -> None:
        for _ in range(_LOOKED_AT):
            if not shard:  # others have more than their share
                shard = max(self._shards, key=len)
            oldest = next(iter(shard))
            data = shard.pop(oldest)
            if not has_passed(data):
                break
            shard[oldest] = data
        else:  # passes only: the one that was looked at last has to go
            del shard[oldest]
        self._count -= 1
        self.evicted += 1
