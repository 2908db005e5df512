"""
A stream over a line that reorders
==================================
For multicast and other datagrams: the sender numbers its messages and makes chunks of them, the
receiver finds the chunks and puts them back into order. What is lost is not sent again: reliable it
is only in that each message comes out whole, in its place and once, or not at all.

Example Usage
-------------
A line on which the second message is faster than the first::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Protocol.SimpleReliableMulticast import SRM_Receiver, SRM_Sender
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource
    from Kamaelia.Util.Detuple import SimpleDetupler
    from Kamaelia.Util.MessageLoop import MessageLoop


    class SwappedPairs(MessageLoop):
        kept = None

        def results(self, message):
            if self.kept is None:
                self.kept = message
                return []
            first, self.kept = self.kept, None
            return [message, first]


    Pipeline(
        DataSource([b"a", b"b", b"c", b"d"]),
        SRM_Sender(),
        SwappedPairs(),
        SRM_Receiver(),
        SimpleDetupler(1),
        ConsoleEchoer(use_repr=True),
    ).run()

It prints::

    b'a'b'b'b'c'b'd'

In place of SwappedPairs a program has, at the sender, a Multicast_transceiver, and at the receiver
another one and a SimpleDetupler(1), since that tells who sent. Each receiver listens to one sender:
the numbers of two would be mixed up.

The receiver sends pairs of number and data, as the original's did. A chunk ends where the next one
begins, so the last message comes out when the producer has finished.
"""

from __future__ import annotations

from Kamaelia.Chassis.Pipeline import Pipeline
from Kamaelia.Protocol.Framing import DataChunker, DataDeChunker, DeFramer, Framer
from Kamaelia.Protocol.RecoverOrder import RecoverOrder as RecoverOrder
from Kamaelia.Util.TagWithSequenceNumber import TagWithSequenceNumber


class Annotator(TagWithSequenceNumber):
    """Annotator() -> sends (number, message), counted from 1."""

    def __init__(self, **attributes: object) -> None:
        super().__init__(1, **attributes)


def SRM_Sender() -> Pipeline:  # noqa: N802 - the original's name
    """SRM_Sender() -> str or bytes in, numbered chunks of the same kind out."""
    return Pipeline(Annotator(), Framer(), DataChunker())


def SRM_Receiver() -> Pipeline:  # noqa: N802 - the original's name
    """SRM_Receiver() -> numbered chunks in, cut anywhere, (number, data) out, in order."""
    return Pipeline(DataDeChunker(), DeFramer(), RecoverOrder())


__kamaelia_components__ = (Annotator,)
__kamaelia_prefabs__ = (SRM_Sender, SRM_Receiver)
