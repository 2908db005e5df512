"""
The mail server at the end: takes everything, keeps nothing, counts all of it
=============================================================================
Started by sessions.py::

    sink.py

prints its port. At each line on standard input it prints one JSON object of what came since the
last, and begins anew; at the end of the input it ends. It has to be much lighter than any proxy, or
it would be the sink that is measured: one epoll loop, one write for each read, and of a message
only its first bytes are looked at, for the number that load.py wrote there.

To recipients named stranger it says 451 and counts them. Behind a greylister that count has to stay
0; without one it shows how fast the load generator can be refused at all.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
from dataclasses import asdict, dataclass, field

HOST = "127.0.0.1"
BACKLOG = 1024
READ_BYTES = 262_144
COMMAND_BYTES = 4096
HEAD_BYTES = 4096  # the number is in one of the first header lines, whatever a proxy puts before
END = b"\r\n.\r\n"
MARK = b"X-Bench: "

GREETING = b"220 sink.example.org ESMTP\r\n"
ABILITIES = (
    b"250-sink.example.org\r\n250-PIPELINING\r\n250-SIZE 104857600\r\n250-8BITMIME\r\n"
    b"250 ENHANCEDSTATUSCODES\r\n"
)
OK = b"250 2.0.0 Ok\r\n"
STRANGER = b"451 4.7.1 try again later\r\n"
GO_ON = b"354 go on\r\n"
BYE = b"221 2.0.0 Bye\r\n"
UNKNOWN = b"500 5.5.2 unknown command\r\n"


@dataclass(slots=True)
class Count:
    """What came. Two runs with the same number and the same sum had the same messages."""

    messages: int = 0
    number_sum: int = 0
    bytes: int = 0
    strangers: int = 0


@dataclass(slots=True)
class Session:
    """One client; take() is what the server says to what it reads."""

    count: Count
    rest: bytes = b""  # of a command, or the last bytes of the message so far
    in_body: bool = False
    over: bool = False
    head: bytes = field(default=b"", repr=False)

    def take(self, data: bytes) -> bytes:
        answers: list[bytes] = []
        while data and not self.over:
            data = self._body(data, answers) if self.in_body else self._commands(data, answers)
        return b"".join(answers)

    def _commands(self, data: bytes, answers: list[bytes]) -> bytes:
        data = self.rest + data
        start = 0
        while not (self.in_body or self.over) and (end := data.find(b"\n", start)) >= 0:
            answers.append(self._answer(data[start:end]))
            start = end + 1
        data = data[start:]
        if self.in_body:
            self.rest = b"\r\n"  # so that a message of nothing but a dot ends, too
            return data
        self.rest = data
        self.over = self.over or len(data) > COMMAND_BYTES
        return b""

    def _answer(self, line: bytes) -> bytes:
        match line[:4].upper():
            case b"MAIL" | b"RSET" | b"NOOP" | b"HELO":
                return OK
            case b"RCPT":
                if line[8:17] == b"<stranger":
                    self.count.strangers += 1
                    return STRANGER
                return OK
            case b"DATA":
                self.in_body, self.head = True, b""
                return GO_ON
            case b"EHLO":
                return ABILITIES
            case b"QUIT":
                self.over = True
                return BYE
            case _:
                return UNKNOWN

    def _body(self, data: bytes, answers: list[bytes]) -> bytes:
        if len(self.head) < HEAD_BYTES:
            self.head += data[:HEAD_BYTES]
        window = self.rest + data
        end = window.find(END)
        if end < 0:
            self.count.bytes += len(data)
            self.rest = window[-(len(END) - 1) :]
            return b""
        end += len(END)
        self.count.bytes += end - len(self.rest)
        self.count.messages += 1
        self.count.number_sum += number_of(self.head)
        self.in_body, self.rest = False, b""
        answers.append(OK)
        return window[end:]


def number_of(head: bytes) -> int:
    """The message's number; 0, which no message has, if it cannot be found."""
    digits = head.partition(MARK)[2].partition(b"\r\n")[0]
    return int(digits) if digits.isdigit() else 0


class Sink:
    """The epoll loop."""

    def __init__(self) -> None:
        self.count = Count()
        self.listener = socket.create_server((HOST, 0), backlog=BACKLOG)
        self.listener.setblocking(False)
        self.poll = select.epoll()
        self.clients: dict[int, tuple[socket.socket, Session]] = {}

    def run(self) -> None:
        print(self.listener.getsockname()[1], flush=True)
        orders = sys.stdin.fileno()
        self.poll.register(orders, select.EPOLLIN)
        self.poll.register(self.listener, select.EPOLLIN)
        while True:
            for fd, _ in self.poll.poll():
                if (client := self.clients.get(fd)) is not None:
                    self._serve(fd, *client)
                elif fd == self.listener.fileno():
                    self._accept()
                elif not os.read(orders, 1024):
                    return
                else:
                    self._report()

    def _report(self) -> None:
        print(json.dumps(asdict(self.count)), flush=True)
        # The same object: sessions that are open count on in it.
        self.count.messages = self.count.number_sum = self.count.bytes = self.count.strangers = 0

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except BlockingIOError:
                return
            except OSError:  # gone again
                continue
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.clients[sock.fileno()] = (sock, Session(self.count))
            self.poll.register(sock, select.EPOLLIN)
            sock.send(GREETING)  # a new socket has room for it

    def _serve(self, fd: int, sock: socket.socket, session: Session) -> None:
        try:
            data = sock.recv(READ_BYTES)
            # Answers are short and their reader waits for them, so they always fit.
            if data and (answers := session.take(data)):
                sock.send(answers)
        except OSError:
            data = b""
        if not data or session.over:
            del self.clients[fd]
            sock.close()


if __name__ == "__main__":
    Sink().run()
