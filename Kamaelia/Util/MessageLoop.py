"""
The loop that most small components share
=========================================
Take a message, send what is made of it, wait while a receiver is full, end when told: a MessageLoop
does all of it and hands messages on as they came. A subclass says what it makes of them.

Example Usage
-------------
Each word of a text, and at the end how many there were::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource
    from Kamaelia.Util.MessageLoop import MessageLoop


    class Words(MessageLoop):
        total = 0

        def results(self, message):
            words = message.split()
            self.total += len(words)
            return [f"{word}\\n" for word in words]

        def last_results(self):
            return [f"{self.total} words\\n"]


    Pipeline(DataSource(["to be", "or not"]), Words(), ConsoleEchoer()).run()

It prints::

    to
    be
    or
    not
    4 words

After a producerFinished it works on what has come, sends last_results() and ends. After a
shutdownMicroprocess it ends at once, also while it waits for room. For one message in and at most
one out there is PureTransformer.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Iterator
from typing import Any

from Axon.AxonExceptions import noSpaceInBox
from Axon.Component import component
from Axon.Failures import shown
from Axon.Ipc import stops_at_once


class MessageLoop(component):
    """MessageLoop(**attributes) -> hands messages on; subclasses override results() and others."""

    Inboxes = {
        "inbox": "object: worked on one after the other",
        "control": "producerFinished (finish what arrived) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "object: what was made of them",
        "signal": "the shutdown that came in, or producerFinished if it ends by itself",
    }

    woken_by_collection = False  # a send into a full box is what it waits with
    over = False  # results() sets it on the instance: this message was the last

    boxnames: Collection[str] = ("outbox",)  # each of them gets each result

    # ---- for subclasses

    def results(self, message: Any) -> Iterable[object]:  # noqa: ANN401 - a subclass says what
        """What goes out for a message."""
        return (message,)

    def last_results(self) -> Iterable[object]:
        """What goes out at the end, after a producerFinished."""
        return ()

    def arrivals(self) -> Iterator[object]:
        """The messages that can be worked on now."""
        return self.Inbox("inbox")

    def is_drained(self) -> bool:
        """Whether, when arrivals() is exhausted, a producerFinished may end it."""
        return True

    def commands(self) -> object:
        """Do what other boxes ask for; returns the shutdown message, or None. Called at each turn,
        also while it waits for room."""
        return self.told_to_stop()

    def refused(self, message: object, wanted: str, boxname: str = "inbox") -> TypeError:
        """The error to raise for a message that is of no use."""
        return TypeError(
            f"{type(self).__name__} takes {wanted} at {boxname!r}, and {shown(message)} came"
        )

    # ---- the loop

    def main(self) -> Iterator[object]:
        while True:
            stop = self.commands()
            if stops_at_once(stop):
                return
            worked = False
            for message in self.arrivals():
                worked = True
                for result in self.results(message):
                    full = self._send_to(self.boxnames, result)
                    if full and not (yield from self._wait_for_room(full, result)):
                        return
                if self.over:
                    return
            if stop and self.is_drained():
                for result in self.last_results():
                    full = self._send_to(self.boxnames, result)
                    if full and not (yield from self._wait_for_room(full, result)):
                        return
                return
            # Work may have waited for room, and something may have come meanwhile: look again.
            if not worked:
                self.pause()
                yield 1

    def _wait_for_room(
        self, full: Collection[str], message: object
    ) -> Generator[object, None, bool]:
        """Send to these as they have room; False if it was told to stop at once before."""
        while full:
            if stops_at_once(self.commands()):
                return False
            self.pause()  # until there is room, or something comes in
            yield 1
            full = self._send_to(full, message)
        return True

    def _send_to(self, boxnames: Collection[str], message: object) -> Collection[str]:
        """Send to those that have room; returns the others, so that none waits for another."""
        full = []
        for boxname in boxnames:
            try:
                self.send(message, boxname)
            except noSpaceInBox:
                full.append(boxname)
        return full


__kamaelia_components__ = (MessageLoop,)
