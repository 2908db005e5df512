"""
Collect messages in a list
==========================
The end of a chain of components whose results ordinary code wants to have: each message is appended
to a list that the caller has made, and also handed on. With a limit it ends after so many.

Example Usage
-------------
::

    from Kamaelia.Apps.SA.DSL import DataSink
    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.DataSource import DataSource

    found: list[object] = []
    Pipeline(DataSource([1, 2, 3]), DataSink(found)).run()
    print(found)

It prints::

    [1, 2, 3]

Any message at "control" ends it, after what came in before, and is handed on. A limit is also what
bounds the list; without one it is as long as there are messages.
"""

from __future__ import annotations

from typing import Any

from Kamaelia.Util.MessageLoop import MessageLoop
from Kamaelia.Util.Stopping import EndsOnAnyControl


class DataSink(EndsOnAnyControl, MessageLoop):
    """DataSink(outlist, limit=0, pass_thru=True) -> appends messages to outlist, which is the
    caller's.

    limit: ends after so many; 0: never. pass_thru: also hands them on."""

    Inboxes = {
        "inbox": "object: to be collected",
        "control": "the shutdown: any message here ends it, after what came in before",
    }
    Outboxes = {
        "outbox": "object: what was collected, if pass_thru",
        "signal": "the shutdown that came in, or producerFinished when the limit is reached",
    }

    limit = 0
    pass_thru = True

    def __init__(self, outlist: list[Any], **attributes: object) -> None:
        super().__init__(**attributes)
        self.outlist = outlist
        self._taken = 0

    def results(self, message: object) -> tuple[object, ...]:
        self.outlist.append(message)
        self._taken += 1
        self.over = self._taken == self.limit
        return (message,) if self.pass_thru else ()


__kamaelia_components__ = (DataSink,)
