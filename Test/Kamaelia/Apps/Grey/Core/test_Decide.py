"""Decide: the whole policy as tables of cases."""

import doctest
import sys
from dataclasses import replace
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Core.Decide import (
    decide,
    when_store_failed,
    when_too_many,
    with_record,
    with_triplet,
    without_record,
    without_store,
)
from Kamaelia.Apps.Grey.Core.Networks import Networks
from Kamaelia.Apps.Grey.Core.Normalise import triplet_of
from Kamaelia.Apps.Grey.Core.Rules import Rules
from Kamaelia.Apps.Grey.Core.Types import (
    Attempt,
    Decision,
    FailMode,
    HeloRule,
    Policy,
    Reason,
    Record,
    TripleRule,
    Verdict,
)


def networks(*texts: str) -> Networks:
    return Networks(ip_network(text) for text in texts)


EVERYWHERE = networks("0.0.0.0/0", "::/0")
BARE_POLICY = Policy(allowed_domains=frozenset({"example.org"}))
POLICY = Policy(
    delay_seconds=60,
    window_seconds=3600,
    pass_seconds=86_400,
    allowed_senders=networks("127.0.0.1/32", "::1/128"),
    allowed_sender_nets=networks("192.168.2.0/24"),
    allowed_domains=frozenset({"example.org", ".sub.example.com"}),
    whitelisted_triples=(
        TripleRule(networks("198.51.100.0/24"), "*@partner.example", "boss@example.org"),
        TripleRule(EVERYWHERE, "<>", "bounces@example.org"),
    ),
    nonstandard_triples=(HeloRule("mailer*.list.example", EVERYWHERE, "*@example.org"),),
)
STRANGER = Attempt(
    client="192.0.2.7",
    helo="mx.example.net",
    sender="a@example.net",
    recipient="b@example.org",
    session="k3f9",
    recipient_local="b",
    recipient_domain="example.org",
)


def to(recipient: str, attempt: Attempt = STRANGER) -> Attempt:
    local, _, domain = recipient.rpartition("@")
    return replace(attempt, recipient=recipient, recipient_local=local, recipient_domain=domain)


FOREIGN = to("x@foreign.example")


def bare(local: str) -> Attempt:
    return replace(STRANGER, recipient=local, recipient_local=local, recipient_domain="")


@pytest.mark.parametrize(
    ("attempt", "verdict", "reason"),
    [
        (replace(STRANGER, client="127.0.0.1"), Verdict.PASS, Reason.ALLOWED_SENDER),
        (replace(STRANGER, client="::1"), Verdict.PASS, Reason.ALLOWED_SENDER),
        (replace(STRANGER, client="::ffff:127.0.0.1"), Verdict.PASS, Reason.ALLOWED_SENDER),
        (replace(STRANGER, client="192.168.2.9"), Verdict.PASS, Reason.ALLOWED_NETWORK),
        # not a text prefix: the original let these in
        (replace(FOREIGN, client="192.168.20.9"), Verdict.REJECT, Reason.RELAY_DENIED),
        (replace(FOREIGN, client="192.168.2.9"), Verdict.PASS, Reason.ALLOWED_NETWORK),
        (FOREIGN, Verdict.REJECT, Reason.RELAY_DENIED),
        (to("x@notexample.org"), Verdict.REJECT, Reason.RELAY_DENIED),
        (to("x@www.example.org"), Verdict.REJECT, Reason.RELAY_DENIED),
        (to("x@example.org."), Verdict.REJECT, Reason.RELAY_DENIED),
        (to("x@[192.0.2.1]"), Verdict.REJECT, Reason.RELAY_DENIED),
        (to("x@com"), Verdict.REJECT, Reason.RELAY_DENIED),
        (to("x@example.com"), Verdict.REJECT, Reason.RELAY_DENIED),
        (to("x@\u212aample.org"), Verdict.REJECT, Reason.RELAY_DENIED),
        (bare("b"), Verdict.REJECT, Reason.RELAY_DENIED),
        (bare(""), Verdict.REJECT, Reason.RELAY_DENIED),
        # a path in the local part, whatever it is dressed in
        (to("user%foreign.example@example.org"), Verdict.REJECT, Reason.BAD_ROUTING),
        (to("foreign.example!user@example.org"), Verdict.REJECT, Reason.BAD_ROUTING),
        (to("user@foreign.example@example.org"), Verdict.REJECT, Reason.BAD_ROUTING),
        (to('"user@foreign.example"@example.org'), Verdict.REJECT, Reason.BAD_ROUTING),
        # white lists, with their near misses
        (
            replace(to("Boss@Example.org"), client="198.51.100.9", sender="j@partner.example"),
            Verdict.PASS,
            Reason.WHITELISTED_TRIPLE,
        ),
        (replace(to("bounces@example.org"), sender=""), Verdict.PASS, Reason.WHITELISTED_TRIPLE),
        (replace(STRANGER, helo="Mailer7.list.example"), Verdict.PASS, Reason.WHITELISTED_HELO),
        # no line of a white list opens a relay
        (
            replace(to("x@foreign.example"), helo="mailer7.list.example"),
            Verdict.REJECT,
            Reason.RELAY_DENIED,
        ),
    ],
)  # fmt: skip
def test_what_is_decided_without_a_record(
    attempt: Attempt, verdict: Verdict, reason: Reason
) -> None:
    assert without_record(attempt, POLICY) == Decision(verdict, reason)
    assert decide(attempt, None, POLICY, now=1000) == Decision(verdict, reason)
    # nor does a failing store change anything about it
    assert when_store_failed(attempt, POLICY) == Decision(verdict, reason)


@pytest.mark.parametrize(
    "attempt",
    [
        STRANGER,
        to("b@EXAMPLE.ORG"),
        to("b@sub.example.com"),
        to("b@a.b.sub.example.com"),
        bare("postmaster"),
        bare("PostMaster"),
        replace(STRANGER, sender=""),
        replace(STRANGER, client="no address at all"),
        replace(to("boss@example.org"), client="198.51.100.9", sender="j@partner.example.evil"),
        replace(to("boss@example.org"), client="203.0.113.9", sender="j@partner.example"),
        replace(to("other@example.org"), client="198.51.100.9", sender="j@partner.example"),
        replace(to("b@sub.example.com"), helo="mailer7.list.example"),
        replace(STRANGER, client="unknown", helo="mailer7.list.example"),
    ],
)
def test_what_greylisting_must_decide(attempt: Attempt) -> None:
    assert without_record(attempt, POLICY) is None
    assert decide(attempt, None, POLICY, now=1000).reason is Reason.NEW


T0 = 1_000_000
FIRST = Record.started(T0, delay=60)
KNOWN = Record(
    generation=0,
    first_seen=T0,
    last_seen=T0 + 70,
    passed_at=T0 + 70,
    deferred=1,
    passed=1,
    due=T0 + 60,
    until=T0 + 70 + 86_400,
)


@pytest.mark.parametrize(
    ("record", "now", "verdict", "reason", "wait", "waited"),
    [
        (None, T0, Verdict.DEFER, Reason.NEW, 60, 0),
        (FIRST, T0, Verdict.DEFER, Reason.TOO_EARLY, 60, 0),
        (FIRST, T0 + 5, Verdict.DEFER, Reason.TOO_EARLY, 55, 5),
        (FIRST, T0 + 59, Verdict.DEFER, Reason.TOO_EARLY, 1, 59),
        (FIRST, T0 + 60, Verdict.PASS, Reason.RETRIED, 0, 60),
        (FIRST, T0 + 61, Verdict.PASS, Reason.RETRIED, 0, 61),
        (FIRST, T0 + 3660, Verdict.PASS, Reason.RETRIED, 0, 3660),  # delay and window
        (FIRST, T0 + 3661, Verdict.DEFER, Reason.EXPIRED_WINDOW, 60, 3661),
        (FIRST, T0 - 1, Verdict.DEFER, Reason.NEW, 60, 0),
        (KNOWN, T0 + 71, Verdict.PASS, Reason.KNOWN, 0, 0),
        (KNOWN, T0 + 70 + 86_400, Verdict.PASS, Reason.KNOWN, 0, 0),
        (KNOWN, T0 + 71 + 86_400, Verdict.DEFER, Reason.EXPIRED_PASS, 60, 0),
        (KNOWN, T0 - 86_400, Verdict.PASS, Reason.KNOWN, 0, 0),  # clock back by a day
    ],
)
def test_what_a_record_means_now(
    record: Record | None, now: int, verdict: Verdict, reason: Reason, wait: int, waited: int
) -> None:
    decision = with_record(STRANGER, record, POLICY, now)
    assert (decision.verdict, decision.reason) == (verdict, reason)
    assert (decision.wait_seconds, decision.waited_seconds) == (wait, waited)
    assert decision.triplet == triplet_of(STRANGER, POLICY)


@pytest.mark.parametrize(
    ("record", "now", "kept"),
    [
        (None, T0, Record(0, T0, T0, None, 1, 0, T0 + 60)),
        (FIRST, T0 + 5, Record(0, T0, T0 + 5, None, 2, 0, T0 + 60)),  # the clock is not restarted
        (FIRST, T0 + 60, Record(0, T0, T0 + 60, T0 + 60, 1, 1, T0 + 60, T0 + 86_460)),
        (FIRST, T0 + 3661, Record.started(T0 + 3661, 1, 60)),
        (FIRST, T0 - 9, Record.started(T0 - 9, 1, 60)),  # from the future: reset to now
        (KNOWN, T0 + 70 + 863, None),  # a pass as good as new is not written again ...
        (  # ... an older one is
            KNOWN,
            T0 + 70 + 864,
            Record(0, T0, T0 + 934, T0 + 934, 1, 2, T0 + 60, T0 + 934 + 86_400),
        ),
        (KNOWN, T0 - 99, None),  # a later pass is kept
        (KNOWN, T0 + 99_999, Record.started(T0 + 99_999, 1, 60)),
    ],
)
def test_what_is_remembered(record: Record | None, now: int, kept: Record | None) -> None:
    assert with_record(STRANGER, record, POLICY, now).record == kept


READY = Rules(POLICY)
TRIPLET = triplet_of(STRANGER, POLICY)


@pytest.mark.parametrize(
    ("record", "now", "delay", "pass_seconds", "verdict", "reason", "kept"),
    [
        # the rule of the first try says when a retry gets in, that of the pass how long it lasts
        (None, T0, 900, 50, Verdict.DEFER, Reason.NEW, Record.started(T0, 0, 900)),
        (FIRST, T0 + 60, 900, 50, Verdict.PASS, Reason.RETRIED,
         Record(0, T0, T0 + 60, T0 + 60, 1, 1, T0 + 60, T0 + 110)),
        (FIRST, T0 + 5, 900, 50, Verdict.DEFER, Reason.TOO_EARLY,
         Record(0, T0, T0 + 5, None, 2, 0, T0 + 60)),
        (FIRST, T0 + 9999, 900, 50, Verdict.DEFER, Reason.EXPIRED_WINDOW,
         Record.started(T0 + 9999, 1, 900)),
        # no delay: in at once, and remembered as one that waits
        (None, T0, 0, 50, Verdict.PASS, Reason.NEW, Record.started(T0)),
        (None, T0, -60, 50, Verdict.PASS, Reason.NEW, Record.started(T0)),
        (Record.started(T0), T0 + 1, 60, 50, Verdict.PASS, Reason.RETRIED,
         Record(0, T0, T0 + 1, T0 + 1, 1, 1, T0, T0 + 51)),
        (KNOWN, T0 + 99_999, 0, 50, Verdict.PASS, Reason.EXPIRED_PASS,
         Record.started(T0 + 99_999, 1)),
        # no auto-whitelist: accepted once
        (FIRST, T0 + 60, 60, 0, Verdict.PASS, Reason.RETRIED,
         Record(0, T0, T0 + 60, T0 + 60, 1, 1, T0 + 60, T0 + 60)),
        (FIRST, T0 + 60, 60, -9, Verdict.PASS, Reason.RETRIED,
         Record(0, T0, T0 + 60, T0 + 60, 1, 1, T0 + 60, T0 + 60)),
        (KNOWN, T0 + 71, 60, 0, Verdict.DEFER, Reason.EXPIRED_PASS,
         Record.started(T0 + 71, 1, 60)),
        (KNOWN, T0 + 70, 60, 0, Verdict.PASS, Reason.KNOWN, None),
        # a longer one holds from the next mail on, a shorter one takes nothing back
        (KNOWN, T0 + 80, 60, 999_999, Verdict.PASS, Reason.KNOWN,
         Record(0, T0, T0 + 80, T0 + 80, 1, 2, T0 + 60, T0 + 80 + 999_999)),
        (KNOWN, T0 + 80, 60, 50, Verdict.PASS, Reason.KNOWN, None),
    ],
)  # fmt: skip
def test_a_rule_may_have_terms_of_its_own(
    record: Record | None,
    now: int,
    delay: int,
    pass_seconds: int,
    verdict: Verdict,
    reason: Reason,
    kept: Record | None,
) -> None:
    decision = with_triplet(TRIPLET, record, READY, now, delay, pass_seconds)
    assert (decision.verdict, decision.reason) == (verdict, reason)
    assert decision.record == kept
    assert (decision.wait_seconds > 0) == (verdict is Verdict.DEFER)


def test_who_would_not_have_to_wait_does_not_wait_for_a_failing_store_either() -> None:
    closed = replace(POLICY, store_failure=FailMode.DEFER)
    assert without_store(TRIPLET, closed, 0).verdict is Verdict.PASS
    assert without_store(TRIPLET, closed, 90).wait_seconds == 90
    assert when_too_many(TRIPLET, POLICY, 0).verdict is Verdict.PASS
    assert when_too_many(TRIPLET, POLICY, 90).wait_seconds == 90


def test_an_authenticated_client_passes_to_anywhere() -> None:
    for attempt in (STRANGER, FOREIGN, to("user%foreign.example@example.org")):
        decision = without_record(replace(attempt, authenticated=True), POLICY)
        assert decision == Decision(Verdict.PASS, Reason.AUTHENTICATED)


def test_with_greylist_authenticated_it_waits_like_any_other_but_may_send_to_anywhere() -> None:
    policy = replace(POLICY, greylist_authenticated=True)
    for attempt in (STRANGER, FOREIGN, to("user%foreign.example@example.org")):
        assert without_record(replace(attempt, authenticated=True), policy) is None
    assert without_record(FOREIGN, policy) == Decision(Verdict.REJECT, Reason.RELAY_DENIED)


def test_a_stranger_too_many_is_deferred_and_not_remembered() -> None:
    triplet = triplet_of(STRANGER, POLICY)
    assert when_too_many(triplet, POLICY) == Decision(
        Verdict.DEFER, Reason.TOO_MANY, 60, triplet, None
    )


def test_a_bot_that_retries_at_once_and_a_server_that_waits() -> None:
    """Two tries 5 s apart, then 59 s and 61 s after the first (row 18)."""
    record: Record | None = None
    verdicts = []
    for now in (T0, T0 + 5, T0 + 59, T0 + 61, T0 + 62):
        decision = with_record(STRANGER, record, POLICY, now)
        record = decision.record or record
        verdicts.append(decision.verdict)
    assert verdicts == [Verdict.DEFER] * 3 + [Verdict.PASS] * 2


def test_a_clock_that_is_set_back_costs_at_most_one_more_delay() -> None:
    first = with_record(STRANGER, None, POLICY, now=T0 + 86_400).record
    back = with_record(STRANGER, first, POLICY, now=T0)
    assert back.verdict is Verdict.DEFER
    assert with_record(STRANGER, back.record, POLICY, now=T0 + 60).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("mode", "verdict", "wait"),
    [(FailMode.ACCEPT, Verdict.PASS, 0), (FailMode.DEFER, Verdict.DEFER, 60)],
)
def test_a_failed_store_means_what_the_policy_says(
    mode: FailMode, verdict: Verdict, wait: int
) -> None:
    decision = when_store_failed(STRANGER, replace(POLICY, store_failure=mode))
    assert (decision.verdict, decision.reason) == (verdict, Reason.STORE_FAILED)
    assert (decision.wait_seconds, decision.record) == (wait, None)
    assert decision.triplet == triplet_of(STRANGER, POLICY)


any_text = st.text(st.characters(), max_size=30)
times = st.integers(min_value=-(2**40), max_value=2**40)


@given(
    st.builds(Attempt, *[any_text] * 7, st.booleans()),
    st.none()
    | st.builds(Record, times, times, times, st.none() | times, times, times, times, times),
    times,
)
def test_there_is_a_decision_for_everything(
    attempt: Attempt, record: Record | None, now: int
) -> None:
    for policy in (POLICY, BARE_POLICY):
        decision = decide(attempt, record, policy, now)
        assert decision.record is None or decision.triplet is not None
        assert decision.record is not None or decision.verdict is not Verdict.DEFER
        assert (decision.wait_seconds > 0) == (decision.verdict is Verdict.DEFER)
        assert decision.waited_seconds >= 0


@given(st.integers(0, 100_000), st.lists(st.integers(1, 4000), min_size=1, max_size=20))
def test_whoever_keeps_trying_gets_in(start: int, gaps: list[int]) -> None:
    """However often it tries, it is in at its first try that is delay to window old."""
    record: Record | None = None
    now, first = start, start
    for gap in [0, *gaps]:
        now += gap
        decision = with_record(STRANGER, record, POLICY, now)
        if record is not None and record.passed_at is None and 60 <= now - first <= 3660:
            assert decision.verdict is Verdict.PASS
            return
        if record is None or now - first > 3660:
            first = now
        assert decision.verdict is Verdict.DEFER
        record = decision.record


def test_the_example_in_the_docstring_is_true() -> None:
    result = doctest.testmod(sys.modules[decide.__module__])
    assert result.attempted
    assert not result.failed
