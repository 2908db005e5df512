"""
The store in an SQLite file
===========================
The default: one file, nothing to install, and `sqlite3 greylist.sqlite3 'select * from records'`
shows what is in it, also while the daemon runs.

What is promised: a batch is in the file as a whole or not at all, also after `kill -9`; after a
power cut the last seconds may be missing, which costs some senders one more retry
(`synchronous=NORMAL`). A file that cannot be used is set aside and the store goes on empty.

SQLite's own checkpoint would run inside some commit and hold up a decision for a tenth of a
second; it is switched off, and `tidy` does that work between batches.

>>> from pathlib import Path
>>> from tempfile import TemporaryDirectory
>>> from Kamaelia.Apps.Grey.Core.Types import Record, Triplet
>>> key = Triplet("192.0.2.0/24", "a@example.net", "b@example.org")
>>> with TemporaryDirectory() as folder:
...     store = SqliteStore(Path(folder, "greylist.sqlite3"))
...     store.merge(key, Record.started(now=1_000))
...     print(store.get(key).first_seen)
...     store.close()
1000
"""

import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from Kamaelia.Apps.Grey.Core.Merge import merge
from Kamaelia.Apps.Grey.Core.Types import Lifetimes, Record, Triplet
from Kamaelia.Apps.Grey.Store.DatabaseFile import claim, set_aside
from Kamaelia.Apps.Grey.Store.Interface import StoreError

log = logging.getLogger(__name__)

SCHEMA_VERSION = 1
_APPLICATION_ID = 0x47524559  # "GREY": tells our files from those of other programs
_KEY = ("network", "sender", "recipient")
_VALUES = ("generation", "first_seen", "last_seen", "passed_at", "deferred", "passed")
_CREATE = """
CREATE TABLE records (
    network TEXT NOT NULL, sender TEXT NOT NULL, recipient TEXT NOT NULL,
    generation INTEGER NOT NULL, first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL,
    passed_at INTEGER, deferred INTEGER NOT NULL, passed INTEGER NOT NULL,
    PRIMARY KEY (network, sender, recipient)
) STRICT, WITHOUT ROWID
"""
_GET = f"SELECT {', '.join(_VALUES)} FROM records WHERE network=? AND sender=? AND recipient=?"  # noqa: S608 (constants only)
_PUT = "INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_DELETE = "DELETE FROM records WHERE network=? AND sender=? AND recipient=?"
_FIRST_SLICE = "SELECT * FROM records ORDER BY network, sender, recipient LIMIT ?"
_NEXT_SLICE = (
    "SELECT * FROM records WHERE (network, sender, recipient) > (?, ?, ?)"
    " ORDER BY network, sender, recipient LIMIT ?"
)
_SCAN_SLICE = 500

_BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_CURES = {
    sqlite3.SQLITE_FULL: "Free some space on that disk; the store then goes on by itself",
    sqlite3.SQLITE_CANTOPEN: "The daemon's user must own the file and be able to write its folder",
    sqlite3.SQLITE_READONLY: "The daemon's user must own the file and be able to write its folder",
    sqlite3.SQLITE_BUSY: "Another program holds the database locked: end that program",
    sqlite3.SQLITE_IOERR: "Check the disk",
}


class _UnusableError(Exception):
    """A sound file, but not one of ours, or not one that this version understands."""


class SqliteStore:
    """SqliteStore(path) -> a Store (Interface.py) in that file, which is made if need be.

    `clock` is wall-clock time and names files that are set aside; `monotonic` bounds the check
    of a file that was not closed properly to `check_seconds`; a lock of another program is
    waited for `busy_seconds`.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        busy_seconds: float = 1.0,
        check_seconds: float = 5.0,
        checkpoint_bytes: int = 4 * 1024 * 1024,
    ) -> None:
        self._path = path
        self._clock = clock
        self._monotonic = monotonic
        self._busy_seconds = busy_seconds
        self._check_seconds = check_seconds
        self._checkpoint_bytes = checkpoint_bytes
        self._checkpoint_at = checkpoint_bytes
        self._in_batch = False
        self._connection = self._open()

    def get(self, triplet: Triplet) -> Record | None:
        rows = self._execute(_GET, *_key(triplet))
        return Record(*rows[0]) if rows else None

    def merge(self, triplet: Triplet, record: Record) -> None:
        with self._transaction():
            known = self.get(triplet)
            merged = record if known is None else merge(known, record)
            if merged != known:
                self._execute(_PUT, *_key(triplet), *_values(merged))

    def delete(self, triplet: Triplet) -> None:
        self._execute(_DELETE, *_key(triplet))

    def expire(
        self, now: int, lifetimes: Lifetimes, after: Triplet | None, limit: int
    ) -> tuple[int, Triplet | None]:
        with self._transaction():
            records = self._slice(after, limit)
            over = [triplet for triplet, record in records if lifetimes.is_over(record, now)]
            for triplet in over:
                self.delete(triplet)
        return len(over), records[-1][0] if len(records) == limit else None

    def count(self) -> int:
        number: int = self._execute("SELECT count(*) FROM records")[0][0]
        return number

    def scan(self) -> Iterator[tuple[Triplet, Record]]:
        # In slices: a reader left at half way must not keep the journal from being emptied.
        after: Triplet | None = None
        while records := self._slice(after, _SCAN_SLICE):
            yield from records
            after = records[-1][0]

    @contextmanager
    def batch(self) -> Iterator[None]:
        if self._in_batch:
            raise RuntimeError("batches do not nest")
        self._execute("BEGIN IMMEDIATE")  # at once the writer: a merge reads what it replaces
        self._in_batch = True
        try:
            yield
            self._execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # a full disk may have rolled it back already
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
            raise
        finally:
            self._in_batch = False

    def tidy(self) -> None:
        """Move the journal into the database once it is long enough."""
        try:
            size = self._companion("-wal").stat().st_size
        except FileNotFoundError:
            return
        if size < self._checkpoint_at:
            return
        # Not done (a reader is in the way, the disk is full): not tried again at once.
        self._checkpoint_at = size + self._checkpoint_bytes
        self._execute("PRAGMA busy_timeout = 0")  # nor waited for
        try:
            blocked = self._execute("PRAGMA wal_checkpoint(TRUNCATE)")[0][0]
        finally:
            self._execute(f"PRAGMA busy_timeout = {int(self._busy_seconds * 1000)}")
        if not blocked:
            self._checkpoint_at = self._checkpoint_bytes

    def close(self) -> None:
        try:
            self._connection.close()
        except sqlite3.Error as error:
            raise _explained(self._path, error) from error

    # --- opening ---

    def _open(self) -> sqlite3.Connection:
        claim(self._path)
        try:
            return self._connect()
        except (sqlite3.Error, _UnusableError) as error:
            if not _is_broken(error):
                raise _explained(self._path, error) from error
            self._set_aside(error)
        claim(self._path)
        try:
            return self._connect()
        except (sqlite3.Error, _UnusableError) as error:  # a new file too: it is the disk
            raise _explained(self._path, error) from error

    def _connect(self) -> sqlite3.Connection:
        # SQLite deletes its journal when the last user closes properly, so one that is there
        # was left by a crash (or belongs to somebody reading now: then the check is for nothing).
        left_open = self._companion("-wal").exists()
        connection = sqlite3.connect(self._path, timeout=self._busy_seconds, isolation_level=None)
        try:
            self._check(connection, left_open=left_open)
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA wal_autocheckpoint = 0")
        except BaseException:
            connection.close()
            raise
        return connection

    def _check(self, connection: sqlite3.Connection, *, left_open: bool) -> None:
        def pragma(name: str) -> int:
            number: int = connection.execute(f"PRAGMA {name}").fetchone()[0]
            return number

        version, application = pragma("user_version"), pragma("application_id")
        if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0 == version:
            _create(connection)
            return
        if application != _APPLICATION_ID:
            raise _UnusableError("it is the database of another program")
        if version > SCHEMA_VERSION:
            raise _UnusableError(
                f"it was written by a newer version of this program (schema {version})"
            )
        columns = connection.execute("SELECT name FROM pragma_table_info('records')").fetchall()
        if tuple(name for (name,) in columns) != _KEY + _VALUES:
            raise _UnusableError("its table of records is missing or has other columns")
        size = self._path.stat().st_size
        if left_open or size != pragma("page_count") * pragma("page_size"):
            self._quick_check(connection)

    def _quick_check(self, connection: sqlite3.Connection) -> None:
        """Read the whole file, but not for longer than `check_seconds`: mail is waiting."""
        deadline = self._monotonic() + self._check_seconds
        connection.set_progress_handler(lambda: self._monotonic() > deadline, 10_000)
        try:
            findings = connection.execute("PRAGMA quick_check(1)").fetchall()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                raise
            log.warning(
                "%s: not closed properly; checked for %g s, the rest is taken on trust",
                self._path,
                self._check_seconds,
            )
        else:
            if findings != [("ok",)]:
                raise _UnusableError("it is damaged inside")
        finally:
            connection.set_progress_handler(None, 0)

    # --- using ---

    # Rows are what SQLite gives: their shape is that of the statement, in the same method.
    def _execute(self, statement: str, *values: str | int | None) -> list[tuple]:  # type: ignore[type-arg]
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            if not _is_broken(error):
                raise _explained(self._path, error) from error
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._set_aside(error)
        self._connection = self._open()
        if self._in_batch:
            raise StoreError(f"{self._path}: was set aside in the middle of a batch: do it again")
        return self._execute(statement, *values)

    def _set_aside(self, error: Exception) -> None:
        kept = set_aside(self._path, self._clock())
        log.critical(
            "%s cannot be used (%s): kept as %s, starting with an empty store",
            self._path,
            _why(error),
            kept.name,
        )

    def _slice(self, after: Triplet | None, limit: int) -> list[tuple[Triplet, Record]]:
        if after is None:
            rows = self._execute(_FIRST_SLICE, limit)
        else:
            rows = self._execute(_NEXT_SLICE, *_key(after), limit)
        return [(Triplet(*row[:3]), Record(*row[3:])) for row in rows]

    def _transaction(self) -> AbstractContextManager[None]:
        return nullcontext() if self._in_batch else self.batch()

    def _companion(self, suffix: str) -> Path:
        return self._path.with_name(self._path.name + suffix)


def _key(triplet: Triplet) -> tuple[str, str, str]:
    return triplet.network, triplet.sender, triplet.recipient


def _values(record: Record) -> tuple[int | None, ...]:
    return tuple(getattr(record, name) for name in _VALUES)


def _create(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(_CREATE)
    connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("COMMIT")


def _is_broken(error: Exception) -> bool:
    if isinstance(error, _UnusableError):
        return True
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # from Python's module: text in the file that is not UTF-8
        return isinstance(error, sqlite3.OperationalError)
    return code & 0xFF in _BROKEN


def _explained(path: Path, error: Exception) -> StoreError:
    code = getattr(error, "sqlite_errorcode", 0)
    cure = _CURES.get(code & 0xFF, "")
    return StoreError(f"{path}: {_why(error)}. {cure}".rstrip(". "))


def _why(error: Exception) -> str:
    if isinstance(error, sqlite3.OperationalError) and not hasattr(error, "sqlite_errorcode"):
        return "it holds text that is not UTF-8"  # the error would quote it: a stranger's text
    return str(error)
