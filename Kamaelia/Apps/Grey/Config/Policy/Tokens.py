r"""
The words of milter-greylist's language
=======================================
A `Piece` is an element of the grammar that takes one word of one of several kinds and gives a
`Token`, which knows where it stands. Newlines are no blanks here: statements end with them; what
may go on (a backslash, an open brace) has been made blank before (see Grammar.masked).

Example Usage
-------------
>>> either = Piece("a text or an expression", 'write "text" or /expression/', "string", "regex")
>>> either.parse_string(r'"say \"hi\""')[0].text, either.parse_string(r"/a\/b/")[0]
('say "hi"', Token(kind='regex', text='a/b', at=0, raw='/a\\/b/'))
>>> seconds("90m"), seconds("45"), number("64k")
(5400, 45, 65536)

Rules. Whether a word is a good one of its kind (a net without bits behind its prefix, an expression
that closes its brackets) is not asked here but by whoever builds something of it: so all mistakes
of a statement are found.
"""

import re
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple

import pyparsing as pp

from Kamaelia.Apps.Grey.Config.Problem import shown
from Kamaelia.Apps.Grey.Config.Values import BadValueError
from Kamaelia.Apps.Grey.Core.Networks import Network

BLANKS = " \t\r"
LONGEST_STRING = 4096
LONGEST_NAME = 324  # of a mail address or a host
_MOST_DIGITS = 15


class Token(NamedTuple):
    """A word of the file. text: its value; raw: as it stands there, at that offset."""

    kind: str
    text: str
    at: int
    raw: str

    @property
    def end(self) -> int:
        return self.at + len(self.raw)


_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`}{|~.\-\u0080-\U0010ffff]"
# What each kind looks like. The order of the kinds of a Piece is that in which they are tried.
PATTERNS = {
    "string": r'"(?:\\.|[^"\\\n])*"',
    "regex": r"/(?:\\.|[^/\\\n])+/",
    "email": rf'(?:{_ATEXT}+|"[^\s"]+")@[A-Za-z0-9._\-\u0080-\U0010ffff]+',
    "word": r"[A-Za-z0-9._\-\u0080-\U0010ffff]+",
    "address": r"[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*(?:%\w+)?(?![\w@])|[0-9]+(?:\.[0-9]+)+(?![\w@.-])",
    "cidr": r"/[0-9]+(?![^\s{}#\"])",
    "number": r"[0-9]+[kM]?(?![\w.@-])",
    "duration": r"-?[0-9]+[smhdwMk]?(?![\w.@-])",
    "property": r"\$[-_A-Za-z0-9]*[_A-Za-z0-9]",
    "operator": r"==|!=|<=|>=|<|>",
    "sign": r"\+=|-=|=",
    "unset": r"(?i:unset)(?![\w.@-])",
    "star": r"\*",
    "slash": r"/",
    "comma": r",",
    "open": r"\{",
    "close": r"\}",
}
_ESCAPED_QUOTE = re.compile(r'\\(["\\])')


def value_of(kind: str, raw: str) -> str:
    """The text that a word stands for. In strings only \\" is taken apart: \\n and its like are
    for texts that are said to somebody (Operands.said)."""
    if kind == "string":
        return raw[1:-1].replace('\\"', '"')
    if kind == "regex":
        return raw[1:-1].replace("\\/", "/")
    return raw


class Mistake(pp.ParseSyntaxException):
    """A statement is wrong at that place, and no other reading of it will do."""

    def __init__(self, text: str, at: int, message: str, cure: str = "") -> None:
        super().__init__(text, at, message)
        self.cure = cure


class Piece(pp.ParserElement):
    """Piece(what, cure, kinds...) -> one Token of the first kind that fits."""

    def __init__(self, what: str, cure: str, *kinds: str) -> None:
        super().__init__()
        self.cure = cure
        self._match = re.compile("|".join(f"(?P<{kind}>{PATTERNS[kind]})" for kind in kinds)).match
        self.set_whitespace_chars(BLANKS)
        self.set_name(what)

    def _generateDefaultName(self) -> str:  # noqa: N802 - pyparsing's hook
        return "a word"

    def parseImpl(  # noqa: N802 - pyparsing's hook
        self, instring: str, loc: int, do_actions: bool = True
    ) -> tuple[int, list[Token]]:
        match = self._match(instring, loc)
        if match is None:
            raise pp.ParseException(instring, loc, f"expected {self.name}", self)
        kind = match.lastgroup or ""
        return match.end(), [Token(kind, value_of(kind, match[0]), loc, match[0])]


class Choice(Piece):
    """Choice(what, words...) -> one of these words, in lower case, as a Token."""

    def __init__(self, what: str, *words: str) -> None:
        super().__init__(what, f"write {_listed(words)}", "word")
        longest_first = "|".join(map(re.escape, sorted(words, key=len, reverse=True)))
        self._match = re.compile(rf"(?P<choice>{longest_first})(?![\w.@-])", re.IGNORECASE).match

    def parseImpl(  # noqa: N802 - pyparsing's hook
        self, instring: str, loc: int, do_actions: bool = True
    ) -> tuple[int, list[Token]]:
        end, (token,) = super().parseImpl(instring, loc, do_actions)
        return end, [token._replace(text=token.text.lower())]


def _listed(words: tuple[str, ...]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


# ---- from words to values


_TIMES = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "": 1}
_SIZES = {"k": 1 << 10, "M": 1 << 20, "": 1}


def _split(text: str) -> tuple[int, str]:
    digits = text.rstrip("smhdwkM")
    if len(digits) > _MOST_DIGITS:
        raise BadValueError(f"{shown(text)} is too large", "write a smaller number")
    return int(digits), text[len(digits) :]


def seconds(text: str) -> int:
    """A time; without a unit it is in seconds."""
    amount, unit = _split(text)
    if unit not in _TIMES:
        raise BadValueError(
            f"{shown(text)} is no time", f"the units are s m h d w; for minutes write {amount}m"
        )
    return amount * _TIMES[unit]


def number(text: str) -> int:
    """A number, with k for 1,024 and M for 1,048,576."""
    amount, unit = _split(text)
    return amount * _SIZES[unit]


def prefix(text: str, most: int) -> int:
    """The length in /24."""
    length = int(text[1:6])
    if length > most or len(text) > 4:
        raise BadValueError(f"{shown(text)} is too long a prefix", f"write one from /0 to /{most}")
    return length


def network(text: str, cidr: str = "") -> Network:
    """The net of an address and a prefix; bits behind the prefix do not matter."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        cure = "write it in numbers, such as 192.0.2.1 or 2001:db8::1"
        raise BadValueError(f"{shown(text)} is no IP address", cure) from None
    length = prefix(cidr, address.max_prefixlen) if cidr else address.max_prefixlen
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None or length < 96:
            return IPv6Network((int(address) >> 128 - length << 128 - length, length))
        address, length = address.ipv4_mapped, length - 96
    return IPv4Network((int(address) >> 32 - length << 32 - length, length))
