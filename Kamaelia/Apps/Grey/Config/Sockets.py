"""
Where a door is, as mail servers write it
=========================================
The values of `socket`, `policy_socket` and of the settings of MX sync. Sendmail, Postfix and
milter-greylist name a socket by its family and place; all of their spellings are read here.

Example Usage
-------------
>>> place("inet:8891@127.0.0.1"), place("unix:/run/grey.sock").path
(Place(path='', host='127.0.0.1', port=8891), '/run/grey.sock')
>>> str(place("local:/run/grey.sock")), str(place("inet6:8891@::1"))
('unix:/run/grey.sock', 'inet6:8891@::1')
>>> listening("*:5252"), listening("[2001:db8::1]:7000"), listening("192.0.2.1")
(('*', 5252), ('2001:db8::1', 7000), ('192.0.2.1', 5252))
"""

import re
from dataclasses import dataclass

from Kamaelia.Apps.Grey.Config.Addresses import address, host_name
from Kamaelia.Apps.Grey.Config.Problem import shown
from Kamaelia.Apps.Grey.Config.Values import BadValueError

SYNC_PORT = 5252  # of milter-greylist's peers
LONGEST_PATH = 107  # bytes: sun_path of unix(7) has one more, for the zero
_CURE = "write /path, unix:/path, inet:PORT@ADDRESS or inet6:PORT@ADDRESS"
_ANY = {"inet": "0.0.0.0", "inet6": "::"}  # noqa: S104 - what "inet:8891" means to mail servers
_LOCAL = {"inet": "127.0.0.1", "inet6": "::1"}
_TURNED = re.compile(r"(inet6?):\[?([^@]+?)\]?:([0-9]{1,5})", re.ASCII).fullmatch  # as for Postfix
_INET = re.compile(r"(inet6?):([0-9]{1,5})(?:@(\[?)([^\[\]@]+)(\]?))?", re.ASCII).fullmatch


@dataclass(frozen=True, slots=True)
class Place:
    """A socket in a file system (`path`), or an address and a port."""

    path: str = ""
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"inet{'6' if ':' in self.host else ''}:{self.port}@{self.host}"


def place(text: str) -> Place:
    """A socket as a mail server names it. Raises BadValueError."""
    if not text.isprintable():
        raise BadValueError(f"{shown(text)} is no socket", _CURE)
    path = text.removeprefix("unix:").removeprefix("local:")
    if path.startswith("/"):
        if len(path.encode()) > LONGEST_PATH or path.endswith("/"):
            cure = f"write the path of a file, of {LONGEST_PATH} bytes at the most"
            raise BadValueError(f"{shown(text)} cannot be a socket", cure)
        return Place(path)
    match = _INET(text)
    if match is None:
        turned = _TURNED(text)
        cure = f"did you mean {turned[1]}:{turned[3]}@{turned[2]}?" if turned else _CURE
        raise BadValueError(f"{shown(text)} is no socket", cure)
    family, port, _, host, _ = match.groups()
    if not 1 <= int(port) <= 65_535:
        raise BadValueError(f"{port} is no port", "write a number from 1 to 65535")
    if host is None:
        host = _ANY[family]
    elif host.lower() == "localhost":
        host = _LOCAL[family]
    host = address(host)
    if (":" in host) != (family == "inet6"):
        right = "inet" if family == "inet6" else "inet6"
        raise BadValueError(f"{shown(host)} is no address of {family}", f"write {right}:")
    return Place(host=host, port=int(port))


def listening(text: str) -> tuple[str, int]:
    """An address, or * for all, and the port of MX sync behind a colon. Raises BadValueError."""
    host, port = text, ""
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        port = port[1:] if port.startswith(":") else port and "?"
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if port and not (port.isascii() and port.isdigit() and 1 <= int(port[:6]) <= 65_535):
        raise BadValueError(f"{shown(text)} has no port", "write one such as *:5252")
    return (host if host == "*" else address(host)), int(port or SYNC_PORT)


def source(text: str) -> str:
    """An address, or * for any. Raises BadValueError."""
    return text if text == "*" else address(text)


def peer(text: str) -> str:
    """Another machine, by name or address. Raises BadValueError."""
    try:
        return address(text)
    except BadValueError:
        if re.fullmatch(r"[0-9.]+|.*:.*", text):
            raise
    return host_name(text)
