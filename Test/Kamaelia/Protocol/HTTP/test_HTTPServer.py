"""Routing, and the server on real sockets: several clients, slow ones, rude ones, curl."""

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from Axon.AxonExceptions import noSpaceInBox
from Axon.Component import component
from Axon.Ipc import shutdownMicroprocess
from Axon.Testing import harness
from Kamaelia.Chassis.Pipeline import Pipeline
from Kamaelia.Protocol.HTTP.HTTPRequestHandler import HTTPRequestHandler
from Kamaelia.Protocol.HTTP.HTTPServer import HTTPProtocol, HTTPServer, requestHandlers
from Kamaelia.Support.Protocol.HTTP.Messages import Request, Response
from Kamaelia.Util.OneShot import OneShot
from Test.Kamaelia.network import Script, World, pattern, reset
from Test.Kamaelia.Protocol.HTTP.handlers import (
    Echo,
    Fails,
    Says,
    get,
    sent,
    server_in_a_thread,
    status_of,
)


def hello(request: Request) -> component:
    data = f"hello {request['peer']}, {request['uri-suffix']}"
    return OneShot({"data": data, "content-type": "text/plain", "complete": True})


class Huge(component):
    """Gives out more than any buffer holds, and counts how much."""

    made = 0

    def main(self) -> Iterator[object]:
        while not isinstance(self.told_to_stop(), shutdownMicroprocess):
            try:
                self.send(Response(bytes(50_000)), "outbox")
                self.made += 50_000
            except noSpaceInBox:
                self.pause()
            yield 1


# ---- routing


def make(routing: list[list[object]], target: str) -> component:
    return requestHandlers(routing)(Request("GET", target))  # type: ignore[arg-type]


def test_the_first_prefix_that_fits_decides() -> None:
    seen: list[tuple[str, str]] = []

    def factory(request: Request) -> component:
        seen.append((request["uri-prefix-trigger"], request["uri-suffix"]))
        return Says()

    routing = [["/a/b", factory], ("/a/", factory), ["/", factory]]
    for target in ("/a/bc?x", "/a/c", "/d"):
        make(routing, target)  # type: ignore[arg-type]
    assert seen == [("/a/b", "c?x"), ("/a/", "c"), ("/", "d")]


def test_an_address_without_a_route_is_not_found() -> None:
    with harness(HTTPServer(requestHandlers([["/a", hello]]))) as h:
        h.put(get("/b"))
        assert status_of(sent(h)) == 404


def test_a_program_may_have_error_pages_of_its_own() -> None:
    def mine(status: int, text: str) -> component:
        return OneShot({"statuscode": status, "data": f"sorry: {text}", "complete": True})

    with harness(HTTPProtocol([["/a", hello]], mine)(peer="p")) as h:
        h.put(get("/b"))
        answer = sent(h)
    assert status_of(answer) == 404
    assert b"sorry: There is nothing" in answer


@pytest.mark.parametrize(
    ("entry", "error"),
    [
        (["no-slash", hello], ValueError),
        (["/", "text"], TypeError),
        ([hello, "/"], TypeError),
        (["/", 3], TypeError),
        (["/"], ValueError),
    ],
)
def test_a_routing_that_is_none_is_refused_where_it_is_given(
    entry: list[object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        HTTPProtocol([entry])  # type: ignore[list-item]


def test_settings_go_to_each_connection_and_so_does_the_peer() -> None:
    made = HTTPProtocol([["/", hello]], head_timeout=1.5)(peer="192.0.2.1", peerport=7)
    assert isinstance(made, HTTPRequestHandler)
    assert (made.head_timeout, made.peer, made.peerport) == (1.5, "192.0.2.1", 7)
    assert HTTPRequestHandler.head_timeout == 30.0


def test_a_pipeline_may_be_a_handler() -> None:
    def factory(request: Request) -> component:
        return Pipeline(OneShot("a"), Says({"data": "b", "complete": True}))

    with harness(HTTPServer(factory)) as h:
        h.put(get() + get())
        assert sent(h).count(b" 200 OK") == 2


# ---- on sockets


def test_clients_side_by_side_and_one_whose_handler_fails(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def script() -> Script:
        server = world.serve(HTTPProtocol([["/fail", lambda _: Fails()], ["/", hello]]))
        clients = [world.connect(server) for _ in range(20)]
        for number, client in enumerate(clients):
            client.sendall(get("/fail" if number == 7 else f"/{number}"))
        for number, client in enumerate(clients):
            answer = yield from world.receive(client, 17)
            assert status_of(answer) == (500 if number == 7 else 200)
        assert server.connections == 20
        clients[7].sendall(get("/again"))
        rest = b""
        while b"again" not in rest:  # the same connection goes on
            rest += yield from world.receive(clients[7], 1)

    world.play(script())
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 1


def test_a_half_closed_client_gets_its_answer_and_then_the_end(world: World) -> None:
    def script() -> Script:
        server = world.serve(HTTPProtocol([["/", hello]]))
        client = world.connect(server)
        client.sendall(get("/a") + get("/b"))
        client.shutdown(1)
        answer = yield from world.receive_all(client)
        assert answer.count(b"hello 127.0.0.1") == 2
        yield from world.until(lambda: server.connections == 0)

    world.play(script())


def test_a_client_that_does_not_read_holds_its_handler_back(world: World) -> None:
    handler = Huge()

    def script() -> Script:
        server = world.serve(HTTPProtocol([["/", lambda _: handler]]))
        client = world.connect(server)
        client.sendall(get())
        yield from world.settle()
        for _ in range(1_000):
            yield 1
            made = handler.made
            assert made < 20_000_000  # what the kernel holds for it, and a few pieces
        yield from world.receive(client, made)
        yield from world.until(lambda: handler.made > made)
        reset(client)
        yield from world.until(handler._isStopped)
        yield from world.until(lambda: server.connections == 0)

    world.play(script())


def test_a_large_body_comes_back_unchanged(world: World) -> None:
    data = pattern(3_000_000)

    def script() -> Script:
        server = world.serve(HTTPProtocol([["/", lambda _: Echo()]]))
        client = world.connect(server)
        head = get("/", f"Content-Length: {len(data)}", method="POST", version="1.1")
        wire, received, at = head + data, b"", 0
        while not received.endswith(b"\r\n0\r\n\r\n"):
            with suppress(BlockingIOError):
                at += client.send(wire[at : at + 100_000])
            try:
                received += client.recv(1 << 20)
            except BlockingIOError:
                yield 1
        body, rest = b"", received.partition(b"\r\n\r\n")[2]
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
        assert body == data

    world.play(script())


def test_a_client_that_resets_in_the_middle_of_a_body_harms_nobody(world: World) -> None:
    def script() -> Script:
        server = world.serve(HTTPProtocol([["/echo", lambda _: Echo()], ["/", hello]]))
        client = world.connect(server)
        client.sendall(get("/echo", "Content-Length: 1000", method="POST") + b"abc")
        yield from world.receive(client, 10)
        reset(client)
        yield from world.until(lambda: server.connections == 0)
        other = world.connect(server)
        other.sendall(get())
        assert status_of((yield from world.receive(other, 17))) == 200

    world.play(script())


def test_a_server_that_is_stopped_ends_its_connections(world: World) -> None:
    def script() -> Script:
        server = world.serve(HTTPProtocol([["/", hello]]))
        client = world.connect(server)
        client.sendall(get())
        yield from world.receive(client, 17)
        server.stop()
        yield from world.receive_all(client)

    world.play(script())


# ---- curl


@pytest.mark.needs("curl")
def test_curl_is_content(find_program: Callable[[str], Path], tmp_path: Path) -> None:
    blob = tmp_path / "blob"
    blob.write_bytes(pattern(300_000))

    def curl(*arguments: object) -> bytes:
        command = [find_program("curl"), "--silent", "--show-error", "--max-time", "10"]
        done = subprocess.run([*command, *map(str, arguments)], capture_output=True, check=True)
        assert done.stderr == b""
        return done.stdout

    routing = [["/echo", lambda _: Echo()], ["/", hello]]
    with server_in_a_thread(HTTPProtocol(routing)) as where:
        url = f"http://{where}"
        assert curl(f"{url}/x") == b"hello 127.0.0.1, x"
        assert re.search(rb"Content-Length: 18\r\n", curl("--head", f"{url}/x"))
        assert curl("--http1.0", f"{url}/x") == b"hello 127.0.0.1, x"
        assert curl("--data-binary", f"@{blob}", f"{url}/echo") == blob.read_bytes()
        chunked = ("--header", "Transfer-Encoding: chunked", "--upload-file", blob)
        assert curl(*chunked, f"{url}/echo") == blob.read_bytes()
        expect = ("--header", "Expect: 100-continue", "--data-binary", f"@{blob}")
        assert curl(*expect, f"{url}/echo") == blob.read_bytes()
        reused = curl(f"{url}/a", f"{url}/b", "--write-out", "%{num_connects}")
        assert reused == b"hello 127.0.0.1, a1hello 127.0.0.1, b0"
