"""
Frames and chunks
=================
For a line that loses some of what is sent, such as multicast, and for a receiver that joins late. A
frame is data with a number, the tag, and its length in front; a chunk is a frame, or other data,
after a text that occurs nowhere else. Kamaelia.Support.Protocol.Framing says how both are written.

Example Usage
-------------
Of a stream, the first part is missed::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Protocol.Framing import DataChunker, DataDeChunker, DeFramer, Framer
    from Kamaelia.Util.Chunkifier import Chunkifier
    from Kamaelia.Util.Collate import Collate
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource
    from Kamaelia.Util.PureTransformer import PureTransformer

    slices = iter(range(100))
    Pipeline(
        DataSource([(1, b"to be"), (2, b"or not"), (3, b"to be")]),
        Framer(),
        DataChunker(),
        Chunkifier(7),
        PureTransformer(lambda data: data if next(slices) > 0 else None),
        DataDeChunker(),
        DeFramer(),
        Collate(),
        ConsoleEchoer(),
    ).run()

It prints::

    [(2, b'or not'), (3, b'to be')]

All four take str or bytes, and send the kind that they get; after the first slice of a stream the
other kind is a TypeError. Frames have no marks of their own: a DeFramer takes one a message, so on
a stream, which is cut anywhere, put them into chunks.

What is damaged is left out, with a line in the log. The end of a chunk is the beginning of the next
one, so a DataDeChunker cannot know that the last one is complete: it sends it when it is told that
the producer has finished, or when anything comes to "flush". (The original lost it.)
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

from Axon.Ipc import producerFinished
from Kamaelia.Exceptions import ProtocolError
from Kamaelia.Support.Protocol.Framing import SYNC_MESSAGE, ChunkParser, check_sync, encode_chunk
from Kamaelia.Support.Protocol.Framing import CorruptFrame as CorruptFrame
from Kamaelia.Support.Protocol.Framing import IncompleteChunk as IncompleteChunk
from Kamaelia.Support.Protocol.Framing import ShortFrame as ShortFrame
from Kamaelia.Support.Protocol.Framing import SimpleFrame as SimpleFrame
from Kamaelia.Util.MessageLoop import MessageLoop

log = logging.getLogger(__name__)

_FLUSH = object()  # stands among the messages for one that came to "flush"


class _Steppable(MessageLoop):
    """Says that it ends within main: those who step it by hand, without a scheduler, hear it."""

    def main(self) -> Iterator[object]:
        yield from super().main()
        self.send(self.told_to_stop() or producerFinished(self), "signal")


class Framer(_Steppable):
    """Framer() -> (tag, data) in, frames out."""

    Inboxes = {
        "inbox": "(int, str | bytes): tag and data",
        "control": "producerFinished (finish what arrived) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "str | bytes: a frame, of the kind of the data",
        "signal": "the shutdown that came in",
    }

    def results(self, message: object) -> Iterable[object]:
        match message:
            case (int(tag), str() | bytes() as data):
                frame = SimpleFrame(tag, data)
                return (bytes(frame) if isinstance(data, bytes) else str(frame),)
        raise self.refused(message, "pairs of int, and str or bytes,")


class DeFramer(_Steppable):
    """DeFramer() -> frames in, one a message, (tag, data) out."""

    Inboxes = {
        "inbox": "str | bytes: a frame",
        "control": "producerFinished (finish what arrived) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "(int, str | bytes): tag and data",
        "signal": "the shutdown that came in",
    }

    def results(self, message: object) -> Iterable[object]:
        if not isinstance(message, str | bytes):
            raise self.refused(message, "str or bytes")
        try:
            return (SimpleFrame.fromString(message),)
        except ProtocolError as error:
            log.warning("%s: frame left out: %s", self.name, error)
            return ()


class DataChunker(_Steppable):
    """DataChunker(syncmessage=24 times "X") -> data in, chunks out."""

    Inboxes = {
        "inbox": "str | bytes: data",
        "control": "producerFinished (finish what arrived) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "str | bytes: a chunk, of the kind of the data",
        "signal": "the shutdown that came in",
    }

    def __init__(self, syncmessage: str | bytes = SYNC_MESSAGE, **attributes: object) -> None:
        check_sync(syncmessage)
        super().__init__(**attributes)
        self.syncmessage = syncmessage

    def results(self, message: object) -> Iterable[object]:
        if not isinstance(message, str | bytes):
            raise self.refused(message, "str or bytes")
        return (encode_chunk(message, self.syncmessage),)


class DataDeChunker(_Steppable):
    """DataDeChunker(syncmessage=24 times "X", limit=1_048_576) -> slices of chunks in, data out;
    limit: how long a chunk may be on the wire."""

    Inboxes = {
        "inbox": "str | bytes: chunks, cut anywhere",
        "flush": "object: send what there is of a chunk now, do not wait for the next one",
        "control": "producerFinished (finish what arrived) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "str | bytes: the data of a chunk",
        "signal": "the shutdown that came in",
    }

    def __init__(
        self,
        syncmessage: str | bytes = SYNC_MESSAGE,
        limit: int = 1_048_576,
        **attributes: object,
    ) -> None:
        super().__init__(**attributes)
        self._parser = ChunkParser(self._dropped, syncmessage, limit)
        self._kind: type | None = None

    def arrivals(self) -> Iterator[object]:
        """Data first: what was sent before the flush lies in the inbox by now."""
        flushes = self.dataReady("flush")
        yield from self.Inbox("inbox")
        for _ in range(flushes):
            self.recv("flush")
            yield _FLUSH

    def results(self, message: object) -> Iterator[object]:
        if message is _FLUSH:
            return self._parser.flush()
        if not isinstance(message, str | bytes):
            raise self.refused(message, "str or bytes")
        self._kind = self._kind or type(message)
        if not isinstance(message, self._kind):
            raise self.refused(message, f"{self._kind.__name__} only, since that came first,")
        return self._parser.chunks(message)

    def last_results(self) -> Iterator[object]:
        return self._parser.flush()

    def _dropped(self, error: ProtocolError) -> None:
        log.warning("%s: chunk left out: %s", self.name, error)


__kamaelia_components__ = (Framer, DeFramer, DataChunker, DataDeChunker)
