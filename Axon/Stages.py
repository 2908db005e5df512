"""
Stand-ins: what a microprocess has before, between and after
============================================================
The engine asks as few questions as it can. Where the question would be "is it there yet?", an
object stands that gives the right answer by itself:

* instead of a scheduler, before activation: one that is false, and deaf;
* instead of a generator, before the first step: an iterable that calls ``main``; after the end: an
  iterator at its end;
* instead of the function that wakes it, between pause() and the end of the turn: one that does
  nothing.

Example Usage
-------------
::

    if self.scheduler:
        self.scheduler.call_later(5.0, self.unpause)  # it runs
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from Axon.Microprocess import microprocess

DONE: Iterator[object] = iter(())
STOPPED: Iterator[object] = iter(())  # as DONE; stepped by hand it gives one None before the end
RAN_OUT: Iterator[object] = iter(())  # while one is closed down whose main came to its own end


def not_yet(process: Any) -> None:
    """Value of ``_asleep`` from pause() to the end of the turn."""


def for_a_time(process: Any) -> None:
    """The same, of a pause() with a timeout: it is not woken by a collection."""


def not_begun(process: Any) -> None:
    """Value of ``_asleep`` before the first turn. A message that comes before it makes the first
    pause not count: nobody has looked yet."""
    process._axon_wake()


AWAKE = (not_yet, for_a_time, not_begun)


class Start(tuple[Any, str]):
    """(microprocess, name of its main method): stands in for the generator until the first step,
    which calls the method."""

    __slots__ = ()

    def __iter__(self) -> Iterator[Any]:
        process, method = self[0], self[1]
        made = _steps_of(process, method, getattr(process, method)())
        if not process._axon_stopped:  # it may have called stop()
            process._axon_gen = made
        return made

    def __next__(self) -> object:
        return next(iter(self))


def _steps_of(process: microprocess, method: str, made: Any) -> Iterator[object]:
    """What to step of what a main returned. Raises TypeError if there is nothing to step."""
    if hasattr(made, "__await__"):
        steps: Iterator[object] = made.__await__()
        return steps
    if hasattr(made, "__next__"):
        other: Iterator[object] = made
        return other
    kind = type(process)
    raise TypeError(
        f"{kind.__module__}.{kind.__qualname__}.{method}() must be a generator: it returned "
        f"{type(made).__name__}; is there a yield in it?"
    )


class _NoScheduler:
    """What ``microprocess.scheduler`` is before activation: false, and deaf to pause and wake."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False

    def wakeThread(self, process: object, canActivate: bool = False) -> None:
        """Nobody sleeps here."""

    def pauseThread(self, process: object) -> None:
        """Nobody runs here."""

    def isThreadPaused(self, process: object) -> bool:
        return False


NO_SCHEDULER: Any = _NoScheduler()
