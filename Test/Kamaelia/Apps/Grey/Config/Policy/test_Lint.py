"""Lint: what is odd is said, and what is not odd is not."""

import pytest

from Test.Kamaelia.Apps.Grey.Config.Policy.policies import warnings

LATER = "this rule never comes to bear: line 1 decides before it"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("racl whitelist addr 10.0.0.0/8", "racl greylist addr 10.1.0.0/16"),
        ("racl whitelist addr 10.0.0.0/8", "racl greylist addr 10.0.0.0/8 from a@b.c delay 5m"),
        ("racl whitelist addr ::/0", "racl greylist addr 2001:db8::1"),
        ("racl whitelist domain example.org", "racl greylist domain mail.Example.org"),
        ("racl whitelist domain .example.org", "racl greylist domain mail.example.org"),
        ("racl whitelist from a@b.c", "racl greylist rcpt d@e.f from A@b.c"),
        ("racl whitelist rcpt d@e.f from a@b.c", "racl greylist from a@b.c rcpt d@e.f spf fail"),
        ("racl whitelist spf", "racl greylist spf pass from a@b.c"),
        ("racl whitelist not from a@b.c", "racl greylist not from a@b.c"),
        ('racl whitelist from a@b.c log "x"', "racl greylist from a@b.c"),
        ("racl whitelist helo /x/", "racl greylist helo /x/ from a@b.c"),
        ("dacl whitelist msgsize > 5k", "dacl blacklist msgsize > 5k"),
    ],
)
def test_a_rule_behind_a_wider_one_is_found(first: str, second: str) -> None:
    assert warnings(f"{first}\n{second}\n") == [(2, LATER)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("racl whitelist addr 10.1.0.0/16", "racl greylist addr 10.0.0.0/8"),
        ("racl continue addr 10.0.0.0/8", "racl greylist addr 10.1.0.0/16"),
        ("racl whitelist not addr 10.0.0.0/8", "racl greylist not addr 10.1.0.0/16"),
        ("racl whitelist addr 10.0.0.0/8 from a@b.c", "racl greylist addr 10.1.0.0/16"),
        ("racl whitelist domain ample.org", "racl greylist domain example.org"),
        ("racl whitelist from a@b.c", "dacl blacklist from a@b.c"),
        ("racl whitelist spf pass", "racl greylist spf fail"),
        ("racl whitelist from a@b.c $x == 1", "racl greylist from a@b.c"),
        ("racl whitelist from a@b.c tarpit 5s", "racl greylist from a@b.c"),
        ("racl whitelist from /a@b/", "racl greylist from /a@b.c/"),
    ],
)
def test_a_rule_that_may_match_is_left_alone(first: str, second: str) -> None:
    assert warnings(f"{first}\n{second}\n") == []


def test_what_stands_behind_default_is_never_asked() -> None:
    text = "racl greylist default\nracl whitelist from a@b.c\ndacl whitelist default\n"
    assert warnings(text) == [(2, "this rule is never asked: line 1 takes all there is")]
    assert warnings('racl continue default log "x"\n'.replace(' log "x"', "") + text[22:]) == []


@pytest.mark.parametrize(
    ("rule", "first", "second"),
    [
        ("racl greylist spf pass spf fail", "spf pass", "spf fail"),
        ("racl greylist spf fail not spf fail", "spf fail", "not spf fail"),
        ("racl greylist rcpt a@b.c rcpt d@e.f", "rcpt a@b.c", "rcpt d@e.f"),
        ("dacl blacklist dkim dkim fail", "dkim", "dkim fail"),
    ],
)
def test_a_rule_that_contradicts_itself_is_found(rule: str, first: str, second: str) -> None:
    message = f'"{first}" and "{second}" never hold together'
    assert warnings(f"{rule}\n") == [(1, message)]


@pytest.mark.parametrize(
    "rule",
    [
        "racl greylist spf pass not spf self",
        "racl greylist spf pass spf self",
        "racl greylist not spf pass not spf fail",
        "dacl blacklist rcpt a@b.c rcpt d@e.f",
        "racl greylist rcpt /a/ rcpt b@c.d",
        "racl greylist $x > 1 not $x > 5",
    ],
)
def test_a_rule_that_may_hold_is_left_alone(rule: str) -> None:
    assert warnings(f"{rule}\n") == []


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('list "a" from { a@b.c }\n', "list"),
        ('dnsrbl "a" bl.example 127.0.0.2\n', "dnsrbl"),
        ('sm_macro "a" "{x}" "y"\n', "sm_macro"),
        ('ratelimit "a" rcpt 1 / 1m\n', "ratelimit"),
        ('urlcheck "a" "http://127.0.0.1/" 5\n', "urlcheck"),
        ('ldapcheck "a" "ldap://127.0.0.1/"\n', "ldapcheck"),
    ],
)
def test_what_no_rule_asks_for_is_mentioned(text: str, kind: str) -> None:
    assert warnings(text) == [(1, f'no rule asks for the {kind} "a"')]


def test_what_only_an_unused_list_asks_for_counts_as_used() -> None:
    text = 'dnsrbl "a" bl.example 127.0.0.2\nlist "b" dnsrbl { "a" }\n'
    assert warnings(text) == [(2, 'no rule asks for the list "b"')]


def test_a_rule_about_the_body_needs_one() -> None:
    rule = 'dacl blacklist body "x"\n'
    message = "body never holds: with maxpeek 0 nothing of a message is kept"
    assert warnings(rule) == warnings("maxpeek 64k\n" + rule) == []
    assert warnings("maxpeek 0\n" + rule) == [(2, message)]
    assert warnings("maxpeek 0\nracl whitelist from a@b.c maxpeek 1k\n" + rule) == []


@pytest.mark.parametrize(
    ("rule", "kind", "statement"),
    [
        ('racl whitelist geoip "DE"\n', "geoip", 'geoipv6db "/x"\n'),
        ('racl whitelist p0f "Linux"\n', "p0f", 'p0fsock "/x"\n'),
        ("dacl blacklist spamd\n", "spamd", 'spamdsock unix "/x"\n'),
    ],
)
def test_a_question_that_nobody_answers_is_mentioned(rule: str, kind: str, statement: str) -> None:
    assert warnings(rule)[0] == (1, f"{kind} never holds: nobody can be asked")
    assert warnings(statement + rule) == []
