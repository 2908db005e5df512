"""logexpired: what the sweep deletes is told, within limits, and by both stores alike."""

import doctest
import logging
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from Kamaelia.Apps.Grey.Config.Loader import loads
from Kamaelia.Apps.Grey.Core.Types import Lifetimes, Record, Triplet
from Kamaelia.Apps.Grey.Server import RESTART, GreyServer
from Kamaelia.Apps.Grey.Store import ExpiredLog
from Kamaelia.Apps.Grey.Store.ExpiredLog import LINES_A_SECOND
from Kamaelia.Apps.Grey.Store.Interface import Store
from Kamaelia.Apps.Grey.Store.Keeper import StoreKeeper
from Kamaelia.Apps.Grey.Store.Memory import MemoryStore
from Kamaelia.Apps.Grey.Store.Sqlite import SqliteStore
from Kamaelia.Apps.Grey.Store.StoreService import StoreWorker

NOW = 1_740_000_000
LIFETIMES = Lifetimes(window_seconds=3600, pass_seconds=7200)
OLD = Record.started(now=NOW - 90_000)
PASSED = replace(OLD, passed_at=NOW - 80_000, passed=1, until=NOW - 72_800)
NEW = Record.started(now=NOW)
STORES: dict[str, Callable[[Path], Store]] = {
    "Memory": lambda folder: MemoryStore(),
    "Sqlite": lambda folder: SqliteStore(folder / "greylist.sqlite3"),
}


def key(number: int) -> Triplet:
    return Triplet("192.0.2.7/32", f"a{number:04}@example.net", "b@example.org")


class Sweeping:
    """A keeper whose sweep is due at once."""

    def __init__(self, store: Store, *, log_expired: bool = True, grey_records: int = 99) -> None:
        self.time = 1000.0
        self.keeper = StoreKeeper(
            lambda: store,
            LIFETIMES,
            clock=lambda: NOW + self.time - 1000.0,
            monotonic=lambda: self.time,
            sweep_interval=0.0,
            log_expired=log_expired,
            grey_records=grey_records,
        )

    def round(self) -> None:
        while not self.keeper.housekeep():
            pass


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.INFO, ExpiredLog.__name__)
    return lambda: [each.getMessage() for each in caplog.records if "(local)" in each.getMessage()]


@pytest.mark.parametrize("kind", STORES)
def test_each_record_that_goes_has_its_line_and_no_other(
    kind: str, tmp_path: Path, said: Callable[[], list[str]]
) -> None:
    with closing(STORES[kind](tmp_path)) as store:
        store.merge(key(1), OLD)
        store.merge(key(2), PASSED)
        store.merge(key(3), NEW)
        store.merge(Triplet("192.0.2.7/32", "", ""), OLD)  # a client's: no mail
        Sweeping(store).round()
        assert [triplet for triplet, _ in store.scan()] == [key(3)]
    assert said() == [
        "(local): 192.0.2.7 from <a0001@example.net> to <b@example.org>:"
        " greylisted entry timed out",
        "(local): 192.0.2.7 from <a0002@example.net> to <b@example.org>:"
        " autowhitelisted entry expired",
    ]


@pytest.mark.parametrize("kind", STORES)
def test_a_store_gives_those_that_go_whole(kind: str, tmp_path: Path) -> None:
    with closing(STORES[kind](tmp_path)) as store:
        for number, record in enumerate((OLD, NEW, PASSED)):
            store.merge(key(number), record)
        gone: list[tuple[Triplet, Record]] = []
        assert store.expire(NOW, LIFETIMES, None, 500, gone=gone) == (2, None)
    assert dict(gone) == {key(0): OLD, key(2): PASSED}


def test_without_the_setting_nothing_is_said(said: Callable[[], list[str]]) -> None:
    store = MemoryStore()
    store.merge(key(1), OLD)
    Sweeping(store, log_expired=False).round()
    assert (store.count(), said()) == (0, [])


def test_of_many_a_hundred_a_second_are_told_and_the_number_of_the_rest(
    said: Callable[[], list[str]],
) -> None:
    store = MemoryStore()
    for number in range(LINES_A_SECOND + 30):
        store.merge(key(number), OLD)
    sweeping = Sweeping(store, grey_records=999)
    sweeping.round()
    lines = said()
    assert len(lines) == LINES_A_SECOND + 1
    assert lines[-1] == "(local): 30 more entries timed out"
    store.merge(key(1), OLD)
    sweeping.time += 1.0
    sweeping.round()
    assert len(said()) == LINES_A_SECOND + 2


def test_those_that_are_too_many_have_not_timed_out(said: Callable[[], list[str]]) -> None:
    store = MemoryStore()
    for number in range(20):  # each of another minute
        store.merge(key(number), Record.started(now=NOW - 60 * number))
    sweeping = Sweeping(store, grey_records=10)
    sweeping.round()
    assert store.count() < 20
    assert said() == []


def test_nothing_of_a_stranger_is_in_the_line_as_it_is() -> None:
    words = ExpiredLog.words_for(
        Triplet("2001:db8::/64", 'a\n"\x7fé' + "x" * 999, "b\r@example.org"), passed=False
    )
    assert words.isprintable()
    assert words.isascii()
    assert len(words) < 400
    assert words.startswith("(local): 2001:db8::/64 from <a\\n")


@pytest.mark.parametrize(("text", "logged"), [("", False), ("logexpired", True), ("verbose", True)])
def test_the_settings_reach_the_thread(text: str, logged: bool) -> None:
    server = GreyServer(loads(text), open_store=MemoryStore, listening=[])
    workers = [child for child in server.store.childComponents() if isinstance(child, StoreWorker)]
    assert [worker._log_expired for worker in workers] == [logged]


def test_it_needs_a_restart() -> None:
    assert "logexpired" in RESTART


def test_the_examples_are_true() -> None:
    assert doctest.testmod(ExpiredLog).failed == 0
