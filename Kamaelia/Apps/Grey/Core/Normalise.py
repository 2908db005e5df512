"""
What counts as the same
=======================
A sender's retry may come from the machine next door, and nobody is careful about capitals. Before
something becomes part of a key or is compared with a setting, it goes through a function here.
All of them take any text at all and never raise: what arrives here came from strangers.

>>> network_of("192.0.2.77", prefix4=24, prefix6=64)
'192.0.2.0/24'
>>> network_of("::ffff:192.0.2.77", prefix4=24, prefix6=64)
'192.0.2.0/24'
>>> fold_address("Joe.Doe@Example.ORG")
'joe.doe@example.org'
>>> wildcard_match("*@example.org", "Joe.Doe@Example.ORG")
True
"""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

from Kamaelia.Apps.Grey.Core.Networks import ipv4_number, parsed
from Kamaelia.Apps.Grey.Core.Senders import without_variation
from Kamaelia.Apps.Grey.Core.Types import Attempt, Policy, Triplet

# A path has at most 256 octets (RFC 5321 4.5.3.1.3), each at most `\\xNN` long once escaped. The
# parser holds to that; here it only keeps a key from ever being larger than a page of the store.
TEXT_LIMIT = 1024
_LONGEST_ADDRESS = 100  # with a zone
_MILTER_LIMIT = 324
_KELVIN_SIGN = "\u212a"


def network_of(address: str, prefix4: int, prefix6: int) -> str:
    """The network that stands for a client: farms of senders retry from the next address.

    IPv4 in an IPv6 dress is IPv4, a zone (`%eth0`) is dropped, and what is no address at all
    stands for itself: such clients are greylisted one by one, never let in.
    """
    number = ipv4_number(address)
    if number is None:
        if len(address) > _LONGEST_ADDRESS:
            return fold_address(address)
        return _network_of(address, prefix4, prefix6)
    if prefix4 == 24:  # as nearly everywhere: then it is all of the text but its end
        return f"{address[: address.rindex('.')]}.0/24"
    return _network_of_ipv4(number, prefix4)


# A client is asked about again with each recipient, and to read such an address takes longer than
# all the rest of a decision.
@lru_cache(maxsize=4096)
def _network_of(address: str, prefix4: int, prefix6: int) -> str:
    ip = parsed(address.partition("%")[0])
    if ip is None:
        return fold_address(address)
    number = int(ip)
    if isinstance(ip, IPv4Address):
        return _network_of_ipv4(number, prefix4)
    host_bits = 128 - max(0, min(prefix6, 128))
    # Not ip_network(): it takes the number of a low IPv6 address for one of IPv4.
    return f"{IPv6Address(number >> host_bits << host_bits)}/{128 - host_bits}"


def _network_of_ipv4(number: int, prefix4: int) -> str:
    prefix = max(0, min(prefix4, 32))
    first = number >> (32 - prefix) << (32 - prefix)
    return f"{first >> 24}.{first >> 16 & 255}.{first >> 8 & 255}.{first & 255}/{prefix}"


def fold_address(text: str) -> str:
    """An address as part of a key. Only there: keys may be generous, the worst that comes of
    taking two addresses for one is that they share a wait."""
    if text.isascii():  # nearly always; then nothing below can happen
        return text[:TEXT_LIMIT].lower()
    # Lone surrogates cannot be stored as UTF-8, so they are spelt out.
    folded = text[:TEXT_LIMIT].casefold()[:TEXT_LIMIT]
    return folded.encode("utf-8", "backslashreplace").decode("utf-8")[:TEXT_LIMIT]


def fold_domain(text: str) -> str:
    """A domain to be compared with ours, where a false match would make us an open relay.

    Only case is folded. The Kelvin sign is left alone: it would become an ASCII `k`, and a
    domain that is not ours byte for byte would pass for one that is.
    """
    if text.isascii():  # nearly always
        return text.lower()
    return _KELVIN_SIGN.join(part.lower() for part in text.split(_KELVIN_SIGN))


def triplet_of(attempt: Attempt, policy: Policy) -> Triplet:
    """The key under which this attempt is remembered."""
    network = network_of(attempt.client, policy.prefix4, policy.prefix6)
    both = addresses_of(attempt.sender, attempt.recipient, normalise=policy.normalise_senders)
    return Triplet(network, *both)


def addresses_of(sender: str, recipient: str, *, normalise: bool) -> tuple[str, str]:
    """Sender and recipient as parts of the key."""
    if not normalise:
        return sender_key(sender), fold_address(recipient)
    return normalise_sender(sender, recipient), normalise_recipient(recipient)


def sender_key(text: str) -> str:
    """A sender as part of a key: what stands before its last `=` changes with every try of some
    mailing lists. milter-greylist drops it, so the records that come from there need it, too."""
    folded = fold_address(text)
    return folded if "=" not in folded else folded[folded.rindex("=") + 1 :]


def milter_sender(text: str) -> str:
    """A sender as the access rules see it (and %f, and the logs): as milter-greylist 4 cleans it.
    Brackets stay if there are any."""
    cleaned = milter_recipient(text)
    if "=" not in cleaned:
        return cleaned
    bracket = "<" if cleaned.startswith("<") else ""
    return bracket + cleaned[cleaned.rindex("=") + 1 :]


def milter_recipient(text: str) -> str:
    """The same for a recipient: 324 bytes of it, `_` for each that is not printable ASCII."""
    if text.isascii() and text.isprintable() and " " not in text:  # nearly always
        return text[:_MILTER_LIMIT]
    data = text[:_MILTER_LIMIT].encode("utf-8", "surrogatepass")[:_MILTER_LIMIT]
    return "".join(chr(byte) if 32 < byte < 127 else "_" for byte in data)


def normalise_sender(sender: str, recipient: str) -> str:
    """The sender without what changes from one try, or from one mail, to the next; see Senders.py.
    Folded like every part of a key."""
    return without_variation(fold_address(sender), fold_address(recipient))


def normalise_recipient(text: str) -> str:
    """A recipient without its +extension, folded."""
    folded = fold_address(text)
    local, at, domain = folded.rpartition("@")
    cut = local.find("+")
    return folded if cut <= 0 else local[:cut] + at + domain


def wildcard_match(pattern: str, text: str) -> bool:
    """Whether the whole text fits the pattern, in any case; `*` is any run of characters.

    Not `fnmatch`: its brackets would take the address literal in `*@[192.0.2.1]` for a set of
    characters. The pieces are found from left to right, so no pattern can be made slow.
    """
    first, middle, last = _pieces(pattern)
    text = text.casefold()
    if last is None:
        return text == first
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    place, end = len(first), len(text) - len(last)
    for piece in middle:
        place = text.find(piece, place, end)
        if place < 0:
            return False
        place += len(piece)
    return True


# Patterns come from the configuration: there is an end to them.
@lru_cache(maxsize=4096)
def _pieces(pattern: str) -> tuple[str, tuple[str, ...], str | None]:
    """What stands before the first `*`, between them and behind the last (None: there is none)."""
    first, *rest = pattern.casefold().split("*")
    return (first, tuple(rest[:-1]), rest[-1]) if rest else (first, (), None)
