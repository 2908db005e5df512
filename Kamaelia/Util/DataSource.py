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
from Axon.Ipc import stops_at_once
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
        "signal": "the shutdown that came in, else producerFinished",
    }

    woken_by_collection = False  # it asks isFull()

    def __init__(self, messages: Iterable[object], **attributes: object) -> None:
        super().__init__(**attributes)
        self.messages = messages

    def main(self) -> Iterator[object]:
        messages = iter(self.messages)
        # A producerFinished changes nothing: we were not waiting for who feeds us.
        while not stops_at_once(self.told_to_stop()):
            if self.outboxes["outbox"].isFull():
                self.pause()  # until there is room
            else:
                message = next(messages, _END)
                if message is _END:
                    break
                self.send(message, "outbox")
            yield 1


def TriggeredSource(msg: object) -> PureTransformer:  # noqa: N802 - the original's name
    """TriggeredSource(msg) -> sends msg for every message that comes in, unless it is None."""
    return PureTransformer(lambda _: msg)


__kamaelia_components__ = (DataSource,)
__kamaelia_prefabs__ = (TriggeredSource,)
