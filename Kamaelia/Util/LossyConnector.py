"""
Drop what there is no room for
==============================
Between a fast producer and a slow consumer one of two things happens: the producer waits, or
messages are lost. Everything else in this library waits. A LossyConnector loses: a message that
finds the receiver full is thrown away, and the producer goes on as if nothing were.

That is right for what is soon out of date, as sound, pictures and readings are, and wrong for
everything else.

Example Usage
-------------
Ten numbers at once, for a receiver with room for three::

    from Axon.Testing import harness
    from Kamaelia.Util.LossyConnector import LossyConnector

    connector = LossyConnector()
    with harness(connector) as h:
        h.limit(3)
        h.put_all(range(10))
        h.settle()
        print(h.take("outbox"), connector.dropped)

It prints::

    [0, 1, 2] 7

The limit is the receiver's: ``setInboxSize("inbox", 3)``, or ``pipewidth=3`` in a linkage. Without
one nothing is ever lost. ``dropped`` counts.
"""

from __future__ import annotations

from collections.abc import Collection

from Kamaelia.Util.MessageLoop import MessageLoop


class LossyConnector(MessageLoop):
    """LossyConnector() -> hands on the messages for which there is room."""

    Inboxes = {
        "inbox": "object: to be handed on",
        "control": "producerFinished (finish what arrived) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "object: as it came, if the receiver had room",
        "signal": "the shutdown that came in",
    }

    def __init__(self, **attributes: object) -> None:
        super().__init__(**attributes)
        self.dropped = 0

    def _send_to(self, boxnames: Collection[str], message: object) -> Collection[str]:
        self.dropped += len(super()._send_to(boxnames, message))
        return ()


__kamaelia_components__ = (LossyConnector,)
