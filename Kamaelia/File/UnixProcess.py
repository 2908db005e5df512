"""
Another program as a component
==============================
What comes to "inbox" is the program's standard input; what it writes comes out of "outbox" and
"error". So programs and components are members of the same pipeline.

Example Usage
-------------
::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.File.UnixProcess import UnixProcess
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource

    Pipeline(DataSource([b"pear\\n", b"fig\\n"]), UnixProcess("sort"), ConsoleEchoer()).run()

It prints::

    b'fig\\npear\\n'

The command is a str for the shell (never put a stranger's words into one), or a list of program and
arguments. One that cannot be started says so at "error", with the status 127 or 126 of a shell.

* The program ends: all that it wrote is delivered, then its ProcessEnded (File.ChildProcess) goes
  out of "status", and a producerFinished with it as its message out of "signal". What it left in
  the background may hold the output open, and is listened to for ``linger`` more seconds.
* producerFinished closes the program's input once all that waits was written; then as above. If by
  then its output has lost its reader it is closed too, as in a shell's pipeline.
* shutdownMicroprocess: the program and all that it has started get SIGTERM; and SIGKILL when
  ``kill_after`` seconds are over, or the program is and nobody holds its output open. What they
  write is dropped. On ``stop()``, so also on ctrl-C, they get SIGKILL at once.

Input that the program does not take stays in "inbox": give that a size, and senders wait. While a
receiver is full, or ``read_ahead`` messages wait there, output is not read, and the program waits.

Other than in the original nothing polls, and nothing is lost. The scheduler itself watches pipes
and process, so the boxes for the selector are unused.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from signal import SIGKILL, SIGTERM

from Axon.Box import Inbox
from Axon.Component import component
from Axon.Ipc import producerFinished, stops_at_once
from Axon.Timers import Timer
from Axon.Waiter import EPOLLIN
from Kamaelia.File.ChildProcess import ChildProcess, Command, ProcessEnded, checked
from Kamaelia.File.ProcessPipes import ErrorLog, InputPipe, OutputPipe


class UnixProcess(component):
    """UnixProcess(command) -> runs it; command: a str for the shell, or a list without one."""

    Inboxes = {
        "inbox": "bytes: for the program's standard input",
        "control": "producerFinished (close its input, wait for its end) or shutdownMicroprocess"
        " (end it)",
        "stdinready": "object: unused; the scheduler's own wait reports the pipe",
        "stdoutready": "object: unused; see stdinready",
        "stderrready": "object: unused; see stdinready",
    }
    Outboxes = {
        "outbox": "bytes: what the program writes to its standard output, sliced anywhere",
        "error": "bytes: what it writes to its standard error; to the log if this is not linked",
        "status": "ProcessEnded: how it ended, once, after all its output",
        "signal": "the shutdown that came in, or producerFinished whose message is the status",
        "selector": "object: unused",
        "selectorsignal": "object: unused",
    }

    woken_by_collection = False  # it asks how much waits at the receiver

    kill_after = 5.0  # seconds between SIGTERM and SIGKILL
    linger = 2.0  # seconds after its end in which others may still write to its output
    buffersize = 65_536  # bytes read at a time
    read_ahead = 64  # messages that may wait at a receiver before output is no longer read
    logged_lines = 100  # of its standard error, if "error" is not linked

    def __init__(self, command: Command, **attributes: object) -> None:
        super().__init__(**attributes)
        self.command = checked(command)
        self._child: ChildProcess  # from the first turn on
        self._status: ProcessEnded | None = None
        self._terminated = False
        self._timer: Timer | None = None

    @property
    def pid(self) -> int | None:
        """Of the program; None while there is none."""
        child: ChildProcess | None = getattr(self, "_child", None)
        return child.pid if child is not None else None

    # ---- life

    def main(self) -> Iterator[object]:
        self._log = ErrorLog(self.name, self.logged_lines)
        try:
            self._child = ChildProcess(self.command)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            yield from self._could_not_start(error)
        else:
            self._make_pipes()
            try:
                yield from self._accompany()
            finally:
                self._release()
        if self._status is not None:
            yield from self._put_unless_shut(self._status, "status")
        # By itself, and not left to Axon, which knows no status to put in.
        told = self.told_to_stop()
        yield from self._put_unless_shut(told or producerFinished(self, self._status), "signal")

    def _make_pipes(self) -> None:
        child = self._child
        self._input = InputPipe(self, child.stdin, self._input_ready)
        self._output = OutputPipe(self, child.stdout, self._output_ready, "outbox")
        self._error = OutputPipe(self, child.stderr, self._error_ready, "error", self._log.feed)

    def _accompany(self) -> Iterator[object]:
        """Until the program has ended and all that it wrote is delivered."""
        self.scheduler.register(self._child.pidfd, EPOLLIN, self._ended)
        while not (self._status is not None and self._output.done and self._error.done):
            stop = self.told_to_stop()
            if stop is not None and stops_at_once(stop) and not self._terminated:
                self._terminate()
            busy = self._input.feed(finished=stop is not None)
            if stop is not None:
                self._output.finish()
            self._output.resume()
            self._error.resume()
            if not busy:
                self.pause()
            yield 1

    def _could_not_start(self, error: Exception) -> Iterator[object]:
        self._status = ProcessEnded(126 if isinstance(error, PermissionError) else 127)
        text = f"cannot start {self.command!r}: {error}\n".encode(errors="replace")
        if isinstance(self.outboxes["error"].final(), Inbox):
            yield from self._put_unless_shut(text, "error")
        else:
            self._log.feed(text)

    def _put_unless_shut(self, message: object, box: str) -> Iterator[object]:
        while self.outboxes[box].isFull():
            stop = self.told_to_stop()
            if stop is not None and stops_at_once(stop):
                return
            self.pause()
            yield 1
        self.send(message, box)

    # ---- what the scheduler reports: it calls methods of this component, so that one which fails
    # is this component's failure

    def _input_ready(self, events: int) -> None:
        self._input.unwatch()
        self.unpause()

    def _output_ready(self, events: int) -> None:
        self._output.read()

    def _error_ready(self, events: int) -> None:
        self._error.read()

    def _ended(self, events: int) -> None:
        """The program has ended. Whoever else has its output open may go on for a moment."""
        self.scheduler.unregister(self._child.pidfd)
        self._status = self._child.status()
        self._input.close()
        if not self._terminated:
            self._timer = self.scheduler.call_later(self.linger, self._listen_no_more)
        self.unpause()

    def _listen_no_more(self) -> None:
        self._output.end_soon()
        self._error.end_soon()
        self.unpause()

    # ---- the end

    def _terminate(self) -> None:
        """Ask the program, and all that it has started, to end; not for long. What they write is
        read and dropped, since it is the end of that which tells when all of them have gone."""
        self._terminated = True
        self._input.close()
        self._output.drop()
        self._error.drop()
        self._child.kill(SIGTERM)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.scheduler.call_later(self.kill_after, self._kill)

    def _kill(self) -> None:
        self._child.kill(SIGKILL)
        self._output.close()
        self._error.close()
        self.unpause()

    def _release(self) -> None:
        """However this component ends, nothing of the program is left, and no file is open."""
        if self._timer is not None:
            self._timer.cancel()
        self.scheduler.unregister(self._child.pidfd)
        over = self._status is not None and self._output.done and self._error.done
        if self._terminated or not over:
            self._child.kill(SIGKILL)
        for pipe in (self._input, self._output, self._error):
            pipe.close()
        self._log.flush()
        self._child.end()


__kamaelia_components__ = (UnixProcess,)
