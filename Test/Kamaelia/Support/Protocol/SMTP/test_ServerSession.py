"""The server's state machine: every verb, every limit, every end."""

from collections.abc import Callable
from typing import Any

import pytest

from Kamaelia.Exceptions import LocalProtocolError
from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities
from Kamaelia.Support.Protocol.SMTP.Events import (
    DataReceived,
    DataRequested,
    EndReason,
    HelloReceived,
    MessageComplete,
    MessageFailed,
    RecipientGiven,
    SenderGiven,
    ServerEvent,
    SessionEnded,
    TransactionReset,
)
from Kamaelia.Support.Protocol.SMTP.Replies import Reply
from Kamaelia.Support.Protocol.SMTP.ServerSession import ServerLimits, ServerSession

Serve = Callable[..., Any]  # the fixture of conftest.py; gives a Talk
MAIL = b"MAIL FROM:<a@b>\r\n"
RCPT = b"RCPT TO:<c@d>\r\n"
TO_DATA = MAIL + RCPT + b"DATA\r\n"
DEFER = Reply.of(451, "4.7.1", "later")
REJECT = Reply.of(550, "5.1.1", "nobody")
LENIENT = ServerLimits(forbid_early_talk=False, forbid_pipelined_hello=False)


def answer(*replies: Reply) -> Callable[[ServerEvent], Reply]:
    """Answer RCPT with these in turn, and accept all else."""
    queue = list(replies)

    def rule(event: ServerEvent) -> Reply:
        if isinstance(event, RecipientGiven):
            return queue.pop(0)
        return Reply.of(354 if isinstance(event, DataRequested) else 250, "", "ok")

    return rule


# --- greeting -----------------------------------------------------------------------------


def test_nothing_is_read_before_the_greeting() -> None:
    session = ServerSession("mx", capabilities=Capabilities, limits=LENIENT)
    session.receive_data(b"EHLO x\r\n")
    assert (session.next_event(), session.data_to_send()) == (None, b"")
    session.greet("at your service")
    assert session.next_event() == HelloReceived("EHLO", b"x")
    assert session.data_to_send().startswith(b"220 mx at your service\r\n250")
    with pytest.raises(LocalProtocolError):
        session.greet()


def test_a_refused_client_gets_one_reply_and_a_closed_session() -> None:
    session = ServerSession("mx", capabilities=Capabilities)
    session.refuse(Reply.of(421, "4.3.2", "busy"))
    session.receive_data(b"EHLO x\r\n")
    assert session.data_to_send() == b"421 4.3.2 busy\r\n"
    assert (session.closed, session.next_event()) == (True, None)


def test_ehlo_offers_what_the_owner_offers_now(serve: Serve) -> None:
    offers = [Capabilities(dsn=True), Capabilities(size=5, size_offered=True, pipelining=True)]
    session = ServerSession("mx", capabilities=lambda: offers.pop(0))
    session.greet()
    session.receive_data(b"ehlo one\r\n")
    assert session.next_event() == HelloReceived("EHLO", b"one")
    session.receive_data(b"EhLo two\r\n")
    assert session.next_event() == HelloReceived("EHLO", b"two")
    wire = session.data_to_send()
    assert (
        wire == b"220 mx ESMTP\r\n250-mx\r\n250 DSN\r\n250-mx\r\n250-PIPELINING\r\n250 SIZE 5\r\n"
    )
    assert (session.esmtp, session.hello_name) == (True, b"two")


def test_helo_offers_nothing_but_extensions_are_taken_all_the_same(serve: Serve) -> None:
    talk = serve(MAIL[:-2] + b" SIZE=10\r\n", hello=b"HELO x\r\n")
    assert (talk.codes, talk.session.esmtp) == ([250], False)
    talk = serve(hello=b"")
    assert talk.feed(b"HELO x\r\n").wire == b"250 mx.example.org\r\n"


@pytest.mark.parametrize(
    "line",
    [b"EHLO", b"EHLO ", b"HELO\r\n"[:-2], b"EHLO a\x1bb", b"EHLO \xc3\xa9", b"EHLO " + b"x" * 256],
)
def test_a_greeting_without_a_harmless_name_gets_501(serve: Serve, line: bytes) -> None:
    talk = serve(line + b"\r\n", hello=b"")
    assert (talk.codes, talk.events) == ([501], [])
    assert talk.session.hello_name == b""


def test_mail_before_the_greeting_gets_503(serve: Serve) -> None:
    assert serve(MAIL + RCPT + b"DATA\r\n", hello=b"").codes == [503, 503, 503]


# --- commands -----------------------------------------------------------------------------


def test_a_whole_message_passes(serve: Serve) -> None:
    talk = serve(TO_DATA, b"Subject: x\r\n\r\n..dot\r\n.\r\nQUIT\r\n")
    sender, recipient, data, message, complete, ended = talk.events
    assert isinstance(sender, SenderGiven)
    assert sender.path.raw == b"a@b"
    assert isinstance(recipient, RecipientGiven)
    assert recipient.path.raw == b"c@d"
    assert (data, message) == (DataRequested(), DataReceived(b"Subject: x\r\n\r\n..dot\r\n"))
    assert (complete, ended) == (MessageComplete(21), SessionEnded(EndReason.QUIT))
    assert talk.codes == [250, 250, 354, 250, 221]
    assert talk.session.closed


def test_parameters_are_passed_on(serve: Serve) -> None:
    talk = serve(
        b"mail from:<a@b> size=5 BODY=8BITMIME\r\nrcpt to: <c@d> NOTIFY=NEVER ORCPT=rfc822;c@d\r\n"
    )
    sender, recipient = talk.events
    assert dict(sender.parameters) == {"SIZE": b"5", "BODY": b"8BITMIME"}
    assert dict(recipient.parameters) == {"NOTIFY": b"NEVER", "ORCPT": b"rfc822;c@d"}


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        (b"", b"500 5.5.2 "),
        (b"HELLO", b"500 5.5.2 "),
        (b"X-Y", b"500 5.5.2 "),
        (b"EXPN list", b"502 5.5.1 "),
        (b"STARTTLS", b"502 5.5.1 "),
        (b"AUTH PLAIN AGEAYg==", b"502 5.5.1 "),
        (b"XCLIENT ADDR=127.0.0.1", b"550 5.7.0 "),
        (b"NOOP whatever", b"250 2.0.0 "),
        (b"HELP", b"214 2.0.0 "),
        (b"VRFY someone", b"252 2.5.2 "),
        (b"VRFY", b"501 5.5.4 "),
        (b"RSET", b"250 2.0.0 "),
        (b"RSET x", b"501 5.5.4 "),
        (b"RCPT TO:<a@b>", b"503 5.5.1 "),
        (b"DATA", b"503 5.5.1 "),
        (b"MAIL", b"501 5.5.4 "),
        (b"MAIL <a@b>", b"501 5.5.4 "),
        (b"MAIL TO:<a@b>", b"501 5.5.4 "),
        (b"MAIL FROM:a@b", b"501 5.1.7 "),
        (b"MAIL FROM:<a@b> X=1", b"555 5.5.4 "),
        (b"MAIL FROM:<a@b> SIZE=1 SIZE=1", b"501 5.5.4 "),
        (b"MAIL FROM:<a@b> SIZE=1000001", b"552 5.3.4 "),
        (b"MAIL FROM:<a@b> SIZE=1000000", b"250 2.1.0 "),
        (b"MAIL FROM:<\xc3\xa9@b>", b"553 5.6.7 "),
        (b"MAIL FROM:<\xc3\xa9@b> SMTPUTF8", b"250 2.1.0 "),
        (b"NO\rOP", b"500 5.5.2 "),
        (b"NOOP\r", b"500 5.5.2 "),
        (b"quit", b"221 2.0.0 "),
    ],
)
def test_each_line_gets_its_one_reply(serve: Serve, line: bytes, reply: bytes) -> None:
    talk = serve(line + b"\r\n")
    assert talk.wire.startswith(reply)
    assert talk.wire.count(b"\r\n") == 1


def test_smtputf8_addresses_are_refused_where_it_is_not_offered(serve: Serve) -> None:
    talk = serve(b"MAIL FROM:<\xc3\xa9@b> SMTPUTF8\r\n", capabilities=Capabilities())
    assert talk.codes == [553]


def test_smtputf8_recipients_need_it_in_mail(serve: Serve) -> None:
    rcpt = b"RCPT TO:<\xc3\xa9@d>\r\n"
    assert serve(MAIL + rcpt).codes == [250, 553]
    talk = serve(MAIL[:-2] + b" SMTPUTF8\r\n" + rcpt)
    assert (talk.codes, talk.session.smtputf8) == ([250, 250], True)
    assert not talk.feed(b"RSET\r\n").session.smtputf8


def test_a_refused_mail_with_smtputf8_leaves_nothing_behind(serve: Serve) -> None:
    talk = serve(b"MAIL FROM:<a@b> SMTPUTF8 SIZE=1000001\r\n" + MAIL + b"RCPT TO:<\xc3\xa9@d>\r\n")
    assert (talk.codes, talk.session.smtputf8) == ([552, 250, 553], False)


@pytest.mark.parametrize("form", ["{}", '"{}"'])
def test_the_short_way_and_the_long_way_have_the_same_limits(serve: Serve, form: str) -> None:
    local, label = form.format("x" * 64).encode(), b"y" * 63
    for good, bad in (
        (b"<%b@b>" % (b"x" * 64), b"<%b@b>" % (b"x" * 65)),
        (b"<a@%b>" % label, b"<a@%by>" % label),
        (
            b"<a@%b.%b.%b.z>" % (label, label, label),
            b"<%b@%b.%b.%b>" % (local, label, label, label),
        ),
    ):
        talk = serve(b"MAIL FROM:" + good + b"\r\nRCPT TO:" + bad + b"\r\n")
        assert talk.codes == [250, 501]


def test_a_second_mail_gets_503_and_the_transaction_goes_on(serve: Serve) -> None:
    assert serve(MAIL + MAIL + RCPT).codes == [250, 503, 250]


@pytest.mark.parametrize("line", [b"RSET\r\n", b"EHLO again\r\n", b"HELO again\r\n"])
def test_a_transaction_can_be_reset(serve: Serve, line: bytes) -> None:
    talk = serve(MAIL + RCPT)
    assert talk.session.in_transaction
    talk.feed(line + b"DATA\r\n" + MAIL)
    assert TransactionReset() in talk.events
    assert talk.codes[-2:] == [503, 250]


def test_a_bad_greeting_leaves_the_transaction_alone(serve: Serve) -> None:
    talk = serve(MAIL + b"EHLO\r\n" + RCPT)
    assert talk.codes == [250, 501, 250]


def test_data_takes_no_parameters(serve: Serve) -> None:
    assert serve(MAIL + RCPT + b"DATA now\r\n").codes[-1] == 501


# --- recipients ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("replies", "code", "enhanced"),
    [
        ([DEFER, DEFER], 451, b"4.7.1"),
        ([DEFER, REJECT], 554, b"5.5.1"),
        ([REJECT, DEFER], 554, b"5.5.1"),
        ([REJECT, REJECT], 554, b"5.5.1"),
    ],
)
def test_data_without_a_good_recipient_says_whether_to_try_again(
    serve: Serve, replies: list[Reply], code: int, enhanced: bytes
) -> None:
    talk = serve(MAIL + RCPT * 2 + b"DATA\r\n", rule=answer(*replies))
    last = talk.wire.splitlines()[-1]
    assert (talk.codes[-1], last[4:9]) == (code, enhanced)
    assert DataRequested() not in talk.events


def test_one_good_recipient_is_enough(serve: Serve) -> None:
    talk = serve(MAIL + RCPT * 3 + b"DATA\r\n", rule=answer(DEFER, Reply.of(250, "", "ok"), REJECT))
    assert talk.codes == [250, 451, 250, 550, 354]


def test_a_recipient_with_bad_syntax_is_a_permanent_refusal(serve: Serve) -> None:
    assert serve(MAIL + b"RCPT TO:bad\r\nDATA\r\n").codes == [250, 501, 554]


def test_a_bad_command_does_not_turn_a_deferral_into_a_refusal(serve: Serve) -> None:
    talk = serve(MAIL + RCPT + b"X-junk 1\r\nDATA\r\n", rule=answer(DEFER))
    assert talk.codes == [250, 451, 500, 451]


def test_recipients_beyond_the_limit_are_to_come_back(serve: Serve) -> None:
    talk = serve(MAIL + RCPT * 30 + b"DATA\r\n", limits=ServerLimits(max_recipients=3))
    assert talk.codes == [250] * 4 + [452] * 27 + [354]
    assert talk.kinds.count("RecipientGiven") == 3


def test_the_limit_holds_for_refused_recipients_too(serve: Serve) -> None:
    limits = ServerLimits(max_recipients=3)
    talk = serve(MAIL + RCPT * 4 + b"DATA\r\n", rule=answer(*[DEFER] * 3), limits=limits)
    assert talk.codes == [250, 451, 451, 451, 452, 451]
    talk.feed(b"RSET\r\n" + MAIL)
    talk.rule = answer(DEFER)
    assert talk.feed(RCPT).codes[-1] == 451


# --- replies and pipelining ---------------------------------------------------------------


def test_commands_behind_a_waiting_one_stay_in_the_buffer() -> None:
    session = ServerSession("mx", capabilities=Capabilities, limits=LENIENT)
    session.greet()
    session.receive_data(b"EHLO x\r\n" + MAIL + RCPT + RCPT + b"NOOP\r\n")
    for _ in range(3):
        assert session.next_event() is not None
    assert session.waiting
    assert session.unread
    assert session.next_event() is None
    session.data_to_send()
    session.reply(DEFER)
    assert not session.waiting
    assert isinstance(session.next_event(), RecipientGiven)
    session.reply(REJECT)
    assert session.next_event() is None
    assert not session.unread
    assert session.data_to_send() == DEFER.to_wire() + REJECT.to_wire() + b"250 2.0.0 Ok\r\n"


def test_a_reply_that_nobody_waits_for_is_our_own_mistake(serve: Serve) -> None:
    with pytest.raises(LocalProtocolError):
        serve().session.reply(DEFER)


def test_a_late_reply_to_a_closed_session_is_dropped() -> None:
    session = ServerSession("mx", capabilities=Capabilities, limits=LENIENT)
    session.greet()
    session.receive_data(b"EHLO x\r\n" + MAIL + RCPT)
    while not session.waiting:
        session.next_event()
    session.data_to_send()
    session.close(Reply.of(421, "4.4.2", "time-out"))
    session.close(Reply.of(421, "4.4.2", "again"))
    session.reply(DEFER)
    assert session.data_to_send() == b"421 4.4.2 time-out\r\n"
    assert (session.closed, session.waiting, session.next_event()) == (True, False, None)


@pytest.mark.parametrize("kind", [RecipientGiven, DataRequested, MessageComplete])
def test_a_421_of_the_owner_ends_the_session(serve: Serve, kind: type) -> None:
    def rule(event: ServerEvent) -> Reply:
        if isinstance(event, kind):
            return Reply.of(421, "4.3.2", "bye")
        return answer(Reply.of(250, "", "ok"))(event)

    talk = serve(TO_DATA + b"x\r\n.\r\nNOOP\r\n", rule=rule)
    assert (talk.codes[-1], talk.session.closed) == (421, True)
    assert isinstance(talk.events[-1], kind)


def test_refused_data_does_not_open_the_data_phase(serve: Serve) -> None:
    def rule(event: ServerEvent) -> Reply:
        return DEFER if isinstance(event, DataRequested) else Reply.of(250, "", "ok")

    talk = serve(TO_DATA + b"RSET\r\n", rule=rule)
    assert talk.codes == [250, 250, 451, 250]
    assert not talk.session.in_data


def test_a_thousand_pipelined_commands_in_one_piece_are_answered_in_order(serve: Serve) -> None:
    limits = ServerLimits(max_idle_commands=2_000)
    talk = serve(b"NOOP\r\nVRFY x\r\n" * 500, limits=limits)
    assert talk.codes == [250, 252] * 500


def test_our_refusals_carry_the_tag(serve: Serve) -> None:
    talk = serve(b"JUNK\r\n", tag="k3f9")
    assert talk.session.tag == "k3f9"
    assert talk.wire.endswith(b" (k3f9)\r\n")


# --- the data phase -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "code", "enhanced"),
    [
        (b"a\nb\r\n", 550, b"5.6.0"),
        (b"a\rb\r\n", 550, b"5.6.0"),
        (b"a\0b\r\n", 550, b"5.6.0"),
        (b"x" * 70_000 + b"\r\n", 500, b"5.5.2"),
        (b"0123456\r\n" * 120_000, 552, b"5.3.4"),
    ],
)
def test_a_faulty_message_fails_at_once_and_is_answered_at_its_end(
    serve: Serve, body: bytes, code: int, enhanced: bytes
) -> None:
    talk = serve(TO_DATA, b"good\r\n" + body)
    failed = talk.events[-1]
    assert isinstance(failed, MessageFailed)
    assert failed.reply.code == code
    assert talk.codes == [250, 250, 354]
    assert talk.session.in_data
    talk.feed(b"rest\n\r\n", b".\r\n")
    assert talk.codes[3:] == [code]
    assert talk.wire.splitlines()[-1][4:9] == enhanced
    assert "MessageComplete" not in talk.kinds
    assert not talk.session.in_transaction


def test_after_a_message_that_is_too_large_the_session_goes_on(serve: Serve) -> None:
    talk = serve(TO_DATA, b"0123456\r\n" * 120_000 + b".\r\n" + MAIL)
    assert talk.codes[-2:] == [552, 250]


def test_the_size_that_was_offered_is_the_limit(serve: Serve) -> None:
    small = Capabilities(size=10, size_offered=True)
    assert serve(TO_DATA + b"12345678\r\n.\r\n", capabilities=small).codes[-1] == 250
    assert serve(TO_DATA + b"123456789\r\n.\r\n", capabilities=small).codes[-1] == 552
    own = ServerLimits(message_bytes=10)
    none = Capabilities()
    assert serve(TO_DATA + b"123456789\r\n.\r\n", capabilities=none, limits=own).codes[-1] == 552


def test_a_backend_that_refuses_early_lets_us_eat_the_rest(serve: Serve) -> None:
    talk = serve(TO_DATA, b"part\r\n")
    talk.session.discard_data()
    talk.rule = lambda _event: REJECT
    talk.feed(b"more\r\n", b"bare\nline\r\n.\r\n", b"NOOP\r\n")
    assert talk.data == b"part\r\n"
    assert talk.events[-1] == MessageComplete(23)
    assert talk.codes[3:] == [550, 250]


def test_outside_of_a_message_there_is_nothing_to_discard(serve: Serve) -> None:
    talk = serve(MAIL)
    talk.session.discard_data()
    assert talk.feed(RCPT + b"DATA\r\nkept\r\n.\r\n").data == b"kept\r\n"


def test_a_second_message_follows_the_first(serve: Serve) -> None:
    talk = serve((TO_DATA + b"one\r\n.\r\n") * 2)
    assert talk.codes == [250, 250, 354, 250] * 2
    assert not talk.session.in_transaction


# --- limits and ends ----------------------------------------------------------------------


def test_the_twentieth_error_ends_the_session(serve: Serve) -> None:
    talk = serve(b"JUNK\r\n" * 30)
    assert talk.codes == [500] * 20 + [421]
    assert talk.events == [SessionEnded(EndReason.ERRORS)]
    assert talk.session.closed


def test_recipients_that_do_not_exist_count_as_errors_and_deferred_ones_do_not(
    serve: Serve,
) -> None:
    talk = serve(MAIL + RCPT * 60, rule=answer(*[DEFER] * 30, *[REJECT] * 30))
    assert talk.codes == [250] + [451] * 30 + [550] * 20 + [421]
    assert talk.events[-1] == SessionEnded(EndReason.ERRORS)


def test_an_accepted_message_forgives_the_errors_before_it(serve: Serve) -> None:
    talk = serve(b"JUNK\r\n" * 19 + TO_DATA + b"x\r\n.\r\n")
    assert talk.session.errors == 0
    talk.feed(b"JUNK\r\n" * 19)
    assert (talk.session.errors, talk.session.closed) == (19, False)


def test_a_refused_message_forgives_nothing(serve: Serve) -> None:
    def rule(event: ServerEvent) -> Reply:
        return REJECT if isinstance(event, MessageComplete) else answer(DEFER)(event)

    talk = serve(b"JUNK\r\n" + MAIL + RCPT, rule=lambda _event: Reply.of(250, "", "ok"))
    talk.rule = rule
    assert talk.feed(b"DATA\r\nx\r\n.\r\n").codes[-1] == 550
    assert talk.session.errors == 1


def test_idle_commands_beyond_a_hundred_count_as_errors(serve: Serve) -> None:
    talk = serve(b"NOOP\r\n" * 50 + b"RSET\r\n" * 50)
    assert (talk.codes, talk.session.errors) == ([250] * 100, 0)
    talk.feed(b"NOOP\r\n" * 30)
    assert talk.codes[100:] == [250] * 20 + [421]


@pytest.mark.parametrize("verb", [b"GET", b"POST", b"CONNECT", b"put", b"HEAD", b"OPTIONS"])
def test_a_web_client_is_sent_away_at_once(serve: Serve, verb: bytes) -> None:
    talk = serve(verb + b" / HTTP/1.1\r\nHost: x\r\n\r\nMAIL FROM:<a@b>\r\n")
    assert talk.events == [SessionEnded(EndReason.ABUSE)]
    assert (talk.codes, talk.session.closed) == ([421], True)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"\x16\x03\x01\x02", 501),  # a TLS record, without any line end
        (b"\x16\x03\x01\r\n", 501),
        (b"BDAT 100\r\n", 502),
        (b"NO\0OP\r\n", 500),
        (b"x" * 2_048, 500),
        (b"NOOP " + b"x" * 2_042 + b"\r\n", 500),
    ],
)
def test_abuse_ends_the_session(serve: Serve, line: bytes, code: int) -> None:
    talk = serve(line + b"MAIL FROM:<a@b>\r\n")
    assert (talk.codes, talk.events) == ([code], [SessionEnded(EndReason.ABUSE)])


def test_a_tls_record_is_known_by_its_first_bytes(serve: Serve) -> None:
    talk = serve(b"\x16\x03")
    assert (talk.codes, talk.session.closed) == ([501], True)


def test_a_command_line_of_the_longest_length_is_obeyed(serve: Serve) -> None:
    assert serve(b"NOOP " + b"x" * 2_041 + b"\r\n").codes == [250]


def test_an_endless_command_is_not_collected(serve: Serve) -> None:
    talk = serve(*[b"x"] * 5_000)
    assert talk.codes == [500]
    assert talk.session.unread == b""


@pytest.mark.parametrize("line", [b"NOOP\n", b"\n", b"MAIL FROM:<a@b>\n"])
def test_a_line_with_lf_alone_is_answered_but_not_obeyed(serve: Serve, line: bytes) -> None:
    talk = serve(line, b"NOOP\r\n")
    assert (talk.codes, talk.events) == ([500, 250], [])


def test_the_end_of_input_comes_after_the_commands_before_it(serve: Serve) -> None:
    talk = serve()
    talk.session.receive_data(MAIL + b"RSET\r\nNOO")
    talk.end()
    assert talk.codes == [250, 250]
    assert talk.events[-1] == SessionEnded(EndReason.EOF, in_data=False)
    assert talk.end().kinds.count("SessionEnded") == 1


def test_an_owner_can_see_whether_another_event_follows_at_once(serve: Serve) -> None:
    session = serve(TO_DATA).session
    session.receive_data(b"x\r\n.\r\n")
    assert session.next_event() == DataReceived(b"x\r\n")
    assert session.has_event
    assert session.next_event() == MessageComplete(3)
    assert not session.has_event


def test_the_end_of_input_waits_for_a_reply() -> None:
    session = ServerSession("mx", capabilities=Capabilities, limits=LENIENT)
    session.greet()
    session.receive_data(b"EHLO x\r\n" + MAIL + RCPT)
    session.receive_eof()
    while not session.waiting:
        session.next_event()
    assert session.next_event() is None
    session.reply(DEFER)
    assert session.next_event() == SessionEnded(EndReason.EOF)


@pytest.mark.parametrize(
    "body", [b"", b"half a mess", b"bad\n", b"all\r\n", b"all\r\n.", b"\r\n.\r"]
)
def test_the_end_of_input_inside_a_message_loses_it(serve: Serve, body: bytes) -> None:
    talk = serve(TO_DATA, body).end()
    assert talk.events[-1] == SessionEnded(EndReason.EOF, in_data=True)
    assert "MessageComplete" not in talk.kinds


def test_the_end_of_input_behind_a_complete_message_does_not(serve: Serve) -> None:
    talk = serve(TO_DATA, b"all\r\n.\r\n").end()
    assert talk.events[-2:] == [MessageComplete(5), SessionEnded(EndReason.EOF)]
    assert talk.codes[-1] == 250
