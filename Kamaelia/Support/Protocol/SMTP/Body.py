"""
The data phase: where a message ends, and whether it may pass
=============================================================
>>> body = BodyScanner()
>>> body.receive_data(b"Subject: x\\r\\n\\r\\nhi\\r\\n.\\r\\nQUIT\\r\\n")
b'Subject: x\\r\\n\\r\\nhi\\r\\n'
>>> body.ended, body.rest
(True, b'QUIT\\r\\n')

The states and rules::

    PASSING --bare CR or LF, NUL, line or message too long--> EATING
    PASSING or EATING --CRLF.CRLF--> ended

- The end is CRLF.CRLF and nothing else; the CRLF before the body (of the DATA command) counts.
- A bare CR, a bare LF or a NUL anywhere before that is a fault: some server believes that it ends
  a line, and would end the message where we do not ("SMTP smuggling", CVE-2023-51764).
- Of two faults the first in the stream counts, however the stream was sliced. After it nothing is
  passed on any more, and of the piece that shows it only whole good lines.
- A dot that may begin the end mark, and a CR at the end of a piece, are held back until the next.

No line is ever looked at by itself: megabytes go through these few calls of C code a piece.
IncrementalNewlineDecoder keeps account of the kinds of line ends it meets, and does so in one pass
at three times the speed of counting CR, LF and CRLF. Only a piece with a fault is searched again.

Most messages come in one piece with their end: `is_whole_message` looks at those by itself.
"""

from dataclasses import dataclass
from enum import Enum, auto
from io import IncrementalNewlineDecoder

_END = b"\r\n.\r\n"
_ALL_BUT_ONE = len(_END) - 1
_GOOD_NEWLINES = (None, "\r\n")


class Fault(Enum):
    """Why a message must not be passed on."""

    BARE_NEWLINE = auto()  # a CR or LF that is not half of CRLF
    NUL = auto()
    LONG_LINE = auto()
    TOO_LARGE = auto()


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """`line_bytes` without its CRLF; `message_bytes` as sent, that is with stuffed dots."""

    line_bytes: int = 65_535
    message_bytes: int = 1 << 30


DEFAULT_BODY_LIMITS = BodyLimits()


def is_whole_message(piece: bytes, limits: BodyLimits = DEFAULT_BODY_LIMITS) -> bool:
    """Whether `piece` is one good message with its end mark, and nothing else.

    False says only that a BodyScanner has to find out. Longer pieces than a line may be are left to
    it, too: then no line needs to be measured here.
    """
    size = len(piece)
    if not piece.endswith(_END) or size > limits.line_bytes or size - 3 > limits.message_bytes:
        return False
    newlines = IncrementalNewlineDecoder(None, translate=False)
    newlines.decode(piece.decode("latin-1"), final=True)
    return (
        newlines.newlines == "\r\n"
        and piece.rfind(_END, 0, size - 1) < 0
        and not piece.startswith(b".\r\n")
        and b"\0" not in piece
    )


class BodyScanner:
    """Takes one message in wire form, in any slices, and gives back what may be passed on.

    `ended` says that the end mark came, `rest` what followed it; `fault` is set once there is one.
    """

    __slots__ = (
        *("_carry", "_limits", "_line", "_line_start", "_passing"),
        *("ended", "fault", "rest", "size"),
    )

    def __init__(self, limits: BodyLimits = DEFAULT_BODY_LIMITS) -> None:
        self._limits = limits
        self._carry = b""  # "", CR, "." or ".CR": may be the end mark's beginning
        self._line_start = True  # whether the carry stands at the beginning of a line
        self._line = 0  # bytes of the unfinished line, without the carry
        self._passing = True
        self.size = 0
        self.ended = False
        self.rest = b""
        self.fault: Fault | None = None

    def discard(self) -> None:
        """Eat the rest: nobody wants this message any more, and its faults do not matter."""
        self._passing = False

    def receive_data(self, data: bytes) -> bytes:
        """Return the part of the message that may be passed on now; it may be empty."""
        body = self._cut(self._carry + data if self._carry else data)
        if not self._passing:
            self.size += len(body)
            return b""
        if not self._is_good(body):
            self._passing = False
            body = self._before_fault(body)
        self.size += len(body)
        return body

    def _cut(self, piece: bytes) -> bytes:
        """Cut off the end mark with what follows it, or else what must be held back."""
        if self._line_start and piece.startswith(b".\r\n"):
            end = 0
        elif (mark := piece.rfind(_END)) < 0:  # rfind is the fastest way to say "no"
            return self._hold_back(piece)
        else:
            if piece.rfind(_END, 0, mark + _ALL_BUT_ONE) >= 0:
                mark = piece.find(_END)  # the first one counts
            end = mark + len(b"\r\n")
        self.ended = True
        self.rest = piece[end + len(b".\r\n") :]
        return piece[:end]

    def _hold_back(self, piece: bytes) -> bytes:
        carry = b"\r" if piece.endswith(b"\r") else b""
        dot = len(piece) - len(carry) - 1
        if piece.endswith(b"." + carry) and (
            piece.endswith(b"\r\n", 0, dot) if dot else self._line_start
        ):
            carry = b"." + carry
        body = piece[: len(piece) - len(carry)] if carry else piece
        if body:
            self._line_start = body.endswith(b"\r\n")
        self._carry = carry
        return body

    def _is_good(self, body: bytes) -> bool:
        newlines = IncrementalNewlineDecoder(None, translate=False)
        newlines.decode(body.decode("latin-1"), final=True)
        return (
            newlines.newlines in _GOOD_NEWLINES
            and b"\0" not in body
            and self.size + len(body) <= self._limits.message_bytes
            and self._long_line_at(body) < 0
        )

    def _long_line_at(self, body: bytes) -> int:
        """Jump from line end to line end, each jump as far as a line may reach."""
        limit, start = self._limits.line_bytes, -self._line
        while len(body) - start > limit:
            end = body.rfind(b"\r\n", max(start, 0), start + limit + len(b"\r\n"))
            if end < 0:
                return start + limit
            start = end + len(b"\r\n")
        # Short of a jump, the unfinished line begins after the last CRLF.
        end = body.rfind(b"\r\n", max(start, 0))
        self._line = len(body) - (start if end < 0 else end + len(b"\r\n"))
        return -1

    def _before_fault(self, body: bytes) -> bytes:
        """Find the first fault; return the whole lines before it."""
        blanked = body.replace(b"\r\n", b"  ")  # what is left of CR and LF is bare
        too_large_at = max(0, self._limits.message_bytes - self.size)
        found = (
            (blanked.find(b"\r"), Fault.BARE_NEWLINE),
            (blanked.find(b"\n"), Fault.BARE_NEWLINE),
            (body.find(b"\0"), Fault.NUL),
            (self._long_line_at(body), Fault.LONG_LINE),
            (too_large_at if too_large_at < len(body) else -1, Fault.TOO_LARGE),
        )
        position, self.fault = min(
            (fault for fault in found if fault[0] >= 0), key=lambda fault: fault[0]
        )
        return body[: body.rfind(b"\r\n", 0, position) + 2] if b"\r\n" in body[:position] else b""
