"""
A mail server that compares what it gets with what was sent
===========================================================
The far end of SendCorpus.py, in the same process::

    with CorpusSink(mails, ("127.0.0.1", 0)) as sink:
        ...  # send mail `n` as <m{n}@corpus.example> to whatever stands before sink.address
    sink.findings()

It takes all mail for example.org from everybody, by as many connections as come. Each message
is undone of its doubled dots and compared, byte for byte, with the mail whose number its sender
names. A bare CR or LF, a NUL, a line with one dot where two should be, a command that nobody should
give: each is a finding. Nothing is kept but the findings and how often each mail came; a message
that differs is written to `keep`, beside the one that was meant, if there is such a folder.
"""

from __future__ import annotations

import re
import socket
import socketserver
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from MailCorpus import Mail

END = b"\r\n.\r\n"
READ_BYTES = 262_144
COMMAND_BYTES = 4_096
FINDINGS = 1_000  # more are only counted
_sender = re.compile(rb"MAIL FROM:<m(\d{1,9})@corpus\.example>", re.I).match
_EHLO = (
    b"250-sink.example.org\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SIZE 100000000\r\n"
    b"250 ENHANCEDSTATUSCODES\r\n"
)
_ANSWERS = {
    b"EHLO": _EHLO,
    b"HELO": b"250 sink.example.org\r\n",
    b"MAIL": b"250 2.1.0 Ok\r\n",
    b"RCPT": b"250 2.1.5 Ok\r\n",
    b"RSET": b"250 2.0.0 Ok\r\n",
    b"NOOP": b"250 2.0.0 Ok\r\n",
    b"QUIT": b"221 2.0.0 Bye\r\n",
    b"DATA": b"354 go on\r\n",
}


def undo_dots(wire: bytes) -> bytes:
    """The message without its doubled dots (RFC 5321, section 4.5.2)."""
    return (b"\r\n" + wire).replace(b"\r\n..", b"\r\n.")[2:]


class CorpusSink(socketserver.ThreadingTCPServer):
    """CorpusSink(mails, address, keep=None) -> listens while its `with` lasts."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 200

    def __init__(
        self, mails: Sequence[Mail], address: tuple[str, int], keep: Path | None = None
    ) -> None:
        super().__init__(address, _Session)
        self._mails = mails
        self._keep = keep
        self._lock = threading.Lock()
        self._findings: list[str] = []
        self._more = 0
        self.came: Counter[int] = Counter()  # number of a mail -> how often it came whole

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, name="sink", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.socket.getsockname()[:2]
        return str(host), int(port)

    def findings(self) -> list[str]:
        """What was wrong so far, one text each."""
        with self._lock:
            more = [f"{self._more} more findings"] if self._more else []
            return [*self._findings, *more]

    def found(self, text: str) -> None:
        with self._lock:
            if len(self._findings) < FINDINGS:
                self._findings.append(text)
            else:
                self._more += 1

    def take(self, number: int, wire: bytes) -> None:
        """A message came to its end."""
        content = undo_dots(wire)
        if not 0 <= number < len(self._mails):
            self.found(f"a message that nobody sent: m{number}")
            return
        meant = self._mails[number]
        with self._lock:
            self.came[number] += 1
        if content != meant.content:
            self.found(f"{meant.name} (m{number}): {difference(meant.content, content)}")
            if self._keep is not None:
                (self._keep / f"m{number}.sent").write_bytes(meant.content)
                (self._keep / f"m{number}.came").write_bytes(content)
        elif (b"\r\n" + wire).count(b"\r\n.") != (b"\r\n" + wire).count(b"\r\n.."):
            self.found(f"{meant.name} (m{number}): a line begins with one dot")

    def handle_error(self, request: object, client_address: object) -> None:
        raise  # socketserver calls this where it has caught it; the thread's end then shows it


def difference(meant: bytes, came: bytes) -> str:
    """Where two messages begin to differ, and how."""
    at = next(
        (i for i, (a, b) in enumerate(zip(meant, came, strict=False)) if a != b),
        min(len(meant), len(came)),
    )
    return (
        f"{len(meant)} bytes were sent, {len(came)} came; from byte {at} on "
        f"{meant[at : at + 20]!r} became {came[at : at + 20]!r}"
    )


class _Session(socketserver.BaseRequestHandler):
    server: CorpusSink
    request: socket.socket

    def handle(self) -> None:
        self._buffer = bytearray()
        self._number = -1
        # Two short answers to two commands of one packet must not wait for each other's ACK.
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.request.sendall(b"220 sink.example.org ESMTP\r\n")
            while (line := self._line()) is not None and self._obey(line):
                pass
        except ConnectionError:
            pass

    def _read(self) -> bool:
        data = self.request.recv(READ_BYTES)
        self._buffer += data
        return bool(data)

    def _line(self) -> bytes | None:
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > COMMAND_BYTES:
                self.server.found(f"an endless command line: {bytes(self._buffer[:80])!r}")
                return None
            if not self._read():
                return None
        line = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        if line.find(b"\r") != len(line) - 2 or b"\0" in line:
            self.server.found(f"a broken command line: {line[:80]!r}")
        return line

    def _obey(self, line: bytes) -> bool:
        verb = line[:4].upper()
        if (named := _sender(line)) is not None:
            self._number = int(named[1])
        answer = _ANSWERS.get(verb, b"500 5.5.2 what?\r\n")
        if verb not in _ANSWERS:
            self.server.found(f"not expected: {line[:80]!r}")
        elif verb == b"RCPT" and b"@example.org>" not in line:
            answer = b"550 5.7.1 no relaying\r\n"  # a proxy may want to be sure of that
        self.request.sendall(answer)
        return self._message() if verb == b"DATA" else verb != b"QUIT"

    def _message(self) -> bool:
        """Read one; the client's leaving in the middle is no finding: the sender was told."""
        searched = 0
        while True:
            if self._buffer.startswith(b".\r\n"):
                length = 0
                break
            end = self._buffer.find(END, searched)
            if end >= 0:
                length = end + 2
                break
            searched = max(0, len(self._buffer) - len(END))
            if not self._read():
                return False
        wire = bytes(self._buffer[:length])
        del self._buffer[: length + 3]
        if wire.count(b"\n") != wire.count(b"\r\n") or wire.count(b"\r") != wire.count(b"\r\n"):
            self.server.found(f"a bare CR or LF in m{self._number}")
        if b"\0" in wire:
            self.server.found(f"a NUL in m{self._number}")
        self.server.take(self._number, wire)
        self._number = -1
        self.request.sendall(b"250 2.0.0 Ok: compared\r\n")
        return True
