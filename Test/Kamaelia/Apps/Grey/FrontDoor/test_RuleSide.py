"""The desk and its rules, event by event: replies, tarpits, headers, what the rules are told."""

import pytest

from Axon.Ipc import shutdownMicroprocess
from Kamaelia.Apps.Grey.Core.Access.Rule import Action, Ruling
from Kamaelia.Apps.Grey.Core.Modes import Report
from Kamaelia.Apps.Grey.Core.Outcome import Fate
from Kamaelia.Apps.Grey.Core.Types import Decision, Reason, Verdict
from Kamaelia.Apps.Grey.FrontDoor.DoorRules import LONGEST_TARPIT, MOST_TARPITTED
from Kamaelia.Apps.Grey.FrontDoor.ProxyDesk import WholeMessage
from Kamaelia.Apps.Grey.FrontDoor.RuleSide import reply_of
from Kamaelia.Internet.TLSSocket import TLSInfo
from Kamaelia.Support.Protocol.SMTP.Address import NULL_PATH, Path
from Kamaelia.Support.Protocol.SMTP.ClientCommands import (
    EndData,
    GiveRecipient,
    GiveSender,
    ResetTransaction,
    StartData,
)
from Kamaelia.Support.Protocol.SMTP.Events import (
    AuthRequested,
    AuthResponse,
    DataReceived,
    DataRequested,
    HelloReceived,
    MessageComplete,
    Ready,
    ReplyReceived,
    SenderGiven,
    TransactionReset,
)
from Kamaelia.Support.Protocol.SMTP.Events import RecipientGiven as Rcpt
from Kamaelia.Support.Protocol.SMTP.Replies import Reply
from Test.Kamaelia.Apps.Grey.FrontDoor.ruled import (
    ALL,
    ENDED,
    NOW,
    OK,
    PASS,
    RECIPIENT,
    SENDER,
    RuledDesk,
    door_rules,
    rule,
    tarpit,
)

NO = Reply.of(550, "5.1.1", "no such user")


# ---- what the rules are told


def test_without_need_nobody_is_told_more_than_an_attempt_has() -> None:
    assert RuledDesk(door_rules(needs_subject=False)).ask().subject is None


def test_the_rules_are_told_of_client_message_and_recipient() -> None:
    desk = RuledDesk(door_rules())
    subject = desk.ask(Path(b"list=bob@b", b"list=bob", b"b")).subject
    assert subject is not None
    session, mail = subject.session, subject.mail
    assert (session.client, session.helo, session.session_id, session.local_address) == (
        *("192.0.2.7", "mx.example.net", "k3f9", "192.0.2.1"),
    )
    assert (session.auth_user, session.tls_subject, session.name) == ("", "", None)
    assert (mail.sender, mail.raw_sender, mail.recipients) == ("<bob@b>", "<list=bob@b>", [])
    assert (subject.recipient, subject.now) == ("<c@d>", NOW)


def test_a_session_is_one_and_a_mail_begins_anew_with_mail() -> None:
    desk = RuledDesk(door_rules()).accepted()
    first = desk.put("inbox", Rcpt(RECIPIENT, {}))["attempts"][0].subject
    assert first.mail.recipients == ["<c@d>"]
    desk.put("decisions", Decision(Verdict.DEFER, Reason.NEW, 60))
    desk.put("inbox", HelloReceived("EHLO", b"other.example.net"), TransactionReset())
    second = desk.ask().subject
    assert second is not None
    assert second.session is first.session
    assert second.session.helo == "other.example.net"
    assert second.mail is not first.mail
    assert second.mail.recipients == []


def test_who_logs_in_has_a_name_once_the_server_agrees() -> None:
    desk = RuledDesk(door_rules())
    desk.put("inbox", AuthRequested(b"LOGIN", None))
    desk.put("backend", ReplyReceived("AUTH", Reply(334, (b"VXNlcm5hbWU6",))))
    desk.put("inbox", AuthResponse(b"YW5uYQ=="))
    desk.put("backend", ReplyReceived("AUTH", Reply(334, (b"UGFzc3dvcmQ6",))))
    desk.put("inbox", AuthResponse(b"c2VjcmV0"))
    desk.put("backend", ReplyReceived("AUTH", Reply.of(535, "5.7.8", "no")))
    attempt = desk.ask()
    assert attempt.subject is not None
    assert (attempt.authenticated, attempt.subject.session.auth_user) == (False, "")
    desk.put("decisions", Decision(Verdict.DEFER, Reason.NEW, 60))
    desk.put("inbox", TransactionReset(), AuthRequested(b"PLAIN", b"AGFubmEAc2VjcmV0"))
    desk.put("backend", ReplyReceived("AUTH", Reply.of(235, "2.7.0", "yes")))
    attempt = desk.ask()
    assert attempt.subject is not None
    assert (attempt.authenticated, attempt.subject.session.auth_user) == (True, "anna")


def test_the_rules_are_told_of_encryption() -> None:
    desk = RuledDesk(door_rules())
    desk.desk.told_of_tls(TLSInfo("TLSv1.3", "AES", None, None))
    subject = desk.ask().subject
    assert subject is not None
    assert (subject.session.tls_version, subject.session.macros["cipher"]) == ("TLSv1.3", "AES")
    desk.desk.told_of_tls(TLSInfo("TLSv1.2", "RC4", None, None))
    assert subject.session.tls_version == "TLSv1.2"


# ---- replies


def said_to(decision: Decision) -> bytes:
    (reply,) = RuledDesk(door_rules()).decided(decision)["outbox"]
    assert isinstance(reply, Reply)
    return reply.to_wire()


def test_a_rule_has_its_own_words() -> None:
    no = Decision(Verdict.REJECT, Reason.RULE, reply=("551", "5.7.1", "Go away!"))
    assert said_to(no) == b"551 5.7.1 Go away! (k3f9)\r\n"
    later = Decision(Verdict.DEFER, Reason.NEW, 60, reply=("451", "4.7.1", "come back in 00:01:00"))
    assert said_to(later) == b"451 4.7.1 come back in 00:01:00 (k3f9)\r\n"


@pytest.mark.parametrize(
    ("verdict", "said", "begins"),
    [
        (Verdict.DEFER, ("551", "5.7.1", "x"), b"451 4.7.1 x"),
        (Verdict.DEFER, ("250", "2.0.0", "x"), b"451 4.7.1 x"),
        (Verdict.DEFER, ("450", "4.2.0", "x"), b"450 4.2.0 x"),
        (Verdict.REJECT, ("450", "", "x"), b"450 4.7.1 x"),
        (Verdict.REJECT, ("354", "", "x"), b"551 5.7.1 x"),
        (Verdict.REJECT, ("5\u0665\u0661", "5.1.1", "x"), b"551 5.1.1 x"),
        (Verdict.REJECT, ("550", "5.1", "x"), b"550 5.7.1 x"),
        (Verdict.REJECT, ("550", "5.1.1\r\n250 ok", "x"), b"550 5.7.1 x"),
        (Verdict.REJECT, ("550", "5.1.1", "a\r\n250 b\0c\xe9"), b"550 5.1.1 a??250 b?c\\xe9"),
    ],
)
def test_no_word_of_a_rule_can_be_anything_but_a_refusal(
    verdict: Verdict, said: tuple[str, str, str], begins: bytes
) -> None:
    wire = reply_of(verdict, said, "k3f9").to_wire()
    assert wire.startswith(begins)
    assert wire.count(b"\r\n") == 1


def test_a_long_reply_has_several_lines_none_too_long() -> None:
    wire = reply_of(Verdict.REJECT, ("550", "5.7.1", "words " * 300), "k3f9").to_wire()
    lines = wire.split(b"\r\n")[:-1]
    assert len(lines) == 4
    assert all(len(line) + 2 <= 512 for line in lines)
    assert [line[:10] for line in lines] == [b"550-5.7.1 "] * 3 + [b"550 5.7.1 "]
    assert lines[-1].endswith(b"(k3f9)")


# ---- tarpit


def test_a_reply_is_kept_back_and_the_server_hears_of_nobody_meanwhile() -> None:
    desk = RuledDesk(door_rules())
    assert desk.decided(tarpit(20.0)) == {}
    assert desk.rules.tarpitted == 1
    assert desk.wait(19.9) == {}
    said = desk.wait(0.2)
    assert said == {"to_backend": [GiveSender(SENDER, {}), GiveRecipient(RECIPIENT, {})]}
    assert desk.rules.tarpitted == 0
    known = desk.desk._known
    assert known is not None
    assert known.tarpitted >= 20.0


def test_a_refusal_may_be_kept_back_too() -> None:
    desk = RuledDesk(door_rules())
    assert desk.decided(tarpit(5.0, Verdict.REJECT)) == {}
    (reply,) = desk.wait(5.1)["outbox"]
    assert reply.code == 550


def test_the_header_is_told_of_no_wait_that_was_not_had() -> None:
    ruling = Ruling(Action.WHITELIST, rule(), kinds=("tarpit 7200",), tarpit=7_200.0)
    desk = RuledDesk(door_rules())
    desk.decided(Decision(Verdict.PASS, Reason.RULE, ruling=ruling))
    assert "to_backend" in desk.wait(LONGEST_TARPIT)
    decision = desk.desk._transaction.decision
    assert decision is not None
    assert decision.ruling is not None
    assert decision.ruling.kinds == ("tarpit 3600",)


def test_who_hangs_up_in_a_tarpit_is_told_of_and_let_in_nowhere() -> None:
    left: list[tuple[str, float]] = []
    rules = door_rules(left=lambda attempt, seconds: left.append((attempt.recipient, seconds)))
    desk = RuledDesk(rules)
    desk.decided(tarpit(20.0))
    desk.wait(7.0)
    desk.desk.client_left()
    said = desk.run()
    assert [reply.code for reply in said["outbox"]] == [451]
    assert left == [("c@d", 7.0)]
    assert rules.tarpitted == 0
    assert desk.wait(60.0) == {}


def test_who_was_gone_before_its_tarpit_is_not_waited_for() -> None:
    left: list[float] = []
    desk = RuledDesk(door_rules(left=lambda _, seconds: left.append(seconds)))
    desk.desk.client_left()
    assert [reply.code for reply in desk.decided(tarpit(20.0))["outbox"]] == [451]
    assert left == [0.0]


@pytest.mark.parametrize("how", ["session", "stop", "shutdown"])
def test_a_tarpit_ends_with_its_session(how: str) -> None:
    rules = door_rules()
    desk = RuledDesk(rules)
    desk.decided(tarpit(20.0))
    if how == "session":
        desk.put("inbox", ENDED)
    elif how == "stop":
        desk.desk.stop()
    else:
        desk.put("control", shutdownMicroprocess())
    assert "to_backend" not in desk.wait(60.0)
    assert rules.tarpitted == 0


def test_nobody_waits_when_the_program_ends() -> None:
    left: list[float] = []
    desk = RuledDesk(door_rules(left=lambda _, seconds: left.append(seconds)))
    desk.decided(tarpit(20.0))
    desk.desk.client_left(stopping=True)
    assert [reply.code for reply in desk.run()["outbox"]] == [421]
    assert left == []


def test_a_thousand_are_kept_waiting_and_no_more() -> None:
    rules = door_rules()
    rules.tarpitted = MOST_TARPITTED
    assert "to_backend" in RuledDesk(rules).decided(tarpit(20.0))
    assert rules.tarpitted == MOST_TARPITTED


def test_who_is_let_in_for_waiting_only_is_put_off_when_the_tarpit_is_full() -> None:
    rules = door_rules()
    rules.tarpitted = MOST_TARPITTED
    decision = tarpit(20.0)
    assert decision.ruling is not None
    decision.ruling.kinds = ("tarpit 20",)
    heard = RuledDesk(rules).decided(decision)
    assert [reply.code for reply in heard["outbox"]] == [451]
    assert "to_backend" not in heard
    assert rules.tarpitted == MOST_TARPITTED


# ---- headers


def first_bytes(desk: RuledDesk, piece: bytes = b"Subject: x\r\n\r\n") -> bytes:
    said = desk.put("inbox", DataReceived(piece))
    sent = b"".join(each.data for each in said["to_backend"])
    assert sent.endswith(piece)
    return sent.removesuffix(piece)


WAITED = Decision(Verdict.PASS, Reason.RETRIED, waited_seconds=3661)


@pytest.mark.parametrize(
    ("report", "decisions", "value"),
    [
        (Report.ALL, [WAITED], "Delayed for 01:01:01 by ME; "),
        (Report.ALL, [PASS, WAITED, PASS], "Delayed for 01:01:01 by ME; "),
        (Report.DELAYS, [WAITED], "Delayed for 01:01:01 by ME; "),
        (Report.NODELAYS, [WAITED], ""),
        (Report.DELAYS, [PASS], ""),
        (Report.NONE, [WAITED], ""),
        (
            Report.NODELAYS,
            [PASS],
            "IP, sender and recipient auto-whitelisted, not delayed by ME; ",
        ),
        (
            Report.ALL,
            [
                Decision(
                    Verdict.PASS,
                    Reason.RULE,
                    ruling=Ruling(Action.WHITELIST, rule("12"), kinds=("addr", "geoip")),
                )
            ],
            "Sender IP whitelisted, ACL 12 matched, not delayed by ME; ",
        ),
    ],
)
def test_a_message_says_why_it_came_through(
    report: Report, decisions: list[Decision], value: str
) -> None:
    desk = RuledDesk(door_rules(report=report)).in_data(*decisions)
    header = first_bytes(desk).decode()
    if not value:
        assert header == ""
        return
    me = "kamaelia-grey-1.0 (mx.example.org [192.0.2.1])"
    assert header.startswith(f"X-Greylist: {value.replace('ME', me)}")
    assert header.endswith(")\r\n")
    assert "Jan 2027" in header


def test_the_waiting_of_one_message_is_not_said_of_the_next() -> None:
    desk = RuledDesk(door_rules(report=Report.ALL)).in_data(WAITED)
    assert b"Delayed" in first_bytes(desk)
    desk.put("inbox", MessageComplete(20))
    desk.put("backend", ReplyReceived(".", OK))
    assert b"not delayed" in first_bytes(desk.in_data(PASS))


def test_headers_of_rules_stand_in_front_once_and_bad_ones_nowhere() -> None:
    ruling = Ruling(
        Action.WHITELIST,
        report="mine",
        addheaders=(("X-Rule: 1", 5), ("no header", None), ("X-Bad: a\r\nBcc: b", None)),
    )
    decision = Decision(Verdict.PASS, Reason.RULE, ruling=ruling)
    desk = RuledDesk(door_rules()).in_data(decision, decision)
    assert first_bytes(desk) == b"X-Greylist: mine\r\nX-Rule: 1\r\nX-Bad: a??Bcc: b\r\n"


def test_a_header_is_not_continued_by_the_message() -> None:
    desk = RuledDesk(door_rules(report=Report.ALL)).in_data()
    assert first_bytes(desk, b" forged\r\n").endswith(b")\r\n\r\n")


@pytest.mark.parametrize("way", ["whole", "pieces", "empty"])
def test_the_header_comes_once_however_the_message_came(way: str) -> None:
    desk = RuledDesk(door_rules(report=Report.ALL)).in_data()
    if way == "whole":
        said = desk.put("inbox", WholeMessage(b"S: x\r\n", 6))["to_backend"]
    elif way == "pieces":
        events = [DataReceived(b"S: x\r\n"), DataReceived(b"\r\n"), MessageComplete(8)]
        said = desk.put("inbox", *events)["to_backend"]
    else:
        said = desk.put("inbox", MessageComplete(0))["to_backend"]
    assert said[-1] == EndData()
    sent = b"".join(each.data for each in said[:-1])
    assert sent.startswith(b"X-Greylist: ")
    assert sent.count(b"X-Greylist") == 1


def test_the_server_is_told_of_the_size_with_what_is_added() -> None:
    desk = RuledDesk(door_rules(report=Report.ALL, needs_subject=False))
    desk.put("inbox", SenderGiven(SENDER, {"SIZE": b"1000"}), Rcpt(RECIPIENT, {}))
    given = desk.put("decisions", PASS)["to_backend"][0]
    assert given == GiveSender(SENDER, {"SIZE": b"2024"})


# ---- delayedreject

LATER = Decision(Verdict.DEFER, Reason.NEW, 60, reply=("451", "4.7.1", "back in 00:01:00"))


def test_a_bounce_hears_after_its_message_that_it_comes_too_early() -> None:
    desk = RuledDesk(door_rules(delayedreject=True)).accepted(LATER, PASS, sender=NULL_PATH)
    said = desk.put("inbox", DataRequested())
    assert said["to_backend"] == [ResetTransaction()]
    assert [reply.code for reply in said["outbox"]] == [354]
    desk.put("backend", ReplyReceived("RSET", OK))
    said = desk.put("inbox", WholeMessage(b"S: x\r\n", 6))
    assert said["outbox"] == [Reply.of(451, "4.7.1", "back in 00:01:00 (k3f9)")]
    assert said["outcomes"][0].fate is Fate.DEFERRED
    assert "to_backend" not in said
    # And the next message is another one.
    desk.put("inbox", SenderGiven(SENDER, {}), Rcpt(RECIPIENT, {}))
    desk.put("decisions", PASS)
    desk.put("backend", ReplyReceived("MAIL", OK), ReplyReceived("RCPT", OK))
    assert desk.put("inbox", DataRequested()) == {"to_backend": [StartData()]}


def test_a_bounce_to_nobody_hears_it_at_once() -> None:
    desk = RuledDesk(door_rules(delayedreject=True))
    desk.decided(LATER, NULL_PATH)
    said = desk.put("backend", Ready(ALL), ReplyReceived("MAIL", OK), ReplyReceived("RCPT", NO))
    assert said["outbox"] == [NO]
    desk.put("inbox", Rcpt(RECIPIENT, {}))
    desk.put("decisions", PASS)
    desk.put("backend", ReplyReceived("RCPT", OK))
    assert desk.put("inbox", DataRequested()) == {"to_backend": [StartData()]}


def test_others_than_bounces_are_deferred_at_once() -> None:
    assert "outbox" in RuledDesk(door_rules(delayedreject=True)).decided(LATER)
    assert "outbox" in RuledDesk(door_rules()).decided(LATER, NULL_PATH)
