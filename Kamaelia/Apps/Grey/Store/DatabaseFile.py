"""
The database as a file
======================
`claim` makes sure that there is a plain file that only the daemon's user can read.

`set_aside` makes room for a new one. Mail has to flow while nobody is there to repair a file, so
one that cannot be used is renamed and the store starts empty: everybody waits once more, nothing
is lost. The broken file is kept under a name with the time, for whoever wants to know what
happened, with the files that SQLite keeps beside it.

No existing file is ever overwritten, and a disk that breaks every new file cannot fill itself with
broken ones: after `MOST_KEPT` of them somebody has to look.

>>> from pathlib import Path
>>> from tempfile import TemporaryDirectory
>>> with TemporaryDirectory() as folder:
...     path = Path(folder, "greylist.sqlite3")
...     _ = path.write_text("not a database")
...     set_aside(path, now=0).name, path.exists()
('greylist.sqlite3.broken-19700101T000000Z', False)
"""

import errno
import os
import stat
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from Kamaelia.Apps.Grey.Store.Interface import StoreError

MOST_KEPT = 20
_COMPANIONS = ("-wal", "-shm", "-journal")  # what SQLite may keep beside a database


def claim(path: Path) -> None:
    """Make the file if need be, with mode 0600: it says who writes to whom. StoreError names the
    path and what helps."""
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}. {_cure(path, error)}") from error
    mode = os.fstat(descriptor).st_mode
    os.close(descriptor)
    if not stat.S_ISREG(mode):
        raise StoreError(f"{path}: not a plain file. Give another path in the configuration")


def _cure(path: Path, error: OSError) -> str:
    match error.errno:
        case errno.ENOENT | errno.ENOTDIR:
            return f"Make the folder, for the daemon's user: mkdir -p {path.parent}"
        case errno.ELOOP:
            # Somebody else may have put the link there, to a file that we would then rename.
            return "It is a symbolic link: give the real path in the configuration"
        case errno.ENOSPC | errno.EDQUOT:
            return "Free some space on that disk"
        case _:
            return "The daemon's user must own the file and be able to write its folder"


def set_aside(path: Path, now: float) -> Path:
    """Rename the database and its companions; give the new name. `now` is wall-clock time."""
    try:
        kept = sum(
            entry.name.startswith(f"{path.name}.broken-") and not _is_companion(entry)
            for entry in path.parent.iterdir()
        )
        if kept >= MOST_KEPT:
            raise StoreError(
                f"{path}: broken again, and {kept} broken copies of it are kept already. "
                f"Check the disk, then delete {path}.broken-*"
            )
        target = _reserve(path, datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ"))
        # The companions go first: a journal left beside a new file would be played into it.
        for suffix in _COMPANIONS:
            companion = path.with_name(path.name + suffix)
            if companion.exists():
                companion.replace(target.with_name(target.name + suffix))
        path.replace(target)
    except OSError as error:
        raise StoreError(f"{path}: cannot be set aside: {error.strerror}") from error
    return target


def _reserve(path: Path, stamp: str) -> Path:
    for number in count(1):
        again = f"-{number}" if number > 1 else ""
        target = path.with_name(f"{path.name}.broken-{stamp}{again}")
        try:
            # Only O_EXCL makes sure that nobody else has the name; rename would overwrite.
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            continue
        return target
    raise AssertionError("count() has no end")  # pragma: no cover


def _is_companion(path: Path) -> bool:
    return path.name.endswith(_COMPANIONS)
