"""
Clauses about sender, recipients and properties
===============================================
An address of the file is compared as a whole, without case, blanks and < > at its ends; an
expression sees the address WITH < >, so that `/^<>$/` is the null sender.

>>> from Kamaelia.Apps.Grey.Core.Access.Subject import Mail, Session
>>> subject = Subject(Session("192.0.2.7"), Mail("<Joe@Example.net>"), "<b@example.org>", now=0.0)
>>> From(["joe@example.net"]).test(subject), Rcpt(["joe@example.net"]).test(subject)
(True, False)
"""

from fnmatch import fnmatchcase
from typing import ClassVar

from Kamaelia.Apps.Grey.Core.Access.Definitions import Expression
from Kamaelia.Apps.Grey.Core.Access.Matching import (
    Literals,
    Words,
    compare,
    depends_on_property,
    integer,
    number,
    property_of,
)
from Kamaelia.Apps.Grey.Core.Access.Patterns import LONGEST_TEXT, bare, fold, search
from Kamaelia.Apps.Grey.Core.Access.Questions import Question
from Kamaelia.Apps.Grey.Core.Access.Rule import Clause, Outcome
from Kamaelia.Apps.Grey.Core.Access.Subject import Subject
from Kamaelia.Apps.Grey.Core.Access.Substitute import template

_LONGEST_GLOB = 512
_MOST_STARS = 8


def bracketed(address: str) -> str:
    """With < > around it, whoever gave it."""
    return address if address.startswith("<") else f"<{address}>"


class Address(Words):
    """One address is one of the literals, or matches an expression with its < >."""

    __slots__ = ()

    @staticmethod
    def _folded(literal: str) -> str:
        return fold(bare(literal))

    def literals(self) -> Literals | None:
        return None if self._expressions else Literals(self.kind, self._literals)


class From(Address):
    """The sender, cleaned."""

    __slots__ = ()
    kind: ClassVar[str] = "from"

    def _text(self, subject: Subject) -> str:
        return bracketed(subject.mail.sender)


class RawFrom(Address):
    """The sender as the client gave it."""

    __slots__ = ()
    kind: ClassVar[str] = "rawfrom"

    def _text(self, subject: Subject) -> str:
        return bracketed(subject.mail.raw_sender or subject.mail.sender)


class Rcpt(Address):
    """The recipient; in the DATA stage one of those that were accepted."""

    __slots__ = ()
    kind: ClassVar[str] = "rcpt"

    def _text(self, subject: Subject) -> str:
        for recipient in subject.mail.recipients:
            text = bracketed(recipient)
            if self._is(text):
                return text
        return ""

    def _is(self, text: str) -> bool:
        return self._folded(text) in self._literals or (
            search(self._expressions, text[:LONGEST_TEXT]) is not None
        )

    def holds(self, subject: Subject) -> bool:
        if subject.recipient:
            return self._is(bracketed(subject.recipient))
        return self._text(subject) != ""

    def groups(self, subject: Subject) -> tuple[str, ...]:
        text = bracketed(subject.recipient) if subject.recipient else self._text(subject)
        return search(self._expressions, text[:LONGEST_TEXT]) or ()


class RcptCount(Clause):
    """How many recipients were accepted, without the one that is asked about."""

    __slots__ = ("_operator", "_value")
    kind: ClassVar[str] = "rcptcount"

    def __init__(self, op: str, value: int | str, *, text: str = "", negated: bool = False) -> None:
        super().__init__(text, negated)
        self._operator, self._value = op, value
        self.depends = depends_on_property(value)

    def holds(self, subject: Subject) -> bool:
        value = number(self._value, subject)
        return value is not None and compare(len(subject.mail.recipients), self._operator, value)


class PropertyIs(Clause):
    """A property is that text (without case), matches that expression, or compares to that number.
    One that nobody has set is nothing: it neither equals nor differs."""

    __slots__ = ("_name", "_operator", "_value")
    kind: ClassVar[str] = "property"
    acts: ClassVar[bool] = True

    def __init__(
        self,
        name: str,
        op: str | None,
        value: str | int | Expression,
        *,
        text: str = "",
        negated: bool = False,
    ) -> None:
        super().__init__(text, negated)
        self._name = fold(name.removeprefix("$"))
        self._operator, self._value = op, value
        self.depends = True

    def questions(self, subject: Subject) -> tuple[Question, ...]:
        value = self._value
        return template(value).questions(subject) if isinstance(value, str) else ()

    def holds(self, subject: Subject) -> Outcome:
        found = property_of(subject, self._name)
        if found is None:
            return False
        value = self._value
        if not isinstance(value, str | int):
            return value.search(found.value[:LONGEST_TEXT]) is not None
        if self._operator is not None or isinstance(value, int):
            have, want = integer(found.value), number(value, subject)
            return (
                have is not None
                and want is not None
                and (compare(have, self._operator or "==", want))
            )
        wanted = template(value)
        unknown = wanted.unknown(subject)
        return fold(found.value) == fold(wanted.expand(subject)) if unknown is None else unknown

    def groups(self, subject: Subject) -> tuple[str, ...]:
        found = property_of(subject, self._name)
        if found is None or isinstance(self._value, str | int):
            return ()
        return self._value.search(found.value[:LONGEST_TEXT]) or ()

    def act(self, subject: Subject) -> None:
        if self.holds(subject) is True:
            subject.matched_property = property_of(subject, self._name)


class PropertyGlob(Clause):
    """`*$name "text"`: the value of the property, taken for a pattern with * and ?, matches the
    text."""

    __slots__ = ("_name", "_template")
    kind: ClassVar[str] = "property"
    acts: ClassVar[bool] = True

    def __init__(self, name: str, value: str, *, text: str = "", negated: bool = False) -> None:
        super().__init__(text, negated)
        self._name = fold(name.removeprefix("*").removeprefix("$"))
        self._template = template(value)
        self.depends = True

    def questions(self, subject: Subject) -> tuple[Question, ...]:
        return self._template.questions(subject)

    def holds(self, subject: Subject) -> Outcome:
        found = property_of(subject, self._name)
        if found is None:
            return False
        unknown = self._template.unknown(subject)
        if unknown is not None:
            return unknown
        return glob(found.value, self._template.expand(subject))

    def act(self, subject: Subject) -> None:
        if self.holds(subject) is True:
            subject.matched_property = property_of(subject, self._name)


def glob(pattern: str, text: str) -> bool:
    """Patterns come from look-ups: those that are long, or have many stars, match nothing.

    >>> glob("*@Example.org", "a@example.ORG"), glob("a?", "a"), glob("[a-c]x", "bx")
    (True, False, True)
    """
    if len(pattern) > _LONGEST_GLOB or pattern.count("*") > _MOST_STARS:
        return False
    return fnmatchcase(fold(text)[:_LONGEST_GLOB], fold(pattern))
