"""
Addresses of the web, taken apart
=================================
`split_uri` is the original's way, for any text that looks like an address:

>>> split_uri("http://user:secret@example.org:8080/a/b?c")["uri-server"]
'example.org'
>>> split_uri("/a/b?c")
{'raw-uri': '/a/b?c', 'uri-protocol': '', 'uri-server': ''}

`Url` is the strict way, for an address that is about to be fetched. What it holds is safe to be
written into a request: no control character, no space, nothing but ASCII.

>>> url = Url.parse("https://example.org/caf\u00e9?q=a b#top")
>>> url.host, url.port, url.target
('example.org', 443, '/caf%C3%A9?q=a%20b')
>>> url.join("../other").target
'/other'
"""

import base64
import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, urljoin, urlsplit

from Kamaelia.Exceptions import ProtocolError

PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
LONGEST_URL = 8_192  # characters

_shape = re.compile(r"(?:([A-Za-z][A-Za-z0-9+.\-]*)://)?([^/?#]*)(.*)", re.DOTALL).fullmatch
_control = re.compile(r"[\x00-\x1f\x7f]").search
_host = re.compile(r"[A-Za-z0-9._:\-]+").fullmatch
_user = re.compile(r"(?<=//)[^/?#]*@").sub
_SHOWN = 200  # characters
_SAFE = "%/:?=&~+!$,;'@()*[]"


class UrlError(ProtocolError):
    """The text is no address that can be fetched."""


def split_uri(url: str) -> dict[str, str]:
    """The parts of an address by the original's names: "uri-protocol" and "uri-server" (empty if
    there are none), "raw-uri" (path and query), and, if present, "uri-port", "uri-username" and
    "uri-password"."""
    match = _shape(url)
    scheme, authority, rest = match.groups() if match else ("", "", url)
    parts = {"raw-uri": rest or ("/" if authority else ""), "uri-protocol": scheme or ""}
    user, _, server = authority.rpartition("@")
    name, colon, port = server.rpartition(":")
    if colon and not port.endswith("]"):  # a bracket: the colon belongs to an IPv6 address
        server, parts["uri-port"] = name, port
    parts["uri-server"] = server
    if user:
        parts["uri-username"], colon, password = user.partition(":")
        if colon:
            parts["uri-password"] = password
    return parts


def shown(address: str) -> str:
    """Whatever the address is, for logs: in quotes, as a single line, without a password."""
    return repr(_user("", address))[:_SHOWN]


@dataclass(frozen=True, slots=True)
class Url:
    """Where and what to ask for."""

    scheme: str
    host: str
    port: int
    target: str  # path and query, as a request has them
    user: str | None = None  # "name:password", decoded

    @classmethod
    def parse(cls, text: str) -> "Url":
        """Raises UrlError, with a text that says what is wrong."""
        text = text.strip()
        if len(text) > LONGEST_URL:
            raise UrlError(f"the address has more than {LONGEST_URL} characters")
        if _control(text):
            raise UrlError(f"a control character in the address {shown(text)}")
        try:
            parts = urlsplit(text)
            host, port = parts.hostname or "", parts.port
        except ValueError:  # its text might quote the password
            raise UrlError(f"no host and port in the address {shown(text)}") from None
        if parts.scheme not in PORTS:
            raise UrlError(f"the address {shown(text)} must begin with http:// or https://")
        if not _host(host):
            raise UrlError(
                f"no host name in the address {shown(text)} (write others than ASCII as xn--)"
            )
        target = quote(parts.path or "/", _SAFE) + (
            f"?{quote(parts.query, _SAFE)}" if parts.query else ""
        )
        user = None
        if parts.username is not None:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        return cls(parts.scheme, host, PORTS[parts.scheme] if port is None else port, target, user)

    def join(self, location: str) -> "Url":
        """The address that a redirect from here leads to."""
        if _control(location):  # urljoin would drop some of them
            raise UrlError(f"a control character in the address {shown(location)}")
        try:
            joined = urljoin(f"{self.scheme}://{self.authority}{self.target}", location)
        except ValueError:  # brackets without an address of IPv6 in them
            raise UrlError(f"no host and port in the address {shown(location)}") from None
        return Url.parse(joined)

    @property
    def secure(self) -> bool:
        return self.scheme in ("https", "wss")

    @property
    def origin(self) -> tuple[str, str, int]:
        """What must be the same for a secret to be sent again."""
        return self.scheme, self.host, self.port

    @property
    def authority(self) -> str:
        """The Host header: without the port if it is the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def authorization(self) -> str | None:
        """The Authorization header for the user in the address."""
        if self.user is None:
            return None
        return "Basic " + base64.b64encode(self.user.encode()).decode("ascii")

    def __str__(self) -> str:
        """Without the password: for logs."""
        return f"{self.scheme}://{self.authority}{self.target}"
