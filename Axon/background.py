"""
A scheduler in a thread of its own
==================================
For programs that are not made of components: the default scheduler runs in a daemon thread, and the
rest of the program goes on. To talk to components there use Axon.Handle; ``activate()`` and
``stop()`` of a component may be called from any thread.

It runs until it is told to stop, also while there is nothing to run, so components may come and go.
There is one at a time, because there is one default scheduler; when it has ended there may be
another.

A failure is not lost: an exception that nobody isolates (see microprocess.isolate) is logged at
once, ends the run as it would end runThreads(), and is raised by stop() and join(). Since the
program goes on, the other components are not left as they stand: each is stopped, so that a
server's clients, say, find its port closed, and whoever waits for a component hears of its end.

Example Usage
-------------
::

    from Axon.background import background

    with background():  # or .start(), and in the end .stop() and .join()
        Server(port=1500).activate()
        input("return to stop")
"""

from __future__ import annotations

import logging
import threading
import weakref
from types import TracebackType
from typing import ClassVar, Self

from Axon.CoordinatingAssistantTracker import coordinatingassistanttracker
from Axon.Scheduler import scheduler

log = logging.getLogger(__name__)

# Re-entrant: a signal handler may call stop() while its thread is in it.
_LOCK = threading.RLock()


class background:
    """background(slowmo=0, zap=False) -> the default scheduler in a thread, after start().

    slowmo: seconds to wait before each cycle. zap: first replace the default scheduler by a new
    one, and empty the tracker. Raises RuntimeError if there is another that has not ended."""

    # Not the object itself: one that was never started and is forgotten is in nobody's way.
    _latest: ClassVar[weakref.ref[background] | None] = None

    def __init__(self, slowmo: float = 0, zap: bool = False) -> None:
        self._slowmo = slowmo
        self._begun = threading.Event()
        self._over = False
        self._error: BaseException | None = None
        self._refusal: RuntimeError | None = None
        with _LOCK:
            other = background._latest() if background._latest is not None else None
            if other is not None and not other._over:
                raise RuntimeError(
                    "there is a background scheduler already: activate() components in it, or "
                    "stop() and join() it first"
                )
            background._latest = weakref.ref(self)
        if zap:
            scheduler.run = None  # the next one made is the default
            scheduler()
            coordinatingassistanttracker.getcat().zap()
        self._running: scheduler = scheduler.run
        self._thread: threading.Thread | None = None

    def start(self) -> Self:
        """Begin. Raises RuntimeError if that scheduler runs elsewhere, or this was started
        before."""
        if self._thread is not None:
            raise RuntimeError("it was started before: make another")
        self._thread = threading.Thread(target=self._run, name="Axon.background", daemon=True)
        self._thread.start()
        # Not before it is that thread's: from then on activate() hands over to it.
        self._begun.wait()
        if self._refusal is not None:
            raise self._refusal
        return self

    def stop(self) -> None:
        """Ask it to end: stop() is called on every component. Does not wait, so a component may
        call it. Raises what ended the run, if something did."""
        with _LOCK:  # one that ends meanwhile must not leave the request to the next run
            if self._begun.is_set() and not self._over:
                self._running.stop()
                return
        self._raise_failure()

    def join(self, timeout: float | None = None) -> bool:
        """Wait until it has ended, at the longest timeout seconds: True if it has. Raises what
        ended the run, if something did. Raises RuntimeError before start()."""
        if self._thread is None:
            raise RuntimeError("it was not started")
        self._thread.join(timeout)
        if self._thread.is_alive():
            return False
        self._raise_failure()
        return True

    def is_alive(self) -> bool:
        """True while it runs."""
        return self._begun.is_set() and not self._over

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.stop()
            self.join()
        except BaseException:
            # What failed here is probably why the block did. But not Ctrl-C and the like.
            if kind is None or issubclass(kind, Exception):
                raise

    def _raise_failure(self) -> None:
        if self._error is not None:
            raise self._error

    # ---- in the thread

    def _run(self) -> None:
        running = self._running
        try:
            running.start_turns()
        except RuntimeError as error:
            self._refusal = error
            self._over = True
            self._begun.set()
            return
        lingered, running.linger = running.linger, True
        running.hold()  # the rest of the program is a thread that must not starve
        self._begun.set()
        try:
            self._take_turns(running)
        except BaseException as error:  # kept for join(): nobody sees it here
            self._error = error
            log.critical("the background scheduler has ended with an exception", exc_info=error)
            stop_everything(running)
        finally:
            with _LOCK:
                running.linger = lingered
                running.release()
                running.end_turns()
                self._over = True

    def _take_turns(self, running: scheduler) -> None:
        if self._slowmo:
            for _ in running._cycles(self._slowmo, canblock=True):
                pass
        else:
            while running._turn_over(None):
                pass


def stop_everything(running: scheduler) -> Exception | None:
    """End a run by stop(), in the thread that has its turns, whatever fails meanwhile; the first
    failure."""
    first: Exception | None = None
    while True:
        running.stop()  # each time: an exception of a stop() ends the request as well
        try:
            running.take_turns()
        except Exception as error:  # it has ended one component: the others follow
            log.exception("raised while everything was stopped")
            first = first or error
        else:
            return first
