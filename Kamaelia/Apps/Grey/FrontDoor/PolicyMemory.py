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

Rules. Nobody says when a message is over. Postfix asks about all recipients of one within seconds
or minutes, so one that nobody has asked about for an hour is: a name that comes again then is
another message's, as it is with another client or sender (another machine's, which counts as this
one does). Without a name (Postfix before 2.2) each question is about a message of its own.

The oldest are forgotten before their time when there are too many messages, or too many recipients
in all of them, and no text that is kept is longer than VALUE_CHARACTERS: what a door remembers has
an end, whoever asks there. Full of what Postfix sends it takes 5 MB, with access rules 20 MB and
10 MB more for the recipients; full of what is as long as it may be, 200 MB.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from Kamaelia.Apps.Grey.Core.Access.Subject import Mail, Session
from Kamaelia.Apps.Grey.Core.Normalise import milter_recipient

LIMIT = 10_000  # messages
RECIPIENTS = 100_000  # of all of them
MOST_RECIPIENTS = 1_000  # of one; Postfix takes no more
AGE_SECONDS = 3600.0  # since the last question
VALUE_CHARACTERS = 512  # of an attribute, as in postgrey; there are no longer ones in honest mail


class Letter:
    """One message, as far as it is known. session_id: in the log and the replies. waited: seconds,
    the longest of its recipients. headers: that rules gave it, and nobody has been told yet."""

    __slots__ = (
        "client",
        "headers",
        "is_kept",
        "mail",
        "reported",
        "sender",
        "session",
        "session_id",
        "used_at",
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
        self.used_at = 0.0  # by the clock of its memory
        self.is_kept = False  # it is in there


class PolicyMemory:
    """PolicyMemory(limit=10000, recipients=100000, clock=time.monotonic) -> `letter`. limit:
    messages that are remembered; recipients: those of all of them. clock: seconds, only forward."""

    __slots__ = ("_clock", "_letters", "_limit", "_most", "recipients")

    def __init__(
        self,
        limit: int = LIMIT,
        recipients: int = RECIPIENTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = limit
        self._most = recipients
        self._clock = clock
        self._letters: OrderedDict[str, Letter] = OrderedDict()  # who was asked about last is last
        self.recipients = 0  # that are remembered

    def __len__(self) -> int:
        return len(self._letters)

    def letter(self, instance: str, client: str, sender: str, new_id: Callable[[], str]) -> Letter:
        """What is known of the message; a new one is there from now on."""
        letters, now = self._letters, self._clock()
        instance = instance[:VALUE_CHARACTERS]
        found = letters.get(instance)
        over = now - AGE_SECONDS
        if found is not None:
            if found.client == client and found.sender == sender and found.used_at > over:
                found.used_at = now
                letters.move_to_end(instance)
                return found
            del letters[instance]
            self._forgotten(found)
        made = Letter(client, sender, new_id())
        if instance:
            while letters and next(iter(letters.values())).used_at <= over:
                self._forget_oldest()
            if len(letters) >= self._limit:
                self._forget_oldest()
            letters[instance] = made
            made.used_at = now
            made.is_kept = True
        return made

    def let_in(self, letter: Letter, recipient: str) -> None:
        """This one is to have the message: rules see it, if anybody asks any."""
        if letter.mail is None:
            return
        taken, known = milter_recipient(f"<{recipient}>"), letter.mail.recipients
        if len(known) >= MOST_RECIPIENTS or taken in known:  # it may be asked about twice
            return
        known.append(taken)
        if letter.is_kept:
            self.recipients += 1
            while self.recipients > self._most:
                self._forget_oldest()

    def _forget_oldest(self) -> None:
        self._forgotten(self._letters.popitem(last=False)[1])

    def _forgotten(self, letter: Letter) -> None:
        letter.is_kept = False
        if letter.mail is not None:
            self.recipients -= len(letter.mail.recipients)
