"""The client's side of a connection."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Support.Protocol.HTTP.ClientConnection import HEAD_BYTES, ClientConnection
from Kamaelia.Support.Protocol.HTTP.Connection import (
    BodyEnded,
    BodyReceived,
    Event,
    HTTPSyntaxError,
    ResponseReceived,
)
from Kamaelia.Support.Protocol.HTTP.Uri import Url

URL = Url.parse("http://example.org/a")
OK = b"HTTP/1.1 200 OK\r\n"


def read(connection: ClientConnection, *pieces: bytes) -> list[Event]:
    events = []
    for piece in pieces:
        connection.receive_data(piece)
        while (event := connection.next_event()) is not None:
            events.append(event)
    return events


def body_of(events: list[Event]) -> bytes:
    return b"".join(event.data for event in events if isinstance(event, BodyReceived))


def test_a_request_with_a_body_and_headers_of_its_own() -> None:
    headers = (("User-Agent", "me"), ("Accept-Encoding", "gzip"), ("HOST", "other"))
    connection = ClientConnection("POST", URL, headers, b"x=1")
    assert connection.data_to_send() == (
        b"POST /a HTTP/1.1\r\nHOST: other\r\nUser-Agent: me\r\nAccept-Encoding: gzip\r\n"
        b"Content-Length: 3\r\nConnection: close\r\n\r\nx=1"
    )


def test_a_post_says_its_length_although_there_is_nothing() -> None:
    assert b"Content-Length: 0\r\n" in ClientConnection("POST", URL).data_to_send()
    assert b"Content-Length" not in ClientConnection("GET", URL).data_to_send()


@pytest.mark.parametrize("header", [("X", "a\r\nb"), ("X y", "a"), ("Content-Length", "3")])
def test_a_header_that_would_split_the_request_is_refused(header: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="header"):
        ClientConnection("GET", URL, (header,))


@pytest.mark.parametrize("method", ["GET /x", "", "GÉT"])
def test_a_method_that_is_none_is_refused(method: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the method is all that is wrong
        ClientConnection(method, URL)


WIRES = [
    OK + b"Content-Length: 5\r\n\r\nhello",
    OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK + b"Content-Length: 5\r\n\r\nhello",
]


@given(st.sampled_from(WIRES), st.integers(1, 40))
@settings(max_examples=50)
def test_an_answer_survives_any_slicing_of_the_stream(wire: bytes, step: int) -> None:
    connection = ClientConnection("GET", URL)
    events = read(connection, *[wire[at : at + step] for at in range(0, len(wire), step)])
    assert isinstance(events[0], ResponseReceived)
    assert events[0].status == 200
    assert body_of(events) == b"hello"
    assert events[-1] == BodyEnded()


def test_an_answer_may_end_with_the_connection() -> None:
    connection = ClientConnection("GET", URL)
    events = read(connection, OK + b"\r\nhel", b"lo")
    connection.receive_eof()
    assert body_of(events) == b"hello"
    assert connection.next_event() == BodyEnded()


def test_an_answer_to_head_has_no_body() -> None:
    connection = ClientConnection("HEAD", URL)
    assert read(connection, OK + b"Content-Length: 5\r\n\r\n")[-1] == BodyEnded()


@pytest.mark.parametrize(
    "wire",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        OK + b"X: " + b"y" * HEAD_BYTES,
        b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n" * 3_000,
        OK + b"Content-Length: 11\r\n\r\n" + b"a" * 11,
    ],
)
def test_an_answer_that_is_none_or_too_much_is_refused(wire: bytes) -> None:
    connection = ClientConnection("GET", URL, body_bytes=10)
    with pytest.raises(HTTPSyntaxError):
        read(connection, wire)


def test_an_answer_that_breaks_off_is_no_answer() -> None:
    connection = ClientConnection("GET", URL)
    read(connection, OK + b"Content-Length: 5\r\n\r\nhel")
    connection.receive_eof()
    with pytest.raises(HTTPSyntaxError):
        connection.next_event()
