"""Tokens: what each kind of word looks like, and the values of words."""

from ipaddress import ip_network

import pyparsing as pp
import pytest

from Kamaelia.Apps.Grey.Config.Policy.Tokens import (
    PATTERNS,
    Choice,
    Piece,
    network,
    number,
    prefix,
    seconds,
)
from Kamaelia.Apps.Grey.Config.Values import BadValueError


@pytest.mark.parametrize(
    ("kind", "raw", "text"),
    [
        ("string", '"a # b"', "a # b"),
        ("string", '""', ""),
        ("string", r'"say \"hi\""', 'say "hi"'),
        ("string", r'"a\n"', r"a\n"),
        ("regex", r"/a\/b/", "a/b"),
        ("regex", r"/a\.b\\/", "a\\.b\\\\"),
        ("email", "a+b=c@example.org", "a+b=c@example.org"),
        ("email", '"a.b"@example.org', '"a.b"@example.org'),
        ("word", "mx-1.example.net", "mx-1.example.net"),
        ("address", "192.0.2.7", "192.0.2.7"),
        ("address", "fe80::1%eth0", "fe80::1%eth0"),
        ("address", "::ffff:192.0.2.7", "::ffff:192.0.2.7"),
        ("cidr", "/24", "/24"),
        ("number", "64k", "64k"),
        ("duration", "-1", "-1"),
        ("property", "$a-b", "$a-b"),
        ("operator", ">=", ">="),
        ("sign", "-=", "-="),
    ],
)
def test_each_kind_has_its_form(kind: str, raw: str, text: str) -> None:
    (token,) = Piece("it", "", kind).parse_string(f"  {raw} x")
    assert token == (kind, text, 2, raw)
    assert token.end == 2 + len(raw)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *(("string", text) for text in ('"a', '"a\n"', "a")),
        *(("regex", text) for text in ("//", "/a", "/a\n/")),
        *(("address", text) for text in ("10", "1.2.3.4.example", "1.2.3.4-x", "face", "1.2.3.4x")),
        *(("number", text) for text in ("5m", "1.5", "x", "5K")),
        *(("duration", text) for text in ("5x", "5mm", "5 m x"[1:], "--5")),
        *(("cidr", text) for text in ("/x", "/24x", "24")),
        ("email", "example.org"),
    ],
)
def test_what_has_another_form_is_refused(kind: str, text: str) -> None:
    with pytest.raises(pp.ParseException, match="expected it"):
        Piece("it", "", kind).parse_string(text)


def test_a_choice_is_one_of_its_words_in_any_case() -> None:
    choice = Choice("a word", "pass", "passed")
    assert choice.parse_string("PASSED")[0].text == "passed"
    assert choice.cure == "write pass or passed"
    with pytest.raises(pp.ParseException):
        choice.parse_string("passing")


def test_each_kind_is_a_pattern_that_takes_something() -> None:
    for kind in PATTERNS:
        Piece("it", "", kind)


def test_times_and_sizes() -> None:
    assert [seconds(f"2{unit}") for unit in ("s", "m", "h", "d", "w", "")] == [
        *(2, 120, 7200, 172_800, 1_209_600, 2)
    ]
    assert seconds("-5m") == -300
    assert [number(text) for text in ("2", "2k", "2M")] == [2, 2048, 2 << 20]


@pytest.mark.parametrize("text", ["30M", "5k", "1" * 16, "-" + "1" * 16 + "s"])
def test_odd_times_are_refused(text: str) -> None:
    with pytest.raises(BadValueError):
        seconds(text)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (("192.0.2.7",), "192.0.2.7/32"),
        (("192.0.2.7", "/24"), "192.0.2.0/24"),
        (("192.0.2.7", "/0"), "0.0.0.0/0"),
        (("2001:db8::7", "/32"), "2001:db8::/32"),
        (("::",), "::/128"),
        (("fe80::1%eth0",), "fe80::1/128"),
        (("::ffff:192.0.2.7",), "192.0.2.7/32"),
        (("::ffff:192.0.2.7", "/120"), "192.0.2.0/24"),
        (("::ffff:192.0.2.7", "/64"), "::/64"),
    ],
)
def test_networks(texts: tuple[str, ...], expected: str) -> None:
    assert network(*texts) == ip_network(expected)


@pytest.mark.parametrize(
    "texts", [("1.2.3",), ("1.2.3.400",), (":::",), ("1.2.3.4", "/33"), ("::", "/129")]
)
def test_odd_networks_are_refused(texts: tuple[str, ...]) -> None:
    with pytest.raises(BadValueError) as raised:
        network(*texts)
    assert raised.value.cure


def test_a_prefix_of_many_digits_is_too_long() -> None:
    with pytest.raises(BadValueError):
        prefix("/" + "0" * 5000, 32)
