"""
Write a file
============
A SimpleFileWriter writes what it is sent into a file, in the order in which it comes.

Example Usage
-------------
::

    from pathlib import Path
    from tempfile import TemporaryDirectory

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.File.Writing import SimpleFileWriter
    from Kamaelia.Util.DataSource import DataSource

    with TemporaryDirectory() as folder:
        path = Path(folder, "greeting.txt")
        Pipeline(DataSource([b"hello ", b"world"]), SimpleFileWriter(path)).run()
        print(path.read_text())

It prints::

    hello world

What was taken from the inbox is handed to the operating system before anything else is taken: the
file is complete up to there whatever happens next. (On the disk it is when the system says so;
nothing here waits for that.) The inbox grows while a disk is slow; give it a size to hold up the
sender.

Unlike the original's, it closes the file. A message of the wrong kind, text for a file of bytes or
bytes for one of text, ends it with a FileError, after what came before was written.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from Kamaelia.File.FileComponent import FileComponent, Filename
from Kamaelia.Util.Stopping import arrival

MESSAGES_AT_ONCE = 256

_BINARY = ("wb", "ab", "xb")
_TEXT = ("w", "a", "x", "wt", "at", "xt")


class SimpleFileWriter(FileComponent):
    """SimpleFileWriter(filename, mode="wb") -> writes what it is sent.

    mode: as of open(), for writing: "wb", "ab" and "xb" take bytes; "w", "a" and "x" take str,
    written in the encoding ("utf-8")."""

    Inboxes = {
        "inbox": "bytes | str: to be written, as the mode says",
        "control": "producerFinished (write what arrived) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "object: nothing is sent",
        "signal": "the shutdown that came in, or producerFinished after an error",
        "error": "FileError: what could not be written, and why; then this ends",
    }

    grace_seconds = 2.0  # longer than for reading: what is not written is lost
    encoding = "utf-8"

    def __init__(self, filename: Filename, mode: str = "wb", **attributes: object) -> None:
        super().__init__(filename, **attributes)
        if mode not in _BINARY + _TEXT:
            raise ValueError(f"{mode!r} is no mode for writing: {', '.join(_BINARY + _TEXT)} are")
        self.mode = mode

    def work(self) -> Iterator[object]:
        yield from self.begin()
        while (yield from arrival(self)):
            count = min(self.dataReady("inbox"), MESSAGES_AT_ONCE)
            batch = [self.recv("inbox") for _ in range(count)]
            yield from self.in_thread("write", partial(self.write, batch))
            yield from self.written(batch)

    # ---- for subclasses

    def begin(self) -> Iterator[object]:
        encoding = self.encoding if self.mode in _TEXT else None
        # newline: as it was sent, on every system
        newline = "" if self.mode in _TEXT else None
        yield from self.open_file(self.mode, encoding=encoding, newline=newline)

    def write(self, batch: list[Any]) -> None:
        """Called in the thread."""
        file = self.in_file()
        try:
            for message in batch:
                file.write(self.checked(message))
        finally:
            file.flush()

    def checked(self, message: object) -> object:
        """The message as it is to be written. Raises TypeError."""
        wanted = str if self.mode in _TEXT else bytes | bytearray | memoryview
        if not isinstance(message, wanted):
            kind = "str" if wanted is str else "bytes"
            raise TypeError(f"{self.name} inbox: {kind} is expected, not {message!r:.80}")
        return message

    def written(self, batch: list[Any]) -> Iterator[object]:
        """What is to be done when these are in the file."""
        return iter(())


__kamaelia_components__ = (SimpleFileWriter,)
