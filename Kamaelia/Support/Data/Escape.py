"""
Percent escapes
===============
A text in which some characters may not occur, since they mean something where it goes:

>>> escape("100 %, [sic]", "[]")
'100 %25, %5Bsic%5D'
>>> unescape(_, "[]")
'100 %, [sic]'

Each of these characters, and the percent sign itself, is written as a percent sign and two
hexadecimal digits; beyond ASCII, as that for each of its bytes in UTF-8. Bytes work the same:

>>> escape(b"a\\nb", b"\\n")
b'a%0Ab'

What was escaped contains none of ``chars``, save for those that the escapes are made of themselves:
the percent sign and the digits 0 to 9 and A to F.
"""

from __future__ import annotations

import re
from typing import AnyStr

_ESCAPED = re.compile(r"(?:%[0-9A-Fa-f]{2})+|%")

ESCAPE_CHARACTERS = "%0123456789ABCDEF"


def escape(text: AnyStr, chars: AnyStr) -> AnyStr:
    """The text with a percent escape for each of chars, and for the percent sign."""
    if isinstance(text, bytes) and isinstance(chars, bytes):
        # Latin-1 gives each byte a character of the same number, and back.
        return _escape(text.decode("latin-1"), chars.decode("latin-1"), "latin-1").encode("latin-1")
    if isinstance(text, str) and isinstance(chars, str):
        return _escape(text, chars, "utf-8")
    raise _mixed("escape", text, chars)


def unescape(text: AnyStr, chars: AnyStr | None = None) -> AnyStr:
    """What escape(text, chars) was given; chars are only looked at for their kind.

    Raises ValueError for a percent sign that is not followed by two digits, and for escapes that
    are no text."""
    if isinstance(text, bytes) and isinstance(chars, bytes | None):
        return _unescape(text.decode("latin-1"), "latin-1").encode("latin-1")
    if isinstance(text, str) and isinstance(chars, str | None):
        return _unescape(text, "utf-8")
    raise _mixed("unescape", text, chars)


def _escape(text: str, chars: str, encoding: str) -> str:
    def code(char: str) -> str:
        return "".join(f"%{byte:02X}" for byte in char.encode(encoding, "surrogatepass"))

    return text.translate({ord(char): code(char) for char in {*chars, "%"}})


def _unescape(text: str, encoding: str) -> str:
    def char(found: re.Match[str]) -> str:
        if found[0] == "%":
            raise ValueError(f"a percent sign without two digits at {found.start()}")
        return bytes.fromhex(found[0].replace("%", "")).decode(encoding, "surrogatepass")

    return _ESCAPED.sub(char, text)


def _mixed(name: str, text: object, chars: object) -> TypeError:
    return TypeError(
        f"{name}() takes two str or two bytes, not {type(text).__name__} and {type(chars).__name__}"
    )
