"""
Say everything again
====================
The smallest protocol there is, to begin with and to measure with: what one connection sends comes
back to it.

Example Usage
-------------
Without a network, so that one sees what it does::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Protocol.EchoProtocol import EchoProtocol
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource

    Pipeline(DataSource([b"hello ", b"hello"]), EchoProtocol(), ConsoleEchoer()).run()

It prints::

    b'hello 'b'hello'

As a server it is the protocol of a ServerCore: ``ServerCore(protocol=EchoProtocol, port=1500)``.
A peer that sends without reading fills the socket's box, then waits itself: no more is taken in
than goes out.
"""

from __future__ import annotations

from collections.abc import Iterator

from Axon.Component import component
from Axon.Ipc import shutdownMicroprocess


class EchoProtocol(component):
    """EchoProtocol() -> sends back what it gets; ServerCore's peer, peerport, ... become
    attributes."""

    Inboxes = {
        "inbox": "bytes: from the peer",
        "control": "the shutdown: any message here ends it, all but shutdownMicroprocess after"
        " what came before it was sent back",
    }
    Outboxes = {
        "outbox": "bytes: to the peer",
        "signal": "the shutdown that came in",
    }

    woken_by_collection = False  # it asks isFull(), or puts

    def main(self) -> Iterator[object]:
        stop: object = None
        outbox = self.outboxes["outbox"]
        while True:
            for message in self.Inbox("control"):
                stop = stop if isinstance(stop, shutdownMicroprocess) else message
            if isinstance(stop, shutdownMicroprocess):
                break
            while self.dataReady("inbox") and not outbox.isFull():
                self.send(self.recv("inbox"), "outbox")
            if stop is not None and not self.dataReady("inbox"):
                break
            self.pause()  # until something comes, or the peer has read what it had to
            yield 1
        self.send(stop, "signal")


__kamaelia_components__ = (EchoProtocol,)
