"""
One process that takes mail
===========================
What surrounds a GreyServer in its process, be it the only one or a worker: logging through a
thread, settings of the interpreter, the limit of open files, and the two things that may happen to
it from outside, an end and a new configuration. They come as signals, or from the supervisor over
a Link.

Example Usage
-------------
::

    code = serve(config, open_ports(addresses)[0], read_again=lambda: load(path))

Reload
------
The file is read in a thread, and clients are served meanwhile. What comes out of it is handed to
``GreyServer.reload`` between two turns of components: a session has the rules with which it began.
HUPs that come while a file is read are one more reading.
"""

from __future__ import annotations

import gc
import logging
import logging.handlers
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from math import ceil
from queue import SimpleQueue
from types import FrameType

from Axon.Scheduler import scheduler
from Axon.Waiter import EPOLLIN
from Kamaelia.Apps.Grey import OwnComponents
from Kamaelia.Apps.Grey.Config.Schema import Config
from Kamaelia.Apps.Grey.Server import GreyServer
from Kamaelia.Apps.Grey.SystemdSockets import Notifier
from Kamaelia.Apps.Grey.Workers import BEAT_SECONDS, HELD_SIGNALS, Link, Order, Word

log = logging.getLogger("kamaelia-grey")

SWITCH_SECONDS = 0.0005
OTHER_FILES = 300
LINES_WAITING = 20_000  # for the thread that logs; some 20 MB
LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"
WORKERS_LINE = "%(asctime)s %(levelname)s worker {} %(name)s: %(message)s"
ReadAgain = Callable[[], Config | None]


def share_of(config: Config, workers: int) -> Config:
    """The configuration of one worker of so many: limits of the whole program are divided.

    Those for one client stay as they are: its connections may all come to one worker."""
    if workers == 1:
        return config
    return replace(
        config,
        max_connections=ceil(config.max_connections / workers),
        reserved_connections=config.reserved_connections // workers,
        memory_limit=config.memory_limit // workers,
        backend_connections_kept=ceil(config.backend_connections_kept / workers),
    )


def serve(
    config: Config,
    sockets: list[socket.socket],
    read_again: ReadAgain,
    ready: Callable[[], None] = lambda: None,
    *,
    notifier: Notifier | None = None,
    workers: int = 1,
    number: int = 0,
    link: Link | None = None,
) -> int:
    """Take mail until told to end; returns the exit code.

    sockets: listening ones. read_again: gives the configuration from now on, or None if the one
    before stays; called in a thread. ready: called once mail is taken. workers: how many processes
    share the limits of the configuration. number and link: of a worker."""
    listener = log_in_thread(config, WORKERS_LINE.format(number) if number else LINE)
    try:
        running: scheduler = scheduler.run
        share = share_of(config, workers)
        server = GreyServer(share, listening=sockets)
        try:
            server.activate()
        except OSError as error:
            log.critical("%s", error.strerror or error)
            return os.EX_OSERR
        life = _Life(running, server, workers, read_again, notifier or Notifier(), link)
        life.begin()
        ready()
        _tune()
        _raise_file_limit(share)
        try:
            running.runThreads()
        except Exception:
            log.critical("internal error, the program ends", exc_info=True)
            return os.EX_SOFTWARE
        log.info("ended")
        return os.EX_OK
    finally:
        listener.stop()


class _Life:
    """What may happen to a running server. All but its signal handlers and _read() is called in
    the scheduler's thread."""

    def __init__(
        self,
        running: scheduler,
        server: GreyServer,
        workers: int,
        read_again: ReadAgain,
        notifier: Notifier,
        link: Link | None,
    ) -> None:
        self._running = running
        self._server = server
        self._workers = workers
        self._read_again = read_again
        self._notifier = notifier
        self._link = link
        self._reading = False
        self._once_more = False

    def begin(self) -> None:
        """From now on signals and orders are obeyed, and whoever waits for us knows that we are
        ready."""
        if self._link is None:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._on_end)
            signal.signal(signal.SIGHUP, self._on_reload)
            signal.signal(signal.SIGUSR1, self._on_reopen)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_SIGNALS)
            self._notifier.ready("taking mail")
            if self._notifier.watchdog_seconds:
                self._beat(self._notifier.watchdog_seconds / 2, self._notifier.alive)
            return
        link = self._link
        self._running.register(link.fileno(), EPOLLIN, self._on_order)
        link.say(Word.READY)
        self._beat(BEAT_SECONDS, lambda: link.say(Word.ALIVE))

    def _beat(self, seconds: float, alive: Callable[[], None]) -> None:
        # By a timer of the scheduler: if that is stuck, nobody hears of us any more.
        alive()
        self._running.call_later(seconds, lambda: self._beat(seconds, alive))

    # A handler may interrupt anything: have it done between two turns of components.

    def _on_end(self, number: int, _: FrameType | None) -> None:
        why = signal.Signals(number).name
        self._running.call_from_thread(lambda: self._end(why))

    def _on_reload(self, _number: int, _frame: FrameType | None) -> None:
        self._running.call_from_thread(self._reload)

    def _on_reopen(self, _number: int, _frame: FrameType | None) -> None:
        self._running.call_from_thread(
            lambda: log.info("logs that were moved away are opened again without being told")
        )

    def _on_order(self, _events: int) -> None:
        link = self._link
        while link is not None and (order := link.hear()) is not None:
            if order is Order.RELOAD:
                self._reload()
                continue
            if order is Order.ABANDONED:
                self._running.unregister(link.fileno())
                log.critical("the supervisor is gone")
            self._end("the supervisor says so")
            if order is Order.ABANDONED:
                return

    def _end(self, why: str) -> None:
        self._notifier.stopping("draining")
        self._server.shut_down(why)

    def _reload(self) -> None:
        if self._reading:
            self._once_more = True
            return
        self._reading = True
        self._notifier.reloading(time.monotonic_ns() // 1000)
        threading.Thread(target=self._read, name="reload", daemon=True).start()

    def _read(self) -> None:
        config: Config | None = None
        try:
            config = self._read_again()
        finally:  # whatever it raised: the next HUP is to be heard
            self._running.call_from_thread(lambda: self._take(config))

    def _take(self, config: Config | None) -> None:
        self._reading = False
        word = Word.REFUSED
        if config is not None:
            try:
                for name in self._server.reload(share_of(config, self._workers)):
                    log.warning("%s has changed: that takes a restart", name)
                word = Word.RELOADED
            except (ValueError, OwnComponents.OwnComponentError) as error:
                # A CertificateError, or limits that do not go with what takes a restart.
                log.error("the configuration stays as it was: %s", error)  # noqa: TRY400 - no fault
        if word is Word.RELOADED:
            log.info("new sessions have the new configuration")
        self._notifier.ready("taking mail")
        if self._link is not None:
            self._link.say(word)
        if self._once_more:
            self._once_more = False
            self._reload()


# ---- logs


def log_directly(config: Config, *, to_file: bool = True) -> None:
    """For a process that must not have a thread, or has not decided yet. not to_file: nor become
    the user to whom that file is to belong."""
    _log_to(config, _handlers(config, LINE)[: None if to_file else 1])


def log_in_thread(config: Config, line: str = LINE) -> logging.handlers.QueueListener:
    """Log through a thread: a slow disk or terminal must not hold up mail."""
    queue: SimpleQueue[object] = SimpleQueue()
    entrance = _Entrance(queue)
    entrance.setFormatter(logging.Formatter("%(message)s"))  # the rest is added at the other end
    _log_to(config, [entrance])
    listener = logging.handlers.QueueListener(
        queue, *_handlers(config, line), respect_handler_level=True
    )
    listener.start()
    return listener


def _handlers(config: Config, line: str) -> list[logging.Handler]:
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    handlers[0].setLevel(logging.INFO)
    if config.greylist_debuglog is not None:
        handlers.append(_LogFile(config.greylist_debuglog, delay=True))
    for handler in handlers:
        handler.setFormatter(logging.Formatter(line))
    return handlers


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


def _log_to(config: Config, handlers: list[logging.Handler]) -> None:
    level = logging.DEBUG if config.greylist_debuglog is not None else logging.INFO
    logging.basicConfig(level=level, handlers=handlers, force=True)


# ---- the process itself


def _tune() -> None:
    """Settings of the interpreter that are an application's business, not a library's."""
    # A thread that has the interpreter may keep it for this long, 5 ms by default. The threads for
    # the store and the log have short work to do, and all clients wait meanwhile.
    sys.setswitchinterval(SWITCH_SECONDS)
    # A connection that has ended is freed by reference counting, so the collector has next to
    # nothing to find; a short connection costs an eighth less if it looks less often.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def _raise_file_limit(config: Config) -> None:
    """Allow the open files that max_connections needs, as far as the system lets us."""
    # For each client its socket and one to the real server, and one for as many that have gone
    # and whose mail is not answered yet; then the store, logs, ports, a margin.
    needed = 3 * config.max_connections + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        if allowed < needed:
            log.warning(
                "max_connections = %d may need %d open files, the system allows %d (ulimit -n)",
                config.max_connections,
                needed,
                allowed,
            )
