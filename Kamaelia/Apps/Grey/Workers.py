"""
Several processes on one port, and the one that looks after them
================================================================
One process of Python uses one processor. With ``workers = N`` a supervisor opens the ports, forks N
workers and does nothing but watch: it takes no mail, runs no scheduler and has no thread, since a
fork copies only the thread that calls it, and whatever lock another one holds stays locked.

Example Usage
-------------
::

    ports = open_doors(doors_of(config), count=4)
    sys.exit(Supervisor(ports, work, check).run())

    def work(number, sockets, link):  # in each worker; returns its exit code
        ...

    def check():  # at HUP, in the supervisor: read the file again; is it good?
        ...

Who gets a connection
---------------------
Each worker has a socket of its own for each address (SO_REUSEPORT), and the kernel deals new
connections out evenly. With one socket for all, each connection would wake all of them, and a burst
would go to whoever is quickest: it takes up to 64 at a time, and keeps them. (Sockets that systemd
has opened are shared all the same: it gives us one for each address.)

The supervisor keeps its copies of all sockets open, so the set of them never changes while it
lives: a worker that dies, however it does, leaves its queue to the next one of its number, and
nobody is refused or reset. Only those whom it was serving see their connection end.

Rules
-----
* Orders go over a socket pair, not as signals: a terminal's Ctrl-C or ``KillMode=control-group``
  signals everybody, and a second TERM means something. Workers ignore signals.
* A worker that dies is started again: at once, then after 1, 2, 4 ... 60 seconds if it did not live
  for a minute. One that ends with a bad configuration (78) or without a port (71) before all have
  been ready for the first time ends everything, with its code.
* One that says nothing for a minute is stuck: it is killed. A client loses its connection, and no
  mail, since nothing was promised that the real mail server has not taken.
* A worker whose supervisor is gone ends, as after TERM: somebody else may want the port.
"""

from __future__ import annotations

import gc
import logging
import os
import selectors
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum
from math import ceil, inf
from types import FrameType

from Kamaelia.Apps.Grey.SystemdSockets import Notifier, close_all

log = logging.getLogger("kamaelia-grey")

BEAT_SECONDS = 10.0  # how often a worker says that it is alive
STUCK_SECONDS = 60.0
HEALTHY_SECONDS = 60.0  # who has lived so long may die once without a pause
LONGEST_PAUSE = 60.0
RELOAD_SECONDS = 30.0  # then the next worker is told, whatever this one does
GRACE_SECONDS = 10.0  # for what a drain takes longer than it should
END_SECONDS = 5.0  # the same after a second TERM
MAX_WORD = 64
_CAUGHT = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD)
# These would end a process that has no handler for them yet.
HELD_SIGNALS = (signal.SIGHUP, signal.SIGUSR1)
# Codes that starting again does not help against.
_FATAL = (os.EX_USAGE, os.EX_OSERR, os.EX_CONFIG)


class Order(Enum):
    """What a supervisor tells a worker."""

    DRAIN = b"drain"  # a second one: do not wait
    RELOAD = b"reload"
    ABANDONED = b""  # nobody said so: the other end of the link is closed


class Word(Enum):
    """What a worker tells its supervisor."""

    READY = b"ready"
    ALIVE = b"alive"
    RELOADED = b"reloaded"
    REFUSED = b"refused"  # to reload: the file is bad, or cannot be used


class Link:
    """Link(sock) -> a worker's end of what connects it with its supervisor."""

    __slots__ = ("_sock",)

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def fileno(self) -> int:
        """To be watched for input."""
        return self._sock.fileno()

    def say(self, word: Word) -> None:
        """Never waits: a supervisor that does not listen must not hold up mail."""
        with suppress(OSError):
            self._sock.send(word.value)

    def hear(self) -> Order | None:
        """The next order; None: there is none yet."""
        try:
            return Order(self._sock.recv(MAX_WORD))
        except BlockingIOError:
            return None
        except (OSError, ValueError):
            return Order.ABANDONED


Work = Callable[[int, list[socket.socket], Link], int]


class _Worker:
    """What the supervisor knows of one of them, alive or not."""

    __slots__ = ("failures", "link", "missed", "number", "pid", "ready", "start_at", "started_at")

    def __init__(self, number: int) -> None:
        self.number = number
        self.pid = 0  # 0: there is none now
        self.link: socket.socket | None = None
        self.ready = False
        self.failures = 0  # deaths in a row, each within a minute of its start
        self.missed = 0  # ticks of the supervisor without a word
        self.started_at = -inf
        self.start_at = -inf

    def tell(self, order: Order) -> None:
        if self.link is not None:
            with suppress(OSError):  # dead, or deaf: the other rules deal with both
                self.link.send(order.value)


class Supervisor:
    """Supervisor(ports, work, check, ready=..., drain_seconds=..., notifier=Notifier()) -> runs a
    worker for each item of ports, which are its sockets.

    work(number, sockets, link) is called in the worker, and gives its exit code. check() is called
    at HUP: whether the workers may reload. ready() is called once, when all of them take mail.
    drain_seconds() is how long they may take to end."""

    def __init__(
        self,
        ports: Sequence[list[socket.socket]],
        work: Work,
        check: Callable[[], bool],
        ready: Callable[[], None] = lambda: None,
        *,
        drain_seconds: Callable[[], float] = lambda: 30.0,
        notifier: Notifier | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ports = ports
        self._work = work
        self._check = check
        self._ready = ready
        self._drain_seconds = drain_seconds
        self._notifier = notifier if notifier is not None else Notifier()
        self._clock = clock
        self._workers = [_Worker(number) for number in range(1, len(ports) + 1)]
        # It has no file descriptor of its own, which the workers would share.
        self._selector = selectors.PollSelector()
        self._signals: deque[int] = deque(maxlen=100)
        self._wake, self._woken = socket.socketpair()
        watchdog = self._notifier.watchdog_seconds
        self._tick_seconds = min(BEAT_SECONDS, watchdog / 2) if watchdog else BEAT_SECONDS
        self._next_tick = clock() + self._tick_seconds
        self._was_ready = False
        self._terms = 0
        self._kill_at = inf
        self._code = os.EX_OK
        self._to_reload: deque[_Worker] = deque()
        self._reloading: _Worker | None = None
        self._reload_until = inf
        self._refused = 0

    def run(self) -> int:
        """Until TERM; returns the exit code of the program."""
        restore = self._catch_signals()
        try:
            gc.collect()
            gc.freeze()  # what is here now stays shared with the workers
            while not self._terms or any(worker.pid for worker in self._workers):
                self._start_due()
                for key, _ in self._selector.select(self._patience()):
                    key.data()
                self._obey()
                self._reap()
                self._look_after()
        finally:
            restore()
            self._selector.close()
            self._wake.close()
            self._woken.close()
        log.info("ended")
        return self._code

    # ---- signals

    def _catch_signals(self) -> Callable[[], None]:
        for end in (self._wake, self._woken):
            end.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ, self._drain_wake)
        fd = signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        before = {number: signal.signal(number, self._note) for number in _CAUGHT}
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_SIGNALS)

        def restore() -> None:
            signal.set_wakeup_fd(fd)
            for number, handler in before.items():
                signal.signal(number, handler)

        return restore

    def _note(self, number: int, _: FrameType | None) -> None:
        self._signals.append(number)  # it may interrupt anything: all else is done in the loop

    def _drain_wake(self) -> None:
        with suppress(BlockingIOError):
            while self._woken.recv(4096):
                pass

    def _obey(self) -> None:
        reload = False
        while self._signals:
            number = self._signals.popleft()
            if number in (signal.SIGTERM, signal.SIGINT):
                self._end(signal.Signals(number).name)
            elif number == signal.SIGHUP:
                reload = True  # several at once are one
            elif number == signal.SIGUSR1:
                log.info("logs that were moved away are opened again without being told")
        if reload and not self._terms:
            self._reload()

    # ---- the end

    def _end(self, why: str) -> None:
        self._terms += 1
        if self._terms == 1:
            log.info("%s: the workers have %d s to finish", why, self._drain_seconds())
            self._notifier.stopping("draining")
            # Else the kernel would go on making connections that nobody takes.
            for sockets in self._ports:
                close_all(sockets)
        patience = self._drain_seconds() + GRACE_SECONDS if self._terms == 1 else END_SECONDS
        self._kill_at = min(self._kill_at, self._clock() + patience)
        for worker in self._workers:
            worker.tell(Order.DRAIN)

    # ---- workers

    def _start_due(self) -> None:
        now = self._clock()
        for worker in self._workers:
            if not worker.pid and not self._terms and worker.start_at <= now:
                self._start(worker, now)

    def _start(self, worker: _Worker, now: float) -> None:
        for stream in (sys.stdout, sys.stderr):  # else what waits in it would be written by both
            with suppress(OSError, ValueError):  # a full disk, a pipe that nobody reads
                stream.flush()
        ends: tuple[socket.socket, ...] = ()
        try:
            ours, theirs = ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            pid = os.fork()
        except OSError as error:  # too many processes or files, or no memory: perhaps later
            close_all(list(ends))
            worker.failures += 1
            worker.start_at = now + self._pause(worker.failures + 1)
            why = error.strerror
            log.error("worker %d cannot be started: %s", worker.number, why)  # noqa: TRY400 - no fault
            return
        if pid == 0:
            ours.close()
            self._be_worker(worker, theirs)  # does not return
        theirs.close()
        ours.setblocking(False)
        worker.pid, worker.link, worker.started_at = pid, ours, now
        worker.missed, worker.ready = 0, False
        self._selector.register(ours, selectors.EVENT_READ, lambda: self._hear(worker))

    def _be_worker(self, worker: _Worker, theirs: socket.socket) -> None:
        """The rest of this process's life."""
        code = os.EX_SOFTWARE
        try:
            signal.set_wakeup_fd(-1)
            for number in _CAUGHT:
                is_child = number == signal.SIGCHLD
                signal.signal(number, signal.SIG_DFL if is_child else signal.SIG_IGN)
            own = self._ports[worker.number - 1]
            for sockets in self._ports:
                close_all([sock for sock in sockets if sock not in own])
            close_all([one.link for one in self._workers if one.link is not None])
            close_all([self._wake, self._woken])
            theirs.setblocking(False)
            code = self._work(worker.number, own, Link(theirs))
        except Exception:
            log.critical("worker %d: internal error", worker.number, exc_info=True)
        finally:
            # Nothing of what the supervisor would do at its own end.
            logging.shutdown()
            with suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _hear(self, worker: _Worker) -> None:
        if worker.link is None:
            return
        try:
            word = Word(worker.link.recv(MAX_WORD))
        except BlockingIOError:
            return
        except (OSError, ValueError):  # it has ended, or is about to: waitpid() says so
            self._drop_link(worker)
            return
        worker.missed = 0
        if word is Word.READY:
            worker.ready = True
            if not self._was_ready and all(one.ready for one in self._workers):
                self._was_ready = True
                self._ready()
                self._notifier.ready(f"{len(self._workers)} workers take mail")
        elif word in (Word.RELOADED, Word.REFUSED) and worker is self._reloading:
            self._refused += word is Word.REFUSED
            self._reload_next()

    def _drop_link(self, worker: _Worker) -> None:
        link, worker.link = worker.link, None
        if link is not None:
            self._selector.unregister(link)
            link.close()

    def _reap(self) -> None:
        for worker in self._workers:
            if worker.pid:
                # Each by its number: what others of this process have started is not ours.
                pid, status = os.waitpid(worker.pid, os.WNOHANG)
                if pid:
                    self._died(worker, os.waitstatus_to_exitcode(status))

    def _died(self, worker: _Worker, code: int) -> None:
        pid, worker.pid = worker.pid, 0
        self._drop_link(worker)
        if worker is self._reloading:
            self._reload_next()  # the next one of its number begins with the new file
        if self._terms:
            if code:
                log.warning("worker %d (%d) %s", worker.number, pid, _end_of(code))
            return
        if code in _FATAL and not self._was_ready:
            log.critical("worker %d %s: the program ends", worker.number, _end_of(code))
            self._code = code
            self._end("no worker can be started")
            return
        now = self._clock()
        lived = now - worker.started_at
        worker.failures = 1 if lived >= HEALTHY_SECONDS else worker.failures + 1
        pause = self._pause(worker.failures)
        worker.start_at = now + pause
        when = f"in {pause:.0f} s" if pause else "now"
        log.error("worker %d (%d) %s; starting it %s", worker.number, pid, _end_of(code), when)

    @staticmethod
    def _pause(failures: int) -> float:
        """Seconds before the next start, after so many deaths in a row: 0, 1, 2, 4 ... 60."""
        return 0.0 if failures <= 1 else min(LONGEST_PAUSE, 2.0 ** min(failures - 2, 10))

    # ---- reload: one worker after the other, so that some have time for mail meanwhile

    def _reload(self) -> None:
        self._notifier.reloading(time.monotonic_ns() // 1000)
        try:
            good = self._check()
        except Exception:
            # A file that nobody has thought of must not be the end of all workers.
            log.exception("internal error while the configuration was read: it stays as it was")
            good = False
        if good:
            self._refused = 0
            self._to_reload = deque(worker for worker in self._workers if worker.pid)
            self._reload_next()
        else:
            self._notifier.ready("the new configuration is bad, the old one is in force")

    def _reload_next(self) -> None:
        self._reloading, self._reload_until = None, inf
        while self._to_reload:
            worker = self._to_reload.popleft()
            if worker.pid and worker.link is not None:
                self._reloading = worker
                self._reload_until = self._clock() + RELOAD_SECONDS
                worker.tell(Order.RELOAD)
                return
        if self._refused:
            log.error("%d workers keep the configuration from before", self._refused)
        else:
            log.info("all workers have the new configuration")
        self._notifier.ready()

    # ---- time

    def _patience(self) -> float:
        """Seconds until there is something to do by itself."""
        due = [self._next_tick, self._kill_at, self._reload_until]
        if not self._terms:
            due += [worker.start_at for worker in self._workers if not worker.pid]
        return max(0.0, min(due) - self._clock())

    def _look_after(self) -> None:
        now = self._clock()
        if now >= self._reload_until:
            self._refused += 1
            self._reload_next()
        if now >= self._kill_at:
            self._kill_at = now + END_SECONDS
            for worker in self._workers:
                self._kill(worker, "does not end")
        if now >= self._next_tick:
            self._next_tick = now + self._tick_seconds
            if self._notifier.watchdog_seconds:
                self._notifier.alive()
            # Counted in ticks and not in seconds: after this machine was asleep, or we were
            # stopped, everybody has been silent for long.
            limit = ceil(STUCK_SECONDS / self._tick_seconds)
            for worker in self._workers:
                worker.missed += 1
                if worker.missed > limit and not self._terms:
                    self._kill(worker, f"has said nothing for {STUCK_SECONDS:.0f} s")

    def _kill(self, worker: _Worker, why: str) -> None:
        if worker.pid:  # not waited for yet, so the number is still its own
            log.critical("worker %d (%d) %s: it is killed", worker.number, worker.pid, why)
            os.kill(worker.pid, signal.SIGKILL)


def _end_of(code: int) -> str:
    if code < 0:
        with suppress(ValueError):
            return f"was ended by {signal.Signals(-code).name}"
        return f"was ended by signal {-code}"
    return f"ended with code {code}"
