"""
"When a message comes, do this", and ``async def``
==================================================
Two other ways to write a component, on top of boxes and in place of the loop that drains, pauses
and yields. Everything else is as it was: boxes, linkages, shutdown, the scheduler.

``MessageComponent`` calls a method for each message: ``on_inbox(message)`` for what comes to
"inbox", and so on; ``@on("#box")`` for a name that is no identifier. Its ``main`` is what one would
write by hand, and worth reading. One message is worked on at a time, of the box declared first
before those of the next. A handler that takes longer is a generator or ``async def``.

``AsyncComponent`` has what is worth waiting for, in an ``async def`` with ``await`` and in a
generator with ``yield from``. No second scheduler is needed: a coroutine is stepped as a generator
is, and "waiting" is the pause() and yield of every component.

The end, in both: shutdownMicroprocess ends the component where it waits, as stop() does
(``finally`` clauses run); producerFinished lets it finish what lies in its boxes first. Axon tells
those behind it.

Example Usage
-------------
::

    class Doubler(MessageComponent):
        def on_inbox(self, number):
            self.send(2 * number)


    class DoublerToo(AsyncComponent):
        async def main(self):
            async for number in self.messages():
                await self.put(2 * number)  # sleeps while the receiver has no room
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Iterator
from inspect import iscoroutinefunction, isgeneratorfunction
from typing import Any, ClassVar, Generic, TypeVar

from Axon.AxonExceptions import noSpaceInBox
from Axon.Component import component
from Axon.Failures import left_in_the_middle, shown
from Axon.Ipc import stops_at_once

_T = TypeVar("_T")
_Handler = TypeVar("_Handler", bound=Callable[..., Any])

_MESSAGES_A_TURN = 64

_SAID_BY_ASYNCIO = ("no running event loop", "await wasn't used with future")
_NOT_ASYNCIO = (
    "a component is run by Axon's scheduler and not by asyncio: await self.sleep(), "
    "self.receive(), self.put() and what is made of them (or see Axon.AsyncioBridge)"
)


class Waiting(Iterator[object], Generic[_T]):
    """Waiting(steps) -> something to ``await`` or to ``yield from``; either gives what the
    generator returns."""

    __slots__ = ("_begun", "_steps")

    def __init__(self, steps: Generator[object, None, _T]) -> None:
        self._steps = steps
        self._begun = False

    def __iter__(self) -> Generator[object, None, _T]:
        self._begun = True
        return self._steps

    __await__ = __iter__

    def __next__(self) -> object:
        return next(iter(self))

    def __del__(self) -> None:
        if not self._begun:  # else nothing at all would tell of the most usual mistake
            name = getattr(self._steps, "__name__", "").lstrip("_")
            warnings.warn(
                f"{name}() was neither awaited nor yielded from: it has done nothing",
                RuntimeWarning,
                stacklevel=2,
            )


class AsyncComponent(component):
    """AsyncComponent(**attributes) -> a component with things to wait for."""

    _axon_received = False  # True: it works on messages, so it may be in the middle of one

    def activate(
        self, Scheduler: Any = None, Tracker: object = None, mainmethod: str = "main"
    ) -> Any:
        main = getattr(self, mainmethod)
        if self._axon_gen is None and iscoroutinefunction(main):
            self._axon_gen = _stepped(main)  # called in the first step, as any main
        return super().activate(Scheduler, Tracker, mainmethod)

    def receive(self, boxname: str = "inbox") -> Waiting[Any]:
        """Wait for a message and take it. producerFinished says that nothing more will come into
        "inbox": then the component ends here (use messages() if it has something to do at its end).
        In another box it may be the answer that the message in hand needs, which is waited for."""
        return Waiting(self._receive(boxname))

    def messages(self, boxname: str = "inbox") -> Messages:
        """For ``async for``: each message, until producerFinished has come and the box is empty."""
        return Messages(self, boxname)

    def sleep(self, seconds: float) -> Waiting[None]:
        """Wait so long at the least, whatever messages come; sleep(0) gives the others a turn.

        producerFinished does not cut it short, since a message may be half worked on; but one that
        has never taken a message, and has none waiting, lives by the clock and ends here."""
        return Waiting(self._sleep(seconds))

    def put(self, message: Any, boxname: str = "outbox") -> Waiting[None]:
        """Send, waiting for as long as the receiver has no room."""
        return Waiting(self._put(message, boxname))

    def told_to_stop(self, boxname: str = "control") -> Any:
        """As in component; one without that box is never told."""
        return super().told_to_stop(boxname) if boxname in self.inboxes else None

    def on_control(self, message: Any) -> None:
        """What came to "control" and is no shutdown: hand it on. Also called while main waits for
        something else, so it must be an ordinary method."""
        super()._axon_hand_on(message)

    def _axon_hand_on(self, message: object) -> None:
        self.on_control(message)

    # ---- each of these ends itself with stop(), after which the yield does not come back

    def _receive(self, boxname: str) -> Generator[object, None, Any]:
        if not (yield from self._arrival(boxname, may_end=boxname == "inbox")):
            self.stop()
            yield 1
        return self.recv(boxname)

    def _arrival(self, boxname: str, *, may_end: bool) -> Generator[object, None, bool]:
        """Wait for a message; False: none waits, and the producer has finished."""
        while True:
            stop = self.told_to_stop()
            if stop and stops_at_once(stop):
                self.stop()
            elif self.dataReady(boxname):
                self._axon_received = True
                return True
            elif stop and may_end:
                return False
            self.pause()
            yield 1

    def _sleep(self, seconds: float) -> Generator[object, None, None]:
        until = self.now() + seconds
        left = seconds
        while True:
            stop = self.told_to_stop()
            if stop and (stops_at_once(stop) or not (self._axon_received or self.anyReady())):
                self.stop()
            if left > 0:
                self.pause(left)
            yield 1
            left = until - self.now()
            if left <= 0:
                return

    def _put(self, message: Any, boxname: str) -> Generator[object, None, None]:
        while True:
            try:
                self.send(message, boxname)
            except noSpaceInBox:
                if stops_at_once(self.told_to_stop()):
                    self.stop()
                self.pause()
                yield 1
            else:
                return


class Messages:
    """Messages(thecomponent, boxname) -> what ``async for`` goes through."""

    __slots__ = ("_boxname", "_component")

    def __init__(self, thecomponent: AsyncComponent, boxname: str) -> None:
        self._component = thecomponent
        self._boxname = boxname

    def __aiter__(self) -> Messages:
        return self

    async def __anext__(self) -> Any:
        if await Waiting(self._component._arrival(self._boxname, may_end=True)):
            return self._component.recv(self._boxname)
        raise StopAsyncIteration


class MessageComponent(AsyncComponent):
    """MessageComponent(**attributes) -> calls on_<box>(message) for each message; with keywords,
    as in MessageComponent(on_inbox=print), no class is needed."""

    _axon_received = True
    _axon_handlers: ClassVar[dict[str, str]] = {}  # box -> method, of those with @on

    def main(self) -> Any:
        handlers = {boxname: self._handler(boxname) for boxname in self.inboxes}
        while True:
            for _ in range(_MESSAGES_A_TURN):  # not without end: one may send to itself
                stop = self.told_to_stop()
                if stop and stops_at_once(stop):
                    return
                if isinstance(boxname := self.anyReady(), str):  # the first that has a message
                    yield from self._handle(handlers[boxname], boxname, self.recv(boxname))
                elif stop:
                    yield from _steps(self.on_stop(), self.on_stop)
                    return
                else:
                    self.pause()
                    break
            yield 1

    def _handle(
        self, handler: Callable[[Any], Any], boxname: str, message: Any
    ) -> Iterator[object]:
        try:
            result = handler(message)
            if result is not None:
                yield from _steps(result, handler)
        except Exception:
            left_in_the_middle.append((id(self), boxname, message))  # for the error's note
            raise

    def on_stop(self) -> Any:
        """Called after producerFinished, when the last message has been worked on; may be a
        generator or ``async def``. For what must be done in any case override stop()."""

    def _handler(self, boxname: str) -> Callable[[Any], Any]:
        name = self._axon_handlers.get(boxname, f"on_{boxname}")
        handler: Callable[[Any], Any] | None = getattr(self, name, None)
        if handler is None:
            raise TypeError(
                f"{type(self).__qualname__} has no handler for its inbox {boxname!r}: write "
                f"{name}() or, if that is no name, a method with @on({boxname!r})"
            )
        return handler

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._axon_handlers = dict(cls._axon_handlers)
        for name, method in vars(cls).items():
            boxes = getattr(method, "_axon_boxes", ())
            cls._axon_handlers.update(dict.fromkeys(boxes, name))
            if not boxes and callable(method) and name.startswith("on_") and name != "on_stop":
                boxes = (name.removeprefix("on_"),)
            for boxname in boxes:
                if boxname not in cls.Inboxes:
                    raise TypeError(
                        f"{cls.__qualname__}.{name}() is the handler of an inbox {boxname!r} that "
                        f"is not declared; declared: {', '.join(cls.Inboxes)}"
                    )
        control = cls.on_control
        if iscoroutinefunction(control) or isgeneratorfunction(control):
            raise TypeError(f"{cls.__qualname__}.on_control() must be an ordinary method")
        if "control" in cls._axon_handlers:
            raise TypeError(f"{cls.__qualname__}: what handles 'control' is called on_control()")
        if "stop" in cls.Inboxes and "stop" not in cls._axon_handlers:
            raise TypeError(f"{cls.__qualname__}: on_stop() is for the end; use @on('stop')")


def on(*boxnames: str) -> Callable[[_Handler], _Handler]:
    """Make a method the handler of these inboxes: ``@on("#request")``."""

    def mark(handler: _Handler) -> _Handler:
        handler.__dict__["_axon_boxes"] = boxnames
        return handler

    return mark


def _steps(made: Any, method: Callable[..., Any]) -> Iterator[object]:
    """The steps of what a method has returned: nothing, a generator or a coroutine."""
    if hasattr(made, "__next__"):
        yield from made
    elif hasattr(made, "__await__"):
        yield from _stepped(lambda: made)
    elif made is not None:
        name = getattr(method, "__qualname__", method)
        raise TypeError(
            f"{name}() returned {shown(made)}: what a handler returns goes nowhere, send() it"
        )


def _stepped(make: Callable[[], Any]) -> Iterator[object]:
    """The steps of a coroutine, with a word of help if it waits for what only asyncio can give."""
    try:
        yield from make().__await__()
    except RuntimeError as error:
        if str(error) in _SAID_BY_ASYNCIO:
            error.add_note(_NOT_ASYNCIO)
        raise
