"""
Services by name
================
A component that serves others is registered under a name, and those who want something of it need
know only that name. ``RegisterService`` registers; ``Subscribe`` asks a service for something and
sends on what it gets; ``ToService`` sends a service all that comes in.

Example Usage
-------------
A service that tells everybody who subscribes what is said to it::

    from Axon.Component import component
    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Experimental.Services import RegisterService, Subscribe, ToService
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.OneShot import OneShot

    class Rumours(component):
        def main(self):
            while not self.dataReady("inbox"):
                self.pause()
                yield 1
            _, topic, subscriber = self.recv("inbox")
            self.link((self, "outbox"), subscriber)
            while not self.dataReady("inbox"):
                self.pause()
                yield 1
            self.send(f"about {topic}: {self.recv('inbox')}\\n", "outbox")
            self.link((self, "signal"), (subscriber[0], "control"))

    Pipeline(Subscribe("rumours", "cats"), ConsoleEchoer()).activate()
    RegisterService(Rumours(), {"rumours": "inbox"}).activate()
    Pipeline(OneShot("they sleep"), ToService("rumours")).run()

It prints::

    about cats: they sleep

A Subscribe sends the service ``("ADD", request, (itself, "inbox"))`` for each request when it
starts, and ``("REMOVE", ...)`` for each, the last first, when it ends, however it ends.

Both wait for a service that is not there yet, for ``wait_seconds`` at the most, and then raise
ServiceNotFoundError. Nobody says when a service is registered, so while they wait, and only then,
they look again now and then. A producerFinished ends them when what has come in has gone out.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from functools import partial

from Axon.AxonExceptions import AxonException, BadComponent
from Axon.Component import component
from Axon.CoordinatingAssistantTracker import coordinatingassistanttracker
from Axon.Ipc import stops_at_once
from Axon.Linkage import Passthrough
from Kamaelia.Chassis.Pipeline import deliver_though_full
from Kamaelia.Util.Stopping import arrival, offer

_LOOK_SECONDS = 0.05


class ServiceNotFoundError(LookupError):
    """Nobody has registered the service."""


def RegisterService(  # noqa: N802 - the original's name
    thecomponent: component, services: Mapping[str, str]
) -> component:
    """Register inboxes of the component, {name of the service: inbox}, and return the component.
    When it ends they are no services any more.

    Raises ServiceAlreadyExists, BadComponent or BadInbox, and has then registered none."""
    if not isinstance(thecomponent, component):
        raise BadComponent(thecomponent)
    tracker = thecomponent.tracker
    withdraw = partial(_withdraw, tracker, thecomponent, tuple(services))
    try:
        for name, box in services.items():
            tracker.registerService(name, thecomponent, box)
    except AxonException:
        withdraw()
        raise
    thecomponent.call_on_close(withdraw)
    return thecomponent


def _withdraw(
    tracker: coordinatingassistanttracker, thecomponent: component, names: tuple[str, ...]
) -> None:
    for name in set(names).intersection(tracker.servicesRegistered()):
        if tracker.retrieveService(name)[0] is thecomponent:
            tracker.deRegisterService(name)


class _Client(component):
    """What both have in common: a service to find."""

    ExtraOutboxes = {"_service": "object: to the service"}

    woken_by_collection = False  # it asks isFull(), or puts
    wait_seconds = 5.0

    def __init__(self, servicename: str, **attributes: object) -> None:
        super().__init__(**attributes)
        self.servicename = servicename

    def _find(self) -> Generator[object, None, tuple[component, str] | None]:
        """The service, to which "_service" then leads. None: told to stop, with nothing to do."""
        deadline = self.now() + self.wait_seconds
        while True:
            stop = self.told_to_stop()
            if stops_at_once(stop) or (stop and not self.dataReady("inbox")):
                return None
            if self.servicename in self.tracker.servicesRegistered():
                service: tuple[component, str] = self.tracker.retrieveService(self.servicename)
                self.link((self, "_service"), service)
                return service
            left = deadline - self.now()
            if left <= 0:
                raise ServiceNotFoundError(
                    f"{self.name} found no service {self.servicename!r} within"
                    f" {self.wait_seconds} seconds, only {self.tracker.servicesRegistered()}"
                )
            self.pause(min(left, _LOOK_SECONDS))
            yield 1


class Subscribe(_Client):
    """Subscribe(servicename, *requests, wait_seconds=5.0) -> sends on what the service sends for
    these requests."""

    Inboxes = {
        "inbox": "object: from the service",
        "control": "the shutdown: producerFinished (send on what has come) or shutdownMicroprocess",
    }
    Outboxes = {
        "outbox": "object: what came from the service",
        "signal": "the shutdown that came in",
        "_service": "(str, object, (component, str)): ADD or REMOVE, the request, to which inbox",
    }

    def __init__(self, servicename: str, *requests: object, **attributes: object) -> None:
        super().__init__(servicename, **attributes)
        self.requests = requests
        self._added: list[object] = []

    def main(self) -> Iterator[object]:
        if (yield from self._find()) is None:
            return
        self.call_on_close(self._leave)
        for request in self.requests:
            if not (yield from offer(self, ("ADD", request, (self, "inbox")), "_service")):
                break
            self._added.append(request)
        while (yield from arrival(self)):
            yield from offer(self, self.recv("inbox"))
        # Told to stop at once it does not wait for room: see _leave().
        while self._added and (yield from offer(self, self._removal(), "_service")):
            self._added.pop()

    def _removal(self) -> tuple[str, object, tuple[component, str]]:
        return ("REMOVE", self._added[-1], (self, "inbox"))

    def _leave(self) -> None:
        """It has ended. If it was stopped, or has failed, the service is still to be told."""
        while self._added:
            deliver_though_full(self.outboxes["_service"], self._removal())
            self._added.pop()


class ToService(_Client):
    """ToService(servicename, wait_seconds=5.0) -> hands what comes in to the service."""

    Inboxes = {
        "inbox": "object: for the service",
        "control": "the shutdown: producerFinished (send on what has come) or shutdownMicroprocess",
    }
    Outboxes = {
        "outbox": "object: nothing",
        "signal": "the shutdown that came in",
        "_service": "object: what came in before the service was there",
    }

    def main(self) -> Iterator[object]:
        service = yield from self._find()
        if service is None:
            return
        while self.dataReady("inbox"):
            if not (yield from offer(self, self.recv("inbox"), "_service")):
                return
        # The rest goes there directly, and a limit of the service's inbox holds our senders back.
        self.link((self, "inbox"), service, Passthrough.INBOX_TO_INBOX)
        while not self.told_to_stop():
            self.pause()
            yield 1


__kamaelia_components__ = (Subscribe, ToService)
__kamaelia_prefabs__ = (RegisterService,)
