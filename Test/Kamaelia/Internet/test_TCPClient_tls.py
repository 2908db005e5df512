"""A client that encrypts: what it checks, what it tells, and how it ends."""

import socket
import ssl

import pytest
import trustme

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import FakeClock
from Kamaelia.Internet.TCPClient import TCPClient
from Kamaelia.Internet.TCPServer import listening_socket
from Kamaelia.Internet.TLS import TLSInfo
from Test.Kamaelia import tls
from Test.Kamaelia.network import Echo, Greeter, Script, Silent, World, pattern, reset

MIB = 1 << 20


def start(world: World, client: TCPClient) -> Silent:
    """Make the client active; the component that its boxes lead to."""
    owner = Silent()
    owner.link((client, "outbox"), (owner, "inbox"))
    owner.link((client, "signal"), (owner, "control"))
    world.run(owner, client)
    return owner


def over(world: World, owner: Silent) -> Script:
    """Wait for the client's end; its reason."""
    yield from world.until(lambda: owner.dataReady("control"))
    told = owner.recv("control")
    assert isinstance(told, producerFinished)
    yield from world.until(lambda: told.caller not in world.scheduler.threads)
    return told.message


def listen(world: World) -> tuple[socket.socket, tuple[str, int]]:
    listener = world.keep(listening_socket(("127.0.0.1", 0)))
    return listener, listener.getsockname()[:2]


def accept(world: World, listener: socket.socket) -> Script:
    while True:
        try:
            peer, _address = listener.accept()
        except BlockingIOError:
            yield 1
            continue
        peer.setblocking(False)
        return world.keep(peer)


@pytest.mark.parametrize("name", [None, "", tls.NAME])
def test_it_encrypts_and_checks_the_host_or_the_name_it_is_told(
    world: World, name: str | None
) -> None:
    asked: list[str | None] = []
    context = tls.server_context()
    context.sni_callback = lambda _sock, heard, _context: asked.append(heard)

    def script() -> Script:
        server = world.serve(Echo, tls=context)
        client = TCPClient(*server.address, tls=tls.client_context(), server_hostname=name)
        owner = start(world, client)
        client.inboxes["inbox"].deliver(b"hello")  # before there is a connection
        yield from world.until(lambda: owner.dataReady("inbox"))
        assert owner.recv("inbox") == b"hello"
        client.inboxes["control"].deliver(producerFinished())
        assert (yield from over(world, owner)) is None

    world.play(script())
    assert asked == [name or None]  # an address is no name to ask for


@pytest.mark.parametrize("wrong", ["name", "authority", "time"])
def test_a_certificate_that_is_wrong_is_the_reason_and_nothing_is_sent(
    world: World, wrong: str
) -> None:
    def script() -> Script:
        server = world.serve(Echo, tls=tls.server_context(expired=wrong == "time"))
        client = TCPClient(
            *server.address,
            tls=tls.client_context(trustme.CA() if wrong == "authority" else None),
            server_hostname="other.example.org" if wrong == "name" else tls.NAME,
        )
        owner = start(world, client)
        client.inboxes["inbox"].deliver(b"secret")
        reason = yield from over(world, owner)
        assert isinstance(reason, ssl.SSLCertVerificationError)
        words = {"name": "mismatch", "authority": "issuer", "time": "expired"}
        assert words[wrong] in str(reason)
        assert not owner.dataReady("inbox")

    world.play(script())


@pytest.mark.parametrize("name", [".example.org", "a" * 300])
def test_what_cannot_be_a_name_is_its_reason(world: World, name: str) -> None:
    def script() -> Script:
        listener, address = listen(world)
        client = TCPClient(*address, tls=tls.client_context(), server_hostname=name)
        owner = start(world, client)
        yield from accept(world, listener)
        assert isinstance((yield from over(world, owner)), ssl.SSLError)

    world.play(script())


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        ("plain", ssl.SSLError),
        ("reset", ConnectionResetError),
        ("end", ssl.SSLEOFError),
        ("silence", TimeoutError),
    ],
)
def test_each_failure_in_the_handshake_is_its_reason(
    world: World, clock: FakeClock, what: str, kind: type[OSError]
) -> None:
    def script() -> Script:
        listener, address = listen(world)
        client = TCPClient(*address, tls=tls.client_context(), handshake_timeout=5.0)
        owner = start(world, client)
        client.inboxes["inbox"].deliver(b"secret")
        peer = yield from accept(world, listener)
        yield from world.receive(peer, 5)
        if what == "plain":
            peer.sendall(b"220 mail.example.org ESMTP\r\n")
        elif what == "reset":
            reset(peer)
        elif what == "end":
            peer.shutdown(socket.SHUT_WR)
        else:
            yield from world.settle()
            clock.advance(5)
        assert isinstance((yield from over(world, owner)), kind)
        if what != "reset":
            assert b"secret" not in (yield from world.receive_all(peer))

    world.play(script())


@pytest.mark.parametrize("message", [shutdownMicroprocess(), None])
def test_it_may_be_stopped_in_the_handshake(world: World, message: object) -> None:
    def script() -> Script:
        listener, address = listen(world)
        client = TCPClient(*address, tls=tls.client_context())
        owner = start(world, client)
        peer = yield from accept(world, listener)
        yield from world.receive(peer, 5)
        if message is None:
            client.stop()
        else:
            client.inboxes["control"].deliver(message)
            yield from over(world, owner)
        yield from world.receive_all(peer)
        yield from world.until(lambda: client not in world.scheduler.threads)
        yield from world.settle()
        assert not world.waiter.busy

    world.play(script())


def test_all_that_a_server_says_comes_and_its_end_is_a_proper_one(world: World) -> None:
    def script() -> Script:
        data = pattern(5 * MIB)
        server = world.serve(lambda **peer: Greeter(data, **peer), tls=tls.server_context())
        owner = start(world, TCPClient(*server.address, tls=tls.client_context()))
        came = b""
        while not owner.dataReady("control"):
            came += b"".join(owner.Inbox("inbox"))
            yield 1
        came += b"".join(owner.Inbox("inbox"))
        assert came == data
        assert (yield from over(world, owner)) is None

    world.play(script())


def test_a_server_that_cuts_it_off_is_its_reason(world: World) -> None:
    def script() -> Script:
        listener, address = listen(world)
        owner = start(world, TCPClient(*address, tls=tls.client_context()))
        plain = yield from accept(world, listener)
        peer = tls.wrap(world, plain, tls.server_context())
        yield from tls.shake_hands(peer)
        yield from tls.send_all(peer, b"half of")
        peer.shutdown(socket.SHUT_RDWR)
        assert isinstance((yield from over(world, owner)), ssl.SSLEOFError)
        assert list(owner.Inbox("inbox")) == [b"half of"]

    world.play(script())


# ---- asked for at "makessl"


def test_a_running_connection_is_turned_into_an_encrypted_one(world: World) -> None:
    def script() -> Script:
        listener, address = listen(world)
        client = TCPClient(*address, server_hostname=tls.NAME)
        owner = start(world, client)
        heard = Silent()
        heard.link((client, "sslready"), (heard, "inbox"))
        plain = yield from accept(world, listener)
        client.inboxes["inbox"].deliver(b"STARTTLS\r\n")
        assert (yield from world.receive(plain, 10)) == b"STARTTLS\r\n"
        plain.sendall(b"220 go ahead\r\n")
        yield from world.until(lambda: owner.dataReady("inbox"))
        assert owner.recv("inbox") == b"220 go ahead\r\n"
        client.inboxes["makessl"].deliver(tls.client_context())
        client.inboxes["inbox"].deliver(b"secret")
        peer = tls.wrap(world, plain, tls.server_context())
        yield from tls.shake_hands(peer)
        assert (yield from tls.receive(peer, 6)) == b"secret"
        yield from world.until(lambda: heard.dataReady("inbox"))
        assert isinstance(heard.recv("inbox"), TLSInfo)
        tls.end(peer)
        assert (yield from over(world, owner)) is None

    world.play(script())


def test_without_a_context_the_default_one_checks(world: World) -> None:
    def script() -> Script:
        listener, address = listen(world)
        client = TCPClient(*address)
        owner = start(world, client)
        plain = yield from accept(world, listener)
        client.inboxes["makessl"].deliver("anything")
        peer = tls.wrap(world, plain, tls.server_context())
        with pytest.raises(ssl.SSLError, match="alert"):
            yield from tls.shake_hands(peer)
        # The system does not know the authority of these tests.
        assert isinstance((yield from over(world, owner)), ssl.SSLCertVerificationError)

    world.play(script())


def test_asked_for_before_there_is_a_connection_it_begins_encrypted(world: World) -> None:
    def script() -> Script:
        listener, address = listen(world)
        client = TCPClient(*address, delay=5)
        owner = start(world, client)
        client.inboxes["inbox"].deliver(b"secret")
        client.inboxes["makessl"].deliver(tls.client_context())
        yield from world.settle()
        world.scheduler.clock.advance(5)
        peer = tls.wrap(world, (yield from accept(world, listener)), tls.server_context())
        yield from tls.shake_hands(peer)
        assert (yield from tls.receive(peer, 6)) == b"secret"
        client.inboxes["control"].deliver(shutdownMicroprocess())
        yield from over(world, owner)

    world.play(script())
