"""
The few helpers that the original exports
=========================================
Programs written for the original Axon import these by name, and many say ``from Axon.util import
*``: hence no ``__all__`` here, and hence the names at the top that this module hardly needs itself.

``production`` is the one switch. A program that would rather go on than stop at a bad interface
says ``Axon.util.production = True``; ``axonRaise`` looks at it each time. Note that ``from
Axon.util import production`` copies the value of that moment, and that setting the copy does
nothing.

Example Usage
-------------
Refuse a component that lacks a box, before wiring it up::

    from Axon.util import testInterface

    testInterface(Decoder, (["inbox", "control"], ["outbox", "signal"]))

Step something, be it a generator, or of the old kind that has only a ``next`` method::

    from Axon.util import next

    next(thing)
"""

import builtins
import sys as sys  # promised to star imports; "as" says that it is exported on purpose
from builtins import set as set  # noqa: A004 - the same
from collections.abc import Hashable, Iterable
from typing import Any, Literal

from Axon.AxonExceptions import invalidComponentInterface as invalidComponentInterface

vrange = range

production = False


class Finality(Exception):  # noqa: N818 - the original's name
    """Raised on purpose, to leave a generator through its clean-up code."""


def next(thing: Any, *default: Any) -> Any:  # noqa: A001 - stands in for the builtin, and takes the same
    """Step an iterator, or an object that has only a ``next`` method, as all had in Python 2."""
    if hasattr(type(thing), "__next__") or not hasattr(thing, "next"):
        return builtins.next(thing, *default)
    try:
        return thing.next()
    except StopIteration:
        if not default:
            raise
        return default[0]


def logError(exception: type[BaseException], *args: object) -> None:
    """Do nothing: a program that wants to know of errors in production puts its own here."""


def axonRaise(exception: type[BaseException], *args: object) -> Literal[False]:
    """Raise ``exception(*args)``; in production hand it to ``logError`` and return False."""
    if production:
        logError(exception, *args)
        return False
    raise exception(*args)


def removeAll(items: list[Any], unwanted: object) -> None:
    """Remove every occurrence, in place; none is fine."""
    items[:] = [item for item in items if item is not unwanted and item != unwanted]


def listSubset(required: Iterable[Hashable], supplied: Iterable[Hashable]) -> bool:
    """Tell whether everything required is among what is supplied."""
    return set(required) <= set(supplied)


def testInterface(
    component: Any, interface: tuple[Iterable[str], Iterable[str]]
) -> Literal[True, False]:
    """True if the component declares the boxes of the interface, (inboxes, outboxes).

    Otherwise ``axonRaise(invalidComponentInterface, "inboxes" or "outboxes", component,
    interface)``, so in production the answer is False. Looks at the declarations of the class, and
    so works before there is an instance."""
    for kind, declared, required in (
        ("inboxes", component.Inboxes, interface[0]),
        ("outboxes", component.Outboxes, interface[1]),
    ):
        if not listSubset(required, declared):
            return axonRaise(invalidComponentInterface, kind, component, interface)
    return True


def safeList(items: Any = None) -> list[Any]:
    """``list(items)``, or an empty list for something that is not iterable."""
    try:
        iterator = iter(items)
    except TypeError:
        return []
    return list(iterator)  # outside the try: an error of the iterable itself must be seen
