"""
Text to compare with: literals and regular expressions
======================================================
A clause has literals and expressions, mixed as a list of the file mixes them. Literals are put into
sets, so that a list of a hundred thousand names costs what a list of one costs; expressions are
tried one after the other.

Literals are compared without case, but only that of ASCII: there are letters elsewhere whose small
form is one of ASCII's (the Kelvin sign), and nobody's address may become somebody else's by them.

>>> [Suffixes(["example.org"], exact).match("mx.badexample.org") for exact in (False, True)]
[True, False]
>>> fold("MX.Example.ORG"), bare("<a@example.org> ")
('mx.example.org', 'a@example.org')
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from Kamaelia.Apps.Grey.Core.Access.Definitions import Expression

LONGEST_TEXT = 4096  # no pattern is longer, and no text is looked at beyond
_LONGEST_NAME = 1024
_SMALL = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
_PROPERTY = re.compile(r"\$[-A-Za-z0-9_]*[A-Za-z0-9_]")


@dataclass(frozen=True, slots=True)
class Text:
    """A literal that is one for sure: `Text("$five")` is no property."""

    value: str


Pattern = str | Text | Expression


def fold(text: str) -> str:
    """Small letters for ASCII capitals, and nothing else changed."""
    return text.lower() if text.isascii() else text.translate(_SMALL)


def bare(address: str) -> str:
    """Without blanks and < > at its ends."""
    return address.strip("<> \t")


def property_name(text: str) -> str | None:
    """The name of a property written `$name`, in small letters; None: it is none."""
    return fold(text[1:]) if _PROPERTY.fullmatch(text) else None


def split(patterns: Iterable[Pattern]) -> tuple[tuple[str, ...], tuple[Expression, ...]]:
    """Literals and expressions."""
    literals: list[str] = []
    expressions: list[Expression] = []
    for pattern in patterns:
        if isinstance(pattern, str):
            literals.append(pattern)
        elif isinstance(pattern, Text):
            literals.append(pattern.value)
        else:
            expressions.append(pattern)
    return tuple(literals), tuple(expressions)


def search(expressions: Sequence[Expression], text: str) -> tuple[str, ...] | None:
    """The groups of the first that is in the text; None: none is."""
    for expression in expressions:
        groups = expression.search(text)
        if groups is not None:
            return groups
    return None


class Suffixes:
    """Suffixes(names, exact) -> does a host name end with one of them? exact: only behind a dot, or
    as a whole. One look-up for each length that occurs, or for each label of the name."""

    __slots__ = ("_lengths", "exact", "names")

    def __init__(self, names: Iterable[str], exact: bool) -> None:
        self.exact = exact
        self.names = frozenset(fold(name.rstrip(".")) for name in names) - {""}
        self._lengths = tuple(sorted({len(name) for name in self.names}))

    def match(self, host: str) -> bool:
        name = fold(host[:_LONGEST_NAME].rstrip("."))
        if self.exact:
            return any(ending in self.names for ending in endings(name))
        return any(
            name[len(name) - length :] in self.names
            for length in self._lengths
            if length <= len(name)
        )


def endings(name: str) -> Iterable[str]:
    """The name, and what stands behind each of its dots, with and without the dot.

    >>> list(endings("a.example.org"))
    ['a.example.org', '.example.org', 'example.org', '.org', 'org']
    """
    yield name
    dot = name.find(".")
    while dot >= 0:
        yield name[dot:]
        yield name[dot + 1 :]
        dot = name.find(".", dot + 1)
