"""
Let through what an object approves of
======================================
The object's method ``filter(message)`` returns what is to go out, the message or another one, or
None for nothing. It may keep something in mind from one message to the next: that is what it is an
object for (a function is enough for a PureTransformer).

Example Usage
-------------
Only what is larger than all before it, and at the end how many were not::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource
    from Kamaelia.Util.Filter import Filter


    class Records:
        best = dropped = 0

        def filter(self, number):
            if number <= self.best:
                self.dropped += 1
                return None
            self.best = number
            return f"{number}\\n"

        def drain(self):
            yield f"and {self.dropped} others\\n"


    Pipeline(DataSource([3, 1, 4, 1]), Filter(Records()), ConsoleEchoer()).run()

It prints::

    3
    4
    and 2 others

The method ``drain()`` is optional: after a producerFinished, each thing in what it returns is sent.
(The original called ``filter("")`` until that returned None: for ever, if all is let through.)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from Kamaelia.Util.PureTransformer import PureTransformer


class MessageFilter(Protocol):
    """What a Filter asks of its object; it may also have a ``drain()``."""

    def filter(self, message: Any, /) -> object: ...  # noqa: ANN401 - it says what it takes


class NullFilter:
    """NullFilter() -> approves of everything."""

    def filter(self, message: object) -> object:
        return message


class Filter(PureTransformer):
    """Filter(filter=NullFilter()) -> sends filter.filter(message) for each message, unless that is
    None."""

    Inboxes = {
        "inbox": "object: shown to the filter",
        "control": "producerFinished (finish what arrived) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "object: what the filter made of it, unless that was None",
        "signal": "the shutdown that came in",
    }

    def __init__(
        self,
        filter: MessageFilter | None = None,  # noqa: A002 - the original's keyword
        **attributes: object,
    ) -> None:
        chosen = NullFilter() if filter is None else filter
        super().__init__(chosen.filter, **attributes)
        self.filter = chosen

    def last_results(self) -> Iterable[object]:
        drain = getattr(self.filter, "drain", None)
        return () if drain is None else drain()


FilterComponent = Filter  # the original's older name

__kamaelia_components__ = (Filter,)
