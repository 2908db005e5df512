"""Nested lists of words as a line: every list comes back, every other line is refused."""

import doctest
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Support.Data import TokenLine
from Kamaelia.Support.Data.TokenLine import DEEPEST, BadTokens, line_of, tokens_of

WORDS = st.text(st.sampled_from("ab %[]\n\r\t\"'\\é\u2028\x1c\xa0"), max_size=6)
LISTS = st.lists(st.recursive(WORDS, lambda inner: st.lists(inner, max_size=4), max_leaves=20))


def nested(depth: int) -> list[Any]:
    inner: list[Any] = ["word"]
    for _ in range(depth - 1):
        inner = [inner]
    return inner


def test_the_examples_are_true() -> None:
    assert doctest.testmod(TokenLine).failed == 0


@settings(max_examples=50)
@given(LISTS)
def test_every_list_comes_back_from_its_line(tokens: list[Any]) -> None:
    line = line_of(tokens)
    assert tokens_of(line) == tokens
    assert len(line.splitlines()) <= 1


@settings(max_examples=50)
@given(st.text(st.sampled_from("a[]% 4"), max_size=12))
def test_a_line_that_is_taken_is_the_line_of_what_it_gave(line: str) -> None:
    try:
        tokens = tokens_of(line)
    except BadTokens:
        return
    assert tokens_of(line_of(tokens)) == tokens


def test_tuples_are_written_as_lists() -> None:
    assert tokens_of(line_of(("a", ("b",)))) == ["a", ["b"]]


@pytest.mark.parametrize("line", ["[", "]", "a ] b [", "[ [ ]", "a[b", "a] b", "%4", "%zz", "%FF"])
def test_what_is_no_list_of_words_is_refused(line: str) -> None:
    with pytest.raises(BadTokens):
        tokens_of(line)


def test_lists_in_lists_go_only_so_deep() -> None:
    deepest = nested(DEEPEST)
    assert tokens_of(line_of(deepest)) == deepest
    with pytest.raises(BadTokens, match="64 lists"):
        line_of(nested(DEEPEST + 1))
    with pytest.raises(BadTokens, match="64 lists"):
        tokens_of("[ " * 100_000)


@pytest.mark.parametrize("tokens", ["text", b"bytes", None, [1], ["a", [b"b"]], [None]])
def test_only_lists_of_text_are_written(tokens: Any) -> None:  # noqa: ANN401 - it is wrong
    with pytest.raises(TypeError):
        line_of(tokens)
