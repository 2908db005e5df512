"""
Datagrams to a group
====================
The sending half of Multicast_transceiver.

Example Usage
-------------
Say something to whoever listens, and end::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Internet.Multicast_sender import Multicast_sender
    from Kamaelia.Util.OneShot import OneShot

    Pipeline(
        OneShot(b"is anybody there?"),
        Multicast_sender("0.0.0.0", 0, "239.255.41.7", 1600, hops=0),
    ).run()
"""

from __future__ import annotations

from Kamaelia.Internet.Multicast_transceiver import Multicast_transceiver


class Multicast_sender(Multicast_transceiver):  # noqa: N801 - the original's name
    """Multicast_sender(local_addr, local_port, remote_addr, remote_port, debug=False) -> sends to a
    group and hears nothing."""

    Outboxes = {
        "outbox": "object: unused",
        "error": "DatagramError: what could not be sent",
        "signal": "the shutdown that came in",
    }

    receives = False


__kamaelia_components__ = (Multicast_sender,)
