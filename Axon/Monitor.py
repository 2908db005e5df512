"""
Answering questions about a running program
===========================================
A program that calls ``listen()``, or is started with AXON_MONITOR=1 in its environment, can be
looked at from outside: ``python -m Axon ps``, ``tree`` and ``top``. Nothing can be changed that
way.

It listens on a Unix socket: ``axon-<process number>.sock`` in $XDG_RUNTIME_DIR or, without one, in
a folder of the user's own below the folder for temporary files. AXON_MONITOR may also be a path.
The socket is the owner's only: its folder and its mode see to that, and the system is asked who is
at the other end (the same user, or root).

A question is one line, the answer is one line, a snapshot as JSON. All happens in callbacks of the
scheduler itself, without a thread, so an answer is one moment of the program. Nobody who asks can
harm it: connections, the length of a question, the size of an answer and the time for both are
limited, and an answer is given out again until it is ten times as old as the time it took to make.
Turns and messages are counted only while somebody asks.

The listener does not keep a program running, and goes away with it.

Example Usage
-------------
::

    from Axon import Monitor

    Monitor.listen()
    MyServer().run()

Then, in another terminal::

    python -m Axon top 12345
"""

from __future__ import annotations

import atexit
import logging
import os
import socket
import stat
import struct
import tempfile
from contextlib import suppress
from pathlib import Path
from time import monotonic

from Axon.Instruments import Counts, plain
from Axon.Scheduler import scheduler
from Axon.Snapshot import to_json
from Axon.Survey import between_turns, snapshot
from Axon.Timers import Timer
from Axon.Waiter import EPOLLIN, EPOLLOUT

log = logging.getLogger(__name__)

VARIABLE = "AXON_MONITOR"
QUESTION = b"snapshot\n"
CLIENTS = 4  # at a time; further ones wait in the kernel's queue or are refused
SECONDS = 10.0  # for a question and its answer together
PAUSE_SECONDS = 1.0  # when no connection can be had
COUNTING_SECONDS = 60.0  # after the last question
COMPONENTS = 2_000  # in an answer: about 2 megabytes, and 70 milliseconds of the program's time
REST_FACTOR = 10.0  # an answer that took a millisecond is good for ten
_PIECE = 262_144
_CREDENTIALS = struct.Struct("3i")  # process, user, group


class MonitorError(Exception):
    """There can be no monitor here: why, and what to do."""


def listen(path: str | os.PathLike[str] | None = None, running: scheduler | None = None) -> Monitor:
    """Answer questions about a scheduler (the default one), on a socket of the usual name or at
    path. Raises MonitorError if that is not possible."""
    running = running if running is not None else scheduler.run
    made = Monitor(Path(path) if path is not None else usual_path(os.getpid()), running)
    between_turns(running, made.open)
    return made


def listen_from_environment() -> None:
    """Listen as soon as the default scheduler runs, if AXON_MONITOR says so: 1 for the usual name,
    or a path. A program is not kept from running by a monitor that cannot be had: that is logged.
    """
    wish = os.environ.get(VARIABLE, "")
    if wish in ("", "0"):
        return

    def begin() -> None:
        try:
            listen(None if wish == "1" else wish)
        except MonitorError as error:
            log.warning("%s is set, but: %s", VARIABLE, error)

    # A call that waits for the scheduler's first look at its calls: a program that merely imports
    # Axon opens nothing.
    scheduler.run.call_from_thread(begin)


# ---- where


def usual_path(process: int) -> Path:
    """Where a program of this user listens. Makes the folder; raises MonitorError if another user
    could reach into it."""
    folder = runtime_folder()
    if folder is None:
        folder = own_folder(os.geteuid())
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        if not is_private(folder, os.geteuid()):
            raise MonitorError(
                f"{folder} is not a folder that only this user can reach: remove it, or give a path"
            )
    _sweep(folder)
    return folder / socket_name(process)


def _sweep(folder: Path) -> None:
    """Remove the sockets of programs that were killed and could not do it themselves."""
    for path in folder.glob("axon-*.sock"):
        process = path.stem.removeprefix("axon-")
        if process.isdecimal() and not Path(f"/proc/{process}").exists():
            with suppress(OSError):  # another program sweeps as well
                path.unlink()


def socket_name(process: int) -> str:
    return f"axon-{process}.sock"


def own_folder(user: int) -> Path:
    """The folder below that for temporary files."""
    return Path(tempfile.gettempdir()) / f"axon-{user}"


def runtime_folder() -> Path | None:
    """The folder that the system gives each user for sockets, if it does and it is ours."""
    name = os.environ.get("XDG_RUNTIME_DIR", "")
    return Path(name) if name and is_private(Path(name), os.geteuid()) else None


def is_private(folder: Path, user: int) -> bool:
    """Tell whether it is a folder, no link to one, and this user's alone."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == user and not found.st_mode & 0o077


def peer_user(connection: socket.socket) -> int:
    """Who is at the other end, by the system's word."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    user: int = _CREDENTIALS.unpack(raw)[1]
    return user


# ---- the listener


class Monitor:
    """Monitor(path, running) -> open() it in the scheduler's thread, close() it anywhere. See
    listen()."""

    def __init__(self, path: Path, running: scheduler) -> None:
        self.path = path
        self.running = running
        self._listener: socket.socket | None = None
        self._clients: set[_Client] = set()
        self._counts: Counts | None = None
        self._asked_at = 0.0
        self._alarm: Timer | None = None
        self._answer = b""
        self._answer_until = 0.0
        self._process = os.getpid()

    def open(self) -> None:
        """Begin to listen. Raises MonitorError."""
        _clear_away(self.path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            listener.bind(os.fspath(self.path))
            self.path.chmod(0o600)  # the folder, and the question who it is, guard the time before
            listener.listen(CLIENTS)
        except OSError as error:
            listener.close()
            raise MonitorError(f"cannot listen at {self.path}: {error.strerror}") from error
        self._listener = listener
        self.running.register(listener.fileno(), EPOLLIN, self._accept)
        atexit.register(self._remove_socket)

    def close(self) -> None:
        """Stop listening, let go of all that ask, remove the socket."""
        between_turns(self.running, self._close)

    def _close(self) -> None:
        if self._listener is None:
            return
        self.running.unregister(self._listener.fileno())
        self._listener.close()
        self._listener = None
        for client in list(self._clients):
            client.close()
        self._stop_counting()
        self._remove_socket()
        atexit.unregister(self._remove_socket)

    def _remove_socket(self) -> None:
        if os.getpid() == self._process:  # not in a child that was forked off
            with suppress(OSError):
                self.path.unlink()

    def _accept(self, events: int) -> None:
        if self._listener is None:
            return
        try:
            connection = self._listener.accept()[0]
        except BlockingIOError:
            return  # gone again
        except OSError as error:  # too many files open: it would be reported without an end
            log.warning("no more questions for %.0f s: %s", PAUSE_SECONDS, error)
            self.running.unregister(self._listener.fileno())
            self.running.call_later(PAUSE_SECONDS, self._go_on)
            return
        connection.setblocking(False)
        if peer_user(connection) not in (os.geteuid(), 0) or len(self._clients) >= CLIENTS:
            connection.close()
            return
        self._clients.add(_Client(self, connection))

    def _go_on(self) -> None:
        if self._listener is not None:
            self.running.register(self._listener.fileno(), EPOLLIN, self._accept)

    def forget(self, client: _Client) -> None:
        self._clients.discard(client)

    # ---- the answer

    def answer(self) -> bytes:
        """A snapshot as a line of JSON, a new one if the last was not made just now."""
        self._asked_at = now = monotonic()
        if self._counts is None:
            self._counts = Counts()
            self.running.add_instrument(self._counts)
            self._count_on()
        if now >= self._answer_until:
            taken = snapshot(self.running, self._counts, COMPONENTS)
            self._answer = to_json(taken).encode("ascii") + b"\n"
            after = monotonic()
            self._answer_until = after + REST_FACTOR * (after - now)
        return self._answer

    def _count_on(self) -> None:
        left = self._asked_at + COUNTING_SECONDS - monotonic()
        if left > 0:
            self._alarm = self.running.call_later(left, self._count_on)
        else:
            self._stop_counting()

    def _stop_counting(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        counts, self._counts = self._counts, None
        self._answer = b""  # it may be megabytes
        self._answer_until = 0.0
        if counts is not None:
            self.running.remove_instrument(counts)


class _Client:
    """One connection: reads a question, writes the answer, is over. States: asking, then
    answering (there is an answer)."""

    def __init__(self, monitor: Monitor, connection: socket.socket) -> None:
        self._monitor = monitor
        self._connection = connection
        self._question = b""
        self._answer: memoryview | None = None
        running = monitor.running
        running.register(connection.fileno(), EPOLLIN, self._ready)
        self._alarm: Timer = running.call_later(SECONDS, self.close)

    def close(self) -> None:
        self._alarm.cancel()
        self._monitor.running.unregister(self._connection.fileno())
        self._connection.close()
        self._monitor.forget(self)

    def _ready(self, events: int) -> None:
        try:
            if self._answer is None:
                self._read()
            else:
                self._write(self._answer)
        except BlockingIOError:
            return
        except OSError:  # it went away
            self.close()
        except Exception:  # a component whose name cannot be had, say, must not end the program
            log.exception("a monitor's question could not be answered")
            self.close()

    def _read(self) -> None:
        data = self._connection.recv(len(QUESTION) + 1 - len(self._question))
        self._question += data
        if self._question == QUESTION:
            self._answer = memoryview(self._monitor.answer())
            self._monitor.running.modify(self._connection.fileno(), EPOLLOUT)
        elif not data or not QUESTION.startswith(self._question):
            log.debug("a monitor's client asked %s", plain(self._question))
            self.close()

    def _write(self, left: memoryview) -> None:
        self._answer = left[self._connection.send(left[:_PIECE]) :]
        if not self._answer:
            self.close()


def _clear_away(path: Path) -> None:
    """Remove what a program that was killed has left behind. Raises MonitorError if it is alive,
    or is something else."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise MonitorError(f"cannot look at {path}: {error.strerror}") from error
    if not stat.S_ISSOCK(mode):
        raise MonitorError(f"{path} is there already and is no socket: give another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            with suppress(FileNotFoundError):
                path.unlink()
            return
        except OSError as error:
            raise MonitorError(f"{path} is in use, or not ours: {error.strerror}") from error
    raise MonitorError(f"another program listens at {path}: give another path")
