"""The false milter-greylist, and both of our sides beside it."""

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Thread
from time import monotonic, sleep

import pytest

from Axon.Testing import FakeClock
from Kamaelia.Support.Protocol.MXSync.Commands import Add, Command, Delete, Flush
from Kamaelia.Support.Protocol.MXSync.SyncClient import (
    Established,
    Failed,
    Outcome,
    Sent,
    Skipped,
    SyncClient,
)
from Kamaelia.Support.Protocol.MXSync.SyncServer import SyncServer
from Test.Kamaelia.Protocol.mx_peer import RealPeer, parse_address, wrapped

ROOT = Path(__file__).parents[3]
US = "127.0.0.1"
MAIL = ("192.0.2.1", "<s@example.org>", "<r@example.net>")
SECONDS = 10.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(1_795_290_000.0)


@pytest.fixture
def peer(clock: FakeClock) -> Iterator[RealPeer]:
    with RealPeer(("127.0.0.1", 0), [US], clock=clock, delay=20, autowhite=3_600) as peer:
        yield peer


def wait_for(peer: RealPeer, lines: int) -> list[str]:
    """What it has said, once those are so many lines."""
    until = monotonic() + SECONDS
    while len(peer.said) < lines and monotonic() < until:
        sleep(0.001)  # it has threads of its own
    return peer.said


class Caller:
    """Our client on a socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.session = SyncClient()
        self.sock = sock

    def until_idle(self) -> list[Outcome]:
        found: list[Outcome] = []
        while self.session.waiting:
            self.sock.sendall(self.session.data_to_send())
            data = self.sock.recv(1000)
            if data:
                self.session.receive_data(data)
            else:
                self.session.receive_eof()
        while (outcome := self.session.next_outcome()) is not None:
            found.append(outcome)
        return found

    def tell(self, command: Command) -> list[Outcome]:
        assert self.session.offer(command)
        return self.until_idle()


Calling = Callable[[RealPeer], Caller]


@pytest.fixture
def calling() -> Iterator[Calling]:
    with ExitStack() as sockets:
        yield lambda peer: Caller(
            sockets.enter_context(socket.create_connection(peer.address, SECONDS))
        )


class Called:
    """Our server on a socket, for one peer at a time; it applies everything."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(SECONDS)
        self.commands: list[Command] = []

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.listener.getsockname()
        return host, port

    def begin(self, commands: int) -> Thread:
        serving = Thread(target=self.serve, args=(commands,), daemon=True)
        serving.start()
        return serving

    def serve(self, commands: int) -> None:
        """One connection, until so many commands have come; then it is closed."""
        session = SyncServer()
        session.greet()
        sock, _ = self.listener.accept()
        sock.settimeout(SECONDS)
        with sock:
            while commands:
                sock.sendall(session.data_to_send())
                data = sock.recv(1000)
                if not data:
                    return
                session.receive_data(data)
                while (command := session.next_command()) is not None:
                    self.commands.append(command)
                    session.applied(True)
                    commands -= 1
            sock.sendall(session.data_to_send())


@pytest.fixture
def called() -> Iterator[Called]:
    called = Called()
    yield called
    called.listener.close()


def test_it_is_told_by_ours_and_believes_it(calling: Calling, peer: RealPeer) -> None:
    ours = calling(peer)
    assert ours.until_idle() == [Established(3)]
    add, passed = Add(*MAIL, 1_795_290_020), Delete(*MAIL, 1_795_290_020, 1_795_293_620)
    assert ours.tell(add) == [Sent(add)]
    assert not peer.mail(*MAIL)
    assert ours.tell(passed) == [Sent(passed)]
    assert peer.mail(*MAIL)
    assert ours.tell(Flush(MAIL[0])) == [Sent(Flush(MAIL[0]))]
    assert peer.knows(*MAIL) == []
    assert ours.tell(Flush("1.2.3.4")) == [Sent(Flush("1.2.3.4"))]


def test_a_del_with_another_date_is_answered_and_does_nothing(
    calling: Calling, peer: RealPeer
) -> None:
    ours = calling(peer)
    ours.until_idle()
    ours.tell(Add(*MAIL, 1_795_290_020))
    ours.tell(Add(*MAIL, 1_795_290_020))
    assert isinstance(ours.tell(Delete(*MAIL, 1_795_290_021, 1_795_293_620))[0], Sent)
    assert [entry.auto for entry in peer.knows(*MAIL)] == [False, False]  # and one too many
    ours.tell(Delete(*MAIL, 1_795_290_020, 1_795_290_000))  # over at once
    assert len(peer.knows(*MAIL)) == 1


def test_of_two_commands_in_one_packet_it_does_the_first_and_closes(peer: RealPeer) -> None:
    with socket.create_connection(peer.address, SECONDS) as sock:
        assert sock.recv(1000) == b"200 Yeah, what do you want?\n"
        first = b"add addr 192.0.2.1 from <s@example.org> rcpt <r@example.net> date 5\r\n"
        sock.sendall(first + b"flush addr 192.0.2.1\r\n")
        assert sock.recv(1000) == b""
    assert len(peer.knows(*MAIL)) == 1


def test_a_stranger_is_sent_away(calling: Calling, peer: RealPeer) -> None:
    peer.allowed.clear()
    ours = calling(peer)
    (outcome,) = ours.until_idle()
    assert isinstance(outcome, Failed)
    assert "106" in outcome.why


@pytest.mark.parametrize("version", [1, 2])
def test_old_ones_are_spoken_to_in_their_own_words(
    calling: Calling, clock: FakeClock, version: int
) -> None:
    with RealPeer(("127.0.0.1", 0), [US], version=version, clock=clock) as old:
        ours = calling(old)
        assert ours.until_idle() == [Established(version)]
        ours.tell(Add(*MAIL, 1_795_290_020))
        ours.tell(Delete(*MAIL, 1_795_290_020, 1_795_290_500))
        (entry,) = old.knows(*MAIL)
        assert entry.auto
        assert entry.date == (1_795_290_500 if version == 2 else 1_795_290_000 + 86_400)
        assert isinstance(ours.tell(Flush(MAIL[0]))[0], Skipped)


def test_it_tells_ours_of_all_that_happens_to_a_triplet(
    peer: RealPeer, clock: FakeClock, called: Called
) -> None:
    """Line for line what a real one was heard to say."""
    peer.calls(called.address)
    serving = called.begin(commands=4)
    for seconds, lines in ((0, 2), (21, 3), (1, 4)):
        clock.advance(seconds)
        assert peer.mail(*MAIL) is (seconds > 0)
        wait_for(peer, lines)
    assert peer.flush(MAIL[0])
    assert not peer.flush(MAIL[0])
    serving.join(SECONDS)
    triplet = "addr 192.0.2.1 from <s@example.org> rcpt <r@example.net>"
    assert peer.said == [
        "vers3",
        f"add {triplet} date 1795290020",
        f"del2 {triplet} date 1795290020 aw 1795293621",
        f"del2 {triplet} date 1795293621 aw 1795293622",
        "flush addr 192.0.2.1",
    ]
    assert called.commands == [
        Add(*MAIL, 1_795_290_020),
        Delete(*MAIL, 1_795_290_020, 1_795_293_621),
        Delete(*MAIL, 1_795_293_621, 1_795_293_622),
        Flush("192.0.2.1"),
    ]


def test_after_an_outage_it_waits_for_news_and_tells_the_newest_first_with_a_wrong_date(
    peer: RealPeer, clock: FakeClock, called: Called
) -> None:
    nobody = socket.create_server(("127.0.0.1", 0))
    address = nobody.getsockname()
    nobody.close()
    peer.calls(address)
    peer.mail(*MAIL)
    until = monotonic() + SECONDS
    while not peer.peers[0].failures and monotonic() < until:
        sleep(0.001)
    assert peer.peers[0].failures == 1  # nobody hears of it
    peer.peers[0].address = called.address  # there they are; it does not look
    clock.advance(21)
    called.listener.settimeout(0.05)
    with pytest.raises(TimeoutError):
        called.serve(1)
    called.listener.settimeout(SECONDS)
    serving = called.begin(commands=2)
    assert peer.mail(*MAIL)
    serving.join(SECONDS)
    assert called.commands == [
        Delete(*MAIL, 1_795_293_621, 1_795_293_621),  # the date is that of its end
        Add(*MAIL, 1_795_290_020),
    ]


def test_a_flush_that_it_is_told_goes_on_to_its_own_peers(
    calling: Calling, peer: RealPeer, called: Called
) -> None:
    peer.mail(*MAIL)
    peer.calls(called.address)
    serving = called.begin(commands=1)
    ours = calling(peer)
    ours.until_idle()
    ours.tell(Flush(MAIL[0]))
    serving.join(SECONDS)
    assert called.commands == [Flush(MAIL[0])]


def test_its_queue_has_an_end_and_the_newest_are_lost(peer: RealPeer) -> None:
    nobody = socket.create_server(("127.0.0.1", 0))
    peer.calls(nobody.getsockname())
    nobody.close()
    for number in range(1_030):
        peer.mail(f"10.0.{number // 250}.{number % 250}", "<s@example.org>", "<r@example.net>")
    assert peer.peers[0].dropped in (5, 6)  # it may hold one in its hand


def test_autowhite_0_lets_a_mail_in_once_and_what_is_old_is_forgotten(clock: FakeClock) -> None:
    with RealPeer(("127.0.0.1", 0), clock=clock, delay=20, autowhite=0, timeout=100) as peer:
        assert not peer.mail(*MAIL)
        clock.advance(21)
        assert peer.mail(*MAIL)
        assert not peer.mail(*MAIL)
        clock.advance(121)
        assert not peer.mail(*MAIL)


def test_numbers_have_32_bits() -> None:
    assert [wrapped(text) for text in ("5", "-5", "2147483648", "abc")] == [5, -5, -(2**31), 0]


def test_as_a_program_it_does_what_it_reads() -> None:
    path = [sys.executable, "-m", "Test.Kamaelia.Protocol.mx_peer", "127.0.0.1:0", "[::1]:9"]
    lines = f"mail {' '.join(MAIL)}\nflush {MAIL[0]}\nflush {MAIL[0]}\ndump\nquit\n"
    done = subprocess.run(
        path, cwd=ROOT, input=lines, capture_output=True, text=True, timeout=20, check=True
    )
    ready, *answers = done.stdout.splitlines()
    assert ready.startswith("ready 127.0.0.1 ")
    assert answers == ["tempfail", "flushed", "unknown", "[]"]
    assert parse_address("[::1]:25") == ("::1", 25)
