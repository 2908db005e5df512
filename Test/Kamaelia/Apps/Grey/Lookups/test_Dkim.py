"""Signatures of messages: made by dkimpy, looked at through our path, with keys of the test."""

import base64
import time
from functools import cache

import dkim  # type: ignore[import-untyped]
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Core.Access.Questions import Dkim, LookupFailed, SpfAnswer, SpfResult
from Kamaelia.Apps.Grey.Lookups.Contents import Contents
from Kamaelia.Apps.Grey.Lookups.Dkim import (
    MESSAGE_BYTES,
    MOST_SIGNATURES,
    PIECE_BYTES,
    DkimLookup,
    relaxed,
    without_last_lines,
)

LETTER = (
    b"From: anna@example.net\r\nTo: bob@example.org\r\nSubject: a  b\r\n\r\n"
    b"hello  \t world \r\n\r\n .dots\r\n\r\n\r\n"
)
KEY_NAME = "s1._domainkey.example.net"


@cache
def key(bits: int = 1024) -> tuple[bytes, bytes]:
    """The private one in PEM, and the record of the public one."""
    made = rsa.generate_private_key(65_537, bits)
    private = made.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    public = made.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private, b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)


def signed(letter: bytes = LETTER, how: bytes = b"relaxed/relaxed", **options: object) -> bytes:
    header: bytes = dkim.sign(
        letter,
        b"s1",
        b"example.net",
        key()[0],
        canonicalize=tuple(how.split(b"/")),
        include_headers=[b"from", b"subject"],
        **options,
    )
    return header + letter


class Zone:
    """The DNS of the test."""

    def __init__(self, records: dict[str, bytes | OSError] | None = None) -> None:
        self.records = {KEY_NAME: key()[1]} if records is None else records
        self.asked: list[str] = []

    def __call__(self, name: str, seconds: float) -> bytes | None:
        assert seconds == 2.5
        self.asked.append(name)
        found = self.records.get(name)
        if isinstance(found, OSError):
            raise found
        return found


def stuffed(message: bytes) -> bytes:
    return message.replace(b"\r\n.", b"\r\n..")


def look(message: bytes, zone: Zone | None = None) -> object:
    contents = Contents()
    contents.add(4, stuffed(message))
    answer, keep = DkimLookup(contents, zone or Zone(), 2.5)(Dkim(4))
    assert keep == 0.0
    return answer


def result(message: bytes, zone: Zone | None = None) -> SpfResult:
    answer = look(message, zone)
    assert isinstance(answer, SpfAnswer)
    assert answer.text.isprintable()
    return answer.result


HOWS = [b"relaxed/relaxed", b"simple/simple", b"relaxed/simple", b"simple/relaxed"]
BODIES = [
    b"",
    b"\r\n",
    b"\r\n\r\n\r\n",
    b" \r\n",
    b" \t \r\n \r\n",
    b"x",
    b"x\r\n",
    b"a  b \t\r\n\r\n c\r\n \r\n\r\n",
    b"word  " * 30_000 + b"\r\n" + b"a" * 65_535 + b" \t\r\n" * 9 + b"\r\n\r\n",
]


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_what_dkimpy_signs_is_good_here(how: bytes, body: bytes) -> None:
    head = b"From: anna@example.net\r\nSubject: a  b\r\n\r\n"
    answer = look(signed(head + body, how))
    assert answer == SpfAnswer(SpfResult.PASS, "example.net", "good signature")


@settings(max_examples=50)
@given(st.lists(st.sampled_from([b" ", b"\t", b"\r\n", b"a", b".", b"\r", b"\n"]), max_size=30))
def test_our_canonical_form_is_dkimpys(parts: list[bytes]) -> None:
    from dkim.canonicalization import Relaxed, Simple  # type: ignore[import-untyped]

    body = b"".join(parts)
    ours = relaxed(body)
    assert (b"" if ours == b"\r\n" else ours) == Relaxed.canonicalize_body(body)
    assert without_last_lines(body) == Simple.canonicalize_body(body)


def test_a_message_without_one_is_not_signed() -> None:
    zone = Zone()
    assert result(LETTER, zone) is SpfResult.NONE
    assert not zone.asked


def test_a_changed_body_or_header_fails() -> None:
    whole = signed()
    assert result(whole.replace(b"world", b"World")) is SpfResult.FAIL
    assert result(whole.replace(b"Subject: a", b"Subject: b")) is SpfResult.FAIL
    assert look(whole.replace(b"world", b"World")) == SpfAnswer(
        SpfResult.FAIL, "example.net", "body hash mismatch"
    )


def test_a_signature_by_another_key_fails() -> None:
    assert result(signed(), Zone({KEY_NAME: key(1536)[1]})) is SpfResult.FAIL


@pytest.mark.parametrize(
    "record",
    [
        None,
        b"",
        b"v=DKIM1; p=",
        b"v=DKIM1; k=rsa; p=!!!",
        b"v=spf1 -all",
        b"v=DKIM2; k=rsa; p=AAAA",
        b"v=DKIM1; k=nonsense; p=AAAA",
        b"\xff\x00",
        b"v=DKIM1; p=" + b"A" * 8_000,
        b"v=DKIM1; p=" + base64.b64encode(b"\x30\x03\x02\x01\x01"),
    ],
)
def test_a_record_without_a_key_that_we_use_is_unknown(record: bytes | None) -> None:
    zone = Zone({} if record is None else {KEY_NAME: record})
    assert result(signed(), zone) is SpfResult.UNKNOWN


def der(tag: int, content: bytes) -> bytes:
    length = len(content)
    size = bytes([length]) if length < 128 else b"\x82" + length.to_bytes(2, "big")
    return bytes([tag]) + size + content


@pytest.mark.parametrize(("bits", "exponent_bytes"), [(8_200, 3), (2_048, 250), (512, 3)])
def test_a_key_that_takes_long_or_is_worth_nothing_is_not_used(
    bits: int, exponent_bytes: int
) -> None:
    modulus = (1 << (bits - 1) | 1).to_bytes(bits // 8 + 1, "big")
    exponent = b"\x01" * exponent_bytes
    record = b"p=" + base64.b64encode(der(0x30, der(2, modulus) + der(2, exponent)))
    before = time.process_time()
    assert result(signed(), Zone({KEY_NAME: record})) in (SpfResult.UNKNOWN, SpfResult.FAIL)
    assert time.process_time() - before < 1.0


def test_a_dns_that_does_not_say_is_an_error() -> None:
    for failure in (TimeoutError("no answer in time"), OSError("SERVFAIL")):
        assert result(signed(), Zone({KEY_NAME: failure})) is SpfResult.ERROR


def test_one_good_signature_of_several_is_enough() -> None:
    good = signed()
    bad = good.partition(b"From:")[0].replace(b"example.net", b"example.com")
    assert result(bad + good) is SpfResult.PASS
    assert result(bad + bad + LETTER) is SpfResult.UNKNOWN
    zone = Zone()
    assert result(bad * MOST_SIGNATURES + good, zone) is SpfResult.UNKNOWN
    assert len(zone.asked) == MOST_SIGNATURES


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"v=1;", b"v=9;"),
        (b"v=1;", b""),
        (b"a=rsa-sha256", b"a=rot13"),
        (b"c=relaxed/relaxed", b"c=none"),
        (b"c=relaxed/relaxed", b"c=/relaxed"),
        (b"q=dns/txt", b"q=dns/any"),
        (b"d=example.net", b"d=other.example"),
        (b"h=from", b"h=fr\xffom"),
        (b"v=1;", b"v=1; l=-1;"),
        (b"v=1;", b"v=1; x=1;"),
        (b"v=1;", b"v=1; x=" + b"9" * 5_000 + b";"),
        (b"v=1;", b"v=1; x;"),
        (b"v=1;", b"v=1; v=1;"),
        (b"s=s1", b"s=s 1\xe9"),
        (b"d=example.net", b"d="),
    ],
)
def test_a_signature_that_makes_no_sense_is_no_pass(old: bytes, new: bytes) -> None:
    whole = signed()
    assert old in whole
    assert result(whole.replace(old, new, 1)) in (
        SpfResult.NEUTRAL,
        SpfResult.UNKNOWN,
        SpfResult.FAIL,
    )


@settings(max_examples=50)
@given(st.binary(max_size=300), st.binary(max_size=200))
def test_no_message_raises(tags: bytes, letter: bytes) -> None:
    for message in (letter, b"DKIM-Signature: " + tags + b"\r\n" + LETTER):
        answer = look(message)
        assert isinstance(answer, SpfAnswer | LookupFailed)


@pytest.mark.parametrize(
    "message",
    [
        b"DKIM-Signature: v=1; b" + b" \r\n" * 2_500 + b"=\r\n" + LETTER,
        b"DKIM-Signature: v=1; b= " + b" \t" * 4_000 + b"\r\n" + LETTER,
        signed() + b" \t" * 500_000 + b"x\r\n",
        signed().replace(b"Subject:", b"Subject: " + b" " * 200_000),
        signed() + b"\r\n" * 2_000_000,
        signed() + (b" " * 999 + b"x") * 4_000,
    ],
    ids=["breaks", "blanks", "body", "field", "empty lines", "many runs"],
)
def test_what_is_made_to_take_long_does_not(message: bytes) -> None:
    before = time.process_time()
    look(message)
    assert time.process_time() - before < 3.0


@pytest.mark.parametrize("more", [b" \t" * 50, b"\r\n " * 34, b"x" * 8_200])
def test_a_signature_with_much_of_nothing_is_not_looked_at(more: bytes) -> None:
    zone = Zone()
    whole = signed().replace(b"v=1;", b"v=1; z=" + more + b";", 1)
    answer = look(whole, zone)
    assert answer == SpfAnswer(SpfResult.NEUTRAL, "", "a signature of a shape that nobody needs")
    assert not zone.asked


@pytest.mark.parametrize("at", range(-4, 3))
def test_blanks_on_both_sides_of_a_piece_are_one(at: int) -> None:
    text = b"a" * (PIECE_BYTES + at)
    assert relaxed(text + b" \t b\r\n") == text + b" b\r\n"
    assert relaxed(text + b" \t \r\nb") == text + b"\r\nb\r\n"
    blanks = b" " * 2 * PIECE_BYTES
    assert relaxed(text + blanks + b"b") == text + b" b\r\n"


def test_messages_that_are_too_large_are_failures() -> None:
    for message in (
        b"X: y\r\n" * 1_001 + LETTER,
        b"X: " + b"y" * 300_000 + b"\r\n" + LETTER,
        LETTER + b"x" * MESSAGE_BYTES,
    ):
        assert isinstance(look(message), LookupFailed)


def test_a_message_that_is_gone_is_a_failure() -> None:
    answer, _ = DkimLookup(Contents(), Zone(), 2.5)(Dkim(1))
    assert isinstance(answer, LookupFailed)
