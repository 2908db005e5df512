"""PolicyDoor with access rules: headers, what rules are told, tarpits."""

from collections.abc import Callable

import pytest

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Kamaelia.Apps.Grey.Core.Access.Rule import Action, Ruling
from Kamaelia.Apps.Grey.Core.Access.Subject import Subject
from Kamaelia.Apps.Grey.Core.Modes import Report
from Kamaelia.Apps.Grey.Core.Types import Attempt, Decision, Reason, Verdict
from Kamaelia.Apps.Grey.FrontDoor import PolicyDoor as Module
from Kamaelia.Apps.Grey.FrontDoor.DoorRules import MOST_TARPITTED
from Kamaelia.Apps.Grey.FrontDoor.PolicyMemory import MOST_RECIPIENTS, PolicyMemory
from Test.Kamaelia.Apps.Grey.FrontDoor.policies import CLIENT, Asked, asks
from Test.Kamaelia.Apps.Grey.FrontDoor.ruled import NOW, PASS, door_rules, rule, tarpit

DEFER = Decision(Verdict.DEFER, Reason.NEW, wait_seconds=90)


def always(decision: Decision) -> Callable[[Attempt], Decision]:
    return lambda _: decision


def giving(*headers: str, report: str = "") -> Decision:
    given = tuple((header, None) for header in headers)
    ruling = Ruling(Action.WHITELIST, rule(), addheaders=given, report=report)
    return Decision(Verdict.PASS, Reason.RULE, ruling=ruling)


# ---- headers


def test_a_message_has_its_header_once() -> None:
    with Asked(rules=door_rules(report=Report.ALL)) as postfix:
        first = postfix.ask()
        assert first.startswith(
            "PREPEND X-Greylist: IP, sender and recipient auto-whitelisted, not delayed by"
            " kamaelia-grey-1.0 (mx.example.org [192.0.2.1]); "
        )
        assert postfix.ask(recipient="c@example.org") == "DUNNO"
        assert postfix.ask(instance="other") == first


def test_who_had_to_wait_is_told_for_how_long() -> None:
    retried = Decision(Verdict.PASS, Reason.RETRIED, waited_seconds=3725)
    with Asked(always(retried), rules=door_rules(report=Report.DELAYS)) as postfix:
        assert postfix.ask().startswith("PREPEND X-Greylist: Delayed for 01:02:05 by")


def test_a_recipient_that_is_refused_gets_no_header() -> None:
    decisions = [DEFER, PASS]
    rules = door_rules(report=Report.ALL)
    with Asked(lambda _: decisions.pop(0), rules=rules) as postfix:
        assert postfix.ask().startswith("DEFER_IF_PERMIT")
        assert postfix.ask(recipient="c@example.org").startswith("PREPEND X-Greylist")


@pytest.mark.parametrize("report", [Report.NONE, Report.DELAYS])
def test_without_a_report_there_is_none(report: Report) -> None:
    with Asked(rules=door_rules(report=report)) as postfix:
        assert postfix.ask() == "DUNNO"


def test_a_report_of_a_rule_is_given() -> None:
    with Asked(always(giving(report="as I say\n")), rules=door_rules()) as postfix:
        assert postfix.ask() == "PREPEND X-Greylist: as I say?"


def test_headers_of_rules_go_first_and_each_recipient_brings_one() -> None:
    decisions = [giving("X-One: 1", "X-Two: 2"), giving("X-Two: 2"), PASS, PASS]
    rules = door_rules(report=Report.ALL)
    with Asked(lambda _: decisions.pop(0), rules=rules) as postfix:
        assert postfix.ask() == "PREPEND X-One: 1"
        assert postfix.ask(recipient="c@example.org") == "PREPEND X-Two: 2"
        assert postfix.ask(recipient="d@example.org").startswith("PREPEND X-Greylist")
        assert postfix.ask(recipient="e@example.org") == "DUNNO"


def test_what_is_no_header_is_left_out() -> None:
    with Asked(always(giving("nonsense", "X-One: 1")), rules=door_rules()) as postfix:
        assert postfix.ask() == "PREPEND X-One: 1"
        assert postfix.ask() == "DUNNO"


def test_a_message_has_so_many_headers_and_no_more() -> None:
    headers = [f"X-{number}: 1" for number in range(30)]
    with Asked(always(giving(*headers)), rules=door_rules()) as postfix:
        answers = [postfix.ask() for _ in range(25)]
    assert answers == [f"PREPEND {header}" for header in headers[:20]] + ["DUNNO"] * 5


def test_a_long_header_is_one_line() -> None:
    with Asked(always(giving("X-One: " + "word " * 250)), rules=door_rules()) as postfix:
        answer = postfix.ask()
    assert answer.startswith("PREPEND X-One: word word")
    assert "\n" not in answer
    assert len(answer) == 990


# ---- what the rules are told


def test_rules_are_told_all_that_postfix_vouches_for() -> None:
    with Asked(rules=door_rules()) as postfix:
        postfix.ask(
            sasl_username="anna",
            sasl_method="PLAIN",
            ccert_subject="M+C3+BCller",
            ccert_issuer="CA",
            encryption_protocol="TLSv1.3",
            encryption_cipher="AES",
            encryption_keysize="256",
            policy_context="inside",
            queue_id="4F1",
            reverse_client_name="unconfirmed",
            size="1000",
            sender="list=a@example.net",
        )
        (attempt,) = postfix.attempts
    subject = attempt.subject
    assert isinstance(subject, Subject)
    session, mail = subject.session, subject.mail
    assert attempt.authenticated is True
    assert (session.client, session.name, session.helo) == (
        CLIENT,
        "mx.example.net",
        "helo.example.net",
    )
    assert (session.auth_user, session.tls_subject, session.tls_version) == (
        "anna",
        "Müller",
        "TLSv1.3",
    )
    assert (session.local_address, session.session_id) == ("192.0.2.1", "id1")
    assert session.macros == {
        "j": "mx.example.org",
        "i": "4F1",
        "client_addr": CLIENT,
        "client_name": "mx.example.net",
        "client_ptr": "unconfirmed",
        "client_port": "4000",
        "if_addr": "192.0.2.1",
        "daemon_addr": "192.0.2.1",
        "daemon_port": "25",
        "auth_authen": "anna",
        "auth_type": "PLAIN",
        "tls_version": "TLSv1.3",
        "cipher": "AES",
        "cipher_bits": "256",
        "cert_subject": "Müller",
        "cert_issuer": "CA",
        "verify": "OK",
        "policy_context": "inside",
        "msg_size": "1000",
    }
    assert (mail.sender, mail.raw_sender, mail.queue_id) == (
        "<a@example.net>",
        "<list=a@example.net>",
        "4F1",
    )
    assert (subject.recipient, subject.now) == ("<b@example.org>", NOW)


@pytest.mark.parametrize(
    ("given", "name"), [("unknown", ""), ("", None), ("mx.example.net", "mx.example.net")]
)
def test_a_client_has_a_name_or_none_or_nobody_knows(given: str, name: str | None) -> None:
    with Asked(rules=door_rules()) as postfix:
        postfix.ask(client_name=given)
        assert _subject(postfix).session.name == name


def test_a_certificate_that_nobody_has_signed_is_a_macro_only() -> None:
    with Asked(rules=door_rules()) as postfix:
        postfix.ask(ccert_fingerprint="AA:BB", ccert_issuer="somebody")
        session = _subject(postfix).session
    assert session.tls_subject == ""
    assert "verify" not in session.macros
    assert session.macros["ccert_fingerprint"] == "AA:BB"
    assert postfix.attempts[0].authenticated is False


def test_a_certificate_is_not_a_login_where_rules_can_tell() -> None:
    with Asked(rules=door_rules()) as postfix:
        postfix.ask(ccert_subject="mx")
        assert postfix.attempts[0].authenticated is False
        assert _subject(postfix).session.tls_subject == "mx"


def _subject(postfix: Asked, place: int = -1) -> Subject:
    subject = postfix.attempts[place].subject
    assert subject is not None
    return subject


def test_recipients_of_one_message_have_one_session_and_are_counted() -> None:
    decisions = [PASS, DEFER, PASS, PASS, PASS]
    with Asked(lambda _: decisions.pop(0), rules=door_rules()) as postfix:
        postfix.ask()
        postfix.ask(recipient="c@example.org", queue_id="4F1")
        postfix.ask(recipient="d@example.org", queue_id="4F1")
        postfix.ask(recipient="d@example.org")
        first, last = _subject(postfix, 0), _subject(postfix)
        assert first.session is last.session
        assert first.mail is last.mail
        assert first.mail.recipients == ["<b@example.org>", "<d@example.org>"]
        assert first.mail.queue_id == first.session.macros["i"] == "4F1"
        postfix.ask(instance="other")
        assert _subject(postfix).mail.recipients == ["<b@example.org>"]
        assert _subject(postfix).session is not first.session


def test_messages_are_forgotten_when_there_are_many() -> None:
    memory = PolicyMemory(limit=3)
    with Asked(rules=door_rules(report=Report.ALL), memory=memory) as postfix:
        for instance in ("a", "b", "c", "a", "d"):
            postfix.ask(instance=instance)
        assert len(memory) == 3
        assert postfix.ask(instance="a") == "DUNNO"
        assert postfix.ask(instance="b") != "DUNNO"  # it was the oldest
        assert len(memory) == 3


def test_a_name_that_comes_again_with_another_message_takes_the_place_of_the_first() -> None:
    memory = PolicyMemory(limit=2)
    with Asked(rules=door_rules(report=Report.ALL), memory=memory) as postfix:
        postfix.ask(instance="a")
        postfix.ask(instance="b")
        postfix.ask(instance="a", sender="other@example.net")
        assert len(memory) == 2
        postfix.ask(instance="c")
        assert postfix.ask(instance="a", sender="other@example.net") == "DUNNO"


# ---- tarpits


def test_an_answer_is_kept_back_and_then_given() -> None:
    rules = door_rules()
    with Asked(always(tarpit(20)), rules=rules) as postfix:
        postfix.put(asks() + asks(protocol_state="DATA"))
        assert rules.tarpitted == 1
        postfix.h.expect_nothing((postfix.door, "outbox"), during=19)
        postfix.h.run_for(2)
        assert postfix.heard() == b"action=DUNNO\n\n" * 2
        assert rules.tarpitted == 0
        assert _subject(postfix).session.tarpitted == pytest.approx(20, abs=0.1)
        assert postfix.ask(protocol_state="DATA") == "DUNNO"


def test_a_refusal_can_be_kept_back_too() -> None:
    with Asked(always(tarpit(20, Verdict.REJECT)), rules=door_rules()) as postfix:
        postfix.put(asks())
        postfix.h.run_for(21)
        assert postfix.heard() == b"action=551 5.7.1 Go away! (id1)\n\n"


def test_nobody_is_kept_longer_than_postfix_waits() -> None:
    with Asked(always(tarpit(3_000)), rules=door_rules()) as postfix:
        postfix.put(asks())
        postfix.h.run_for(Module.TARPIT_SECONDS + 1)
        assert postfix.heard() == b"action=DUNNO\n\n"


@pytest.mark.parametrize(
    ("seconds", "already", "told"), [(90, 0, "80s"), (60, 0, "60s"), (120, 30, "110s")]
)
def test_the_header_names_no_wait_that_was_not_had(seconds: int, already: int, told: str) -> None:
    ruling = Ruling(
        Action.WHITELIST, rule(), kinds=("time", f"tarpit {seconds}"), tarpit=seconds - already
    )
    rules = door_rules(report=Report.ALL)
    with Asked(always(Decision(Verdict.PASS, Reason.RULE, ruling=ruling)), rules=rules) as postfix:
        postfix.put(asks())
        postfix.h.run_for(Module.TARPIT_SECONDS + 1)
        words = f"X-Greylist: Message whitelisted by tarpit {told}, ACL 12 matched, not delayed by "
        assert postfix.heard().startswith(f"action=PREPEND {words}".encode())


def test_if_postfix_gives_up_the_client_has_not_been_let_in() -> None:
    left: list[tuple[str, float]] = []
    rules = door_rules(left=lambda attempt, seconds: left.append((attempt.recipient, seconds)))
    with Asked(always(tarpit(50)), rules=rules) as postfix:
        postfix.put(asks())
        postfix.h.run_for(10)
        postfix.put(producerFinished(), "control")
        postfix.h.expect_end(postfix.door)
        assert postfix.heard() == (
            b"action=DEFER_IF_PERMIT 4.4.2 you have not waited for the reply, try again later"
            b" (id1)\n\n"
        )
    assert [(recipient, round(seconds)) for recipient, seconds in left] == [("b@example.org", 10)]
    assert rules.tarpitted == 0


def test_a_fault_at_the_end_of_a_tarpit_is_that_connections_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rules = door_rules(report=Report.ALL)
    failed: list[Exception] = []
    with Asked(always(tarpit(20)), rules=rules) as postfix:
        postfix.door.isolate(lambda _, error: failed.append(error))
        monkeypatch.setattr(rules, "report_line", lambda *_: 1 // 0)
        postfix.put(asks())
        postfix.h.run_for(21)
        assert postfix.door._isStopped()
    assert [type(error) for error in failed] == [ZeroDivisionError]
    assert rules.tarpitted == 0


def test_no_more_recipients_are_remembered_than_postfix_takes() -> None:
    with Asked(rules=door_rules()) as postfix:
        for number in range(MOST_RECIPIENTS + 2):
            postfix.ask(recipient=f"b{number}@example.org")
        assert len(_subject(postfix).mail.recipients) == MOST_RECIPIENTS


def test_nobody_in_a_tarpit_keeps_us_from_ending() -> None:
    left: list[float] = []
    rules = door_rules(left=lambda _, seconds: left.append(seconds))
    with Asked(always(tarpit(50)), rules=rules) as postfix:
        postfix.put(asks())
        postfix.h.run_for(10)
        postfix.put(shutdownMicroprocess(), "control")
        postfix.h.expect_end(postfix.door)
        assert b"4.3.2 service is shutting down" in postfix.heard()
    assert left == []
    assert rules.tarpitted == 0


def test_a_door_that_is_stopped_counts_its_client_back() -> None:
    rules = door_rules()
    with Asked(always(tarpit(50)), rules=rules) as postfix:
        postfix.put(asks())
        postfix.door.stop()
        postfix.h.run_for(60)
        assert rules.tarpitted == 0
        assert postfix.heard() == b""


def test_a_client_that_gets_in_for_waiting_does_not_if_it_cannot() -> None:
    decision = tarpit(20)
    assert decision.ruling is not None
    decision.ruling.kinds = ("tarpit 20",)
    rules = door_rules()
    rules.tarpitted = MOST_TARPITTED
    with Asked(always(decision), rules=rules) as postfix:
        assert postfix.ask() == (
            "DEFER_IF_PERMIT 4.3.2 too many clients are kept waiting, try again later (id1)"
        )


@pytest.mark.parametrize(
    ("decision", "answer"),
    [(tarpit(20), "DUNNO"), (tarpit(20, Verdict.REJECT), "551 5.7.1 Go away! (id1)")],
)
def test_others_are_answered_at_once_when_too_many_wait(decision: Decision, answer: str) -> None:
    rules = door_rules()
    rules.tarpitted = MOST_TARPITTED
    with Asked(always(decision), rules=rules) as postfix:
        assert postfix.ask() == answer


def test_a_second_decision_does_not_end_a_tarpit() -> None:
    with Asked(always(tarpit(20)), rules=door_rules()) as postfix:
        postfix.put(asks())
        postfix.decide(PASS)
        postfix.h.run_for(19)
        assert postfix.heard() == b""
        postfix.h.run_for(2)
        assert postfix.heard() == b"action=DUNNO\n\n"
