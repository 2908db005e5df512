"""What resolv.conf says, and what no resolver can be told."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Support.Protocol.DNS.Settings import (
    SERVERS_LIMIT,
    Server,
    Settings,
    checked,
    servers_of,
)

LOCAL = ("127.0.0.1", 53)


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        (
            "nameserver 192.0.2.1\nnameserver 2001:db8::1\n",
            [("192.0.2.1", 53), ("2001:db8::1", 53)],
        ),
        ("  nameserver\t192.0.2.1  # near\n", [("192.0.2.1", 53)]),
        ("nameserver fe80::1%eth0\n", [("fe80::1%eth0", 53)]),
        ("#nameserver 192.0.2.1\n;nameserver 192.0.2.1\n", [LOCAL]),
        ("nameserver ns.example.org\nnameserver\noptions ndots:5\nsearch a.org", [LOCAL]),
        ("", [LOCAL]),
    ],
)
def test_the_servers_of_a_resolv_conf(text: str, servers: list[Server]) -> None:
    assert servers_of(text) == tuple(servers)


def test_no_more_servers_than_anybody_waits_for() -> None:
    text = "".join(f"nameserver 192.0.2.{i}\n" for i in range(100))
    assert len(servers_of(text)) == SERVERS_LIMIT
    assert checked([("192.0.2.1", i + 1) for i in range(100)]) == tuple(
        ("192.0.2.1", i + 1) for i in range(SERVERS_LIMIT)
    )


@settings(max_examples=50)
@given(st.text(alphabet="nameserver \n\t10.:%#\x00é", max_size=100))
def test_whatever_the_file_says_there_is_a_server(text: str) -> None:
    servers = servers_of("nameserver " + text)
    assert checked(servers) == servers


@pytest.mark.parametrize(
    "servers", [[], [("ns.example.org", 53)], [("192.0.2.1", 0)], [("192.0.2.1", 65_536)]]
)
def test_what_is_no_server_is_refused(servers: list[Server]) -> None:
    with pytest.raises(ValueError, match=r"server|address"):
        checked(servers)


@pytest.mark.parametrize(
    "name", ["timeout", "rounds", "patience", "in_flight_limit", "waiting_limit"]
)
def test_a_resolver_that_could_never_answer_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Settings(**{name: 0})  # type: ignore[arg-type]
