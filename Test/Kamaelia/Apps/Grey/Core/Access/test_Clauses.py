"""What each kind of clause takes for a match."""

import doctest
import pkgutil
from importlib import import_module
from ipaddress import ip_network

import pytest

from Kamaelia.Apps.Grey.Core.Access.Clauses import (
    Addr,
    Always,
    Auth,
    Body,
    Domain,
    From,
    Header,
    Helo,
    Log,
    MacroIs,
    MsgSize,
    PropertyGlob,
    PropertyIs,
    RateOver,
    RawFrom,
    Rcpt,
    RcptCount,
    SetProperty,
    Tarpit,
    TimeIs,
    Tls,
)
from Kamaelia.Apps.Grey.Core.Access.Definitions import MacroTest, RateLimit
from Kamaelia.Apps.Grey.Core.Access.Matching import compare, integer
from Kamaelia.Apps.Grey.Core.Access.Patterns import Pattern, Text
from Kamaelia.Apps.Grey.Core.Access.Questions import Country, HostName, LookupFailed
from Kamaelia.Apps.Grey.Core.Access.Rates import Rates
from Kamaelia.Apps.Grey.Core.Access.Rule import Clause
from Kamaelia.Apps.Grey.Core.Access.Subject import Property, Subject
from Kamaelia.Apps.Grey.Core.Networks import Networks
from Test.Kamaelia.Apps.Grey.Core.Access.subjects import CLIENT, Re, message, subject

PACKAGE = "Kamaelia.Apps.Grey.Core.Access"
MODULES = [found.name for found in pkgutil.iter_modules(import_module(PACKAGE).__path__)]


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_are_true(module: str) -> None:
    assert doctest.testmod(import_module(f"{PACKAGE}.{module}")).failed == 0


def test_a_clause_has_no_questions_groups_or_acts_of_itself() -> None:
    about, clause = subject(), Always()
    assert (clause.questions(about), clause.groups(about)) == ((), ())
    clause.act(about)
    assert about == subject()
    assert about.answer(HostName(CLIENT)) is None


def nets(*texts: str) -> Networks:
    return Networks([ip_network(text) for text in texts])


@pytest.mark.parametrize(
    ("clause", "holds"),
    [
        (Always(), True),
        (Addr(nets("192.0.2.0/24")), True),
        (Addr(nets("192.0.3.0/24", "2001:db8::/32")), False),
        (Domain(["EXAMPLE.net"], exact=False), True),
        (Domain(["ample.net"], exact=False), True),
        (Domain(["ample.net"], exact=True), False),
        (Domain(["example.net"], exact=True), True),
        (Domain(["mx.example.net."], exact=True), True),
        (Domain([".example.net"], exact=True), True),
        (Domain(["longer.than.mx.example.net"], exact=False), False),
        (Domain([""], exact=False), False),
        (Domain([Re(r"^mx\.")], exact=False), True),
        (From(["joe.doe@example.net"]), True),
        (From([" <JOE.DOE@EXAMPLE.NET> "]), True),
        (From([Text("joe.doe@example.net")]), True),
        (From(["doe@example.net"]), False),
        (From([Re("^<joe")]), True),
        (From([Re("^joe")]), False),
        (From([Re("example.net>$")]), True),
        (RawFrom(["joe.doe@example.net"]), True),
        (Rcpt(["anna@example.org"]), True),
        (Rcpt(["anna@example.com"]), False),
        (Rcpt([Re(r"^<?ann.@")]), True),
        (RcptCount("==", 0), True),
        (RcptCount(">", 0), False),
        (Helo(["MX.example.NET"]), True),
        (Helo(["%d"]), True),
        (Helo(["x%d", "[%i]"]), False),
        (Helo([Re("^mx")]), True),
        (Auth(["joe"]), False),
        (Auth([Re(".+")]), False),
        (Tls([Re(".+")]), False),
        (MacroIs([("a", MacroTest("{client_resolve}", value="FORGED"))]), False),
        (MacroIs([("a", MacroTest("{tls_version}"))]), True),
        (MacroIs([("a", MacroTest("{tls_version}", expression=Re("1")))]), False),
        (MacroIs([("a", MacroTest("j", value="mx"))]), True),
        (MacroIs([("a", MacroTest("j"))]), False),
        (MacroIs([("a", MacroTest("j", expression=Re("^M")))]), True),
        (TimeIs(["30 10 * 11 *"]), True),
        (TimeIs(["30 10 * 12 *", "* 25 * * *", "nonsense"]), False),
        (Tarpit(20), True),
        (Log("hello"), True),
        (SetProperty("$x", "=", "1"), True),
        (Body(["x"]), False),
        (Header([Re("x")]), False),
        (MsgSize(">", 0), False),
        (PropertyIs("$x", None, "y"), False),
        (PropertyIs("$mode", None, "STRICT"), True),
        (PropertyIs("$mode", None, "%P{mode}"), True),
        (PropertyIs("$mode", None, Re("^str(.)ct")), True),
        (PropertyIs("$mode", "==", 3), False),
        (PropertyIs("$score", ">=", 5), True),
        (PropertyIs("$score", "<", "$limit"), True),
        (PropertyIs("$score", "<", "$mode"), False),
        (PropertyIs("$score", "==", "$nothing"), False),
        (PropertyIs("$score", None, 5), True),
        (PropertyIs("$score", "~", 5), False),
        (PropertyGlob("*$allowed", "%r"), True),
        (PropertyGlob("allowed", "%f"), False),
        (PropertyGlob("nothing", "%f"), False),
        (RateOver("r", RateLimit("rcpt", 0, 60)), False),  # nobody counts
    ],
)
def test_a_clause_holds_and_its_negation_does_not(clause: Clause, holds: bool) -> None:
    about = subject()
    about.local = (30, 10, 22, 11, 0)
    about.session.macros["j"] = "mx"
    for name, value in {"mode": "strict", "score": "5", "limit": "9", "allowed": "*@*.ORG"}.items():
        about.session.properties[name] = Property(name, value)
    assert clause.test(about) is holds
    clause.negated = True
    assert clause.test(about) is not holds


@pytest.mark.parametrize(
    ("clause", "holds"),
    [
        (Body(["bye"]), True),
        (Body(["BYE"]), False),
        (Body([Re("^BYE$")]), True),
        (Body(["$word"]), True),
        (Body([Text("$word")]), False),
        (Body(["$nothing", "$empty"]), False),
        (Header(["Subject: x"]), True),
        (Header([Re(r"^subject: (x)\r\n")]), True),
        (MsgSize(">", 99), True),
        (MsgSize(">", "$word"), False),
        (MsgSize("<=", 10), False),
        (Rcpt(["anna@example.org"]), True),
        (Rcpt(["bob@example.org"]), False),
        (RcptCount("<=", 1), True),
        (RcptCount("<=", "$one"), True),
    ],
)
def test_clauses_about_the_message(clause: Clause, holds: bool) -> None:
    about = subject(content=message(["From: y\r\n", "Subject: x\r\n"], ["hello\n", "bye\n"]))
    properties = {"word": "ell", "empty": "", "one": "1"}
    about.session.properties |= {name: Property(name, text) for name, text in properties.items()}
    assert clause.test(about) is holds


@pytest.mark.parametrize(
    ("clause", "captured"),
    [
        (From([Re("^<(.*)@(.*)>$")]), ("Joe.Doe", "Example.net")),
        (From(["joe.doe@example.net"]), ()),
        (Rcpt([Re("^<(an)")]), ("an",)),
        (Domain([Re(r"^(\w+)\.")], exact=False), ("mx",)),
        (Helo([Re(r"^(\w+)\.")]), ("mx",)),
        (MacroIs([("a", MacroTest("z")), ("b", MacroTest("j", expression=Re("(.)")))]), ("m",)),
        (MacroIs([("b", MacroTest("j", expression=Re("(z)")))]), ()),
        (PropertyIs("mode", None, Re("(st)")), ("st",)),
        (PropertyIs("mode", None, "strict"), ()),
        (PropertyIs("nothing", None, Re("(st)")), ()),
        (Always(), ()),
    ],
)
def test_what_groups_capture(clause: Clause, captured: tuple[str, ...]) -> None:
    about = subject()
    about.session.macros["j"] = "mx"
    about.session.properties["mode"] = Property("mode", "strict")
    assert clause.groups(about) == captured


def test_groups_of_a_message_are_of_the_text_that_matched() -> None:
    about = subject(content=message(["A: 1\n", "B: 2\n"]))
    assert Header([Re("^B: (.)")]).groups(about) == ("2",)
    assert Header([Re("^C: (.)")]).groups(about) == ()
    assert Rcpt([Re("@(.*)>")]).groups(about) == ("example.org",)


def test_the_name_is_asked_for_if_nobody_gave_it() -> None:
    clause, about = Domain(["example.net"], exact=True), subject(name=None)
    assert clause.test(about) == HostName(CLIENT)
    about.answers[HostName(CLIENT)] = LookupFailed("x")
    assert isinstance(clause.test(about), LookupFailed)
    about.answers[HostName(CLIENT)] = "a.Example.net"
    assert clause.test(about) is True


def test_a_client_without_address_has_no_name_and_nobody_asks() -> None:
    assert Domain(["example.net"], exact=False).test(subject(client="", name=None)) is False


def test_helo_with_codes_waits_for_what_they_need() -> None:
    clause, about = Helo(["%C.example.net"]), subject()
    assert clause.test(about) == Country(CLIENT)
    assert clause.questions(about) == (Country(CLIENT),)
    about.answers[Country(CLIENT)] = "DE"
    assert clause.test(about) is False
    about.answers[Country(CLIENT)] = "MX"
    assert clause.test(about) is True


@pytest.mark.parametrize("clause", [PropertyIs("p", None, "%C"), PropertyGlob("p", "%C")])
def test_a_property_is_compared_with_what_was_looked_up(clause: Clause) -> None:
    about = subject()
    about.session.properties["p"] = Property("p", "de")
    assert clause.test(about) == Country(CLIENT)
    clause.act(about)
    assert about.matched_property is None
    about.answers[Country(CLIENT)] = "DE"
    assert clause.test(about) is True
    assert clause.questions(about) == (Country(CLIENT),)
    clause.act(about)
    assert about.matched_property == Property("p", "de")


@pytest.mark.parametrize("pattern", ["*" * 9, "a" * 513])
def test_patterns_that_would_take_long_match_nothing(pattern: str) -> None:
    about = subject()
    about.session.properties["p"] = Property("p", pattern)
    assert PropertyGlob("p", "a" * 513).test(about) is False


def test_the_kelvin_sign_is_no_k() -> None:
    assert From(["kim@example.net"]).test(subject(sender="<\u212aim@example.net>")) is False


@pytest.mark.parametrize(
    ("operator", "holds"),
    [("==", {0}), ("=", {0}), ("!=", {-1, 1}), ("<", {-1}), (">", {1}), ("<=", {-1, 0}),
     (">=", {0, 1}), ("=>", set())],
)  # fmt: skip
def test_comparisons(operator: str, holds: set[int]) -> None:
    assert {n for n in (-1, 0, 1) if compare(n, operator, 0)} == holds


@pytest.mark.parametrize(("text", "value"), [("4k", 4096), ("\u0664", None), ("1.5", None)])
def test_numbers(text: str, value: int | None) -> None:
    assert integer(text) == value


# --- what acts ---


def properties(about: Subject) -> dict[str, str]:
    return {name: found.value for name, found in about.session.properties.items()}


def test_properties_are_set_expanded_counted_and_copied() -> None:
    about = subject()
    for clause in (
        SetProperty("$Who", "=", "%r"),
        SetProperty("n", "+=", 2),
        SetProperty("n", "-=", "5"),
        SetProperty("m", "=", "$n"),
        SetProperty("m", "+=", "$n"),
        SetProperty("k", "=", "$nothing"),
        SetProperty("who2", "+=", "$who"),
        SetProperty("f", "=", 1, fleeting=True),
    ):
        clause.act(about)
    assert properties(about) == {
        "who": "anna@example.org", "n": "-3", "m": "-6", "k": "", "who2": "0", "f": "1"
    }  # fmt: skip
    assert about.session.properties["who"].name == "Who"
    assert about.session.properties["f"].fleeting


def test_a_property_waits_for_what_its_value_needs() -> None:
    about, clause = subject(), SetProperty("c", "=", "%C")
    assert clause.test(about) == Country(CLIENT)
    assert SetProperty("c", "=", 1).questions(about) == ()
    about.answers[Country(CLIENT)] = "DE"
    assert clause.test(about) is True


def test_properties_and_numbers_do_not_grow_without_end() -> None:
    about = subject()
    for n in range(1100):
        SetProperty(f"p{n}", "=", "x" * 10_000).act(about)
    assert len(about.session.properties) == 1000
    assert len(about.session.properties["p0"].value) <= 4096
    for _ in range(3):
        SetProperty("p0", "+=", 10**15).act(about)
    assert about.session.properties["p0"].value == str(10**15)


def test_log_writes_one_clean_line_and_not_too_many() -> None:
    about = subject(sender="<a\r\nb@example.net>")
    for _ in range(200):
        Log("from %f").act(about)
    assert about.lines == ["from a??b@example.net"] * 100
    assert Log("%C").test(about) == Country(CLIENT) == Log("%C").questions(about)[0]


def test_a_tarpit_is_not_for_whom_hung_up_on_less() -> None:
    about = subject()
    about.endured = 10.0
    assert [Tarpit(n).test(about) for n in (9, 10, 11)] == [True, True, False]


def test_a_rate_is_over_with_the_event_beyond_the_limit() -> None:
    rates, over = Rates(), []
    clause = RateOver("r", RateLimit("rcpt", 2, 60, "%f"))
    for _ in range(4):
        about = subject()
        about.rates = rates
        over.append(clause.test(about))
        clause.act(about)
        clause.act(about)  # of another rule
    assert over == [False, False, True, True]
    assert about.lines == []  # it was said with the third
    other = subject(sender="<b@example.net>")
    other.rates = rates
    assert clause.test(other) is False


def test_a_rate_says_once_that_it_is_exceeded() -> None:
    about = subject()
    about.rates = Rates()
    RateOver("r", RateLimit("rcpt", 0, 60)).act(about)
    assert about.lines == [
        'ratelimit overflow for class r: 1, limit is 0 rcpt / 60 sec, key = "192.0.2.77"'
    ]


@pytest.mark.parametrize(("counts", "over"), [("session", [0, 0, 0]), ("rcpt", [0, 1, 1])])
def test_a_session_counts_once(counts: str, over: list[int]) -> None:
    session, rates, found = subject().session, Rates(), []
    for _ in range(3):
        about = subject()
        about.session, about.rates = session, rates
        clause = RateOver("r", RateLimit(counts, 1, 60))
        found.append(int(clause.test(about) is True))
        clause.act(about)
    assert found == over


def test_messages_are_counted_at_their_end_only() -> None:
    clause = RateOver("r", RateLimit("data", 0, 60))
    early, late = subject(), subject(content=message())
    early.rates = late.rates = Rates()
    assert clause.test(early) is False
    clause.act(early)
    assert clause.test(late) is True


def test_a_rate_waits_for_what_its_key_needs() -> None:
    clause, about = RateOver("r", RateLimit("rcpt", 0, 60, "%C")), subject()
    assert clause.test(about) == Country(CLIENT) == clause.questions(about)[0]
    RateOver("r", RateLimit("rcpt", 0, 60)).act(about)  # nobody counts


def test_what_a_session_has_counted_is_bounded() -> None:
    about = subject()
    about.rates = Rates()
    for n in range(1100):
        about.recipient = f"<u{n}@example.org>"
        RateOver("r", RateLimit("session", 5, 60, "%r")).act(about)
    assert len(about.session.counted) == 1000


@pytest.mark.parametrize("kind", [From, Rcpt, Helo, Auth])
def test_a_hundred_thousand_names_are_one_set(kind: type[From | Rcpt | Helo | Auth]) -> None:
    patterns: list[Pattern] = [f"u{n}@example.net" for n in range(100_000)]
    clause = kind(patterns)
    about = subject(sender="<u99999@example.net>", recipient="<u99999@example.net>")
    about.session.helo = about.session.auth_user = "U99999@example.net"
    assert clause.test(about) is True
