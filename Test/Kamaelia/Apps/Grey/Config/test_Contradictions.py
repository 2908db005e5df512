"""Contradictions: what two settings say together is noticed, with the names of those to blame."""

from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Config.Contradictions import LEAST_MEMORY, contradictions
from Kamaelia.Apps.Grey.Config.Loader import ConfigError, loads
from Kamaelia.Apps.Grey.Config.Schema import SETTINGS, Config
from Kamaelia.Apps.Grey.Config.Sockets import Place
from Kamaelia.Apps.Grey.Core.Access.Definitions import Definitions
from Kamaelia.Apps.Grey.Core.Modes import LogTo, ServerTLS
from Kamaelia.Apps.Grey.Core.Networks import Networks
from Kamaelia.Apps.Grey.FrontDoor.Backends import BackendRule, Backends

SOME = Networks([ip_network("192.0.2.0/24")])
PEERS = (("192.0.2.2", 3),)
MILTER = Place(host="127.0.0.1", port=8891)
STAT = Definitions(stat=(">> /x", "%i"))
CERTIFICATE = Path("/etc/ssl/mail.pem")
BAD: dict[str, tuple[dict[str, Any], str, str]] = {  # settings -> first name, words of the message
    "log": ({"log_to": LogTo.FILE}, "log_to", "there is none"),
    "reserve": ({"reserved_connections": 1000}, "reserved_connections", "all connections"),
    "for_nobody": ({"reserved_connections": 5}, "reserved_connections", "for nobody"),
    "workers": ({"workers": 4, "max_connections": 3}, "workers", "more workers"),
    "memory": ({"memory_limit": LEAST_MEMORY - 1}, "memory_limit", "nobody could get in"),
    "memory_each": ({"memory_limit": 2 * LEAST_MEMORY, "workers": 3}, "memory_limit", "192M"),
    "no_line": (
        {"backends": (("192.0.2.1", 25, 1, "a.example"),), "allowed_domains": frozenset(["b.io"])},
        "backends",
        'no line is for "b.io"',
    ),
    "ca": ({"backend_tls_ca": CERTIFICATE}, "backend_tls_ca", "nobody looks"),
    "ca_unused": (
        {"backend_tls_ca": CERTIFICATE, "backend_tls": ServerTLS.REQUIRE},
        "backend_tls_ca",
        "nobody looks",
    ),
    "name": ({"backend_tls_name": "mail.example.org"}, "backend_tls_name", "not encrypted"),
    "tls_port": ({"tls_port": 465}, "tls_certificate", "no certificate"),
    "tls_key": ({"tls_key": CERTIFICATE}, "tls_certificate", "no certificate"),
    "tls_names": (
        {"tls_names": (("a.example", CERTIFICATE, CERTIFICATE),)},
        "tls_certificate",
        "no certificate",
    ),
    "same_port": ({"tls_port": 25, "tls_certificate": CERTIFICATE}, "tls_port", "are the same"),
    "twice": (
        {"tls_names": (("a.io", CERTIFICATE, CERTIFICATE),) * 2, "tls_certificate": CERTIFICATE},
        "tls_names",
        'several certificates for "a.io"',
    ),
    "files": (
        {"greylist_log": Path("/x"), "greylist_debuglog": Path("/x")},
        "greylist_debuglog",
        "are the same file",
    ),
    "key_as_log": (
        {"greylist_log": CERTIFICATE, "tls_certificate": CERTIFICATE},
        "tls_certificate",
        "are the same file",
    ),
    "log_as_database": (
        {"database": Path("/x/db"), "greylist_log": Path("/x/./db")},
        "greylist_log",
        "greylist_log and database are the same file (/x/db)",
    ),
    "dump_as_database": (
        {"database": Path("/x/db"), "dumpfile": Path("/y/../x/db")},
        "dumpfile",
        "dumpfile and database are the same file (/x/db)",
    ),
    "expected_as_wal": (
        {"database": Path("/x/db"), "expect_file": Path("/x/db-wal")},
        "expect_file",
        "are the same file (/x/db-wal)",
    ),
    "networks_as_shm": (
        {"database": Path("/x/db"), "big_senders_file": Path("/x/db-shm")},
        "big_senders_file",
        "are the same file (/x/db-shm)",
    ),
    "socket_as_database": (
        {"database": Path("/x/db"), "socket": Place("//x/db")},
        "socket",
        "socket and database are the same file (/x/db)",
    ),
    "policy_as_pid": (
        {"policy_socket": Place("/run/x"), "pid_file": Path("/run/x")},
        "policy_socket",
        "policy_socket and pid_file are the same file",
    ),
    "dump_as_expected": (
        {"dumpfile": Path("/x"), "expect_file": Path("/x")},
        "expect_file",
        "expect_file and dumpfile are the same file",
    ),
    "dump_as_stat": (
        {"dumpfile": Path("/x"), "definitions": STAT},
        "dumpfile",
        "stat and dumpfile are the same file",
    ),
    "socket_as_list": (
        {"socket": Place("/x"), "postgrey_whitelist_clients": (Path("/x"),)},
        "postgrey_whitelist_clients",
        "postgrey_whitelist_clients and socket are the same file",
    ),
    "log_as_own": (
        {"greylist_log": Path("/x"), "before_decider": ((Path("/x"), "Own"),)},
        "before_decider",
        "before_decider and greylist_log are the same file",
    ),
    "doors_at_one_file": (
        {"socket": Place("/a/x"), "policy_socket": Place("/a/../a/x")},
        "policy_socket",
        "policy_socket and socket are both unix:/a/x",
    ),
    "source_of_other_family": (
        {"peers": (*PEERS, ("mx2.example.org", 3)), "syncsrcaddr": "::1"},
        "syncsrcaddr",
        "of IPv6, from where no peer with an address can be called",
    ),
    "source_of_old_family": (
        {"peers": (("2001:db8::1", 3),), "syncsrcaddr": "192.0.2.1"},
        "syncsrcaddr",
        "of IPv4, from where no",
    ),
    "circle": ({"smtp_port": 25}, "smtp_port", "in circles"),
    "circle_by_tls": (
        {"smtp_port": 465, "tls_port": 465, "tls_certificate": CERTIFICATE},
        "smtp_port",
        "in circles",
    ),
    "milter_at_mail": (
        {"listen": ("0.0.0.0",), "socket": MILTER, "port": 8891},  # noqa: S104
        "socket",
        "where mail is taken: inet:8891@127.0.0.1",
    ),
    "peers_at_mail": (
        {"peers": PEERS, "listen": ("127.0.0.1",), "port": 5252},
        "syncaddr",
        "where mail is taken: *:5252",
    ),
    "peers_at_milter": (
        {"peers": PEERS, "socket": MILTER, "syncaddr": ("0.0.0.0", 8891)},  # noqa: S104
        "syncaddr",
        "syncaddr and socket are both port 8891",
    ),
    "policy_at_milter": (
        {"socket": MILTER, "policy_socket": MILTER},
        "policy_socket",
        "are both inet:8891@127.0.0.1",
    ),
    "circle_of_several": (
        {"backends": (("192.0.2.1", 25, 1, "*"), ("::1", 25, 2, "*"), ("::1", 25, 2, ".org"))},
        "backends",
        "::1 port 25 is where we listen",
    ),
}
GOOD: dict[str, dict[str, Any]] = {
    "defaults": {},
    "window": {"retry_window": 1},  # it begins when the delay is over
    "log": {"log_to": LogTo.FILE, "greylist_debuglog": Path("/var/log/grey.log")},
    "reserve": {"reserved_connections": 999, "reserved_networks": SOME},
    "no_reserve": {"reserved_networks": SOME},
    "workers": {"workers": 4, "max_connections": 4},
    "memory": {"memory_limit": 2 * LEAST_MEMORY, "workers": 2},
    "ca": {"backend_tls_ca": CERTIFICATE, "backend_tls": ServerTLS.VERIFY},
    "name": {"backend_tls_name": "mail.example.org", "backend_tls": ServerTLS.REQUIRE},
    "tls_port": {"tls_port": 465, "tls_certificate": CERTIFICATE},
    "one_file": {"tls_key": CERTIFICATE, "tls_certificate": CERTIFICATE},
    "nothing": {"greylist_log": Path("/dev/null"), "greylist_debuglog": Path("/dev/null")},
    "no_file": {"greylist_log": Path("|/x"), "definitions": Definitions(stat=("|/x", "%i"))},
    "beside_it": {"database": Path("/x"), "socket": Place("/x-old"), "dumpfile": Path("x")},
    "both_families": {"peers": (*PEERS, ("::1", 3)), "syncsrcaddr": "::1"},
    "any_source": {"peers": (("::1", 3),), "syncsrcaddr": "*"},
    "named_peers": {"peers": (("mx2.example.org", 3),), "syncsrcaddr": "::1"},
    "no_peers": {"listen": ("127.0.0.1",), "port": 5252},
    "other_family": {"peers": PEERS, "socket": MILTER, "syncaddr": ("::", 8891)},
    "other_address": {"peers": PEERS, "socket": MILTER, "syncaddr": ("127.0.0.2", 8891)},
    "not_used": {"smtp_port": 25, "backends": (("192.0.2.1", 25, 1, "*"),)},
}


@pytest.mark.parametrize("name", BAD)
def test_a_contradiction_is_told_once_with_a_cure(name: str) -> None:
    values, first, words = BAD[name]
    ((names, message, cure),) = contradictions(Config(**values))
    assert names[0] == first
    assert set(names) <= set(SETTINGS)
    assert words in message
    assert cure


@pytest.mark.parametrize("name", BAD)
def test_it_is_gone_with_those_that_are_named_at_their_defaults(name: str) -> None:
    """The reader relies on it: so one of them stands in the file."""
    values, _, _ = BAD[name]
    ((names, _, _),) = contradictions(Config(**values))
    rest = {key: value for key, value in values.items() if key not in names}
    assert rest != values
    assert list(contradictions(Config(**rest))) == []


def test_a_statement_that_goes_ill_with_a_default_is_told_without_a_line() -> None:
    with pytest.raises(ConfigError) as raised:
        loads(f'stat ">{Config().database}" "%i"', "x.conf")
    (problem,) = raised.value.problems
    assert str(problem).startswith("x.conf: stat and database are the same file")


@pytest.mark.parametrize("name", GOOD)
def test_nothing_is_said_of_what_fits_together(name: str) -> None:
    assert list(contradictions(Config(**GOOD[name]))) == []


@pytest.mark.parametrize(
    ("listen", "server", "circle"),
    [
        (("0.0.0.0",), "127.0.0.1", True),  # noqa: S104 - compared
        (("::",), "::1", True),
        (("::",), "127.0.0.2", True),
        (("192.0.2.1",), "192.0.2.1", True),
        (("192.0.2.1",), "127.0.0.1", False),
        (("192.0.2.1", "::"), "192.0.2.2", False),
        (("127.0.0.1",), "0.0.0.0", True),  # noqa: S104 - compared
        (("::1",), "::", True),
    ],
)
def test_mail_that_goes_round_in_circles_is_noticed(
    listen: tuple[str, ...], server: str, circle: bool
) -> None:
    config = Config(listen=listen, port=25, smtp_ip=server, smtp_port=25)
    assert bool(list(contradictions(config))) is circle
    assert list(contradictions(replace(config, smtp_port=26))) == []


NAMES = st.sampled_from(["a.org", ".a.org", "b.a.org", ".b.a.org", "c.b.a.org", "org", "*", "x.io"])


@settings(max_examples=50)
@given(st.sets(NAMES, min_size=1), st.sets(NAMES.filter(lambda name: name != "*"), min_size=1))
def test_a_domain_without_a_server_is_what_the_servers_do_not_serve(
    served: set[str], ours: set[str]
) -> None:
    backends = Backends(
        [BackendRule("192.0.2.1", 25, domains=tuple(served))], lambda rule: rule.host, lambda: 0.5
    )
    # A domain with a leading dot is it, and any below it.
    wanted = {
        name
        for domain in ours
        for name in ((domain[1:], "any" + domain) if domain[0] == "." else (domain,))
    }
    config = Config(
        backends=tuple(("192.0.2.1", 25, 1, domain) for domain in served),
        allowed_domains=frozenset(ours),
    )
    complete = all(backends.serves(name) for name in wanted)
    assert complete is (list(contradictions(config)) == [])
