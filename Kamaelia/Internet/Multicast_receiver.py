"""
Datagrams from a group
======================
The receiving half of Multicast_transceiver.

Example Usage
-------------
Listen to a group on port 1600 until Ctrl-C::

    # ends: ctrl-c
    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Internet.Multicast_receiver import Multicast_receiver
    from Kamaelia.Util.Console import ConsoleEchoer

    Pipeline(Multicast_receiver("239.255.41.7", 1600), ConsoleEchoer()).run()
"""

from __future__ import annotations

from typing import Any

from Kamaelia.Internet.Datagrams import ANY4
from Kamaelia.Internet.Multicast_transceiver import Multicast_transceiver


class Multicast_receiver(Multicast_transceiver):  # noqa: N801 - the original's name
    """Multicast_receiver(address, port) -> ((host, port), data) of what is sent to the group."""

    Inboxes = {
        "inbox": "object: unused",
        "control": "the shutdown: either one ends it now",
    }

    def __init__(
        self,
        address: str,
        port: int,
        **attributes: Any,  # noqa: ANN401 - they become attributes
    ) -> None:
        super().__init__(ANY4, port, address, port, **attributes)

    def _addressed(self, message: object) -> tuple[object, tuple[str, int]]:
        raise TypeError(f"{self.name} only receives")


__kamaelia_components__ = (Multicast_receiver,)
