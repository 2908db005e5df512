"""
What the lines of a peer mean here
==================================
`Hearing` has all that a connection of a peer needs beside the store: which triplet a line is about,
what record comes of it (Core/PeerNews.py), and how much one peer may say in an hour.

>>> from Kamaelia.Apps.Grey.Core.Types import Lifetimes, Triplet
>>> hearing = Hearing(Triplet, Lifetimes(3600, 86_400), delay_seconds=60)
>>> add = Add("192.0.2.7", "<a@example.net>", "<b@example.org>", 1_060)
>>> hearing.triplet(add)
Triplet(network='192.0.2.7', sender='a@example.net', recipient='b@example.org')
>>> hearing.record(add, None, 1_000, "mx2").due
1060
"""

import logging

from Kamaelia.Apps.Grey.Core.Access.Patterns import bare
from Kamaelia.Apps.Grey.Core.PeerNews import Has, PeerLine, Waits, heard, is_believable, state_told
from Kamaelia.Apps.Grey.Core.Types import Lifetimes, Record, Triplet
from Kamaelia.Apps.Grey.Sync.Telling import TripletOf
from Kamaelia.Support.Data.Seldom import Seldom
from Kamaelia.Support.Protocol.MXSync.Commands import Add, Delete, Flush
from Kamaelia.Support.Protocol.SMTP.Mailbox import mailbox

log = logging.getLogger(__name__)

HOUR = 3600.0
AN_HOUR = 1_000_000  # commands of one peer: 277 a second


class Hearing:
    """Hearing(triplet_of, lifetimes, delay_seconds, most=1000000) -> what lines mean; most: how
    many one peer may send in an hour."""

    __slots__ = ("_complaints", "_counts", "_lifetimes", "_most", "_triplet_of", "delay_seconds")

    def __init__(
        self,
        triplet_of: TripletOf,
        lifetimes: Lifetimes,
        delay_seconds: int,
        most: int = AN_HOUR,
    ) -> None:
        self._triplet_of = triplet_of
        self._lifetimes = lifetimes
        self.delay_seconds = delay_seconds
        self._most = most
        self._counts: dict[str, tuple[float, int]] = {}  # of a peer: when the hour began, how many
        self._complaints = Seldom(60.0)

    def admit(self, peer: str, now: float) -> bool:
        """Whether this peer may say one thing more in this hour. now: of a clock that only goes
        forward."""
        begun, count = self._counts.get(peer, (now, 0))
        if now - begun >= HOUR:
            begun, count = now, 0
        if count >= self._most:
            if self._complaints.is_due(("many", peer), now):
                log.warning("peer %s has sent %d records in an hour, no more is taken", peer, count)
            return False
        self._counts[peer] = (begun, count + 1)
        return True

    def keep_only(self, peers: frozenset[str]) -> None:
        """Nothing more is known of others than these."""
        self._counts = {peer: count for peer, count in self._counts.items() if peer in peers}

    def triplet(self, command: Add | Delete) -> Triplet | None:
        """What it is about; None: about nothing that there can be, or nobody can tell what."""
        for word in (command.sender, command.recipient):
            if '"' in word and "_" in word and '"' not in mailbox(bare(word)):
                # Quotes that nothing here needs: a milter-greylist has put the _ in the place of a
                # blank, and without the quotes that is somebody else.
                return None
        triplet = self._triplet_of(command.address, bare(command.sender), bare(command.recipient))
        # Without a recipient, as some texts become, it would be the history of the client as a
        # whole, which no peer has a say in.
        return triplet if triplet.recipient else None

    def network(self, command: Flush) -> str:
        """Of whom everything is to be forgotten."""
        return self._triplet_of(command.address, "", "").network

    def record(
        self, command: Add | Delete, known: Record | None, now: int, peer: str
    ) -> Record | None:
        """What is to be remembered of it; None: nothing new. now: seconds since the epoch."""
        line = _line_of(command)
        state = state_told(line, now, self._lifetimes)
        if not is_believable(state, now):
            if self._complaints.is_due(("far", peer), now):
                log.warning(
                    "peer %s speaks of a time %d days ahead, which is not believed",
                    peer,
                    (state.time - now) // 86_400,
                )
            return None
        return heard(known, line, now, self._lifetimes, self.delay_seconds)


def date_of(command: Add | Delete, record: Record) -> int:
    """By which date peers know the triplet, once they have heard this."""
    return record.until if isinstance(command, Delete) else record.due


def _line_of(command: Add | Delete) -> PeerLine:
    if isinstance(command, Add):
        return Waits(command.date)
    return Has(command.date, command.until)
