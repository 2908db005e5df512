"""One text for a mailbox, however it was written."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Support.Protocol.SMTP.Mailbox import LONGEST, mailbox, mailbox_of, sides, unquoted

ANNA = "anna@example.org"


@pytest.mark.parametrize(
    "text",
    [
        ANNA,
        '"anna"@example.org',
        r'"an\na"@example.org',
        r"an\na@example.org",
        'an"na"@example.org',
        "anna@example.org.",
        "anna(or not)@example.org",
        r"(a(b)\)c)anna@(here)example.org",
        " anna @ example.org ",
        "@relay.example:anna@example.org",
        "@one.example,@two.example:anna@example.org",
        "@[192.0.2.1]:anna@example.org",
        "@[IPv6:2001:db8::1]:anna@example.org",
        '"anna@example.org"',
        "anna@example.org@",
        "<anna@example.org>",
        "Anna B. <@relay.example:anna@example.org> here",
        "us: anna@example.org;",
        "anna@example.org,",
        "anna@example.org,bert@example.org",
        "example.org!anna",
        'example.org!"anna"',
        "anna%example.org",
    ],
)
def test_mail_servers_take_all_of_these_for_one(text: str) -> None:
    assert mailbox(text) == ANNA


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ('""', ""),
        ("postmaster", "postmaster"),
        ('"postmaster"', "postmaster"),
        ("Anna+x@EXAMPLE.org", "Anna+x@EXAMPLE.org"),
        ("Ärger@bücher.example", "Ärger@bücher.example"),
        ("a@[192.0.2.1]", "a@[192.0.2.1]"),
        ("a@[IPv6:2001:db8::1]", "a@[IPv6:2001:db8::1]"),
        ('"a b"@c', '"a b"@c'),
        (r'"a\ \b"@c', '"a b"@c'),
        ('"a\tb"@c', '"a b"@c'),
        (r'"a\"b\\c"@d', r'"a\"b\\c"@d'),
        ('"a@b"@c', '"a@b"@c'),
        ("a@b@c", '"a@b"@c'),
        ('"(a)"@c', '"(a)"@c'),
        ('"a:b"@c', '"a:b"@c'),
        ("a!b@c", "a!b@c"),
        ("a%b@c", "a%b@c"),
        ("a!b!c", "b!c@a"),
        ("a%b%c", "a%b@c"),
        ("!a", "!a"),
        ("a%", "a%"),
        ("a@", "a"),
        ("@", "@"),
        ('""@c', "@c"),
        ("@c", "@c"),
        ("a\x01b@c", r'"a\\x01b"@c'),
        ("a(b@c", "a"),
        ('"a@b', "a@b"),
        ('"a@b"', "a@b"),
        ("a\\", "a"),
    ],
)
def test_what_has_to_be_quoted_is_and_nothing_else(text: str, expected: str) -> None:
    assert mailbox(text) == expected


@pytest.mark.parametrize(
    ("told", "written"),
    [
        (ANNA, '"anna"@example.org'),
        ("a b@c", '"a b"@c'),
        ("a@b@c", '"a@b"@c'),
        ('a"b@c', r'"a\"b"@c'),
        (r"a\x01@c", "a\x01@c"),
        ("@c", '""@c'),
        ("a@c.", "a@c"),
        ("c!a", "c!a"),
        ("a@c@", "a@c@"),
        ("a@b@c@", '"a@b"@c'),
        ("a b@", '"a b"'),
        ("", "<>"[1:1]),
        ("a", '"a"'),
        ("a\x01", "a\x01"),
    ],
)
def test_who_takes_quotes_off_means_the_same_mailbox(told: str, written: str) -> None:
    assert unquoted(told) == mailbox(written)


def test_nothing_is_read_letter_by_letter_that_is_too_long_for_an_address() -> None:
    assert mailbox('"' * 100_001 + "a@b") == ""


@settings(max_examples=50)
@given(st.text(alphabet='ab.@"\\() :\x01ä<', max_size=12))
def test_any_text_has_a_form_without_control_characters(text: str) -> None:
    assert "\x01" not in mailbox(text).rpartition("@")[0]


@settings(max_examples=50)
@given(st.text(alphabet='ab.@"\\() :ä<', max_size=8), st.sampled_from(["c", "c.example"]))
def test_a_local_part_comes_through_its_quotes(local: str, domain: str) -> None:
    assert mailbox(mailbox_of(local, domain)) == mailbox_of(local, domain)
    assert unquoted(f"{local}@{domain}") == mailbox_of(local, domain)
    assert sides(mailbox_of(local, domain)) == (local, domain)


@settings(max_examples=50)
@given(
    st.text(alphabet='ab.@"\\() :<=', max_size=4),
    st.sampled_from(["a", "a b", '"', "(", "\u00e4"]),
    st.integers(100, 1_000),
)
def test_of_one_that_is_too_long_the_same_counts_at_each_door(
    local: str, more: str, times: int
) -> None:
    """The proxy does not take it, a milter hears it in quotes, a policy service without."""
    local += more * times
    quoted = local.replace("\\", "\\\\").replace('"', '\\"')
    told, written = unquoted(f"{local}@x.test"), mailbox(f'"{quoted}"@x.test')
    assert len(told) <= LONGEST
    if len(quoted) <= 2 * LONGEST - len('""@x.test'):
        assert told == written


@pytest.mark.parametrize("times", [505, 506, 600, 5_000])
def test_of_a_plain_one_always(times: int) -> None:
    text = "a" * times + "@x.test"
    assert unquoted(text) == mailbox(text) == text[:LONGEST]


def test_without_a_domain_all_is_the_local_part() -> None:
    assert sides("postmaster") == ("postmaster", "")
