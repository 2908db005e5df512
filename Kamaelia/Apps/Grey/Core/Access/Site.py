"""
Where the greylister runs, as its texts tell it
===============================================
Replies, headers and log lines name the program, the host and the local time. Core has no clock and
does not ask the machine for its name: whoever starts the program makes one Site of it.

>>> Site(version="1.0", host="mx.example.org").local_time(0.0).isoformat()
'1970-01-01T00:00:00+00:00'
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo


def utc(now: float) -> tzinfo:
    return UTC


@dataclass(frozen=True, slots=True)
class Site:
    """zone: the time zone that holds at a time (seconds since the epoch): summer time comes and
    goes while the program runs."""

    program: str = "kamaelia-grey"
    version: str = ""
    host: str = "localhost"
    zone: Callable[[float], tzinfo] = utc

    def local_time(self, now: float) -> datetime:
        return datetime.fromtimestamp(now, self.zone(now))


def local_fields(local: datetime) -> tuple[int, int, int, int, int]:
    """What `Subject.local` is to be.

    >>> local_fields(datetime(2026, 11, 22, 10, 30, tzinfo=UTC))
    (30, 10, 22, 11, 0)
    """
    return local.minute, local.hour, local.day, local.month, local.isoweekday() % 7
