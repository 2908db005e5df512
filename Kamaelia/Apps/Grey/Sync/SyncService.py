"""
Machines that share what they know
==================================
Several mail exchangers of one site tell each other who waits and who has passed, in the lines of
milter-greylist's MX sync, so that a sender may try another machine each time. This is one machine's
part in it::

    GreylistDecider --Decided--> SyncService --Command--> Peer    one for each machine, with a queue
                                      |                     '--> TCPClient, MXSyncClient
                                      +-- PeerNames         where the machines are
    ServerCore(syncaddr) --> IncomingPeer --Query, Remember, Forget--> StoreService

Example Usage
-------------
::

    settings = SyncSettings(peers=(("mx2.example.org", 3),))
    sync = SyncService(settings, store, triplet_of, time.time, 60, policy.lifetimes)
    ServerCore(protocol=sync.protocol, port=5252).activate()
    decider.link((decider, "log"), (sync, "inbox"))

What is told, is told in Telling.py; what becomes of what is heard, in Core/PeerNews.py. What has
been heard is never told again: with everybody told by everybody there are no loops. An operator
finds the rest in Docs/operating/mx-sync.md.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial

from Axon.AtOnce import act_at_once
from Axon.Component import component
from Axon.Ipc import ipc
from Axon.Microprocess import microprocess
from Kamaelia.Apps.Grey.Core.Types import Decided, Lifetimes
from Kamaelia.Apps.Grey.Sync.Hearing import Hearing
from Kamaelia.Apps.Grey.Sync.IncomingPeer import IncomingPeer
from Kamaelia.Apps.Grey.Sync.Peer import Peer, is_local, is_ours
from Kamaelia.Apps.Grey.Sync.PeerNames import LookUp, PeerNames, system_addresses
from Kamaelia.Apps.Grey.Sync.SyncSettings import PeerStatus, SyncSettings
from Kamaelia.Apps.Grey.Sync.Telling import Telling, TripletOf
from Kamaelia.Support.Data.Seldom import Seldom

log = logging.getLogger(__name__)

# Each worker of a peer has one. Beyond that the oldest has to go: it has most likely died unseen.
CONNECTIONS_A_PEER = 64
CONNECTIONS = 500  # of all peers together: then the one that has the most has to let one go
STRANGERS_LOGGED = 100  # a minute


class SyncService(component):
    """SyncService(settings, store, triplet_of, clock=time.time, delay_seconds, lifetimes) -> tells
    the peers what is decided, and the store what they tell.

    store: a StoreService. triplet_of: the key of (client's address, sender, recipient), without
    < >. clock: seconds since the epoch. delay_seconds: how long a sender waits here; lifetimes: how
    long records live here. look_up: the addresses of a name; it may block. local: whether an
    address is one of this machine."""

    Inboxes = {
        "inbox": "Decided: from the deciders; acted on at once",
        "control": "producerFinished (tell what waits if it takes no time) or shutdownMicroprocess",
    }
    Outboxes = {
        "outbox": "object: unused",
        "signal": "the shutdown that came in",
    }

    woken_by_collection = False  # it never waits for that

    def __init__(
        self,
        settings: SyncSettings,
        store: component,
        triplet_of: TripletOf,
        clock: Callable[[], float] = time.time,
        delay_seconds: int = 60,
        lifetimes: Lifetimes | None = None,
        *,
        look_up: LookUp = system_addresses,
        local: Callable[[str], bool] = is_local,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.store = store
        self.clock = clock
        self._local = local
        self.names = PeerNames((name for name, _ in settings.peers), look_up)
        self.telling = Telling(triplet_of)
        self.hearing = Hearing(
            triplet_of, lifetimes or Lifetimes(24 * 3600, 36 * 24 * 3600), delay_seconds
        )
        self._complaints = Seldom(60.0)
        self._stopping = False
        self._peers: dict[str, Peer] = {}
        self._callers: dict[str, deque[IncomingPeer]] = {}  # by peer, the oldest first
        self.addChildren(self.names)
        for name, timeout in settings.peers:
            self._peers[name] = self._make_peer(name, timeout)

    # ---- what others ask

    def protocol(self, peer: str, **_: object) -> component:
        """The component for one incoming connection: what a ServerCore wants to be given."""
        return IncomingPeer(self, peer)

    def reload(self, settings: SyncSettings, delay_seconds: int | None = None) -> None:
        """From now on these are the peers. What waits for those that stay, stays. delay_seconds:
        how long a sender waits here from now on."""
        if delay_seconds is not None:
            self.hearing.delay_seconds = delay_seconds
        wanted = dict(settings.peers)
        self.settings = settings
        self.names.change(wanted)
        self.hearing.keep_only(frozenset(wanted))
        for name in [name for name in self._peers if name not in wanted]:
            self._let_go(self._peers.pop(name))
        for name, timeout in wanted.items():
            known = self._peers.get(name)
            if known is not None:
                known.change(settings, timeout)
                continue
            self._peers[name] = made = self._make_peer(name, timeout)
            if self.scheduler:
                made.activate(Scheduler=self.scheduler)
        for name in [name for name in self._callers if name not in wanted]:
            for connection in list(self._callers[name]):
                connection.dismiss()

    def status(self) -> list[PeerStatus]:
        """How it goes with each peer, in the order of the settings."""
        return [self._peers[name].status for name, _ in self.settings.peers if name in self._peers]

    # ---- life

    def main(self) -> Iterator[object]:
        self.names.activate(Scheduler=self.scheduler)
        for peer in self._peers.values():
            peer.activate(Scheduler=self.scheduler)
        act_at_once(self, "inbox", self._tell)
        stop: ipc | None = None
        while (stop := self.told_to_stop()) is None:
            self.pause()
            yield 1
        self._stopping = True
        peers = list(self._peers.values())
        for one in peers:
            one.inboxes["control"].deliver(stop)
        while not all(one._isStopped() for one in peers):
            self.pause()
            yield 1
            stop = self.told_to_stop()
            for one in peers:
                one.inboxes["control"].deliver(stop)
        self.names.inboxes["control"].deliver(stop)
        while not self.names._isStopped():
            self.pause()
            yield 1

    def stop(self) -> None:
        for one in (self.names, *self._peers.values()):
            one.stop()
        super().stop()

    def _tell(self, decided: Decided) -> None:
        if not self._peers:
            return
        try:
            untold = self.telling.untold
            for command in self.telling.commands_for(decided):
                for peer in self._peers.values():
                    peer.tell(command)
            if self.telling.untold > untold and self._complaints.is_due("untold", self.now()):
                log.info(
                    "peers are not told of a record whose addresses no line can say (%d since the"
                    " start)",
                    self.telling.untold,
                )
        except Exception:
            # This is the turn of the decider, and before that of a client, who have no part in it.
            if self._complaints.is_due("fault", self.now()):
                log.exception("telling the peers of %r failed", decided)

    # ---- peers

    def _make_peer(self, name: str, timeout: float) -> Peer:
        made = Peer(name, self.settings, self.names, timeout, self._local)
        made.isolate(partial(self._failed, made))
        self.addChildren(made)
        return made

    def _let_go(self, peer: Peer) -> None:
        if peer.waiting:
            log.info("peer %s is one no longer, %d entries dropped", peer.peer, len(peer.waiting))
        peer.stop()
        self.removeChild(peer)

    def _failed(self, peer: Peer, culprit: microprocess, error: Exception) -> None:
        """A fault of ours in one peer's part is its own; it begins anew, with what waited."""
        log.error("peer %s: component %s failed", peer.peer, culprit.name, exc_info=error)
        if self._peers.get(peer.peer) is not peer or self._stopping:
            return
        timeout = dict(self.settings.peers).get(peer.peer, 3.0)
        peer.stop()
        self.removeChild(peer)
        self._peers[peer.peer] = made = self._make_peer(peer.peer, timeout)
        made.take_over(peer, self.now())
        made.activate(Scheduler=self.scheduler)

    # ---- who calls (SyncOffice)

    def may_stay(self, connection: IncomingPeer, peer: str) -> bool:
        """Whether this peer may have one connection more; then it has it."""
        if peer not in self._peers or is_ours(connection.address, self.settings, self._local):
            return False  # the same list may be everywhere, but who is logged in here is no peer
        callers = self._callers.setdefault(peer, deque())
        if len(callers) >= CONNECTIONS_A_PEER:
            callers.popleft().make_room()
        elif sum(map(len, self._callers.values())) >= CONNECTIONS:
            max(self._callers.values(), key=len).popleft().make_room()
        callers.append(connection)
        return True

    def welcome(self, address: str, peer: str) -> None:
        """A peer has called."""
        self._peers[peer].is_there()
        if self._complaints.is_due((peer, "calls", address), self.now()):
            log.info("Incoming MX sync connection from %s (%s)", address, peer)

    def stranger(self, address: str) -> None:
        """Somebody has called who is no peer."""
        # Who likes may call from a million addresses, and some may share a minute.
        if self._complaints.is_due(("stranger", hash(address) % STRANGERS_LOGGED), self.now()):
            log.info("Remote host %s is not a peer MX", address)

    def left(self, connection: IncomingPeer, why: str) -> None:
        """The connection is over; why: "" if that was the peer's wish."""
        peer = connection.peer
        if why and peer is not None and self._complaints.is_due((peer, why), self.now()):
            log.info("MX sync connection from %s closed: %s", peer, why)
        callers = self._callers.get(peer or "")
        if callers is not None and connection in callers:
            callers.remove(connection)
            if not callers:
                del self._callers[connection.peer or ""]


__kamaelia_components__ = (SyncService,)
