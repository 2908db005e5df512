"""Keeper: a store that fails in every way there is, and mail that does not notice."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from Kamaelia.Apps.Grey.Core.Types import Answer, Lifetimes, Query, Record, Remember, Triplet
from Kamaelia.Apps.Grey.Store import Keeper
from Kamaelia.Apps.Grey.Store.Interface import Store, StoreError
from Kamaelia.Apps.Grey.Store.Keeper import Backoff, StoreKeeper
from Kamaelia.Apps.Grey.Store.Memory import MemoryStore
from Kamaelia.Apps.Grey.Store.Sqlite import SqliteStore

DAY = 24 * 3600
START = 1_740_000_000
LIFETIMES = Lifetimes(window_seconds=DAY, pass_seconds=36 * DAY)
GREY = Record.started(now=START)
PASSED = replace(
    GREY, last_seen=START + 60, passed_at=START + 60, passed=1, until=START + 60 + 36 * DAY
)


class NoBox:
    """Nobody: the keeper does not look at whom to answer."""

    inboxes: dict[str, object] = {}


def key(number: int) -> Triplet:
    return Triplet("192.0.2.0/24", f"sender{number:06}@example.net", "b@example.org")


def query(number: int) -> Query:
    return Query(key(number), (NoBox(), "answers"))  # type: ignore[arg-type]


class World:
    """A disk with a store on it, and the two clocks."""

    def __init__(self) -> None:
        self.disk = MemoryStore()
        self.wall: float = START
        self.mono = 1000.0
        self.failing: set[str] = set()
        self.opened = self.closed = self.batches = 0

    def pass_time(self, seconds: float) -> None:
        self.wall += seconds
        self.mono += seconds

    def open_store(self) -> Store:
        self.check("open")
        self.opened += 1
        return FlakyStore(self)

    def check(self, operation: str) -> None:
        if operation in self.failing:
            raise StoreError(f"/disk: cannot {operation}")

    def keeper(self, sweep_interval: float = 600.0) -> StoreKeeper:
        return StoreKeeper(
            self.open_store,
            LIFETIMES,
            clock=lambda: self.wall,
            monotonic=lambda: self.mono,
            sweep_interval=sweep_interval,
        )


class FlakyStore(MemoryStore):
    """Keeps its records in the world's disk and fails where the world says so."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self._records = world.disk._records

    def get(self, triplet: Triplet) -> Record | None:
        self._world.check("read")
        return super().get(triplet)

    @contextmanager
    def batch(self) -> Iterator[None]:
        self._world.batches += 1
        with super().batch():
            yield
            self._world.check("write")

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
        self._world.check("sweep")
        return super().expire(now, lifetimes, after, limit, greys, passes=passes, gone=gone)

    def tidy(self) -> None:
        self._world.check("tidy")

    def close(self) -> None:
        self._world.closed += 1
        self._world.check("close")


@pytest.fixture
def world() -> World:
    return World()


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]


def test_answers_come_in_the_order_of_the_queries_and_see_what_came_before(world: World) -> None:
    world.disk.merge(key(2), PASSED)
    keeper = world.keeper()
    answers = keeper.serve([query(1), Remember(key(1), GREY), query(2), query(1)])
    assert answers == (Answer(key(1)), Answer(key(2), PASSED), Answer(key(1), GREY))


def test_a_query_sees_memory_and_store_as_one(world: World) -> None:
    world.disk.merge(key(1), GREY)
    keeper = world.keeper()
    answers = keeper.serve([Remember(key(1), replace(GREY, deferred=5)), query(1)])
    assert answers == (Answer(key(1), replace(GREY, deferred=5)),)
    answers = keeper.serve([Remember(key(1), PASSED), query(1)])
    assert answers == (Answer(key(1), replace(PASSED, deferred=5)),)


def test_what_was_remembered_is_written_as_one_batch(world: World) -> None:
    keeper = world.keeper()
    keeper.serve([Remember(key(n), GREY) for n in range(100)])
    assert world.disk.count() == 0
    keeper.write()
    keeper.write()
    assert world.disk.count() == 100
    assert world.batches == 1


def test_a_full_disk_defers_strangers_and_lets_their_retries_in_from_memory(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.failing = {"write"}
    keeper = world.keeper()
    for number in range(10):
        assert keeper.serve([query(number)]) == (Answer(key(number)),)
        keeper.serve([Remember(key(number), GREY)])
        keeper.write()
        world.pass_time(3)
    assert keeper.serve([query(4)]) == (Answer(key(4), GREY),)
    assert len(errors(caplog)) == 1
    world.failing = set()
    world.pass_time(60)
    keeper.write()
    assert world.disk.count() == 10
    assert "works again" in caplog.text


def test_a_failed_write_is_tried_again_less_and_less_often(world: World) -> None:
    world.failing = {"write"}
    keeper = world.keeper()
    keeper.serve([Remember(key(1), GREY)])
    tried = []
    for second in range(200):
        before = world.batches
        keeper.write()
        if world.batches > before:
            tried.append(second)
        world.pass_time(1)
    assert tried == [0, 1, 3, 7, 15, 31, 63, 123, 183]
    assert world.opened == 1  # reading works: the store stays open


def test_alarms_come_once_a_minute_and_count_what_waits(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.failing = {"write"}
    keeper = world.keeper()
    for number in range(180):
        keeper.serve([Remember(key(number), GREY)])
        keeper.write()
        world.pass_time(1)
    assert len(errors(caplog)) == 3
    assert "(1 records wait in memory, 0 were dropped)" in errors(caplog)[0]


def test_what_waits_in_memory_is_limited_and_the_oldest_go(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Keeper, "UNWRITTEN_LIMIT", 3)
    world.failing = {"write"}
    keeper = world.keeper()
    keeper.serve([Remember(key(n), GREY) for n in (1, 2, 3, 1, 4, 5)])
    assert keeper.serve([query(n) for n in range(1, 6)]) == tuple(
        Answer(key(n), GREY if n > 2 else None) for n in range(1, 6)
    )
    keeper.write()
    assert "(3 records wait in memory, 2 were dropped)" in caplog.text


def test_a_store_that_cannot_be_opened_fails_queries_that_memory_cannot_answer(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.failing = {"open"}
    keeper = world.keeper()
    keeper.serve([Remember(key(1), GREY)])
    keeper.write()
    assert keeper.serve([query(1), query(2)]) == (
        Answer(key(1), GREY),
        Answer(key(2), failed=True),
    )
    world.failing = set()
    assert keeper.serve([query(2)]) == (Answer(key(2), failed=True),)  # not tried for each mail
    world.pass_time(1)
    assert keeper.serve([query(2)]) == (Answer(key(2)),)
    keeper.write()
    assert world.disk.get(key(1)) == GREY
    assert len(errors(caplog)) == 1
    assert caplog.text.count("works again") == 1


def test_a_store_that_cannot_be_read_is_closed_and_opened_again(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = world.keeper()
    world.disk.merge(key(1), PASSED)
    keeper.serve([query(1)])
    world.failing = {"read", "close"}
    assert keeper.serve([query(1), query(1)]) == (Answer(key(1), failed=True),) * 2
    assert (world.opened, world.closed) == (1, 1)
    world.failing = set()
    world.pass_time(1)
    assert keeper.serve([query(1)]) == (Answer(key(1), PASSED),)
    assert (world.opened, world.closed) == (2, 1)
    assert len(errors(caplog)) == 1


def test_housekeeping_sleeps_until_something_is_due(world: World) -> None:
    keeper = world.keeper(sweep_interval=40.0)
    assert keeper.housekeep() == pytest.approx(40.0)
    world.pass_time(30)
    assert keeper.housekeep() == pytest.approx(10.0)
    world.failing = {"write"}
    keeper.serve([Remember(key(1), GREY)])
    assert keeper.housekeep() == pytest.approx(1.0)  # the next try
    world.failing = {"open", "read"}
    keeper.serve([query(2)])
    assert keeper.housekeep() == pytest.approx(1.0)
    world.pass_time(1)
    assert keeper.housekeep() == pytest.approx(2.0)


def test_no_sleep_is_longer_than_a_minute(world: World) -> None:
    assert world.keeper(sweep_interval=DAY).housekeep() == 60.0


def test_old_records_are_swept_in_slices(world: World) -> None:
    old = Record.started(START - 3 * DAY)
    for number in range(1200):
        world.disk.merge(key(number), old if number % 2 else GREY)
    keeper = world.keeper(sweep_interval=600.0)
    assert keeper.housekeep() == 60.0
    world.pass_time(600)
    counts = []
    while keeper.housekeep() == 0.0:
        counts.append(world.disk.count())
    assert counts == [950, 700]
    assert world.disk.count() == 600
    world.disk.merge(key(1), old)
    assert keeper.housekeep() == 60.0
    assert world.disk.count() == 601  # the next round is not due yet


def test_a_record_stays_for_an_hour_after_its_end(world: World) -> None:
    """So that a late retry is logged as late, and not as new."""
    world.disk.merge(key(1), Record.started(START - DAY - 3500))
    world.disk.merge(key(2), Record.started(START - DAY - 3700))
    keeper = world.keeper(sweep_interval=1.0)
    world.pass_time(1)
    keeper.housekeep()
    assert world.disk.get(key(1)) is not None
    assert world.disk.get(key(2)) is None


def test_a_clock_that_jumps_a_year_and_back_costs_nobody_a_pass(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.disk.merge(key(1), PASSED)
    keeper = world.keeper(sweep_interval=600.0)
    keeper.housekeep()
    world.wall += 365 * DAY
    for _ in range(20):
        world.pass_time(600)
        keeper.housekeep()
    assert world.disk.get(key(1)) == PASSED
    assert "jumped by 31536000 s" in caplog.text
    world.wall -= 365 * DAY
    for _ in range(400):
        world.pass_time(600)
        keeper.housekeep()
    assert world.disk.get(key(1)) == PASSED
    for _ in range(6 * 24 * 40):  # forty days on, it has had its time
        world.pass_time(600)
        keeper.housekeep()
    assert world.disk.get(key(1)) is None


@pytest.mark.parametrize("operation", ["tidy", "sweep"])
def test_trouble_in_housekeeping_is_an_alarm_and_is_tried_again_later(
    world: World, operation: str, caplog: pytest.LogCaptureFixture
) -> None:
    world.disk.merge(key(1), Record.started(START - 3 * DAY))
    keeper = world.keeper(sweep_interval=50.0)
    world.pass_time(50)
    world.failing = {operation}
    assert keeper.housekeep() == pytest.approx(50.0)
    assert len(errors(caplog)) == 1
    world.failing = set()
    world.pass_time(50)
    keeper.housekeep()
    assert world.disk.count() == 0


def test_closing_writes_what_waits_however_short_ago_the_last_failure(world: World) -> None:
    keeper = world.keeper()
    world.failing = {"write"}
    keeper.serve([query(1), Remember(key(1), GREY)])
    keeper.write()
    world.failing = set()
    keeper.close()
    assert world.disk.get(key(1)) == GREY
    assert world.closed == 1
    keeper.close()
    assert world.closed == 1


def test_closing_says_what_it_could_not_write(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = world.keeper()
    world.failing = {"write"}
    keeper.serve([Remember(key(1), GREY)])
    keeper.close()
    assert "1 records could not be written" in caplog.text
    assert world.closed == 1


def test_the_pace_of_trying_again_has_an_upper_limit_and_starts_anew() -> None:
    backoff = Backoff()
    assert backoff.due_at < 0
    waits = []
    for _ in range(8):
        backoff.failed(100.0)
        waits.append(backoff.due_at - 100.0)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    backoff.reset()
    backoff.failed(100.0)
    assert backoff.due_at == 101.0


def test_a_file_that_breaks_while_in_use_costs_no_answer_and_no_record(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Keeper and Sqlite together (row 20)."""
    path = tmp_path / "greylist.sqlite3"
    keeper = StoreKeeper(
        lambda: SqliteStore(path), LIFETIMES, clock=lambda: START, monotonic=lambda: 0.0
    )
    keeper.serve([Remember(key(n), GREY) for n in range(3000)])
    keeper.write()
    keeper.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    keeper.serve([Remember(key(1), PASSED)])
    assert keeper.serve([query(1), query(2)]) == (Answer(key(1), PASSED), Answer(key(2)))
    keeper.write()
    keeper.close()
    store = SqliteStore(path)
    assert dict(store.scan()) == {key(1): PASSED}
    store.close()
    assert len([r for r in caplog.records if r.levelno == logging.CRITICAL]) == 1


def test_the_more_there_is_to_write_the_more_goes_into_one_transaction(world: World) -> None:
    """Few, so that a query need not wait for long, but never fewer than come meanwhile."""
    keeper = world.keeper()
    sizes = []
    keeper.serve([Remember(key(number), GREY) for number in range(50_000)])
    while world.disk.count() < 50_000:
        before = world.disk.count()
        keeper.write()
        sizes.append(world.disk.count() - before)
    assert sizes[0] == Keeper.WRITE_MOST
    assert sizes[-2] == Keeper.WRITE_LIMIT
    assert sizes[:-1] == sorted(sizes[:-1], reverse=True)
