"""
The networks that an SPF record lets in
=======================================
`networks_of` is a walk (see DnsWalks) from a domain through all that its record includes, to the
networks from which its mail may come. It is for domains that the operator trusts, not for those of
strangers, and reads a record more simply than SPF does:

* Only terms that let in count (`ip4 ip6 a mx include`, `redirect`); one that shuts a part of them
  out again is not looked at, nor is `exists` or `ptr`, nor what has a macro in it.
* A network that is wider than any sender's is left out.
* A record that somebody else's record names and that is not there is left out; the domain's own
  must be there.

>>> terms = Terms.of("v=spf1 ip4:192.0.2.0/24 a:mx.example.net/28 -ip4:10.0.0.0/8 include:b.test")
>>> terms.networks, terms.records
([IPv4Network('192.0.2.0/24')], ['b.test'])
>>> terms.hosts
[Host(kind='A', name='mx.example.net', prefix4=28, prefix6=128)]
"""

import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network

from Kamaelia.Apps.Grey.Core.Access.Questions import LookupFailed
from Kamaelia.Apps.Grey.Lookups.DnsWalks import (
    Address,
    Walk,
    Wanted,
    address_of,
    is_unknown,
    not_known,
    seconds_of,
)
from Kamaelia.Support.Protocol.DNS.Messages import MX, Answer

Network = IPv4Network | IPv6Network

MOST_RECORDS = 100
MOST_NETWORKS = 10_000
MOST_HOSTS = 100  # of `a` and `mx` terms, of all records of a domain
LONGEST_RECORD = 16_384
WIDEST = {4: 8, 6: 16}  # bits of a prefix

_host_term = re.compile(
    r"(a|mx)(?::([A-Za-z0-9._-]{1,253}))?(?:/([0-9]{1,2}))?(?://([0-9]{1,3}))?", re.IGNORECASE
).fullmatch
_name = re.compile(r"[A-Za-z0-9._-]{1,253}").fullmatch


@dataclass(frozen=True, slots=True)
class Host:
    """Of an `a` or `mx` term: kind "A" or "MX"; name "": the record's own domain."""

    kind: str
    name: str
    prefix4: int
    prefix6: int

    def network(self, address: Address) -> Network | None:
        prefix = self.prefix4 if address.version == 4 else self.prefix6
        return _network(f"{address}/{prefix}")


@dataclass(slots=True)
class Terms:
    """What one record lets in."""

    networks: list[Network] = field(default_factory=list)
    hosts: list[Host] = field(default_factory=list)
    records: list[str] = field(default_factory=list)  # of other domains

    @classmethod
    def of(cls, record: str) -> "Terms":
        terms, redirect, has_all = cls(), "", False
        for term in record[:LONGEST_RECORD].split(" ")[1:]:
            lower = term.lower()
            if lower.lstrip("+-~?") == "all":
                has_all = True
            elif lower.startswith("redirect="):
                redirect = term[9:]
            elif term[:1] not in ("-", "~", "?"):
                terms._take(term.removeprefix("+"))
        if redirect and not has_all and _name(redirect):  # RFC 7208 section 6.1
            terms.records.append(redirect)
        return terms

    def _take(self, term: str) -> None:
        kind, _, value = term.partition(":")
        if kind.lower() in ("ip4", "ip6"):
            network = _network(value)
            if network is not None and network.version == int(kind[2]):
                self.networks.append(network)
        elif kind.lower() == "include" and _name(value):
            self.records.append(value)
        elif (found := _host_term(term)) is not None:
            name, prefix4, prefix6 = found[2] or "", int(found[3] or 32), int(found[4] or 128)
            self.hosts.append(
                Host("MX" if found[1].lower() == "mx" else "A", name, prefix4, prefix6)
            )


def networks_of(domain: str) -> Walk:
    """The networks: tuple, without doubles. A LookupFailed if somebody did not answer, or if the
    domain has no record, or none that lets anybody in."""
    found: dict[Network, None] = {}
    hosts: list[tuple[str, Host]] = []
    answers: list[Answer] = []
    seen, level = {domain.lower()}, [domain]
    while level:
        texts = yield tuple((name, "TXT") for name in level)
        if any(map(is_unknown, texts)):
            return not_known(f"the SPF records of {domain}", texts)
        answers += texts
        after: list[str] = []
        for name, text in zip(level, texts, strict=True):
            record = _record(text)
            if record is None and name == domain:
                return LookupFailed(f"{domain} has no SPF record"), 0.0
            terms = Terms.of(record or "")
            found.update(dict.fromkeys(terms.networks))
            hosts += [(host.name or name, host) for host in terms.hosts]
            for each in terms.records:
                key = each.lower().rstrip(".")
                if key not in seen and len(seen) < MOST_RECORDS:
                    seen.add(key)
                    after.append(each)
        level = after
    resolved = yield from _addresses(hosts[:MOST_HOSTS])
    if any(is_unknown(answer) for _, answer in resolved):
        return not_known(f"the hosts of {domain}", [answer for _, answer in resolved])
    found.update(dict.fromkeys(_host_networks(resolved)))
    if not found:
        return LookupFailed(f"the SPF record of {domain} has no networks"), 0.0
    return tuple(found)[:MOST_NETWORKS], seconds_of(answers)


_Hosts = list[tuple[Host, Answer]]


def _addresses(hosts: Sequence[tuple[str, Host]]) -> Generator[Wanted, Sequence[Answer], _Hosts]:
    """A walk to the addresses of these hosts, and of the mail servers of those domains."""
    mx = [(name, host) for name, host in hosts if host.kind == "MX"]
    servers = yield tuple((name, "MX") for name, _ in mx)
    names = [(host, name) for name, host in hosts if host.kind == "A"]
    for (_, host), answer in zip(mx, servers, strict=True):
        if is_unknown(answer):
            return [(host, answer)]
        names += [(host, each.host) for each in answer.records[:10] if isinstance(each, MX)]
    wanted = [(host, name, kind) for host, name in names[:MOST_HOSTS] for kind in ("A", "AAAA")]
    answers = yield tuple((name, kind) for _, name, kind in wanted)
    return [(host, answer) for (host, _, _), answer in zip(wanted, answers, strict=True)]


def _host_networks(resolved: _Hosts) -> Iterator[Network]:
    for host, answer in resolved:
        for address in map(address_of, map(str, answer.records)):
            network = None if address is None else host.network(address)
            if network is not None:
                yield network


def _record(answer: Answer) -> str | None:
    texts = [each.decode("ascii", "replace") for each in answer.records if isinstance(each, bytes)]
    records = [text for text in texts if text.lower() == "v=spf1" or text[:7].lower() == "v=spf1 "]
    return records[0] if len(records) == 1 else None


def _network(text: str) -> Network | None:
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return None
    return network if network.prefixlen >= WIDEST[network.version] else None
