"""
Clauses about the client
========================
Its address and name, what it calls itself, who it has proved to be, and the time it comes at.

>>> from Kamaelia.Apps.Grey.Core.Access.Subject import Mail, Session
>>> subject = Subject(Session("192.0.2.7", name="mx.example.net"), Mail("<>"), "", now=0.0)
>>> Domain(["example.net"], exact=True, negated=True).test(subject)
False
"""

from collections.abc import Sequence
from typing import ClassVar

from Kamaelia.Apps.Grey.Core.Access.Asking import asked, host_name, name_question
from Kamaelia.Apps.Grey.Core.Access.Definitions import MacroTest
from Kamaelia.Apps.Grey.Core.Access.Matching import Literals, Words
from Kamaelia.Apps.Grey.Core.Access.Patterns import (
    LONGEST_TEXT,
    Pattern,
    Suffixes,
    fold,
    search,
    split,
)
from Kamaelia.Apps.Grey.Core.Access.Questions import LookupFailed, Question
from Kamaelia.Apps.Grey.Core.Access.Rule import Clause, Outcome
from Kamaelia.Apps.Grey.Core.Access.Subject import Subject
from Kamaelia.Apps.Grey.Core.Access.Substitute import Template, template
from Kamaelia.Apps.Grey.Core.Access.TimeFields import TimeFields
from Kamaelia.Apps.Grey.Core.Networks import Networks


class Always(Clause):
    """`default`"""

    __slots__ = ()
    kind: ClassVar[str] = "default"

    def holds(self, subject: Subject) -> bool:
        return True


class Addr(Clause):
    """The client's address is in one of the networks."""

    __slots__ = ("networks",)
    kind: ClassVar[str] = "addr"

    def __init__(self, networks: Networks, *, text: str = "", negated: bool = False) -> None:
        super().__init__(text, negated)
        self.networks = networks

    def holds(self, subject: Subject) -> bool:
        return subject.session.client.partition("%")[0] in self.networks

    def literals(self) -> Literals:
        return Literals("addr", networks=tuple(self.networks))


class Domain(Clause):
    """The client's name ends with one of the literals (exact: at the border of a label), or matches
    an expression."""

    __slots__ = ("_expressions", "_suffixes")
    kind: ClassVar[str] = "domain"

    def __init__(
        self, patterns: Sequence[Pattern], exact: bool, *, text: str = "", negated: bool = False
    ) -> None:
        super().__init__(text, negated)
        literals, self._expressions = split(patterns)
        self._suffixes = Suffixes(literals, exact)

    def questions(self, subject: Subject) -> tuple[Question, ...]:
        return asked(name_question(subject))

    def holds(self, subject: Subject) -> Outcome:
        for question in self.questions(subject):
            answer = subject.answers.get(question)
            if not isinstance(answer, str):
                return answer if isinstance(answer, LookupFailed) else question
        name = host_name(subject)
        return (
            self._suffixes.match(name) or search(self._expressions, name[:LONGEST_TEXT]) is not None
        )

    def groups(self, subject: Subject) -> tuple[str, ...]:
        return search(self._expressions, host_name(subject)[:LONGEST_TEXT]) or ()

    def literals(self) -> Literals | None:
        if self._expressions:
            return None
        return Literals("domainexact" if self._suffixes.exact else "domain", self._suffixes.names)


class Helo(Clause):
    """What the client calls itself is one of the literals (which may have %-codes)."""

    __slots__ = ("_expressions", "_literals", "_templates")
    kind: ClassVar[str] = "helo"

    def __init__(
        self, patterns: Sequence[Pattern], *, text: str = "", negated: bool = False
    ) -> None:
        super().__init__(text, negated)
        literals, self._expressions = split(patterns)
        self._literals = frozenset(fold(literal) for literal in literals if "%" not in literal)
        self._templates: tuple[Template, ...] = tuple(
            template(literal) for literal in literals if "%" in literal
        )
        self.depends = any(text.depends for text in self._templates)

    def questions(self, subject: Subject) -> tuple[Question, ...]:
        return tuple(q for text in self._templates for q in text.questions(subject))

    def holds(self, subject: Subject) -> Outcome:
        helo = subject.session.helo
        folded = fold(helo)
        if folded in self._literals or search(self._expressions, helo[:LONGEST_TEXT]) is not None:
            return True
        for text in self._templates:
            unknown = text.unknown(subject)
            if unknown is not None:
                return unknown
            if fold(text.expand(subject)) == folded:
                return True
        return False

    def groups(self, subject: Subject) -> tuple[str, ...]:
        return search(self._expressions, subject.session.helo[:LONGEST_TEXT]) or ()


class Auth(Words):
    """The name that the client has proved by AUTH."""

    __slots__ = ()
    kind: ClassVar[str] = "auth"

    def _text(self, subject: Subject) -> str:
        return subject.session.auth_user


class Tls(Words):
    """The subject of the client's certificate, which was verified."""

    __slots__ = ()
    kind: ClassVar[str] = "tls"

    def _text(self, subject: Subject) -> str:
        return subject.session.tls_subject


class MacroIs(Clause):
    """One of the tests of milter macros holds."""

    __slots__ = ("tests",)
    kind: ClassVar[str] = "sm_macro"

    def __init__(
        self, tests: Sequence[tuple[str, MacroTest]], *, text: str = "", negated: bool = False
    ) -> None:
        super().__init__(text, negated)
        self.tests = tuple((test.macro.strip("{}"), test) for _, test in tests)

    def holds(self, subject: Subject) -> bool:
        return any(
            _macro_holds(test, subject.session.macros.get(macro)) for macro, test in self.tests
        )

    def groups(self, subject: Subject) -> tuple[str, ...]:
        for macro, test in self.tests:
            value = subject.session.macros.get(macro)
            if value is not None and test.expression is not None:
                found = test.expression.search(value[:LONGEST_TEXT])
                if found is not None:
                    return found
        return ()


def _macro_holds(test: MacroTest, value: str | None) -> bool:
    if test.expression is not None:
        return value is not None and test.expression.search(value[:LONGEST_TEXT]) is not None
    return value == test.value


class TimeIs(Clause):
    """The local time matches one of the rows of five fields of crontab. A row that is none never
    matches; `TimeFields.parse` says what is wrong with it."""

    __slots__ = ("_rows",)
    kind: ClassVar[str] = "time"

    def __init__(self, fields: Sequence[str], *, text: str = "", negated: bool = False) -> None:
        super().__init__(text, negated)
        self._rows = tuple(row for row in map(_parsed, fields) if row is not None)

    def holds(self, subject: Subject) -> bool:
        return any(row.match(subject.local) for row in self._rows)


def _parsed(row: str) -> TimeFields | None:
    try:
        return TimeFields.parse(row)
    except ValueError:
        return None
