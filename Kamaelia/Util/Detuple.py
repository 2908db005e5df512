"""
Take one item out of each message
=================================
For messages that are tuples (or lists, or dicts) of which the next component wants one part.

Example Usage
-------------
Of (address, data) pairs, the data::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource
    from Kamaelia.Util.Detuple import SimpleDetupler

    packets = [(("10.0.0.1", 1500), "hello "), (("10.0.0.2", 1500), "world")]
    Pipeline(DataSource(packets), SimpleDetupler(1), ConsoleEchoer()).run()

It prints::

    hello world

A message that has no such item is a TypeError: something is linked to the wrong place.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from Kamaelia.Util.MessageLoop import MessageLoop


class SimpleDetupler(MessageLoop):
    """SimpleDetupler(index) -> sends message[index] for each message."""

    Inboxes = {
        "inbox": "tuple: or anything else that has an item at index",
        "control": "producerFinished (finish what arrived) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "object: the item",
        "signal": "the shutdown that came in",
    }

    def __init__(self, index: object, **attributes: object) -> None:
        super().__init__(**attributes)
        self.index = index

    def results(self, message: Any) -> Iterable[object]:  # noqa: ANN401 - it is tried
        try:
            return (message[self.index],)
        except (TypeError, LookupError) as error:
            raise self.refused(message, f"what has an item {self.index!r}") from error


__kamaelia_components__ = (SimpleDetupler,)
