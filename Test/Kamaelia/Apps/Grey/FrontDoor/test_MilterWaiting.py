"""A mail server's connection that waits: for decisions, in tarpits, for as long as it may."""

import logging
from typing import Any

import pytest

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Kamaelia.Apps.Grey.Core.Access.Rule import Action, Ruling
from Kamaelia.Apps.Grey.Core.Modes import Report
from Kamaelia.Apps.Grey.Core.Types import Attempt, Decision, Reason, Verdict
from Kamaelia.Apps.Grey.FrontDoor.DoorRules import LONGEST_TARPIT, MOST_TARPITTED
from Kamaelia.Apps.Grey.FrontDoor.MilterWaiting import (
    DECISION_SECONDS,
    PATIENCE_SECONDS,
    PROGRESS_SECONDS,
)
from Test.Kamaelia.Apps.Grey.FrontDoor.milters import POSTFIX, WAIT, Asking, kinds
from Test.Kamaelia.Apps.Grey.FrontDoor.ruled import PASS, PASSED, door_rules, rule, tarpit

SENDMAIL = {"v": "8.17.1.9/8.17.1.9"}


def waiting(macros: dict[str, str] = POSTFIX, **settings: Any) -> Asking:  # noqa: ANN401
    """Somebody whose recipient waits for its decision."""
    asking = Asking(door_rules(), rcpt=lambda _: None, **settings).connect(macros=macros)
    asking.mail()
    assert asking.rcpt() == []
    return asking


# ---- decisions that take their time


def test_a_decision_that_comes_later_is_the_answer() -> None:
    asking = waiting()
    assert kinds(asking.answer(PASS)) == b"c"
    asking = waiting(SENDMAIL)
    asking.run(PATIENCE_SECONDS - 1)
    assert kinds(asking.answer(WAIT)) == b"y"
    assert asking.run(1_000.0) == []


def test_postfix_is_told_that_it_goes_on() -> None:
    asking = waiting()
    said = asking.run(3 * PROGRESS_SECONDS + 1)
    assert kinds(said) == b"ppp"
    assert kinds(asking.answer(PASS)) == b"c"


@pytest.mark.parametrize("macros", [SENDMAIL, {}])
def test_sendmail_would_take_that_for_yes(macros: dict[str, str]) -> None:
    asking = waiting(macros)
    assert asking.run(PATIENCE_SECONDS - 1) == []
    (said,) = asking.run(2.0)
    assert said.text.startswith("451 4.3.0 this could not be decided, try again later")


def test_a_mail_server_may_have_more_patience() -> None:
    asking = waiting(SENDMAIL, patience=30.0)
    assert asking.run(29.0) == []
    assert kinds(asking.run(2.0)) == b"y"


def test_at_the_end_of_a_message_every_mail_server_may_be_told() -> None:
    asking = Asking(door_rules(data_rules=True), data=lambda _: None).connect(macros=SENDMAIL)
    asking.mail()
    asking.rcpt()
    assert asking.content() == []
    assert kinds(asking.run(2 * PATIENCE_SECONDS + 1)) == b"pppp"
    assert kinds(asking.answer(PASSED)) == b"c"


def test_a_decision_that_never_comes_is_a_temporary_refusal(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asking = waiting()
    with caplog.at_level(logging.WARNING):
        said = asking.run(DECISION_SECONDS + 1)
    assert kinds(said).strip(b"p") == b"y"
    assert "session id1: no decision in 120 s" in caplog.text
    assert asking.run(1_000.0) == []


def test_what_comes_too_late_is_no_answer_to_the_next_question() -> None:
    asking = waiting()
    asking.run(DECISION_SECONDS + 1)
    assert asking.rcpt("<c@d>") == []
    assert asking.answer(PASS, which=0) == []
    assert kinds(asking.answer(WAIT, which=1)) == b"y"
    assert asking.answer(PASS, which=1) == []


@pytest.mark.parametrize("end", ["abort", "quit", "new session"])
def test_nor_what_nobody_wants_any_more(end: str) -> None:
    asking = waiting()
    mta = asking.mta
    ends = {"abort": mta.abort, "quit": mta.quit, "new session": mta.quit_new_connection}
    assert asking.write(ends[end]()) == []
    assert asking.answer(PASS) == []
    assert asking.ended is (end == "quit")
    assert asking.run(1_000.0) == []


@pytest.mark.parametrize("late", [PASS, tarpit(1.0)])
def test_who_was_left_for_what_it_said_is_not_answered(late: Decision) -> None:
    asking = waiting()
    asking.door.inboxes["inbox"].deliver(b"\0\0\0\0A")  # a packet of no length
    asking.decider.answer(asking.attempts[0], late)
    asking.run(5.0)
    assert asking.ended
    assert tarpitted(asking) == 0


def test_a_mail_server_that_is_gone_is_not_answered() -> None:
    asking = waiting()
    asking.tell(producerFinished())
    assert asking.ended
    assert asking.run(1_000.0) == []


# ---- tarpits


def pit(left: list[float] | None = None, macros: dict[str, str] = POSTFIX, **how: Any) -> Asking:  # noqa: ANN401
    """Somebody who is in one of 20 seconds."""
    decision = how.pop("decision", tarpit(20.0))
    rules = door_rules(left=lambda _, seconds: [] if left is None else left.append(seconds))
    asking = Asking(rules, rcpt=lambda _: decision, **how).connect(macros=macros)
    asking.mail()
    asking.said_first = asking.rcpt()  # type: ignore[attr-defined]
    return asking


def first(asking: Asking) -> Any:  # noqa: ANN401
    return asking.said_first  # type: ignore[attr-defined]


def tarpitted(asking: Asking) -> int:
    assert asking.office.rules is not None
    return asking.office.rules.tarpitted


def test_who_endures_its_tarpit_is_let_in() -> None:
    asking = pit()
    assert (first(asking), tarpitted(asking)) == ([], 1)
    said = asking.run(19.0)
    assert kinds(said) == b"pppp"
    assert kinds(asking.run(2.0)) == b"c"
    assert tarpitted(asking) == 0
    subject = asking.attempts[0].subject
    assert subject is not None
    assert subject.session.tarpitted == 20.0


def test_a_refusal_may_wait_in_a_tarpit_too() -> None:
    refused = Decision(
        Verdict.REJECT, Reason.RULE, ruling=Ruling(Action.BLACKLIST, rule(), tarpit=3.0)
    )
    asking = pit(decision=refused)
    assert kinds(asking.run(4.0)) == b"y"


@pytest.mark.parametrize("end", ["abort", "closed"])
def test_who_hangs_up_has_not_endured_it(end: str) -> None:
    left: list[float] = []
    asking = pit(left)
    asking.run(5.0)
    if end == "abort":
        asking.write(asking.mta.abort())
    else:
        asking.tell(producerFinished())
    assert (left, tarpitted(asking)) == ([5.0], 0)
    assert asking.run(100.0) == []


def test_when_the_program_ends_who_waits_is_sent_away() -> None:
    left: list[float] = []
    asking = pit(left)
    (said,) = asking.tell(shutdownMicroprocess())
    assert said.text.startswith("451 4.3.2 service is shutting down")
    assert (left, tarpitted(asking), asking.ended) == ([], 0, True)


def test_a_failure_gives_its_place_back() -> None:
    asking = pit()
    asking.door.stop()
    asking.run()
    assert tarpitted(asking) == 0
    assert asking.run(100.0) == []


def test_no_tarpit_is_longer_than_an_hour() -> None:
    asking = pit(decision=tarpit(10 * LONGEST_TARPIT))
    assert b"c" not in kinds(asking.run(LONGEST_TARPIT - 1))
    assert kinds(asking.run(2.0)) == b"c"


def test_the_header_names_no_wait_that_was_not_had() -> None:
    ruling = Ruling(Action.WHITELIST, rule(), kinds=("tarpit 7200",), tarpit=7_200.0)
    decision = Decision(Verdict.PASS, Reason.RULE, ruling=ruling)
    asking = Asking(door_rules(report=Report.ALL), rcpt=lambda _: decision).connect()
    asking.mail()
    asking.rcpt()
    assert kinds(asking.run(LONGEST_TARPIT + 1)).endswith(b"c")
    (header, _) = asking.write(asking.mta.end_of_message())
    assert b"Message whitelisted by tarpit 3600s, not delayed" in header.payload


def only_for_waiting() -> Decision:
    ruling = Ruling(Action.WHITELIST, rule(), kinds=("tarpit 20",), tarpit=20.0)
    return Decision(Verdict.PASS, Reason.RULE, ruling=ruling)


def test_a_tarpit_longer_than_the_mail_server_waits_cannot_be_had() -> None:
    asking = pit(macros=SENDMAIL)
    assert kinds(first(asking)) == b"c"  # something else lets it in
    asking = pit(macros=SENDMAIL, decision=only_for_waiting())
    (said,) = first(asking)
    assert said.text.startswith("451 4.3.2 too many clients are kept waiting")
    asking = pit(macros=SENDMAIL, decision=tarpit(PATIENCE_SECONDS))
    assert kinds(asking.run(PATIENCE_SECONDS + 1)) == b"c"


def test_a_mail_server_with_more_patience_has_longer_tarpits(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asking = pit(macros=SENDMAIL, decision=only_for_waiting(), patience=25.0)
    assert (first(asking), tarpitted(asking)) == ([], 1)
    assert asking.run(19.0) == []  # it would take a sign of life for "yes"
    assert kinds(asking.run(2.0)) == b"c"
    assert tarpitted(asking) == 0
    asking = pit(macros=SENDMAIL, decision=tarpit(25.0), patience=25.0)
    assert kinds(asking.run(26.0)) == b"c"
    assert not caplog.records
    asking = pit(macros=SENDMAIL, decision=only_for_waiting(), patience=19.0)
    (said,) = first(asking)
    assert said.text.startswith("451 4.3.2 too many clients are kept waiting")
    assert "a tarpit of 20 s, and its mail server waits for 19 s only (milter_patience)" in (
        caplog.text
    )


def test_patience_is_for_the_look_up_and_the_tarpit_together() -> None:
    asking = waiting(SENDMAIL, patience=25.0)
    asking.run(10.0)
    assert asking.answer(tarpit(15.0)) == []
    assert kinds(asking.run(16.0)) == b"c"
    asking = waiting(SENDMAIL, patience=25.0)
    asking.run(10.0)
    assert kinds(asking.answer(tarpit(16.0))) == b"c"
    assert tarpitted(asking) == 0


def test_postfix_has_all_the_patience_of_the_world() -> None:
    asking = pit(patience=1.0)
    assert kinds(asking.run(19.0)).strip(b"p") == b""
    assert kinds(asking.run(2.0)) == b"c"


def test_the_time_that_a_look_up_took_counts() -> None:
    asking = waiting(SENDMAIL)
    asking.run(5.0)
    assert asking.answer(tarpit(2.0)) == []
    assert kinds(asking.run(3.0)) == b"c"
    asking = waiting(SENDMAIL)
    asking.run(5.0)
    assert kinds(asking.answer(tarpit(4.0))) == b"c"


def test_a_full_tarpit_is_walked_past_by_nobody_who_has_to_wait() -> None:
    def full(decision: Decision) -> Asking:
        rules = door_rules()
        for _ in range(MOST_TARPITTED):
            assert rules.enter_tarpit()
        asking = Asking(rules, rcpt=lambda _: decision).connect()
        asking.mail()
        return asking

    assert full(only_for_waiting()).rcpt()[0].text.startswith("451 4.3.2")
    assert kinds(full(tarpit(20.0)).rcpt()) == b"c"


def test_nobody_waits_behind_a_message() -> None:
    ruling = Ruling(Action.WHITELIST, rule(), tarpit=20.0)
    asking = Asking(
        door_rules(data_rules=True), data=lambda _: type(PASSED)(Verdict.PASS, ruling)
    ).connect()
    assert kinds(asking.message()) == b"c"


def test_without_rules_a_tarpit_is_none() -> None:
    asking = Asking(None, rcpt=lambda _: tarpit(20.0)).connect()
    asking.mail()
    assert kinds(asking.rcpt()) == b"c"


def test_a_second_answer_to_one_question_is_none() -> None:
    decisions: list[Attempt] = []

    def twice(attempt: Attempt) -> Decision:
        if not decisions:
            decisions.append(attempt)
            asking.decider.answer(attempt, WAIT)
        return PASS

    asking = Asking(door_rules(), rcpt=twice).connect()
    asking.mail()
    assert kinds(asking.rcpt()) == b"y"
