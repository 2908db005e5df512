"""One connection of a mail server: sessions and recipients; see test_MilterContent for messages."""

from collections.abc import Iterator
from typing import Any

import pytest

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Kamaelia.Apps.Grey.Core.Access.Rule import Action, Ruling
from Kamaelia.Apps.Grey.Core.Modes import Report
from Kamaelia.Apps.Grey.Core.Types import Attempt, Decision, Policy, Reason, Verdict
from Kamaelia.Apps.Grey.FrontDoor import MilterMail
from Kamaelia.Apps.Grey.FrontDoor.MilterDoor import MilterDoor, wishes_for
from Kamaelia.Apps.Grey.GreylistDecider import GreylistDecider
from Kamaelia.Apps.Grey.Store.Memory import MemoryStore
from Kamaelia.Apps.Grey.Store.StoreService import StoreService
from Kamaelia.Support.Protocol.Milter.Negotiation import Step
from Test.Kamaelia.Apps.Grey.FrontDoor.milters import (
    RECIPIENT,
    WAIT,
    Asking,
    kinds,
    old_offer,
)
from Test.Kamaelia.Apps.Grey.FrontDoor.ruled import NOW, PASS, Office, ToldDecider, door_rules
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {
    MilterDoor: Ends(
        lambda: MilterDoor(Office(ToldDecider(lambda _: PASS))),
        same=False,
    ),
}


# ---- recipients


def test_a_recipient_that_passes_is_no_business_of_ours() -> None:
    asking = Asking().connect()
    assert asking.mail() == []
    assert kinds(asking.rcpt()) == b"c"
    assert asking.writes == 1


def test_who_has_to_wait_hears_how_long_and_of_which_session() -> None:
    asking = Asking(rcpt=lambda _: WAIT).connect()
    asking.mail()
    (said,) = asking.rcpt()
    words = "451 4.7.1 Greylisting in action, please come back in 00:01:30 (id1)"
    assert (said.kind, said.text) == (b"y", words)


def test_a_rule_refuses_in_its_own_words() -> None:
    refused = Decision(Verdict.REJECT, Reason.RULE, reply=("552", "5.7.3", "50% off\r\nx: y"))
    asking = Asking(rcpt=lambda _: refused).connect()
    asking.mail()
    (said,) = asking.rcpt()
    assert said.text == "552 5.7.3 50% off??x: y (id1)"
    assert b"50%% off" in said.payload


def test_nothing_is_said_before_there_is_a_recipient() -> None:
    asking = Asking(rcpt=lambda _: WAIT)
    assert asking.write(asking.mta.connect("mx", "192.0.2.7")) == []
    assert asking.write(asking.mta.helo("mx")) == []
    assert asking.mail() == []
    assert asking.attempts == []


def test_an_attempt_has_what_the_mail_server_said() -> None:
    asking = Asking().connect()
    asking.mail("<Anna@Example.net>", auth_authen="anna")
    asking.rcpt('<"a@b"@example.org>')
    (attempt,) = asking.attempts
    assert (attempt.client, attempt.helo) == ("192.0.2.7", "mx.example.net")
    assert (attempt.sender, attempt.recipient) == ("Anna@Example.net", '"a@b"@example.org')
    assert (attempt.recipient_local, attempt.recipient_domain) == ("a@b", "example.org")
    assert (attempt.authenticated, attempt.mta, attempt.session) == (True, True, "id1")
    assert attempt.subject is None


def test_a_bounce_without_brackets_has_the_null_sender() -> None:
    asking = Asking().connect("127.0.0.1", "localhost")
    asking.mail("")
    asking.rcpt("postmaster")
    (attempt,) = asking.attempts
    assert (attempt.sender, attempt.recipient) == ("", "postmaster")
    assert (attempt.recipient_local, attempt.recipient_domain) == ("postmaster", "")


@pytest.mark.parametrize(
    ("address", "client"),
    [("2001:DB8::7", "2001:db8::7"), ("::ffff:192.0.2.7", "192.0.2.7")],
)
def test_a_client_is_known_by_its_usual_address(address: str, client: str) -> None:
    asking = Asking().connect(address)
    asking.mail()
    asking.rcpt()
    assert asking.attempts[0].client == client


def test_who_has_no_address_is_not_asked_about() -> None:
    asking = Asking(door_rules(report=Report.ALL), rcpt=lambda _: WAIT).connect("", "unknown")
    asking.mail()
    assert kinds(asking.rcpt()) == b"c"
    assert asking.attempts == []
    said = asking.content()
    assert b"Message not sent from an IPv4 neither IPv6 address, not delayed" in said[0].payload


def test_each_recipient_is_decided_by_itself() -> None:
    asking = Asking(rcpt=lambda a: PASS if a.recipient == "c@d" else WAIT).connect()
    asking.mail()
    assert kinds(asking.rcpt() + asking.rcpt("<c@d>") + asking.rcpt()) == b"ycy"


# ---- what the rules are told


def test_without_need_nobody_is_told_more_than_an_attempt_has() -> None:
    asking = Asking(door_rules(needs_subject=False)).connect()
    assert asking.mta.agreement is not None
    assert not asking.mta.agreement.sends(b"L")
    asking.mail()
    asking.rcpt()
    assert asking.attempts[0].subject is None


@pytest.mark.parametrize(
    ("helo", "rcpt", "told"),
    [
        ({}, {"greylist": "WHITE"}, True),
        ({"verify": "OK", "cert_subject": "/CN=a"}, {}, True),
        ({"verify": "FAIL", "cert_subject": "/CN=a"}, {}, False),
        ({"cert_subject": "a"}, {}, True),  # a Postfix: it tells of none that it has not verified
    ],
)
def test_but_what_the_mail_server_says_for_a_client_always_is(
    helo: dict[str, str], rcpt: dict[str, str], told: bool
) -> None:
    asking = Asking(door_rules(needs_subject=False)).connect(helo=helo)
    asking.mail()
    asking.rcpt(**rcpt)
    assert (asking.attempts[0].subject is not None) is told


def test_a_certificate_is_looked_for_anew_after_each_helo() -> None:
    asking = Asking(door_rules(needs_subject=False)).connect()
    told = []
    for verified in ({}, {"verify": "OK", "cert_subject": "/CN=a"}, {}):
        asking.write(asking.mta.helo("mx", macros=verified))
        asking.mail()
        asking.rcpt()
        asking.rcpt()
        told += [attempt.subject is not None for attempt in asking.attempts[-2:]]
    assert told == [False, False, True, True, False, False]


def subject_of(asking: Asking, which: int = -1) -> Any:  # noqa: ANN401
    subject = asking.attempts[which].subject
    assert subject is not None
    return subject


def test_the_rules_are_told_of_client_message_and_recipient() -> None:
    asking = Asking(door_rules(), macros=("{client_ptr}",))
    asking.connect(
        macros={"j": "mail.example.org", "if_addr": "IPv6:2001:DB8:0:0:0:0:0:1"},
        helo={"tls_version": "TLSv1.3", "verify": "OK", "cert_subject": "/CN=a"},
    )
    asking.mail("<list=bob@b>", auth_authen="bob", i="4F2")
    asking.rcpt("<c@d>", client_ptr="ptr.example.net", rcpt_mailer="local")
    subject = subject_of(asking)
    session, mail = subject.session, subject.mail
    assert (session.client, session.name, session.helo) == (
        *("192.0.2.7", "mx.example.net", "mx.example.net"),
    )
    assert (session.auth_user, session.tls_subject, session.tls_version) == (
        *("bob", "/CN=a", "TLSv1.3"),
    )
    assert (session.local_address, session.session_id) == ("2001:db8::1", "id1")
    assert session.macros["client_ptr"] == "ptr.example.net"
    assert session.macros["j"] == "mail.example.org"
    assert (mail.sender, mail.raw_sender, mail.queue_id) == ("<bob@b>", "<list=bob@b>", "4F2")
    assert (subject.recipient, subject.now) == ("<c@d>", NOW)


def test_a_macro_holds_for_its_message_and_its_recipient() -> None:
    asking = Asking(door_rules()).connect()
    asking.mail(auth_authen="anna", mail_host="x")
    asking.rcpt(rcpt_host="one")
    session = subject_of(asking).session
    assert (session.auth_user, session.macros["rcpt_host"]) == ("anna", "one")
    asking.rcpt()
    assert "rcpt_host" not in session.macros
    asking.write(asking.mta.abort())
    asking.mail()
    asking.rcpt()
    assert subject_of(asking).session is session
    assert (session.auth_user, "mail_host" in session.macros) == ("", False)


def test_a_message_with_too_many_recipients_is_to_come_in_several(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(MilterMail, "MOST_RECIPIENTS", 2)
    asking = Asking(rcpt=lambda a: WAIT if a.recipient.startswith("late") else PASS).connect()
    asking.mail()
    said = [asking.rcpt(f"<{name}@example.org>") for name in ("late", "b", "c", "d", "e")]
    assert [kinds(each) for each in said] == [b"y", b"c", b"c", b"y", b"y"]
    assert said[-1][0].text.startswith("452 4.5.3 too many recipients")
    assert len(asking.attempts) == 3
    assert kinds(asking.content()) == b"c"
    asking.mail()
    assert kinds(asking.rcpt("<d@example.org>")) == b"c"


def test_of_what_is_too_long_the_same_counts_as_at_the_policy_service() -> None:
    asking = Asking().connect()
    asking.write(asking.mta.helo("h" * 600))
    asking.mail(f"<{'s' * 600}@example.net>")
    asking.rcpt(f"<{'r' * 600}@example.org>")
    (attempt,) = asking.attempts
    assert (attempt.helo, attempt.sender, attempt.recipient) == ("h" * 512, "s" * 512, "r" * 512)


def test_rules_see_the_mailbox_however_it_is_written() -> None:
    asking = Asking(door_rules()).connect()
    for sender, recipient in (
        ("<@relay.example:a@example.net>", '<"b"@example.org>'),
        ("<a(x)@example.net.>", "<b@example.org.>"),
    ):
        asking.mail(sender)
        asking.rcpt(recipient)
        attempt = asking.attempts[-1]
        assert (attempt.sender, attempt.recipient) == ("a@example.net", "b@example.org")
        assert (attempt.recipient_local, attempt.recipient_domain) == ("b", "example.org")
        assert subject_of(asking).recipient == "<b@example.org>"
        assert subject_of(asking).mail.raw_sender == "<a@example.net>"
        asking.write(asking.mta.abort())


def test_recipients_and_headers_of_one_message_are_not_the_nexts() -> None:
    ruling = Ruling(Action.WHITELIST, addheaders=(("X-Rule: one", None),))
    retried = Decision(Verdict.PASS, Reason.RETRIED, waited_seconds=70, ruling=ruling)
    asking = Asking(
        door_rules(report=Report.ALL), rcpt=lambda a: retried if a.sender == "a@b" else PASS
    ).connect()
    said = asking.message("<c@d>", "<e@f>", sender="<a@b>")
    assert [each.strings[0] for each in said[:-1]] == [b"X-Greylist", b"X-Rule"]
    assert said[0].strings[1].startswith(b"Delayed for 00:01:10")
    asking.write(asking.mta.abort())
    said = asking.message()
    assert subject_of(asking).mail.recipients == ["<b@example.org>"]
    assert [each.strings[0] for each in said[:-1]] == [b"X-Greylist"]
    assert said[0].strings[1].startswith(b"IP, sender and recipient auto-whitelisted")


@pytest.mark.parametrize("again", ["abort", "helo", "mail"])
def test_a_message_that_is_broken_off_leaves_nothing(again: str) -> None:
    rules = door_rules(delayedreject=True)
    asking = Asking(rules, rcpt=lambda a: PASS if a.sender else WAIT).connect()
    asking.mail("<>")
    assert kinds(asking.rcpt()) == b"c"  # put off until the end of its message
    if again == "abort":
        asking.write(asking.mta.abort())
    elif again == "helo":
        asking.write(asking.mta.helo("mx"))
    asking.mail()
    assert kinds(asking.rcpt()) == b"c"
    assert subject_of(asking).mail.recipients == ["<b@example.org>"]
    assert kinds(asking.content()) == b"c"


def test_the_next_session_of_a_connection_is_somebody_elses() -> None:
    asking = Asking(door_rules()).connect()
    asking.mail()
    asking.rcpt()
    first = subject_of(asking).session
    asking.write(asking.mta.quit_new_connection())
    asking.connect("192.0.2.8", "[192.0.2.8]")
    asking.mail()
    asking.rcpt()
    second = subject_of(asking).session
    assert (second.client, second.name, second.session_id) == ("192.0.2.8", None, "id2")
    assert first.session_id == "id1"


# ---- negotiation


def test_one_wish_serves_all_connections() -> None:
    first, second = (wishes_for(for_rules=True, data_rules=False, macros=("a",)) for _ in "12")
    assert first[0] is second[0]


def test_a_mail_server_of_long_ago_is_served_too() -> None:
    asking = Asking(door_rules(needs_subject=False, report=Report.ALL), offer=old_offer())
    assert asking.mta.agreement is not None
    assert asking.mta.agreement.version == 2
    assert not asking.mta.agreement.protocol & ~Step(0x7F)
    for data in (asking.mta.connect("mx", "192.0.2.7"), asking.mta.helo("mx")):
        assert kinds(asking.write(data)) == b"c"
    assert kinds(asking.mail()) == b"c"
    assert kinds(asking.rcpt()) == b"c"
    assert kinds(asking.write(asking.mta.end_of_message())) == b"hc"


# ---- faults


def test_a_fault_of_the_decider_is_a_temporary_refusal_and_the_end() -> None:
    def fail(_: Attempt) -> Decision:
        raise ValueError("no")

    asking = Asking(rcpt=fail).connect()
    asking.mail()
    with pytest.raises(ValueError, match="no"):
        asking.rcpt()
    assert asking.door.last_words().endswith(b"\0\0\0\1t")


def test_a_mail_server_that_makes_no_sense_is_left() -> None:
    asking = Asking().connect()
    asking.write(b"\0\0\0\3R<>")
    assert asking.ended


# ---- the end


def test_without_a_message_it_ends_at_once_when_the_program_does() -> None:
    asking = Asking().connect()
    asking.tell(shutdownMicroprocess())
    assert asking.ended


def test_a_message_under_way_is_finished_first() -> None:
    asking = Asking(door_rules(report=Report.ALL)).connect()
    asking.mail()
    asking.rcpt()
    asking.tell(shutdownMicroprocess())
    assert not asking.ended
    assert kinds(asking.content()) == b"hc"
    assert asking.ended


def test_a_message_that_nobody_may_have_is_not_waited_for() -> None:
    asking = Asking(rcpt=lambda _: WAIT).connect()
    asking.mail()
    asking.rcpt()
    asking.tell(shutdownMicroprocess())
    assert asking.ended


def test_a_decision_that_is_due_is_waited_for() -> None:
    asking = Asking(rcpt=lambda _: None).connect()
    asking.mail()
    asking.rcpt()
    asking.tell(shutdownMicroprocess())
    assert not asking.ended
    assert kinds(asking.answer(PASS)) == b"c"
    assert kinds(asking.content()) == b"c"
    assert asking.ended


def test_if_it_lets_nobody_in_no_more_is_waited_for() -> None:
    asking = Asking(rcpt=lambda _: None).connect()
    asking.mail()
    asking.rcpt()
    asking.tell(shutdownMicroprocess())
    assert kinds(asking.answer(WAIT)) == b"y"
    assert asking.ended


def test_unless_somebody_was_let_in_before() -> None:
    asking = Asking(rcpt=lambda a: PASS if a.recipient == "b@example.org" else None).connect()
    asking.mail()
    asking.rcpt()
    asking.rcpt("<c@example.org>")
    asking.tell(shutdownMicroprocess())
    assert kinds(asking.answer(WAIT)) == b"y"
    assert not asking.ended
    assert kinds(asking.content()) == b"c"
    assert asking.ended


@pytest.mark.parametrize("abort", [True, False])
def test_but_no_other_one_is_begun(abort: bool) -> None:
    asking = Asking().connect()
    asking.mail()
    asking.rcpt()
    asking.tell(shutdownMicroprocess())
    before = asking.mta.abort() if abort else b""
    asking.write(before + asking.mta.mail("<x@y>") + asking.mta.rcpt("<z@y>"))
    assert (asking.ended, len(asking.attempts)) == (True, 1)


def test_it_ends_with_its_mail_server() -> None:
    asking = Asking().connect()
    asking.write(asking.mta.quit())
    assert asking.ended
    asking = Asking().connect()
    asking.tell(producerFinished())
    assert asking.ended


# ---- components of one's own in front of the decider


class Untag(component):
    """Takes each recipient for another one; ends when told to, or by itself."""

    made: "list[Untag]"

    def __init__(self) -> None:
        super().__init__()
        self.over = False

    def main(self) -> Iterator[object]:
        while not self.told_to_stop() and not self.over:
            for attempt in self.Inbox("inbox"):
                attempt.recipient = "other@example.org"
                self.send(attempt, "outbox")
            self.pause()
            yield 1


def test_attempts_go_through_a_component_of_ones_own() -> None:
    made: list[Untag] = []

    def before() -> component:
        made.append(Untag())
        return made[-1]

    asking = Asking(before=before).connect()
    assert made == []  # not before there is a recipient
    asking.mail()
    assert kinds(asking.rcpt() + asking.rcpt()) == b"cc"
    assert [attempt.recipient for attempt in asking.attempts] == ["other@example.org"] * 2
    (own,) = made
    asking.write(asking.mta.quit())
    assert own._isStopped()
    assert asking.door.children == []


def test_one_that_ends_before_its_session_is_a_fault() -> None:
    made: list[Untag] = []

    def before() -> component:
        made.append(Untag())
        return made[-1]

    asking = Asking(before=before).connect()
    asking.mail()
    asking.rcpt()
    made[0].over = True
    made[0].unpause()
    with pytest.raises(RuntimeError, match="before_decider"):
        asking.run()


# ---- with the real decider


def test_greylisted_and_let_in_by_the_real_decider() -> None:
    now = [1_000.0]
    policy = Policy(delay_seconds=60)
    asking = Asking(door_rules(needs_subject=False, report=Report.ALL))
    store = StoreService(MemoryStore, policy.lifetimes, lambda: now[0])
    decider = GreylistDecider(policy, store, lambda: now[0])
    for each in (store, decider):
        each.activate(Scheduler=asking.scheduler)
    asking.office.decider = decider
    asking.run(1.0)
    asking.connect()
    asking.mail()
    (said,) = asking.rcpt(RECIPIENT)
    assert said.text.startswith("451 4.7.1 Greylisting in action, please come back in 00:01:00")
    now[0] += 61
    asking.write(asking.mta.abort())
    asking.mail()
    assert kinds(asking.rcpt(RECIPIENT)) == b"c"
    said_at_end = asking.content()
    assert said_at_end[0].strings[1].startswith(b"Delayed for 00:01:01 by kamaelia-grey")
    for each in (decider, store):
        each.inboxes["control"].deliver(shutdownMicroprocess())
    asking.run(1.0)
