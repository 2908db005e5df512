"""
What became of one message
==========================
The mail log's second kind of line: a decision says who may try, an Outcome says how it ended for
one whole message that was handed to the real mail server.

>>> ending = Outcome("k3f9", "192.0.2.7", "a@b", ("c@d",), 1204, Fate.DELIVERED, "250 Ok")
>>> ending.fate.value
'delivered'
"""

from dataclasses import dataclass
from enum import Enum


class Fate(Enum):
    """How it ended. The values stand in the mail log: they are an interface, do not rename them."""

    DELIVERED = "delivered"  # the real server said 2xx, and so did we
    DEFERRED = "deferred"  # it said 4xx
    REFUSED = "refused"  # it said 5xx
    ABANDONED = "abandoned"  # it never got the final dot: nobody has the message but its sender
    UNKNOWN = "unknown"  # it got the final dot and never answered: it may have it (RFC 1047)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One message's end; size in bytes, reply is the text that decided it (escaped, one line)."""

    session: str
    client: str
    sender: str
    recipients: tuple[str, ...]
    size: int
    fate: Fate
    reply: str
    now: float = 0.0
