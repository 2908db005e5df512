"""What a server offers, and what a proxy may offer in front of it."""

from typing import Any

import pytest

from Kamaelia.Support.Protocol.SMTP.Capabilities import PASS_THROUGH, Capabilities

POSTFIX = [
    b"mx.example.org Hello",
    b"PIPELINING",
    b"SIZE 10240000",
    b"VRFY",
    b"ETRN",
    b"ENHANCEDSTATUSCODES",
    b"8bitmime",
    b"DSN",
    b"SMTPUTF8",
    b"CHUNKING",
]
ALL = Capabilities(10_240_000, True, True, True, True, True, True, chunking=True)
EXTENDED = Capabilities(
    starttls=True,
    auth=(b"PLAIN", b"SCRAM-SHA-256"),
    chunking=True,
    binarymime=True,
    deliverby=True,
    deliverby_minimum=240,
    mt_priority=True,
    requiretls=True,
    limits=((b"RCPTMAX", 50), (b"MAILMAX", 9), (b"RCPTDOMAINMAX", 3)),
    xclient=frozenset([b"ADDR", b"NAME"]),
)


def only(name: str) -> Capabilities:
    """Make one that has this extension and no other."""
    fields: dict[str, Any] = {name: True}
    return Capabilities(**fields)


def test_the_lines_of_a_real_server_are_read() -> None:
    assert Capabilities.from_ehlo(POSTFIX) == ALL


@pytest.mark.parametrize("lines", [[], [b"PIPELINING"], [b"mx", b"", b"SIZES", b"X-DSN"]])
def test_the_greeting_and_unknown_lines_offer_nothing(lines: list[bytes]) -> None:
    assert Capabilities.from_ehlo(lines) == Capabilities()


@pytest.mark.parametrize("line", [b"SIZE", b"SIZE 0", b"SIZE x", b"SIZE " + b"9" * 21])
def test_size_without_a_number_is_offered_but_no_limit(line: bytes) -> None:
    assert Capabilities.from_ehlo([b"mx", line]) == Capabilities(size_offered=True)


@pytest.mark.parametrize(
    ("own", "backend", "size"),
    [(10, 20, 10), (20, 10, 10), (None, 10, 10), (10, None, 10), (None, None, None)],
)
def test_the_smaller_size_is_offered(own: int | None, backend: int | None, size: int) -> None:
    offer = Capabilities.offered(
        Capabilities(size=own, size_offered=True), Capabilities(size=backend)
    )
    assert (offer.size, offer.size_offered) == (size, True)


@pytest.mark.parametrize("name", ["eightbitmime", "smtputf8", "dsn", "enhancedstatuscodes"])
def test_end_to_end_extensions_need_both_sides(name: str) -> None:
    one = only(name)
    assert getattr(Capabilities.offered(one, one), name)
    assert not getattr(Capabilities.offered(one, Capabilities()), name)
    assert not getattr(Capabilities.offered(Capabilities(), one), name)


def test_pipelining_is_always_offered() -> None:
    assert Capabilities.offered(Capabilities(), Capabilities()).pipelining


def test_what_is_offered_can_be_read_again() -> None:
    assert Capabilities.from_ehlo([b"mx", *ALL.ehlo_keywords()]) == ALL
    assert Capabilities().ehlo_keywords() == ()
    assert Capabilities(size_offered=True).ehlo_keywords() == (b"SIZE",)


@pytest.mark.parametrize(
    ("keyword", "name"),
    [
        ("SIZE", "size_offered"),
        ("BODY", "eightbitmime"),
        ("SMTPUTF8", "smtputf8"),
        ("RET", "dsn"),
        ("ENVID", "dsn"),
        ("NOTIFY", "dsn"),
        ("ORCPT", "dsn"),
    ],
)
def test_a_parameter_is_taken_with_its_extension(keyword: str, name: str) -> None:
    assert only(name).takes(keyword)
    assert not Capabilities().takes(keyword)
    assert not ALL.takes("AUTH")
    assert not ALL.takes("FUTURE")


# --- the extensions that are off by default -----------------------------------------------


def test_extensions_are_read_with_what_they_say() -> None:
    lines = [
        b"mx",
        b"STARTTLS",
        b"auth plain SCRAM-SHA-256",
        b"CHUNKING",
        b"BINARYMIME",
        b"DELIVERBY 240",
        b"MT-PRIORITY MIXER",
        b"REQUIRETLS",
        b"LIMITS RCPTMAX=50 MAILMAX=9 RCPTDOMAINMAX=3",
        b"XCLIENT NAME ADDR",
    ]
    assert Capabilities.from_ehlo(lines) == EXTENDED


def test_extensions_that_are_offered_can_be_read_again() -> None:
    assert Capabilities.from_ehlo([b"mx", *EXTENDED.ehlo_keywords()]) == EXTENDED
    assert Capabilities(deliverby=True).ehlo_keywords() == (b"DELIVERBY",)


def test_words_that_could_do_harm_in_our_own_reply_are_left_out() -> None:
    lines = [
        b"mx",
        b"AUTH GOOD \xc3\xa9 B@D " + b"X" * 21 + b" A" * 40,
        b"LIMITS RCPTMAX=0 MAILMAX=x RCPTMAX=1234567 OTHER=5 RCPTDOMAINMAX=7",
        b"XCLIENT NAME AD\x1bDR " + b"Y" * 17,
        b"DELIVERBY soon",
    ]
    found = Capabilities.from_ehlo(lines)
    assert found.auth == (b"GOOD", *[b"A"] * 12)
    assert found.limits == ((b"RCPTDOMAINMAX", 7),)
    assert found.xclient == frozenset([b"NAME"])
    assert (found.deliverby, found.deliverby_minimum) == (True, 0)


@pytest.mark.parametrize("name", ["mt_priority", "requiretls", "deliverby"])
def test_extensions_from_end_to_end_need_both_sides(name: str) -> None:
    one = only(name)
    assert getattr(Capabilities.offered(one, one), name)
    assert not getattr(Capabilities.offered(one, Capabilities()), name)
    assert not getattr(Capabilities.offered(Capabilities(), one), name)


def test_extensions_from_hop_to_hop_are_our_own_matter() -> None:
    offer = Capabilities.offered(EXTENDED, Capabilities())
    assert (offer.starttls, offer.chunking, offer.xclient) == (True, True, EXTENDED.xclient)
    offer = Capabilities.offered(Capabilities(), EXTENDED)
    assert (offer.starttls, offer.chunking, offer.xclient) == (False, False, frozenset())


def test_binarymime_is_never_offered() -> None:
    assert not Capabilities.offered(EXTENDED, EXTENDED).binarymime


def test_mechanisms_are_those_of_the_backend_if_we_pass_them_through() -> None:
    own = Capabilities(auth=PASS_THROUGH)
    assert Capabilities.offered(own, EXTENDED).auth == EXTENDED.auth
    assert Capabilities.offered(own, Capabilities()).auth == ()
    assert Capabilities.offered(Capabilities(), EXTENDED).auth == ()


def test_the_stricter_limit_is_offered() -> None:
    own = Capabilities(
        limits=((b"RCPTMAX", 60), (b"RCPTDOMAINMAX", 2)), deliverby=True, deliverby_minimum=9
    )
    offer = Capabilities.offered(own, EXTENDED)
    assert dict(offer.limits) == {b"RCPTMAX": 50, b"MAILMAX": 9, b"RCPTDOMAINMAX": 2}
    assert offer.deliverby_minimum == 240
    assert Capabilities.offered(Capabilities(), EXTENDED).deliverby_minimum == 0


@pytest.mark.parametrize(
    ("keyword", "name"),
    [("BY", "deliverby"), ("MT-PRIORITY", "mt_priority"), ("REQUIRETLS", "requiretls")],
)
def test_a_new_parameter_is_taken_with_its_extension(keyword: str, name: str) -> None:
    assert only(name).takes(keyword)
    assert not Capabilities().takes(keyword)


def test_auth_of_mail_is_taken_where_mechanisms_are_offered() -> None:
    assert Capabilities(auth=(b"PLAIN",)).takes("AUTH")
