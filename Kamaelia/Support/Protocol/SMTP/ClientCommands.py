"""
What a client session is asked to do
====================================
The commands that an owner sends to SMTPClientSession, in the order in which SMTP wants them, and
how long the server may take over each. A message goes as the DataReceived of Events: what came from
one side's parser goes out at the other as it is.

Example Usage
-------------
One mail to one recipient::

    for command in (GiveSender(sender, {}), GiveRecipient(recipient, {}), StartData()):
        self.send(command, "commands")
    ...  # the 354 came
    for command in (DataReceived(text), EndData()):
        self.send(command, "commands")
"""

from __future__ import annotations

from dataclasses import dataclass, field

from Kamaelia.Support.Protocol.SMTP.Address import Path
from Kamaelia.Support.Protocol.SMTP.Events import DataReceived, Parameters


@dataclass(frozen=True, slots=True)
class Greet:
    """Connect and exchange greetings, if that has not happened; Ready says what is offered."""


@dataclass(slots=True, unsafe_hash=True)  # each message makes one, see Events
class GiveSender:
    """MAIL; connects first if need be."""

    path: Path
    parameters: Parameters


@dataclass(slots=True, unsafe_hash=True)  # each message makes one, see Events
class GiveRecipient:
    """RCPT."""

    path: Path
    parameters: Parameters


@dataclass(frozen=True, slots=True)
class StartData:
    """DATA; after the 354 come DataReceived (bytes in wire form), then EndData."""


@dataclass(frozen=True, slots=True)
class EndData:
    """The dot. From here on the server may have the message, whatever we hear."""


@dataclass(frozen=True, slots=True)
class ResetTransaction:
    """RSET."""


@dataclass(frozen=True, slots=True)
class GiveAuth:
    """AUTH; connects first if need be. What is secret does not show."""

    mechanism: bytes
    initial: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class GiveAuthLine:
    """The answer to a 334."""

    line: bytes = field(repr=False)


ClientCommand = (
    Greet
    | GiveSender
    | GiveRecipient
    | StartData
    | DataReceived
    | EndData
    | ResetTransaction
    | GiveAuth
    | GiveAuthLine
)


@dataclass(frozen=True, slots=True)
class Abandoned:
    """The answer to "abandon": no event of the session that was follows this one."""


@dataclass(frozen=True, slots=True)
class ClientTimes:
    """How long a server may take, in seconds (RFC 5321, section 4.5.3.2).

    ``final`` is below the ten minutes that a client waits after its dot, so that ours still hears
    of the outcome."""

    connect: float = 30.0
    reply: float = 300.0
    data_block: float = 180.0
    final: float = 570.0
    quit: float = 5.0
