"""
A mail server that proves what it was given
===========================================
A program of its own, so that a test can kill it. It checks what it hears byte by byte and writes a
line of JSON for each message to its journal, before it says 250::

    {"id": "m17", "size": 5120, "sha256": "...", "from": "<a@example.net>", "to": ["<b@...>"]}

What breaks the rules (a bare CR or LF, a line that should begin with two dots, a command that is
not expected) goes to the journal as {"fault": "..."}. Nobody at nowhere@example.org is known.

    python checking_sink.py PORT JOURNAL [banner | data | dot | kept | early]

With the third argument it stops for ever at that place, and says so on standard output: before its
banner, inside a message, after the dot before or after the journal; so a test can kill it there.
`early` refuses each message after its first bytes and closes the connection.
"""

import hashlib
import json
import os
import socket
import socketserver
import sys
from pathlib import Path
from threading import Event

END = b"\r\n.\r\n"
READ_BYTES = 65_536
EHLO = (
    b"250-sink.example.org\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SIZE 60000000\r\n"
    b"250 ENHANCEDSTATUSCODES\r\n"
)


class Gone(Exception):  # noqa: N818 - no error: clients do go away
    """The client has closed the connection."""


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 200

    def __init__(self, port: int, journal: Path, hang_at: str) -> None:
        self.hang_at = hang_at
        self._journal = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        super().__init__(("127.0.0.1", port), Session)

    def note(self, **entry: object) -> None:
        # One write: whoever kills us finds whole lines.
        os.write(self._journal, json.dumps(entry).encode("ascii") + b"\n")

    def reach(self, place: str) -> None:
        if place == self.hang_at:
            print("hanging at", place, flush=True)  # noqa: T201 - the test reads it
            Event().wait()


class Session(socketserver.BaseRequestHandler):
    server: Server
    request: socket.socket

    def handle(self) -> None:
        self._buffer = bytearray()
        self._sender = ""
        self._recipients: list[str] = []
        self.server.reach("banner")
        try:
            self.request.sendall(b"220 sink.example.org ESMTP\r\n")
            while self._obey(self._line()):
                pass
        except (Gone, ConnectionError):
            pass

    def _more(self) -> None:
        data = self.request.recv(READ_BYTES)
        if not data:
            raise Gone
        self._buffer += data

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\n")) < 0:
            self._more()
        line = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        if line.find(b"\r") != len(line) - 2:
            self.server.note(fault=f"command line {line[:80]!r}")
        return line[:-2]

    def _obey(self, line: bytes) -> bool:
        verb, _, argument = line.partition(b" ")
        match verb.upper():
            case b"EHLO":
                answer = EHLO
            case b"MAIL" if not self._sender:
                self._sender = argument.removeprefix(b"FROM:").split(b" ")[0].decode("ascii")
                answer = b"250 2.1.0 Ok\r\n"
            case b"RCPT" if self._sender:
                answer = self._recipient(argument.removeprefix(b"TO:").split(b" ")[0])
            case b"DATA" if self._recipients:
                self.request.sendall(b"354 go on\r\n")
                return self._message()
            case b"RSET":
                self._forget()
                answer = b"250 2.0.0 Ok\r\n"
            case b"QUIT":
                self.request.sendall(b"221 2.0.0 Bye\r\n")
                return False
            case _:
                self.server.note(fault=f"not expected: {line[:80]!r}")
                answer = b"503 5.5.1 what?\r\n"
        self.request.sendall(answer)
        return True

    def _recipient(self, path: bytes) -> bytes:
        if path == b"<nowhere@example.org>":
            return b"550 5.1.1 no such user\r\n"
        self._recipients.append(path.decode("ascii"))
        return b"250 2.1.5 Ok\r\n"

    def _message(self) -> bool:
        data = self._buffer
        if not data:
            self._more()
        self.server.reach("data")
        if self.server.hang_at == "early":
            self.request.sendall(b"552 5.3.4 we do not like the beginning\r\n")
            return False
        searched = 0
        while not data.startswith(b".\r\n") and (end := data.find(END, searched)) < 0:
            searched = max(0, len(data) - len(END))
            self._more()
        length = 0 if data.startswith(b".\r\n") else end + 2
        wire = bytes(data[:length])
        del data[: length + 3]
        self.server.reach("dot")
        self._keep(wire)
        self._forget()
        self.server.reach("kept")
        self.request.sendall(b"250 2.0.0 Ok: kept\r\n")
        return True

    def _keep(self, wire: bytes) -> None:
        if not wire.count(b"\r") == wire.count(b"\n") == wire.count(b"\r\n"):
            self.server.note(fault="bare CR or LF in a message")
        stuffed = b"\r\n" + wire
        if stuffed.count(b"\r\n.") != stuffed.count(b"\r\n.."):
            self.server.note(fault="a line begins with one dot")
        content = stuffed.replace(b"\r\n..", b"\r\n.")[2:]
        head = content[:1_000].split(b"\r\n")
        names = [line[6:].decode("ascii") for line in head if line.startswith(b"X-Id: ")]
        self.server.note(
            id=names[0] if names else "",
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            **{"from": self._sender, "to": self._recipients},
        )

    def _forget(self) -> None:
        self._sender = ""
        self._recipients = []


def main() -> None:
    port, journal = int(sys.argv[1]), Path(sys.argv[2])
    with Server(port, journal, sys.argv[3] if len(sys.argv) > 3 else "") as server:
        print("listening", flush=True)  # noqa: T201 - the test reads it
        server.serve_forever()


if __name__ == "__main__":
    main()
