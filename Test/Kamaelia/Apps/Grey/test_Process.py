"""What may happen to a process that takes mail, with a server and a scheduler that are none; real
ones are in test_Daemon.py."""

from __future__ import annotations

import logging
import resource
import signal
import socket
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Certificates import CertificateError
from Kamaelia.Apps.Grey.Config.Schema import Config
from Kamaelia.Apps.Grey.DoorServers import MOST_PEERS
from Kamaelia.Apps.Grey.Logs import log_directly
from Kamaelia.Apps.Grey.Process import _Life, _raise_file_limit, share_of
from Kamaelia.Apps.Grey.SystemdSockets import Notifier
from Kamaelia.Apps.Grey.Workers import HELD_SIGNALS, Link, Order, Word

NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)


class FakeScheduler:
    """Does what it is asked to when the test says so."""

    def __init__(self) -> None:
        self._called = threading.Semaphore(0)
        self.calls: list[Callable[[], object]] = []
        self.later: list[tuple[float, Callable[[], object]]] = []
        self.watched: dict[int, Callable[[int], None]] = {}

    def call_from_thread(self, call: Callable[[], object]) -> None:
        self.calls.append(call)
        self._called.release()

    def do_next(self) -> None:
        assert self._called.acquire(timeout=10)
        self.calls.pop(0)()

    def call_later(self, seconds: float, call: Callable[[], object]) -> None:
        self.later.append((seconds, call))

    def register(self, fd: int, _events: int, callback: Callable[[int], None]) -> None:
        self.watched[fd] = callback

    def unregister(self, fd: int) -> None:
        del self.watched[fd]


class FakeServer:
    def __init__(self) -> None:
        self.ends: list[str] = []
        self.configs: list[Config] = []
        self.fault: Exception | None = None

    def shut_down(self, why: str) -> None:
        self.ends.append(why)

    def reload(self, config: Config) -> list[str]:
        if self.fault is not None:
            raise self.fault
        self.configs.append(config)
        return ["port"]


class Heard(Notifier):
    __slots__ = ("said",)

    def __init__(self, watchdog_seconds: float = 0.0) -> None:
        super().__init__("", watchdog_seconds)
        self.said: list[str] = []

    def _say(self, text: str, status: str = "") -> None:
        self.said.append(text.partition("\n")[0])


class Case:
    """A _Life and all that surrounds it."""

    def __init__(self, workers: int = 1, *, linked: bool = False, watchdog: float = 0.0) -> None:
        self.scheduler = FakeScheduler()
        self.server = FakeServer()
        self.notifier = Heard(watchdog)
        self.read: list[Config | None] = []
        self.reading = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()
        self.supervisor, end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        end.setblocking(False)
        self.supervisor.settimeout(10)
        self._end = end
        anything: Any = self.scheduler
        server: Any = self.server
        self.life = _Life(
            *(anything, server, workers, self._read_again, self.notifier),
            Link(end) if linked else None,
        )

    def _read_again(self) -> Config | None:
        self.reading.set()
        assert self.go_on.wait(10)
        return self.read.pop(0)

    def order(self, order: Order) -> None:
        self.supervisor.send(order.value)
        self.arrive()

    def arrive(self) -> None:
        self.scheduler.watched[self._end.fileno()](1)

    def heard(self) -> Word:
        return Word(self.supervisor.recv(100))

    def close(self) -> None:
        self.supervisor.close()
        self._end.close()


@pytest.fixture
def start(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[..., Case]]:
    handlers = {number: signal.getsignal(number) for number in NUMBERS}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    made: list[Case] = []

    def make(workers: int = 1, *, linked: bool = False, watchdog: float = 0.0) -> Case:
        made.append(Case(workers, linked=linked, watchdog=watchdog))
        made[-1].life.begin()
        return made[-1]

    with caplog.at_level(logging.INFO, "kamaelia-grey"):
        yield make
    for number, handler in handlers.items():
        signal.signal(number, handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    for each in made:
        each.close()


# ---- signals


def test_each_term_is_handed_to_the_server_between_two_turns(start: Callable[..., Case]) -> None:
    case = start()
    signal.raise_signal(signal.SIGTERM)
    assert case.server.ends == []
    case.scheduler.do_next()
    signal.raise_signal(signal.SIGINT)
    case.scheduler.do_next()
    assert case.server.ends == ["SIGTERM", "SIGINT"]
    assert case.notifier.said == ["READY=1", "STOPPING=1", "STOPPING=1"]


def test_hup_reads_in_a_thread_and_hands_over_between_two_turns(
    start: Callable[..., Case], caplog: pytest.LogCaptureFixture
) -> None:
    case = start()
    case.go_on.clear()
    config = Config(greylist_delay=5)
    case.read = [config]
    signal.raise_signal(signal.SIGHUP)
    case.scheduler.do_next()
    assert case.reading.wait(10)
    assert case.server.configs == []  # clients are served meanwhile
    case.go_on.set()
    case.scheduler.do_next()
    assert case.server.configs == [config]
    assert "port has changed: that takes a restart" in caplog.text
    assert case.notifier.said == ["READY=1", "RELOADING=1", "READY=1"]


def test_hups_during_a_reading_are_one_more(start: Callable[..., Case]) -> None:
    case = start()
    case.go_on.clear()
    case.read = [Config(greylist_delay=5), Config(greylist_delay=6)]
    for _ in range(4):
        signal.raise_signal(signal.SIGHUP)
        case.scheduler.do_next()
    case.go_on.set()
    case.scheduler.do_next()
    case.scheduler.do_next()
    assert [config.greylist_delay for config in case.server.configs] == [5, 6]
    assert case.scheduler.calls == []


class Knot:
    """It refers to itself, as the parts of a server do to each other."""

    def __init__(self) -> None:
        self.itself = self


def test_what_a_file_was_made_of_is_given_back_when_it_is_replaced(
    start: Callable[..., Case],
) -> None:
    """Else large lists stay in memory until the collector comes to them, hours later."""
    case = start()
    case.read = [Config(greylist_delay=5)]
    made = weakref.ref(Knot())
    assert made() is not None
    signal.raise_signal(signal.SIGHUP)
    case.scheduler.do_next()
    case.scheduler.do_next()
    assert made() is None


def test_a_bad_file_changes_nothing(start: Callable[..., Case]) -> None:
    case = start()
    case.read = [None]
    signal.raise_signal(signal.SIGHUP)
    case.scheduler.do_next()
    case.scheduler.do_next()
    assert case.server.configs == []
    assert case.notifier.said == ["READY=1", "RELOADING=1", "READY=1"]


def test_what_the_server_refuses_is_said_and_nothing_ends(
    start: Callable[..., Case], caplog: pytest.LogCaptureFixture
) -> None:
    case = start()
    case.read = [Config(), Config()]
    case.server.fault = CertificateError("certificate x: gone")
    signal.raise_signal(signal.SIGHUP)
    case.scheduler.do_next()
    case.scheduler.do_next()
    assert "stays as it was: certificate x: gone" in caplog.text
    case.server.fault = None
    signal.raise_signal(signal.SIGHUP)
    case.scheduler.do_next()
    case.scheduler.do_next()
    assert len(case.server.configs) == 1


def test_a_fault_in_the_reading_does_not_end_all_readings(
    start: Callable[..., Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[object] = []
    monkeypatch.setattr(threading, "excepthook", said.append)
    case = start()
    case.read = []  # IndexError
    signal.raise_signal(signal.SIGHUP)
    case.scheduler.do_next()
    case.scheduler.do_next()
    assert case.server.configs == []
    case.read = [Config()]
    signal.raise_signal(signal.SIGHUP)
    case.scheduler.do_next()
    case.scheduler.do_next()
    assert len(case.server.configs) == 1
    assert len(said) == 1


def test_a_reading_for_which_there_is_no_thread_ends_nothing(
    start: Callable[..., Case], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def none_left(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    case = start()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none_left)
        signal.raise_signal(signal.SIGHUP)
        case.scheduler.do_next()
    assert "the configuration stays as it was: can't start new thread" in caplog.text
    case.read = [Config()]
    signal.raise_signal(signal.SIGHUP)
    case.scheduler.do_next()
    case.scheduler.do_next()
    assert len(case.server.configs) == 1


def test_peers_may_need_files_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))
    for peers in ((), (("mx2", 3),)):
        _raise_file_limit(Config(listen=("127.0.0.1",), peers=peers))
    (without, _), (with_peers, _) = asked
    assert with_peers - without == MOST_PEERS


def test_usr1_is_explained(start: Callable[..., Case], caplog: pytest.LogCaptureFixture) -> None:
    case = start()
    signal.raise_signal(signal.SIGUSR1)
    case.scheduler.do_next()
    assert "opened again without being told" in caplog.text


def test_a_signal_that_came_too_early_is_kept(start: Callable[..., Case]) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_SIGNALS)
    signal.raise_signal(signal.SIGHUP)
    case = start()
    case.read = [Config()]
    case.scheduler.do_next()
    case.scheduler.do_next()
    assert len(case.server.configs) == 1
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_the_sign_of_life_is_the_schedulers(start: Callable[..., Case]) -> None:
    case = start(watchdog=4.0)
    for _ in range(3):
        seconds, call = case.scheduler.later.pop()
        assert seconds == 2.0
        call()
    assert case.notifier.said == ["READY=1", *["WATCHDOG=1"] * 4]
    assert start().scheduler.later == []  # nobody wants to hear it


# ---- a worker


def test_a_worker_has_orders_instead_of_signals(start: Callable[..., Case]) -> None:
    before = [signal.getsignal(number) for number in NUMBERS]
    case = start(workers=4, linked=True)
    assert [signal.getsignal(number) for number in NUMBERS] == before
    assert [case.heard(), case.heard()] == [Word.READY, Word.ALIVE]
    case.order(Order.DRAIN)
    case.order(Order.DRAIN)
    assert len(case.server.ends) == 2
    assert case.notifier.said == ["STOPPING=1"] * 2  # its own speaks to nobody


def test_a_worker_takes_its_share_of_a_new_configuration(start: Callable[..., Case]) -> None:
    case = start(workers=4, linked=True)
    case.read = [Config(max_connections=1_000), None]
    case.order(Order.RELOAD)
    case.scheduler.do_next()
    assert case.server.configs[0].max_connections == 250
    assert [case.heard() for _ in range(3)] == [Word.READY, Word.ALIVE, Word.RELOADED]
    case.order(Order.RELOAD)
    case.scheduler.do_next()
    assert case.heard() is Word.REFUSED


def test_a_worker_without_a_supervisor_drains(start: Callable[..., Case]) -> None:
    case = start(workers=2, linked=True)
    case.supervisor.close()
    case.arrive()
    assert len(case.server.ends) == 1
    assert case.scheduler.watched == {}  # or it would be told for ever


# ---- shares


@settings(max_examples=50)
@given(
    total=st.integers(1, 100_000),
    reserved=st.integers(0, 100_000),
    kept=st.integers(0, 1_000),
    workers=st.integers(1, 64),
)
def test_shares_are_enough_and_never_nothing(
    total: int, reserved: int, kept: int, workers: int
) -> None:
    reserved = min(reserved, total - 1)
    whole = Config(
        max_connections=total, reserved_connections=reserved, backend_connections_kept=kept
    )
    share = share_of(whole, workers)
    assert total <= share.max_connections * workers < total + workers
    assert share.reserved_connections < share.max_connections
    assert share.reserved_connections * workers <= reserved
    assert (share.backend_connections_kept > 0) == (kept > 0)
    assert share.greylist_delay == whole.greylist_delay
    assert share_of(whole, 1) is whole


# ---- logs


def test_a_debug_log_that_was_moved_away_is_opened_again(tmp_path: Path) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    path = tmp_path / "debug.log"
    try:
        root.handlers.clear()
        log_directly(Config(greylist_debuglog=path))
        logging.getLogger("test").debug("one")
        path.rename(tmp_path / "old.log")
        logging.getLogger("test").debug("two")
        assert "one" in (tmp_path / "old.log").read_text()
        assert "two" in path.read_text()
    finally:
        for handler in root.handlers[:]:
            root.removeHandler(handler)
            handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)
