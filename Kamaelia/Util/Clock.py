"""
Tick
====
Sends the same message again and again, at equal distances: what drives a component that does
something for every message, but has to do it at times. Kamaelia.Apps.SA.Time has clocks with
another message, or that tick once.

Example Usage
-------------
An hour of a clock that ticks every 20 minutes, in no time::

    from Axon.Testing import harness
    from Kamaelia.Util.Clock import CheapAndCheerfulClock

    with harness(CheapAndCheerfulClock(1200)) as h:
        h.run_for(3600)
        print(h.take("outbox"))

It prints::

    [True, True, True]

The times are counted from the start, so delays do not add up. A tick waits while the receiver has
no room, and those that were missed by then are left out: nobody wants to hear them all at once.

It is a timer of the scheduler, not a thread as in the original, and can be told to stop.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

from Axon.Component import component
from Kamaelia.Util.Stopping import offer


class CheapAndCheerfulClock(component):
    """CheapAndCheerfulClock(interval) -> sends True every interval seconds."""

    Inboxes = {
        "inbox": "object: not read",
        "control": "the shutdown: either ends it",
    }
    Outboxes = {
        "outbox": "object: the tick",
        "signal": "the shutdown that came in",
    }

    woken_by_collection = False  # it asks isFull()
    tick_mesg: object = True

    def __init__(self, interval: float, **attributes: object) -> None:
        super().__init__(**attributes)
        if not (interval > 0 and isfinite(interval)):
            raise ValueError(f"a clock needs an interval of more than 0 seconds, not {interval!r}")
        self.interval = interval

    def main(self) -> Iterator[object]:
        due = self.now() + self.interval
        while not self.told_to_stop():
            left = due - self.now()
            if left > 0:
                self.pause(left)
                yield 1
            elif (yield from offer(self, self.tick_mesg, patient=False)):
                late = self.now() - due
                due += self.interval * (1 + late // self.interval)


__kamaelia_components__ = (CheapAndCheerfulClock,)
