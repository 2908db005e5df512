"""Engine, the DATA stage: what its rules may still do to a message whose recipients are in."""

from dataclasses import replace
from typing import ClassVar

import pytest

from Kamaelia.Apps.Grey.Core.Access.Clauses import From, Header, SpamdIs
from Kamaelia.Apps.Grey.Core.Access.Questions import (
    Question,
    SpamAnswer,
    Spamd,
    Spf,
    SpfAnswer,
    SpfResult,
)
from Kamaelia.Apps.Grey.Core.Access.Rule import Action, Extras, Ruling, Stage
from Kamaelia.Apps.Grey.Core.Access.Subject import Content, Mail, Session
from Kamaelia.Apps.Grey.Core.Engine import Engine
from Kamaelia.Apps.Grey.Core.Modes import KeyKind, Mode
from Kamaelia.Apps.Grey.Core.Types import (
    Deliverable,
    MessageAttempt,
    Reason,
    Record,
    Triplet,
    Verdict,
)
from Test.Kamaelia.Apps.Grey.Core.engines import CLIENT, POLICY, T0, Driver, rule, rule_set

SPAM = SpamdIs(None, None, text="spamd")
INVOICE = Header(["invoice"], text='header "invoice"')
DEFAULT = rule(Action.WHITELIST, is_default=True)
BY_DEFAULT = Ruling(Action.WHITELIST, rule=DEFAULT)
FIRST = Triplet("192.0.2.0/24", "a@example.net", "b@example.org")
SECOND = Triplet("192.0.2.0/24", "a@example.net", "c@example.org")


class Door:
    inboxes: ClassVar[dict[str, Deliverable]] = {}


def message(
    *recipients: str, ruling: Ruling | None = BY_DEFAULT, subject: str = "an invoice"
) -> MessageAttempt:
    mail = Mail("<a@example.net>", raw_sender="<a@example.net>", recipients=list(recipients))
    mail.content = Content(5, [f"Subject: {subject}\r\n"], [], 100)
    session = Session(CLIENT, name="mx.example.net", helo="mx.example.net")
    return MessageAttempt(session, mail, "k3f9", (Door(), "inbox"), ruling)


def data(action: Action, extras: Extras | None = None) -> Engine:
    return Engine(POLICY, rule_set(rule(action, INVOICE, extras=extras, stage=Stage.DATA)))


def test_without_rules_or_without_one_that_matches_it_goes_on() -> None:
    for engine in (Engine(POLICY), data(Action.BLACKLIST)):
        decision = Driver(engine).decide_message(message(subject="a poem"))
        assert (decision.verdict, decision.reply) == (Verdict.PASS, None)
        assert decision.ruling.action is Action.WHITELIST


@pytest.mark.parametrize(
    ("extras", "verdict", "reply"),
    [
        (Extras(), Verdict.REJECT, ("551", "5.7.1", "Go away!")),
        (Extras(code="450", msg="%Xc"), Verdict.DEFER, ("450", "4.7.1", "450")),
        (Extras(msg="no %f"), Verdict.REJECT, ("551", "5.7.1", "no a@example.net")),
    ],
)
def test_a_blacklist_rule_refuses_the_message(
    extras: Extras, verdict: Verdict, reply: tuple[str, str, str]
) -> None:
    driver = Driver(data(Action.BLACKLIST, extras))
    decision = driver.decide_message(message("<b@example.org>"))
    assert (decision.verdict, decision.reply) == (verdict, reply)
    assert not driver.looked


def test_a_whitelist_rule_says_what_is_to_be_changed() -> None:
    decision = Driver(data(Action.WHITELIST, Extras(subjtag="[ext]"))).decide_message(message())
    assert decision.verdict is Verdict.PASS
    assert decision.ruling.subjtag == "[ext]"


def test_a_greylist_rule_makes_all_recipients_wait_for_the_last() -> None:
    driver = Driver(data(Action.GREYLIST, Extras(delay=600)))
    driver.records[FIRST] = Record.started(T0 - 300, delay=600)
    both = message("<b@example.org>", "<c@example.org>")
    first = driver.decide_message(both)
    assert (first.verdict, first.reason, first.wait_seconds) == (Verdict.DEFER, Reason.NEW, 600)
    text = "Greylisting in action, please come back in 00:10:00"
    assert first.reply == ("451", "4.7.1", text)
    assert {triplet for triplet, _ in first.records} == {FIRST, SECOND}
    assert first.waited_seconds == 300
    again = driver.decide_message(both, T0 + 600)
    assert (again.verdict, again.reply, again.waited_seconds) == (Verdict.PASS, None, 900)
    known = driver.decide_message(both, T0 + 601)
    assert (known.verdict, known.records) == (Verdict.PASS, ())


@pytest.mark.parametrize(
    ("ruling", "greylisted"),
    [
        (BY_DEFAULT, True),
        (Ruling(Action.WHITELIST), True),  # testmode
        (Ruling(Action.WHITELIST, rule=rule(Action.WHITELIST)), True),  # no clauses
        (Ruling(Action.WHITELIST, rule=rule(Action.WHITELIST, From(["a@example.net"]))), False),
        (Ruling(Action.GREYLIST), False),  # they have waited already
        (None, False),
    ],
)
def test_only_who_was_let_in_by_default_may_still_be_greylisted(
    ruling: Ruling | None, greylisted: bool
) -> None:
    driver = Driver(data(Action.GREYLIST))
    decision = driver.decide_message(message("<b@example.org>", ruling=ruling))
    assert (decision.verdict is Verdict.DEFER) is greylisted
    assert bool(driver.looked) is greylisted


def test_with_greylisting_off_nothing_is_greylisted() -> None:
    rules = rule_set(rule(Action.GREYLIST, INVOICE, stage=Stage.DATA))
    driver = Driver(Engine(replace(POLICY, greylist_mode=Mode.OFF), rules))
    assert driver.decide_message(message("<b@example.org>")).verdict is Verdict.PASS


def test_a_rule_that_flushes_says_so() -> None:
    decision = Driver(data(Action.BLACKLIST, Extras(flushaddr=True))).decide_message(message())
    assert decision.flush == "192.0.2.0/24"


def test_look_ups_are_wanted_and_one_that_fails_may_mean_come_back() -> None:
    rules = rule_set(rule(Action.BLACKLIST, SPAM, stage=Stage.DATA), on_failure="defer")
    driver = Driver(Engine(POLICY, rules), {Spamd(5): SpamAnswer(is_spam=True, tenths=99)})
    assert driver.decide_message(message()).verdict is Verdict.REJECT
    assert driver.wanted == [(Spamd(5),)]
    failed = Driver(Engine(POLICY, rules)).decide_message(message())
    assert (failed.verdict, failed.reason) == (Verdict.DEFER, Reason.LOOKUP_FAILED)
    assert failed.reply == ("451", "4.7.1", "Service unavailable - try again later")


def test_its_keys_are_those_of_the_recipients() -> None:
    rules = rule_set(rule(Action.GREYLIST, INVOICE, stage=Stage.DATA))
    policy = replace(POLICY, key_order=(KeyKind.SPF,), normalise_senders=True, client_passes=1)
    answers: dict[Question, object] = {
        Spf(CLIENT, "mx.example.net", "a@example.net"): SpfAnswer(SpfResult.PASS, "example.net")
    }
    driver = Driver(Engine(policy, rules), answers)
    decision = driver.decide_message(message("<B+x@example.org>"))
    # The client as a whole is its address: a domain may let everybody send.
    networks = [triplet.network for triplet, _ in decision.records]
    assert networks == ["spf:example.net", "192.0.2.0/24"]
    assert [(t.sender, t.recipient) for t, _ in decision.records] == [
        ("a@example.net", "b@example.org"),
        ("", ""),
    ]


def test_a_client_that_is_known_needs_no_record_of_its_own() -> None:
    rules = rule_set(rule(Action.GREYLIST, INVOICE, stage=Stage.DATA))
    driver = Driver(Engine(replace(POLICY, client_passes=1), rules))
    known = Record(0, T0, T0, T0, 1, 1, T0, T0 + 99_999)
    driver.records[Triplet("192.0.2.0/24", "", "")] = known
    decision = driver.decide_message(message("<b@example.org>"))
    assert (decision.verdict, decision.records) == (Verdict.PASS, ())


def test_a_dry_run_lets_the_message_through_as_it_is() -> None:
    extras = Extras(subjtag="[spam]")
    rules = rule_set(rule(Action.BLACKLIST, INVOICE, extras=extras, stage=Stage.DATA))
    decision = Driver(Engine(replace(POLICY, dry_run=True), rules)).decide_message(message())
    assert (decision.verdict, decision.reply) == (Verdict.PASS, None)
    assert decision.ruling.subjtag == ""
    assert decision.would is not None
    assert decision.would.verdict is Verdict.REJECT
