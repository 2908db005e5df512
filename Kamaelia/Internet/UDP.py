"""
Datagrams
=========
Peers that send and receive by UDP, differing in how they are told whom to send to: one peer for
ever (SimplePeer), one that may change (TargettedPeer), or another one for each message
(PostboxPeer). UDPSender and UDPReceiver are the two halves by themselves.

Example Usage
-------------
Two peers; what the first is given arrives at the second::

    from Axon.Component import component
    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Internet.UDP import SimplePeer, UDPReceiver
    from Kamaelia.Util.OneShot import OneShot

    class ShowOne(component):
        def main(self):
            while not self.dataReady("inbox"):
                self.pause()
                yield 1
            data, (host, port) = self.recv("inbox")
            print(data, "from", host)

    receiver, show = UDPReceiver("127.0.0.1", 0), ShowOne()
    show.call_on_close(receiver.stop)
    host, port = receiver.address
    Pipeline(OneShot(b"hello"), SimplePeer(receiver_addr=host, receiver_port=port)).activate()
    Pipeline(receiver, show).run()

It prints::

    b'hello' from 127.0.0.1

Datagrams may be lost, doubled and overtaken by others, and nobody is told: see
SimpleReliableMulticast for numbers, and Datagrams for the socket, its limits and its errors.
"""

from __future__ import annotations

from Kamaelia.Internet.Datagrams import ANY4, ANY6, Address, DatagramSocket


class SimplePeer(DatagramSocket):
    """SimplePeer(localaddr="0.0.0.0", localport=0, receiver_addr="0.0.0.0", receiver_port=0) ->
    sends to one peer, receives from everybody.

    The addresses are IPv4 or IPv6, both of one kind; port 0 as the receiver's: there is none."""

    Inboxes = {
        "inbox": "bytes: a datagram to send to the receiver",
        "control": "producerFinished (send what waits, then end) or shutdownMicroprocess (end now)",
    }

    def __init__(
        self,
        localaddr: str = ANY4,
        localport: int = 0,
        receiver_addr: str = ANY4,
        receiver_port: int = 0,
        **attributes: object,
    ) -> None:
        if localaddr == ANY4 and ":" in receiver_addr:
            localaddr = ANY6
        super().__init__(localaddr, localport, **attributes)
        self.receiver: Address = (receiver_addr, receiver_port)

    def _addressed(self, message: object) -> tuple[object, Address]:
        if not self.receiver[1]:
            raise TypeError(f"{self.name} was not told to which port to send")
        return message, self.receiver


class TargettedPeer(SimplePeer):
    """TargettedPeer(localaddr="0.0.0.0", localport=0, receiver_addr="0.0.0.0", receiver_port=0) ->
    a SimplePeer whose receiver changes."""

    Inboxes = {
        "inbox": "bytes: a datagram to send to the present receiver",
        "target": "(str, int): host and port of the receiver from now on",
        "control": "producerFinished (send what waits, then end) or shutdownMicroprocess (end now)",
    }

    def _take_settings(self) -> None:
        for target in self.Inbox("target"):
            try:
                self.receiver = _checked(self.name, target)
            except TypeError as error:
                self._complain(None, error)


class PostboxPeer(DatagramSocket):
    """PostboxPeer(localaddr="0.0.0.0", localport=0) -> each message names its receiver."""

    Inboxes = {
        "inbox": "(str, int, bytes): host, port and the datagram to send there",
        "control": "producerFinished (send what waits, then end) or shutdownMicroprocess (end now)",
    }

    def _addressed(self, message: object) -> tuple[object, Address]:
        match message:
            case (host, port, data):
                return data, _checked(self.name, (host, port))
            case _:
                raise TypeError(f"{self.name} takes (host, port, data), not {message!r:.60}")


class UDPSender(SimplePeer):
    """UDPSender(receiver_addr, receiver_port) -> sends to one peer and hears nothing."""

    Outboxes = {
        "outbox": "object: unused",
        "error": "DatagramError: what could not be sent",
        "signal": "the shutdown that came in",
    }

    receives = False

    def __init__(self, receiver_addr: str, receiver_port: int, **attributes: object) -> None:
        super().__init__(ANY4, 0, receiver_addr, receiver_port, **attributes)


class UDPReceiver(DatagramSocket):
    """UDPReceiver(localaddr, localport) -> (data, (host, port)) of all that comes."""

    Inboxes = {
        "inbox": "object: unused",
        "control": "the shutdown: either one ends it now",
    }

    def __init__(self, localaddr: str, localport: int, **attributes: object) -> None:
        super().__init__(localaddr, localport, **attributes)


def _checked(name: str, target: object) -> Address:
    match target:
        case (str(host), int(port)):
            return host, port
        case _:
            raise TypeError(f"{name} takes (host, port) for whom to send to, not {target!r:.60}")


__kamaelia_components__ = (SimplePeer, TargettedPeer, PostboxPeer, UDPSender, UDPReceiver)
