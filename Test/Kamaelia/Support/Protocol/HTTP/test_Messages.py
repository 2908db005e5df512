"""Requests and parts of answers, typed and in the original's form."""

import pytest

from Kamaelia.Support.Protocol.HTTP.Messages import (
    Request,
    Response,
    error_page,
    phrase_of,
)

REQUEST = Request(
    "GET",
    "/a/b?c=d",
    (("host", "example.org:80"), ("cookie", "a=1"), ("cookie", "b=2"), ("accept", "x")),
    peer="192.0.2.1",
    peerport=9,
)


def test_a_request_reads_like_the_dictionary_of_the_original() -> None:
    assert dict(REQUEST) == {
        "bad": False,
        "method": "GET",
        "protocol": "HTTP",
        "version": "1.1",
        "raw-uri": "/a/b?c=d",
        "non-query-uri": "/a/b",
        "query-string": "c=d",
        "uri-protocol": "http",
        "uri-server": "example.org",
        "headers": {"host": "example.org:80", "cookie": "a=1; b=2", "accept": "x"},
        "peer": "192.0.2.1",
        "peerport": 9,
        "localip": "",
        "localport": 0,
    }
    assert len(REQUEST) == 14
    assert REQUEST.get("uri-suffix") is None
    with pytest.raises(KeyError):
        REQUEST["nonsense"]


def test_routing_adds_prefix_and_suffix_and_leaves_the_first_request_alone() -> None:
    routed = REQUEST.routed("/a/")
    assert (routed["uri-prefix-trigger"], routed["uri-suffix"]) == ("/a/", "b?c=d")
    assert len(routed) == 16
    assert "uri-suffix" not in REQUEST


def test_headers_are_found_in_any_case() -> None:
    assert REQUEST.header("Accept") == "x"
    assert REQUEST.header("missing", "none") == "none"


def test_the_server_in_the_request_line_counts_before_the_host_header() -> None:
    assert Request("GET", "/", (("host", "a"),), server="b")["uri-server"] == "b"


def test_a_dictionary_of_the_original_becomes_a_response() -> None:
    part = Response.of(
        {
            "statuscode": "404 Not Found",
            "data": "grün",
            "type": "text/plain",
            "headers": {"X-A": "b", "Content-Length": "5", "Connection": "close"},
            "complete": True,
        }
    )
    assert part == Response(
        "grün".encode(), 404, "text/plain; charset=utf-8", (("X-A", "b"),), 5, complete=True
    )


def test_a_charset_is_used_and_said() -> None:
    part = Response.of({"data": "ü", "content-type": "text/html", "charset": "latin-1"})
    assert (part.data, part.content_type) == (b"\xfc", "text/html; charset=latin-1")
    said = Response.of({"data": "ü", "content-type": "text/html; charset=utf-8"})
    assert said.content_type == "text/html; charset=utf-8"


def test_a_length_and_a_type_may_stand_among_the_headers() -> None:
    headers = [("content-type", "a/b"), ("Content-Length", "3")]
    part = Response.of({"data": b"abc", "headers": headers, "length": 4})
    assert (part.content_type, part.length) == ("a/b", 4)


def test_a_response_and_bytes_are_taken_as_they_are() -> None:
    part = Response(b"x")
    assert Response.of(part) is part
    assert Response.of(b"more") == Response(b"more")


@pytest.mark.parametrize("message", [None, "text", 3, [b"x"], {"status": 200}])
def test_what_is_no_part_of_an_answer_is_refused(message: object) -> None:
    with pytest.raises(TypeError):
        Response.of(message)


@pytest.mark.parametrize(
    "wrong",
    [
        {"data": "text"},
        {"status": 99},
        {"status": 600},
        {"length": -1},
        {"headers": (("X", "a\r\nSet-Cookie: b"),)},
        {"headers": (("X", "a\nb"),)},
        {"headers": (("X\r\nY", "a"),)},
        {"headers": (("", "a"),)},
        {"headers": (("X", "a\0"),)},
        {"headers": (("X", "\u20ac"),)},
        {"headers": (("X", 3),)},
        {"headers": (("Transfer-Encoding", "chunked"),)},
        {"headers": (("content-length", "3"),)},
        {"content_type": "text/html\r\nX: y"},
    ],
)
def test_no_response_can_hold_what_would_split_it_or_lie_about_its_end(
    wrong: dict[str, object],
) -> None:
    with pytest.raises((TypeError, ValueError)):
        Response(**wrong)  # type: ignore[arg-type]


def test_an_error_page_escapes_what_it_quotes() -> None:
    page = error_page(404, '<script>"&', (("X-A", "b"),))
    assert (page.status, page.complete, page.headers) == (404, True, (("X-A", "b"),))
    assert b"404 Not Found" in page.data
    assert b"<script>" not in page.data
    assert b"&lt;script&gt;&quot;&amp;" in page.data


def test_a_status_that_nobody_knows_has_no_words() -> None:
    assert phrase_of(299) == ""
    assert b"<h1>599</h1>" in error_page(599).data


@pytest.mark.parametrize(
    "part",
    [
        {"headers": {1: "x"}},
        {"headers": [b"ab"]},
        {"headers": {b"a": b"b"}},
        {"length": float("inf")},
        {"length": 1.5},
    ],
)
def test_what_a_dictionary_must_not_hold_is_refused_as_in_a_response(
    part: dict[str, object],
) -> None:
    with pytest.raises((TypeError, ValueError)):
        Response.of(part)
