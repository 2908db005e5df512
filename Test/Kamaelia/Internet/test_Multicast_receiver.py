"""Multicast_receiver: how it ends; what it does is tested with the transceiver's."""

from Kamaelia.Internet.Multicast_receiver import Multicast_receiver
from Test.Kamaelia.Internet.test_Multicast_transceiver import GROUP
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {
    Multicast_receiver: Ends(
        lambda: Multicast_receiver(GROUP, 0, interface="127.0.0.1"), files=True
    )
}


def test_it_is_made_without_a_socket() -> None:
    assert Multicast_receiver(GROUP, 0, interface="127.0.0.1").sock is None
