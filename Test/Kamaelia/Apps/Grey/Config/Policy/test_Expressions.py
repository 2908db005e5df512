"""Expressions: POSIX notation, RE2's matching."""

import pickle
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Config.Policy.Expressions import (
    LONGEST,
    BadExpressionError,
    PosixExpression,
    compiled,
)


@pytest.mark.parametrize(
    ("pattern", "extended", "text", "groups"),
    [
        (r"^[0-9.]+$", True, "192.0.2.7", ()),
        (r"^[0-9.]+$", False, "192.0.2.7", None),  # a plus is a plus
        (r"^[0-9.]\+$", False, "192.0.2.7", ()),
        (r"a?b", False, "a?b", ()),
        (r"a?b", True, "b", ()),
        (r"(x)", False, "(x)", ()),
        (r"(x)", False, "x", None),
        (r"\(x\)\(y\)*", False, "x", ("x", "")),
        (r"(a|b)c", True, "BC", ("B",)),
        (r"a\|b", False, "b", ()),
        (r"a|b", False, "b", None),
        (r"a{2}", False, "a{2}", ()),
        (r"^a\{2,3\}$", False, "aaa", ()),
        (r"^a{2,}$", True, "aaaa", ()),
        (r"^a{,2}$", True, "", ()),
        (r"a{x", True, "a{x", ()),
        (r"*a", False, "*a", ()),
        (r"^*a", False, "*a", ()),
        (r"\(*a\)", False, "*a", ("*a",)),
        (r"a**b", True, "aab", ()),
        (r"a+?b", True, "b", ()),
        (r"a^b$c", False, "a^b$c", ()),
        (r"[]a]", False, "]", ()),
        (r"^[^]a]$", False, "]", None),
        (r"[\.]", False, "\\", ()),
        (r"[[:digit:][:upper:]]", False, "7", ()),
        (r"[a\-z]", False, "m", ()),
        (r"^[+--]$", True, ",", ()),
        (r"[[.-.]]", True, "-", ()),
        (r"[a-]", True, "-", ()),
        (r"a\.b", False, "axb", None),
        (r"\<word\>", False, "a word.", ()),
        (r"\w\W", False, "a.", ()),
        ("größe", False, "GRÖSSE Größe", ()),
        (r"^b$", False, "a\nb\nc", ()),
        (r"a.b", False, "a\nb", None),
        (r"a[^x]b", False, "a\nb", None),
        (r"(a|ab)(c|bcd)", True, "abcd", ("a", "bcd")),
        (r"x*", True, "", ()),
        ("a/b", False, "a/b", ()),
    ],
)
def test_it_means_what_posix_says(
    pattern: str, extended: bool, text: str, groups: tuple[str, ...] | None
) -> None:
    assert compiled(pattern, extended).search(text) == groups


def test_the_longest_of_the_leftmost_counts() -> None:
    assert compiled("(a|ab|abc)", extended=True).search("xabc") == ("abc",)


def test_of_a_macro_lines_do_not_matter() -> None:
    assert compiled("^b$", lines=False).search("a\nb") is None
    assert compiled("a.b", lines=False).search("a\nb") == ()
    assert compiled("a[^x]b", lines=False).search("a\nb") == ()


@pytest.mark.parametrize(
    ("pattern", "extended", "message", "at"),
    [
        ("(", True, r"Unmatched ( or \(", 0),
        ("a(b", True, r"Unmatched ( or \(", 1),
        (r"\(", False, r"Unmatched ( or \(", 0),
        ("a)", True, r"Unmatched ) or \)", 1),
        ("a[b", False, "Unmatched [, [^, [:, [., or [=", 1),
        ("[]", False, "Unmatched [, [^, [:, [., or [=", 0),
        ("[[:alhpa:]]", False, "Invalid character class name", 1),
        ("[[.ab.]]", False, "Invalid collation character", 1),
        ("[z-a]", False, "Invalid range end", 2),
        ("a\\", False, "Trailing backslash", 1),
        ("*@example.org", True, "Invalid preceding regular expression", 0),
        ("^*", True, "Invalid preceding regular expression", 1),
        ("(+a)", True, "Invalid preceding regular expression", 1),
        ("a|?b", True, "Invalid preceding regular expression", 2),
        ("{2}a", True, "Invalid preceding regular expression", 0),
        ("\\{2\\}a", False, "Invalid preceding regular expression", 0),
        (r"a\{1", False, r"Unmatched \{", 1),
        ("a{3,2}", True, r"Invalid content of \{\}", 1),
        ("a{2000}", True, r"Invalid content of \{\}", 1),
        (r"\(a\)\1", False, r"it refers back to a group with \1", 5),
        ("x" * (LONGEST + 1), False, f"it is longer than {LONGEST} characters", 0),
    ],
)
def test_what_it_cannot_do_is_said(pattern: str, extended: bool, message: str, at: int) -> None:
    with pytest.raises(BadExpressionError, match=f"^{re.escape(message)}$") as raised:
        compiled(pattern, extended)
    assert raised.value.at == at
    assert raised.value.cure


def test_too_large_a_pattern_is_an_error_too() -> None:
    with pytest.raises(BadExpressionError, match=r"invalid repetition|too large"):
        compiled("((((a{100}){100}){100}){9})", extended=True)


def test_it_is_a_value_that_can_be_sent_elsewhere() -> None:
    one = compiled("a+", extended=True)
    assert pickle.loads(pickle.dumps(one)) == one  # noqa: S301 - our own
    assert one != compiled("a+")
    assert len({one, compiled("a+", extended=True)}) == 1
    assert one != "a+"
    assert repr(one) == "/a+/"


@pytest.mark.timeout(10)
def test_no_text_takes_long() -> None:
    assert compiled("^(a+)+$", extended=True).search("a" * 100_000 + "b") is None


@settings(max_examples=200, deadline=None)
@given(
    st.text(st.sampled_from(r"ab(){}[]\|+?*^$.-:=,0123<ü"), max_size=20) | st.text(max_size=10),
    st.booleans(),
    st.text(max_size=20),
)
def test_any_pattern_works_or_is_an_error(pattern: str, extended: bool, text: str) -> None:
    try:
        found = PosixExpression(pattern, extended).search(text)
    except BadExpressionError:
        return
    assert found is None or all(isinstance(group, str) for group in found)


@settings(max_examples=100, deadline=None)
@given(
    st.text(st.sampled_from("ab.*()|+?"), max_size=10),
    st.text(st.sampled_from("ab\n."), max_size=12),
)
def test_extended_ones_agree_with_the_engine_of_python(pattern: str, text: str) -> None:
    """Where both notations are the same, so is what is found."""
    try:
        theirs = re.compile(pattern, re.IGNORECASE | re.MULTILINE)
        ours = compiled(pattern, extended=True)
    except (re.error, BadExpressionError):
        return
    if re.search(r"[*+?][*+?]|[(|][*+?]|^[*+?]", pattern):
        return  # these differ: +? is no lazy match here
    assert (theirs.search(text) is None) == (ours.search(text) is None)
