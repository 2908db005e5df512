"""What has come is acknowledged at once."""

import socket
import struct

from Kamaelia.Internet.PromptSocketAdapter import PromptSocketAdapter
from Test.Kamaelia.network import Script, World, send_to
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {
    PromptSocketAdapter: Ends(None, why="it says shutdownCSA: test_ConnectedSocketAdapter_ends")
}
TIMES = 30  # after some, the kernel takes both for people who talk, and acknowledges late


def unacknowledged(sock: socket.socket) -> int:
    """Segments that the other end has not confirmed yet: tcpi_unacked of tcp(7)."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    (count,) = struct.unpack_from("I", info, 24)
    return int(count)


def test_the_first_piece_of_a_request_is_acknowledged_before_the_answer(world: World) -> None:
    late = []

    def script() -> Script:
        adapter, peer, owner = world.adapter(PromptSocketAdapter)
        for _ in range(TIMES):
            peer.sendall(b"macros ")
            yield from world.until(lambda: owner.dataReady("inbox"))
            assert owner.recv("inbox") == b"macros "
            late.append(unacknowledged(peer))
            peer.sendall(b"command")
            yield from world.until(lambda: owner.dataReady("inbox"))
            assert owner.recv("inbox") == b"command"
            send_to(adapter, b"answer")
            assert (yield from world.receive(peer, 6)) == b"answer"

    world.play(script())
    assert late == [0] * TIMES


def test_a_local_socket_has_nothing_to_acknowledge(world: World) -> None:
    ours, theirs = socket.socketpair()
    world.keep(theirs)

    def script() -> Script:
        adapter = PromptSocketAdapter(ours).activate(Scheduler=world.scheduler)
        theirs.sendall(b"hello")
        send_to(adapter, b"answer")
        assert (yield from world.receive(theirs, 6)) == b"answer"
        adapter.stop()

    world.play(script())
