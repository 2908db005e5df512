"""
The pipes of a child process
============================
Three small things that a UnixProcess is made of: the pipe to a program's standard input, one of
those from it, and what is logged of what it complains about.

Example Usage
-------------
What a program writes is a stranger's, so it is cut and escaped before it is logged::

    import logging
    import sys

    from Kamaelia.File.ProcessPipes import ErrorLog

    logging.basicConfig(stream=sys.stdout, format="%(message)s")
    complaints = ErrorLog("sort", lines=2)
    complaints.feed(b"no such \\x1b[31mfile\\nanother\\na third\\n")

It prints::

    sort: no such \\x1b[31mfile
    sort: another
    sort: what else it complains about is not logged

Rules of the pipes:

* A pipe is registered with the scheduler only while there is something to do with it: what is
  registered and not served would be reported again and again.
* Nothing is read that cannot be delivered, but for the one piece that found the receiver full.
* ``close()`` may be called any number of times.
"""

from __future__ import annotations

import logging
import os
import struct
from collections.abc import Callable
from fcntl import ioctl
from termios import FIONREAD
from typing import IO, TYPE_CHECKING

from Axon.AxonExceptions import noSpaceInBox
from Axon.Box import Inbox
from Axon.Storage import NOBODY
from Axon.Waiter import EPOLLIN, EPOLLOUT

if TYPE_CHECKING:
    from Kamaelia.File.UnixProcess import UnixProcess

log = logging.getLogger("Kamaelia.File.UnixProcess")  # what people look for

WRITES_A_TURN = 16
LONGEST_LINE = 400  # bytes of a line that is logged


class InputPipe:
    """InputPipe(owner, file, ready) -> writes what comes to the owner's "inbox"; ready(events) is
    called when the program has taken some."""

    def __init__(self, owner: UnixProcess, file: IO[bytes], ready: Callable[[int], None]) -> None:
        self._owner = owner
        self._file = file
        self._ready = ready
        self._rest: memoryview | None = None  # of the message that the pipe had no room for
        self._watched = False

    def feed(self, *, finished: bool) -> bool:
        """Write what there is room for, and after all of it close the pipe if no more will come;
        True if there is more to write at once."""
        for _ in range(WRITES_A_TURN):  # the others want a turn as well
            rest = self._rest or self._next_message()
            if rest is None:
                if finished:
                    self.close()
                return False
            if self._watched or not self._write(rest):
                return False
        return True

    def _next_message(self) -> memoryview | None:
        owner = self._owner
        while owner.dataReady("inbox"):
            data = owner.recv("inbox")
            if not isinstance(data, bytes | bytearray | memoryview):
                raise TypeError(
                    f"{owner.name}: a program takes bytes at 'inbox', not {type(data).__name__}:"
                    f" {data!r:.80}"
                )
            if not self._file.closed and data:
                # A copy of what its sender may yet change.
                return memoryview(data if isinstance(data, bytes) else bytes(data))
        return None

    def _write(self, data: memoryview) -> bool:
        """Write once; False if the program has to take something first."""
        try:
            written = os.write(self._file.fileno(), data)
        except BlockingIOError:
            self._rest = data
            self._owner.scheduler.register(self._file.fileno(), EPOLLOUT, self._ready)
            self._watched = True
            return False
        except BrokenPipeError:
            self.close()  # it has closed its input, and may yet go on: `head -1`
            return True
        self._rest = data[written:] if written < len(data) else None
        return True

    def unwatch(self) -> None:
        if self._watched:
            self._watched = False
            self._owner.scheduler.unregister(self._file.fileno())

    def close(self) -> None:
        """The program finds the end of its input; whatever still comes is discarded."""
        self.unwatch()
        self._rest = None
        self._file.close()


class OutputPipe:
    """OutputPipe(owner, file, ready, box, unlinked=None) -> sends what the program writes out of
    the owner's box; to unlinked(data) while that leads nowhere. ready(events): calls read()."""

    def __init__(
        self,
        owner: UnixProcess,
        file: IO[bytes],
        ready: Callable[[int], None],
        box: str,
        unlinked: Callable[[bytes], None] | None = None,
    ) -> None:
        self._owner = owner
        self._file = file
        self._ready = ready
        self._outbox = owner.outboxes[box]
        self._unlinked = unlinked
        self._held: bytes | None = None  # read, but the receiver was full
        self._had_reader = False
        self._finishing = False
        self._dropping = False
        self._owed: int | None = None  # bytes still to be read; None: to the end
        self._watched = False

    @property
    def done(self) -> bool:
        """All that will ever be delivered has been."""
        return self._file.closed and self._held is None

    def _watch(self) -> None:
        if not self._watched and not self._file.closed:
            self._watched = True
            self._owner.scheduler.register(self._file.fileno(), EPOLLIN, self._ready)

    def _unwatch(self) -> None:
        if self._watched:
            self._watched = False
            self._owner.scheduler.unregister(self._file.fileno())

    def read(self) -> None:
        """Read once; called when there is something to read."""
        size = self._owner.buffersize
        try:
            data = os.read(
                self._file.fileno(), size if self._owed is None else min(size, self._owed)
            )
        except BlockingIOError:
            return
        if self._owed is not None:
            self._owed -= len(data)
        if not data or self._owed == 0:
            self._close_file()
        if data and not self._dropping:
            self._hand_on(data)

    def _hand_on(self, data: bytes) -> None:
        if self._unlinked is not None and not isinstance(self._outbox.final(), Inbox):
            self._unlinked(data)
            return
        if self._outbox.sink.owner is not NOBODY:
            self._had_reader = True
        elif self._had_reader and self._finishing:
            self.close()
            return
        try:
            self._owner.send(data, self._outbox.name)
        except noSpaceInBox:  # the send has arranged that its owner is woken when there is room
            self._held = data
            self._unwatch()
        else:
            if self._far_ahead():
                self._unwatch()

    def _far_ahead(self) -> bool:
        """True if much waits at the receiver; then the owner is woken when some of it is taken."""
        sink = self._outbox.sink
        if len(sink.q) < self._owner.read_ahead:
            return False
        sink.wake_on_collection(self._owner)
        return True

    def resume(self) -> None:
        """In each turn of the owner: deliver what is held, and read on if the receiver keeps up."""
        if self._held is not None:
            held, self._held = self._held, None
            self._hand_on(held)
        if self._held is None and not self._watched and not self._far_ahead():
            self._watch()

    def finish(self) -> None:
        """From now on close it as soon as a reader that there was is gone, as a shell's pipeline
        does. Before, another one may still be linked."""
        self._finishing = True

    def drop(self) -> None:
        """From now on read to the end, and deliver nothing."""
        self._dropping = True
        self._held = None
        self._watch()

    def end_soon(self) -> None:
        """Deliver what is in the pipe now, and take it for the end."""
        if self._file.closed:
            return
        self._owed = int(struct.unpack("i", ioctl(self._file, FIONREAD, b"\0\0\0\0"))[0])
        if not self._owed:
            self._close_file()

    def _close_file(self) -> None:
        self._unwatch()
        self._file.close()
        self._owner.unpause()

    def close(self) -> None:
        """Read no more: the program finds that nobody does. What was held is dropped."""
        self._held = None
        self._close_file()


class ErrorLog:
    """ErrorLog(name, lines) -> logs what a program complains about: so many lines, each cut and
    escaped, since they are a stranger's."""

    def __init__(self, name: str, lines: int) -> None:
        self._name = name
        self._lines_left = lines
        self._line = b""

    def feed(self, data: bytes) -> None:
        if self._lines_left < 0:
            return
        *lines, last = (self._line + data).split(b"\n")
        self._line = last[:LONGEST_LINE]
        for line in lines:
            self._show(line)

    def flush(self) -> None:
        if self._line:
            self._show(self._line)
            self._line = b""

    def _show(self, line: bytes) -> None:
        self._lines_left -= 1
        if self._lines_left == -1:
            log.warning("%s: what else it complains about is not logged", self._name)
        if self._lines_left < 0:
            return
        text = line[:LONGEST_LINE].decode("utf-8", "backslashreplace")
        log.warning("%s: %s", self._name, text if text.isprintable() else ascii(text)[1:-1])
