"""What is refused, by us and in strict mode by milter-greylist: each with its place and a cure."""

from pathlib import Path

import pytest

from Kamaelia.Apps.Grey.Config.Policy.Policy import read
from Kamaelia.Apps.Grey.Config.Problem import ConfigError
from Kamaelia.Apps.Grey.Core.Access.Definitions import LdapConf
from Test.Kamaelia.Apps.Grey.Config.Policy.policies import (
    gathered,
    good,
    problems,
    warnings,
)

SAMPLES = sorted((Path(__file__).parents[5] / "Policies").glob("sample_*.conf"))


# --- the files that milter-greylist refuses


@pytest.mark.parametrize(
    "text",
    [
        "racl greylist default delay 900\n",
        "racl greylist default",
        "racl greylist default\r\n",
        'list "b" rcpt {\n a@b.c\n}\nracl whitelist list "b"\n',
        "racl whitelist addr ::ffff:192.0.2.7\n",
        'ratelimit "x" rcpt 10/1m\nracl blacklist ratelimit "x"\n',
        'ratelimit "x" rcpt 10 / 1m key "%I{/24}"\nracl blacklist ratelimit "x"\n',
        "racl whitelist from a@b.c addr 10.0.0.0/8 rcpt /x/\n",
        'racl continue from a@b.c set $x="*"\nracl whitelist from a@b.c *$x "yes"\n',
        "tarpit_scope command\n",
        "racl whitelist tarpit 5s tarpit_scope command\n",
        "racl whitelist rawfrom a@b.c\n",
        'list "t" time { "* 8-17 * * *" "* * * * 0" }\nracl whitelist list "t"\n',
        "racl whitelist domain mx\n",
        "racl whitelist domain no\n",
        "peer mx\n",
        'racl blacklist from a@b.c msg "größer"\n',
        'racl blacklist rcptcount > $limit msg "x"\n',
        "racl whitelist addr 10.0.0.0/8#ours\n",
        "racl whitelist addr 10.0.0.0 /8 # ours /x/\n",
        "# the end",
    ],
)
def test_we_take_more_and_strict_mode_says_where(text: str) -> None:
    assert problems(text) == []


REFUSED = [
    "racl greylist default delay 900\n",
    "racl greylist default",
    "racl greylist default\r\n",
    'list "b" rcpt {\n a@b.c\n}\nracl whitelist list "b"\n',
    "racl whitelist addr ::ffff:192.0.2.7\n",
    'ratelimit "x" session 10/1m\nracl blacklist ratelimit "x"\n',
    'ratelimit "x" rcpt 10 / 1m key "%I{/24}"\nracl blacklist ratelimit "x"\n',
    "racl whitelist from a@b.c addr 10.0.0.0/8 rcpt /x/\n",
    'racl whitelist from a@b.c *$x "yes"\n',
    "tarpit_scope command\n",
    "racl whitelist tarpit 5s tarpit_scope command\n",
    "racl whitelist rawfrom a@b.c\n",
    'list "t" time { "* 8-17 * * *" }\nracl whitelist list "t"\n',
    "racl whitelist domain mx\n",
    "peer mx\n",
    'dnsrbl "a" x.example 127.0.0.2\ndnsrbl "a" y.example 127.0.0.2\n',
    "racl whitelist domain größe.example\n",
]


@pytest.mark.parametrize("text", REFUSED)
def test_strict_mode_reports_what_the_other_refuses(text: str) -> None:
    assert len(problems(text, strict=True)) == 1


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_strict_mode_has_nothing_against_the_samples(path: Path) -> None:
    assert problems(path.read_text(encoding="utf-8"), strict=True) == []


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("racl whitelist addr 10.0.0.0/33\n", (1, 29), '"/33" is too long a prefix'),
        ("racl whitelist from a@b.c from d@e.f\n", (1, 27), "a second from in this rule"),
        ('racl blacklist body "x"\n', (1, 16), "body is asked before there is a message"),
        ('racl whitelist list "zz"\n', (1, 21), 'there is no list "zz"'),
        ("racl greylist default delay 5m delay 6m\n", (1, 32), "a second delay in this rule"),
        ('socket "/run/s" 777\n', (1, 17), "a socket cannot have the mode 777"),
        (
            "extendedregex\nracl whitelist from /(/\n",
            (2, 22),
            'bad regular expression "(": Unmatched ( or \\(',
        ),
        (
            "racl greylist delay 5m from a@b.c\n",
            (1, 15),
            "a rule does not begin with delay",
        ),
        ('racl blacklist dnsrbl "x"\n', (1, 23), 'there is no dnsrbl "x"'),
        ('racl blacklist default msg "abc\n', (1, 28), "this text has no closing quote"),
        ('racl "a greylist default\n', (1, 6), "this text has no closing quote"),
        ('sm_macro "a" "{x}" y\n', (1, 20), "expected a text in quotes, /expression/ or unset"),
        ("quiet verbose\n", (1, 7), 'unexpected "verbose" behind quiet'),
        # accidents of its grammar
        ("racl whitelist from { a@b.c }\n", (1, 21), "a rule cannot have a list in its middle"),
        ("racl whitelist not\n", (1, 16), "there is nothing behind this negation"),
        (
            "racl whitelist from a@b.c not\n",
            (1, 27),
            "there is nothing behind this negation",
        ),
        ('list "a" list "b"\n', (1, 10), "expected a kind of list"),
        # more
        ("racl whitelist\n", (1, 15), "the rule says nothing"),
        ("racl whitelst default\n", (1, 6), "expected an action"),
        ("racl whitelist adr 10.0.0.1\n", (1, 16), 'unknown clause "adr"'),
        ("racl whitelist addr 10.0.0.300\n", (1, 21), '"10.0.0.300" is no IP address'),
        ("racl whitelist from me\n", (1, 21), "expected a mail address or /expression/"),
        ("racl whitelist from /abc\n", (1, 21), "this expression has no closing slash"),
        ("racl whitelist helo: /a/\n", (1, 20), "no colon stands behind helo"),
        ("quiet: on\n", (1, 6), "no colon stands behind quiet"),
        (
            "dacl blacklist helo /a/\n",
            (1, 16),
            "helo is asked when the message is there: that is too late",
        ),
        ("racl whitelist default not\n", (1, 24), "there is nothing behind this negation"),
        (
            "racl whitelist default from a@b.c\n",
            (1, 24),
            '"from a@b.c" after default: it takes all there is',
        ),
        (
            "racl whitelist from a@b.c default\n",
            (1, 27),
            "default stands alone: all there is, and nothing more",
        ),
        (
            "racl greylist from a@b.c delay 5m addr ::1\n",
            (1, 35),
            "the clause addr stands behind delay",
        ),
        ("racl greylist not not from a@b.c\n", (1, 15), "several negations of one clause"),
        (
            "racl greylist from a@b.c not delay 5m\n",
            (1, 26),
            "delay is nothing that could be negated",
        ),
        ("racl greylist from a@b.c [x]\n", (1, 26), 'expected a clause, found "[x]"'),
        ('acl "a" greylist default\n', (1, 5), "a rule of acl has no name"),
        ("acl continue default\n", (1, 5), "a rule of acl cannot continue"),
        ('racl blacklist default code "250"\n', (1, 29), '"250" is no code of a refusal'),
        ('racl blacklist time "* 25 * * *"\n', (1, 21), "hour 25 is not within 0-23"),
        ("racl blacklist mx /33\n", (1, 19), '"/33" is too long a prefix'),
        ("greylist 30M\n", (1, 10), '"30M" is no time'),
        ("greylist -5m\n", (1, 10), '"-300" is not a time'),
        ("subnetmatch /33\n", (1, 13), '"/33" is too long a prefix'),
        ("syncaddr * port 99999\n", (1, 17), "this is no port"),
        ('list "a" addr { }\n', (1, 15), "this list is empty"),
        ('list "a" addr { a@b.c }\n', (1, 17), '"a@b.c" does not belong into a list of kind addr'),
        ('list "a" addr { 10.0.0.1\n', (1, 15), "this list has no end"),
        ('list "a" dnsrbl { "x" }\n', (1, 19), 'there is no dnsrbl "x"'),
        ('stat "/var/log/x" "%i"\n', (1, 6), '"/var/log/x" is nothing to write to'),
        ('urlcheck "a" "ftp://x/" 5\n', (1, 14), '"ftp://x/" is not offered'),
        ('user "a b"\n', (1, 6), '"a b" is no name of a user'),
        ('racl whitelist helo "a\x07b"\n', (1, 23), '"\\x07" cannot be printed'),
        ('sm_macro "a" "{}" "b"\n', (1, 14), "the macro has no name"),
        ('ratelimit "a" rcpt 1 / 0s\n', (1, 24), "no time has so few seconds"),
    ],
)
def test_what_is_wrong_is_said_at_its_place(
    text: str, place: tuple[int, int], message: str
) -> None:
    assert problems(text) == [(*place, message)]


BELL = "\x07"


@pytest.mark.parametrize(
    "text",
    [
        'dnsrbl "a" bl.example 10.0.0.300',
        'dnsrbl "a" bl.example ::1',
        f'sm_macro "a" "{{x}}" "{BELL}"',
        'sm_macro "a" "{x}" /[/',
        f'ratelimit "a" rcpt {"9" * 16} / 1m',
        f'ratelimit "a" rcpt 9 / {"9" * 16}s',
        f'ratelimit "a" rcpt 9 / 1m key "{BELL}"',
        f'urlcheck "a" "http://{BELL}" 5',
        f'ldapcheck "a" "{BELL}"',
        f'ldapconf "{BELL}"',
        f'ldapconf "ldap://x/" timeout {"9" * 16}s',
        f'stat "{BELL}" "x"',
        f'stat ">>x" "{BELL}"',
        "localaddr 1.2.3.400",
        f'spamdsock unix "{BELL}"',
        f"tarpit {'9' * 16}s",
        f'geoipdb "{BELL}"',
        f'list "{BELL}" from {{ a@b.c }}\nracl whitelist list "{BELL}"',
        'list "a" addr { /8 }',
        'list "a" addr { 10.0.0.0/8 /9 }',
        'list "a" time { "x" }',
        f"from {'a' * 400}@b.c",
        "addr 10.0.0.0/33",
        'pidfile "/a/"',
        f'pidfile "{BELL}"',
        'dumpfile "/a" 999',
        "peer 1.2.3.400",
        f"peer 1.2.3.4 timeout {'9' * 16}s",
        f"peer {'a' * 400}",
        "syncaddr 1.2.3.400",
        f"syncaddr * port {'9' * 16}",
        f"syncmaxqlen {'9' * 16}",
        f"maxpeek {'9' * 16}",
        f'racl whitelist log "{BELL}"',
        f"racl whitelist tarpit {'9' * 16}s",
        f'racl whitelist set $a = "{BELL}"',
        f"racl whitelist rcptcount > {'9' * 16}",
        f'racl whitelist $a "{BELL}"',
        f'racl whitelist *$a "{BELL}"',
        f"racl whitelist default delay {'9' * 16}s",
        f'racl whitelist default addheader "x", {"9" * 16}',
        f'racl whitelist default msg "{BELL}"',
        'racl whitelist default ecode "1.2.3"',
        "racl whitelist from",
        "racl whitelist #nothing",
        "racl whitelist ( from a@b.c )",
        f'racl whitelist helo "{"x" * 5000}"',
        f"racl whitelist from /{'x' * 1100}/",
        'list "a" addr 10.0.0.0/8',
        'urlcheck "a" "http://x/" 5 fork' + f"\nmaxpeek {'9' * 16}",
    ],
)
def test_each_mistake_is_one_problem(text: str) -> None:
    assert len(problems(text + "\n")) == 1


def test_what_needs_no_name_is_defined_once() -> None:
    found = good(
        "tarpit 5s\ntarpit_scope comand\n"
        'localaddr ::1\nspamdsock unix "/a"\np0fsock "/b"\ngeoipdb "/c"\ngeoipv6db "/d"\n'
        'ldapconf "ldap://x/" timeout 3s binddn "cn=a" bindpw "b"\nmaxpeek 64k\n'
    ).definitions
    assert (found.tarpit, found.tarpit_scope, found.localaddr) == (5, "command", "::1")
    assert (found.spamdsock, found.p0fsock) == (("unix", "/a"), "/b")
    assert (found.geoipdb, found.geoipv6db, found.maxpeek) == ("/c", "/d", 65_536)
    assert found.ldapconf == LdapConf("ldap://x/", 3, "cn=a", "b")
    assert good("tarpit -1\n").definitions.tarpit is None


def test_a_rule_of_too_many_urlchecks_is_refused() -> None:
    names = [f"u{number}" for number in range(11)]
    checks = "".join(f'urlcheck "{name}" "http://x/" 5\n' for name in names)
    text = f'{checks}list "l" urlcheck {{ {" ".join(map(repr, names))} }}\n'.replace("'", '"')
    assert len(good(text + 'racl whitelist list "l"\n').rules) == 11
    message = "these lists are too long"
    assert [found[2] for found in problems(text + 'racl whitelist list "l" list "l"\n')] == [
        message
    ]


def test_only_a_temporary_code_is_said_when_greylisting() -> None:
    message = "greylisting refuses for a while only: 5.. is not said"
    assert warnings('racl greylist default code "551"\n') == [(1, message)]


def test_read_refuses_the_other_language() -> None:
    with pytest.raises(ConfigError, match="no statement of milter-greylist"):
        read("port = 25\n")


@pytest.mark.parametrize(
    "text",
    [
        'drac db "/x"\n',
        'tsig "a" "b" "c"\n',
        'nsupdate "a" { servers "x" rname "y" ttl 5m }\n',
        'racl whitelist nsupdate "a"\n',
    ],
)
def test_what_is_not_offered_is_an_error(text: str) -> None:
    ((_, _, message),) = problems(text)
    assert "is not offered: " in message


def test_nodrac_is_needless() -> None:
    assert warnings("nodrac\n") == [(1, "nodrac says nothing: DRAC is never asked here")]


def test_all_mistakes_of_a_file_come_at_once() -> None:
    text = (
        "racl whitelist from /[/ addr 10.0.0.0/40\nbogus\nquiet\n"
        'racl greylist default delay x\nracl whitelist list "no"\n'
    )
    found = gathered(text)[1].problems
    assert sorted(problem.line for problem in found) == [1, 1, 2, 4, 5]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("racl bogus\n", 65),
        ("racl whitelist from /[/\n", 71),
        ("racl bogus\nracl whitelist from /[/\n", 71),
    ],
)
def test_the_exit_code_is_the_highest(text: str, code: int) -> None:
    with pytest.raises(ConfigError) as raised:
        read(text)
    assert raised.value.exit_code == code


def test_a_negation_holds_for_its_clause_only() -> None:
    first, second = good("racl whitelist not from a@b.c\nracl whitelist from d@e.f\n").rules
    assert first.clauses[0].negated
    assert not second.clauses[0].negated
    rules = good("racl whitelist ! from a@b.c no addr ::1\n").rules
    assert [clause.text for clause in rules[0].clauses] == ["not from a@b.c", "not addr ::1"]
