"""
What a test expects of a message
================================
Wherever a test names an expected message it may give

* a value: the message is equal to it;
* a class, or several as ``int | str``: the message is one of its instances;
* a function of one argument: it returns something true for the message;
* ``like(...)``, ``one_of(...)`` or ``anything``, which are such functions and say in a failure what
  they look for.

Example Usage
-------------
::

    assert matches(42, 42)
    assert matches(producerFinished, producerFinished())
    assert matches(lambda number: number > 3, 4)
    assert matches(like(Reply, code=one_of(450, 451)), Reply(451, "later"))
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from reprlib import Repr
from types import UnionType

_MISSING = object()


def matches(expected: object, message: object) -> bool:
    """True if the message is what was expected; see above for what that may be."""
    if expected is message:
        return True
    if isinstance(expected, type | UnionType):
        return isinstance(message, expected)
    if callable(expected):
        return bool(expected(message))
    return bool(expected == message)


class like:  # noqa: N801 - reads as a word of the test's sentence
    """like(kind=None, /, **attributes) -> matches a message of that kind whose attributes match;
    other attributes may be anything."""

    __slots__ = ("attributes", "kind")

    def __init__(self, kind: type | UnionType | None = None, /, **attributes: object) -> None:
        self.kind = kind
        self.attributes = attributes

    def __call__(self, message: object) -> bool:
        if self.kind is not None and not isinstance(message, self.kind):
            return False
        return all(
            (found := getattr(message, name, _MISSING)) is not _MISSING and matches(wanted, found)
            for name, wanted in self.attributes.items()
        )

    def __repr__(self) -> str:
        parts = [] if self.kind is None else [describe(self.kind)]
        parts += [f"{name}={describe(wanted)}" for name, wanted in self.attributes.items()]
        return f"like({', '.join(parts)})"


class one_of:  # noqa: N801
    """one_of(*expected) -> matches what any of them matches."""

    __slots__ = ("choices",)

    def __init__(self, *expected: object) -> None:
        self.choices = expected

    def __call__(self, message: object) -> bool:
        return any(matches(choice, message) for choice in self.choices)

    def __repr__(self) -> str:
        return f"one_of({', '.join(map(describe, self.choices))})"


class _Anything:
    __slots__ = ()

    def __call__(self, message: object) -> bool:
        return True

    def __repr__(self) -> str:
        return "anything"


anything = _Anything()
"""Matches every message."""


# ---- how a failure shows them: bounded, since a message may be a film


class _Short(Repr):
    def repr_instance(self, x: object, level: int) -> str:
        if type(x).__repr__ is object.__repr__:
            return f"<{type(x).__name__}>"  # an address says nothing, and differs from run to run
        return super().repr_instance(x, level)


_SHORT = _Short()
_SHORT.maxstring = _SHORT.maxother = 120
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = _SHORT.maxset = _SHORT.maxdeque = 8


def show(message: object) -> str:
    """A bounded repr; of an object without one of its own, its class and attributes."""
    kind = type(message)
    if kind.__repr__ is object.__repr__:
        shown = ", ".join(f"{name}={_SHORT.repr(value)}" for name, value in _attributes(message))
        return f"{kind.__name__}({shown[:200]})"
    return _SHORT.repr(message)


def _attributes(message: object) -> Iterator[tuple[str, object]]:
    for kind in type(message).__mro__:
        slots = vars(kind).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if not name.startswith("__") and hasattr(message, name):
                yield name, getattr(message, name)
    yield from getattr(message, "__dict__", {}).items()


def show_all(messages: Iterable[object]) -> str:
    """The first few of them, and how many more."""
    every = list(messages)
    more = f" and {len(every) - 8} more" if len(every) > 8 else ""
    return ", ".join(map(show, every[:8])) + more


def describe(expected: object) -> str:
    """What was expected, for a person."""
    if isinstance(expected, type):
        return expected.__name__
    name = getattr(expected, "__qualname__", None)
    if callable(expected) and isinstance(name, str):
        return f"what {name.rpartition('<locals>.')[2]} accepts"
    return repr(expected)[:200] if callable(expected) else show(expected)
