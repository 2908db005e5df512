"""Wants: each thing is asked for once, and has an answer afterwards."""

import doctest
import sys

import pytest

from Kamaelia.Apps.Grey.Core.Access.Questions import HostName, LookupFailed, Mx, Question
from Kamaelia.Apps.Grey.Core.Access.Subject import Mail, Session, Subject
from Kamaelia.Apps.Grey.Core.Types import Record, Triplet
from Kamaelia.Apps.Grey.Core.Wants import STORE_FAILED, Look, Wanted, ask, look

NAME, MX = HostName("192.0.2.7"), Mx("example.net")


def test_what_is_known_is_not_asked_and_what_is_not_answered_has_failed() -> None:
    subject = Subject(Session("192.0.2.7"), Mail("<>"), "<b@c>", now=0.0)
    questions: list[Question] = [NAME, MX, NAME]
    asking = ask(subject, questions)
    assert next(asking) == Wanted((NAME, MX), subject)
    subject.answers[MX] = ("192.0.2.7",)
    assert list(asking) == []
    assert isinstance(subject.answers[NAME], LookupFailed)
    assert subject.answers[MX] == ("192.0.2.7",)
    assert list(ask(subject, questions)) == []


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        (None, None),
        (STORE_FAILED, STORE_FAILED),
        (Record.started(9), Record.started(9)),
        ("nonsense", None),
    ],
)
def test_what_the_store_knows_comes_back(sent: object, found: object) -> None:
    looking = look(Triplet("n", "a", "b"))
    assert next(looking) == Look(Triplet("n", "a", "b"))
    with pytest.raises(StopIteration) as done:
        looking.send(sent)
    assert done.value.value == found


def test_the_example_in_the_docstring_is_true() -> None:
    result = doctest.testmod(sys.modules[ask.__module__])
    assert result.attempted
    assert not result.failed
