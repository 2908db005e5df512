"""
A peer that calls
=================
One incoming connection of MX sync. Who calls is asked by his address alone, and who is no peer
hears so and nothing else. What a peer says goes the way of a decision: the store is asked what is
known, what comes of it is remembered, and then the line is answered. If the store cannot say, the
connection ends without an answer, and the peer tells it again later.

Example Usage
-------------
SyncService.protocol makes one for each connection; see there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from Axon.AtOnce import act_at_once
from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Kamaelia.Apps.Grey.Core.Types import Answer, Forget, Query, Remember, Triplet
from Kamaelia.Apps.Grey.Sync.Hearing import Hearing, date_of
from Kamaelia.Apps.Grey.Sync.PeerNames import Caller, Who
from Kamaelia.Apps.Grey.Sync.Telling import Telling
from Kamaelia.Protocol.MXSync import MXSyncServer
from Kamaelia.Support.Protocol.MXSync.Commands import Add, Command, Delete, Flush, plain_address


class SyncOffice(Protocol):
    """What the incoming connections share."""

    store: component
    hearing: Hearing
    telling: Telling
    clock: Callable[[], float]

    @property
    def names(self) -> component:
        """A PeerNames."""

    def may_stay(self, connection: IncomingPeer, peer: str) -> bool:
        """Whether this peer may have one connection more; it has been counted then."""

    def welcome(self, address: str, peer: str) -> None:
        """A peer has called."""

    def stranger(self, address: str) -> None:
        """Somebody has called who is no peer."""

    def left(self, connection: IncomingPeer, why: str) -> None:
        """The connection is over; why: "" if that was the peer's wish."""


class _Session(MXSyncServer):
    """Says nothing to the log by itself: whoever likes may call, as often as he likes."""

    def _say_why(self) -> None:
        """The office is told."""


class IncomingPeer(component):
    """IncomingPeer(office, address) -> one connection from that address."""

    Inboxes = {
        "inbox": "bytes: from the peer",
        "control": "producerFinished (it sends no more) or shutdownMicroprocess (close)",
        "callers": "Caller: who it is; acted on at once",
        "answers": "Answer: from the store; acted on at once",
        "_commands": "Command: to be applied; acted on at once",
    }
    Outboxes = {
        "outbox": "bytes: to the peer",
        "signal": "producerFinished or shutdownMicroprocess: close the connection",
        "query": "Query, Remember or Forget: to the store service, linked here",
        "_who": "Who: to the names, linked here",
        "_permission": "bool: whether it may talk",
        "_applied": "bool: whether a command was applied",
        "_stop": "producerFinished or shutdownMicroprocess: to the session",
    }

    woken_by_collection = False  # it never waits for that

    def __init__(self, office: SyncOffice, address: str) -> None:
        super().__init__()
        self._office = office
        self.address = plain_address(address.partition("%")[0]) or address
        self.peer: str | None = None  # its name, once it is known to be one
        self._pending: tuple[Add | Delete, Triplet] | None = None  # what the store is asked for
        self._session = session = _Session(ask=True)
        self.link((self, "inbox"), (session, "inbox"), passthrough=1)
        self.link((session, "outbox"), (self, "outbox"), passthrough=2)
        self.link((session, "commands"), (self, "_commands"))
        self.link((self, "_permission"), (session, "permission"))
        self.link((self, "_applied"), (session, "applied"))
        self.link((self, "_stop"), (session, "control"))
        self.link((self, "query"), (office.store, "inbox"))
        self.link((self, "_who"), (office.names, "inbox"))
        self.addChildren(session)
        act_at_once(self, "callers", self._admit)
        act_at_once(self, "answers", self._settle)
        act_at_once(self, "_commands", self._apply)

    def main(self) -> Iterator[object]:
        session = self._session
        session.activate(Scheduler=self.scheduler)
        self.send(Who(self.address, (self, "callers")), "_who")
        told: object = None
        while not session._isStopped():
            stop = self.told_to_stop()
            if stop is not None and stop is not told:
                told = stop
                self.send(stop, "_stop")
            self.pause()
            yield 1
        self._office.left(self, session.reason)
        if self.peer is None:
            # What has been said is on its way. No socket waits for a stranger to read it: so many
            # of them can come that there would be none left for peers.
            told = shutdownMicroprocess(self)
        self.send(told or producerFinished(self), "signal")

    def stop(self) -> None:
        self._session.stop()
        super().stop()

    def dismiss(self) -> None:
        """This one is no peer any more."""
        self._session.dismiss()

    def make_room(self) -> None:
        """A younger connection of the same peer takes its place."""
        self.inboxes["control"].deliver(shutdownMicroprocess(self))

    def _admit(self, caller: Caller) -> None:
        name = caller.name
        if name is None or not self._office.may_stay(self, name):
            self._office.stranger(self.address)
            self.send(False, "_permission")
            return
        self.peer = name
        self._office.welcome(self.address, name)
        self.send(True, "_permission")

    # ---- what it says

    def _apply(self, command: Command) -> None:
        office, peer = self._office, self.peer
        if peer is None or not office.hearing.admit(peer, self.now()):
            self.send(False, "_applied")
            return
        if isinstance(command, Flush):
            self.send(Forget(office.hearing.network(command)), "query")
            self.send(True, "_applied")
            return
        triplet = office.hearing.triplet(command)
        if triplet is None:
            self.send(True, "_applied")  # to say no would make it say the same again
            return
        self._pending = command, triplet
        self.send(Query(triplet, (self, "answers")), "query")

    def _settle(self, answer: Answer) -> None:
        if self._pending is None or self.peer is None:
            return
        command, triplet = self._pending
        self._pending = None
        if not answer.failed:
            office = self._office
            now = int(office.clock())
            record = office.hearing.record(command, answer.record, now, self.peer)
            if record is not None:
                office.telling.remember(triplet, command.address, date_of(command, record))
                self.send(Remember(triplet, record), "query")
        self.send(not answer.failed, "_applied")


__kamaelia_components__ = (IncomingPeer,)
