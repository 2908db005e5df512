"""ServingMap: bounded, swept in slices, and the same as a dict while there is room."""

import doctest
import gc
import random
import sys

from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Core.Merge import merge
from Kamaelia.Apps.Grey.Core.Types import Lifetimes, Record
from Kamaelia.Apps.Grey.Store.Packing import packed
from Kamaelia.Apps.Grey.Store.ServingMap import SHARDS, ServingMap

LIFETIMES = Lifetimes(window_seconds=100, pass_seconds=1000)
GREY = Record.started(now=5000)
PASSED = Record(0, 5000, 5060, 5060, 1, 1, 5060, 6060)


def key(number: int) -> bytes:
    return random.Random(number).randbytes(16)


def sweep(records: ServingMap, now: int, limit: int) -> list[int]:
    removed = [records.sweep(now, LIFETIMES, limit)]
    while not records.at_start:
        removed.append(records.sweep(now, LIFETIMES, limit))
    return removed


keys = st.integers(0, 20).map(key)
times = st.integers(0, 2000)
news = st.builds(
    Record, st.integers(0, 2), times, times, st.none() | times, st.integers(0, 5), st.integers(0, 5)
)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from(["merge", "load", "sweep"]), keys, news), max_size=25))
def test_it_does_what_a_dict_does(steps: list[tuple[str, bytes, Record]]) -> None:
    records = ServingMap(limit=1000)
    model: dict[bytes, Record] = {}
    for operation, name, record in steps:
        if operation == "sweep":
            now = record.last_seen
            model = {k: r for k, r in model.items() if not LIFETIMES.is_over(r, now)}
            sweep(records, now, limit=3)
        else:
            model[name] = merge(model[name], record) if name in model else record
            if operation == "merge":
                records.merge(name, record)
            else:
                records.load({name: packed(record)})
        assert len(records) == len(model)
        assert all(records.get(key(n)) == model.get(key(n)) for n in range(21))
    assert records.evicted == 0


def test_there_are_never_more_than_the_limit() -> None:
    records = ServingMap(limit=1000)
    for number in range(20_000):
        records.merge(key(number), GREY)
        assert len(records) <= 1000
    assert len(records) == 1000
    assert records.evicted == 19_000
    assert records.get(key(19_999)) == GREY


def test_those_that_have_passed_stay_and_the_newest_of_the_others() -> None:
    records = ServingMap(limit=4000)
    for number in range(2000):
        records.merge(key(number), PASSED)
    for number in range(2000, 100_000):
        records.merge(key(number), GREY)
    assert sum(records.get(key(number)) is not None for number in range(2000)) == 2000
    assert sum(records.get(key(number)) is not None for number in range(2000, 90_000)) < 20
    assert len(records) == 4000


def test_with_passes_only_one_of_them_makes_room() -> None:
    records = ServingMap(limit=300)
    for number in range(3000):
        records.merge(key(number), PASSED)
    assert len(records) == 300
    assert records.get(key(2999)) == PASSED


def test_a_limit_below_the_number_of_shards_holds() -> None:
    records = ServingMap(limit=3)
    for number in range(500):
        records.merge(key(number), GREY)
        assert records.get(key(number)) == GREY
        assert len(records) <= 3
    assert len(ServingMap(limit=0)._shards) == SHARDS


def test_a_sweep_looks_at_no_more_than_its_slice_and_at_all() -> None:
    records = ServingMap(limit=10_000)
    for number in range(6000):
        records.merge(key(number), GREY if number % 3 else Record.started(now=1000))
    removed = sweep(records, now=5050, limit=500)
    assert sum(removed) == 2000
    assert max(removed) <= 500
    assert len(removed) == 12
    assert len(records) == 4000
    assert sum(sweep(records, now=5050, limit=500)) == 0


def test_what_comes_or_goes_during_a_sweep_disturbs_it_not() -> None:
    records = ServingMap(limit=100)
    for number in range(100):
        records.merge(key(number), Record.started(now=0))
    records.sweep(5000, LIFETIMES, limit=1)
    for number in range(100, 200):
        records.merge(key(number), Record.started(now=0))  # each makes one go
    while not records.at_start:
        records.sweep(5000, LIFETIMES, limit=7)
    sweep(records, now=5000, limit=7)
    assert len(records) == 0


def test_the_collector_has_nothing_to_do_with_the_records() -> None:
    records = ServingMap(limit=100_000)
    before = len(gc.get_objects())
    for number in range(20_000):
        records.merge(key(number), GREY)
    gc.collect()
    assert len(gc.get_objects()) - before < 1000


def test_the_example_in_the_docstring_is_true() -> None:
    result = doctest.testmod(sys.modules[ServingMap.__module__])
    assert result.attempted
    assert not result.failed
