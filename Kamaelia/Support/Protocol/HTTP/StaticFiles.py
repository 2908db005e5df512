"""
From an address to a file, safely
=================================
Which file is meant, without looking at any:

>>> file_parts("img/a%20b.png?size=2")
('img', 'a b.png')
>>> file_parts("../etc/passwd")
Traceback (most recent call last):
...
Kamaelia.Support.Protocol.HTTP.StaticFiles.NoSuchFile: '..' in the address

Each part is decoded once, after the address was cut at its slashes, so no escape can bring in a
slash, a NUL or a way up. Names that begin with a dot are nobody's business (.git, .htpasswd), but
for .well-known (RFC 8615). Whoever opens the file must also not follow links on the way.
"""

import mimetypes
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

from Kamaelia.Exceptions import ProtocolError
from Kamaelia.Support.Protocol.HTTP.Messages import Request

_LONGEST_PART = 255  # bytes; file systems take no more
_SHOWN_DOT = ".well-known"

# The built-in table alone: what a machine has in /etc would make answers differ.
_types = mimetypes.MimeTypes(filenames=())
for _extension, _type in {
    ".ico": "image/x-icon",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".svg": "image/svg+xml",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
    ".wasm": "application/wasm",
    ".md": "text/markdown",
}.items():
    _types.add_type(_type, _extension)


class NoSuchFile(ProtocolError):  # noqa: N818 - said by what is wrong, as in Axon
    """The address names nothing that may be given out."""


class RangeNotSatisfiable(ProtocolError):  # noqa: N818 - as above
    """The range that was asked for lies outside of the file."""


def file_parts(address: str) -> tuple[str, ...]:
    """Names from the served folder down to the file; an empty tuple is the folder itself."""
    parts = []
    for raw in address.partition("?")[0].split("/"):
        name = unquote_to_bytes(raw)
        if name in (b"", b"."):
            continue
        try:
            text = name.decode("utf-8")
        except UnicodeDecodeError:
            raise NoSuchFile("bytes that are no text in the address") from None
        if text == "..":
            raise NoSuchFile("'..' in the address")
        if "/" in text or "\\" in text or not text.isprintable():
            raise NoSuchFile("a separator or control character within a name")
        if text.startswith(".") and text != _SHOWN_DOT:
            raise NoSuchFile("a hidden name")
        if len(name) > _LONGEST_PART:
            raise NoSuchFile("a name that is too long")
        parts.append(text)
    return tuple(parts)


def folder_address(request: Request) -> str:
    """Where to send one who asked for a folder without the slash at its end."""
    path = quote(request.path, "/%:@!$&'()*+,;=~")
    query = f"?{quote(request.query, '/%:@!$&()*+,;=~?')}" if request.query else ""
    # Two slashes at the beginning would be the name of another server.
    return "/" + path.strip("/") + "/" + query


def content_type_of(name: str) -> str:
    """The type for a file's name. A compressed file is what it is, and nothing to be unpacked."""
    kind, encoding = _types.guess_type(f"x/{name}")
    if kind is None or encoding is not None:
        return "application/octet-stream"
    if kind.startswith("text/") or kind in ("application/json", "image/svg+xml"):
        return f"{kind}; charset=utf-8"
    return kind


@dataclass(frozen=True, slots=True)
class Extent:
    """Which bytes of a file to send."""

    start: int
    length: int


def extent_of(range_header: str, size: int) -> Extent | None:
    """The part that a Range header asks for (RFC 9110, section 14); None: all of it, as also for
    what is not understood or is several parts.

    Raises RangeNotSatisfiable."""
    unit, _, wanted = range_header.partition("=")
    first, dash, last = wanted.strip().partition("-")
    if unit.strip().lower() != "bytes" or not dash or not _are_numbers(first, last):
        return None
    if not first:  # so many from the end
        length = min(int(last), size)
        start = size - length
    else:
        start = int(first)
        length = min(int(last) + 1 if last else size, size) - start
        if last and int(last) < start:
            return None
    if length <= 0:
        raise RangeNotSatisfiable(f"the file has {size} bytes")
    return Extent(start, length)


def _are_numbers(first: str, last: str) -> bool:
    texts = [text for text in (first, last) if text]
    return bool(texts) and all(
        text.isascii() and text.isdigit() and len(text) < 19 for text in texts
    )


def matches(condition: str, tag: str) -> bool:
    """True if an If-None-Match header names this tag: its client has the file already."""
    names = [name.strip().removeprefix("W/") for name in condition.split(",")]
    return tag in names or condition.strip() == "*"
