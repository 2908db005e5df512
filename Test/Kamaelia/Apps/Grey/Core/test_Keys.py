"""Keys: what stands for a client, whatever could not be found out."""

import doctest
import sys

import pytest

from Kamaelia.Apps.Grey.Core.Access.Questions import (
    HostName,
    LookupFailed,
    Spf,
    SpfAnswer,
    SpfResult,
)
from Kamaelia.Apps.Grey.Core.Access.Subject import Mail, Session, Subject
from Kamaelia.Apps.Grey.Core.Keys import host_name, key_of, no_organisation, questions_for
from Kamaelia.Apps.Grey.Core.Modes import KeyKind
from Kamaelia.Apps.Grey.Core.Types import Policy

CLIENT, NETWORK = "192.0.2.7", "192.0.2.0/24"
SPF = Spf(CLIENT, "mx.example.net", "a@example.net")
NAME = HostName(CLIENT)
ALL = (KeyKind.SPF, KeyKind.NAME, KeyKind.NETWORK)
PASS = SpfAnswer(SpfResult.PASS, "Example.NET.")
FAILED = LookupFailed("no answer")


def subject(sender: str = "<a@example.net>", name: str | None = None, **answers: object) -> Subject:
    session = Session(CLIENT, name=name, helo="mx.example.net")
    made = Subject(session, Mail(sender), "<b@example.org>", now=0.0)
    if "spf" in answers:
        made.answers[Spf(CLIENT, "mx.example.net", sender.strip("<>"))] = answers["spf"]
    if "host" in answers:
        made.answers[NAME] = answers["host"]
    return made


def organisation(name: str) -> str:
    return ".".join(name.split(".")[-2:]) if "." in name else ""


@pytest.mark.parametrize(
    ("order", "asked", "key"),
    [
        (ALL, subject(spf=PASS, host="mx.example.com"), ("spf:example.net", "spf")),
        (ALL, subject(spf=SpfAnswer(SpfResult.PASS)), ("spf:example.net", "spf")),
        (ALL, subject("<>", spf=SpfAnswer(SpfResult.PASS)), ("spf:mx.example.net", "spf")),
        (ALL, subject(spf=SpfAnswer(SpfResult.SOFTFAIL), host="mx.Example.com."),
         ("dns:example.com", "name")),
        (ALL, subject(spf=FAILED, host="mx.example.com"), ("dns:example.com", "name")),
        (ALL, subject(host="mx.example.com"), ("dns:example.com", "name")),
        (ALL, subject(spf=FAILED, host=FAILED), (NETWORK, "network")),
        (ALL, subject(spf=FAILED, host=""), (NETWORK, "network")),
        (ALL, subject(spf=FAILED, host="localhost"), (NETWORK, "network")),
        (ALL, subject(spf=FAILED, name="mx.example.com", host="x.y.z"),
         ("dns:example.com", "name")),
        (ALL, subject(spf=FAILED, name="[192.0.2.7]"), (NETWORK, "network")),
        (ALL, subject(spf=FAILED, name="unknown"), (NETWORK, "network")),
        # a line's name would make one client of a whole access provider
        (ALL, subject(host="192-0-2-7.isp.example.com"), (NETWORK, "network")),
        ((KeyKind.NETWORK, KeyKind.SPF), subject(spf=PASS), (NETWORK, "network")),
        ((KeyKind.NAME, KeyKind.SPF), subject(spf=PASS, host="mx.example.com"),
         ("dns:example.com", "name")),
        ((KeyKind.SPF,), subject(spf=FAILED), (NETWORK, "network")),
        ((), subject(spf=PASS), (NETWORK, "network")),
    ],
)  # fmt: skip
def test_the_first_that_holds_stands_for_the_client(
    order: tuple[KeyKind, ...], asked: Subject, key: tuple[str, str]
) -> None:
    assert key_of(Policy(key_order=order), asked, NETWORK, organisation) == key


def test_only_what_is_needed_is_asked() -> None:
    assert questions_for(Policy(key_order=ALL), subject()) == (SPF, NAME)
    assert questions_for(Policy(key_order=ALL), subject(name="mx")) == (SPF,)
    assert questions_for(Policy(key_order=(KeyKind.NETWORK, KeyKind.SPF)), subject()) == ()
    assert questions_for(Policy(key_order=(KeyKind.NAME,)), subject()) == (NAME,)


def test_the_sender_is_asked_about_as_it_was_given() -> None:
    asked = subject()
    asked.mail.raw_sender = "<list-1=a@example.net>"
    (question,) = questions_for(Policy(key_order=(KeyKind.SPF,)), asked)
    assert question == Spf(CLIENT, "mx.example.net", "list-1=a@example.net")


def test_an_empty_name_is_known_and_a_failed_one_is_not() -> None:
    assert host_name(subject(host="")) == ""
    assert host_name(subject(host=FAILED)) is None
    assert host_name(subject()) is None
    assert host_name(subject(name="MX.Example.net.")) == "mx.example.net"


def test_without_a_public_suffix_list_names_stand_for_nobody() -> None:
    asked = subject(host="mx.example.com")
    assert key_of(Policy(key_order=ALL), asked, NETWORK, no_organisation) == (NETWORK, "network")


def test_a_key_is_short_whatever_a_look_up_says() -> None:
    asked = subject(spf=SpfAnswer(SpfResult.PASS, "\ud800" * 9000))
    key, _ = key_of(Policy(key_order=ALL), asked, NETWORK, organisation)
    assert len(key) <= 1024
    key.encode()


def test_who_has_no_address_is_not_looked_up() -> None:
    nobody = Subject(Session(""), Mail("<a@example.net>"), "<b@example.org>", now=0.0)
    assert questions_for(Policy(key_order=ALL), nobody) == ()
    assert key_of(Policy(key_order=ALL), nobody, "", organisation) == ("", "network")


def test_the_example_in_the_docstring_is_true() -> None:
    result = doctest.testmod(sys.modules[key_of.__module__])
    assert result.attempted
    assert not result.failed
