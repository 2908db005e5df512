"""
Which questions are about the same message
==========================================
Postfix's policy service asks about each recipient by itself, perhaps by another connection than
about the last one, since each of its smtpd processes has its own. All questions about one message
have the same `instance`. What has to be known of a message as a whole is kept here under that name:
who the client is, which recipients were let in, whether its header has been given.

Example Usage
-------------
The server makes one for each door, and all connections there share it::

    memory = PolicyMemory()
    door = ServerCore(protocol=lambda **peer: PolicyDoor(office, memory=memory, **peer), sock=sock)

Rules. Nobody says when a message is over, so the oldest are forgotten when there are too many:
Postfix asks about all recipients of one within seconds or minutes. A name that comes again with
another client or sender is another message's (another machine's, which counts as this one does).
Without a name (Postfix before 2.2) each question is about a message of its own.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from Kamaelia.Apps.Grey.Core.Access.Subject import Mail, Session

LIMIT = 10_000  # messages; some 200 bytes each, and 2 KiB where there are access rules


class Letter:
    """One message, as far as it is known. session_id: in the log and the replies. waited: seconds,
    the longest of its recipients. headers: that rules gave it, and nobody has been told yet."""

    __slots__ = (
        "client",
        "headers",
        "mail",
        "reported",
        "sender",
        "session",
        "session_id",
        "waited",
    )

    def __init__(self, client: str, sender: str, session_id: str) -> None:
        self.client = client
        self.sender = sender
        self.session_id = session_id
        self.session: Session | None = None  # for the access rules
        self.mail: Mail | None = None
        self.waited = 0
        self.reported = False  # its X-Greylist was given
        self.headers: dict[str, bool] | None = None  # each, and whether it was given


class PolicyMemory:
    """PolicyMemory(limit=10000) -> `letter`; limit: messages that are remembered."""

    __slots__ = ("_letters", "_limit")

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._letters: OrderedDict[str, Letter] = OrderedDict()

    def __len__(self) -> int:
        return len(self._letters)

    def letter(self, instance: str, client: str, sender: str, new_id: Callable[[], str]) -> Letter:
        """What is known of the message; a new one is there from now on."""
        letters = self._letters
        found = letters.get(instance)
        if found is not None and found.client == client and found.sender == sender:
            letters.move_to_end(instance)
            return found
        made = Letter(client, sender, new_id())
        if instance:
            letters[instance] = made
            if found is not None:
                letters.move_to_end(instance)
            elif len(letters) > self._limit:
                letters.popitem(last=False)
        return made
