"""
The file with the number of the running process
===============================================
It says to whom ``kamaelia-grey --reload`` and scripts send their signals. A number in a file proves
nothing: its process may be over and the number another's by now. So whoever owns the file holds a
lock on it for as long as it lives, and the kernel lets go of it however the process ends.

Example Usage
-------------
::

    with PidFile(Path("/run/kamaelia-grey/pid")):  # raises PidFileError if somebody has it
        ...
    os.kill(running_pid(Path("/run/kamaelia-grey/pid")), signal.SIGHUP)

Rules
-----
* No link is followed and no file is taken that is not ours or root's: in a folder where others may
  write, a link planted under that name would have us write into another's file, as root.
* For the same reason the folder must be root's or ours, and nobody else may write there.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Self

MAX_BYTES = 32
MAX_PID = 1 << 22  # PID_MAX_LIMIT of Linux
_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class PidFileError(Exception):
    """The pid file cannot be had, or names nobody; the text says why."""


class PidFile:
    """PidFile(path) -> in a `with`: the file holds our number, and a lock."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1
        self._owner = 0

    def __enter__(self) -> Self:
        """Raises PidFileError."""
        check_folder(self._path)
        try:
            self._fd = self._open()
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"{os.getpid()}\n".encode("ascii"), 0)
        except PidFileError:
            self._close()
            raise
        except OSError as error:
            self._close()
            raise PidFileError(f"pid_file = {self._path}: {_why(error)}") from error
        self._owner = os.getpid()
        return self

    def __exit__(self, *_: object) -> None:
        if self._fd < 0 or os.getpid() != self._owner:
            return  # in a child
        try:
            # The file is removed before the lock: who opens it now, looks again.
            self._path.unlink()
        except OSError:  # the folder may be root's, and we may have become somebody else
            with suppress(OSError):
                os.ftruncate(self._fd, 0)
        self._close()

    def leave(self) -> None:
        """In a child: the lock is its parent's, and ends with it."""
        self._close()

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> int:
        while True:
            try:
                fd = os.open(self._path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o644)
            except FileExistsError:
                try:
                    fd = os.open(self._path, _FLAGS)
                except FileNotFoundError:
                    continue  # removed meanwhile
            try:
                if self._lock(fd):
                    return fd
            except (OSError, PidFileError):
                os.close(fd)
                raise
            os.close(fd)

    def _lock(self, fd: int) -> bool:
        """False: it was removed before we had it."""
        _check_file(self._path, fd)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = _number(os.pread(fd, MAX_BYTES, 0))
            who = f"process {pid}" if pid else "another process"
            raise PidFileError(f"pid_file = {self._path}: {who} runs already") from error
        try:
            return os.path.samestat(os.fstat(fd), os.lstat(self._path))
        except FileNotFoundError:
            return False


def running_pid(path: Path) -> int:
    """The number of the process that holds the file. Raises PidFileError if none does."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise PidFileError(f"pid_file = {path}: {_why(error)}") from error
    try:
        _check_file(path, fd)
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = _number(os.pread(fd, MAX_BYTES, 0))
            if pid:
                return pid
            raise PidFileError(f"pid_file = {path}: holds no number") from None
    finally:
        os.close(fd)
    raise PidFileError(f"pid_file = {path}: no process holds it: is the program running?")


def check_folder(path: Path) -> None:
    """Raise PidFileError if others may put a file of that name there."""
    folder = path.absolute().parent
    where = f"pid_file = {path}: the folder {folder}"
    try:
        status = folder.stat()
    except OSError as error:
        raise PidFileError(f"{where}: {_why(error)}") from error
    if not stat.S_ISDIR(status.st_mode):
        raise PidFileError(f"{where} is no folder")
    if status.st_uid not in (0, os.geteuid()):
        raise PidFileError(f"{where} belongs to user {status.st_uid}, not to us or root")
    strange_group = status.st_mode & stat.S_IWGRP and status.st_gid not in (0, os.getegid())
    if status.st_mode & stat.S_IWOTH or strange_group:
        raise PidFileError(f"{where} is one where others may write: choose one of our own")


def _check_file(path: Path, fd: int) -> None:
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        raise PidFileError(f"pid_file = {path}: is no ordinary file")
    if status.st_uid not in (0, os.geteuid()) and os.geteuid() != 0:
        raise PidFileError(f"pid_file = {path}: belongs to user {status.st_uid}")


def _why(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "is a link, which is not followed"
    return error.strerror or str(error)


def _number(data: bytes) -> int:
    """0: there is none in it."""
    text = data.strip()
    return int(text) if text.isdigit() and 1 < int(text) <= MAX_PID else 0
