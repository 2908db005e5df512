"""
Append to a file
================
Writes text or bytes to the end of a file, and hands each message on: a log in the middle of a
pipeline.

Example Usage
-------------
::

    from pathlib import Path
    from tempfile import TemporaryDirectory

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.File.Append import Append
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource

    with TemporaryDirectory() as folder:
        path = Path(folder, "log.txt")
        for text in ("first\\n", "second\\n"):
            Pipeline(DataSource([text]), Append(filename=path), ConsoleEchoer()).run()
        print(path.read_text(), end="")

It prints::

    first
    second
    first
    second

A message is handed on when it has been written. Text is written as UTF-8. Any message at "control"
ends it, after what came in before, and is handed on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from Kamaelia.File.FileComponent import Filename
from Kamaelia.File.Writing import SimpleFileWriter
from Kamaelia.Util.Stopping import EndsOnAnyControl, offer


class Append(EndsOnAnyControl, SimpleFileWriter):
    """Append(filename, forwarder=True, blat_file=False, hold_open=True) -> appends, and hands on.

    forwarder: hand messages on. blat_file: begin with an empty file. hold_open: keep it open
    meanwhile; without, it may be moved away at any time, and a new one is made. Raises ValueError
    without a filename."""

    Inboxes = {
        "inbox": "str | bytes: to be appended",
        "control": "the shutdown: any message here ends it, after what came in before",
    }
    Outboxes = {
        "outbox": "str | bytes: what was appended, if it is a forwarder",
        "signal": "the shutdown that came in, or producerFinished after an error",
        "error": "FileError: what could not be written, and why; then this ends",
    }

    forwarder = True
    blat_file = False
    hold_open = True

    def __init__(self, filename: Filename | None = None, **attributes: object) -> None:
        filename = filename if filename is not None else getattr(type(self), "filename", None)
        if not filename:
            raise ValueError("Append needs a filename")
        super().__init__(filename, "ab", **attributes)
        self.mode = "wb" if self.blat_file else "ab"

    def begin(self) -> Iterator[object]:
        yield from super().begin()  # also if it is not held open: an error is told at once
        self.mode = "ab"
        if not self.hold_open:
            yield from self.in_thread("close", self.close)

    def write(self, batch: list[Any]) -> None:
        if self.hold_open:
            super().write(batch)
            return
        self.open("ab")
        try:
            super().write(batch)
        finally:
            self.close()

    def checked(self, message: object) -> object:
        return super().checked(message.encode() if isinstance(message, str) else message)

    def written(self, batch: list[Any]) -> Iterator[object]:
        for message in batch if self.forwarder else ():
            if not (yield from offer(self, message)):
                return


__kamaelia_components__ = (Append,)
