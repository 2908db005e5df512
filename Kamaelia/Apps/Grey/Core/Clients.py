"""
Clients that are known as a whole
=================================
A client so many of whose senders have passed need not prove itself with each new one. Beside the
records of its triplets there is one for the client itself, under a triplet without sender and
recipient:

    passed      so many samples of its triplets have passed, at most one an hour
    deferred    so many samples have been taken; one more than an hour old that has not passed has
                failed, as long as no later one was taken
    last_seen   when the latest sample was taken, or answered
    due         as ever: the first sample; without any pass all is forgotten a window later
    until       the end of its being known; a hit renews it like a pass

A sample is one triplet: the first that is new when no other is being waited for. All of them are
not counted: each would cost a row more, and those who send much would look better than they are
when much is under way. The sample passes if the triplet that was begun at that very second does.

It is known when `passes` samples have passed and fewer than `abuse` percent have failed. With
`passes` = 1 (`lazyaw`) any pass counts, and nobody asks what has failed.

>>> clients = Clients(passes=2, abuse=50)
>>> record = clients.after_first_try(None, now=1000, delay=60)
>>> record = clients.after_pass(record, begun=1000, now=1100, pass_seconds=86400)
>>> clients.is_known(record)
False
>>> record = clients.after_first_try(record, now=9000, delay=60)
>>> record = clients.after_pass(record, begun=9000, now=9100, pass_seconds=86400)
>>> clients.is_known(record)
True
"""

from dataclasses import replace

from Kamaelia.Apps.Grey.Core.Types import Lifetimes, Record, Triplet

HOUR = 3600
PATIENCE = 4 * HOUR  # for a sample: by then nearly all that come back have come back


def client_triplet(network: str) -> Triplet:
    """Where the record of a client is. No mail has this triplet: a recipient is never empty."""
    return Triplet(network, "", "")


class Clients:
    """Clients(passes, abuse): what becomes of a client's record; None: there is nothing new."""

    __slots__ = ("_abuse", "_passes")

    def __init__(self, passes: int, abuse: int) -> None:
        self._passes = passes
        self._abuse = abuse

    def is_known(self, record: Record | None) -> bool:
        """Whether the client is let in with any sender. The record must not be over."""
        if record is None or not self._passes or record.passed < self._passes:
            return False
        if self._passes == 1:
            return True
        answered = record.deferred - _waiting(record)
        failed = max(0, answered - record.passed)
        return failed * 100 < self._abuse * max(1, answered)

    def after_first_try(
        self, record: Record | None, now: int, delay: int, generation: int = 0
    ) -> Record | None:
        """A triplet that is new has been deferred. record None: nothing is known, or it is over;
        `generation` is the one to begin with then."""
        if record is None:
            return Record.started(now, generation, delay)
        since = now - record.last_seen
        if 0 <= since < (PATIENCE if _waiting(record) else HOUR):
            return None
        return replace(record, last_seen=now, deferred=record.deferred + 1)

    def after_pass(
        self, record: Record | None, begun: int, now: int, pass_seconds: int, generation: int = 0
    ) -> Record | None:
        """A triplet that was new at `begun` has come back and is in."""
        if self._passes == 1:
            if record is not None and record.passed_at is not None:
                return self.after_hit(record, now, pass_seconds)
            return _passed(record or Record.started(begun, generation), now, pass_seconds)
        if record is None or not _waiting(record) or begun != record.last_seen:
            return None
        return _passed(record, now, pass_seconds)

    @staticmethod
    def after_hit(record: Record, now: int, pass_seconds: int) -> Record | None:
        """It was let in as one that is known."""
        until = now + pass_seconds
        if until - record.until < max(1, Lifetimes(0, pass_seconds).renew_seconds):
            return None
        return replace(record, until=until)


def _waiting(record: Record) -> int:
    """1 if the latest sample has not passed, or not yet."""
    return int(record.passed_at is None or record.passed_at < record.last_seen)


def _passed(record: Record, now: int, pass_seconds: int) -> Record:
    now = max(now, record.last_seen)
    return replace(
        record,
        last_seen=now,
        passed_at=now,
        passed=record.passed + 1,
        until=max(record.until, now + max(0, pass_seconds)),
    )
