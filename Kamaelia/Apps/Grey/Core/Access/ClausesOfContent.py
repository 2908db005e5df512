"""
Clauses about the message itself
================================
They belong into rules of the DATA stage; before the message is there none of them holds. Headers
are seen as `Name: value` lines, one by one, the body as blocks of whole lines.

>>> from Kamaelia.Apps.Grey.Core.Access.Subject import Content, Mail, Session
>>> content = Content(1, ["Subject: cheap pills\\r\\n"], ["Hello\\r\\n"], size=4000)
>>> subject = Subject(Session("192.0.2.7"), Mail("<>", content=content), "", now=0.0)
>>> Header(["pills"]).test(subject), Body(["hello"]).test(subject), MsgSize(">", 3000).test(subject)
(True, False, True)
"""

from collections.abc import Sequence
from typing import ClassVar

from Kamaelia.Apps.Grey.Core.Access.Asking import asked, dkim_question, spamd_question
from Kamaelia.Apps.Grey.Core.Access.ClausesOfLookups import answer_of
from Kamaelia.Apps.Grey.Core.Access.Matching import Inside, compare, depends_on_property, number
from Kamaelia.Apps.Grey.Core.Access.Questions import Question, SpamAnswer, SpfAnswer, SpfResult
from Kamaelia.Apps.Grey.Core.Access.Rule import Clause, Outcome
from Kamaelia.Apps.Grey.Core.Access.Subject import Subject


class Body(Inside):
    """Something is in the body, as far as it is kept."""

    __slots__ = ()
    kind: ClassVar[str] = "body"

    def _texts(self, subject: Subject) -> Sequence[str]:
        return () if subject.mail.content is None else subject.mail.content.chunks


class Header(Inside):
    """Something is in one of the header lines."""

    __slots__ = ()
    kind: ClassVar[str] = "header"

    def _texts(self, subject: Subject) -> Sequence[str]:
        return () if subject.mail.content is None else subject.mail.content.headers


class MsgSize(Clause):
    """How many bytes the message has."""

    __slots__ = ("_operator", "_value")
    kind: ClassVar[str] = "msgsize"

    def __init__(self, op: str, value: int | str, *, text: str = "", negated: bool = False) -> None:
        super().__init__(text, negated)
        self._operator, self._value = op, value
        self.depends = depends_on_property(value)

    def holds(self, subject: Subject) -> bool:
        content, value = subject.mail.content, number(self._value, subject)
        if content is None or value is None:
            return False
        return compare(content.size, self._operator, value)


class SpamdIs(Clause):
    """SpamAssassin takes it for spam; or its score compares to that number."""

    __slots__ = ("_operator", "_value")
    kind: ClassVar[str] = "spamd"

    def __init__(
        self,
        op: str | None = None,
        value: int | str | None = None,
        *,
        text: str = "",
        negated: bool = False,
    ) -> None:
        super().__init__(text, negated)
        self._operator, self._value = op, value
        self.depends = depends_on_property(value)

    def questions(self, subject: Subject) -> tuple[Question, ...]:
        return asked(spamd_question(subject))

    def holds(self, subject: Subject) -> Outcome:
        for question in self.questions(subject):
            answer = answer_of(subject, question, SpamAnswer)
            if not isinstance(answer, SpamAnswer):
                return answer
            if self._operator is None or self._value is None:
                return answer.is_spam
            value = number(self._value, subject)
            return value is not None and compare(answer.tenths, self._operator, value * 10)
        return False


class DkimIs(Clause):
    """What the signatures come to is one of the results."""

    __slots__ = ("_results",)
    kind: ClassVar[str] = "dkim"

    def __init__(
        self, results: frozenset[SpfResult], *, text: str = "", negated: bool = False
    ) -> None:
        super().__init__(text, negated)
        self._results = results or frozenset({SpfResult.PASS})

    def questions(self, subject: Subject) -> tuple[Question, ...]:
        return asked(dkim_question(subject))

    def holds(self, subject: Subject) -> Outcome:
        for question in self.questions(subject):
            answer = answer_of(subject, question, SpfAnswer)
            return answer.result in self._results if isinstance(answer, SpfAnswer) else answer
        return False
