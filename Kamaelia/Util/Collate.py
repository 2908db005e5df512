"""
All messages as one list
========================
Keeps what comes, and sends it as one list when the producer has finished.

Example Usage
-------------
::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.Collate import Collate
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource

    Pipeline(DataSource([1, 2, 3]), Collate(), ConsoleEchoer()).run()

It prints::

    [1, 2, 3]

The list is sent also if it is empty, so that whoever waits for it is not left waiting. A
shutdownMicroprocess ends it without: half a list looks just like a whole one.

``limit`` is the most messages that it keeps, since a producer without an end would fill the memory;
one more is an OverflowError.
"""

from __future__ import annotations

from collections.abc import Iterable

from Kamaelia.Util.MessageLoop import MessageLoop


class Collate(MessageLoop):
    """Collate(limit=1_000_000) -> sends one list of all messages, at the end."""

    Inboxes = {
        "inbox": "object: kept",
        "control": "producerFinished (send the list) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "list: all that came, once",
        "signal": "the shutdown that came in",
    }

    def __init__(self, limit: int = 1_000_000, **attributes: object) -> None:
        super().__init__(**attributes)
        self.limit = limit
        self._kept: list[object] = []

    def results(self, message: object) -> Iterable[object]:
        if len(self._kept) >= self.limit:
            raise OverflowError(
                f"Collate keeps {self.limit} messages and one more came: raise its limit, or use "
                "what comes without waiting for all of it"
            )
        self._kept.append(message)
        return ()

    def last_results(self) -> Iterable[object]:
        kept, self._kept = self._kept, []  # it is the receiver's now
        return (kept,)


__kamaelia_components__ = (Collate,)
