"""SqliteSchema: a file of the older program becomes one of ours, or stays as it was."""

import doctest
import logging
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from Kamaelia.Apps.Grey.Core.Types import Record, Triplet
from Kamaelia.Apps.Grey.Store import SqliteSchema
from Kamaelia.Apps.Grey.Store.Interface import StoreError
from Kamaelia.Apps.Grey.Store.Sqlite import SqliteStore
from Kamaelia.Apps.Grey.Store.SqliteSchema import migrate

# As the program before this one made its files.
SCHEMA_1 = """
CREATE TABLE records (
    network TEXT NOT NULL, sender TEXT NOT NULL, recipient TEXT NOT NULL,
    generation INTEGER NOT NULL, first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL,
    passed_at INTEGER, deferred INTEGER NOT NULL, passed INTEGER NOT NULL,
    PRIMARY KEY (network, sender, recipient)
) STRICT, WITHOUT ROWID
"""
ROWS = 700
DAY = 24 * 3600


def key(number: int) -> Triplet:
    return Triplet("192.0.2.0/24", f"sender{number:06}@example.net", "b@example.org")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """With rows that wait (even numbers) and rows that have passed."""
    path = tmp_path / "greylist.sqlite3"
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        old.execute("PRAGMA journal_mode = WAL")
        old.execute(SCHEMA_1)
        old.execute("PRAGMA application_id = 0x47524559")
        old.execute("PRAGMA user_version = 1")
        old.execute("BEGIN")
        old.executemany(
            "INSERT INTO records VALUES (?,?,?,?,?,?,?,?,?)",
            [
                (
                    *("192.0.2.0/24", key(n).sender, "b@example.org"),
                    *(n % 3, 1000 + n, 2000 + n, 1500 + n if n % 2 else None, 4, n % 2),
                )
                for n in range(ROWS)
            ],
        )
        old.execute("COMMIT")
    return path


def expected(number: int, pass_seconds: int = DAY) -> Record:
    passed_at = 1500 + number if number % 2 else None
    return Record(
        number % 3,
        1000 + number,
        2000 + number,
        passed_at,
        4,
        number % 2,
        due=1000 + number,
        until=0 if passed_at is None else passed_at + pass_seconds,
    )


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as file:
        number: int = file.execute("PRAGMA user_version").fetchone()[0]
    return number


def test_every_record_is_taken_over(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with closing(SqliteStore(path, pass_seconds=DAY)) as store:
        assert dict(store.scan()) == {key(n): expected(n) for n in range(ROWS)}
        store.merge(key(0), Record.started(9, generation=7, delay=60))
        assert store.get(key(0)) == Record(7, 9, 9, None, 1, 0, due=69)
    assert "brought to schema 2" in caplog.text
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]
    caplog.clear()
    with closing(SqliteStore(path, pass_seconds=1)) as store:
        assert store.get(key(1)) == expected(1)  # once only
    assert not caplog.records


def test_the_new_file_is_as_one_that_was_new_from_the_start(path: Path) -> None:
    fresh = path.with_name("fresh")
    for each in (path, fresh):
        SqliteStore(each).close()
    infos = []
    for each in (path, fresh):
        with closing(sqlite3.connect(each)) as file:
            infos.append(file.execute("SELECT * FROM pragma_table_info('records')").fetchall())
    assert infos[0] == infos[1]


@pytest.mark.parametrize("rows", [1, 7, ROWS - 1, ROWS, ROWS + 1])
def test_slices_of_any_size_take_over_every_record(path: Path, rows: int) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        migrate(file, path, DAY, slice_rows=rows)
    with closing(SqliteStore(path)) as store:
        assert dict(store.scan()) == {key(n): expected(n) for n in range(ROWS)}


def test_the_file_as_it_was_is_kept_beside_it_for_its_owner_only(path: Path) -> None:
    for number in range(2):  # again: as after going back
        if number:
            shutil.copy(path.with_name(f"{path.name}.schema1"), path)
        SqliteStore(path).close()
        kept = path.with_name(f"{path.name}.schema1")
        assert sorted(each.name for each in path.parent.iterdir()) == [path.name, kept.name]
        assert kept.stat().st_mode & 0o777 == 0o600
        assert version(kept) == 1
        with closing(sqlite3.connect(kept)) as file:
            assert file.execute("SELECT count(*) FROM records").fetchone() == (ROWS,)
            assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_what_stood_in_the_journal_is_in_the_copy_too(path: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as crashed:
        crashed.execute("UPDATE records SET first_seen = 7")
        for suffix in ("", "-wal"):
            shutil.copy(f"{path}{suffix}", tmp_path / f"left{suffix}")
    left = tmp_path / "left"
    with closing(SqliteStore(left)) as store:
        assert {record.due for _, record in store.scan()} == {7}
    with closing(sqlite3.connect(f"{left}.schema1")) as file:
        assert file.execute("SELECT DISTINCT first_seen FROM records").fetchall() == [(7,)]


def test_a_migration_that_fails_in_the_middle_leaves_all_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(SqliteSchema, "_FILL", "UPDATE records SET due = 1, nothing = ?")
        with pytest.raises(StoreError, match="nothing"):
            SqliteStore(path)
    assert version(path) == 1
    with closing(sqlite3.connect(path)) as file:
        columns = file.execute("SELECT count(*) FROM pragma_table_info('records')").fetchone()
        assert columns == (9,)
    with closing(SqliteStore(path, pass_seconds=DAY)) as store:  # and can be tried again
        assert store.get(key(1)) == expected(1)


def test_without_a_copy_nothing_is_changed(path: Path) -> None:
    path.with_name(f"{path.name}.schema1").mkdir()  # in the way
    with pytest.raises(StoreError, match=r"schema1: .*irectory"):
        SqliteStore(path)
    assert version(path) == 1
    assert sorted(each.name for each in path.parent.iterdir()) == [
        path.name,
        f"{path.name}.schema1",
    ]


def test_a_second_process_finds_it_done(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as late:
        SqliteStore(path, pass_seconds=DAY).close()
        migrate(late, path, 1)
    with closing(SqliteStore(path)) as store:
        assert store.get(key(1)) == expected(1)


def test_while_another_process_is_at_it_this_one_comes_back_later(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            SqliteStore(path, busy_seconds=0.01)
        other.execute("ROLLBACK")
    SqliteStore(path).close()


def test_an_empty_table_is_taken_over(path: Path) -> None:
    with closing(sqlite3.connect(path)) as file:
        file.execute("DELETE FROM records")
        file.commit()
    with closing(SqliteStore(path)) as store:
        assert store.count() == 0


def test_the_example_in_the_docstring_is_true() -> None:
    result = doctest.testmod(sys.modules[migrate.__module__])
    assert result.attempted
    assert not result.failed
