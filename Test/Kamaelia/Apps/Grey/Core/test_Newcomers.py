"""Newcomers: so many new triplets of a network in an hour, and no more."""

import doctest
import sys

from Kamaelia.Apps.Grey.Core.Newcomers import HOUR, Newcomers


def test_a_network_may_bring_so_many_an_hour() -> None:
    newcomers = Newcomers(limit=1000)
    admitted = [newcomers.admit("192.0.2.0/24", now=n / 100) for n in range(5000)]
    assert admitted == [True] * 1000 + [False] * 4000


def test_the_hour_begins_with_the_first_and_then_anew() -> None:
    newcomers = Newcomers(limit=1)
    assert newcomers.admit("n", now=100.0)
    assert not newcomers.admit("n", now=100.0 + HOUR - 0.1)
    assert newcomers.admit("n", now=100.0 + HOUR)
    assert not newcomers.admit("n", now=101.0 + HOUR)


def test_one_network_does_not_use_up_what_others_may() -> None:
    newcomers = Newcomers(limit=1)
    assert [newcomers.admit(name, now=0.0) for name in ("a", "a", "b")] == [True, False, True]


def test_zero_is_no_limit() -> None:
    newcomers = Newcomers(limit=0)
    assert all(newcomers.admit("n", now=0.0) for _ in range(5000))
    assert newcomers._seen == {}


def test_the_memory_of_networks_has_an_end() -> None:
    newcomers = Newcomers(limit=1, most_networks=10)
    assert all(newcomers.admit(str(number), now=0.0) for number in range(1000))
    assert len(newcomers._seen) <= 10


def test_the_example_in_the_docstring_is_true() -> None:
    result = doctest.testmod(sys.modules[Newcomers.__module__])
    assert result.attempted
    assert not result.failed
