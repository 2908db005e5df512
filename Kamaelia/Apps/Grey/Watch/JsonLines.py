"""
One JSON object a line
======================
For logs that a program reads: a formatter whose lines are JSON objects, with the fields of the
record, and those of the mail log beside the text.

Example Usage
-------------
>>> record = logging.LogRecord("grey", logging.INFO, "x.py", 1, "taking %s", ("mail",), None)
>>> record.created = 0.25
>>> JsonLines().format(record)
'{"time": "1970-01-01T00:00:00.250Z", "level": "INFO", "logger": "grey", "message": "taking mail"}'

All is ASCII, with escapes, so that one record is one line whatever a stranger has put into it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime


def _none(_: logging.LogRecord) -> Mapping[str, str]:
    return {}


class JsonLines(logging.Formatter):
    """JsonLines(fields=..., worker=0) -> formats records. fields: what more a record has; they
    follow the others and do not replace them. worker: the number of this process, 0: the only
    one."""

    def __init__(
        self, fields: Callable[[logging.LogRecord], Mapping[str, str]] = _none, worker: int = 0
    ) -> None:
        super().__init__()
        self._fields = fields
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, object] = {
            "time": stamp(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if self._worker:
            said["worker"] = self._worker
        if record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)
        for name, value in self._fields(record).items():
            said.setdefault(name, value)
        return json.dumps(said)


def stamp(seconds: float) -> str:
    """Seconds since the epoch as ISO 8601 with milliseconds, in UTC."""
    when = datetime.fromtimestamp(seconds, UTC)
    return f"{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond // 1000:03d}Z"
