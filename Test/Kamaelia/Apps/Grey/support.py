"""
What the tests of the whole greylister share: a mail server that says what it is told to say, a
greylister in the test's own process, and a client that speaks SMTP by hand.

The mail server plays one dialogue to everybody; what a test wants otherwise it says by verb::

    backend = FakeServer(RCPT=b"550 5.1.1 no such user\\r\\n")
    backend = FakeServer(MAIL=Act.RESET)             # break the connection instead of an answer
    backend = FakeServer(DOT=[Act.DROP, OK])         # the first message's, then all others'
    backend = FakeServer(body=(1000, Act.STALL))     # after so many bytes of the message

``Grey`` runs a GreyServer in a thread, with time in the test's hand (``clock`` for decisions,
``monotonic`` for time-outs if asked for). Nothing here sleeps: whoever waits, waits for something
that the other side does, and fails after PATIENCE seconds.
"""

from __future__ import annotations

import logging
import queue
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from ipaddress import ip_network
from typing import Any, Self, TypeVar

from Axon.Component import component
from Axon.Microprocess import microprocess
from Axon.Scheduler import scheduler
from Axon.Testing import FakeClock
from Kamaelia.Apps.Grey.Config.Schema import Config
from Kamaelia.Apps.Grey.Core.Modes import Report, Verify
from Kamaelia.Apps.Grey.Core.Networks import Networks
from Kamaelia.Apps.Grey.FrontDoor.Backend import Backend
from Kamaelia.Apps.Grey.FrontDoor.BackendProbe import BackendProbe
from Kamaelia.Apps.Grey.Server import GreyServer
from Kamaelia.Apps.Grey.Store.Memory import MemoryStore
from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities

T = TypeVar("T")

PATIENCE = 15.0  # seconds, in real time, until something that never happens fails a test
FRIEND, STRANGER = "127.0.0.1", "127.0.0.77"
ABILITIES = Capabilities(50_000_000, True, True, True, True, True, True)
OK = b"250 2.0.0 Ok\r\n"
EHLO = (
    b"250-mail.example.org\r\n250-PIPELINING\r\n250-SIZE 50000000\r\n250-8BITMIME\r\n"
    b"250-SMTPUTF8\r\n250-DSN\r\n250 ENHANCEDSTATUSCODES\r\n"
)
HELLO = b"EHLO client.example\r\n"
MAIL = b"MAIL FROM:<a@example.net>\r\n"
RCPT = b"RCPT TO:<b@example.org>\r\n"
LETTER = b"Subject: x\r\n\r\nhello\r\n"
_VALUE = re.compile(r'(\w+)=("(?:\\.|[^"\\])*"(?:\.\.\.)?|\S+)')


# ---- the mail server behind


class Act(Enum):
    """What a mail server does instead of answering."""

    DROP = auto()  # close the connection properly
    RESET = auto()  # break it
    STALL = auto()  # read and say nothing more, for as long as the test runs
    SILENT = auto()  # say nothing, read on


class Gate:
    """An answer that is given when the test opens it; ``reached`` is set when it is due."""

    def __init__(self, answer: bytes | Act) -> None:
        self.reached = threading.Event()
        self._answer = answer
        self._open = threading.Event()

    def __call__(self, line: bytes) -> bytes | Act:
        self.reached.set()
        assert self._open.wait(PATIENCE)
        return self._answer

    def open(self) -> None:
        self._open.set()


Answer = bytes | Act | Callable[[bytes], "bytes | Act"]
_USUAL: dict[str, Answer] = {
    "BANNER": b"220 mail.example.org ESMTP\r\n",
    "EHLO": EHLO,
    "HELO": b"250 mail.example.org\r\n",
    "MAIL": b"250 2.1.0 Ok\r\n",
    "RCPT": b"250 2.1.5 Ok\r\n",
    "DATA": b"354 go on\r\n",
    "DOT": b"250 2.0.0 Ok: queued as 4F2\r\n",
    "RSET": OK,
    "QUIT": b"221 2.0.0 Bye\r\n",
}


class _Over(Exception):  # noqa: N818 - the end of a visit, not an error
    """The visit is over."""


@dataclass
class Visit:
    """One connection to the FakeServer: all that came, what it meant, and how it ended."""

    sock: socket.socket
    received: bytearray = field(default_factory=bytearray)
    commands: list[bytes] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)  # as they were on the wire, without the dot
    how: str = ""  # it ended: quit, dropped, reset, stalled, left (by the client), or an error
    ended: threading.Event = field(default_factory=threading.Event)
    unread: bytearray = field(default_factory=bytearray)  # the part of received not yet looked at

    def verbs(self) -> list[str]:
        """The verbs of the commands, in order."""
        return [command.split()[0].upper().decode() for command in self.commands if command.split()]


class FakeServer:
    """FakeServer(**answers) -> a mail server on loopback, in threads, that keeps every byte.

    answers: by verb, and for BANNER and DOT; a list is used up, its last item stays. body: (bytes,
    answer) for the middle of a message. receive_buffer: how much the kernel takes for us."""

    def __init__(
        self,
        *,
        body: tuple[int, Answer] | None = None,
        receive_buffer: int | None = None,
        **answers: Answer | list[Answer],
    ) -> None:
        unknown = set(answers) - set(_USUAL)
        assert not unknown, unknown
        self._answers = {
            verb: list(answer) if isinstance(answer, list) else [answer]
            for verb, answer in {**_USUAL, **answers}.items()
        }
        self._body = body
        self._lock = threading.Condition()
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self.visits: list[Visit] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        if receive_buffer is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.address: tuple[str, int] = self._listener.getsockname()
        self._start(self._accept)

    # ---- for the test

    def visit(self, number: int = 0) -> Visit:
        """The connection of that number, once it is there."""
        self.wait_for(lambda: len(self.visits) > number)
        return self.visits[number]

    def wait_for(self, condition: Callable[[], object]) -> None:
        """Wait until what came makes the condition true."""
        with self._lock:
            assert self._lock.wait_for(condition, PATIENCE), "the mail server waited in vain"

    def wait_for_verb(self, verb: str, number: int = 0) -> Visit:
        visit = self.visit(number)
        self.wait_for(lambda: verb in visit.verbs())
        return visit

    def wait_for_data(self, data: bytes, number: int = 0) -> Visit:
        """The connection of that number, once those bytes have come over it."""
        visit = self.visit(number)
        self.wait_for(lambda: data in visit.received)
        return visit

    @property
    def messages(self) -> list[bytes]:
        """All messages that got their dot."""
        return [message for visit in self.visits for message in visit.messages]

    def stop_listening(self) -> None:
        """Be down: connections are refused from now on; those that stand, stay."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # a close does not wake who accepts
        self._listener.close()

    def close(self) -> None:
        self._over.set()
        self.stop_listening()
        for visit in self.visits:
            with suppress(OSError):  # closed by its thread already
                visit.sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()

    # ---- in its threads

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return  # we are down
            visit = Visit(sock)
            with self._lock:
                self.visits.append(visit)
                self._lock.notify_all()
            self._start(self._serve, visit)

    def _serve(self, visit: Visit) -> None:
        try:
            self._act("BANNER", b"", visit)
            while visit.how != "quit":
                self._obey(self._read_to(b"\r\n", visit), visit)
        except _Over as over:
            visit.how = str(over)
        except OSError as error:
            visit.how = type(error).__name__
        visit.sock.close()
        with self._lock:
            visit.ended.set()
            self._lock.notify_all()

    def _obey(self, line: bytes, visit: Visit) -> None:
        with self._lock:
            visit.commands.append(line)
            self._lock.notify_all()
        verb = visit.verbs()[-1] if line.strip() else ""
        if verb not in self._answers:
            visit.sock.sendall(b"500 5.5.2 what?\r\n")
        elif self._act(verb, line, visit).startswith(b"354"):
            self._take_message(visit)
        if verb == "QUIT":
            visit.how = "quit"

    def _take_message(self, visit: Visit) -> None:
        visit.unread[:0] = b"\r\n"  # of the DATA command: an empty message ends at once
        if self._body is not None:
            count, answer = self._body
            while len(visit.unread) < count:
                self._read(visit)
            self._do(answer, b"", visit)
        message = self._read_to(b"\r\n.\r\n", visit) + b"\r\n"
        with self._lock:
            visit.messages.append(message[2:])
            self._lock.notify_all()
        self._act("DOT", b".", visit)

    def _act(self, verb: str, line: bytes, visit: Visit) -> bytes:
        with self._lock:
            answers = self._answers[verb]
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return self._do(answer, line, visit)

    def _do(self, answer: Answer, line: bytes, visit: Visit) -> bytes:
        if callable(answer):
            answer = answer(line)
        match answer:
            case bytes():
                visit.sock.sendall(answer)
                return answer
            case Act.DROP:
                visit.sock.shutdown(socket.SHUT_WR)
                self._read_on(visit)  # a close with bytes unread would be a reset
                raise _Over("dropped")
            case Act.RESET:
                break_at_close(visit.sock)
                raise _Over("reset")
            case Act.STALL:
                self._over.wait()
                raise _Over("stalled")
        return b""

    def _read(self, visit: Visit) -> None:
        data = visit.sock.recv(65_536)
        if not data:
            raise _Over("left")
        with self._lock:
            visit.received += data
            self._lock.notify_all()
        visit.unread += data

    def _read_on(self, visit: Visit) -> None:
        with suppress(_Over):
            while True:
                self._read(visit)

    def _read_to(self, end: bytes, visit: Visit) -> bytes:
        """What stands before that end; the end is taken away, too."""
        searched = 0
        while (at := visit.unread.find(end, searched)) < 0:
            searched = max(0, len(visit.unread) - len(end))
            self._read(visit)
        found = bytes(visit.unread[:at])
        del visit.unread[: at + len(end)]
        return found


def break_at_close(sock: socket.socket) -> None:
    """Have close() reset the connection."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


# ---- the client


class Client:
    """Client(address, source=FRIEND) -> a connection that speaks SMTP by hand.

    A reply is its lines as text, joined by a line feed; "" is the end of the connection."""

    def __init__(
        self, address: tuple[str, int], source: str = FRIEND, receive_buffer: int | None = None
    ) -> None:
        self.sock = socket.socket()
        if receive_buffer is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        # Else the kernel keeps a small piece back until the one before it was acknowledged.
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.settimeout(PATIENCE)
        self.sock.bind((source, 0))
        try:
            self.sock.connect(address)
        except OSError:
            self.sock.close()
            raise
        self._file = self.sock.makefile("rb")
        self.banner = self.reply()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def reply(self) -> str:
        lines = []
        while line := self._line():
            lines.append(line)
            if line[3:4] != "-":
                break
        return "\n".join(lines)

    def replies(self, count: int) -> list[str]:
        return [self.reply() for _ in range(count)]

    def ask(self, line: bytes) -> str:
        self.send(line)
        return self.reply()

    def begin(self, mail: bytes = MAIL) -> Self:
        """EHLO and MAIL, both taken."""
        assert self.ask(HELLO).startswith("250")
        assert self.ask(mail).startswith("250")
        return self

    def to_data(self) -> Self:
        """As far as the 354."""
        self.begin()
        assert self.ask(RCPT).startswith("250")
        assert self.ask(b"DATA\r\n").startswith("354")
        return self

    def deliver(self, letter: bytes = LETTER) -> str:
        """The rest of a message after to_data(), and the reply to it."""
        return self.ask(letter + b".\r\n")

    def is_closed(self) -> bool:
        """Whether the next thing that we hear is the end."""
        return self.reply() == ""

    def finish_sending(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        break_at_close(self.sock)
        self.close()

    def close(self) -> None:
        self._file.close()
        self.sock.close()

    def _line(self) -> str:
        try:
            line = self._file.readline()
        except ConnectionResetError:
            return ""
        assert line.endswith(b"\r\n") or not line, line
        return line.decode("ascii").rstrip("\r\n")


# ---- the greylister


class LogKeeper(logging.Handler):
    """Takes every record of the greylister; a test asks for the next that interests it."""

    LOGGERS = ("Kamaelia", "kamaelia-grey", "Axon")

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._mail: queue.Queue[str] = queue.Queue()
        self.lines: list[str] = []  # of the mail log
        self.texts: list[str] = []  # of the program's own log, with tracebacks

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == "kamaelia-grey.mail":
            self.lines.append(record.getMessage())
            self._mail.put(record.getMessage())
        else:
            self.texts.append(self.format(record))

    def attach(self) -> Self:
        for name in self.LOGGERS:
            logger = logging.getLogger(name)
            logger.addHandler(self)
            logger.setLevel(logging.INFO)
        return self

    def detach(self) -> None:
        for name in self.LOGGERS:
            logger = logging.getLogger(name)
            logger.removeHandler(self)
            # Keepers may end in any order: the last one leaves things as it found them.
            if not any(isinstance(other, LogKeeper) for other in logger.handlers):
                logger.setLevel(logging.NOTSET)

    def next_line(self, event: str) -> dict[str, str]:
        """The next line of the mail log of that kind, once it is written, as its values."""
        while True:
            try:
                values = values_of(self._mail.get(timeout=PATIENCE))
            except queue.Empty:
                raise AssertionError(f"no line with event={event} was written") from None
            if values["event"] == event:
                return values


def values_of(line: str) -> dict[str, str]:
    """The values of a line of the mail log; quotes and escapes are left as they are."""
    return dict(_VALUE.findall(line))


class NoProbe(BackendProbe):
    """Asks nobody: the test says itself what the mail server offers."""

    def main(self) -> Iterator[object]:
        while not self.told_to_stop():
            self.pause()
            yield 1


class _Watcher(microprocess):
    """Looks at a condition in each turn."""

    def __init__(self, condition: Callable[[], object]) -> None:
        super().__init__()
        self.condition = condition
        self.fulfilled = threading.Event()
        self.until = time.monotonic() + PATIENCE

    def main(self) -> Iterator[object]:
        while time.monotonic() < self.until:
            if self.condition():
                self.fulfilled.set()
                return
            yield 1


class Grey:
    """Grey(mail_server, **settings) -> a greylister that runs in a thread of its own.

    mail_server: where it is. probing: whether it is asked what it offers; otherwise it is said to
    offer ``abilities``, or nothing is known with None. monotonic: a clock for time-outs; by default
    they are in real time. settings: of Config."""

    def __init__(
        self,
        mail_server: tuple[str, int],
        *,
        probing: bool = False,
        abilities: Capabilities | None = ABILITIES,
        monotonic: FakeClock | None = None,
        **settings: Any,  # noqa: ANN401 - whatever Config has
    ) -> None:
        usual = {
            "listen": ("127.0.0.1",),
            "port": 0,
            "servername": "mx.example.org",
            "smtp_ip": mail_server[0],
            "smtp_port": mail_server[1],
            "allowed_domains": frozenset({"example.org"}),
            "allowed_senders": Networks([ip_network(FRIEND)]),
            # What most tests are not about, and would have to allow for:
            "verify_recipients": Verify.NEVER,
            "backend_connections_kept": 0,
            "max_client_connections": 0,
            "nospf": True,
            "report": Report.NONE,
            "greylist_delay": 60,
            "retry_window": 24 * 3600,
            "pass_lifetime": 36 * 24 * 3600,
            "network_prefix4": 24,
            "network_prefix6": 64,
        }
        self.clock = FakeClock(1_800_000_000.0)
        self.store = MemoryStore()
        self.log = LogKeeper().attach()
        self.scheduler = scheduler(clock=monotonic or time.monotonic)
        if monotonic is not None:
            monotonic.attach(self.scheduler)
        self.server = GreyServer(
            Config(**{**usual, **settings}), clock=self.clock, open_store=lambda: self.store
        )
        if not probing:
            pool = self.server.pool
            self.server.probes[:] = [NoProbe(each, pool) for each in pool.backends.all]
            if abilities is not None:
                self.backend.learn(abilities)
        self._clients: list[Client] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def backend(self) -> Backend:
        """The mail server behind, if there is but one."""
        (backend,) = self.server.pool.backends.all
        return backend

    def start(self) -> Self:
        self.server.activate(self.scheduler)
        self.address = self.server.addresses[0]
        self._thread.start()
        return self

    def client(self, source: str = FRIEND, receive_buffer: int | None = None) -> Client:
        client = Client(self.address, source, receive_buffer)
        self._clients.append(client)
        return client

    def call(self, function: Callable[[], T]) -> T:
        """Have it called in the scheduler's thread; what it gives."""
        given: queue.Queue[T] = queue.Queue()
        self.scheduler.call_from_thread(lambda: given.put(function()))
        return given.get(timeout=PATIENCE)

    def settle(self) -> None:
        """Until all that the kernel has for the greylister was read and dealt with."""
        for _ in range(5):
            self.call(lambda: None)

    def until(self, condition: Callable[[], object]) -> None:
        """Wait until that is true; it is looked at in the scheduler's thread."""
        watcher = _Watcher(condition)
        watcher.activate(Scheduler=self.scheduler)
        assert watcher.fulfilled.wait(PATIENCE), "waited in vain"

    def components(self) -> list[component]:
        """Every component that runs now."""
        return self.call(self.server_tree)

    def server_tree(self) -> list[component]:
        """As components(), for what runs in the scheduler's thread already."""
        return [each for each in self.scheduler.threads if isinstance(each, component)]

    def decision(self) -> dict[str, str]:
        """The next decision in the mail log."""
        return self.log.next_line("decision")

    def outcome(self) -> dict[str, str]:
        """The next line about a whole message in the mail log."""
        return self.log.next_line("message")

    def shut_down(self) -> None:
        self.scheduler.call_from_thread(lambda: self.server.shut_down("the test"))

    def wait_for_end(self) -> None:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), [str(each) for each in self.scheduler.threads]
        error, self._error = self._error, None
        if error is not None:
            raise error

    def close(self) -> None:
        until = time.monotonic() + PATIENCE
        for client in self._clients:
            client.close()
        try:
            while self._thread.is_alive() and time.monotonic() < until:
                self.shut_down()  # drain, and from the second time on do not
                self._thread.join(0.1)
            self.wait_for_end()
        finally:
            if self._thread.is_alive():
                self.scheduler.stop()
                self._thread.join(PATIENCE)
            self.scheduler._waiter.close()
            self.log.detach()

    def _run(self) -> None:
        try:
            self.scheduler.runThreads()
        except BaseException as error:  # noqa: BLE001 - raised again by wait_for_end()
            self._error = error
