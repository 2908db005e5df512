"""
Send messages from a list
=========================
A DataSource sends what an iterable gives, one message a turn; the iterable may be without end. A
TriggeredSource (a prefab, made of a PureTransformer) sends the same message again for each one that
comes in.

Example Usage
-------------
Three lines of text::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource

    Pipeline(DataSource(["apple\\n", "pear\\n", "plum\\n"]), ConsoleEchoer()).run()

It prints::

    apple
    pear
    plum

While the receiver's box is full both wait until it has room.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Kamaelia.Util.PureTransformer import PureTransformer

_END = object()


class DataSource(component):
    """DataSource(messages) -> sends them, one a turn, then producerFinished."""

    Inboxes = {
        "inbox": "object: not read",
        "control": "shutdownMicroprocess (send no more); a producerFinished changes nothing",
    }
    Outboxes = {
        "outbox": "object: the messages, in order",
        "signal": "producerFinished, or the shutdownMicroprocess that came in",
    }

    def __init__(self, messages: Iterable[object], **attributes: object) -> None:
        super().__init__(**attributes)
        self.messages = messages

    def main(self) -> Iterator[object]:
        messages = iter(self.messages)
        while True:
            for command in self.Inbox("control"):
                if isinstance(command, producerFinished):
                    continue  # who feeds us has ended: we were not waiting for anything
                self.send(command, "signal")
                if isinstance(command, shutdownMicroprocess):
                    return
            if self.outboxes["outbox"].isFull():
                self.pause()  # until there is room
            else:
                message = next(messages, _END)
                if message is _END:
                    break
                self.send(message, "outbox")
            yield 1
        self.send(producerFinished(self), "signal")


def TriggeredSource(msg: object) -> PureTransformer:  # noqa: N802 - the original's name
    """TriggeredSource(msg) -> sends msg for every message that comes in, unless it is None."""
    return PureTransformer(lambda _: msg)


__kamaelia_components__ = (DataSource,)
__kamaelia_prefabs__ = (TriggeredSource,)
