"""
Named services and shared values
================================
A place to leave word of what exists: a component registers one of its inboxes as a service, others
look it up by name and link to it. To be used in the scheduler's thread only.

Example Usage
-------------
::

    tracker = coordinatingassistanttracker.getcat()
    tracker.registerService("clock", ticker, "inbox")
    service = tracker.retrieveService("clock")  # (ticker, "inbox")
    self.link((self, "outbox"), service)
"""

from __future__ import annotations

from typing import ClassVar

from Axon.AxonExceptions import (
    AccessToUndeclaredTrackedVariable,
    BadComponent,
    BadInbox,
    BadParentTracker,
    MultipleServiceDeletion,
    NamespaceClash,
    ServiceAlreadyExists,
)
from Axon.Component import component
from Axon.Microprocess import microprocess


class coordinatingassistanttracker:
    """coordinatingassistanttracker(parent=None) -> a tracker; look-ups do not consult the
    parent."""

    basecat: ClassVar[coordinatingassistanttracker]

    def __init__(self, parent: coordinatingassistanttracker | None = None) -> None:
        if parent is not None and not isinstance(parent, coordinatingassistanttracker):
            raise BadParentTracker(parent)
        self._parent = parent
        self._services: dict[str, tuple[component, str]] = {}
        self._values: dict[str, object] = {}

    @classmethod
    def getcat(cls) -> coordinatingassistanttracker:
        """The tracker of the process."""
        return cls.basecat

    def registerService(self, service: str, thecomponent: component, inbox: str) -> None:
        """Raises ServiceAlreadyExists, BadComponent or BadInbox."""
        if service in self._services:
            raise ServiceAlreadyExists(service)
        if not isinstance(thecomponent, component):
            raise BadComponent(thecomponent)
        if inbox not in thecomponent.inboxes:
            raise BadInbox(thecomponent, inbox)
        self._services[service] = (thecomponent, inbox)

    def deRegisterService(self, service: str) -> None:
        """Raises MultipleServiceDeletion if there is no such service (any more)."""
        if self._services.pop(service, None) is None:
            raise MultipleServiceDeletion(service)

    def retrieveService(self, name: str) -> tuple[component, str]:
        """(component, name of its inbox). Raises KeyError."""
        return self._services[name]

    def servicesRegistered(self) -> list[str]:
        return list(self._services)

    def trackValue(self, name: str, value: object) -> None:
        """Raises NamespaceClash if the name is tracked already."""
        if name in self._values:
            raise NamespaceClash(name)
        self._values[name] = value

    def updateValue(self, name: str, value: object) -> None:
        """Raises AccessToUndeclaredTrackedVariable."""
        if name not in self._values:
            raise AccessToUndeclaredTrackedVariable(name, value)
        self._values[name] = value

    def retrieveValue(self, name: str) -> object:
        """Raises AccessToUndeclaredTrackedVariable."""
        if name not in self._values:
            raise AccessToUndeclaredTrackedVariable(name)
        return self._values[name]

    def informationItemsLogged(self) -> list[str]:
        return list(self._values)

    def zap(self) -> None:
        """Forget everything."""
        self._services.clear()
        self._values.clear()


coordinatingassistanttracker.basecat = coordinatingassistanttracker()
microprocess.setTrackerClass(coordinatingassistanttracker)
