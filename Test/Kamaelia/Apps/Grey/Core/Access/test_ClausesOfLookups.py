"""Clauses that ask: what they ask, and what they make of the answers."""

import pytest

from Kamaelia.Apps.Grey.Core.Access.Clauses import (
    CountryIs,
    DkimIs,
    DnsrblIn,
    LdapSays,
    MxNear,
    P0fIs,
    SpamdIs,
    SpfIs,
    UrlSays,
)
from Kamaelia.Apps.Grey.Core.Access.ClausesOfServices import overrides
from Kamaelia.Apps.Grey.Core.Access.Definitions import LdapCheckDef, UrlCheckDef
from Kamaelia.Apps.Grey.Core.Access.Questions import (
    Country,
    Dkim,
    Dnsrbl,
    LdapCheck,
    LookupFailed,
    LookupText,
    Mx,
    P0f,
    Question,
    SpamAnswer,
    Spamd,
    Spf,
    SpfAnswer,
    SpfResult,
    UrlCheck,
)
from Kamaelia.Apps.Grey.Core.Access.Rule import Clause
from Test.Kamaelia.Apps.Grey.Core.Access.subjects import CLIENT, Re, message, subject

PASS, FAIL = SpfAnswer(SpfResult.PASS, "example.net"), SpfAnswer(SpfResult.FAIL)
SPF = Spf(CLIENT, "mx.example.net", "Joe.Doe@Example.net")
OWN_SPF = Spf("198.51.100.1", "mx.example.net", "Joe.Doe@Example.net")
PASSES = frozenset({SpfResult.PASS})
BOTH = [SpfResult.PASS, SpfResult.FAIL]
SPAM, HAM = SpamAnswer(is_spam=True, tenths=61), SpamAnswer(is_spam=False, tenths=-3)

CASES: list[tuple[Clause, Question, list[tuple[object, bool]]]] = [
    (SpfIs(PASSES), SPF, [(PASS, True), (FAIL, False)]),
    (SpfIs(frozenset()), SPF, [(PASS, True), (FAIL, False)]),
    (SpfIs(frozenset(BOTH)), SPF, [(PASS, True), (FAIL, True)]),
    (SpfIs(PASSES, wide_open=True), OWN_SPF, [(PASS, True), (FAIL, False)]),
    (DnsrblIn(["dyn"]), Dnsrbl("dyn", CLIENT), [(True, True), (False, False)]),
    (
        MxNear(24),
        Mx("example.net"),
        [(("192.0.2.1",), True), (("192.0.3.1", "2001:db8::1", "?"), False), ((), False)],
    ),
    (MxNear(99), Mx("example.net"), [(("192.0.2.1",), False), ((CLIENT,), True)]),
    (MxNear(24), Mx("example.net"), [((7,), False)]),
    (CountryIs(["de", "fr"]), Country(CLIENT), [("DE", True), ("ZZ", False)]),
    (CountryIs([Re("^D")]), Country(CLIENT), [("DE", True), ("ZZ", False)]),
    (P0fIs(["WINDOWS"]), P0f(CLIENT), [("windows XP", True), ("Linux", False), ("", False)]),
    (P0fIs([Re("win.*(xp)")]), P0f(CLIENT), [("windows XP", True), ("Linux", False)]),
]
OF_CONTENT: list[tuple[Clause, Question, list[tuple[object, bool]]]] = [
    (SpamdIs(), Spamd(7), [(SPAM, True), (HAM, False)]),
    (SpamdIs(">=", 6), Spamd(7), [(SPAM, True), (HAM, False)]),
    (SpamdIs("<", 0), Spamd(7), [(SPAM, False), (HAM, True)]),
    (SpamdIs("<", "$nothing"), Spamd(7), [(SPAM, False)]),
    (DkimIs(PASSES), Dkim(7), [(PASS, True), (FAIL, False)]),
    (DkimIs(frozenset()), Dkim(7), [(PASS, True)]),
]


@pytest.mark.parametrize(
    ("clause", "question", "cases", "with_content"),
    [(*case, False) for case in CASES] + [(*case, True) for case in OF_CONTENT],
)
def test_it_asks_and_judges(
    clause: Clause, question: Question, cases: list[tuple[object, bool]], with_content: bool
) -> None:
    about = subject(content=message() if with_content else None)
    assert clause.test(about) == question
    assert clause.questions(about) == (question,)
    for answer, holds in cases:
        about.answers[question] = answer
        assert clause.test(about) is holds
    for bad in (LookupFailed("x"), b"an answer of the wrong kind"):
        about.answers[question] = bad
        assert isinstance(clause.test(about), LookupFailed)


@pytest.mark.parametrize(
    ("clause", "holds"),
    [
        (SpfIs(PASSES), False),
        (SpfIs(frozenset({SpfResult.NONE})), True),
        (DnsrblIn(["dyn"]), False),
        (MxNear(24), False),
        (CountryIs(["ZZ"]), True),
        (P0fIs(["x"]), False),
        (SpamdIs(), False),
        (DkimIs(PASSES), False),
    ],
)
def test_where_there_is_nothing_to_ask_the_answer_is_known(clause: Clause, holds: bool) -> None:
    assert clause.test(subject(client="")) is holds
    assert clause.groups(subject(client="")) == ()


def test_spf_self_without_an_address_of_ours_is_not_wide_open() -> None:
    about = subject()
    about.session.local_address = ""
    assert SpfIs(frozenset({SpfResult.NONE}), wide_open=True).test(about) is False


def test_the_null_sender_has_no_mail_server() -> None:
    assert MxNear(24).test(subject(sender="<>")) is False


def test_p0f_captures() -> None:
    about, clause = subject(), P0fIs([Re("win.*(xp)")])
    assert clause.groups(about) == ()
    about.answers[P0f(CLIENT)] = "Windows XP"
    assert clause.groups(about) == ("XP",)
    about.answers[P0f(CLIENT)] = "Linux"
    assert clause.groups(about) == ()


# --- several lists ---

ONE, TWO = Dnsrbl("one", CLIENT), Dnsrbl("two", CLIENT)


@pytest.mark.parametrize(
    ("one", "two", "outcome"),
    [
        (False, False, False),
        (False, True, True),
        (True, None, True),
        (None, True, ONE),
        (False, None, TWO),
        (LookupFailed("x"), True, True),
        (LookupFailed("x"), False, LookupFailed("x")),
    ],
)
def test_one_list_of_several_is_enough(one: object, two: object, outcome: object) -> None:
    about = subject()
    about.answers.update({q: a for q, a in ((ONE, one), (TWO, two)) if a is not None})
    assert DnsrblIn(["one", "two"]).test(about) == outcome


def test_matched_lists_are_known_newest_first_and_once() -> None:
    about = subject(answers={ONE: True, TWO: True, Dnsrbl("three", CLIENT): False})
    for clause in (DnsrblIn(["one"]), DnsrblIn(["two", "three"]), DnsrblIn(["one"])):
        clause.act(about)
    assert about.matched_lists == ["two", "one"]


# --- urlcheck, ldapcheck ---

URL = UrlCheckDef("http://127.0.0.1/?r=%r", 5)
ASKED = UrlCheck("u", "http://127.0.0.1/?r=anna%40example.org")


def test_urlcheck_asks_with_an_encoded_url() -> None:
    about = subject()
    clause = UrlSays("u", URL)
    assert clause.test(about) == ASKED
    about.answers[ASKED] = LookupText(matched=True)
    assert clause.test(about) is True
    assert UrlSays("u", URL, negated=True).test(about) is False
    plain = UrlSays("u", UrlCheckDef("http://127.0.0.1/?r=%r", 5, noencode=True))
    assert plain.test(about) == UrlCheck("u", "http://127.0.0.1/?r=anna@example.org")


def test_the_message_is_posted_when_it_is_there() -> None:
    clause = UrlSays("u", UrlCheckDef("http://127.0.0.1/", 5, postmsg=True))
    assert clause.test(subject()) == UrlCheck("u", "http://127.0.0.1/", with_message=False)
    there = subject(content=message())
    asked = clause.test(there)
    assert isinstance(asked, UrlCheck)
    assert asked.with_message
    assert asked.message_id == message().message_id


def test_a_url_with_what_must_be_looked_up_comes_second() -> None:
    about, clause = subject(), UrlSays("u", UrlCheckDef("http://127.0.0.1/%C", 5))
    assert clause.questions(about) == (Country(CLIENT),)
    assert clause.test(about) == Country(CLIENT)
    clause.act(about)  # does nothing yet
    about.answers[Country(CLIENT)] = "DE"
    assert clause.questions(about) == (Country(CLIENT), UrlCheck("u", "http://127.0.0.1/DE"))


def test_ldapcheck_escapes_for_the_filter_and_the_url() -> None:
    clause = LdapSays("l", LdapCheckDef("ldap:///dc=x??sub?(mail=%r)"))
    about = subject(recipient="<a*(b)@example.org>")
    found = clause.test(about)
    assert found == LdapCheck("l", "ldap:///dc=x??sub?(mail=a%5C2a%5C28b%5C29%40example.org)")
    plain = LdapSays("l", LdapCheckDef("(mail=%r)", noescape=True))
    assert plain.test(about) == LdapCheck("l", "(mail=a*(b)@example.org)")


LINES = (("milterGreylistAction", "Blacklist"), ("Colour", "RED"))


def test_answers_bring_overrides_and_properties() -> None:
    about = subject(answers={ASKED: LookupText(matched=True, lines=LINES)})
    UrlSays("u", URL).act(about)
    assert about.found == {"action": "blacklist"}
    assert about.session.properties == {}
    UrlSays("u", UrlCheckDef(URL.url, 5, getprop=True, clear=True)).act(about)
    assert about.session.properties["colour"].value == "red"
    assert about.session.properties["colour"].fleeting


@pytest.mark.parametrize(("negated", "matched"), [(True, True), (False, False)])
def test_no_overrides_where_it_does_not_hold(negated: bool, matched: bool) -> None:
    about = subject(answers={ASKED: LookupText(matched=matched, lines=LINES)})
    UrlSays("u", URL, negated=negated).act(about)
    assert about.found == {}


def test_what_makes_no_sense_is_no_override() -> None:
    assert overrides(
        (f"milterGreylist{key}", value)
        for key, value in (
            ("Action", "explode"), ("Delay", "soon"), ("Code", "99"), ("ECode", "5.x"),
            ("Status", "Ok"), ("FlushAddr", "TRUE"), ("NoLog", "false"), ("Autowhite", "1d"),
            ("Tarpit", "20"), ("Msg", "go\r\naway"), ("Report", " x "), ("Ignore", "x"),
        )
    ) == {"flushaddr": "yes", "autowhite": "86400", "tarpit": "20", "msg": "go??away",
          "report": "x"}  # fmt: skip
    assert overrides([("milterGreylistCode", "451"), ("MILTERGREYLISTECODE", "4.7.1")]) == {
        "code": "451",
        "ecode": "4.7.1",
    }
