"""
Let through what lies in a range
================================
Messages are tuples (or lists) whose first item decides: the message goes on if it lies in one of
the ranges, both ends included. The first item may be a time, a frame or sequence number.

Example Usage
-------------
Frames 2 to 3, and 7::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource
    from Kamaelia.Util.RangeFilter import RangeFilter

    frames = [(number, f"frame {number}") for number in range(10)]
    Pipeline(DataSource(frames), RangeFilter([(2, 3), (7, 7)]), ConsoleEchoer()).run()

It prints::

    (2, 'frame 2')(3, 'frame 3')(7, 'frame 7')
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from Kamaelia.Util.MessageLoop import MessageLoop


class RangeFilter(MessageLoop):
    """RangeFilter(ranges) -> hands on the messages whose first item lies in one of the ranges,
    which are pairs (lowest, highest)."""

    Inboxes = {
        "inbox": "tuple: its first item is what is looked at",
        "control": "producerFinished (finish what arrived) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "tuple: as it came",
        "signal": "the shutdown that came in",
    }

    def __init__(self, ranges: Iterable[tuple[Any, Any]], **attributes: object) -> None:
        super().__init__(**attributes)
        self.ranges = tuple((lowest, highest) for lowest, highest in ranges)

    def results(self, message: Any) -> Iterable[object]:  # noqa: ANN401 - it is tried
        try:
            inside = any(lowest <= message[0] <= highest for lowest, highest in self.ranges)
        except (TypeError, LookupError) as error:
            raise self.refused(message, "tuples that begin with what has an order") from error
        return (message,) if inside else ()


__kamaelia_components__ = (RangeFilter,)
