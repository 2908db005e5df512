"""Senders: shapes from the real world, and that no two persons become one."""

import doctest
import sys

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Core.Normalise import (
    TEXT_LIMIT,
    fold_address,
    milter_recipient,
    milter_sender,
    normalise_recipient,
    normalise_sender,
    sender_key,
)
from Kamaelia.Apps.Grey.Core.Senders import without_variation

RECIPIENT = "bob@example.org"


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        # forwarders
        (
            "SRS0=x7Qz=4B=example.net=anna@fwd.example",
            "SRS0=Aa1+=5C=example.net=anna@fwd.example",
            "anna@example.net",
        ),
        ("SRS0+x7Qz=4B=example.net=anna@fwd.example", "anna@example.net", "anna@example.net"),
        ("SRS0-x7Qz=4B=example.net=anna@fwd.example", "anna@example.net", "anna@example.net"),
        (
            "SRS1=hh1=fwd.example==x7Qz=4B=example.net=anna@fwd2.example",
            "SRS1=hh2=fwd.example==yyyy=5C=example.net=anna@fwd2.example",
            "anna@example.net",
        ),
        # bounce address tags
        ("prvs=0123a4b5c6=anna@e.example", "prvs=9876f0f0f0=anna@e.example", "anna@e.example"),
        ("prvs=anna=0123a4b5c6@e.example", "prvs=anna=9876f0f0f0@e.example", "anna@e.example"),
        ("btv1==0d6aa==anna@example.net", "btv1==1e7bb==anna@example.net", "anna@example.net"),
        (
            "msprvs1=17828ZkQ3x=bounces-24531-7@mail.example.net",
            "msprvs1=17833AbC9y=bounces-24531-8@mail.example.net",
            "bounces@mail.example.net",
        ),
        # the recipient in the sender
        (
            "list-bounces+bob=example.org@lists.example.net",
            "list-bounces@lists.example.net",
            "list-bounces@lists.example.net",
        ),
        (
            "list-return-4711-bob=example.org@lists.example.net",
            "list-return-4712-bob=example.org@lists.example.net",
            "list-return@lists.example.net",
        ),
        ("news-bob_example.org@m.example", "news@m.example", "news@m.example"),
        ("bob=example.org@lists.example.net", "#@lists.example.net", "#@lists.example.net"),
        ("carol=example.com@m.example", "dave=example.com@m.example", "#@m.example"),
        ("news+carol=example.com@m.example", "news+dave=example.com@m.example", "news@m.example"),
        ("news-carol=example.com@m.example", "news-dave=example.com@m.example", "news@m.example"),
        # what mass mailers make
        (
            "0100018f2b7c9d3e-4f5a6b7c-1d2e-3f4a-5b6c-7d8e9f0a1b2c-000000@eu.amazonses.com",
            "0100018f2b7c9d3f-0a1b2c3d-4e5f-6a7b-8c9d-0e1f2a3b4c5d-000000@eu.amazonses.com",
            "#@eu.amazonses.com",
        ),
        (
            "bounces+1234567-a1b2-bob=example.org@em1234.shop.example",
            "bounces+1234567-c3d4-bob=example.org@em1234.shop.example",
            "bounces@em1234.shop.example",
        ),
        (
            "bounce-mc.us7_12345678.9876543-8d0a1f2e3c@mail7.mailer.example",
            "bounce-mc.us7_12345678.9876544-1f2e3c8d0a@mail7.mailer.example",
            "bounce-mc.us7@mail7.mailer.example",
        ),
        ("bounce-123_HTML-45-6@b.com", "bounce-9_HTML-8-7@b.com", "bounce-#_html@b.com"),
        ("owner-list-20261122@l.example", "owner-list-20261123@l.example", "owner-list@l.example"),
        (
            "5f2b7c9d3e4f5a6b7c1d2e3f4a5b6c7d@m.example",
            "0a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d@m.example",
            "#@m.example",
        ),
        ("v-a1b2c3_return@m.example", "v-d4e5f6_return@m.example", "v-#_return@m.example"),
        # people
        ("anna+shop@example.net", "Anna+news@Example.net", "anna@example.net"),
        ("", "", ""),
        ("postmaster", "POSTMASTER", "postmaster"),
        ("+odd@example.net", "+ODD@example.net", "+odd@example.net"),
        ("unknown=tag@example.net", "unknown=TAG@example.net", "tag@example.net"),
        ("prvs=@example.net", "PRVS=@example.net", "prvs=@example.net"),
        ("srs0=a=b@fwd.example", "SRS0=A=B@fwd.example", "b@fwd.example"),
        ("srs1=a@fwd.example", "SRS1=A@fwd.example", "a@fwd.example"),
    ],
)  # fmt: skip
def test_what_a_machine_varies_is_one_sender(first: str, second: str, same: str) -> None:
    assert normalise_sender(first, RECIPIENT) == same
    assert normalise_sender(second, RECIPIENT) == same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("anna-maria@example.net", "anna-lena@example.net"),
        ("anna.1984@example.net", "anna.1985@example.net"),
        ("12345@qq.com", "12346@qq.com"),
        ("491511234567890123@phone.example", "491511234567890124@phone.example"),
        ("joe2@example.net", "joe3@example.net"),
        ("deadbeef1@example.net", "deadbeef2@example.net"),
        ("j.b.12@example.net", "j.b.13@example.net"),
        ("anna@example.net", "anna@example.com"),
        ("anna@a1.example.net", "anna@a2.example.net"),
        ("bounce@example.net", "bounces@example.net"),
    ],
)
def test_people_stay_apart(one: str, other: str) -> None:
    assert normalise_sender(one, RECIPIENT) == one
    assert normalise_sender(other, RECIPIENT) == other


words = st.from_regex(r"[g-z][a-z]{0,8}[0-9]{0,4}", fullmatch=True).filter(
    lambda word: (
        word.rstrip("0123456789")
        not in {"bounce", "bounces", "return", "returns", "owner", "request", "srs", "verp", "prvs"}
    )
)
plain = st.builds(
    lambda first, rest: first + "".join(rest),
    words,
    st.lists(st.builds(lambda between, word: between + word, st.sampled_from(".-_"), words)),
).map(lambda local: f"{local}@example.net")


@given(plain, plain)
def test_two_persons_never_meet(one: str, other: str) -> None:
    assume(one != other)
    assert normalise_sender(one, RECIPIENT) != normalise_sender(other, RECIPIENT)


odd = st.text(st.characters(), max_size=40) | st.text("srsbtvpunco01=+-_.#@a2f", max_size=60)


@given(odd, odd)
@example("srs0=a=b=c=" * 60 + "x@y", "")
@example("prvs=a=" * 100 + "x@y", "")
@example("a=" * 500 + "@y", "")
@example("bounce-1" * 120 + "@y", "b@c")
@example("\ud800" * 2000 + "@x", "\ud800@y")
@example("-b=c@d", "b@c")
@example("x-b=c=d@e", "b@c")
def test_what_is_normal_stays_and_nothing_raises(sender: str, recipient: str) -> None:
    once = normalise_sender(sender, recipient)
    assert normalise_sender(once, recipient) == once
    assert without_variation(once, fold_address(recipient)) == once
    assert len(once) <= TEXT_LIMIT
    once.encode()


@given(odd)
def test_recipients_lose_their_extension(text: str) -> None:
    once = normalise_recipient(text)
    assert normalise_recipient(once) == once
    assert normalise_recipient("Bob+lists@Example.org") == "bob@example.org"
    assert normalise_recipient("+bob@example.org") == "+bob@example.org"
    assert normalise_recipient("bob@exa+mple.org") == "bob@exa+mple.org"


@pytest.mark.parametrize(
    ("given_as", "cleaned"),
    [
        ("<a@example.net>", "<a@example.net>"),
        ("a@example.net", "a@example.net"),
        ("<>", "<>"),
        ("", ""),
        ("<list-bounces+bob=example.org@lists.example>", "<example.org@lists.example>"),
        ("prvs=0123=a@example.net", "a@example.net"),
        ("<a b\t@\x7fexample.net>", "<a_b_@_example.net>"),
        ("<j\u00fcrgen@example.net>", "<j__rgen@example.net>"),
        ("<\ud800@x>", "<___@x>"),
        ("<" + "a" * 400, "<" + "a" * 323),
        ("<\u00fc" + "a" * 400, "<__" + "a" * 321),
    ],
)
def test_what_the_rules_see_is_cleaned_as_in_milter_greylist(given_as: str, cleaned: str) -> None:
    assert milter_sender(given_as) == cleaned


@given(odd)
def test_a_cleaned_address_is_printable_and_stays(text: str) -> None:
    for clean in (milter_sender, milter_recipient):
        once = clean(text)
        assert clean(once) == once
        assert len(once) <= 324
        assert all(32 < ord(letter) < 127 for letter in once)


def test_without_normalising_only_what_stands_before_an_equals_sign_goes() -> None:
    assert sender_key("List-1=Bob@example.net") == "bob@example.net"
    assert sender_key("Bob+1@example.net") == "bob+1@example.net"


def test_the_example_in_the_docstring_is_true() -> None:
    result = doctest.testmod(sys.modules[without_variation.__module__])
    assert result.attempted
    assert not result.failed
