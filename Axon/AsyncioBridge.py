"""
Components and asyncio tasks in one thread
==========================================
``embedded`` runs a scheduler inside a running asyncio loop, without a thread of its own;
``AsyncHandle`` lets a coroutine send to a component and await what it sends; ``awaited`` lets a
component wait for a coroutine.

Fairness. In each round of the loop the components have turns for a millisecond, or one slice if
that takes longer, and never less: neither a component that never pauses nor a task that never
rests can starve the others. When all components sleep nothing is called: the loop watches the
scheduler's epoll descriptor, and its next timer.

Whose turn it is. Between turns the scheduler belongs to nobody, so what a coroutine does to a
component (``activate()``, ``unpause()``, ``stop()``) comes in by ``call_from_thread``, as from
another thread. For the time of the embedding that and the timers are wrapped, so that they also ask
the loop for the next round of turns; from the loop's own thread this needs no system call.

Failures. An exception of a component that nobody isolates stops all components, cancels the task
that is inside the ``async with`` and is raised by that block, as of an asyncio.TaskGroup.

Cancellation, by asyncio.timeout for instance. A ``get`` that is cancelled has taken nothing: the
message is there for the next. A ``put`` that is cancelled has put nothing. Both decide in the step
in which they return, and between that and the caller nothing can be cancelled.

Example Usage
-------------
::

    async def main():
        async with embedded():
            doubler = AsyncHandle(Doubler()).activate()
            await doubler.put(21)
            assert await doubler.get() == 42


    asyncio.run(main())
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import suppress
from time import monotonic
from types import TracebackType
from typing import Any, Self, TypeVar

from Axon.background import stop_everything
from Axon.Component import component
from Axon.Handle import ComponentEndedError, Port
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Microprocess import microprocess
from Axon.Scheduler import scheduler
from Axon.Timers import Timer
from Axon.Waiter import EPOLLIN

_ROUND_SECONDS = 0.001
_UNDER_WAY = 64  # messages for one box that put() does not wait for

_T = TypeVar("_T")


class Embedding:
    """What embedded() gives: ``async with`` it, once."""

    def __init__(self, running: scheduler) -> None:
        self._running = running
        self._loop: asyncio.AbstractEventLoop
        self._body: asyncio.Task[Any] | None = None
        self._body_cancelled = False
        self._here = 0
        self._fd = self._token = -1
        self._lingered = False
        self._next: asyncio.Handle | None = None
        self._wrapped = (running.call_from_thread, running.call_at)
        self._over = False
        self._error: BaseException | None = None

    async def __aenter__(self) -> scheduler:
        running = self._running
        self._loop = asyncio.get_running_loop()
        self._body = asyncio.current_task()
        self._here = threading.get_ident()
        running.start_turns()
        self._fd = running.embed(True)
        if self._fd < 0:
            running.end_turns()
            raise RuntimeError("a scheduler in virtual time cannot wait inside another loop")
        # While a file descriptor is registered the scheduler looks at all of them in each slice,
        # and keeps its slices short: that is what is wanted here, and this one is never ready.
        self._token = os.eventfd(0, os.EFD_CLOEXEC)
        running.register(self._token, EPOLLIN, _ignore)
        self._lingered, running.linger = running.linger, True
        self._loop.add_reader(self._fd, self._turns)
        # Attributes of the instance hide the methods: one that is not embedded pays nothing.
        running.__dict__.update(call_from_thread=self._call_from_thread, call_at=self._call_at)
        running.__dict__["call_later"] = self._call_later
        running.thread_id = -self._here
        self._soon()
        return running

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()
        if self._body_cancelled and self._body is not None:
            self._body.uncancel()
            if kind is asyncio.CancelledError and self._error is not None:
                raise self._error from None  # the cancellation was ours, and says nothing
        if self._error is not None:
            raise self._error

    def _call_from_thread(self, call: Callable[[], object]) -> None:
        if threading.get_ident() == self._here:
            self._running._calls.append(call)
            self._soon()
        else:
            self._wrapped[0](call)

    def _call_at(self, when: float, call: Callable[[], object]) -> Timer:
        timer = self._wrapped[1](when, call)
        self._soon()  # which finds out when to come again
        return timer

    def _call_later(self, seconds: float, call: Callable[[], object]) -> Timer:
        return self._call_at(self._running.clock() + seconds, call)

    def _soon(self) -> None:
        """Take turns in the next round of the loop, unless this is in a turn."""
        if self._running.thread_id == -self._here:
            if self._next is not None:
                self._next.cancel()
            self._next = self._loop.call_soon(self._turns)

    def _turns(self) -> None:
        """A round of turns; then see to it that the next comes when it is due."""
        if self._next is not None:
            self._next.cancel()
            self._next = None
        running, until = self._running, monotonic() + _ROUND_SECONDS
        running.thread_id = self._here
        rest: float | None = 0.0
        try:
            while rest == 0.0:
                if not running.take_turns():
                    self._end()  # a component, or somebody else, called stop()
                    return
                rest = running.may_rest()
                if monotonic() >= until:
                    break
        except BaseException as error:  # noqa: BLE001 - raised again by the block
            self._fail(error)
            return
        running.thread_id = -self._here
        if rest is not None:  # else the file descriptor will tell
            later = self._loop.call_later
            self._next = later(rest, self._turns) if rest else self._loop.call_soon(self._turns)

    def _fail(self, error: BaseException) -> None:
        self._error = error
        self._end()
        if self._body is not None:
            self._body_cancelled = self._body.cancel()

    def _end(self) -> None:
        """Stop everything; once."""
        if self._over:
            return
        self._over = True
        if self._next is not None:
            self._next.cancel()
        running = self._running
        running.thread_id = self._here
        try:
            failed = stop_everything(running)
            self._error = self._error or failed
        finally:
            self._loop.remove_reader(self._fd)
            running.unregister(self._token)
            os.close(self._token)
            running.embed(False)
            for name in ("call_from_thread", "call_at", "call_later"):
                del running.__dict__[name]
            running.linger = self._lingered
            running.end_turns()


def _ignore(events: int) -> None:
    """It is never ready."""


def embedded(running: scheduler | None = None) -> Embedding:
    """Run a scheduler (by default the default one) in this loop for the time of an ``async with``,
    which gives the scheduler. It does not end when nothing is left to run, only with the block, or
    by stop(); leaving the block stops all components.

    Raises RuntimeError if that scheduler runs already."""
    return Embedding(running if running is not None else scheduler.run)


class AsyncHandle:
    """AsyncHandle(component, limit=None) -> the component for coroutines, after activate(). Its
    scheduler may be embedded in the loop or run in another thread (Axon.background).

    limit: the most messages that may wait here for each box, on either way. A component that sends
    more gets noSpaceInBox, and sleeps in its ``yield from self.put(...)``. Without a limit any
    number of what it sends waits here; what is put to it is bounded always."""

    def __init__(self, thecomponent: component, limit: int | None = None) -> None:
        self._port = Port(thecomponent, limit, self._changed)
        self._room = limit if limit is not None else _UNDER_WAY
        self._loop: asyncio.AbstractEventLoop | None = None
        self._here = 0
        self._waiting: dict[asyncio.Future[None], None] = {}

    def activate(self, Scheduler: Any = None) -> Self:
        """Give the component to a scheduler (by default the default one)."""
        self._port.activate(Scheduler)
        return self

    async def put(self, message: Any, boxname: str = "inbox") -> None:
        """Have a message delivered; wait while the inbox is full and the handle too. For a
        component that has ended it is discarded. Raises KeyError for an unknown box."""
        await self._until(lambda: self._port.has_room(boxname, self._room))
        self._port.push(message, boxname)

    async def get(self, boxname: str = "outbox") -> Any:
        """Wait for the next message of an outbox. Raises ComponentEndedError if none can come any
        more, KeyError for an unknown box, or one that was linked elsewhere before."""
        found: list[Any] = []
        await self._until(lambda: self._port.collect(boxname, found))
        if not found:
            raise ComponentEndedError
        return found[0]

    async def messages(self, boxname: str = "outbox") -> AsyncIterator[Any]:
        """All that comes out of an outbox, until the component has ended."""
        while True:
            try:
                message = await self.get(boxname)
            except ComponentEndedError:
                return
            yield message

    async def join(self) -> None:
        """Wait until the component has ended."""
        await self._until(lambda: self._port.over)

    def shutdown(self, at_once: bool = False) -> None:
        """Tell the component to end: after what was put before, or at once."""
        self._port.push(shutdownMicroprocess() if at_once else producerFinished(self), "control")

    async def _until(self, done: Callable[[], bool]) -> None:
        if done():
            return
        self._loop, self._here = asyncio.get_running_loop(), threading.get_ident()
        while True:
            # Known as one that waits before it looks: news that come after the look are for it.
            news: asyncio.Future[None] = self._loop.create_future()
            self._waiting[news] = None
            try:
                self._port.listen()
                if done():
                    return
                await news
            finally:
                del self._waiting[news]

    def _changed(self) -> None:
        if not self._waiting or self._loop is None:
            return
        if threading.get_ident() == self._here:
            self._wake()
        else:
            with suppress(RuntimeError):  # a loop that was closed has nobody who waits
                self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        for news in self._waiting:
            if not news.done():
                news.set_result(None)


def awaited(process: microprocess, what: Awaitable[_T]) -> Generator[object, None, _T]:
    """In the main of a component whose scheduler is embedded: sleep until the coroutine is done, or
    a task or future of asyncio, and give what it returned or raised::

        page = yield from awaited(self, fetch(url))

    It is cancelled when the component is stopped."""
    task = asyncio.ensure_future(what)
    task.add_done_callback(lambda done: process.unpause())
    try:
        while not task.done():
            process.pause()
            yield 1
    finally:
        task.cancel()
    if task.cancelled():
        # Not as asyncio.CancelledError: nobody has asked this component to end.
        raise RuntimeError("what this component awaited was cancelled")
    return task.result()
