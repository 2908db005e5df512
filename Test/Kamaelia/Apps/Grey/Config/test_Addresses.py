"""Addresses: networks are numbers, domains are whole, patterns fit whole fields."""

from ipaddress import IPv4Network, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Config.Addresses import (
    address,
    certificate_name,
    domain,
    domain_or_any,
    front_network,
    helo_pattern,
    host_name,
    mail_pattern,
    network,
    network_or_any,
    relaying_network,
)
from Kamaelia.Apps.Grey.Config.Values import BadValueError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("::", "::"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
    ],
)
def test_an_address_has_one_spelling(text: str, value: str) -> None:
    assert address(text) == value


@pytest.mark.parametrize(
    ("text", "cure"),
    [
        ("mail.example.org", "in numbers"),
        ("", "in numbers"),
        ("10.0.0.256", "in numbers"),
        ("010.0.0.1", "in numbers"),
        ("10.0.0.0/8", "a network belongs to"),
        ("fe80::1%eth0", "without %"),
    ],
)
def test_what_is_no_address_is_refused(text: str, cure: str) -> None:
    with pytest.raises(BadValueError) as raised:
        address(text)
    assert cure in raised.value.cure


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("192.168.2", "192.168.2.0/24"),
        ("192.168.2.", "192.168.2.0/24"),
        ("172.16.", "172.16.0.0/16"),
        ("10", "10.0.0.0/8"),
        ("10.", "10.0.0.0/8"),
        ("10/8", "10.0.0.0/8"),
        ("192.168.2/23", "192.168.2.0/23"),
        ("192.168.*", "192.168.0.0/16"),
        ("10.*.*.*", "10.0.0.0/8"),
        ("192.0.2.1", "192.0.2.1/32"),
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("2001:db8::1", "2001:db8::1/128"),
        ("0.0.0.0/0", "0.0.0.0/0"),
    ],
)
def test_a_network_may_be_its_first_octets(text: str, value: str) -> None:
    assert network(text) == ip_network(value)


@given(st.lists(st.integers(0, 255), min_size=1, max_size=3), st.booleans())
def test_first_octets_are_whole_octets(octets: list[int], dot: bool) -> None:
    found = network(".".join(map(str, octets)) + "." * dot)
    assert isinstance(found, IPv4Network)
    assert found.prefixlen == 8 * len(octets)
    assert list(found.network_address.packed[: len(octets)]) == octets


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        "10.0.0.300/8",
        "192.168.300",
        "192.168.02",
        "1.2.3.4.5",
        "10.0.0.0/33",
        "10.0.0.0/",
        "10.0.0.0/+8",
        "10.0.0.0/255.0.0.0",
        "10.0.0.0/8/8",
        "10.0.0.0/٨",
        "2001:db8:",
        "2001:db8::/129",
        "example.org",
        "10" + ".*" * 100_000,
        "10" + ".*" * 100_000 + "x",
    ],
    ids=lambda text: text[:20],
)
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(BadValueError, match="is not a network") as raised:
        network(text)
    assert "192.0.2.0/24" in raised.value.cure
    assert len(str(raised.value)) < 100


@pytest.mark.parametrize(
    ("text", "either", "other"),
    [
        ("192.0.2.5/24", "192.0.2.0/24", "192.0.2.5"),
        ("192.168.2/16", "192.168.0.0/16", "192.168.2.0"),
        ("2001:db8::1/32", "2001:db8::/32", "2001:db8::1"),
    ],
)
def test_bits_behind_the_prefix_are_a_question(text: str, either: str, other: str) -> None:
    with pytest.raises(BadValueError, match="bits set behind") as raised:
        network(text)
    assert raised.value.cure == f"write {either} for the network, or {other} for the one address"


@pytest.mark.parametrize("text", ["0.0.0.0/0", "::/0", "0/0"])
def test_nobody_relays_for_the_whole_internet(text: str) -> None:
    with pytest.raises(BadValueError, match="open relay"):
        relaying_network(text)


def test_other_networks_may_relay() -> None:
    assert relaying_network("10") == ip_network("10.0.0.0/8")


@pytest.mark.parametrize("text", ["0.0.0.0/0", "::/0", "0/0"])
def test_nobody_believes_the_whole_internet_who_its_clients_are(text: str) -> None:
    with pytest.raises(BadValueError, match="pretend to be anybody") as raised:
        front_network(text)
    assert "servers of your own" in raised.value.cure


def test_other_networks_may_be_fronts() -> None:
    assert front_network("192.0.2.80") == ip_network("192.0.2.80/32")
    assert front_network("2001:db8::/64") == ip_network("2001:db8::/64")


def test_an_asterisk_is_any_client() -> None:
    everybody = network_or_any("*")
    assert "203.0.113.7" in everybody
    assert "2001:db8::7" in everybody


def test_a_client_may_be_a_network() -> None:
    some = network_or_any("192.0.2")
    assert "192.0.2.7" in some
    assert "192.0.20.7" not in some


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("mail.example.org", "mail.example.org"),
        ("Mail.Example.ORG.", "mail.example.org"),
        ("a", "a"),
    ],
)
def test_a_host_name_is_lower_case_without_its_last_dot(text: str, value: str) -> None:
    assert host_name(text) == value


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not a host name"),
        ("-a.example", "not a host name"),
        ("a b", "not a host name"),
        (".example.org", "not a host name"),
        ("a" * 64, "not a host name"),
        ("größe.example", "not ASCII"),
    ],
)
def test_what_is_no_host_name_is_refused(text: str, why: str) -> None:
    with pytest.raises(BadValueError, match=why):
        host_name(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Example.ORG", "example.org"),
        (".Example.org", ".example.org"),
        ("example.org.", "example.org"),
        ("localhost", "localhost"),
        ("_x.example.org", "_x.example.org"),
        ("GRÖSSE.example", "grösse.example"),
        ("xn--gre-6ka8i.example", "xn--gre-6ka8i.example"),
        ("[192.0.2.1]", "[192.0.2.1]"),
        ("[IPv6:2001:DB8::1]", "[ipv6:2001:db8::1]"),
        (".".join(["a" * 63] * 3 + ["a" * 61]), ".".join(["a" * 63] * 3 + ["a" * 61])),
    ],
)
def test_a_domain_is_lower_case(text: str, value: str) -> None:
    assert domain(text) == value


@pytest.mark.parametrize(
    ("text", "cure"),
    [
        ("user@example.org", "behind the @"),
        ("@example.org", "behind the @"),
        ("*.example.org", 'write ".example.org"'),
        ("*", "for the domain and its subdomains"),
        ("", "example.org or"),
        (".", "example.org or"),
        ("..example.org", "example.org or"),
        ("example..org", "example.org or"),
        ("example-.org", "example.org or"),
        ("example.org,", "example.org or"),
        ("a" * 64 + ".org", "example.org or"),
        (".".join(["a" * 63] * 4), "example.org or"),
        ("[192.0.2.1", "example.org or"),
        ("[192.0.2.300]", "[192.0.2.1] or"),
        ("[2001:db8::1]", "[192.0.2.1] or"),
        ("[IPv6:192.0.2.1]", "[192.0.2.1] or"),
        ("[]", "[192.0.2.1] or"),
    ],
    ids=lambda text: text[:20],
)
def test_what_is_no_domain_is_refused(text: str, cure: str) -> None:
    with pytest.raises(BadValueError) as raised:
        domain(text)
    assert cure in raised.value.cure


def test_a_server_is_for_a_domain_or_for_all_others() -> None:
    assert domain_or_any("*") == "*"
    assert domain_or_any(".Example.ORG") == ".example.org"
    with pytest.raises(BadValueError, match="no wildcards"):
        domain_or_any("*.example.org")


@pytest.mark.parametrize(
    ("text", "value"),
    [("Mx.Example.net.", "mx.example.net"), ("*.Example.net", "*.example.net")],
)
def test_a_certificate_is_for_a_host_or_for_all_below_a_domain(text: str, value: str) -> None:
    assert certificate_name(text) == value


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("*", "not a host name"),
        ("*.", "not a host name"),
        ("", "not a host name"),
        ("mx.*.example.net", "not a host name"),
        ("*example.net", "not a host name"),
        ("*.*.example.net", r"\*\.\*\.example\.net.* more than one"),
        ("*.größe.example", "not ASCII"),
    ],
)
def test_what_no_certificate_is_for_is_refused(text: str, why: str) -> None:
    with pytest.raises(BadValueError, match=why) as raised:
        certificate_name(text)
    assert raised.value.cure


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Joe@Example.org", "joe@example.org"),
        ("<Joe@Example.org>", "joe@example.org"),
        ("*@example.org", "*@example.org"),
        ("*", "*"),
        ("bounce-*", "bounce-*"),
        ("<>", ""),
        ("", ""),
        ("Postmaster", "postmaster"),
    ],
)
def test_a_mail_pattern_has_no_brackets_and_no_case(text: str, value: str) -> None:
    assert mail_pattern(text) == value


@pytest.mark.parametrize("text", ["joe", "example.org", "<joe", "x" * 321 + "@"])
def test_what_no_mail_address_can_fit_is_refused(text: str) -> None:
    with pytest.raises(BadValueError) as raised:
        mail_pattern(text)
    assert raised.value.cure
    assert len(str(raised.value)) < 150


def test_a_helo_pattern_is_lower_case() -> None:
    assert helo_pattern("*.Example.ORG") == "*.example.org"


@pytest.mark.parametrize("text", ["", "x" * 321])
def test_what_is_no_helo_name_is_refused(text: str) -> None:
    with pytest.raises(BadValueError):
        helo_pattern(text)


@given(st.text(max_size=20))
def test_any_text_is_a_value_or_a_mistake_with_a_cure(text: str) -> None:
    kinds = (address, network, relaying_network, network_or_any, front_network, domain, host_name)
    for kind in (*kinds, domain_or_any, certificate_name):
        try:
            kind(text)
        except BadValueError as error:
            mistake = error
        else:
            continue
        assert mistake.cure
        assert str(mistake).isprintable()
