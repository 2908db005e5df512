"""The five fields of crontab."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Core.Access.TimeFields import TimeFields

NOON = (0, 12, 22, 11, 0)  # a Sunday


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("* * * * *", True),
        ("0 12 22 11 0", True),
        ("0 12 22 11 7", True),
        ("0 12 22 11 5-7", True),
        ("0 12 22 11 1-6", False),
        ("*/15 */6 * * *", True),
        ("5/5 * * * *", False),
        ("1-10/2 * * * *", False),
        ("0-10/2,30 8-17 1,22 */11 *", False),  # month 1, 12
        ("0 12 * * 1", False),  # both days must match
    ],
)
def test_rows(text: str, holds: bool) -> None:
    assert TimeFields.parse(text).match(NOON) is holds


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("* * * *", "five fields"),
        ("", "here are 0"),
        ("60 * * * *", "minute 60 is not within 0-59"),
        ("* * 0 * *", "day of the month 0"),
        ("* * * 1-13 *", "month 13"),
        ("* * * * 8", "day of the week 8"),
        ("* 5-4 * * *", "ends before"),
        ("*/0 * * * *", "goes nowhere"),
        ("a * * * *", "'a' is neither"),
        ("1, * * * *", "neither"),
    ],
)
def test_what_is_wrong_is_said(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        TimeFields.parse(text)


@given(st.text(max_size=30) | st.text("0123456789*/,- ", max_size=30))
def test_any_text_is_fields_or_a_value_error(text: str) -> None:
    try:
        TimeFields.parse(text).match(NOON)
    except ValueError:
        return
