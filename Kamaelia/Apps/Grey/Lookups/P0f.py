"""
What a client runs on
=====================
Asks p0f, version 3, which watches the network and guesses at the system of every client by the
look of its packets. The question is 21 bytes to p0f's local socket, the answer 232 (p0f's README,
"API access"): numbers in this machine's byte order, texts padded with zero bytes.

Example Usage
-------------
In a thread; `handlers` in Others.py does so::

    look = P0fLookup("/run/p0f.sock", seconds=3.0)
    answer, keep_seconds = look(P0f("192.0.2.7"))     # ("Linux 3.11 and newer", 300.0)

The answer is genre and detail with a blank between them, "" for a client that p0f knows nothing of.
Version 2 of p0f had another protocol and is not spoken.
"""

import socket
import struct

from Kamaelia.Apps.Grey.Core.Access.Questions import P0f
from Kamaelia.Apps.Grey.Lookups.Answers import KEEP_NOTHING, clean, failed
from Kamaelia.Apps.Grey.Lookups.TimedSocket import TimedSocket

QUERY = struct.Struct("=IB16s")
# magic, status, first and last seen, connections, uptime (2), latest NAT and change; distance,
# bad software, quality of the match; names of the system, its flavour, the same of HTTP, link,
# language
REPLY = struct.Struct("=9IhBB32s32s32s32s32s32s")
MAGIC_QUERY, MAGIC_REPLY = 0x50304601, 0x50304602
BAD_QUERY, FOUND, UNKNOWN = 0x00, 0x10, 0x20
KEEP_SECONDS = 300.0


class P0fLookup:
    """P0fLookup(path, seconds) -> answers P0f questions; path: p0f's socket."""

    def __init__(self, path: str, seconds: float) -> None:
        self._path = path
        self._seconds = seconds

    def __call__(self, question: P0f) -> tuple[object, float]:
        query = packed_query(question.client)
        if query is None:  # came by a local socket
            return "", KEEP_SECONDS
        try:
            with TimedSocket(self._path, self._seconds) as connection:
                connection.send(query)
                reply = connection.read_all(REPLY.size)
        except OSError as error:
            return failed(f"p0f at {self._path}: {error}"), KEEP_NOTHING
        text = text_of(reply)
        if text is None:
            return failed(f"p0f at {self._path}: not the answer of p0f 3"), KEEP_NOTHING
        # A client that is new to p0f may be known to it in a moment.
        return text, KEEP_SECONDS if text else KEEP_NOTHING


def packed_query(client: str) -> bytes | None:
    """The question about that address; None: it is none.

    >>> packed_query("192.0.2.7")[4:9]
    b'\\x04\\xc0\\x00\\x02\\x07'
    """
    for kind, family in ((4, socket.AF_INET), (6, socket.AF_INET6)):
        try:
            return QUERY.pack(MAGIC_QUERY, kind, socket.inet_pton(family, client))
        except (OSError, ValueError):  # of that family it is not, or it has a zero in it
            continue
    return None


def text_of(reply: bytes) -> str | None:
    """What the answer says; None: it is not one."""
    if len(reply) != REPLY.size:
        return None
    fields = REPLY.unpack(reply)
    if fields[0] != MAGIC_REPLY or fields[1] not in (FOUND, UNKNOWN):
        return None
    if fields[1] == UNKNOWN:
        return ""
    texts = (field.split(b"\0", 1)[0].decode("ascii", "replace") for field in fields[12:14])
    return clean(" ".join(clean(text) for text in texts))
