"""LDAP addresses."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Lookups.LdapUrl import LdapUrl


@pytest.mark.parametrize(
    ("text", "server", "base", "attributes", "scope", "search"),
    [
        ("ldap://h", "ldap://h:389", "", (), "base", "(objectClass=*)"),
        ("ldaps://H/", "ldaps://h:636", "", (), "base", "(objectClass=*)"),
        ("LDAP://[::1]:1389/o=x", "ldap://[::1]:1389", "o=x", (), "base", "(objectClass=*)"),
        ("ldap:///o=x??SUB?uid=a", "ldap://:389", "o=x", (), "sub", "(uid=a)"),
        (
            "ldap://h/o=a%2Cb?mail,milterGreylistStatus?one?(&(a=1)(b=%C3%A9%3F))?x=y",
            "ldap://h:389",
            "o=a,b",
            ("mail", "milterGreylistStatus"),
            "one",
            "(&(a=1)(b=é?))",
        ),
    ],
)
def test_the_parts_of_an_address(
    text: str, server: str, base: str, attributes: tuple[str, ...], scope: str, search: str
) -> None:
    url = LdapUrl.parse(text)
    assert (url.server, url.base, url.attributes) == (server, base, attributes)
    assert (url.scope, url.filter) == (scope, search)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("http://h/", "begins with"),
        ("ldap:h", "begins with"),
        ("ldap://h/" + "x" * 9_000, "begins with"),
        ("ldap://user@h/", "host and port"),
        ("ldap://h:0/", "host and port"),
        ("ldap://h:99999/", "host and port"),
        ("ldap://a b/", "host and port"),
        ("ldap://h/o=x??children", "scope"),
        ("ldap://h/o=x?a(b", "attribute"),
        ("ldap://h/o=%FF", "UTF-8"),
        ("ldap://h/o=%0Ax", "control character"),
        ("ldap://h/o=x???(uid=a%00)", "control character"),
        ("ldap://h/o=x????!bindname=cn=admin", "extension"),
        ("ldap://h/o=x????a,!b", "extension"),
    ],
)
def test_what_is_no_address_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        LdapUrl.parse(text)


@settings(max_examples=50)
@given(st.text(max_size=60))
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    for whole in (text, "ldap://" + text, "ldap://h/" + text):
        try:
            url = LdapUrl.parse(whole)
        except ValueError:
            continue
        assert url.server.isprintable()
        assert url.filter.startswith("(")
