"""
What look-ups may say
=====================
The small things that every kind of look-up needs: a failure with a reason that is fit for a log,
and `key: value` lines, as HTTP servers and directories give them (milter-greylist, "urlcheck" and
"ldapcheck"), made safe.

>>> failed("no route\\r\\nto host")
LookupFailed(reason='no route to host')
>>> lookup_text(lines_of(b"milterGreylistStatus: Ok\\r\\nColour: red\\r\\n"))
LookupText(matched=True, lines=(('miltergreyliststatus', 'Ok'), ('colour', 'red')))

Rules:

- A key is a word of at most 64 letters, digits, `-` and `_`; it comes out in lower case. What has
  no such key in front of a colon is no line of ours and is left out.
- A value has no control characters, and all together have at most 4,096 bytes, in at most 100
  lines; what is beyond is left out.
- Whether it counts as a match: a milterGreylistStatus of Ok or TRUE says yes, any other says no;
  without one, any other of the known milterGreylist... keys says yes.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from Kamaelia.Apps.Grey.Core.Access.Questions import LookupFailed, LookupText

ANSWER_BYTES = 4_096  # milter-greylist reads no more
MOST_LINES = 100
_REASON = 200  # characters of it that a log line gets

KEEP_NOTHING = 0.0  # seconds: the answer is for this once

Done = Callable[[object, float], None]  # the answer, and for how many seconds it is true

_PREFIX = "miltergreylist"
_KNOWN = frozenset(
    _PREFIX + word
    for word in (
        "status",
        "action",
        "delay",
        "autowhite",
        "tarpit",
        "flushaddr",
        "nolog",
        "code",
        "ecode",
        "msg",
        "report",
        "ignore",
    )
)
_key = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}").fullmatch
# Line ends of Unicode too: some of those who show logs and headers take them for such.
_unprintable = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+").sub


class LookupSettings(Protocol):
    """What of the configuration concerns look-ups; times in seconds."""

    @property
    def lookup_timeout(self) -> float: ...

    @property
    def resolvers(self) -> tuple[tuple[str, int], ...]: ...


def clean(text: str) -> str:
    """The text on one line, without control characters and blanks at its ends."""
    return _unprintable(" ", text).strip()


def failed(reason: object) -> LookupFailed:
    """A failure whose reason, maybe a peer's words, is one line of bounded length."""
    return LookupFailed(clean(str(reason)[: 4 * _REASON])[:_REASON] or "it did not say why")


def lines_of(body: bytes) -> Iterator[tuple[str, str]]:
    """The `key: value` lines of an answer that has at most ANSWER_BYTES of use to us."""
    for line in body[:ANSWER_BYTES].decode("utf-8", "replace").splitlines():
        key, colon, value = line.partition(":")
        if colon:
            yield key.strip(), value


def lookup_text(
    pairs: Iterable[tuple[str, str]], *, only_known: bool = False, found_is_match: bool = False
) -> LookupText:
    """The answer made of these. only_known: keys that are not ours are left out; found_is_match:
    what says nothing of whether it matches does, if there is anything at all."""
    lines: list[tuple[str, str]] = []
    left = ANSWER_BYTES
    status: bool | None = None
    for name, text in pairs:
        key, value = name.lower(), clean(text)
        left -= len(key) + len(value.encode("utf-8", "replace"))
        if left < 0 or len(lines) >= MOST_LINES:
            break
        if not _key(name) or (only_known and key not in _KNOWN):
            continue
        lines.append((key, value))
        if key == _PREFIX + "status":
            status = value.lower() in ("ok", "true")
    if status is None:
        found = bool(lines) and found_is_match
        status = found or any(key in _KNOWN for key, _ in lines)
    return LookupText(status, tuple(lines))
