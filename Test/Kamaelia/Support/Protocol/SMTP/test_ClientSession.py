"""The client's state machine: greeting, order of replies, the message, every failure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Kamaelia.Exceptions import LocalProtocolError
from Kamaelia.Support.Protocol.SMTP.Address import NULL_PATH, Path
from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities
from Kamaelia.Support.Protocol.SMTP.ClientCommands import (
    EndData,
    GiveAuth,
    GiveAuthLine,
    GiveRecipient,
    GiveSender,
    Greet,
    ResetTransaction,
    StartData,
)
from Kamaelia.Support.Protocol.SMTP.ClientSession import ClientLimits, ClientSession
from Kamaelia.Support.Protocol.SMTP.Events import (
    ClientEvent,
    DataReceived,
    FailReason,
    Ready,
    ReplyReceived,
    SessionFailed,
)
from Kamaelia.Support.Protocol.SMTP.Replies import Reply, ReplyLimits

A = Path(b"a@b", b"a", b"b")
C = Path(b"c@d", b"c", b"d")
PLAIN = b"220 mx\r\n250 mx\r\n"
PIPELINING = b"220 mx\r\n250-mx\r\n250-SIZE 9\r\n250 PIPELINING\r\n"


def events(session: ClientSession, *slices: bytes) -> list[ClientEvent]:
    found = []
    for piece in slices:
        session.receive_data(piece)
        while (event := session.next_event()) is not None:
            found.append(event)
    return found


def ready(greeting: bytes = PIPELINING) -> ClientSession:
    session = ClientSession("proxy.example.org")
    events(session, greeting)
    session.data_to_send()
    assert session.ready
    return session


def opened() -> ClientSession:
    """Return a session whose message may be sent."""
    session = ready()
    session.mail(A, {})
    session.rcpt(C, {})
    session.data()
    events(session, b"250 ok\r\n250 ok\r\n354 go\r\n")
    session.data_to_send()
    assert session.in_data
    return session


def failure(session: ClientSession, data: bytes) -> SessionFailed:
    event = events(session, data)[-1]
    assert isinstance(event, SessionFailed)
    assert (session.failed, session.closed, session.ready) == (True, True, False)
    assert (session.next_event(), session.data_to_send(), session.outstanding) == (None, b"", 0)
    return event


# --- greeting -----------------------------------------------------------------------------


def test_a_banner_of_many_lines_is_answered_with_ehlo() -> None:
    session = ClientSession("proxy.example.org")
    assert session.data_to_send() == b""
    assert events(session, b"220-mx\r\n220 ESMTP\r\n") == []
    assert session.data_to_send() == b"EHLO proxy.example.org\r\n"
    assert events(session, b"250-mx\r\n250-DSN\r\n250 SIZE 7\r\n") == [
        Ready(Capabilities(size=7, size_offered=True, dsn=True))
    ]
    assert (session.ready, session.outstanding) == (True, 0)


def test_a_server_that_answers_to_what_came_first_is_not_greeted_with_helo() -> None:
    """Its answer to EHLO would be taken for that to HELO, and so on to the dot."""
    session = ClientSession("proxy", preceded=True)
    assert events(session, b"220 mx\r\n") == []
    assert session.data_to_send() == b"EHLO proxy\r\n"
    (failed,) = events(session, b"502 what\r\n250 mx\r\n")
    assert isinstance(failed, SessionFailed)
    assert failed.reason is FailReason.HELLO
    assert session.data_to_send() == b""


def test_an_old_server_is_greeted_with_helo() -> None:
    session = ClientSession("proxy")
    events(session, b"220 mx\r\n502 what\r\n")
    assert session.data_to_send() == b"EHLO proxy\r\nHELO proxy\r\n"
    assert events(session, b"250 mx PIPELINING\r\n") == [Ready(Capabilities())]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"554 no\r\n", FailReason.BANNER),
        (b"421 busy\r\n", FailReason.BANNER),
        (b"250 hello\r\n", FailReason.BANNER),
        (b"220 mx\r\n451 later\r\n", FailReason.HELLO),
        (b"220 mx\r\n421 later\r\n", FailReason.HELLO),
        (b"220 mx\r\n354 what\r\n", FailReason.HELLO),
        (b"220 mx\r\n500 no\r\n500 no\r\n", FailReason.HELLO),
        (b"HTTP/1.1 400 Bad Request\r\n", FailReason.SYNTAX),
        (b"220 mx\r\n250-a\r\n251 b\r\n", FailReason.SYNTAX),
    ],
)
def test_a_refused_greeting_fails_the_session(data: bytes, reason: FailReason) -> None:
    event = failure(ClientSession("proxy"), data)
    assert event.reason is reason
    assert (event.reply is None) == (reason is FailReason.SYNTAX)


@pytest.mark.parametrize("name", ["", "a\r\nRSET", "a\nb", "a\0b"])
def test_a_name_that_would_break_the_line_is_refused(name: str) -> None:
    with pytest.raises(LocalProtocolError):
        ClientSession(name)


def test_commands_before_ready_are_our_own_mistake() -> None:
    session = ClientSession("proxy")
    for command in (session.data, session.reset, session.quit, session.end_data):
        with pytest.raises(LocalProtocolError):
            command()
    with pytest.raises(LocalProtocolError):
        session.mail(A, {})


# --- commands -----------------------------------------------------------------------------


def test_with_pipelining_commands_are_written_at_once_and_answered_in_order() -> None:
    session = ready()
    session.mail(A, {"SIZE": b"5"})
    session.rcpt(C, {"NOTIFY": b"NEVER", "X": None})
    session.data()
    assert session.outstanding == 3
    assert session.data_to_send() == (
        b"MAIL FROM:<a@b> SIZE=5\r\nRCPT TO:<c@d> NOTIFY=NEVER X\r\nDATA\r\n"
    )
    assert events(session, b"250 a\r\n451 b\r\n554 c\r\n") == [
        ReplyReceived("MAIL", Reply(250, (b"a",))),
        ReplyReceived("RCPT", Reply(451, (b"b",))),
        ReplyReceived("DATA", Reply(554, (b"c",))),
    ]
    assert session.outstanding == 0
    session.reset()
    assert events(session, b"250 d\r\n") == [ReplyReceived("RSET", Reply(250, (b"d",)))]


def test_without_pipelining_one_command_goes_at_a_time() -> None:
    session = ready(PLAIN)
    session.mail(NULL_PATH, {"SIZE": b"5"})  # SIZE was not offered, so it is left out
    session.rcpt(C, {})
    session.data()
    assert (session.data_to_send(), session.outstanding) == (b"MAIL FROM:<>\r\n", 3)
    events(session, b"250 ok\r\n")
    assert (session.data_to_send(), session.outstanding) == (b"RCPT TO:<c@d>\r\n", 2)
    events(session, b"250 ok\r\n")
    assert session.data_to_send() == b"DATA\r\n"
    events(session, b"354 go\r\n")
    assert (session.data_to_send(), session.outstanding, session.in_data) == (b"", 0, True)


@pytest.mark.parametrize("raw", [b"a\r\nb@c", b"a\nb@c", b"a\0@c", b"a\rb@c", b"\x7f@c"])
def test_an_address_that_would_break_the_line_is_refused(raw: bytes) -> None:
    session = ready()
    for command in (session.mail, session.rcpt):
        with pytest.raises(LocalProtocolError):
            command(Path(raw, b"", b""), {})
    assert (session.data_to_send(), session.outstanding) == (b"", 0)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("X", b"1\r\n"),
        ("X", b"1\n"),
        ("X", b"\0"),
        ("X", b"1 Y=2"),
        ("X Y", None),
        ("", b""),
        ("X", b""),
    ],
)
def test_a_parameter_that_would_break_the_line_is_refused(key: str, value: bytes | None) -> None:
    session = ready()
    with pytest.raises(LocalProtocolError):
        session.mail(A, {key: value})
    assert session.data_to_send() == b""


def test_a_quit_that_is_answered_ends_the_session() -> None:
    session = ready()
    session.quit()
    with pytest.raises(LocalProtocolError):
        session.mail(A, {})
    assert events(session, b"221 bye\r\n") == [ReplyReceived("QUIT", Reply(221, (b"bye",)))]
    assert (session.closed, session.failed) == (True, False)
    session.receive_eof()
    assert session.next_event() is None
    session.quit()
    assert session.data_to_send() == b""


def test_a_server_that_closes_instead_of_answering_quit_did_not_fail() -> None:
    session = ready()
    session.quit()
    session.receive_eof()
    assert session.next_event() is None
    assert (session.closed, session.failed) == (True, False)


# --- the message --------------------------------------------------------------------------


def test_a_message_is_sent_after_354_and_ended_with_a_dot() -> None:
    session = opened()
    session.send_data(b"one\r\n")
    session.send_data(b"two\r")
    session.send_data(b"\n")
    session.end_data()
    assert session.data_to_send() == b"one\r\ntwo\r\n.\r\n"
    assert (session.outstanding, session.in_data) == (1, False)
    assert events(session, b"250 2.0.0 kept\r\n") == [
        ReplyReceived(".", Reply(250, (b"2.0.0 kept",)))
    ]
    session.mail(A, {})
    assert session.data_to_send() == b"MAIL FROM:<a@b>\r\n"


def test_one_piece_is_handed_on_without_being_copied() -> None:
    session, piece = opened(), b"x\r\n" * 1000
    session.send_data(piece)
    assert session.data_to_send() is piece


def test_an_empty_message_is_only_the_dot() -> None:
    session = opened()
    session.end_data()
    assert session.data_to_send() == b".\r\n"


def test_a_message_that_ends_inside_a_line_cannot_be_ended() -> None:
    session = opened()
    session.send_data(b"half a li")
    with pytest.raises(LocalProtocolError):
        session.end_data()


def test_commands_inside_a_message_are_our_own_mistake() -> None:
    session = opened()
    for command in (session.data, session.reset, session.quit):
        with pytest.raises(LocalProtocolError):
            command()


def test_data_before_354_is_our_own_mistake() -> None:
    session = ready()
    session.mail(A, {})
    session.rcpt(C, {})
    session.data()
    with pytest.raises(LocalProtocolError):
        session.send_data(b"x")
    for command in (session.end_data, session.reset):
        with pytest.raises(LocalProtocolError):
            command()


@pytest.mark.parametrize("code", [452, 552])
def test_an_early_refusal_comes_out_at_once_and_nothing_more_is_sent(code: int) -> None:
    session = opened()
    session.send_data(b"one\r\n")
    assert events(session, b"%d full\r\n" % code) == [ReplyReceived(".", Reply(code, (b"full",)))]
    session.send_data(b"two\r\n")
    session.end_data()
    session.quit()
    assert (session.data_to_send(), session.closed, session.failed) == (b"", True, False)
    with pytest.raises(LocalProtocolError):
        session.mail(A, {})


@pytest.mark.parametrize("data", [b"250 accepted\r\n", b"354 go\r\n"])
def test_a_server_that_accepts_an_unfinished_message_has_lost_its_place(data: bytes) -> None:
    session = opened()
    session.send_data(b"one\r\n")
    assert failure(session, data).reason is FailReason.SYNTAX
    session.end_data()
    assert session.data_to_send() == b""


def test_a_refused_message_leaves_the_session_usable() -> None:
    session = opened()
    session.end_data()
    events(session, b"550 spam\r\n")
    session.data_to_send()
    session.mail(A, {})
    assert session.data_to_send() == b"MAIL FROM:<a@b>\r\n"


# --- a connection that is kept ------------------------------------------------------------


def test_a_session_is_reusable_between_transactions_only() -> None:
    session = ClientSession("proxy")
    seen = [session.reusable]
    for step in (
        lambda: events(session, PIPELINING),
        lambda: session.mail(A, {}),
        lambda: events(session, b"250 ok\n"),
        lambda: session.rcpt(C, {}),
        lambda: events(session, b"550 no\n"),
        session.reset,
        lambda: events(session, b"250 ok\n"),
        lambda: session.receive_data(b"4"),
        lambda: events(session, b"21 bye\n"),
    ):
        step()
        seen.append(session.reusable)
    assert seen == [False, True, False, False, False, False, False, True, False, False]


def test_a_session_whose_server_has_closed_is_not_reusable() -> None:
    session = ready()
    session.receive_eof()
    assert not session.reusable


def test_a_refused_reset_does_not_end_the_transaction() -> None:
    session = ready()
    session.mail(A, {})
    session.reset()
    events(session, b"250 ok\n502 no\n")
    assert not session.reusable


def test_without_pipelining_what_waits_here_is_not_done() -> None:
    session = ready(PLAIN)
    session.reset()
    session.reset()
    events(session, b"250 ok\n")
    assert (session.outstanding, session.reusable) == (1, False)


def test_accepted_messages_and_refusals_are_counted() -> None:
    session = opened()
    assert (session.messages, session.refusals, session.reusable) == (0, 0, False)
    session.end_data()
    events(session, b"250 ok\n")
    assert (session.messages, session.refusals, session.reusable) == (1, 0, True)
    session.mail(A, {})
    session.rcpt(C, {})
    session.data()
    events(session, b"250 ok\n550 no\n554 no\n")
    assert (session.messages, session.refusals) == (1, 2)


def test_it_is_known_whether_the_server_ever_took_a_sender() -> None:
    session = ready()
    assert not session.mail_accepted
    session.mail(A, {})
    events(session, b"451 later\n")
    assert not session.mail_accepted
    session.mail(A, {})
    events(session, b"250 ok\n421 bye\n")
    assert (session.mail_accepted, session.failed) == (True, True)


# --- failures -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("replies", "reason"),
    [
        (b"354 what\r\n", FailReason.SYNTAX),
        (b"250 ok\r\n354 what\r\n", FailReason.SYNTAX),
        (b"550 no\r\n250 ok\r\n", FailReason.SYNTAX),
        (b"550 no\r\n550 no\r\n354 go\r\n", FailReason.SYNTAX),
        (b"250 ok\r\n250 ok\r\n250 ok\r\n", FailReason.SYNTAX),
        (b"250 ok\r\n250 ok\r\n354 ok\r\n250 ok\r\n", FailReason.SYNTAX),
        (b"421 bye\r\n", FailReason.SHUTTING_DOWN),
        (b"250 ok\r\n421 bye\r\n", FailReason.SHUTTING_DOWN),
        (b"250 ok\r\n250 ok\r\n354 ok\r\n421 bye\r\n", FailReason.SHUTTING_DOWN),
        (b"250 o\0k\r\n", FailReason.SYNTAX),
    ],
)
def test_replies_that_do_not_fit_fail_the_session(replies: bytes, reason: FailReason) -> None:
    session = ready()
    session.mail(A, {})
    session.rcpt(C, {})
    session.data()
    assert failure(session, replies).reason is reason


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"250 unasked\r\n", FailReason.SYNTAX),
        (b"550 unasked\r\n", FailReason.SYNTAX),
        (b"421 time-out\r\n", FailReason.SHUTTING_DOWN),
    ],
)
def test_a_reply_that_nobody_asked_for_fails_the_session(data: bytes, reason: FailReason) -> None:
    assert failure(ready(), data).reason is reason


def test_a_recipient_refused_after_a_refused_sender_is_in_order() -> None:
    session = ready()
    session.mail(A, {})
    session.rcpt(C, {})
    session.data()
    assert len(events(session, b"550 no\r\n503 no\r\n503 no\r\n")) == 3
    session.mail(A, {})
    session.rcpt(C, {})
    assert len(events(session, b"250 ok\r\n250 ok\r\n")) == 2
    assert session.ready


def test_a_lost_connection_fails_in_every_phase() -> None:
    for session in (ClientSession("proxy"), ready(), opened()):
        session.receive_eof()
        assert session.next_event() == SessionFailed(FailReason.LOST, None)
        assert session.next_event() is None


def test_a_connection_lost_with_a_message_open_does_not_pass_for_a_quit() -> None:
    session = opened()
    session.end_data()
    session.quit()
    session.receive_eof()
    assert session.next_event() == SessionFailed(FailReason.LOST, None)


def test_replies_that_came_before_the_end_are_given_first() -> None:
    session = opened()
    session.end_data()
    session.receive_data(b"250 kept\r\n25")
    session.receive_eof()
    assert session.next_event() == ReplyReceived(".", Reply(250, (b"kept",)))
    assert session.next_event() == SessionFailed(FailReason.LOST, None)


def test_the_limits_on_replies_can_be_set() -> None:
    session = ClientSession("proxy", limits=ClientLimits(ReplyLimits(line_bytes=10)))
    assert failure(session, b"220 " + b"x" * 10).reason is FailReason.SYNTAX


# --- slices -------------------------------------------------------------------------------

REPLIES = [
    b"250 ok\r\n",
    b"250-a\r\n250 PIPELINING\r\n",
    b"220 mx\r\n",
    b"354 go\r\n",
    b"451 later\n",
    b"550-no\r\n550 way\r\n",
    b"421 bye\r\n",
    b"221 bye\r\n",
    b"rubbish\r\n",
    b"250-a\r\n251 b\r\n",
]
GOOD = b"220 mx\r\n250-mx\r\n250 PIPELINING\r\n250 a\r\n250 b\r\n354 c\r\n250 d\r\n221 e\r\n"


def converse(slices: list[bytes]) -> tuple[list[ClientEvent], bytes, bool]:
    """Send one message and QUIT, as far as the server's replies allow."""
    session, found, sent = ClientSession("proxy"), [], b""
    for piece in slices:
        session.receive_data(piece)
        while (event := session.next_event()) is not None:
            found.append(event)
            match event:
                case Ready():
                    session.mail(A, {})
                    session.rcpt(C, {})
                    session.data()
                case ReplyReceived("DATA", Reply(code=354)):
                    session.send_data(b"text\r\n")
                    session.end_data()
                    session.quit()
            sent += session.data_to_send()
        sent += session.data_to_send()
    return found, sent, session.failed


@given(
    st.just(GOOD) | st.lists(st.sampled_from(REPLIES), max_size=9).map(b"".join),
    st.integers(1, 9),
)
def test_any_slices_of_the_replies_give_the_same_events_and_output(wire: bytes, size: int) -> None:
    found, sent, failed = converse([wire[i : i + size] for i in range(0, len(wire), size)])
    whole_found, whole_sent, whole_failed = converse([wire])
    assert (found, failed) == (whole_found, whole_failed)
    # What a session that fails had not yet sent is not sent any more.
    assert sent.startswith(whole_sent) if failed else sent == whole_sent


def test_the_good_conversation_is_complete() -> None:
    found, sent, _ = converse([GOOD])
    commands = [event.command for event in found if isinstance(event, ReplyReceived)]
    assert commands == ["MAIL", "RCPT", "DATA", ".", "QUIT"]
    assert sent.endswith(b"DATA\r\ntext\r\n.\r\nQUIT\r\n")


# ---- commands as messages


def test_a_command_given_as_a_message_is_the_call_of_its_name() -> None:
    session = ready()
    for command in (Greet(), GiveSender(A, {}), GiveRecipient(C, {}), StartData()):
        session.say(command)
    assert session.data_to_send() == b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"
    events(session, b"250 ok\r\n250 ok\r\n354 go\r\n")
    session.say(DataReceived(b"hi\r\n"))
    assert not session.after_dot
    session.say(EndData())
    assert (session.data_to_send(), session.after_dot) == (b"hi\r\n.\r\n", True)
    events(session, b"250 ok\r\n")
    session.say(GiveSender(A, {}))
    assert not session.after_dot
    session.say(ResetTransaction())
    events(session, b"250 ok\r\n250 ok\r\n")
    session.data_to_send()
    session.say(GiveAuth(b"LOGIN", None))
    events(session, b"334 VXNlcg==\r\n")
    session.say(GiveAuthLine(b"eA=="))
    assert session.data_to_send() == b"AUTH LOGIN\r\neA==\r\n"
