"""Walks: many questions at once, one answer, and no way to break who serves them all."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from Kamaelia.Apps.Grey.Core.Access.Questions import LookupFailed
from Kamaelia.Apps.Grey.Lookups.DnsWalks import (
    Walk,
    address_of,
    name_as_it_is,
    one_line,
    seconds_of,
    walk,
)
from Kamaelia.Support.Protocol.DNS.Messages import Answer, Failure, Question
from Kamaelia.Support.Protocol.DNS.Wire import name_of, text_of
from Test.Kamaelia.network import Silent


class Asker(Silent):
    """Keeps what is asked; the test answers."""

    Inboxes = {"inbox": "object: nothing", "control": "the shutdown", "names": "Answer: none"}

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Question] = []
        self.found: list[tuple[object, float]] = []

    def ask_dns(self, question: Question) -> None:
        self.asked.append(question)

    def done(self, answer: object, seconds: float) -> None:
        self.found.append((answer, seconds))

    def answer(self, number: int) -> None:
        question: Any = self.asked[number]
        question.tag(Answer(question, (question.name,), 60))


def test_all_that_is_wanted_is_asked_at_once_and_answered_in_its_order() -> None:
    def steps() -> Walk:
        first = yield (("a", "A"), ("b", "A"))
        second = yield (("c", "MX"),)
        return [answer.records[0] for answer in (*first, *second)], 60.0

    asker = Asker()
    walk(asker, steps(), asker.done)
    assert [(q.name, q.kind) for q in asker.asked] == [("a", "A"), ("b", "A")]
    asker.answer(1)
    asker.answer(0)
    asker.answer(2)
    assert asker.found == [(["a", "b", "c"], 60.0)]


def test_who_wants_nothing_goes_on_at_once() -> None:
    def steps() -> Walk:
        for _ in range(10_000):
            assert (yield ()) == ()
        return "done", 1.0

    asker = Asker()
    walk(asker, steps(), asker.done)
    assert asker.found == [("done", 1.0)]


def test_a_walk_that_breaks_is_a_failed_look_up(caplog: pytest.LogCaptureFixture) -> None:
    def steps() -> Walk:
        yield (("a", "A"),)
        raise ZeroDivisionError

    asker = Asker()
    walk(asker, steps(), asker.done)
    asker.answer(0)
    assert asker.found == [(LookupFailed(""), 0.0)]
    assert "ZeroDivisionError" in caplog.text


def answers(*items: int | Failure) -> Iterator[Answer]:
    for item in items:
        failed = item if isinstance(item, Failure) else None
        yield Answer(Question("a"), ttl=0 if failed else int(item), failure=failed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("items", "seconds"),
    [((60, 30), 30.0), ((0,), 1.0), ((), 1.0), ((60, Failure.TIMEOUT), 60.0), ((60, 0), 1.0)],
)
def test_it_is_true_as_long_as_all_of_it(items: Sequence[int | Failure], seconds: float) -> None:
    assert seconds_of(answers(*items)) == seconds


@pytest.mark.parametrize("text", ["a\\b.test", "a\\.test", "a\\046b.test", "\\"])
def test_a_backslash_changes_nothing_of_a_name(text: str) -> None:
    name = name_of(name_as_it_is(text), "A")
    assert [label.decode() for label in name.labels] == [*text.split("."), ""]
    assert text_of(name) == text.replace("\\", "\\\\")


@pytest.mark.parametrize("text", ["", "192.0.2", "192.0.2.7 ", "::1" * 50, "\ud800", "1" * 10_000])
def test_what_is_no_address_is_none(text: str) -> None:
    assert address_of(text) is None


def test_a_line_for_the_log_is_one_and_short() -> None:
    assert one_line("a\r\nb\x1b\u202e" + "c" * 1000) == "a??b??" + "c" * 194
