"""The real server's connection is lost while the desk waits for somebody else: for the decision on
a recipient, or for the client's next line of a log-in."""

import socket
from collections.abc import Callable

import pytest

from Axon.Testing import FakeClock
from Kamaelia.Apps.Grey.Core.Modes import Verify
from Kamaelia.Apps.Grey.Core.Types import Decision, Reason, Verdict
from Kamaelia.Apps.Grey.FrontDoor.ProxyDesk import ProxyDesk
from Kamaelia.Apps.Grey.FrontDoor.RelayPool import Lent
from Kamaelia.Support.Protocol.SMTP.Address import Path
from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities
from Kamaelia.Support.Protocol.SMTP.ClientCommands import GiveAuth, GiveRecipient, GiveSender
from Kamaelia.Support.Protocol.SMTP.Events import (
    AuthRequested,
    AuthResponse,
    FailReason,
    Ready,
    RecipientGiven,
    ReplyReceived,
    SenderGiven,
    SessionFailed,
    TransactionReset,
)
from Kamaelia.Support.Protocol.SMTP.Replies import Reply
from Test.Kamaelia.Apps.Grey.FrontDoor.test_ProxyDesk import (
    LOST,
    PASS,
    RECIPIENT,
    SENDER,
    Desk,
)
from Test.Kamaelia.Apps.Grey.support import (
    LETTER,
    MAIL,
    OK,
    RCPT,
    STRANGER,
    FakeServer,
    Gate,
    Grey,
)

OTHER = Path(b"x@d", b"x", b"d")
DEFER = Decision(Verdict.DEFER, Reason.NEW, 60)
GONE = [
    LOST,
    SessionFailed(FailReason.TIMEOUT, None),
    SessionFailed(FailReason.SHUTTING_DOWN, Reply.of(421, "4.3.2", "bye")),
]


def second_message() -> Desk:
    """A desk with a connection, and a recipient that nobody has decided upon yet."""
    desk = Desk().accepted()
    desk.put("inbox", TransactionReset(), SenderGiven(SENDER, {}), RecipientGiven(OTHER, {}))
    return desk


@pytest.mark.parametrize("gone", GONE, ids=lambda gone: str(gone.reason.name))
def test_a_recipient_that_waits_for_its_decision_is_not_offered_without(
    gone: SessionFailed,
) -> None:
    desk = second_message()
    assert desk.put("backend", gone) == {}
    said = desk.put("decisions", DEFER)
    assert [reply.code for reply in said["outbox"]] == [451]
    assert "to_backend" not in said


def test_a_recipient_that_passes_after_the_connection_was_lost_gets_another() -> None:
    desk = second_message()
    desk.put("backend", LOST)
    said = desk.put("decisions", PASS)
    assert said == {"to_backend": [GiveSender(SENDER, {}), GiveRecipient(OTHER, {})]}


def test_each_recipient_has_its_own_decision_when_the_connection_is_lost() -> None:
    desk = Desk().accepted()
    desk.put("inbox", RecipientGiven(OTHER, {}))
    assert desk.put("backend", LOST) == {}  # an answer now would leave the decision to the next one
    said = desk.put("decisions", PASS)
    assert [reply.code for reply in said["outbox"]] == [451]
    desk.put("inbox", RecipientGiven(RECIPIENT, {}))
    said = desk.put("decisions", Decision(Verdict.REJECT, Reason.RELAY_DENIED))
    assert [reply.code for reply in said["outbox"]] == [550]


def test_a_stranger_does_not_pass_because_the_mail_server_hung_up(
    mail_server: Callable[..., FakeServer], start_grey: Callable[..., Grey]
) -> None:
    asked = Gate(b"250 2.1.5 Ok\r\n")
    times: list[bytes] = []

    def answer(line: bytes) -> bytes:
        if b"new@" in line and not times:
            times.append(line)
            asked(line)
        return OK

    server = mail_server(RCPT=answer)
    grey = start_grey(server, verify_recipients=Verify.NEW, greylist_delay=60)
    client = grey.client(STRANGER).begin()
    assert client.ask(RCPT).startswith("451")
    grey.clock.advance(100)
    assert client.ask(RCPT).startswith("250")  # over a connection that stays
    assert client.ask(b"RSET\r\n" + MAIL).startswith("250")
    assert client.reply().startswith("250")
    desks = server.wait_for_verb("RSET", 1)
    client.send(b"RCPT TO:<new@example.org>\r\n")
    assert asked.reached.wait(10.0)
    desks.sock.shutdown(socket.SHUT_RDWR)
    grey.until(lambda: not any(lent.relay._session for lent in lent_to_desks(grey)))
    asked.open()
    assert client.reply().startswith("451 4.7.1 Greylisting in action")
    assert sum(b"new@" in b"".join(visit.commands) for visit in server.visits) == 1


def lent_to_desks(grey: Grey) -> list[Lent]:
    return [lent for desk, lent in grey.server.pool._lent.items() if isinstance(desk, ProxyDesk)]


def test_an_address_beyond_ascii_is_asked_about_as_such(
    mail_server: Callable[..., FakeServer], start_grey: Callable[..., Grey]
) -> None:
    refused: list[bytes] = []

    def take_sender(line: bytes) -> bytes:
        if line.isascii() or line.endswith(b" SMTPUTF8"):
            return OK
        refused.append(line)
        return b"553 5.6.7 that needs SMTPUTF8\r\n"

    server = mail_server(MAIL=take_sender, RCPT=lambda _: b"503 5.5.1 no\r\n" if refused else OK)
    grey = start_grey(server, verify_recipients=Verify.NEW)
    client = grey.client(STRANGER).begin("MAIL FROM:<bücher@example.net> SMTPUTF8\r\n".encode())
    assert client.ask(RCPT).startswith("451 4.7.1 Greylisting in action")
    assert server.visit().verbs()[:3] == ["EHLO", "MAIL", "RCPT"]


def test_a_client_that_has_shut_its_end_hears_what_became_of_its_message(
    mail_server: Callable[..., FakeServer], start_grey: Callable[..., Grey]
) -> None:
    taken = Gate(b"250 2.0.0 queued\r\n")
    clock = FakeClock(0.0)
    grey = start_grey(mail_server(DOT=taken), monotonic=clock)
    client = grey.client().to_data()
    client.send(LETTER + b".\r\n")
    client.finish_sending()
    assert taken.reached.wait(10.0)
    grey.settle()
    clock.advance(500.0)  # mail servers may take nine minutes and a half
    grey.settle()
    taken.open()
    assert client.reply() == "250 2.0.0 queued"


# ---- logging in


def asked_for_more() -> Desk:
    """A desk whose server has said 334; it is the client's turn."""
    desk = Desk()
    assert desk.put("inbox", AuthRequested(b"LOGIN", None)) == {
        "to_backend": [GiveAuth(b"LOGIN", None)]
    }
    more = Reply(334, (b"",))
    assert desk.put("backend", Ready(Capabilities()), ReplyReceived("AUTH", more)) == {
        "outbox": [more]
    }
    return desk


@pytest.mark.parametrize("gone", GONE, ids=lambda gone: str(gone.reason.name))
def test_who_logs_in_hears_of_a_lost_server_after_its_next_line(gone: SessionFailed) -> None:
    desk = asked_for_more()
    assert desk.put("backend", gone) == {}  # nobody waits for a reply now
    said = desk.put("inbox", AuthResponse(b"YQ=="))
    assert [reply.code for reply in said["outbox"]] == [454]
    desk.put("inbox", AuthRequested(b"LOGIN", None))
    said = desk.put("backend", Ready(Capabilities()), gone)  # and here somebody does
    assert [reply.code for reply in said["outbox"]] == [454]
