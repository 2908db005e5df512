"""Policy: whole files, and what they mean."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Config.Grammar import Assignment, Block, Other, statements
from Kamaelia.Apps.Grey.Config.Policy.ClauseTable import CLAUSES, LIST_KINDS, VALUES
from Kamaelia.Apps.Grey.Config.Policy.Policy import PolicyReader
from Kamaelia.Apps.Grey.Config.Policy.StatementTable import STATEMENTS
from Kamaelia.Apps.Grey.Config.Problem import MAX_PROBLEMS, ConfigError, Report
from Kamaelia.Apps.Grey.Core.Access.Definitions import MacroTest, RateLimit
from Kamaelia.Apps.Grey.Core.Access.Rule import Action, Extras, Stage
from Kamaelia.Apps.Grey.Core.Modes import Report as ReportMode
from Test.Kamaelia.Apps.Grey.Config.Policy.policies import (
    gathered,
    good,
    problems,
    same,
    warnings,
)

SAMPLES = sorted((Path(__file__).parents[5] / "Policies").glob("sample_*.conf"))


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_the_samples_load_without_a_word(path: Path) -> None:
    result, report = gathered(path.read_text(encoding="utf-8"))
    assert [str(problem) for problem in (*report.problems, *report.warnings)] == []
    assert result.rules


def test_there_are_three_samples() -> None:
    assert len(SAMPLES) == 3


def test_what_the_first_sample_means() -> None:
    result = good(SAMPLES[0].read_text(encoding="utf-8"))
    assert result.values["greylist_delay"] == 25 * 60
    assert result.values["retry_window"] == 5 * 86_400
    assert result.values["network_prefix6"] == 64
    assert result.values["dumpfile"] == Path("/var/lib/grey/greylist.db")
    assert result.values["peers"] == (("192.0.2.17", 3),)
    assert result.values["syncaddr"] == ("*", 5252)
    assert result.definitions.macros["forged"] == MacroTest("client_resolve", "FORGED")
    assert [rule.line for rule in result.rules] == [19, 20, 21, 22, 23, 24]
    assert result.rules[2].extras == Extras(
        flushaddr=True, code="550", ecode="5.1.1", msg="no such user"
    )
    assert result.rules[3].extras == Extras(delay=7200, autowhite=43_200)
    assert result.rules[-1].is_default


def test_what_the_second_sample_means() -> None:
    result = good(SAMPLES[1].read_text(encoding="utf-8"))
    assert result.definitions.ratelimits["per sender"] == RateLimit("session", 30, 3600, "%f")
    assert result.definitions.flags == {"domainexact", "unbracket"}
    assert result.values["report"] is ReportMode.DELAYS
    assert result.values["noauth"] is result.values["nospf"] is True
    assert [rule.name for rule in result.rules][:2] == ["own", "14"]
    assert [clause.kind for clause in result.rules[4].clauses] == ["spf", "from"]
    assert [clause.negated for clause in result.rules[4].clauses] == [False, True]


def test_what_the_third_sample_means() -> None:
    result = good(SAMPLES[2].read_text(encoding="utf-8"))
    stages = [rule.stage for rule in result.rules]
    assert stages == [Stage.RCPT] * 5 + [Stage.DATA] * 5
    assert result.rules[4].extras.addheaders == (("X-Rule: %A", 1),)
    assert result.rules[8].extras.addfooter == "\n-- \nscanned\n"
    assert result.rules[8].action is Action.CONTINUE
    check = result.definitions.urlchecks["prefs"]
    assert (check.getprop, check.clear, check.postmsg) == (True, True, False)


# --- names


def test_a_name_that_is_nearly_right_is_guessed() -> None:
    text = 'list "friends" from { a@b.c }\nracl whitelist list "freinds"\n'
    _, report = gathered(text)
    assert [p.cure for p in report.problems] == ['did you mean "friends"?']
    assert report.warnings == []


def test_a_list_that_comes_later_is_to_be_moved() -> None:
    text = 'racl whitelist list "a"\nlist "a" from { a@b.c }\n'
    _, report = gathered(text)
    assert [p.cure for p in report.problems] == ["move line 2 before this one"]


def test_a_list_of_mistakes_is_not_called_missing_as_well() -> None:
    text = 'list "a" addr { 10.0.0.0/40 }\nracl whitelist list "a"\n'
    assert [line for line, _, _ in problems(text)] == [1]


def test_of_two_lists_of_one_name_the_later_counts_from_there_on() -> None:
    text = (
        'list "a" from { a@b.c }\nracl whitelist list "a"\n'
        'list "a" from { d@e.f }\nracl blacklist list "a"\n'
    )
    assert warnings(text) == [(3, 'list "a" is defined on line 1 already')]
    one, other = good(text).rules
    assert not same(one, other)


@pytest.mark.parametrize("kind", LIST_KINDS)
def test_there_is_a_list_of_each_kind(kind: str) -> None:
    items = {
        "addr": "10.0.0.0/8 ::1 2001:db8::/32",
        "domain": "example.org .example.net /x/ 1.example",
        "from": "a@b.c /x/",
        "rawfrom": "a@b.c /x/",
        "rcpt": "a@b.c /x/",
        "dnsrbl": '"zone"',
        "sm_macro": '"macro"',
        "urlcheck": '"url"',
        "time": '"* * * * *"',
        "geoip": '"DE" "ZZ"',
    }.get(kind, '"text" /x/')
    before = (
        'dnsrbl "zone" bl.example 127.0.0.2\nsm_macro "macro" "{x}" unset\n'
        'urlcheck "url" "http://127.0.0.1/" 5\n'
    )
    rule = "dacl" if Stage.RCPT not in CLAUSES[kind].stages else "racl"
    result = good(f'{before}list "l" {kind} {{ {items} }}\n{rule} whitelist not list "l"\n')
    assert result.rules[0].clauses[0].text == 'not list "l"'
    assert result.rules[0].clauses[0].negated


def test_a_list_of_urlchecks_makes_a_rule_of_each() -> None:
    text = (
        'urlcheck "a" "http://127.0.0.1/a" 5\nurlcheck "b" "http://127.0.0.1/b" 5\n'
        'list "l" urlcheck { "a" "b" }\n'
    )
    rules = good(text + 'racl whitelist list "l" from a@b.c\n').rules
    assert [[c.kind for c in rule.clauses] for rule in rules] == [["urlcheck", "from"]] * 2
    (rule,) = good(text + 'racl whitelist not list "l"\n').rules
    assert [clause.kind for clause in rule.clauses] == ["urlcheck", "urlcheck"]


# --- settings


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("greylist 25m", {"greylist_delay": 1500}),
        ("GREYLIST: 25", {"greylist_delay": 25}),
        ("autowhite 0", {"pass_lifetime": 0}),
        ("timeout 1w", {"retry_window": 604_800}),
        ("subnetmatch: /24", {"network_prefix4": 24}),
        ("lazyaw", {"client_passes": 1}),
        ("dumpfreq -1", {"dumpfreq": 0, "dump_at_end_only": True}),
        ("dumpfreq 5m", {"dumpfreq": 300, "dump_at_end_only": False}),
        ('dumpfile "/a/b" 640', {"dumpfile": Path("/a/b"), "dumpfile_mode": 0o640}),
        ('pidfile "/a/b"', {"pid_file": Path("/a/b")}),
        ("report nodelays", {"report": ReportMode.NODELAYS}),
        ("logfac LOCAL3", {"logfac": "local3"}),
        ('user "grey:mail"', {"user": "grey:mail"}),
        ("quiet", {"quiet": True}),
        ("racl whitelist auth /./", {"noauth": True}),
        ("racl whitelist not spf", {"nospf": True}),
    ],
)
def test_a_statement_sets_a_setting(text: str, values: dict[str, object]) -> None:
    assert good(text).values == values


def test_the_last_of_several_counts_and_is_mentioned() -> None:
    assert good("greylist 5m\ngreylist 6m\n").values == {"greylist_delay": 360}
    assert warnings("greylist 5m\ngreylist 6m\n") == [(2, "greylist stands on line 1 already")]
    assert warnings("quiet\nquiet\n") == []


def test_the_same_peer_twice_is_mentioned() -> None:
    text = "peer 192.0.2.1\npeer 192.0.2.1 timeout 5s\npeer mx1.example.net\n"
    assert warnings(text) == [(2, "192.0.2.1 is a peer already")]
    assert good(text).values["peers"] == (("192.0.2.1", 5), ("mx1.example.net", 3))


def test_every_flag_and_every_default_of_the_table_can_be_written() -> None:
    for row in STATEMENTS.values():
        if not row.operands and not row.missing:
            good(f"{row.keyword}\n{row.keyword.upper()} # again\n")
        elif row.default and row.default != "off":
            good(f"{row.keyword} {row.default}\n")


@pytest.mark.parametrize("text", ["domainexact\n{}", "{}DomainExact # why\n", "{}domainexact"])
def test_domainexact_holds_for_the_whole_file(text: str) -> None:
    rule = "racl whitelist domain example.org\n"
    (exact,), (other,) = good(text.format(rule)).rules, good(rule).rules
    assert not same(exact, other)
    assert same(exact, good("domainexact\n" + rule).rules[0])


# --- old lines


def test_old_lines_stand_before_all_rules_the_last_one_first() -> None:
    text = "racl blacklist default\naddr 10.0.0.0/8\nfrom: a@b.c\nrcpt /x/\ndomain example.org\n"
    rules = good(text + "rawfrom a@b.c\n").rules
    assert [rule.source for rule in rules] == [
        "rawfrom a@b.c",
        "domain example.org",
        "rcpt /x/",
        "from a@b.c",
        "addr 10.0.0.0/8",
        "racl blacklist default",
    ]
    assert {rule.action for rule in rules[:5]} == {Action.WHITELIST}


def test_in_test_mode_old_recipients_are_greylisted() -> None:
    (rule,) = good("testmode\nrcpt a@b.c\n").rules
    assert rule.action is Action.GREYLIST
    report = Report("f", "rcpt a@b.c\n")
    reader = PolicyReader(report)
    for statement in statements(report, (), reader.table):
        assert isinstance(statement, Other)
        reader.take(statement)
    assert reader.finish({"testmode": True}).rules[0].action is Action.GREYLIST


# --- both languages in one file


def test_both_languages_mix_line_by_line() -> None:
    text = (
        "port = 25 # c\nlisten:\n    ::1\n    quiet\n\nracl whitelist \\ all of this\n"
        '  addr 10.0.0.0/8\nserverid = "racl #"\nquiet = yes\nserverid = a \\\nquiet\n'
    )
    report = Report("f", text)
    found = list(statements(report, ["port"], PolicyReader(report).table))
    assert report.problems == []
    kinds = [type(statement) for statement in found]
    assert kinds == [Assignment, Block, Other, Assignment, Assignment, Assignment]
    assert isinstance(found[1], Block)
    assert [row[0].text for row in found[1].rows] == ["::1", "quiet"]
    assert isinstance(found[5], Assignment)
    assert [word.text for word in found[5].words] == ["a", "quiet"]


def test_the_source_of_a_rule_is_on_one_line() -> None:
    text = 'racl  "a"  greylist\\\n from /a  b/ # c\n'
    assert good(text).rules[0].source == 'racl "a" greylist from /a  b/'


def test_a_hash_or_a_brace_in_an_expression_or_a_text_hides_nothing() -> None:
    text = 'racl blacklist helo /#{}"/ msg "# \\" {" nolog # the end\n'
    (rule,) = good(text).rules
    assert rule.extras == Extras(msg='# " {', nolog=True)


# --- any text


WORDS = [
    *("racl ", "dacl ", "acl ", "list ", "whitelist ", "greylist ", "continue ", "default "),
    *("not ", "!", "{", "}", '"a" ', "/x/ ", "/", '"', "\\", "\n", " ", "# ", "$a ", "== ", "5 "),
    *("10.0.0.0/8 ", "a@b.c ", "example.org ", "::1 ", "5m ", "= ", ":", "* ", "port = 1\n"),
    *(f"{word} " for word in (*CLAUSES, *VALUES, *STATEMENTS)),
]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(WORDS) | st.text(max_size=3), max_size=30).map("".join))
def test_any_text_gives_a_policy_or_problems(text: str) -> None:
    for strict in (False, True):
        try:
            result, report = gathered(text, strict)
        except ConfigError as error:
            assert len(error.problems) > MAX_PROBLEMS  # noqa: PT017
            continue
        lines = text.split("\n")
        for problem in (*report.problems, *report.warnings):
            assert 1 <= problem.line <= len(lines)
            assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1
            str(problem)
        if not report.problems:
            assert all(rule.clauses for rule in result.rules)


MAILS = ["a@b.c", "/^<?x\\/y\\.z>?$/", "/ #/"]
CLAUSE_TEXTS = [
    "addr 10.0.0.0/8",
    "addr 2001:db8::/32",
    "domain example.org",
    "helo /^[0-9.]*$/",
    'helo "a \\" b"',
    "spf fail",
    "spf",
    "spf self",
    "mx /24",
    "rcptcount >= 100",
    'log "%i"',
    "tarpit 20s",
    'time "* 8-17 * * 1-5"',
    'geoip "DE"',
    'set $a = "x"',
    "rset $a += 5",
    "$a >= 2",
    '$a "x"',
    "$a /x/",
    '* $a "x"',
    *(f"{word} {mail}" for word in ("from", "rawfrom", "rcpt") for mail in MAILS),
]
VALUE_TEXTS = [
    "delay 5m",
    "autowhite 3d",
    "nolog",
    'msg "a #"',
    'addheader "X: y",1',
    "maxpeek 64k",
]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from(CLAUSE_TEXTS), min_size=1, max_size=4, unique_by=lambda t: t.split()[0]
    ),
    st.lists(st.booleans(), min_size=4, max_size=4),
    st.lists(st.sampled_from(VALUE_TEXTS), max_size=3, unique=True),
)
def test_the_source_of_a_rule_gives_an_equal_rule(
    clauses: list[str], negated: list[bool], values: list[str]
) -> None:
    said = [f"not {text}" if no else text for text, no in zip(clauses, negated, strict=False)]
    (rule,) = good(f"racl greylist {'  '.join(said)} \\\n {' '.join(values)}\n").rules
    (again,) = good(rule.source).rules
    assert same(rule, again)
    assert rule.source.count("\n") == 0


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "text",
    [
        "racl whitelist from " + "{" * 100_000,
        "racl whitelist addr " + "/ " * 100_000,
        'list "x" addr {' + '" ' * 100_001,
        "racl greylist " + "not " * 100_000,
        "racl " + "\\/" * 100_000,
        "racl greylist from " + "a" * 100_000,
        'list "x" addr ' + "{ " * 100_000,
        "racl greylist from " + "#" * 100_000,
    ],
    ids=lambda text: repr(text[:24]),
)
def test_long_odd_lines_take_no_long_time(text: str) -> None:
    assert len(gathered(text)[1].problems) == 1
