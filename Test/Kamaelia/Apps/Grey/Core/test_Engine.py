"""Engine: each step of the order, and that a step stands before the next."""

import doctest
import sys
from dataclasses import replace
from ipaddress import ip_network

import pytest

from Kamaelia.Apps.Grey.Core.Access.Clauses import DnsrblIn, From, SpfIs, Tarpit
from Kamaelia.Apps.Grey.Core.Access.Questions import (
    Dnsrbl,
    HostName,
    LookupFailed,
    Mx,
    Question,
    Spf,
    SpfAnswer,
    SpfResult,
)
from Kamaelia.Apps.Grey.Core.Access.Rule import Action, Clause, Extras, Outcome
from Kamaelia.Apps.Grey.Core.Access.Subject import Mail, Session, Subject
from Kamaelia.Apps.Grey.Core.Decide import with_triplet
from Kamaelia.Apps.Grey.Core.Engine import Engine, Wanted, subject_of
from Kamaelia.Apps.Grey.Core.Expectations import Expectations
from Kamaelia.Apps.Grey.Core.Modes import KeyKind, Mode
from Kamaelia.Apps.Grey.Core.Tarpits import Tarpits
from Kamaelia.Apps.Grey.Core.Types import (
    Attempt,
    FailMode,
    Policy,
    Reason,
    Record,
    Triplet,
    Verdict,
)
from Test.Kamaelia.Apps.Grey.Core.engines import (
    CLIENT,
    POLICY,
    STRANGER,
    T0,
    Driver,
    networks,
    rule,
    rule_set,
    to,
)

SPF = Spf(CLIENT, "mx.example.net", "a@example.net")
SPF_PASS: dict[Question, object] = {SPF: SpfAnswer(SpfResult.PASS, "example.net")}
NAME = HostName(CLIENT)
LIST = ip_network("127.0.0.2/32")
TRUSTED = Dnsrbl("setting:good.example:127.0.0.2/32", CLIENT)
BAD = Dnsrbl("setting:bad.example:127.0.0.2/32", CLIENT)
OF_A = From(["a@example.net"], text="from a@example.net")
TRIPLET = Triplet("192.0.2.0/24", "a@example.net", "b@example.org")


def with_subject(attempt: Attempt = STRANGER, **of_session: object) -> Attempt:
    subject = subject_of(attempt)
    for name, value in of_session.items():
        setattr(subject.session, name, value)
    return replace(attempt, subject=subject)


def reason(driver: Driver, attempt: Attempt = STRANGER, now: int = T0) -> Reason:
    return driver.decide(attempt, now).reason


# --- what lets a stranger in, each with what is not enough ---

EXPECTING = "b@example.org 2000000 once -\n"


@pytest.mark.parametrize(
    ("policy", "attempt", "answers", "expected"),
    [
        (POLICY, STRANGER, {}, Reason.NEW),
        (POLICY, to("x@foreign.example"), {}, Reason.RELAY_DENIED),
        (replace(POLICY, greylist_mode=Mode.OFF), STRANGER, {}, Reason.OFF),
        (replace(POLICY, greylist_mode=Mode.OFF), to("x@foreign.example"), {},
         Reason.RELAY_DENIED),
        (replace(POLICY, greylist_only_for=("c@example.org",)), STRANGER, {}, Reason.OPTED_OUT),
        (replace(POLICY, greylist_only_for=("b@example.org",)), STRANGER, {}, Reason.NEW),
        (replace(POLICY, never_greylist_for=("example.org",)), STRANGER, {}, Reason.OPTED_OUT),
        (replace(POLICY, never_greylist_for=("c@example.org",)), STRANGER, {}, Reason.NEW),
        (replace(POLICY, greylist_only_for=("example.org",),
                 never_greylist_for=("b@example.org",)), STRANGER, {}, Reason.OPTED_OUT),
        (POLICY, with_subject(auth_user="anna"), {}, Reason.AUTHENTICATED),
        (POLICY, with_subject(tls_subject="CN=mx"), {}, Reason.CERTIFICATE),
        (replace(POLICY, greylist_authenticated=True),
         with_subject(auth_user="anna", tls_subject="CN=mx"), {}, Reason.NEW),
        (POLICY, with_subject(macros={"greylist": "WHITE"}), {}, Reason.ACCESS_MAP),
        (POLICY, with_subject(macros={"greylist": "RELAY"}), {}, Reason.ACCESS_MAP),
        (POLICY, with_subject(macros={"greylist": "OK"}), {}, Reason.ACCESS_MAP),
        (POLICY, with_subject(macros={"greylist": "NO"}), {}, Reason.NEW),
        (replace(POLICY, noaccessdb=True), with_subject(macros={"greylist": "OK"}), {},
         Reason.NEW),
        (replace(POLICY, nospf=False), STRANGER, SPF_PASS, Reason.SPF_PASS),
        (replace(POLICY, nospf=False), STRANGER, {SPF: SpfAnswer(SpfResult.NONE)}, Reason.NEW),
        (replace(POLICY, nospf=False), STRANGER, {SPF: LookupFailed("slow")}, Reason.NEW),
        (replace(POLICY, nospf=False), STRANGER, {}, Reason.NEW),
        (POLICY, STRANGER, SPF_PASS, Reason.NEW),
        (replace(POLICY, testmode=True), STRANGER, {}, Reason.RULE),
        (replace(POLICY, trusted_lists=(("good.example", LIST),)), STRANGER, {TRUSTED: True},
         Reason.TRUSTED_LIST),
        (replace(POLICY, trusted_lists=(("good.example", LIST),)), STRANGER, {TRUSTED: False},
         Reason.NEW),
    ],
)  # fmt: skip
def test_what_decides_without_rules(
    policy: Policy, attempt: Attempt, answers: dict[Question, object], expected: Reason
) -> None:
    decision = Driver(Engine(policy), answers).decide(attempt)
    assert decision.reason is expected
    passes = expected not in (Reason.NEW, Reason.RELAY_DENIED)
    assert (decision.verdict is Verdict.PASS) is passes


def test_an_expected_mail_gets_in_and_the_next_one_does_not() -> None:
    expected = Expectations.parse(EXPECTING, now=T0)
    driver = Driver(Engine(POLICY, expectations=expected))
    assert reason(driver) is Reason.EXPECTED
    assert reason(driver) is Reason.NEW
    assert expected.text(T0) == "b@example.org 2000000 once used\n"


def test_networks_of_big_senders_get_in_once_they_are_known() -> None:
    driver = Driver(Engine(POLICY))
    assert reason(driver) is Reason.NEW
    driver.engine.big_senders = networks("192.0.2.0/28")
    assert reason(driver) is Reason.BIG_SENDER
    assert reason(driver, replace(STRANGER, client="192.0.2.17")) is Reason.TOO_EARLY


# --- rules ---


@pytest.mark.parametrize(
    ("extras", "verdict", "reply"),
    [
        (Extras(), Verdict.REJECT, ("551", "5.7.1", "Go away!")),
        (Extras(code="550", ecode="5.1.1", msg="%f is gone"), Verdict.REJECT,
         ("550", "5.1.1", "a@example.net is gone")),
        (Extras(code="450", msg="%Xc %S"), Verdict.DEFER, ("450", "4.7.1", "450 tempfail")),
        (Extras(code="250"), Verdict.REJECT, ("551", "5.7.1", "Go away!")),
    ],
)  # fmt: skip
def test_a_blacklist_rule_stands_before_what_is_known(
    extras: Extras, verdict: Verdict, reply: tuple[str, str, str]
) -> None:
    rules = rule_set(rule(Action.BLACKLIST, OF_A, extras=extras))
    known = Record(0, T0, T0, T0, 1, 1, T0, T0 + 86_400)
    driver = Driver(Engine(POLICY, rules), records={TRIPLET: known})
    decision = driver.decide()
    assert (decision.verdict, decision.reason) == (verdict, Reason.RULE)
    assert decision.reply == reply
    assert decision.ruling is not None
    assert not driver.looked
    assert driver.decide(replace(STRANGER, sender="c@example.net")).reason is Reason.NEW


def test_a_whitelist_rule_asks_no_store_and_an_exemption_asks_no_rule() -> None:
    driver = Driver(Engine(POLICY, rule_set(rule(Action.WHITELIST, OF_A))))
    decision = driver.decide()
    assert (decision.verdict, decision.reason, decision.reply) == (Verdict.PASS, Reason.RULE, None)
    assert not driver.looked
    black = rule_set(rule(Action.BLACKLIST, OF_A))
    for policy, attempt, expected in (
        (POLICY, with_subject(auth_user="anna"), Reason.AUTHENTICATED),
        (replace(POLICY, nospf=False), STRANGER, Reason.SPF_PASS),
    ):
        assert Driver(Engine(policy, black), SPF_PASS).decide(attempt).reason is expected


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (Action.BLACKLIST, Reason.RULE),  # to be refused is no matter of waiting
        (Action.GREYLIST, Reason.OPTED_OUT),
        (Action.WHITELIST, Reason.OPTED_OUT),
    ],
)
def test_who_does_not_want_to_wait_is_still_protected_by_rules_that_refuse(
    action: Action, expected: Reason
) -> None:
    for policy in (
        replace(POLICY, never_greylist_for=("b@example.org",)),
        replace(POLICY, greylist_only_for=("example.net",)),
    ):
        assert reason(Driver(Engine(policy, rule_set(rule(action, OF_A))))) is expected


def test_with_greylisting_off_the_rules_still_hold() -> None:
    off = replace(POLICY, greylist_mode=Mode.OFF)
    assert reason(Driver(Engine(off, rule_set(rule(Action.BLACKLIST, OF_A))))) is Reason.RULE
    driver = Driver(Engine(off, rule_set(rule(Action.GREYLIST, OF_A))))
    assert driver.decide().reason is Reason.OFF
    assert not driver.looked


def test_a_greylist_rule_has_delay_life_and_words_of_its_own() -> None:
    extras = Extras(delay=7200, autowhite=50, msg="come back in %R (%Et so far)", code="450")
    driver = Driver(Engine(POLICY, rule_set(rule(Action.GREYLIST, OF_A, extras=extras))))
    first = driver.decide()
    assert (first.verdict, first.wait_seconds) == (Verdict.DEFER, 7200)
    assert first.reply == ("450", "4.7.1", "come back in 02:00:00 (0 so far)")
    early = driver.decide(now=T0 + 60)
    assert early.reply == ("450", "4.7.1", "come back in 01:59:00 (60 so far)")
    assert driver.decide(now=T0 + 7200).reason is Reason.RETRIED
    assert driver.records[TRIPLET].until == T0 + 7250
    assert driver.decide(now=T0 + 7251).reason is Reason.EXPIRED_PASS


def test_a_rule_that_flushes_begins_afresh() -> None:
    driver = Driver(
        Engine(POLICY, rule_set(rule(Action.GREYLIST, OF_A, extras=Extras(flushaddr=True))))
    )
    for now in (T0, T0 + 61):
        decision = driver.decide(now=now)
        assert (decision.reason, decision.flush) == (Reason.NEW, "192.0.2.0/24")
    assert not driver.looked
    black = rule_set(rule(Action.BLACKLIST, OF_A, extras=Extras(flushaddr=True)))
    assert Driver(Engine(POLICY, black)).decide().flush == "192.0.2.0/24"


def test_a_look_up_without_which_nobody_knows_is_a_temporary_refusal() -> None:
    spf = rule(Action.BLACKLIST, SpfIs(frozenset({SpfResult.FAIL}), text="spf fail"))
    decision = Driver(Engine(POLICY, rule_set(spf, on_failure="defer"))).decide()
    assert (decision.verdict, decision.reason) == (Verdict.DEFER, Reason.LOOKUP_FAILED)
    assert decision.reply == ("451", "4.7.1", "Service unavailable - try again later")
    assert reason(Driver(Engine(POLICY, rule_set(spf)))) is Reason.NEW


def test_all_that_may_be_needed_is_wanted_at_once() -> None:
    policy = replace(
        POLICY,
        greylist_mode=Mode.SUSPICIOUS,
        nospf=False,
        key_order=(KeyKind.SPF, KeyKind.NAME, KeyKind.NETWORK),
        trusted_lists=(("good.example", LIST),),
        suspicious_lists=(("bad.example", LIST),),
    )
    rules = rule_set(rule(Action.BLACKLIST, DnsrblIn(["dyn"], text='dnsrbl "dyn"')))
    driver = Driver(Engine(policy, rules))
    driver.decide()
    (round_one,) = driver.wanted
    expected = {SPF, NAME, TRUSTED, BAD, Mx("mx.example.net"), Dnsrbl("dyn", CLIENT)}
    assert set(round_one) == expected
    assert len(round_one) == len(expected)
    nobody = replace(STRANGER, client="unknown")
    driver = Driver(Engine(policy))
    driver.decide(nobody)
    assert driver.wanted == []


class Surprise(Clause):
    """Nobody can tell before what it is going to ask."""

    __slots__ = ()
    kind = "surprise"

    def holds(self, subject: Subject) -> Outcome:
        return subject.answers.get(NAME) == "mx.example.net" if NAME in subject.answers else NAME


@pytest.mark.parametrize(
    ("answers", "expected"),
    [({}, Reason.NEW), ({NAME: "mx.example.net"}, Reason.RULE), ({NAME: ""}, Reason.NEW)],
)
def test_what_nobody_could_foresee_is_wanted_on_the_way(
    answers: dict[Question, object], expected: Reason
) -> None:
    driver = Driver(Engine(POLICY, rule_set(rule(Action.BLACKLIST, Surprise()))), answers)
    assert driver.decide().reason is expected
    assert driver.wanted == [(NAME,)]


def test_what_only_an_answer_makes_necessary_is_wanted_later() -> None:
    says = Extras(msg="listed, %d")
    rules = rule_set(rule(Action.BLACKLIST, DnsrblIn(["dyn"], text="dnsrbl"), extras=says))
    answers: dict[Question, object] = {Dnsrbl("dyn", CLIENT): True, NAME: "mx.example.net"}
    driver = Driver(Engine(POLICY, rules), answers)
    assert driver.decide().reply == ("551", "5.7.1", "listed, mx.example.net")
    assert {question for asked in driver.wanted for question in asked} == set(answers)


# --- mode suspicious ---

SUSPICIOUS = replace(
    POLICY, greylist_mode=Mode.SUSPICIOUS, suspicious_lists=(("bad.example", LIST),)
)


@pytest.mark.parametrize(
    ("answers", "verdict", "wait"),
    [
        ({NAME: "mx.example.net"}, Verdict.PASS, 0),
        ({NAME: "out.example.net"}, Verdict.DEFER, 60),
        ({NAME: "mx.example.net", BAD: True}, Verdict.DEFER, 240),
        ({NAME: ""}, Verdict.DEFER, 240),
    ],
)
def test_who_looks_worst_waits_longest(
    answers: dict[Question, object], verdict: Verdict, wait: int
) -> None:
    decision = Driver(Engine(SUSPICIOUS), answers).decide()
    assert (decision.verdict, decision.wait_seconds) == (verdict, wait)
    assert (decision.reason is Reason.NOT_SUSPICIOUS) is (verdict is Verdict.PASS)


def test_the_delay_of_a_rule_is_the_delay() -> None:
    rules = rule_set(rule(Action.GREYLIST, OF_A, extras=Extras(delay=5)))
    assert Driver(Engine(SUSPICIOUS, rules), {NAME: ""}).decide().wait_seconds == 5


# --- keys, clients, the store ---


def test_a_farm_that_passes_spf_gets_in_from_another_network() -> None:
    policy = replace(POLICY, key_order=(KeyKind.SPF, KeyKind.NETWORK))
    elsewhere = replace(STRANGER, client="203.0.113.9")
    answers: dict[Question, object] = {
        Spf(client, "mx.example.net", "a@example.net"): SpfAnswer(SpfResult.PASS, "example.net")
        for client in (CLIENT, "203.0.113.9")
    }
    driver = Driver(Engine(policy), answers)
    assert driver.decide().key_kind == "spf"
    assert driver.decide(elsewhere, T0 + 60).reason is Reason.RETRIED
    assert Driver(Engine(policy)).decide().key_kind == "network"


@pytest.mark.parametrize(
    ("order", "tries"), [((KeyKind.SPF, KeyKind.NETWORK), 2), ((KeyKind.NETWORK,), 8)]
)
def test_a_sender_with_seven_networks_needs_no_luck_if_its_key_survives(
    order: tuple[KeyKind, ...], tries: int
) -> None:
    """It comes back every six minutes, each time from the next of its seven networks."""
    answers: dict[Question, object] = {
        Spf(f"10.0.{number}.1", "mx.example.net", "a@example.net"): SpfAnswer(
            SpfResult.PASS, "example.net"
        )
        for number in range(7)
    }
    driver = Driver(Engine(replace(POLICY, key_order=order)), answers)
    for number in range(tries):
        attempt = replace(STRANGER, client=f"10.0.{number % 7}.1")
        assert (reason(driver, attempt, T0 + number * 362) is Reason.RETRIED) is (
            number == tries - 1
        )


def test_a_client_becomes_known_and_never_those_that_must_not() -> None:
    policy = replace(POLICY, client_passes=2, never_whitelist=networks("203.0.113.0/24"))
    for client, expected in ((CLIENT, Reason.CLIENT_KNOWN), ("203.0.113.9", Reason.NEW)):
        driver = Driver(Engine(policy))
        for number in range(2):
            attempt = replace(STRANGER, client=client, sender=f"a{number}@example.net")
            assert reason(driver, attempt, T0 + number * 7200) is Reason.NEW
            assert reason(driver, attempt, T0 + number * 7200 + 60) is Reason.RETRIED
        attempt = replace(STRANGER, client=client, sender="new@example.net")
        assert reason(driver, attempt, T0 + 9000) is expected
    assert all(triplet.sender for triplet in driver.records)  # there is no history of its own


def test_a_known_client_is_renewed_and_one_of_long_ago_begins_again() -> None:
    policy = replace(POLICY, client_passes=1)
    driver = Driver(Engine(policy))
    driver.decide(now=T0)
    driver.decide(now=T0 + 60)
    other = replace(STRANGER, sender="c@example.net")
    assert driver.decide(other, T0 + 61).also == ()
    assert driver.decide(other, T0 + 7200).also
    assert reason(driver, other, T0 + 7200 + 86_400) is Reason.CLIENT_KNOWN
    assert reason(driver, other, T0 + 7200 + 3 * 86_400) is Reason.NEW
    assert driver.records[Triplet("192.0.2.0/24", "", "")].generation == 1


def test_a_known_triplet_leaves_the_client_alone() -> None:
    driver = Driver(Engine(replace(POLICY, client_passes=5)))
    driver.decide(now=T0)
    assert driver.decide(now=T0 + 60).also
    assert driver.decide(now=T0 + 61).also == ()
    assert driver.decide(replace(STRANGER, sender="c@d"), T0 + 62).also == ()  # no new sample yet


@pytest.mark.parametrize("passes", [0, 5])
@pytest.mark.parametrize(
    ("mode", "verdict", "wait"),
    [(FailMode.ACCEPT, Verdict.PASS, 0), (FailMode.DEFER, Verdict.DEFER, 60)],
)
def test_a_store_that_fails_means_what_the_policy_says(
    mode: FailMode, verdict: Verdict, wait: int, passes: int
) -> None:
    policy = replace(POLICY, store_failure=mode, client_passes=passes)
    decision = Driver(Engine(policy), store_fails=True).decide()
    assert (decision.verdict, decision.reason) == (verdict, Reason.STORE_FAILED)
    assert (decision.wait_seconds, decision.record, decision.also) == (wait, None, ())


def test_a_stranger_too_many_is_not_remembered() -> None:
    driver = Driver(Engine(POLICY, admit=lambda network: network != "192.0.2.0/24"))
    assert reason(driver) is Reason.TOO_MANY
    assert reason(driver, replace(STRANGER, client="203.0.113.9")) is Reason.NEW


def test_strangers_are_counted_by_address_however_many_domains_they_have() -> None:
    policy = replace(POLICY, key_order=(KeyKind.SPF,))
    asked: list[str] = []
    engine = Engine(policy, admit=lambda network: not asked.append(network))  # type: ignore[func-returns-value]
    assert Driver(engine, SPF_PASS).decide().triplet == Triplet(
        "spf:example.net", "a@example.net", "b@example.org"
    )
    assert asked == ["192.0.2.0/24"]


def test_a_client_is_known_by_address_and_not_by_a_domain_that_lets_everybody_send() -> None:
    elsewhere = replace(STRANGER, client="203.0.113.9", sender="new@example.net")
    passed = SpfAnswer(SpfResult.PASS, "example.net")
    answers: dict[Question, object] = {
        Spf(client, "mx.example.net", sender): passed
        for client in (CLIENT, "203.0.113.9")
        for sender in ("a@example.net", "new@example.net")
    }
    policy = replace(POLICY, key_order=(KeyKind.SPF,), client_passes=1)
    driver = Driver(Engine(policy), answers)
    assert reason(driver) is Reason.NEW
    assert reason(driver, now=T0 + 60) is Reason.RETRIED
    assert reason(driver, elsewhere, T0 + 120) is Reason.NEW
    here = replace(elsewhere, client=CLIENT)
    assert reason(driver, here, T0 + 120) is Reason.CLIENT_KNOWN


# --- what is said, and a dry run ---


def test_a_deferral_says_when_to_come_back() -> None:
    driver = Driver(Engine(replace(POLICY, delay_seconds=1800, dry_run=False)))
    reply = driver.decide().reply
    assert reply == ("451", "4.7.1", "Greylisting in action, please come back in 00:30:00")


def test_a_dry_run_lets_all_through_that_is_for_us_and_remembers() -> None:
    rules = rule_set(rule(Action.BLACKLIST, OF_A))
    dry = replace(POLICY, dry_run=True)
    decision = Driver(Engine(dry, rules)).decide()
    assert (decision.verdict, decision.reason) == (Verdict.PASS, Reason.RULE)
    assert decision.would is not None
    assert decision.would.verdict is Verdict.REJECT
    slow = Driver(Engine(dry, rule_set(rule(Action.WHITELIST, Tarpit(5))))).decide()
    assert slow.ruling is not None
    assert (slow.verdict, slow.ruling.tarpit) == (Verdict.PASS, 0.0)
    driver = Driver(Engine(dry))
    first = driver.decide()
    assert (first.verdict, first.reason, first.reply) == (Verdict.PASS, Reason.NEW, None)
    assert first.would is not None
    assert first.would.wait_seconds == 60
    retried = driver.decide(now=T0 + 60)
    assert (retried.reason, retried.would) == (Reason.RETRIED, None)
    foreign = driver.decide(to("x@foreign.example"))
    assert (foreign.verdict, foreign.would) == (Verdict.REJECT, None)


# --- the short way ---


@pytest.mark.parametrize(
    "changed",
    [
        {"greylist_mode": Mode.OFF},
        {"greylist_mode": Mode.SUSPICIOUS},
        {"nospf": False},
        {"key_order": (KeyKind.NAME, KeyKind.NETWORK)},
        {"client_passes": 1},
        {"greylist_only_for": ("x@example.org",)},
        {"never_greylist_for": ("x@example.org",)},
        {"trusted_lists": (("good.example", LIST),)},
        {"testmode": True},
        {"dry_run": True},
        {"quiet": True},
        {"greylist_code": "450"},
        {"greylist_ecode": "4.2.0"},
    ],
)
def test_a_policy_with_more_than_that_is_not_plain(changed: dict[str, object]) -> None:
    assert Engine(POLICY).plain
    assert not Engine(replace(POLICY, **changed)).plain  # type: ignore[arg-type]


def test_what_comes_in_while_it_runs_makes_it_less_plain() -> None:
    engine = Engine(replace(POLICY, key_order=(), normalise_senders=True), rule_set())
    assert engine.plain
    engine.big_senders = networks("192.0.2.0/24")
    assert not engine.plain
    engine.big_senders = networks()
    engine.expectations = Expectations.parse(EXPECTING, now=T0)
    assert not engine.plain
    assert not Engine(POLICY, rule_set(rule(Action.WHITELIST, OF_A))).plain


@pytest.mark.parametrize("now", [T0, T0 + 5, T0 + 60, T0 + 4000, T0 - 9])
@pytest.mark.parametrize("record", [None, Record.started(T0, delay=60)])
def test_the_short_way_and_the_long_one_agree(record: Record | None, now: int) -> None:
    engine = Engine(POLICY)
    assert engine.at_once(STRANGER) is None
    short = with_triplet(engine.ready.triplet_of(STRANGER), record, engine.ready, now)
    long = Driver(engine, records={} if record is None else {TRIPLET: record}).decide(now=now)
    assert replace(long, reply=None, key_kind="") == short


def test_a_subject_that_the_door_made_is_used_and_given_its_time() -> None:
    session = Session(CLIENT, name="mx.example.net", helo="mx.example.net")
    subject = Subject(session, Mail("<a@example.net>"), "<b@example.org>", now=0.0)
    engine = Engine(SUSPICIOUS, local=lambda now: (1, 2, 3, 4, int(now) % 7))
    driver = Driver(engine)
    assert driver.decide(replace(STRANGER, subject=subject)).reason is Reason.NOT_SUSPICIOUS
    assert driver.wanted == [(BAD,)]
    assert (subject.now, subject.local) == (T0, (1, 2, 3, 4, T0 % 7))


def test_a_subject_is_made_of_what_an_attempt_says() -> None:
    subject = subject_of(replace(STRANGER, sender="list-1=a@example.net", recipient="b c@d"))
    assert subject.mail.raw_sender == "<list-1=a@example.net>"
    assert subject.mail.sender == "<a@example.net>"
    assert subject.recipient == "<b_c@d>"
    assert (subject.session.client, subject.session.helo) == (CLIENT, "mx.example.net")


def test_a_ruling_says_how_it_came_about_if_asked() -> None:
    rules = rule_set(rule(Action.BLACKLIST, OF_A))
    for trace in (False, True):
        decision = Driver(Engine(POLICY, rules, trace=trace)).decide()
        assert decision.ruling is not None
        assert bool(decision.ruling.trace) is trace


def test_the_generator_begins_with_what_it_wants() -> None:
    deciding = Engine(replace(POLICY, nospf=False)).decide(STRANGER, T0)
    first = next(deciding)
    assert isinstance(first, Wanted)
    assert first.questions == (SPF,)


def test_the_example_in_the_docstring_is_true() -> None:
    result = doctest.testmod(sys.modules[Engine.__module__])
    assert result.attempted
    assert not result.failed


def test_rules_are_told_how_long_a_tarpit_was_endured() -> None:
    tarpits = Tarpits()
    tarpits.left((CLIENT, "a@example.net", "b@example.org"), 7.0)
    attempt = with_subject()
    assert attempt.subject is not None
    Driver(Engine(POLICY, rule_set(rule(Action.WHITELIST)), tarpits=tarpits)).decide(attempt)
    assert attempt.subject.endured == 7.0
