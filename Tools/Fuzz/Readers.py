"""
Ways to read SMTP: the right one, and the wrong ones of real servers
====================================================================
>>> stream = b"EHLO a\\r\\nMAIL FROM:<b@c>\\r\\nRCPT TO:<d@e>\\r\\nDATA\\r\\nhi\\r\\n.\\r\\n"
>>> meant(stream).messages
[(b'b@c', b'hi\\r\\n')]

`meant` reads a client's stream as RFC 5321 says and nothing else, in a few lines of its own.
A `LenientServer` reads what a proxy sends in one of the wrong ways (`READINGS`) and answers
accordingly; a `HostileServer` says whatever it was given to say.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Protocol

from Kamaelia.Support.Protocol.SMTP.Address import parse_path
from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities
from Kamaelia.Support.Protocol.SMTP.Commands import parse_command, parse_parameters
from Kamaelia.Support.Protocol.SMTP.Replies import RefusedError
from Kamaelia.Support.Protocol.SMTP.ServerSession import ServerLimits

ABILITIES = Capabilities(
    size=1_000_000,
    eightbitmime=True,
    smtputf8=True,
    dsn=True,
    pipelining=True,
    enhancedstatuscodes=True,
    size_offered=True,
)
# No limit is in play here but that of a line: the reader who says what was meant knows no others.
# It does not know either what came in which packet, so nobody is sent away for talking early.
LIMITS = ServerLimits(
    max_recipients=1 << 30,
    max_errors=1 << 30,
    max_idle_commands=1 << 30,
    forbid_early_talk=False,
    forbid_pipelined_hello=False,
)
EAGER = ServerLimits()  # as it comes: somebody who talks early is sent away
find_bare = re.compile(rb"\0|\r(?!\n)|(?<!\r)\n").search  # what no server may be given
_is_name = re.compile(rb"[ -~]+").fullmatch


# --- what the client meant ----------------------------------------------------------------------


@dataclass(slots=True)
class Meaning:
    """The transactions of a stream (their senders), and the messages that came to a good end."""

    begun: list[bytes] = field(default_factory=list)
    messages: list[tuple[bytes, bytes]] = field(default_factory=list)  # sender, bytes on the wire


def meant(stream: bytes) -> Meaning:
    """Read a client's whole stream strictly; what follows a false end is not meant by anybody.
    (We may send a client away sooner, for other offences: see `judge`.)"""
    meaning, rest = Meaning(), stream
    greeted, sender, recipients = False, None, 0
    while (end := rest.find(b"\n", 0, LIMITS.command_bytes)) >= 0:
        line, rest = rest[:end], rest[end + 1 :]
        if line.startswith(b"\x16\x03") or b"\0" in line:
            return meaning
        if line.find(b"\r") != len(line) - 1 or not line:
            continue
        try:
            command = parse_command(line[:-1])
        except RefusedError:
            continue
        verb, argument = command.verb, command.argument
        if verb == "QUIT":
            return meaning
        if verb in ("EHLO", "HELO"):
            if _is_name(argument) and len(argument) <= LIMITS.hello_bytes:
                greeted, sender, recipients = True, None, 0
        elif verb == "RSET" and not argument:
            sender, recipients = None, 0
        elif verb == "MAIL" and greeted and sender is None:
            sender = _path(verb, b"FROM:", argument)
        elif verb == "RCPT" and sender is not None and _path(verb, b"TO:", argument) is not None:
            recipients += 1
            if recipients == 1:
                meaning.begun.append(sender)
        elif verb == "DATA" and not argument and recipients and sender is not None:
            body, dot, rest = (b"\r\n" + rest).partition(b"\r\n.\r\n")
            if not dot or find_bare(body + b"\r\n"):
                return meaning
            meaning.messages.append((sender, (body + b"\r\n")[2:]))
            sender, recipients = None, 0
    return meaning


def _path(verb: str, keyword: bytes, argument: bytes) -> bytes | None:
    if argument[: len(keyword)].upper() != keyword:
        return None
    try:
        path, rest = parse_path(argument[len(keyword) :], smtputf8=False, recipient=verb == "RCPT")
        if rest:
            parse_parameters(rest, for_verb=verb, capabilities=ABILITIES)
    except RefusedError:
        return None
    return path.raw


# --- a server that reads it wrongly -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reading:
    """How a server reads: which bytes end a line, around which of them a dot ends a message (None:
    any), and what it makes of NUL ("keep", "strip", or "cut" the line there)."""

    name: str
    line_ends: tuple[bytes, ...]
    dots: frozenset[tuple[bytes, bytes]] | None
    nul: str = "keep"


_CRLF, _LF, _CR = b"\r\n", b"\n", b"\r"
_SHAPES: tuple[tuple[str, tuple[bytes, ...], frozenset[tuple[bytes, bytes]] | None], ...] = (
    ("CRLF.CRLF alone", (_CRLF,), None),
    ("LF is a line end", (_CRLF, _LF), None),
    ("CR is a line end", (_CRLF, _CR), None),
    ("any is a line end", (_CRLF, _LF, _CR), None),
    ("LF.CRLF", (_CRLF, _LF), frozenset({(_CRLF, _CRLF), (_LF, _CRLF)})),
    ("CRLF.LF", (_CRLF, _LF), frozenset({(_CRLF, _CRLF), (_CRLF, _LF)})),
    ("LF.LF", (_CRLF, _LF), frozenset({(_CRLF, _CRLF), (_LF, _LF)})),
    ("CR.CR", (_CRLF, _LF, _CR), frozenset({(_CRLF, _CRLF), (_CR, _CR)})),
    ("CR.CRLF", (_CRLF, _LF, _CR), frozenset({(_CRLF, _CRLF), (_CR, _CRLF)})),
    ("CRLF.CR", (_CRLF, _LF, _CR), frozenset({(_CRLF, _CRLF), (_CRLF, _CR)})),
    ("CRCRLF is one line end", (b"\r\r\n", _CRLF), None),
)
READINGS = tuple(
    Reading(f"{name}, NUL: {nul}", ends, dots, nul)
    for name, ends, dots in _SHAPES
    for nul in ("keep", "strip", "cut")
)


class Server(Protocol):
    """What stands behind the proxy: bytes in, bytes out."""

    def feed(self, data: bytes) -> bytes: ...


class LenientServer:
    """LenientServer(reading) -> takes all mail, and says what it thinks it was given."""

    def __init__(self, reading: Reading, pipelining: bool = True) -> None:
        self._reading = reading
        self._is_end = re.compile(b"|".join(map(re.escape, reading.line_ends))).search
        self._pipelining = pipelining
        self._buffer = b""
        self._body: list[bytes] | None = None
        self._last_end = b""
        self.heard = b""
        self.begun: list[bytes] = []
        self.messages: list[tuple[bytes, bytes]] = []
        self.unknown: list[bytes] = []

    def feed(self, data: bytes) -> bytes:
        self.heard += data
        self._buffer += data.replace(b"\0", b"") if self._reading.nul == "strip" else data
        answers = []
        while (line := self._line()) is not None:
            text, end = line
            if self._body is None:
                answers.append(self._command(text))
            elif self._ends(text, end):
                self.messages.append((self.begun[-1], b"".join(self._body)))
                self._body = None
                answers.append(b"250 2.0.0 taken\r\n")
            else:
                self._body.append(text + end)
                self._last_end = end
        return b"".join(answers)

    def _line(self) -> tuple[bytes, bytes] | None:
        found = self._is_end(self._buffer)
        # A CR that came last may be the half of another line end.
        if found is None or (found.end() == len(self._buffer) and found.group() == b"\r"):
            return None
        text = self._buffer[: found.start()]
        self._buffer = self._buffer[found.end() :]
        return text, found.group()

    def _ends(self, text: bytes, end: bytes) -> bool:
        if self._reading.nul == "cut":
            text = text.partition(b"\0")[0]
        dots = self._reading.dots
        return text == b"." and (dots is None or (self._last_end, end) in dots)

    def _command(self, line: bytes) -> bytes:
        match line[:4].upper():
            case b"EHLO":
                offer = b"250-PIPELINING\r\n" if self._pipelining else b""
                return b"250-lenient\r\n" + offer + b"250-8BITMIME\r\n250 SIZE 1000000\r\n"
            case b"MAIL":
                self.begun.append(line.partition(b"<")[2].partition(b">")[0])
            case b"DATA":
                self._body, self._last_end = [], _CRLF
                return b"354 go on\r\n"
            case b"RCPT" | b"RSET" | b"NOOP":
                pass
            case b"QUIT":
                return b"221 bye\r\n"
            case _:
                self.unknown.append(line)
                return b"500 what?\r\n"
        return b"250 ok\r\n"


@dataclass(slots=True)
class HostileServer:
    """HostileServer(script) -> says the next piece whenever it hears something, whatever it is."""

    script: list[bytes]
    said: bytes = b""

    def feed(self, data: bytes) -> bytes:
        piece = self.script.pop(0) if data and self.script else b""
        self.said += piece
        return piece
