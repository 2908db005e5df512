"""Many questions at once: the same one is looked up once, some at a time, none for ever."""

from random import Random

import pytest

from Kamaelia.Support.Protocol.DNS.Lookup import Lookup
from Kamaelia.Support.Protocol.DNS.Messages import Answer, Failure, Outcome, Question
from Kamaelia.Support.Protocol.DNS.Questions import Questions
from Kamaelia.Support.Protocol.DNS.Settings import Settings

FOUND = Outcome(("192.0.2.1",), 60.0)


def questions(**settings: float) -> Questions:
    return Questions([("192.0.2.53", 53)], Settings(**settings), Random(1))  # type: ignore[arg-type]


def started(asked: Questions, now: float = 0.0) -> Lookup:
    lookup = asked.start(now)
    assert lookup is not None
    return lookup


def test_the_same_question_is_looked_up_once_and_everybody_is_answered() -> None:
    asked = questions()
    first, second = Question("a.org", tag=1), Question("A.org.", tag=2)
    assert asked.ask(first, 0.0) is None
    lookup = started(asked)
    assert asked.ask(second, 0.0) is None
    assert asked.start(0.0) is None
    assert asked.unanswered == 2
    answers = asked.finish(lookup, FOUND, 1.0)
    assert answers == [Answer(first, ("192.0.2.1",), 60), Answer(second, ("192.0.2.1",), 60)]
    assert asked.unanswered == 0


def test_another_kind_is_another_question() -> None:
    asked = questions()
    asked.ask(Question("a.org"), 0.0)
    asked.ask(Question("a.org", "AAAA"), 0.0)
    assert [started(asked).key, started(asked).key] == [("a.org", "A"), ("a.org", "AAAA")]


def test_what_was_found_is_known_to_the_next_for_the_time_that_is_left() -> None:
    asked = questions()
    asked.ask(Question("a.org"), 0.0)
    asked.finish(started(asked), FOUND, 0.0)
    question = Question("a.ORG")
    assert asked.ask(question, 20.5) == Answer(question, ("192.0.2.1",), 39)
    assert asked.ask(question, 60.0) is None


def test_only_so_many_are_looked_up_at_once() -> None:
    asked = questions(in_flight_limit=2)
    for name in ("a", "b", "c"):
        asked.ask(Question(name), 0.0)
    first, _ = started(asked), started(asked)
    assert asked.start(0.0) is None
    asked.finish(first, FOUND, 0.0)
    assert started(asked).key == ("c", "A")


def test_more_questions_than_may_wait_are_refused_and_those_known_are_not() -> None:
    asked = questions(waiting_limit=2)
    asked.ask(Question("known"), 0.0)
    asked.finish(started(asked), FOUND, 0.0)
    asked.ask(Question("a"), 0.0)
    asked.ask(Question("a"), 0.0)
    refused = asked.ask(Question("b"), 0.0)
    assert refused is not None
    assert refused.failure is Failure.OVERLOADED
    known = asked.ask(Question("known"), 0.0)
    assert known is not None
    assert known.failure is None
    asked.finish(started(asked), FOUND, 0.0)
    assert asked.ask(Question("b"), 0.0) is None


def test_those_that_cannot_even_begin_in_time_are_told() -> None:
    asked = questions(in_flight_limit=1, patience=8.0)
    assert asked.overdue_at is None
    for now, name in enumerate(("a", "b", "c")):
        asked.ask(Question(name), float(now))
    lookup = started(asked)
    assert asked.overdue_at == 9.0
    assert asked.overdue(8.9) == []
    assert [(a.question.name, a.failure) for a in asked.overdue(9.0)] == [("b", Failure.OVERLOADED)]
    assert asked.overdue_at == 10.0
    asked.finish(lookup, FOUND, 9.5)
    assert started(asked).key == ("c", "A")


def test_abandoned_all_are_told() -> None:
    asked = questions(in_flight_limit=1)
    for name in ("a", "a", "b"):
        asked.ask(Question(name), 0.0)
    started(asked)
    assert [(a.question.name, a.failure) for a in asked.abandon()] == [
        ("a", Failure.STOPPED),
        ("a", Failure.STOPPED),
        ("b", Failure.STOPPED),
    ]
    assert (asked.unanswered, asked.overdue_at, asked.abandon()) == (0, None, [])


@pytest.mark.parametrize(
    ("name", "kind", "records", "failure"),
    [
        ("localhost", "A", ("127.0.0.1",), None),
        ("LocalHost.", "AAAA", ("::1",), None),
        ("db.localhost", "A", ("127.0.0.1",), None),
        ("localhost", "MX", (), Failure.NODATA),
        ("mail.invalid", "A", (), Failure.NXDOMAIN),
        ("secret.onion", "A", (), Failure.NXDOMAIN),
        ("a..b", "A", (), Failure.BAD_NAME),
        ("192.0.2.1", "A", (), Failure.BAD_NAME),
    ],
)
def test_some_names_never_leave_the_machine(
    name: str, kind: str, records: tuple[str, ...], failure: Failure | None
) -> None:
    asked = questions()
    answer = asked.ask(Question(name, kind), 0.0)
    assert answer is not None
    assert (answer.records, answer.failure) == (records, failure)
    assert asked.start(0.0) is None


def test_a_name_that_only_looks_special_is_asked_for() -> None:
    asked = questions()
    for name in ("localhost.org", "notlocalhost", "onion.org"):
        assert asked.ask(Question(name), 0.0) is None
