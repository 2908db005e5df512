"""
Hand everything on
==================
What comes in at an inbox goes out at an outbox, in order and unchanged: a place holder, and a point
to which others are linked while what is behind it changes.

Example Usage
-------------
The shortest of pipelines with something in the middle::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource
    from Kamaelia.Util.PassThrough import PassThrough

    Pipeline(DataSource(["to", "and", "fro"]), PassThrough(), ConsoleEchoer()).run()

It prints::

    toandfro

A message stays in its inbox while the outbox it goes to leads to a full box, so a limit further
down holds those further up.
"""

from __future__ import annotations

from collections.abc import Iterator

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess, stops_at_once


class PassThrough(component):
    """PassThrough(shutdownOn=(producerFinished, shutdownMicroprocess)) -> hands messages on.

    Ends on control messages of the types in shutdownOn: at once on shutdownMicroprocess, after all
    that came in has gone out on others. A subclass names other pairs of boxes in Connections."""

    Inboxes = {
        "inbox": "object: to be handed on",
        "control": "the shutdown: any message here is handed on, those in shutdownOn end it",
    }
    Outboxes = {
        "outbox": "object: what came in",
        "signal": "the shutdown that came in, and whatever else came to control",
    }

    woken_by_collection = False  # it asks isFull(), or puts

    Connections = {"inbox": "outbox"}

    def __init__(
        self,
        shutdownOn: tuple[type, ...] | list[type] = (producerFinished, shutdownMicroprocess),
        **attributes: object,
    ) -> None:
        super().__init__(**attributes)
        self.shutdownOn = tuple(shutdownOn)

    def main(self) -> Iterator[object]:
        stop: object = None
        while True:
            for message in self.Inbox("control"):
                if not self._ends(message):
                    self.send(message, "signal")
                elif not stops_at_once(stop):
                    stop = message
            if stops_at_once(stop) or (self._move() and stop is not None):
                break
            self.pause()  # until a message comes, or a full box has room
            yield 1
        yield from self.put(stop, "signal")

    def _ends(self, message: object) -> bool:
        kind = message if isinstance(message, type) else type(message)  # some forget to make one
        return issubclass(kind, self.shutdownOn)

    def _move(self) -> bool:
        """Hand on what there is room for; True if nothing is left."""
        empty = True
        for inbox, outbox in self.Connections.items():
            while self.dataReady(inbox):
                if self.outboxes[outbox].isFull():
                    empty = False  # the other pairs have nothing to do with that
                    break
                self.send(self._change(self.recv(inbox)), outbox)
        return empty

    def _change(self, message: object) -> object:
        """For subclasses: what goes out for a message that came in."""
        return message


__kamaelia_components__ = (PassThrough,)
