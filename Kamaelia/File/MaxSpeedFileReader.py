"""
Read as fast as possible
========================
Sends a file in chunks, each as soon as there is room for it. With a size for the receiver's inbox
that is as fast as the receiver works, and never more than a few chunks are in memory; without one
the whole file is read into memory.

Example Usage
-------------
A receiver with room for two chunks holds the reader up::

    from pathlib import Path
    from tempfile import TemporaryDirectory

    from Axon.Testing import harness
    from Kamaelia.File.MaxSpeedFileReader import MaxSpeedFileReader

    with TemporaryDirectory() as folder:
        path = Path(folder, "numbers")
        path.write_bytes(b"1234567890")
        with harness(MaxSpeedFileReader(path, chunksize=4)) as h:
            h.limit(2)
            h.run_for(60)
            print(h.take("outbox"))
            h.run_for(60)
            print(h.take("outbox"))
            h.expect_end()

It prints::

    [b'1234', b'5678']
    [b'90']
"""

from __future__ import annotations

from collections.abc import Iterator

from Kamaelia.File.FileComponent import FileComponent, Filename
from Kamaelia.Util.Stopping import offer

MOST_BYTES = 16 * 1024 * 1024


class MaxSpeedFileReader(FileComponent):
    """MaxSpeedFileReader(filename, chunksize=32768) -> sends a file, in chunks of that many bytes.

    Raises ValueError for a chunksize of less than 1 or more than 16 MiB."""

    Inboxes = {
        "inbox": "object: not read",
        "control": "the shutdown: either ends it, wherever in the file it is",
    }
    Outboxes = {
        "outbox": "bytes: a chunk, the last one perhaps a smaller one",
        "signal": "the shutdown that came in, or producerFinished at the file's end",
        "error": "FileError: why it cannot be read; then this ends",
    }

    def __init__(self, filename: Filename, chunksize: int = 32_768, **attributes: object) -> None:
        super().__init__(filename, **attributes)
        if not 1 <= chunksize <= MOST_BYTES:
            raise ValueError(f"a chunksize is from 1 to {MOST_BYTES}, not {chunksize!r}")
        self.chunksize = chunksize

    def work(self) -> Iterator[object]:
        yield from self.open_file("rb")
        while data := (yield from self.in_thread("read", self._chunk)):
            if self.told_to_stop() or not (yield from offer(self, data, patient=False)):
                return

    def _chunk(self) -> bytes:
        data: bytes = self.in_file().read(self.chunksize)
        return data


__kamaelia_components__ = (MaxSpeedFileReader,)
