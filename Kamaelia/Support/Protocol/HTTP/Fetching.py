"""
What to fetch, and where a redirect leads
=========================================
>>> fetch = Fetch("POST", Url.parse("http://example.org/form"), body=b"x=1")
>>> after = fetch.redirected(303, "/thanks", limit=3)
>>> after.method, str(after.url), after.body
('GET', 'http://example.org/thanks', b'')

Rules (RFC 9110, section 15.4): 301 and 302 make a GET of a POST, as every browser does, and 303 of
all but HEAD; 307 and 308 keep method and body. A secret (Authorization, Cookie, the user in an
address) goes to the same scheme, host and port only, and so does a Host of one's own; from https
nothing is sent on to http. An address that was visited before is a loop.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from Kamaelia.Exceptions import ProtocolError
from Kamaelia.Support.Protocol.HTTP.Messages import Headers
from Kamaelia.Support.Protocol.HTTP.Uri import Url

REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OF_AN_ORIGIN = frozenset({"authorization", "cookie", "proxy-authorization", "host"})
_OF_A_BODY = frozenset({"content-type", "content-encoding", "content-language"})


class RedirectError(ProtocolError):
    """The redirect is not followed."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """One request to make; visited: the addresses that led to it."""

    method: str
    url: Url
    headers: Headers = ()
    body: bytes = b""
    visited: tuple[Url, ...] = ()

    @property
    def all_headers(self) -> Headers:
        """Those given, and the user in the address."""
        known = any(name.lower() == "authorization" for name, _ in self.headers)
        basic = None if known else self.url.authorization
        return self.headers if basic is None else (*self.headers, ("Authorization", basic))

    def redirected(self, status: int, location: str, limit: int) -> Fetch:
        """What to fetch instead. Raises RedirectError or UrlError."""
        visited = (*self.visited, self.url)
        if len(visited) > limit:
            raise RedirectError(f"more than {limit} redirects")
        url = self.url.join(location)
        if url.origin == self.url.origin and url.user is None:
            url = replace(url, user=self.url.user)
        if self.url.secure and not url.secure:
            raise RedirectError(f"from https to {url}: not secret any more")
        changes = status == 303 and self.method != "HEAD"
        changes |= status in (301, 302) and self.method == "POST"
        method, body = ("GET", b"") if changes else (self.method, self.body)
        if url in visited and (method, body) == (self.method, self.body):
            raise RedirectError(f"the redirects lead back to {url}")
        dropped = _OF_A_BODY if changes else frozenset()
        if url.origin != self.url.origin:
            dropped |= _OF_AN_ORIGIN
        headers = tuple(pair for pair in self.headers if pair[0].lower() not in dropped)
        return Fetch(method, url, headers, body, visited)
