"""What a test may expect of a message, and how a failure shows it."""

from dataclasses import dataclass

import pytest

from Axon.Ipc import producerFinished
from Axon.TestingMatchers import anything, describe, like, matches, one_of, show, show_all


@dataclass(frozen=True)
class Reply:
    code: int
    text: str = ""


def is_even(number: int) -> bool:
    return number % 2 == 0


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        (1, 1),
        (b"x", b"x"),
        (None, None),
        (int, 1),
        (int, int),  # the class itself was sent
        (int | str, "x"),
        (is_even, 4),
        (is_even, is_even),  # the function itself was sent
        (anything, None),
        (one_of(1, str), "x"),
        (like(code=450), Reply(450)),
        (like(Reply), Reply(1)),
        (like(Reply, code=one_of(450, 451), text=str), Reply(451, "later")),
        (like(object=1), type("X", (), {"object": 1})),
    ],
)
def test_it_matches(expected: object, message: object) -> None:
    assert matches(expected, message)


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        (1, 2),
        (1, None),
        (int, "x"),
        (int | str, b"x"),
        (is_even, 3),
        (one_of(1, str), 2),
        (one_of(), 1),
        (like(code=450), Reply(451)),
        (like(code=450), 450),
        (like(missing=None), Reply(1)),
        (like(producerFinished), Reply(1)),
    ],
)
def test_it_does_not_match(expected: object, message: object) -> None:
    assert not matches(expected, message)


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        (42, "42"),
        ("x", "'x'"),
        (Reply, "Reply"),
        (int | str, "int | str"),
        (is_even, "what is_even accepts"),
        (anything, "anything"),
        (like(Reply, code=one_of(450, int)), "like(Reply, code=one_of(450, int))"),
        (like(code=1), "like(code=1)"),
    ],
)
def test_an_expectation_is_described(expected: object, text: str) -> None:
    assert describe(expected) == text


def test_a_function_is_described_without_the_test_it_stands_in() -> None:
    def is_odd(number: int) -> bool:
        return number % 2 == 1

    assert describe(is_odd) == "what is_odd accepts"


def test_a_message_is_shown_by_its_repr() -> None:
    assert show(Reply(1, "x")) == "Reply(code=1, text='x')"


def test_a_message_without_a_repr_is_shown_without_its_address() -> None:
    class Plain:
        def __init__(self) -> None:
            self.number = 1

    assert show(Plain()) == "Plain(number=1)"
    assert show(object()) == "object()"
    assert show([Plain()]) == "[<Plain>]"
    assert show(producerFinished(message="x")) == "producerFinished(caller=None, message='x')"


def test_what_is_shown_is_bounded() -> None:
    assert len(show(b"x" * 10_000_000)) < 300
    assert len(show(list(range(1000)))) < 300
    assert len(show_all(["x" * 1000] * 1000)) < 2000
    assert show_all(range(10)).endswith(" 7 and 2 more")


def test_what_is_shown_is_escaped() -> None:
    assert show("\x1b[31m\n") == r"'\x1b[31m\n'"


def test_the_largest_message_is_shown_quickly() -> None:
    class Nested:
        def __init__(self, below: object) -> None:
            self.below = below

    deep: object = None
    for _ in range(500):
        deep = Nested([deep] * 100)
    assert len(show(deep)) < 400
