"""
Cut a stream of bytes at a rate
===============================
Takes bytes in pieces of any size and sends them in pieces of nearly the same size: as many bytes as
there are in one chunk's time, at so many chunks a second, cut between quanta only. Say, sound of 4
bytes a sample in pieces of a 25th of a second each. It does not wait: what comes in goes out as
soon as there is enough for a chunk.

Example Usage
-------------
10 bytes a second in 4 chunks a second, cut at even places: 2 or 4 bytes each, 10 in all::

    from Axon.Ipc import producerFinished
    from Axon.Testing import drive
    from Kamaelia.Util.RateChunker import RateChunker

    pieces = [b"abc", b"defghi", b"j"]
    print(drive(RateChunker(10, 2, 4), inbox=pieces, control=[producerFinished()])["outbox"])

It prints::

    [b'ab', b'cd', b'ef', b'ghij']

What is left when the producer has finished is sent as it is. Anything that is not bytes raises
TypeError.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from Kamaelia.Util.MessageLoop import MessageLoop


class RateChunker(MessageLoop):
    """RateChunker(datarate, quantasize, chunkrate) -> the same bytes, in chunks of whole quanta.

    datarate: bytes a second; quantasize: bytes; chunkrate: chunks a second. Raises ValueError if a
    chunk would be less than a quantum."""

    Inboxes = {
        "inbox": "bytes: the stream, cut anywhere",
        "control": "producerFinished (send the rest) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "bytes: a chunk",
        "signal": "the shutdown that came in",
    }

    def __init__(
        self, datarate: float, quantasize: int, chunkrate: float, **attributes: object
    ) -> None:
        super().__init__(**attributes)
        if quantasize < 1 or not chunkrate > 0 or not datarate >= quantasize * chunkrate:
            raise ValueError(
                f"{datarate} bytes a second in {chunkrate} chunks: a chunk would be less than a "
                f"quantum of {quantasize} bytes"
            )
        self._quantum = quantasize
        # Quanta, perhaps not a whole number; rounding must not make it less than the one asked for.
        self._per_chunk = max(1.0, datarate / chunkrate / quantasize)
        self._buffer = bytearray()
        self._due = self._per_chunk  # quanta of the next chunk, with what the last ones fell short

    def results(self, message: Any) -> Iterator[object]:  # noqa: ANN401 - checked here
        if not isinstance(message, bytes | bytearray | memoryview):
            raise self.refused(message, "bytes")
        self._buffer += message
        at = 0
        while len(self._buffer) - at >= (size := int(self._due) * self._quantum):
            yield bytes(self._buffer[at : at + size])
            at += size
            self._due += self._per_chunk - int(self._due)
        del self._buffer[:at]

    def last_results(self) -> Iterator[object]:
        if self._buffer:
            yield bytes(self._buffer)


__kamaelia_components__ = (RateChunker,)
