"""A database that goes away while no other can be made: it comes back when that is over."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from Axon.Testing import FakeClock
from Kamaelia.Apps.Grey.Core.Types import Lifetimes, Record, Remember, Triplet
from Kamaelia.Apps.Grey.Store import Sqlite
from Kamaelia.Apps.Grey.Store.Interface import StoreLostError
from Kamaelia.Apps.Grey.Store.Keeper import StoreKeeper
from Kamaelia.Apps.Grey.Store.Sqlite import SqliteStore

NOW = 1_000_000


def triplet(number: int) -> Triplet:
    return Triplet("192.0.2.0/24", f"{number}@example.net", "b@example.org")


class Kept:
    """A keeper with a file, and a clock of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = FakeClock(1_000.0)
        self.keeper = self._made()

    def _made(self) -> StoreKeeper:
        return StoreKeeper(
            lambda: SqliteStore(self.path),
            Lifetimes(86_400, 10_000_000),
            clock=lambda: NOW,
            monotonic=self.clock,
        )

    def begin_again(self) -> None:
        self.keeper.close()
        self.keeper = self._made()

    def put(self, *numbers: int) -> None:
        self.keeper.serve([Remember(triplet(each), Record.started(NOW)) for each in numbers])

    def wait(self, seconds: float = 100.0) -> None:
        self.clock.advance(seconds)
        self.keeper.housekeep()

    def in_file(self) -> int:
        with closing(sqlite3.connect(self.path)) as file:
            number: int = file.execute("SELECT count(*) FROM records").fetchone()[0]
        return number


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    made = Kept(tmp_path / "grey.sqlite3")
    yield made
    made.keeper.close()


def no_room(_: sqlite3.Connection) -> None:
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    raise error


def occupy(path: Path) -> list[Path]:
    """So many broken ones that another one cannot be set aside."""
    made = [path.with_name(f"{path.name}.broken-{number}") for number in range(20)]
    for each in made:
        each.write_bytes(b"")
    return made


def test_one_that_was_removed_while_the_disk_was_full_is_made_when_there_is_room(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.put(1)
    kept.wait()
    kept.path.unlink()
    with monkeypatch.context() as full:
        full.setattr(Sqlite, "create", no_room)
        kept.put(2)
        kept.wait()
    kept.put(3)
    kept.wait()
    assert kept.in_file() == 1  # what was written before is gone with it
    kept.put(4)
    kept.wait()
    assert (kept.in_file(), len(kept.keeper._unwritten)) == (2, 0)


def test_a_damaged_one_that_cannot_be_set_aside_is_tried_again(kept: Kept) -> None:
    kept.put(*range(2000))
    kept.wait()
    kept.begin_again()
    kept.wait()
    with kept.path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (kept.path.stat().st_size - 8192))
    in_the_way = occupy(kept.path)
    kept.put(*range(2000, 2100))
    for _ in range(3):
        kept.wait()
    assert len(kept.keeper._unwritten) == 100
    for each in in_the_way:
        each.unlink()
    for _ in range(3):
        kept.wait()
    assert (kept.in_file(), len(kept.keeper._unwritten)) == (100, 0)


@pytest.mark.parametrize("use", [SqliteStore.tidy, lambda store: store.get(triplet(1))])
def test_a_store_that_cannot_be_opened_again_says_that_it_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, use: Callable[[SqliteStore], object]
) -> None:
    path = tmp_path / "grey.sqlite3"
    store = SqliteStore(path)
    store.close()
    store = SqliteStore(path)
    path.write_bytes(b"x" * 8192)
    if use is SqliteStore.tidy:
        path.unlink()
        monkeypatch.setattr(Sqlite, "create", no_room)
    occupy(path)
    with pytest.raises(StoreLostError):
        use(store)
