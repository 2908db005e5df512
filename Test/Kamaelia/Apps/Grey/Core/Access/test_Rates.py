"""Counting within a period, for strangers who choose the keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Core.Access.Rates import Rates


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 5)), max_size=60), st.integers(1, 100))
def test_it_counts_the_period_give_or_take_one_slot(
    steps: list[tuple[int, int]], seconds: int
) -> None:
    rates, now, events = Rates(), 1_000_000.0, []
    for step, amount in steps:
        now += step
        events.append((now, amount))
        said = rates.count("r", "key", now, seconds, amount)
        assert said == rates.seen("r", "key", now, seconds)
        least = sum(n for at, n in events if at > now - seconds * 19 / 20 + 1e-6)
        most = sum(n for at, n in events if at > now - seconds - 1e-6)
        assert least <= said <= most


def test_a_period_shorter_than_its_slots_is_counted_too() -> None:
    rates = Rates()
    assert [rates.count("r", "k", now, 1) for now in (0.0, 0.5, 0.9, 1.2, 9.0)] == [1, 2, 3, 3, 1]


@pytest.mark.parametrize("seconds", [0, -60])
def test_no_period_is_a_second(seconds: int) -> None:
    rates = Rates()
    assert [rates.count("r", "k", now, seconds) for now in (0, 5)] == [1, 1]
    assert rates.seen("r", "k", 5, seconds) == 1


def test_a_clock_that_is_set_back_loses_nothing() -> None:
    rates = Rates()
    assert [rates.count("r", "k", now, 60) for now in (1000, 960, 1001)] == [1, 2, 3]


def test_what_was_counted_by_a_clock_that_ran_far_ahead_is_forgotten_like_all() -> None:
    rates = Rates()
    assert [rates.count("r", "k", now, 60) for now in (10**6, 10, 11, 50)] == [1, 2, 3, 4]
    assert [rates.count("r", "k", now, 60) for now in (80, 600)] == [2, 1]
    assert rates.seen("r", "k", 601, 60) == 1


def test_names_keys_and_periods_are_apart() -> None:
    rates = Rates()
    rates.count("r", "k", 0, 60)
    assert (rates.seen("s", "k", 0, 60), rates.seen("r", "l", 0, 60)) == (0, 0)
    assert rates.seen("r", "k", 0, 61) == 0


def test_the_quietest_key_goes_when_there_are_too_many() -> None:
    rates = Rates(most_keys=3)
    for key in ("a", "b", "c", "a", "d"):
        rates.count("r", key, 0, 60)
    assert len(rates) == 3
    assert [rates.seen("r", key, 0, 60) for key in "abcd"] == [2, 0, 1, 1]


def test_a_flood_of_keys_does_not_grow() -> None:
    rates = Rates()
    for n in range(20_000):
        rates.count("r", f"{n}" + "x" * 1000, 0, 60)
    assert len(rates) == 10_000
