"""
One message on its way
======================
All that is known of it, from MAIL to the reply to the dot, RSET, or the end. Its recipients are
asked for one by one: `pending` is the one whose reply is due.

>>> Transaction(NULL_PATH, {}).accepted
[]

A desk makes a new one with each MAIL and whenever one is over, see ProxyDesk.py and ServerSide.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from Kamaelia.Support.Protocol.SMTP.Address import NULL_PATH as NULL_PATH
from Kamaelia.Support.Protocol.SMTP.Address import Path

if TYPE_CHECKING:
    from Kamaelia.Apps.Grey.Core.Types import Decision
    from Kamaelia.Apps.Grey.FrontDoor.RuleSide import Judged
    from Kamaelia.Support.Protocol.SMTP.Events import Parameters, RecipientGiven
    from Kamaelia.Support.Protocol.SMTP.Replies import Reply


class Transaction:
    """One message on its way: from MAIL to the reply to the dot, RSET, or the end."""

    __slots__ = (
        "accepted",
        "after_dot",
        "complete",
        "data_asked",
        "decision",
        "deferral",
        "early",
        "front",
        "given_headers",
        "in_data",
        "judged",
        "last_decision",
        "offered",
        "parameters",
        "pending",
        "put_off",
        "putting_off",
        "recipient_text",
        "retried",
        "sender",
        "sender_given",
        "sender_refusal",
        "sender_text",
        "size",
        "waited",
    )

    def __init__(self, sender: Path, parameters: Parameters) -> None:
        self.sender = sender
        self.sender_text = ""  # as it stands in logs and keys
        self.parameters = parameters
        self.pending: RecipientGiven | None = None  # the recipient that waits for its reply
        self.recipient_text = ""  # the same of that
        self.offered = False  # it was let pass: its reply depends on the server
        self.deferral: Reply | None = None  # what it hears if the verifier knows it
        self.accepted: list[str] = []  # those that the real server took
        self.sender_given = False  # the real server has been told of MAIL
        self.sender_refusal: Reply | None = None
        self.retried = False
        self.data_asked = False  # the server has been told of DATA and has not answered
        self.in_data = False  # the server's 354 came
        self.early: Reply | None = None  # the reply to the message, if it came before the dot
        self.complete = False  # the client's dot came
        self.after_dot = False  # the server was sent the dot
        self.size = 0
        # What the rules want, see RuleSide.
        self.decision: Decision | None = None  # on the recipient that waits
        self.last_decision: Decision | None = None  # on the last one that was taken
        self.waited = 0  # seconds: the longest of all that were taken, and its own
        self.given_headers: tuple[tuple[str, int | None], ...] = ()
        self.front = b""  # what has to stand in front of the message, until it has begun
        self.judged: Judged | None = None  # the message, while it is kept
        self.putting_off: Reply | None = None  # the recipient's, if the server takes it
        self.put_off: Reply | None = None  # what the message will hear
