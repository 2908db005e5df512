"""%-codes: each has its value, none raises, and nothing of a stranger is more than text."""

from datetime import timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Core.Access.Codes import CODES, WITH_ARGUMENT, signature
from Kamaelia.Apps.Grey.Core.Access.Questions import (
    Country,
    Dkim,
    HostName,
    P0f,
    SpamAnswer,
    Spamd,
    Spf,
    SpfAnswer,
    SpfResult,
)
from Kamaelia.Apps.Grey.Core.Access.Site import Site
from Kamaelia.Apps.Grey.Core.Access.Subject import Property, Subject
from Kamaelia.Apps.Grey.Core.Access.Substitute import (
    clean,
    expand,
    for_ldap,
    for_url,
    template,
)
from Test.Kamaelia.Apps.Grey.Core.Access.subjects import CLIENT, message, subject

SPF = Spf(CLIENT, "mx.example.net", "Joe.Doe@Example.net")
CET = timezone(timedelta(hours=1), "CET")


def full_subject() -> Subject:
    """One of which everything is known."""
    about = subject(name="mx.example.net")
    about.now = 1_795_289_593.0
    about.site = Site("milter-greylist", "4.6.2", "grey.example.org", lambda now: CET)
    about.session.macros.update({"j": "mail.example.org", "client_resolve": "OK"})
    about.session.properties["mode"] = Property("Mode", "strict", recipient="<bob@example.org>")
    about.matched_property = about.session.properties["mode"]
    about.matched_lists = ["dyn", "old"]
    about.mail.captures = ["first", "second"]
    about.reply = {"Xc": "451", "Xe": "4.7.1", "Xm": "no", "Xh": "Delayed", "S": "tempfail",
                   "t": "20", "E": "3725", "R": "400762"}  # fmt: skip
    about.decided_line, about.decided_id, about.rule_line, about.rule_id = 12, "rbl", 13, "thirteen"
    about.answers.update(
        {
            SPF: SpfAnswer(SpfResult.PASS, "example.net", "designates"),
            Country(CLIENT): "DE",
            P0f(CLIENT): "Linux 6",
        }
    )
    return about


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("%r %f", "anna@example.org Joe.Doe@Example.net"),
        ("%mr %sr %mf %sf", "anna example.org Joe.Doe Example.net"),
        ("%d %md %sd", "mx.example.net mx example.net"),
        ("%i %j %I %I{/24} %I{/99}", "192.0.2.77 77.2.0.192 192.0.2.77 192.0.2.0 192.0.2.77"),
        ("%h", "mx.example.net"),
        ("%Xc %Xe %Xm %Xh", "451 4.7.1 no Delayed"),
        ("%D", "dyn,old"),
        ("%Mj %M{client_resolve} %M{nothing}.", "mail.example.org OK ."),
        (r"%g{\1} %g{\2} %g{\3} %g{2} %g{\0}.", "first second  second ."),
        ("%T{%Y-%m-%dT%H:%M:%S}", "2026-11-21T20:33:13"),
        ("%v %G", "4.6.2 +0100"),
        (
            "%V",
            "milter-greylist-4.6.2 (mail.example.org [198.51.100.1]); "
            "Sat, 21 Nov 2026 20:33:13 +0100 (CET)",
        ),
        ("%C %Fx", "DE Linux 6"),
        ("%S %A %a %cA %ca", "tempfail 12 rbl 13 thirteen"),
        ("%E %Eh %Em %Es %Et", "01:02:05 1 2 5 3725"),
        ("%R %Rh %Rm %Rs %Rt", "111:19:22 111 19 22 400762"),
        ("%t", "20"),
        ("%pn %pv %pr %P{mode} %P{MODE}", "Mode strict bob@example.org strict strict"),
        ("%Qs %QS", "pass designates"),
        ("%QA", "mail.example.org; spf=pass smtp.mailfrom=example.net"),
        ("100%% %", "100% %"),
        ("%z %X %Q %{ %M{ %T{a{b}} %1", "%z %X %Q %{ %M{ %T{a{b}} %1"),
        ("%%r", "%r"),
    ],
)
def test_each_code_has_its_value(text: str, expanded: str) -> None:
    assert expand(text, full_subject()) == expanded


def test_what_is_not_known_is_empty() -> None:
    about = subject(client="", name=None, sender="<>", recipient="")
    about.session.helo = about.session.local_address = ""
    codes = set(CODES) - {"v", "V", "G", "A", "cA", "QA", "t", *(k for k in CODES if k[0] in "ER")}
    assert {code: expand(f"%{code}", about) for code in codes} == dict.fromkeys(codes, "")
    assert expand("%E %Rt %t %A", about) == "00:00:00 0 0 0"
    assert expand("%QA", about) == "localhost"
    assert signature(about).startswith("kamaelia-grey- (localhost [0.0.0.0]); ")
    about.answers[HostName("")] = "must not be looked at"
    assert expand("%I{/8} %d", about) == " must not be looked at"


def test_numbers_of_a_reply_may_be_nonsense() -> None:
    about = subject()
    about.reply = {"E": "soon", "R": "9" * 100}
    assert expand("%E %R", about) == "00:00:00 00:00:00"


def test_addresses_without_a_domain_and_names_in_brackets() -> None:
    about = subject(name=None, sender="<postmaster>")
    assert expand("%mf %sf|%d %md %sd|", about) == f"postmaster |[{CLIENT}] [{CLIENT}] |"
    about.session.client = "2001:db8::7"
    assert expand("%j %I{/32}", about) == "2001:db8::7 2001:db8::"


def test_codes_of_the_message() -> None:
    about = subject(content=message())
    assert expand("%Hs %Qd|", about) == " |"
    for tenths, said in ((61, "6.1"), (-3, "-0.3"), (0, "0.0")):
        about.answers[Spamd(7)] = SpamAnswer(is_spam=False, tenths=tenths)
        assert expand("%Hs", about) == said
    about.answers[Dkim(7)] = SpfAnswer(SpfResult.PASS, "example.net")
    assert expand("%Qd", about) == "pass"
    assert expand("%QA", about) == "localhost; dkim=pass header.d=example.net"
    about.answers[Dkim(7)] = SpfAnswer(SpfResult.FAIL)
    assert expand("%QA", about) == "localhost; dkim=fail"


def test_a_time_that_cannot_be_formatted_is_empty() -> None:
    assert expand("%T{\ud800}", subject()) == ""


def test_a_template_says_what_it_needs() -> None:
    about = subject(name=None, content=message())
    asked = template("%d %C %Fx %Hs %Qs %QA %C").questions(about)
    assert set(asked) == {
        HostName(CLIENT), Country(CLIENT), P0f(CLIENT), Spamd(7), SPF, Dkim(7)
    }  # fmt: skip
    assert template("%i").questions(about) == ()
    assert template("%C").unknown(about) == Country(CLIENT)
    about.answers[Country(CLIENT)] = "DE"
    assert template("%C").unknown(about) is None
    assert [template(text).depends for text in ("%i", "%D", "%P{x}", "%pn")] == [0, 1, 1, 1]
    assert [template(text).captures for text in ("%i", r"%g{\1}")] == [False, True]


def test_what_is_expanded_is_not_expanded_again() -> None:
    about = subject(sender="<%M{inner}%%@example.net>")
    about.session.macros["inner"] = "x"
    assert expand("%f", about) == "%M{inner}%%@example.net"


def test_escapes() -> None:
    assert for_url("a b&c/\u00e4%") == "a%20b%26c%2F%C3%A4%25"
    assert for_ldap("*()\\\0\u00e4") == "%5C2a%5C28%5C29%5C5c%5C00%C3%A4"


def test_texts_are_cut() -> None:
    assert len(expand("%f" * 100, subject(sender="<" + "a" * 5000), limit=300)) == 300
    assert expand("abc", subject(), limit=2) == "ab"


ANY = st.text(max_size=40)


@given(ANY, ANY, ANY, ANY, st.text("%{}\\/drfijIhDMgTvVGCFxHsSAacERptmnQPXe19 ", max_size=40))
def test_any_text_of_anybody_gives_one_clean_line(
    client: str, helo: str, sender: str, recipient: str, text: str
) -> None:
    about = subject(client, sender=sender, recipient=recipient)
    about.session.helo = about.session.macros["j"] = helo
    about.mail.captures = [helo]
    about.reply = {"Xm": sender, "E": helo}
    for code in (*CODES, "M{j}", "P{x}", r"g{\1}", "I{/24}"):
        said = expand(f"{text}%{code}", about)
        assert clean(said) == said
        said.encode()
        for escape in (for_url, for_ldap):
            expand(f"%{code}", about, escape=escape).encode("ascii")
    assert set(WITH_ARGUMENT) == set("IMPTg")
