"""
The clients: many SMTP sessions from one epoll loop
===================================================
Started by sessions.py with a Plan as JSON::

    load.py '{"dialogue": "message", "port": 2525, "connections": 32, ...}'

prints an Outcome as JSON. A client's side of SMTP is a generator (`Dialogue`): it yields what to
say and is sent the reply, so a session reads like its transcript. No smtplib and no threads: the
generator of load must cost much less than what it measures.

The run is a closed loop: each connection begins its next piece of work when the last is answered.
When the time is up nothing new is begun, and what is under way is seen to its end, so that each
message is either acknowledged or never was: sessions.py compares that with what the sink has.

Clients come from 127.0.0.0/8: friends all from one network, as a greylister counts them, strangers
each from another.
"""

from __future__ import annotations

import base64
import json
import random
import select
import socket
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass, field

HOST = "127.0.0.1"
FRIENDS = 100  # triplets that a greylister knows
READ_BYTES = 65_536
REPLY_BYTES = 65_536
ERRORS = 20  # after so many the run ends
WARM_SHARE = 0.1  # of the time: it counts for the loss check, not for the rates
FINISH_SECONDS = 15.0
BIND_ADDRESS_NO_PORT = 24  # IP_BIND_ADDRESS_NO_PORT: else 28,000 ports were all we had

Dialogue = Generator[bytes, bytes, None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do. ``first`` is the number of the first piece of work; none is used twice."""

    dialogue: str
    port: int
    connections: int
    each: int  # pieces of work on a connection
    size: int  # bytes of a message
    seconds: float
    first: int
    limit: int | None = None  # pieces of work in all


@dataclass(slots=True)
class Outcome:
    """What was done. Rates and latencies are of the time after the warm-up."""

    done: int = 0
    number_sum: int = 0
    deferred: int = 0  # RCPTs that were answered with 4xx
    last: int = 0
    errors: int = 0
    first_error: str = ""
    per_second: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    cpu_seconds: float = 0.0


class UnexpectedError(Exception):
    """A reply that does not belong there."""


@dataclass(slots=True)
class Work:
    """What the dialogues of a run share."""

    plan: Plan
    outcome: Outcome
    starts: float
    ends: float
    body: bytes
    next_number: int
    latencies: list[float] = field(default_factory=list)

    def over(self) -> bool:
        limit = self.plan.limit
        if limit is not None and self.next_number >= self.plan.first + limit:
            return True
        return time.monotonic() >= self.ends or self.outcome.errors >= ERRORS

    def take_number(self) -> int:
        self.next_number += 1
        return self.next_number

    def finished(self, number: int, began: float) -> None:
        now = time.monotonic()
        self.outcome.done += 1
        self.outcome.number_sum += number
        if self.starts <= now <= self.ends:
            self.latencies.append(now - began)


def expect(code: bytes, reply: bytes) -> None:
    if not reply.startswith(code):
        raise UnexpectedError(f"{reply[:80]!r} instead of {code.decode()}")


# ---- the dialogues


def session(work: Work, piece: Callable[[Work, float], Dialogue], opened: float) -> Dialogue:
    """Greeting, pieces of work, QUIT. The only piece of a connection is timed from its opening."""
    expect(b"220", (yield b""))
    expect(b"250", (yield b"EHLO client.example.net\r\n"))
    for index in range(work.plan.each):
        if index and work.over():
            break
        yield from piece(work, opened if work.plan.each == 1 else time.monotonic())
    expect(b"221", (yield b"QUIT\r\n"))


def message(work: Work, began: float) -> Dialogue:
    """A friend's message."""
    number = work.take_number()
    friend = number % FRIENDS
    expect(b"250", (yield b"MAIL FROM:<friend%d@example.net>\r\n" % friend))
    expect(b"250", (yield b"RCPT TO:<user%d@example.org>\r\n" % friend))
    expect(b"354", (yield b"DATA\r\n"))
    expect(b"250", (yield b"X-Bench: %d\r\n%b.\r\n" % (number, work.body)))
    work.finished(number, began)


def stranger(work: Work, began: float) -> Dialogue:
    """An attempt that was never made before, and is told to come back."""
    number = work.take_number()
    expect(b"250", (yield b"MAIL FROM:<sender%d@example.net>\r\n" % number))
    expect(b"451", (yield b"RCPT TO:<stranger%d@example.org>\r\n" % (number % 1000)))
    work.outcome.deferred += 1
    work.finished(number, began)
    expect(b"250", (yield b"RSET\r\n"))


def introduction(work: Work, began: float) -> Dialogue:
    """A friend's attempt as far as RCPT: the first is deferred, those after the delay are not."""
    number = work.take_number()
    friend = number % FRIENDS
    expect(b"250", (yield b"MAIL FROM:<friend%d@example.net>\r\n" % friend))
    reply = yield b"RCPT TO:<user%d@example.org>\r\n" % friend
    if reply.startswith(b"451"):
        work.outcome.deferred += 1
    else:
        expect(b"250", reply)
    work.finished(number, began)
    expect(b"250", (yield b"RSET\r\n"))


def visit(work: Work, opened: float) -> Dialogue:
    """Connect, be greeted, QUIT."""
    number = work.take_number()
    expect(b"220", (yield b""))
    expect(b"221", (yield b"QUIT\r\n"))
    work.finished(number, opened)


PIECES: dict[str, Callable[[Work, float], Dialogue]] = {
    "message": message,
    "stranger": stranger,
    "introduction": introduction,
}


def dialogue(work: Work, opened: float) -> Dialogue:
    name = work.plan.dialogue
    return visit(work, opened) if name == "visit" else session(work, PIECES[name], opened)


# ---- the sockets


class Connection:
    """One socket and its dialogue."""

    __slots__ = ("_heard", "_talk", "sock", "unsent")

    def __init__(self, sock: socket.socket, talk: Dialogue) -> None:
        self.sock = sock
        self._talk = talk
        self._heard = b""
        self.unsent = memoryview(b"")
        next(talk)  # waits for the greeting

    def hear(self) -> bool:
        """Read, and answer if the reply is complete; False: the dialogue is over."""
        data = self.sock.recv(READ_BYTES)
        if not data:
            raise UnexpectedError("the connection was closed")
        reply = self._heard + data
        # A reply is complete with the line that has a blank after its code.
        last = reply.rfind(b"\n", 0, -1) + 1
        if not reply.endswith(b"\n") or reply[last + 3 : last + 4] == b"-":
            if len(reply) > REPLY_BYTES:
                raise UnexpectedError("a reply without end")
            self._heard = reply
            return True
        self._heard = b""
        try:
            self.unsent = memoryview(self._talk.send(reply))
        except StopIteration:
            return False
        self.send()
        return True

    def send(self) -> None:
        try:
            sent = self.sock.send(self.unsent)
        except BlockingIOError:
            return
        self.unsent = self.unsent[sent:]


class Load:
    """The epoll loop."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.poll = select.epoll()
        self.alive: dict[int, Connection] = {}
        self.opened = 0

    def run(self) -> None:
        for _ in range(self.work.plan.connections):
            self._open()
        while self.alive:
            for fd, events in self.poll.poll(1.0):
                self._handle(fd, self.alive[fd], events)
            if time.monotonic() > self.work.ends + FINISH_SECONDS:
                self._failed(f"{len(self.alive)} sessions did not end")
                return

    def _open(self) -> None:
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_IP, BIND_ADDRESS_NO_PORT, 1)
        sock.bind((self._source(), 0))
        self.opened += 1
        opened = time.monotonic()
        sock.connect_ex((HOST, self.work.plan.port))  # a failure shows at the first read
        self.alive[sock.fileno()] = Connection(sock, dialogue(self.work, opened))
        self.poll.register(sock, select.EPOLLIN)

    def _source(self) -> str:
        high, low = divmod(self.opened, 250)
        if self.work.plan.dialogue != "stranger":
            return f"127.1.0.{low + 1}"
        return f"127.{2 + high // 250 % 250}.{high % 250}.{low + 1}"

    def _handle(self, fd: int, connection: Connection, events: int) -> None:
        try:
            if events & select.EPOLLOUT:
                connection.send()
            goes_on = True
            if events & ~select.EPOLLOUT:
                goes_on = connection.hear()
        except (OSError, UnexpectedError) as error:
            self._failed(str(error))
            goes_on = False
        if goes_on:
            if connection.unsent or events & select.EPOLLOUT:
                want = select.EPOLLOUT if connection.unsent else 0
                self.poll.modify(fd, select.EPOLLIN | want)
            return
        del self.alive[fd]
        connection.sock.close()
        if not self.work.over():
            self._open()

    def _failed(self, text: str) -> None:
        outcome = self.work.outcome
        outcome.errors += 1
        outcome.first_error = outcome.first_error or text


def body(size: int) -> bytes:
    """About so many bytes as an attachment has them; the same in each run."""
    heading = b"From: <friend@example.net>\r\nSubject: a benchmark\r\n\r\n"
    filling = random.Random(1).randbytes(max(0, size - len(heading)) * 3 // 4)
    return heading + base64.encodebytes(filling).replace(b"\n", b"\r\n")


def run(plan: Plan) -> Outcome:
    text = body(plan.size)
    now = time.monotonic()
    work = Work(
        plan,
        Outcome(),
        starts=now + plan.seconds * WARM_SHARE,
        ends=now + plan.seconds,
        body=text,
        next_number=plan.first,
    )
    Load(work).run()
    outcome = work.outcome
    outcome.last = work.next_number
    outcome.cpu_seconds = time.process_time()
    latencies = sorted(work.latencies)
    if latencies:
        outcome.per_second = len(latencies) / (work.ends - work.starts)
        outcome.p50_ms = latencies[len(latencies) // 2] * 1000
        outcome.p99_ms = latencies[len(latencies) * 99 // 100] * 1000
    return outcome


if __name__ == "__main__":
    print(json.dumps(asdict(run(Plan(**json.loads(sys.argv[1]))))))
