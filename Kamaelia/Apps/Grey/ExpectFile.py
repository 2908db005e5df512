"""
The file of mail that somebody waits for
========================================
`add` writes a line for whoever waits, `mark_used` writes down that the mail has come, and an
`ExpectFile` gives what is waited for to a running program: read again when the file has changed.
All processes of one program and whoever adds a line share the file; it is replaced as a whole, and
two who write wait for each other. Its format is Core.Expectations'.

Example Usage
-------------
::

    expected = ExpectFile(config.expect_file, time.time)
    engine = Engine(policy, expectations=expected)
    expected.look()  # now and then
"""

from __future__ import annotations

import fcntl
import logging
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from Kamaelia.Apps.Grey.Core.Expectations import MOST, Expectation, Expectations
from Kamaelia.Apps.Grey.Core.Normalise import fold_address

log = logging.getLogger(__name__)

MAX_BYTES = 4 << 20


class ExpectFile(Expectations):
    """ExpectFile(path, clock) -> Expectations that follow a file. Nothing is read before the first
    `look`. Of several processes each looks before it lets a mail in: once is once."""

    __slots__ = ("_clock", "_path", "_seen", "_used")

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        super().__init__()
        self._path = path
        self._clock = clock
        self._seen: tuple[int, int, int] | None = None
        self._used: set[tuple[str, int]] = set()  # by us, and perhaps not yet written down

    @property
    def path(self) -> Path:
        return self._path

    def look(self) -> bool:
        """Read the file if it has changed; whether it had. A file that cannot be read changes
        nothing, and is spoken of once."""
        seen = self._stamp()
        if seen == self._seen:
            return False
        self._seen = seen
        try:
            found = Expectations.parse(text_of(self._path), self._clock())
        except OSError as error:
            log.warning("expect_file %s cannot be read: %s", self._path, error.strerror or error)
            return False
        if found.bad_lines:
            log.warning("expect_file %s: %d lines are none", self._path, found.bad_lines)
        self._used &= {(one.recipient, one.until) for one in found if not one.used}
        self._by_recipient = {
            one.recipient: replace(one, used=True)
            if (one.recipient, one.until) in self._used
            else one
            for one in found
        }
        return True

    def matches(self, recipient: str, now: float) -> bool:
        """As Expectations', by what the file says now."""
        if not super().matches(recipient, now):
            return False
        return not self.look() or super().matches(recipient, now)

    def use(self, recipient: str, now: float = 0.0) -> bool:
        """As Expectations': what was for once is written down, in a thread, since a disk may be
        slow."""
        once = super().use(recipient, now)
        if once:
            self._used.update(
                (one.recipient, one.until) for one in self._for(recipient) if one.once and one.used
            )
            work = (self._path, recipient, now)
            threading.Thread(target=_write_down, args=work, daemon=True).start()
        return once

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size


def add(path: Path, recipient: str, seconds: int, now: int, *, once: bool = False) -> None:
    """Add a line to the file, which is made if it is not there. Raises OSError."""
    new = Expectation(fold_address(recipient), now + seconds, once)
    with _alone(path.absolute().parent):
        expected = Expectations.parse(text_of(path), now)
        if not expected.add(new):
            raise OSError(0, f"{MOST} are waited for already")
        _replace(path, expected.text(now))


def mark_used(path: Path, recipient: str, now: float) -> None:
    """The mail has come. Raises OSError."""
    with _alone(path.absolute().parent):
        expected = Expectations.parse(text_of(path), now)
        if expected.use(recipient, now):
            _replace(path, expected.text(now))


def text_of(path: Path) -> str:
    """What the file says, at most MAX_BYTES of it; "" if there is none. Raises OSError."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return ""
    with open(fd, "rb") as file:  # noqa: PTH123 - a descriptor
        return file.read(MAX_BYTES).decode("utf-8", "replace")


def _write_down(path: Path, recipient: str, now: float) -> None:
    try:
        mark_used(path, recipient, now)
    except OSError as error:
        log.warning("expect_file %s cannot be written: %s", path, error.strerror or error)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _replace(path: Path, text: str) -> None:
    fd, name = tempfile.mkstemp(prefix=f"{path.name}-", dir=path.absolute().parent)
    made = Path(name)
    try:
        with open(fd, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor
            file.write(text)
            file.flush()
            os.fsync(fd)
            os.fchmod(fd, 0o640)
        made.replace(path)
    except OSError:
        with suppress(OSError):
            made.unlink()
        raise
