"""
What the DNS knows of a client and a sender
===========================================
Names of clients, black and white lists of addresses, addresses of mail servers: the answers to
HostName, Dnsrbl and Mx. SPF is in Spf.

A look-up here is a walk (see DnsWalks): a generator that wants records, gets Answers and returns
what it found, and for how many seconds that is true.

>>> walk = dnsrbl(Definitions(), Dnsrbl("nowhere", "192.0.2.7"))
>>> try:
...     next(walk)
... except StopIteration as end:
...     end.value[0].reason
'there is no list nowhere'

Rules:

* A client's name is one of its PTR records that leads back to it. Anybody may write any name into
  his own PTR records: one with characters that no host name has is not looked at, nor is a sixth.
* A list says "listed" with an address in the answers that the file gives. One in 127.255.255.0/24
  says that the list does not answer us (a shared resolver, a quota): that is a failure, for as a
  "not listed" nobody would ever notice.
* A domain without MX records is its own mail server (RFC 5321 section 5.1); one with a null MX has
  none (RFC 7505).
"""

import re
from collections.abc import Callable, Iterable
from functools import partial
from ipaddress import IPv4Network

from Kamaelia.Apps.Grey.Core.Access.Definitions import Definitions
from Kamaelia.Apps.Grey.Core.Access.Questions import Dnsrbl, HostName, LookupFailed, Mx, Spf
from Kamaelia.Apps.Grey.Lookups.DnsWalks import (
    Address,
    Asker,
    Done,
    Walk,
    address_of,
    is_unknown,
    kind_for,
    name_as_it_is,
    not_known,
    seconds_of,
    walk,
)
from Kamaelia.Apps.Grey.Lookups.Spf import prepare, spf
from Kamaelia.Internet.Resolver import Resolver
from Kamaelia.Support.Protocol.DNS.Messages import MX, Answer, Failure
from Kamaelia.Support.Protocol.DNS.Settings import Server, Settings

MOST_NAMES = 5  # of a client
MOST_HOSTS = 10  # mail servers of a domain
MOST_ADDRESSES = 10  # of one name
NO_ADDRESS_SECONDS = 3600.0

REFUSALS = IPv4Network("127.255.255.0/24")

_is_host_name = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?").fullmatch


class DnsHandler:
    """DnsHandler(asker, look_up) -> a Handler for the kind of question that look_up is for."""

    def __init__(self, asker: Asker, look_up: Callable[..., object]) -> None:
        self._asker, self._look_up = asker, look_up

    def start(self, question: object, done: Done) -> None:
        walk(self._asker, self._look_up(question), done)


def dns_handlers(definitions: Definitions, receiver: str, asker: Asker) -> dict[type, DnsHandler]:
    """All that the DNS answers. receiver: this machine's name."""
    prepare()
    return {
        HostName: DnsHandler(asker, host_name),
        Dnsrbl: DnsHandler(asker, partial(dnsrbl, definitions)),
        Mx: DnsHandler(asker, mail_servers),
        Spf: DnsHandler(asker, partial(spf, receiver)),
    }


def resolver_for(servers: Iterable[Server], seconds: float) -> Resolver:
    """A resolver, not yet active, that answers within this time, be it that nobody knows.

    servers: address and port of each; none: those of the system. Raises ValueError."""
    patience = max(0.1, 0.9 * seconds)  # so that what failed is said before it is given up
    settings = Settings(timeout=min(2.0, patience / 2.5), rounds=2, patience=patience)
    return Resolver(tuple(servers) or None, settings)


# ---- the walks


def host_name(question: HostName) -> Walk:
    """The client's forward-confirmed name: str, "" if it has none."""
    client = address_of(question.client)
    if client is None:
        return "", NO_ADDRESS_SECONDS
    (pointers,) = yield ((str(client), "PTR"),)
    if is_unknown(pointers):
        return not_known(f"the name of {client}", [pointers])
    names = [name for name in map(str, pointers.records) if _is_host_name(name)][:MOST_NAMES]
    answers = yield tuple((name, kind_for(client)) for name in names)
    for name, answer in zip(names, answers, strict=True):
        if client in _addresses(answer):
            return name.lower(), seconds_of([pointers, answer])
    if any(map(is_unknown, answers)):
        return not_known(f"the addresses of {client}'s names", answers)
    return "", seconds_of([pointers, *answers])


def dnsrbl(definitions: Definitions, question: Dnsrbl) -> Walk:
    """Whether the client is in that list: bool."""
    zone = definitions.dnsrbls.get(question.list_name)
    if zone is None:
        return LookupFailed(f"there is no list {question.list_name}"), 0.0
    client = address_of(question.client)
    if client is None:
        return False, NO_ADDRESS_SECONDS
    (answer,) = yield ((f"{_reversed(client)}.{zone.zone.strip('.')}", "A"),)
    if is_unknown(answer):
        return not_known(f"the list {question.list_name}", [answer])
    found = _addresses(answer)
    refused = [each for each in found if each in REFUSALS]
    if refused:
        return LookupFailed(f"the list {question.list_name} refuses us: {refused[0]}"), 0.0
    return any(each in zone.answers for each in found), seconds_of([answer])


def mail_servers(question: Mx) -> Walk:
    """The addresses of a domain's mail servers: tuple[str, ...]."""
    domain = name_as_it_is(question.domain)
    (mx,) = yield ((domain, "MX"),)
    if is_unknown(mx):
        return not_known(f"the mail servers of {question.domain}", [mx])
    if mx.failure is Failure.NODATA:
        hosts = [domain]
    else:
        records = [record for record in mx.records if isinstance(record, MX)]
        records.sort(key=lambda record: (record.preference, record.host))
        hosts = [record.host for record in records if record.host != "."][:MOST_HOSTS]
    answers = yield tuple((host, kind) for host in hosts for kind in ("A", "AAAA"))
    found = dict.fromkeys(str(each) for answer in answers for each in _addresses(answer))
    if not found and any(map(is_unknown, answers)):
        return not_known(f"the mail servers of {question.domain}", answers)
    # Some that did not answer are asked again soon.
    seconds = 1.0 if any(map(is_unknown, answers)) else seconds_of([mx, *answers])
    return tuple(found), seconds


def _reversed(client: Address) -> str:
    """As the names in a list are written (RFC 5782 sections 2.1 and 2.4)."""
    return client.reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")


def _addresses(answer: Answer) -> list[Address]:
    found = map(address_of, map(str, answer.records[:MOST_ADDRESSES]))
    return [each for each in found if each is not None]
