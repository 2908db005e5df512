"""
A component that gains and loses boxes while it runs
====================================================
For components that serve a number of others which nobody knows beforehand: a box for each. What a
box is for can be tracked beside it, so that a message's box leads back to the thing it is about.

Example Usage
-------------
::

    name = self.addInbox("from_client")  # "from_client", or "from_client17" if that is taken
    self.trackResource(client, name)
    ...
    client = self.retrieveTrackedResource(name)
    self.deleteInbox(name)
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

from Axon.Box import Inbox, Outbox
from Axon.Component import component
from Axon.idGen import numId

if TYPE_CHECKING:
    _Base = component
else:
    _Base = object


class AdaptiveMixin(_Base):
    """The methods, to be mixed into any kind of component (it has no slots of its own, so that it
    can be)."""

    __slots__ = ()

    def addInbox(self, name: str = "inbox") -> str:
        """Make an inbox; returns its name, which begins with the one wished for."""
        name = _free(name, self.inboxes)
        box = self.inboxes[name] = Inbox(self, name)
        self._inlist.append(box)
        return name

    def addOutbox(self, name: str = "outbox") -> str:
        """Make an outbox; returns its name, which begins with the one wished for."""
        name = _free(name, self.outboxes)
        self.outboxes[name] = Outbox(self, name)
        return name

    def deleteInbox(self, name: str) -> None:
        """Remove an inbox; unlink it first. Raises KeyError if there is none of that name."""
        box = self.inboxes.pop(name)
        self._inlist.remove(box)
        box.close()  # nobody reads it any more: who waits for room in it goes on

    def deleteOutbox(self, name: str) -> None:
        """Remove an outbox; unlink it first. Raises KeyError if there is none of that name."""
        del self.outboxes[name]

    def trackResource(self, resource: object, inbox: str) -> None:
        """Remember what an inbox is for. Raises KeyError for an unknown inbox."""
        self.inboxes[inbox]
        self._tables()[0][inbox] = resource

    def retrieveTrackedResource(self, inbox: str) -> object:
        return self._tables()[0][inbox]

    def trackResourceInformation(
        self, resource: Hashable, inboxes: list[str], outboxes: list[str], information: object
    ) -> None:
        """Remember which boxes serve a resource, and anything else about it. Raises KeyError for
        unknown boxes."""
        for name in inboxes:
            self.inboxes[name]
        for name in outboxes:
            self.outboxes[name]
        self._tables()[1][resource] = (inboxes, outboxes, information)

    def retrieveTrackedResourceInformation(
        self, resource: Hashable
    ) -> tuple[list[str], list[str], object]:
        return self._tables()[1][resource]

    def ceaseTrackingResource(self, resource: Hashable) -> None:
        del self._tables()[1][resource]

    def _tables(
        self,
    ) -> tuple[dict[str, object], dict[Hashable, tuple[list[str], list[str], object]]]:
        tables: tuple[dict[str, object], dict[Hashable, tuple[list[str], list[str], object]]]
        try:
            tables = self.__dict__["_tracked"]
        except KeyError:
            tables = self.__dict__["_tracked"] = ({}, {})
        return tables


def _free(wish: str, taken: dict[str, Inbox] | dict[str, Outbox]) -> str:
    name = wish
    while name in taken:
        name = f"{wish}{numId()}"
    return name


class AdaptiveCommsComponent(AdaptiveMixin, component):
    """AdaptiveCommsComponent(**attributes) -> a component that can add and delete boxes."""
