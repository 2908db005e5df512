"""
Read files
==========
* SimpleReader sends the lines of a file, as fast as they are taken.
* PromptedFileReader sends so many bytes or lines as it is asked for, each time it is asked.
* RateControlledFileReader is one that is asked at a steady rate.
* The reusable ones read one file after the other: a filename at "next" begins it, a "NEXT" out of
  "requestNext" says that it was read. Kamaelia.Chassis.Prefab.JoinChooserToCarousel gives them a
  list.

Example Usage
-------------
Read this file's first two lines, and then another one at 100 lines a second::

    import os
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.File.Reading import PromptedFileReader, RateControlledFileReader, SimpleReader
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource

    with TemporaryDirectory() as folder:
        path = Path(folder, "poem.txt")
        path.write_text("one\\ntwo\\nthree\\n")
        Pipeline(SimpleReader(path), ConsoleEchoer()).run()
        Pipeline(DataSource([2, 5]), PromptedFileReader(path), ConsoleEchoer()).run()
        slow = RateControlledFileReader(path, "lines", rate=100, chunksize=1)
        Pipeline(slow, ConsoleEchoer()).run()

It prints::

    one
    two
    three
    b'on'b'e\\ntwo'b'one\\n'b'two\\n'b'three\\n'

Lines are cut where they are longer than ``line_limit``, so a file without any newline does not fill
the memory. For what happens to errors, and in which thread, see Kamaelia.File.FileComponent.

Other than in the original, the lines mode of PromptedFileReader works: it sends the lines that it
is asked for in one message, as bytes.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from functools import partial
from io import IncrementalNewlineDecoder
from typing import Any

from Axon.Component import component
from Axon.Ipc import stops_at_once
from Kamaelia.Chassis.Carousel import Carousel
from Kamaelia.Chassis.Graphline import Graphline
from Kamaelia.File.FileComponent import FileComponent, Filename
from Kamaelia.File.LineCutter import LineCutter
from Kamaelia.Util.RateFilter import ByteRate_RequestControl
from Kamaelia.Util.Stopping import arrival, offer

CHUNK_BYTES = 65_536
LINE_LIMIT = 65_536
MOST_BYTES = 16 * 1024 * 1024  # for one request
REQUESTS_AHEAD = 16  # a rate control before a reader that is held up waits, too


class SimpleReader(FileComponent):
    """SimpleReader(filename, mode="r") -> sends the lines of a file, each with its newline.

    mode: "r" for text (str, any newline becomes \\\\n), "rb" for bytes. encoding and line_limit
    (characters) may be given, too; buffering is the original's, and has nothing to say."""

    Inboxes = {
        "inbox": "object: not read",
        "control": "shutdownMicroprocess (stop now); a producerFinished changes nothing",
    }
    Outboxes = {
        "outbox": "str | bytes: a line",
        "signal": "the shutdownMicroprocess that came in, or producerFinished at the file's end",
        "error": "FileError: why it cannot be read; then this ends",
    }

    mode = "r"
    buffering = 1
    encoding = "utf-8"
    line_limit = LINE_LIMIT

    def __init__(self, filename: Filename, **attributes: object) -> None:
        super().__init__(filename, **attributes)
        if self.mode not in ("r", "rt", "rb"):
            raise ValueError(f"SimpleReader reads in the modes r and rb, not {self.mode!r}")
        self._cutter: LineCutter[Any]
        if self.mode == "rb":
            self._decode: Any = lambda data, final: data
            self._cutter = LineCutter(b"\n", self.line_limit)
        else:
            decoder = codecs.getincrementaldecoder(self.encoding)()
            self._decode = IncrementalNewlineDecoder(decoder, translate=True).decode
            self._cutter = LineCutter("\n", self.line_limit)

    def work(self) -> Iterator[object]:
        yield from self.open_file("rb", buffering=0)  # what there is, as soon as it is there
        lines: list[Any] | None = []
        while lines is not None:
            for line in lines:
                if not (yield from offer(self, line)):
                    return
            lines = yield from self.in_thread("read", self._next_lines)
        if rest := self._cutter.rest():
            yield from offer(self, rest)

    def _next_lines(self) -> list[Any] | None:
        """Those in the next chunk; None at the end."""
        data = self.in_file().read(CHUNK_BYTES)
        lines = self._cutter.feed(self._decode(data, not data))
        return lines if data or lines else None


class PromptedFileReader(FileComponent):
    """PromptedFileReader(filename, readmode="bytes") -> sends as much of a file as it is asked for.

    readmode: "bytes" or "lines", what the numbers count. At the end of the file there may be less,
    and it ends."""

    Inboxes = {
        "inbox": "int: how many bytes or lines to send",
        "control": "producerFinished (send what was asked for) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "bytes: what was asked for, in one message",
        "signal": "the shutdown that came in, or producerFinished at the file's end",
        "error": "FileError: why it cannot be read; then this ends",
    }

    most_bytes = MOST_BYTES
    line_limit = LINE_LIMIT

    def __init__(self, filename: Filename, readmode: str = "bytes", **attributes: object) -> None:
        super().__init__(filename, **attributes)
        reads = {"bytes": self._read_bytes, "lines": self._read_lines}
        if readmode not in reads:
            raise ValueError(f"readmode is 'bytes' or 'lines', not {readmode!r}")
        self._read = reads[readmode]

    def work(self) -> Iterator[object]:
        yield from self.open_file("rb")
        ended = False
        while not ended and (yield from arrival(self)):
            call = partial(self._answer, self.recv("inbox"))
            data, ended = yield from self.in_thread("read", call)
            if data:
                yield from offer(self, data)

    def _answer(self, request: object) -> tuple[bytes, bool]:
        """What was asked for, and whether the file ends there. Raises TypeError and ValueError for
        what is no request."""
        if not isinstance(request, int) or isinstance(request, bool):
            raise TypeError(f"{self.name} inbox: a number is expected, not {request!r:.80}")
        if not 0 <= request <= self.most_bytes:
            raise ValueError(f"{self.name} inbox: {request} is not from 0 to {self.most_bytes}")
        return self._read(request)

    def _read_bytes(self, count: int) -> tuple[bytes, bool]:
        data = self.in_file().read(count)
        return data, len(data) < count

    def _read_lines(self, count: int) -> tuple[bytes, bool]:
        lines: list[bytes] = []
        size = 0
        while len(lines) < count and size < self.most_bytes:
            line = self.in_file().readline(self.line_limit)
            if not line:
                return b"".join(lines), True
            lines.append(line)
            size += len(line)
        return b"".join(lines), False


class _PacedFileReader(PromptedFileReader):
    """Is asked by a clock until the file ends, so a producerFinished is not about its requests."""

    def told_to_stop(self, boxname: str = "control") -> Any:  # noqa: ANN401 - as the engine's
        stop = super().told_to_stop(boxname)
        return stop if stops_at_once(stop) else None


def RateControlledFileReader(  # noqa: N802 - the original's name
    filename: Filename,
    readmode: str = "bytes",
    **rateargs: Any,  # noqa: ANN401 - checked by who takes them
) -> Graphline:
    """RateControlledFileReader(filename, readmode="bytes", **rateargs) -> sends a file at a rate.

    rateargs are those of Kamaelia.Util.RateFilter.ByteRate_RequestControl; with readmode "lines"
    they count lines. A shutdownMicroprocess ends it; a producerFinished is handed on when all of
    the file has been sent."""
    reader = _PacedFileReader(filename, readmode)
    reader.setInboxSize("inbox", REQUESTS_AHEAD)
    return Graphline(
        RATE=ByteRate_RequestControl(**rateargs),
        READER=reader,
        linkages={
            ("RATE", "outbox"): ("READER", "inbox"),
            ("READER", "outbox"): ("self", "outbox"),
            ("READER", "error"): ("self", "error"),
            # The reader is the one that knows about the end of the file.
            ("self", "control"): ("READER", "control"),
            ("READER", "signal"): ("RATE", "control"),
            ("RATE", "signal"): ("self", "signal"),
        },
    )


def ReusableFileReader(readmode: str = "bytes") -> Carousel:  # noqa: N802 - the original's name
    """ReusableFileReader(readmode="bytes") -> a PromptedFileReader for each filename at "next"."""

    def reader(filename: Filename) -> component:
        return PromptedFileReader(filename, readmode)

    return Carousel(reader)


def RateControlledReusableFileReader(  # noqa: N802 - the original's name
    readmode: str = "bytes",
) -> Carousel:
    """RateControlledReusableFileReader(readmode="bytes") -> a RateControlledFileReader for each
    (filename, rateargs) at "next"; rateargs is a dict."""

    def reader(request: tuple[Filename, dict[str, Any]]) -> component:
        filename, rateargs = request
        return RateControlledFileReader(filename, readmode, **rateargs)

    return Carousel(reader)


def FixedRateControlledReusableFileReader(  # noqa: N802 - the original's name
    readmode: str = "bytes",
    **rateargs: Any,  # noqa: ANN401 - checked by who takes them
) -> Carousel:
    """FixedRateControlledReusableFileReader(readmode="bytes", **rateargs) -> a
    RateControlledFileReader for each filename at "next", all at the same rate."""

    def reader(filename: Filename) -> component:
        return RateControlledFileReader(filename, readmode, **rateargs)

    return Carousel(reader)


__kamaelia_components__ = (SimpleReader, PromptedFileReader)
__kamaelia_prefabs__ = (
    RateControlledFileReader,
    ReusableFileReader,
    RateControlledReusableFileReader,
    FixedRateControlledReusableFileReader,
)
