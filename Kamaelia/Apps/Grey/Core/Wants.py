"""
What a decision asks of whoever drives it
=========================================
A decision is a generator. It yields `Wanted` (find these answers, put them into the subject, then
next()) and `Look` (what does the store know? send() it), and returns what was decided.

>>> from Kamaelia.Apps.Grey.Core.Access.Questions import HostName
>>> from Kamaelia.Apps.Grey.Core.Access.Subject import Mail, Session
>>> subject = Subject(Session("192.0.2.7"), Mail("<a@example.net>"), "<b@example.org>", now=0.0)
>>> asking = ask(subject, [HostName("192.0.2.7"), HostName("192.0.2.7")])
>>> next(asking).questions
(HostName(client='192.0.2.7'),)
>>> subject.answers[HostName("192.0.2.7")] = "mx.example.net"
>>> list(asking), list(ask(subject, [HostName("192.0.2.7")]))
([], [])
"""

from collections.abc import Generator, Iterable
from dataclasses import dataclass

from Kamaelia.Apps.Grey.Core.Access.Questions import LookupFailed, Question
from Kamaelia.Apps.Grey.Core.Access.Subject import Subject
from Kamaelia.Apps.Grey.Core.Types import Decision, MessageDecision, Record, Triplet

_NO_ANSWER = LookupFailed("no answer in time")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Find all of these, side by side, and put the answers into the subject; then next()."""

    questions: tuple[Question, ...]
    subject: Subject


@dataclass(frozen=True, slots=True)
class Look:
    """What does the store know? send() a Record, None or STORE_FAILED."""

    triplet: Triplet


class StoreFailed:
    """The store cannot say."""

    __slots__ = ()


STORE_FAILED = StoreFailed()

Deciding = Generator[Wanted | Look, object, Decision]
DecidingMessage = Generator[Wanted | Look, object, MessageDecision]
Found = Generator[Wanted | Look, object, Record | StoreFailed | None]


def ask(subject: Subject, questions: Iterable[Question]) -> Generator[Wanted, object, None]:
    """Want what is not known yet. Afterwards there is an answer to all of them: one that the driver
    did not find is a look-up that failed."""
    answers = subject.answers
    missing = tuple(dict.fromkeys(one for one in questions if one not in answers))
    if missing:
        yield Wanted(missing, subject)
        for question in missing:
            answers.setdefault(question, _NO_ANSWER)


def look(triplet: Triplet) -> Found:
    """The record, None for one never seen, or STORE_FAILED."""
    found = yield Look(triplet)
    return found if isinstance(found, Record | StoreFailed) else None
