"""PolicyDoor: what is asked, what is answered, one message's recipients, ends and faults."""

from collections.abc import Callable, Iterator

import pytest

from Axon.AtOnce import act_at_once
from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Kamaelia.Apps.Grey.Core.Access.Rule import Action, Ruling
from Kamaelia.Apps.Grey.Core.Types import Attempt, Decision, Reason, Verdict
from Kamaelia.Apps.Grey.FrontDoor.PolicyDoor import PolicyDoor
from Kamaelia.Apps.Grey.FrontDoor.PolicyMemory import PolicyMemory
from Test.Kamaelia.Apps.Grey.FrontDoor.policies import Asked, Never, asks, passes
from Test.Kamaelia.Apps.Grey.FrontDoor.ruled import PASS, Office, ToldDecider, door_rules, rule
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {PolicyDoor: Ends(lambda: PolicyDoor(Office(ToldDecider(passes))))}

DEFER = Decision(Verdict.DEFER, Reason.NEW, wait_seconds=90)
WAIT = "DEFER_IF_PERMIT 4.7.1 Greylisting in action, please come back in 00:01:30"


def always(decision: Decision) -> Callable[[Attempt], Decision]:
    return lambda _: decision


# ---- what is asked


def test_a_recipient_is_an_attempt() -> None:
    with Asked() as postfix:
        assert postfix.ask() == "DUNNO"
        (attempt,) = postfix.attempts
        assert attempt == Attempt(
            "192.0.2.7",
            "helo.example.net",
            "a@example.net",
            "b@example.org",
            "id1",
            "b",
            "example.org",
            authenticated=False,
            mta=True,
        )
        assert attempt.subject is None


@pytest.mark.parametrize(
    ("recipient", "local", "domain"),
    [
        ("postmaster", "postmaster", ""),
        ("a@b@example.org", "a@b", "example.org"),
        ("ü@example.org", "ü", "example.org"),
        ("a b@", "a b", ""),
        ("a@example.org.", "a", "example.org"),
        ("a@example.org@", "a", "example.org"),
    ],
)
def test_the_sides_of_a_recipient_are_those_of_its_last_at(
    recipient: str, local: str, domain: str
) -> None:
    with Asked() as postfix:
        postfix.ask(recipient=recipient, sender="")
        (attempt,) = postfix.attempts
        assert (attempt.recipient_local, attempt.recipient_domain) == (local, domain)
        assert attempt.sender == ""


@pytest.mark.parametrize(
    ("told", "ours"),
    [
        ("postmaster", "postmaster"),
        ("a b@example.org", '"a b"@example.org'),
        ("a@b@example.org", '"a@b"@example.org'),
        ("a@example.org.", "a@example.org"),
    ],
)
def test_addresses_are_what_they_are_at_the_other_doors(told: str, ours: str) -> None:
    with Asked(rules=door_rules()) as postfix:
        postfix.ask(recipient=told, sender=told)
        (attempt,) = postfix.attempts
        assert (attempt.recipient, attempt.sender) == (ours, ours)
        assert attempt.subject is not None
        assert attempt.subject.mail.raw_sender == f"<{ours}>"


@pytest.mark.parametrize(
    "state", ["CONNECT", "EHLO", "HELO", "MAIL", "DATA", "END-OF-MESSAGE", "VRFY", "ETRN", "", "X"]
)
def test_of_all_else_we_have_no_opinion(state: str) -> None:
    with Asked(always(DEFER)) as postfix:
        assert postfix.ask(protocol_state=state) == "DUNNO"
        assert postfix.attempts == []


@pytest.mark.parametrize("client", ["", "unknown", "local", "192.0.2", "x" * 1_000])
def test_who_has_no_address_is_none_of_the_internet(client: str) -> None:
    with Asked(always(DEFER)) as postfix:
        assert postfix.ask(client_address=client) == "DUNNO"
        assert postfix.attempts == []


def test_a_question_without_a_recipient_is_none() -> None:
    with Asked(always(DEFER)) as postfix:
        assert postfix.ask(recipient="") == "DUNNO"


def test_ipv6_is_an_address() -> None:
    with Asked(always(DEFER)) as postfix:
        assert postfix.ask(client_address="2001:db8::7").startswith("DEFER_IF_PERMIT")


@pytest.mark.parametrize(
    "attributes", [{"sasl_username": "anna"}, {"ccert_subject": "mx.example.net"}]
)
def test_whom_postfix_vouches_for_is_authenticated(attributes: dict[str, str]) -> None:
    with Asked() as postfix:
        postfix.ask(**attributes)
        assert postfix.attempts[0].authenticated is True


def test_a_certificate_is_told_as_one_also_if_nobody_looks_at_subjects() -> None:
    with Asked(rules=door_rules(needs_subject=False)) as postfix:
        postfix.ask(ccert_subject="mx.example.net")
        postfix.ask(sasl_username="anna", instance="2")
        certified, logged_in = postfix.attempts
        assert certified.subject is not None
        assert (certified.authenticated, certified.subject.session.tls_subject) == (
            False,
            "mx.example.net",
        )
        assert (logged_in.authenticated, logged_in.subject) == (True, None)


@pytest.mark.parametrize(
    "attributes",
    [{"ccert_fingerprint": "AA:BB"}, {"reverse_client_name": "friend"}, {"sasl_sender": "anna"}],
)
def test_what_proves_nothing_is_not_believed(attributes: dict[str, str]) -> None:
    with Asked() as postfix:
        postfix.ask(**attributes)
        assert postfix.attempts[0].authenticated is False


def test_a_postfix_that_says_next_to_nothing_is_served() -> None:
    with Asked(always(DEFER)) as postfix:
        postfix.put(
            b"request=smtpd_access_policy\nprotocol_state=RCPT\nclient_address=192.0.2.7\n"
            b"recipient=b@example.org\n\n"
        )
        assert postfix.heard().startswith(b"action=DEFER_IF_PERMIT")
        assert postfix.attempts[0].helo == postfix.attempts[0].sender == ""


# ---- what is answered


@pytest.mark.parametrize(
    ("decision", "answer"),
    [
        (PASS, "DUNNO"),
        (DEFER, f"{WAIT} (id1)"),
        (
            Decision(Verdict.DEFER, Reason.TOO_EARLY, reply=("451", "4.2.0", "50% of $x")),
            "DEFER_IF_PERMIT 4.2.0 50% of $x (id1)",
        ),
        (
            Decision(Verdict.DEFER, Reason.LOOKUP_FAILED, reply=("451", "4.7.1", "not now")),
            "DEFER_IF_PERMIT 4.7.1 not now (id1)",
        ),
        (Decision(Verdict.REJECT, Reason.RULE), "551 5.7.1 Go away! (id1)"),
        (
            Decision(Verdict.REJECT, Reason.RULE, reply=("550", "5.1.1", "no\r\naction=OK")),
            "550 5.1.1 no??action=OK (id1)",
        ),
        (
            Decision(
                Verdict.DEFER,
                Reason.RULE,
                ruling=Ruling(Action.BLACKLIST, rule()),
                reply=("452", "4.3.1", "busy"),
            ),
            "452 4.3.1 busy (id1)",
        ),
        (
            Decision(
                Verdict.DEFER, Reason.NEW, ruling=Ruling(Action.GREYLIST), reply=("999", "9", "x")
            ),
            "DEFER_IF_PERMIT 4.7.1 x (id1)",
        ),
    ],
)
def test_a_decision_is_said_in_the_words_of_access(decision: Decision, answer: str) -> None:
    with Asked(always(decision), rules=door_rules(needs_subject=False)) as postfix:
        assert postfix.ask() == answer


def test_long_words_are_cut_and_the_id_is_not() -> None:
    decision = Decision(Verdict.REJECT, Reason.RULE, reply=("551", "5.7.1", "x" * 5_000))
    with Asked(always(decision)) as postfix:
        assert postfix.ask() == f"551 5.7.1 {'x' * 400} (id1)"


# ---- one message


def test_questions_about_one_message_have_one_id() -> None:
    with Asked() as postfix:
        postfix.ask()
        postfix.ask(recipient="c@example.org")
        postfix.ask(instance="7b.65a.1.1")
        postfix.ask(instance="7b.65a.1.0")
        assert [each.session for each in postfix.attempts] == ["id1", "id1", "id2", "id1"]


@pytest.mark.parametrize("other", [{"client_address": "192.0.2.8"}, {"sender": "b@example.net"}])
def test_another_client_or_sender_is_another_message(other: dict[str, str]) -> None:
    with Asked() as postfix:
        postfix.ask()
        postfix.ask(**other)
        assert [each.session for each in postfix.attempts] == ["id1", "id2"]


def test_without_an_instance_each_question_is_about_a_message_of_its_own() -> None:
    memory = PolicyMemory()
    with Asked(memory=memory) as postfix:
        postfix.ask(instance="")
        postfix.ask(instance="")
        assert [each.session for each in postfix.attempts] == ["id1", "id2"]
        assert len(memory) == 0


def test_connections_share_what_they_know_of_messages() -> None:
    memory = PolicyMemory()
    with Asked(memory=memory) as one, Asked(memory=memory) as other:
        one.ask()
        other.office.new_id()
        other.ask(recipient="c@example.org")
        assert other.attempts[0].session == "id1"


# ---- late decisions, faults, ends


def test_decisions_that_come_late_are_answered_in_the_order_of_the_requests() -> None:
    with Asked(Never()) as postfix:
        postfix.put(asks() + asks(protocol_state="DATA") + asks(recipient="c@example.org"))
        postfix.h.settle()
        assert postfix.heard() == b""
        assert len(postfix.attempts) == 1
        postfix.decide(DEFER)
        postfix.h.settle()
        postfix.decide(PASS)
        postfix.h.settle()
        assert postfix.heard() == f"action={WAIT} (id1)\n\n".encode() + b"action=DUNNO\n\n" * 2


def test_all_requests_of_one_read_are_answered_in_one_send() -> None:
    with Asked() as postfix:
        postfix.put(asks() + asks(recipient="c@example.org"))
        assert postfix.h.take((postfix.door, "outbox")) == [b"action=DUNNO\n\n" * 2]


def test_a_decision_for_which_nobody_asked_is_dropped() -> None:
    with Asked() as postfix:
        postfix.ask()
        postfix.decide(DEFER)
        postfix.h.settle()
        assert postfix.heard() == b""
        assert postfix.ask() == "DUNNO"


def test_nonsense_closes_the_connection_with_one_line(caplog: pytest.LogCaptureFixture) -> None:
    with Asked() as postfix:
        postfix.put(b"GET / HTTP/1.1\n\n")
        postfix.h.expect_end(postfix.door)
        assert postfix.heard() == b""
    assert [record.getMessage() for record in caplog.records] == [
        "policy connection from 192.0.2.250 closed: a line without '=': 'GET / HTTP/1.1'"
    ]


def test_a_decider_that_fails_costs_the_connection_and_no_more() -> None:
    def fails(_: Attempt) -> Decision:
        raise RuntimeError("the decider")

    class Failing(ToldDecider):
        def __init__(self) -> None:
            super().__init__(passes)
            act_at_once(self, "inbox", fails, blame_sender=True)

    failures: list[str] = []
    with Asked() as postfix:
        postfix.office.decider = Failing()
        postfix.door.isolate(lambda _, error: failures.append(str(error)))
        postfix.put(asks())
        postfix.h.expect_end(postfix.door)
        assert postfix.heard() == b""
    assert failures == ["the decider"]


def test_a_drain_waits_for_the_decision_that_is_under_way() -> None:
    with Asked(Never()) as postfix:
        postfix.put(asks())
        postfix.put(shutdownMicroprocess(), "control")
        postfix.h.settle()
        postfix.h.not_ended(postfix.door)
        postfix.decide(PASS)
        postfix.h.expect_end(postfix.door)
        assert postfix.heard() == b"action=DUNNO\n\n"


def test_a_postfix_that_has_closed_its_side_is_still_answered() -> None:
    with Asked(Never()) as postfix:
        postfix.put(asks())
        postfix.put(producerFinished(), "control")
        postfix.h.settle()
        postfix.decide(DEFER)
        postfix.h.expect_end(postfix.door)
        assert postfix.heard().startswith(b"action=DEFER_IF_PERMIT")


@pytest.mark.parametrize("asked", [False, True])
def test_the_server_is_told_once_when_a_connection_is_over(asked: bool) -> None:
    told: list[PolicyDoor] = []
    with Asked() as postfix:
        postfix.door.call_on_close(lambda: told.append(postfix.door))
        if asked:
            postfix.ask()
        postfix.put(producerFinished(), "control")
        postfix.h.expect_end(postfix.door)
        assert told == [postfix.door]
        assert not postfix.decider.inboxes["inbox"].sources


# ---- another configuration, and components before the decider


def test_another_office_holds_from_the_next_question_on() -> None:
    with Asked(Never()) as postfix:
        postfix.put(asks() + asks(recipient="c@example.org"))
        other = ToldDecider(always(DEFER))
        postfix.h.start(other)
        postfix.door.office = Office(other)
        postfix.decide(PASS)
        postfix.h.settle()
        assert postfix.heard().startswith(b"action=DUNNO\n\naction=DEFER_IF_PERMIT")
        assert [each.recipient for each in postfix.attempts] == ["b@example.org"]
        assert [each.recipient for each in other.attempts] == ["c@example.org"]
        assert not postfix.decider.inboxes["inbox"].sources


class Before(component):
    """Attempts go through it, with another recipient; told to end it says so."""

    def __init__(self) -> None:
        super().__init__()
        act_at_once(self, "inbox", self._take)

    def _take(self, attempt: Attempt) -> None:
        attempt.recipient = "d@example.org"  # type: ignore[misc]
        self.send(attempt, "outbox")

    def main(self) -> Iterator[object]:
        while not self.told_to_stop():
            self.pause()
            yield 1


def test_attempts_go_through_what_stands_before_the_decider() -> None:
    made: list[Before] = []

    def before() -> Before:
        made.append(Before())
        return made[-1]

    with Asked(always(DEFER), before_decider=before) as postfix:
        assert made == []
        assert postfix.ask().startswith("DEFER_IF_PERMIT")
        postfix.ask()
        assert [each.recipient for each in postfix.attempts] == ["d@example.org"] * 2
        (one,) = made
        postfix.door.office = Office(postfix.decider, before_decider=before)
        postfix.ask()
        postfix.h.expect_end(one)
        postfix.h.not_ended(postfix.door)
        assert len(made) == 2
        postfix.put(producerFinished(), "control")
        postfix.h.expect_end(postfix.door)
        postfix.h.expect_end(made[1])


def test_without_what_stands_before_the_decider_there_is_no_door() -> None:
    made: list[Before] = []

    def before() -> Before:
        made.append(Before())
        return made[-1]

    with Asked(before_decider=before) as postfix:
        postfix.ask()
        made[0].inboxes["control"].deliver(shutdownMicroprocess())
        with pytest.raises(RuntimeError, match="of before_decider has ended before its session"):
            postfix.h.settle()


def test_who_waits_in_vain_for_a_decision_and_leaves_is_let_go() -> None:
    with Asked(Never()) as postfix:
        postfix.put(asks())
        postfix.h.run_for(1_000)
        postfix.h.not_ended(postfix.door)
        postfix.put(producerFinished(), "control")
        postfix.h.run_for(119)
        postfix.h.not_ended(postfix.door)
        postfix.h.run_for(2)
        assert postfix.door._isStopped()
        postfix.decide(PASS)
        assert postfix.heard() == b""


def test_a_decision_may_come_when_postfix_has_left() -> None:
    with Asked(Never()) as postfix:
        postfix.put(asks())
        postfix.put(producerFinished(), "control")
        postfix.h.settle()
        postfix.decide(PASS)
        postfix.h.settle()
        assert postfix.heard() == b"action=DUNNO\n\n"
        assert postfix.door._isStopped()
        postfix.h.run_for(200)
