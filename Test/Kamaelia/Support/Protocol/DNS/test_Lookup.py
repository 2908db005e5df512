"""The look-up of one name: whom it asks next, and when it gives up."""

from collections.abc import Callable
from random import Random

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from Kamaelia.Support.Protocol.DNS.Lookup import STRANGERS_LIMIT, Attempt, Lookup, Servers
from Kamaelia.Support.Protocol.DNS.Messages import Failure, Outcome
from Kamaelia.Support.Protocol.DNS.Settings import Settings
from Kamaelia.Support.Protocol.DNS.Wire import name_of

ONE, TWO = ("192.0.2.1", 53), ("192.0.2.2", 53)
SETTINGS = Settings(timeout=2.0, rounds=2, patience=100.0, rest=30.0)


def lookup(servers: Servers | None = None, settings: Settings = SETTINGS) -> Lookup:
    servers = servers or Servers([ONE, TWO], settings.rest)
    return Lookup(name_of("example.org", "A"), "A", servers, settings, Random(7))


def attempt(step: object) -> Attempt:
    assert isinstance(step, Attempt)
    return step


def answer(to: Attempt) -> dns.message.Message:
    reply = dns.message.make_response(dns.message.from_wire(to.wire), recursion_available=True)
    reply.answer.append(dns.rrset.from_text("example.org.", 60, "IN", "A", "192.0.2.9"))
    return reply


def failure(to: Attempt, code: dns.rcode.Rcode = dns.rcode.SERVFAIL) -> bytes:
    reply = dns.message.make_response(dns.message.from_wire(to.wire))
    reply.set_rcode(code)
    return reply.to_wire()


def truncated(to: Attempt) -> bytes:
    reply = dns.message.make_response(dns.message.from_wire(to.wire))
    reply.flags |= dns.flags.TC
    return reply.to_wire()


def nonsense(to: Attempt) -> bytes:
    reply = answer(to)
    reply.set_rcode(dns.rcode.NXDOMAIN)
    return reply.to_wire()


def test_the_first_server_is_asked_and_its_answer_settles_it() -> None:
    asking = lookup()
    first = attempt(asking.begin(10.0))
    assert (first.server, first.over_tcp, first.until) == (ONE, False, 12.0)
    found = asking.received(answer(first).to_wire(), 10.1)
    assert isinstance(found, Outcome)
    assert found.records == ("192.0.2.9",)


def test_nothing_is_taken_before_anything_was_asked() -> None:
    assert lookup().received(b"early", 0.0) is None


def test_a_silent_server_is_followed_by_the_next_and_asked_again_in_the_next_round() -> None:
    asking = lookup()
    asked = [attempt(asking.begin(0.0))]
    while isinstance(step := asking.timed_out(asked[-1].until), Attempt):
        asked.append(step)
    assert [each.server for each in asked] == [ONE, TWO, ONE, TWO]
    assert step == Outcome(failure=Failure.TIMEOUT)
    numbers = {dns.message.from_wire(each.wire).id for each in asked}
    assert len(numbers) == 4


def test_patience_ends_it_however_many_servers_are_left() -> None:
    asking = lookup(settings=Settings(timeout=2.0, rounds=50, patience=5.0))
    asked = [attempt(asking.begin(0.0))]
    while isinstance(step := asking.timed_out(asked[-1].until), Attempt):
        asked.append(step)
    assert [each.until for each in asked] == [2.0, 4.0, 5.0]
    assert step == Outcome(failure=Failure.TIMEOUT)


@pytest.mark.parametrize(
    ("reply", "said"), [(failure, Failure.SERVFAIL), (nonsense, Failure.BAD_REPLY)]
)
def test_a_server_that_cannot_say_is_not_asked_again(
    reply: Callable[[Attempt], bytes], said: Failure
) -> None:
    asking = lookup()
    first = attempt(asking.begin(0.0))
    second = attempt(asking.received(reply(first), 0.1))
    assert second.server == TWO
    assert asking.received(reply(second), 0.2) == Outcome(failure=said)


def test_what_cannot_be_reached_is_not_asked_again() -> None:
    asking = lookup()
    asking.begin(0.0)
    assert attempt(asking.failed(0.0)).server == TWO
    assert asking.failed(0.0) == Outcome(failure=Failure.UNREACHABLE)


def test_the_most_telling_failure_is_the_one_that_is_said() -> None:
    asking = lookup()
    first = attempt(asking.begin(0.0))
    asking.received(failure(first), 0.1)
    asking.timed_out(2.1)
    assert asking.timed_out(4.1) == Outcome(failure=Failure.SERVFAIL)


def test_what_is_too_long_for_a_datagram_is_asked_for_by_tcp_of_the_same_server() -> None:
    asking = lookup()
    first = attempt(asking.begin(0.0))
    second = attempt(asking.received(truncated(first), 1.0))
    assert (second.server, second.over_tcp, second.until) == (ONE, True, 3.0)
    found = asking.received(answer(second).to_wire(), 1.1)
    assert isinstance(found, Outcome)
    assert found.failure is None


def test_a_stream_that_is_cut_short_is_a_bad_reply() -> None:
    asking = lookup(Servers([ONE], 0.0))
    second = attempt(asking.received(truncated(attempt(asking.begin(0.0))), 1.0))
    assert asking.received(truncated(second), 1.1) == Outcome(failure=Failure.BAD_REPLY)


def test_a_stranger_in_a_stream_is_a_bad_reply() -> None:
    asking = lookup(Servers([ONE], 0.0))
    asking.received(truncated(attempt(asking.begin(0.0))), 1.0)
    assert asking.received(b"stranger", 1.1) == Outcome(failure=Failure.BAD_REPLY)


def test_a_server_that_knows_no_edns_is_asked_without_and_the_next_one_with() -> None:
    asking = lookup()
    first = attempt(asking.begin(0.0))
    second = attempt(asking.received(failure(first, dns.rcode.FORMERR), 0.1))
    assert second.server == ONE
    assert dns.message.from_wire(second.wire).edns == -1
    third = attempt(asking.received(failure(second, dns.rcode.FORMERR), 0.2))
    assert third.server == TWO
    assert dns.message.from_wire(third.wire).edns == 0


def test_forged_replies_are_not_heard_and_many_of_them_lead_to_tcp() -> None:
    asking = lookup()
    first = attempt(asking.begin(0.0))
    forged = answer(first)
    for number in range(STRANGERS_LIMIT - 1):
        forged.id = first.wire[0] * 256 + (first.wire[1] ^ (number + 1))
        assert asking.received(forged.to_wire(), 0.1) is None
    second = attempt(asking.received(b"", 0.1))
    assert (second.server, second.over_tcp) == (ONE, True)


def test_a_reply_to_an_earlier_attempt_does_not_count() -> None:
    asking = lookup()
    first = attempt(asking.begin(0.0))
    attempt(asking.timed_out(2.0))
    assert asking.received(answer(first).to_wire(), 2.1) is None


def test_capitals_are_mixed_if_that_is_asked_for() -> None:
    asking = lookup(settings=Settings(mix_case=True))
    name = dns.message.from_wire(attempt(asking.begin(0.0)).wire).question[0].name.to_text()
    assert name.lower() == "example.org."
    assert name != "example.org."


# ---- servers


def test_a_silent_server_rests_behind_the_others_for_a_while() -> None:
    servers = Servers([ONE, TWO], rest=30.0)
    servers.was_silent(ONE, 100.0)
    assert servers.order(100.0) == (TWO, ONE)
    assert servers.order(129.9) == (TWO, ONE)
    assert servers.order(130.0) == (ONE, TWO)


def test_the_order_stays_when_all_are_silent() -> None:
    servers = Servers([ONE, TWO], rest=30.0)
    servers.was_silent(TWO, 100.0)
    servers.was_silent(ONE, 101.0)
    assert servers.order(102.0) == (ONE, TWO)


def test_an_answer_ends_the_rest() -> None:
    servers = Servers([ONE, TWO], rest=30.0)
    asking = lookup(servers)
    asking.begin(0.0)
    second = attempt(asking.timed_out(2.0))
    assert servers.order(2.0) == (TWO, ONE)
    asking.timed_out(4.0)
    third = attempt(lookup(servers).begin(5.0))
    assert (second.server, third.server) == (TWO, ONE)
    servers.has_answered(ONE)
    servers.has_answered(ONE)
    assert servers.order(5.0) == (ONE, TWO)
