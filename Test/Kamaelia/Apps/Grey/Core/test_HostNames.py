"""HostNames: names of lines and names of servers."""

import doctest
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Core.HostNames import looks_dynamic, looks_like_a_name


@pytest.mark.parametrize(
    ("name", "client"),
    [
        ("p5489ab12.dip0.t-ipconnect.example", "84.137.171.18"),
        ("192-0-2-7.pool.example.net", "192.0.2.7"),
        ("7.2.0.192.rev.example.net", "192.0.2.7"),
        ("host-7-2-0-192.isp.example", "192.0.2.7"),  # backwards
        ("static.192.000.002.007.isp.example", "192.0.2.7"),
        ("xc0000207.isp.example.net", "192.0.2.7"),
        ("host192000002007.isp.example", "192.0.2.7"),
        ("dsl.example.example.net", "198.51.100.1"),
        ("ADSL7-mail.example.net.", "198.51.100.1"),
        ("2001-db8-0000-0000-0000-0000-0000-0007.isp.example.net", "2001:db8::7"),
        ("h02005efffe000253.isp.example.net", "2001:db8::200:5eff:fe00:253"),
    ],
)
def test_a_line_has_its_address_in_its_name_or_a_word_that_says_so(name: str, client: str) -> None:
    assert looks_dynamic(name, client)


@pytest.mark.parametrize(
    ("name", "client"),
    [
        ("mail-wr1-f41.google.com", "209.85.221.41"),
        ("mx.example.net", "192.0.2.7"),
        ("example.net", "192.0.2.7"),
        ("dsl.example", "192.0.2.7"),  # that is the organisation
        ("", "192.0.2.7"),
        ("mail-192-0-2-7.example.net", "192.0.2.7"),
        ("mta-192-0-2-7.out.example.net", "192.0.2.7"),
        ("a192-0-2.cluster9.example.net", "192.0.2.7"),
        ("192-0-2-7.isp.example.net", "192.0.2.8"),
        ("192-0-2-7.isp.example.net", "no address"),
        ("a7-12.smtp-out.amazonses.com", "54.240.7.12"),
        ("h7.isp.example.net", "2001:db8::7"),
        ("a1234-000-002-007.isp.example.net", "10.0.2.7"),
    ],
)
def test_a_server_has_not(name: str, client: str) -> None:
    assert not looks_dynamic(name, client)


@pytest.mark.parametrize(
    ("helo", "is_name"),
    [
        ("mx.example.net", True),
        ("MX.example.net.", True),
        ("my_host.example.net", True),
        ("localhost", False),
        ("", False),
        ("[192.0.2.7]", False),
        ("192.0.2.7", False),
        ("mx..example.net", False),
        ("mx .example.net", False),
        ("m\u00fc.example.net", False),
        ("-.example", False),
        (f"{'a' * 64}.example.net", False),
        ("a." * 127 + "net", False),
        ("ab." * 100 + "net", False),
    ],
)
def test_a_helo_is_a_name_or_not(helo: str, is_name: bool) -> None:
    assert looks_like_a_name(helo) is is_name


odd = st.text(st.characters(), max_size=300)


@given(odd, odd | st.ip_addresses().map(str))
@example("1-" * 5000 + ".a.b", "1.1.1.1")
@example("\u0665.\u00b2.a.b.c", "1.1.1.1")
def test_any_text_will_do(name: str, client: str) -> None:
    looks_dynamic(name, client)
    looks_like_a_name(name)


@given(st.ip_addresses(v=4).map(str), st.sampled_from("-._"), st.booleans())
def test_an_address_is_found_however_it_is_written(
    client: str, between: str, backwards: bool
) -> None:
    octets = client.split(".")
    host = between.join(octets[::-1] if backwards else octets)
    assert looks_dynamic(f"h{between}{host}.isp.example.net", client)


def test_the_example_in_the_docstring_is_true() -> None:
    result = doctest.testmod(sys.modules[looks_dynamic.__module__])
    assert result.attempted
    assert not result.failed
