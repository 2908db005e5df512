"""Postgrey's expressions: what they match, and how the index may find them."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Config.Policy.Expressions import BadExpressionError
from Kamaelia.Apps.Grey.Config.PostgreyPatterns import TOGETHER, ending, expression, together


@pytest.mark.parametrize(
    ("source", "yes", "no"),
    [
        (r"^mail\d+\.example\.net$", "MAIL12.Example.net", "mail.example.net"),
        (r"^(?:smtp\w*|postfix)[0-9]+-g[0-9]+\.free\.fr$", "smtpout3-g19.free.fr", "g19.free.fr"),
        (r"^.*?.server.arvato\/x", "a.server.arvato/x", "a.server.arvato-x"),
        (r"^mta[12].siol.net\Z", "mta1.siol.net", "mta1.siol.net.example"),
        (r"\Amx\b", "mx-1", "mx1"),
        ("a@b\\@c", "xa@b@c", "a@bc"),
        (r"[\d.]+\Z\b|x", "x", "y"),
    ],
)
def test_they_mean_what_they_mean_in_perl(source: str, yes: str, no: str) -> None:
    assert expression(source).search(yes) == ()
    assert expression(source).search(no) is None


@pytest.mark.parametrize("source", ["look(?!ahead)", r"(a)\1", "a(", "a)(b", "x" * 1025, "a++b"])
def test_what_cannot_be_had_is_an_error_with_a_cure(source: str) -> None:
    with pytest.raises(BadExpressionError) as caught:
        expression(source)
    assert str(caught.value)
    assert caught.value.cure


@pytest.mark.parametrize(
    ("source", "end"),
    [
        (r"^ms-smtp.*\.rr\.com$", ".rr.com"),
        (r"^odk.fdv.uni-lj.si$", "si"),
        (r"\.Example\.NET\z", ".example.net"),
        (r"\.example\.net\Z", ".example.net"),
        (r"mail\d$", ""),  # the d is no letter
        (r"a\\.net$", "net"),  # the backslash is one, the dot is not
        (r"[.]net$", "net"),
        (r"a|b\.net$", ""),
        (r"(a|b)\.net$", ".net"),
        (r"(?:a|b)\.net$", ".net"),
        (r"(?-i)a\.net$", ""),
        (r"(?x)a. net$", ""),
        (r"\Qa.net\E$", ""),
        (r"a\.net", ""),
        (r"a\.net\$", ""),
        (r"a\.net[$", ""),
        (r"ab?$", ""),
        (r"ab{2}$", ""),
        (r"[ab]$", ""),
        (r"[]$]\.x$", ".x"),
        (r"net\.$", "net"),
        ("\u00e9$", ""),
        ("$", ""),
        ("", ""),
    ],
)
def test_the_end_is_told_where_it_is_sure(source: str, end: str) -> None:
    assert ending(source) == end


_PIECES = st.sampled_from(
    [
        "a",
        "b",
        "-",
        r"\.",
        ".",
        r"\d",
        "[ab]",
        "(a|b)",
        "(?:a)",
        "|",
        "*",
        "+",
        "?",
        "^",
        "$",
        "{2}",
    ]
)


@settings(max_examples=50)
@given(st.lists(_PIECES, max_size=6).map("".join), st.text("ab1.-", max_size=8))
def test_no_text_that_matches_ends_otherwise(source: str, text: str) -> None:
    try:
        compiled = expression(source + "$")
    except BadExpressionError:
        return
    if compiled.search(text) is not None:
        assert text.rstrip(".").endswith(ending(source + "$"))


@settings(max_examples=50)
@given(
    st.lists(st.sampled_from(["a", r"^b\.", "c$", "(?:d|e)f", "[gh]+"]), max_size=6),
    st.text("abcdefgh."),
)
def test_together_they_match_what_one_of_them_does(sources: list[str], text: str) -> None:
    one = any(re.search(source, text) for source in sources)
    assert any(each.search(text) is not None for each in together(sources)) == one


def test_many_are_a_few() -> None:
    sources = [f"^m{number}-" for number in range(2 * TOGETHER + 1)]
    made = list(together(sources))
    assert len(made) == 3
    assert [each.search("M50-") is not None for each in made] == [False, True, False]
    assert repr(made[2]) == "/^m100-/"
    assert list(together([])) == []


def test_those_that_cannot_stand_together_stay_alone() -> None:
    made = list(together([r"^\Qa.b", "^c"]))
    assert [each.search("a.b") is not None for each in made] == [True, False]
    assert [each.search("c") is not None for each in made] == [False, True]
