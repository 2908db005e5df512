"""Header lines made of other people's words."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.FrontDoor.HeaderLines import (
    LINE_BYTES,
    given_line,
    header_line,
    needs_shield,
)

WHOLE = re.compile(rb"[!-9;-~]+:[ -~]*(\r\n[ ][ -~]+)*\r\n")


@given(st.text(max_size=3_000))
def test_a_value_can_be_nothing_but_one_header(value: str) -> None:
    line = header_line("X-Greylist", value)
    assert WHOLE.fullmatch(line)
    assert all(len(each) <= LINE_BYTES for each in line.split(b"\r\n"))


@given(st.text(max_size=200), st.text(max_size=200))
def test_what_a_rule_gives_is_one_header_or_none(name: str, value: str) -> None:
    line = given_line(f"{name}:{value}")
    assert line is None or (WHOLE.fullmatch(line) and not line.startswith(b"."))


@given(st.lists(st.sampled_from([" ", "ab", "x" * 400, "y" * 1_000]), max_size=30).map("".join))
def test_folding_loses_no_word(value: str) -> None:
    words = header_line("X-A", value[:8_000]).split()
    assert b"".join(words) == b"X-A:" + value[:8_000].replace(" ", "").encode()


@pytest.mark.parametrize(
    "text", ["", "no colon", ": x", " X-A: b", ".X-A: b", "X A: b", "\u00fc: x"]
)
def test_what_is_no_header_is_none(text: str) -> None:
    assert given_line(text) is None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("X-A: b", b"X-A: b\r\n"),
        ("X-A:b", b"X-A: b\r\n"),
        ("X-A:", b"X-A: \r\n"),
        ("X-A: \u00fc\x7f", b"X-A: \\xfc?\r\n"),
        ("X-A: a\nB: c", b"X-A: a?B: c\r\n"),
    ],
)
def test_what_is_one_is_cleaned(text: str, line: bytes) -> None:
    assert given_line(text) == line


def test_a_message_that_begins_with_a_blank_would_continue_ours() -> None:
    assert [needs_shield(piece) for piece in (b" x", b"\tx", b"x", b"\r\n", b"")] == [
        *(True, True, False, False, False),
    ]
