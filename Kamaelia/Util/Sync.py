"""
One message for every n
=======================
Waits until n messages have come, hands the last of them on, and begins again. With the outboxes of
n components linked to it, it tells when all of them have had their say once, if each speaks in
turn.

Example Usage
-------------
::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.Collate import Collate
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource
    from Kamaelia.Util.Sync import Sync

    Pipeline(DataSource(range(1, 8)), Sync(3), Collate(), ConsoleEchoer()).run()

It prints::

    [3, 6]

Those of a last group that did not become n are thrown away.
"""

from __future__ import annotations

from collections.abc import Iterable

from Kamaelia.Util.MessageLoop import MessageLoop


class Sync(MessageLoop):
    """Sync(n=2) -> hands every n-th message on."""

    Inboxes = {
        "inbox": "object: n of them are a group",
        "control": "producerFinished (finish what arrived) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "object: the last of each group",
        "signal": "the shutdown that came in",
    }

    def __init__(self, n: int = 2, **attributes: object) -> None:
        if n < 1:
            raise ValueError(f"Sync(n={n!r}): a group has at least one message")
        super().__init__(**attributes)
        self.n = n
        self._come = 0

    def results(self, message: object) -> Iterable[object]:
        self._come = (self._come + 1) % self.n
        return () if self._come else (message,)


__kamaelia_components__ = (Sync,)
