"""
What an importer gives
======================
Every importer is a generator of `Found`: a key with its record, or a `BadLine` for what cannot be
read. Others' times become ours here.

What another greylister has promised is kept: a pass lasts at least as long as it would have there.
A sender that waits there gets in with its next try as soon as our own delay is over.

>>> from Kamaelia.Apps.Grey.Core.Types import Policy
>>> ours = Ours(Policy(delay_seconds=60, pass_seconds=86400, prefix4=24), now=10_000)
>>> ours.network("192.0.2.77"), ours.waiting(9_000).due, ours.passed(1, 9_000, 100).until
('192.0.2.0/24', 9060, 95400)
"""

from dataclasses import dataclass

from Kamaelia.Apps.Grey.Core.Networks import parsed
from Kamaelia.Apps.Grey.Core.Normalise import fold_address, network_of
from Kamaelia.Apps.Grey.Core.Types import Policy, Record, Triplet
from Kamaelia.Apps.Grey.Store.Dump import BadLine

Found = tuple[Triplet, Record] | BadLine

_LATEST = 2**40


class ImportFailedError(Exception):
    """Nothing of it can be read. Says what, why and what helps."""


@dataclass(frozen=True, slots=True)
class Ours:
    """What is to become of others' records: by our settings, and not later than now."""

    policy: Policy
    now: int

    def network(self, address: str) -> str:
        """The network that stands for that address. Raises ValueError."""
        if parsed(address) is None:
            raise ValueError("not an IP address")
        return network_of(address, self.policy.prefix4, self.policy.prefix6)

    def triplet(self, address: str, sender: str, recipient: str) -> Triplet:
        """The key; the addresses may have brackets. Raises ValueError."""
        sender, recipient = (fold_address(_bare(text)) for text in (sender, recipient))
        if not recipient:  # that is how a client as a whole is known
            raise ValueError("no recipient")
        return Triplet(self.network(address), sender, recipient)

    def waiting(self, first_seen: int, due: int | None = None) -> Record:
        """Who has not passed yet."""
        first = self._past(first_seen)
        if due is None:
            due = first + self.policy.delay_seconds
        return Record(0, first, first, passed_at=None, deferred=1, passed=0, due=due)

    def passed(self, first_seen: int, last_seen: int, seconds: int, count: int = 1) -> Record:
        """Who has, and is known for so many seconds since."""
        last = self._past(last_seen)
        first = min(self._past(first_seen), last)
        until = last + max(seconds, self.policy.pass_seconds)
        return Record(0, first, last, last, count, count, due=first, until=until)

    def _past(self, moment: int) -> int:
        # In the future it would look like a clock that was set back.
        return max(0, min(moment, self.now))


def seconds_in(text: str) -> int:
    """The seconds since 1970 that a text of digits, or with a decimal point, says. Raises
    ValueError."""
    whole = text.strip().partition(".")[0]
    if not (whole.isascii() and whole.isdigit()) or len(whole) > 13:
        raise ValueError("not a time in seconds")
    return min(int(whole), _LATEST)


def _bare(text: str) -> str:
    return text.strip().removeprefix("<").removesuffix(">")
