"""Queries as bytes, and what bytes that come back say; none of them may harm anybody."""

from dataclasses import replace
from random import Random

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Support.Protocol.DNS.Messages import MX, SOA, SRV, Failure, Outcome
from Kamaelia.Support.Protocol.DNS.Wire import (
    MOST_RECORDS,
    PAYLOAD,
    RECORDS_LIMIT,
    BadNameError,
    Frames,
    Query,
    Trouble,
    framed,
    key_of,
    name_of,
)
from Test.Kamaelia.zone_server import rrset

NUMBER = 4711


def query(name: str = "example.org", kind: str = "A", **more: object) -> Query:
    return Query(name_of(name, kind), kind, NUMBER, **more)  # type: ignore[arg-type]


def reply_to(asked: Query, *records: str, authority: tuple[str, ...] = ()) -> dns.message.Message:
    reply = dns.message.make_response(dns.message.from_wire(asked.wire), recursion_available=True)
    reply.answer += [rrset(text) for text in records]
    reply.authority += [rrset(text) for text in authority]
    return reply


def read(asked: Query, reply: dns.message.Message) -> Outcome | Trouble | None:
    return asked.read(reply.to_wire(max_size=65_535))


ZONE_SOA = "org. 900 IN SOA ns.org. admin.org. 1 2 3 4 120"


def test_a_query_asks_one_thing_with_room_for_what_no_network_cuts() -> None:
    message = dns.message.from_wire(query(kind="MX").wire)
    assert (message.id, message.payload) == (NUMBER, PAYLOAD)
    assert message.flags == dns.flags.RD
    assert [rrset.to_text() for rrset in message.question] == ["example.org. IN MX"]
    assert dns.message.from_wire(query(edns=False).wire).edns == -1


@pytest.mark.parametrize(
    ("kind", "text", "record"),
    [
        ("A", "192.0.2.1", "192.0.2.1"),
        ("AAAA", "2001:db8::1", "2001:db8::1"),
        ("CNAME", "other.org.", "other.org"),
        ("MX", "10 mail.example.org.", MX(10, "mail.example.org")),
        ("MX", "0 .", MX(0, ".")),
        ("NS", "ns.example.org.", "ns.example.org"),
        ("PTR", r"a\.b.example.org.", r"a\.b.example.org"),
        ("SOA", "ns.org. me.org. 1 2 3 4 5", SOA("ns.org", "me.org", 1, 2, 3, 4, 5)),
        ("SRV", "1 2 25 mail.org.", SRV(1, 2, 25, "mail.org")),
        ("TXT", r'"v=spf1 " "-all\255"', b"v=spf1 -all\xff"),
    ],
)
def test_each_kind_of_record_is_understood(kind: str, text: str, record: object) -> None:
    asked = query(kind=kind)
    found = read(asked, reply_to(asked, f"example.org. 60 IN {kind} {text}"))
    assert isinstance(found, Outcome)
    assert (found.records, found.ttl, found.failure) == ((record,), 60.0, None)
    assert found.size > 12


def test_a_chain_leads_to_its_end_and_is_as_short_lived_as_its_shortest_link() -> None:
    asked = query()
    chain = ("example.org. 30 IN CNAME b.org.", "b.org. 90 IN CNAME c.org.")
    found = read(asked, reply_to(asked, *chain, "c.org. 60 IN A 192.0.2.3"))
    assert isinstance(found, Outcome)
    assert (found.records, found.canonical, found.ttl) == (("192.0.2.3",), "c.org", 30.0)


@pytest.mark.parametrize(
    "records",
    [
        ["example.org. 60 IN CNAME example.org."],
        ["example.org. 60 IN CNAME b.org.", "b.org. 60 IN CNAME example.org."],
        [
            "example.org. 60 IN CNAME n0.org.",
            *(f"n{i}.org. 60 IN CNAME n{i + 1}.org." for i in range(40)),
        ],
    ],
    ids=["itself", "two", "forty"],
)
def test_a_loop_and_a_chain_without_end_are_nonsense(records: list[str]) -> None:
    asked = query()
    assert read(asked, reply_to(asked, *records)) is Trouble.NONSENSE


def test_records_of_a_name_that_does_not_exist_are_nonsense() -> None:
    asked = query()
    reply = reply_to(asked, "example.org. 60 IN A 192.0.2.1")
    reply.set_rcode(dns.rcode.NXDOMAIN)
    assert read(asked, reply) is Trouble.NONSENSE


@pytest.mark.parametrize(
    ("code", "failure"),
    [(dns.rcode.NXDOMAIN, Failure.NXDOMAIN), (dns.rcode.NOERROR, Failure.NODATA)],
)
def test_what_is_not_there_is_not_there_for_as_long_as_the_zone_says(
    code: dns.rcode.Rcode, failure: Failure
) -> None:
    asked = query()
    reply = reply_to(asked, authority=(ZONE_SOA,))
    reply.set_rcode(code)
    found = read(asked, reply)
    assert isinstance(found, Outcome)
    assert (found.failure, found.ttl, found.records) == (failure, 120.0, ())


@pytest.mark.parametrize("authority", [(), ("net. 900 IN SOA ns.net. a.net. 1 2 3 4 120",)])
def test_without_the_zones_word_what_is_missing_is_not_remembered(
    authority: tuple[str, ...],
) -> None:
    asked = query()
    found = read(asked, reply_to(asked, authority=authority))
    assert isinstance(found, Outcome)
    assert (found.failure, found.ttl) == (Failure.NODATA, 0.0)


def test_a_referral_is_a_refusal() -> None:
    asked = query()
    reply = reply_to(asked, authority=("org. 900 IN NS ns.org.",))
    reply.flags &= ~dns.flags.RA
    assert read(asked, reply) is Trouble.REFUSED
    reply.flags |= dns.flags.AA
    assert isinstance(read(asked, reply), Outcome)


@pytest.mark.parametrize(
    ("code", "edns", "trouble"),
    [
        (dns.rcode.SERVFAIL, True, Trouble.REFUSED),
        (dns.rcode.REFUSED, True, Trouble.REFUSED),
        (dns.rcode.FORMERR, True, Trouble.NO_EDNS),
        (dns.rcode.NOTIMP, True, Trouble.NO_EDNS),
        (dns.rcode.BADVERS, True, Trouble.NO_EDNS),
        (dns.rcode.FORMERR, False, Trouble.REFUSED),
    ],
)
def test_a_server_that_cannot_say(code: dns.rcode.Rcode, edns: bool, trouble: Trouble) -> None:
    asked = query(edns=edns)
    reply = reply_to(asked)
    reply.set_rcode(code)
    assert read(asked, reply) is trouble


def test_a_failing_server_need_not_repeat_the_question_but_an_answering_one_must() -> None:
    asked = query()
    reply = reply_to(asked)
    reply.question.clear()
    assert read(asked, reply) is None
    reply.set_rcode(dns.rcode.SERVFAIL)
    assert read(asked, reply) is Trouble.REFUSED


@pytest.mark.parametrize("cut", [0, 7])
def test_a_truncated_reply_is_known_for_one_wherever_it_was_cut(cut: int) -> None:
    asked = query()
    reply = reply_to(asked, "example.org. 60 IN A 192.0.2.1")
    reply.flags |= dns.flags.TC
    wire = reply.to_wire()
    assert asked.read(wire[: len(wire) - cut]) is Trouble.TRUNCATED


def test_a_truncated_reply_with_another_number_is_none() -> None:
    asked = query()
    reply = reply_to(asked)
    reply.flags |= dns.flags.TC
    reply.id ^= 1
    assert read(asked, reply) is None


def test_no_more_records_are_taken_than_any_honest_answer_has() -> None:
    asked = query()
    addresses = [f"10.0.{i // 256}.{i % 256}" for i in range(3000)]
    reply = reply_to(asked)
    reply.answer.append(dns.rrset.from_text("example.org.", 60, "IN", "A", *addresses))
    found = read(asked, reply)
    assert isinstance(found, Outcome)
    assert len(found.records) == RECORDS_LIMIT
    assert found.size > 40_000


# ---- forged


def number(reply: dns.message.Message) -> None:
    reply.id ^= 0x0100


def no_reply(reply: dns.message.Message) -> None:
    reply.flags &= ~dns.flags.QR


def other_name(reply: dns.message.Message) -> None:
    reply.question = [dns.rrset.from_text("example.net.", 0, "IN", "A")]


def other_kind(reply: dns.message.Message) -> None:
    reply.question = [dns.rrset.from_text("example.org.", 0, "IN", "AAAA")]


def more_questions(reply: dns.message.Message) -> None:
    reply.question.append(dns.rrset.from_text("example.net.", 0, "IN", "A"))


def operation(reply: dns.message.Message) -> None:
    reply.flags |= 2 << 11


@pytest.mark.parametrize(
    "forge", [number, no_reply, other_name, other_kind, more_questions, operation]
)
def test_what_is_no_reply_to_this_query_is_none(forge: object) -> None:
    asked = query()
    reply = reply_to(asked, "example.org. 60 IN A 192.0.2.1")
    assert isinstance(read(asked, reply), Outcome)
    forge(reply)  # type: ignore[operator]
    assert read(asked, reply) is None


def test_mixed_case_must_come_back_as_it_was_sent() -> None:
    asked = query("abcdefghijklmnop.org", mixer=Random(3))
    sent = dns.message.from_wire(asked.wire)
    text = sent.question[0].name.to_text()
    assert text.lower() == "abcdefghijklmnop.org."
    assert text != text.lower()
    reply = dns.message.make_response(sent, recursion_available=True)
    assert isinstance(read(asked, reply), Outcome)
    reply.question = [dns.rrset.from_text(text.lower(), 0, "IN", "A")]
    assert read(asked, reply) is None


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200))
def test_garbage_is_no_reply(data: bytes) -> None:
    assert query().read(data) is None


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_a_reply_with_damaged_bytes_harms_nobody(data: st.DataObject) -> None:
    asked = query(kind="MX")
    reply = reply_to(
        asked, "example.org. 60 IN CNAME b.org.", "b.org. 9 IN MX 1 c.org.", authority=(ZONE_SOA,)
    )
    reply.use_edns(0, options=[dns.edns.GenericOption(dns.edns.OptionType.NSID, b"abc")])
    wire = bytearray(reply.to_wire())
    for _ in range(data.draw(st.integers(1, 6))):
        wire[data.draw(st.integers(2, len(wire) - 1))] = data.draw(st.integers(0, 255))
    found = asked.read(bytes(wire[: data.draw(st.integers(2, len(wire)))]))
    assert found is None or isinstance(found, Outcome | Trouble)


# ---- names


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Example.ORG", "example.org"),
        ("example.org.", "example.org"),
        ("_dmarc.example.org", "_dmarc.example.org"),
        ("bücher.example", "xn--bcher-kva.example"),
        (".", "."),
    ],
)
def test_a_name_has_one_key_however_it_is_spelt(text: str, key: str) -> None:
    assert key_of(name_of(text, "A")) == key


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("192.0.2.7", "7.2.0.192.in-addr.arpa"),
        ("2001:db8::7", "7." + "0." * 23 + "8.b.d.0.1.0.0.2.ip6.arpa"),
    ],
)
def test_an_address_is_asked_for_by_its_reverse_name(address: str, name: str) -> None:
    assert key_of(name_of(address, "PTR")) == name


@pytest.mark.parametrize(
    "text",
    ["", "@", "a..b", ".a", "a" * 64 + ".org", "a." * 128, "a\\", "a\\300", "x" * 5000, "ü" * 64,
     "192.0.2.1", "::1", "\ud800.org"],
)  # fmt: skip
def test_what_cannot_be_a_name_is_refused(text: str) -> None:
    with pytest.raises(BadNameError):
        name_of(text, "A")


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=80))
def test_any_text_is_a_name_that_can_be_asked_for_or_is_refused(text: str) -> None:
    try:
        name = name_of(text, "TXT")
    except BadNameError:
        return
    assert len(Query(name, "TXT", 1).wire) <= 255 + 12 + 4 + 11


# ---- streams


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=300), max_size=5), st.lists(st.integers(1, 50)))
def test_messages_survive_any_slicing_of_the_stream(messages: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(framed(message) for message in messages)
    frames, found = Frames(), []
    while stream:
        size = cuts.pop() if cuts else len(stream)
        frames.receive_data(stream[:size])
        stream = stream[size:]
        while (message := frames.message()) is not None:
            found.append(message)
    assert found == messages


def test_what_a_stream_lacks_is_known_to_the_byte() -> None:
    frames = Frames()
    assert frames.wanted == 2
    frames.receive_data(b"\x00")
    assert frames.wanted == 1
    frames.receive_data(b"\x03")
    assert frames.wanted == 3
    frames.receive_data(b"ab")
    assert (frames.wanted, frames.message()) == (1, None)
    frames.receive_data(b"c")
    assert (frames.wanted, frames.message(), frames.wanted) == (0, b"abc", 2)


def test_what_is_more_than_any_honest_reply_has_is_not_even_read() -> None:
    asked = query()
    reply = reply_to(asked)
    addresses = [f"10.0.{i // 256}.{i % 256}" for i in range(2 * MOST_RECORDS)]
    reply.answer.append(dns.rrset.from_text("example.org.", 60, "IN", "A", *addresses))
    wire = reply.to_wire(max_size=65_535)
    found = asked.read(wire[:-1] + b"\0")
    assert isinstance(found, Outcome)
    assert asked.read(wire[:-1]) == replace(found, size=found.size - 1)
