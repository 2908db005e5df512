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
import json
import logging
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from Kamaelia.Apps.Grey.Core.Types import Lifetimes, Record, Triplet
from Kamaelia.Apps.Grey.Store.DatabaseFile import claim, set_aside
from Kamaelia.Apps.Grey.Store.Interface import (
    ANNOUNCED_MOST,
    Rows,
    StoreError,
    StoreLostError,
    minute_of,
)
from Kamaelia.Apps.Grey.Store.Packing import News, key_of_fields, packed_fields
from Kamaelia.Apps.Grey.Store.SqliteSchema import (
    ANNOUNCE,
    ANNOUNCED,
    APPLICATION_ID,
    COLUMNS,
    CREATE_FORGOTTEN,
    KEY,
    NEWEST,
    OLDEST_VERSION,
    PRUNE,
    SCHEMA_VERSION,
    VALUES,
    create,
    migrate,
)
from Kamaelia.Apps.Grey.Store.SqliteStatements import GET_ALL, PUT

log = logging.getLogger(__name__)

_GET = f"SELECT {', '.join(VALUES)} FROM records WHERE network=? AND sender=? AND recipient=?"  # noqa: S608 (constants only)
_DELETE = "DELETE FROM records WHERE network=? AND sender=? AND recipient=?"
_FORGET = "DELETE FROM records WHERE network=?"
_FIRST_SLICE = "SELECT * FROM records ORDER BY network, sender, recipient LIMIT ?"
_NEXT_SLICE = (
    "SELECT * FROM records WHERE (network, sender, recipient) > (?, ?, ?)"
    " ORDER BY network, sender, recipient LIMIT ?"
)
_SCAN_SLICE = 500
_FAR = 2**40  # seconds
_BEHIND = "(network, sender, recipient) > (?, ?, ?)"
_UP_TO = "(network, sender, recipient) <= (?, ?, ?)"
_BY_KEY = "ORDER BY network, sender, recipient"
# One row that holds all, column by column: fetched one by one, each would cost a wait for the
# interpreter's lock, and a list each the attention of the garbage collector.
_LOAD = f"SELECT {', '.join(f'json_group_array({name})' for name in KEY + VALUES)} FROM ({{}})"  # noqa: S608
_IS_OVER = "CASE WHEN passed_at IS NULL THEN ? - due > ? ELSE ? AND ? > until END"

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
    waited for `busy_seconds`. A file of an older schema is brought to this one; its passes then
    last `pass_seconds`.
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
        pass_seconds: int = 36 * 24 * 3600,
    ) -> None:
        self._path = path
        self._clock = clock
        self._monotonic = monotonic
        self._busy_seconds = busy_seconds
        self._check_seconds = check_seconds
        self._checkpoint_bytes = checkpoint_bytes
        self._checkpoint_at = checkpoint_bytes
        self._pass_seconds = pass_seconds
        self._in_batch = False
        self._writer = secrets.randbits(62)  # a process number comes again
        self._opened_as: tuple[int, int] | None = None
        self._connection = self._open()

    def get(self, triplet: Triplet) -> Record | None:
        rows = self._execute(_GET, *_key(triplet))
        return Record(*rows[0]) if rows else None

    def get_all(self, triplets: Sequence[Triplet]) -> dict[Triplet, Record]:
        found = {}
        done = 0
        for rows, statement in GET_ALL.items():
            while len(triplets) - done >= rows:
                wanted = triplets[done : done + rows]
                values = [field for triplet in wanted for field in _key(triplet)]
                columns = self._execute(statement, *values)[0]
                for place, *record in zip(*map(json.loads, columns), strict=True):
                    found[wanted[place]] = Record(*record)
                done += rows
        return found

    def merge(self, triplet: Triplet, record: Record) -> None:
        self._execute(PUT[1], *_key(triplet), *_values(record))

    def merge_all(self, news: Sequence[News]) -> None:
        with self._transaction():
            done = 0
            for rows, statement in PUT.items():
                while len(news) - done >= rows:
                    values: list[str | int | None] = []
                    for one in news[done : done + rows]:
                        values += one[1:]
                    self._execute(statement, *values)
                    done += rows

    def delete(self, triplet: Triplet) -> None:
        self._execute(_DELETE, *_key(triplet))

    def forget(self, network: str) -> int:
        with self._transaction():
            self._execute(_FORGET, network)
            removed: int = self._execute("SELECT changes()")[0][0]
        return removed

    def announce(self, network: str, at: int) -> None:
        with self._transaction():
            self._execute(ANNOUNCE, network, at, self._writer)
            self._execute(PRUNE, ANNOUNCED_MOST)

    def announced(self, since: int | None) -> tuple[int, dict[str, int]]:
        newest: int = self._execute(NEWEST)[0][0]
        if since is None or newest == since:
            return newest, {}
        if newest < since:  # it is another file by now
            since = 0
        return newest, dict(self._execute(ANNOUNCED, since, self._writer))

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
        # All of it in SQLite, which lets others run meanwhile.
        with self._transaction():
            where, key = ("TRUE", ()) if after is None else (_BEHIND, _key(after))
            last = self._execute(
                f"SELECT network, sender, recipient FROM records WHERE {where} {_BY_KEY}"  # noqa: S608
                " LIMIT 1 OFFSET ?",
                *key,
                limit - 1,
            )
            if last:
                where, key = f"{where} AND {_UP_TO}", (*key, *last[0])
            over = self._execute(
                f"DELETE FROM records WHERE {where} AND {_IS_OVER}"  # noqa: S608
                f"{'' if gone is None else ' RETURNING *'}",
                *key,
                now,
                lifetimes.window_seconds,
                passes,
                now,
            )
            removed: int = self._execute("SELECT changes()")[0][0]
            if gone is not None:
                gone.extend((Triplet(*row[:3]), Record(*row[3:])) for row in over)
            if greys is not None:
                self._count_greys(where, key, now, greys)
        return removed, Triplet(*last[0]) if last else None

    def _count_greys(
        self, where: str, key: tuple[str, ...], now: int, greys: dict[int, int]
    ) -> None:
        counts = self._execute(
            f"SELECT min(max(due, ?), ?) / 60, count(*) FROM records WHERE {where}"  # noqa: S608
            " AND passed_at IS NULL GROUP BY 1",
            minute_of(-_FAR, now) * 60,
            minute_of(_FAR, now) * 60,
            *key,
        )
        for minute, number in counts:
            greys[minute] = greys.get(minute, 0) + number

    def load(self, after: Triplet | None, limit: int) -> tuple[Rows, Triplet | None]:
        if after is None:
            columns = self._execute(_LOAD.format(_FIRST_SLICE), limit)[0]
        else:
            columns = self._execute(_LOAD.format(_NEXT_SLICE), *_key(after), limit)[0]
        try:
            found = list(zip(*map(json.loads, columns), strict=True))
        except ValueError as error:
            raise StoreError(f"{self._path}: holds what is no text ({error})") from error
        rows = {key_of_fields(*row[:3]): packed_fields(*row[3:]) for row in found}
        return rows, Triplet(*found[-1][:3]) if len(found) == limit else None

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
            with contextlib.suppress(sqlite3.Error):  # it may be closed, if the file was broken
                if self._connection.in_transaction:  # a full disk may have rolled it back already
                    self._connection.execute("ROLLBACK")
            raise
        finally:
            self._in_batch = False

    def tidy(self) -> None:
        """Move the journal into the database once it is long enough. A file that another process
        has set aside is left to it: this one goes on in the new one."""
        if self._opened_as != self._there_is():
            self.close()
            self._open_again()
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
        self._opened_as = self._there_is()
        try:
            return self._connect()
        except (sqlite3.Error, _UnusableError) as error:
            if not _is_broken(error):
                raise _explained(self._path, error) from error
            self._set_aside(error)
        claim(self._path)
        self._opened_as = self._there_is()
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
            connection.execute(CREATE_FORGOTTEN)
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
            create(connection)
            return
        if application != APPLICATION_ID:
            raise _UnusableError("it is the database of another program")
        if not OLDEST_VERSION <= version <= SCHEMA_VERSION:
            age = "newer" if version > SCHEMA_VERSION else "older"
            raise _UnusableError(
                f"it was written by a {age} version of this program (schema {version})"
            )
        columns = connection.execute("SELECT name FROM pragma_table_info('records')").fetchall()
        if tuple(name for (name,) in columns) != COLUMNS[version]:
            raise _UnusableError("its table of records is missing or has other columns")
        size = self._path.stat().st_size
        if left_open or size != pragma("page_count") * pragma("page_size"):
            self._quick_check(connection)
        if version < SCHEMA_VERSION:
            migrate(connection, self._path, self._pass_seconds)

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
            self._open_again(error)
        if self._in_batch:
            raise StoreError(f"{self._path}: was set aside in the middle of a batch: do it again")
        return self._execute(statement, *values)

    def _open_again(self, broken: Exception | None = None) -> None:
        """Raises StoreLostError: the connection is closed, and nothing else can be done with us."""
        try:
            if broken is not None:
                self._set_aside(broken)
            self._connection = self._open()
        except StoreError as error:
            raise StoreLostError(str(error)) from error

    def _there_is(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:  # nothing, or nothing that we may look at: opening says more
            return None
        return found.st_dev, found.st_ino

    def _set_aside(self, error: Exception) -> None:
        if self._opened_as != self._there_is():
            return  # another process has done so, and the file that is there now is a new one
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
    return (
        record.generation,
        record.first_seen,
        record.last_seen,
        record.passed_at,
        record.deferred,
        record.passed,
        record.due,
        record.until,
    )


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
