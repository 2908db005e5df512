"""Merge: news may come in any order and more than once."""

import doctest
import random
import sys
from dataclasses import replace
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Core.Decide import with_record
from Kamaelia.Apps.Grey.Core.Merge import merge
from Kamaelia.Apps.Grey.Core.Types import Attempt, Policy, Reason, Record, Verdict

# Small numbers, so that ties and overlaps are common.
times = st.integers(min_value=0, max_value=20)
records = st.builds(
    Record,
    generation=st.integers(min_value=0, max_value=2),
    first_seen=times,
    last_seen=times,
    passed_at=st.none() | times,
    deferred=st.integers(min_value=0, max_value=5),
    passed=st.integers(min_value=0, max_value=5),
    due=times,
    until=times,
)


@given(records, records)
def test_merge_is_commutative(a: Record, b: Record) -> None:
    assert merge(a, b) == merge(b, a)


@given(records, records, records)
def test_merge_is_associative(a: Record, b: Record, c: Record) -> None:
    assert merge(merge(a, b), c) == merge(a, merge(b, c))


@given(records)
def test_merge_is_idempotent(a: Record) -> None:
    assert merge(a, a) == a


@given(st.lists(records, min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_any_order_with_repeats_ends_with_the_same_record(
    news: list[Record], chance: random.Random
) -> None:
    again = news + chance.choices(news, k=3)
    chance.shuffle(again)
    assert reduce(merge, again) == reduce(merge, news)


def test_within_a_generation_the_first_sight_and_the_latest_pass_count() -> None:
    here = Record(0, 100, 150, passed_at=None, deferred=3, passed=0, due=700)
    there = Record(0, 120, 400, passed_at=400, deferred=1, passed=1, due=180, until=900)
    assert merge(here, there) == Record(0, 100, 400, 400, 3, 1, due=180, until=900)


def test_a_fresh_start_wins_over_the_old_pass() -> None:
    old = Record(0, first_seen=1, last_seen=2, passed_at=2, deferred=1, passed=9)
    fresh = Record.started(now=5_000_000, generation=1)
    assert merge(old, fresh) == fresh


ATTEMPT = Attempt("192.0.2.1", "mx", "a@b", "c@d", "s", "c", "d")
POLICY = Policy(delay_seconds=10, window_seconds=60, pass_seconds=200)
decision_times = st.lists(st.integers(min_value=0, max_value=1000), min_size=1, max_size=12)


@given(decision_times)
def test_what_decide_gives_back_survives_the_merge_with_what_it_came_from(
    moments: list[int],
) -> None:
    """The store merges each decision's record into the one that the decision was made from; a
    clock that goes back and forth included, the result must be what the decision meant."""
    known: Record | None = None
    for now in moments:
        decision = with_record(ATTEMPT, known, POLICY, now)
        if decision.record is None:
            assert decision.reason is Reason.KNOWN  # nothing new
            continue
        assert known is None or merge(known, decision.record) == decision.record
        known = decision.record


@given(decision_times, decision_times)
def test_two_machines_that_exchange_records_agree_and_keep_a_pass(
    here_times: list[int], there_times: list[int]
) -> None:
    histories = []
    for moments in (sorted(here_times), sorted(there_times)):
        known: Record | None = None
        for now in moments:
            known = with_record(ATTEMPT, known, POLICY, now).record or known
        assert known is not None
        histories.append(known)
    here, there = histories
    both = merge(here, there)
    if here.generation == there.generation:
        passes = [one.passed_at for one in histories if one.passed_at is not None]
        assert both.passed_at == (max(passes) if passes else None)
        now = max(here_times + there_times)
        alone = [with_record(ATTEMPT, one, POLICY, now).verdict for one in histories]
        if both.passed_at is not None and Verdict.PASS in alone:
            assert with_record(ATTEMPT, both, POLICY, now).verdict is Verdict.PASS


def test_a_retry_on_the_other_machine_counts_from_the_first_sight() -> None:
    first = with_record(ATTEMPT, None, POLICY, now=100).record
    second = with_record(ATTEMPT, None, POLICY, now=105).record
    assert first is not None
    assert second is not None
    assert with_record(ATTEMPT, merge(second, first), POLICY, now=110).verdict is Verdict.PASS
    assert with_record(ATTEMPT, second, POLICY, now=110).verdict is Verdict.DEFER
    assert merge(second, first) == replace(first, last_seen=105)


def test_the_example_in_the_docstring_is_true() -> None:
    result = doctest.testmod(sys.modules[merge.__module__])
    assert result.attempted
    assert not result.failed
