"""
A connection that says at once what has come
============================================
TCP acknowledges late, in the hope of something to send along: up to 40 ms. A peer that writes a
request in two pieces, and waits with the second until the first is acknowledged (Nagle's way, which
most programs have by default), then takes 40 ms for each. Where the other side cannot be mended,
this one acknowledges what it has read.

Example Usage
-------------
For the clients of a server::

    # ends: ctrl-c
    from functools import partial

    from Kamaelia.Chassis.ConnectedServer import ServerCore
    from Kamaelia.Internet.PromptSocketAdapter import PromptSocketAdapter
    from Kamaelia.Internet.TCPServer import TCPServer
    from Kamaelia.Protocol.EchoProtocol import EchoProtocol


    def protocol(**peer):
        return EchoProtocol()


    ServerCore(protocol=protocol, port=1500, TCPS=partial(TCPServer, CSA=PromptSocketAdapter)).run()

It costs a system call for each read, and the network a packet. On sockets that are not of TCP it
does nothing; where nothing of all this is known (outside Linux) neither.
"""

import socket
from contextlib import suppress

from Kamaelia.Internet.ConnectedSocketAdapter import ConnectedSocketAdapter

_QUICKACK = getattr(socket, "TCP_QUICKACK", None)


class PromptSocketAdapter(ConnectedSocketAdapter):
    """PromptSocketAdapter(sock) -> a ConnectedSocketAdapter that acknowledges at once."""

    __slots__ = ()

    def _deliver_data(self, data: bytes) -> None:
        if _QUICKACK is not None:
            # The kernel forgets it again, so it is said each time (tcp(7) of Linux).
            with suppress(OSError):
                self.sock.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        super()._deliver_data(data)


__kamaelia_components__ = (PromptSocketAdapter,)
