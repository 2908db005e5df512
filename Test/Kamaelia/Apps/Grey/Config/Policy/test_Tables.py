"""The tables of clauses and statements: complete, and in agreement with what reads them."""

from dataclasses import fields

import pytest

from Kamaelia.Apps.Grey.Config.Policy.ClauseTable import CLAUSES, COLON, LIST_KINDS, VALUES, Shape
from Kamaelia.Apps.Grey.Config.Policy.StatementTable import LEGACY, STATEMENTS
from Kamaelia.Apps.Grey.Config.Policy.Syntax import SHAPES, table
from Kamaelia.Apps.Grey.Core.Access.Rule import Extras, Stage
from Test.Kamaelia.Apps.Grey.Config.Policy.policies import good, problems

# What a clause of each kind needs above it, and how one is written.
BEFORE = """dnsrbl "zone" bl.example 127.0.0.2
sm_macro "macro" "{x}" /y/
ratelimit "rate" data 10 / 1m key "%f"
urlcheck "url" "http://127.0.0.1/" 5 postmsg noencode
ldapconf "ldap://127.0.0.1/" timeout 3s binddn "cn=a" bindpw "b"
ldapcheck "ldap" "ldap://127.0.0.1/??" domatch noescape
geoipdb "/a"
p0fsock "/b"
spamdsock inet "127.0.0.1:783"
list "all" from { a@b.c }
"""
OPERANDS = {
    "addr": "::1/64",
    "domain": ".example.org",
    "from": "a@b.c",
    "rawfrom": "/x/",
    "rcpt": "a@b.c",
    "rcptcount": "< $most",
    "helo": '"x"',
    "auth": "/x/",
    "tls": '"x"',
    "spf": "softfail",
    "dkim": "none",
    "dnsrbl": '"zone"',
    "mx": "/24",
    "sm_macro": '"macro"',
    "ratelimit": '"rate"',
    "time": '"*/5 1-3 * * 0,6"',
    "geoip": '"ZZ"',
    "p0f": '"Linux"',
    "urlcheck": '"url"',
    "ldapcheck": '"ldap"',
    "log": '"x"',
    "tarpit": "20s",
    "set": "$a = $b",
    "rset": "$a -= 5",
    "body": "$word",
    "header": "/x/",
    "msgsize": "> 5M",
    "spamd": ">= 5",
    "list": '"all"',
}


@pytest.mark.parametrize("word", [word for word, row in CLAUSES.items() if not row.missing])
@pytest.mark.parametrize("negation", ["", "not ", "no ", "! ", "!"])
def test_every_clause_can_be_written_in_its_stages(word: str, negation: str) -> None:
    for stage in CLAUSES[word].stages:
        rule = "racl" if stage is Stage.RCPT else "dacl"
        text = f"{BEFORE}{rule} continue {negation}{word.upper()} {OPERANDS[word]}\n"
        (found,) = good(text).rules
        assert found.stage is stage
        assert found.clauses[0].negated is bool(negation)


def test_a_clause_of_the_other_stage_is_refused() -> None:
    for word, row in CLAUSES.items():
        if not row.missing and len(row.stages) == 1:
            rule = "racl" if Stage.DATA in row.stages else "dacl"
            assert len(problems(f"{BEFORE}{rule} continue {word} {OPERANDS[word]}\n")) == 1


def test_the_sentence_of_a_value_is_a_field_of_extras() -> None:
    names = {field.name for field in fields(Extras)}
    assert {"addheaders" if word == "addheader" else word for word in VALUES} == names


@pytest.mark.parametrize("word", VALUES)
def test_every_value_can_be_written(word: str) -> None:
    operand = {
        Shape.NOTHING: "",
        Shape.DURATION: "5m",
        Shape.NUMBER: "64k",
        Shape.HEADER: '"X: y", 3',
        Shape.SCOPE: "command",
        Shape.STRING: {"code": '"451"', "ecode": '"4.7.1"'}.get(word, '"x"'),
    }[VALUES[word].shape]
    (rule,) = good(f"racl greylist default {word} {operand}\n").rules
    assert rule.extras != Extras()


def test_every_row_has_an_element() -> None:
    assert set(SHAPES) == set(Shape)
    assert set(table()) == set(STATEMENTS)
    assert set(STATEMENTS) >= LEGACY
    assert set(LIST_KINDS) <= set(CLAUSES)


def test_a_colon_may_stand_where_it_always_might() -> None:
    assert {*STATEMENTS, *CLAUSES, "whitelist", "blacklist"} >= COLON
    good("acl whitelist: from: a@b.c rcpt: a@b.c\nfrom: a@b.c\ntimeout: 5d\n")


def test_everything_has_a_meaning() -> None:
    clauses = [row.meaning for row in CLAUSES.values()]
    values = [row.meaning for row in VALUES.values()]
    assert all([*clauses, *values, *(row.meaning for row in STATEMENTS.values())])
