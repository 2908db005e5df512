"""
Lines for syslog
================
A logging handler for the socket of the local syslog, with a facility of its own and the priority of
each level: what /etc/syslog.conf or rsyslog sort by. The lines are those that milter-greylist's
administrators know: ``kamaelia-grey[4711]: text``.

Example Usage
-------------
::

    logging.getLogger().addHandler(Syslog("mail"))

>>> Syslog("local3", address="/nowhere/log").facility
19

Rules. One record is one line: line ends in it become ``#012``, as rsyslog writes them. A text is
cut at 8,000 bytes. A syslog that is not there costs lines, and that is said once.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import socket
import sys
from contextlib import suppress

from Kamaelia.Apps.Grey.Watch.Journal import SEND_SECONDS, priority_of

ADDRESS = "/dev/log"
LINE_BYTES = 8_000  # RFC 5424 6.1 asks for 2,048 at least; rsyslog takes 8 KiB
FACILITIES = logging.handlers.SysLogHandler.facility_names


class Syslog(logging.Handler):
    """Syslog(facility="mail", address="/dev/log") -> each record a line there."""

    def __init__(
        self, facility: str = "mail", address: str = ADDRESS, identifier: str = "kamaelia-grey"
    ) -> None:
        super().__init__()
        self.facility = FACILITIES[facility]
        self._address = address
        self._identifier = identifier
        self._sock: socket.socket | None = None
        self._failed = False

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record).replace("\n", "#012").replace("\0", "#000")
        head = f"<{self.facility * 8 + priority_of(record.levelno)}>{self._identifier}"
        line = f"{head}[{os.getpid()}]: {text}".encode("utf-8", "backslashreplace")[:LINE_BYTES]
        try:
            if self._sock is None:
                self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                self._sock.settimeout(SEND_SECONDS)
            # Not connected: a syslog that was started again has another socket of that name.
            self._sock.sendto(line, self._address)
        except OSError as error:
            self._say(error)
        else:
            self._failed = False

    def close(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None
        super().close()

    def _say(self, error: OSError) -> None:
        if not self._failed and sys.stderr is not None:
            self._failed = True
            with suppress(OSError):
                why = error.strerror or error
                sys.stderr.write(f"syslog, {self._address}: {why}: lines are lost for now\n")
