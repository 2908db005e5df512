"""Rules asked: which decides, what it says, and what failed look-ups mean."""

from ipaddress import ip_network

import pytest

from Kamaelia.Apps.Grey.Core.Access.Clauses import (
    Addr,
    Always,
    Body,
    DnsrblIn,
    Domain,
    From,
    Log,
    PropertyIs,
    RateOver,
    Rcpt,
    SetProperty,
    SpfIs,
    Tarpit,
    UrlSays,
)
from Kamaelia.Apps.Grey.Core.Access.Definitions import Definitions, RateLimit, UrlCheckDef
from Kamaelia.Apps.Grey.Core.Access.Evaluate import (
    RuleSet,
    evaluate,
    explain,
    peek_bytes,
    say,
    wanted,
)
from Kamaelia.Apps.Grey.Core.Access.Questions import (
    Country,
    Dnsrbl,
    HostName,
    LookupFailed,
    LookupText,
    Question,
    Spf,
    SpfAnswer,
    SpfResult,
    UrlCheck,
)
from Kamaelia.Apps.Grey.Core.Access.Rule import Action, Extras, Ruling, Stage
from Kamaelia.Apps.Grey.Core.Access.Subject import Answers, Property
from Kamaelia.Apps.Grey.Core.Networks import Networks
from Test.Kamaelia.Apps.Grey.Core.Access.subjects import (
    CLIENT,
    Re,
    message,
    rule,
    ruled,
    subject,
)

BLACK, WHITE, GREY, GO_ON = Action.BLACKLIST, Action.WHITELIST, Action.GREYLIST, Action.CONTINUE
DYN, OLD = Dnsrbl("dyn", CLIENT), Dnsrbl("old", CLIENT)
SPF = Spf(CLIENT, "mx.example.net", "Joe.Doe@Example.net")
URL = UrlCheck("u", "http://127.0.0.1/")
URL_SAYS = UrlSays("u", UrlCheckDef("http://127.0.0.1/", 5), text='urlcheck "u"')
HERE = Addr(Networks([ip_network("192.0.2.0/24")]))
ELSEWHERE = Addr(Networks([ip_network("10.0.0.0/8")]))


def test_no_rule_is_greylist_before_the_message_and_whitelist_after_it() -> None:
    assert ruled([], subject()) == Ruling(GREY)
    assert ruled([], subject(content=message()), stage=Stage.DATA) == Ruling(WHITE)


def test_the_first_that_matches_decides_and_stages_are_apart() -> None:
    rules = [
        rule(HERE, action=BLACK, stage=Stage.DATA, line=1),
        rule(ELSEWHERE, action=BLACK, line=2),
        rule(HERE, action=WHITE, line=3, extras=Extras(delay=5, autowhite=6)),
        rule(Always(), action=BLACK, line=4),
    ]
    found = ruled(rules, subject())
    assert (found.action, found.rule, found.kinds) == (WHITE, rules[2], ("addr",))
    assert (found.delay, found.autowhite) == (5, 6)
    assert ruled(rules, subject(content=message()), stage=Stage.DATA).rule is rules[0]


def test_a_rule_without_clauses_matches() -> None:
    assert ruled([rule(action=BLACK)], subject()).action is BLACK


def test_kinds_are_for_the_header() -> None:
    far = Addr(Networks(), negated=True)
    rules = [rule(HERE, far, Tarpit(20), Log("x"), extras=Extras(nolog=True))]
    found = ruled(rules, subject())
    assert found.kinds == ("addr", "not addr", "tarpit 20", "log", "nolog")
    assert (found.tarpit, found.log, found.nolog) == (20.0, ["x"], True)


def test_default_rules_are_of_the_default_kind() -> None:
    made = rule(Always())
    assert ruled([made], subject()).kinds == ("default",)
    bare = type(made)(Stage.RCPT, WHITE, (), Extras(), "f", 1, "1", is_default=True)
    assert ruled([bare], subject()).kinds == ("default",)


def test_continue_rules_leave_words_but_no_times() -> None:
    rules = [
        rule(
            action=GO_ON,
            line=1,
            extras=Extras(
                delay=1, autowhite=2, code="554", ecode="5.7.1", msg="one", report="first %cA %A",
                addheaders=(("X-A: %ca", 1),), subjtag="[x] ", addfooter="-- \n%f\n", maxpeek=10,
                flushaddr=True, nolog=True,
            ),
        ),
        rule(ELSEWHERE, action=GO_ON, line=2, extras=Extras(msg="never")),
        rule(action=GO_ON, line=3, extras=Extras(msg="three")),
        rule(Always(), action=BLACK, line=4, name="last",
             extras=Extras(ecode="5.0.0", addheaders=(("X-B: %a\tb\r\n", None),))),
    ]  # fmt: skip
    found = ruled(rules, subject())
    assert (found.action, found.delay, found.autowhite) == (BLACK, None, None)
    assert (found.code, found.ecode, found.msg) == ("554", "5.0.0", "three")
    assert found.report == "first 1 4"
    assert found.addheaders == (("X-A: 1", 1), ("X-B: last b ", None))
    assert (found.subjtag, found.maxpeek, found.flushaddr) == ("[x] ", 10, True)
    assert found.addfooter == "-- \nJoe.Doe@Example.net\n"
    assert found.nolog is False


def test_headers_are_bounded() -> None:
    many = Extras(addheaders=tuple((f"X-{n}: x", None) for n in range(200)))
    assert len(ruled([rule(extras=many)], subject()).addheaders) == 100


def test_the_report_names_no_recipient() -> None:
    found = ruled([rule(extras=Extras(report="for %r", msg="for %r"))], subject())
    assert (found.report, found.msg) == ("for ", "for anna@example.org")


def test_a_later_say_knows_more_and_takes_nothing_of_strangers_for_a_code() -> None:
    about = subject(sender="<%R@example.net>")
    found = ruled([rule(extras=Extras(msg="%f: come back in %R, line %cA"))], about)
    assert found.msg == "%R@example.net: come back in 00:00:00, line 1"
    about.reply["R"] = "1800"
    say(found, about)
    assert found.msg == "%R@example.net: come back in 00:30:00, line 1"


def test_captures_are_of_the_rule_later_clauses_first() -> None:
    rules = [
        rule(From([Re("(nobody)")]), action=BLACK),
        rule(From([Re("<(.)")]), action=GO_ON, extras=Extras(addheaders=((r"%g{\1}", None),))),
        rule(
            From([Re("^<(j)(o)")]),
            From([Re("(never)")], negated=True),
            Domain([Re(r"^(mx)")], exact=False),
            SetProperty("before", "=", r"%g{\1}"),
            Rcpt([Re("(anna)")]),
            extras=Extras(msg=r"%g{\1} %g{\2} %g{\3} %g{\4} %g{\5}|"),
        ),
    ]
    about = subject()
    found = ruled(rules, about)
    assert (found.msg, found.addheaders) == ("anna mx J o J|", (("J", None),))
    assert about.session.properties["before"].value == "mx"
    assert about.mail.captures == ["anna", "mx", "J", "o", "J"]
    ruled([], about)
    assert about.mail.captures == []  # the next recipient's are its own


# --- what acts ---


def test_a_clause_acts_if_all_before_it_hold_whatever_comes_after() -> None:
    rules = [
        rule(HERE, Log("one"), ELSEWHERE, Log("never")),
        rule(ELSEWHERE, Log("never")),
        rule(SetProperty("x", "=", 1), DnsrblIn(["dyn"]), Log("never")),
        rule(PropertyIs("x", "==", 1), Log("two %pn=%pv")),
    ]
    about = subject()
    assert ruled(rules, about, {DYN: False}).log == ["one", "two x=1"]


def test_fleeting_properties_go_with_the_next_recipient() -> None:
    about = subject()
    about.session.properties["stays"] = Property("stays", "1")
    about.session.properties["goes"] = Property("goes", "1", fleeting=True)
    ruled([], about, stage=Stage.DATA)
    assert set(about.session.properties) == {"stays", "goes"}
    ruled([], about)
    assert set(about.session.properties) == {"stays"}


def test_rates_count_whoever_comes_by_and_survive_a_reload() -> None:
    over = RateOver("r", RateLimit("rcpt", 2, 60))
    rules = RuleSet([rule(over, action=BLACK)], Definitions())
    assert [ruled(rules, subject()).action for _ in range(3)] == [GREY, GREY, BLACK]
    again = RuleSet([rule(over, action=BLACK)], Definitions(), rates=rules.rates)
    assert ruled(again, subject()).action is BLACK


@pytest.mark.parametrize(
    ("scope", "waited", "seconds"),
    [("session", 0, 20), ("session", 15, 5), ("session", 30, 0), ("command", 15, 20), ("", 15, 5)],
)
def test_a_tarpit_of_the_session_counts_what_was_waited(
    scope: str, waited: int, seconds: int
) -> None:
    about = subject()
    about.session.tarpitted = waited
    rules = [
        rule(Tarpit(5), Tarpit(20), Tarpit(90, negated=True), action=BLACK),
        rule(Tarpit(5), Tarpit(20), extras=Extras(tarpit_scope=scope)),
    ]
    found = ruled(rules, about)
    assert (found.rule, found.tarpit) == (rules[1], seconds)
    assert about.reply["t"] == str(seconds)


def test_the_longest_tarpit_holds_and_the_statement_is_for_all() -> None:
    rules = [rule(Tarpit(30), action=GO_ON), rule(Tarpit(10))]
    assert ruled(rules, subject()).tarpit == 30
    about = subject()
    about.session.tarpitted = 3
    definitions = Definitions(tarpit=7, tarpit_scope="command")
    assert ruled(RuleSet([], definitions), about).tarpit == 7
    assert ruled(RuleSet([], definitions), about, stage=Stage.DATA).tarpit == 0


def test_the_address_of_ours_may_stand_in_the_file() -> None:
    about = subject()
    about.session.local_address = ""
    ruled(RuleSet([], Definitions(localaddr="198.51.100.9")), about)
    assert about.session.local_address == "198.51.100.9"


# --- look-ups ---


def test_what_is_known_is_asked_before_what_must_be_looked_up() -> None:
    asked: list[Question] = []
    rules = [rule(DnsrblIn(["dyn"]), SpfIs(frozenset()), ELSEWHERE), rule(DnsrblIn(["old"]))]
    found = ruled(rules, subject(), {OLD: True}, asked=asked)
    assert (asked, found.rule) == ([OLD], rules[1])


@pytest.mark.parametrize("negated", [False, True])
def test_a_failed_look_up_is_no_match_negated_or_not(negated: bool) -> None:
    rules = [rule(DnsrblIn(["dyn"], negated=negated), Log("x"), action=BLACK)]
    found = ruled(rules, subject())
    assert (found.action, found.failed, found.log) == (GREY, "", [])


def test_a_failed_look_up_may_defer() -> None:
    clause = DnsrblIn(["dyn"], text='dnsrbl "dyn"')
    rules = [rule(Log("x"), ELSEWHERE, clause), rule(Log("y"), clause), rule()]
    found = ruled(RuleSet(rules, Definitions(), on_failure="defer"), subject())
    assert (found.failed, found.rule, found.log) == (
        'dnsrbl "dyn": no such answer',
        rules[1],
        ["x", "y"],
    )


def test_urlcheck_that_fails_always_defers() -> None:
    found = ruled([rule(URL_SAYS), rule()], subject())
    assert found.failed == 'urlcheck "u": no such answer'
    assert found.msg == ""


def test_a_driver_that_brings_no_answer_does_not_loop() -> None:
    asking = evaluate(RuleSet([rule(DnsrblIn(["dyn"]))], Definitions()), Stage.RCPT, subject())
    assert next(asking) == DYN
    with pytest.raises(StopIteration) as end:
        next(asking)
    assert end.value.value.action is GREY


LINES = (
    ("milterGreylistAction", "blacklist"), ("milterGreylistDelay", "1h"),
    ("milterGreylistAutowhite", "2h"), ("milterGreylistTarpit", "9"),
    ("milterGreylistFlushAddr", "yes"), ("milterGreylistNoLog", "yes"),
    ("milterGreylistCode", "554"), ("milterGreylistECode", "5.7.9"), ("milterGreylistMsg", "no %i"),
    ("milterGreylistReport", "url"),
)  # fmt: skip


def test_what_a_service_says_holds_instead_of_the_rule() -> None:
    rules = [rule(URL_SAYS, extras=Extras(delay=1, msg="x", code="451"))]
    found = ruled(rules, subject(), {URL: LookupText(matched=True, lines=LINES)})
    assert (found.action, found.delay, found.autowhite, found.tarpit) == (BLACK, 3600, 7200, 9.0)
    assert (found.flushaddr, found.nolog) == (True, True)
    assert (found.code, found.ecode, found.msg) == ("554", "5.7.9", f"no {CLIENT}")
    assert (found.report, found.kinds) == ("url", ("urlcheck", "nolog"))


def test_what_a_service_says_does_not_outlive_its_rule() -> None:
    go_on = (("milterGreylistAction", "continue"), ("milterGreylistDelay", "1h"))
    rules = [
        rule(URL_SAYS, ELSEWHERE),
        rule(URL_SAYS),
        rule(extras=Extras(delay=4), action=GREY),
    ]
    found = ruled(rules, subject(), {URL: LookupText(matched=True, lines=go_on)})
    assert (found.rule, found.delay) == (rules[2], 4)


def test_texts_have_their_look_ups_done_first() -> None:
    asked: list[Question] = []
    rules = [rule(HERE, extras=Extras(msg="from %C as %d"))]
    found = ruled(rules, subject(name=None), {Country(CLIENT): "DE"}, asked=asked)
    assert set(asked) == {Country(CLIENT), HostName(CLIENT)}
    assert found.msg == f"from DE as [{CLIENT}]"
    known = subject(answers={Country(CLIENT): "FR"})
    assert ruled(rules, known).msg == "from FR as mx.example.net"


# --- wanted ---


def test_all_that_may_be_asked_is_wanted_at_once() -> None:
    rules = RuleSet(
        [
            rule(ELSEWHERE, DnsrblIn(["never"])),
            rule(DnsrblIn(["dyn", "old"]), SpfIs(frozenset()), extras=Extras(msg="%C")),
            rule(URL_SAYS),
            rule(HERE),
            rule(DnsrblIn(["too late"])),
        ],
        Definitions(),
    )
    about = subject()
    assert set(wanted(rules, Stage.RCPT, about)) == {DYN, OLD, SPF, Country(CLIENT), URL}
    assert about.answers == {}
    about.answers.update({DYN: False, OLD: False, Country(CLIENT): "DE"})
    assert wanted(rules, Stage.RCPT, about) == [URL]
    assert wanted(rules, Stage.DATA, about) == []


def test_a_url_that_depends_on_what_is_not_done_yet_is_not_asked_for() -> None:
    depends = UrlSays("u", UrlCheckDef("http://127.0.0.1/%P{x}", 5))
    rules = RuleSet(
        [rule(SetProperty("x", "=", 1), depends), rule(PropertyIs("x", "==", 1), URL_SAYS)],
        Definitions(),
    )
    assert wanted(rules, Stage.RCPT, subject()) == [URL]


def test_a_failed_look_up_ends_what_is_wanted_where_it_ends_the_decision() -> None:
    about = subject(answers={DYN: LookupFailed("x")})
    rules = [rule(DnsrblIn(["dyn"]), SpfIs(frozenset())), rule(DnsrblIn(["old"]))]
    assert wanted(RuleSet(rules, Definitions()), Stage.RCPT, about) == [OLD]
    deferring = RuleSet(rules, Definitions(), on_failure="defer")
    assert wanted(deferring, Stage.RCPT, about) == []


def test_one_name_is_wanted_for_thousands_of_rules() -> None:
    named = [rule(Domain([f"d{n}.example"], exact=True)) for n in range(50)]
    also = rule(Domain(["x.example"], exact=True), DnsrblIn(["dyn"]))
    rules = RuleSet([*named, also, rule()], Definitions())
    assert set(wanted(rules, Stage.RCPT, subject(name=None))) == {HostName(CLIENT), DYN}
    assert wanted(rules, Stage.RCPT, subject(name="d7.example")) == []
    assert wanted(rules, Stage.RCPT, subject(client="", name=None)) == []
    assert wanted(RuleSet(named, Definitions()), Stage.RCPT, subject(name=None)) == [
        HostName(CLIENT)
    ]
    before = RuleSet([rule(), *named], Definitions())
    assert wanted(before, Stage.RCPT, subject(name=None)) == []


# --- names ---

NAMED = [rule(Domain([f"d{n}.example"], exact=n % 2 == 0), action=BLACK, line=n) for n in range(20)]


@pytest.mark.parametrize(
    ("answer", "line"),
    [("d7.example", 7), ("a.d8.example.", 8), ("xd7.example", 7), ("xd8.example", 99), ("", 99)],
)
def test_a_name_that_is_looked_up_finds_its_rule(answer: str, line: int) -> None:
    asked: list[Question] = []
    rules = [*NAMED, rule(line=99)]
    found = ruled(rules, subject(name=None), {HostName(CLIENT): answer}, asked=asked)
    assert found.rule is not None
    assert (found.rule.line, asked) == (line, [HostName(CLIENT)])


def test_the_last_rule_may_be_the_one_that_falls_away() -> None:
    assert ruled(NAMED, subject(name=None), {HostName(CLIENT): "other.example"}).rule is None


def test_a_name_nobody_can_find_is_no_match_or_a_failure() -> None:
    assert ruled([*NAMED, rule(line=99)], subject(name=None)).failed == ""
    deferring = RuleSet(NAMED, Definitions(), on_failure="defer")
    assert ruled(deferring, subject(name=None)).failed == "domain: no such answer"
    known: Answers = {HostName(CLIENT): LookupFailed("x")}
    assert ruled([*NAMED, rule(line=99)], subject(name=None, answers=known)).action is WHITE


def test_a_name_in_brackets_is_looked_up_if_asked_for() -> None:
    asked: list[Question] = []
    rules = [rule(Domain(["example.net"], exact=True))]
    about = subject(name=f"[{CLIENT}]")
    assert ruled(rules, about).rule is None
    definitions = Definitions(flags=frozenset({"unbracket"}))
    answers: Answers = {HostName(CLIENT): "mx.example.net"}
    assert ruled(RuleSet(rules, definitions), about, answers, asked=asked).rule is rules[0]
    assert asked == [HostName(CLIENT)]


# --- explain, peek ---


def test_every_rule_is_explained() -> None:
    rules = [
        rule(Addr(Networks(), text="addr 10.0.0.0/8"), DnsrblIn(["dyn"], text='dnsrbl "dyn"')),
        rule(From(["joe.doe@example.net"], text="not from x", negated=True), line=2),
        rule(DnsrblIn(["dyn"]), action=BLACK, line=3),
        rule(Domain(["example.com"], exact=False, text="domain example.com"), line=4),
        rule(action=GO_ON, line=5),
    ]
    found = ruled(rules, subject(name=None), {HostName(CLIENT): "mx.example.net"}, trace=True)
    assert explain(found) == [
        'greylist.conf:1 whitelist: addr 10.0.0.0/8: no; dnsrbl "dyn": not asked',
        "greylist.conf:2 whitelist: not from x: no",
        "greylist.conf:3 blacklist: dnsrbl: failed",
        "greylist.conf:4 whitelist: domain example.com: no",
        "greylist.conf:5 continue: always",
        "no rule matches: greylist",
    ]
    assert explain(ruled(rules, subject())) == []


def test_the_rule_that_cannot_be_judged_is_explained() -> None:
    found = ruled([rule(URL_SAYS)], subject(), trace=True)
    assert explain(found) == ['greylist.conf:1 whitelist: urlcheck "u": failed']


@pytest.mark.parametrize(
    ("statement", "of_rule", "peek"),
    [(None, None, None), (0, None, 0), (100, None, 100), (100, 5, 5), (None, 5, 5)],
)
def test_how_much_of_a_message_is_kept(
    statement: int | None, of_rule: int | None, peek: int | None
) -> None:
    reads = [rule(Body(["x"]), stage=Stage.DATA), rule(extras=Extras(maxpeek=of_rule))]
    rules = RuleSet(reads, Definitions(maxpeek=statement))
    assert len(rules) == 2
    assert peek_bytes(rules, ruled(rules, subject())) == peek
    assert peek_bytes(rules, None) == statement
    assert peek_bytes(RuleSet(reads[1:], Definitions()), None) == 0


def test_spf_decides_with_its_answer() -> None:
    rules = [rule(SpfIs(frozenset({SpfResult.FAIL})), action=BLACK)]
    assert ruled(rules, subject(), {SPF: SpfAnswer(SpfResult.FAIL)}).action is BLACK
