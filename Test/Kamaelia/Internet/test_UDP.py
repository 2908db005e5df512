"""The peers of UDP: one receiver, a changing one, or one a message."""

import socket

import pytest

from Axon.Ipc import producerFinished
from Kamaelia.Internet import UDP, UDP_ng
from Kamaelia.Internet.Datagrams import DatagramError
from Kamaelia.Internet.UDP import PostboxPeer, SimplePeer, TargettedPeer, UDPReceiver, UDPSender
from Test.Kamaelia.Internet.test_Datagrams import owner_of, peer
from Test.Kamaelia.network import Script, World, taken
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {
    SimplePeer: Ends(lambda: SimplePeer("127.0.0.1"), files=True),
    TargettedPeer: Ends(lambda: TargettedPeer("127.0.0.1"), files=True),
    PostboxPeer: Ends(lambda: PostboxPeer("127.0.0.1"), files=True),
    UDPSender: Ends(lambda: UDPSender("127.0.0.1", 9), files=True),
    UDPReceiver: Ends(lambda: UDPReceiver("127.0.0.1", 0), files=True),
}


def heard(world: World, other: socket.socket, count: int) -> Script:
    got: list[bytes] = []
    while len(got) < count:
        try:
            got.append(other.recv(100))
        except BlockingIOError:
            yield 1
    return got


def test_a_simple_peer_sends_to_one_and_hears_from_it(world: World) -> None:
    def script() -> Script:
        other = peer(world)
        made = SimplePeer("127.0.0.1", 0, *other.getsockname())
        owner = owner_of(world, made)
        made.inboxes["inbox"].deliver(b"ping")
        data = b""
        while not data:
            try:
                data, address = other.recvfrom(100)
            except BlockingIOError:
                yield 1
        other.sendto(b"pong", address)
        yield from world.until(lambda: len(owner.inboxes["inbox"]))
        assert taken(owner) == [(b"pong", other.getsockname())]

    world.play(script())


def test_a_simple_peer_may_talk_to_itself(world: World) -> None:
    def script() -> Script:
        made = SimplePeer("127.0.0.1", 0)
        made.receiver = made.address
        owner = owner_of(world, made)
        made.inboxes["inbox"].deliver(b"echo")
        yield from world.until(lambda: len(owner.inboxes["inbox"]))
        assert taken(owner) == [(b"echo", made.address)]

    world.play(script())


def test_without_a_receiver_what_is_to_be_sent_is_an_error(world: World) -> None:
    def script() -> Script:
        made = SimplePeer("127.0.0.1")
        owner = owner_of(world, made)
        made.inboxes["inbox"].deliver(b"to whom?")
        yield from world.until(lambda: len(owner.inboxes["control"]))
        (error,) = taken(owner, "control")
        assert "was not told to which port to send" in str(error)

    world.play(script())


def test_a_target_changes_where_the_next_ones_go(world: World) -> None:
    def script() -> Script:
        first, second = peer(world), peer(world)
        made = TargettedPeer("127.0.0.1", 0, *first.getsockname())
        owner_of(world, made)
        made.inboxes["inbox"].deliver(b"one")
        assert (yield from heard(world, first, 1)) == [b"one"]
        made.inboxes["target"].deliver(second.getsockname())
        made.inboxes["inbox"].deliver(b"two")
        assert (yield from heard(world, second, 1)) == [b"two"]

    world.play(script())


@pytest.mark.parametrize("target", ["localhost", ("localhost", "80"), (b"::1", 80), None])
def test_a_target_that_is_none_is_told_and_the_old_one_stays(world: World, target: object) -> None:
    def script() -> Script:
        first = peer(world)
        made = TargettedPeer("127.0.0.1", 0, *first.getsockname())
        owner = owner_of(world, made)
        made.inboxes["target"].deliver(target)
        made.inboxes["inbox"].deliver(b"still")
        assert (yield from heard(world, first, 1)) == [b"still"]
        assert isinstance(taken(owner, "control")[0], DatagramError)

    world.play(script())


def test_a_postbox_peer_sends_each_where_it_says(world: World) -> None:
    def script() -> Script:
        first, second = peer(world), peer(world)
        made = PostboxPeer("127.0.0.1")
        owner = owner_of(world, made)
        for other, data in ((first, b"a"), (second, b"b"), (first, b"c")):
            made.inboxes["inbox"].deliver((*other.getsockname(), data))
        made.inboxes["inbox"].deliver(b"to whom?")
        assert (yield from heard(world, first, 2)) == [b"a", b"c"]
        assert (yield from heard(world, second, 1)) == [b"b"]
        yield from world.until(lambda: len(owner.inboxes["control"]))
        assert "takes (host, port, data)" in str(taken(owner, "control")[0])

    world.play(script())


def test_what_waits_is_sent_before_a_sender_finishes(world: World) -> None:
    def script() -> Script:
        other = peer(world)
        made = UDPSender(*other.getsockname())
        owner_of(world, made)
        for number in range(20):
            made.inboxes["inbox"].deliver(b"%d" % number)
        made.inboxes["control"].deliver(producerFinished())
        assert len((yield from heard(world, other, 20))) == 20
        yield from world.until(made._isStopped)

    world.play(script())


def test_a_sender_does_not_read(world: World) -> None:
    def script() -> Script:
        made = UDPSender("127.0.0.1", 9)
        owner = owner_of(world, made)
        peer(world).sendto(b"x", ("127.0.0.1", made.address[1]))
        yield from world.settle()
        assert taken(owner) == []

    world.play(script())


def test_both_names_of_the_module_mean_the_same_classes() -> None:
    assert [getattr(UDP_ng, name) for name in UDP_ng.__all__] == [
        getattr(UDP, name) for name in UDP_ng.__all__
    ]
