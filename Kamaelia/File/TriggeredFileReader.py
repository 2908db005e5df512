"""
Read whole files
================
For each filename it sends the content of that file, in one message. For large files see
Kamaelia.File.Reading, which sends them in pieces.

Example Usage
-------------
::

    from pathlib import Path
    from tempfile import TemporaryDirectory

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.File.TriggeredFileReader import TriggeredFileReader
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource

    with TemporaryDirectory() as folder:
        path = Path(folder, "greeting.txt")
        path.write_bytes(b"hello")
        Pipeline(DataSource([path, path]), TriggeredFileReader(), ConsoleEchoer()).run()

It prints::

    b'hello'b'hello'

A file that cannot be read, or is larger than ``most_bytes``, is told at "error", and the next one
has its turn. Who sends the names decides what is read: do not let a stranger choose them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from Kamaelia.File.FileService import FileService


class TriggeredFileReader(FileService):
    """TriggeredFileReader(most_bytes=67108864) -> sends the content of the files it is told."""

    Inboxes = {
        "inbox": "str | Path: a filename",
        "control": "producerFinished (read what arrived) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "bytes: the content of the file",
        "signal": "the shutdown that came in",
        "error": "FileError: which file could not be read, and why; it goes on with the next",
    }

    most_bytes = 64 * 1024 * 1024
    operation = "read"

    def serve(self, message: Any) -> object:  # noqa: ANN401 - checked here
        if not isinstance(message, str | Path):
            raise TypeError(f"{self.name} inbox: a filename is expected, not {message!r:.80}")
        with Path(message).open("rb") as file:
            data = file.read(self.most_bytes + 1)
        if len(data) > self.most_bytes:
            raise ValueError(f"it is larger than {self.most_bytes} bytes")
        return data


__kamaelia_components__ = (TriggeredFileReader,)
