"""Everybody who wants to know hears of each decision."""

from Axon.Component import component
from Kamaelia.Apps.Grey.Core.Types import Attempt, Decided, Decision, Reason, Verdict
from Kamaelia.Apps.Grey.Watch.Tap import DecisionTap


def test_taps_stand_one_behind_the_other() -> None:
    first, second, third = component(), component(), component()
    tap = DecisionTap(DecisionTap(first, second), third)
    attempt = Attempt("192.0.2.7", "mx", "a@example.net", "b@example.org", "k3f9", "b", "")
    decided = Decided(attempt, Decision(Verdict.PASS, Reason.KNOWN), 0.0)
    tap.inboxes["inbox"].deliver(decided)
    for each in (first, second, third):
        assert each.recv("inbox") is decided
