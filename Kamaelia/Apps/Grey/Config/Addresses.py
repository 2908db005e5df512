"""
The kinds of value that are addresses, networks, names and patterns
===================================================================
The functions here take a word of a configuration file and give its value in one spelling, or
raise BadValueError with what to write instead.

Example Usage
-------------
>>> network("192.168.2"), network("10.1.0.0/16")
(IPv4Network('192.168.2.0/24'), IPv4Network('10.1.0.0/16'))
>>> domain(".Example.ORG")
'.example.org'
>>> mail_pattern("<Joe@example.org>")
'joe@example.org'

Networks are numbers here, never the beginnings of texts; a domain is whole or begins with a dot.
"""

import re
from ipaddress import IPv6Address, ip_address, ip_network

from Kamaelia.Apps.Grey.Config.Problem import shown
from Kamaelia.Apps.Grey.Config.Values import BadValueError
from Kamaelia.Apps.Grey.Core.Networks import Network, Networks

_LONGEST_DOMAIN = 253  # RFC 1035 section 2.3.4, less the length bytes
_LONGEST_PATTERN = 320  # RFC 5321 section 4.5.3.1: 64 for the local part, @, 255 for the domain


def address(text: str) -> str:
    """An IPv4 or IPv6 address in its usual spelling."""
    try:
        parsed = ip_address(text)
    except ValueError:
        cure = "write it in numbers, such as 192.0.2.1 or 2001:db8::1"
        if "/" in text:
            cure = "write one address; a network belongs to a setting that takes networks"
        raise BadValueError(f"{shown(text)} is not an IP address", cure) from None
    if isinstance(parsed, IPv6Address):
        if parsed.scope_id is not None:
            raise BadValueError(f"{shown(text)} has a zone", "write the address without %")
        return str(parsed.ipv4_mapped or parsed)
    return str(parsed)


_FIRST_OCTETS = re.compile(r"(?P<octets>[0-9]{1,3}(?:\.[0-9]{1,3}){0,2})\.?(?P<length>/[0-9]+)?")


def network(text: str) -> Network:
    """A network with its prefix length, or the first octets of an IPv4 network."""
    start, slash, length = _whole(text).partition("/")
    try:
        host = ip_address(start)
        found = ip_network(_whole(text), strict=False)
    except ValueError:
        found = None
    if found is None or (slash and not length.isdigit()):  # ip_network would also take masks
        cure = "write an address and a prefix length, such as 192.0.2.0/24 or 2001:db8::/32"
        raise BadValueError(f"{shown(text)} is not a network", cure)
    if host != found.network_address:
        cure = f"write {found} for the network, or {host} for the one address"
        raise BadValueError(f"{shown(text)} has bits set behind its prefix", cure)
    return found


def _whole(text: str) -> str:
    """Complete the first octets of an IPv4 network: 192.168.2 is 192.168.2.0/24.

    Such a text once meant "begins with", which let in 192.168.20.1 too; here octets are whole.
    """
    match = _FIRST_OCTETS.fullmatch(re.sub(r"(?:\.\*){1,3}\Z", "", text))
    if match is None:
        return text
    octets = match["octets"].split(".")
    length = match["length"] or f"/{8 * len(octets)}"
    return ".".join((octets + ["0"] * 3)[:4]) + length


def relaying_network(text: str) -> Network:
    """A network whose members may send to anywhere; so not all of the world."""
    found = network(text)
    if found.prefixlen == 0:
        cure = "list only networks whose mail you would forward to anywhere"
        raise BadValueError(
            f"{shown(text)} is the whole internet: this would be an open relay", cure
        )
    return found


def front_network(text: str) -> Network:
    """A network whose members may say who their clients are; so not all of the world."""
    found = network(text)
    if found.prefixlen == 0:
        raise BadValueError(
            f"{shown(text)} is the whole internet: anybody could pretend to be anybody",
            "list only servers of your own",
        )
    return found


def network_or_any(text: str) -> Networks:
    """A network, or * for any client."""
    if text == "*":
        return Networks([ip_network("0.0.0.0/0"), ip_network("::/0")])
    return Networks([network(text)])


_LABEL = re.compile(r"(?!-)[\w-]{1,63}(?<!-)")


def _is_domain(text: str) -> bool:
    return len(text) <= _LONGEST_DOMAIN and all(map(_LABEL.fullmatch, text.split(".")))


def host_name(text: str) -> str:
    """The name of a host, in ASCII because it is sent in the greeting."""
    name = text.lower().removesuffix(".")
    if not name.isascii():
        raise BadValueError(f"{shown(text)} is not ASCII", "write its form that begins with xn--")
    if not _is_domain(name):
        raise BadValueError(f"{shown(text)} is not a host name", "write it like mail.example.org")
    return name


def domain(text: str) -> str:
    """A mail domain; with a leading dot its subdomains too; or an address in brackets."""
    name = text.lower().removesuffix(".")
    if "@" in name:
        raise BadValueError(
            f"{shown(text)} is a mail address", "write only what stands behind the @"
        )
    if name.startswith("*"):
        cure = f"write {shown('.' + name.lstrip('*.'))} for the domain and its subdomains"
        raise BadValueError(f"{shown(text)}: a domain has no wildcards", cure)
    if name.startswith("[") and name.endswith("]"):
        return f"[{_literal(name[1:-1], text)}]"
    if not _is_domain(name.removeprefix(".")):
        raise BadValueError(
            f"{shown(text)} is not a domain", "write it like example.org or .example.org"
        )
    return name


def _literal(inside: str, text: str) -> str:
    """Check an address literal, RFC 5321 section 4.1.3: IPv6 goes with a tag."""
    tag = "ipv6:" if inside.startswith("ipv6:") else ""
    try:
        parsed = ip_address(inside.removeprefix(tag))
    except ValueError:
        parsed = None
    if parsed is None or (parsed.version == 6) != bool(tag):
        cure = "write it like [192.0.2.1] or [IPv6:2001:db8::1]"
        raise BadValueError(f"{shown(text)} is not an address literal", cure)
    return f"{tag}{parsed}"


def domain_or_any(text: str) -> str:
    """A mail domain as above, or * for all that no other line names."""
    return text if text == "*" else domain(text)


def recipient(text: str) -> str:
    """A recipient: an address, a domain, or all below a domain."""
    local, at, rest = text.rpartition("@")
    if at and (not local or len(local) > 64 or not local.isprintable() or " " in local):
        raise BadValueError(f"{shown(text)} is no address", "write one such as anna@example.org")
    return f"{local}{at}{domain(rest)}".lower()


def certificate_name(text: str) -> str:
    """The name of a host, or *. and a domain for all hosts right below it."""
    if not text.startswith("*."):
        return host_name(text)
    if "*" in text[1:]:
        cure = "write *. once, and behind it a domain without *"
        raise BadValueError(f"{shown(text)} has more than one *", cure)
    return "*." + host_name(text[2:])


def mail_pattern(text: str) -> str:
    """A mail address, maybe with *; <> or "" is the sender of bounces."""
    pattern = text.lower()
    if pattern.startswith("<") and pattern.endswith(">"):
        pattern = pattern[1:-1]
    _check_length(pattern)
    if pattern and pattern != "postmaster" and not {"@", "*"} & set(pattern):
        cure = "write user@example.org, *@example.org, * for any, or <> for the null sender"
        raise BadValueError(f"{shown(text)} is not a mail address", cure)
    return pattern


def helo_pattern(text: str) -> str:
    """The name a client gives in HELO or EHLO, maybe with *."""
    _check_length(text)
    if not text:
        raise BadValueError("the HELO name is empty", "write a name, or * for any")
    return text.lower()


def _check_length(pattern: str) -> None:
    if len(pattern) > _LONGEST_PATTERN:
        raise BadValueError(
            f"{shown(pattern)} is longer than {_LONGEST_PATTERN} characters",
            "nothing this long comes up in a mail: write a shorter pattern",
        )
