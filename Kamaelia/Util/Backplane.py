"""
Publish and subscribe by name
=============================
A Backplane is a hub with a name. What any PublishTo of that name gets, every SubscribeTo of that
name sends, and nobody needs to know who else is there: chat rooms are made of it, and logs.

Example Usage
-------------
One speaks and two listen::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.Backplane import Backplane, PublishTo, SubscribeTo
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource

    hub = Backplane("NEWS").activate()
    for listener in ("A: ", "B: "):
        Pipeline(SubscribeTo("NEWS"), ConsoleEchoer(tag=listener)).activate()
    speaker = Pipeline(DataSource(["hello\\n", "goodbye\\n"]), PublishTo("NEWS")).activate()
    hub.link((speaker, "signal"), (hub, "control"))
    hub.run()

It prints::

    A: hello
    B: hello
    A: goodbye
    B: goodbye

* The name is taken when the Backplane is made (ServiceAlreadyExists for a second one) and free when
  it has ended. It is a service of its tracker, the process's own unless one was given.
* A shutdown at "control" of the Backplane ends it and all its subscribers. The end of a publisher
  or subscriber is no one else's.
* PublishTo and SubscribeTo wait ``patience`` seconds for a Backplane that is not there yet; then it
  is a BackplaneMissing. What is published before somebody has subscribed is not kept for him.
* ``Pipeline(PublishTo("CHAT"), SubscribeTo("CHAT"))`` is one member of a chat; a SubscribeTo also
  sends on what comes to its "inbox".
* For each subscriber at most ``queue`` messages wait. If more come (all at once is enough), by
  default the publishers wait, and nothing is lost; if the Backplane was told
  ``WhenFull.DROP_OLDEST``, that subscriber loses its oldest message, and ``dropped`` counts.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator
from contextlib import suppress
from enum import Enum
from typing import Any

from Axon.AxonExceptions import AccessToUndeclaredTrackedVariable, noSpaceInBox
from Axon.Component import component
from Axon.Ipc import stops_at_once
from Kamaelia.Util.MessageLoop import MessageLoop
from Kamaelia.Util.Splitter import PlugSplitter, addsink, removesink

_IN, _OUT = "Backplane_I_", "Backplane_O_"  # and the name: the original's names of the services
_WAITING = "Backplane_waiting"  # tracked value: {name: those who sleep until there is such a one}

Service = tuple[component, str]


class WhenFull(Enum):
    """What is to happen when a subscriber does not keep up."""

    WAIT = "the publishers wait: nothing is lost"
    DROP_OLDEST = "the subscriber loses the message that has waited longest"


class BackplaneMissing(LookupError):  # noqa: N818 - said by what is wrong, as in Axon
    """There was no Backplane of that name, for as long as somebody was ready to wait."""


class Backplane(PlugSplitter):
    """Backplane(name, when_full=WhenFull.WAIT, queue=1000) -> a hub; queue: messages of publishers
    that may wait."""

    def __init__(
        self,
        name: str,
        when_full: WhenFull = WhenFull.WAIT,
        queue: int = 1000,
        **attributes: object,
    ) -> None:
        if not isinstance(name, str):
            raise TypeError(f"the name of a Backplane is text, not {name!r}")
        super().__init__(None, **attributes)
        self.called = name
        self.when_full = when_full
        self.dropped = 0
        self.setInboxSize("inbox", queue)
        self._registered_in: Any = None
        self._register()

    def main(self) -> Iterator[object]:
        self._register()  # it may have been activated with another tracker
        yield from super().main()

    def stop(self) -> None:
        self._unregister()
        super().stop()

    def _register(self) -> None:
        tracker = self.tracker
        if self._registered_in is tracker:
            return
        self._unregister()
        tracker.registerService(_IN + self.called, self, "inbox")
        self._registered_in = tracker
        tracker.registerService(_OUT + self.called, self, "configuration")
        for waiting in _waiting(tracker).pop(self.called, ()):
            waiting.unpause()

    def _unregister(self) -> None:
        tracker, self._registered_in = self._registered_in, None
        for service in (_IN + self.called, _OUT + self.called):
            # A tracker may have been emptied meanwhile, and the name be another one's by now.
            with suppress(KeyError, AttributeError):
                if tracker.retrieveService(service)[0] is self:
                    tracker.deRegisterService(service)

    def _send_to(self, boxnames: Collection[str], message: object) -> Collection[str]:
        full = super()._send_to(boxnames, message)
        if self.when_full is WhenFull.WAIT:
            return full
        for boxname in full:
            self._make_room(boxname)
            with suppress(noSpaceInBox):  # a box without any room: this message is the oldest
                self.send(message, boxname)
        return ()

    def _make_room(self, boxname: str) -> None:
        self.dropped += 1
        with suppress(IndexError):
            self.outboxes[boxname].pop()


def _waiting(tracker: Any) -> dict[str, dict[component, None]]:  # noqa: ANN401 - of any class
    try:
        waiting: dict[str, dict[component, None]] = tracker.retrieveValue(_WAITING)
    except AccessToUndeclaredTrackedVariable:
        waiting = {}
        tracker.trackValue(_WAITING, waiting)
    return waiting


class _ByName(MessageLoop):
    """What PublishTo and SubscribeTo have in common: they know a Backplane by its name."""

    patience = 10.0  # seconds

    def __init__(self, name: str, **attributes: object) -> None:
        super().__init__(**attributes)
        self.backplane = name

    def _may_end(self) -> bool:
        """Whether a producerFinished ends it while there is no Backplane."""
        return True

    def _find(self, service: str) -> Generator[object, None, Service | None]:
        """Wait for the Backplane; None: told to end before it came."""
        deadline = self.now() + self.patience
        waiting = _waiting(self.tracker)
        try:
            while service not in self.tracker.servicesRegistered():
                stop = self.told_to_stop()
                if stops_at_once(stop) or (stop and self._may_end()):
                    return None
                left = deadline - self.now()
                if left <= 0:
                    raise self._missing()
                waiting.setdefault(self.backplane, {})[self] = None
                self.pause(left)
                yield 1
        finally:
            others = waiting.get(self.backplane, {})
            others.pop(self, None)
            if not others:
                waiting.pop(self.backplane, None)
        found: Service = self.tracker.retrieveService(service)
        return found

    def _missing(self) -> BackplaneMissing:
        known = [
            name.removeprefix(_IN)
            for name in self.tracker.servicesRegistered()
            if name.startswith(_IN)
        ]
        return BackplaneMissing(
            f"{self.name}: no Backplane({self.backplane!r}) within {self.patience} seconds; "
            f"there are: {', '.join(map(repr, known)) or 'none'}"
        )


class PublishTo(_ByName):
    """PublishTo(destination, forwarder=False) -> what comes goes to the Backplane of that name; a
    forwarder also sends it on."""

    Inboxes = {
        "inbox": "object: to be published",
        "control": "producerFinished (finish what arrived) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "object: as it came, if it is a forwarder",
        "signal": "the shutdown that came in; the Backplane gets none",
        "_outbox": "object: to the Backplane",
    }

    forwarder = False

    def __init__(self, destination: str, **attributes: object) -> None:
        super().__init__(destination, **attributes)
        self.boxnames = ("_outbox", "outbox") if self.forwarder else ("_outbox",)

    def _may_end(self) -> bool:
        return not self.dataReady("inbox")

    def main(self) -> Iterator[object]:
        hub = yield from self._find(_IN + self.backplane)
        if hub is not None:
            self.link((self, "_outbox"), hub)
            yield from super().main()


class SubscribeTo(_ByName):
    """SubscribeTo(source, queue=1000) -> what is published to the Backplane of that name; queue:
    messages that may wait here."""

    Inboxes = {
        "inbox": "object: sent on between those that are published",
        "control": "producerFinished (finish what arrived) or shutdownMicroprocess (stop now)",
        "_published": "object: from the Backplane",
    }
    Outboxes = {
        "outbox": "object: what was published, and what came to inbox",
        "signal": "the shutdown that came in, here or to the Backplane",
        "_subscribe": "addsink | removesink: to the Backplane",
    }

    _subscribed = False

    def __init__(self, source: str, queue: int = 1000, **attributes: object) -> None:
        super().__init__(source, **attributes)
        self.setInboxSize("_published", queue)

    def main(self) -> Iterator[object]:
        hub = yield from self._find(_OUT + self.backplane)
        if hub is not None:
            self.link((self, "_subscribe"), hub)
            self.send(addsink(self, "_published", "control"), "_subscribe")
            self._subscribed = True
        yield from super().main()

    def arrivals(self) -> Iterator[object]:
        yield from self.Inbox("inbox")
        yield from self.Inbox("_published")

    def commands(self) -> object:
        stop = self.told_to_stop()
        if stop and self._subscribed:
            # First of all: else it would have to finish what will be published from now on, too.
            self._subscribed = False
            self.send(removesink(self, "_published", "control"), "_subscribe")
        return stop


publishTo, subscribeTo = PublishTo, SubscribeTo  # the original's older names

__kamaelia_components__ = (Backplane, PublishTo, SubscribeTo)
