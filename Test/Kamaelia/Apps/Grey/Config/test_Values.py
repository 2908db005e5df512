"""Values: numbers with limits and units, choices, texts, paths."""

from enum import Enum
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Config.Values import (
    BadValueError,
    Choice,
    Plain,
    duration,
    greeting_text,
    integer,
    path,
    size,
    user_name,
    yes_or_no,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("60", 60),
        ("0", 0),
        ("90s", 90),
        ("5m", 300),
        ("1h", 3600),
        ("2d", 172_800),
        ("1w", 604_800),
        ("9m30s", 570),
        ("1h30m", 5400),
        ("1W2D3H4M5S", 604_800 + 2 * 86_400 + 3 * 3600 + 4 * 60 + 5),
        ("007s", 7),
    ],
)
def test_a_time_may_have_units(text: str, seconds: int) -> None:
    assert duration(0, 10**9)(text) == seconds


@pytest.mark.parametrize(
    ("text", "count"),
    [("1", 1), ("500K", 512_000), ("500k", 512_000), ("25M", 25 << 20), ("2g", 2 << 30)],
)
def test_a_size_may_have_units_of_1024(text: str, count: int) -> None:
    assert size(0, 1 << 40)(text) == count


@pytest.mark.parametrize(
    "text",
    ["", " ", "-1", "+1", "1.5h", "5 m", "m", "5x", "1s1m", "1m1m", "1m30", "٣m", "1e3", "9" * 16],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(BadValueError, match="is not a time") as raised:
        duration(1, 3600)(text)
    assert raised.value.cure == "write a time from 1s to 1h, such as 90s, 5m, 1h30m or 2d"


@pytest.mark.parametrize("text", ["", "x", "1k", "0x10", "1_000", "²", "1 0", "1\n"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(BadValueError, match="is not a number"):
        integer(1, 9)(text)


def test_both_limits_belong_to_the_range() -> None:
    port = integer(1, 65_535)
    assert (port("1"), port("65535")) == (1, 65_535)
    with pytest.raises(BadValueError, match='"0" is less than 1') as low:
        port("0")
    with pytest.raises(BadValueError, match='"65536" is more than 65535') as high:
        port("65536")
    assert low.value.cure == high.value.cure == "write a number from 1 to 65535"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (integer(0, 100), "a number from 0 to 100"),
        (duration(1, 90), "a time from 1s to 90s"),
        (duration(0, 5400), "a time from 0 to 90m"),
        (duration(86_400, 36 * 86_400), "a time from 1d to 36d"),
        (size(1 << 16, 1 << 31), "a size from 64K to 2G"),
        (size(1000, 1 << 20), "a size from 1000 to 1M"),
    ],
)
def test_limits_are_told_in_the_largest_unit_that_fits(kind: object, words: str) -> None:
    assert str(kind) == words


@given(st.integers(0, 10**12))
def test_a_limit_as_told_is_a_value_again(number: int) -> None:
    kind = duration(number, number)
    assert kind(str(kind).rpartition(" ")[2]) == number


@given(st.text(max_size=12))
def test_any_text_is_a_time_or_a_mistake(text: str) -> None:
    try:
        fine = 1 <= duration(1, 1000)(text) <= 1000
    except BadValueError as error:
        fine = "write a time from 1s" in error.cure
    assert fine


class Colour(Enum):
    RED = "red"
    GREEN = "green"


def test_a_choice_is_a_value_of_its_enum_in_any_case() -> None:
    choice = Choice(Colour)
    assert choice("green") is Colour.GREEN
    assert choice("RED") is Colour.RED
    assert str(choice) == "red or green"


class Way(Enum):
    NONE = "none"
    ONE = "one"
    OTHER = "other"


def test_three_choices_are_told_with_one_or() -> None:
    assert str(Choice(Way)) == "none, one or other"


@pytest.mark.parametrize("text", ["", "blue", "Colour.RED", "re"])
def test_nothing_else_is_a_choice(text: str) -> None:
    with pytest.raises(BadValueError, match="is not one of the choices") as raised:
        Choice(Colour)(text)
    assert raised.value.cure == "write red or green"


def test_a_plain_kind_is_a_function_with_words() -> None:
    kind = Plain("a shout", str.upper)
    assert kind("hey") == "HEY"
    assert str(kind) == "a shout"


def test_a_greeting_is_short_ascii() -> None:
    assert greeting_text("Kamaelia Grey (1)") == "Kamaelia Grey (1)"
    assert len(greeting_text("x" * 100)) == 100


@pytest.mark.parametrize(
    ("text", "why"),
    [("", "1 to 100"), ("x" * 101, "1 to 100"), ("größe", "ASCII"), ("a\r\nQUIT", "ASCII")],
)
def test_what_cannot_be_sent_as_a_greeting_is_refused(text: str, why: str) -> None:
    with pytest.raises(BadValueError, match=why):
        greeting_text(text)


def test_a_path_is_taken_as_it_is() -> None:
    assert path("/var/log/grey log") == Path("/var/log/grey log")
    assert path("grey.db") == Path("grey.db")


@pytest.mark.parametrize(("text", "why"), [("/var/log/", "folder"), ("/" + "x" * 4096, "longer")])
def test_what_is_no_file_is_refused(text: str, why: str) -> None:
    with pytest.raises(BadValueError, match=why):
        path(text)


@pytest.mark.parametrize(("text", "value"), [("yes", True), ("no", False), ("YES", True)])
def test_a_switch_is_yes_or_no(text: str, value: bool) -> None:
    assert yes_or_no(text) is value


@pytest.mark.parametrize("text", ["", "true", "on", "1", "0", "y", "yes!", "\uff59es"])
def test_nothing_else_is_a_switch(text: str) -> None:
    with pytest.raises(BadValueError, match="neither yes nor no") as raised:
        yes_or_no(text)
    assert raised.value.cure == "write yes or no"


@pytest.mark.parametrize("text", ["grey", "_grey", "Debian-exim", "kamaelia.grey", "g" * 32])
def test_a_user_is_a_name(text: str) -> None:
    assert user_name(text) == text


@pytest.mark.parametrize(
    "text", ["", "-grey", "7", "grey user", "grey:0", "größe", "g" * 33, "grey\n", "a/b"]
)
def test_what_no_user_can_be_called_is_refused(text: str) -> None:
    with pytest.raises(BadValueError, match="no name of a user") as raised:
        user_name(text)
    assert raised.value.cure
