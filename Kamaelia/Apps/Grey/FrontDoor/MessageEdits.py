"""
What rules see of a message, and what they change in it
=======================================================
Pure: bytes in wire form in, text or bytes in wire form out.

>>> message = KeptMessage(MessageRoom())
>>> message.add(b"Subject: x\\r\\nFrom: a@b\\r\\n\\r\\nhello\\r\\n..dot\\r\\n")
>>> head = read_head(message)
>>> content = content_of(message, head, message_id=1, peek_bytes=100)
>>> content.headers, content.chunks, content.size
(['Subject: x\\r\\n', 'From: a@b\\r\\n'], ['hello\\r\\n.dot\\r\\n'], 39)
>>> edits = Edits(subject_tag="[ext] ", footer="-- \\nscanned", headers=(("X-Rule: 1", 1),))
>>> b"".join(edited(message, head, edits)).split(b"\\r\\n")[:4]
[b'Subject: [ext] x', b'X-Rule: 1', b'From: a@b', b'']

Rules. Edits are done in this order: footer, subject, X-Greylist (in front), headers of rules, each
at its index (0 is in front of all; none: behind all). A header ends where RFC 5322 says that it
does, or at the first line that is none; one that is larger than HEAD_BYTES is left as it is, and
what is added stands in front. Nothing is parsed beyond that: a footer stands at the end of the
text, whatever its MIME type is.
"""

import base64
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from Kamaelia.Apps.Grey.Core.Access.Subject import Content
from Kamaelia.Apps.Grey.FrontDoor.HeaderLines import VALUE_BYTES, clean, given_line, needs_shield
from Kamaelia.Apps.Grey.FrontDoor.KeptMessage import KeptMessage, MessageRoom

HEAD_BYTES = 262_144
CHUNK_BYTES = 65_536  # of what a rule looks at in one go
MOST_PEEK = 4 << 20
MOST_FIELDS = 500  # of a header that rules look at one by one
FOOTER_BYTES = 16_384

_field = re.compile(rb"[!-9;-~]+[ \t]*:").match
_subject = re.compile(rb"(subject[ \t]*:)[ \t]*", re.IGNORECASE).match
_controls = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Head:
    """The header's lines as they came, each field with its folding and line ends; end: where in the
    message the rest begins."""

    fields: tuple[bytes, ...]
    end: int


@dataclass(frozen=True, slots=True)
class Edits:
    """front: lines of ours, ready. headers: "Name: value" and an index."""

    front: bytes = b""
    headers: tuple[tuple[str, int | None], ...] = ()
    subject_tag: str = ""
    footer: str = ""


def read_head(message: KeptMessage) -> Head:
    """Find the fields of the header."""
    begin = message.beginning(HEAD_BYTES)
    fields: list[bytes] = []
    at = started = 0
    while True:
        end = begin.find(b"\r\n", at) + 2
        if end < 2:
            if len(begin) < message.size:
                return Head((), 0)  # too large to be looked at
            break
        # Cut out at its end: to add line after line would take the square of their number.
        if begin[at] not in b" \t" or not at:
            if at:
                fields.append(begin[started:at])
            started = at
            if not _field(begin, at, end):
                break
        at = end
    if started < at:
        fields.append(begin[started:at])
    return Head(tuple(fields), at)


def unstuffed(data: bytes) -> bytes:
    """Whole lines without the dots that SMTP has put in front of theirs."""
    data = data.replace(b"\r\n.", b"\r\n")
    return data[1:] if data.startswith(b".") else data


def as_text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")


def content_of(message: KeptMessage, head: Head, message_id: int, peek_bytes: int) -> Content:
    """What rules may look at: all of the header, and so much of the rest in whole lines."""
    peek_bytes = min(peek_bytes, MOST_PEEK)
    chunks: list[str] = []
    rest, seen = b"", 0
    for piece in message.pieces(head.end):
        if seen >= peek_bytes:
            break
        piece = piece[: peek_bytes - seen]
        seen += len(piece)
        rest += piece
        if len(rest) >= CHUNK_BYTES:
            cut = rest.rfind(b"\r\n") + 2
            if cut >= 2:
                chunks.append(as_text(unstuffed(rest[:cut])))
                rest = rest[cut:]
    cut = rest.rfind(b"\r\n") + 2
    if cut >= 2:
        chunks.append(as_text(unstuffed(rest[:cut])))
    if chunks and chunks[0].startswith("\r\n"):
        chunks[0] = chunks[0][2:]  # the line between header and body is no part of either
    return Content(
        message_id,
        [as_text(unstuffed(field)) for field in _few(head.fields)],
        [chunk for chunk in chunks if chunk],
        message.size,
    )


def _few(fields: tuple[bytes, ...]) -> Iterable[bytes]:
    """No more than MOST_FIELDS, those behind in blocks of several: each rule asks about each, and
    nobody may be kept waiting by a header of lines without end."""
    if len(fields) <= MOST_FIELDS:
        return fields
    rest = fields[MOST_FIELDS:]
    many = -(-len(rest) // MOST_FIELDS)
    blocks = (b"".join(rest[at : at + many]) for at in range(0, len(rest), many))
    return (*fields[:MOST_FIELDS], *blocks)


def edited(message: KeptMessage, head: Head, edits: Edits) -> Iterator[bytes]:
    """The message as it is to go on, in pieces."""
    fields = list(head.fields)
    if edits.subject_tag:
        _tag_subject(fields, edits.subject_tag)
    if edits.front:
        fields.insert(0, edits.front)
    for text, index in edits.headers:
        line = given_line(text)
        if line is not None:
            fields.insert(len(fields) if index is None else max(0, index), line)
    if fields:
        yield b"".join(fields)
    rest = message.pieces(head.end)
    if fields and not head.fields:
        yield from _behind_ours(rest)
    else:
        yield from rest
    if edits.footer:
        yield footer_of(edits.footer)


def _behind_ours(rest: Iterator[bytes]) -> Iterator[bytes]:
    """The message has no header that we know of: it must not continue ours."""
    first = next(rest, b"")
    if needs_shield(first):
        yield b"\r\n"
    yield first
    yield from rest


def _tag_subject(fields: list[bytes], tag: str) -> None:
    word = subject_word(tag)
    for place, field in enumerate(fields):
        found = _subject(field)
        if found:
            fields[place] = found[1] + b" " + word + field[found.end() :]
            return
    fields.append(b"Subject: " + word.rstrip() + b"\r\n")


def subject_word(tag: str) -> bytes:
    """A tag for the beginning of a Subject; as RFC 2047 writes what is not ASCII."""
    if tag.isascii():
        return clean(tag)[:200]
    packed = base64.b64encode(_controls.sub("?", tag).encode("utf-8", "replace")[:45])
    return b"=?utf-8?B?" + packed + b"?= "


def footer_of(text: str) -> bytes:
    """The lines in wire form; beyond ASCII we cannot know what they would mean there."""
    text = _controls.sub("?", text.replace("\r\n", "\n"))
    lines = text.encode("ascii", "replace")[:FOOTER_BYTES].split(b"\n")
    if not lines[-1]:
        lines.pop()
    return b"".join(
        (b"." if line.startswith(b".") else b"") + line[:998] + b"\r\n" for line in lines
    )


__all__ = ["VALUE_BYTES", "Edits", "Head", "MessageRoom", "content_of", "edited", "read_head"]
