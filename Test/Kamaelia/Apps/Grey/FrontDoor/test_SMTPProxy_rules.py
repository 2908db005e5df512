"""What rules do, on the wire: tarpits, headers, messages that are judged."""

import random
import threading
import time
from collections.abc import Callable
from ipaddress import ip_network

import pytest

from Kamaelia.Apps.Grey.Core.Access.ClausesOfContent import Header
from Kamaelia.Apps.Grey.Core.Access.ClausesOfMail import Rcpt
from Kamaelia.Apps.Grey.Core.Access.ClausesOfSession import Always
from Kamaelia.Apps.Grey.Core.Access.ClausesThatAct import Tarpit
from Kamaelia.Apps.Grey.Core.Access.Rule import Action, Clause, Extras, Rule, Ruling, Stage
from Kamaelia.Apps.Grey.Core.Modes import Report
from Kamaelia.Apps.Grey.Core.Networks import Networks
from Kamaelia.Apps.Grey.Core.Types import (
    Attempt,
    Decision,
    MessageAttempt,
    MessageDecision,
    Reason,
    Verdict,
)
from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities
from Test.Kamaelia.Apps.Grey.FrontDoor.ruled import (
    PASS,
    PASSED,
    ToldDecider,
    door_rules,
    ruled,
    tarpit,
)
from Test.Kamaelia.Apps.Grey.support import (
    HELLO,
    LETTER,
    MAIL,
    PATIENCE,
    RCPT,
    STRANGER,
    Act,
    FakeServer,
    Grey,
)

MailServer = Callable[..., FakeServer]
StartGrey = Callable[..., Grey]

REFUSED = MessageDecision(
    Verdict.REJECT, Ruling(Action.BLACKLIST), reply=("551", "5.7.1", "Go away!")
)


def passes(_: Attempt) -> Decision:
    return PASS


class Later:
    """Does not answer; the test does, when something was asked."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.attempt: MessageAttempt | None = None

    def __call__(self, attempt: MessageAttempt) -> None:
        self.attempt = attempt
        self.asked.set()


# ---- tarpit


def test_one_waits_in_a_tarpit_and_no_other(mail_server: MailServer, start_grey: StartGrey) -> None:
    backend = mail_server()
    grey = start_grey(backend)
    decider = ToldDecider(lambda attempt: tarpit(0.4) if attempt.client == STRANGER else PASS)
    ruled(grey, door_rules(), decider)
    slow = grey.client(STRANGER).begin()
    since = time.monotonic()
    slow.send(RCPT)
    assert grey.client().begin().ask(RCPT).startswith("250")
    assert time.monotonic() - since < 0.4
    assert slow.reply().startswith("250")
    assert time.monotonic() - since >= 0.4
    assert slow.ask(b"DATA\r\n").startswith("354")
    assert slow.deliver().startswith("250")


@pytest.mark.parametrize("how", ["finish_sending", "close", "reset"])
def test_a_client_that_hangs_up_in_its_tarpit_is_told_of(
    mail_server: MailServer, start_grey: StartGrey, how: str
) -> None:
    backend = mail_server()
    grey = start_grey(backend)
    told: list[tuple[str, float]] = []
    rules = door_rules(left=lambda attempt, seconds: told.append((attempt.recipient, seconds)))
    ruled(grey, rules, ToldDecider(lambda _: tarpit(600.0)))
    client = grey.client(STRANGER).begin()
    client.send(RCPT)
    grey.until(lambda: rules.tarpitted == 1)
    getattr(client, how)()
    grey.until(lambda: told)
    assert told[0][0] == "b@example.org"
    assert rules.tarpitted == 0
    assert backend.visits == []
    if how == "finish_sending":
        assert client.reply().startswith("451 4.4.2 ")


def test_the_program_ends_without_waiting_for_a_tarpit(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    grey = start_grey(mail_server())
    rules = door_rules()
    ruled(grey, rules, ToldDecider(lambda _: tarpit(600.0)))
    client = grey.client(STRANGER).begin()
    client.send(RCPT)
    grey.until(lambda: rules.tarpitted == 1)
    grey.shut_down()
    assert client.reply().startswith("421 4.3.2 ")
    grey.wait_for_end()


# ---- headers


@pytest.mark.parametrize("chunked", [False, True], ids=["data", "bdat"])
def test_a_header_stands_in_front_of_the_message(
    mail_server: MailServer, start_grey: StartGrey, chunked: bool
) -> None:
    backend = mail_server()
    grey = start_grey(backend, chunking=True)
    ruled(grey, door_rules(report=Report.ALL, needs_subject=False), ToldDecider(passes))
    client = grey.client().begin()
    client.ask(RCPT)
    if chunked:
        assert client.ask(b"BDAT %d LAST\r\n%b" % (len(LETTER), LETTER)).startswith("250")
    else:
        assert client.ask(b"DATA\r\n").startswith("354")
        for byte in LETTER + b".\r\n":
            client.send(bytes([byte]))
        assert client.reply().startswith("250")
    (message,) = backend.messages
    assert message.startswith(b"X-Greylist: IP, sender and recipient auto-whitelisted, not delayed")
    assert message.endswith(b")\r\n" + LETTER)
    assert b"(mx.example.org [127.0.0.1]); " in message


def test_what_a_server_takes_is_told_less_what_is_added(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    backend = mail_server()
    grey = start_grey(backend, abilities=Capabilities(5_000, True, True, True, True, True, True))
    ruled(grey, door_rules(report=Report.ALL, needs_subject=False), ToldDecider(passes))
    client = grey.client()
    assert "SIZE 3976" in client.ask(HELLO)
    assert client.ask(b"MAIL FROM:<a@example.net> SIZE=3977\r\n").startswith("552")
    assert client.ask(b"MAIL FROM:<a@example.net> SIZE=3976\r\n").startswith("250")
    assert client.ask(RCPT).startswith("250")
    assert b"MAIL FROM:<a@example.net> SIZE=5000\r\n" in backend.visit().received


# ---- messages that are judged


@pytest.mark.parametrize("size", [0, 1_000, 3_000_000])
def test_a_judged_message_arrives_as_it_was_sent_however_it_came(
    mail_server: MailServer, start_grey: StartGrey, size: int
) -> None:
    backend = mail_server()
    grey = start_grey(backend)
    rules = door_rules(data_rules=True)
    decider = ToldDecider(passes)
    ruled(grey, rules, decider)
    dice = random.Random(size)
    letter = bytearray(b"Subject: x\r\n\r\n" if size else b"")
    while len(letter) < size:
        letter += dice.choice([b"..\r\n", b"\r\n", b"x" * dice.randrange(900) + b"\r\n"])
    client = grey.client().to_data()
    wire, place = bytes(letter) + b".\r\n", 0
    while place < len(wire):
        count = dice.choice([1, 5, 1_000, 65_536, 1 << 20])
        client.send(wire[place : place + count])
        place += count
    assert client.reply() == "250 2.0.0 Ok: queued as 4F2"
    assert backend.messages == [letter]
    assert len(decider.messages) == 1
    assert grey.outcome()["size"] == str(len(letter))
    assert rules.room.total == 1 << 30


def test_a_refused_message_leaves_nothing_at_the_server_and_the_next_is_another(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    backend = mail_server()
    grey = start_grey(backend)
    decider = ToldDecider(passes, lambda _: REFUSED)
    ruled(grey, door_rules(data_rules=True), decider)
    client = grey.client().to_data()
    assert client.deliver().startswith("551 5.7.1 Go away! (")
    visit = backend.visit()
    assert visit.ended.wait(PATIENCE)
    assert LETTER not in visit.received
    assert grey.outcome()["outcome"] == "refused"
    decider.data = lambda _: PASSED
    for line in (MAIL, RCPT):
        assert client.ask(line).startswith("250")
    assert client.ask(b"DATA\r\n").startswith("354")
    assert client.deliver().startswith("250")
    assert backend.messages == [LETTER]


@pytest.mark.parametrize("how", ["finish_sending", "close", "reset"])
def test_a_client_that_goes_before_its_message_is_judged_has_sent_none(
    mail_server: MailServer, start_grey: StartGrey, how: str
) -> None:
    backend = mail_server()
    grey = start_grey(backend)
    later = Later()
    decider = ToldDecider(passes, later)
    rules = door_rules(data_rules=True)
    ruled(grey, rules, decider)
    client = grey.client().to_data()
    client.send(LETTER + b".\r\n")
    assert later.asked.wait(PATIENCE)
    getattr(client, how)()
    assert grey.outcome()["outcome"] == "abandoned"
    attempt = later.attempt
    assert attempt is not None
    grey.call(lambda: decider.answer(attempt, PASSED))
    grey.settle()
    assert backend.visit().ended.wait(PATIENCE)
    assert backend.messages == []
    if how == "finish_sending":
        assert client.reply().startswith("451 4.4.2 ")


def test_a_server_that_takes_slowly_gets_all_of_a_judged_message(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    go_on = threading.Event()

    def wait(_: bytes) -> bytes:
        assert go_on.wait(PATIENCE)
        return b""

    backend = mail_server(body=(10, wait), receive_buffer=4_096)
    grey = start_grey(backend)
    later = Later()
    decider = ToldDecider(passes, later)
    ruled(grey, door_rules(data_rules=True), decider)
    letter = b"S: x\r\n\r\n" + (b"y" * 998 + b"\r\n") * 8_000
    client = grey.client().to_data()
    client.send(letter + b".\r\n")
    assert later.asked.wait(PATIENCE)
    attempt = later.attempt
    assert attempt is not None
    grey.call(lambda: decider.answer(attempt, PASSED))
    # Others are served meanwhile.
    assert grey.client().ask(HELLO).startswith("250")
    go_on.set()
    assert client.reply().startswith("250")
    assert backend.messages == [letter]


@pytest.mark.parametrize("act", [Act.DROP, Act.RESET], ids=lambda act: str(act.name))
def test_a_server_that_breaks_in_a_judged_message_is_451(
    mail_server: MailServer, start_grey: StartGrey, act: Act
) -> None:
    backend = mail_server(body=(100_000, act))
    grey = start_grey(backend)
    rules = door_rules(data_rules=True)
    ruled(grey, rules, ToldDecider(passes))
    client = grey.client().to_data()
    assert client.deliver((b"y" * 998 + b"\r\n") * 20_000).startswith("451 4.4.2 ")
    assert backend.messages == []
    grey.until(lambda: rules.room.total == 1 << 30)


def test_rules_may_change_a_judged_message(mail_server: MailServer, start_grey: StartGrey) -> None:
    backend = mail_server()
    grey = start_grey(backend)
    ruling = Ruling(Action.WHITELIST, addheaders=(("X-Rule: 1", 0),), addfooter="bye")
    ruled(
        grey,
        door_rules(data_rules=True, report=Report.ALL),
        ToldDecider(
            lambda _: Decision(Verdict.PASS, Reason.RETRIED, waited_seconds=61),
            lambda _: MessageDecision(Verdict.PASS, ruling),
        ),
    )
    assert grey.client().to_data().deliver().startswith("250")
    (message,) = backend.messages
    assert message.startswith(b"X-Rule: 1\r\nX-Greylist: Delayed for 00:01:01 by ")
    assert message.endswith(LETTER + b"bye\r\n")


def test_a_bounce_that_comes_too_early_hears_it_after_its_message(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    backend = mail_server()
    grey = start_grey(backend)
    later = Decision(Verdict.DEFER, Reason.NEW, 60, reply=("451", "4.7.1", "come back in 00:01:00"))
    ruled(grey, door_rules(delayedreject=True), ToldDecider(lambda _: later))
    client = grey.client(STRANGER).begin(b"MAIL FROM:<>\r\n")
    assert client.ask(RCPT).startswith("250")
    assert client.ask(b"DATA\r\n").startswith("354")
    assert client.deliver().startswith("451 4.7.1 come back in 00:01:00 (")
    assert client.ask(MAIL).startswith("250")
    assert client.ask(RCPT).startswith("451")
    assert backend.messages == []
    assert grey.outcome()["outcome"] == "deferred"


# ---- who the client is


def test_the_name_that_a_front_gives_is_the_clients(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    grey = start_grey(mail_server(), xclient_from=Networks([ip_network("127.0.0.1")]))
    decider = ToldDecider(passes)
    ruled(grey, door_rules(), decider)
    client = grey.client()
    client.ask(HELLO)
    assert client.ask(b"XCLIENT NAME=mx.example.net ADDR=192.0.2.7\r\n").startswith("220")
    assert client.begin().ask(RCPT).startswith("250")
    assert client.ask(b"RSET\r\n").startswith("250")
    assert client.ask(b"XCLIENT NAME=[UNAVAILABLE] ADDR=192.0.2.8\r\n").startswith("220")
    assert client.begin().ask(RCPT).startswith("250")
    subjects = [attempt.subject for attempt in decider.attempts]
    told = [(each.session.client, each.session.name) for each in subjects if each is not None]
    assert told == [("192.0.2.7", "mx.example.net"), ("192.0.2.8", None)]


# ---- with rules, and whoever asks them


def a_rule(stage: Stage, action: Action, *clauses: Clause, extras: Extras | None = None) -> Rule:
    return Rule(stage, action, clauses, extras or Extras(), "greylist.conf", 7, "7")


def test_rules_of_both_stages_from_the_configuration_to_the_wire(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    backend = mail_server()
    edits = Extras(addheaders=(("X-Rule: %r", 0),), addfooter="checked", subjtag="[ext] ")
    never = Extras(msg="nobody writes to %r", code="550", ecode="5.1.1")
    slow = Tarpit(1)
    rules = (
        a_rule(Stage.RCPT, Action.BLACKLIST, Rcpt(["no@example.org"]), extras=never),
        a_rule(Stage.RCPT, Action.WHITELIST, Rcpt(["slow@example.org"]), slow),
        a_rule(Stage.RCPT, Action.WHITELIST, Always()),
        a_rule(Stage.DATA, Action.BLACKLIST, Header(["pills"])),
        a_rule(Stage.DATA, Action.WHITELIST, Always(), extras=edits),
    )
    grey = start_grey(backend, access_rules=rules, report=Report.ALL)
    client = grey.client(STRANGER).begin()
    refused = client.ask(b"RCPT TO:<no@example.org>\r\n")
    assert refused.startswith("550 5.1.1 nobody writes to no@example.org (")
    since = time.monotonic()
    assert client.ask(b"RCPT TO:<slow@example.org>\r\n").startswith("250")
    assert time.monotonic() - since >= 1.0
    assert client.ask(b"DATA\r\n").startswith("354")
    assert client.deliver(b"Subject: pills\r\n\r\nx\r\n").startswith("551 5.7.1 Go away! (")
    assert client.ask(MAIL).startswith("250")
    assert client.ask(RCPT).startswith("250")
    assert client.ask(b"DATA\r\n").startswith("354")
    assert client.deliver().startswith("250")
    (message,) = backend.messages
    first, second, rest = message.split(b"\r\n", 2)
    assert first.startswith(b"X-Rule:")
    assert second.startswith(b"X-Greylist: ")
    assert rest == b"Subject: [ext] x\r\n\r\nhello\r\nchecked\r\n"
