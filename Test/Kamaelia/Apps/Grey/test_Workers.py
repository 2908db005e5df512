"""The supervisor of several workers: its rules, played with processes that are none, in virtual
time. Real ones are in Test/System/test_Workers.py."""

from __future__ import annotations

import errno
import gc
import logging
import os
import selectors
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise

import pytest

from Kamaelia.Apps.Grey.SystemdSockets import Notifier
from Kamaelia.Apps.Grey.Workers import (
    HELD_SIGNALS,
    Link,
    Order,
    Supervisor,
    Word,
)

KILLED = signal.SIGKILL.value
make_pair = socket.socketpair  # the real one: World puts its own in its place


class Process:
    """A worker that is none: the other end of its link."""

    def __init__(self, pid: int, number: int, link: socket.socket, born: float) -> None:
        self.pid = pid
        self.number = number
        self.link = link
        self.born = born
        self.status: int | None = None
        self.waited_for = False

    def say(self, word: Word) -> None:
        self.link.send(word.value)

    def orders(self) -> list[Order]:
        heard = []
        with suppress(BlockingIOError):
            while data := self.link.recv(100):
                heard.append(Order(data))
        return heard

    def end(self, status: int = 0) -> None:
        """status: as of waitpid()."""
        if self.status is None:
            self.status = status
            self.link.close()


class Heard(Notifier):
    """Notes what a service manager would hear."""

    def __init__(self, watchdog_seconds: float = 0.0) -> None:
        super().__init__("", watchdog_seconds)
        self.said: list[str] = []

    __slots__ = ("said",)

    def _say(self, text: str, status: str = "") -> None:
        self.said.append(text.partition("\n")[0])


Step = Callable[[], object]


class World:
    """Takes the place of the kernel for one Supervisor: steps of the test are done whenever it
    waits; when there is none left, it hears TERM and all processes end."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, count: int = 2) -> None:
        self.now = 1_000.0
        self.patience = 0.0
        self.processes: list[Process] = []
        self.killed: list[int] = []
        self.good = True
        self.checks = 0
        self.readies = 0
        self.steps: list[Step] = []
        self.obedient = True  # they end when told to
        self.no_fork = 0
        self.notifier = Heard()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._selector = selectors.PollSelector()
        monkeypatch.setattr(os, "fork", self._fork)
        monkeypatch.setattr(os, "waitpid", self._waitpid)
        monkeypatch.setattr(os, "kill", self._kill)
        monkeypatch.setattr(socket, "socketpair", self._socketpair)
        monkeypatch.setattr(selectors, "PollSelector", lambda: self)
        monkeypatch.setattr(gc, "freeze", lambda: None)
        self.ports: list[list[socket.socket]] = [[socket.socket()] for _ in range(count)]

    def run(self, *steps: Step, drain: float = 30.0, watchdog: float = 0.0) -> int:
        self.steps = list(steps)
        self.notifier = Heard(watchdog)
        supervisor = Supervisor(
            self.ports,
            lambda number, sockets, link: 0,
            self._check,
            self._ready,
            drain_seconds=lambda: drain,
            notifier=self.notifier,
            clock=lambda: self.now,
        )
        try:
            return supervisor.run()
        finally:
            self.close()

    def close(self) -> None:
        for process in self.processes:
            process.link.close()
        for pair in self._pairs:
            for end in pair:
                end.close()
        for sockets in self.ports:
            for sock in sockets:
                sock.close()

    # ---- what a test does

    def living(self) -> list[Process]:
        return [process for process in self.processes if process.status is None]

    def worker(self, number: int) -> Process:
        return next(each for each in reversed(self.processes) if each.number == number)

    def all_ready(self) -> None:
        for process in self.living():
            process.say(Word.READY)

    def signal(self, number: int) -> Step:
        return lambda: signal.raise_signal(number)

    def sleep(self, seconds: float) -> Step:
        def do() -> None:
            self.now += seconds

        return do

    def tick(self) -> None:
        """Nothing but time passes, until the supervisor has something to do by itself."""
        dead = [each for each in self.processes if each.status is not None and not each.waited_for]
        if not dead:  # else a signal would say so
            self.now += self.patience

    def beat(self) -> None:
        """The same, with all workers in good health."""
        for process in self.living():
            process.say(Word.ALIVE)
        self.tick()

    # ---- the kernel

    def _check(self) -> bool:
        self.checks += 1
        return self.good

    def _ready(self) -> None:
        self.readies += 1

    def _socketpair(self, *arguments: int) -> tuple[socket.socket, socket.socket]:
        pair = make_pair(*arguments)
        if arguments:  # a link; the other kind is for signals
            self._pairs.append((pair[1].dup(), pair[0]))
            self._pairs[-1][0].setblocking(False)
        return pair

    def _fork(self) -> int:
        if self.no_fork:
            self.no_fork -= 1
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        # Those are started in order, at the beginning; later one at a time.
        taken = {process.number for process in self.living()}
        number = next(n for n in range(1, len(self.ports) + 1) if n not in taken)
        pid = 1_000_000 + len(self.processes)
        self.processes.append(Process(pid, number, self._pairs[-1][0], self.now))
        return pid

    def _waitpid(self, pid: int, options: int) -> tuple[int, int]:
        assert options == os.WNOHANG
        process = self.processes[pid - 1_000_000]
        process.waited_for = process.status is not None
        return (0, 0) if process.status is None else (pid, process.status)

    def _kill(self, pid: int, number: int) -> None:
        assert number == signal.SIGKILL
        self.killed.append(pid)
        self.processes[pid - 1_000_000].end(KILLED)

    # ---- its selector

    def register(self, sock: socket.socket, events: int, data: object) -> None:
        self._selector.register(sock, events, data)

    def unregister(self, sock: socket.socket) -> None:
        self._selector.unregister(sock)

    def select(self, timeout: float) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout >= 0
        self.patience = timeout
        if self.steps:
            self.steps.pop(0)()
        elif self.living() and self.obedient:
            signal.raise_signal(signal.SIGTERM)
            for process in self.living():
                process.end()
        else:
            self.tick()
        return self._selector.select(0)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def said(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(record.getMessage() for record in caplog.records)


@pytest.fixture(autouse=True)
def all_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with caplog.at_level(logging.INFO, "kamaelia-grey"):
        yield
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


# ---- start and end


def test_all_are_started_and_ready_is_said_once(world: World) -> None:
    def one_ready() -> None:
        world.worker(1).say(Word.READY)

    def other_ready() -> None:
        assert world.readies == 0
        world.worker(2).say(Word.READY)

    assert world.run(one_ready, other_ready, world.all_ready) == 0
    assert [process.number for process in world.processes] == [1, 2]
    assert world.readies == 1
    assert world.notifier.said == ["READY=1", "STOPPING=1"]


def test_term_closes_the_ports_and_drains_all_without_starting_any_again(world: World) -> None:
    def look() -> None:
        assert all(sock.fileno() == -1 for sockets in world.ports for sock in sockets)
        assert world.worker(1).orders() == [Order.DRAIN]
        assert world.worker(2).orders() == [Order.DRAIN]
        world.worker(1).end()

    assert world.run(world.all_ready, world.signal(signal.SIGTERM), look, world.tick) == 0
    assert len(world.processes) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_one_is_handed_on_and_does_not_wait(world: World, number: int) -> None:
    world.obedient = False

    def look() -> None:
        assert world.worker(1).orders() == [Order.DRAIN, Order.DRAIN]

    twice = [world.signal(number)] * 2
    assert world.run(world.all_ready, *twice, look, world.sleep(4.9), world.tick, drain=600) == 0
    assert len(world.killed) == 2
    assert world.now == pytest.approx(1_005, abs=0.2)


def test_who_does_not_end_after_its_time_is_killed(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.obedient = False
    ticks = [world.tick] * 10
    assert world.run(world.all_ready, world.signal(signal.SIGTERM), *ticks, drain=30) == 0
    assert len(world.killed) == 2
    assert world.now == pytest.approx(1_040, abs=0.2)
    assert "does not end: it is killed" in said(caplog)
    assert "ended by SIGKILL" in said(caplog)


def test_signals_are_as_before_afterwards(world: World) -> None:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD)
    before = [signal.getsignal(number) for number in numbers]
    world.run(world.all_ready)
    assert [signal.getsignal(number) for number in numbers] == before


def test_a_signal_that_came_too_early_is_kept(world: World) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD_SIGNALS)
    signal.raise_signal(signal.SIGHUP)  # it would end us: there is no handler yet
    world.run(world.all_ready, world.tick)
    assert world.checks == 1


# ---- deaths


def test_who_dies_is_started_again_with_longer_and_longer_pauses(world: World) -> None:
    def die_at_once() -> None:
        if world.worker(1).status is None:
            world.worker(1).end(KILLED)
        else:
            world.beat()

    world.run(world.all_ready, *[die_at_once] * 60)
    born = [process.born for process in world.processes if process.number == 1]
    pauses = [round(later - earlier) for earlier, later in pairwise(born)]
    assert pauses[:9] == [0, 1, 2, 4, 8, 16, 32, 60, 60]
    assert [process.number for process in world.processes].count(2) == 1


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(1, 0), (2, 1), (3, 2), (4, 4), (5, 8), (6, 16), (7, 32), (8, 60), (9, 60), (5_000, 60)],
)
def test_the_pause_doubles_to_a_minute(failures: int, seconds: float) -> None:
    assert Supervisor._pause(failures) == seconds


def test_a_pause_is_kept_and_others_do_not_wait_for_it(world: World) -> None:
    def die() -> None:
        world.worker(1).end(KILLED)

    def hold() -> None:
        assert [process.number for process in world.living()] == [2]
        world.now += 0.5

    def due() -> None:
        assert [process.number for process in world.living()] == [2]
        world.now += 0.6

    world.run(world.all_ready, die, die, hold, due, world.tick)
    born = [process.born for process in world.processes if process.number == 1]
    assert born == [1_000.0, 1_000.0, pytest.approx(1_001.1)]


def test_who_has_lived_for_a_minute_is_started_again_at_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def live_and_die() -> None:
        world.now += 61
        world.all_ready()
        world.worker(1).end(KILLED)

    world.run(world.all_ready, *[live_and_die] * 3, world.tick)
    born = [process.born for process in world.processes if process.number == 1]
    assert born == [1_000.0, 1_061.0, 1_122.0, 1_183.0]
    assert "worker 1 (1000000) was ended by SIGKILL; starting it now" in said(caplog)


@pytest.mark.parametrize("code", [os.EX_CONFIG, os.EX_OSERR])
def test_what_starting_again_cannot_mend_ends_all(world: World, code: int) -> None:
    def refuse() -> None:
        world.worker(2).end(code << 8)

    def look() -> None:
        assert world.worker(1).orders() == [Order.DRAIN]
        world.worker(1).end()

    assert world.run(refuse, look, world.tick) == code
    assert len(world.processes) == 2


def test_the_same_later_is_tried_again(world: World) -> None:
    def refuse() -> None:
        world.worker(2).end(os.EX_CONFIG << 8)

    assert world.run(world.all_ready, world.tick, refuse, world.tick) == 0
    assert len(world.processes) == 3


def test_a_fork_that_fails_is_tried_again(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.no_fork = 1
    world.run(world.tick, world.sleep(1), world.tick, world.all_ready)
    assert len(world.processes) == 2
    assert "worker 1 cannot be started: Resource temporarily unavailable" in said(caplog)


# ---- those that are stuck


def test_who_says_nothing_for_a_minute_is_killed(world: World) -> None:
    def beat() -> None:
        world.worker(2).say(Word.ALIVE)
        world.now += 10

    world.run(world.all_ready, *[beat] * 9)
    assert world.killed == [1_000_000]
    assert [process.number for process in world.processes] == [1, 2, 1]


def test_a_long_sleep_of_the_machine_kills_nobody(world: World) -> None:
    world.run(world.all_ready, *[world.sleep(3_600)] * 5)
    assert world.killed == []


def test_the_watchdog_is_served_twice_as_often_as_it_wants(world: World) -> None:
    world.run(world.all_ready, *[world.tick] * 10, watchdog=4.0)
    assert world.notifier.said.count("WATCHDOG=1") == 10
    assert world.now == pytest.approx(1_020, abs=0.1)
    assert world.killed == []


# ---- reload


def test_a_good_file_goes_to_one_worker_after_the_other(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def first() -> None:
        assert world.worker(1).orders() == [Order.RELOAD]
        assert world.worker(2).orders() == []
        world.worker(1).say(Word.RELOADED)

    def second() -> None:
        assert world.worker(2).orders() == [Order.RELOAD]
        world.worker(2).say(Word.RELOADED)

    world.run(world.all_ready, world.signal(signal.SIGHUP), first, second)
    assert world.checks == 1
    assert world.notifier.said == ["READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]
    assert "all workers have the new configuration" in said(caplog)


def test_a_bad_file_goes_to_nobody(world: World) -> None:
    world.good = False

    def look() -> None:
        assert world.worker(1).orders() == []

    world.run(world.all_ready, world.signal(signal.SIGHUP), look)
    assert world.notifier.said == ["READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]


@pytest.mark.parametrize("how", ["silent", "dead", "refuses"])
def test_one_worker_does_not_keep_the_others_from_it(
    world: World, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    def first() -> None:
        if how == "silent":
            world.now += 31
        elif how == "dead":
            world.worker(1).end(KILLED)
        else:
            world.worker(1).say(Word.REFUSED)

    def second() -> None:
        assert world.worker(2).orders() == [Order.RELOAD]
        world.worker(2).say(Word.RELOADED)

    world.run(world.all_ready, world.signal(signal.SIGHUP), first, second)
    refused = "1 workers keep the configuration from before" in said(caplog)
    assert refused == (how != "dead")  # the next one of its number begins with the new file


def test_a_word_that_was_not_asked_for_is_no_matter(world: World) -> None:
    def strange() -> None:
        world.worker(1).say(Word.RELOADED)
        world.worker(2).link.send(b"what?")

    world.run(world.all_ready, strange, world.tick)
    assert world.notifier.said == ["READY=1", "STOPPING=1"]


def test_usr1_is_explained(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.run(world.all_ready, world.signal(signal.SIGUSR1), world.tick)
    assert "opened again without being told" in said(caplog)


# ---- a worker's end of the link


def test_a_link_carries_orders_and_words() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.setblocking(False)
    link = Link(theirs)
    assert link.fileno() == theirs.fileno()
    assert link.hear() is None
    ours.send(Order.RELOAD.value)
    ours.send(Order.DRAIN.value)
    assert [link.hear(), link.hear(), link.hear()] == [Order.RELOAD, Order.DRAIN, None]
    link.say(Word.ALIVE)
    assert Word(ours.recv(100)) is Word.ALIVE
    ours.close()
    link.say(Word.ALIVE)  # nobody hears it
    assert link.hear() is Order.ABANDONED
    theirs.close()


def test_a_supervisor_that_does_not_listen_does_not_hold_a_worker_up() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.setblocking(False)
    for _ in range(10_000):
        Link(theirs).say(Word.ALIVE)
    ours.close()
    theirs.close()
