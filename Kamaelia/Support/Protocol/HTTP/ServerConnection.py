"""
The server's side of one HTTP connection
========================================
Requests out, answers in:

>>> connection = ServerConnection()
>>> connection.receive_data(b"GET /hello HTTP/1.1\\r\\nHost: example.org\\r\\n\\r\\n")
>>> connection.next_event().request.target
'/hello'
>>> connection.next_event()
BodyEnded()
>>> connection.send_head(Response(b"hi", length=2))
>>> connection.send_data(b"hi")
>>> connection.end()
>>> connection.data_to_send()
b'HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nhi'

One request at a time: the next one is read after `end` and `next_cycle`, however many have arrived.
A request that is broken, too large, or not for us raises HTTPSyntaxError with the status that says
so; while `can_answer`, that answer may still be sent, and closes the connection.

Stricter than h11 (RFC 9112, sections 6.1 and 6.3): a length and chunks at once, or chunks in
HTTP/1.0, may be an attempt to have two servers see two different requests, and are refused. So is
a control character in a header, which a terminal that shows somebody's log would obey.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import h11

from Kamaelia.Support.Protocol.HTTP.Connection import (
    Connection,
    Event,
    HeaderList,
    HTTPSyntaxError,
    RequestReceived,
    texts_of,
)
from Kamaelia.Support.Protocol.HTTP.Messages import Request, Response, phrase_of
from Kamaelia.Support.Protocol.HTTP.Uri import split_uri

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
_WITHOUT_BODY = frozenset({204, 304})
_control = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]").search


@dataclass(frozen=True, slots=True)
class Limits:
    """The most of a request that is taken."""

    head_bytes: int = 32_768
    headers: int = 100
    target_bytes: int = 8_192
    body_bytes: int = 16_777_216
    methods: frozenset[str] = METHODS


DEFAULT_LIMITS = Limits()


class ServerConnection(Connection):
    """ServerConnection(limits, peer) -> one client's; peer: what Requests are to say of it."""

    def __init__(
        self, limits: Limits = DEFAULT_LIMITS, peer: Mapping[str, Any] | None = None
    ) -> None:
        made = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.head_bytes)
        super().__init__(made, limits.head_bytes, limits.body_bytes)
        self._limits = limits
        self._peer = dict(peer or {})
        self._method = ""
        self._bodiless = False
        self.requests = 0

    # ---- state

    @property
    def in_head(self) -> bool:
        """Some of a request has come, and its head is not complete."""
        return self._h11.their_state is h11.IDLE and bool(self._head_fed or self._waiting)

    @property
    def can_answer(self) -> bool:
        """No answer to this request has begun."""
        return self._h11.our_state in (h11.IDLE, h11.SEND_RESPONSE)

    @property
    def stays_open(self) -> bool:
        """The answer is complete, and has not said that it is the last one."""
        return self._h11.our_state is h11.DONE

    @property
    def reusable(self) -> bool:
        """Request and answer are complete, and the connection stays open."""
        return self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE

    def next_cycle(self) -> None:
        """Go on to the next request; only if `reusable`."""
        self._h11.start_next_cycle()
        self._method = ""  # the next request may be too broken to have one
        self._head_fed = len(self._h11.trailing_data[0])

    # ---- requests

    def _take(self, event: object) -> Event | None:
        if not isinstance(event, h11.Request):
            return super()._take(event)
        self.requests += 1
        headers = list(event.headers)
        self._method = event.method.decode("ascii")
        self._head_is_complete(headers)
        self._check_line(event)
        self._check_headers(event.http_version, headers)
        target, server = _origin_form(event.target.decode("ascii"), self._method)
        version = event.http_version.decode("ascii")
        request = Request(
            self._method, target, texts_of(event.headers), version, server, **self._peer
        )
        return RequestReceived(request, self._h11.they_are_waiting_for_100_continue)

    def _check_line(self, event: h11.Request) -> None:
        if not event.http_version.startswith(b"1."):
            raise HTTPSyntaxError(505, "only HTTP/1.0 and HTTP/1.1 are spoken here")
        if len(event.target) > self._limits.target_bytes:
            raise HTTPSyntaxError(414, f"more than {self._limits.target_bytes} bytes of address")
        if self._method not in self._limits.methods:
            raise HTTPSyntaxError(501, f"nothing is known here of the method {self._method[:40]}")

    def _check_headers(self, version: bytes, headers: HeaderList) -> None:
        if len(headers) > self._limits.headers:
            raise HTTPSyntaxError(431, f"more than {self._limits.headers} headers")
        if any(_control(value) for _, value in headers):
            raise HTTPSyntaxError(400, "a control character in a header")
        length = next((value for name, value in headers if name == b"content-length"), None)
        if self._chunked and (length is not None or version == b"1.0"):
            raise HTTPSyntaxError(400, "where the body ends is not clear")
        if length is not None and int(length) > self._limits.body_bytes:
            raise self._body_too_long()
        if length is None and version == b"1.0" and self._method in ("POST", "PUT", "PATCH"):
            raise HTTPSyntaxError(411, "a body needs its length")

    # ---- answers

    def send_continue(self) -> None:
        """Tell a client that waits for it to send the body."""
        self._send(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue"))

    def send_head(self, response: Response, date: str = "", close: bool = False) -> None:
        """Begin the answer. date: for the header of that name. close: it is the last one."""
        self._bodiless = self._method == "HEAD" or response.status in _WITHOUT_BODY
        headers = [(name, value) for name, value in (("Date", date),) if value]
        if response.content_type:
            headers.append(("Content-Type", response.content_type))
        headers.extend(response.headers)
        if response.length is not None and response.status not in _WITHOUT_BODY:
            headers.append(("Content-Length", str(response.length)))
        if close:
            headers.append(("Connection", "close"))
        self._send(
            h11.Response(
                status_code=response.status,
                headers=[(n.encode("ascii"), v.encode("latin-1")) for n, v in headers],
                reason=phrase_of(response.status).encode("ascii"),
            )
        )

    def send_data(self, data: bytes) -> None:
        """A piece of the body; dropped where an answer has none, as to HEAD."""
        if data and not self._bodiless:
            self._send(h11.Data(data=data))

    def end(self) -> None:
        self._send(h11.EndOfMessage())


def _origin_form(target: str, method: str) -> tuple[str, str]:
    """(path and query, server) of the address in the request line."""
    if target.startswith("/") or (target == "*" and method == "OPTIONS"):
        return target, ""
    parts = split_uri(target)
    if parts["uri-protocol"].lower() not in ("http", "https"):
        raise HTTPSyntaxError(400, "the address must begin with a slash")
    path = parts["raw-uri"]
    # The path may be left out of it, also before a query (RFC 9112, section 3.2.1).
    return path if path.startswith("/") else f"/{path}", parts["uri-server"]
