"""Engine: mail that somebody waits for. One that is for once serves only who needs it."""

from dataclasses import replace

import pytest

from Kamaelia.Apps.Grey.Core.Access.Clauses import Always, Header
from Kamaelia.Apps.Grey.Core.Access.Rule import Action, Ruling, Stage
from Kamaelia.Apps.Grey.Core.Access.Subject import Content, Mail, Session
from Kamaelia.Apps.Grey.Core.Engine import Engine
from Kamaelia.Apps.Grey.Core.Expectations import Expectations
from Kamaelia.Apps.Grey.Core.Types import MessageAttempt, Reason, Verdict
from Test.Kamaelia.Apps.Grey.Core.engines import (
    CLIENT,
    POLICY,
    STRANGER,
    T0,
    Driver,
    networks,
    rule,
    rule_set,
)

ONCE = "b@example.org 2000000 once -\n"
TIMED = "b@example.org 2000000 timed -\n"
OTHER = replace(STRANGER, sender="other@example.net")


def expecting(text: str, *senders_known: str) -> tuple[Driver, Expectations]:
    driver = Driver(Engine(POLICY))
    for sender in senders_known:
        for now in (T0 - 90, T0 - 30):
            driver.decide(replace(STRANGER, sender=sender), now)
    expected = Expectations.parse(text, now=T0)
    driver.engine.expectations = expected
    return driver, expected


def test_a_known_sender_leaves_it_to_the_one_that_is_waited_for() -> None:
    driver, expected = expecting(ONCE, STRANGER.sender)
    assert driver.decide(STRANGER).reason is Reason.KNOWN
    assert expected.text(T0) == ONCE
    decision = driver.decide(OTHER)
    assert (decision.verdict, decision.reason) == (Verdict.PASS, Reason.EXPECTED)
    assert decision.record is None  # its next mail is a stranger's
    assert driver.decide(OTHER).reason is Reason.NEW
    assert expected.text(T0) == "b@example.org 2000000 once used\n"


def test_a_retry_that_is_due_is_remembered_as_passed_and_one_that_is_not_gets_in_by_it() -> None:
    driver, expected = expecting(ONCE)
    driver.engine.expectations = None
    driver.decide(STRANGER, T0)
    driver.engine.expectations = expected
    assert driver.decide(STRANGER, T0 + 60).reason is Reason.RETRIED
    assert expected.text(T0) == ONCE
    driver.records.clear()
    driver.engine.expectations = None
    driver.decide(OTHER, T0)
    driver.engine.expectations = expected
    assert driver.decide(OTHER, T0 + 5).reason is Reason.EXPECTED
    assert all(record.passed_at is None for record in driver.records.values())


def test_big_senders_and_rules_that_let_in_leave_it_alone() -> None:
    driver, expected = expecting(ONCE)
    driver.engine.big_senders = networks("192.0.2.0/28")
    assert driver.decide().reason is Reason.BIG_SENDER
    white = Engine(POLICY, rule_set(rule(Action.WHITELIST, Always())), expectations=expected)
    assert Driver(white).decide().reason is Reason.RULE
    assert expected.text(T0) == ONCE


@pytest.mark.parametrize("line", [ONCE, TIMED])
def test_it_does_not_open_for_a_mail_that_a_rule_refuses_and_is_not_used_up(line: str) -> None:
    expected = Expectations.parse(line, now=T0)
    black = Engine(POLICY, rule_set(rule(Action.BLACKLIST, Always())), expectations=expected)
    assert Driver(black).decide().verdict is Verdict.REJECT
    assert expected.text(T0) == line


def test_it_opens_for_a_mail_that_a_rule_would_have_wait() -> None:
    expected = Expectations.parse(ONCE, now=T0)
    grey = Engine(POLICY, rule_set(rule(Action.GREYLIST, Always())), expectations=expected)
    assert [Driver(grey).decide().reason for _ in range(2)] == [Reason.EXPECTED, Reason.NEW]


def test_for_a_while_nothing_is_looked_at_nor_used_up() -> None:
    driver, expected = expecting(TIMED, STRANGER.sender)
    driver.looked.clear()
    assert [driver.decide(each).reason for each in (STRANGER, OTHER, OTHER)] == [
        Reason.EXPECTED
    ] * 3
    assert not driver.looked
    assert expected.text(T0) == TIMED
    assert driver.decide(OTHER, 2_000_001).reason is Reason.NEW


class Door:
    inboxes = {}  # type: ignore[var-annotated]


@pytest.mark.parametrize(("text", "verdict"), [(ONCE, Verdict.PASS), ("", Verdict.DEFER)])
def test_a_rule_of_the_message_that_greylists_is_overruled_too(text: str, verdict: Verdict) -> None:
    greylist = rule(Action.GREYLIST, Header(["x"], text='header "x"'), stage=Stage.DATA)
    expected = Expectations.parse(text, now=T0)
    driver = Driver(Engine(POLICY, rule_set(greylist), expectations=expected))
    mail = Mail("<a@example.net>", raw_sender="<a@example.net>", recipients=["<b@example.org>"])
    mail.content = Content(5, ["Subject: x\r\n"], [], 100)
    default = Ruling(Action.WHITELIST, rule=rule(Action.WHITELIST, is_default=True))
    attempt = MessageAttempt(Session(CLIENT), mail, "k3f9", (Door(), "inbox"), default)
    assert driver.decide_message(attempt).verdict is verdict
    assert driver.decide_message(attempt).verdict is Verdict.DEFER
