"""
A time to live
==============
A TTL puts a limit on how long a component runs. It wraps the component and looks like it: it has
all of its boxes but those for internal use, whose names begin with "_". When the time is over the
component is asked to end, with less and less patience, and in the end is stopped.

Example Usage
-------------
A source that would go on for ever, for a moment::

    from itertools import repeat

    from Kamaelia.Apps.SA.Chassis import TTL
    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.DataSource import DataSource
    from Kamaelia.Util.NullSink import nullSinkComponent

    Pipeline(TTL(DataSource(repeat("tick")), 0.05), nullSinkComponent()).run()
    print("it is over")

It prints::

    it is over

When ``delay`` seconds are over its "control" gets, one after the other and each only if the one
before has not ended it within ``interval_seconds``: producerFinished, shutdownMicroprocess,
serverShutdown, shutdown. If nothing helps, or it has no "control", it is stopped, and the TTL
sends a shutdownMicroprocess. Otherwise the TTL says what the component says. A component that ends
in time ends the TTL.

Of a component without "control" the TTL reads that box itself: a shutdownMicroprocess stops the
component, and a producerFinished, which it could not be told, is left to the time limit.

Unlike the original, it writes no boxes into its class, so two TTLs have nothing in common.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdown, shutdownMicroprocess, stops_at_once
from Axon.Linkage import Passthrough
from Kamaelia.Chassis.Pipeline import MembersMixin
from Kamaelia.IPC import serverShutdown


class TTL(MembersMixin, component):
    """TTL(comp, delay) -> the component comp, which is ended after delay seconds.

    Raises TypeError for what is no component, ValueError for a delay that is no time."""

    Inboxes = {
        "inbox": "object: handed to the component, as what comes to its other inboxes",
        "control": "the shutdown: handed to the component",
    }
    Outboxes = {
        "outbox": "object: what the component sends, as at its other outboxes",
        "signal": "the shutdown of the component, or a shutdownMicroprocess if it was stopped",
    }

    announces_end = True

    interval_seconds = 0.5  # between two ways to say it

    def __init__(self, comp: component, delay: float, **attributes: object) -> None:
        if not isinstance(comp, component):
            raise TypeError(f"TTL takes a component instance, not {comp!r}")
        if not (isfinite(delay) and delay >= 0):
            raise ValueError(f"TTL takes a delay in seconds from now, not {delay!r}")
        inboxes = _public(comp.inboxes, comp.Inboxes)
        outboxes = _public(comp.outboxes, comp.Outboxes)
        super().__init__(
            Inboxes={"control": self.Inboxes["control"], **inboxes},
            Outboxes={"signal": self.Outboxes["signal"], **outboxes},
            **attributes,
        )
        self.comp = comp
        self.delay = delay
        for name in inboxes:
            self.link((self, name), (comp, name), Passthrough.INBOX_TO_INBOX)
        for name in outboxes:
            self.link((comp, name), (self, name), Passthrough.OUTBOX_TO_OUTBOX)

    def main(self) -> Iterator[object]:
        yield self._start(self.comp)
        yield from self._wait(self.delay)
        if "control" in self.comp.inboxes:
            yield from self._persuade()
        # Of a component that has a "control" ours is always empty: it leads on.
        stop = self.told_to_stop()
        if not self.comp._isStopped():
            self.unlink(thecomponent=self.comp)  # the last word is ours
            self.comp.stop()
            yield from self.put(stop if stops_at_once(stop) else shutdownMicroprocess(), "signal")
        elif "signal" not in self.comp.outboxes:
            yield from self.put(stop or producerFinished(self), "signal")

    def _persuade(self) -> Iterator[object]:
        control = self.comp.inboxes["control"]
        for message in (
            producerFinished(self),
            shutdownMicroprocess(),
            serverShutdown(),
            shutdown(),
        ):
            if self.comp._isStopped():
                return
            if not control.isFull():  # one that does not even read it is not to keep us waiting
                control.deliver(message)
            yield from self._wait(self.interval_seconds)

    def _wait(self, seconds: float) -> Iterator[object]:
        """Wait so long, or until the component has ended or is to be stopped at once."""
        until = self.now() + seconds
        while not (self.comp._isStopped() or stops_at_once(self.told_to_stop())):
            left = until - self.now()
            if left <= 0:
                return
            self.pause(left)
            yield 1


def _public(boxes: Mapping[str, object], declared: object) -> dict[str, str]:
    """The boxes that are not for internal use, with their texts."""
    texts = declared if isinstance(declared, Mapping) else {}
    names = [name for name in boxes if not name.startswith("_")]
    return {name: texts.get(name, "object: of the component") for name in names}


__kamaelia_components__ = (TTL,)
