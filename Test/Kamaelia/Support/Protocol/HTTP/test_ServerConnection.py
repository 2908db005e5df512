"""The server's side of a connection: what is read, what is refused, what is written."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Exceptions import LocalProtocolError
from Kamaelia.Support.Protocol.HTTP.Connection import (
    BodyEnded,
    BodyReceived,
    Event,
    HTTPSyntaxError,
    PeerFinished,
    RequestReceived,
)
from Kamaelia.Support.Protocol.HTTP.Messages import Response
from Kamaelia.Support.Protocol.HTTP.ServerConnection import Limits, ServerConnection

SMALL = Limits(head_bytes=400, headers=5, target_bytes=50, body_bytes=100)
HOST = b"Host: x\r\n"


def get(target: bytes = b"/", *headers: bytes, version: bytes = b"1.1") -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    return b"GET " + target + b" HTTP/" + version + b"\r\n" + HOST + lines + b"\r\n"


def post(body: bytes, *headers: bytes) -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    return b"POST / HTTP/1.1\r\n" + HOST + lines + b"\r\n" + body


def read(connection: ServerConnection, *pieces: bytes) -> list[Event]:
    events = []
    for piece in pieces:
        connection.receive_data(piece)
        while (event := connection.next_event()) is not None:
            events.append(event)
    return events


def refusal(wire: bytes, limits: Limits = SMALL, step: int = 0) -> int:
    connection = ServerConnection(limits)
    step = step or len(wire)
    with pytest.raises(HTTPSyntaxError) as caught:
        read(connection, *[wire[at : at + step] for at in range(0, len(wire), step)])
    assert connection.can_answer
    connection.send_head(Response(b"", caught.value.status, length=0), close=True)
    connection.end()
    assert connection.data_to_send().startswith(b"HTTP/1.1 %d " % caught.value.status)
    return caught.value.status


def answer(connection: ServerConnection, response: Response, data: bytes = b"") -> bytes:
    connection.send_head(response)
    connection.send_data(data)
    connection.end()
    return connection.data_to_send()


WIRE = (
    get(b"/one", b"X-A: b")
    + post(b"hello", b"Content-Length: 5")
    + post(b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: u\r\n\r\n", b"Transfer-Encoding: chunked")
)


@given(st.lists(st.integers(1, len(WIRE)), max_size=12))
@settings(max_examples=50)
def test_requests_survive_any_slicing_of_the_stream(cuts: list[int]) -> None:
    edges = [0, *sorted(set(cuts)), len(WIRE)]
    connection = ServerConnection(SMALL)
    seen: list[tuple[str, bytes]] = []
    target, body = "", b""
    for start, end in pairwise(edges):
        connection.receive_data(WIRE[start:end])
        while (event := connection.next_event()) is not None:
            match event:
                case RequestReceived(request):
                    target = f"{request.method} {request.target}"
                case BodyReceived(data):
                    body += data
                case BodyEnded():
                    seen.append((target, body))
                    body = b""
                    answer(connection, Response(length=0))
                    connection.next_cycle()
    assert seen == [("GET /one", b""), ("POST /", b"hello"), ("POST /", b"abcde")]


def test_a_request_says_what_it_is_and_who_sent_it() -> None:
    connection = ServerConnection(peer={"peer": "192.0.2.1", "peerport": 5})
    (received, end) = read(connection, get(b"/a?b", b"X-A: caf\xe9"))
    assert isinstance(received, RequestReceived)
    request = received.request
    assert (request.method, request.target, request.version) == ("GET", "/a?b", "1.1")
    assert request.header("x-a") == "caf\xe9"
    assert (request.peer, request.peerport) == ("192.0.2.1", 5)
    assert not received.expects_continue
    assert end == BodyEnded()


def test_an_address_with_a_server_is_cut_down_to_its_path() -> None:
    (received, _) = read(ServerConnection(), get(b"http://other/a?b"))
    assert isinstance(received, RequestReceived)
    assert (received.request.target, received.request.server) == ("/a?b", "other")


def test_a_star_is_an_address_for_options_only() -> None:
    (received, _) = read(ServerConnection(), b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n")
    assert isinstance(received, RequestReceived)
    assert refusal(get(b"*")) == 400


@pytest.mark.parametrize(
    ("status", "wire"),
    [
        (400, b"nonsense\r\n\r\n"),
        (400, b"\x16\x03\x01 TLS"),
        (400, b"GET / HTTP/1.1\r\n\r\n"),  # no Host
        (400, get(b"/", b"Host: y")),
        (400, get(b"nopath")),
        (400, get(b"ftp://x/")),
        (400, get(b"/", b"broken header")),
        (400, post(b"", b"Content-Length: 3", b"Content-Length: 4")),
        (400, post(b"", b"Content-Length: -3")),
        (400, post(b"", b"Content-Length: 3", b"Transfer-Encoding: chunked")),
        (400, b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (400, post(b"zz\r\n", b"Transfer-Encoding: chunked")),
        (411, b"POST / HTTP/1.0\r\n\r\n"),
        (413, post(b"", b"Content-Length: 101")),
        (413, post(b"64\r\n" + b"a" * 100 + b"\r\n1\r\nb", b"Transfer-Encoding: chunked")),
        (414, get(b"/" + b"a" * 50)),
        (414, b"GET /" + b"a" * 500),
        (431, get(b"/", *[b"X: y"] * 5)),
        (431, get(b"/", b"X: " + b"y" * 400)),
        (501, b"BREW / HTTP/1.1\r\n" + HOST + b"\r\n"),
        (501, post(b"", b"Transfer-Encoding: gzip")),
        (505, get(version=b"2.0")),
    ],
)
def test_what_is_wrong_or_too_much_is_refused_with_the_status_that_says_so(
    status: int, wire: bytes
) -> None:
    assert refusal(wire) == status
    assert refusal(wire, step=1) == status


def test_the_limit_of_a_head_counts_where_it_began_behind_another_request() -> None:
    connection = ServerConnection(Limits(head_bytes=400))
    connection.receive_data(get() + get(b"/", b"X: " + b"y" * 390))
    assert isinstance(connection.next_event(), RequestReceived)
    assert connection.next_event() == BodyEnded()
    answer(connection, Response(length=0))
    connection.next_cycle()
    with pytest.raises(HTTPSyntaxError) as caught:
        connection.next_event()
    assert caught.value.status == 431


def test_a_head_that_fits_exactly_passes() -> None:
    wire = get(b"/", b"X: y")
    assert read(ServerConnection(Limits(head_bytes=len(wire))), wire)
    assert refusal(wire, Limits(head_bytes=len(wire) - 1)) == 431


def test_a_head_that_was_read_together_with_a_large_body_is_limited_too() -> None:
    body = post(b"a" * 1000, b"Content-Length: 1000")
    connection = ServerConnection(Limits(head_bytes=400))
    events = read(connection, body + get(b"/", b"X: " + b"y" * 600))
    assert events[-1] == BodyEnded()
    answer(connection, Response(length=0))
    connection.next_cycle()
    with pytest.raises(HTTPSyntaxError) as caught:
        connection.next_event()
    assert caught.value.status == 431


def test_a_chunked_body_may_not_consist_of_everything_but_data() -> None:
    connection = ServerConnection()
    read(connection, post(b"", b"Transfer-Encoding: chunked"))
    chunk = b"1;" + b"x" * 10_000 + b"\r\na\r\n"
    with pytest.raises(HTTPSyntaxError, match="not data") as caught:
        read(connection, *[chunk] * 10)
    assert caught.value.status == 400


def test_many_small_chunks_are_a_body_like_any_other() -> None:
    connection = ServerConnection()
    read(connection, post(b"", b"Transfer-Encoding: chunked"))
    events = read(connection, b"1\r\na\r\n" * 20_000 + b"0\r\n\r\n")
    assert len(events) == 20_001
    assert events[-1] == BodyEnded()


def test_a_client_that_closes_between_requests_has_finished() -> None:
    connection = ServerConnection()
    connection.receive_eof()
    connection.receive_eof()
    assert connection.next_event() == PeerFinished()


@pytest.mark.parametrize("wire", [b"GET / HT", post(b"abc", b"Content-Length: 5")])
def test_a_client_that_closes_in_the_middle_has_broken_the_rules(wire: bytes) -> None:
    connection = ServerConnection()
    read(connection, wire)
    connection.receive_eof()
    with pytest.raises(HTTPSyntaxError) as caught:
        connection.next_event()
    assert caught.value.status == 400


def test_the_next_request_waits_for_the_answer() -> None:
    connection = ServerConnection()
    assert len(read(connection, get(b"/1") + get(b"/2"))) == 2
    assert not connection.reusable
    answer(connection, Response(length=0))
    assert connection.stays_open
    assert connection.reusable
    connection.next_cycle()
    assert connection.in_head
    assert len(read(connection, b"")) == 2
    assert connection.requests == 2


def test_a_client_that_waits_for_it_is_told_to_go_on() -> None:
    connection = ServerConnection()
    wire = post(b"", b"Content-Length: 5", b"Expect: 100-continue")
    (received,) = read(connection, wire)
    assert isinstance(received, RequestReceived)
    assert received.expects_continue
    assert connection.in_body
    connection.send_continue()
    assert connection.data_to_send() == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert read(connection, b"hello") == [BodyReceived(b"hello"), BodyEnded()]


def test_an_answer_of_known_length() -> None:
    connection = ServerConnection()
    read(connection, get())
    response = Response(b"", 404, "text/plain", (("X-A", "caf\xe9"),), 2)
    connection.send_head(response, date="today", close=True)
    connection.send_data(b"no")
    connection.end()
    assert connection.data_to_send() == (
        b"HTTP/1.1 404 Not Found\r\nDate: today\r\nContent-Type: text/plain\r\nX-A: caf\xe9\r\n"
        b"Content-Length: 2\r\nConnection: close\r\n\r\nno"
    )
    assert not connection.reusable


def test_an_answer_of_unknown_length_goes_in_chunks() -> None:
    connection = ServerConnection()
    read(connection, get())
    assert answer(connection, Response(), b"data") == (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ndata\r\n0\r\n\r\n"
    )


def test_to_a_client_of_http_1_0_it_ends_with_the_connection() -> None:
    connection = ServerConnection()
    read(connection, b"GET / HTTP/1.0\r\n\r\n")
    assert answer(connection, Response(), b"data") == (
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\ndata"
    )


@pytest.mark.parametrize(
    ("method", "status", "length"), [("HEAD", 200, True), ("GET", 204, False), ("GET", 304, False)]
)
def test_an_answer_without_a_body_has_none_whatever_is_sent(
    method: str, status: int, length: bool
) -> None:
    connection = ServerConnection()
    read(connection, method.encode() + b" / HTTP/1.1\r\n" + HOST + b"\r\n")
    wire = answer(connection, Response(b"", status, length=4), b"data")
    assert wire.endswith(b"\r\n\r\n")
    assert (b"Content-Length: 4" in wire) is length
    assert connection.reusable


def test_a_large_piece_of_an_answer_is_not_copied() -> None:
    connection = ServerConnection()
    read(connection, get())
    connection.send_head(Response(length=5))
    connection.data_to_send()
    data = bytes(5)
    connection.send_data(data)
    assert connection.data_to_send() is data


def test_more_or_less_than_was_promised_is_an_error() -> None:
    for data in (b"more", b"s"):
        connection = ServerConnection()
        read(connection, get())
        with pytest.raises(LocalProtocolError):
            answer(connection, Response(length=2), data)


def test_what_follows_an_upgrade_is_handed_over() -> None:
    connection = ServerConnection()
    events = read(connection, get(b"/", b"Connection: Upgrade", b"Upgrade: x") + b"frames")
    assert len(events) == 2
    connection.receive_data(b" and more")
    assert connection.take_rest() == b"frames and more"
    assert connection.can_answer


@pytest.mark.parametrize(
    ("target", "path"),
    [(b"http://h", "/"), (b"http://h?x=1", "/?x=1"), (b"http://h/a?b", "/a?b")],
)
def test_an_address_with_a_server_in_it_need_not_have_a_path(target: bytes, path: str) -> None:
    (received, _) = read(ServerConnection(), get(target))
    assert isinstance(received, RequestReceived)
    assert (received.request.target, received.request.server) == (path, "h")


def test_what_is_said_of_a_bad_head_does_not_repeat_all_of_it() -> None:
    with pytest.raises(HTTPSyntaxError) as caught:
        read(ServerConnection(), get(b"/", b"X: \0" + b"a" * 20_000))
    assert len(str(caught.value)) <= 200


def test_a_request_without_a_method_is_not_answered_like_the_one_before() -> None:
    connection = ServerConnection()
    read(connection, b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
    connection.send_head(Response(b"", length=2))
    connection.end()
    connection.data_to_send()
    connection.next_cycle()
    with pytest.raises(HTTPSyntaxError):
        read(connection, b"nonsense\r\n\r\n")
    connection.send_head(Response(b"", 400, length=3), close=True)
    connection.send_data(b"why")
    connection.end()
    assert connection.data_to_send().endswith(b"\r\n\r\nwhy")


@pytest.mark.parametrize("value", [b"a\x1b[2Jb", b"\x7f", b"a\x01", b"a\x00b"])
def test_a_control_character_in_a_header_is_refused(value: bytes) -> None:
    assert refusal(get(b"/", b"X: " + value)) == 400


def test_a_tab_or_a_byte_beyond_ascii_in_a_header_is_not() -> None:
    (received, _) = read(ServerConnection(), get(b"/", b"X: a\tb\xe9"))
    assert isinstance(received, RequestReceived)
    assert received.request.header("x") == "a\tb\xe9"
