"""What look-ups may say: reasons and `key: value` lines, whatever comes from a peer."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Core.Access.Questions import LookupText
from Kamaelia.Apps.Grey.Lookups.Answers import (
    ANSWER_BYTES,
    MOST_LINES,
    clean,
    failed,
    lines_of,
    lookup_text,
)


@pytest.mark.parametrize(
    ("page", "matched"),
    [
        (b"milterGreylistStatus: Ok\n", True),
        (b"MILTERGREYLISTSTATUS:true\r\n", True),
        (b"milterGreylistStatus: no\r\nmilterGreylistAction: blacklist\r\n", False),
        (b"milterGreylistAction: whitelist\n", True),
        (b"milterGreylistIgnore: x\n", True),
        (b"colour: red\n", False),
        (b"milterGreylistSomething: x\n", False),
        (b"milterGreylistStatus Ok\n", False),
        (b"", False),
    ],
)
def test_whether_an_answer_is_a_match(page: bytes, matched: bool) -> None:
    assert lookup_text(lines_of(page)).matched is matched


def test_other_keys_are_kept_only_where_they_are_wanted() -> None:
    page = b"Colour: Red\r\nmilterGreylistMsg: Go: away \r\n"
    assert lookup_text(lines_of(page)).lines == (
        ("colour", "Red"),
        ("miltergreylistmsg", "Go: away"),
    )
    assert lookup_text(lines_of(page), only_known=True).lines == (
        ("miltergreylistmsg", "Go: away"),
    )


def test_anything_found_is_a_match_where_it_is_said_so() -> None:
    assert lookup_text([("mail", "anna")], found_is_match=True).matched
    assert not lookup_text([], found_is_match=True).matched
    assert not lookup_text([("milterGreylistStatus", "no")], found_is_match=True).matched


@pytest.mark.parametrize("key", ["", "a b", "x" * 65, "-a", "\N{KELVIN SIGN}ey", "a\x00", "$a"])
def test_what_is_no_key_makes_no_line(key: str) -> None:
    assert lookup_text([(key, "x"), ("good", "y")]).lines == (("good", "y"),)


def test_no_control_character_comes_through() -> None:
    page = "milterGreylistMsg: a\x00b\x1b[2Jc\u2028d\x85e\n".encode()
    (line,) = lookup_text(lines_of(page)).lines
    assert all(character.isprintable() for character in line[1])


def test_an_answer_is_bounded_in_lines_and_bytes() -> None:
    many = [(f"key{at}", "x") for at in range(10 * MOST_LINES)]
    assert len(lookup_text(many).lines) == MOST_LINES
    large = [(f"key{at}", "\N{EURO SIGN}" * 500) for at in range(100)]
    assert len(lookup_text(large).lines) == ANSWER_BYTES // 1_504
    assert list(lines_of(b"x" * ANSWER_BYTES + b"\nmilterGreylistStatus: Ok\n")) == []


@settings(max_examples=50)
@given(st.binary(max_size=5_000))
def test_any_page_makes_clean_and_small_lines(page: bytes) -> None:
    answer = lookup_text(lines_of(page))
    assert isinstance(answer, LookupText)
    for key, value in answer.lines:
        assert key == key.lower()
        assert key.isascii()
        assert len(key) <= 64
        assert clean(value) == value
        assert "\n" not in value
    assert sum(len(key) + len(value) for key, value in answer.lines) <= ANSWER_BYTES


def test_a_reason_is_one_short_line() -> None:
    assert failed("a\r\nb" + "c" * 1_000).reason == "a b" + "c" * 197
    assert failed("").reason == "it did not say why"
