"""
Messages that look-ups may read
===============================
The rules of the DATA stage may have to ask somebody who wants to see the message: SpamAssassin, a
verifier of signatures, an HTTP server. Questions name it by a number only. `Contents` knows which
message that is, for as long as the door that holds the message says so.

Example Usage
-------------
What a door does; messages are in wire form (dots stuffed), and come out without that:

>>> contents = Contents()
>>> contents.add(17, b"Subject: hello\\r\\n\\r\\n..dots\\r\\n")
>>> contents.read(17)
b'Subject: hello\\r\\n\\r\\n.dots\\r\\n'
>>> contents.remove(17)
>>> contents.read(17) is None
True

Rules. Any thread may read while the scheduler's thread adds and removes. A message that says where
its file is (`fileno`) is read through a descriptor of our own, which moves nobody's position. Of
one that is in a file and does not say so only the beginning is at hand, since nobody but its owner
may read on. A message that was removed, or for which there was no room (`most`), is not there for
look-ups, which then fail; a door need not care.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from typing import Protocol

PIECE_BYTES = 262_144
READ_BYTES = 16_777_216
BEGINNING_BYTES = 1_048_576


class Message(Protocol):
    """A message as a door keeps it (FrontDoor.KeptMessage); one in a file has fileno() as well."""

    @property
    def size(self) -> int: ...

    def beginning(self, count: int) -> bytes:
        """The first bytes of it."""


class _Kept:
    """One message. Its descriptor is closed and read under a lock: the number of a file that is
    closed may be another file's already."""

    __slots__ = ("_descriptor", "_lock", "_memory", "_size")

    def __init__(self, message: bytes | Message) -> None:
        self._lock = Lock()
        self._memory: bytes | None = None
        self._descriptor = -1
        if isinstance(message, bytes):
            self._memory, self._size = message, len(message)
            return
        self._size = message.size
        fileno: Callable[[], int | None] = getattr(message, "fileno", lambda: None)
        descriptor = fileno()
        if descriptor is None:
            self._memory = message.beginning(min(self._size, BEGINNING_BYTES))
        else:
            self._descriptor = os.dup(descriptor)

    def read(self, limit: int) -> bytes | None:
        """Raises OSError."""
        wanted = min(limit, self._size)
        if self._memory is not None:
            if wanted > len(self._memory):
                raise OSError("only the beginning of the message is at hand")
            return self._memory[:wanted]
        data = bytearray()
        while len(data) < wanted:
            # Piece by piece: the scheduler's thread may be waiting to close it.
            with self._lock:
                if self._descriptor < 0:
                    return None
                missing = wanted - len(data)
                piece = os.pread(self._descriptor, min(missing, PIECE_BYTES), len(data))
            if not piece:
                raise OSError("the file of the message is too short")
            data += piece
        return bytes(data)

    def close(self) -> None:
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1


class Contents:
    """Contents(most=1000) -> the messages at hand, at most so many."""

    def __init__(self, most: int = 1_000) -> None:
        self._most = most
        self._kept: dict[int, _Kept] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, message_id: int, message: bytes | Message) -> None:
        """Keep a message at hand until remove(). It must not change, and may be unlinked."""
        self.remove(message_id)
        if len(self._kept) < self._most:
            with suppress(OSError):  # no descriptors left: as if there were no room
                self._kept[message_id] = _Kept(message)

    def remove(self, message_id: int) -> None:
        """Let it go; nothing happens if it is not here."""
        kept = self._kept.pop(message_id, None)
        if kept is not None:
            kept.close()

    def read(self, message_id: int, limit: int = READ_BYTES) -> bytes | None:
        """The message without its stuffed dots, or what its first `limit` bytes in wire form make;
        None: it is not here (any more). Raises OSError. Called by any thread."""
        kept = self._kept.get(message_id)
        wire = None if kept is None else kept.read(limit)
        if wire is None:
            return None
        return wire.removeprefix(b".").replace(b"\r\n.", b"\r\n")
