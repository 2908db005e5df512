#!/usr/bin/env python3
"""
Play an SMTP dialogue file against a server
===========================================
The files under Test/Dialogues say what a client sends and what it must hear. This plays one against
any server that listens, and says where the server first answers something else::

    python Tools/ReplayDialogue.py 127.0.0.1:2525 Test/Dialogues/unknown-verb.smtp

The steps it knows::

    C: text      a line of the client, sent with CR LF
    C! text      raw bytes, with the escapes \\r \\n \\0 \\xNN
    S: text      the next reply; the text must begin one of its lines
    * closed     the server must close the connection
    * eof        the client closes its side

Lines with ``=`` and ``E:`` are for the parser's own tests, where no real server stands behind: they
are passed over, so a dialogue in which somebody has to decide only fits a server that decides
likewise. Exit code 0: every reply came as it should; 1: one did not, or did not come within the
time; 2: wrong usage."""

from __future__ import annotations

import argparse
import re
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

_ESCAPES = {b"\\r": b"\r", b"\\n": b"\n", b"\\0": b"\0"}
_STEPS = ("C:", "C!", "S:", "* ", "= ", "E:")
LINE_BYTES = 8_192


class MismatchError(Exception):
    """The server did something else than the dialogue says; the text says what, and where."""


def steps(text: str) -> Iterator[tuple[int, str, str]]:
    """(line number, kind, rest) of each step. Raises ValueError for a line that is none."""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        kind, rest = line[:2], line[2:].removeprefix(" ")
        if kind not in _STEPS:
            raise ValueError(f"line {number}: no such step: {line!r}")
        yield number, kind, rest


def unescape(text: str) -> bytes:
    """The bytes that a raw step stands for."""
    return re.sub(
        rb"\\(?:[rn0]|x([0-9A-Fa-f]{2}))",
        lambda found: bytes.fromhex(found[1].decode()) if found[1] else _ESCAPES[found[0]],
        text.encode(),
    )


class Player:
    """Player(sock, show) -> plays steps over a connected socket; show gets every line that goes
    over it."""

    def __init__(self, sock: socket.socket, show: Callable[[str], None]) -> None:
        self._sock = sock
        self._show = show
        self._buffer = b""

    def play(self, text: str) -> int:
        """Play a dialogue; returns the number of replies that were compared. Raises
        MismatchError."""
        compared = 0
        for number, kind, rest in steps(text):
            try:
                if kind == "C:":
                    self._send(rest.encode() + b"\r\n")
                elif kind == "C!":
                    self._send(unescape(rest))
                elif kind == "S:":
                    self._expect_reply(rest)
                    compared += 1
                elif kind == "* ":
                    self._expect(rest.strip())
            except (MismatchError, OSError) as error:
                raise MismatchError(f"line {number}: {error}") from error
        return compared

    def _send(self, data: bytes) -> None:
        self._show(f"C: {data!r}")
        self._sock.sendall(data)

    def _expect_reply(self, wanted: str) -> None:
        reply: list[str] = []
        while not reply or reply[-1][3:4] == "-":
            reply.append(self._line())
        for line in reply:
            self._show(f"S: {line}")
        if not any(line.startswith(wanted) for line in reply):
            raise MismatchError(f"expected {wanted!r}, got {' / '.join(reply)!r}")

    def _expect(self, what: str) -> None:
        if what == "eof":
            self._sock.shutdown(socket.SHUT_WR)
        elif what == "closed":
            rest = self._buffer + self._sock.recv(LINE_BYTES)
            if rest:
                raise MismatchError(f"expected the end, got {rest[:200]!r}")
            self._show("S: closed")
        else:
            raise MismatchError(f"no such step: * {what}")

    def _line(self) -> str:
        while b"\n" not in self._buffer:
            if len(self._buffer) > LINE_BYTES:
                raise MismatchError(f"a reply line of more than {LINE_BYTES} bytes")
            data = self._sock.recv(LINE_BYTES)
            if not data:
                raise MismatchError("the server closed the connection instead of replying")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.rstrip(b"\r").decode("ascii", "backslashreplace")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool; returns its exit code."""
    parser = argparse.ArgumentParser(description="Play an SMTP dialogue against a server.")
    parser.add_argument("server", help="host:port, an IPv6 host in brackets")
    parser.add_argument("dialogue", type=Path, nargs="+")
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds for each reply")
    parser.add_argument("--quiet", action="store_true", help="only say what went wrong")
    options = parser.parse_args(arguments)
    host, _, port = options.server.rpartition(":")
    if not host or not port.isdigit():
        parser.error(f"{options.server!r} is not host:port")
    failed = False
    for path in options.dialogue:
        try:
            with socket.create_connection((host.strip("[]"), int(port)), options.timeout) as sock:
                show = (lambda _: None) if options.quiet else (lambda line: print(f"   {line}"))
                compared = Player(sock, show).play(path.read_text(encoding="utf-8"))
        except (MismatchError, OSError, ValueError) as error:
            failed = True
            print(f"{path}: {error}", file=sys.stderr)
        else:
            print(f"{path}: {compared} replies as expected")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
