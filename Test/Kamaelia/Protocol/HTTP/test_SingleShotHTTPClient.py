"""One fetch: the answer, redirects, failures, times; and from a real server, also by TLS."""

import ssl

import pytest
import trustme

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import harness
from Kamaelia.Internet.TCPClient import TCPClient
from Kamaelia.Protocol.HTTP.HTTPServer import HTTPProtocol
from Kamaelia.Protocol.HTTP.SingleShotHTTPClient import SingleShotHTTPClient
from Kamaelia.Support.Protocol.HTTP.Messages import (
    HTTPFailure,
    ParsedHTTPBodyChunk,
    ParsedHTTPEnd,
    ParsedHTTPHeader,
)
from Test.Kamaelia.network import Script, Silent, World, pattern
from Test.Kamaelia.Protocol.HTTP.far_ends import OK, Network, ok, redirect
from Test.Kamaelia.Protocol.HTTP.handlers import Echo, Says
from Test.Kamaelia.shutdown import Ends

URL = "http://example.org/a"


def client(*answers: object, **settings: object) -> tuple[SingleShotHTTPClient, Network]:
    network = Network(*answers)
    settings = {"starturl": URL, "connectionclass": network, **settings}
    return SingleShotHTTPClient(**settings), network  # type: ignore[arg-type]


SHUTDOWN = {
    SingleShotHTTPClient: Ends(
        lambda: client(None, timeout=1e6)[0],
        finish=False,
        why="it comes to its own end, and what feeds it is not where its answer comes from",
    )
}


def fetch(*answers: object, **settings: object) -> tuple[list[object], Network]:
    made, network = client(*answers, **settings)
    with harness(made) as h:
        h.expect_end(within=100)
        assert isinstance(h.expect("signal"), producerFinished)
        h.settle()
        return h.take("outbox"), network


def failure(*answers: object, **settings: object) -> str:
    messages, _ = fetch(*answers, **settings)
    assert isinstance(messages[-1], HTTPFailure)
    return messages[-1].reason


def test_the_answer_comes_as_it_comes() -> None:
    answer = [OK + b"Content-Length: 4\r\nX-A: b\r\n\r\nab", b"cd"]
    (head, *chunks, end), network = fetch(answer)
    assert isinstance(head, ParsedHTTPHeader)
    assert head.header["responsecode"] == "200"
    assert head.header["headers"]["x-a"] == "b"
    assert chunks == [ParsedHTTPBodyChunk(b"ab"), ParsedHTTPBodyChunk(b"cd")]
    assert end == ParsedHTTPEnd()
    (connection,) = network.connections
    assert (connection.host, connection.port) == ("example.org", 80)
    assert isinstance(connection.told, shutdownMicroprocess)
    assert connection.got.startswith(b"GET /a HTTP/1.1\r\nHost: example.org\r\n")


def test_a_body_makes_it_a_post_and_headers_are_sent_along() -> None:
    _, network = fetch(ok(b""), postbody="ü=1", extraheaders={"X-A": "b"})
    (request,) = network.requests
    assert request.startswith(b"POST /a ")
    assert b"X-A: b\r\n" in request
    assert request.endswith(b"\r\n\r\n\xc3\xbc=1")


def test_a_method_may_be_given() -> None:
    _, network = fetch(OK + b"Content-Length: 5\r\n\r\n", method="HEAD")
    assert network.requests[0].startswith(b"HEAD /a ")


def test_an_answer_may_end_with_the_connection_but_not_break_off() -> None:
    messages, _ = fetch(OK + b"\r\nuntil the end")
    assert messages[-1] == ParsedHTTPEnd()
    assert "reset" in failure([OK + b"\r\nuntil", ConnectionResetError("reset")])
    assert "complete" in failure(OK + b"Content-Length: 9\r\n\r\nshort")


def test_a_redirect_is_followed_with_a_connection_of_its_own() -> None:
    (head, _, _), network = fetch(redirect("http://other/b"), ok(b"x"), postbody="p")
    assert isinstance(head, ParsedHTTPHeader)
    assert [one.host for one in network.connections] == ["example.org", "other"]
    assert network.requests[1].startswith(b"GET /b ")


def test_a_redirect_without_a_place_is_an_answer() -> None:
    (head, _), _ = fetch(b"HTTP/1.1 304 Not Modified\r\n\r\n")
    assert head.header["responsecode"] == "304"  # type: ignore[attr-defined]
    (head, _), _ = fetch(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n")
    assert head.header["responsecode"] == "302"  # type: ignore[attr-defined]


def test_secrets_stay_with_the_server_that_they_are_for() -> None:
    _, network = fetch(
        redirect("http://other/"), ok(b""), extraheaders={"Cookie": "secret", "X-A": "b"}
    )
    assert b"secret" in network.requests[0]
    assert b"secret" not in network.requests[1]
    assert b"X-A: b" in network.requests[1]


@pytest.mark.parametrize(
    ("reason", "answers"),
    [
        ("more than 3", [redirect(f"/{n}") for n in range(4)]),
        ("lead back", [redirect("/b"), redirect("/a")]),
        ("must begin with", [redirect("file:///etc/passwd")]),
        ("refused", [ConnectionRefusedError(111, "refused")]),
        ("illegal", [b"SSH-2.0\r\n\r\n"]),
        ("", [b""]),
        ("more than 10 bytes", [ok(b"12345678901")]),
    ],
)
def test_what_cannot_be_fetched_is_said_in_a_message(reason: str, answers: list[object]) -> None:
    assert reason in failure(*answers, body_limit=10)


@pytest.mark.parametrize(
    "settings",
    [
        {"starturl": "example.org"},
        {"extraheaders": {"X": "a\r\nb"}},
        {"extraheaders": {"X": 3}},
        {"method": "GET /x"},
    ],
)
def test_what_cannot_be_asked_for_is_a_failure_too(settings: dict[str, object]) -> None:
    made, network = client(**settings)
    with harness(made) as h:
        h.expect("outbox", HTTPFailure)
        h.expect_end()
    assert network.connections == []


def test_a_server_that_says_nothing_is_not_waited_for_for_ever() -> None:
    made, network = client(None, timeout=60.0)
    with harness(made) as h:
        h.run_for(59)
        h.not_ended()
        failed = h.expect("outbox", HTTPFailure, within=2)
        assert "60 seconds" in failed.reason
        h.expect_end()
        h.settle()
        assert isinstance(network.connections[0].told, shutdownMicroprocess)


def test_told_to_stop_it_stops_and_so_does_the_connection() -> None:
    made, network = client(None)
    stop = shutdownMicroprocess()
    with harness(made) as h:
        h.settle()
        h.finish(stop)
        assert h.expect("signal") is stop
        h.settle()
        assert network.connections[0]._isStopped()
    blocked, _ = client(ok(b"abc"))
    with harness(blocked) as h:
        h.limit(1)
        h.run_for(1000)  # it is not the server that is slow
        h.not_ended()
        h.finish(stop)


def test_a_receiver_that_is_full_is_waited_for() -> None:
    made, _ = client([OK + b"\r\n", *[b"x" * 10] * 50])
    with harness(made) as h:
        h.limit(1)
        h.expect("outbox", ParsedHTTPHeader)
        for _ in range(50):
            h.expect("outbox", ParsedHTTPBodyChunk(b"x" * 10))
        h.expect("outbox", ParsedHTTPEnd)


def test_stopped_from_outside_it_closes_the_connection() -> None:
    made, network = client(None)
    with harness(made) as h:
        h.settle()
        made.stop()
        h.settle()
        assert network.connections[0]._isStopped()


def test_people_can_read_along_without_the_password() -> None:
    made, _ = client(ok(b""), starturl="http://ann:secret@example.org/")
    with harness(made) as h:
        assert h.expect("debug") == "GET http://example.org/"


# ---- a real server


def body_from(owner: Silent) -> bytes:
    messages = list(owner.Inbox("inbox"))
    assert not any(isinstance(message, HTTPFailure) for message in messages), messages
    return b"".join(m.bodychunk for m in messages if isinstance(m, ParsedHTTPBodyChunk))


def test_a_large_body_goes_there_and_comes_back(world: World) -> None:
    data = pattern(2_000_000)

    def script() -> Script:
        server = world.serve(HTTPProtocol([["/", lambda _: Echo()]]))
        made = SingleShotHTTPClient(f"http://127.0.0.1:{server.address[1]}/", data)
        owner = Silent()
        owner.link((made, "outbox"), (owner, "inbox"))
        world.run(owner, made)
        yield from world.until(made._isStopped)
        assert body_from(owner) == data
        yield from world.until(lambda: server.connections == 0)

    world.play(script())


def test_several_fetches_side_by_side(world: World) -> None:
    def script() -> Script:
        parts = {"data": "x" * 1000, "complete": True}
        server = world.serve(HTTPProtocol([["/", lambda _: Says(parts)]]))
        owners = []
        for _ in range(10):
            made = SingleShotHTTPClient(f"http://localhost:{server.address[1]}/")
            owner = Silent()
            owner.link((made, "outbox"), (owner, "inbox"))
            world.run(owner, made)
            owners.append((owner, made))
        for owner, made in owners:
            yield from world.until(made._isStopped)
            assert body_from(owner) == b"x" * 1000

    world.play(script())


@pytest.mark.parametrize("trusted", [True, False])
def test_https_is_checked(real_time_world: World, trusted: bool) -> None:
    world, authority = real_time_world, trustme.CA()
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(theirs)
    ours = ssl.create_default_context()
    if trusted:
        authority.configure_trust(ours)

    def script() -> Script:
        routing = [["/", lambda _: Says({"data": "hush", "complete": True})]]
        server = world.serve(HTTPProtocol(routing), tls=theirs)
        made = SingleShotHTTPClient(f"https://localhost:{server.address[1]}/", tls=ours)
        assert made.connectionclass is TCPClient
        owner = Silent()
        owner.link((made, "outbox"), (owner, "inbox"))
        world.run(owner, made)
        yield from world.until(made._isStopped)
        if trusted:
            assert body_from(owner) == b"hush"
        else:
            (failed,) = owner.Inbox("inbox")
            assert isinstance(failed, HTTPFailure)
            assert "certificate" in failed.reason.lower()

    world.play(script())
