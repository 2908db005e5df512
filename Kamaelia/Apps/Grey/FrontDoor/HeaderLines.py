"""
Header lines of our own
=======================
Text of rules and settings, made into header lines that can be nothing but that: printable ASCII, no
line longer than RFC 5322 (section 2.1.1) has it, and no way to begin another line.

>>> header_line("X-Greylist", "Delayed for 00:01:00 by mx.example.org")
b'X-Greylist: Delayed for 00:01:00 by mx.example.org\\r\\n'
>>> given_line("X-Rule: twelve\\r\\nBcc: everybody")
b'X-Rule: twelve??Bcc: everybody\\r\\n'
>>> given_line("no header at all") is None
True

A line of the message's own goes on with a blank: what stands in front of the message must not be
continued by its first line, see `needs_shield`.
"""

import re

LINE_BYTES = 900  # with some room to the 998 of RFC 5322
VALUE_BYTES = 8_192  # of one header, whoever wrote it

_controls = re.compile(r"[\x00-\x1f\x7f]")
# No dot at its beginning: in front of a line it means something to SMTP.
_given = re.compile(r"([!#-\-/-9;-~][!-9;-~]{0,99}):(.*)", re.DOTALL).fullmatch


def clean(text: str) -> bytes:
    """The text without anything that could end a line; what is not ASCII is escaped."""
    if not (text.isascii() and text.isprintable()):
        text = _controls.sub("?", text)
    return text.encode("ascii", "backslashreplace")[:VALUE_BYTES]


def header_line(name: str, value: str) -> bytes:
    """One header, folded where it must be. The name is ours."""
    line = f"{name}: ".encode("ascii") + clean(value)
    return fold(line) if len(line) > LINE_BYTES else line + b"\r\n"


def given_line(text: str) -> bytes | None:
    """A header that a rule gave as "Name: value"; None if it is none."""
    found = _given(text)
    if found is None:
        return None
    return header_line(found[1], found[2].strip(" \t"))


def fold(line: bytes) -> bytes:
    """Cut it into lines of a legal length, at blanks if there are any, each ended."""
    lines = []
    while len(line) > LINE_BYTES:
        cut = line.rfind(b" ", 1, LINE_BYTES)
        if cut < 0 or not line[:cut].strip():
            cut = LINE_BYTES
        lines.append(line[:cut])
        line = b" " + line[cut:].lstrip(b" ")
    return b"\r\n".join((*lines, line)) + b"\r\n"


def needs_shield(piece: bytes) -> bool:
    """Whether a message that begins so would take the header in front of it for its own."""
    return piece[:1] in (b" ", b"\t")
