"""From a big sender's domain to its networks."""

from ipaddress import ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Core.Access.Questions import LookupFailed
from Kamaelia.Apps.Grey.Lookups.SpfNetworks import Terms, networks_of
from Kamaelia.Support.Protocol.DNS.Messages import MX, Failure, Record
from Test.Kamaelia.Apps.Grey.Lookups.walks import Table


def spf(**records: str) -> dict[tuple[str, str], list[Record] | Failure]:
    return {(f"{name}.test", "TXT"): [text.encode()] for name, text in records.items()}


def found(known: dict[tuple[str, str], list[Record] | Failure]) -> list[str]:
    networks, _ = Table(known).walk(networks_of("a.test"))
    return [str(network) for network in networks]


def failure(known: dict[tuple[str, str], list[Record] | Failure]) -> str:
    answer, _ = Table(known).walk(networks_of("a.test"))
    assert isinstance(answer, LookupFailed)
    return answer.reason


def test_all_that_lets_in_counts() -> None:
    known: dict[tuple[str, str], list[Record] | Failure] = {
        **spf(
            a="v=spf1 ip4:192.0.2.0/24 +ip6:2001:db8::/32 a/28 include:b.test mx -all",
            b="V=SPF1 ip4:198.51.100.7 redirect=c.test",
            c="v=spf1 a:h.test//64 ~all",
        ),
        ("a.test", "A"): ["203.0.113.9"],
        ("a.test", "MX"): [MX(10, "m.test")],
        ("m.test", "A"): ["203.0.113.77"],
        ("h.test", "A"): ["203.0.113.78"],
        ("h.test", "AAAA"): ["2001:db9::1"],
    }
    assert set(found(known)) == {
        *("192.0.2.0/24", "2001:db8::/32", "198.51.100.7/32", "203.0.113.0/28"),
        *("203.0.113.77/32", "203.0.113.78/32", "2001:db9::/64"),
    }


@pytest.mark.parametrize(
    "term",
    [
        *("-ip4:10.0.0.0/8", "~ip4:10.0.0.0/8", "?include:b.test", "+all", "ptr", "exists:b.test"),
        *("ip4:0.0.0.0/0", "ip4:10.0.0.0/7", "ip6:2000::/3", "ip4:2001:db8::/32", "ip4:x", "ip4:"),
        *("include:%{d}.b.test", "a:%{i}.b.test", "redirect=b.test all", "a:b.test/99", "include:"),
    ],
)
def test_what_lets_nobody_in_or_the_world_does_not_count(term: str) -> None:
    known = {
        **spf(a=f"v=spf1 {term} ip4:192.0.2.1", b="v=spf1 ip4:10.0.0.1"),
        ("b.test", "A"): ["10.0.0.1"],
    }
    assert found(known) == ["192.0.2.1/32"]  # type: ignore[arg-type]


def test_somebody_elses_record_that_is_not_there_does_no_harm() -> None:
    assert found(spf(a="v=spf1 include:gone.test ip4:192.0.2.1")) == ["192.0.2.1/32"]


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        ({}, "a.test has no SPF record"),
        ({("a.test", "TXT"): [b"v=spf1 -all", b"v=spf1 +all"]}, "a.test has no SPF record"),
        (spf(a="v=spf1 -all"), "the SPF record of a.test has no networks"),
        ({("a.test", "TXT"): Failure.TIMEOUT}, "no server replied in time"),
        ({**spf(a="v=spf1 include:b.test"), ("b.test", "TXT"): Failure.SERVFAIL}, "refused or"),
        ({**spf(a="v=spf1 mx"), ("a.test", "MX"): Failure.TIMEOUT}, "no server replied in time"),
        ({**spf(a="v=spf1 a"), ("a.test", "AAAA"): Failure.TIMEOUT}, "no server replied in time"),
    ],
)
def test_it_fails_as_a_whole(
    known: dict[tuple[str, str], list[Record] | Failure], reason: str
) -> None:
    assert reason in failure(known)


def test_a_loop_of_records_ends() -> None:
    dns = Table(spf(a="v=spf1 include:b.test ip4:192.0.2.1", b="v=spf1 include:A.test."))
    dns.walk(networks_of("a.test"))
    assert len(dns.asked) == 2


def test_no_more_than_a_hundred_records_are_read() -> None:
    names = [f"r{number}" for number in range(500)]
    includes = " ".join(f"include:{name}.test" for name in names)
    dns = Table(spf(a=f"v=spf1 {includes}", **dict.fromkeys(names, "v=spf1 ip4:192.0.2.1")))
    dns.walk(networks_of("a.test"))
    assert len(dns.asked) == 100


def test_no_more_than_ten_thousand_networks_are_taken() -> None:
    names = [f"r{number}" for number in range(20)]
    records = {
        name: "v=spf1 " + " ".join(f"ip4:10.{n}.{m >> 8}.{m & 255}" for m in range(900))
        for n, name in enumerate(names)
    }
    known = spf(a="v=spf1 " + " ".join(f"include:{name}.test" for name in names), **records)
    assert len(found(known)) == 10_000


def test_no_more_than_so_many_hosts_are_asked_for() -> None:
    hosts = " ".join(f"a:h{n}.test mx:h{n}.test" for n in range(400))
    dns = Table(spf(a=f"v=spf1 ip4:192.0.2.1 {hosts}"))
    dns.walk(networks_of("a.test"))
    assert len(dns.asked) <= 1 + 50 + 2 * 100


@settings(max_examples=50)
@given(st.text(max_size=200))
def test_no_record_is_too_odd(text: str) -> None:
    terms = Terms.of(f"v=spf1 {text} ip4:192.0.2.1")
    assert ip_network("192.0.2.1") in terms.networks
    assert all(network.prefixlen >= 8 for network in terms.networks)
