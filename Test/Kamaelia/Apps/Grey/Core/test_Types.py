"""Types: values are frozen, keys are unambiguous, lifetimes end when they should."""

import doctest
import sys
from copy import copy
from dataclasses import FrozenInstanceError, replace
from typing import ClassVar

import pytest

from Kamaelia.Apps.Grey.Core.Types import (
    Attempt,
    Decision,
    Deliverable,
    Lifetimes,
    Policy,
    Reason,
    Record,
    Triplet,
    Verdict,
)

LIFETIMES = Lifetimes(window_seconds=100, pass_seconds=1000)
GREY = Record.started(now=5000, delay=50)
PASSED = replace(GREY, passed_at=6000, until=7000)


@pytest.mark.parametrize(
    ("record", "now", "over"),
    [
        (GREY, 5000, False),
        (GREY, 5150, False),
        (GREY, 5151, True),
        (GREY, 4000, False),  # first seen in the future
        (PASSED, 6000, False),
        (PASSED, 7000, False),
        (PASSED, 7001, True),
        (PASSED, 0, False),  # the clock was set back: nobody loses a pass
    ],
)
def test_a_record_is_over_one_second_after_its_last(record: Record, now: int, over: bool) -> None:
    assert LIFETIMES.is_over(record, now) is over


def test_triplets_that_read_the_same_when_joined_stay_different() -> None:
    assert Triplet("n", "a@b", "c@d") != Triplet("n", "a@bc", "@d")
    assert hash(Triplet("n", "a@b", "c@d")) != hash(Triplet("n", "a@bc", "@d"))


def test_what_is_made_rarely_cannot_be_changed_in_place() -> None:
    with pytest.raises(FrozenInstanceError):
        LIFETIMES.pass_seconds = 1  # type: ignore[misc]


ATTEMPT = Attempt("192.0.2.7", "mx", "a@b", "c@d", "k3f9", "c", "d")


@pytest.mark.parametrize(
    "value", [GREY, ATTEMPT, Triplet("n", "a", "b"), Decision(Verdict.PASS, Reason.KNOWN)]
)
def test_messages_are_values_without_room_for_more(value: object) -> None:
    assert value == copy(value)
    assert hash(value) == hash(copy(value))
    with pytest.raises(AttributeError):
        value.more = 1  # type: ignore[attr-defined]


def test_whom_to_answer_is_no_part_of_what_an_attempt_is() -> None:
    class Somebody:
        inboxes: ClassVar[dict[str, Deliverable]] = {}

    asked = replace(ATTEMPT, reply_to=(Somebody(), "decision"))
    assert asked == ATTEMPT
    assert "Somebody" not in repr(asked)
    assert replace(ATTEMPT, authenticated=True) != ATTEMPT


@pytest.mark.parametrize(("lifetime", "renewed"), [(36 * 86_400, 3600), (1000, 10), (99, 0)])
def test_a_pass_is_renewed_before_it_has_lost_a_hundredth(lifetime: int, renewed: int) -> None:
    assert Lifetimes(60, lifetime).renew_seconds == renewed


def test_the_policy_hands_its_times_to_the_store() -> None:
    policy = Policy(window_seconds=7, pass_seconds=8)
    assert policy.lifetimes == Lifetimes(window_seconds=7, pass_seconds=8)


def test_reasons_are_lower_case_words_for_the_mail_log() -> None:
    assert all(reason.value.replace("-", "").islower() for reason in Reason)


def test_the_example_in_the_docstring_is_true() -> None:
    result = doctest.testmod(sys.modules[Record.__module__])
    assert result.attempted
    assert not result.failed
