"""
Starting and ending another program
===================================
The part of a UnixProcess that knows of processes and nothing of components: starts a program with a
pipe at each of its three standard files, tells how it ended, ends it and all that it has started.

Example Usage
-------------
::

    import select

    from Kamaelia.File.ChildProcess import ChildProcess

    child = ChildProcess(["sh", "-c", "exit 3"])
    select.select([child.pidfd], [], [])  # or, in a component, scheduler.register(child.pidfd, ...)
    print(child.status())
    child.end()

It prints::

    ended with exit status 3

How it works:

* Its end makes ``pidfd`` readable, so nobody has to look again and again.
* It leads a process group of its own, so a signal reaches what a shell has started as well. Until
  ``end()`` it is not reaped, though its status is known: so the number of the group cannot be that
  of somebody else by the time a signal is sent to it.
* ``end()`` is also called when nobody refers to it any more, and when this program exits, however
  its components fared: no child is left behind.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import subprocess
import weakref
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, cast

log = logging.getLogger(__name__)

Command = str | Sequence[str | bytes | os.PathLike[str]]

REAP_MILLISECONDS = 1000  # for a process to go after SIGKILL, which it does as soon as it can


@dataclass(frozen=True, slots=True)
class ProcessEnded:
    """How a process ended: by itself with a returncode, or by a signal (both None: nobody knows,
    since something else in this program has waited for it)."""

    returncode: int | None
    signal: int | None = None

    def __str__(self) -> str:
        if self.signal is not None:
            return f"ended by {_signal_name(self.signal)}"
        return f"ended with exit status {self.returncode if self.returncode is not None else '?'}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # the real-time ones have numbers only
        return f"signal {number}"


def checked(command: object) -> Command:
    """The command, if it is one. Raises TypeError or ValueError."""
    if isinstance(command, str):
        parts: Sequence[object] = (command,)
    elif isinstance(command, list | tuple):
        parts = command = tuple(command)
    else:
        raise TypeError(
            "a command is a str, for the shell, or a list of program and arguments, not "
            f"{type(command).__name__}"
        )
    for part in parts:
        if not isinstance(part, str | bytes | os.PathLike):
            raise TypeError(f"a command is made of str, bytes and paths, not {part!r}")
    if not parts or not parts[0]:
        raise ValueError("an empty command")
    return command


class ChildProcess:
    """ChildProcess(command) -> a program that runs; command: a str for the shell, or a list.

    ``stdin``, ``stdout``, ``stderr``: our ends of its pipes, not blocking; may be closed before
    end(). Raises OSError if it cannot be started, ValueError if there is a NUL in the command."""

    def __init__(self, command: Command) -> None:
        arguments = ["/bin/sh", "-c", command] if isinstance(command, str) else list(command)
        # SIGPIPE is restored, and no other file of ours is open in it: both are Popen's defaults.
        popen = subprocess.Popen(  # noqa: S603 - to run what it is given is what it is for
            arguments,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
        )
        self.stdin, self.stdout, self.stderr = files = _pipes(popen)
        self.pid = popen.pid
        self.pidfd = -1
        try:
            for pipe in files:
                os.set_blocking(pipe.fileno(), False)
            self.pidfd = os.pidfd_open(popen.pid)
        finally:
            # Also at the exit of the interpreter, for a run that an exception has ended.
            self.end = weakref.finalize(self, _end, popen, self.pidfd, os.getpid())
            if self.pidfd < 0:
                self.end()

    def status(self) -> ProcessEnded | None:
        """How it ended; None while it runs."""
        try:
            found = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return ProcessEnded(None)
        if found is None:
            return None
        if found.si_code == os.CLD_EXITED:
            return ProcessEnded(found.si_status)
        return ProcessEnded(None, found.si_status)

    def kill(self, number: int) -> None:
        """Send a signal to it and to all that it has started, unless end() was called."""
        if self.end.alive:
            _kill(self.pid, number)


def _pipes(popen: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
    # It was made with all three.
    return cast("tuple[IO[bytes], IO[bytes], IO[bytes]]", (popen.stdin, popen.stdout, popen.stderr))


def _kill(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        pass  # waited for by something else, and everybody of the group has gone
    except PermissionError as error:
        log.warning("process group %d cannot be sent %s: %s", group, _signal_name(number), error)


def _end(popen: subprocess.Popen[bytes], pidfd: int, parent: int) -> None:
    """Kill what is left of it, unless it has ended; reap it; give our files back."""
    if os.getpid() == parent:  # in a copy of us, made by fork(), it is somebody else's child
        with suppress(ChildProcessError):
            if os.waitid(os.P_PID, popen.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                _kill(popen.pid, signal.SIGKILL)
        if pidfd >= 0:
            gone = select.poll()
            gone.register(pidfd, select.POLLIN)
            gone.poll(REAP_MILLISECONDS)
        else:
            popen.wait()
        if popen.poll() is None:
            log.warning("process %d does not go, though it was killed", popen.pid)
    for pipe in _pipes(popen):
        pipe.close()
    if pidfd >= 0:
        os.close(pidfd)
