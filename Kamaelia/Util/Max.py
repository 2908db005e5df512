"""
The largest of each list
========================
Sends the largest item of each list (or anything else that ``max`` takes) that comes.

Example Usage
-------------
::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.Collate import Collate
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource
    from Kamaelia.Util.Max import Max

    Pipeline(DataSource([[1, 3, 2], (-5, -7)]), Max(), Collate(), ConsoleEchoer()).run()

It prints::

    [3, -5]

What has no largest item, an empty list or what is no list at all, is a TypeError.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from Kamaelia.Util.MessageLoop import MessageLoop


class Max(MessageLoop):
    """Max() -> sends the largest item of each list."""

    Inboxes = {
        "inbox": "list: of what can be compared, not empty",
        "control": "producerFinished (finish what arrived) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "object: the largest item of a list",
        "signal": "the shutdown that came in",
    }

    def results(self, message: Iterable[Any]) -> Iterable[object]:
        try:
            return (max(message),)
        except (TypeError, ValueError) as error:
            raise self.refused(message, "lists that have a largest item") from error


__kamaelia_components__ = (Max,)
