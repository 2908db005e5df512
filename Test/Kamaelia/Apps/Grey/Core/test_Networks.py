"""Networks: membership by number, IPv4-mapped addresses folded, frozen."""

import copy
import doctest
import pickle
import sys
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Core.Networks import Address, Network, Networks, ipv4_number, parsed


def networks(*texts: str) -> Networks:
    return Networks(ip_network(text) for text in texts)


@st.composite
def any_network(draw: st.DrawFn) -> Network:
    if draw(st.booleans()):
        number, length = draw(st.integers(0, 2**32 - 1)), draw(st.integers(0, 32))
        return IPv4Network((number, length), strict=False)
    number, length = draw(st.integers(0, 2**128 - 1)), draw(st.integers(0, 128))
    return IPv6Network((number, length), strict=False)


@st.composite
def network_and_address(draw: st.DrawFn) -> tuple[list[Network], Address]:
    """Some networks, and an address that lies in or just outside one of them half of the time."""
    some = draw(st.lists(any_network(), max_size=8))
    if some and draw(st.booleans()):
        near = draw(st.sampled_from(some))
        edge = draw(st.sampled_from([near.network_address, near.broadcast_address]))
        number = int(edge) + draw(st.integers(-1, 1))
        if 0 <= number < 2**near.max_prefixlen:
            return some, type(edge)(number)
    return some, draw(st.ip_addresses())


@given(network_and_address())
def test_membership_is_that_of_any_of_the_networks(sample: tuple[list[Network], Address]) -> None:
    some, address = sample
    folded = getattr(address, "ipv4_mapped", None) or address
    mapped = ip_network("::ffff:0:0/96")
    expected = any(
        folded in network
        or (network.version == 6 and network.subnet_of(mapped) and address in network)
        for network in some
    )
    assert (address in Networks(some)) is expected
    assert (str(address) in Networks(some)) is expected


@given(st.lists(any_network(), max_size=6))
def test_order_and_repetition_of_the_networks_do_not_matter(some: list[Network]) -> None:
    one, other = Networks(some), Networks(some[::-1] + some)
    assert one == other
    assert hash(one) == hash(other)
    assert list(one) == list(other)
    assert Networks(one) == one


def test_a_network_is_no_text_prefix() -> None:
    ours = networks("192.168.2.0/24")
    assert "192.168.2.255" in ours
    assert "192.168.20.1" not in ours
    assert "192.168.200.1" not in ours


@pytest.mark.parametrize("form", ["::ffff:10.1.2.3", "::ffff:a01:203", "::FFFF:0A01:0203"])
def test_ipv4_clients_of_an_ipv6_socket_are_found_in_ipv4_networks(form: str) -> None:
    assert form in networks("10.0.0.0/8")
    assert IPv6Address(form) in networks("10.0.0.0/8")
    assert form not in networks("11.0.0.0/8")


def test_an_ipv4_mapped_network_is_the_ipv4_network() -> None:
    folded = networks("::ffff:10.0.0.0/104")
    assert folded == networks("10.0.0.0/8")
    assert "10.9.9.9" in folded
    assert networks("::ffff:0:0/96") == networks("0.0.0.0/0")


def test_a_network_around_the_mapped_range_stays_ipv6() -> None:
    assert list(networks("::/64")) == [ip_network("::/64")]


def test_the_shortest_and_the_longest_prefixes_work() -> None:
    assert "203.0.113.9" in networks("0.0.0.0/0")
    assert "2001:db8::1" not in networks("0.0.0.0/0")
    assert "2001:db8::1" in networks("::/0")
    assert "2001:db8::1" in networks("2001:db8::1/128")
    assert "2001:db8::2" not in networks("2001:db8::1/128")


@pytest.mark.parametrize(
    "garbage",
    ["", "mail.example.org", "10.0.0", "10.0.0.1/8", "10.0.0.1 ", "1" * 65, "::1" + "0" * 100_000],
)
def test_what_is_no_address_is_in_no_network(garbage: str) -> None:
    assert garbage not in networks("0.0.0.0/0", "::/0")


@pytest.mark.parametrize("thing", [None, 5, b"10.0.0.1", ip_network("10.0.0.0/8")])
def test_other_types_are_in_no_network(thing: object) -> None:
    assert thing not in networks("0.0.0.0/0", "::/0")


def test_a_zone_id_does_not_hide_an_address() -> None:
    assert "fe80::1%eth0" in networks("fe80::/10")


def test_a_text_longer_than_any_address_is_not_parsed() -> None:
    assert "fe80::1%" + "e" * 57 not in networks("fe80::/10")


def test_the_empty_set_contains_nothing() -> None:
    assert "127.0.0.1" not in Networks()
    assert len(Networks()) == 0
    assert not Networks()


def test_iteration_goes_from_ipv4_to_ipv6_and_from_low_to_high() -> None:
    mixed = networks("2001:db8::/32", "10.0.0.0/16", "9.0.0.0/8", "10.0.0.0/8", "::1/128")
    assert [str(network) for network in mixed] == [
        "9.0.0.0/8",
        "10.0.0.0/8",
        "10.0.0.0/16",
        "::1/128",
        "2001:db8::/32",
    ]
    assert len(mixed) == 5


def test_equal_sets_are_equal_and_nothing_else_is() -> None:
    assert networks("10.0.0.0/8") != networks("10.0.0.0/9")
    assert networks("10.0.0.0/8") != frozenset([ip_network("10.0.0.0/8")])


def test_it_is_frozen() -> None:
    ours = networks("10.0.0.0/8")
    with pytest.raises(AttributeError, match="frozen"):
        ours._members = frozenset()
    with pytest.raises(AttributeError, match="frozen"):
        del ours._members
    assert "10.0.0.1" in ours


def test_copies_are_equal() -> None:
    ours = networks("10.0.0.0/8", "2001:db8::/32")
    assert copy.deepcopy(ours) == ours
    assert pickle.loads(pickle.dumps(ours)) == ours  # noqa: S301 - our own bytes


def test_repr_is_bounded() -> None:
    assert repr(Networks()) == "<Networks none>"
    assert repr(networks("10.0.0.0/8")) == "<Networks 10.0.0.0/8>"
    many = Networks(IPv4Network((n << 8, 24)) for n in range(1000))
    assert repr(many).endswith("0.0.4.0/24, ... 995 more>")
    assert len(repr(many)) < 200


def test_fifty_thousand_networks_need_one_lookup_a_prefix_length() -> None:
    many = Networks(IPv4Network((n << 8, 24)) for n in range(50_000))
    assert [len(table) for table in many._tables.values()] == [1, 0]
    assert IPv4Address(49_999 << 8) in many
    assert ip_address(50_000 << 8) not in many


def test_the_example_in_the_docstring_is_true() -> None:
    result = doctest.testmod(sys.modules[Networks.__module__])
    assert result.attempted >= 4
    assert result.failed == 0


def test_answers_are_kept_and_there_is_an_end_to_them() -> None:
    ours = Networks([ip_network("10.0.0.0/16")])
    for number in range(3 * 4096):
        text = f"10.{number >> 8}.{number & 255}.1"
        assert (text in ours) is (text in ours) is (number < 256)
        assert len(ours._answers) <= 4096
    assert "x" * 65 not in ours
    assert "x" * 65 not in ours._answers


@pytest.mark.parametrize(
    "text",
    [
        *("192.0.2.1", "255.255.255.255", "01.2.3.4", "1.2.3.256", "1.2.3", "1.2.3.4.5", "", "..."),
        *("1.2.3.4 ", " 1.2.3.4", "1.2.3.-4", "1.2.3.+4", "1.2.3.4%eth0", "1_0.2.3.4", "1..2.3"),
        *("\u0661.2.3.4", "1.2.3.\xb2", "1.2.3.4\n", "0x1.2.3.4", "::ffff:1.2.3.4"),
    ],
)
def test_the_short_way_to_an_ipv4_address_takes_what_ipaddress_takes(text: str) -> None:
    assert ipv4_number(text) == number_by_ipaddress(text)


@given(st.text("0129.", max_size=16) | st.ip_addresses(v=4).map(str))
def test_the_short_way_to_an_ipv4_address_agrees_with_ipaddress(text: str) -> None:
    number = ipv4_number(text)
    assert number == number_by_ipaddress(text)
    if number is not None:
        assert parsed(text) == IPv4Address(text)


def number_by_ipaddress(text: str) -> int | None:
    try:
        return int(IPv4Address(text))
    except ValueError:
        return None
