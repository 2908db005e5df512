"""Names of clients, lists, mail servers: honest answers, silence, what strangers write there."""

from functools import partial
from ipaddress import ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Axon.Testing import FakeClock
from Kamaelia.Apps.Grey.Core.Access.Definitions import Definitions, DnsrblZone
from Kamaelia.Apps.Grey.Core.Access.Questions import Dnsrbl, HostName, LookupFailed, Mx
from Kamaelia.Apps.Grey.Lookups.DnsLookups import dnsrbl, host_name, mail_servers, resolver_for
from Kamaelia.Support.Protocol.DNS.Messages import MX, Failure
from Test.Kamaelia.Apps.Grey.Lookups.lookups import Asked
from Test.Kamaelia.Apps.Grey.Lookups.walks import Table
from Test.Kamaelia.network import Script, World
from Test.Kamaelia.zone_server import Zone, ZoneServer, failing, saying, silent

CLIENT, CLIENT6 = "192.0.2.7", "2001:db8::7"
LISTS = Definitions(
    dnsrbls={
        "dyn": DnsrblZone("dyn.test", ip_network("127.0.0.10/31")),
        "dot": DnsrblZone(".dot.test.", ip_network("127.0.0.0/8")),
    }
)
NIBBLES = "7" + ".0" * 23 + ".8.b.d.0.1.0.0.2"


# ---- names of clients


def ptr(*names: str) -> dict[tuple[str, str], list[str]]:
    return {(CLIENT, "PTR"): list(names)}


@pytest.mark.parametrize(
    ("known", "name"),
    [
        ({}, ""),
        ({**ptr("MX.example.test"), ("MX.example.test", "A"): [CLIENT]}, "mx.example.test"),
        ({**ptr("mx.example.test"), ("mx.example.test", "A"): ["192.0.2.8"]}, ""),
        ({**ptr("mx.example.test"), ("mx.example.test", "AAAA"): [CLIENT]}, ""),
        ({**ptr("liar.test", "b.test"), ("b.test", "A"): ["10.0.0.1", CLIENT]}, "b.test"),
        ({**ptr("a_b.test"), ("a_b.test", "A"): [CLIENT]}, "a_b.test"),
    ],
)
def test_a_name_counts_only_if_it_leads_back(
    known: dict[tuple[str, str], list[str]], name: str
) -> None:
    assert Table(known).walk(host_name(HostName(CLIENT))) == (name, 300.0)


@pytest.mark.parametrize("client", [CLIENT6, "2001:DB8:0::7"])
def test_an_ipv6_client_has_a_name_too(client: str) -> None:
    dns = Table({(CLIENT6, "PTR"): ["mx.test"], ("mx.test", "AAAA"): [CLIENT6]})
    assert dns.walk(host_name(HostName(client)))[0] == "mx.test"


def test_an_ipv4_client_on_an_ipv6_socket_is_the_same_client() -> None:
    dns = Table({**ptr("mx.test"), ("mx.test", "A"): [CLIENT]})
    assert dns.walk(host_name(HostName(f"::ffff:{CLIENT}")))[0] == "mx.test"


@pytest.mark.parametrize("client", ["", "local", "x" * 5000, "192.0.2.7\n"])
def test_what_is_no_address_has_no_name_and_asks_nobody(client: str) -> None:
    dns = Table({})
    assert dns.walk(host_name(HostName(client)))[0] == ""
    assert dns.asked == []


@pytest.mark.parametrize(
    "poison",
    [
        "a\\000b.test",
        "a\nb.test",
        "a b.test",
        "-a.test",
        ".",
        "",
        "a\\.b.test",
        "x" * 254,
        "é.test",
    ],
)
def test_a_name_with_other_characters_is_not_looked_at(poison: str) -> None:
    dns = Table({**ptr(poison), (poison, "A"): [CLIENT]})
    assert dns.walk(host_name(HostName(CLIENT)))[0] == ""
    assert len(dns.asked) == 1


def test_of_a_thousand_names_five_are_looked_at() -> None:
    names = [f"h{number}.test" for number in range(1000)]
    dns = Table({**ptr(*names), ("h900.test", "A"): [CLIENT]})
    assert dns.walk(host_name(HostName(CLIENT)))[0] == ""
    assert len(dns.asked) == 1 + 5


def test_of_a_thousand_addresses_ten_are_looked_at() -> None:
    addresses = [f"10.0.{number >> 8}.{number & 255}" for number in range(1000)]
    dns = Table({**ptr("a.test"), ("a.test", "A"): [*addresses, CLIENT]})
    assert dns.walk(host_name(HostName(CLIENT)))[0] == ""


@pytest.mark.parametrize("failure", [Failure.TIMEOUT, Failure.SERVFAIL, Failure.OVERLOADED])
def test_silence_is_no_missing_name(failure: Failure) -> None:
    for known in ({(CLIENT, "PTR"): failure}, {**ptr("a.test"), ("a.test", "A"): failure}):
        answer, _ = Table(known).walk(host_name(HostName(CLIENT)))  # type: ignore[arg-type]
        assert isinstance(answer, LookupFailed)
        assert failure.value in answer.reason


def test_a_name_that_leads_back_counts_whoever_else_is_silent() -> None:
    known = {**ptr("a.test", "b.test"), ("a.test", "A"): Failure.TIMEOUT, ("b.test", "A"): [CLIENT]}
    assert Table(known).walk(host_name(HostName(CLIENT)))[0] == "b.test"  # type: ignore[arg-type]


def test_it_is_true_for_as_long_as_all_of_it_is() -> None:
    dns = Table({**ptr("a.test"), ("a.test", "A"): [CLIENT]}, ttls={"a.test": 20})
    assert dns.walk(host_name(HostName(CLIENT))) == ("a.test", 20.0)
    assert Table(dns.known, ttls={CLIENT: 0}).walk(host_name(HostName(CLIENT)))[1] > 0


@settings(max_examples=50)
@given(st.lists(st.text(max_size=300), max_size=20))
def test_no_name_in_the_dns_is_too_odd(names: list[str]) -> None:
    known: dict[tuple[str, str], list[str]] = {(name, "A"): [CLIENT] for name in names}
    found, _ = Table({**known, **ptr(*names)}).walk(host_name(HostName(CLIENT)))
    assert found.isascii()
    assert len(found) <= 253
    assert found.isprintable()


# ---- lists


@pytest.mark.parametrize(
    ("answers", "listed"),
    [
        (["127.0.0.10"], True),
        (["127.0.0.2", "127.0.0.11"], True),
        (["127.0.0.2"], False),
        (["198.51.100.1"], False),  # somebody sells the name of a list that is no more
        (Failure.NXDOMAIN, False),
        (Failure.NODATA, False),
    ],
)
def test_a_client_is_listed_if_the_answer_says_so(
    answers: list[str] | Failure, listed: bool
) -> None:
    dns = Table({("7.2.0.192.dyn.test", "A"): answers})
    assert dns.walk(dnsrbl(LISTS, Dnsrbl("dyn", CLIENT))) == (listed, 300.0)
    assert dns.asked == [("7.2.0.192.dyn.test", "A")]


@pytest.mark.parametrize(
    ("client", "name"), [(CLIENT, "7.2.0.192.dot.test"), (CLIENT6, f"{NIBBLES}.dot.test")]
)
def test_lists_are_asked_by_octets_and_nibbles(client: str, name: str) -> None:
    dns = Table({(name, "A"): ["127.0.0.2"]})
    assert dns.walk(dnsrbl(LISTS, Dnsrbl("dot", client)))[0] is True


@pytest.mark.parametrize("answers", [["127.255.255.254"], ["127.0.0.2", "127.255.255.252"]])
def test_a_list_that_refuses_us_has_not_said_that_nobody_is_listed(answers: list[str]) -> None:
    answer, _ = Table({("7.2.0.192.dot.test", "A"): answers}).walk(
        dnsrbl(LISTS, Dnsrbl("dot", CLIENT))
    )
    assert isinstance(answer, LookupFailed)
    assert "refuses us: 127.255.255.25" in answer.reason


def test_a_list_that_is_silent_or_unknown_is_a_failure() -> None:
    dns = Table({("7.2.0.192.dyn.test", "A"): Failure.TIMEOUT})
    for name in ("dyn", "nowhere"):
        answer, _ = dns.walk(dnsrbl(LISTS, Dnsrbl(name, CLIENT)))
        assert isinstance(answer, LookupFailed)


def test_who_has_no_address_is_in_no_list() -> None:
    assert Table({}).walk(dnsrbl(LISTS, Dnsrbl("dyn", "")))[0] is False


# ---- mail servers


def test_mail_servers_are_asked_in_their_order_for_both_kinds_of_addresses() -> None:
    dns = Table(
        {
            ("a.test", "MX"): [MX(20, "two.test"), MX(10, "one.test")],
            ("one.test", "A"): ["192.0.2.1", "192.0.2.2"],
            ("two.test", "AAAA"): ["2001:db8::1"],
        }
    )
    assert dns.walk(mail_servers(Mx("a.test")))[0] == ("192.0.2.1", "192.0.2.2", "2001:db8::1")


@pytest.mark.parametrize(
    ("records", "addresses"),
    [
        (Failure.NODATA, ("192.0.2.1",)),  # RFC 5321 section 5.1
        (Failure.NXDOMAIN, ()),
        (Failure.BAD_NAME, ()),
        ([MX(0, ".")], ()),  # RFC 7505
        ([MX(10, "192.0.2.9")], ()),
    ],
)
def test_a_domain_without_mail_servers(
    records: list[MX] | Failure, addresses: tuple[str, ...]
) -> None:
    dns = Table({("a.test", "MX"): records, ("a.test", "A"): ["192.0.2.1"]})
    assert dns.walk(mail_servers(Mx("a.test")))[0] == addresses


def test_of_a_thousand_mail_servers_ten_are_asked() -> None:
    dns = Table({("a.test", "MX"): [MX(n, f"h{n}.test") for n in range(1000)]})
    dns.walk(mail_servers(Mx("a.test")))
    assert len(dns.asked) == 1 + 20


def test_mail_servers_that_are_silent_are_a_failure_if_nothing_else_is_known() -> None:
    some = {("a.test", "MX"): [MX(1, "b.test")], ("b.test", "A"): Failure.TIMEOUT}
    answer, _ = Table(some).walk(mail_servers(Mx("a.test")))  # type: ignore[arg-type]
    assert isinstance(answer, LookupFailed)
    more = {**some, ("b.test", "AAAA"): ["2001:db8::1"]}
    answer, seconds = Table(more).walk(mail_servers(Mx("a.test")))  # type: ignore[arg-type]
    assert (answer, seconds) == (("2001:db8::1",), 1.0)
    answer, _ = Table({("a.test", "MX"): Failure.SERVFAIL}).walk(mail_servers(Mx("a.test")))
    assert isinstance(answer, LookupFailed)


def test_a_backslash_in_a_domain_is_a_character_of_it() -> None:
    dns = Table({})
    dns.walk(mail_servers(Mx("a\\.test")))
    assert dns.asked == [("a\\\\.test", "MX")]


# ---- over a resolver and a server


def test_all_of_it_over_a_server_on_loopback(world: World) -> None:
    def script() -> Script:
        zone = Zone(
            "test.",
            "mx 60 A 192.0.2.1\nmx 60 AAAA 2001:db8::7\na 60 MX 10 mx\n"
            f"{NIBBLES}.dyn 60 A 127.0.0.10\n",
        )
        reverse = Zone("ip6.arpa.", f"{NIBBLES} 60 PTR mx.test.")

        def replies(query: object, over_tcp: bool) -> list[bytes]:
            name = query.question[0].name  # type: ignore[attr-defined]
            return (reverse if name.is_subdomain(reverse.origin) else zone)(query, over_tcp)  # type: ignore[arg-type]

        asked = Asked(world, ZoneServer(world, replies), LISTS)
        assert (yield from asked(HostName(CLIENT6))) == "mx.test"
        assert (yield from asked(Dnsrbl("dyn", CLIENT6))) is True
        assert (yield from asked(Dnsrbl("dyn", "192.0.2.1"))) is False
        assert (yield from asked(Mx("a.test"))) == ("192.0.2.1", "2001:db8::7")

    world.play(script())


@pytest.mark.parametrize("question", [HostName(CLIENT), Dnsrbl("dyn", CLIENT), Mx("a.test")])
def test_a_server_that_fails_or_is_silent_is_a_failed_look_up(
    world: World, clock: FakeClock, question: HostName | Dnsrbl | Mx
) -> None:
    def script() -> Script:
        for replies in (failing(), silent):
            server = ZoneServer(world, replies)
            asked = Asked(world, server, LISTS)
            asked.put(question)
            yield from world.until(partial(len, server.asked))
            clock.advance(1.5)
            (found,) = yield from asked.found()
            assert isinstance(found.answer, LookupFailed)

    world.play(script())


def test_a_thousand_pointers_with_odd_names_from_a_server(world: World) -> None:
    def script() -> Script:
        lines = [f"7.2.0.192.in-addr.arpa. 60 IN PTR o\\000\\010{n}.test." for n in range(1000)]
        server = ZoneServer(world, saying(*lines))
        assert (yield from Asked(world, server)(HostName(CLIENT))) == ""
        assert {kind for _, kind, _ in server.asked} == {"PTR"}

    world.play(script())


def test_a_resolver_says_that_it_failed_before_it_is_given_up() -> None:
    made = resolver_for([("192.0.2.1", 53)], 3.0)
    assert made.settings.patience < 3.0
    assert 2 * made.settings.timeout <= made.settings.patience
    assert resolver_for([], 3.0).servers is None
