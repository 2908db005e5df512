"""AUTH passed through line by line, and LMTP with its many replies to one dot."""

import pytest

from Kamaelia.Exceptions import LocalProtocolError
from Kamaelia.Support.Protocol.SMTP.Address import Path
from Kamaelia.Support.Protocol.SMTP.ClientSession import ClientSession
from Kamaelia.Support.Protocol.SMTP.Events import (
    ClientEvent,
    FailReason,
    ReplyReceived,
    SessionFailed,
)
from Kamaelia.Support.Protocol.SMTP.Replies import Reply

A = Path(b"a@b", b"a", b"b")
C = Path(b"c@d", b"c", b"d")
PIPELINING = b"220 mx\r\n250-mx\r\n250 PIPELINING\r\n"


def events(session: ClientSession, *slices: bytes) -> list[ClientEvent]:
    found = []
    for piece in slices:
        session.receive_data(piece)
        while (event := session.next_event()) is not None:
            found.append(event)
    return found


def ready() -> ClientSession:
    session = ClientSession("proxy.example.org")
    events(session, PIPELINING)
    session.data_to_send()
    return session


def failure(session: ClientSession, data: bytes) -> SessionFailed:
    event = events(session, data)[-1]
    assert isinstance(event, SessionFailed)
    assert (session.failed, session.closed, session.data_to_send()) == (True, True, b"")
    return event


# --- AUTH ---------------------------------------------------------------------------------


def test_auth_is_passed_through_line_by_line() -> None:
    session = ready()
    session.auth(b"LOGIN", None)
    assert (session.data_to_send(), session.outstanding) == (b"AUTH LOGIN\r\n", 1)
    assert events(session, b"334 VXNlcg==\r\n") == [
        ReplyReceived("AUTH", Reply(334, (b"VXNlcg==",)))
    ]
    assert (session.outstanding, session.ready) == (0, True)
    session.auth_line(b"YW5uYQ==")
    session.data_to_send()
    events(session, b"334 \r\n")
    session.auth_line(b"")
    assert session.data_to_send() == b"\r\n"
    assert events(session, b"235 2.7.0 fine\r\n") == [
        ReplyReceived("AUTH", Reply(235, (b"2.7.0 fine",)))
    ]
    assert (session.authenticated, session.reusable) == (True, False)
    session.mail(A, {})
    events(session, b"250 ok\r\n")
    session.reset()
    events(session, b"250 ok\r\n")
    with pytest.raises(LocalProtocolError):
        session.auth(b"LOGIN", None)


def test_a_long_challenge_stays_one_line() -> None:
    session = ready()
    session.auth(b"GSSAPI", b"")
    challenge = b"QUJD" * 400
    (event,) = events(session, b"334 " + challenge + b"\r\n")
    assert event == ReplyReceived("AUTH", Reply(334, (challenge,)))


@pytest.mark.parametrize("reply", [b"454 4.7.0 later\r\n", b"535 5.7.8 wrong\r\n"])
def test_auth_that_fails_leaves_the_session_usable(reply: bytes) -> None:
    session = ready()
    session.auth(b"PLAIN", b"AGEAYg==")
    events(session, reply)
    assert (session.authenticated, session.refusals, session.reusable) == (False, 1, True)
    session.auth(b"PLAIN", b"AGEAYg==")


@pytest.mark.parametrize("reply", [b"250 what\r\n", b"354 what\r\n"])
def test_a_reply_that_does_not_fit_auth_fails_the_session(reply: bytes) -> None:
    session = ready()
    session.auth(b"PLAIN", b"AGEAYg==")
    assert failure(session, reply).reason is FailReason.SYNTAX


def test_a_challenge_to_another_command_fails_the_session() -> None:
    session = ready()
    session.mail(A, {})
    assert failure(session, b"334 AAAA\r\n").reason is FailReason.SYNTAX


def test_nothing_else_can_be_said_inside_auth() -> None:
    session = ready()
    session.auth(b"LOGIN", None)
    commands = (session.data, session.reset, session.quit, lambda: session.mail(A, {}))
    with pytest.raises(LocalProtocolError):
        session.auth_line(b"AAAA")  # no 334 has come
    for command in commands:
        with pytest.raises(LocalProtocolError):
            command()
    events(session, b"334 AAAA\r\n")
    for command in (*commands, lambda: session.auth_line(b"AA\r\n")):
        with pytest.raises(LocalProtocolError):
            command()
    session.auth_line(b"*")
    assert session.data_to_send() == b"AUTH LOGIN\r\n*\r\n"


def test_auth_has_its_time_only_between_transactions() -> None:
    session = ready()
    with pytest.raises(LocalProtocolError):
        session.auth_line(b"AAAA")
    session.mail(A, {})
    for reply in (b"", b"250 ok\r\n"):
        events(session, reply)
        with pytest.raises(LocalProtocolError):
            session.auth(b"LOGIN", None)


# --- LMTP ---------------------------------------------------------------------------------


def lmtp(recipients: bytes) -> ClientSession:
    """Return a session whose message is sent, after these replies to RCPT."""
    session = ClientSession("proxy", lmtp=True)
    events(session, PIPELINING)
    session.mail(A, {})
    for _ in recipients.splitlines():
        session.rcpt(C, {})
    session.data()
    events(session, b"250 ok\r\n" + recipients + b"354 go\r\n")
    session.send_data(b"text\r\n")
    session.end_data()
    return session


@pytest.mark.parametrize(
    ("recipients", "replies", "code", "text"),
    [
        (b"250 ok\n", b"250 kept\n", 250, b"kept"),
        (b"250 ok\n550 no\n250 ok\n", b"250 kept\n250 too\n", 250, b"kept"),
        (b"250 ok\n" * 2, b"550 no\n452 full\n", 550, b"no"),
        (b"250 ok\n" * 2, b"452 full\n550 no\n", 452, b"full"),
        (b"250 ok\n" * 2, b"250 kept\n550 no\n", 451, None),
        (b"250 ok\n" * 3, b"550 no\n250 kept\n250 kept\n", 451, None),
    ],
)
def test_the_replies_to_all_recipients_become_one(
    recipients: bytes, replies: bytes, code: int, text: bytes | None
) -> None:
    session = lmtp(recipients)
    *first, last = replies.splitlines(keepends=True)
    assert events(session, *first) == []
    assert session.outstanding == 1
    (event,) = events(session, last)
    assert isinstance(event, ReplyReceived)
    assert (event.command, event.reply.code) == (".", code)
    assert text is None or event.reply.lines == (text,)
    assert (session.outstanding, session.messages) == (0, int(code == 250))
    assert session.reusable


def test_each_message_counts_its_own_recipients() -> None:
    session = lmtp(b"250 ok\n" * 2)
    events(session, b"250 a\n250 b\n")
    session.mail(A, {})
    session.rcpt(C, {})
    session.data()
    events(session, b"250 ok\n250 ok\n354 go\n")
    session.end_data()
    assert len(events(session, b"250 c\n")) == 1


@pytest.mark.parametrize(
    ("replies", "reason"),
    [
        (b"250 ok\n250 ok\n250 one too many\n", FailReason.SYNTAX),
        (b"354 what\n", FailReason.SYNTAX),
        (b"250 ok\n354 what\n", FailReason.SYNTAX),
        (b"250 ok\n421 bye\n", FailReason.SHUTTING_DOWN),
    ],
)
def test_replies_that_do_not_fit_the_recipients_fail_lmtp(
    replies: bytes, reason: FailReason
) -> None:
    assert failure(lmtp(b"250 ok\n" * 2), replies).reason is reason


def test_lmtp_that_opens_a_message_for_nobody_has_lost_its_place() -> None:
    session = ClientSession("proxy", lmtp=True)
    events(session, PIPELINING)
    session.mail(A, {})
    session.rcpt(C, {})
    session.data()
    assert failure(session, b"250 ok\n550 no\n354 go\n").reason is FailReason.SYNTAX


def test_an_early_refusal_in_lmtp_is_one_reply() -> None:
    session = ClientSession("proxy", lmtp=True)
    events(session, PIPELINING)
    session.mail(A, {})
    session.rcpt(C, {})
    session.rcpt(C, {})
    session.data()
    events(session, b"250 ok\n250 ok\n250 ok\n354 go\n")
    assert events(session, b"452 full\n") == [ReplyReceived(".", Reply(452, (b"full",)))]
    assert (session.closed, session.refusals) == (True, 1)
