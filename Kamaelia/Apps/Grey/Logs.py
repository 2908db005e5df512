"""
Where the log of the program goes
=================================
From the settings ``log_to``, ``log_format``, ``logfac``, ``verbose`` and ``greylist_debuglog`` to
the handlers of `logging`. While mail is taken a thread writes the lines: a slow disk, terminal or
syslog must not hold up anybody's mail.

Example Usage
-------------
::

    log_directly(config)               # at the start, in one thread
    listener = log_in_thread(config)   # from then on
    ...
    listener.stop()                    # all lines are written

What goes where
---------------
* ``stderr``: lines with time and level. A daemon has no standard error: its lines go to syslog, and
  until it takes mail to the terminal, too.
* ``syslog``, ``journal``: without a time, which is theirs; with a priority.
* ``file``: to greylist_debuglog alone. Otherwise that file has all in detail beside the rest.
* The rules' own log (`RULES`, switched on by ``-l``) goes where the rest goes, ``verbose`` or not.
"""

from __future__ import annotations

import logging
import logging.handlers
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from queue import SimpleQueue

from Kamaelia.Apps.Grey.Config.Schema import Config
from Kamaelia.Apps.Grey.Core.Modes import LogFormat, LogTo
from Kamaelia.Apps.Grey.Detach import Detached
from Kamaelia.Apps.Grey.Watch.Journal import JournalHandler
from Kamaelia.Apps.Grey.Watch.JsonLines import JsonLines
from Kamaelia.Apps.Grey.Watch.MailLog import RULES as RULES
from Kamaelia.Apps.Grey.Watch.MailLog import fields_of
from Kamaelia.Apps.Grey.Watch.Syslog import Syslog

LINES_WAITING = 20_000  # for the thread that logs; some 20 MB
LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"
WORKERS_LINE = "%(asctime)s %(levelname)s worker {} %(name)s: %(message)s"


def log_rules() -> None:
    """Of -l: what the access rules are, and how they match. For this process and its children."""
    logging.getLogger(RULES).setLevel(logging.DEBUG)


def log_directly(config: Config, *, to_file: bool = True, detached: Detached | None = None) -> None:
    """For a process that must not have a thread, or has not decided yet. not to_file: nor become
    the user to whom that file is to belong. detached: of a daemon."""
    _log_to(config, _handlers(config, 0, detached, to_file=to_file))


def log_in_thread(
    config: Config, worker: int = 0, detached: Detached | None = None
) -> logging.handlers.QueueListener:
    """Log through a thread. worker: the number of this process; 0: it is the only one."""
    queue: SimpleQueue[object] = SimpleQueue()
    entrance = _Entrance(queue)
    entrance.setFormatter(logging.Formatter("%(message)s"))  # the rest is added at the other end
    _log_to(config, [entrance])
    listener = logging.handlers.QueueListener(queue, *_handlers(config, worker, detached))
    listener.start()
    return listener


def _log_to(config: Config, handlers: list[logging.Handler]) -> None:
    in_detail = config.verbose or config.greylist_debuglog is not None
    level = logging.DEBUG if in_detail else logging.INFO
    logging.basicConfig(level=level, handlers=handlers, force=True)
    rules = logging.getLogger(RULES)
    if rules.level == logging.NOTSET:  # only -l: of 5,000 rules each decision would say 5,000 lines
        rules.setLevel(logging.INFO)


# ---- handlers


def _handlers(
    config: Config, worker: int, detached: Detached | None, *, to_file: bool = True
) -> list[logging.Handler]:
    target = config.log_to
    if target is LogTo.FILE and not (to_file and config.greylist_debuglog):
        target = LogTo.STDERR  # for now
    handlers = _of_target(config, target, worker, detached)
    for handler in handlers:
        handler.addFilter(_Level(logging.DEBUG if config.verbose else logging.INFO))
    if target is not LogTo.FILE and to_file and config.greylist_debuglog is not None:
        handlers.append(_file(config, worker))
    return handlers


def _of_target(
    config: Config, target: LogTo, worker: int, detached: Detached | None
) -> list[logging.Handler]:
    handlers: list[logging.Handler] = []
    if target is LogTo.STDERR:
        console = logging.StreamHandler()
        console.setFormatter(_formatter(config, worker))
        handlers.append(console)
        if detached is None:
            return handlers
        target = LogTo.SYSLOG
    elif detached is not None:  # whoever has started it is still there to see what goes wrong
        handlers.append(logging.StreamHandler())
        handlers[0].setFormatter(_formatter(config, worker))
    if detached is not None:
        for handler in handlers:
            handler.addFilter(_WhileHeard(detached))
    match target:
        case LogTo.FILE:
            handlers.append(_file(config, worker))
        case LogTo.JOURNAL:
            handlers.append(JournalHandler(_fields_with(worker)))
            handlers[-1].setFormatter(logging.Formatter("%(message)s"))
        case LogTo.SYSLOG if config.logfac == "none":
            handlers.append(logging.NullHandler())  # without any, logging would use standard error
        case LogTo.SYSLOG:
            handlers.append(Syslog(config.logfac))
            who = f"worker {worker}: " if worker else ""
            bare = logging.Formatter(f"{who}%(message)s")
            as_json = config.log_format is LogFormat.JSON
            handlers[-1].setFormatter(_formatter(config, worker) if as_json else bare)
    return handlers


def _formatter(config: Config, worker: int) -> logging.Formatter:
    if config.log_format is LogFormat.JSON:
        return JsonLines(_fields, worker)
    return logging.Formatter(WORKERS_LINE.format(worker) if worker else LINE)


def _file(config: Config, worker: int) -> logging.Handler:
    assert config.greylist_debuglog is not None  # noqa: S101 - asked before
    handler = _LogFile(config.greylist_debuglog, delay=True)
    handler.setFormatter(_formatter(config, worker))
    return handler


def _fields(record: logging.LogRecord) -> Mapping[str, str]:
    """What the mail log knows of the event of which this is the line."""
    return fields_of(getattr(record, "event", None))


def _fields_with(worker: int) -> Callable[[logging.LogRecord], Mapping[str, str]]:
    if not worker:
        return _fields
    return lambda record: {"worker": str(worker), **_fields(record)}


class _Level(logging.Filter):
    """Lets through what is at least of that level, and the rules' own log."""

    def __init__(self, level: int) -> None:
        super().__init__()
        self._level = level

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= self._level or record.name == RULES


class _WhileHeard(logging.Filter):
    """Lets lines through to a terminal until the daemon lets go of it."""

    def __init__(self, detached: Detached) -> None:
        super().__init__()
        self._detached = detached

    def filter(self, _: logging.LogRecord) -> bool:
        return not self._detached.is_silent


class _LogFile(logging.handlers.WatchedFileHandler):
    """It opens the file again when it was moved away, before the next line. A file that cannot be
    opened costs lines: an exception would end the thread that logs, or a supervisor."""

    _lost = False

    def emit(self, record: logging.LogRecord) -> None:
        try:
            super().emit(record)
        except OSError as error:
            if not self._lost and sys.stderr is not None:
                self._lost = True  # said once, and not to a log
                with suppress(OSError):
                    why = error.strerror or error
                    sys.stderr.write(f"{self.baseFilename}: {why}: its lines are lost for now\n")
        else:
            self._lost = False


class _Entrance(logging.handlers.QueueHandler):
    """To the thread that logs. What comes faster than that one writes is dropped: standard error
    may be a pipe that nobody reads."""

    queue: SimpleQueue[object]

    def enqueue(self, record: logging.LogRecord) -> None:
        if self.queue.qsize() < LINES_WAITING:
            self.queue.put_nowait(record)
