"""
Lines for systemd's journal, with fields
========================================
A logging handler that speaks the journal's own protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): one
datagram an entry, made of fields. So ``journalctl GREY_CLIENT=192.0.2.7`` finds a client's
decisions, and a level stays a level.

Example Usage
-------------
::

    logging.getLogger().addHandler(JournalHandler())

>>> encoded({"MESSAGE": "one", "GREY_TO": "two\\nlines"}) == (
...     b"MESSAGE=one\\n" + b"GREY_TO\\n" + (9).to_bytes(8, "little") + b"two\\nlines\\n")
True

Rules
-----
* A name of a field is upper-case letters, digits and ``_``, at most 64; others are left out.
* A value is cut at 32 KiB, so that an entry fits into a datagram.
* A journal that is not there, or does not listen, costs lines and nothing else; that is said once.
"""

from __future__ import annotations

import logging
import re
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress

ADDRESS = "/run/systemd/journal/socket"
VALUE_BYTES = 32 << 10
SEND_SECONDS = 0.5  # a journal that hangs must not hold up whoever logs for longer
PREFIX = "GREY_"
# Priorities of syslog(3) for the levels of logging.
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_is_name = re.compile(r"[A-Z][A-Z0-9_]{0,63}", re.ASCII).fullmatch
Fields = Callable[[logging.LogRecord], Mapping[str, str]]


def priority_of(level: int) -> int:
    """Of syslog: 2 critical, 3 error, 4 warning, 6 info, 7 debug."""
    return next((number for limit, number in _PRIORITIES if level >= limit), 7)


def encoded(fields: Mapping[str, str]) -> bytes:
    """The datagram."""
    parts: list[bytes] = []
    for name, text in fields.items():
        if not _is_name(name):
            continue
        value = text.encode("utf-8", "backslashreplace")[:VALUE_BYTES]
        if b"\n" in value:  # then its length goes before it, or one could write fields of his own
            parts += [name.encode(), b"\n", len(value).to_bytes(8, "little"), value, b"\n"]
        else:
            parts += [name.encode(), b"=", value, b"\n"]
    return b"".join(parts)


class JournalHandler(logging.Handler):
    """JournalHandler(fields=..., address=ADDRESS) -> each record an entry. fields: what more a
    record has, by names in lower case."""

    def __init__(
        self,
        fields: Fields = lambda _: {},
        address: str = ADDRESS,
        identifier: str = "kamaelia-grey",
    ) -> None:
        super().__init__()
        self._fields = fields
        self._address = address
        self._identifier = identifier
        self._sock: socket.socket | None = None
        self._failed = False

    def emit(self, record: logging.LogRecord) -> None:
        fields = {
            "MESSAGE": self.format(record),
            "PRIORITY": str(priority_of(record.levelno)),
            "SYSLOG_IDENTIFIER": self._identifier,
            "LOGGER": record.name,
            "CODE_FILE": record.pathname,
            "CODE_LINE": str(record.lineno),
            "THREAD_NAME": record.threadName or threading.current_thread().name,
        }
        for name, value in self._fields(record).items():
            fields[PREFIX + name.upper()] = value
        try:
            self._send(encoded(fields))
        except OSError as error:
            self._say(error)
        else:
            self._failed = False

    def close(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None
        super().close()

    def _send(self, data: bytes) -> None:
        if self._sock is None:
            self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._sock.settimeout(SEND_SECONDS)
        # Not connected: a journal that was started again has another socket of that name.
        self._sock.sendto(data, self._address)

    def _say(self, error: OSError) -> None:
        if not self._failed and sys.stderr is not None:
            self._failed = True
            with suppress(OSError):
                why = error.strerror or error
                sys.stderr.write(f"the journal, {self._address}: {why}: lines are lost for now\n")
