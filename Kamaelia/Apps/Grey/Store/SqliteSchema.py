"""
The table in the SQLite file, and how an older one becomes it
=============================================================
`create` makes the table in an empty file; `migrate` turns a file of schema 1 into one of schema 2.

Schema 1 knew neither when a retry is due nor when a pass ends, but worked both out from the
settings of the moment. In the new columns a sender that waits is due from its first sight on (what
it has waited, counts), and a pass ends its lifetime after the latest mail that used it.

Before anything is changed, the file is copied to `NAME.schema1`: to go back to the older program,
stop this one and put that copy in the place of the file. All of the change is one transaction, done
in slices so that no statement takes long: whoever is killed meanwhile has the old file as it was.

>>> from contextlib import closing
>>> with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
...     create(connection)
...     connection.execute("PRAGMA user_version").fetchone()
(2,)
"""

import logging
import sqlite3
from pathlib import Path

from Kamaelia.Apps.Grey.Store.DatabaseFile import claim
from Kamaelia.Apps.Grey.Store.Interface import StoreError

log = logging.getLogger(__name__)

SCHEMA_VERSION = 2
OLDEST_VERSION = 1  # that can be migrated
APPLICATION_ID = 0x47524559  # "GREY": tells our files from those of other programs
KEY = ("network", "sender", "recipient")
_VALUES_OF_1 = ("generation", "first_seen", "last_seen", "passed_at", "deferred", "passed")
VALUES = (*_VALUES_OF_1, "due", "until")
COLUMNS = {1: KEY + _VALUES_OF_1, 2: KEY + VALUES}

_MORE = ("due INTEGER NOT NULL DEFAULT 0", "until INTEGER NOT NULL DEFAULT 0")
_CREATE = f"""
CREATE TABLE records (
    network TEXT NOT NULL, sender TEXT NOT NULL, recipient TEXT NOT NULL,
    generation INTEGER NOT NULL, first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL,
    passed_at INTEGER, deferred INTEGER NOT NULL, passed INTEGER NOT NULL,
    {", ".join(_MORE)},
    PRIMARY KEY (network, sender, recipient)
) STRICT, WITHOUT ROWID
"""
# Networks that were forgotten, for the other processes: a line each, the newest with the highest
# number. It is made when it is missing; who does not know it is not harmed.
CREATE_FORGOTTEN = """
CREATE TABLE IF NOT EXISTS forgotten (
    number INTEGER PRIMARY KEY, network TEXT NOT NULL UNIQUE, at INTEGER NOT NULL,
    writer INTEGER NOT NULL
) STRICT
"""
ANNOUNCE = "INSERT OR REPLACE INTO forgotten (network, at, writer) VALUES (?, ?, ?)"
PRUNE = "DELETE FROM forgotten WHERE number <= (SELECT max(number) FROM forgotten) - ?"
NEWEST = "SELECT coalesce(max(number), 0) FROM forgotten"
ANNOUNCED = "SELECT network, at FROM forgotten WHERE number > ? AND writer <> ? ORDER BY number"
_SLICE = 20_000
_COPY_PAGES = 1000
_END_OF_SLICE = (
    "SELECT network, sender, recipient FROM records {} ORDER BY network, sender, recipient"
    " LIMIT 1 OFFSET ?"
)
_BEHIND = "(network, sender, recipient) > (?, ?, ?)"
_UP_TO = "(network, sender, recipient) <= (?, ?, ?)"
_FILL = (
    "UPDATE records SET due = first_seen,"
    " until = CASE WHEN passed_at IS NULL THEN 0 ELSE passed_at + ? END"
)


def create(connection: sqlite3.Connection) -> None:
    """Make the table, unless another process was faster."""
    connection.execute("BEGIN IMMEDIATE")
    if _version(connection):
        connection.execute("ROLLBACK")
        return
    connection.execute(_CREATE)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("COMMIT")


def migrate(
    connection: sqlite3.Connection, path: Path, pass_seconds: int, slice_rows: int = _SLICE
) -> None:
    """From schema 1, unless another process was faster. Raises sqlite3.Error or StoreError, and
    then the file is as it was."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _version(connection) == OLDEST_VERSION:
            log.warning("%s: is brought to schema %d", path, SCHEMA_VERSION)
            backup = back_up(path)
            _fill_columns(connection, pass_seconds, slice_rows)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            log.warning("%s: done; as it was before, it is kept as %s", path, backup.name)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk may have rolled it back already
            connection.execute("ROLLBACK")
        raise


def back_up(path: Path) -> Path:
    """Copy what is in the database, journal and all, to NAME.schema1. A copy of that name gives
    way: what it holds is older."""
    kept = path.with_name(f"{path.name}.schema1")
    unfinished = path.with_name(f"{path.name}.schema1.unfinished")
    unfinished.unlink(missing_ok=True)
    claim(unfinished)
    try:
        # A connection of its own: the other one is in a transaction.
        source = sqlite3.connect(path, isolation_level=None)
        target = sqlite3.connect(unfinished, isolation_level=None)
        try:
            source.backup(target, pages=_COPY_PAGES, sleep=0)
            target.execute("PRAGMA journal_mode = DELETE")  # one file, without companions
        finally:
            source.close()
            target.close()
        return unfinished.replace(kept)
    except OSError as error:
        raise StoreError(f"{kept}: {error.strerror}. It is to hold a copy of {path}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _fill_columns(connection: sqlite3.Connection, pass_seconds: int, slice_rows: int) -> None:
    for column in _MORE:
        connection.execute(f"ALTER TABLE records ADD COLUMN {column}")
    after: tuple[str, ...] = ()
    while True:
        where = f"WHERE {_BEHIND}" if after else ""
        last = connection.execute(_END_OF_SLICE.format(where), (*after, slice_rows - 1)).fetchone()
        if last is None:
            connection.execute(f"{_FILL} {where}", (pass_seconds, *after))
            return
        where = f"{where} AND {_UP_TO}" if after else f"WHERE {_UP_TO}"
        connection.execute(f"{_FILL} {where}", (pass_seconds, *after, *last))
        after = last


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version
