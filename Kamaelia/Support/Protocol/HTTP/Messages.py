"""
What is said in HTTP: requests, parts of responses, parsed pieces
=================================================================
A `Request` is what a request handler is made from. It is typed, and it is a mapping with the keys
of the original as well:

>>> request = Request("GET", "/files/a%20b?x=1", (("host", "example.org"),)).routed("/files/")
>>> request.path, request.query, request.suffix
('/files/a%20b', 'x=1', 'a%20b?x=1')
>>> request["raw-uri"], request["headers"]["host"], request["uri-suffix"]
('/files/a%20b?x=1', 'example.org', 'a%20b?x=1')

A `Response` is a piece of an answer: the first one has the status and the headers, each may have
data. A dictionary with the original's keys is as good:

>>> part = Response.of({"statuscode": "404 Not Found", "data": "no", "content-type": "text/plain"})
>>> part.status, part.data, part.content_type
(404, b'no', 'text/plain; charset=utf-8')

No Response can hold a header with a line end in it, so none can begin a line, or an answer, of its
own.
"""

import html
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from operator import attrgetter
from typing import Any

from Kamaelia.Support.Protocol.HTTP.Uri import split_uri

Headers = tuple[tuple[str, str], ...]

_token = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+").fullmatch
_value = re.compile(r"[\t\x20-\x7e\x80-\xff]*").fullmatch
# What says where the answer ends is worked out from `length` and the request, by one place only.
_FRAMING = frozenset({"transfer-encoding", "content-length", "connection", "trailer"})

HTML = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Request(Mapping[str, Any]):
    """A request without its body. Header names are in lower case."""

    method: str
    target: str  # path and query, as they came
    headers: Headers = ()
    version: str = "1.1"
    server: str = ""  # the host name in the request line, as clients of a proxy send it
    peer: str = ""
    peerport: int = 0
    localip: str = ""
    localport: int = 0
    prefix: str | None = None  # the one by which it was routed

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    @property
    def suffix(self) -> str:
        """What follows the prefix by which it was routed."""
        return self.target[len(self.prefix or "") :]

    def header(self, name: str, default: str = "") -> str:
        """The value of a header; of several with the name, all of them, as HTTP joins them."""
        values = [value for key, value in self.headers if key == name.lower()]
        separator = "; " if name.lower() == "cookie" else ", "
        return separator.join(values) if values else default

    def routed(self, prefix: str) -> "Request":
        return replace(self, prefix=prefix)

    # ---- as the dictionary of the original

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401 - texts, numbers and a dictionary
        if key in _ROUTED and self.prefix is None:
            raise KeyError(key)
        return _KEYS[key](self)

    def __iter__(self) -> Iterator[str]:
        return (key for key in _KEYS if self.prefix is not None or key not in _ROUTED)

    def __len__(self) -> int:
        return len(list(iter(self)))


def _header_dict(request: Request) -> dict[str, str]:
    return {name: request.header(name) for name, _ in request.headers}


def _server(request: Request) -> str:
    return request.server or split_uri(request.header("host"))["uri-server"]


_KEYS: dict[str, Callable[[Request], Any]] = {
    "bad": lambda _: False,  # a request that is, never gets as far as a handler
    "method": attrgetter("method"),
    "protocol": lambda _: "HTTP",
    "version": attrgetter("version"),
    "raw-uri": attrgetter("target"),
    "non-query-uri": attrgetter("path"),
    "query-string": attrgetter("query"),
    "uri-protocol": lambda _: "http",
    "uri-server": _server,
    "headers": _header_dict,
    "peer": attrgetter("peer"),
    "peerport": attrgetter("peerport"),
    "localip": attrgetter("localip"),
    "localport": attrgetter("localport"),
    "uri-prefix-trigger": attrgetter("prefix"),
    "uri-suffix": attrgetter("suffix"),
}
_ROUTED = frozenset({"uri-prefix-trigger", "uri-suffix"})


@dataclass(frozen=True, slots=True)
class Response:
    """A piece of an answer. Of the second and later ones only the data counts.

    length: how long all data will be; else it is sent in chunks. complete: this piece is all.

    Raises TypeError or ValueError for what cannot be sent."""

    data: bytes = b""
    status: int = 200
    content_type: str = ""
    headers: Headers = ()
    length: int | None = None
    complete: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.data, bytes):
            raise TypeError(f"data of a response must be bytes, not {type(self.data).__name__}")
        if not 200 <= self.status <= 599:
            raise ValueError(f"no status of a response: {self.status}")
        if self.length is not None and self.length < 0:
            raise ValueError(f"no length of a response: {self.length}")
        if self.headers or self.content_type:
            for name, value in (*self.headers, ("content-type", self.content_type)):
                check_header(name, value)

    @classmethod
    def of(cls, message: object) -> "Response":
        """From what a handler sent: a Response, bytes (more data), or the original's dictionary."""
        match message:
            case Response():
                return message
            case bytes():
                return cls(message)
            case Mapping():
                return _from_dictionary(message)
            case _:
                raise TypeError(
                    "a request handler sends a Response, a dictionary or bytes, not "
                    f"{type(message).__name__}"
                )


def check_header(name: str, value: str) -> None:
    """Raises TypeError or ValueError for a header that a response must not have."""
    if not isinstance(name, str) or not isinstance(value, str):
        raise TypeError(f"a header is a pair of texts, not {name!r}: {value!r}")
    if not _token(name) or not _value(value):
        raise ValueError(f"no header: {name!r}: {value!r}")
    if name.lower() in _FRAMING:
        raise ValueError(f"the header {name!r} is not the handler's: it follows from `length`")


def _from_dictionary(part: Mapping[str, Any]) -> Response:
    known = {"statuscode", "data", "headers", "content-type", "type", "length", "complete"}
    if not known & part.keys():
        raise TypeError(f"a part of a response needs one of {sorted(known)}: {list(part)[:5]}")
    data = part.get("data", b"")
    content_type = part.get("content-type") or part.get("type") or ""
    charset = part.get("charset", "")
    if isinstance(data, str):
        charset = charset or "utf-8"
        data = data.encode(charset)
    if charset and content_type and "charset=" not in content_type:
        content_type += f"; charset={charset}"
    given = part.get("headers", ())
    pairs: Iterable[tuple[str, str]] = given.items() if isinstance(given, Mapping) else given
    headers, length = [], part.get("length")
    for name, value in pairs:
        if not isinstance(name, str):
            raise TypeError(f"the name of a header is text, not {name!r}")
        if name.lower() == "connection":
            continue  # whether it stays open is decided where that is known
        if name.lower() == "content-length":
            length = value if length is None else length
        elif name.lower() == "content-type":
            content_type = content_type or value
        else:
            headers.append((name, value))
    return Response(
        data,
        int(str(part.get("statuscode", 200)).split()[0]),
        content_type,
        tuple(headers),
        None if length is None else int(str(length)),
        bool(part.get("complete", False)),
    )


def phrase_of(status: int) -> str:
    """The words that go with a status, empty for one that nobody knows."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def error_page(status: int, text: str = "", headers: Headers = ()) -> Response:
    """A small page that says what is wrong. The text may hold what the client sent: it is
    escaped."""
    title = html.escape(f"{status} {phrase_of(status)}".strip())
    page = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{title}</title></head><body><h1>{title}</h1><p>{html.escape(text)}</p></body></html>\n"
    )
    return Response(page.encode(), status, HTML, headers, complete=True)


@dataclass(frozen=True, slots=True)
class TakeOver:
    """Sent by a handler in place of a first Response: from here on it speaks with the client
    itself, bytes in and bytes out, until it ends."""


@dataclass(frozen=True, slots=True)
class ParsedHTTPHeader:
    """The head of a message has come; its parts by the names of the original."""

    header: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ParsedHTTPBodyChunk:
    """A piece of the body."""

    bodychunk: bytes


@dataclass(frozen=True, slots=True)
class ParsedHTTPEnd:
    """The message is complete."""


@dataclass(frozen=True, slots=True)
class HTTPFailure:
    """A fetch that failed; status: what the server answered, if it did."""

    url: str
    reason: str
    status: int | None = None
