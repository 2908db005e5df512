"""
The file with the networks of the big senders
=============================================
Text, one network a line: its domain, the network, and when it was fetched (UTC)::

    # The networks of big senders, from their SPF records. Written by kamaelia-grey.
    example.org 192.0.2.0/24 2026-11-22T10:00:00Z

It is there so that a start needs no look-ups, and so that anybody may read it. A line that cannot
be read is left out. It is written whole, beside the old one, and then takes its place: whoever
reads sees one or the other.
"""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

log = logging.getLogger(__name__)

LARGEST_FILE = 64 << 20
MODE = 0o644
HEADER = "# The networks of big senders, from their SPF records. Written by kamaelia-grey.\n"

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Fetched:
    """The networks of one domain. at: seconds since the epoch."""

    networks: tuple[Network, ...]
    at: float


def read(file: Path) -> dict[str, Fetched]:
    """What is in the file, by domain. Raises OSError."""
    with file.open("rb") as opened:
        text = opened.read(LARGEST_FILE).decode("ascii", "replace")
    networks: dict[str, list[Network]] = {}
    times: dict[str, float] = {}
    unread = 0
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        try:
            domain, network, at = line.split()
            found, seconds = ip_network(network), datetime.fromisoformat(at).timestamp()
        except ValueError:
            unread += 1
            continue
        networks.setdefault(domain, []).append(found)
        times[domain] = min(seconds, times.get(domain, seconds))
    if unread:
        log.warning("%s has %d lines that cannot be read", file, unread)
    return {domain: Fetched(tuple(each), times[domain]) for domain, each in networks.items()}


def write(file: Path, lists: Mapping[str, Fetched]) -> None:
    """Put them into the file's place. Raises OSError; then the old one is still there."""
    lines = [HEADER]
    for domain, fetched in lists.items():
        at = _time(fetched.at)
        lines += [f"{domain} {network} {at}\n" for network in fetched.networks]
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        with os.fdopen(os.open(beside, flags, MODE), "w", encoding="ascii") as opened:
            os.fchmod(opened.fileno(), MODE)  # whatever the umask
            # Not forced onto the disk, which could take long: what is lost is fetched again.
            opened.writelines(lines)
        beside.replace(file)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


def report(file: Path, now: float) -> list[str]:
    """The lists for a person, line by line: each domain, how old its list is, its networks."""
    try:
        lists = read(file)
    except FileNotFoundError:
        return [f"{file} is not there yet: it is written when the first list was fetched"]
    except OSError as error:
        return [f"{file} cannot be read: {error.strerror}"]
    lines: list[str] = []
    for domain, fetched in sorted(lists.items()):
        count = len(fetched.networks)
        nouns = "network" if count == 1 else "networks"
        age = f"fetched {_time(fetched.at)}, {_age(now - fetched.at)} ago"
        lines += [f"{domain}: {count} {nouns}, {age}", *(f"  {each}" for each in fetched.networks)]
    return lines or [f"{file} has no networks"]


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _age(seconds: float) -> str:
    """
    >>> _age(59), _age(7200), _age(3 * 86400)
    ('59 seconds', '2 hours', '3 days')
    """
    for name, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{max(0.0, seconds):.0f} seconds"
