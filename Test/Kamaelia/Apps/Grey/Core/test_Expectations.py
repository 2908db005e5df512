"""Expectations: mail that somebody waits for."""

import doctest
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Core.Expectations import MOST, Expectation, Expectations

LINES = """\
# by hand
bob@example.org 2000 once -
carol@Example.org 2000 timed -

dave@example.org 2000 once used
@example.net 1500 timed used
old@example.org 900 once -
"""


def test_who_is_expected_is_and_nobody_else() -> None:
    them = Expectations.parse(LINES, now=1000)
    assert (len(them), them.bad_lines) == (4, 0)
    for recipient in ("bob@example.org", "BOB@Example.org", "carol@example.org", "x@example.net"):
        assert them.matches(recipient, 1000)
    for recipient in ("dave@example.org", "old@example.org", "x@example.org", "", "@example.org"):
        assert not them.matches(recipient, 1000)
    assert them.matches("bob@example.org", 2000)
    assert not them.matches("bob@example.org", 2001)
    assert not them.matches("x@example.net", 1501)


def test_once_is_over_with_its_use_and_timed_with_its_time() -> None:
    them = Expectations.parse(LINES, now=1000)
    assert them.use("Bob@example.org", 1001)
    assert not them.matches("bob@example.org", 1001)
    assert not them.use("bob@example.org", 1001)
    assert not them.use("carol@example.org", 1001)
    assert them.matches("carol@example.org", 1001)
    assert not them.use("x@example.org", 1001)
    assert not Expectations().use("bob@example.org", 1001)


def test_a_closed_one_of_the_address_leaves_that_of_its_domain() -> None:
    them = Expectations.parse("b@e.org 1100 once -\n@e.org 2000 once -\n", now=1000)
    assert them.matches("b@e.org", 1500)
    assert them.use("b@e.org", 1500)
    assert not them.matches("b@e.org", 1500)
    assert "b@e.org 1100 once -" in them.text(1000)


def test_what_is_written_is_read_again() -> None:
    them = Expectations.parse(LINES, now=1000)
    them.use("bob@example.org", 1001)
    text = them.text(1600)
    assert "bob@example.org 2000 once used\n" in text
    assert "@example.net" not in text  # over
    assert Expectations.parse(text, now=1600).text(1600) == text


@pytest.mark.parametrize(
    "line",
    [
        "bob@example.org",
        "bob@example.org 2000 once",
        "bob@example.org 2000 once - -",
        "bob@example.org later once -",
        "bob@example.org -1 once -",
        "bob@example.org \u0665000 once -",
        f"bob@example.org {'9' * 16} once -",
        "bob@example.org 2000 twice -",
        "bob@example.org 2000 once no",
        "bob 2000 once -",
    ],
)
def test_lines_that_cannot_be_read_are_counted(line: str) -> None:
    them = Expectations.parse(f"{line}\ncarol@example.org 2000 timed -\n", now=1000)
    assert (len(them), them.bad_lines) == (1, 1)


def test_there_is_an_end_to_them() -> None:
    them = Expectations.parse("".join(f"a{n}@b 9 once -\n" for n in range(MOST + 5)), now=1)
    assert len(them) == len(Expectations(them)) == MOST
    assert not them.add(Expectation("new@b", 9, once=True))
    assert them.add(Expectation("a0@b", 10, once=True))
    assert them.matches("a0@b", 10)


@given(st.text(max_size=200), st.integers(0, 10**6))
def test_any_text_can_be_read(text: str, now: int) -> None:
    them = Expectations.parse(text, now)
    for one in them:
        them.matches(one.recipient, now)
    assert len(them) <= MOST


def test_the_example_in_the_docstring_is_true() -> None:
    result = doctest.testmod(sys.modules[Expectations.__module__])
    assert result.attempted
    assert not result.failed


def test_only_one_that_no_mail_uses_up_is_timed() -> None:
    both = "b@example.org 2000 once -\n@example.org 2000 timed -\n@example.net 2000 once -\n"
    expected = Expectations.parse(both, now=1000)
    assert expected.is_timed("b@example.org", 2000)
    assert not expected.is_timed("b@example.org", 2001)
    assert not expected.is_timed("b@example.net", 1000)
