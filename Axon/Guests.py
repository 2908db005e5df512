"""
Running what is no microprocess
===============================
A scheduler takes anything that has ``next()``, ``stop()`` and ``_closeDownMicroprocess()``, as the
original did. A Guest gives such an object the form that the scheduler runs; the scheduler's own
methods go on speaking of the object itself.

Example Usage
-------------
::

    scheduler.run._addThread(stranger)  # stranger.next() is called once each cycle
"""

from __future__ import annotations

from typing import Any

from Axon.Microprocess import microprocess


class _Steps:
    """Makes an iterator of an object that has only next()."""

    __slots__ = ("thing",)

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __iter__(self) -> _Steps:
        return self

    def __next__(self) -> object:
        result: object = self.thing.next()
        return result


class Guest(microprocess):
    """Guest(thing) -> a microprocess whose steps are thing.next()."""

    __slots__ = ("thing",)

    def __init__(self, thing: Any) -> None:
        super().__init__(thread=_Steps(thing))
        self.thing = thing
        self.name = getattr(thing, "name", None) or f"{type(thing).__name__}_{self.id}"

    def stop(self) -> None:
        super().stop()
        self.thing.stop()

    def _closeDownMicroprocess(self) -> object:
        value: object = self.thing._closeDownMicroprocess()
        return value
