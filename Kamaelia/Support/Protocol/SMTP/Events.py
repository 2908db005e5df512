"""
What the two SMTP state machines tell their owners
==================================================
Frozen records, one class a kind of event; an owner takes them apart with `match`::

    while (event := session.next_event()) is not None:
        match event:
            case RecipientGiven(path=path):
                session.reply(decide(path))
            case DataReceived(data=data):
                backend.send_data(data)
            case SessionEnded():
                break

Of the server's events three NEED A REPLY: RecipientGiven, DataRequested and MessageComplete. The
session answers everything else by itself and keeps the commands behind a waiting one in its
buffer, so replies can never overtake each other (RFC 2920, section 3.2).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

from Kamaelia.Support.Protocol.SMTP.Address import Path
from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities
from Kamaelia.Support.Protocol.SMTP.Replies import Reply

Parameters: TypeAlias = Mapping[str, bytes | None]


class EndReason(Enum):
    """Why a server session is over."""

    QUIT = auto()  # the client said so
    EOF = auto()  # the client closed the connection
    ERRORS = auto()  # too many errors
    ABUSE = auto()  # HTTP, TLS without STARTTLS, an endless line, an attempt at smuggling
    CLOSED = auto()  # the owner closed it: a time-out, a shutdown (never given by the session)


class FailReason(Enum):
    """Why a client session cannot go on."""

    BANNER = auto()  # the server greeted us with anything but 220
    HELLO = auto()  # the server refused EHLO and HELO
    LOST = auto()  # the connection ended without a goodbye
    SYNTAX = auto()  # a reply that is no SMTP, or that nobody asked for
    SHUTTING_DOWN = auto()  # 421: the server is going away
    UNREACHABLE = auto()  # there was no connection (never given by the session)
    TIMEOUT = auto()  # no answer in time (never given by the session)


# --- of the server session ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HelloReceived:
    """EHLO or HELO, already answered. `name` is printable ASCII."""

    verb: str
    name: bytes


@dataclass(frozen=True, slots=True)
class SenderGiven:
    """MAIL, already answered with 250. The keys are upper case, in the order they came."""

    path: Path
    parameters: Parameters


@dataclass(frozen=True, slots=True)
class RecipientGiven:
    """RCPT. NEEDS A REPLY."""

    path: Path
    parameters: Parameters


@dataclass(frozen=True, slots=True)
class DataRequested:
    """DATA with at least one accepted recipient. NEEDS A REPLY: only 354 opens the data phase."""


@dataclass(frozen=True, slots=True)
class DataReceived:
    """A piece of the message in wire form: dots are still stuffed, the final dot is never in it."""

    data: bytes


@dataclass(frozen=True, slots=True)
class MessageComplete:
    """The final dot came. NEEDS A REPLY. `size` counts the bytes as they were on the wire."""

    size: int


@dataclass(frozen=True, slots=True)
class MessageFailed:
    """The message must not be delivered: leave the backend without sending the dot.

    The session eats the rest and gives `reply` at the true end. No MessageComplete follows.
    """

    reply: Reply


@dataclass(frozen=True, slots=True)
class TransactionReset:
    """RSET, or a greeting that ended a transaction."""


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The last event. `in_data`: the client went away inside a message, which is thereby lost."""

    reason: EndReason
    in_data: bool = False


# --- of the client session ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ready:
    """Banner and greeting are done: transactions may begin."""

    capabilities: Capabilities


@dataclass(frozen=True, slots=True)
class ReplyReceived:
    """The reply to MAIL, RCPT, DATA, RSET, QUIT or "." (the end of the message)."""

    command: str
    reply: Reply


@dataclass(frozen=True, slots=True)
class SessionFailed:
    """The last event of a session that broke; `reply` is what the server said, if it did."""

    reason: FailReason
    reply: Reply | None


ServerEvent: TypeAlias = (
    HelloReceived
    | SenderGiven
    | RecipientGiven
    | DataRequested
    | DataReceived
    | MessageComplete
    | MessageFailed
    | TransactionReset
    | SessionEnded
)
ClientEvent: TypeAlias = Ready | ReplyReceived | SessionFailed
Event: TypeAlias = ServerEvent | ClientEvent
