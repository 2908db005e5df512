"""What a mail server tells its filter of a client."""

import pytest

from Kamaelia.Apps.Grey.Core.Access.Subject import Session
from Kamaelia.Apps.Grey.FrontDoor.MilterFacts import (
    MOST_MACROS,
    bare,
    client_name,
    local_address,
    macros_to_ask_for,
    meet,
    takes_progress,
)
from Kamaelia.Support.Protocol.Milter.Commands import Negotiate
from Kamaelia.Support.Protocol.Milter.Negotiation import Stage, Wishes, negotiate


@pytest.mark.parametrize(
    ("host", "name"),
    [("mx.example.net", "mx.example.net"), ("unknown", ""), ("[192.0.2.7]", None), ("", "")],
)
def test_a_name_is_one_only_if_the_mail_server_has_found_it(host: str, name: str | None) -> None:
    assert client_name(host) == name


@pytest.mark.parametrize(
    ("address", "text"),
    [("<a@b>", "a@b"), ("a@b", "a@b"), ("<>", ""), ("", ""), ("<<a@b>>", "a@b"), ("<a>", "a")],
)
def test_brackets_are_no_part_of_an_address(address: str, text: str) -> None:
    assert bare(address) == text


def told(**macros: str) -> Session:
    known = Session("192.0.2.7", macros=macros)
    meet(known, "mx.example.net", "mx")
    return known


def test_a_certificate_counts_if_the_mail_server_has_verified_it() -> None:
    assert told(verify="OK", cert_subject="/CN=a").tls_subject == "/CN=a"
    assert told(verify="FAIL", cert_subject="/CN=a").tls_subject == ""
    assert told(cert_subject="/CN=a").tls_subject == ""


def test_postfix_names_no_certificate_that_it_has_not_verified() -> None:
    assert told(cert_subject="a", v="Postfix 3.7.11").tls_subject == "a"
    assert told(verify="FAIL", cert_subject="a", v="Postfix 3.7.11").tls_subject == ""
    assert told(cert_subject="a", v="8.17.1.9/8.17.1.9").tls_subject == ""
    assert told(v="Postfix 3.7.11").tls_subject == ""


def test_a_session_has_what_the_macros_say() -> None:
    known = told(auth_authen="anna", tls_version="TLSv1.3", daemon_addr="192.0.2.1")
    assert (known.name, known.helo, known.auth_user) == ("mx.example.net", "mx", "anna")
    assert (known.tls_version, known.local_address) == ("TLSv1.3", "192.0.2.1")


@pytest.mark.parametrize(
    ("if_addr", "daemon_addr", "address"),
    [
        ("IPv6:2001:DB8:0:0:0:0:0:1", "192.0.2.1", "2001:db8::1"),
        ("192.0.2.1", "", "192.0.2.1"),
        ("", "::ffff:192.0.2.1", "192.0.2.1"),
        ("eth0", "", ""),
    ],
)
def test_our_address_is_written_as_everybody_does(
    if_addr: str, daemon_addr: str, address: str
) -> None:
    assert local_address(if_addr, daemon_addr) == address


def test_what_decides_without_rules_is_all_that_is_asked_for_without_them() -> None:
    asked = macros_to_ask_for(for_rules=False, more=("client_ptr",))
    names = {name for stage in asked.values() for name in stage}
    assert names >= {"j", "if_addr", "auth_authen", "verify", "cert_subject", "greylist", "v"}
    assert not names & {"client_ptr", "tls_version", "i"}


def test_rules_get_the_usual_and_their_own_macros_at_each_recipient() -> None:
    asked = macros_to_ask_for(for_rules=True, more=("{client_ptr}", "mine", "i", "b a d", "ü", ""))
    assert asked[Stage.RCPT][-2:] == ("client_ptr", "mine")
    assert asked[Stage.RCPT].count("i") == 1
    assert "verify" in asked[Stage.HELO]
    assert "auth_type" in asked[Stage.MAIL]
    agreed = negotiate(Negotiate(6, 0x1FF, 0x1FFFFF), Wishes(macros=asked))
    assert b"{client_ptr} {mine}\0" in agreed.wire


def test_no_list_is_longer_than_a_mail_server_takes() -> None:
    asked = macros_to_ask_for(for_rules=True, more=tuple(f"m{n}" for n in range(100)))
    assert len(asked[Stage.RCPT]) == MOST_MACROS


def test_only_postfix_may_be_told_at_a_recipient_that_it_goes_on() -> None:
    assert takes_progress("Postfix 3.7.11")
    assert not takes_progress("8.17.1.9/8.17.1.9")
    assert not takes_progress("")
