"""
Many records in one statement
=============================
SQL for SqliteStore that merges or reads 256, 16 or one record at a time. There are only these few
sizes, so that SQLite's module keeps all of the statements ready.

>>> sorted(PUT) == sorted(GET_ALL) == [1, 16, 256]
True
"""

from Kamaelia.Apps.Grey.Store.SqliteSchema import KEY, VALUES

# Core/Merge.py in SQL: of two generations the later one whole, else each field its own way. A merge
# that reads the old row in Python would hand the interpreter's lock to and fro for each row, and
# wait five milliseconds each time while the scheduler is busy.
_MERGE = """ ON CONFLICT (network, sender, recipient) DO UPDATE SET
    generation = excluded.generation,
    first_seen = CASE WHEN excluded.generation > generation THEN excluded.first_seen
        ELSE min(first_seen, excluded.first_seen) END,
    last_seen = CASE WHEN excluded.generation > generation THEN excluded.last_seen
        ELSE max(last_seen, excluded.last_seen) END,
    passed_at = CASE WHEN excluded.generation > generation THEN excluded.passed_at
        ELSE coalesce(max(passed_at, excluded.passed_at), passed_at, excluded.passed_at) END,
    deferred = CASE WHEN excluded.generation > generation THEN excluded.deferred
        ELSE max(deferred, excluded.deferred) END,
    passed = CASE WHEN excluded.generation > generation THEN excluded.passed
        ELSE max(passed, excluded.passed) END,
    due = CASE WHEN excluded.generation > generation THEN excluded.due
        ELSE min(due, excluded.due) END,
    until = CASE WHEN excluded.generation > generation THEN excluded.until
        ELSE max(until, excluded.until) END
WHERE excluded.generation >= generation"""
_ROW = f"({','.join('?' * len(KEY + VALUES))})"
PUT = {  # rows a statement -> the statement: few, so that SQLite's module keeps all of them ready
    rows: f"INSERT INTO records VALUES {','.join([_ROW] * rows)}{_MERGE}"  # noqa: S608
    for rows in (256, 16, 1)
}
# Many at once: asked one by one, each would wait for that lock. CROSS JOIN holds SQLite to the
# order: each of those wanted is looked up by its key.
GET_ALL = {
    rows: "WITH wanted (place, n, s, r) AS"  # noqa: S608
    f" (VALUES {','.join(f'({place},?,?,?)' for place in range(rows))})"
    f" SELECT {', '.join(f'json_group_array({name})' for name in ('place', *VALUES))}"
    " FROM wanted CROSS JOIN records ON network = n AND sender = s AND recipient = r"
    for rows in (256, 16, 1)
}
