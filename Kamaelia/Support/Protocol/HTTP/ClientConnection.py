"""
The client's side of one HTTP connection
========================================
One request, and the answer to it:

>>> connection = ClientConnection("GET", Url.parse("http://example.org/hello"))
>>> connection.data_to_send().startswith(b"GET /hello HTTP/1.1\\r\\nHost: example.org\\r\\n")
True
>>> connection.receive_data(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nhi")
>>> connection.next_event()
ResponseReceived(status=200, headers=(('content-length', '2'),), version='1.1')
>>> [connection.next_event() for _ in range(2)]
[BodyReceived(data=b'hi'), BodyEnded()]

Compression is not asked for: a small answer that becomes a large one is somebody else's attack.
Several heads may come (100, 103); what they have together is limited, so they cannot come for ever.
"""

from __future__ import annotations

import h11

from Kamaelia.Support.Protocol.HTTP.Connection import Connection, Event, ResponseReceived, texts_of
from Kamaelia.Support.Protocol.HTTP.Messages import Headers, check_header
from Kamaelia.Support.Protocol.HTTP.Uri import Url

HEAD_BYTES = 65_536
BODY_BYTES = 16_777_216
_WITH_BODY = ("POST", "PUT", "PATCH")


class ClientConnection(Connection):
    """ClientConnection(method, url, headers=(), body=b"", body_bytes=16 MiB).

    headers: in addition to those that are always sent; one of the same name takes its place. Raises
    TypeError or ValueError for one that cannot be sent, LocalProtocolError for such a method."""

    def __init__(
        self,
        method: str,
        url: Url,
        headers: Headers = (),
        body: bytes = b"",
        body_bytes: int = BODY_BYTES,
    ) -> None:
        made = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES)
        super().__init__(made, HEAD_BYTES, body_bytes)
        own = {"host": "Host", "accept-encoding": "Accept-Encoding"}
        all_headers = [("Host", url.authority), ("Accept-Encoding", "identity")]
        for name, value in headers:
            check_header(name, value)
            if name.lower() in own:
                all_headers = [pair for pair in all_headers if pair[0] != own[name.lower()]]
            all_headers.append((name, value))
        if body or method in _WITH_BODY:
            all_headers.append(("Content-Length", str(len(body))))
        all_headers.append(("Connection", "close"))
        try:
            request = h11.Request(
                method=method.encode("ascii"),
                target=url.target.encode("ascii"),
                headers=[(n.encode("ascii"), v.encode("latin-1")) for n, v in all_headers],
            )
        except h11.LocalProtocolError as error:
            raise ValueError(f"no request: {error}") from None
        self._send(request)
        if body:
            self._send(h11.Data(data=body))
        self._send(h11.EndOfMessage())

    def _take(self, event: object) -> Event | None:
        if not isinstance(event, h11.Response):
            return super()._take(event)
        self._head_is_complete(list(event.headers))
        return ResponseReceived(
            event.status_code, texts_of(event.headers), event.http_version.decode("ascii")
        )
