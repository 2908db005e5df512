"""
A message as a mail server's filter gets it
===========================================
Header by header, then the body in chunks. The rules, and whoever looks into messages for them,
want it as the other doors have it: in wire form, with dots stuffed, in a `KeptMessage`. So it is
put together here, and taken apart again for a body that is to be replaced.

>>> from Kamaelia.Apps.Grey.FrontDoor.KeptMessage import KeptMessage, MessageRoom
>>> message = MilterMessage(KeptMessage(MessageRoom()), limit=1000)
>>> message.header(b"Subject", b"two\\n lines")
>>> message.body(b"hello\\r\\n")
>>> message.body(b".dot")
>>> message.end()
>>> b"".join(message.kept.pieces())
b'Subject: two\\r\\n lines\\r\\n\\r\\nhello\\r\\n..dot\\r\\n'
>>> b"".join(message.body_pieces())
b'hello\\r\\n.dot\\r\\n'

Rules. A value of several lines has LF between them; one that is not folded properly is folded here,
since none may begin a header of its own. The body ends with a line end. What is raised is
NoRoomError, TooLargeError or the OSError of a full disk: then the message cannot be kept.
"""

from collections.abc import Iterator

from Kamaelia.Apps.Grey.FrontDoor.KeptMessage import KeptMessage

AT_ONCE = 32_768  # bytes of headers that are put away in one piece

_BLANKS = (b" ", b"\t")
_STUFFED, _PLAIN = b"\r\n..", b"\r\n."


class TooLargeError(Exception):
    """The message has more bytes than one may have."""


class MilterMessage:
    """MilterMessage(kept, limit) -> a message that comes in parts; see the module.

    kept: a KeptMessage, still empty. limit: bytes that it may have in wire form."""

    __slots__ = ("_body_at", "_fields", "_fields_bytes", "_limit", "_tail", "kept", "subject")

    def __init__(self, kept: KeptMessage, limit: int) -> None:
        self.kept = kept
        self.subject: bytes | None = None  # the first one's value, as the mail server has it
        self._limit = limit
        self._fields: list[bytes] = []
        self._fields_bytes = 0
        self._body_at = 0  # behind the empty line; 0: we are still in the header
        self._tail = b""  # of the body so far: whether a dot is the first of its line

    def header(self, name: bytes, value: bytes, blank: bytes = b" ") -> None:
        """One header; blank: what stands behind its colon. Those that come behind the body are none
        of the message's."""
        if self._body_at:
            return
        if self.subject is None and name.lower() == b"subject":
            self.subject = value
        if b"\n" in value or b"\r" in value:
            value = _folded(value)
        field = b"%b:%b%b\r\n" % (name, blank, value)
        if field.startswith(b"."):
            field = b"." + field
        self._fields.append(field)
        self._fields_bytes += len(field)
        if self._fields_bytes >= AT_ONCE:
            self._put_fields()

    def body(self, data: bytes) -> None:
        """A chunk of the body, cut anywhere."""
        if not data:
            return
        if not self._body_at:
            self._begin_body()
        tail = self._tail
        if data[:1] in b".\n":  # the dot's line may have begun in the chunk before
            joined = (tail + data).replace(_PLAIN, _STUFFED)
            self._add(joined[len(tail) :])
        else:
            self._add(data.replace(_PLAIN, _STUFFED))
        self._tail = data[-2:] if len(data) > 1 else (tail + data)[-2:]

    def end(self) -> None:
        """There is no more of it."""
        if not self._body_at:
            self._begin_body()
        if self._tail != b"\r\n":
            self._add(b"\n" if self._tail[-1:] == b"\r" else b"\r\n")

    def body_pieces(self) -> Iterator[bytes]:
        """The body as the mail server has it, after its end()."""
        tail = b"\r\n"
        for piece in self.kept.pieces(self._body_at):
            joined = tail + piece
            yield joined.replace(_PLAIN, b"\r\n")[len(tail) :]
            tail = joined[-2:]

    def _begin_body(self) -> None:
        self._fields.append(b"\r\n")
        self._put_fields()
        self._body_at = self.kept.size
        self._tail = b"\r\n"

    def _put_fields(self) -> None:
        self._add(b"".join(self._fields))
        self._fields.clear()
        self._fields_bytes = 0

    def _add(self, piece: bytes) -> None:
        if self.kept.size + len(piece) > self._limit:
            raise TooLargeError(f"a message of more than {self._limit} bytes")
        self.kept.add(piece)


def _folded(value: bytes) -> bytes:
    """A value of several lines in wire form: each but the first begins with a blank."""
    first, *more = value.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    return b"\r\n".join((first, *(line if line[:1] in _BLANKS else b" " + line for line in more)))
