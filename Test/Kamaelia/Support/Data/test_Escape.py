"""Percent escapes: what may not occur does not, and everything comes back."""

import doctest

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Support.Data import Escape
from Kamaelia.Support.Data.Escape import ESCAPE_CHARACTERS, escape, unescape

ANY_TEXT = st.text(st.characters(codec=None), max_size=30)  # lone surrogates too


def test_the_examples_are_true() -> None:
    assert doctest.testmod(Escape).failed == 0


@settings(max_examples=50)
@given(ANY_TEXT, ANY_TEXT)
def test_text_comes_back_and_has_none_of_the_characters(text: str, chars: str) -> None:
    escaped = escape(text, chars)
    assert set(escaped) & set(chars) <= set(ESCAPE_CHARACTERS)
    assert unescape(escaped, chars) == text


@settings(max_examples=50)
@given(st.binary(max_size=30), st.binary(max_size=5))
def test_bytes_come_back_and_have_none_of_the_characters(data: bytes, chars: bytes) -> None:
    escaped = escape(data, chars)
    assert set(escaped) & set(chars) <= set(ESCAPE_CHARACTERS.encode())
    assert unescape(escaped) == data


def test_what_is_not_listed_stays_as_it_is() -> None:
    assert escape("plain words\n", "[]") == "plain words\n"
    assert unescape("plain words\n") == "plain words\n"


def test_beyond_ascii_it_is_utf_8() -> None:
    assert escape("café", "é") == "caf%C3%A9"
    assert unescape("caf%c3%a9") == "café"


@pytest.mark.parametrize("text", ["%", "100 %", "%4", "%4g", "%%41", "%41%"])
def test_a_percent_sign_without_two_digits_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="percent sign"):
        unescape(text)
    with pytest.raises(ValueError, match="percent sign"):
        unescape(text.encode())


def test_escapes_that_are_no_text_are_an_error_in_text_and_not_in_bytes() -> None:
    with pytest.raises(UnicodeDecodeError):
        unescape("%FF")
    assert unescape(b"%FF") == b"\xff"


@pytest.mark.parametrize(("text", "chars"), [("a", b"a"), (b"a", "a"), (1, "a"), (None, None)])
def test_text_and_bytes_are_not_mixed(text: object, chars: object) -> None:
    with pytest.raises(TypeError, match=r"escape\(\) takes two str or two bytes"):
        escape(text, chars)  # type: ignore[type-var]
    with pytest.raises(TypeError, match=r"unescape\(\) takes"):
        unescape(text, chars)  # type: ignore[type-var]
