"""Encrypted connections with peers that are not of this project: openssl, and Python's own ssl."""

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from Axon.Ipc import producerFinished
from Kamaelia.Internet.TCPClient import TCPClient
from Test.Kamaelia import tls
from Test.Kamaelia.network import Echo, Greeter, Script, Silent, World, pattern

MIB = 1 << 20
needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="there is no openssl on this machine"
)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with the authority's certificate, and a server's with its key."""
    tls.authority().cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    leaf = tls.certificate()
    leaf.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    return tmp_path


@contextmanager
def openssl(*arguments: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        ["openssl", *arguments],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def client_of(port: int, *more: str) -> tuple[str, ...]:
    return (
        *("s_client", "-connect", f"127.0.0.1:{port}", "-quiet", "-no_ign_eof"),
        *("-CAfile", "authority.pem", "-verify_return_error", "-verify_hostname", tls.NAME),
        *more,
    )


def say(child: subprocess.Popen[bytes], data: bytes) -> None:
    assert child.stdin is not None
    child.stdin.write(data)
    child.stdin.flush()


def hear(world: World, child: subprocess.Popen[bytes], count: int) -> Script:
    """The next so many bytes of its output, read in a thread; fewer if it ends."""
    heard: list[bytes] = []

    def read() -> None:
        assert child.stdout is not None
        heard.append(child.stdout.read(count))

    thread = threading.Thread(target=read)
    thread.start()
    while thread.is_alive():
        yield from world.rest(0.005)
    return heard[0]


@needs_openssl
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_an_openssl_client_is_served(real_time_world: World, files: Path, version: str) -> None:
    world = real_time_world

    def script() -> Script:
        server = world.serve(Echo, tls=tls.server_context())
        with openssl(*client_of(server.address[1], version), folder=files) as client:
            data = pattern(MIB)
            writer = threading.Thread(target=say, args=(client, data))
            writer.start()
            assert (yield from hear(world, client, MIB)) == data
            writer.join()

    world.play(script())


@needs_openssl
def test_an_openssl_client_hears_all_and_then_a_proper_end(
    real_time_world: World, files: Path
) -> None:
    world = real_time_world
    data = pattern(2 * MIB)

    def script() -> Script:
        server = world.serve(lambda **peer: Greeter(data, **peer), tls=tls.server_context())
        with openssl(*client_of(server.address[1]), folder=files) as client:
            assert (yield from hear(world, client, 3 * MIB)) == data
            assert client.wait(10) == 0

    world.play(script())


def server_of(port: int, *more: str) -> tuple[str, ...]:
    return (
        *("s_server", "-accept", f"127.0.0.1:{port}", "-cert", "server.pem"),
        *("-key", "server.pem", "-quiet", "-naccept", "1", *more),
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def connected(world: World, port: int) -> Script:
    """A client of ours once the server is there, and what hears it."""
    owner, ready = Silent(), Silent()
    world.run(owner, ready)
    while True:
        client = TCPClient("127.0.0.1", port, tls=tls.client_context(), server_hostname=tls.NAME)
        owner.link((client, "outbox"), (owner, "inbox"))
        owner.link((client, "signal"), (owner, "control"))
        owner.link((client, "sslready"), (ready, "inbox"))
        world.run(client)
        yield from world.until(lambda: ready.dataReady("inbox") or owner.dataReady("control"))
        if ready.dataReady("inbox"):
            return client, owner
        assert isinstance(owner.recv("control").message, ConnectionRefusedError)
        yield from world.rest(0.05)


def came(world: World, owner: Silent, count: int) -> Script:
    parts = b""
    while len(parts) < count:
        parts += b"".join(owner.Inbox("inbox"))
        yield from world.rest(0.005)
    return parts


@needs_openssl
@pytest.mark.parametrize(
    "options", [("-tls1_2",), ("-tls1_3",), ("-tls1_3", "-num_tickets", "0"), ()]
)
def test_we_are_a_client_of_openssl(
    real_time_world: World, files: Path, options: tuple[str, ...]
) -> None:
    world = real_time_world

    def script() -> Script:
        port = free_port()
        with openssl(*server_of(port, *options), folder=files) as server:
            client, owner = yield from connected(world, port)
            client.inboxes["inbox"].deliver(pattern(MIB))
            assert (yield from hear(world, server, MIB)) == pattern(MIB)
            say(server, b"hello\n")
            assert (yield from came(world, owner, 6)) == b"hello\n"
            client.inboxes["control"].deliver(producerFinished())
            yield from world.until(lambda: owner.dataReady("control"))
            assert owner.recv("control").message is None

    world.play(script())


@needs_openssl
@pytest.mark.parametrize(("version", "command"), [("-tls1_3", b"K\n"), ("-tls1_2", b"r\n")])
def test_the_server_may_change_the_keys_while_it_lasts(
    real_time_world: World, files: Path, version: str, command: bytes
) -> None:
    """ "K" is a KeyUpdate that wants one of ours, "r" a renegotiation."""
    world = real_time_world

    def script() -> Script:
        port = free_port()
        arguments = [each for each in server_of(port, version) if each != "-quiet"]
        with openssl(*arguments, folder=files) as server:
            client, owner = yield from connected(world, port)
            for number in range(3):
                say(server, command)
                yield from world.rest(0.05)
                say(server, b"line %d\n" % number)
                assert (yield from came(world, owner, 7)) == b"line %d\n" % number
                client.inboxes["inbox"].deliver(b"answer %d\n" % number)
            client.inboxes["control"].deliver(producerFinished())
            output = yield from hear(world, server, 1 << 20)
            assert [b"answer %d\n" % number in output for number in range(3)] == [True] * 3
            yield from world.until(lambda: owner.dataReady("control"))
            assert owner.recv("control").message is None

    world.play(script())


def test_a_blocking_client_of_python_is_served(real_time_world: World) -> None:
    world = real_time_world
    data = pattern(3 * MIB)
    came_back: list[bytes] = []

    def talk(port: int) -> None:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=15) as plain,
            tls.client_context().wrap_socket(plain, server_hostname=tls.NAME) as client,
        ):
            writer = threading.Thread(target=client.sendall, args=(data,))
            writer.start()
            parts = b""
            while len(parts) < len(data):
                parts += client.recv(65_536)
            writer.join()
            client.unwrap().close()  # waits for our end of it
            came_back.append(parts)

    def script() -> Script:
        server = world.serve(Echo, tls=tls.server_context())
        thread = threading.Thread(target=talk, args=(server.address[1],))
        thread.start()
        while thread.is_alive():
            yield from world.rest(0.005)
        yield from world.until(lambda: server.connections == 0)

    world.play(script())
    assert came_back == [data]


def test_a_blocking_server_of_python_is_talked_to(real_time_world: World) -> None:
    world = real_time_world
    data = pattern(3 * MIB)
    heard: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        plain, _address = listener.accept()
        with plain, tls.server_context().wrap_socket(plain, server_side=True) as server:
            server.suppress_ragged_eofs = False
            parts = b""
            while part := server.recv(65_536):
                parts += part
            heard.append(parts)

    def script() -> Script:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=serve, args=(listener,))
            thread.start()
            client, owner = yield from connected(world, listener.getsockname()[1])
            client.inboxes["inbox"].deliver(data)
            client.inboxes["control"].deliver(producerFinished())
            while thread.is_alive():
                yield from world.rest(0.005)
            yield from world.until(lambda: owner.dataReady("control"))

    world.play(script())
    assert heard == [data]  # with a proper end: a cut would have been an error


def test_versions_that_have_nothing_in_common_are_told(real_time_world: World) -> None:
    world = real_time_world

    def script() -> Script:
        context = tls.limited_to(ssl.TLSVersion.TLSv1_3, tls.server_context())
        server = world.serve(Echo, tls=context)
        old = tls.limited_to(ssl.TLSVersion.TLSv1_2, tls.client_context())
        client = TCPClient(*server.address, tls=old)
        owner = Silent()
        owner.link((client, "signal"), (owner, "control"))
        world.run(owner, client)
        yield from world.until(lambda: owner.dataReady("control"))
        assert isinstance(owner.recv("control").message, ssl.SSLError)

    world.play(script())
