"""HTTPParser: requests and responses taken apart."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Axon.Ipc import producerFinished, shutdown, shutdownMicroprocess
from Axon.Testing import drive, harness
from Kamaelia.Protocol.HTTP.HTTPParser import (
    HTTPParser,
    ParsedHTTPBodyChunk,
    ParsedHTTPEnd,
    ParsedHTTPHeader,
    splitUri,
)
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {HTTPParser: Ends(lambda: HTTPParser())}

REQUESTS = (
    b"POST /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n\xff\x00\xfe"
    b"GET /c HTTP/1.1\r\nHost: x\r\n\r\n"
)
RESPONSES = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n\xff\x00\xfe\r\n0\r\n\r\n"
    b"HTTP/1.1 404 Not Found\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\nuntil the end"
)


def parse(wire: bytes, step: int, **settings: object) -> list[object]:
    pieces = [wire[at : at + step] for at in range(0, len(wire), step)]
    out = drive(HTTPParser(**settings), inbox=pieces, control=[producerFinished()])  # type: ignore[arg-type]
    assert isinstance(out["signal"][-1], producerFinished)
    found: list[object] = []
    for message in out["outbox"]:
        if isinstance(message, ParsedHTTPBodyChunk) and isinstance(found[-1], bytes):
            found[-1] += message.bodychunk
        elif isinstance(message, ParsedHTTPBodyChunk):
            found.append(message.bodychunk)
        else:
            found.append(message)
    return found


@given(st.integers(1, len(REQUESTS)))
@settings(max_examples=25)
def test_requests_one_after_the_other_in_any_slices(step: int) -> None:
    first, body, end, second, last = parse(REQUESTS, step, peer="192.0.2.1", peerport=7)
    assert isinstance(first, ParsedHTTPHeader)
    assert isinstance(second, ParsedHTTPHeader)
    assert (first.header["method"], first.header["raw-uri"]) == ("POST", "/a?b")
    assert (first.header["peer"], first.header["headers"]["host"]) == ("192.0.2.1", "x")
    assert second.header["raw-uri"] == "/c"
    assert body == b"\xff\x00\xfe"
    assert end == last == ParsedHTTPEnd()


@given(st.integers(1, len(RESPONSES)))
@settings(max_examples=25)
def test_responses_one_after_the_other_and_the_last_until_the_end(step: int) -> None:
    first, body, _, second, rest, end = parse(RESPONSES, step, mode="response")
    assert isinstance(first, ParsedHTTPHeader)
    assert isinstance(second, ParsedHTTPHeader)
    assert (first.header["responsecode"], first.header["version"]) == ("200", "1.1")
    assert second.header["headers"]["set-cookie"] == "a, b"
    assert (body, rest, end) == (b"\xff\x00\xfe", b"until the end", ParsedHTTPEnd())


def test_what_is_no_request_says_so_and_ends_it() -> None:
    out = drive(HTTPParser(), inbox=[b"nonsense\r\n\r\n"])
    (bad,) = out["outbox"]
    assert (bad.header["bad"], bad.header["statuscode"]) == (True, 400)
    assert "nonsense" in bad.header["errormsg"]
    assert isinstance(out["signal"][-1], producerFinished)


def test_a_request_that_breaks_off_is_none() -> None:
    assert parse(REQUESTS[:30], 30)[-1].header["bad"]  # type: ignore[attr-defined]


def test_people_can_read_along() -> None:
    out = drive(HTTPParser(), inbox=[REQUESTS])
    assert len(out["debug"]) == 2
    assert "/a?b" in out["debug"][0]


@pytest.mark.parametrize("stop", [shutdownMicroprocess(), shutdown()])
def test_told_to_stop_it_reads_nothing_more(stop: object) -> None:
    out = drive(HTTPParser(), inbox=[REQUESTS], control=[stop])
    assert out["outbox"] == []
    assert isinstance(out["signal"][-1], shutdownMicroprocess)


def test_it_waits_for_room() -> None:
    with harness(HTTPParser()) as h:
        h.limit(1)
        h.put(REQUESTS)
        h.settle()
        assert len(h.take("outbox")) == 1
        h.expect_all("outbox", [ParsedHTTPBodyChunk, ParsedHTTPEnd])


def test_what_is_no_bytes_is_refused() -> None:
    with pytest.raises(TypeError, match="inbox takes bytes"):
        drive(HTTPParser(), inbox=["text"])


def test_a_mode_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="mode"):
        HTTPParser(mode="both")


def test_the_originals_function_is_here() -> None:
    assert splitUri("http://a/b")["raw-uri"] == "/b"
