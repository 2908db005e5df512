"""What every store must do. A new one joins `STORES` and has to pass all of this."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Core.Merge import merge
from Kamaelia.Apps.Grey.Core.Types import Lifetimes, Record, Triplet
from Kamaelia.Apps.Grey.Store.Interface import Store
from Kamaelia.Apps.Grey.Store.Memory import MemoryStore
from Kamaelia.Apps.Grey.Store.Packing import key_of, news_of, packed
from Kamaelia.Apps.Grey.Store.Sqlite import SqliteStore

STORES: dict[str, Callable[[Path], Store]] = {
    "Memory": lambda _folder: MemoryStore(),
    "Sqlite": lambda folder: SqliteStore(folder / "greylist.sqlite3"),
}
LIFETIMES = Lifetimes(window_seconds=100, pass_seconds=1000)
KEY = Triplet("192.0.2.0/24", "a@example.net", "b@example.org")
GREY = Record.started(now=5000)
PASSED = replace(GREY, passed_at=5060, passed=1, until=6060)


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made = STORES[request.param](tmp_path)
    yield made
    made.close()


def key(number: int) -> Triplet:
    return Triplet("192.0.2.0/24", f"sender{number:06}@example.net", "b@example.org")


def fill(store: Store, records: dict[Triplet, Record]) -> None:
    with store.batch():
        for triplet, record in records.items():
            store.merge(triplet, record)


def sweep(store: Store, now: int, limit: int) -> list[int]:
    removed, after = store.expire(now, LIFETIMES, None, limit)
    slices = [removed]
    while after is not None:
        removed, after = store.expire(now, LIFETIMES, after, limit)
        slices.append(removed)
    return slices


def test_a_new_store_knows_nobody(store: Store) -> None:
    assert store.get(KEY) is None
    assert store.count() == 0
    assert list(store.scan()) == []
    assert store.expire(0, LIFETIMES, None, 10) == (0, None)


def test_what_was_merged_is_known(store: Store) -> None:
    store.merge(KEY, GREY)
    assert store.get(KEY) == GREY
    assert store.count() == 1


def test_a_second_record_is_merged_and_not_written_over_the_first(store: Store) -> None:
    store.merge(KEY, PASSED)
    store.merge(KEY, replace(GREY, first_seen=4000))
    assert store.get(KEY) == merge(PASSED, replace(GREY, first_seen=4000))
    store.merge(KEY, Record.started(now=9000, generation=1))
    assert store.get(KEY) == Record.started(now=9000, generation=1)


@pytest.mark.parametrize("number", [0, 1, 15, 16, 17, 256, 273, 600])
def test_many_at_once_are_merged_as_one_by_one(store: Store, number: int) -> None:
    store.merge(key(0), PASSED)
    news = [news_of(b"", key(n), replace(GREY, first_seen=n)) for n in range(number)]
    store.merge_all(news)
    assert store.count() == max(number, 1)
    assert store.get(key(0)) == (replace(PASSED, first_seen=0) if number else PASSED)
    if number:
        assert store.get(key(number - 1)) is not None


def test_the_same_triplet_twice_in_one_batch_is_merged_twice(store: Store) -> None:
    store.merge_all([news_of(b"", KEY, one) for one in (GREY, PASSED, GREY)])
    assert store.get(KEY) == merge(GREY, PASSED)


@pytest.mark.parametrize("count", [0, 1, 15, 17, 300])
def test_asked_for_many_it_says_what_it_says_of_each(store: Store, count: int) -> None:
    fill(store, {key(n): replace(PASSED, passed=n, deferred=2**40) for n in range(0, 400, 3)})
    fill(store, {key(n): GREY for n in range(1, 400, 3)})
    wanted = [key(399 - n) for n in range(count)] + [key(0), key(0)]
    found = store.get_all(wanted)
    each = {triplet: store.get(triplet) for triplet in wanted}
    assert found == {triplet: record for triplet, record in each.items() if record is not None}
    assert found[key(0)].passed_at == PASSED.passed_at
    assert store.get_all([]) == {}


def test_loading_gives_all_as_memory_has_them_in_slices(store: Store) -> None:
    odd = [Triplet(a, b, c) for a in ("z", "é") for b in ("", "\0", "'\"\\") for c in "z\U0001f600"]
    records = dict.fromkeys(odd, PASSED) | {key(n): GREY for n in range(30)}
    fill(store, records)
    loaded: dict[bytes, bytes] = {}
    after: Triplet | None = None
    cursors = []
    while True:
        rows, after = store.load(after, 10)
        assert len(rows) <= 10
        loaded |= rows
        if after is None:
            break
        cursors.append(after)
    assert loaded == {key_of(triplet): packed(record) for triplet, record in records.items()}
    assert cursors == sorted(cursors)
    assert len(cursors) == 4


def test_those_that_stay_and_have_not_passed_are_counted_by_the_minute(store: Store) -> None:
    month = 30 * 86_400
    now = 100 * month
    seen = [now, now - 59, now - 60, now - 61, now - 2 * month, now - 3 * month, now + 2 * month]
    fill(store, {key(n): Record.started(first) for n, first in enumerate(seen)})
    fill(store, {key(100): replace(PASSED, until=now), key(101): Record.started(1)})
    greys: dict[int, int] = {}
    removed, _ = store.expire(now, Lifetimes(now - 2, 1000), None, 100, greys)
    minute = now // 60
    assert removed == 1
    assert greys == {
        minute: 1, minute - 1: 2, minute - 2: 1, minute - month // 60: 2, minute + month // 60: 1
    }  # fmt: skip


def test_each_field_of_the_key_counts_by_itself(store: Store) -> None:
    store.merge(Triplet("n", "a@b", "c@d"), GREY)
    assert store.get(Triplet("n", "a@bc", "@d")) is None
    assert store.get(Triplet("na", "@b", "c@d")) is None


def test_deleting_forgets_and_deleting_the_unknown_is_harmless(store: Store) -> None:
    store.merge(KEY, GREY)
    store.delete(KEY)
    store.delete(KEY)
    assert store.get(KEY) is None


def test_forgetting_a_network_forgets_all_of_it_and_nothing_else(store: Store) -> None:
    others = [Triplet(name, "4", "") for name in ("192.0.2.0/2", "192.0.2.0/24 ", "")]
    fill(store, {key(n): GREY for n in range(40)} | dict.fromkeys(others, PASSED))
    assert store.forget("192.0.2.0/24") == 40
    assert store.forget("192.0.2.0/24") == 0
    assert dict(store.scan()) == dict.fromkeys(others, PASSED)
    with store.batch():
        assert store.forget("") == 1


def test_a_sweep_of_those_that_wait_leaves_passes_alone(store: Store) -> None:
    fill(store, {key(1): replace(PASSED, until=10), key(2): GREY})
    assert store.expire(99_999, LIFETIMES, None, 10, passes=False) == (1, None)
    assert [triplet for triplet, _ in store.scan()] == [key(1)]


def test_a_batch_sees_its_own_changes_and_keeps_them(store: Store) -> None:
    with store.batch():
        store.merge(KEY, GREY)
        assert store.get(KEY) == GREY
        store.delete(KEY)
        store.merge(key(1), PASSED)
    assert dict(store.scan()) == {key(1): PASSED}


def test_a_batch_that_fails_leaves_everything_as_it_was(store: Store) -> None:
    fill(store, {KEY: GREY, key(1): PASSED})
    before = dict(store.scan())

    def change_everything_and_fail() -> None:
        with store.batch():
            store.merge(KEY, PASSED)
            store.merge(KEY, replace(PASSED, passed=2))
            store.merge(key(2), GREY)
            store.delete(key(1))
            store.expire(99_999, LIFETIMES, None, 10)
            assert dict(store.scan()) == {}
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change_everything_and_fail()
    assert dict(store.scan()) == before


def test_batches_do_not_nest_and_the_store_survives_the_attempt(store: Store) -> None:
    with pytest.raises(RuntimeError), store.batch(), store.batch():
        pass
    store.merge(KEY, GREY)
    with store.batch():
        store.merge(key(1), GREY)
    assert store.count() == 2


def test_only_what_is_over_expires(store: Store) -> None:
    fill(
        store,
        {
            key(1): Record.started(now=5000),
            key(2): Record.started(now=4999),
            key(3): replace(GREY, passed_at=4100, until=5100),
            key(4): replace(GREY, passed_at=4100, until=5099),
            key(5): Record.started(now=9000),  # from the future
        },
    )
    assert sweep(store, now=5100, limit=10) == [2]
    assert [triplet for triplet, _ in store.scan()] == [key(1), key(3), key(5)]


@pytest.mark.parametrize(
    ("limit", "slices"), [(1, 11), (3, 4), (5, 3), (10, 2), (11, 1), (1000, 1)]
)
def test_expiring_goes_through_all_records_in_slices(store: Store, limit: int, slices: int) -> None:
    fill(store, {key(n): Record.started(now=0 if n % 3 else 9000) for n in range(10)})
    removed = sweep(store, now=9000, limit=limit)
    assert sum(removed) == 6
    assert max(removed) <= limit
    assert len(removed) == slices
    assert [triplet for triplet, _ in store.scan()] == [key(n) for n in (0, 3, 6, 9)]


def test_a_sweep_finds_its_place_after_the_key_of_its_cursor_is_gone(store: Store) -> None:
    fill(store, {key(n): Record.started(now=0) for n in range(6)})
    removed, after = store.expire(9000, LIFETIMES, None, 2)
    assert (removed, after) == (2, key(1))
    store.delete(key(2))
    assert store.expire(9000, LIFETIMES, after, 10) == (3, None)


def test_a_scan_gives_all_in_the_order_of_the_keys(store: Store) -> None:
    odd = [Triplet(a, b, c) for a in ("z", "é", "\U0001f600", "") for b in ("", "é") for c in "zA"]
    records = {triplet: Record.started(now=n) for n, triplet in enumerate(odd)}
    fill(store, records | {key(n): GREY for n in range(1200)})
    scanned = list(store.scan())
    assert scanned == sorted(scanned, key=lambda item: item[0])
    assert dict(scanned) == records | {key(n): GREY for n in range(1200)}


def test_the_store_may_change_during_a_scan(store: Store) -> None:
    fill(store, {key(n): GREY for n in range(700)})
    seen = []
    for triplet, _record in store.scan():
        seen.append(triplet)
        store.delete(triplet)
        store.tidy()
    assert seen == [key(n) for n in range(700)]
    assert store.count() == 0


def test_closing_twice_is_harmless(store: Store) -> None:
    store.merge(KEY, GREY)
    store.close()
    store.close()


# Surrogates cannot be stored; Normalise never makes any. Everything else can come from a peer.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5) | st.sampled_from(
    ["'", '"', "\0", "a\0b", "%", "\U0010ffff", "é"]
)
keys = st.builds(Triplet, st.sampled_from(["n", ""]), texts, texts)
times = st.integers(min_value=0, max_value=2000)
records = st.builds(
    Record,
    st.integers(0, 2),
    times,
    times,
    st.none() | times,
    st.integers(0, 5),
    st.integers(0, 5),
    times,
    times,
)
operations = st.lists(
    st.tuples(st.just("merge"), keys, records)
    | st.tuples(st.just("delete"), keys, records)
    | st.tuples(st.just("sweep"), keys, records)
    | st.tuples(st.just("forget"), keys, records),
    max_size=20,
)


@pytest.mark.parametrize("name", STORES)
@settings(max_examples=60, deadline=None)
@given(operations)
def test_a_store_does_what_a_dict_does(name: str, steps: list[tuple[str, Triplet, Record]]) -> None:
    model: dict[Triplet, Record] = {}
    with TemporaryDirectory() as folder:
        store = STORES[name](Path(folder))
        for operation, triplet, record in steps:
            if operation == "merge":
                known = model.get(triplet)
                model[triplet] = record if known is None else merge(known, record)
                if record.passed % 2:
                    store.merge_all([news_of(b"", triplet, record)])
                else:
                    store.merge(triplet, record)
            elif operation == "delete":
                model.pop(triplet, None)
                store.delete(triplet)
            elif operation == "forget":
                before = len(model)
                model = {k: r for k, r in model.items() if k.network != triplet.network}
                assert store.forget(triplet.network) == before - len(model)
            else:
                now = record.last_seen
                model = {k: r for k, r in model.items() if not LIFETIMES.is_over(r, now)}
                sweep(store, now, limit=2)
            assert store.get(triplet) == model.get(triplet)
        assert list(store.scan()) == sorted(model.items(), key=lambda item: item[0])
        assert store.count() == len(model)
        store.close()
