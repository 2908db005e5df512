"""Before mail can be sent: TLS, telling the server who the client is, and both."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Kamaelia.Exceptions import LocalProtocolError
from Kamaelia.Support.Protocol.SMTP.Address import Path
from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities
from Kamaelia.Support.Protocol.SMTP.ClientGreeting import TLSPolicy
from Kamaelia.Support.Protocol.SMTP.ClientSession import ClientSession
from Kamaelia.Support.Protocol.SMTP.Events import (
    ClientEvent,
    FailReason,
    Ready,
    SessionFailed,
    TLSWanted,
)

A = Path(b"a@b", b"a", b"b")
BANNER = b"220 mx\r\n"
WITH_TLS = b"250-mx\r\n250-STARTTLS\r\n250-PIPELINING\r\n250 XCLIENT ADDR HELO NAME LOGIN\r\n"
WITH_XCLIENT = b"250-mx\r\n250 XCLIENT ADDR HELO NAME LOGIN\r\n"
WITHOUT = b"250-mx\r\n250 DSN\r\n"
CLIENT: dict[str, str | None] = {"ADDR": "192.0.2.7", "HELO": "client.example"}
TOLD = b"XCLIENT HELO=client.example ADDR=192.0.2.7\r\n"


def events(session: ClientSession, *slices: bytes) -> list[ClientEvent]:
    found = []
    for piece in slices:
        session.receive_data(piece)
        while (event := session.next_event()) is not None:
            found.append(event)
    return found


def failure(session: ClientSession, *slices: bytes) -> tuple[FailReason, bool]:
    """Return why the session failed, and whether the server's own reply says it."""
    event = events(session, *slices)[-1]
    assert isinstance(event, SessionFailed)
    assert (session.failed, session.closed, session.ready) == (True, True, False)
    assert (session.next_event(), session.data_to_send()) == (None, b"")
    return event.reason, event.reply is not None


# --- TLS ----------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", [TLSPolicy.MAY, TLSPolicy.REQUIRE])
def test_after_the_handshake_the_server_is_greeted_anew(policy: TLSPolicy) -> None:
    session = ClientSession("proxy", tls=policy)
    assert events(session, BANNER, WITH_TLS) == []
    assert session.data_to_send() == b"EHLO proxy\r\nSTARTTLS\r\n"
    assert events(session, b"220 go on\r\n") == [TLSWanted()]
    assert (session.data_to_send(), session.ready, session.encrypted) == (b"", False, False)
    with pytest.raises(LocalProtocolError):
        session.mail(A, {})
    session.tls_started()
    assert session.encrypted
    assert session.capabilities == Capabilities()  # what was said in plain text is forgotten
    assert session.data_to_send() == b"EHLO proxy\r\n"
    assert events(session, WITHOUT) == [Ready(Capabilities(dsn=True))]


def test_a_server_that_still_offers_tls_inside_tls_is_not_asked_again() -> None:
    session = ClientSession("proxy", tls=TLSPolicy.REQUIRE)
    events(session, BANNER, WITH_TLS, b"220 go on\r\n")
    session.tls_started()
    assert isinstance(events(session, WITH_TLS)[0], Ready)
    assert session.data_to_send().endswith(b"STARTTLS\r\nEHLO proxy\r\n")


def test_without_the_wish_tls_is_not_asked_for() -> None:
    session = ClientSession("proxy")
    assert isinstance(events(session, BANNER, WITH_TLS)[0], Ready)
    assert (session.data_to_send(), session.encrypted) == (b"EHLO proxy\r\n", False)


@pytest.mark.parametrize(
    "replies",
    [
        (BANNER, WITHOUT),
        (BANNER, WITH_TLS, b"454 4.7.0 not now\r\n"),
        (BANNER, WITH_TLS, b"502 5.5.1 no\r\n"),
        (BANNER, b"502 no EHLO\r\n", b"250 mx\r\n"),
    ],
)
def test_if_tls_may_be_a_refusal_leaves_plain_text(replies: tuple[bytes, ...]) -> None:
    session = ClientSession("proxy", tls=TLSPolicy.MAY)
    assert isinstance(events(session, *replies)[0], Ready)
    assert (session.ready, session.encrypted) == (True, False)
    session.mail(A, {})
    assert session.data_to_send().endswith(b"MAIL FROM:<a@b>\r\n")


@pytest.mark.parametrize(
    ("replies", "says_it"),
    [
        ((BANNER, WITHOUT), False),
        ((BANNER, b"502 no EHLO\r\n", b"250 mx\r\n"), False),
        ((BANNER, WITH_TLS, b"454 4.7.0 not now\r\n"), True),
        ((BANNER, WITH_TLS, b"421 4.7.0 not now\r\n"), True),
        ((BANNER, WITH_TLS, b"502 5.5.1 no\r\n"), True),
        ((BANNER, WITH_TLS, b"250 what\r\n"), True),
    ],
)
def test_if_tls_is_required_nothing_goes_without_it(
    replies: tuple[bytes, ...], says_it: bool
) -> None:
    assert failure(ClientSession("proxy", tls=TLSPolicy.REQUIRE), *replies) == (
        FailReason.TLS,
        says_it,
    )


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b"250 what\r\n", FailReason.SYNTAX),
        (b"334 what\r\n", FailReason.SYNTAX),
        (b"421 going down\r\n", FailReason.HELLO),
    ],
)
def test_answers_to_starttls_that_leave_nothing_to_say(reply: bytes, reason: FailReason) -> None:
    session = ClientSession("proxy", tls=TLSPolicy.MAY)
    assert failure(session, BANNER, WITH_TLS, reply) == (reason, True)


@pytest.mark.parametrize("policy", [TLSPolicy.MAY, TLSPolicy.REQUIRE])
@pytest.mark.parametrize("injected", [b"2", b"250 injected\r\n", b"250-mx\r\n250 DSN\r\n", b"\0"])
def test_plain_text_behind_the_220_fails_the_session(policy: TLSPolicy, injected: bytes) -> None:
    session = ClientSession("proxy", tls=policy)
    wire = b"220 go\r\n" + injected
    assert events(session, BANNER, WITH_TLS, wire) == [SessionFailed(FailReason.SYNTAX, None)]
    # In a read of its own it comes too late to be seen with the 220, but not too late.
    session = ClientSession("proxy", tls=policy)
    assert events(session, BANNER, WITH_TLS, b"220 go\r\n") == [TLSWanted()]
    session.data_to_send()
    session.receive_data(injected)
    session.tls_started()
    assert (session.encrypted, session.data_to_send()) == (False, b"")
    assert failure(session, b"") == (FailReason.SYNTAX, False)


def test_a_handshake_that_nobody_asked_for_is_our_own_mistake() -> None:
    session = ClientSession("proxy", tls=TLSPolicy.MAY)
    for reply in (BANNER, WITH_TLS):
        with pytest.raises(LocalProtocolError):
            session.tls_started()
        events(session, reply)
    with pytest.raises(LocalProtocolError):
        session.tls_started()


def test_a_connection_lost_in_the_handshake_is_lost() -> None:
    session = ClientSession("proxy", tls=TLSPolicy.MAY)
    events(session, BANNER, WITH_TLS, b"220 go\r\n")
    session.receive_eof()
    assert failure(session, b"") == (FailReason.LOST, False)


# --- XCLIENT ------------------------------------------------------------------------------


def test_the_server_is_told_who_the_client_is_and_greeted_in_its_name() -> None:
    session = ClientSession("proxy", description=CLIENT)
    assert events(session, BANNER, WITH_XCLIENT) == []
    assert session.data_to_send() == b"EHLO proxy\r\n" + TOLD
    assert events(session, b"220 mx ESMTP\r\n") == []
    assert session.data_to_send() == b"EHLO client.example\r\n"
    assert events(session, WITHOUT) == [Ready(Capabilities(dsn=True))]
    assert session.ready


@pytest.mark.parametrize("name", [None, "a b", "\u00e4.example", "x" * 256, "", "a;b"])
def test_a_name_that_ehlo_cannot_have_is_replaced_by_our_own(name: str | None) -> None:
    session = ClientSession("proxy", description=CLIENT | {"HELO": name})
    events(session, BANNER, WITH_XCLIENT, BANNER)
    assert session.data_to_send().endswith(b"\r\nEHLO proxy\r\n")


def test_long_descriptions_are_told_one_command_at_a_time() -> None:
    session = ClientSession("proxy", description=CLIENT | {"NAME": "n" * 255, "HELO": "h" * 255})
    events(session, BANNER, WITH_XCLIENT)
    first = session.data_to_send().split(b"\r\n")[1]
    assert b"NAME=" in first
    assert b"ADDR=" not in first
    assert events(session, BANNER) == []
    assert session.data_to_send() == b"XCLIENT HELO=" + b"h" * 255 + b" ADDR=192.0.2.7\r\n"
    assert events(session, BANNER) == []
    assert session.data_to_send() == b"EHLO " + b"h" * 255 + b"\r\n"


@pytest.mark.parametrize(
    ("replies", "reason", "says_it"),
    [
        ((WITHOUT,), FailReason.XCLIENT, False),
        ((b"250-mx\r\n250 XCLIENT NAME HELO\r\n",), FailReason.XCLIENT, False),
        ((b"502 no EHLO\r\n", b"250 mx\r\n"), FailReason.XCLIENT, False),
        ((WITH_XCLIENT, b"550 5.7.0 not you\r\n"), FailReason.XCLIENT, True),
        ((WITH_XCLIENT, b"421 4.3.2 not this client\r\n"), FailReason.XCLIENT, True),
        ((WITH_XCLIENT, b"554 5.7.1 not this client\r\n"), FailReason.XCLIENT, True),
        ((WITH_XCLIENT, b"250 what\r\n"), FailReason.SYNTAX, True),
        ((WITH_XCLIENT, BANNER, b"451 not now\r\n"), FailReason.HELLO, True),
    ],
)
def test_a_server_that_does_not_hear_of_the_client_gets_no_mail(
    replies: tuple[bytes, ...], reason: FailReason, says_it: bool
) -> None:
    session = ClientSession("proxy", description=CLIENT)
    assert failure(session, BANNER, *replies) == (reason, says_it)


@pytest.mark.parametrize("description", [{}, {"ADDR": "nowhere"}, {"X": "y"}])
def test_a_description_that_says_nothing_is_our_own_mistake(
    description: dict[str, str | None],
) -> None:
    with pytest.raises(LocalProtocolError):
        ClientSession("proxy", description=description)
    session = ClientSession("proxy")
    events(session, BANNER, WITH_XCLIENT)
    with pytest.raises(LocalProtocolError):
        session.describe(description)
    assert session.ready


def test_tls_comes_before_the_client_is_told() -> None:
    session = ClientSession("proxy", tls=TLSPolicy.REQUIRE, description=CLIENT)
    events(session, BANNER, WITH_TLS, b"220 go\r\n")
    assert session.data_to_send() == b"EHLO proxy\r\nSTARTTLS\r\n"
    session.tls_started()
    events(session, WITH_XCLIENT)
    assert session.data_to_send() == b"EHLO proxy\r\n" + TOLD
    events(session, BANNER)
    assert isinstance(events(session, WITH_TLS)[0], Ready)
    assert session.data_to_send() == b"EHLO client.example\r\n"


def test_tls_that_was_refused_is_not_asked_for_after_xclient() -> None:
    session = ClientSession("proxy", tls=TLSPolicy.MAY, description=CLIENT)
    events(session, BANNER, WITH_TLS, b"454 no\r\n", BANNER)
    assert isinstance(events(session, WITH_TLS)[0], Ready)
    assert session.data_to_send().count(b"STARTTLS") == 1


# --- the next client of a kept connection -------------------------------------------------


def test_a_session_that_is_ready_can_be_told_of_its_client_later() -> None:
    session = ClientSession("proxy")
    events(session, BANNER, WITH_XCLIENT)
    session.data_to_send()
    session.describe(CLIENT)
    assert (session.data_to_send(), session.ready, session.reusable) == (TOLD, False, False)
    with pytest.raises(LocalProtocolError):
        session.mail(A, {})
    with pytest.raises(LocalProtocolError):
        session.describe(CLIENT)
    assert isinstance(events(session, BANNER, WITH_XCLIENT)[0], Ready)
    assert session.data_to_send() == b"EHLO client.example\r\n"
    assert session.reusable


def test_what_was_said_of_the_last_client_is_taken_back() -> None:
    session = ClientSession("proxy", description=CLIENT | {"LOGIN": "anna"})
    events(session, BANNER, WITH_XCLIENT, BANNER, WITH_XCLIENT)
    session.data_to_send()
    session.describe({"ADDR": "192.0.2.8"})
    assert session.data_to_send() == (
        b"XCLIENT HELO=[UNAVAILABLE] LOGIN=[UNAVAILABLE] ADDR=192.0.2.8\r\n"
    )
    events(session, BANNER)
    assert session.data_to_send() == b"EHLO proxy\r\n"


def test_a_server_that_allows_one_description_makes_the_connection_useless_for_others() -> None:
    session = ClientSession("proxy", description=CLIENT)
    events(session, BANNER, WITH_XCLIENT, BANNER, WITHOUT)
    assert (session.ready, session.reusable) == (True, False)
    session.describe(CLIENT)
    assert session.closed
    assert failure(session, b"") == (FailReason.XCLIENT, False)


def test_a_client_cannot_be_told_inside_a_transaction() -> None:
    session = ClientSession("proxy")
    events(session, BANNER, WITH_XCLIENT)
    session.mail(A, {})
    for reply in (b"", b"250 ok\r\n"):
        events(session, reply)
        with pytest.raises(LocalProtocolError):
            session.describe(CLIENT)
    session.reset()
    events(session, b"250 ok\r\n")
    session.describe(CLIENT)
    assert session.data_to_send().endswith(TOLD)


# --- LMTP ---------------------------------------------------------------------------------


def test_lmtp_has_its_own_greeting_and_no_old_one() -> None:
    session = ClientSession("proxy", lmtp=True)
    assert isinstance(events(session, BANNER, WITHOUT)[0], Ready)
    assert session.data_to_send() == b"LHLO proxy\r\n"
    session = ClientSession("proxy", lmtp=True)
    assert failure(session, BANNER, b"500 no\r\n") == (FailReason.HELLO, True)


# --- any slices ---------------------------------------------------------------------------

REPLIES = [WITH_TLS, WITH_XCLIENT, WITHOUT, b"454 no\r\n", b"550-no\r\n550 no\r\n", b"421 bye\r\n"]


def greet(slices: list[bytes], tls: TLSPolicy) -> tuple[list[ClientEvent], bytes]:
    session, found, sent = ClientSession("proxy", tls=tls, description=CLIENT), [], b""
    for piece in slices:
        session.receive_data(piece)
        while (event := session.next_event()) is not None:
            found.append(event)
            sent += session.data_to_send()
            if event == TLSWanted():
                session.tls_started()
        sent += session.data_to_send()
    return found, sent


@given(
    st.lists(st.sampled_from([BANNER, *REPLIES]), max_size=6).map(lambda r: [BANNER, *r]),
    st.integers(1, 9),
    st.sampled_from(TLSPolicy),
)
def test_any_slices_of_the_replies_give_the_same_events_and_output(
    replies: list[bytes], size: int, tls: TLSPolicy
) -> None:
    # Each reply is sliced by itself: a server does not answer what it has not been asked.
    slices = [reply[i : i + size] for reply in replies for i in range(0, len(reply), size)]
    assert greet(slices, tls) == greet(replies, tls)
