"""
Copy messages to receivers that come and go
===========================================
A PlugSplitter copies what it gets to any number of sinks, which are added and removed by messages
to its box "configuration" while it runs: ``addsink(...)`` and ``removesink(...)``. A Plug does that
for you: it contains a component and connects it to a PlugSplitter for as long as it lives.

Example Usage
-------------
One source, and two who listen::

    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource
    from Kamaelia.Util.Splitter import Plug, PlugSplitter

    splitter = PlugSplitter(DataSource(["one\\n", "two\\n"]))
    Plug(splitter, ConsoleEchoer(tag="A: ")).activate()
    Plug(splitter, ConsoleEchoer(tag="B: ")).activate()
    splitter.run()

It prints::

    A: one
    B: one
    A: two
    B: two

A sink gets what comes to the PlugSplitter from then on, and if it named a ``sinkcontrol`` also what
comes to "control". However the PlugSplitter ends, those are told. A sink that ends is removed
without being asked.

Nothing is lost: while one sink is full the others still get the message at hand, then the
PlugSplitter waits, until there is room or that sink is removed. With a ``sourceComponent`` it is
that one whose messages are copied, and what comes to "inbox" and "control" goes there; its shutdown
is the PlugSplitter's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass

from Axon.AdaptiveCommsComponent import AdaptiveMixin
from Axon.AxonExceptions import noSpaceInBox
from Axon.Component import component
from Axon.Ipc import is_shutdown, producerFinished
from Axon.Linkage import Passthrough, linkage
from Axon.Storage import NOBODY
from Kamaelia.Chassis.Pipeline import MembersMixin, deliver_though_full
from Kamaelia.Util.MessageLoop import MessageLoop


@dataclass(frozen=True, slots=True, eq=False)
class addsink:  # noqa: N801 - the original's name
    """addsink(sink, sinkbox="inbox", sinkcontrol=None, passthrough=0): copy messages to that box of
    the sink, and control messages to its sinkcontrol. passthrough=2: they are outboxes."""

    sink: component
    sinkbox: str = "inbox"
    sinkcontrol: str | None = None
    passthrough: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class removesink:  # noqa: N801 - the original's name
    """removesink(sink, sinkbox="inbox", sinkcontrol=None): no more for that box; harmless if it was
    no sink."""

    sink: component
    sinkbox: str = "inbox"
    sinkcontrol: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Attached:
    """What belongs to one sink: our outboxes, and how they are linked."""

    boxnames: tuple[str, ...]  # for data, and perhaps for control
    linkages: tuple[linkage, ...]


class PlugSplitter(MembersMixin, AdaptiveMixin, MessageLoop):
    """PlugSplitter(sourceComponent=None) -> copies what comes to "outbox" and to all sinks."""

    Inboxes = {
        "inbox": "object: to be copied, or for the source",
        "control": "the shutdown: finish what arrived, or stop now; or for the source",
        "configuration": "addsink | removesink: who gets the copies",
        "_inbox": "object: from the source",
        "_control": "the shutdown: from the source",
    }
    Outboxes = {
        "outbox": "object: as it came, as to all sinks",
        "signal": "the shutdown that came in; the sinks with a sinkcontrol get it too",
    }

    announces_end = True  # unlike a chassis: nobody inside speaks for it

    def __init__(self, sourceComponent: component | None = None, **attributes: object) -> None:
        super().__init__(**attributes)
        self.source = sourceComponent
        self._sinks: dict[tuple[component, str], _Attached] = {}
        self._controls: dict[str, None] = {}
        self._watched: set[component] = set()
        self._stop: object = None
        self.boxnames: dict[str, None] = {"outbox": None}
        self._from = "" if sourceComponent is None else "_"
        if sourceComponent is not None:
            for box in ("inbox", "control"):
                self.link((self, box), (sourceComponent, box), Passthrough.INBOX_TO_INBOX)
            self.link((sourceComponent, "outbox"), (self, "_inbox"))
            self.link((sourceComponent, "signal"), (self, "_control"))
        self.call_on_close(self._tell_sinks)

    def main(self) -> Iterator[object]:
        if self.source is not None:
            yield self._start(self.source)
        yield from super().main()

    def arrivals(self) -> Iterator[object]:
        return self.Inbox(f"{self._from}inbox")

    def commands(self) -> object:
        for wish in self.Inbox("configuration"):
            if isinstance(wish, addsink):
                self._attach(wish)
            elif isinstance(wish, removesink):
                self._detach(wish.sink, wish.sinkbox)
            else:
                raise self.refused(wish, "addsink or removesink", "configuration")
        told = self.told_to_stop(f"{self._from}control")
        if told is None and self.source is not None and self.source._isStopped():
            # Without a word, which is not a reason to wait for one.
            told = self._stop or producerFinished(self.source)
        self._stop = told
        return told

    def _attach(self, wish: addsink) -> None:
        self._detach(wish.sink, wish.sinkbox)  # it may ask for another sinkcontrol
        names = {self.addOutbox("outbox"): wish.sinkbox}
        self.boxnames.update(dict.fromkeys(names))
        if wish.sinkcontrol is not None:
            control = self.addOutbox("control")
            names[control] = wish.sinkcontrol
            self._controls[control] = None
        try:
            linkages = tuple(
                self.link((self, ours), (wish.sink, theirs), wish.passthrough)
                for ours, theirs in names.items()
            )
        except KeyError as error:
            error.add_note(f"{wish.sink.name} was to be a sink of {self.name}, by {wish}")
            raise
        self._sinks[wish.sink, wish.sinkbox] = _Attached(tuple(names), linkages)
        if wish.sink not in self._watched:
            self._watched.add(wish.sink)
            wish.sink.call_on_close(lambda: self._forget(wish.sink))

    def _detach(self, sink: component, sinkbox: str) -> None:
        attached = self._sinks.pop((sink, sinkbox), None)
        if attached is None:
            return
        for made in attached.linkages:
            self.unlink(thelinkage=made)
        for boxname in attached.boxnames:
            self.boxnames.pop(boxname, None)
            self._controls.pop(boxname, None)
            self.deleteOutbox(boxname)

    def _forget(self, sink: component) -> None:
        """It has ended."""
        self._watched.discard(sink)
        for other, sinkbox in list(self._sinks):
            if other is sink:
                self._detach(other, sinkbox)

    def _send_to(self, boxnames: Collection[str], message: object) -> Collection[str]:
        # A copy, without those that were removed while we waited.
        there = [boxname for boxname in boxnames if boxname in self.boxnames]
        return super()._send_to(there, message)

    def _axon_hand_on(self, message: object) -> None:
        super()._axon_hand_on(message)
        self._tell_controls(message)

    def _tell_controls(self, message: object) -> None:
        for boxname in list(self._controls):
            if is_shutdown(message):
                deliver_though_full(self.outboxes[boxname], message)
            else:
                with suppress(noSpaceInBox):  # it has been told more than it has read
                    self.send(message, boxname)

    def _tell_sinks(self) -> None:
        """Called at its end, however that came."""
        for wish in self.Inbox("configuration"):
            if isinstance(wish, addsink):  # too late for data, but not to be told
                self._attach(wish)
        self._tell_controls(self._stop or producerFinished(self))


class Plug(MembersMixin, component):
    """Plug(splitter, component) -> the component, as a sink of the PlugSplitter while it lives."""

    Inboxes = {
        "inbox": "object: from the splitter, for the component",
        "control": "the shutdown: from the splitter, for the component",
    }
    Outboxes = {
        "outbox": "object: what the component sends",
        "signal": "the shutdown that the component sends",
        "splitter_config": "addsink | removesink: to the splitter",
    }

    def __init__(
        self,
        splitter: component,
        component: component,  # the original's keyword
        **attributes: object,
    ) -> None:
        super().__init__(**attributes)
        self.component = component
        for box in ("inbox", "control"):
            self.link((self, box), (component, box), Passthrough.INBOX_TO_INBOX)
        for box in ("outbox", "signal"):
            self.link((component, box), (self, box), Passthrough.OUTBOX_TO_OUTBOX)
        self.link((self, "splitter_config"), (splitter, "configuration"))

    def main(self) -> Iterator[object]:
        if self.outboxes["splitter_config"].sink.owner is NOBODY:
            # The splitter is over, and tells nobody any more.
            self.inboxes["control"].deliver(producerFinished(self))
        self.send(addsink(self, "inbox", "control"), "splitter_config")
        yield self._start(self.component)
        while not self.component._isStopped():
            self.pause()  # until it ends: that wakes us
            yield 1
        self.send(removesink(self, "inbox", "control"), "splitter_config")


__kamaelia_components__ = (PlugSplitter, Plug)
