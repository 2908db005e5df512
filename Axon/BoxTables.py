"""
Boxes that are made when somebody asks for them
===============================================
Most components have a few boxes and use them all. Those of which a program has ten thousand, a
socket's or a session's, are another matter: half their boxes are there for what hardly any of them
does, such as to encrypt. A class with ``lazy_boxes = True`` has tables that look as if all declared
boxes were in them, and in which each is made at its first use.

Example Usage
-------------
::

    from Axon.Component import component

    class Session(component):
        lazy_boxes = True
        ExtraOutboxes = {"alarm": "str: what nobody should ever read"}

        def axon_box_made(self, box):
            print("made:", box.name)


    one = Session()
    print("alarm" in one.outboxes, len(one.outboxes))
    one.outboxes["alarm"]

It prints::

    True 3
    made: alarm

Rules. To look a box up by its name makes it; so does going through the table, and ``get``. ``in``
and ``len`` make none. ``axon_box_made`` of the component is called with each new one, and after it
``wiring.box_made`` of whoever links an outbox only when it is made. Once the component has ended,
new ones are closed from the beginning.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from Axon.Box import Inbox, Outbox
from Axon.Storage import NOBODY

if TYPE_CHECKING:
    from Axon.Component import component

AnyBox = TypeVar("AnyBox", Inbox, Outbox)


class Wiring(Protocol):
    """Who links an outbox in the moment in which it is made."""

    def box_made(self, outbox: Outbox) -> None: ...


class _Lazy(dict[str, AnyBox]):
    """A table of boxes; `holder` is the component, and its class once that has ended."""

    __slots__ = ("holder",)

    holder: component | type[component]  # set by the component: an __init__ would cost a call more

    @property
    def declared(self) -> Any:
        """The names."""
        raise NotImplementedError

    def __contains__(self, name: object) -> bool:
        return name in self.declared

    def __len__(self) -> int:
        return len(self.declared)

    def __bool__(self) -> bool:
        return bool(self.declared)

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self.declared else default

    def _all(self) -> None:
        for name in self.declared:
            self[name]

    def __iter__(self) -> Iterator[str]:
        self._all()
        return dict.__iter__(self)

    def keys(self) -> KeysView[str]:  # type: ignore[override]
        self._all()
        return KeysView(self)

    def values(self) -> ValuesView[AnyBox]:  # type: ignore[override]
        self._all()
        return ValuesView(self)

    def items(self) -> ItemsView[str, AnyBox]:  # type: ignore[override]
        self._all()
        return ItemsView(self)


class LazyInboxes(_Lazy[Inbox]):
    """LazyInboxes() -> the inboxes of a component."""

    __slots__ = ()

    @property
    def declared(self) -> Any:
        return self.holder.Inboxes

    def __missing__(self, name: str) -> Inbox:
        holder = self.holder
        if name not in holder.Inboxes:
            raise KeyError(name)
        if isinstance(holder, type):
            box = self[name] = Inbox(NOBODY, name)
            box.close()
        else:
            box = self[name] = Inbox(holder, name)
            holder.axon_box_made(box)
        return box


class LazyOutboxes(_Lazy[Outbox]):
    """LazyOutboxes() -> the outboxes of a component. wiring: who is told of each that is made."""

    __slots__ = ("wiring",)

    wiring: Wiring | None  # set by the component, as the holder is

    def may_lead(self, name: str) -> bool:
        """False: this outbox was not made yet, and is linked to nothing when it is."""
        return self.wiring is not None or dict.__contains__(self, name)

    @property
    def declared(self) -> Any:
        return self.holder.Outboxes

    def __missing__(self, name: str) -> Outbox:
        holder = self.holder
        if name not in holder.Outboxes:
            raise KeyError(name)
        if isinstance(holder, type):
            box = self[name] = Outbox(NOBODY, name)
        else:
            box = self[name] = Outbox(holder, name)
            holder.axon_box_made(box)
            if self.wiring is not None:
                self.wiring.box_made(box)
        return box
