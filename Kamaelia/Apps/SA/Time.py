"""
Clocks: one tick, or many
=========================
A SingleTick sends its message after a time and ends: a time-out as a component. A PeriodicTick
sends it again and again. What is sent is ``tick_mesg``.

Example Usage
-------------
Two ticks, a tenth of a second apart, then one more thing::

    from Kamaelia.Apps.SA.DSL import DataSink
    from Kamaelia.Apps.SA.Time import PeriodicTick, SingleTick
    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.Console import ConsoleEchoer

    Pipeline(SingleTick(0.1, tick_mesg="now!\\n"), ConsoleEchoer()).run()
    heard: list[object] = []
    ticks, sink = PeriodicTick(0.1, tick_mesg="tick"), DataSink(heard, limit=2)
    ticks.link((ticks, "outbox"), (sink, "inbox"))
    sink.link((sink, "signal"), (ticks, "control"))
    sink.activate()
    ticks.run()
    print(heard)

It prints::

    now!
    ['tick', 'tick']

Any message at "control" ends both, before the tick too, and is handed on. They are timers of the
scheduler; in the original each is a thread that looks at the time every ``check_interval``, a
setting that is still taken and has nothing left to say.
"""

from __future__ import annotations

from collections.abc import Iterator

from Axon.Component import component
from Kamaelia.Util.Clock import CheapAndCheerfulClock
from Kamaelia.Util.Stopping import EndsOnAnyControl, offer


class SingleTick(EndsOnAnyControl, component):
    """SingleTick(delay, tick_mesg=True) -> sends tick_mesg after delay seconds, and ends."""

    Inboxes = {
        "inbox": "object: not read",
        "control": "the shutdown: any message here ends it, with no tick",
    }
    Outboxes = {
        "outbox": "object: tick_mesg, once",
        "signal": "the shutdown that came in, or producerFinished after the tick",
    }

    woken_by_collection = False  # it asks isFull()
    tick_mesg: object = True
    check_interval: float | None = None

    def __init__(self, delay: float, **attributes: object) -> None:
        super().__init__(**attributes)
        if not delay >= 0:
            raise ValueError(f"a tick needs a delay of 0 seconds or more, not {delay!r}")
        self.delay = delay

    def main(self) -> Iterator[object]:
        due = self.now() + self.delay
        while (left := due - self.now()) > 0:
            if self.told_to_stop():
                return
            self.pause(left)
            yield 1
        yield from offer(self, self.tick_mesg, patient=False)


class PeriodicTick(EndsOnAnyControl, CheapAndCheerfulClock):
    """PeriodicTick(delay, tick_mesg=True) -> sends tick_mesg every delay seconds.

    See Kamaelia.Util.Clock for what happens while the receiver has no room."""

    Inboxes = {
        "inbox": "object: not read",
        "control": "the shutdown: any message here ends it",
    }
    Outboxes = {
        "outbox": "object: tick_mesg, each time",
        "signal": "the shutdown that came in",
    }

    check_interval: float | None = None

    def __init__(self, delay: float, **attributes: object) -> None:
        super().__init__(delay, **attributes)
        self.delay = delay


__kamaelia_components__ = (SingleTick, PeriodicTick)
