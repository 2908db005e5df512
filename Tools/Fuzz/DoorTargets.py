"""
Milter packets, policy requests and sync lines as targets
=========================================================
See Targets.py. Who speaks these is a mail server or a peer of ours; what they hand on is what
strangers have said to them.
"""

# ruff: noqa: S101 - a target asserts, as a test does

from __future__ import annotations

import contextlib
import re

from Target import Target, slices

from Kamaelia.Exceptions import LocalProtocolError
from Kamaelia.Support.Protocol.Milter.Commands import Command as MilterCommand
from Kamaelia.Support.Protocol.Milter.Commands import Connect, Header, Macros, decode, encode
from Kamaelia.Support.Protocol.Milter.FilterSession import FilterSession
from Kamaelia.Support.Protocol.Milter.MTASession import MTASession
from Kamaelia.Support.Protocol.Milter.Negotiation import Action, Stage, Step, Wishes
from Kamaelia.Support.Protocol.Milter.Packets import MilterProtocolError, PacketReader, packet
from Kamaelia.Support.Protocol.Milter.Responses import (
    CONTINUE,
    add_header,
    insert_header,
    quarantine,
    replace_body,
    reply,
)
from Kamaelia.Support.Protocol.MXSync.Commands import (
    LINE_BYTES,
    Add,
    Command,
    Delete,
    Flush,
    is_word,
    plain_address,
    read_command,
    to_line,
)
from Kamaelia.Support.Protocol.MXSync.SyncClient import (
    Established,
    Failed,
    Outcome,
    Sent,
    SyncClient,
)
from Kamaelia.Support.Protocol.MXSync.SyncServer import SyncServer
from Kamaelia.Support.Protocol.PostfixPolicy import (
    ACTION_CHARACTERS,
    PolicyParser,
    PolicyRequest,
    PolicySyntaxError,
    action,
    decoded_xtext,
)

_control = re.compile(rb"[\x00-\x1f\x7f]").search
_control_text = re.compile(r"[\x00-\x1f\x7f]").search
_clean_line = re.compile(rb"[ -~]*").fullmatch

# --- milter -------------------------------------------------------------------------------------

_LITTLE = Wishes(Action.ADD_HEADERS, replies=b"R")
_ALL = Wishes(
    Action.ALL,
    headers=True,
    body=True,
    data=True,
    unknown=True,
    replies=b"CHMRTLNBU",
    macros={Stage.RCPT: ("i", "rcpt_addr")},
    exact_headers=True,
)
_NAMES = ("i", "j", "auth_authen", "greylist", "")
_OFFER = b"O" + bytes.fromhex("00000006 000001ff 001fffff")
# Envelope and message of one mail, as packets without their length.
_MAIL = (
    b"DCj\0mx.example.org\0",
    b"Ca.example.net\0004\0\x19192.0.2.7\0",
    b"Ha.example.net\0",
    b"DMi\0004C1F\0{auth_authen}\0anna\0",
    b"M<a@example.net>\0SIZE=9\0",
    b"R<b@example.org>\0NOTIFY=NEVER\0",
    b"T",
    b"LSubject\0 50%\n off\0",
    b"N",
    b"Bhello\r\n",
    b"E",
)


def _stream(*packets: bytes) -> bytes:
    return b"".join(packet(each[:1], each[1:]) for each in (_OFFER, *packets))


def milter_session(data: bytes) -> None:
    """Bytes of an MTA; an odd first byte: of one that nobody answers."""
    answered = not (data[:1] or b"\0")[0] & 1
    for wishes in (_LITTLE, _ALL):
        whole = _events([data[1:]], wishes, answered=answered)
        assert _events(slices(data), wishes, answered=answered) == whole
        assert answered or whole[1].count(CONTINUE) == 0 or wishes is _LITTLE
    _packets_of_an_mta(data[1:])


def _events(
    pieces: list[bytes], wishes: Wishes, *, answered: bool
) -> tuple[list[MilterCommand], bytes, str]:
    session, found, said = FilterSession(wishes), list[MilterCommand](), b""
    trouble = ""
    try:
        for piece in pieces:
            session.receive_data(piece)
            while (event := session.next_event()) is not None:
                found.append(event)
                assert not session.macro("{no such}")
                for name in _NAMES:
                    session.macro(name)
                if isinstance(event, Connect):
                    assert not event.address or plain_address(event.address), event
                if session.waiting and answered:
                    session.answer(CONTINUE)
            said += session.data_to_send()
    except MilterProtocolError as error:
        trouble = str(error)
        said += session.data_to_send()
    assert trouble.isascii(), trouble
    assert trouble.isprintable(), trouble
    assert session.closed or not trouble
    reader = PacketReader()
    reader.receive_data(said)
    while (whole := reader.next_packet()) is not None:
        assert whole[0] in (b"O", b"c"), whole
    assert reader.unread == 0
    return found, said, trouble


def _packets_of_an_mta(data: bytes) -> None:
    """What can be read can be written, and is read as the same."""
    reader = PacketReader()
    reader.receive_data(data)
    with contextlib.suppress(MilterProtocolError):
        while (found := reader.next_packet()) is not None:
            for protocol in (0, int(Step.HEADER_LEADING_SPACE)):
                with contextlib.suppress(MilterProtocolError, LocalProtocolError):
                    event = decode(*found, protocol)
                    if isinstance(event, Header):
                        assert event.line.endswith(b"\r\n")
                        assert not re.search(rb"(?<!\r)\n", event.line), event
                    if not isinstance(event, Macros):  # whose names may be written otherwise
                        assert decode(*encode(event, protocol), protocol) == event


def milter_words(data: bytes) -> None:
    """What a filter says in words that strangers have chosen, read as an MTA reads it."""
    text = data.decode("utf-8", "backslashreplace")
    mta = _at_the_end_of_a_message()
    for wire in (add_header("X-A", text), insert_header(1, "X-B", data), quarantine(text)):
        mta.receive_data(wire)
    mta.receive_data(b"".join(replace_body(data)) + reply(451, "4.7.1", text))
    responses = list(iter(mta.next_response, None))
    assert responses[-1].kind == b"y"
    assert not mta.waiting  # and there was one reply
    assert not _control_text(responses[-1].text.replace("\n", "")), responses[-1]
    for response in responses[:2]:
        name, value = response.strings
        assert name in (b"X-A", b"X-B")
        assert b"\r" not in value
        assert not re.search(rb"\n(?![ \t])", value), value
    assert b"".join(each.payload for each in responses[3:-1]) == data


def _at_the_end_of_a_message() -> MTASession:
    mta, session = MTASession(), FilterSession(_ALL)
    session.receive_data(mta.negotiate())
    session.next_event()
    mta.receive_data(session.data_to_send())
    mta.next_response()
    mta.end_of_message()
    return mta


def milter_filter(data: bytes) -> None:
    """Bytes of a filter that an MTA's side asks."""
    mta = MTASession()
    mta.negotiate()
    with contextlib.suppress(MilterProtocolError):
        for piece in slices(data):
            mta.receive_data(piece)
            while (response := mta.next_response()) is not None:
                assert len(response.text) <= 4 * len(data)  # each odd byte becomes four letters
                assert response.index >= 0
                assert response.strings
                if not mta.waiting:
                    mta.end_of_message()


# --- Postfix ------------------------------------------------------------------------------------


def policy_request(data: bytes) -> None:
    """Requests one behind the other; values hold nothing that could be a line of its own."""
    whole = _requests([data[1:]])
    assert _requests(slices(data)) == whole
    for request in whole[0]:
        for name, value in request.attributes.items():
            assert not _control_text(name + value), request
            _is_one_answer(action(f"x {value}"))
            assert not _control_text(decoded_xtext(value))
        assert PolicyRequest.parse(request.to_wire()[:-2]) == request
    with contextlib.suppress(LocalProtocolError):
        _is_one_answer(action(data.decode("utf-8", "surrogateescape")))


def _requests(pieces: list[bytes]) -> tuple[list[PolicyRequest], str]:
    parser, found, trouble = PolicyParser(limit=500), list[PolicyRequest](), ""
    try:
        for piece in pieces:
            parser.receive_data(piece)
            while (request := parser.next_request()) is not None:
                found.append(request)
    except PolicySyntaxError as error:
        trouble = str(error)
    assert trouble.isascii(), trouble
    assert trouble.isprintable(), trouble
    assert not (trouble and len(parser))  # nobody will ever want it
    return found, trouble


def _is_one_answer(wire: bytes) -> None:
    assert wire.endswith(b"\n\n")
    assert not _control(wire[:-2]), wire
    assert len(wire) <= len(b"action=\n\n") + ACTION_CHARACTERS


# --- peers --------------------------------------------------------------------------------------


def sync_server(data: bytes) -> None:
    """Lines of a peer that calls."""
    commands, said, reason = _served([data[1:]])
    assert _served(slices(data)) == (commands, said, reason)
    assert reason.isprintable(), reason
    for line in said.split(b"\n"):
        assert _clean_line(line), line
        assert len(line) <= LINE_BYTES, line
    for command in commands:
        with contextlib.suppress(LocalProtocolError):
            line = to_line(command, 3) or b""
            assert line.endswith(b"\r\n")
            assert _clean_line(line[:-2]), line
            assert read_command(line.decode("ascii").split()) == command


def _served(pieces: list[bytes]) -> tuple[list[Command], bytes, str]:
    server, found = SyncServer(), list[Command]()
    server.greet()
    for piece in pieces:
        server.receive_data(piece)
        while (command := server.next_command()) is not None:
            found.append(command)
            server.applied(True)
    return found, server.data_to_send(), server.reason


def sync_client(data: bytes) -> None:
    """Answers of a peer that is called, between commands; what there is of words goes to it."""
    words = [word.decode("latin-1") for word in data.split()[:2]]
    sender, recipient = words if len(words) == 2 else ("<a@b>", "<c@d>")
    news: list[Command] = [
        Add("192.0.2.1", sender, recipient, 5),
        Delete("2001:db8::1", recipient, sender, 5, 9),
        Flush("192.0.2.1"),
    ]
    client, given, outcomes = SyncClient(), list[Command](), list[Outcome]()
    lines = data[1:].splitlines(keepends=True)  # it speaks when asked, unless a slice says more
    for piece in slices(data) if data[:1] > b"\0" else lines:
        client.receive_data(piece)
        while news and client.offer(news[0]):
            given.append(news.pop(0))
        for line in client.data_to_send().splitlines(keepends=True):
            assert _clean_line(line.rstrip(b"\r\n")), line
            assert len(line) <= LINE_BYTES, line
            assert line.split()[0] in (b"vers3", b"vers2", b"add", b"del", b"del2", b"flush"), line
        outcomes += list(iter(client.next_outcome, None))
    client.fail("the end")
    outcomes += list(iter(client.next_outcome, None))
    told = [each.command for each in outcomes if not isinstance(each, Established)]
    assert [each for each in told if each is not None] == given
    assert sum(isinstance(each, Failed) for each in outcomes) == 1
    assert is_word(sender) or not any(isinstance(each, Add) for each in _sent(outcomes))


def _sent(outcomes: list[Outcome]) -> list[Command]:
    return [each.command for each in outcomes if isinstance(each, Sent)]


# --- where to begin -----------------------------------------------------------------------------

_PARTS = tuple(packet(each[:1], each[1:]) for each in _MAIL)
_REQUEST = (
    b"request=smtpd_access_policy\nprotocol_state=RCPT\nclient_address=192.0.2.7\n"
    b"sender=a@example.net\nrecipient=b@example.org\nccert_subject=Anna+20M\n\n"
)
_ADD = b"add addr 192.0.2.30 from <s@example.org> rcpt <r@example.net> date 1795290020\r\n"
_AGREED = b"O" + bytes.fromhex("00000006 00000001 00000000")

TARGETS: dict[str, Target] = {
    "milter_session": Target(
        milter_session,
        (
            b"\0" + _stream(*_MAIL),
            b"\2" + _stream(*_MAIL, b"A", b"K", *_MAIL[1:], b"Q"),
            b"\1" + _stream(*_MAIL[:6], b"A", *_MAIL[3:6], b"H\xff\0", b"Q"),
            b"\0" + packet(b"O", bytes.fromhex("00000002 0000001f 0000007f")) + b"".join(_PARTS),
        ),
        (*_PARTS, packet(b"A"), packet(b"Q"), packet(b"K"), b"\0\0\0\0", b"\0\0\0\1"),
    ),
    "milter_words": Target(
        milter_words,
        (b"50% off", b"folded\r\n  line\n\nX-Evil: yes", b"%" * 990, "ü".encode() * 600),
        (b"%", b"\r\n", b"\n ", b"\0", b" " * 100, b"\xc3"),
    ),
    "milter_filter": Target(
        milter_filter,
        (
            b"\0" + packet(_AGREED[:1], _AGREED[1:]) + packet(b"h", b"X-A\0b\0") + CONTINUE,
            b"\3" + packet(_AGREED[:1], _AGREED[1:]) + reply(451, "4.7.1", "later") + packet(b"p"),
        ),
        (CONTINUE, packet(b"y", b"451 4.7.1 later\0"), packet(b"i", b"\0\0\0\1A\0b\0")),
    ),
    "policy_request": Target(
        policy_request,
        (b"\0" + _REQUEST, b"\1" + _REQUEST * 2, b"\7request=smtpd_access_policy\nsender=\n\n"),
        (b"\n", b"\n\n", b"=", b"request=smtpd_access_policy\n", b"sender=", b"+20", b"\r"),
    ),
    "sync_server": Target(
        sync_server,
        (
            b"\0vers3\n" + _ADD + b"flush addr ::ffff:192.0.2.1\nhelp\nquit\n",
            b"\2vers2\r\ndel2 addr 2001:DB8::1 from <> rcpt <a@b> date 5 aw 9\r\n" + _ADD,
            b"\1del addr 192.0.2.1 from <a@b> rcpt <c@d> date 5\n",
        ),
        (b"\n", b"\r\n", b" ", b"\t", b"addr ", b"flush addr ", b"date ", b" aw 4294967296", _ADD),
    ),
    "sync_client": Target(
        sync_client,
        (
            b"\x00200 Yeah\n803 yes\n201 ok\n201 ok\n201 ok\n",
            b"\x07200 a\n102 no\n802 yes\n201 ok\n104 no\n",
            b"\x07200 a\n102 no\n102 no\n201 ok\n105 no more\n",
        ),
        (b"200 \n", b"803 \n", b"802 \n", b"201 \n", b"104 \n", b"\n", b"<a@b>"),
    ),
}
