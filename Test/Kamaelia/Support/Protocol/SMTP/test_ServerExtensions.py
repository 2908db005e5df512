"""STARTTLS, AUTH, XCLIENT and BDAT: off unless offered, and safe when they are on."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Exceptions import LocalProtocolError
from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities
from Kamaelia.Support.Protocol.SMTP.Events import (
    AuthRequested,
    AuthResponse,
    ClientDescribed,
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
    TLSRequested,
    TransactionReset,
)
from Kamaelia.Support.Protocol.SMTP.Replies import Reply
from Kamaelia.Support.Protocol.SMTP.ServerSession import ServerLimits, ServerSession

Rule = Callable[[ServerEvent], Reply]
Serve = Callable[..., Any]  # the fixture of conftest.py; gives a Talk
OFFER = Capabilities(
    size=1_000,
    size_offered=True,
    pipelining=True,
    starttls=True,
    auth=(b"PLAIN", b"LOGIN"),
    chunking=True,
    requiretls=True,
    xclient=frozenset([b"ADDR", b"NAME"]),
)
EHLO = b"EHLO client.example\r\n"
MAIL = b"MAIL FROM:<a@b>\r\n"
RCPT = b"RCPT TO:<c@d>\r\n"
DEFER = Reply.of(451, "4.7.1", "later")
REJECT = Reply.of(550, "5.1.1", "nobody")
OK = Reply.of(250, "2.0.0", "ok")
GO = Reply.of(354, "", "go ahead")
MORE = Reply.of(334, "", "VXNlcm5hbWU6")
DONE = Reply.of(235, "2.7.0", "welcome")
FAILED = Reply.of(535, "5.7.8", "no")


def answers(**replies: Reply | list[Reply]) -> Rule:
    """Answer events by the names of their classes; a list is used up from its beginning."""

    def rule(event: ServerEvent) -> Reply:
        reply = replies.get(type(event).__name__)
        if isinstance(reply, list):
            return reply.pop(0)
        return reply or (GO if isinstance(event, DataRequested) else OK)

    return rule


# --- STARTTLS -----------------------------------------------------------------------------


def test_starttls_forgets_all_that_was_said_in_plain_text(serve: Serve) -> None:
    talk = serve(b"JUNK\r\n", MAIL, b"starttls\r\n", capabilities=OFFER)
    session = talk.session
    assert talk.wire.endswith(b"220 2.0.0 Ready to start TLS\r\n")
    assert talk.events[-2:] == [TransactionReset(), TLSRequested()]
    assert (session.next_event(), session.waiting, session.closed) == (None, False, False)
    session.tls_started()
    assert (session.tls, session.hello_name, session.esmtp) == (True, b"", False)
    assert (session.in_transaction, session.errors) == (False, 1)
    talk.fresh()
    assert talk.feed(MAIL).codes == [503]
    talk.fresh()
    talk.feed(EHLO)
    assert b"STARTTLS" not in talk.wire
    assert b"250-AUTH PLAIN LOGIN\r\n" in talk.wire
    assert talk.feed(b"STARTTLS\r\n").codes == [250, 503]


def test_a_session_may_begin_under_tls(serve: Serve) -> None:
    talk = serve(EHLO, capabilities=OFFER, tls=True)
    assert talk.session.tls
    assert b"STARTTLS" not in talk.wire
    assert b"REQUIRETLS" in talk.wire


def test_starttls_that_is_not_offered_is_refused(serve: Serve) -> None:
    assert serve(b"STARTTLS\r\n").codes == [502]
    assert serve(b"STARTTLS\r\n", capabilities=OFFER, hello=b"").codes == [503]
    assert serve(b"STARTTLS now\r\n", capabilities=OFFER).codes == [501]


@pytest.mark.parametrize("strict", [True, False])
def test_a_command_behind_starttls_ends_the_session(serve: Serve, strict: bool) -> None:
    talk = serve(b"STARTTLS\r\n" + MAIL, capabilities=OFFER, strict=strict)
    assert talk.wire.startswith(b"554 5.5.0 ")
    assert talk.events == [SessionEnded(EndReason.ABUSE)]


@pytest.mark.parametrize("piece", [b"R", b"RSET\r\n", b"\x16\x03\x01"])
def test_what_is_fed_between_220_and_tls_is_never_a_command(serve: Serve, piece: bytes) -> None:
    talk = serve(b"STARTTLS\r\n", capabilities=OFFER)
    talk.fresh()
    talk.feed(b"", piece, EHLO)
    assert talk.events == [TLSRequested(), SessionEnded(EndReason.ABUSE)]
    assert talk.wire == b""
    talk.session.tls_started()  # a handshake that was done all the same
    assert talk.session.closed


def test_a_client_that_leaves_instead_of_a_handshake_has_ended(serve: Serve) -> None:
    talk = serve(b"STARTTLS\r\n", capabilities=OFFER).end()
    assert talk.events[-1] == SessionEnded(EndReason.EOF)


def test_tls_that_nobody_asked_for_is_our_own_mistake(serve: Serve) -> None:
    with pytest.raises(LocalProtocolError):
        serve(capabilities=OFFER).session.tls_started()


# --- AUTH ---------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def under_tls(serve: Serve) -> Serve:
    """Give `serve` for a client that may use AUTH; all that waits for a reply hears 250."""
    return partial(serve, capabilities=OFFER, tls=True, rule=answers())


def test_a_client_is_authenticated_by_what_its_owner_says(under_tls: Serve) -> None:
    rule = answers(AuthRequested=MORE, AuthResponse=[MORE, DONE])
    talk = under_tls(b"auth login\r\nYQ==\r\nYg==\r\n" + MAIL, rule=rule)
    assert talk.events[:3] == [
        AuthRequested(b"LOGIN", None),
        AuthResponse(b"YQ=="),
        AuthResponse(b"Yg=="),
    ]
    assert (talk.codes, talk.session.authenticated) == ([334, 334, 235, 250], True)
    assert talk.feed(b"RSET\r\nAUTH PLAIN AA==\r\n").codes[-1] == 503


@pytest.mark.parametrize(
    ("line", "initial"),
    [(b"AUTH PLAIN AGEAYg==", b"AGEAYg=="), (b"AUTH plain  =", b"="), (b"AUTH PLAIN", None)],
)
def test_an_initial_response_is_handed_on_as_it_came(
    under_tls: Serve, line: bytes, initial: bytes | None
) -> None:
    talk = under_tls(line + b"\r\n", rule=answers(AuthRequested=DONE))
    assert talk.events == [AuthRequested(b"PLAIN", initial)]


def test_a_long_initial_response_is_taken_and_an_endless_one_is_not(under_tls: Serve) -> None:
    token = b"A" * 8_000  # of OAuth, say; other commands end at 2,048 bytes
    rule = answers(AuthRequested=DONE)
    talk = under_tls(b"auth PLAIN " + token[:5_000], token[5_000:] + b"\r\n", rule=rule)
    assert (talk.codes, talk.events) == ([235], [AuthRequested(b"PLAIN", token)])
    endless = under_tls(b"AUTH PLAIN " + b"A" * 13_000)
    assert endless.codes == [500]
    assert endless.events == [SessionEnded(EndReason.ABUSE)]


def test_secrets_stand_in_no_repr() -> None:
    shown = repr([AuthRequested(b"PLAIN", b"c2VjcmV0"), AuthResponse(b"c2VjcmV0")])
    assert "c2VjcmV0" not in shown
    assert "PLAIN" in shown


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        (b"AUTH CRAM-MD5", b"504 5.5.4 "),
        (b"AUTH", b"504 5.5.4 "),
        (b"AUTH PLAIN a b", b"501 5.5.2 "),
        (b"AUTH PLAIN a*b", b"501 5.5.2 "),
        (b"AUTH PLAIN ===", b"501 5.5.2 "),
    ],
)
def test_auth_that_cannot_be_is_refused(under_tls: Serve, line: bytes, reply: bytes) -> None:
    talk = under_tls(line + b"\r\n")
    assert talk.wire.startswith(reply)
    assert talk.events == []


def test_auth_needs_tls_a_greeting_and_its_turn(serve: Serve, under_tls: Serve) -> None:
    line = b"AUTH PLAIN AA==\r\n"
    assert serve(line, capabilities=OFFER).wire.startswith(b"538 5.7.11 ")
    assert serve(line).codes == [502]
    assert under_tls(line, hello=b"").codes == [503]
    assert under_tls(MAIL + line).codes == [250, 503]


@pytest.mark.parametrize("line", [b"*", b"", b"YQ==", b"YQ"])
def test_a_response_is_base64_or_a_farewell(under_tls: Serve, line: bytes) -> None:
    rule = answers(AuthRequested=MORE, AuthResponse=FAILED)
    talk = under_tls(b"AUTH LOGIN\r\n", line + b"\r\n", b"NOOP\r\n", rule=rule)
    assert talk.events[-1] == AuthResponse(line)
    assert talk.codes == [334, 535, 250]


@pytest.mark.parametrize("line", [b"**", b"a b", b"YQ==\rx", b"\0", b"YQ\xff"])
def test_what_is_no_base64_becomes_a_farewell(under_tls: Serve, line: bytes) -> None:
    rule = answers(AuthRequested=MORE, AuthResponse=FAILED)
    talk = under_tls(b"AUTH LOGIN\r\n" + line + b"\r\n", rule=rule)
    assert talk.events[-1] == AuthResponse(b"*")
    talk = under_tls(b"AUTH LOGIN\r\nYQ==\n", rule=rule)
    assert talk.events[-1] == AuthResponse(b"*")


def test_an_endless_response_ends_the_session(under_tls: Serve) -> None:
    longest = b"A" * 12_286 + b"\r\n"
    rule = answers(AuthRequested=MORE, AuthResponse=MORE)
    talk = under_tls(b"AUTH LOGIN\r\n", longest, *[b"A" * 1_000] * 12, rule=rule)
    assert talk.events[-1] == AuthResponse(longest[:-2])
    talk.feed(b"A" * 288)
    assert talk.wire.splitlines()[-1].startswith(b"500 5.5.6 ")
    assert talk.events[-1] == SessionEnded(EndReason.ABUSE)


def test_three_failures_are_enough(under_tls: Serve) -> None:
    rule = answers(AuthRequested=FAILED)
    talk = under_tls(b"AUTH PLAIN AA==\r\n" * 5, rule=rule)
    assert talk.codes == [535, 535, 535, 421]
    assert talk.events[-1] == SessionEnded(EndReason.ERRORS)
    assert not talk.session.authenticated


def test_a_421_to_auth_ends_the_session(under_tls: Serve) -> None:
    rule = answers(AuthRequested=Reply.of(421, "4.3.0", "gone"))
    assert under_tls(b"AUTH PLAIN AA==\r\n", rule=rule).session.closed


# --- XCLIENT ------------------------------------------------------------------------------


def test_a_front_says_for_whom_it_speaks(serve: Serve) -> None:
    line = b"XCLIENT NAME=[UNAVAILABLE] ADDR=192.0.2.7\r\n"
    talk = serve(EHLO, line, capabilities=OFFER, xclient_allowed=True, hello=b"")
    assert b"XCLIENT ADDR NAME\r\n" in talk.wire
    assert talk.events[-1] == ClientDescribed({"NAME": None, "ADDR": "192.0.2.7"})
    assert talk.wire.endswith(b"\r\n220 mx.example.org ESMTP\r\n")
    assert (talk.session.hello_name, talk.session.esmtp) == (b"", False)
    talk.fresh()
    assert talk.feed(MAIL, EHLO, MAIL).codes == [503, 250, 250]


def test_a_front_may_say_it_in_several_commands(serve: Serve) -> None:
    talk = serve(capabilities=OFFER, xclient_allowed=True)
    lines = (b"XCLIENT NAME=a.example\r\n", b"XCLIENT PORT=25\r\n", b"XCLIENT ADDR=192.0.2.7\r\n")
    # The second is one that was not offered; and only a new EHLO offers all the rest again.
    assert talk.feed(*lines, MAIL, b"STARTTLS\r\n").codes == [220, 501, 220, 503, 503]
    assert talk.events[-2:] == [
        ClientDescribed({"NAME": "a.example"}),
        ClientDescribed({"ADDR": "192.0.2.7"}),
    ]
    talk.fresh()
    assert talk.feed(EHLO, MAIL, lines[2]).codes == [250, 250, 503]


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (b"XCLIENT ADDR=192.0.2.300\r\n", 501),
        (b"XCLIENT PORT=25\r\n", 501),  # one that was not named
        (b"XCLIENT\r\n", 501),
        (MAIL + b"XCLIENT ADDR=192.0.2.7\r\n", 503),
    ],
)
def test_a_description_that_is_wrong_changes_nothing(serve: Serve, lines: bytes, code: int) -> None:
    talk = serve(lines, capabilities=OFFER, xclient_allowed=True)
    assert talk.codes[-1] == code
    assert "ClientDescribed" not in talk.kinds
    assert talk.session.hello_name == b"client.example"


def test_what_turns_out_to_be_no_front_may_not_say_it() -> None:
    session = ServerSession("mx.example.org", capabilities=lambda: OFFER, xclient_allowed=True)
    session.forbid_xclient()
    session.greet()
    session.receive_data(EHLO)
    assert isinstance(session.next_event(), HelloReceived)
    session.receive_data(b"XCLIENT ADDR=192.0.2.1\r\n")
    assert session.next_event() is None
    wire = session.data_to_send()
    assert b"XCLIENT" not in wire
    assert b"\r\n550 5.7.0 " in wire


def test_strangers_may_not_describe_themselves(serve: Serve) -> None:
    line = b"XCLIENT ADDR=127.0.0.1\r\n"
    talk = serve(EHLO, line, capabilities=OFFER)
    assert b"XCLIENT" not in talk.wire
    assert talk.wire.splitlines()[-1].startswith(b"550 5.7.0 ")
    allowed = serve(line, capabilities=OFFER, xclient_allowed=True, hello=b"")
    assert allowed.codes == [503]
    assert serve(line, xclient_allowed=True).codes == [550]


# --- BDAT ---------------------------------------------------------------------------------


def chunk(data: bytes, *, last: bool = False) -> bytes:
    return b"BDAT %d%b\r\n%b" % (len(data), b" LAST" if last else b"", data)


def test_a_message_in_chunks_comes_as_data_would(serve: Serve) -> None:
    stream = chunk(b"Subject: x\r\n\r\n.do") + chunk(b"t") + chunk(b"\r\nend", last=True)
    talk = serve(MAIL + RCPT + stream + MAIL, capabilities=OFFER)
    assert talk.codes == [250, 250, 250, 250, 250, 250]
    assert b"\r\n250 2.0.0 17 octets received\r\n250 2.0.0 1 octets received\r\n" in talk.wire
    assert talk.data == b"Subject: x\r\n\r\n..dot\r\nend\r\n"
    assert talk.kinds.count("DataRequested") == 1
    assert talk.events[-2] == MessageComplete(26)
    assert isinstance(talk.events[-1], SenderGiven)


def test_an_empty_message_and_empty_chunks_are_messages(serve: Serve) -> None:
    talk = serve(MAIL + RCPT + chunk(b"", last=True), capabilities=OFFER)
    assert (talk.codes, talk.events[-1]) == ([250, 250, 250], MessageComplete(0))
    talk = serve(
        MAIL + RCPT + chunk(b"") + chunk(b"a\r\n") + chunk(b"", last=True), capabilities=OFFER
    )
    assert (talk.codes, talk.events[-1]) == ([250] * 5, MessageComplete(3))


def test_empty_chunks_without_end_are_idle_commands(serve: Serve) -> None:
    talk = serve(MAIL + RCPT + chunk(b"") * 200, capabilities=OFFER)
    assert talk.codes == [250] * 122 + [421]
    assert talk.events[-1] == SessionEnded(EndReason.ERRORS, in_data=True)


@pytest.mark.parametrize("line", [b"BDAT", b"BDAT x", b"BDAT -1", b"BDAT 1 FIRST"])
def test_a_chunk_of_unknown_length_ends_the_session(serve: Serve, line: bytes) -> None:
    talk = serve(MAIL + RCPT + line + b"\r\n" + MAIL, capabilities=OFFER)
    assert talk.codes == [250, 250, 501]
    assert talk.events[-1] == SessionEnded(EndReason.ABUSE)


def test_a_chunk_where_none_was_offered_ends_the_session(serve: Serve) -> None:
    talk = serve(MAIL + RCPT + chunk(b"RSET\r\n"))
    assert (talk.codes, talk.session.closed) == ([250, 250, 502], True)
    assert serve(chunk(b"x"), capabilities=OFFER, hello=b"").codes == [502]


@pytest.mark.parametrize(
    ("before", "rule", "code"),
    [
        (b"", answers(), 503),
        (MAIL, answers(), 503),
        (MAIL + RCPT, answers(RecipientGiven=REJECT), 554),
        (MAIL + RCPT, answers(RecipientGiven=DEFER), 451),
        (MAIL + RCPT, answers(DataRequested=DEFER), 451),
    ],
)
def test_chunks_that_nobody_wants_are_eaten(
    serve: Serve, before: bytes, rule: Rule, code: int
) -> None:
    evil = b"MAIL FROM:<evil@b>\r\n"
    stream = chunk(evil) + chunk(evil) + RCPT + b"DATA\r\n" + MAIL + chunk(evil, last=True)
    talk = serve(before + stream, capabilities=OFFER, rule=rule)
    assert talk.codes[before.count(b"\n") :] == [code, code, 503, 503, 503, code]
    assert talk.kinds.count("DataReceived") == talk.kinds.count("MessageFailed") == 0
    assert talk.events[-1] == TransactionReset()
    assert (talk.session.in_transaction, talk.session.in_data) == (False, False)
    talk.rule = answers()
    assert talk.feed(MAIL + RCPT + chunk(b"x", last=True)).codes[-1] == 250
    assert talk.data == b"x\r\n"


def test_a_421_to_the_first_chunk_ends_the_session(serve: Serve) -> None:
    rule = answers(DataRequested=Reply.of(421, "4.3.0", "gone"))
    talk = serve(MAIL + RCPT + chunk(b"x"), capabilities=OFFER, rule=rule)
    assert (talk.codes, talk.session.closed) == ([250, 250, 421], True)


def test_an_empty_chunk_that_is_refused_is_answered(serve: Serve) -> None:
    rule = answers(DataRequested=DEFER)
    talk = serve(MAIL + RCPT + chunk(b"", last=True), capabilities=OFFER, rule=rule)
    assert talk.codes == [250, 250, 451]


@pytest.mark.parametrize("line", [b"DATA\r\n", MAIL, RCPT, b"STARTTLS\r\n"])
def test_between_chunks_only_chunks_or_rset_are_in_order(serve: Serve, line: bytes) -> None:
    capabilities = replace(OFFER, starttls=False)
    talk = serve(MAIL + RCPT + chunk(b"a\r\n") + line, capabilities=capabilities)
    assert talk.codes[-1] == (502 if line == b"STARTTLS\r\n" else 503)
    assert talk.session.in_data
    assert talk.feed(chunk(b"b\r\n", last=True)).codes[-1] == 250
    assert talk.data == b"a\r\nb\r\n"


@pytest.mark.parametrize("line", [b"RSET\r\n", EHLO, b"STARTTLS\r\n"])
def test_a_message_that_is_taken_back_never_gets_its_dot(serve: Serve, line: bytes) -> None:
    talk = serve(MAIL + RCPT + chunk(b"a\r\n"), capabilities=OFFER)
    talk.feed(line)
    kinds = [kind for kind in talk.kinds if kind not in ("HelloReceived", "TLSRequested")]
    assert kinds[-3:] == ["DataReceived", "MessageFailed", "TransactionReset"]
    assert "MessageComplete" not in talk.kinds
    assert not talk.session.in_transaction


def test_a_client_that_leaves_between_chunks_loses_its_message(serve: Serve) -> None:
    for line in (b"QUIT\r\n", b""):
        talk = serve(MAIL + RCPT + chunk(b"a\r\n") + line, capabilities=OFFER).end()
        assert talk.events[-1].in_data
    talk = serve(MAIL + RCPT + b"BDAT 10 LAST\r\nabc", capabilities=OFFER).end()
    assert talk.events[-1] == SessionEnded(EndReason.EOF, in_data=True)


@pytest.mark.parametrize("bad", [b"a\nb", b"a\rb", b"a\0b"])
def test_smuggling_in_chunks_ends_the_session(serve: Serve, bad: bytes) -> None:
    talk = serve(MAIL + RCPT + chunk(b"good\r\n" + bad) + MAIL, capabilities=OFFER)
    assert talk.codes == [250, 250, 550]
    assert talk.data == b"good\r\n"
    assert [type(event) for event in talk.events[-2:]] == [MessageFailed, SessionEnded]


def test_a_bare_cr_at_the_very_end_is_one(serve: Serve) -> None:
    talk = serve(MAIL + RCPT + chunk(b"a\r", last=True), capabilities=OFFER)
    assert (talk.codes, "MessageComplete" in talk.kinds) == ([250, 250, 550], False)


@pytest.mark.parametrize("first", [b"", b"x" * 600 + b"\r\n"])
def test_a_message_that_is_too_large_is_refused_before_it_comes(serve: Serve, first: bytes) -> None:
    chunks = chunk(first) if first else b""
    talk = serve(MAIL + RCPT + chunks + b"BDAT 999\r\n" + b"y" * 999, capabilities=OFFER)
    expected = [250, 250, 250, 552] if first else [250, 250, 250]
    assert talk.codes == expected
    assert talk.kinds.count("MessageFailed") == bool(first)
    talk.feed(b"BDAT 99999999999999999999 LAST\r\n" + b"z" * 5_000)
    assert talk.codes == expected
    assert not talk.session.closed
    assert len(talk.session.unread) == 0


def test_nothing_of_a_chunk_that_is_too_large_is_waited_for(serve: Serve) -> None:
    talk = serve(MAIL + RCPT + b"BDAT 1001\r\n", capabilities=OFFER)
    assert "DataRequested" not in talk.kinds
    talk = serve(MAIL + RCPT + chunk(b"a\r\n") + b"BDAT 998\r\n", capabilities=OFFER)
    assert isinstance(talk.events[-1], MessageFailed)
    assert talk.events[-1].reply.code == 552


def test_a_backend_that_refuses_early_lets_us_eat_the_chunks(serve: Serve) -> None:
    talk = serve(MAIL + RCPT + chunk(b"a\r\n"), capabilities=OFFER)
    talk.session.discard_data()
    talk.rule = answers(MessageComplete=REJECT)
    talk.feed(chunk(b"b\nad"), chunk(b"c", last=True))
    assert talk.data == b"a\r\n"
    assert talk.codes[3:] == [250, 550]
    assert not talk.session.in_transaction


def test_recipients_beyond_the_offered_limit_are_to_come_back(serve: Serve) -> None:
    capabilities = replace(OFFER, limits=((b"RCPTMAX", 2),))
    talk = serve(MAIL + RCPT * 3, capabilities=capabilities)
    assert talk.codes == [250, 250, 250, 452]


# --- any stream, any slices ---------------------------------------------------------------

PIECES = [
    EHLO,
    MAIL,
    RCPT,
    b"RSET\r\n",
    b"DATA\r\n",
    b"AUTH PLAIN AA==\r\n",
    b"AUTH LOGIN\r\n",
    b"YQ==\r\n",
    b"STARTTLS\r\n",
    b"XCLIENT ADDR=192.0.2.7\r\n",
    chunk(b"text\r\n"),
    chunk(b".\r\n.\r"),
    chunk(b"\n.", last=True),
    chunk(b"RSET\r\n", last=True),
    chunk(b"", last=True),
    chunk(b"bad\n"),
    b"BDAT 4000\r\n",
    b".\r\n",
    b"MAIL FROM:<a@b> REQUIRETLS\r\n",
]
streams = st.lists(st.sampled_from(PIECES), max_size=14).map(b"".join)


def by_turns() -> Rule:
    """Answer AUTH and DATA in one way after the other."""
    count = iter(range(1_000_000))
    replies = {
        AuthRequested: (MORE, DONE, FAILED),
        AuthResponse: (FAILED, MORE, DONE),
        DataRequested: (GO, GO, DEFER),
        RecipientGiven: (OK, OK, OK, DEFER),
    }

    def rule(event: ServerEvent) -> Reply:
        choice = replies.get(type(event), (OK,))
        return choice[next(count) % len(choice)]

    return rule


@settings(max_examples=50)
@given(
    streams, st.lists(st.integers(0, 400), max_size=10), st.booleans(), st.booleans(), st.booleans()
)
def test_any_slices_of_a_stream_give_the_same_events_and_replies(
    serve: Serve, stream: bytes, cuts: list[int], tls: bool, front: bool, envelope: bool
) -> None:
    if tls:
        stream = stream.replace(b"STARTTLS\r\n", b"")  # what is behind it comes before its turn
    stream = (MAIL + RCPT if envelope else b"") + stream.partition(b"STARTTLS\r\n")[0]
    options = {"capabilities": OFFER, "tls": tls, "xclient_allowed": front}
    whole = serve(stream, rule=by_turns(), **options).end()
    sliced = serve(rule=by_turns(), **options)
    edges = sorted({0, *(cut for cut in cuts if cut < len(stream)), len(stream)})
    sliced.feed(*(stream[a:b] for a, b in pairwise(edges))).end()
    assert sliced.wire == whole.wire
    assert [e for e in sliced.story if not isinstance(e, bytes)] == [
        e for e in whole.story if not isinstance(e, bytes)
    ]
    for talk in (whole, sliced):
        assert b"\r\n.\r\n" not in talk.data
        assert not isinstance(talk.events[-1], HelloReceived | DataReceived)
        assert sum(isinstance(e, SessionEnded) for e in talk.events) == 1
    if "MessageFailed" not in whole.kinds:
        assert sliced.data == whole.data


def test_limits_of_a_session_may_be_set(under_tls: Serve) -> None:
    limits = ServerLimits(max_auth_failures=1)
    talk = under_tls(b"AUTH PLAIN AA==\r\n", rule=answers(AuthRequested=FAILED), limits=limits)
    assert talk.codes == [535, 421]
