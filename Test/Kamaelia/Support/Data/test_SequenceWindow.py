"""SequenceWindow: order, duplicates, gaps, numbers that begin again."""

import doctest
import sys
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Support.Data.SequenceWindow import SequenceWindow


def pushed(window: SequenceWindow[int], numbers: list[int]) -> list[int]:
    return [item for number in numbers for item in window.add(number, number)]


def test_the_examples_are_true() -> None:
    assert doctest.testmod(sys.modules[SequenceWindow.__module__]).failed == 0


@settings(max_examples=50)
@given(st.integers(0, 2**16), st.integers(1, 20), st.integers(0, 100), st.randoms())
def test_what_is_displaced_by_no_more_than_the_window_comes_out_in_order(
    first: int, size: int, count: int, random: Random
) -> None:
    order = sorted(range(count), key=lambda n: n + random.randint(0, size))
    doubled = [n for n in order for _ in range(random.choice([1, 1, 2]))]
    window: SequenceWindow[int] = SequenceWindow(size, modulo=2**16)
    out = [item for n in doubled for item in window.add((first + n) % 2**16, n)]
    assert out + window.rest() == list(range(count))


@settings(max_examples=50)
@given(st.lists(st.integers(0, 40), max_size=30), st.integers(1, 10))
def test_whatever_comes_it_keeps_no_more_than_its_size(numbers: list[int], size: int) -> None:
    window: SequenceWindow[int] = SequenceWindow(size)
    out = pushed(window, numbers)
    rest = window.rest()
    assert len(rest) <= size
    assert out + rest == sorted(set(out + rest))
    assert set(out + rest) <= set(numbers)


def test_after_the_beginning_nothing_is_held_back_that_is_in_order() -> None:
    window: SequenceWindow[int] = SequenceWindow(3)
    assert pushed(window, [1, 2, 3]) == []
    assert pushed(window, [4]) == [1, 2, 3, 4]
    assert [window.add(number, number) for number in (5, 6)] == [[5], [6]]


def test_a_gap_is_waited_for_and_then_given_up() -> None:
    window: SequenceWindow[int] = SequenceWindow(2)
    assert pushed(window, [1, 2, 3]) == [1, 2, 3]
    assert pushed(window, [5, 6]) == []
    assert pushed(window, [4]) == [4, 5, 6]
    assert pushed(window, [8, 9, 10]) == [8, 9, 10]
    assert pushed(window, [7]) == []


def test_order_is_kept_where_the_numbers_begin_again() -> None:
    window: SequenceWindow[int] = SequenceWindow(2, modulo=256)
    assert pushed(window, [254, 253, 255, 1, 0, 2]) == [253, 254, 255, 0, 1, 2]


def test_numbers_beyond_the_modulo_are_taken_by_their_place() -> None:
    window: SequenceWindow[int] = SequenceWindow(1, modulo=100)
    assert pushed(window, [99, 100, 101]) == [99, 100, 101]


def test_a_sender_that_starts_anew_is_noticed_after_a_while() -> None:
    window: SequenceWindow[int] = SequenceWindow(2)
    assert pushed(window, list(range(1000, 1010))) == list(range(1000, 1010))
    assert pushed(window, [1011]) == []  # behind a gap
    assert pushed(window, list(range(30))) == []
    assert pushed(window, [30]) == [1011]
    assert pushed(window, [31, 33, 32]) == [30, 31, 32, 33]


def test_a_few_late_ones_change_nothing() -> None:
    window: SequenceWindow[int] = SequenceWindow(2)
    pushed(window, list(range(100, 110)))
    for number in range(110, 150):
        assert pushed(window, [50, number]) == [number]


@pytest.mark.parametrize(("size", "modulo"), [(0, 2**32), (-1, 2**32), (30, 60)])
def test_a_window_that_cannot_work_is_refused(size: int, modulo: int) -> None:
    with pytest.raises(ValueError, match=r"a window"):
        SequenceWindow(size, modulo)
