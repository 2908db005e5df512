"""
What a resolver is told by those who run it
===========================================
>>> servers_of("nameserver 192.0.2.1\\nsearch example.org\\nnameserver fe80::1%eth0\\n")
(('192.0.2.1', 53), ('fe80::1%eth0', 53))
>>> servers_of("")
(('127.0.0.1', 53),)

Of resolv.conf only the lines with "nameserver" count, and of these as many as `SERVERS_LIMIT`. A
list to "search" does not: a program that adds domains to the names it is given asks for names that
nobody wrote. "options" are those of the system's own resolver; ours has `Settings`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address

Server = tuple[str, int]  # address and port

PORT = 53
SERVERS_LIMIT = 8


@dataclass(frozen=True, slots=True)
class Settings:
    """Times in seconds; the limits are numbers of questions, look-ups and outcomes."""

    timeout: float = 2.0  # for one server, once
    rounds: int = 2  # how often the list of servers is gone through
    patience: float = 8.0  # for one look-up, whatever happens
    rest: float = 30.0  # a server that was silent is asked after the others for so long
    in_flight_limit: int = 200  # look-ups at once; each has a socket
    waiting_limit: int = 10_000  # questions without an answer; more are OVERLOADED
    cache_limit: int = 10_000
    longest_ttl: float = 86_400.0
    longest_negative_ttl: float = 3_600.0  # RFC 2308 section 5: one to three hours work well
    failure_ttl: float = 2.0  # RFC 9520: what failed is not asked again at once
    mix_case: bool = False  # "0x20": capitals at random, which a forger has to guess as well

    def __post_init__(self) -> None:
        for name in ("timeout", "rounds", "patience", "in_flight_limit", "waiting_limit"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} of a resolver must be more than 0")


def checked(servers: Iterable[Server]) -> tuple[Server, ...]:
    """The same, if they are numeric addresses and ports, and there is one. Raises ValueError."""
    found = tuple(servers)[:SERVERS_LIMIT]
    for host, port in found:
        ip_address(host.partition("%")[0])
        if not 0 < port < 65_536:
            raise ValueError(f"no port of a name server: {port}")
    if not found:
        raise ValueError("a resolver needs a name server")
    return found


def servers_of(resolv_conf: str) -> tuple[Server, ...]:
    """The servers in the text of a resolv.conf; without any, the one on this machine."""
    found: list[Server] = []
    for line in resolv_conf.splitlines():
        match line.split():
            case ["nameserver", host, *_] if _is_address(host):
                found.append((host, PORT))
    return tuple(found[:SERVERS_LIMIT]) or (("127.0.0.1", PORT),)


def _is_address(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
