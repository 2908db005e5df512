"""Clients that do not listen: they speak before their turn, or send their message as commands."""

from collections.abc import Callable
from typing import Any

import pytest

from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities
from Kamaelia.Support.Protocol.SMTP.Events import DataRequested, EndReason, SessionEnded
from Kamaelia.Support.Protocol.SMTP.Replies import Reply
from Kamaelia.Support.Protocol.SMTP.ServerSession import ServerSession

Serve = Callable[..., Any]  # the fixture of conftest.py; gives a Talk
MAIL = b"MAIL FROM:<a@b>\r\n"
RCPT = b"RCPT TO:<c@d>\r\n"
TO_DATA = MAIL + RCPT + b"DATA\r\n"


@pytest.mark.parametrize(
    "stream",
    [
        b"EHLO x\r\n" + MAIL,
        b"HELO x\r\nM",
        b"EHLO\r\n" + MAIL,
        MAIL + RCPT + b"DATA\r\nSubject: x\r\n",
        b"DATA\r\n.\r\n",
    ],
)
def test_a_client_that_speaks_before_its_turn_is_closed(serve: Serve, stream: bytes) -> None:
    talk = serve(stream, strict=True)
    assert talk.wire.splitlines()[-1].startswith(b"554 5.5.0 ")
    assert talk.events[-1] == SessionEnded(EndReason.ABUSE)
    assert "DataRequested" not in talk.kinds
    assert "HelloReceived" not in talk.kinds
    assert serve(stream[: stream.rindex(b"\n") + 1]).codes[-1] != 554


def test_pipelining_as_it_should_be_is_no_early_talk(serve: Serve) -> None:
    talk = serve(TO_DATA, b"x\r\n.\r\n" + TO_DATA, b".\r\nRSET\r\nEHLO y\r\n", strict=True)
    assert talk.codes == [250, 250, 354, 250, 250, 250, 354, 250, 250, 250]


def test_a_message_that_comes_while_the_354_is_decided_ends_the_session(serve: Serve) -> None:
    talk = serve(MAIL + RCPT, strict=True)
    talk.session.receive_data(b"DATA\r\n")
    assert talk.session.next_event() == DataRequested()
    talk.session.receive_data(b"early\r\n")
    talk.session.reply(Reply.of(354, "", "go ahead"))
    talk.drain()
    assert talk.codes[-1] == 554
    assert talk.events[-1] == SessionEnded(EndReason.ABUSE, in_data=True)


@pytest.mark.parametrize(("first", "code"), [(b"E", 554), (b"\x16\x03\x01", 501)])
def test_a_client_that_does_not_wait_for_the_greeting_never_gets_it(
    first: bytes, code: int
) -> None:
    session = ServerSession("mx", capabilities=Capabilities)
    session.receive_data(b"")
    assert session.next_event() is None
    session.receive_data(first)
    assert session.next_event() == SessionEnded(EndReason.ABUSE)
    session.receive_data(b"EHLO x\r\n")
    session.greet()
    assert session.data_to_send().startswith(b"%d 5.5." % code)
    assert (session.next_event(), session.data_to_send()) == (None, b"")


@pytest.mark.parametrize("line", [b"Received: from x", b"From: a@b", b"X-Mailer:y", b"host:25"])
def test_text_of_a_message_in_place_of_a_command_ends_the_session(
    serve: Serve, line: bytes
) -> None:
    talk = serve(MAIL + line + b"\r\n" + RCPT)
    assert talk.codes == [250, 421]
    assert talk.events[-1] == SessionEnded(EndReason.ABUSE)
