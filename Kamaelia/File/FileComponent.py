"""
What all file components share
==============================
A file may block for as long as it likes: a pipe that nobody writes to, a network disk that is away,
a disk that must first spin up. So nothing here touches a file in the scheduler's thread.

* Each FileComponent is an ordinary component with a helper thread, which is started at the first
  call and makes one call after the other. ``yield from self.in_thread("read", call)`` sleeps until
  the call is made and gives its result. The next one is made only when the component asks for it,
  so there is no queue that could grow, and a receiver without room holds up the file.
* Only that thread opens, uses and closes the file. It does so too when the component is over,
  however it ended: the closing waits behind the call that is being made.
* A shutdownMicroprocess ends the component even if a call never returns: that is why it is not a
  threadedcomponent, whose main would be what hangs. It waits ``grace_seconds`` for the call, then
  leaves the thread, which ends with the program.
* What the file refuses is a FileError, sent out of "error" or, if that leads nowhere, logged; then
  the component ends. A FileService goes on: it has other files to serve.

Example Usage
-------------
Send a file's first line::

    from collections.abc import Iterator

    from Axon.Testing import drive
    from Kamaelia.File.FileComponent import FileComponent


    class FirstLine(FileComponent):
        def work(self) -> Iterator[object]:
            yield from self.open_file("rb")
            line = yield from self.in_thread("read", lambda: self.in_file().readline(1000))
            yield from self.put(line)


    for filename in ("/dev/null", "/no/such/file"):
        out = drive(FirstLine(filename))
        print(out["outbox"], *out["error"])

It prints::

    [b'']
    [] cannot open /no/such/file: [Errno 2] No such file or directory: '/no/such/file'
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Generator, Iterator
from functools import partial
from queue import SimpleQueue
from typing import IO, Any, Generic, TypeVar

from Axon.Box import Inbox
from Axon.Component import component
from Axon.Ipc import stops_at_once
from Kamaelia.File.Errors import FileError, FileProblem
from Kamaelia.Util.Stopping import offer

log = logging.getLogger(__name__)

_T = TypeVar("_T")

Filename = str | bytes | os.PathLike[str]

# What a file or a bad message raises; anything else is a mistake of ours, and fails the component.
_REPORTED = (OSError, ValueError, TypeError)


class _StopNow(Exception):  # noqa: N818 - no error
    """A shutdownMicroprocess came while a call was being made."""


class _Job(Generic[_T]):
    """A call, and what came of it: set in the thread, looked at once ``done``, here."""

    def __init__(self, call: Callable[[], _T]) -> None:
        self.call = call
        self.done = False
        self.result: _T
        self.error: Exception | None = None

    def make(self) -> None:
        try:
            self.result = self.call()
        except Exception as error:  # noqa: BLE001 - handed over: raised again where the call was asked for
            self.error = error


class _Helper:
    """A thread that makes calls in the order in which they were asked for."""

    def __init__(self, name: str) -> None:
        self.calls: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        # A daemon: one that hangs must not keep the program from ending.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        for call in iter(self.calls.get, None):
            call()

    def finish(self, seconds: float) -> None:
        """Let the thread end when all calls are made, and wait for that, but no longer."""
        self.calls.put(None)
        self._thread.join(seconds)


class FileComponent(component):
    """FileComponent(filename="", **attributes) -> does work() with a file, in its own thread.

    Raises TypeError for what is no filename."""

    Outboxes = {
        "outbox": "object: what comes of it",
        "signal": "the shutdown that came in, or producerFinished",
        "error": "FileError: what the file refused; then this ends",
    }

    woken_by_collection = False  # it asks isFull()
    grace_seconds = 0.1  # for a call that is being made when a shutdownMicroprocess comes

    def __init__(self, filename: Filename = "", **attributes: object) -> None:
        super().__init__(**attributes)
        self.filename = os.fsdecode(filename)
        self._file: IO[Any] | None = None  # the thread's own
        self._helper: _Helper | None = None
        self._under_way = 0  # calls that the thread has yet to make or is making
        self._abandoned = False

    def work(self) -> Iterator[object]:
        """For subclasses: what to do with the file, as a main."""
        raise NotImplementedError

    def main(self) -> Iterator[object]:
        failed = False
        if stops_at_once(self.told_to_stop()):
            return
        try:
            yield from self.work()
        except FileProblem as problem:
            failed = True
            yield from self.report(problem.report)
        except _StopNow:
            pass
        yield from self._close_up(failed)

    # ---- for work()

    def in_thread(
        self, operation: str, call: Callable[[], _T], filename: str | None = None
    ) -> Generator[object, None, _T]:
        """Have call() made in the file's thread, and return its result: ``yield from`` it.

        Raises FileProblem, for work() to let through."""
        job = self._ask_for(operation, call)
        while not job.done:
            if stops_at_once(self.told_to_stop()):
                raise _StopNow
            self.pause()
            yield 1
        if isinstance(job.error, _REPORTED):
            raise self._problem(operation, job.error, filename) from job.error
        if job.error is not None:
            raise job.error
        return job.result

    def open_file(self, mode: str, **options: object) -> Iterator[object]:
        """As open(); the file is then self._file, and closed at the end."""

        yield from self.in_thread("open", partial(self.open, mode, **options))

    def report(self, report: FileError) -> Iterator[object]:
        """Send it out of "error"; to the log if that leads nowhere."""
        if isinstance(self.outboxes["error"].final(), Inbox):
            yield from offer(self, report, "error")
        else:
            log.error("%s: %s", self.name, report)

    # ---- for calls in the file's thread, and only there

    def open(self, mode: str, **options: Any) -> None:  # noqa: ANN401 - as of open()
        self._file = open(self.filename, mode, **options)  # noqa: PTH123, SIM115 - see close()

    def in_file(self) -> IO[Any]:
        """The open file."""
        if self._file is None:
            raise ValueError("the file is not open")
        return self._file

    def close(self) -> None:
        """Close the file if it is open."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    # ---- the thread

    def _ask_for(self, operation: str, call: Callable[[], _T]) -> _Job[_T]:
        if self._helper is None:
            try:
                self._helper = _Helper(self.name)
            except RuntimeError as error:  # no more threads
                raise self._problem(operation, error) from error
            self.call_on_close(partial(self._let_go, self._helper))
        job, running = _Job(call), self.scheduler

        def make() -> None:
            job.make()
            running.call_from_thread(partial(self._made, job))

        running.hold()
        self._under_way += 1
        self._helper.calls.put(make)
        return job

    def _made(self, job: _Job[Any]) -> None:
        """In the scheduler's thread again."""
        job.done = True
        if self._under_way:
            self._release(1)
            self.unpause()

    def _release(self, calls: int) -> None:
        self._under_way -= calls
        for _ in range(calls):
            self.scheduler.release()

    def _problem(
        self, operation: str, error: Exception, filename: str | None = None
    ) -> FileProblem:
        return FileProblem(FileError(filename or self.filename, operation, error))

    # ---- the end

    def _close_up(self, failed: bool) -> Iterator[object]:
        """Close the file after all that was asked for; given up soon after a
        shutdownMicroprocess."""
        if self._helper is None:
            return
        job = self._ask_for("close", self.close)
        deadline: float | None = None
        while not job.done:
            if deadline is None and stops_at_once(self.told_to_stop()):
                deadline = self.now() + self.grace_seconds
            if deadline is not None and self.now() >= deadline:
                self._abandoned = True
                log.warning("%s: left %s while it was being used", self.name, self.filename)
                return
            self.pause(None if deadline is None else deadline - self.now())
            yield 1
        if isinstance(job.error, OSError) and not failed:  # a full disk may only be noticed here
            yield from self.report(FileError(self.filename, "close", job.error))

    def _let_go(self, helper: _Helper) -> None:
        """However it ended: stopped and failed ones have a file to close, too."""
        helper.calls.put(self._close_quietly)
        # One that was stopped in the middle of writing is given the time to write it: the program
        # may be about to end. One that has waited for it already has not.
        waits = self._under_way and not self._abandoned
        self._release(self._under_way)
        helper.finish(self.grace_seconds if waits else 0)

    def _close_quietly(self) -> None:
        try:
            self.close()
        except OSError as error:
            log.error("%s: cannot close %s: %s", self.name, self.filename, error)  # noqa: TRY400


__kamaelia_components__ = (FileComponent,)
