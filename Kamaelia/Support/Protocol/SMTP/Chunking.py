"""
Messages in chunks (BDAT, RFC 3030), made into what DATA would have sent
========================================================================
>>> parse_bdat(b"86 LAST")
(86, True)
>>> message = ChunkedMessage()
>>> message.open(BodyLimits())
>>> message.begin(8, last=False)
>>> message.receive_data(b".dot\\r\\n.\\r")
b'..dot\\r\\n..'
>>> message.begin(4, last=True)
>>> message.receive_data(b"\\nend")
b'\\r\\nend'
>>> message.finish(), message.size
(b'\\r\\n', 16)

A chunk says beforehand how long it is, so nothing in it can be a command. What comes out is the
wire form of DATA, for a server that need not know BDAT: dots are doubled, and a last line without
an end gets one. The text then goes through the same BodyScanner as that of DATA: without BINARYMIME
(which we never offer) a bare CR, a bare LF or a NUL is as wrong here as there.

Once a chunk was refused nothing of its message is read any more; its chunks are counted, so that
the next command is found, until LAST or RSET. Nothing is held but a CR at the end of a piece and
what the scanner holds back.
"""

import re

from Kamaelia.Support.Protocol.SMTP.Body import BodyLimits, BodyScanner, Fault
from Kamaelia.Support.Protocol.SMTP.Replies import Reply

# RFC 3030 has no limit for the number; twenty digits are those of SIZE (RFC 1870, section 3).
_bdat = re.compile(rb"([0-9]{1,20})(?: +(LAST))?", re.I).fullmatch


def parse_bdat(argument: bytes) -> tuple[int, bool] | None:
    """Return the octets of a chunk, and whether it is the last; None: nobody can know."""
    found = _bdat(argument)
    return None if found is None else (int(found[1]), found[2] is not None)


class ChunkedMessage:
    """One message that comes in chunks: how much of a chunk is left, and what became of the rest.

    `octets` and `last` are of the present chunk, `left` counts what of it has not come yet; `total`
    counts all chunks. `refusal` is the answer to this and all later chunks, once there is one.
    """

    __slots__ = ("_cr", "_line_start", "last", "left", "octets", "refusal", "scanner", "total")

    def __init__(self) -> None:
        self.octets = self.left = self.total = 0
        self.last = False
        self.refusal: Reply | None = None
        self.scanner: BodyScanner | None = None  # None: nobody has asked for the message yet
        self._cr = False  # whether a CR is held back: its LF may come with the next piece
        self._line_start = True

    @property
    def is_open(self) -> bool:
        """Whether its text is wanted: DATA was agreed to, and nothing has gone wrong since."""
        return self.scanner is not None and self.refusal is None

    @property
    def size(self) -> int:
        """Bytes of the text as DATA would have had them, as far as it came."""
        return 0 if self.scanner is None else self.scanner.size

    @property
    def fault(self) -> Fault | None:
        """What is wrong with the text, as far as it came."""
        return None if self.scanner is None else self.scanner.fault

    def open(self, limits: BodyLimits) -> None:
        """Somebody wants the message."""
        self.scanner = BodyScanner(limits)

    def begin(self, octets: int, *, last: bool) -> None:
        """A BDAT command came."""
        self.octets = self.left = octets
        self.total += octets
        self.last = last

    def receive_data(self, piece: bytes) -> bytes:
        """Take a piece of the chunk, `left` bytes at the most; return what may be passed on."""
        self.left -= len(piece)
        if self.scanner is None or self.refusal is not None:
            return b""
        if self._cr:
            piece = b"\r" + piece
        self._cr = piece.endswith(b"\r")
        text = piece[:-1] if self._cr else piece
        if not text:
            return b""
        stuffed = text.replace(b"\r\n.", b"\r\n..")
        if self._line_start and text.startswith(b"."):
            stuffed = b"." + stuffed
        self._line_start = text.endswith(b"\r\n")
        return self.scanner.receive_data(stuffed)

    def finish(self) -> bytes:
        """The last chunk is complete: return what may still be passed on, and end the message."""
        if self.scanner is None or self.refusal is not None:
            return b""
        end = b".\r\n" if self._line_start and not self._cr else b"\r\n.\r\n"
        return self.scanner.receive_data(b"\r" + end if self._cr else end)
