"""
Two records of one triplet become one
=====================================
The store never overwrites a record, it merges: two connections, two lists of requests or two
machines may then bring their news in any order, twice, or late, and all end with the same record.
For that, `merge` has to be commutative, associative and idempotent.

The rule: of two generations the later one wins whole; within a generation each field goes one
way only (`first_seen` and `due` down, all others up, no pass before any pass). Fields that go one
way have the three properties by themselves, and putting a total order in front of them keeps these.

Why generations are counted and not told from the times: whether one record "had ended before
the other began" needs the lifetimes of the policy, and it is not associative. A third record
that overlaps both would join what two of them, merged first, had already thrown away.

>>> from Kamaelia.Apps.Grey.Core.Types import Record
>>> here, there = Record.started(now=100), Record.started(now=130)
>>> merge(here, there).first_seen
100
>>> merge(here, Record.started(now=90_000, generation=1)).first_seen
90000
"""

from Kamaelia.Apps.Grey.Core.Types import Record


def merge(a: Record, b: Record) -> Record:
    """The one record that knows what both know."""
    if a.generation != b.generation:
        return a if a.generation > b.generation else b
    return Record(
        generation=a.generation,
        first_seen=min(a.first_seen, b.first_seen),
        last_seen=max(a.last_seen, b.last_seen),
        passed_at=_later(a.passed_at, b.passed_at),
        deferred=max(a.deferred, b.deferred),
        passed=max(a.passed, b.passed),
        due=min(a.due, b.due),
        until=max(a.until, b.until),
    )


def _later(a: int | None, b: int | None) -> int | None:
    if a is None or b is None:
        return b if a is None else a
    return max(a, b)
