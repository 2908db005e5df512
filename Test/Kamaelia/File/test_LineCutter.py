"""LineCutter: the same lines however the text is sliced, and bounded memory."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.File.LineCutter import LineCutter


def lines_of(pieces: list[str], limit: int) -> list[str]:
    cutter = LineCutter("\n", limit)
    found = [line for piece in pieces for line in cutter.feed(piece)]
    return found + [rest for rest in [cutter.rest()] if rest]


def test_lines_keep_their_newlines() -> None:
    assert lines_of(["one\n\ntw", "o\nth"], 100) == ["one\n", "\n", "two\n", "th"]


def test_bytes_are_cut_like_text() -> None:
    cutter = LineCutter(b"\n", 100)
    assert cutter.feed(b"a\xff\nb") == [b"a\xff\n"]
    assert (cutter.rest(), cutter.rest()) == (b"b", b"")


def test_only_the_newline_ends_a_line() -> None:
    assert lines_of(["a\x0bb\u2028c\rd\n"], 100) == ["a\x0bb\u2028c\rd\n"]


@settings(max_examples=50, deadline=None)
@given(
    pieces=st.lists(st.text(alphabet="ab\n", max_size=12), max_size=8),
    limit=st.integers(1, 6),
)
def test_any_slicing_gives_the_same_lines_none_longer_than_the_limit(
    pieces: list[str], limit: int
) -> None:
    whole = "".join(pieces)
    lines = lines_of(pieces, limit)
    assert "".join(lines) == whole
    assert lines == lines_of([whole], limit) == lines_of(list(whole), limit)
    assert all(len(line) <= limit and "\n" not in line[:-1] for line in lines)
    if limit > max(map(len, whole.split("\n"))):
        assert lines == whole.splitlines(keepends=True)


def test_a_limit_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        LineCutter("\n", 0)
