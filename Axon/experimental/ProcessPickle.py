"""
What crosses from one process to another, as bytes
==================================================
Messages and components are pickled, each by its own rule.

A message is copied as it is. A component that is mentioned in a message about running
(``producerFinished(self)``) becomes ``Elsewhere(name)`` over there: names cross, a running
generator cannot. A component as data is refused, since it would be a copy that nobody is linked to.

A component that is to run over there, and has not been activated here, is taken apart: its class,
by name; what its author put into the instance; the sizes of its inboxes and what waits in them; the
linkages it made itself, with the components at their ends. So a Pipeline travels with its members.
What Axon keeps in a component (boxes that know their owners, queues of a thread) is made anew by
Axon's own initialiser, and no author's ``__init__`` runs twice. A component with its own
``__reduce__`` is left to that.

Example Usage
-------------
::

    there = unpack_component(pack_component(Doubler()))  # a second Doubler, not yet active
    unpack_message(pack_message(producerFinished(there))).caller  # Elsewhere(name=...)
"""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from Axon.AxonExceptions import AxonException
from Axon.Component import component
from Axon.Ipc import ipc
from Axon.Linkage import HasBoxes
from Axon.Microprocess import microprocess
from Axon.ThreadedComponent import threadedcomponent

Factory = Callable[..., component]
_Link = tuple[HasBoxes, str, HasBoxes, str, int]


class TravelError(AxonException):
    """Something cannot be sent to another process, or not be put together there.

    Usual causes: a lambda, a local class, an open file, a lock or a running component in it; a
    class that the other process cannot import by name."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A component of another process, mentioned in a message: all that is known here is its
    name."""

    name: str


# ---- messages


class _MessagePickler(pickle.Pickler):
    """Pickles one message; components in it by name if names is true, else not at all."""

    def __init__(self, file: BytesIO, names: bool) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._names = names

    def reducer_override(self, thing: Any) -> Any:
        if not isinstance(thing, microprocess):
            return NotImplemented
        if self._names:
            return Elsewhere, (thing.name,)
        raise TravelError(f"it holds the component {thing.name}, and a component is no data")


def pack_message(message: object) -> bytes:
    """Raises whatever the message raises when it is pickled."""
    file = BytesIO()
    _MessagePickler(file, isinstance(message, ipc)).dump(message)
    return file.getvalue()


def unpack_message(data: bytes) -> Any:
    """Raises whatever the message raises when it is put together."""
    return pickle.loads(data)  # noqa: S301 - from a process of ours, over a private socket


# ---- components


@dataclass(slots=True)
class _Belongings:
    """What is put back into a component over there."""

    name: str
    attributes: dict[str, Any]
    slotted: dict[str, Any]
    inboxes: dict[str, tuple[int | None, list[Any]]]
    children: list[component]
    links: list[_Link]


class _ComponentPickler(pickle.Pickler):
    """Pickles components that are not yet active, and what they are made from."""

    def reducer_override(self, thing: Any) -> Any:
        if not isinstance(thing, component) or _has_its_own_way(type(thing)):
            return NotImplemented
        if thing.scheduler or thing._isStopped():
            raise TravelError(f"{thing.name} is or was active here: only a fresh one can move")
        blank = _recipe(thing)
        # Made before its belongings are, so that two components may know each other.
        return _blank, blank, _belongings(thing, _blank(*blank)), None, None, _put_back


def pack_component(what: component | Factory, *arguments: object) -> bytes:
    """The bytes of a component, or of what makes one and its arguments. Raises TravelError."""
    file = BytesIO()
    try:
        _ComponentPickler(file, pickle.HIGHEST_PROTOCOL).dump((what, arguments))
    except Exception as error:  # what pickling runs may raise anything
        label = what.name if isinstance(what, component) else repr(what)
        raise TravelError(
            f"{label} cannot be sent to a process of its own: {error}. Its class and all that it"
            " holds must be picklable: give a class or function that makes it, and its arguments"
        ) from error
    return file.getvalue()


def unpack_component(data: bytes) -> component:
    """The component, made here. Raises TravelError if a class is missing, and what a factory
    raises."""
    try:
        what, arguments = pickle.loads(data)  # noqa: S301 - from a process of ours
    except Exception as error:
        raise TravelError(
            f"the component cannot be put together in its process: {error}. Its class must stand in"
            " a module that can be imported there, not in an interactive session"
        ) from error
    made = what if isinstance(what, component) else what(*arguments)
    if not isinstance(made, component):
        raise TypeError(f"{what!r} made {made!r}, which is no component")
    return made


def refuse_links_from_outside(thing: component) -> None:
    """Raises TravelError if others are linked to this one's own boxes: the links would stay
    behind."""
    linked = [name for name, inbox in thing.inboxes.items() if inbox.sources]
    linked += [name for name, outbox in thing.outboxes.items() if outbox.target is not None]
    if linked:
        raise TravelError(
            f"{thing.name} is linked by {linked[0]!r} to a component that stays here: link the"
            " ProcessWrapComponent instead of the component in it"
        )


def _has_its_own_way(kind: type) -> bool:
    return any(
        "__reduce__" in vars(base) or "__reduce_ex__" in vars(base) for base in kind.mro()[:-1]
    )


def _recipe(thing: component) -> tuple[type[component], tuple[str, ...], tuple[str, ...], Any]:
    return type(thing), tuple(thing.inboxes), tuple(thing.outboxes), _queuelengths(thing)


def _queuelengths(thing: component) -> int | None:
    return thing.queuelengths if isinstance(thing, threadedcomponent) else None


def _blank(
    kind: type[component],
    inboxes: tuple[str, ...],
    outboxes: tuple[str, ...],
    queuelengths: int | None,
) -> component:
    """An instance as Axon makes it, before its author's initialiser has had its say."""
    made = kind.__new__(kind)
    # Only those that are not as declared become attributes of the instance.
    boxes = {} if inboxes == tuple(kind.Inboxes) else {"Inboxes": inboxes}
    boxes |= {} if outboxes == tuple(kind.Outboxes) else {"Outboxes": outboxes}
    if isinstance(made, threadedcomponent):
        threadedcomponent.__init__(made, queuelengths, **boxes)
    else:
        component.__init__(made, **boxes)
    return made


def _belongings(thing: component, blank: component) -> _Belongings:
    """Whatever is in thing and not in a blank one of its kind."""
    attributes, slotted = _state(thing)
    blank_attributes, blank_slotted = _state(blank)
    return _Belongings(
        name=thing.name,
        attributes={
            name: value
            for name, value in attributes.items()
            if name not in blank_attributes and not name.startswith("_axon_")
        },
        slotted={name: value for name, value in slotted.items() if name not in blank_slotted},
        inboxes=_contents(thing),
        children=thing.children,
        links=[
            (made.source, made.sourcebox, made.sink, made.sinkbox, int(made.passthrough))
            for made in thing.postoffice.linkages
        ],
    )


def _contents(thing: component) -> dict[str, tuple[int | None, list[Any]]]:
    contents = {}
    for name, inbox in thing.inboxes.items():
        if not isinstance(inbox.q, deque | tuple):
            raise TravelError(f"its inbox {name!r} keeps messages in a {type(inbox.q).__name__}")
        if inbox.q or inbox.getSize() is not None:
            contents[name] = (inbox.getSize(), list(inbox.q))
    return contents


def _state(thing: component) -> tuple[dict[str, Any], dict[str, Any]]:
    """(what is in its __dict__, what is in its slots)."""
    state: Any = object.__getstate__(thing)
    attributes, slotted = state if isinstance(state, tuple) else (state, {})
    return attributes or {}, slotted


def _put_back(made: component, belongings: _Belongings) -> None:
    made.name = belongings.name
    made.__dict__.update(belongings.attributes)
    for name, value in belongings.slotted.items():
        setattr(made, name, value)
    for name, (size, messages) in belongings.inboxes.items():
        for message in messages:
            made.inboxes[name].deliver(message)
        made.setInboxSize(name, size)
    if belongings.children:
        made.addChildren(*belongings.children)
    for source, sourcebox, sink, sinkbox, passthrough in belongings.links:
        made.link((source, sourcebox), (sink, sinkbox), passthrough)
