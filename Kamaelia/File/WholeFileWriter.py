"""
Write whole files
=================
For each (filename, data) it writes a file with that content, and sends the filename when it is
there.

Example Usage
-------------
::

    from pathlib import Path
    from tempfile import TemporaryDirectory

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.File.TriggeredFileReader import TriggeredFileReader
    from Kamaelia.File.WholeFileWriter import WholeFileWriter
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource

    with TemporaryDirectory() as folder:
        files = DataSource([[Path(folder, "a"), b"one"], [Path(folder, "b"), b"two"]])
        Pipeline(files, WholeFileWriter(), TriggeredFileReader(), ConsoleEchoer()).run()

It prints::

    b'one'b'two'

A file that cannot be written is told at "error", and the next one has its turn. Who sends the names
decides where files are written: do not let a stranger choose them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from Kamaelia.File.FileService import FileService


class WholeFileWriter(FileService):
    """WholeFileWriter() -> writes data into filename, for each [filename, data]."""

    Inboxes = {
        "inbox": "[str | Path, bytes]: a filename, and what is to be in that file",
        "control": "producerFinished (write what arrived) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "str | Path: the filename, as it came, when the file is written",
        "signal": "the shutdown that came in",
        "error": "FileError: which file could not be written, and why; it goes on with the next",
    }

    grace_seconds = 2.0  # what is not written is lost
    operation = "write"

    def serve(self, message: Any) -> object:  # noqa: ANN401 - checked here
        match message:
            case [str() | Path() as filename, bytes() | bytearray() | memoryview() as data]:
                Path(filename).write_bytes(data)
                return filename
        raise TypeError(f"{self.name} inbox: [filename, bytes] is expected, not {message!r:.80}")

    def name_of(self, message: object) -> str:
        match message:
            case [filename, *_]:
                return str(filename)
        return "a file"


__kamaelia_components__ = (WholeFileWriter,)
