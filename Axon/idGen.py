"""
Unique names and numbers
========================
One counter serves the whole process, so a number identifies one thing and a larger one was made
later. The text form is ``<module>.<Class>_<number>``: tools cut it at the last dot to get a short
name.

Example Usage
-------------
::

    from Axon.idGen import strId

    name = strId(object())  # for instance "builtins.object_17"
"""

from itertools import count

# next() on an itertools.count is one C call, so two threads never get the same number.
_numbers = count(1)


class idGen:
    """idGen() -> source of process-wide unique ids; all instances share one counter."""

    lowestAllocatedId = 0

    def nextId(self) -> int:
        return next(_numbers)

    def __next__(self) -> int:
        return next(_numbers)

    next = nextId
    numId = nextId

    def idToString(self, thing: object, number: int) -> str:
        kind = thing if isinstance(thing, type) else type(thing)
        return f"{kind.__module__}.{kind.__name__}_{number}"

    def strId(self, thing: object) -> str:
        return self.idToString(thing, next(_numbers))

    def tupleId(self, thing: object) -> tuple[int, str]:
        number = next(_numbers)
        return number, self.idToString(thing, number)


_default = idGen()
numId = _default.numId
strId = _default.strId
tupleId = _default.tupleId
idToString = _default.idToString
newId = strId


def Debug(*args: object) -> None:  # noqa: N802 - the original's name
    """In the original a hook for printing what is numbered; does nothing."""
