"""
What systemd hands to a service, and what it wants to hear
==========================================================
Listening sockets that it has opened (socket activation, sd_listen_fds(3)), and short messages to
the socket in NOTIFY_SOCKET (sd_notify(3)): ready, reloading, stopping, and a sign of life every so
often. Everywhere else there are no such variables, and all of this does nothing.

Example Usage
-------------
::

    sockets = take_inherited(os.environ)  # [] without systemd
    service = Notifier.from_environment(os.environ)
    ...
    service.ready("taking mail")
    every(service.watchdog_seconds / 2, service.alive)

Rules
-----
* The variables are taken out of the environment, so that no child of ours believes they are for it.
* Sockets that are no listening streams are an error: a unit that hands us something else would take
  no mail, and nobody would know why.
* A message is dropped when it cannot be sent: systemd's absence must not harm mail.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

log = logging.getLogger(__name__)

FIRST_FD = 3  # SD_LISTEN_FDS_START
MAX_SOCKETS = 256
MAX_STATUS = 200
Environment = MutableMapping[str, str]


class SystemdError(ValueError):
    """The sockets or variables that were handed to us cannot be used: which, and why."""


@dataclass(frozen=True, slots=True)
class Inherited:
    """A listening socket, and the FileDescriptorName= of its unit ("" if there is none)."""

    sock: socket.socket
    name: str


def take_inherited(environment: Environment, first_fd: int = FIRST_FD) -> list[Inherited]:
    """The sockets that were handed to this process, in their order. Raises SystemdError."""
    count, pid, names = (
        environment.pop(f"LISTEN_{name}", "") for name in ("FDS", "PID", "FDNAMES")
    )
    if not count or pid != str(os.getpid()):
        return []
    if not count.isascii() or not count.isdigit() or not 0 < int(count[:9]) <= MAX_SOCKETS:
        raise SystemdError(f"LISTEN_FDS = {count[:20]!r} is not a number from 1 to {MAX_SOCKETS}")
    called = names.split(":")
    taken: list[Inherited] = []
    try:
        for number in range(int(count)):
            name = called[number] if number < len(called) else ""
            taken.append(Inherited(_listener(first_fd + number, name), name))
    except SystemdError:
        for each in taken:
            each.sock.close()
        raise
    return taken


def _listener(fd: int, name: str) -> socket.socket:
    where = f"file descriptor {fd} ({name or 'without a name'}) from systemd"
    try:
        sock = socket.socket(fileno=fd)
    except OSError as error:
        raise SystemdError(f"{where} is no socket: {error.strerror}") from error
    ours = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)
    is_stream = sock.family in ours and sock.type == socket.SOCK_STREAM
    if not is_stream or not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        sock.detach()  # it is not ours to close
        raise SystemdError(f"{where} is no listening stream: use ListenStream= and Accept=no")
    os.set_inheritable(fd, False)
    sock.setblocking(False)
    return sock


class Notifier:
    """Notifier(path="", watchdog_seconds=0.0) -> says to the service manager how we are.

    path: as in NOTIFY_SOCKET, an absolute path or "@" and a name; "": nobody listens.
    watchdog_seconds: it wants to hear alive() at least so often; 0: never."""

    __slots__ = ("_address", "_failed", "watchdog_seconds")

    def __init__(self, path: str = "", watchdog_seconds: float = 0.0) -> None:
        if path and path[0] not in "/@":
            raise SystemdError(f"NOTIFY_SOCKET = {path[:100]!r} is no path and has no @")
        # "@" stands for the zero byte of a name that is in no folder (unix(7), abstract).
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self._failed = False
        self.watchdog_seconds = watchdog_seconds

    @classmethod
    def from_environment(cls, environment: Environment) -> Self:
        """What the variables say, which are taken away. Raises SystemdError."""
        path = environment.pop("NOTIFY_SOCKET", "")
        usec = environment.pop("WATCHDOG_USEC", "")
        pid = environment.pop("WATCHDOG_PID", "")
        if not usec or (pid and pid != str(os.getpid())):
            return cls(path)
        if not usec.isascii() or not usec.isdigit() or int(usec[:16]) == 0:
            raise SystemdError(f"WATCHDOG_USEC = {usec[:20]!r} is no number above 0")
        return cls(path, int(usec[:16]) / 1e6)

    def ready(self, status: str = "") -> None:
        """We do our work (again, after reloading())."""
        self._say("READY=1", status)

    def reloading(self, monotonic_usec: int) -> None:
        """The configuration is being read again; ready() is its end.

        monotonic_usec: CLOCK_MONOTONIC now, by which systemd knows that it was not before its
        order."""
        self._say(f"RELOADING=1\nMONOTONIC_USEC={monotonic_usec}", "reading the configuration")

    def stopping(self, status: str = "") -> None:
        self._say("STOPPING=1", status)

    def alive(self) -> None:
        """The sign of life; without it we are started again."""
        self._say("WATCHDOG=1")

    def _say(self, text: str, status: str = "") -> None:
        if not self._address:
            return
        if status:
            # A line is a variable of its own: none may come out of what we say.
            text += "\nSTATUS=" + status[:MAX_STATUS].replace("\n", " ")
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                sock.setblocking(False)  # a manager that hangs must not hold up mail
                sock.sendto(text.encode("utf-8"), self._address)
        except OSError as error:
            if not self._failed:
                self._failed = True  # once: alive() would say it every few seconds
                log.warning("the service manager cannot be told anything: %s", error.strerror)


def close_all(sockets: list[socket.socket]) -> None:
    """Close them, whatever one of them says."""
    for sock in sockets:
        with suppress(OSError):
            sock.close()
