"""
Messages of at most so many bytes
=================================
Cuts each message into packets that a datagram, or whatever has a limit, can hold.

Example Usage
-------------
::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Protocol.Packetise import MaxSizePacketiser
    from Kamaelia.Util.Collate import Collate
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource

    messages = [b"to be or", b"not"]
    Pipeline(DataSource(messages), MaxSizePacketiser(5), Collate(), ConsoleEchoer()).run()

It prints::

    [b'to be', b' or', b'not']

No packet holds parts of two messages, and nothing is kept back for the next one: for blocks of one
size there is Kamaelia.Util.Chunkifier. An empty message makes no packet.

It takes bytes or str and sends the kind that came; the size counts bytes or characters. (The
original took str only and could not be told to stop.)
"""

from __future__ import annotations

from collections.abc import Iterator

from Kamaelia.Util.MessageLoop import MessageLoop


class MaxSizePacketiser(MessageLoop):
    """MaxSizePacketiser(maxsize=1000) -> the same in pieces of at most maxsize bytes."""

    Inboxes = {
        "inbox": "str | bytes: of any size",
        "control": "producerFinished (finish what arrived) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "str | bytes: at most maxsize of it",
        "signal": "the shutdown that came in",
    }

    def __init__(self, maxsize: int = 1000, **attributes: object) -> None:
        if maxsize < 1:
            raise ValueError(f"MaxSizePacketiser(maxsize={maxsize!r}): a packet holds at least one")
        super().__init__(**attributes)
        self.maxsize = maxsize

    def results(self, message: object) -> Iterator[object]:
        if not isinstance(message, str | bytes):
            raise self.refused(message, "str or bytes")
        return (message[at : at + self.maxsize] for at in range(0, len(message), self.maxsize))


__kamaelia_components__ = (MaxSizePacketiser,)
