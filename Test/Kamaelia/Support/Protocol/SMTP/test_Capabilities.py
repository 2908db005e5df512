"""What a server offers, and what a proxy may offer in front of it."""

import pytest

from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities

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
ALL = Capabilities(10_240_000, True, True, True, True, True, True)


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
    one = Capabilities(**{name: True})
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
    assert Capabilities(**{name: True}).takes(keyword)
    assert not Capabilities().takes(keyword)
    assert not ALL.takes("AUTH")
