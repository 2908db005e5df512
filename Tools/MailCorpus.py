#!/usr/bin/env python3
"""
Real mails, from wherever they lie
==================================
``mails(path)`` gives every message below a path, as a mail program would send it::

    for mail in mails(Path("corpus.tgz")):
        print(mail.name, len(mail.content))

    python Tools/MailCorpus.py corpus.tgz ~/Maildir old.mbox      counts what is there

A path is a folder (a Maildir is one, too), a message, an mbox, or a tar, zip, gz, bz2 or xz with
any of these in it. What does not begin like a message is passed over, so the source of a mail
program can be given as it is, and only its test mails are found.

Rules. A client may send neither a bare CR or LF nor a NUL, so each kind of line end becomes CR LF,
a NUL is dropped, and a last line without an end gets one; every other byte stays, however wrong the
message is and however long its lines are. A message that came already is left out: mails are told
apart by their bytes. No file is unpacked to disk, no name in an archive is ever used as a path, and
of one file or archive's member no more is read than MAIL_BYTES or ARCHIVE_BYTES.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import re
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

MAIL_BYTES = 64 << 20
ARCHIVE_BYTES = 512 << 20  # of something packed within something packed
DEEPEST = 3  # an archive in an archive in an archive

# What stands before each message of an mbox: ctime's date at the end, perhaps with a zone.
_POSTMARK = re.compile(
    rb"^From [^\r\n]*\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? [^\r\n]*\d\d:\d\d[^\r\n]*\r?\n",
    re.MULTILINE,
)
_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")
_TELLING = re.compile(rb"(?im)^(?:from|received|date|return-path|message-id|subject)[ \t]*:")
_HEAD_BYTES = 65_536
_Opener = Callable[[BinaryIO], gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile]
_UNPACKERS: tuple[tuple[bytes, _Opener], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\0", lzma.open),
)
_BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile)


@dataclass(frozen=True, slots=True)
class Mail:
    """One message: where it came from, and its bytes with CR LF line ends, dots not stuffed."""

    name: str
    content: bytes


def mails(path: Path) -> Iterator[Mail]:
    """Every message below the path that was not among them already, in the order of the names.

    Raises OSError if there is no such path or it cannot be read."""
    return _distinct(_below(path))


def as_sent(raw: bytes) -> bytes:
    """The message as a client may send it: CR LF at each line end, no NUL."""
    raw = raw.replace(b"\0", b"").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if raw and not raw.endswith(b"\n"):
        raw += b"\n"
    return raw.replace(b"\n", b"\r\n")


def looks_like_mail(raw: bytes) -> bool:
    """Whether it begins with header fields, among them two that only a mail has."""
    head = raw[:_HEAD_BYTES].replace(b"\r\n", b"\n")
    if head.startswith((b"From ", b">From ")):
        head = head.partition(b"\n")[2]
    head = head.partition(b"\n\n")[0]
    # Real spam has broken header lines, so not every line need be a field; the first must.
    return _FIELD.match(head) is not None and len(_TELLING.findall(head)) > 1


def split_mbox(raw: bytes) -> list[bytes]:
    """The messages of an mbox, each without its postmark; a lone message is an mbox of one."""
    marks = list(_POSTMARK.finditer(raw))
    if not marks or marks[0].start():
        # Some programs' postmarks have no date: cut off the line, and nothing further on.
        return [raw.partition(b"\n")[2] if raw.startswith(b"From ") else raw]
    ends = [mark.start() for mark in marks[1:]] + [len(raw)]
    pieces = [raw[mark.end() : end] for mark, end in zip(marks, ends, strict=True)]
    # What follows a postmark without being a mail was text that quotes one: it belongs to the last.
    found: list[bytes] = []
    for mark, piece in zip(marks, pieces, strict=True):
        if found and not looks_like_mail(piece):
            found[-1] += mark.group() + piece
        else:
            found.append(piece)
    return found


# --- walking ------------------------------------------------------------------------------------


def _distinct(found: Iterable[Mail]) -> Iterator[Mail]:
    seen: set[bytes] = set()
    for mail in found:
        digest = hashlib.sha256(mail.content).digest()
        if digest not in seen:
            seen.add(digest)
            yield mail


def _below(path: Path) -> Iterator[Mail]:
    if path.is_dir():
        for entry in sorted(path.iterdir()):
            if not entry.is_symlink():
                yield from _below(entry)
        return
    if path.is_file():
        with path.open("rb") as stream:
            yield from _from_stream(path.name, stream, 0)
    elif not path.exists():
        raise FileNotFoundError(f"no mails there: {path}")


def _from_stream(name: str, stream: BinaryIO, depth: int) -> Iterator[Mail]:
    """From a file or a member of an archive; what is broken ends with what could be read."""
    begin = stream.read(8)
    stream.seek(0)
    if depth < DEEPEST:
        if begin.startswith(b"PK\3\4"):
            yield from _from_zip(name, stream, depth)
            return
        for magic, unpack in _UNPACKERS:
            if begin.startswith(magic):
                yield from _from_packed(name, stream, unpack, depth)
                return
    yield from _from_plain(name, stream, depth)


def _from_packed(name: str, packed: BinaryIO, unpack: _Opener, depth: int) -> Iterator[Mail]:
    try:
        with unpack(packed) as stream:
            raw = stream.read(ARCHIVE_BYTES)
    except _BROKEN:
        return
    yield from _from_stream(name, io.BytesIO(raw), depth + 1)


def _from_plain(name: str, stream: BinaryIO, depth: int) -> Iterator[Mail]:
    if depth <= DEEPEST and stream.read(262)[257:] == b"ustar":
        stream.seek(0)
        yield from _from_tar(name, stream, depth)
        return
    stream.seek(0)
    raw = stream.read(ARCHIVE_BYTES)
    if not looks_like_mail(raw):
        return
    for number, message in enumerate(split_mbox(raw)):
        if message and len(message) <= MAIL_BYTES:
            yield Mail(f"{name}#{number}", as_sent(message))


def _from_tar(name: str, stream: BinaryIO, depth: int) -> Iterator[Mail]:
    try:
        with tarfile.open(fileobj=stream, mode="r:") as archive:
            for member in archive:
                opened = archive.extractfile(member) if member.isreg() else None
                if opened is not None:
                    body = io.BytesIO(opened.read(MAIL_BYTES))
                    yield from _from_stream(f"{name}/{member.name}", body, depth + 1)
    except _BROKEN:
        return


def _from_zip(name: str, stream: BinaryIO, depth: int) -> Iterator[Mail]:
    try:
        with zipfile.ZipFile(stream) as archive:
            for member in archive.infolist():
                with archive.open(member) as opened:
                    body = io.BytesIO(opened.read(MAIL_BYTES))
                yield from _from_stream(f"{name}/{member.filename}", body, depth + 1)
    except (*_BROKEN, RuntimeError, NotImplementedError):  # the latter: encrypted, unknown method
        return


# --- command line -------------------------------------------------------------------------------


def count(paths: Sequence[Path]) -> str:
    """A line for each path, and one about all of them."""
    lines, total = [], {"mails": 0, "bytes": 0, "8-bit": 0, "with long lines": 0, "with dots": 0}
    for path in paths:
        number = 0
        for mail in mails(path):
            number += 1
            total["mails"] += 1
            total["bytes"] += len(mail.content)
            total["8-bit"] += not mail.content.isascii()
            total["with long lines"] += max(map(len, mail.content.split(b"\r\n"))) > 998
            total["with dots"] += b"\n." in mail.content
        lines.append(f"{number:8,}  {path}")
    return "\n".join([*lines, ", ".join(f"{value:,} {key}" for key, value in total.items())])


def main(arguments: Sequence[str]) -> int:
    if not arguments or arguments[0].startswith("-"):
        print(__doc__)
        return 2
    print(count([Path(argument) for argument in arguments]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
