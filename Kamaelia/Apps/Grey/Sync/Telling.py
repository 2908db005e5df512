"""
What a decision means to other machines
=======================================
`Telling.commands_for` makes of a decision what is to be told to the peers: a first try is an Add, a
retry that got in and a pass that lasts longer are a Delete, `flushaddr` is a Flush. Of what changed
nothing, which is most of it, nothing comes.

A milter-greylist finds its entry by the very address and date that it was told before, so both are
remembered here for a while; a decision does not have them: its triplet is of a network, and its
record does not say when a pass that it renews would have ended. Where they are not remembered (we
have been started anew, or it is long ago), a pass that is renewed is told as a new one, with an Add
just before it: then whoever hears it need not have known it.

A line has no words for blanks, for letters that are not ASCII, and for some more of what may stand
between quotes. A milter-greylist puts `_` there, and so would speak of whoever is really called so;
and a record about one sender must never let in another's mail. So what is said is read once more as
its hearers will, and where it would not mean the same triplet nothing is told.

>>> from Kamaelia.Apps.Grey.Core.Types import Attempt, Decided, Decision, Reason, Verdict
>>> from Kamaelia.Apps.Grey.Core.Types import Record, Triplet
>>> attempt = Attempt("192.0.2.7", "mx", "a@example.net", "b@example.org", "k3f9", "b",
...                   "example.org")
>>> triplet = Triplet("192.0.2.0/24", "a@example.net", "b@example.org")
>>> first = Decision(Verdict.DEFER, Reason.NEW, 60, triplet, Record.started(1_000, delay=60))
>>> telling = Telling(lambda *texts: triplet)
>>> [command.date for command in telling.commands_for(Decided(attempt, first, 1_000.0))]
[1060]
"""

from collections.abc import Callable, Iterator

from Kamaelia.Apps.Grey.Core.Access.Patterns import bare
from Kamaelia.Apps.Grey.Core.Normalise import milter_recipient, milter_sender
from Kamaelia.Apps.Grey.Core.Types import (
    Decided,
    MessageAttempt,
    MessageDecision,
    Record,
    Triplet,
)
from Kamaelia.Support.Protocol.MXSync.Commands import (
    LINE_BYTES,
    Add,
    Command,
    Delete,
    Flush,
    is_word,
    plain_address,
)

REMEMBERED = 20_000  # triplets: about 5 MB
# Of a line's 511 bytes: the rest is for the longest verb, address and dates.
_MOST_WORDS = LINE_BYTES - len("del2 addr  from  rcpt  date  aw \r\n") - 39 - 2 * 12

TripletOf = Callable[[str, str, str], Triplet]


class Telling:
    """Telling(triplet_of, limit=20000) -> `commands_for` decisions, and `remember` for what others
    have told. triplet_of: the key of (address, sender, recipient), without < >."""

    __slots__ = ("_limit", "_told", "_triplet_of", "untold")

    def __init__(self, triplet_of: TripletOf, limit: int = REMEMBERED) -> None:
        self._triplet_of = triplet_of
        self._limit = limit
        self.untold = 0  # records whose addresses no line can say
        # By a hash: two that share one would only share a date that their peers do not know.
        self._told: dict[int, tuple[str, int]] = {}

    def commands_for(self, decided: Decided) -> list[Command]:
        """What the peers are to hear of it, in this order."""
        decision = decided.decision
        if isinstance(decision, MessageDecision):
            if not (decision.records or decision.flush):
                return []
            return list(self._of_message(decided, decision))
        if decision.record is None and not decision.flush:
            return []
        attempt = decided.attempt
        if isinstance(attempt, MessageAttempt):
            return []
        address = plain_address(attempt.client)
        if address is None:  # nobody could be told of whom we speak
            return []
        commands: list[Command] = [Flush(address)] if decision.flush else []
        if decision.record is not None and decision.triplet is not None:
            commands += self._of_record(
                decision.triplet,
                decision.record,
                (address, attempt.sender, attempt.recipient),
                int(decided.now),
            )
        return commands

    def remember(self, triplet: Triplet, address: str, date: int) -> None:
        """That is what peers know of this triplet."""
        told, key = self._told, hash(triplet)
        if told.pop(key, None) is None and len(told) >= self._limit:
            del told[next(iter(told))]  # the oldest
        told[key] = (address, date)

    def _of_message(self, decided: Decided, decision: MessageDecision) -> Iterator[Command]:
        attempt = decided.attempt
        if not isinstance(attempt, MessageAttempt):
            return
        client, mail = attempt.session.client, attempt.mail
        address = plain_address(client)
        if address is None:
            return
        if decision.flush:
            yield Flush(address)
        sender = bare(mail.raw_sender or mail.sender)
        by_key: dict[tuple[str, str], str] = {}  # the recipients as they were given
        for recipient in map(bare, mail.recipients):
            triplet = self._triplet_of(client, sender, recipient)
            by_key[triplet.sender, triplet.recipient] = recipient
        for triplet, record in decision.records:
            known = by_key.get((triplet.sender, triplet.recipient))
            if known is not None:  # else it is the history of the client, which stays here
                names = (address, sender, known)
                yield from self._of_record(triplet, record, names, int(decided.now))

    def _words(
        self, triplet: Triplet, address: str, sender: str, recipient: str
    ) -> tuple[str, str] | None:
        """Sender and recipient as words of a line; None: whoever hears them would not think of the
        same triplet. The sender is as a milter-greylist cleans it, unless one of ours would not
        find it then: with normalise_senders more is looked at than what is behind the last "="."""
        to = milter_recipient(f"<{recipient}>")
        for said in (milter_sender(f"<{sender}>"), f"<{triplet.sender}>"):
            heard = self._triplet_of(address, bare(said), bare(to))
            if heard.recipient != triplet.recipient:
                return None
            if heard.sender == triplet.sender:
                return (said, to) if len(said) + len(to) <= _MOST_WORDS and is_word(said) else None
        return None

    def _of_record(
        self, triplet: Triplet, record: Record, names: tuple[str, str, str], now: int
    ) -> Iterator[Command]:
        address = names[0]
        words = self._words(triplet, *names)
        if words is None:
            self.untold += 1
            return
        sender, recipient = words
        if record.passed_at is None:
            if record.deferred == 1:  # else it came too early, which moves nothing
                self.remember(triplet, address, record.due)
                yield Add(address, sender, recipient, record.due)
            return
        date, until = record.due, record.until
        told = self._told.get(hash(triplet))
        if told is not None:
            address, date = told
            if date == until and record.passed > 1:
                return
        elif record.passed > 1:
            date = min(now, until)
            yield Add(address, sender, recipient, date)
        self.remember(triplet, address, until)
        yield Delete(address, sender, recipient, date, until)
