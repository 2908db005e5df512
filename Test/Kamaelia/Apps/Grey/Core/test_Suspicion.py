"""Suspicion: who looks like a mail server."""

import doctest
import sys
from ipaddress import ip_network

import pytest

from Kamaelia.Apps.Grey.Core.Access.Definitions import DnsrblZone
from Kamaelia.Apps.Grey.Core.Access.Questions import Dnsrbl, HostName, LookupFailed, Mx, Question
from Kamaelia.Apps.Grey.Core.Access.Subject import Mail, Session, Subject
from Kamaelia.Apps.Grey.Core.Suspicion import (
    Looks,
    is_trusted,
    looks,
    suspicion_questions,
    trust_questions,
    zones_of,
)
from Kamaelia.Apps.Grey.Core.Types import Policy

CLIENT = "192.0.2.7"
YES = ip_network("127.0.0.2/32")
POLICY = Policy(
    suspicious_lists=(("bad.example", YES), ("bad.example", ip_network("127.0.0.3/32"))),
    trusted_lists=(("good.example", YES),),
)
FIRST = Dnsrbl("setting:bad.example:127.0.0.2/32", CLIENT)
SECOND = Dnsrbl("setting:bad.example:127.0.0.3/32", CLIENT)
TRUSTED = Dnsrbl("setting:good.example:127.0.0.2/32", CLIENT)
NAME, HELO = HostName(CLIENT), Mx("mx.example.net")
FAILED = LookupFailed("no answer")


def subject(answers: dict[Question, object], helo: str = "mx.example.net") -> Subject:
    session = Session(CLIENT, helo=helo)
    return Subject(
        session, Mail("<a@example.net>"), "<b@example.org>", now=0.0, answers=dict(answers)
    )


@pytest.mark.parametrize(
    ("answers", "helo", "expected"),
    [
        ({NAME: "mx.example.net"}, "MX.example.net.", Looks.GOOD),
        ({NAME: "out7.example.net", HELO: ("198.51.100.1", CLIENT)}, "mx.example.net", Looks.GOOD),
        ({NAME: "out7.example.net", HELO: ("::ffff:192.0.2.7",)}, "mx.example.net", Looks.GOOD),
        ({NAME: "out7.example.net", HELO: ("198.51.100.1",)}, "mx.example.net", Looks.SUSPICIOUS),
        ({NAME: "out7.example.net", HELO: FAILED}, "mx.example.net", Looks.SUSPICIOUS),
        ({NAME: "out7.example.net"}, "mx.example.net", Looks.SUSPICIOUS),
        ({NAME: "out7.example.net"}, "[192.0.2.7]", Looks.SUSPICIOUS),
        ({NAME: "", HELO: (CLIENT,)}, "mx.example.net", Looks.SUSPICIOUS),
        ({NAME: "dsl7.isp.example.net", HELO: (CLIENT,)}, "mx.example.net", Looks.SUSPICIOUS),
        ({NAME: "dsl7.isp.example.net"}, "dsl7.isp.example.net", Looks.SUSPICIOUS),
        ({NAME: "dsl7.isp.example.net"}, "mx.example.net", Looks.WORST),
        ({NAME: "", HELO: ()}, "mx.example.net", Looks.WORST),
        ({NAME: ""}, "friend", Looks.WORST),
        # what could not be found out speaks neither for it nor against it
        ({NAME: FAILED}, "friend", Looks.SUSPICIOUS),
        ({NAME: FAILED, HELO: (CLIENT,)}, "mx.example.net", Looks.SUSPICIOUS),
        ({NAME: "mx.example.net", FIRST: FAILED, SECOND: False}, "mx.example.net", Looks.GOOD),
        # who is listed
        ({NAME: "mx.example.net", FIRST: False, SECOND: True}, "mx.example.net", Looks.WORST),
    ],
)
def test_what_a_client_looks_like(
    answers: dict[Question, object], helo: str, expected: Looks
) -> None:
    assert looks(POLICY, subject(answers, helo)) is expected


def test_it_asks_for_all_that_it_looks_at() -> None:
    assert set(suspicion_questions(POLICY, subject({}))) == {NAME, HELO, FIRST, SECOND}
    known = subject({NAME: "mx.example.net"})
    assert HELO not in suspicion_questions(POLICY, known)
    assert set(suspicion_questions(POLICY, subject({}, "friend"))) == {NAME, FIRST, SECOND}
    assert trust_questions(POLICY, subject({})) == (TRUSTED,)


def test_a_client_without_an_address_is_in_no_list() -> None:
    nobody = Subject(Session("", helo="friend"), Mail("<>"), "<b@example.org>", now=0.0)
    assert suspicion_questions(POLICY, nobody) == ()
    assert looks(POLICY, nobody) is not Looks.GOOD
    named = Subject(Session("", helo="mx.example.net"), Mail("<>"), "<b@c>", now=0.0)
    named.answers[HELO] = ("",)
    assert looks(POLICY, named) is not Looks.GOOD


def test_the_lists_have_names_of_their_own() -> None:
    assert zones_of(POLICY) == {
        FIRST.list_name: DnsrblZone("bad.example", YES),
        SECOND.list_name: DnsrblZone("bad.example", ip_network("127.0.0.3/32")),
        TRUSTED.list_name: DnsrblZone("good.example", YES),
    }


def test_trusted_is_who_is_in_a_trusted_list() -> None:
    assert is_trusted(POLICY, subject({TRUSTED: True}))
    for answer in (False, FAILED):
        assert not is_trusted(POLICY, subject({TRUSTED: answer}))
    assert not is_trusted(POLICY, subject({FIRST: True}))


def test_the_example_in_the_docstring_is_true() -> None:
    result = doctest.testmod(sys.modules[looks.__module__])
    assert result.attempted
    assert not result.failed
