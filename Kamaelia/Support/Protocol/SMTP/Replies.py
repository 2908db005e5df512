"""
SMTP replies: made, written, parsed
===================================
A Reply is a code and its lines of text. Making one refuses control characters, so no text that
reaches `to_wire` can begin a line of its own.

>>> Reply.of(451, "4.7.1", "Greylisted, please come back in 5 minutes").to_wire()
b'451 4.7.1 Greylisted, please come back in 5 minutes\\r\\n'

ReplyParser reads what a server says, however the stream is sliced:

>>> parser = ReplyParser()
>>> parser.receive_data(b"250-mx.example.org\\r\\n250 PIPE")
>>> parser.next_reply() is None
True
>>> parser.receive_data(b"LINING\\r\\n")
>>> parser.next_reply()
Reply(code=250, lines=(b'mx.example.org', b'PIPELINING'))

The parser's rules. A line ends with LF; a CR before it belongs to the end, since real servers send
both. All lines of a reply have one code. Longer lines, more lines, other codes and NUL raise
ReplySyntaxError. Text is made harmless before anybody sees it: control bytes are dropped, bytes
above 126 become "?", and lines over 512 bytes (RFC 5321, section 4.5.3.1.5) are wrapped.
"""

import re
from dataclasses import dataclass

from Kamaelia.Exceptions import ProtocolError

_ROOM = 512 - len("250-") - len("\r\n")  # text bytes in a reply line
_LOG_CHARACTERS = 256
_unsafe = re.compile(rb"[\x00-\x1f\x7f]").search
_enhanced = re.compile(rb"[245]\.\d{1,3}\.\d{1,3} ").match
_reply_line = re.compile(rb"([2-5]\d\d)(?:([ -])(.*))?", re.DOTALL).fullmatch
_CONTROLS = bytes(byte for byte in range(32) if byte != ord("\t")) + b"\x7f"
_PRINTABLE = bytes(ord("?") if byte > 126 else byte for byte in range(256)).replace(b"\t", b" ")


class ReplySyntaxError(ProtocolError):
    """The server sent something that is no SMTP reply, or too much of it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A code and at least one line of text; the enhanced code, if any, is part of the text."""

    code: int
    lines: tuple[bytes, ...]

    def __post_init__(self) -> None:
        if not 200 <= self.code <= 599:
            raise ValueError(f"no SMTP reply code: {self.code}")
        if not self.lines or any(map(_unsafe, self.lines)):
            raise ValueError("a reply needs lines, and none may hold a control character")

    @classmethod
    def of(cls, code: int, enhanced: str, text: str) -> "Reply":
        """Make a reply from our own text; `enhanced` is like "4.7.1", or empty."""
        whole = f"{enhanced} {text}" if enhanced else text
        return cls(code, wrap(whole.encode("ascii", "backslashreplace")))

    def tagged(self, tag: str) -> "Reply":
        """Return this reply with the session's tag, by which its log lines can be found."""
        if not tag:
            return self
        return Reply(self.code, (*self.lines[:-1], self.lines[-1] + f" ({tag})".encode("ascii")))

    def to_wire(self) -> bytes:
        if len(self.lines) == 1:
            return b"%d %b\r\n" % (self.code, self.lines[0])
        *first, last = self.lines
        head = b"".join([b"%d-%b\r\n" % (self.code, line) for line in first])
        return head + b"%d %b\r\n" % (self.code, last)

    @property
    def is_positive(self) -> bool:
        return 200 <= self.code <= 299

    @property
    def is_temporary(self) -> bool:
        return 400 <= self.code <= 499

    @property
    def is_permanent(self) -> bool:
        return self.code >= 500

    @property
    def text(self) -> str:
        """The text for a log: one line, ASCII, cut at 256 characters."""
        return b" / ".join(self.lines).decode("ascii", "backslashreplace")[:_LOG_CHARACTERS]


class RefusedError(ProtocolError):
    """What the client said earns it this reply; the base of AddressError and CommandError."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"{reply.code} {reply.text}")
        self.reply = reply


def wrap(text: bytes) -> tuple[bytes, ...]:
    """Cut text into lines that fit a reply, at blanks if possible.

    Every line gets the enhanced code of the first (RFC 2034, section 4).
    """
    if len(text) <= _ROOM:
        return (text,)
    text = text.rstrip()
    found = _enhanced(text)
    prefix = found.group() if found else b""
    lines = []
    while len(text) > _ROOM:
        cut = text.rfind(b" ", len(prefix) + 1, _ROOM)
        if cut < 0:
            cut = _ROOM
        lines.append(text[:cut])
        text = prefix + text[cut:].lstrip()
    return (*lines, text)


@dataclass(frozen=True, slots=True)
class ReplyLimits:
    """How much of a reply is read before we give up on the server."""

    line_bytes: int = 2_048
    lines: int = 128


DEFAULT_LIMITS = ReplyLimits()


class ReplyParser:
    """Takes bytes in any slices, gives each Reply once it is complete."""

    __slots__ = ("_buffer", "_code", "_limits", "_lines", "_start")

    def __init__(self, limits: ReplyLimits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._buffer = b""
        self._start = 0  # where the first unread line begins: cutting each off costs n * n
        self._code = 0  # of the reply that is being read
        self._lines: list[bytes] = []

    def receive_data(self, data: bytes) -> None:
        self._buffer = self._buffer[self._start :] + data
        self._start = 0

    def next_reply(self) -> Reply | None:
        """Return the next complete reply; raise ReplySyntaxError when there can be none."""
        while (line := self._next_line()) is not None:
            if self._read_line(line):
                reply = Reply(self._code, tuple(self._lines))
                self._lines = []
                return reply
        return None

    def _next_line(self) -> bytes | None:
        start, limit = self._start, self._limits.line_bytes
        end = self._buffer.find(b"\n", start, start + limit)
        if end < 0:
            if len(self._buffer) - start >= limit:
                raise ReplySyntaxError(f"reply line longer than {limit} bytes")
            return None
        self._start = end + 1
        line = self._buffer[start:end]
        return line[:-1] if line.endswith(b"\r") else line

    def _read_line(self, line: bytes) -> bool:
        """Add a line to the reply; return whether it was the last one."""
        found = _reply_line(line)
        if found is None or b"\0" in line:
            raise ReplySyntaxError("not a reply line")
        code = int(found[1])
        if self._lines and code != self._code:
            raise ReplySyntaxError(f"code changed from {self._code} to {code} inside a reply")
        if len(self._lines) >= self._limits.lines:
            raise ReplySyntaxError(f"reply of more than {self._limits.lines} lines")
        self._code = code
        self._lines += wrap((found[3] or b"").translate(_PRINTABLE, _CONTROLS))
        return found[2] != b"-"
