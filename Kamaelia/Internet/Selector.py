"""
Wake me when this file descriptor is ready
==========================================
A service for components that deal with file descriptors themselves. It is the message face of
the scheduler's own wait (Axon.Waiter): ask with newReader, newWriter or newExceptional, and the
descriptor itself is sent to you, once, when it is ready. Components of this library that serve
many descriptors use the scheduler directly.

Example Usage
-------------
Wait for one end of a socket pair, while nobody else has to::

    import socket

    from Axon.Component import component
    from Axon.Ipc import shutdown
    from Kamaelia.Internet.Selector import Selector
    from Kamaelia.IPC import newReader

    class Listener(component):
        Inboxes = {"ready": "socket: there is something to read", "control": "the shutdown"}
        Outboxes = {"ask": "newReader: what to watch", "stop": "shutdown: no more", "signal": ""}

        def main(self):
            ours, theirs = socket.socketpair()
            service, shutdown_service, new = Selector.getSelectorServices(self.tracker)
            if new is not None:
                new.activate()
            self.link((self, "ask"), service)
            self.link((self, "stop"), shutdown_service)
            self.send(newReader(self, ((self, "ready"), ours)), "ask")
            theirs.sendall(b"now")
            while not self.dataReady("ready"):
                self.pause()
                yield 1
            print(self.recv("ready").recv(100))
            self.send(shutdown(), "stop")
            ours.close()
            theirs.close()

    Listener().run()

It prints::

    b'now'

Shutdown
--------
Ends on shutdown, shutdownMicroprocess or producerFinished at "control", and takes itself off
the tracker. With nothing registered it only sleeps, but like every component it keeps the
program running.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from Axon.AxonExceptions import noSpaceInBox
from Axon.Component import component
from Axon.CoordinatingAssistantTracker import coordinatingassistanttracker
from Axon.Ipc import notify, producerFinished, shutdown, shutdownMicroprocess
from Axon.Waiter import EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLPRI
from Kamaelia.IPC import (
    newExceptional,
    newReader,
    newWriter,
    removeExceptional,
    removeReader,
    removeWriter,
)

_ADDS: dict[type, int] = {newReader: EPOLLIN, newWriter: EPOLLOUT, newExceptional: EPOLLPRI}
_REMOVES: dict[type, int] = {
    removeReader: EPOLLIN,
    removeWriter: EPOLLOUT,
    removeExceptional: EPOLLPRI,
}
_SERVICES = ("selector", "selectorshutdown")
_STOPS = (shutdown, shutdownMicroprocess, producerFinished)
Service = tuple[component, str]


class Selector(component):
    """Selector() -> the service; see getSelectorServices for how to find it."""

    Inboxes = {
        "inbox": "object: unused",
        "notify": "newReader, newWriter, newExceptional, and remove...: what to watch for whom",
        "control": "shutdown, shutdownMicroprocess or producerFinished: end",
    }

    def __init__(self, **attributes: object) -> None:
        super().__init__(**attributes)
        # For each descriptor: the selectable, and for each kind of readiness whom to tell.
        self._watched: dict[int, tuple[Any, dict[int, Service]]] = {}
        self._tracker: coordinatingassistanttracker | None = None

    def main(self) -> Iterator[object]:
        stop: object = None
        try:
            while stop is None:
                for message in self.Inbox("notify"):
                    self._handle(message)
                for message in self.Inbox("control"):
                    if isinstance(message, _STOPS):
                        stop = message
                if stop is None:
                    self.pause()
                    yield 1
        finally:
            self._leave()
        self.send(stop, "signal")

    def stop(self) -> None:
        self._leave()
        super().stop()

    def _leave(self) -> None:
        for fd, (selectable, _wanted) in list(self._watched.items()):
            self._set(fd, {}, selectable)
        tracker, self._tracker = self._tracker, None
        if tracker is None:
            return
        for name in _SERVICES:
            if name in tracker.servicesRegistered() and tracker.retrieveService(name)[0] is self:
                tracker.deRegisterService(name)

    def _handle(self, message: notify) -> None:
        if (kind := _ADDS.get(type(message))) is not None:
            asked: tuple[Service, Any] = message.object  # type: ignore[assignment]
            self._add(asked[1], kind, asked[0])
        elif (kind := _REMOVES.get(type(message))) is not None:
            self._forget_one(message.object, kind)

    def _add(self, selectable: Any, kind: int, service: Service) -> None:  # noqa: ANN401
        fd = _number_of(selectable)
        watched, wanted = self._watched.get(fd, (None, {}))
        if watched != selectable:
            wanted = {}  # for a file that is closed by now, and whose number is used again
        wanted = {**wanted, kind: service}
        try:
            self._set(fd, wanted, selectable)
        except (OSError, ValueError):
            # A closed file, or one that is always ready, like any on a disk. As select() has it:
            # reading or writing will show.
            self._watched.pop(fd, None)
            for each in wanted.values():
                _tell(each, selectable)

    def _forget_one(self, selectable: object, kind: int) -> None:
        # Not by its number: a closed socket has none any more.
        for fd, (watched, wanted) in list(self._watched.items()):
            if watched == selectable:
                self._set(fd, {each: who for each, who in wanted.items() if each != kind}, watched)

    def _set(self, fd: int, wanted: dict[int, Service], selectable: object) -> None:
        """Watch fd for the kinds of readiness that somebody wants to know of."""
        scheduler = self.scheduler
        if not scheduler:
            return
        if _number_of(selectable) == fd:  # otherwise it is closed, and fd may be another's by now
            scheduler.unregister(fd)
        if wanted:
            mask = 0
            for kind in wanted:
                mask |= kind
            scheduler.register(fd, mask, lambda events: self._ready(fd, events))
            self._watched[fd] = (selectable, wanted)
        else:
            self._watched.pop(fd, None)

    def _ready(self, fd: int, events: int) -> None:
        selectable, wanted = self._watched[fd]
        if events & (EPOLLERR | EPOLLHUP):
            # As select() has it: reading or writing will show what is wrong.
            events |= EPOLLIN | EPOLLOUT
        told = {kind for kind, who in wanted.items() if kind & events and _tell(who, selectable)}
        self._set(fd, {kind: who for kind, who in wanted.items() if kind not in told}, selectable)

    # ---- finding it

    @staticmethod
    def setSelectorServices(
        selector: Selector, tracker: coordinatingassistanttracker | None = None
    ) -> None:
        """Make selector the one that getSelectorServices finds."""
        tracker = tracker or coordinatingassistanttracker.getcat()
        tracker.registerService("selector", selector, "notify")
        tracker.registerService("selectorshutdown", selector, "control")
        selector._tracker = tracker

    @staticmethod
    def getSelectorServices(
        tracker: coordinatingassistanttracker | None = None,
    ) -> tuple[Service, Service, Selector | None]:
        """(service to ask, service to stop it, a new Selector to activate or None if there is one
        already)."""
        tracker = tracker or coordinatingassistanttracker.getcat()
        new = None
        if "selector" not in tracker.servicesRegistered():
            new = Selector()
            Selector.setSelectorServices(new, tracker)
        return tracker.retrieveService("selector"), tracker.retrieveService("selectorshutdown"), new


def _number_of(selectable: Any) -> int:  # noqa: ANN401 - a number, or anything with a fileno()
    """Its file descriptor; -1 if it is closed."""
    try:
        return selectable if isinstance(selectable, int) else int(selectable.fileno())
    except ValueError:  # what closed files say; sockets give -1
        return -1


def _tell(service: Service, selectable: object) -> bool:
    """Send the selectable to whoever asked; False if there is no room for it now."""
    receiver, box = service
    try:
        receiver.inboxes[box].deliver(selectable)
    except noSpaceInBox:
        return False
    return True


__kamaelia_components__ = (Selector,)
