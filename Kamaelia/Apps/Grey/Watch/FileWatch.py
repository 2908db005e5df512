"""
Somebody has changed the file
=============================
A component that looks at a file once a second and says when its content is another, and has been so
for two looks: who writes a file takes a moment, and half a configuration is a bad one.

Example Usage
-------------
Have a greylist.conf read again as soon as it was written::

    seen = Seen(path)
    watch = FileWatch(seen).activate()
    self.link((watch, "outbox"), (self, "changed"))

How does it know?
-----------------
The status of the file (device, inode, size, times) costs next to nothing to look at; where it is
another, the content is hashed and compared. So an older file that was put back is noticed, two
changes within a second are, and a file that was only touched is not.

`Seen` is what is known of the content. Whoever reads the file for a reason of his own (a HUP) says
so with `note()`, and nobody is told of that content once more. It may be asked in any thread.

>>> import tempfile
>>> folder = tempfile.TemporaryDirectory()
>>> path = Path(folder.name) / "file"
>>> seen = Seen(path)
>>> _ = path.write_text("new")
>>> seen.look(), seen.look(), seen.look()  # once more: is somebody still writing?
(False, True, False)
>>> folder.cleanup()
"""

from __future__ import annotations

import hashlib
import logging
import os
import stat
from pathlib import Path

from Axon.ThreadedComponent import threadedcomponent

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
MAX_BYTES = 64 << 20  # as much as is read of a configuration
_PIECE = 1 << 20
_Status = tuple[int, int, int, int, int]


class Seen:
    """Seen(path) -> the content that is known; at first that of now."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._status: _Status | None = None
        self._known = b""
        self._candidate = b""
        self._missing = False
        self.note()

    def note(self) -> None:
        """What is in the file now is known. Called before it is read: what is written meanwhile is
        new then, and at worst it is read twice."""
        # The status is forgotten: the next look compares the content.
        self._status = None
        self._known = self._candidate = digest_of(self.path)

    def look(self) -> bool:
        """Whether the content is a new one, and was the same at the look before. True only once
        for a content."""
        status = _status_of(self.path)
        if status is None:
            if not self._missing:
                self._missing = True
                log.warning('config file "%s" unavailable', self.path)
            return False
        self._missing = False
        if status == self._status and self._candidate == self._known:
            return False
        before, self._status = self._candidate, status
        self._candidate = digest_of(self.path)
        if not self._candidate or self._candidate == self._known or self._candidate != before:
            return False
        self._known = self._candidate
        return True


def digest_of(path: Path) -> bytes:
    """Of the content; empty if it cannot be read, or is no file."""
    summing = hashlib.sha256()
    try:
        # A pipe in its place must not be waited for.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return b""
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return b""
        left = MAX_BYTES
        while left > 0 and (piece := os.read(fd, min(_PIECE, left))):
            summing.update(piece)
            left -= len(piece)
    except OSError:
        return b""
    finally:
        os.close(fd)
    return summing.digest()


def _status_of(path: Path) -> _Status | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


class FileWatch(threadedcomponent):
    """FileWatch(seen, seconds=1.0) -> says when the file has a new content."""

    Inboxes = {
        "inbox": "object: unused",
        "control": "producerFinished or shutdownMicroprocess: end",
    }
    Outboxes = {
        "outbox": "Path: the file, once for each new content",
        "signal": "the shutdown that came in",
    }

    def __init__(self, seen: Seen, seconds: float = LOOK_SECONDS) -> None:
        super().__init__()
        self._seen = seen
        self._seconds = seconds

    def main(self) -> None:
        stop: object = None
        while (stop := self.told_to_stop()) is None:
            self.pause(self._seconds)
            if self._seen.look():
                self.send(self._seen.path, "outbox")
        self.send(stop, "signal")


__kamaelia_components__ = (FileWatch,)
