"""
Becoming a daemon
=================
The process splits: one half goes on behind the terminal, the other waits for what becomes of it and
gives that to whoever started the program. So a script that starts it learns, by the exit code, that
mail is being taken, or why not: until then what goes wrong is said on its standard error.

Example Usage
-------------
::

    detached = detach()          # here the program becomes two
    if detached.is_parent:
        return detached.wait()   # 0 once the other one is ready, or its exit code
    ...
    detached.ready()             # standard error is closed, the parent ends

Rules
-----
* Two forks and a session of its own in between: no terminal can become its, or send it signals.
* It stands in ``/``, so that no file system is kept from being unmounted: paths are to be absolute.
* Nothing it writes is writable for others, whatever the umask was.
* It must happen before there are threads, locks or sockets that are shared.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

_READY = os.EX_OK


class Detached:
    """Which half this is, and the pipe between the two."""

    __slots__ = ("_fd", "is_parent", "is_silent")

    def __init__(self, fd: int, *, is_parent: bool) -> None:
        self._fd = fd
        self.is_parent = is_parent
        self.is_silent = False  # whether nobody is on standard error any more

    # ---- in the parent

    def wait(self) -> int:
        """What became of the other half: 0 once it takes mail, or the code with which it ended."""
        with open(self._fd, "rb", buffering=0) as pipe:  # noqa: PTH123 - a descriptor
            said = pipe.read(1)
        if said:
            return said[0]
        sys.stderr.write("kamaelia-grey: the program ended before it took mail\n")
        return os.EX_SOFTWARE

    # ---- in the daemon

    def ready(self) -> None:
        """Mail is taken: from now on there is nobody on standard error."""
        self._silence()
        self.ended(_READY)

    def leave(self) -> None:
        """In a child of the daemon, which takes mail: the word to the parent is not its."""
        self._silence()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _silence(self) -> None:
        self.is_silent = True
        _flush()
        fd = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(fd, number)
        if fd not in (0, 1, 2):
            os.close(fd)

    def ended(self, code: int) -> None:
        """It did not come to that: the code with which the program ends. Nothing after ready()."""
        if self._fd < 0:
            return
        with suppress(OSError):  # who waited is gone
            os.write(self._fd, bytes([code & 0xFF]))
        os.close(self._fd)
        self._fd = -1


def detach() -> Detached:
    """Split. Raises OSError if there can be no second process."""
    reading, writing = os.pipe()  # closed in programs that are started, as all of Python's
    _flush()
    if os.fork():
        os.close(writing)
        with suppress(ChildProcessError):
            os.wait()
        return Detached(reading, is_parent=True)
    os.close(reading)
    os.setsid()
    try:
        child = os.fork()
    except OSError:
        os._exit(os.EX_OSERR)
    if child:
        os._exit(os.EX_OK)
    os.chdir("/")
    os.umask(os.umask(0o022) | 0o022)
    return Detached(writing, is_parent=False)


def _flush() -> None:
    """Else what waits to be written would be written by both."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
