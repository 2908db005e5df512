"""Multicast_sender: how it ends; what it does is tested with the transceiver's."""

from Kamaelia.Internet.Datagrams import ANY4
from Kamaelia.Internet.Multicast_sender import Multicast_sender
from Test.Kamaelia.Internet.test_Multicast_transceiver import GROUP
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {
    Multicast_sender: Ends(lambda: Multicast_sender(ANY4, 0, GROUP, 1600, hops=0), files=True)
}


def test_it_is_made_without_a_socket() -> None:
    assert Multicast_sender(ANY4, 0, GROUP, 1600, hops=0).sock is None
