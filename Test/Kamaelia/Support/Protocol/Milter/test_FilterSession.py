"""The filter's side: states, answers, macros, and what real MTAs do."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Exceptions import LocalProtocolError
from Kamaelia.Support.Protocol.Milter.Commands import (
    Abort,
    BodyChunk,
    Command,
    Connect,
    DataCommand,
    EndOfHeaders,
    EndOfMessage,
    Header,
    Helo,
    MailFrom,
    Negotiate,
    Quit,
    QuitNewConnection,
    Recipient,
    UnknownCommand,
)
from Kamaelia.Support.Protocol.Milter.FilterSession import (
    MACRO_BYTES,
    UNREAD_BYTES,
    FilterSession,
)
from Kamaelia.Support.Protocol.Milter.MTASession import FULL_OFFER, MTASession, macro_packet
from Kamaelia.Support.Protocol.Milter.Negotiation import Action, Wishes
from Kamaelia.Support.Protocol.Milter.Packets import MilterProtocolError, packet
from Kamaelia.Support.Protocol.Milter.Responses import (
    CONTINUE,
    PROGRESS,
    TEMPFAIL,
    add_header,
    reply,
)

GREYLISTER = Wishes(Action.ADD_HEADERS, replies=b"R")
NOSY = Wishes(Action.ALL, headers=True, body=True, data=True, unknown=True, replies=b"B")
# Sends all, waits for all: what Postfix with milter_protocol 2 would, and some.
OLD = Negotiate(2, 0x1FF, 0)
CONNECT = packet(b"C", b"mx.example.net\x004\x01\x00192.0.2.7\0")
MAIL, RCPT = packet(b"M", b"<a@b>\0"), packet(b"R", b"<c@d>\0")
DATA, END, ABORT, QUIT = packet(b"T"), packet(b"E"), packet(b"A"), packet(b"Q")
HELO, HEADER, BODY = packet(b"H", b"x\0"), packet(b"L", b"A\0b\0"), packet(b"B", b"text\r\n")
CLIENT = Connect("mx.example.net", "4", 256, "192.0.2.7")
NC = packet(b"K")


class Talk:
    """A session that has negotiated, and what it has said since."""

    def __init__(self, wishes: Wishes = GREYLISTER, offer: Negotiate = FULL_OFFER) -> None:
        self.session = FilterSession(wishes)
        self.mta = MTASession(offer)
        self.session.receive_data(self.mta.negotiate())
        assert self.session.next_event() is None
        self.mta.receive_data(self.session.data_to_send())
        assert self.mta.next_response() is not None

    def hear(self, *wires: bytes) -> list[Command]:
        """All events that come without an answer."""
        self.session.receive_data(b"".join(wires))
        found = []
        while (event := self.session.next_event()) is not None:
            found.append(event)
        return found

    def said(self) -> bytes:
        return self.session.data_to_send()


def test_it_negotiates_by_itself_and_waits_only_where_it_wishes_to() -> None:
    talk = Talk()
    assert talk.session.agreement is not None
    assert talk.mta.agreement is not None
    assert talk.session.agreement.actions == talk.mta.agreement.actions == Action.ADD_HEADERS
    assert talk.hear(CONNECT, HELO, MAIL, RCPT) == [
        CLIENT,
        Helo("x"),
        MailFrom("<a@b>"),
        Recipient("<c@d>"),
    ]
    assert talk.session.waiting
    assert talk.said() == b""  # nothing was to be answered before
    talk.session.answer(CONTINUE)
    assert not talk.session.waiting
    assert talk.said() == CONTINUE
    assert talk.hear(END) == [EndOfMessage()]
    talk.session.answer(add_header("A", "b") + CONTINUE)
    assert talk.said() == add_header("A", "b") + CONTINUE
    assert talk.hear(QUIT) == [Quit()]
    assert talk.session.closed


def test_an_mta_that_waits_for_all_gets_all_its_answers() -> None:
    talk = Talk(offer=OLD)
    wires = [CONNECT, HELO, packet(b"U", b"FOO\0"), MAIL]
    assert talk.hear(*wires) == [CLIENT, Helo("x"), MailFrom("<a@b>")]
    assert talk.said() == 4 * CONTINUE
    assert talk.hear(RCPT) == [Recipient("<c@d>")]
    assert talk.said() == b""
    talk.session.answer(CONTINUE)
    # What was not wished for, but comes, is passed over.
    assert talk.hear(DATA, HEADER, packet(b"N"), BODY, BODY, END) == [EndOfMessage()]
    assert talk.said() == 6 * CONTINUE
    assert talk.session.waiting


def test_all_that_there_is() -> None:
    talk = Talk(NOSY)
    wires = [CONNECT, packet(b"U", b"FOO\0"), MAIL, RCPT, DATA, HEADER, packet(b"N"), BODY]
    assert talk.hear(*wires) == [
        *(CLIENT, UnknownCommand("FOO"), MailFrom("<a@b>"), Recipient("<c@d>"), DataCommand()),
        *(Header(b"A", b"b"), EndOfHeaders(), BodyChunk(b"text\r\n")),
    ]
    talk.session.answer(CONTINUE)
    assert talk.hear(END) == [EndOfMessage()]
    talk.session.answer(TEMPFAIL)
    assert talk.hear(packet(b"A"), MAIL) == [Abort(), MailFrom("<a@b>")]
    assert talk.said() == CONTINUE + TEMPFAIL


def test_while_one_waits_no_other_event_is_given() -> None:
    talk = Talk()
    assert talk.hear(CONNECT, MAIL, RCPT, RCPT) == [
        CLIENT,
        MailFrom("<a@b>"),
        Recipient("<c@d>"),
    ]
    assert talk.session.next_event() is None
    talk.session.answer(reply(451, "4.7.1", "later"))
    assert talk.session.next_event() == Recipient("<c@d>")


@pytest.mark.parametrize(("wire", "event"), [(ABORT, Abort()), (NC, QuitNewConnection())])
def test_when_nobody_waits_any_more_the_waiting_ends(wire: bytes, event: Command) -> None:
    for last in (RCPT, END):
        talk = Talk()
        talk.hear(CONNECT, MAIL, macro_packet(b"R", {"i": "1"}), last)
        assert talk.session.waiting
        assert talk.session.in_message
        assert talk.hear(wire) == [event]
        assert (talk.session.waiting, talk.session.in_message) == (False, False)
        assert talk.session.macro("i") == ""
        with pytest.raises(LocalProtocolError):
            talk.session.answer(CONTINUE)
        assert talk.said() == b""


def test_quit_and_the_end_of_the_stream_end_the_waiting_too() -> None:
    talk = Talk()
    talk.hear(CONNECT, MAIL, RCPT)
    assert talk.hear(QUIT) == [Quit()]
    assert (talk.session.waiting, talk.session.closed) == (False, True)
    talk = Talk()
    talk.hear(CONNECT, MAIL, RCPT)
    talk.session.receive_eof()
    assert talk.session.next_event() == Quit()
    assert (talk.session.waiting, talk.session.closed) == (False, True)
    assert talk.hear(QUIT) == []


def test_the_end_of_the_stream_comes_behind_what_came() -> None:
    talk = Talk()
    talk.session.receive_eof()
    assert talk.hear(CONNECT, MAIL) == [CLIENT, MailFrom("<a@b>"), Quit()]


def test_an_answer_to_nothing_is_our_mistake() -> None:
    talk = Talk()
    talk.hear(CONNECT)
    with pytest.raises(LocalProtocolError):
        talk.session.answer(CONTINUE)
    talk.hear(MAIL, RCPT)
    with pytest.raises(LocalProtocolError):
        talk.session.answer(b"")
    talk.session.answer(CONTINUE)
    with pytest.raises(LocalProtocolError):
        talk.session.answer(CONTINUE)


def test_progress_is_said_only_while_an_answer_is_due() -> None:
    talk = Talk()
    talk.hear(CONNECT, MAIL)
    talk.session.progress()
    assert talk.said() == b""
    talk.hear(RCPT)
    talk.session.progress()
    talk.session.progress()
    talk.session.answer(CONTINUE)
    assert talk.said() == PROGRESS + PROGRESS + CONTINUE
    assert talk.said() == b""


# ---- messages and sessions on one connection


def test_two_messages_and_two_sessions_on_one_connection() -> None:
    talk = Talk()
    talk.hear(CONNECT, HELO, MAIL, RCPT)
    talk.session.answer(CONTINUE)
    talk.hear(END)
    talk.session.answer(CONTINUE)
    assert not talk.session.in_message
    # Postfix says it after every message, and often twice.
    assert talk.hear(ABORT, ABORT, MAIL) == [Abort(), Abort(), MailFrom("<a@b>")]
    assert talk.hear(ABORT, NC, CONNECT, MAIL) == [
        *(Abort(), QuitNewConnection(), CLIENT, MailFrom("<a@b>")),
    ]


def test_a_refused_sender_or_data_may_be_followed_by_another() -> None:
    talk = Talk(Wishes(data=True, replies=b"MT"))
    for wire in (MAIL, MAIL):
        talk.hear(CONNECT if wire is MAIL and not talk.session.in_message else b"", wire)
        talk.session.answer(TEMPFAIL)
    talk.hear(RCPT, DATA)
    talk.session.answer(TEMPFAIL)
    assert talk.hear(RCPT, DATA) == [Recipient("<c@d>"), DataCommand()]


@pytest.mark.parametrize(
    "wires",
    [
        [HELO],
        [MAIL],
        [CONNECT, CONNECT],
        [CONNECT, RCPT],
        [CONNECT, HELO, DATA],
        [CONNECT, HELO, BODY],
        [CONNECT, HELO, HEADER],
        [CONNECT, HELO, END],
        [CONNECT, MAIL, ABORT, RCPT],
        [CONNECT, MAIL, HEADER, RCPT],
        [CONNECT, MAIL, BODY, DATA],
        [CONNECT, MAIL, HELO, RCPT],
        [CONNECT, NC, MAIL],
        [packet(b"O", b"\0" * 12)],
        [packet(b"Z")],
        [b"\0\0\0\0"],
        [packet(b"D", b"M" + b"x" * MACRO_BYTES)],
    ],
)
def test_an_order_without_sense_closes_the_session(wires: list[bytes]) -> None:
    talk = Talk(offer=OLD)
    with pytest.raises(MilterProtocolError):
        talk.hear(*wires)
    assert talk.session.closed
    assert not talk.session.waiting
    assert talk.hear(QUIT) == []


def test_before_the_negotiation_there_is_nothing_but_its_end() -> None:
    for wire in (CONNECT, MAIL, packet(b"O", b"\0\0\0\1" + 8 * b"\0")):
        session = FilterSession(GREYLISTER)
        session.receive_data(wire)
        with pytest.raises(MilterProtocolError):
            session.next_event()
    session = FilterSession(GREYLISTER)
    session.receive_data(macro_packet(b"C", {}) + ABORT + NC + QUIT)
    assert [session.next_event() for _ in range(4)] == [
        *(Abort(), QuitNewConnection(), Quit(), None),
    ]


def test_what_comes_while_an_event_waits_is_limited() -> None:
    talk = Talk()
    talk.hear(CONNECT, MAIL, RCPT)
    talk.session.receive_data(bytes(UNREAD_BYTES))
    assert talk.session.unread == UNREAD_BYTES
    with pytest.raises(MilterProtocolError):
        talk.session.receive_data(b"x")
    assert talk.session.closed


# ---- macros


def test_macros_hold_as_long_as_what_they_belong_to() -> None:
    talk = Talk()
    talk.hear(
        *(macro_packet(b"C", {"j": "mx.example.org"}), CONNECT),
        *(macro_packet(b"H", {"tls_version": "TLSv1.3"}), HELO),
        *(macro_packet(b"M", {"i": "1A", "auth_authen": "bob"}), MAIL),
        *(macro_packet(b"R", {"rcpt_addr": "c@d", "rcpt_host": "d"}), RCPT),
    )
    macro = talk.session.macro
    assert [macro(name) for name in ("j", "tls_version", "i", "auth_authen", "rcpt_host")] == [
        *("mx.example.org", "TLSv1.3", "1A", "bob", "d"),
    ]
    assert macro("nothing") == ""
    talk.session.answer(CONTINUE)
    # The next packet of a stage replaces all of the one before; the latest stage is right.
    talk.hear(macro_packet(b"R", {"rcpt_addr": "e@f", "i": "2B"}), RCPT)
    assert [macro(name) for name in ("rcpt_addr", "rcpt_host", "i")] == ["e@f", "", "2B"]
    talk.session.answer(CONTINUE)
    talk.hear(macro_packet(b"E", {"msg_id": "<1@x>"}), END)
    assert macro("msg_id") == "<1@x>"
    talk.session.answer(CONTINUE)
    assert [macro(name) for name in ("msg_id", "rcpt_addr", "i", "auth_authen")] == [""] * 4
    assert (macro("j"), macro("tls_version")) == ("mx.example.org", "TLSv1.3")


def test_the_macros_of_a_message_end_with_it_however_it_ends() -> None:
    for ending in ([ABORT], [HELO]):
        talk = Talk()
        talk.hear(CONNECT, macro_packet(b"M", {"i": "1A"}), MAIL, *ending)
        assert talk.session.macro("i") == ""


def test_a_second_sender_without_an_end_of_the_first_keeps_its_own() -> None:
    talk = Talk()
    talk.hear(CONNECT, macro_packet(b"M", {"i": "1"}), MAIL, macro_packet(b"R", {"r": "1"}), RCPT)
    talk.session.answer(CONTINUE)
    talk.hear(macro_packet(b"M", {"i": "2"}), MAIL)
    assert (talk.session.macro("i"), talk.session.macro("r")) == ("2", "")


def test_another_session_begins_without_macros() -> None:
    talk = Talk()
    talk.hear(macro_packet(b"C", {"j": "mx"}), CONNECT, NC, macro_packet(b"C", {"v": "8"}), CONNECT)
    assert (talk.session.macro("j"), talk.session.macro("v")) == ("", "8")


def test_a_value_never_passes_for_a_name() -> None:
    talk = Talk()
    # A stranger's sender looks like a macro, and what follows like its value.
    said = packet(b"D", b"M{mail_addr}\0{auth_authen}\0{mail_host}\0x\0")
    talk.hear(CONNECT, said, MAIL)
    assert talk.session.macro("auth_authen") == ""
    assert talk.session.macro("mail_addr") == "{auth_authen}"


def test_macros_of_no_stage_are_let_go() -> None:
    talk = Talk()
    talk.hear(packet(b"D", b"Zj\0mx\0"), packet(b"D"), macro_packet(b"H", {}), CONNECT)
    assert talk.session.macro("j") == ""


# ---- any bytes


WIRE = b"".join(
    [
        *(MTASession().negotiate(), macro_packet(b"C", {"j": "mx"}), CONNECT, HELO),
        *(macro_packet(b"M", {"i": "1A"}), MAIL, RCPT, ABORT, macro_packet(b"M", {}), MAIL, RCPT),
        *(RCPT, DATA, HEADER, packet(b"N"), BODY, BODY, END, ABORT, NC, CONNECT, MAIL, QUIT),
    ]
)


def play(session: FilterSession, slices: list[bytes]) -> list[object]:
    """Every event and what is known at it; answers as soon as they are wanted."""
    found: list[object] = []
    for data in slices:
        session.receive_data(data)
        while (event := session.next_event()) is not None:
            found.append((event, session.macro("j"), session.macro("i")))
            if session.waiting:
                session.answer(CONTINUE)
    return found


@settings(max_examples=50, deadline=None)
@given(cuts=st.lists(st.integers(0, len(WIRE)), max_size=30), wishes=st.sampled_from([0, 1]))
def test_events_are_the_same_in_any_slicing(cuts: list[int], wishes: int) -> None:
    wished = (GREYLISTER, NOSY)[wishes]
    places = [0, *sorted(cuts), len(WIRE)]
    whole, sliced = FilterSession(wished), FilterSession(wished)
    slices = [WIRE[begin:end] for begin, end in pairwise(places)]
    assert play(sliced, slices) == play(whole, [WIRE])
    assert sliced.data_to_send() == whole.data_to_send()
    assert sliced.closed


@settings(max_examples=50, deadline=None)
@given(
    packets=st.lists(
        st.tuples(st.sampled_from([*"ODCHMRTULNBEAQKz"]), st.binary(max_size=30)), max_size=12
    ),
    rubbish=st.binary(max_size=20),
    begin=st.integers(0, 4),
)
def test_no_bytes_raise_anything_else(
    packets: list[tuple[str, bytes]], rubbish: bytes, begin: int
) -> None:
    session = FilterSession(NOSY)
    start = [MTASession().negotiate(), CONNECT, MAIL, RCPT][:begin]
    wire = b"".join(start) + b"".join(packet(c.encode(), data) for c, data in packets) + rubbish
    try:
        play(session, [wire])
    except MilterProtocolError:
        assert session.closed
        assert not session.waiting
