"""Outcomes are kept as long as they are true, and no more of them than there is room for."""

import pytest

from Kamaelia.Support.Protocol.DNS.Cache import LONGEST_KEPT, Cache
from Kamaelia.Support.Protocol.DNS.Messages import Failure, Outcome

KEY, OTHER, THIRD = ("a.org", "A"), ("b.org", "A"), ("c.org", "A")


def cache(limit: int = 2) -> Cache:
    return Cache(limit, longest_ttl=1000.0, longest_negative_ttl=100.0, failure_ttl=2.0)


def found(ttl: float, size: int = 50) -> Outcome:
    return Outcome(("192.0.2.1",), ttl, size=size)


@pytest.mark.parametrize(
    ("outcome", "seconds"),
    [
        (found(60.0), 60.0),
        (found(1e9), 1000.0),
        (Outcome(ttl=60.0, failure=Failure.NXDOMAIN), 60.0),
        (Outcome(ttl=1e9, failure=Failure.NXDOMAIN), 100.0),
        (Outcome(ttl=1e9, failure=Failure.NODATA), 100.0),
    ],
)
def test_what_is_known_stays_so_for_its_time_within_our_limits(
    outcome: Outcome, seconds: float
) -> None:
    kept = cache()
    assert kept.put(KEY, outcome, 10.0).ttl == seconds
    known = kept.get(KEY, 9.0 + seconds)
    assert known is not None
    assert (known.ttl, known.records, known.failure) == (1.0, outcome.records, outcome.failure)
    assert kept.get(KEY, 10.0 + seconds) is None
    assert len(kept) == 0


@pytest.mark.parametrize(
    "failure", [Failure.SERVFAIL, Failure.TIMEOUT, Failure.UNREACHABLE, Failure.BAD_REPLY]
)
def test_a_failure_is_remembered_for_a_moment_and_is_true_for_none(failure: Failure) -> None:
    kept = cache()
    assert kept.put(KEY, Outcome(failure=failure), 0.0).ttl == 0.0
    assert kept.get(KEY, 1.9) == Outcome(failure=failure)
    assert kept.get(KEY, 2.0) is None


@pytest.mark.parametrize("outcome", [found(0.0), found(60.0, size=LONGEST_KEPT + 1)])
def test_what_is_not_to_be_kept_is_not_and_takes_the_place_of_nothing(outcome: Outcome) -> None:
    kept = cache()
    kept.put(KEY, found(60.0), 0.0)
    assert kept.put(KEY, outcome, 1.0) == outcome
    assert kept.get(KEY, 1.0) is None


def test_the_least_recently_used_goes_first() -> None:
    kept = cache(limit=2)
    kept.put(KEY, found(60.0), 0.0)
    kept.put(OTHER, found(60.0), 0.0)
    kept.get(KEY, 1.0)
    kept.put(THIRD, found(60.0), 2.0)
    assert kept.get(OTHER, 3.0) is None
    assert kept.get(KEY, 3.0) is not None
    assert kept.get(THIRD, 3.0) is not None
    assert len(kept) == 2


def test_a_cache_of_no_size_keeps_nothing() -> None:
    kept = cache(limit=0)
    kept.put(KEY, found(60.0), 0.0)
    assert kept.get(KEY, 0.0) is None
