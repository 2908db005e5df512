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

    code = serve(config, open_doors(doors_of(config))[0], read_again=lambda: load(path))

Reload
------
The file is read in a thread, and clients are served meanwhile. What comes out of it is handed to
``GreyServer.reload`` between two turns of components: a session has the rules with which it began.
HUPs that come while a file is read are one more reading.

A file that has changed is as good as a HUP (`watched`). Of several workers the first one looks, and
sends its supervisor that signal, so that all of them read the same.
"""

from __future__ import annotations

import gc
import logging
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import ceil
from types import FrameType

from Axon.Component import component
from Axon.Ipc import producerFinished
from Axon.Scheduler import scheduler
from Axon.Waiter import EPOLLIN
from Kamaelia.Apps.Grey import OwnComponents
from Kamaelia.Apps.Grey.Config.Schema import Config
from Kamaelia.Apps.Grey.Detach import Detached
from Kamaelia.Apps.Grey.DoorServers import MOST_PEERS
from Kamaelia.Apps.Grey.Logs import log_in_thread
from Kamaelia.Apps.Grey.Server import GreyServer
from Kamaelia.Apps.Grey.SystemdSockets import Notifier
from Kamaelia.Apps.Grey.Watch.FileWatch import FileWatch, Seen
from Kamaelia.Apps.Grey.Workers import BEAT_SECONDS, HELD_SIGNALS, Link, Order, Word

log = logging.getLogger("kamaelia-grey")

SWITCH_SECONDS = 0.0005
OTHER_FILES = 300
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
    watched: Seen | None = None,
    detached: Detached | None = None,
) -> int:
    """Take mail until told to end; returns the exit code.

    sockets: listening ones. read_again: gives the configuration from now on, or None if the one
    before stays; called in a thread. ready: called once mail is taken. workers: how many processes
    share the limits of the configuration. number and link: of a worker. watched: the file of the
    configuration, which is read when it changes. detached: of a daemon."""
    listener = log_in_thread(config, number, detached)
    try:
        running: scheduler = scheduler.run
        share = share_of(config, workers)
        server = GreyServer(share, listening=sockets, writes_dumps=number in (0, 1))
        try:
            server.activate()
        except OSError as error:
            log.critical("%s", error.strerror or error)
            return os.EX_OSERR
        life = _Life(running, server, workers, read_again, notifier or Notifier(), link)
        life.begin()
        if watched is not None and number in (0, 1):
            _start_watching(server, watched, life.file_changed)
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


def _start_watching(server: component, seen: Seen, act: Callable[[], None]) -> None:
    watcher = _Watcher(FileWatch(seen), act).activate()
    server.call_on_close(lambda: watcher.inboxes["control"].deliver(producerFinished(server)))


class _Watcher(component):
    """_Watcher(watch, act) -> starts the watch, and calls act() for each change."""

    Inboxes = {
        "inbox": "Path: a file that has changed",
        "control": "producerFinished or shutdownMicroprocess: end, and the watch with it",
    }
    Outboxes = {
        "outbox": "object: unused",
        "signal": "the shutdown that came in, for the watch",
    }

    def __init__(self, watch: component, act: Callable[[], None]) -> None:
        super().__init__()
        self._watch = watch
        self._act = act

    def main(self) -> Iterator[object]:
        self.link((self._watch, "outbox"), (self, "inbox"))
        self.link((self, "signal"), (self._watch, "control"))
        self.addChildren(self._watch.activate())
        while (stop := self.told_to_stop()) is None:
            for _ in self.Inbox("inbox"):
                self._act()
            if not self.anyReady():
                self.pause()
            yield 1
        self.send(stop, "signal")


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
        self._parent = os.getppid()

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

    def file_changed(self) -> None:
        """Have it read. A worker leaves that to its supervisor, who then tells all of them."""
        if self._link is None:
            self._reload()
        elif os.getppid() == self._parent:  # else it is gone, and so are we soon
            os.kill(self._parent, signal.SIGHUP)

    def _reload(self) -> None:
        if self._reading:
            self._once_more = True
            return
        self._reading = True
        self._notifier.reloading(time.monotonic_ns() // 1000)
        try:
            threading.Thread(target=self._read, name="reload", daemon=True).start()
        except RuntimeError as error:  # none is to be had now: no reason to end
            log.error("the configuration stays as it was: %s", error)  # noqa: TRY400 - no fault
            self._take(None)

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
            # What the one before was made of has cycles, may be large, and else stays for hours.
            gc.collect()
        self._notifier.ready("taking mail")
        if self._link is not None:
            self._link.say(word)
        if self._once_more:
            self._once_more = False
            self._reload()


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
    # Other doors have a socket for each connection, and as many of them at the most.
    others = sum(place is not None for place in (config.socket, config.policy_socket))
    needed = (3 * bool(config.listens) + others) * config.max_connections + OTHER_FILES
    needed += MOST_PEERS * bool(config.peers)
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
