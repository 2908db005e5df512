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

Of the server's events these NEED A REPLY: RecipientGiven, DataRequested, MessageComplete,
AuthRequested and AuthResponse. The session answers everything else by itself and keeps the commands
behind a waiting one in its buffer, so replies can never overtake each other (RFC 2920, section
3.2). TLSRequested needs no reply but `tls_started()`.

Nobody changes an event. Those that every message makes are slotted but not frozen all the same:
a frozen record takes three times as long to make.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    ABUSE = auto()  # HTTP, TLS without STARTTLS, an endless line, early talk, smuggling
    CLOSED = auto()  # the owner closed it: a time-out, a shutdown (never given by the session)


class FailReason(Enum):
    """Why a client session cannot go on."""

    BANNER = auto()  # the server greeted us with anything but 220
    HELLO = auto()  # the server refused EHLO and HELO
    TLS = auto()  # it is required here, and the server does not offer or refuses it
    XCLIENT = auto()  # the server does not take it from us, or not the client that it described
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


@dataclass(slots=True, unsafe_hash=True)  # hot: see the module
class SenderGiven:
    """MAIL, already answered with 250. The keys are upper case, in the order they came."""

    path: Path
    parameters: Parameters


@dataclass(slots=True, unsafe_hash=True)  # hot: see the module
class RecipientGiven:
    """RCPT. NEEDS A REPLY."""

    path: Path
    parameters: Parameters


@dataclass(frozen=True, slots=True)
class DataRequested:
    """DATA, or the first BDAT, with at least one accepted recipient.

    NEEDS A REPLY: only 354 opens the data phase. (Behind BDAT the client does not hear the 354.)
    """


@dataclass(slots=True, unsafe_hash=True)  # hot: see the module
class DataReceived:
    """A piece of the message in wire form: dots are still stuffed, the final dot is never in it."""

    data: bytes


@dataclass(slots=True, unsafe_hash=True)  # hot: see the module
class MessageComplete:
    """The final dot came. NEEDS A REPLY. `size` counts the bytes as they were on the wire."""

    size: int


@dataclass(frozen=True, slots=True)
class MessageFailed:
    """The message must not be delivered: leave the backend without sending the dot.

    The session eats the rest and gives `reply` at the true end. No MessageComplete follows. A
    client that takes its message back between two chunks (BDAT, RSET) makes one, too; what it hears
    then is the answer to RSET.
    """

    reply: Reply


@dataclass(frozen=True, slots=True)
class TransactionReset:
    """RSET, or anything else that ended a transaction: a greeting, STARTTLS, a failed BDAT LAST."""


@dataclass(frozen=True, slots=True)
class TLSRequested:
    """STARTTLS, answered with 220: send that, do the handshake, then call `tls_started()`.

    Whatever else came in plain text must be fed, not thrown away: it ends the session.
    """


@dataclass(frozen=True, slots=True)
class AuthRequested:
    """AUTH (RFC 4954). NEEDS A REPLY: 334 asks for a line, 235 is success, all else failure.

    mechanism: upper case, one of those that were offered. initial: base64 as it came, b"=" for an
    empty one, None if there was none; like the password that it is, it stands in no repr.
    """

    mechanism: bytes
    initial: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class AuthResponse:
    """The client's answer to 334. NEEDS A REPLY, as AuthRequested does.

    line: base64, "=" or "*" (the client gives up, or what it sent was no base64).
    """

    line: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ClientDescribed:
    """XCLIENT from a front that may use it, already answered with a new greeting.

    attributes: upper-case names and decoded values; None says that the front does not know.
    """

    attributes: Mapping[str, str | None]


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
class TLSWanted:
    """The server said 220 to STARTTLS: do the handshake, then call `tls_started`."""


@dataclass(slots=True, unsafe_hash=True)  # hot: see the module
class ReplyReceived:
    """The reply to MAIL, RCPT, DATA, RSET, AUTH, QUIT or "." (the end of the message)."""

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
    | TLSRequested
    | AuthRequested
    | AuthResponse
    | ClientDescribed
    | SessionEnded
)
ClientEvent: TypeAlias = Ready | TLSWanted | ReplyReceived | SessionFailed
Event: TypeAlias = ServerEvent | ClientEvent
