"""WebSocket sessions: two ends of ours, and frames that a peer should not send."""

import re
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Exceptions import LocalProtocolError
from Kamaelia.Support.Protocol.HTTP.Uri import UrlError
from Kamaelia.Support.Protocol.HTTP.WebSocket import (
    BAD_TEXT,
    LOST,
    NORMAL,
    ClientSession,
    Closed,
    Event,
    Opened,
    Pong,
    ServerSession,
    Session,
)


def events(session: Session) -> list[Event]:
    found = []
    while (event := session.next_event()) is not None:
        found.append(event)
    return found


def pump(one: Session, other: Session, step: int = 1 << 20) -> None:
    """Carry bytes both ways until nobody has any more to say."""
    while True:
        there, back = one.data_to_send(), other.data_to_send()
        if not there and not back:
            return
        for data, target in ((there, other), (back, one)):
            for at in range(0, len(data), step):
                target.receive_data(data[at : at + step])


def opened(max_size: int = 1000) -> tuple[ClientSession, ServerSession]:
    client, server = ClientSession("ws://example.org/"), ServerSession(max_size)
    pump(client, server)
    assert events(client) == events(server) == [Opened()]
    return client, server


def frame(opcode: int, payload: bytes, fin: bool = True) -> bytes:
    """As a client sends it, with a mask of zeros."""
    assert len(payload) < 126
    return struct.pack("!BB", opcode | fin << 7, 0x80 | len(payload)) + bytes(4) + payload


@given(
    st.lists(st.one_of(st.text(max_size=20), st.binary(max_size=20)), max_size=6),
    st.integers(1, 50),
)
@settings(max_examples=25)
def test_messages_arrive_as_they_were_sent_however_sliced(
    messages: list[str | bytes], step: int
) -> None:
    client, server = opened()
    for message in messages:
        client.send(message)
        server.send(message)
    pump(client, server, step)
    assert events(client) == events(server) == messages


def test_fragments_become_one_message_also_with_a_ping_between_them() -> None:
    _, server = opened()
    server.receive_data(frame(1, b"caf\xc3", fin=False) + frame(9, b"?") + frame(0, b"\xa9"))
    assert events(server) == ["café"]
    assert server.data_to_send() == b"\x8a\x01?"


def test_a_ping_is_answered() -> None:
    client, server = opened()
    client.ping(b"x")
    pump(client, server)
    assert events(client) == [Pong(b"x")]


def test_closing_is_answered_and_both_know_code_and_reason() -> None:
    client, server = opened()
    assert not client.is_closing
    client.close(4001, "enough " + "é" * 100)
    assert client.is_closing
    client.close(NORMAL)  # once only
    pump(client, server)
    (theirs,), (ours,) = events(server), events(client)
    assert isinstance(theirs, Closed)
    assert theirs.code == 4001
    assert theirs.reason.startswith("enough éé")
    assert ours == theirs
    assert server.over
    assert not client.is_open
    with pytest.raises(LocalProtocolError):
        client.send("too late")
    server.ping(b"")
    assert server.data_to_send() == b""


def test_a_code_that_nobody_may_send_is_refused() -> None:
    client, _ = opened()
    with pytest.raises(LocalProtocolError):
        client.close(1006)


def test_what_is_no_message_is_refused() -> None:
    client, _ = opened()
    with pytest.raises(TypeError):
        client.send(3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wire", "code"),
    [
        (frame(2, b"x" * 100) + frame(2, b"x" * 100), 1009),
        (frame(2, b"x" * 60, fin=False) + frame(0, b"x" * 60), 1009),
        (b"\x81\x03abc", 1002),  # without a mask
        (frame(3, b""), 1002),
        (frame(0, b"x"), 1002),
        (frame(1, b"\xff") + frame(1, b"more"), BAD_TEXT),
        (frame(9, b"", fin=False), 1002),
    ],
)
def test_a_peer_that_breaks_the_rules_is_told_which_and_cut_off(wire: bytes, code: int) -> None:
    _, server = opened(max_size=99)
    server.receive_data(wire)
    (closed,) = events(server)
    assert isinstance(closed, Closed)
    assert closed.code == code
    sent = server.data_to_send()
    assert sent[0] == 0x88
    assert struct.unpack("!H", sent[2:4]) == (code,)
    assert server.over
    server.receive_data(frame(1, b"more"))
    assert events(server) == []


def test_a_peer_that_just_goes_is_lost() -> None:
    client, server = opened()
    server.receive_eof()
    server.receive_data(b"ignored")
    assert events(server) == [Closed(LOST)]
    client.close()
    client.receive_eof()
    assert events(client) == [Closed(LOST)]


def test_a_reason_comes_with_a_close_that_has_none() -> None:
    _, server = opened()
    server.receive_data(frame(8, b""))
    assert events(server) == [Closed(1005)]


@pytest.mark.parametrize(
    ("origin", "accepted"),
    [
        ("https://example.org", True),
        ("https://a.example.net", True),
        ("https://evil.example", False),
        (None, False),
    ],
)
def test_only_pages_that_are_listed_may_connect(origin: str | None, accepted: bool) -> None:
    pages = ["https://example.org", re.compile(r"https://\w+\.example\.net")]
    client, server = ClientSession("ws://x/", origin=origin), ServerSession(origins=pages)
    pump(client, server)
    assert (Opened() in events(server)) is accepted
    if not accepted:
        assert server.over
        client.receive_eof()
        (closed,) = events(client)
        assert isinstance(closed, Closed)
        assert closed.code == LOST
        assert "403" in closed.reason
        assert client.over


def test_a_subprotocol_that_both_know_is_chosen_and_none_is_needed() -> None:
    client = ClientSession("wss://ann:x@h/a?b", subprotocols=["new", "old"])
    server = ServerSession(subprotocols=["old"])
    pump(client, server)
    assert events(client) == events(server) == [Opened("old")]
    plain, other = ClientSession("ws://x/"), ServerSession(subprotocols=["old"])
    pump(plain, other)
    assert events(other) == [Opened(None)]


def test_a_server_that_is_none_is_noticed() -> None:
    client = ClientSession("ws://x/")
    client.data_to_send()
    client.receive_data(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    client.receive_eof()
    (closed,) = events(client)
    assert isinstance(closed, Closed)
    assert "404" in closed.reason


def test_a_session_alone_knows_no_handshake() -> None:
    _, server = opened()
    with pytest.raises(NotImplementedError):
        Session._handshake(server, None)  # type: ignore[arg-type]


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(UrlError):
        ClientSession("nonsense")


def test_fragments_without_data_do_not_pile_up() -> None:
    _, server = opened()
    empty = b"\x00\x80" + bytes(4)
    server.receive_data(b"\x01\x81" + bytes(4) + b"a" + empty * 1000)
    assert server._fragments == [b"a"]
    server.receive_data(b"\x80\x81" + bytes(4) + b"b")
    assert events(server) == ["ab"]


def test_a_refused_handshake_with_more_behind_it_ends_the_session() -> None:
    server = ServerSession()
    server.receive_data(b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n\xff\xff")
    assert not any(isinstance(event, Opened) for event in events(server))
