"""Sqlite: broken files, full disks, other programs: mail flows, and nothing is destroyed."""

import doctest
import logging
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from Kamaelia.Apps.Grey.Core.Types import Lifetimes, Record, Triplet
from Kamaelia.Apps.Grey.Store.Interface import StoreError
from Kamaelia.Apps.Grey.Store.Sqlite import SqliteStore
from Kamaelia.Apps.Grey.Store.SqliteSchema import SCHEMA_VERSION, create

ROWS = 3000  # enough for some hundred kilobytes: more than one page in every respect
GREY = Record.started(now=5000)
NOW = 1_740_812_400.0
BROKEN = "greylist.sqlite3.broken-20250301T070000Z"
ROOT = Path(__file__).parents[5]


def key(number: int) -> Triplet:
    return Triplet("192.0.2.0/24", f"sender{number:06}@example.net", "b@example.org")


def opened(path: Path, **settings: float) -> SqliteStore:
    return SqliteStore(path, clock=lambda: NOW, **settings)  # type: ignore[arg-type]


def fill(store: SqliteStore, numbers: range) -> None:
    with store.batch():
        for number in numbers:
            store.merge(key(number), GREY)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "greylist.sqlite3"


@pytest.fixture
def closed_file(path: Path) -> Path:
    with closing(opened(path)) as store:
        fill(store, range(ROWS))
    assert path.stat().st_size > 200_000
    return path


@pytest.fixture
def crashed_file(closed_file: Path, tmp_path: Path) -> Path:
    """As a power cut leaves it: the journal is still there."""
    with closing(opened(closed_file)) as store:
        fill(store, range(ROWS, ROWS + 10))
        for suffix in ("", "-wal"):
            source = closed_file.with_name(closed_file.name + suffix)
            shutil.copy(source, tmp_path / f"copy{suffix}")
    (tmp_path / "copy").rename(closed_file)
    (tmp_path / "copy-wal").rename(closed_file.with_name(closed_file.name + "-wal"))
    return closed_file


def damage(path: Path, start: int, length: int) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(b"\xff" * length)


def raw(path: Path, *statements: str) -> list[tuple[object, ...]]:
    """What another program does with the file; the rows of the last statement."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        results = [connection.execute(statement).fetchall() for statement in statements]
    return results[-1]


def criticals(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno == logging.CRITICAL]


# --- a healthy file ---


def test_records_outlive_the_store(path: Path) -> None:
    with closing(opened(path)) as store:
        store.merge(key(1), GREY)
    with closing(opened(path)) as store:
        assert store.get(key(1)) == GREY
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_only_the_owner_can_read_the_file_and_its_companions(path: Path) -> None:
    before = os.umask(0)
    try:
        with closing(opened(path)) as store:
            store.merge(key(1), GREY)
            modes = {entry.name: entry.stat().st_mode & 0o777 for entry in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys([path.name, f"{path.name}-wal", f"{path.name}-shm"], 0o600)


def test_the_file_is_in_wal_mode_strict_and_versioned(path: Path) -> None:
    opened(path).close()
    assert raw(path, "PRAGMA journal_mode") == [("wal",)]
    assert raw(path, "PRAGMA user_version") == [(SCHEMA_VERSION,)]
    assert raw(path, "SELECT strict, wr FROM pragma_table_list('records')") == [(1, 1)]


def test_another_program_can_read_while_the_store_is_open(path: Path) -> None:
    with closing(opened(path)) as store:
        store.merge(key(1), GREY)
        assert raw(path, "SELECT sender, first_seen FROM records") == [(key(1).sender, 5000)]


def test_a_file_that_was_closed_properly_is_not_read_through(closed_file: Path) -> None:
    """The check takes seconds in a large file: it is for files that need it. So damage in one that
    was closed properly is not found at the start, and is dealt with when it is met."""
    damage(closed_file, 150_000, 4096)
    opened(closed_file).close()
    assert [entry.name for entry in closed_file.parent.iterdir()] == [closed_file.name]


def test_after_a_crash_everything_is_there_and_nothing_is_set_aside(
    crashed_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(opened(crashed_file)) as store:
        assert store.count() == ROWS + 10
    assert criticals(caplog) == []


def test_the_check_after_a_crash_is_bounded(
    crashed_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seconds = count(step=10)
    store = SqliteStore(crashed_file, monotonic=lambda: float(next(seconds)), check_seconds=5)
    with closing(store):
        assert store.count() == ROWS + 10
    assert "taken on trust" in caplog.text


# --- files that cannot be used ---


def make_garbage(path: Path) -> None:
    path.write_bytes(b"dear postmaster, this is not a database\n" * 200)


def make_truncated(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def make_newer(path: Path) -> None:
    raw(path, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")


def make_older(path: Path) -> None:
    raw(path, "PRAGMA user_version = 0")


def make_foreign(path: Path) -> None:
    path.unlink()
    raw(path, "CREATE TABLE recipes (name TEXT)", "PRAGMA user_version = 1")


def make_tableless(path: Path) -> None:
    raw(path, "ALTER TABLE records RENAME TO something")


def make_other_columns(path: Path) -> None:
    raw(path, "ALTER TABLE records ADD COLUMN more TEXT")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (make_garbage, "file is not a database"),
        (make_truncated, "malformed|damaged"),
        (make_newer, r"newer version of this program \(schema 3\)"),
        (make_older, r"older version of this program \(schema 0\)"),
        (make_foreign, "another program"),
        (make_tableless, "missing or has other columns"),
        (make_other_columns, "missing or has other columns"),
    ],
)
def test_an_unusable_file_is_set_aside_whole_and_mail_flows(
    closed_file: Path,
    spoil: Callable[[Path], None],
    why: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    spoil(closed_file)
    content = closed_file.read_bytes()
    with closing(opened(closed_file)) as store:
        assert store.count() == 0
        store.merge(key(1), GREY)
        assert store.get(key(1)) == GREY
    assert closed_file.with_name(BROKEN).read_bytes() == content
    (alarm,) = criticals(caplog)
    assert str(closed_file) in alarm
    assert BROKEN in alarm
    assert re.search(why, alarm)
    with closing(opened(closed_file)) as store:
        assert store.count() == 1  # the new file is a good one


def test_a_file_that_another_process_has_set_aside_is_left_to_it(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(opened(path)) as here, closing(opened(path)) as there:
        here.merge(key(1), GREY)
        there._set_aside(StoreError("so it says"))
        with closing(opened(path)) as newer:
            newer.merge(key(2), GREY)
            here.tidy()
            assert here.get(key(2)) == GREY  # the same file
            there._set_aside(StoreError("once more"))  # not the new one, which is good
            assert here.get(key(2)) == newer.get(key(2)) == GREY
    assert len(criticals(caplog)) == 1
    assert len(list(path.parent.glob("*.broken-*"))) >= 1


def test_two_processes_may_make_the_file_at_the_same_time(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        create(other)
        with closing(sqlite3.connect(path, isolation_level=None)) as late:
            create(late)  # looked before the other was done
    with closing(opened(path)) as store:
        assert store.count() == 0


def test_damage_in_the_middle_is_found_at_the_start_after_a_crash(
    crashed_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damage(crashed_file, 150_000, 4096)
    with closing(opened(crashed_file)) as store:
        assert store.count() == 0
        store.merge(key(1), GREY)
    assert crashed_file.with_name(BROKEN).exists()
    assert len(criticals(caplog)) == 1
    with closing(opened(crashed_file)) as store:
        assert store.count() == 1  # the old journal was not played into the new file


def test_an_empty_file_is_an_empty_store(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.write_bytes(b"")
    with closing(opened(path)) as store:
        store.merge(key(1), GREY)
        assert store.count() == 1
    assert criticals(caplog) == []


def test_a_journal_without_its_file_does_not_stop_the_start(crashed_file: Path) -> None:
    crashed_file.write_bytes(b"")
    with closing(opened(crashed_file)) as store:
        store.merge(key(1), GREY)
        assert store.get(key(1)) == GREY


# --- damage met while running ---


@pytest.fixture
def rotten(closed_file: Path) -> Iterator[SqliteStore]:
    """Open, and damaged wherever there are records."""
    damage(closed_file, 4096, closed_file.stat().st_size - 4096)
    with closing(opened(closed_file)) as store:
        yield store


def test_damage_met_by_a_look_up_is_answered_by_an_empty_store(
    rotten: SqliteStore, closed_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert rotten.get(key(1)) is None
    assert len(criticals(caplog)) == 1
    assert closed_file.with_name(BROKEN).exists()
    fill(rotten, range(10))
    assert rotten.count() == 10
    assert len(criticals(caplog)) == 1


def test_damage_met_in_a_batch_fails_the_batch_and_the_next_one_works(
    rotten: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(StoreError, match="do it again"):
        fill(rotten, range(10))
    fill(rotten, range(10))
    assert rotten.count() == 10
    assert len(criticals(caplog)) == 1


def test_damage_met_by_sweep_or_scan_is_survived(rotten: SqliteStore) -> None:
    with pytest.raises(StoreError, match="do it again"):
        rotten.expire(9000, Lifetimes(1, 1), None, 100)
    assert rotten.expire(9000, Lifetimes(1, 1), None, 100) == (0, None)
    assert list(rotten.scan()) == []


def test_text_that_is_no_text_is_damage_and_not_quoted(
    closed_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    raw(
        closed_file,
        "INSERT INTO records VALUES ('', CAST(x'1b5d41ff' AS TEXT), '', 0, 0, 0, NULL, 0, 0, 0, 0)",
    )
    with closing(opened(closed_file)) as store:
        assert list(store.scan()) == []
    assert "not UTF-8" in caplog.text
    assert "\x1b" not in caplog.text


def test_a_disk_that_breaks_every_file_ends_in_an_error_that_says_so(path: Path) -> None:
    for number in range(20):
        path.with_name(f"{path.name}.broken-{number}").write_bytes(b"")
    make_garbage(path)
    with pytest.raises(StoreError, match="Check the disk"):
        opened(path)


def test_when_no_new_file_can_be_made_the_next_call_says_so_again(
    rotten: SqliteStore, closed_file: Path
) -> None:
    for number in range(20):
        closed_file.with_name(f"{closed_file.name}.broken-{number}").write_bytes(b"")
    with pytest.raises(StoreError, match="Check the disk"):
        rotten.get(key(1))
    with pytest.raises(StoreError, match="closed database"):
        rotten.get(key(1))


# --- the disk and other programs ---


def test_a_missing_folder_is_an_error_with_path_and_cure(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"/none/greylist\.sqlite3.*mkdir -p"):
        opened(tmp_path / "none" / "greylist.sqlite3")


def test_a_folder_that_is_not_ours_to_write_is_an_error_with_path_and_cure() -> None:
    """The file may be written, the folder not: SQLite then cannot make its journal."""
    root = os.geteuid() == 0
    with TemporaryDirectory() as name:
        path = Path(name, "greylist.sqlite3")
        opened(path).close()
        path.chmod(0o666)
        path.parent.chmod(0o555)
        if root:  # root may do everything, so be somebody else
            os.seteuid(65_534)
        try:
            with pytest.raises(StoreError, match=r"greylist\.sqlite3: .*must own the file"):
                opened(path)
        finally:
            if root:
                os.seteuid(0)
            path.parent.chmod(0o755)


def test_a_lock_of_another_program_is_waited_for_and_then_named(path: Path) -> None:
    with (
        closing(opened(path, busy_seconds=0.05)) as store,
        closing(sqlite3.connect(path, isolation_level=None)) as other,
    ):
        store.merge(key(1), GREY)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=r"locked\. Another program"):
            store.merge(key(2), GREY)
        assert store.get(key(1)) == GREY  # reading goes on
        other.execute("ROLLBACK")
        store.merge(key(2), GREY)
        assert store.count() == 2


def test_a_file_at_its_limit_fails_whole_batches_and_recovers(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """SQLite's own limit of pages gives the error of a full disk, wherever this test runs."""
    with closing(opened(path)) as store:
        fill(store, range(100))
        store._connection.execute("PRAGMA max_page_count = 10")
        with pytest.raises(StoreError, match=r"full\. Free some space"):
            fill(store, range(100, 5000))
        assert store.count() == 100
        assert store.get(key(99)) == GREY
        store._connection.execute("PRAGMA max_page_count = 100000")
        fill(store, range(100, 5000))
        assert store.count() == 5000
    assert criticals(caplog) == []


FULL_DISK = """
import os, sys
from pathlib import Path
from Kamaelia.Apps.Grey.Core.Types import Record, Triplet
from Kamaelia.Apps.Grey.Store.Interface import StoreError
from Kamaelia.Apps.Grey.Store.Sqlite import SqliteStore

folder = Path(sys.argv[1])
ballast = folder / "ballast"
ballast.write_bytes(bytes(1_500_000))
store = SqliteStore(folder / "greylist.sqlite3", checkpoint_bytes=100_000)
done = failed = 0
while not failed:
    try:
        with store.batch():
            for number in range(done, done + 50):
                store.merge(Triplet("n", f"{number:06}", "r"), Record.started(number))
        done += 50
        store.tidy()
    except StoreError as error:
        failed += 1
        assert "Free some space" in str(error), error
assert done > 100, done
assert all(store.get(Triplet("n", f"{n:06}", "r")) for n in range(done))
ballast.unlink()
with store.batch():
    store.merge(Triplet("n", "after", "r"), Record.started(1))
store.tidy()
assert store.count() >= done + 1
store.close()
assert list(folder.glob("*.broken*")) == []
print("recovered")
"""


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or shutil.which("unshare") is None,
    reason="needs root, to mount a disk of 2 MB that can be full",
)
def test_a_disk_that_is_really_full_loses_nothing_and_recovers(tmp_path: Path) -> None:
    mount = f"mount -t tmpfs -o size=2m none {tmp_path}"
    script = f'{mount} || exit 77; exec "$0" -c "$1" "$2"'
    child = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, sys.executable, FULL_DISK, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if child.returncode == 77 or "unshare failed" in child.stderr:
        pytest.skip("mounting is not allowed here")
    assert child.stdout == "recovered\n", child.stderr


# --- keeping the journal short ---


def wal_size(path: Path) -> int:
    return path.with_name(f"{path.name}-wal").stat().st_size


def test_the_journal_is_emptied_between_batches_and_only_there(path: Path) -> None:
    with closing(opened(path, checkpoint_bytes=100_000)) as store:
        fill(store, range(10))
        store.tidy()
        assert wal_size(path) > 0  # too short to bother
        fill(store, range(10, 3000))
        assert wal_size(path) > 100_000  # no batch does it
        store.tidy()
        assert wal_size(path) == 0
        assert store.count() == 3000


def test_a_reader_that_stays_does_not_hold_up_the_store(path: Path) -> None:
    with (
        closing(opened(path, checkpoint_bytes=50_000, busy_seconds=60.0)) as store,
        closing(sqlite3.connect(path, isolation_level=None)) as reader,
    ):
        fill(store, range(1000))
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM records").fetchone() == (1000,)
        fill(store, range(1000, 2000))
        store.tidy()  # would wait for 60 s if it waited
        assert wal_size(path) > 50_000
        reader.execute("COMMIT")
        fill(store, range(2000, 4000))
        store.tidy()
        assert wal_size(path) == 0


def test_tidying_needs_no_journal(path: Path) -> None:
    with closing(opened(path)) as store:
        store.close()
        store.tidy()


def test_the_example_in_the_docstring_is_true() -> None:
    result = doctest.testmod(sys.modules[SqliteStore.__module__])
    assert result.attempted
    assert not result.failed
