"""
Clauses that do something
=========================
They set properties, count, write a line of the log or keep the reply back. What they do they do
when all that stands before them in their rule holds, whether or not the rest does.

>>> from Kamaelia.Apps.Grey.Core.Access.Subject import Mail, Session
>>> subject = Subject(Session("192.0.2.7"), Mail("<>"), "<b@example.org>", now=0.0)
>>> for clause in (SetProperty("$score", "=", 2), SetProperty("$score", "+=", 3)):
...     clause.act(subject)
>>> subject.session.properties["score"].value
'5'
"""

from typing import ClassVar

from Kamaelia.Apps.Grey.Core.Access.Definitions import RateLimit
from Kamaelia.Apps.Grey.Core.Access.Matching import integer, number, property_of
from Kamaelia.Apps.Grey.Core.Access.Patterns import LONGEST_TEXT, fold, property_name
from Kamaelia.Apps.Grey.Core.Access.Questions import Question
from Kamaelia.Apps.Grey.Core.Access.Rule import Clause, Outcome
from Kamaelia.Apps.Grey.Core.Access.Subject import Property, Subject
from Kamaelia.Apps.Grey.Core.Access.Substitute import clean, expand, template

MOST_PROPERTIES = 1000
MOST_LINES = 100
_LONGEST_NAME = 64
_LARGEST = 10**15


def set_property(subject: Subject, name: str, value: str, fleeting: bool) -> None:
    """Sessions may be long and look-ups talkative: beyond a thousand properties none is added."""
    properties = subject.session.properties
    key = fold(name[:_LONGEST_NAME])
    if key in properties or len(properties) < MOST_PROPERTIES:
        properties[key] = Property(
            name[:_LONGEST_NAME], clean(value[:LONGEST_TEXT]), fleeting, subject.recipient
        )


class SetProperty(Clause):
    """`set` and, if fleeting, `rset`. += and -= are of numbers; what is none counts as 0."""

    __slots__ = ("_fleeting", "_name", "_operator", "_source", "_value")
    kind: ClassVar[str] = "set"
    acts: ClassVar[bool] = True
    in_place: ClassVar[bool] = True

    def __init__(
        self,
        name: str,
        op: str,
        value: str | int,
        fleeting: bool = False,
        *,
        text: str = "",
        negated: bool = False,
    ) -> None:
        super().__init__(text, negated)
        self._name = name.removeprefix("$")
        self._operator, self._value, self._fleeting = op, value, fleeting
        self._source = property_name(value) if isinstance(value, str) else None

    def questions(self, subject: Subject) -> tuple[Question, ...]:
        return template(self._value).questions(subject) if isinstance(self._value, str) else ()

    def holds(self, subject: Subject) -> Outcome:
        if isinstance(self._value, int):
            return True
        unknown = template(self._value).unknown(subject)
        return True if unknown is None else unknown

    def act(self, subject: Subject) -> None:
        set_property(subject, self._name, self._result(subject), self._fleeting)

    def _result(self, subject: Subject) -> str:
        if self._operator == "=":
            return self._operand(subject)
        before = property_of(subject, fold(self._name))
        have = (integer(before.value) if before is not None else None) or 0
        change = number(self._operand(subject), subject) or 0
        result = have + (change if self._operator == "+=" else -change)
        return str(max(-_LARGEST, min(_LARGEST, result)))

    def _operand(self, subject: Subject) -> str:
        if isinstance(self._value, int):
            return str(self._value)
        if self._source is None:
            return expand(self._value, subject, limit=LONGEST_TEXT)
        found = property_of(subject, self._source)
        return "" if found is None else found.value


class Log(Clause):
    """Writes a line."""

    __slots__ = ("_template",)
    kind: ClassVar[str] = "log"
    acts: ClassVar[bool] = True
    in_place: ClassVar[bool] = True

    def __init__(self, value: str, *, text: str = "", negated: bool = False) -> None:
        super().__init__(text, negated)
        self._template = template(value)

    def questions(self, subject: Subject) -> tuple[Question, ...]:
        return self._template.questions(subject)

    def holds(self, subject: Subject) -> Outcome:
        unknown = self._template.unknown(subject)
        return True if unknown is None else unknown

    def act(self, subject: Subject) -> None:
        write_line(subject, self._template.expand(subject))


def write_line(subject: Subject, line: str) -> None:
    if len(subject.lines) < MOST_LINES:
        subject.lines.append(clean(line)[:LONGEST_TEXT])


class Tarpit(Clause):
    """Keeps the reply back; holds unless the client is known to have hung up on less."""

    __slots__ = ("seconds",)
    kind: ClassVar[str] = "tarpit"

    def __init__(self, seconds: int, *, text: str = "", negated: bool = False) -> None:
        super().__init__(text, negated)
        self.seconds = max(0, seconds)

    def holds(self, subject: Subject) -> bool:
        return subject.endured is None or subject.endured >= self.seconds


class RateOver(Clause):
    """Counts this recipient, session or message under its key, and holds if with it there are more
    than the limit. What is asked about twice, by two rules, counts once."""

    __slots__ = ("_key", "_limit", "_name")
    kind: ClassVar[str] = "ratelimit"
    acts: ClassVar[bool] = True
    in_place: ClassVar[bool] = True

    def __init__(
        self, name: str, limit: RateLimit, *, text: str = "", negated: bool = False
    ) -> None:
        super().__init__(text, negated)
        self._name, self._limit = name, limit
        self._key = template(limit.key)
        self.depends = True  # on what is counted meanwhile

    def questions(self, subject: Subject) -> tuple[Question, ...]:
        return self._key.questions(subject)

    def holds(self, subject: Subject) -> Outcome:
        unknown = self._key.unknown(subject)
        if unknown is not None:
            return unknown
        if subject.rates is None:
            return False
        key = self._key.expand(subject)
        seen = subject.rates.seen(self._name, key, subject.now, self._limit.seconds)
        return seen + self._amount(subject, key) > self._limit.limit

    def act(self, subject: Subject) -> None:
        key = self._key.expand(subject)
        amount = self._amount(subject, key)
        if subject.rates is None or not amount:
            return
        counted = subject.session.counted if self._limit.counts == "session" else subject.counted
        if len(counted) < MOST_PROPERTIES:  # a key may have the recipient in it
            counted.add((self._name, key))
        limit = self._limit
        seen = subject.rates.count(self._name, key, subject.now, limit.seconds, amount)
        if seen - amount <= limit.limit < seen:  # a line when it begins, not one for each
            write_line(
                subject,
                f"ratelimit overflow for class {self._name}: {seen}, limit is {limit.limit} "
                f'{limit.counts} / {limit.seconds} sec, key = "{key}"',
            )

    def _amount(self, subject: Subject, key: str) -> int:
        """How much is to be counted now: nothing in the other stage, and nothing twice."""
        place = (self._name, key)
        if self._limit.counts == "session":
            return int(place not in subject.session.counted)
        in_data = subject.mail.content is not None or not subject.recipient
        if in_data != (self._limit.counts == "data"):
            return 0
        return int(place not in subject.counted)
