"""
Clauses that ask the world
==========================
SPF, block lists, mail servers, countries and systems. Each gives its Question until the answer is
in the subject; an answer of the wrong kind counts as a look-up that failed.

>>> from Kamaelia.Apps.Grey.Core.Access.Subject import Mail, Session
>>> subject = Subject(Session("192.0.2.7"), Mail("<>"), "<b@example.org>", now=0.0)
>>> clause = DnsrblIn(["dyn"])
>>> clause.test(subject)
Dnsrbl(list_name='dyn', client='192.0.2.7')
>>> subject.answers[clause.test(subject)] = True
>>> clause.test(subject)
True
"""

from collections.abc import Sequence
from typing import ClassVar, TypeVar

from Kamaelia.Apps.Grey.Core.Access.Asking import (
    asked,
    country_question,
    mx_question,
    own_spf_question,
    p0f_question,
    spf_question,
)
from Kamaelia.Apps.Grey.Core.Access.Definitions import Expression
from Kamaelia.Apps.Grey.Core.Access.Patterns import LONGEST_TEXT, Pattern, fold, search, split
from Kamaelia.Apps.Grey.Core.Access.Questions import (
    Dnsrbl,
    LookupFailed,
    Question,
    SpfAnswer,
    SpfResult,
)
from Kamaelia.Apps.Grey.Core.Access.Rule import Clause, Outcome
from Kamaelia.Apps.Grey.Core.Access.Subject import Subject
from Kamaelia.Apps.Grey.Core.Networks import parsed

_T = TypeVar("_T")

UNKNOWN_COUNTRY = "ZZ"
_WRONG = LookupFailed("an answer of the wrong kind")


def answer_of(subject: Subject, question: Question, kind: type[_T]) -> _T | Question | LookupFailed:
    """The answer, if it is of that kind; the question, if nobody has asked it."""
    if question not in subject.answers:
        return question
    answer = subject.answers[question]
    if isinstance(answer, kind | LookupFailed):
        return answer
    return _WRONG


class SpfIs(Clause):
    """What SPF says is one of the results. wide_open (`spf self`): it is that even for our own
    address, so the record says nothing."""

    __slots__ = ("_results", "_wide_open")
    kind: ClassVar[str] = "spf"

    def __init__(
        self,
        results: frozenset[SpfResult],
        wide_open: bool = False,
        *,
        text: str = "",
        negated: bool = False,
    ) -> None:
        super().__init__(text, negated)
        self._results = results or frozenset({SpfResult.PASS})
        self._wide_open = wide_open

    def questions(self, subject: Subject) -> tuple[Question, ...]:
        return asked(own_spf_question(subject) if self._wide_open else spf_question(subject))

    def holds(self, subject: Subject) -> Outcome:
        questions = self.questions(subject)
        if not questions:
            return not self._wide_open and SpfResult.NONE in self._results
        answer = answer_of(subject, questions[0], SpfAnswer)
        return answer.result in self._results if isinstance(answer, SpfAnswer) else answer


class DnsrblIn(Clause):
    """The client is in one of the lists."""

    __slots__ = ("_names",)
    kind: ClassVar[str] = "dnsrbl"
    acts: ClassVar[bool] = True

    def __init__(self, names: Sequence[str], *, text: str = "", negated: bool = False) -> None:
        super().__init__(text, negated)
        self._names = tuple(names)

    def questions(self, subject: Subject) -> tuple[Question, ...]:
        client = subject.session.client
        return tuple(Dnsrbl(name, client) for name in self._names) if client else ()

    def holds(self, subject: Subject) -> Outcome:
        failed: LookupFailed | None = None
        for question in self.questions(subject):
            answer = answer_of(subject, question, bool)
            if isinstance(answer, LookupFailed):
                failed = answer  # another list may still say yes
            elif answer is not False:
                return answer
        return False if failed is None else failed

    def act(self, subject: Subject) -> None:
        for name in self._names:
            listed = subject.answers.get(Dnsrbl(name, subject.session.client)) is True
            if listed and name not in subject.matched_lists:
                subject.matched_lists.insert(0, name)


class MxNear(Clause):
    """The client shares that many leading bits with a mail server of the sender's domain."""

    __slots__ = ("_prefix",)
    kind: ClassVar[str] = "mx"

    def __init__(self, prefix: int, *, text: str = "", negated: bool = False) -> None:
        super().__init__(text, negated)
        self._prefix = max(0, prefix)

    def questions(self, subject: Subject) -> tuple[Question, ...]:
        return asked(mx_question(subject))

    def holds(self, subject: Subject) -> Outcome:
        for question in self.questions(subject):
            answer = answer_of(subject, question, tuple)
            if not isinstance(answer, tuple):
                return answer
            return any(self._near(subject.session.client, address) for address in answer)
        return False

    def _near(self, client: str, server: object) -> bool:
        one, other = parsed(client), parsed(server) if isinstance(server, str) else None
        if one is None or other is None or one.version != other.version:
            return False
        host_bits = max(0, one.max_prefixlen - self._prefix)
        return int(one) >> host_bits == int(other) >> host_bits


class CountryIs(Clause):
    """The client's address is in that country; ZZ: nobody knows where."""

    __slots__ = ("_expressions", "_literals")
    kind: ClassVar[str] = "geoip"
    _expressions: tuple[Expression, ...]

    def __init__(
        self, patterns: Sequence[Pattern], *, text: str = "", negated: bool = False
    ) -> None:
        super().__init__(text, negated)
        literals, self._expressions = split(patterns)
        self._literals = frozenset(literal.upper() for literal in literals)

    def questions(self, subject: Subject) -> tuple[Question, ...]:
        return asked(country_question(subject))

    def holds(self, subject: Subject) -> Outcome:
        code = UNKNOWN_COUNTRY
        for question in self.questions(subject):
            country = answer_of(subject, question, str)
            if not isinstance(country, str):
                return country
            code = country[:LONGEST_TEXT]
        return code.upper() in self._literals or search(self._expressions, code) is not None


class P0fIs(Clause):
    """What p0f says of the client has one of the literals in it, without case, or matches."""

    __slots__ = ("_expressions", "_literals")
    kind: ClassVar[str] = "p0f"
    _expressions: tuple[Expression, ...]

    def __init__(
        self, patterns: Sequence[Pattern], *, text: str = "", negated: bool = False
    ) -> None:
        super().__init__(text, negated)
        literals, self._expressions = split(patterns)
        self._literals = tuple(fold(literal) for literal in literals)

    def questions(self, subject: Subject) -> tuple[Question, ...]:
        return asked(p0f_question(subject))

    def holds(self, subject: Subject) -> Outcome:
        for question in self.questions(subject):
            answer = answer_of(subject, question, str)
            if not isinstance(answer, str):
                return answer
            system = answer[:LONGEST_TEXT]
            folded = fold(system)
            return bool(system) and (
                any(literal in folded for literal in self._literals)
                or search(self._expressions, system) is not None
            )
        return False

    def groups(self, subject: Subject) -> tuple[str, ...]:
        for question in self.questions(subject):
            answer = subject.answers.get(question)
            if isinstance(answer, str):
                return search(self._expressions, answer[:LONGEST_TEXT]) or ()
        return ()
