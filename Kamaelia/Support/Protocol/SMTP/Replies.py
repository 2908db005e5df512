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
above 126 become "?", and lines over 512 bytes (RFC 5321, section 4.5.3.1.5) are wrapped, but for
334: the rest of an AUTH challenge would be another challenge.

Servers say the same few lines all day ("250 2.1.0 Ok"): the last short ones are remembered, so that
such a reply is neither read nor written twice.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache

from Kamaelia.Exceptions import ProtocolError

_ROOM = 512 - len("250-") - len("\r\n")  # text bytes in a reply line
_LOG_CHARACTERS = 256
_unsafe = re.compile(rb"[\x00-\x1f\x7f]").search
_enhanced = re.compile(rb"[245]\.\d{1,3}\.\d{1,3} ").match
_reply_line = re.compile(rb"([2-5]\d\d)(?:([ -])(.*))?", re.DOTALL).fullmatch
_CONTROLS = bytes(byte for byte in range(32) if byte != ord("\t")) + b"\x7f"
_SHORT = 128  # bytes of a line that is remembered
_short_reply = re.compile(rb"([2-5]\d\d) ([ -~]*)\r?\n").fullmatch
_set = object.__setattr__
_PRINTABLE = bytes(ord("?") if byte > 126 else byte for byte in range(256)).replace(b"\t", b" ")


class ReplySyntaxError(ProtocolError):
    """The server sent something that is no SMTP reply, or too much of it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A code and at least one line of text; the enhanced code, if any, is part of the text."""

    code: int
    lines: tuple[bytes, ...]
    wire: bytes | None = field(default=None, init=False, repr=False, compare=False)

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
        suffix = f" ({tag})".encode("ascii")
        if _unsafe(suffix):
            raise ValueError("a tag may not hold a control character")
        return _make_clean(self.code, (*self.lines[:-1], self.lines[-1] + suffix))

    def to_wire(self) -> bytes:
        """Write the reply; only the first time costs, so make constants of what is said often."""
        wire = self.wire
        if wire is None:
            code, last = self.code, len(self.lines) - 1
            wire = b"".join(
                [
                    (b"%d-%b\r\n", b"%d %b\r\n")[place == last] % (code, line)
                    for place, line in enumerate(self.lines)
                ]
            )
            _set(self, "wire", wire)
        return wire

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


def _make_clean(code: int, lines: tuple[bytes, ...]) -> Reply:
    """Make a reply of what has been checked already: a second look would cost more than all."""
    reply = Reply.__new__(Reply)
    _set(reply, "code", code)
    _set(reply, "lines", lines)
    _set(reply, "wire", None)
    return reply


@lru_cache(maxsize=256)  # times _SHORT bytes, and some: 100 kB at most
def _read_short(line: bytes) -> Reply | None:
    """Read a whole reply of one clean line with its end; None: it is no such thing."""
    found = _short_reply(line)
    return _make_clean(int(found[1]), (found[2],)) if found else None


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

    __slots__ = ("_code", "_limits", "_line_bytes", "_lines", "_start", "unread")

    def __init__(self, limits: ReplyLimits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._line_bytes = limits.line_bytes
        self.unread = b""  # nothing if all has been read
        self._start = 0  # where the first unread line begins: cutting each off costs n * n
        self._code = 0  # of the reply that is being read
        self._lines: list[bytes] = []

    @property
    def pending(self) -> bool:
        """Whether there are bytes that belong to no reply yet."""
        return bool(self.unread or self._lines)

    def receive_data(self, data: bytes) -> None:
        # Most often the server's last words have all been read: then nothing is copied.
        self.unread = self.unread[self._start :] + data if self.unread else data
        self._start = 0

    def next_reply(self) -> Reply | None:
        """Return the next complete reply; raise ReplySyntaxError when there can be none."""
        while buffer := self.unread:
            start, size = self._start, len(buffer)
            if size <= _SHORT and not (start or self._lines):
                reply = _read_short(buffer)  # nothing but one line, nearly always
                if reply is not None:
                    self.unread = b""
                    return reply
            end = buffer.find(b"\n", start, start + self._line_bytes) + 1
            if not end:
                if size - start >= self._line_bytes:
                    raise ReplySyntaxError(f"reply line longer than {self._line_bytes} bytes")
                return None
            if end == size:
                line = buffer[start:]  # no copy if this is all
                self.unread, self._start = b"", 0
            else:
                line = buffer[start:end]
                self._start = end
            if end - start <= _SHORT and not self._lines:
                reply = _read_short(line)
                if reply is not None:
                    return reply
            if self._read_line(line[: -2 if line.endswith(b"\r\n") else -1]):
                reply = _make_clean(self._code, tuple(self._lines))
                self._lines = []
                return reply
        return None

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
        text = (found[3] or b"").translate(_PRINTABLE, _CONTROLS)
        self._lines += (text,) if code == 334 else wrap(text)
        return found[2] != b"-"
