"""Forgetting with several processes: what one forgets, the others know within a second."""

import contextlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from Axon.Component import component
from Axon.Ipc import producerFinished
from Axon.Testing import FakeClock, virtual_scheduler
from Kamaelia.Apps.Grey.Core.Types import (
    Answer,
    Forget,
    Lifetimes,
    Query,
    Record,
    Remember,
    Triplet,
)
from Kamaelia.Apps.Grey.Store import Sqlite
from Kamaelia.Apps.Grey.Store.Keeper import LOOK_SECONDS, StoreKeeper
from Kamaelia.Apps.Grey.Store.Memory import MemoryStore
from Kamaelia.Apps.Grey.Store.Requests import Elsewhere, Forgotten
from Kamaelia.Apps.Grey.Store.Sqlite import SqliteStore
from Kamaelia.Apps.Grey.Store.StoreService import StoreService

NOW = 1_740_000_000
DAY = 24 * 3600
LIFETIMES = Lifetimes(window_seconds=DAY, pass_seconds=36 * DAY)
HERE, THERE = "192.0.2.0/24", "198.51.100.0/24"
GREY = Record.started(now=NOW)
OLD = Record(0, NOW - 90, NOW, NOW - 30, 1, 3, NOW - 30, NOW + DAY)


def key(number: int, network: str = HERE) -> Triplet:
    return Triplet(network, f"sender{number:06}@example.net", "b@example.org")


# --- the file ---


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "greylist.sqlite3"


@pytest.fixture
def two(path: Path) -> Iterator[tuple[SqliteStore, SqliteStore]]:
    with closing(SqliteStore(path)) as one, closing(SqliteStore(path)) as other:
        yield one, other


def test_each_hears_of_the_others_and_not_of_itself(two: tuple[SqliteStore, SqliteStore]) -> None:
    one, other = two
    assert one.announced(None) == other.announced(None) == (0, {})
    one.announce(HERE, NOW)
    one.announce(THERE, NOW + 1)
    assert one.announced(0) == (2, {})
    assert other.announced(0) == (2, {HERE: NOW, THERE: NOW + 1})
    assert other.announced(2) == (2, {})
    one.announce(HERE, NOW + 5)  # again: the same line, and yet news
    assert other.announced(2) == (3, {HERE: NOW + 5})
    assert other.announced(None) == (3, {})


def test_the_newest_are_kept_and_no_more(
    two: tuple[SqliteStore, SqliteStore], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sqlite, "ANNOUNCED_MOST", 3)
    one, other = two
    for number in range(10):
        one.announce(f"192.0.{number}.0/24", NOW)
    assert other.announced(0) == (10, {f"192.0.{n}.0/24": NOW for n in (7, 8, 9)})


def test_in_another_file_the_numbers_begin_again(two: tuple[SqliteStore, SqliteStore]) -> None:
    one, other = two
    one.announce(HERE, NOW)
    assert other.announced(500) == (1, {HERE: NOW})


def test_what_a_batch_announces_is_undone_with_it(two: tuple[SqliteStore, SqliteStore]) -> None:
    one, other = two
    with contextlib.suppress(KeyError), one.batch():
        one.announce(HERE, NOW)
        raise KeyError
    assert other.announced(0) == (0, {})


def test_a_file_without_that_table_gets_it(path: Path) -> None:
    SqliteStore(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE forgotten")
    with closing(SqliteStore(path)) as store:
        store.announce(HERE, NOW)
        assert store.announced(0) == (1, {})


def test_a_store_of_one_process_has_nobody_to_tell() -> None:
    store = MemoryStore()
    store.announce(HERE, NOW)
    assert store.announced(0) == (0, {})


# --- the keeper ---


class Process:
    """One of those that share the file; time stands still unless it is told."""

    def __init__(self, path: Path, *, shared: bool = True) -> None:
        self.time = 1000.0
        self.keeper = StoreKeeper(
            lambda: SqliteStore(path),
            LIFETIMES,
            clock=lambda: NOW + self.time - 1000.0,
            monotonic=lambda: self.time,
            shared=shared,
        )
        self.keeper.housekeep()

    def later(self, seconds: float = LOOK_SECONDS) -> list[Elsewhere]:
        self.time += seconds
        self.keeper.housekeep()
        heard = list(self.keeper.elsewhere)
        self.keeper.elsewhere.clear()
        return heard


@pytest.fixture
def processes(path: Path) -> Iterator[tuple[Process, Process]]:
    made = Process(path), Process(path)
    yield made
    for each in made:
        each.keeper.close()


def test_the_others_hear_of_it_once_and_within_a_second(
    processes: tuple[Process, Process],
) -> None:
    one, other = processes
    one.keeper.serve([Forget(HERE)])
    assert other.later(LOOK_SECONDS / 2) == []
    assert other.later(LOOK_SECONDS / 2) == [Elsewhere(HERE, NOW)]
    assert other.later() == one.later() == []


def test_it_comes_back_in_time_to_look(processes: tuple[Process, Process]) -> None:
    one, _ = processes
    assert 0 < one.keeper.housekeep() <= LOOK_SECONDS


def test_what_waits_to_be_written_does_not_bring_it_back(
    path: Path, processes: tuple[Process, Process]
) -> None:
    one, other = processes
    other.keeper.serve([Remember(key(3, THERE), OLD)])
    other.later(0.0)  # is written; what comes next has to wait a moment
    other.keeper.serve(
        [Remember(key(1), OLD), Remember(key(2), GREY), Remember(key(4, THERE), OLD)]
    )
    one.keeper.serve([Forget(HERE)])
    assert other.later(0.26) == [Elsewhere(HERE, NOW)]
    with closing(SqliteStore(path)) as store:
        assert {triplet for triplet, _ in store.scan()} == {key(2), key(3, THERE), key(4, THERE)}


def test_sent_back_it_is_answered_in_its_turn_and_deletes_nothing_that_came_since(
    path: Path, processes: tuple[Process, Process]
) -> None:
    one, other = processes
    one.keeper.serve([Forget(HERE), Remember(key(1), GREY)])
    one.later()
    answers = other.keeper.serve(
        [Remember(key(2), OLD), Elsewhere(HERE, NOW), Query(key(1), ASKER)]
    )
    assert answers == (Forgotten(HERE), Answer(key(1), GREY))
    other.later()
    with closing(SqliteStore(path)) as store:
        assert [triplet for triplet, _ in store.scan()] == [key(1)]


def test_who_is_alone_neither_tells_nor_looks(path: Path) -> None:
    alone = Process(path, shared=False)
    alone.keeper.serve([Forget(HERE)])
    with closing(SqliteStore(path)) as store:
        assert store.announced(0) == (0, {})
        store.announce(THERE, NOW)
    assert alone.later() == []
    assert alone.keeper.housekeep() > LOOK_SECONDS
    alone.keeper.close()


# --- the service ---


class Asker(component):
    Inboxes = {
        "inbox": "object: unused",
        "control": "object: unused",
        "answers": "Answer: from the store",
    }

    def __init__(self, service: StoreService, path: Path) -> None:
        super().__init__()
        self.service = service
        self.path = path
        self.at_once = False
        self.record: Record | None = None
        self.seen: list[Record | None] = []

    def main(self) -> Iterator[object]:
        yield from self._ask(1)  # the file is asked, and its pass is kept
        yield from self._ask(1)
        assert (self.record, self.at_once) == (OLD, True)
        with closing(SqliteStore(self.path)) as elsewhere, elsewhere.batch():
            elsewhere.forget(HERE)
            elsewhere.announce(HERE, NOW + 50)
        yield from self._ask(1)
        assert (self.record, self.at_once) == (OLD, True)  # nobody has looked yet
        until = self.now() + LOOK_SECONDS
        while self.now() < until:
            self.pause(until - self.now())
            yield 1
        rounds = 1000
        while self.record == OLD and rounds:
            yield from self._ask(9)  # of the file: so the thread does not sleep on in real time
            yield from self._ask(1)
            rounds -= 1
        self.seen.append(self.record)
        self.service.inboxes["inbox"].deliver(Remember(key(1), AGAIN))
        yield from self._ask(1)
        self.seen.append(self.record)
        self.service.inboxes["control"].deliver(producerFinished(self))

    def _ask(self, number: int) -> Iterator[object]:
        self.service.inboxes["inbox"].deliver(Query(key(number), (self, "answers")))
        self.at_once = bool(self.dataReady("answers"))
        while not self.dataReady("answers"):
            self.pause()
            yield 1
        answer = self.recv("answers")
        assert isinstance(answer, Answer)
        self.record = answer.record


AGAIN = replace(OLD, first_seen=NOW + 60, passed_at=NOW + 99, generation=1)
ASKER = (component(), "inbox")


def test_a_pass_in_memory_is_gone_and_a_new_one_is_believed(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        store.merge(key(1), OLD)
        mono = FakeClock(1000.0)
        service = StoreService(
            lambda: SqliteStore(path),
            LIFETIMES,
            clock=lambda: NOW + 100 + mono() - 1000.0,
            shared=True,
        )
        runner = virtual_scheduler(mono)
        service.activate(Scheduler=runner)
        asker = Asker(service, path)
        asker.activate(Scheduler=runner)
        runner.runThreads()
        assert asker.seen == [None, AGAIN]
        assert store.get(key(1)) == AGAIN
