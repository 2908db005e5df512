"""Combine: the strictest recipient speaks for the message."""

import doctest
import sys
from itertools import permutations

import pytest

from Kamaelia.Apps.Grey.Core.Combine import combine
from Kamaelia.Apps.Grey.Core.Types import Decision, Reason, Verdict

KNOWN = Decision(Verdict.PASS, Reason.KNOWN)
NEW = Decision(Verdict.DEFER, Reason.NEW, wait_seconds=60)
EARLY = Decision(Verdict.DEFER, Reason.TOO_EARLY, wait_seconds=5)
RELAY = Decision(Verdict.REJECT, Reason.RELAY_DENIED)


@pytest.mark.parametrize(
    ("decisions", "winner"),
    [
        ([KNOWN], KNOWN),
        ([KNOWN, NEW], NEW),  # one known recipient does not let the others in
        ([EARLY, NEW], NEW),
        ([KNOWN, RELAY], RELAY),
        ([NEW, RELAY, EARLY, KNOWN], RELAY),
    ],
)
def test_the_strictest_wins_in_any_order(decisions: list[Decision], winner: Decision) -> None:
    for first, *others in permutations(decisions):
        assert combine(first, *others) == winner


def test_of_equals_the_first_speaks() -> None:
    allowed = Decision(Verdict.PASS, Reason.ALLOWED_SENDER)
    assert combine(allowed, KNOWN) is allowed
    assert combine(KNOWN, allowed) is KNOWN


def test_the_example_in_the_docstring_is_true() -> None:
    result = doctest.testmod(sys.modules[combine.__module__])
    assert result.attempted
    assert not result.failed
