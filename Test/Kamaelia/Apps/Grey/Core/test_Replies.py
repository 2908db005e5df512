"""Replies: milter-greylist's words, and codes that mean what was decided."""

import doctest
import sys

import pytest

from Kamaelia.Apps.Grey.Core.Access.Rule import Action, Ruling
from Kamaelia.Apps.Grey.Core.Replies import Reply, blacklisted, greylisted, hours
from Kamaelia.Apps.Grey.Core.Types import Policy

IN_AN_HOUR = "Greylisting in action, please come back in 01:00:00"


def ruling(code: str = "", ecode: str = "", msg: str = "") -> Ruling:
    return Ruling(Action.GREYLIST, code=code, ecode=ecode, msg=msg)


@pytest.mark.parametrize(
    ("given", "reply"),
    [
        (ruling(), ("451", "4.7.1", IN_AN_HOUR)),
        (ruling("450", "4.2.0", "later"), ("450", "4.2.0", "later")),
        (ruling("450"), ("450", "4.7.1", IN_AN_HOUR)),
        (ruling("550", "5.7.0"), ("451", "4.7.1", IN_AN_HOUR)),  # it is temporary all the same
        (ruling("450", "5.7.0"), ("450", "4.7.1", IN_AN_HOUR)),
        (ruling("250"), ("451", "4.7.1", IN_AN_HOUR)),
        (ruling("45"), ("451", "4.7.1", IN_AN_HOUR)),
        (ruling("4\u0665\u0665"), ("451", "4.7.1", IN_AN_HOUR)),
        (ruling("4ab"), ("451", "4.7.1", IN_AN_HOUR)),
        (ruling("", "4.2.0"), ("451", "4.2.0", IN_AN_HOUR)),
        (None, ("451", "4.7.1", IN_AN_HOUR)),
    ],
)
def test_a_deferral_is_temporary(given: Ruling | None, reply: Reply) -> None:
    assert greylisted(Policy(), given, 3600) == reply


@pytest.mark.parametrize(
    ("given", "reply"),
    [
        (ruling(), ("551", "5.7.1", "Go away!")),
        (ruling("550", "5.1.1", "no such user"), ("550", "5.1.1", "no such user")),
        (ruling("450", "4.7.0", "slow down"), ("450", "4.7.0", "slow down")),
        (ruling("450"), ("450", "4.7.1", "Go away!")),
        (ruling("250", "2.1.5"), ("551", "5.7.1", "Go away!")),
        (ruling("450", "5.7.0"), ("450", "4.7.1", "Go away!")),
    ],
)
def test_a_refusal_may_be_for_now(given: Ruling, reply: Reply) -> None:
    assert blacklisted(given) == reply


def test_quiet_does_not_say_when_and_codes_may_be_set() -> None:
    policy = Policy(quiet=True, greylist_code="450", greylist_ecode="4.2.0")
    text = "Greylisting in action, please come back later"
    assert greylisted(policy, None, 3600) == ("450", "4.2.0", text)


def test_hours_may_have_three_digits_and_are_never_negative() -> None:
    assert [hours(seconds) for seconds in (-1, 0, 59, 60, 359_999, 360_000)] == [
        *("00:00:00", "00:00:00", "00:00:59", "00:01:00", "99:59:59", "100:00:00")
    ]


def test_the_example_in_the_docstring_is_true() -> None:
    result = doctest.testmod(sys.modules[hours.__module__])
    assert result.attempted
    assert not result.failed
