"""SPF around its evaluator: identities, bounds, words. The results are in test_Spf_rfc7208."""

import subprocess
import sys

import dns.message
import dns.rcode
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Axon.Testing import FakeClock
from Kamaelia.Apps.Grey.Core.Access.Questions import LookupFailed, Spf, SpfAnswer, SpfResult
from Kamaelia.Apps.Grey.Lookups.Spf import as_if_from, identity, received_spf, spf
from Kamaelia.Support.Protocol.DNS.Messages import MX, Failure
from Test.Kamaelia.Apps.Grey.Lookups.lookups import Asked
from Test.Kamaelia.Apps.Grey.Lookups.walks import Known, Table
from Test.Kamaelia.network import Script, World
from Test.Kamaelia.zone_server import Message, Replies, Zone, ZoneServer, failing, silent

QUESTION = Spf("192.0.2.7", "mx.example.net", "ann@a.test")


def record(text: str, domain: str = "a.test") -> Known:
    return {(domain, "TXT"): [text.encode()]}


def check(known: Known, question: Spf = QUESTION) -> SpfAnswer:
    answer, seconds = Table(known).walk(spf("mail.test", question))
    assert isinstance(answer, SpfAnswer)
    assert seconds > 0
    return answer


@pytest.mark.parametrize(
    ("text", "result", "why"),
    [
        ("v=spf1 ip4:192.0.2.0/24 -all", SpfResult.PASS, "ip4:192.0.2.0/24"),
        ("v=spf1 -all", SpfResult.FAIL, "-all"),
        ("v=spf1 ~all", SpfResult.SOFTFAIL, "~all"),
        ("v=spf1 ?all", SpfResult.NEUTRAL, "?all"),
        ("v=spf1", SpfResult.NEUTRAL, ""),
        ("v=spf1 nonsense", SpfResult.UNKNOWN, "unknown mechanism 'nonsense'"),
        ("nothing", SpfResult.NONE, "no v=spf1 record for a.test"),
    ],
)
def test_each_result_says_why(text: str, result: SpfResult, why: str) -> None:
    assert check(record(text)) == SpfAnswer(result, "a.test", why)


def test_the_record_that_decided_is_not_an_inner_one_that_did_not() -> None:
    inner = {**record("v=spf1 include:b.test"), **record("v=spf1 -all", "b.test")}
    assert check(inner) == SpfAnswer(SpfResult.NEUTRAL, "a.test", "")


def test_silence_is_a_temporary_error() -> None:
    answer = check({("a.test", "TXT"): Failure.TIMEOUT})
    assert (answer.result, answer.domain) == (SpfResult.ERROR, "a.test")


def test_the_null_sender_is_the_name_in_helo() -> None:
    question = Spf("192.0.2.7", "MX.a.test", "")
    answer = check(record("v=spf1 ip4:192.0.2.7", "MX.a.test"), question)
    assert answer == SpfAnswer(SpfResult.PASS, "mx.a.test", "ip4:192.0.2.7")
    assert identity(Spf("", "h.test", "<>")) == ("postmaster@h.test", "h.test")


def test_an_explanation_is_one_line_and_short() -> None:
    known = {
        **record("v=spf1 -all exp=why.test"),
        ("why.test", "TXT"): [b"%{i} may not send " + b"x" * 300],
    }
    text = check(known).text
    assert text.startswith("192.0.2.7 may not send x")
    assert len(text) == 200


def test_an_explanation_that_is_too_long_is_not_expanded() -> None:
    known = {**record("v=spf1 -all exp=why.test"), ("why.test", "TXT"): [b"%{s}" * 5000]}
    assert check(known).text == "-all"


def test_how_long_it_is_true_is_what_its_shortest_record_says() -> None:
    known = {**record("v=spf1 a:b.test"), ("b.test", "A"): ["192.0.2.7"]}
    answer, seconds = Table(known, ttls={"b.test": 20}).walk(spf("mail.test", QUESTION))
    assert (answer.result, seconds) == (SpfResult.PASS, 20.0)


def test_what_nobody_answered_is_asked_again_soon_whatever_else_is_true_for_long() -> None:
    known = {**record("v=spf1 include:b.test a"), ("b.test", "TXT"): Failure.SERVFAIL}
    answer, seconds = Table(known, ttls={"a.test": 86_400}).walk(spf("mail.test", QUESTION))
    assert (answer.result, seconds) == (SpfResult.ERROR, 1.0)


# ---- what strangers do


def test_ten_terms_that_ask_are_enough() -> None:
    known = dict(record("v=spf1 include:i0.test"))
    for n in range(20):
        known.update(record(f"v=spf1 include:i{n + 1}.test", f"i{n}.test"))
    dns = Table(known)
    answer, _ = dns.walk(spf("mail.test", QUESTION))
    assert answer.result is SpfResult.UNKNOWN
    assert len(dns.asked) <= 11


def test_two_empty_answers_are_enough() -> None:
    dns = Table(record("v=spf1 " + " ".join(f"a:n{n}.test" for n in range(9))))
    answer, _ = dns.walk(spf("mail.test", QUESTION))
    assert answer.result is SpfResult.UNKNOWN
    assert len(dns.asked) == 1 + 3


def test_a_record_that_asks_for_hundreds_of_names_is_an_error() -> None:
    known: dict[tuple[str, str], list[object]] = dict(
        record("v=spf1 " + " ".join(f"mx:m{n}.test" for n in range(10)))  # type: ignore[arg-type]
    )
    for n in range(10):
        known[f"m{n}.test", "MX"] = [MX(1, f"h{n}{m}.test") for m in range(10)]
        known.update({(f"h{n}{m}.test", "A"): ["10.0.0.1"] for m in range(10)})
    dns = Table(known)  # type: ignore[arg-type]
    answer, _ = dns.walk(spf("mail.test", QUESTION))
    assert answer.result is SpfResult.UNKNOWN
    assert len(dns.asked) == 75


@pytest.mark.parametrize(
    "text", ["v=spf1 a:%{d" + "9" * 5000 + "}.test", "v=spf1 " + "ip4:192.0.2.9 " * 20_000]
)
def test_a_monster_of_a_record_is_an_error_and_no_crash(text: str) -> None:
    assert check(record(text)).result is SpfResult.UNKNOWN


@pytest.mark.parametrize(
    "question",
    [
        Spf("", "helo", "ann@a.test"),
        Spf("192.0.2.7", "helo", "a" * 400 + "@a.test"),
        Spf("192.0.2.7", "", ""),
        Spf("192.0.2.7", "x" * 5000, ""),
        Spf("192.0.2.7", "[192.0.2.7]", ""),
        Spf("192.0.2.7", "helo", "ann"),
    ],
)
def test_what_nobody_can_be_asked_about_has_no_result(question: Spf) -> None:
    dns = Table({})
    answer, _ = dns.walk(spf("mail.test", question))
    assert answer.result is SpfResult.NONE
    assert dns.asked == []


@settings(max_examples=50)
@given(st.text(max_size=80), st.text(max_size=40), st.text(max_size=80))
def test_no_text_of_a_stranger_is_too_odd(sender: str, helo: str, terms: str) -> None:
    question = Spf("192.0.2.7", helo, f"{sender}@a.test")
    answer = check(record(f"v=spf1 exists:%{{l}}.%{{h}}.a.test {terms} -all"), question)
    for text in (answer.domain, answer.text, received_spf(question, answer, "mail.test")):
        assert text == "".join(c for c in text if " " <= c <= "~")


def test_what_cannot_be_encoded_is_an_error_of_the_record() -> None:
    question = Spf("192.0.2.7", "helo", "\udc80@a.test")
    answer = check(record("v=spf1 exists:%{S}.a.test -all"), question)
    assert answer == SpfAnswer(SpfResult.UNKNOWN, "a.test", "it cannot be read")


# ---- words


def test_a_wide_open_record_lets_us_pass_too() -> None:
    for text, result in (("v=spf1 +all", SpfResult.PASS), ("v=spf1 mx -all", SpfResult.FAIL)):
        assert check(record(text), as_if_from(QUESTION, "198.51.100.1")).result is result


@pytest.mark.parametrize("result", SpfResult)
def test_the_header_says_the_result_in_the_words_of_the_rfc(result: SpfResult) -> None:
    text = received_spf(QUESTION, SpfAnswer(result, "a.test"), "mail.test")
    word = {"unknown": "permerror", "error": "temperror"}.get(result.value, result.value)
    assert text.startswith(f"{word} (mail.test: ")
    assert text.endswith('envelope-from="ann@a.test"; helo=mx.example.net; identity=mailfrom')


def test_nothing_of_a_stranger_ends_a_header_or_a_comment() -> None:
    question = Spf("192.0.2.7", "a) b; c=d\r\nX: y", 'x"y\\@a.test')
    text = received_spf(question, SpfAnswer(SpfResult.PASS, "a.test)("), "mail.test")
    assert text.count("(") == text.count(")") == 1
    assert "\n" not in text
    assert text.count(";") == 4
    assert text.count('"') == 2
    assert "identity=helo" in received_spf(Spf("", "h", ""), SpfAnswer(SpfResult.NONE), "m")


# ---- through the service


def test_a_result_is_remembered(world: World) -> None:
    def script() -> Script:
        server = ZoneServer(world, Zone("a.test.", '@ 60 TXT "v=spf1 ip4:192.0.2.7 -all"'))
        asked = Asked(world, server)
        for _ in range(2):
            answer = yield from asked(QUESTION)
            assert isinstance(answer, SpfAnswer)
            assert answer.result is SpfResult.PASS
        assert len(server.asked) == 1

    world.play(script())


def no_such_name(query: Message, _over_tcp: bool) -> list[bytes]:
    """Without the SOA that would say for how long: many a router's name server replies so."""
    reply = dns.message.make_response(query, recursion_available=True)
    reply.set_rcode(dns.rcode.NXDOMAIN)
    return [reply.to_wire()]


@pytest.mark.parametrize(
    "replies",
    [
        no_such_name,
        failing(dns.rcode.SERVFAIL),
        Zone("a.test.", '@ 0 TXT "v=spf1 a -all"\n@ 0 A 192.0.2.99'),
    ],
    ids=["no such name", "failure", "records for no time"],
)
def test_what_nobody_said_how_long_to_keep_is_not_asked_for_each_recipient(
    world: World, clock: FakeClock, replies: Replies
) -> None:
    def script() -> Script:
        server = ZoneServer(world, replies)
        asked = Asked(world, server)
        first = yield from asked(QUESTION)
        count = len(server.asked)
        for _ in range(20):
            clock.advance(1.0)
            assert (yield from asked(QUESTION)) == first
        assert len(server.asked) == count
        clock.advance(60.0)
        yield from asked(QUESTION)
        assert len(server.asked) > count

    world.play(script())


FIRST_QUESTION = """
import sys
from Kamaelia.Apps.Grey.Core.Access.Definitions import Definitions
from Kamaelia.Apps.Grey.Core.Access.Questions import Spf
from Kamaelia.Apps.Grey.Lookups.LookupService import LookupService
from Kamaelia.Apps.Grey.Lookups.Spf import spf
from Kamaelia.Support.Protocol.DNS.Messages import Answer, Question

LookupService(Definitions())
before = set(sys.modules)
steps = spf("mail.test", Spf("192.0.2.7", "mx.example.net", "ann@a.test"))
try:
    steps.send(None)
    while True:
        steps.send([Answer(Question("a.test", "TXT"), (b"v=spf1 exists:%{i}.b.test -all",), 60)])
except StopIteration as end:
    print(end.value[0].result.value, sorted(set(sys.modules) - before))
"""


def test_the_first_question_waits_for_nothing_to_be_read() -> None:
    said = subprocess.run(
        [sys.executable, "-c", FIRST_QUESTION], capture_output=True, text=True, check=True
    )
    assert said.stdout == "pass []\n"


def test_a_silent_server_is_a_temporary_error_in_time(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        server = ZoneServer(world, silent)
        asked = Asked(world, server)
        asked.put(QUESTION)
        yield from world.until(lambda: server.asked)
        clock.advance(1.5)
        (found,) = yield from asked.found()
        assert isinstance(found.answer, SpfAnswer)
        assert found.answer.result is SpfResult.ERROR
        assert not isinstance(found.answer, LookupFailed)

    world.play(script())
