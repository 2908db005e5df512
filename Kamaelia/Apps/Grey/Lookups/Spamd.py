"""
What SpamAssassin says
======================
Sends a message to spamd and takes its verdict: the CHECK of the SPAMC protocol, version 1.5
(spamd/PROTOCOL of SpamAssassin), over a local socket or TCP.

Example Usage
-------------
In a thread; `handlers` in Others.py does so::

    look = SpamdLookup(("inet", "127.0.0.1:783"), contents, seconds=3.0)
    answer, keep_seconds = look(Spamd(number))     # SpamAnswer(is_spam=True, tenths=153)

Of a message only the first 512 kB go there, which is what SpamAssassin's own client sends at most.
The answer is for this message only and is not kept.
"""

import re
from decimal import ROUND_HALF_UP, Decimal

from Kamaelia.Apps.Grey.Core.Access.Questions import SpamAnswer, Spamd
from Kamaelia.Apps.Grey.Lookups.Answers import KEEP_NOTHING, failed
from Kamaelia.Apps.Grey.Lookups.Contents import Contents
from Kamaelia.Apps.Grey.Lookups.TimedSocket import Address, TimedSocket

PORT = 783
MESSAGE_BYTES = 512_000
ANSWER_BYTES = 4_096

_status = re.compile(rb"SPAMD/[0-9.]{1,8} +([0-9]{1,3})(?: +([ -~]{0,80}))?\r?\n").match
_verdict = re.compile(
    rb"(?im)^Spam: *(true|yes|false|no) *; *(-?[0-9]{1,6}(?:\.[0-9]{1,6})?)"
    rb" */ *-?[0-9.]{1,12} *\r?$"
).search
_host_and_port = re.compile(
    r"(?:\[([0-9A-Fa-f:.%a-z]+)\]|([^\s:\[\]]+))(?::([0-9]{1,5}))?"
).fullmatch


class SpamdLookup:
    """SpamdLookup(where, contents, seconds) -> answers Spamd questions; where: ("unix", path) or
    ("inet", "host:port"). Raises ValueError for what is neither."""

    def __init__(self, where: tuple[str, str], contents: Contents, seconds: float) -> None:
        self._address = address_of(*where)
        self._where = where[1]
        self._contents = contents
        self._seconds = seconds

    def __call__(self, question: Spamd) -> tuple[object, float]:
        try:
            message = self._contents.read(question.message_id, MESSAGE_BYTES)
            if message is None:
                return failed("spamd: the message is not at hand"), KEEP_NOTHING
            with TimedSocket(self._address, self._seconds) as connection:
                connection.send(request_for(message))
                connection.end()
                reply = connection.read_all(ANSWER_BYTES)
        except OSError as error:
            return failed(f"spamd at {self._where}: {error}"), KEEP_NOTHING
        try:
            return answer_of(reply), KEEP_NOTHING
        except ValueError as error:
            return failed(f"spamd at {self._where}: {error}"), KEEP_NOTHING


def address_of(kind: str, where: str) -> Address:
    """Where a socket of the file's `spamdsock` statement is. Raises ValueError.

    >>> address_of("inet", "[::1]:1783"), address_of("inet", "spam.example.net")
    (('::1', 1783), ('spam.example.net', 783))
    """
    if kind == "unix" and where and "\0" not in where:
        return where
    match = _host_and_port(where) if kind == "inet" else None
    if match is None or not 0 < int(match[3] or PORT) < 65_536:
        raise ValueError(f"spamdsock: {where!r} is no address of a socket: write host:port")
    return match[1] or match[2], int(match[3] or PORT)


def request_for(message: bytes) -> bytes:
    """All bytes that are sent."""
    return b"CHECK SPAMC/1.5\r\nContent-length: %d\r\n\r\n%b" % (len(message), message)


def answer_of(reply: bytes) -> SpamAnswer:
    """What spamd says. Raises ValueError.

    >>> answer_of(b"SPAMD/1.1 0 EX_OK\\r\\nSpam: True ; 15.25 / 5.0\\r\\n\\r\\n")
    SpamAnswer(is_spam=True, tenths=153)
    """
    status = _status(reply)
    if status is None:
        raise ValueError("not the answer of spamd")
    if int(status[1]) != 0:
        raise ValueError(f"it answered {int(status[1])} {(status[2] or b'').decode('ascii')}")
    verdict = _verdict(reply.partition(b"\r\n\r\n")[0])
    if verdict is None:
        raise ValueError("its answer has no verdict")
    tenths = (Decimal(verdict[2].decode("ascii")) * 10).quantize(Decimal(1), ROUND_HALF_UP)
    return SpamAnswer(verdict[1].lower() in (b"true", b"yes"), int(tenths))
