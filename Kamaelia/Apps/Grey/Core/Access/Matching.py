"""
What several kinds of clauses are made of
=========================================
A clause with a list of literals and expressions compares one text of the subject with all of them.
`Literals` are what a clause can be found by without asking it (see RuleIndex.py).

>>> compare(3, ">=", 2), compare(3, "!=", 3), compare(3, "~", 3)
(True, False, False)
"""

import re
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from Kamaelia.Apps.Grey.Core.Access.Definitions import Expression
from Kamaelia.Apps.Grey.Core.Access.Patterns import (
    LONGEST_TEXT,
    Pattern,
    fold,
    property_name,
    search,
    split,
)
from Kamaelia.Apps.Grey.Core.Access.Rule import Clause
from Kamaelia.Apps.Grey.Core.Access.Subject import Property, Subject
from Kamaelia.Apps.Grey.Core.Networks import Network

_NUMBER = re.compile(r"\s*([+-]?[0-9]{1,18})([kM]?)\s*")
_FACTORS = {"": 1, "k": 1 << 10, "M": 1 << 20}


@dataclass(frozen=True, slots=True)
class Literals:
    """What a clause wants one text of the subject to be. of: "addr", "from", "rawfrom", "rcpt",
    "domain" or "domainexact"; texts are folded; networks only of "addr"."""

    of: str
    texts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()


class Words(Clause):
    """A clause that holds if a text is one of the literals, or one of the expressions is in it."""

    __slots__ = ("_expressions", "_literals")

    def __init__(
        self, patterns: Sequence[Pattern], *, text: str = "", negated: bool = False
    ) -> None:
        super().__init__(text, negated)
        literals, self._expressions = split(patterns)
        self._literals = frozenset(self._folded(literal) for literal in literals)

    @staticmethod
    def _folded(literal: str) -> str:
        return fold(literal)

    @abstractmethod
    def _text(self, subject: Subject) -> str:
        """What is compared."""

    def holds(self, subject: Subject) -> bool:
        text = self._text(subject)
        return self._folded(text) in self._literals or (
            bool(self._expressions) and search(self._expressions, text[:LONGEST_TEXT]) is not None
        )

    def groups(self, subject: Subject) -> tuple[str, ...]:
        return search(self._expressions, self._text(subject)[:LONGEST_TEXT]) or ()


class Inside(Clause):
    """A clause that holds if one of the literals is somewhere in one of several texts, with its
    case, or one of the expressions. A literal `$name` stands for the value of that property."""

    __slots__ = ("_expressions", "_literals", "_properties")
    _expressions: tuple[Expression, ...]

    def __init__(
        self, patterns: Sequence[Pattern], *, text: str = "", negated: bool = False
    ) -> None:
        super().__init__(text, negated)
        literals, self._expressions = split(patterns)
        names = {p: property_name(p) for p in patterns if isinstance(p, str)}
        self._properties = tuple(name for name in names.values() if name is not None)
        self._literals = tuple(text for text in literals if names.get(text) is None)
        self.depends = bool(self._properties)

    @abstractmethod
    def _texts(self, subject: Subject) -> Sequence[str]:
        """Where it is looked for."""

    def holds(self, subject: Subject) -> bool:
        return any(self._is_in(text, subject) for text in self._texts(subject))

    def _is_in(self, text: str, subject: Subject) -> bool:
        if any(literal in text for literal in self._literals):
            return True
        for name in self._properties:
            found = subject.session.properties.get(name)
            if found is not None and found.value and found.value in text:
                return True
        return search(self._expressions, text) is not None

    def groups(self, subject: Subject) -> tuple[str, ...]:
        for text in self._texts(subject):
            found = search(self._expressions, text)
            if found is not None:
                return found
        return ()


def compare(left: int, operator: str, right: int) -> bool:
    """operator: as in the file; an unknown one is never true."""
    match operator:
        case "==" | "=":
            return left == right
        case "!=":
            return left != right
        case "<":
            return left < right
        case ">":
            return left > right
        case "<=":
            return left <= right
        case ">=":
            return left >= right
    return False


def integer(text: str) -> int | None:
    """The number in a text, with k or M; None: there is none.

    >>> integer("25M"), integer("-3"), integer("many"), integer("9" * 99)
    (26214400, -3, None, None)
    """
    found = _NUMBER.fullmatch(text) if text.isascii() else None
    return None if found is None else int(found[1]) * _FACTORS[found[2]]


def number(value: int | str, subject: Subject) -> int | None:
    """An operand: a number, or the value of the property `$name`; None: that is no number."""
    if isinstance(value, int):
        return value
    name = property_name(value)
    if name is None:
        return integer(value)
    found = property_of(subject, name)
    return None if found is None else integer(found.value)


def depends_on_property(value: object) -> bool:
    return isinstance(value, str) and property_name(value) is not None


def property_of(subject: Subject, name: str) -> Property | None:
    return subject.session.properties.get(name)
