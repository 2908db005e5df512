"""
The one place where a program waits
===================================
A scheduler with nothing to run waits for sockets, threads and the next timer together, in one
system call, so an idle program uses no CPU and needs no polling. What does the waiting is an object
handed to the scheduler, so that a test can give it one in which time is virtual (see Axon.Testing).

Rules of the epoll one:

* A callback runs in the scheduler's thread and must not block; it reads or writes once and
  delivers.
* Level triggered, and the callback reads there and then: a socket that is reported but read only
  later, by its component's turn, would be reported again by each poll between (13 reports a read
  were measured).
* At most 64 events a poll: it bounds how long sockets keep components waiting, and a connection's
  objects are still in the processor's cache when its component runs.
* wake() may come from any thread. It writes to a pipe only while the scheduler says that it is
  blocked: the flag is set first and the queue of calls looked at again after, so no call is left
  lying while it sleeps. (An eventfd is a little cheaper, but only a pipe can also be the
  interpreter's wake-up file for signals, which closes the gap between looking for a signal and
  blocking.)

Example Usage
-------------
Through a scheduler, which hands on to its waiter::

    scheduler.run.register(sock.fileno(), EPOLLIN, on_readable)  # on_readable(events: int)
    scheduler.run.unregister(sock.fileno())
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic, sleep
from typing import Protocol

EPOLLIN = select.EPOLLIN
EPOLLOUT = select.EPOLLOUT
EPOLLPRI = select.EPOLLPRI
EPOLLERR = select.EPOLLERR
EPOLLHUP = select.EPOLLHUP

EVENTS_PER_POLL = 64
GIVE_EVERY_SECONDS, GIVE_SECONDS = 0.005, 0.000_02
LONGEST_WAIT_SECONDS = 86_400.0  # epoll counts milliseconds in an int, which ends after 24 days

FdCallback = Callable[[int], None]


class Waiter(Protocol):
    """What a scheduler asks of the thing it waits with."""

    busy: bool
    """True if file descriptors are registered, so that a poll between turns may find something."""

    failed: Callable[[FdCallback, Exception], bool] | None
    """Is told of a callback that fails, and says whether to forget it; None: it is raised."""

    def register(self, fd: int, events: int, callback: FdCallback) -> None: ...

    def modify(self, fd: int, events: int) -> None: ...

    def unregister(self, fd: int) -> None: ...

    def wait(self, timeout: float | None, has_calls: Callable[[], bool]) -> bool:
        """Dispatch what is ready; block for up to timeout seconds (None: without limit; 0: not at
        all), but not if has_calls(). False: nothing can ever happen any more (only a virtual one
        can know that)."""

    def wake(self) -> None: ...

    def wakeup_fd(self) -> int:
        """A file descriptor to which the interpreter may write a byte when a signal arrives; -1:
        none."""

    def hold(self) -> None:
        """A thread was started that will call in: there is something to wait for."""

    def release(self) -> None: ...

    def embed(self, on: bool) -> int:
        """Something else is going to wait for the file descriptor that is returned (-1: there is
        none) and call wait(0) when it is ready; until embed(False)."""

    def close(self) -> None: ...


class EpollWaiter:
    """EpollWaiter() -> waits with epoll; its file descriptors are opened on first use."""

    def __init__(self) -> None:
        self.busy = False
        self._callbacks: dict[int, FdCallback] = {}
        self._epoll: select.epoll | None = None
        self._pipe = (-1, -1)
        self._blocked = False
        self._embedded = False
        self.failed: Callable[[FdCallback, Exception], bool] | None = None
        self._held = 0  # threads of components that run now
        self._generous_at = 0.0
        # Without it a thread could write its wake-up to a number that close() has just given back
        # and that is another file's by now. Re-entrant: one signal handler may interrupt another.
        self._pipe_lock = threading.RLock()

    def _open(self) -> select.epoll:
        if self._epoll is None:
            poller = select.epoll()  # closes itself if there is no descriptor left for the pipe
            self._pipe = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            poller.register(self._pipe[0], EPOLLIN)
            self._epoll = poller
        return self._epoll

    def register(self, fd: int, events: int, callback: FdCallback) -> None:
        """Call callback(events) whenever fd is ready for one of events (errors and hang-ups always
        count)."""
        (self._epoll or self._open()).register(fd, events)
        self._callbacks[fd] = callback
        self.busy = True

    def modify(self, fd: int, events: int) -> None:
        (self._epoll or self._open()).modify(fd, events)

    def unregister(self, fd: int) -> None:
        """Forget fd; call it before closing the file. Unknown ones are ignored."""
        if self._callbacks.pop(fd, None) is None:
            return
        try:  # noqa: SIM105 - suppress() is three calls more for each connection
            (self._epoll or self._open()).unregister(fd)
        except OSError:
            pass  # closed by its owner already, which takes it out of the epoll set
        self.busy = bool(self._callbacks)

    def wait(self, timeout: float | None, has_calls: Callable[[], bool]) -> bool:
        poller = self._epoll or self._open()
        if self._held and timeout == 0:
            self._let_threads_run()
        if timeout != 0:
            self._blocked = True
            if has_calls():
                timeout = 0
        try:
            longest = -1 if timeout is None else min(timeout, LONGEST_WAIT_SECONDS)
            events = poller.poll(longest, EVENTS_PER_POLL)
        finally:
            self._blocked = False
        callbacks = self._callbacks
        for fd, what in events:
            callback = callbacks.get(fd)
            if callback is not None:  # an earlier event of this poll may have closed it
                try:
                    callback(what)
                except Exception as error:
                    if self.failed is None:
                        raise
                    if self.failed(callback, error) and callbacks.get(fd) is callback:
                        self.unregister(fd)
            elif fd == self._pipe[0]:
                self._drain()
        return True

    def _drain(self) -> None:
        with suppress(BlockingIOError):  # two reports of one wake-up
            os.read(self._pipe[0], 4096)

    def wake(self) -> None:
        """End a wait() that blocks, from any thread or a signal handler."""
        if self._blocked or self._embedded:
            with self._pipe_lock, suppress(BlockingIOError):  # full: one more tells nothing new
                if self._epoll is not None:
                    os.write(self._pipe[1], b"w")

    def wakeup_fd(self) -> int:
        self._open()
        return self._pipe[1]

    def embed(self, on: bool) -> int:
        # An epoll descriptor can itself be waited for: it is ready when anything in it is.
        self._embedded = on
        return self._open().fileno()

    def hold(self) -> None:
        self._held += 1

    def release(self) -> None:
        self._held -= 1

    def _let_threads_run(self) -> None:
        """A poll that does not block gives the interpreter up for a microsecond, too shortly for a
        waiting thread to get hold of it, and begins that thread's waiting time anew: while
        components are busy it would starve. So now and then give it up for long enough."""
        now = monotonic()
        if now >= self._generous_at:
            sleep(GIVE_SECONDS)
            self._generous_at = now + GIVE_EVERY_SECONDS

    def __del__(self) -> None:
        self.close()  # the pipe's ends are plain numbers: nobody else would

    def close(self) -> None:
        """Give the file descriptors back; the next use opens new ones."""
        with self._pipe_lock:
            if self._epoll is None:
                return
            self._epoll.close()
            for fd in self._pipe:
                os.close(fd)
            self._epoll = None
        self._callbacks.clear()
        self.busy = False
