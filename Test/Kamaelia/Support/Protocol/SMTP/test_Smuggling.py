"""SMTP smuggling, and every other stream, in any slices: nothing passes but good lines."""

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Kamaelia.Support.Protocol.SMTP.Address import parse_path
from Kamaelia.Support.Protocol.SMTP.ClientSession import ClientSession
from Kamaelia.Support.Protocol.SMTP.Events import (
    EndReason,
    MessageComplete,
    Ready,
    ReplyReceived,
    SenderGiven,
    SessionEnded,
)

Serve = Callable[..., Any]  # the fixture of conftest.py; gives a Talk
TO_DATA = b"MAIL FROM:<good@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"
END = b"\r\n.\r\n"
EVIL = b"MAIL FROM:<evil@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nevil\r\n.\r\n"
# False ends of Wang et al. (USENIX Security 2025) and others that some server took for one.
FALSE_ENDS = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\r\n.\n",
    b"\r\n.\r",
    b"\r\n\0.\r\n",
    b"\r\n.\0\r\n",
    b"\r\0\n.\r\n",
    b"\r\n.\r\0\n",
    b"\n.\r",
    b"\r.\n",
    b"\r\n.\r\r\n",
    b"\r\r\n.\r\n",
    b"\n\n.\r\n",
    b"\0\r\n.\r\n",
]
bare = re.compile(rb"\0|\r(?!\n)|(?<!\r)\n")


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize("false_end", FALSE_ENDS, ids=repr)
def test_nothing_behind_a_false_end_is_a_command(serve: Serve, false_end: bytes, size: int) -> None:
    stream = TO_DATA + b"text" + false_end + EVIL + b"MAIL FROM:<evil@b>\r\n"
    talk = serve(*(stream[i : i + size] for i in range(0, len(stream), size)))
    senders = [e.path.raw for e in talk.events if isinstance(e, SenderGiven)]
    assert senders == [b"good@b"]
    assert "MessageComplete" not in talk.kinds
    assert talk.kinds.count("MessageFailed") == 1
    assert talk.codes == [250, 250, 354, 550]
    assert talk.events[-1] == SessionEnded(EndReason.ABUSE)
    assert not bare.search(talk.data)
    assert b"evil" not in talk.data


@pytest.mark.parametrize("false_end", [e for e in FALSE_ENDS if END not in e], ids=repr)
def test_there_is_no_reply_before_the_true_end(serve: Serve, false_end: bytes) -> None:
    talk = serve(TO_DATA + b"text" + false_end + b"MAIL FROM:<evil@b>\r\n")
    assert talk.codes == [250, 250, 354]


def test_a_nul_behind_the_true_end_does_not_hide_a_command(serve: Serve) -> None:
    talk = serve(TO_DATA + b"text\r\n.\r\n\0\r\n" + EVIL)
    assert [e.path.raw for e in talk.events if isinstance(e, SenderGiven)] == [b"good@b"]
    assert talk.codes == [250, 250, 354, 250, 500]
    assert talk.session.closed


# --- any stream, any slices ---------------------------------------------------------------

PIECES = [
    TO_DATA,
    b"EHLO x\r\n",
    b"QUIT\r\n",
    b"RSET\r\n",
    b"NOOP\r\n",
    b"JUNK\r\n",
    b"JUNK\n",
    b"BAD\rLINE\r\n",
    b"MAIL FROM:<a@b> SIZE=5\r\n",
    b"RCPT TO:<c@d>\r\n",
    b"RCPT TO:bad\r\n",
    b"DATA\r\n",
    b"text\r\n",
    b"..stuffed\r\n",
    b".\r\n",
    b"\r\n.\r\n",
    b"\n.\n",
    b"\r",
    b"\0",
    b"GET / HTTP/1.0\r\n",
    b"x" * 90,
]
streams = st.lists(st.sampled_from(PIECES), max_size=14).map(b"".join)


@given(streams, st.lists(st.integers(0, 400), max_size=10), st.booleans())
def test_any_slices_of_a_stream_give_the_same_events_and_replies(
    serve: Serve, stream: bytes, cuts: list[int], eof: bool
) -> None:
    whole, sliced = serve(stream), serve()
    edges = sorted({0, *(cut for cut in cuts if cut < len(stream)), len(stream)})
    sliced.feed(*(stream[a:b] for a, b in pairwise(edges)))
    if eof:
        whole.end()
        sliced.end()
    assert sliced.wire == whole.wire
    # A message that is still open may have passed on more or less of its last line.
    if not whole.session.in_data:
        assert sliced.story == whole.story
    assert sliced.kinds.count("MessageFailed") == whole.kinds.count("MessageFailed")
    for talk in (whole, sliced):
        assert not bare.search(talk.data)


# --- a client and a server joined by a wire -----------------------------------------------

line = st.binary(max_size=40).map(lambda b: b.translate(None, b"\0\r\n"))
messages = st.lists(line, max_size=20).map(lambda lines: b"".join(x + b"\r\n" for x in lines))


def stuff(message: bytes) -> bytes:
    return re.sub(rb"(?m)^\.", b"..", message)


def unstuff(wire: bytes) -> bytes:
    return re.sub(rb"(?m)^\.\.", b".", wire)


@given(st.lists(messages, min_size=1, max_size=3), st.integers(1, 50), st.booleans())
def test_what_goes_in_at_the_client_comes_out_at_the_server(
    serve: Serve, mails: list[bytes], size: int, pipelining: bool
) -> None:
    talk = serve(hello=b"")
    client = ClientSession("client.example")
    client.receive_data(b"220 mx\r\n")
    path, _ = parse_path(b"<a@b>", smtputf8=False, recipient=False)
    waiting, accepted = [stuff(mail) for mail in mails], 0

    def begin() -> None:
        if waiting:
            client.mail(path, {})
            client.rcpt(path, {})
            client.data()
        else:
            client.quit()

    while not client.closed:
        while (event := client.next_event()) is not None:
            match event:
                case Ready():
                    begin()
                case ReplyReceived("DATA", reply):
                    assert reply.code == 354
                    body = waiting.pop(0)
                    for start in range(0, len(body), size):
                        client.send_data(body[start : start + size])
                    client.end_data()
                case ReplyReceived(".", reply):
                    accepted += reply.code == 250
                    begin()
        out = client.data_to_send()
        talk.feed(*(out[i : i + size] for i in range(0, len(out), size)))
        back = talk.fresh()
        if not pipelining:
            back = back.replace(b"250-PIPELINING\r\n", b"")
        client.receive_data(back)
    assert accepted == len(mails)
    assert not client.failed
    assert unstuff(talk.data) == b"".join(mails)
    sizes = [event.size for event in talk.events if isinstance(event, MessageComplete)]
    assert sizes == [len(stuff(mail)) for mail in mails]
