"""Words of a line: quotes, backslashes, and what does not fit together."""

import doctest

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Support.Data import QuotedWords
from Kamaelia.Support.Data.QuotedWords import BadWords, quoted, words_of

LINE = st.text(st.sampled_from("ab \t\"'\\é\n"), max_size=12)


def test_the_examples_are_true() -> None:
    assert doctest.testmod(QuotedWords).failed == 0


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", []),
        ("  \t ", []),
        ("ADD NODE 1", ["ADD", "NODE", "1"]),
        ("  two   words\t", ["two", "words"]),
        ('"two words" one', ["two words", "one"]),
        ("'it''s'", None),
        ('"it\'s" \'so "called"\'', ["it's", 'so "called"']),
        ("\"\" ''", ["", ""]),
        (r"a\ b \"c\' \\", ["a b", "\"c'", "\\"]),
        (r'"a\"b" ' + r"'a\'b'", ['a"b', "a'b"]),
        (r"\n", ["n"]),
        ('"no end', None),
        ("no ' end", None),
        ('wo"rd', None),
        ('"word"s', None),
        ("end\\", None),
        ('"end\\"', None),
    ],
)
def test_words(line: str, words: list[str] | None) -> None:
    if words is None:
        with pytest.raises(BadWords):
            words_of(line)
    else:
        assert words_of(line) == words


@settings(max_examples=50)
@given(st.lists(LINE))
def test_quoted_words_come_back(words: list[str]) -> None:
    assert words_of(" ".join(quoted(word) for word in words)) == words


@settings(max_examples=50)
@given(LINE)
def test_whatever_comes_it_is_words_or_refused(line: str) -> None:
    try:
        words = words_of(line)
    except BadWords:
        return
    assert words_of(" ".join(map(quoted, words))) == words


def test_long_lines_take_a_time_that_grows_only_with_their_length() -> None:
    assert len(words_of("a\\ " * 100_000)) == 1
    with pytest.raises(BadWords):
        words_of('"' + "\\a" * 200_000)
    assert words_of("a" + " " * 200_000) == ["a"]
