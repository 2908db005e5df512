"""
Read a file, a command's output or standard input, at a given pace
==================================================================
A ReadFileAdaptor sends what it reads in lines, in pieces of a size, or at so many bits a second. It
is the source at the beginning of a pipeline, and a whole protocol for a server.

Example Usage
-------------
::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.File.ReadFileAdaptor import ReadFileAdaptor
    from Kamaelia.Util.Console import ConsoleEchoer

    Pipeline(
        ReadFileAdaptor(command="echo one; echo two", readmode="line", steptime=0.1),
        ConsoleEchoer(use_repr=True, tag="|"),
    ).run()

It prints::

    |b'one\\n'|b'two\\n'

What is read: the file if there is a filename, else the output of the command if there is one (see
UnixProcess), else standard input. How (``readmode``):

* "line": line by line, one every ``steptime`` seconds; the last may lack its end, and one longer
  than ``longest_line`` comes in pieces.
* "bitrate": ``bitrate`` bits a second, in ``chunkrate`` pieces.
* anything else: pieces of ``readsize`` bytes, one every ``steptime`` seconds. What a pipe has not
  got yet is not waited for: then a piece is shorter.

It always sends bytes (the original made text of a command's lines, and of nothing else), so it fits
to sockets and files; put a ``PureTransformer(bytes.decode)`` behind it for text.

A receiver without room is waited for, and what is late is not made up for in a rush. On
producerFinished a file on a disk or a command is still read to its end, for as long as somebody
takes it; anything else (standard input, a named pipe, a device) is read no more, since it may have
no end. A file that cannot be read is an OSError of this component.
"""

from __future__ import annotations

import os
import select
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess, stops_at_once
from Axon.Storage import NOBODY
from Axon.Waiter import EPOLLIN
from Kamaelia.File.ChildProcess import Command
from Kamaelia.File.UnixProcess import UnixProcess

READ_BYTES = 65_536
WAITING_MESSAGES = 2  # read from a command before they are wanted
LATE_SECONDS = 1.0  # that are made up for; a receiver that was full for longer is not flooded


class ReadFileAdaptor(component):
    """ReadFileAdaptor(filename="", command="", readmode="", readsize=1450, steptime=0.0,
    bitrate=65536.0, chunkrate=24, debug=0) -> sends what it reads, then producerFinished."""

    Inboxes = {
        "inbox": "object: not read",
        "control": "producerFinished (read a file or command to its end, if somebody takes it) or"
        " shutdownMicroprocess (stop now)",
        "_data": "bytes: from the command",
        "_ended": "producerFinished: all of the command's output is there",
    }
    Outboxes = {
        "outbox": "bytes: a line or piece of what is read",
        "signal": "the shutdown that came in, or producerFinished at the end",
    }

    woken_by_collection = False  # it asks isFull()

    longest_line = 65_536  # bytes

    def __init__(
        self,
        filename: str | os.PathLike[str] = "",
        command: Command = "",
        readmode: str = "",
        readsize: int = 1450,
        steptime: float = 0.0,
        bitrate: float = 65_536.0,
        chunkrate: float = 24,
        debug: int = 0,
        **attributes: object,
    ) -> None:
        super().__init__(**attributes)
        if readsize < 1 or bitrate <= 0 or chunkrate <= 0 or steptime < 0:
            raise ValueError(
                f"{self.name}: readsize, bitrate and chunkrate must be more than 0, and steptime"
                " not less"
            )
        self.filename = filename
        self.command = command
        self.readmode = readmode
        self.readsize = readsize
        self.interval = steptime
        if readmode == "bitrate":
            self.readsize = max(1, round(bitrate / 8 / chunkrate))
            self.interval = self.readsize * 8 / bitrate
        self.debug = debug
        self._buffer = bytearray()
        self._at_end = False

    def main(self) -> Iterator[object]:
        source = self.source()
        source.open(self)
        try:
            yield from self._send_all(source)
        finally:
            source.close()

    def source(self) -> Source:
        """What to read from. For subclasses that read something else."""
        if self.filename:
            return FileSource(self.filename)
        if self.command:
            return CommandSource(self.command)
        return StandardInput()

    def _send_all(self, source: Source) -> Iterator[object]:
        due = self.now()
        outbox = self.outboxes["outbox"]
        had_reader = False
        while True:
            stop = self.told_to_stop()
            if stop is not None:
                if stops_at_once(stop) or (had_reader and outbox.sink.owner is NOBODY):
                    return
                self._at_end = self._at_end or source.endless
            late = self.now() - due
            if late < 0:
                self.pause(-late)
            elif outbox.isFull():
                self.pause()
            elif data := self._next(source):
                had_reader = had_reader or outbox.sink.owner is not NOBODY
                self.send(data, "outbox")
                due = max(due, self.now() - LATE_SECONDS) + self.interval
            elif self._at_end:
                return
            else:
                self.pause()  # the source wakes us
            yield 1

    def _next(self, source: Source) -> bytes:
        """The next line or piece; nothing if there is none yet, or none any more."""
        while not (size := self._complete()) and not self._at_end:
            data = source.read()
            if data is None:
                break
            self._buffer += data
            self._at_end = not data
        if not size and (self._at_end or self.readmode != "line"):
            size = len(self._buffer)  # the last of all, or what there is so far
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _complete(self) -> int:
        """Length of the line or piece at the beginning of what was read; 0: not all is there."""
        if self.readmode == "line":
            size = self._buffer.find(b"\n", 0, self.longest_line) + 1
            return size or (self.longest_line if len(self._buffer) >= self.longest_line else 0)
        return self.readsize if len(self._buffer) >= self.readsize else 0


class Source:
    """What a ReadFileAdaptor reads from."""

    endless = False  # True: it may go on for ever, so a producerFinished ends it

    def open(self, adaptor: ReadFileAdaptor) -> None:
        """Begin. Raises OSError."""

    def read(self) -> bytes | None:
        """What comes next; b"" at the end; None: nothing yet, the adaptor will be woken."""
        raise NotImplementedError

    def close(self) -> None:
        """Give everything back."""


class FileSource(Source):
    """FileSource(filename) -> a file on a disk, or anything else that has a name there."""

    def __init__(self, filename: str | os.PathLike[str]) -> None:
        self._filename = filename
        self._fd = -1

    def open(self, adaptor: ReadFileAdaptor) -> None:
        self._adaptor = adaptor
        self._fd = self._opened()
        self.endless = not stat.S_ISREG(os.fstat(self._fd).st_mode)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)

    def _opened(self) -> int:
        # Not blocking: to open a named pipe would wait for its writer.
        return os.open(self._filename, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)

    def read(self) -> bytes | None:
        # Asked right before, and not when it was reported: another reader of the same pipe may have
        # been faster. Files on disks, /dev/null and the like are always ready.
        if self._poll.poll(0):
            with suppress(BlockingIOError):  # another process was faster still
                return os.read(self._fd, READ_BYTES)
        with suppress(FileExistsError):  # we wait already, and were woken by something else
            self._adaptor.scheduler.register(self._fd, EPOLLIN, self._report)
        return None

    def _report(self, events: int) -> None:
        self._adaptor.scheduler.unregister(self._fd)
        self._adaptor.unpause()

    def close(self) -> None:
        self._adaptor.scheduler.unregister(self._fd)
        os.close(self._fd)


class StandardInput(FileSource):
    """StandardInput() -> reads that of this program, and leaves it open."""

    def __init__(self) -> None:
        super().__init__("standard input")

    def _opened(self) -> int:
        return os.dup(sys.stdin.fileno())  # our own, since another reader may wait there too


class CommandSource(Source):
    """CommandSource(command) -> the output of a program, whose input is empty."""

    def __init__(self, command: Command) -> None:
        self._process = UnixProcess(command)

    def open(self, adaptor: ReadFileAdaptor) -> None:
        self._adaptor = adaptor
        process = self._process
        adaptor.link((process, "outbox"), (adaptor, "_data"), pipewidth=WAITING_MESSAGES)
        adaptor.link((process, "signal"), (adaptor, "_ended"))
        adaptor.addChildren(process)
        process.inboxes["control"].deliver(producerFinished(adaptor))
        process.activate(Scheduler=adaptor.scheduler)

    def read(self) -> bytes | None:
        for data in self._adaptor.Inbox("_data"):
            return bytes(data)
        return b"" if self._adaptor.dataReady("_ended") else None

    def close(self) -> None:
        self._process.inboxes["control"].deliver(shutdownMicroprocess())


__kamaelia_components__ = (ReadFileAdaptor,)
