"""
Milter responses: what a filter answers
=======================================
Each is the bytes of one packet, or of several, ready to be sent. Of the constants, and of `reply`,
an MTA wants exactly one for each command that it waits on; the edits stand before it, at the end of
a message only, and only if they were negotiated.

>>> reply(451, "4.7.1", "Greylisted, 50% done")
b'\\x00\\x00\\x00!y451 4.7.1 Greylisted, 50%% done\\x00'
>>> add_header("X-Greylist", "Delayed for 00:05:00") + CONTINUE
b'\\x00\\x00\\x00!hX-Greylist\\x00Delayed for 00:05:00\\x00\\x00\\x00\\x00\\x01c'

The rules. Percent signs of a reply are doubled, since MTAs read it as a format: Sendmail drops the
whole text otherwise. Nothing can begin a line of its own: of control characters in a reply or a
reason each becomes a blank, and a line of a header value that is no continuation is made one. A NUL
ends every string, so there is none inside. An address or a header's name that could mean something
else raises ValueError. Long replies become replies of several lines, as Sendmail wants no line of
more than 980 bytes, and no more than 32 lines.

CONTINUE means "not my business now"; ACCEPT ends a greylister's part: it is not asked again for
this message (or connection). After a recipient it accepts that one only.
"""

import re

from Kamaelia.Support.Protocol.Milter.Packets import packet

CONTINUE = packet(b"c")
ACCEPT = packet(b"a")
REJECT = packet(b"r")
TEMPFAIL = packet(b"t")
DISCARD = packet(b"d")
SKIP = packet(b"s")  # no more of the body, if that was negotiated
# "Still at it": no answer, but the MTA's patience begins again. At the end of a message; Postfix
# takes it at each event, Sendmail at all others for CONTINUE.
PROGRESS = packet(b"p")
SHUTDOWN = packet(b"4")  # 421, and the MTA closes the client's connection
DROP = packet(b"f")  # the MTA drops the client's connection without a word

# What ends an MTA's waiting, by first bytes; edits and PROGRESS do not.
FINALS = (b"c", b"a", b"r", b"t", b"d", b"s", b"y", b"4", b"f")
BODY_BYTES = 65_535  # in one packet, unless more was negotiated
LINE_BYTES = 980  # of a reply, without its code
REPLY_LINES = 32

_controls = re.compile(rb"[\x00-\x1f\x7f]+").sub
_new_lines = re.compile(rb"(?:\r\n|\r|\n)+(?:([ \t])|(.)|\Z)").sub
_is_name = re.compile(rb"[!-9;-~]+").fullmatch  # RFC 5322, section 2.2
_is_enhanced = re.compile(r"[45]\.\d{1,3}\.\d{1,3}", re.ASCII).fullmatch
_unsafe = re.compile(rb"[\x00-\x1f\x7f]").search


def reply(code: int, ecode: str, text: str) -> bytes:
    """Refuse in our own words; the MTA says them to the client.

    code: 400 to 599; others, which an MTA would not believe, raise ValueError, and so does an
    `ecode` that is neither empty nor like "4.7.1"."""
    if not 400 <= code <= 599:
        raise ValueError(f"an MTA takes no reply with the code {code}")
    if ecode and _is_enhanced(ecode) is None:
        raise ValueError("an enhanced code looks like 4.7.1")
    words = text.encode("utf-8", "backslashreplace")
    if not text.isprintable():
        words = _controls(b" ", words)
    words = words.replace(b"%", b"%%")
    start = b"%d" % code
    rest = b" %b " % ecode.encode("ascii") if ecode else b" "
    if len(words) <= LINE_BYTES:
        return packet(b"y", b"%b%b%b\0" % (start, rest, words))
    lines = _lines(words)
    before = b"-" + rest[1:]
    most = b"".join(start + before + line + b"\r\n" for line in lines[:-1])
    return packet(b"y", most + start + rest + lines[-1] + b"\0")


def add_header(name: str | bytes, value: str | bytes, *, leading_space: bool = False) -> bytes:
    """Add a field behind all others. leading_space: HEADER_LEADING_SPACE was agreed on, so that
    the MTA puts no blank behind the colon by itself."""
    return packet(b"h", _field(name, value, leading_space))


def insert_header(
    index: int, name: str | bytes, value: str | bytes, *, leading_space: bool = False
) -> bytes:
    """Put a field in: 0, before all that the MTA has told us; 1, behind the first of them."""
    return packet(b"i", index.to_bytes(4, "big") + _field(name, value, leading_space))


def change_header(
    nth: int, name: str | bytes, value: str | bytes, *, leading_space: bool = False
) -> bytes:
    """Change the nth field of that name, counted from 1; an empty value removes it."""
    blank = leading_space and bool(value)
    return packet(b"m", nth.to_bytes(4, "big") + _field(name, value, blank))


def replace_body(data: bytes) -> list[bytes]:
    """The packets that put another body in the place of the message's. Lines end with CR LF."""
    starts = range(0, len(data), BODY_BYTES) if data else (0,)
    return [packet(b"b", data[at : at + BODY_BYTES]) for at in starts]


def add_recipient(address: str) -> bytes:
    """Send the message to one more; < > are added if they are not there."""
    return packet(b"+", _address(address) + b"\0")


def add_recipient_with_arguments(address: str, arguments: str) -> bytes:
    """The same with ESMTP arguments, such as "NOTIFY=NEVER"."""
    return packet(b"2", b"%b\0%b\0" % (_address(address), _plain(arguments)))


def delete_recipient(address: str) -> bytes:
    """Do not send the message to this one; the address as the MTA told it."""
    return packet(b"-", _address(address) + b"\0")


def change_sender(address: str, arguments: str = "") -> bytes:
    """Put another envelope sender in the place of the message's; "" is the null sender."""
    if not arguments:
        return packet(b"e", _address(address) + b"\0")
    return packet(b"e", b"%b\0%b\0" % (_address(address), _plain(arguments)))


def quarantine(reason: str) -> bytes:
    """Let the MTA keep the message back until a person has looked at it."""
    return packet(b"q", _controls(b" ", reason.encode("utf-8", "backslashreplace")) + b"\0")


def header_value(value: str | bytes) -> bytes:
    """A value as it goes over the wire: lines of a folded one are joined with LF, each but the
    first begins with a blank or a tab, and there is no NUL."""
    data = value.encode("utf-8", "backslashreplace") if isinstance(value, str) else value
    if b"\n" in data or b"\r" in data:
        data = _new_lines(_fold, data)
    return data.replace(b"\0", b" ")


def _fold(found: re.Match[bytes]) -> bytes:
    blank, other = found.groups()
    if blank is not None:
        return b"\n" + blank
    return b"\n\t" + other if other is not None else b""


def _field(name: str | bytes, value: str | bytes, leading_space: bool) -> bytes:
    data = name.encode("ascii", "replace") if isinstance(name, str) else name
    if _is_name(data) is None:
        raise ValueError("a header's name has printable ASCII only, and no colon")
    return b"%b\0%b%b\0" % (data, b" " if leading_space else b"", header_value(value))


def _address(address: str) -> bytes:
    data = _plain(address)
    return data if data.startswith(b"<") else b"<%b>" % data


def _plain(text: str) -> bytes:
    data = text.encode("utf-8", "backslashreplace")
    if _unsafe(data):
        raise ValueError("an address or an argument may not hold a control character")
    return data


def _lines(words: bytes) -> list[bytes]:
    """Cut a long text, at blanks if there are any; never inside "%%" or a character."""
    lines: list[bytes] = []
    while len(words) > LINE_BYTES and len(lines) < REPLY_LINES - 1:
        cut = words.rfind(b" ", 1, LINE_BYTES + 1)
        blank = 1 if cut > 0 else 0
        if not blank:
            cut = _safe_cut(words)
        lines.append(words[:cut])
        words = words[cut + blank :]
    lines.append(words[: _safe_cut(words)] if len(words) > LINE_BYTES else words)
    return lines


def _safe_cut(words: bytes) -> int:
    """The last place for a cut, if there is no blank."""
    cut = LINE_BYTES
    while words[cut] & 0xC0 == 0x80:  # inside a character in UTF-8
        cut -= 1
    percents = cut - len(words[:cut].rstrip(b"%"))
    return cut - percents % 2
