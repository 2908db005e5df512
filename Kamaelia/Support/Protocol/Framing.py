"""
Frames and chunks
=================
Two small formats for a stream whose receiver may come late and may lose some of it.

A *frame* is data with a number in front of it, and tells its own length:

>>> str(SimpleFrame(7, "hello"))
'7 5\\nhello'
>>> SimpleFrame.fromString("7 5\\nhello")
(7, 'hello')

A *chunk* is data after a text that occurs nowhere else, the sync message. A receiver that joins in
the middle waits for the next one. In the data every character of the sync message is escaped:

>>> encode_chunk("a Xmas tree", "XX")
'XXa %58mas tree'
>>> parser = ChunkParser(print, "XX")
>>> [chunk for slice in ("mas treeX", "Xone", "XXtw", "oXX") for chunk in parser.chunks(slice)]
['one', 'two']

So what is between two sync messages is a chunk. Where the last one ends nobody says: see flush().

All of it takes str or bytes and gives the same kind. Lengths count characters or bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, AnyStr, cast

from Kamaelia.Exceptions import ProtocolError
from Kamaelia.Support.Data.Escape import ESCAPE_CHARACTERS, escape, unescape

SYNC_MESSAGE = "X" * 24

Text = str | bytes

_DIGITS = 20  # at most, in a number of a header
_HEADER = re.compile(rf"(-?\d{{1,{_DIGITS}}}) (\d{{1,{_DIGITS}}})", re.ASCII)
_LONGEST_HEADER = 2 * _DIGITS + 2  # a sign and a space


class CorruptFrame(ProtocolError):  # noqa: N818 - the original's name
    """What came does not begin like a frame."""


class ShortFrame(ProtocolError):  # noqa: N818 - the original's name
    """There is less data than the frame says."""


class IncompleteChunk(ProtocolError):  # noqa: N818 - the original's name
    """The end of the chunk has not come within its limit."""


class CorruptChunk(ProtocolError):  # noqa: N818 - named as its neighbours
    """What stands between two sync messages was not made by encode_chunk."""


@dataclass(frozen=True, slots=True)
class SimpleFrame:
    """SimpleFrame(tag, data) -> a number and what it stands for; str() or bytes() of it is what
    goes over the wire, by the kind of the data."""

    tag: int
    data: Text

    def __post_init__(self) -> None:
        if abs(self.tag) >= 10**_DIGITS:
            raise ValueError(f"the tag of a frame has at most {_DIGITS} digits, not {self.tag}")

    def __str__(self) -> str:
        if isinstance(self.data, bytes):
            raise TypeError("a frame of bytes is made by bytes(frame), not by str(frame)")
        return self._header() + self.data

    def __bytes__(self) -> bytes:
        if isinstance(self.data, str):
            raise TypeError("a frame of text is made by str(frame), not by bytes(frame)")
        return self._header().encode() + self.data

    def _header(self) -> str:
        return f"{self.tag:d} {len(self.data)}\n"

    @staticmethod
    def fromString(wire: Any) -> tuple[int, Any]:  # noqa: ANN401 - str or bytes, and it is looked at
        """Tag and data of the frame that wire begins with; what is behind it is left out.

        Raises CorruptFrame, or ShortFrame if some of it is missing."""
        newline = b"\n" if isinstance(wire, bytes) else "\n"
        end = wire.find(newline, 0, _LONGEST_HEADER + 1)
        begin = wire[: _LONGEST_HEADER if end < 0 else end]
        header = _HEADER.fullmatch(begin.decode("latin-1") if isinstance(begin, bytes) else begin)
        if header is None or end < 0:
            raise CorruptFrame(f"{begin!r} is not the header of a frame: tag, space, length")
        length = int(header[2])
        if len(wire) - end - 1 < length:
            raise ShortFrame(f"a frame of {length} ends after {len(wire) - end - 1}")
        return int(header[1]), wire[end + 1 : end + 1 + length]


def encode_chunk(data: Text, sync_message: Text = SYNC_MESSAGE) -> Text:
    """The data as a chunk, in the kind of the data."""
    kind: Any = type(data)
    sync = sync_as(kind, sync_message)
    return cast("Text", sync + escape(data, sync))


def sync_as(kind: type[AnyStr], sync_message: Text) -> AnyStr:
    """The sync message, which is the same one for text and for bytes, in this kind."""
    if isinstance(sync_message, kind):
        return sync_message
    other = sync_message.encode() if isinstance(sync_message, str) else sync_message.decode()
    return cast("AnyStr", other)


def check_sync(sync_message: Text) -> None:
    """Raises ValueError for a sync message that escaped data could contain."""
    if could_be_data(sync_message):
        raise ValueError(
            f"the sync message {sync_message!r} needs a character that escapes are not made of, "
            f"which is any but {ESCAPE_CHARACTERS}"
        )


def could_be_data(text: Text) -> bool:
    """Whether it might be made of nothing but escapes."""
    return set(sync_as(bytes, text)) <= set(ESCAPE_CHARACTERS.encode())


class ChunkParser:
    """ChunkParser(dropped, sync_message, limit=1_048_576) -> takes slices of a stream, gives its
    chunks; limit: of a chunk as it is on the wire, and so of the memory.

    What comes before the first sync message is left out. So is a chunk that is too long, or whose
    escapes are wrong, and dropped() is called with an IncompleteChunk or a CorruptChunk."""

    def __init__(
        self,
        dropped: Callable[[ProtocolError], object],
        sync_message: Text = SYNC_MESSAGE,
        limit: int = 1_048_576,
    ) -> None:
        check_sync(sync_message)
        self._dropped = dropped
        self._sync_message = sync_message
        self._limit = limit
        # The first slice says of which kind all of these are.
        self._sync: Any = None
        self._tail: Any = None  # the last that came: shorter than a sync message
        self._pieces: list[Any] | None = None  # of a chunk, before the tail; None: not in one
        self._length = 0  # of the pieces

    def chunks(self, slice_: Text) -> Iterator[Text]:
        """The chunks that this slice completes. Raises TypeError for a slice of another kind than
        the first."""
        if self._sync is None:
            kind: Any = type(slice_)
            self._sync = sync_as(kind, self._sync_message)
            self._tail = self._sync[:0]
        *ended, rest = (self._tail + slice_).split(self._sync)
        for piece in ended:
            self._add(piece)
            yield from self._take()
            self._pieces = []
        # A sync message may have begun in what is kept.
        cut = max(0, len(rest) - len(self._sync) + 1)
        self._tail = rest[cut:]
        self._add(rest[:cut])

    def flush(self) -> Iterator[Text]:
        """The chunk whose end has not come yet, as far as it has; the rest of it is left out."""
        if self._sync is None:
            return
        cut = len(self._tail) - self._begun_sync()
        self._add(self._tail[:cut])
        self._tail = self._tail[cut:]
        yield from self._take()

    def _begun_sync(self) -> int:
        """How much of the tail is the beginning of a sync message, and so no data."""
        for length in range(len(self._tail), 0, -1):
            begin = self._sync[:length]
            if self._tail.endswith(begin) and not could_be_data(begin):
                return length
        return 0

    def _add(self, piece: Any) -> None:  # noqa: ANN401 - str or bytes
        if self._pieces is None or not piece:  # empty ones would pile up beside any limit
            return
        self._pieces.append(piece)
        self._length += len(piece)
        if self._length > self._limit:
            self._pieces = None
            self._length = 0
            self._dropped(IncompleteChunk(f"no end of a chunk within {self._limit}"))

    def _take(self) -> Iterator[Text]:
        """The chunk, decoded, if there is one and it can be."""
        if self._pieces is None:
            return
        wire = self._sync[:0].join(self._pieces)
        self._pieces = None
        self._length = 0
        try:
            self._check_unmarked(wire)
            chunk = unescape(wire)
        except ValueError as error:
            self._dropped(CorruptChunk(f"no chunk: {error}"))
            return
        yield chunk

    def _check_unmarked(self, wire: Any) -> None:  # noqa: ANN401 - str or bytes
        """Raises ValueError for what is never in data. It is if some was lost of a sync message,
        or of what is before it: of "XXX", the first two may be taken for the "XX" at the end."""
        for at in range(len(self._sync)):
            mark = self._sync[at : at + 1]
            if mark in wire and not could_be_data(mark):
                raise ValueError(f"a part {mark!r} of a sync message within it")
