"""
A message that is kept until its rules have been asked
======================================================
Bytes in wire form (dots stuffed, no final dot), in memory while they are few and in a file without
a name when they are more. All messages that are kept at one time share a `MessageRoom`.

>>> message = KeptMessage(MessageRoom())
>>> message.add(b"Subject: x\\r\\n\\r\\n")
>>> message.add(b"hello\\r\\n")
>>> message.size, b"".join(message.pieces(from_byte=14))
(21, b'hello\\r\\n')
>>> message.close()

Rules. `add` takes a piece of some 64 KiB at a time, so that what one call writes to the file is
little. It raises NoRoomError, or the OSError of a full disk: then the message cannot be kept, and
has to be refused for now. `close` gives the room back, once; without it nothing does.
"""

import tempfile
from collections.abc import Iterator
from typing import IO

IN_MEMORY = 1 << 20  # bytes of one message
ALL_IN_MEMORY = 64 << 20
ALL = 1 << 30
PIECE = 65_536


class NoRoomError(Exception):
    """All messages together would be larger than may be kept."""


class MessageRoom:
    """MessageRoom(memory, total, share=None) -> bytes that all kept messages may have together;
    what does not go into memory goes into files. share: what those of one owner may have of it,
    so that who sends many and ends none leaves room for the others; None: all."""

    __slots__ = ("_held", "_share", "memory", "total")

    def __init__(
        self, memory: int = ALL_IN_MEMORY, total: int = ALL, share: int | None = None
    ) -> None:
        self.memory = memory  # what is left of it
        self.total = total
        self._share = total if share is None else share
        self._held: dict[str, int] = {}

    def has(self, owner: str, count: int) -> bool:
        """Whether there is so much room for that owner."""
        return count <= self.total and self._held.get(owner, 0) + count <= self._share

    def take(self, owner: str, count: int) -> None:
        """A negative count gives back."""
        self.total -= count
        held = self._held.get(owner, 0) + count
        if held > 0:
            self._held[owner] = held
        else:
            self._held.pop(owner, None)


class KeptMessage:
    """KeptMessage(room, in_memory=1 MiB, owner="") -> one message; see the module. owner: whose
    share of the room it takes."""

    __slots__ = ("_file", "_in_memory", "_owner", "_pieces", "_room", "closed", "size")

    def __init__(self, room: MessageRoom, in_memory: int = IN_MEMORY, owner: str = "") -> None:
        self._room = room
        self._owner = owner
        self._in_memory = in_memory
        self._pieces: list[bytes] = []
        self._file: IO[bytes] | None = None
        self.size = 0
        self.closed = False

    @property
    def is_in_file(self) -> bool:
        return self._file is not None

    def fileno(self) -> int | None:
        """Of the file that it is in, for who reads it with pread(); None: it is in memory."""
        return None if self._file is None else self._file.fileno()

    def add(self, piece: bytes) -> None:
        """Keep this, too."""
        count, room = len(piece), self._room
        if not room.has(self._owner, count):
            raise NoRoomError("no room for another message")
        if self._file is None and (self.size + count > self._in_memory or count > room.memory):
            self._move_to_file()
        if self._file is None:
            self._pieces.append(piece)
            room.memory -= count
        else:
            _write(self._file, piece)
        room.take(self._owner, count)
        self.size += count

    def _move_to_file(self) -> None:
        # It has no name and no buffer: nothing of it is left when we are gone, however we go.
        self._file = file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - see close()
        held, self._pieces = self._pieces, []
        self._room.memory += self.size
        _write(file, b"".join(held))

    def pieces(self, from_byte: int = 0) -> Iterator[bytes]:
        """The message from there on, in pieces; nothing may be added any more."""
        if self._file is None:
            for piece in self._pieces:
                if from_byte >= len(piece):
                    from_byte -= len(piece)
                else:
                    yield piece[from_byte:]
                    from_byte = 0
            return
        while piece := self._read(from_byte, PIECE):
            from_byte += len(piece)
            yield piece

    def beginning(self, count: int) -> bytes:
        """The first bytes of it."""
        if self._file is not None:
            return self._read(0, count)
        parts, missing = [], count
        for piece in self._pieces:
            if missing <= 0:
                break
            parts.append(piece[:missing])
            missing -= len(piece)
        return b"".join(parts)

    def _read(self, at: int, count: int) -> bytes:
        """Raises OSError if it is not there any more, or cannot be read."""
        if self._file is None:
            raise OSError("the file of a message is closed")
        self._file.seek(at)
        parts = []
        count = min(count, self.size - at)
        while count > 0:
            part = self._file.read(count)
            if not part:
                raise OSError("the file of a message is too short")
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Forget it; a second time it does nothing."""
        if self.closed:
            return
        self.closed = True
        self._room.take(self._owner, -self.size)
        if self._file is None:
            self._room.memory += self.size
        else:
            self._file.close()
        self._pieces = []


def _write(file: IO[bytes], piece: bytes) -> None:
    view = memoryview(piece)
    while view:  # without a buffer a write may be a short one
        view = view[file.write(view) :]


__all__ = ["KeptMessage", "MessageRoom", "NoRoomError"]
