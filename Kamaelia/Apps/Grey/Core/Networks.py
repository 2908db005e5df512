"""
A set of networks that answers "is this address in it?" fast
============================================================
The lists of a greylister grow: a table of all mobile carriers has tens of thousands of networks,
and the question is asked for every connection. So networks are kept by prefix length: one set of
prefixes for each length that occurs. A question costs one look-up a length (at most 33 for IPv4,
129 for IPv6, in practice a handful), however many networks there are. Answers are kept for a while:
one client is asked about with each of its recipients.

Networks are compared as numbers, never as text: `192.168.2` as a text prefix would also let in
192.168.20.1 and 192.168.200.1.

An IPv4 client of a socket that listens on IPv6 shows up as `::ffff:192.0.2.1`. Such addresses
and networks are folded to IPv4, so that a list works the same on both kinds of socket.

Example Usage
-------------
>>> from ipaddress import ip_network
>>> ours = Networks([ip_network("192.168.2.0/24"), ip_network("2001:db8::/32")])
>>> "192.168.2.9" in ours, "192.168.20.9" in ours, "::ffff:192.168.2.9" in ours
(True, False, True)
>>> len(ours), [str(network) for network in ours]
(2, ['192.168.2.0/24', '2001:db8::/32'])
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_MOST_ANSWERS = 4096
_LONGEST_ADDRESS = 64  # an IPv6 address has at most 45 characters, the rest is room for a zone id
_MAPPED = IPv6Network("::ffff:0:0/96")  # RFC 4291 section 2.5.5.2
_OCTETS = {str(number): number for number in range(256)}


class Networks:
    """Networks(networks) -> a frozen set of networks: `address in networks`, `==`, hash, `len`."""

    __slots__ = ("_answers", "_members", "_tables")
    _answers: dict[
        str, bool
    ]  # to what was asked as text; forgotten all at once when there are many
    _members: frozenset[Network]
    _tables: dict[int, dict[int, set[int]]]  # IP version -> bits right of the prefix -> prefixes

    def __init__(self, networks: Iterable[Network] = ()) -> None:
        members = frozenset(map(_fold_network, networks))
        tables: dict[int, dict[int, set[int]]] = {4: {}, 6: {}}
        for network in members:
            host_bits = network.max_prefixlen - network.prefixlen
            prefix = int(network.network_address) >> host_bits
            tables[network.version].setdefault(host_bits, set()).add(prefix)
        object.__setattr__(self, "_answers", {})
        object.__setattr__(self, "_members", members)
        object.__setattr__(self, "_tables", tables)

    def __contains__(self, address: object) -> bool:
        """Take text or an address; anything that is no address is in no network."""
        if not self._members:
            return False
        if isinstance(address, str):
            answer = self._answers.get(address)
            return self._look_up(address) if answer is None else answer
        if isinstance(address, IPv4Address | IPv6Address):
            return self._holds(_fold_address(address))
        return False

    def _look_up(self, text: str) -> bool:
        if len(text) > _LONGEST_ADDRESS:  # a peer's text is not worth parsing then, nor keeping
            return False
        folded = parsed(text)
        answer = folded is not None and self._holds(folded)
        if len(self._answers) >= _MOST_ANSWERS:
            self._answers.clear()
        self._answers[text] = answer
        return answer

    def _holds(self, folded: Address) -> bool:
        number = int(folded)
        return any(
            number >> host_bits in prefixes
            for host_bits, prefixes in self._tables[folded.version].items()
        )

    def __iter__(self) -> Iterator[Network]:
        """Yield IPv4 before IPv6, low before high: the same order in every run."""
        return iter(
            sorted(self._members, key=lambda n: (n.version, int(n.network_address), n.prefixlen))
        )

    def __len__(self) -> int:
        return len(self._members)

    def __eq__(self, other: object) -> bool:
        return self._members == other._members if isinstance(other, Networks) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._members)

    def __repr__(self) -> str:
        shown = [str(network) for network in list(self)[:5]]
        more = [f"... {len(self) - 5} more"] if len(self) > 5 else []
        return f"<Networks {', '.join(shown + more) or 'none'}>"

    def __reduce__(self) -> tuple[type["Networks"], tuple[tuple[Network, ...]]]:
        # Without this, copying would go through __setattr__, which refuses.
        return Networks, (tuple(self),)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Networks is frozen: cannot set {name}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"Networks is frozen: cannot delete {name}")


def ipv4_number(text: str) -> int | None:
    """The number of an IPv4 address, None for any other text. The same texts are one as for
    ipaddress (no leading zeros, ASCII), at a sixth of the price: strangers come from new addresses
    all the time, so no cache helps with theirs."""
    try:
        a, b, c, d = text.split(".")
        return _OCTETS[a] << 24 | _OCTETS[b] << 16 | _OCTETS[c] << 8 | _OCTETS[d]
    except (ValueError, KeyError):
        return None


@lru_cache(maxsize=4096)
def parsed(text: str) -> Address | None:
    """The address in a text, IPv4 in an IPv6 dress as IPv4; None if it is none. Kept for a while:
    one client is looked for in several lists."""
    number = ipv4_number(text)
    if number is not None:
        return IPv4Address(number)
    try:
        return _fold_address(ip_address(text))
    except ValueError:
        return None


def _fold_address(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def _fold_network(network: Network) -> Network:
    if isinstance(network, IPv4Network) or not network.subnet_of(_MAPPED):
        return network
    return IPv4Network((int(network.network_address) & 0xFFFF_FFFF, network.prefixlen - 96))
