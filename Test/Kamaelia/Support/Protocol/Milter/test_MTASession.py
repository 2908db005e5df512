"""The MTA's side: what it says is what was agreed on, and it holds a filter to that."""

from struct import pack

import pytest

from Kamaelia.Exceptions import LocalProtocolError
from Kamaelia.Support.Protocol.Milter.Commands import Header, Negotiate
from Kamaelia.Support.Protocol.Milter.FilterSession import FilterSession
from Kamaelia.Support.Protocol.Milter.MTASession import (
    FULL_OFFER,
    MTASession,
    Response,
    macro_packet,
)
from Kamaelia.Support.Protocol.Milter.Negotiation import Action, Stage, Step, Wishes
from Kamaelia.Support.Protocol.Milter.Packets import MilterProtocolError, packet
from Kamaelia.Support.Protocol.Milter.Responses import (
    CONTINUE,
    PROGRESS,
    SKIP,
    add_header,
    change_header,
    replace_body,
    reply,
)

ALL = Wishes(
    Action.ALL,
    headers=True,
    body=True,
    data=True,
    unknown=True,
    replies=b"CHMRTULNB",
    macros={Stage.MAIL: ("i", "auth_authen"), Stage.CONNECT: ("j",)},
)


def agreed(wishes: Wishes = ALL, offer: Negotiate = FULL_OFFER) -> MTASession:
    mta, session = MTASession(offer), FilterSession(wishes)
    session.receive_data(mta.negotiate())
    session.next_event()
    mta.receive_data(session.data_to_send())
    response = mta.next_response()
    assert response is not None
    assert (response.kind, response.final, mta.waiting) == (b"O", False, False)
    return mta


def hear(mta: MTASession, *wires: bytes) -> list[Response]:
    mta.receive_data(b"".join(wires))
    found = []
    while (response := mta.next_response()) is not None:
        found.append(response)
    return found


def test_commands_on_the_wire() -> None:
    mta = agreed()
    assert mta.connect("h", "192.0.2.7", 256) == packet(b"C", b"h\x004\1\x00192.0.2.7\0")
    assert mta.connect("h", "::1") == packet(b"C", b"h\x006\0\0::1\0")
    assert mta.connect("h") == packet(b"C", b"h\0U")
    assert mta.connect("h", "/run/x", family="L") == packet(b"C", b"h\0L\0\0/run/x\0")
    assert mta.helo("x", macros={}) == packet(b"D", b"H") + packet(b"H", b"x\0")
    assert mta.mail("<a@b>", "SIZE=5", macros={"i": "1", "mail_host": "b"}) == packet(
        b"D", b"Mi\x001\0{mail_host}\0b\0"
    ) + packet(b"M", b"<a@b>\0SIZE=5\0")
    assert mta.rcpt("<c@d>") == packet(b"R", b"<c@d>\0")
    assert mta.data() == packet(b"T")
    assert mta.unknown("FOO") == packet(b"U", b"FOO\0")
    assert mta.header(b"A", b"b\n c") == packet(b"L", b"A\0b\n c\0")
    assert mta.end_of_headers() == packet(b"N")
    assert mta.body(b"text") == packet(b"B", b"text")
    assert mta.end_of_message({"msg_id": "<1@x>"}) == macro_packet(
        b"E", {"msg_id": "<1@x>"}
    ) + packet(b"E")
    assert mta.abort() + mta.quit_new_connection() + mta.quit() == b"".join(
        map(packet, (b"A", b"K", b"Q"))
    )


def test_a_header_has_its_blank_if_that_was_agreed_on() -> None:
    header = Header(b"A", b"b", b"  ")
    assert agreed().tell(header) == packet(b"L", b"A\0b\0")
    exact = agreed(Wishes(headers=True, exact_headers=True))
    assert exact.tell(header) == exact.header("A", "  b") == packet(b"L", b"A\0  b\0")


def test_it_says_what_is_wanted_and_waits_where_an_answer_is_due() -> None:
    mta = agreed(Wishes(replies=b"R"))
    assert mta.header(b"A", b"b") == mta.body(b"x") == mta.data() == mta.unknown("x") == b""
    assert mta.connect("h", "192.0.2.7") != b""
    assert mta.mail("<a@b>") != b""
    assert not mta.waiting
    assert mta.rcpt("<c@d>") != b""
    assert mta.waiting
    assert hear(mta, PROGRESS) == [Response(b"p")]
    assert mta.waiting
    assert hear(mta, CONTINUE) == [Response(b"c")]
    assert not mta.waiting
    mta.abort()
    mta.quit()
    assert not mta.waiting


def test_the_lists_of_macros_are_known() -> None:
    assert agreed().macros == {Stage.CONNECT: ("j",), Stage.MAIL: ("i", "auth_authen")}


def test_edits_are_for_the_end_of_a_message_and_were_agreed_on() -> None:
    mta = agreed(Wishes(Action.CHANGE_HEADERS | Action.CHANGE_BODY, body=True, replies=b"R"))
    mta.rcpt("<c@d>")
    mta.receive_data(change_header(1, "A", "b"))
    with pytest.raises(MilterProtocolError, match="not allowed"):
        mta.next_response()
    mta = agreed(Wishes(Action.CHANGE_HEADERS | Action.CHANGE_BODY))
    mta.end_of_message()
    change, body, last = hear(mta, change_header(2, "A", "b"), *replace_body(b"x"), CONTINUE)
    assert (change.index, change.strings, change.final) == (2, (b"A", b"b"), False)
    assert (body.index, body.strings) == (0, (b"x",))
    assert last.final
    mta.end_of_message()
    mta.receive_data(add_header("A", "b"))
    with pytest.raises(MilterProtocolError, match="not allowed"):
        mta.next_response()


@pytest.mark.parametrize("kind", [b"i", b"m"])
def test_an_edit_of_a_header_says_which_one(kind: bytes) -> None:
    mta = agreed(Wishes(Action.CHANGE_HEADERS))
    mta.end_of_message()
    mta.receive_data(packet(kind, b"\0\0\1"))
    with pytest.raises(MilterProtocolError, match="which header"):
        mta.next_response()


def test_skip_is_for_bodies_only() -> None:
    mta = agreed()
    mta.body(b"x")
    assert hear(mta, SKIP) == [Response(b"s")]
    assert mta.skipping
    assert mta.body(b"y") == b""
    mta.mail("<a@b>")
    assert not mta.skipping
    mta.receive_data(SKIP)
    with pytest.raises(MilterProtocolError, match="SKIP"):
        mta.next_response()
    mta = agreed(offer=Negotiate(6, 0x1FF, 0))
    mta.body(b"x")
    mta.receive_data(SKIP)
    with pytest.raises(MilterProtocolError, match="SKIP"):
        mta.next_response()


def test_a_reply_is_what_the_client_hears() -> None:
    mta = agreed()
    mta.rcpt("<c@d>")
    (response,) = hear(mta, reply(451, "4.7.1", "100% later"))
    assert response.text == "451 4.7.1 100% later"
    mta.rcpt("<c@d>")
    (response,) = hear(mta, reply(451, "4.7.1", "word " * 300))
    first, second = response.text.split("\n")
    assert first.startswith("451-4.7.1 word")
    assert second.startswith("451 4.7.1 word")


@pytest.mark.parametrize(
    "payload",
    [
        *(b"451 x", b"250 ok\0", b"451 50%\0", b"451 a\nb\0", b"451-a\r\n550 b\0", b"451 a\r\n"),
        *(b"\0", b"", b"451 a\r\n451 b\0", b"45\0"),
    ],
)
def test_a_reply_that_no_mta_would_say_is_an_error(payload: bytes) -> None:
    mta = agreed()
    mta.rcpt("<c@d>")
    mta.receive_data(packet(b"y", payload))
    with pytest.raises(MilterProtocolError, match="no MTA"):
        mta.next_response()


@pytest.mark.parametrize("wire", [CONTINUE, PROGRESS, packet(b"O", bytes(12))])
def test_an_answer_to_nothing_is_an_error(wire: bytes) -> None:
    mta = agreed()
    mta.receive_data(wire)
    with pytest.raises(MilterProtocolError, match="answers nothing"):
        mta.next_response()


def test_a_response_that_nobody_knows_is_an_error() -> None:
    mta = agreed()
    mta.helo("x")
    mta.receive_data(packet(b"Z"))
    with pytest.raises(MilterProtocolError, match="unknown"):
        mta.next_response()


@pytest.mark.parametrize(
    "wire",
    [
        CONTINUE,
        packet(b"O", bytes(11)),
        packet(b"O", pack(">III", 7, 0, 0)),
        packet(b"O", pack(">III", 6, 0x200, 0)),
        packet(b"O", pack(">III", 6, 0, 1 << 28)),
        packet(b"O", pack(">IIII", 6, 0x100, 0, 2) + b"i"),
        packet(b"O", pack(">IIII", 6, 0x100, 0, 7) + b"i\0"),
        packet(b"O", pack(">IIII", 6, 0, 0, 2) + b"i\0"),
    ],
)
def test_a_wrong_answer_to_the_offer_is_an_error(wire: bytes) -> None:
    mta = MTASession()
    mta.negotiate()
    mta.receive_data(wire)
    with pytest.raises(MilterProtocolError):
        mta.next_response()


def test_mistakes_of_our_own() -> None:
    mta = MTASession()
    with pytest.raises(LocalProtocolError, match="negotiated"):
        mta.helo("x")
    mta = agreed()
    with pytest.raises(LocalProtocolError, match="NUL"):
        mta.helo("x\0y")
    with pytest.raises(LocalProtocolError, match="65535"):
        mta.body(bytes(65_536))
    assert mta.agreement is not None
    assert mta.agreement.protocol == Step.SKIP
