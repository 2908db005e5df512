"""
What a host name says of its host
=================================
A mail server has a name that somebody gave it. A computer at the end of a dial-up, cable or mobile
line has one that a program made out of its address, or one with a word that says so.

>>> looks_dynamic("p5489ab12.dip0.t-ipconnect.de", "84.137.171.18")
True
>>> looks_dynamic("192-0-2-7.pool.example.net", "192.0.2.7")
True
>>> looks_dynamic("mail-wr1-f41.google.com", "209.85.221.41")
False
>>> looks_like_a_name("mx.example.net"), looks_like_a_name("[192.0.2.7]"), looks_like_a_name("mx")
(True, False, False)
"""

from ipaddress import IPv4Address

from Kamaelia.Apps.Grey.Core.Networks import parsed

_LONGEST_NAME = 253
# Parts of names, without the digits at their ends.
_LINES = frozenset(
    (
        *("adsl", "broadband", "cable", "cablemodem", "catv", "cdma", "client", "clients", "cpe"),
        *("cust", "customer", "customers", "dhcp", "dial", "dialin", "dialup", "dip", "docsis"),
        *("dsl", "dyn", "dynamic", "dynamicip", "dynip", "fiber", "ftth", "gprs", "home", "hsd"),
        *("internetdsl", "kabel", "lte", "mobile", "modem", "pool", "pools", "ppp", "pppoe"),
        *("pptp", "res", "residential", "rev", "sdsl", "slip", "ums", "user", "users", "vdsl"),
        *("wifi", "wimax", "wireless", "wlan", "xdsl"),
    )
)
# Who begins its name so has been given it, even if there is its address in it.
_SERVERS = ("mail", "mx", "smtp", "mta", "relay", "out", "mout", "sender", "bounce", "delivery")
_SHORTEST_SERVER_TAIL = 2  # labels that belong to the organisation: nobody looks at these


def looks_dynamic(name: str, client: str) -> bool:
    """Whether that name, of that client, looks like one of a line and not of a server. Takes any
    texts; the time grows with their length only."""
    folded = name.rstrip(".").lower()[:_LONGEST_NAME]
    host = ".".join(folded.split(".")[:-_SHORTEST_SERVER_TAIL])
    if not host:
        return False
    if any(word.strip("0123456789") in _LINES for word in _words(host)):
        return True
    return not host.startswith(_SERVERS) and _has_address(host, client)


def looks_like_a_name(helo: str) -> bool:
    """Whether a HELO is the full name of a host: at least two labels, the last not of digits."""
    labels = helo.rstrip(".").split(".")
    return (
        1 < len(labels) <= 127
        and len(helo) <= _LONGEST_NAME
        and helo.isascii()
        and not labels[-1].isdigit()
        and all(_is_label(label) for label in labels)
    )


def _is_label(label: str) -> bool:
    return 0 < len(label) <= 63 and label.replace("-", "").replace("_", "").isalnum()


def _words(host: str) -> list[str]:
    return host.replace("-", ".").replace("_", ".").split(".")


def _has_address(host: str, client: str) -> bool:
    ip = parsed(client.partition("%")[0])
    if ip is None:
        return False
    packed = host.replace("-", "").replace("_", "").replace(".", "")
    if not isinstance(ip, IPv4Address):
        digits = f"{int(ip):032x}"
        return digits in packed or digits[16:] in packed  # the half that is the host's own
    octets = list(ip.packed)
    numbers = _numbers(host)
    for order in (octets, octets[::-1]):
        if _follow(order, numbers) or "".join(f"{octet:03d}" for octet in order) in packed:
            return True
        if "".join(f"{octet:02x}" for octet in order) in packed:
            return True
    return False


def _numbers(host: str) -> list[int]:
    """The numbers in the name, in their order: no more than an address could be meant by."""
    spaced = "".join(letter if letter in "0123456789" else " " for letter in host)
    return [int(word) for word in spaced.split() if len(word) <= 3]


def _follow(octets: list[int], numbers: list[int]) -> bool:
    return any(numbers[at : at + 4] == octets for at in range(len(numbers) - 3))
