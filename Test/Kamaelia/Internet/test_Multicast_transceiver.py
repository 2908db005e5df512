"""Multicast: what one member sends all members get, sender first."""

import socket
import struct

import pytest

from Kamaelia.Internet.Datagrams import ANY4, DatagramError
from Kamaelia.Internet.Multicast_receiver import Multicast_receiver
from Kamaelia.Internet.Multicast_sender import Multicast_sender
from Kamaelia.Internet.Multicast_transceiver import Multicast_transceiver
from Test.Kamaelia.Internet.test_Datagrams import owner_of
from Test.Kamaelia.network import Script, World, taken
from Test.Kamaelia.shutdown import Ends

GROUP = "239.255.41.7"  # of the block for one's own use, RFC 2365
LOOPBACK = "127.0.0.1"


def member(port: int = 0) -> Multicast_transceiver:
    return Multicast_transceiver(ANY4, port, GROUP, port, hops=0, interface=LOOPBACK)


SHUTDOWN = {Multicast_transceiver: Ends(member, files=True)}


def can_multicast() -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        group = socket.inet_aton(GROUP) + socket.inet_aton(LOOPBACK)
        try:
            probe.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
        except OSError:
            return False
        return True


here = pytest.mark.skipif(not can_multicast(), reason="no multicast on this machine's loopback")


@here
def test_all_members_get_what_one_sends_with_the_sender_first(world: World) -> None:
    def script() -> Script:
        one = member()
        port = one.address[1]
        one.remote = (GROUP, port)
        two = Multicast_receiver(GROUP, port, interface=LOOPBACK)
        first, second = owner_of(world, one), owner_of(world, two)
        yield from world.settle()  # both have joined
        one.inboxes["inbox"].deliver(b"to all")
        for owner in (first, second):
            yield from world.until(lambda owner=owner: len(owner.inboxes["inbox"]))
            (((host, came_from), data),) = taken(owner)  # type: ignore[misc]
            assert (data, came_from) == (b"to all", port)
            assert host == LOOPBACK

    world.play(script())


@here
def test_a_sender_reaches_the_group_and_hears_nothing(world: World) -> None:
    def script() -> Script:
        receiver = Multicast_receiver(GROUP, 0, interface=LOOPBACK)
        port = receiver.address[1]
        sender = Multicast_sender(ANY4, 0, GROUP, port, hops=0, interface=LOOPBACK)
        owner, silent = owner_of(world, receiver), owner_of(world, sender)
        yield from world.settle()
        sender.inboxes["inbox"].deliver(b"hello")
        yield from world.until(lambda: len(owner.inboxes["inbox"]))
        assert taken(silent) == []

    world.play(script())


def test_a_receiver_does_not_send(world: World) -> None:
    def script() -> Script:
        receiver = Multicast_receiver(GROUP, 0, interface=LOOPBACK)
        owner = owner_of(world, receiver)
        receiver.inboxes["inbox"].deliver(b"x")
        yield from world.until(lambda: len(owner.inboxes["control"]))
        assert isinstance(taken(owner, "control")[0], DatagramError)

    if not can_multicast():
        pytest.skip("no multicast on this machine's loopback")
    world.play(script())


@pytest.mark.parametrize("address", ["127.0.0.1", "ff02::1", "10.0.0.1"])
def test_an_address_of_no_group_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="multicast address"):
        Multicast_transceiver(ANY4, 0, address, 1600)


def test_hops_limit_how_far_it_goes() -> None:
    made = Multicast_sender(ANY4, 0, GROUP, 1600, hops=3)
    assert made.address[1] > 0
    assert made.sock is not None
    ttl = made.sock.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 4)
    assert struct.unpack("i", ttl)[0] == 3
    made.stop()
