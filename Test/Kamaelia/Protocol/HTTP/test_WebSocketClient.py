"""WebSocketClient: against our own server, a server of another make, and none."""

import ssl
import threading
from collections.abc import Iterator

import pytest
import trustme
from websockets.sync.server import ServerConnection, serve

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import harness
from Kamaelia.Protocol.EchoProtocol import EchoProtocol
from Kamaelia.Protocol.HTTP.HTTPServer import HTTPProtocol
from Kamaelia.Protocol.HTTP.WebSocket import WebSocketProtocol
from Kamaelia.Protocol.HTTP.WebSocketClient import WebSocketClient
from Kamaelia.Support.Protocol.HTTP.Uri import UrlError
from Kamaelia.Support.Protocol.HTTP.WebSocket import Closed, ServerSession
from Test.Kamaelia.network import Script, Silent, World
from Test.Kamaelia.Protocol.HTTP.far_ends import Network
from Test.Kamaelia.shutdown import Ends


def client(*answers: object, **settings: object) -> tuple[WebSocketClient, Network]:
    network = Network(*answers)
    made = WebSocketClient("ws://x/", connectionclass=network, **settings)  # type: ignore[arg-type]
    return made, network


SHUTDOWN = {
    WebSocketClient: Ends(
        None, why="it speaks with a server from its first turn on; the ends are tested below"
    )
}

ECHO = HTTPProtocol([["/", WebSocketProtocol(lambda _: EchoProtocol())]])


def talk(world: World, made: WebSocketClient) -> Silent:
    """Run it; the owner's inbox gets its messages, its control what it says at the end."""
    owner = Silent()
    owner.link((made, "outbox"), (owner, "inbox"))
    owner.link((made, "signal"), (owner, "control"))
    world.run(owner, made)
    return owner


def test_messages_go_there_and_come_back_and_it_closes_properly(world: World) -> None:
    def script() -> Script:
        server = world.serve(ECHO)
        made = WebSocketClient(f"ws://127.0.0.1:{server.address[1]}/")
        owner = talk(world, made)
        messages = ["text", b"bytes", "x" * 100_000]
        for message in messages:  # before there is a connection
            made.inboxes["inbox"].deliver(message)
        made.inboxes["control"].deliver(producerFinished())
        yield from world.until(made._isStopped)
        # It closes behind what it has sent, so the last answers may be too late.
        answers = list(owner.Inbox("inbox"))
        assert answers == messages[: len(answers)]
        (over,) = owner.Inbox("control")
        assert over.message == Closed(1000)
        yield from world.until(lambda: server.connections == 0)

    world.play(script())


def test_a_conversation(world: World) -> None:
    def script() -> Script:
        server = world.serve(ECHO)
        made = WebSocketClient(f"ws://localhost:{server.address[1]}/")
        owner = talk(world, made)
        for message in ("one", b"two", ""):
            made.inboxes["inbox"].deliver(message)
            yield from world.until(lambda: owner.dataReady("inbox"))
            assert owner.recv("inbox") == message
        made.inboxes["inbox"].deliver(Closed(4001, "enough"))
        yield from world.until(made._isStopped)
        (over,) = owner.Inbox("control")
        assert over.message == Closed(4001, "enough")

    world.play(script())


def test_told_to_stop_it_says_goodbye_and_hands_the_word_on(world: World) -> None:
    stop = shutdownMicroprocess()

    def script() -> Script:
        server = world.serve(ECHO)
        made = WebSocketClient(f"ws://127.0.0.1:{server.address[1]}/")
        owner = talk(world, made)
        made.inboxes["inbox"].deliver("x")
        yield from world.until(lambda: owner.dataReady("inbox"))
        made.inboxes["control"].deliver(stop)
        yield from world.until(made._isStopped)
        assert list(owner.Inbox("control")) == [stop]
        yield from world.until(lambda: server.connections == 0)

    world.play(script())


def test_a_server_that_is_no_websocket_server(world: World) -> None:
    def script() -> Script:
        server = world.serve(HTTPProtocol([]))
        owner = talk(world, made := WebSocketClient(f"ws://127.0.0.1:{server.address[1]}/"))
        yield from world.until(made._isStopped)
        (over,) = owner.Inbox("control")
        assert over.message.code == 1006
        assert "404" in over.message.reason

    world.play(script())


def test_no_server_at_all(world: World) -> None:
    def script() -> Script:
        owner = talk(world, made := WebSocketClient("ws://127.0.0.1:1/"))
        yield from world.until(made._isStopped)
        (over,) = owner.Inbox("control")
        assert over.message.code == 1006
        assert "refused" in over.message.reason

    world.play(script())


def test_a_server_that_does_not_answer_is_not_waited_for() -> None:
    made, network = client(None, open_timeout=30.0)
    with harness(made) as h:
        h.run_for(29)
        h.not_ended()
        h.run_for(2)
        assert isinstance(network.connections[0].told, shutdownMicroprocess)
        h.expect_end(within=40)
        over = h.expect("signal", producerFinished)
        assert over.message.code == 1006


@pytest.mark.parametrize("stop", [producerFinished(), shutdownMicroprocess()])
def test_told_to_end_before_there_is_a_connection(stop: object) -> None:
    made, _ = client(None, open_timeout=30.0)
    with harness(made) as h:
        h.settle()
        h.put(stop, "control")
        h.expect_end(within=1)
        said = h.expect("signal")
        assert said is stop or isinstance(said, producerFinished)


def test_an_address_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(UrlError):
        WebSocketClient("nonsense")


def test_wss_goes_through_tls(real_time_world: World) -> None:
    world, authority = real_time_world, trustme.CA()
    theirs, ours = (
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH),
        ssl.create_default_context(),
    )
    authority.issue_cert("localhost").configure_cert(theirs)
    authority.configure_trust(ours)

    def script() -> Script:
        server = world.serve(ECHO, tls=theirs)
        made = WebSocketClient(f"wss://localhost:{server.address[1]}/", tls=ours)
        owner = talk(world, made)
        made.inboxes["inbox"].deliver("hush")
        yield from world.until(lambda: owner.dataReady("inbox"))
        assert owner.recv("inbox") == "hush"

    world.play(script())


@pytest.fixture
def other_server() -> Iterator[str]:
    """One of websockets' own, which echoes until it hears "stop"."""

    def handler(connection: ServerConnection) -> None:
        for message in connection:
            if message == "stop":
                connection.close(4005, "as you wish")
                return
            connection.send(message)

    with serve(handler, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}/"
        server.shutdown()
        thread.join(10)


def test_a_server_of_another_make_is_content(other_server: str) -> None:
    world = World(None)  # not the fixture: the other server leaves a file open

    def script() -> Script:
        owner = talk(world, made := WebSocketClient(other_server))
        for message in ["text", b"\x00" * 200_000, "stop"]:
            made.inboxes["inbox"].deliver(message)
        yield from world.until(made._isStopped)
        assert list(owner.Inbox("inbox")) == ["text", b"\x00" * 200_000]
        (over,) = owner.Inbox("control")
        assert over.message == Closed(4005, "as you wish")

    world.play(script())
    world.close()


def test_a_server_in_bytes() -> None:
    """What a ServerSession answers to our handshake is what the client takes for open."""
    session = ServerSession()
    made, network = client(None)
    with harness(made) as h:
        h.settle()
        h.settle()
        session.receive_data(network.connections[0].got)
        network.connections[0].send(session.data_to_send(), "outbox")
        session.send("hello")
        network.connections[0].send(session.data_to_send(), "outbox")
        assert h.expect("outbox") == "hello"
