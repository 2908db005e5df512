"""
Datagrams to and from a group
=============================
What one sends to a multicast group reaches everybody in the network who has joined it. What comes
out here is ((host, port), data): the other way round than in UDP.py, as it always was.

Example Usage
-------------
Two members of a group that does not leave this machine::

    from Axon.OnMessage import MessageComponent
    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Internet.Multicast_sender import Multicast_sender
    from Kamaelia.Internet.Multicast_transceiver import Multicast_transceiver
    from Kamaelia.Util.OneShot import OneShot

    member = Multicast_transceiver("0.0.0.0", 0, "239.255.41.7", 1600, hops=0)
    port = member.address[1]

    class Show(MessageComponent):
        def on_inbox(self, message):
            (host, port), data = message
            print(data)
            member.stop()

    other = Multicast_sender("0.0.0.0", 0, "239.255.41.7", port, hops=0)
    Pipeline(OneShot(b"to all"), other).activate()
    Pipeline(member, Show()).run()

It prints::

    b'to all'

Many networks filter multicast, and a datagram is repeated to nobody: for a first network program
take TCP. The interface is the system's choice; name one of its addresses as ``interface`` where a
machine has several.
"""

from __future__ import annotations

import socket
from ipaddress import ip_address

from Kamaelia.Internet.Datagrams import Address, DatagramSocket


class Multicast_transceiver(DatagramSocket):  # noqa: N801 - the original's name
    """Multicast_transceiver(local_addr, local_port, remote_addr, remote_port, debug=False) -> sends
    to a group and receives from it.

    remote_addr: an IPv4 multicast address. debug is taken and not needed. Raises ValueError for a
    remote_addr that is no group's."""

    Inboxes = {
        "inbox": "bytes: a datagram to send to the group",
        "control": "producerFinished (send what waits, then end) or shutdownMicroprocess (end now)",
    }
    Outboxes = {
        "outbox": "((str, int), bytes): a datagram of the group, after the host and port of its"
        " sender",
        "error": "DatagramError: what could not be sent",
        "signal": "the shutdown that came in",
    }

    hops = 1  # networks that a datagram may cross; 0: it stays on this machine
    loop = True  # members on this machine hear what is sent from it
    interface = "0.0.0.0"  # noqa: S104 - any: the address of the interface to join on

    def __init__(
        self,
        local_addr: str,
        local_port: int,
        remote_addr: str,
        remote_port: int,
        debug: bool = False,
        **attributes: object,
    ) -> None:
        group = ip_address(remote_addr)
        if group.version != 4 or not group.is_multicast:
            raise ValueError(f"{remote_addr} is no IPv4 multicast address (224.0.0.0/4)")
        super().__init__(local_addr, local_port, **attributes)
        self.remote: Address = (remote_addr, remote_port)

    def _prepare(self, sock: socket.socket) -> None:
        # Several members on one machine share the port.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, self.hops)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, self.loop)
        interface = socket.inet_aton(self.interface)
        if self.interface != "0.0.0.0":  # noqa: S104 - compared
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, interface)
        if self.receives:
            membership = socket.inet_aton(self.remote[0]) + interface
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)

    def _received(self, data: bytes, address: tuple[str, int]) -> object:
        return address[:2], data

    def _addressed(self, message: object) -> tuple[object, Address]:
        return message, self.remote


__kamaelia_components__ = (Multicast_transceiver,)
