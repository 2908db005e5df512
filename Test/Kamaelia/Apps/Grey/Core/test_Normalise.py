"""Normalise: what counts as the same, and that no text of a stranger is too odd."""

import doctest
import fnmatch
import re
import sys
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Core.Normalise import (
    TEXT_LIMIT,
    fold_address,
    fold_domain,
    network_of,
    triplet_of,
    wildcard_match,
)
from Kamaelia.Apps.Grey.Core.Types import Attempt, Policy, Triplet

any_text = st.text(st.characters(), max_size=60)  # with surrogates


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("2001:DB8:0:1:2:3:4:5", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("192.0.2.77%eth0", "192.0.2.0/24"),
        ("", ""),
        ("Unknown", "unknown"),
        ("192.0.2.300", "192.0.2.300"),
        ("192.0.2", "192.0.2"),
    ],
)
def test_a_client_stands_for_its_network(address: str, network: str) -> None:
    assert network_of(address, 24, 64) == network


@pytest.mark.parametrize(
    ("prefix", "network"),
    [(32, "192.0.2.77/32"), (99, "192.0.2.77/32"), (0, "0.0.0.0/0"), (-1, "0.0.0.0/0")],
)
def test_prefixes_out_of_range_are_the_nearest_in_range(prefix: int, network: str) -> None:
    assert network_of("192.0.2.77", prefix, 64) == network


@given(st.ip_addresses(), st.integers(0, 32), st.integers(0, 128))
def test_the_network_contains_its_client(address: object, prefix4: int, prefix6: int) -> None:
    text = str(address)
    network = ip_network(network_of(text, prefix4, prefix6))
    ip = ip_address(text)
    mapped = getattr(ip, "ipv4_mapped", None)
    assert (mapped or ip) in network


@given(any_text)
@example("a" * 5000)
@example("\ud800" * 2000)
@example("\u0390" * TEXT_LIMIT)  # one character, three when folded
@example("ß" * TEXT_LIMIT)
def test_keys_are_short_encodable_and_stable(text: str) -> None:
    for key in (fold_address(text), network_of(text, 24, 64)):
        assert len(key) <= TEXT_LIMIT
        key.encode("utf-8")
    assert fold_address(fold_address(text)) == fold_address(text)


def test_case_does_not_make_another_address() -> None:
    assert fold_address("Joe.Doe@Example.ORG") == fold_address("joe.doe@example.org")
    assert fold_address("a@b") != fold_address("a+1@b")


def test_domains_are_folded_but_never_into_another_one() -> None:
    assert fold_domain("EXAMPLE.Org") == "example.org"
    assert fold_domain("BÜCHER.example") == "bücher.example"
    assert fold_domain("\u212aamaelia.org") != fold_domain("kamaelia.org")
    assert fold_domain("straße.example") != fold_domain("strasse.example")


@given(any_text.filter(lambda text: not text.isascii()))
def test_no_foreign_letter_becomes_an_ascii_domain(text: str) -> None:
    assert not fold_domain(text).isascii()


def test_the_triplet_has_three_fields() -> None:
    attempt = Attempt("192.0.2.7", "mx", "A@Example.net", "B@Example.org", "k", "B", "Example.org")
    expected = Triplet("192.0.2.0/25", "a@example.net", "b@example.org")
    assert triplet_of(attempt, Policy(prefix4=25)) == expected


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("a@example.org", "A@EXAMPLE.ORG", True),
        ("a@example.org", "ba@example.org", False),
        ("*", "", True),
        ("", "", True),
        ("", "a", False),
        ("*@example.org", "x@example.org", True),
        ("*@example.org", "x@example.org.evil", False),
        ("a*a", "a", False),  # the ends must not overlap
        ("a*a", "aa", True),
        ("*b*c*", "abxc", True),
        ("*c*b*", "abxc", False),
        ("a*b*b", "ab", False),
        ("*@[192.0.2.1]", "x@[192.0.2.1]", True),
        ("*@[192.0.2.1]", "x@1", False),
        ("?@example.org", "a@example.org", False),  # a question mark is a legal character
    ],
)
def test_wildcards_fit_whole_texts(pattern: str, text: str, fits: bool) -> None:
    assert wildcard_match(pattern, text) is fits


@given(st.text("ab*", max_size=8), st.text("ab", max_size=10))
def test_wildcards_agree_with_fnmatch_where_both_know_only_the_star(
    pattern: str, text: str
) -> None:
    assert wildcard_match(pattern, text) == bool(re.match(fnmatch.translate(pattern), text))


def test_a_pattern_of_many_stars_is_not_slow() -> None:
    assert not wildcard_match("*a" * 200 + "b", "a" * 10_000)


def test_the_example_in_the_docstring_is_true() -> None:
    result = doctest.testmod(sys.modules[fold_address.__module__])
    assert result.attempted
    assert not result.failed
