"""
Who speaks with the real mail servers: connections lent, and kept for the next client
=====================================================================================
A desk that has a recipient to pass on takes a relay here: an SMTPClientSession, linked to the
desk's boxes. Which server it speaks with depends on the recipient's domain and on how the servers
have fared. What comes back in order is kept, with its connection and its greeting done: the next
client's mail then begins with MAIL at once.

Example Usage
-------------
In a desk::

    lent = pool.take(self, "example.org", facts, tried=set())
    if lent is not None:
        self.send([GiveSender(...), GiveRecipient(...)], "to_backend")

Rules.

* Nothing is kept that was told who its client is (XCLIENT, PROXY), that has authenticated
  somebody, that the server has refused more than a few things on (servers lose patience with those,
  and the next client would pay for it), or that has carried many messages.
* A connection that the server closed while it was kept is found out when it is used; until the
  server has taken a recipient the desk may try another one.
* Whoever has had no use for its relay for IDLE_SECONDS gives it back: many clients stay connected
  after their mail, for the next one, which may come in hours. Who has logged in keeps it.
* A relay that fails, by a fault of ours, is a connection lost to its desk, and nothing to others.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from Axon.Box import Inbox, Outbox, join, part
from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Microprocess import microprocess
from Axon.Timers import Timer
from Kamaelia.Apps.Grey.Core.Modes import ClientInfo
from Kamaelia.Apps.Grey.FrontDoor.Backend import Backend
from Kamaelia.Apps.Grey.FrontDoor.Backends import Backends, Change, Circuit
from Kamaelia.Protocol.SMTPClient import PLAIN, ServerAccess, SMTPClientSession
from Kamaelia.Support.Protocol.ProxyHeader import LOCAL_V2, make_v1, make_v2
from Kamaelia.Support.Protocol.SMTP.ClientCommands import ClientTimes
from Kamaelia.Support.Protocol.SMTP.Events import FailReason, SessionFailed

log = logging.getLogger(__name__)

KEPT_SECONDS = 15.0  # servers are rid of who is silent after a while; many clients come in bursts
IDLE_SECONDS = 5.0  # without a mail, until what was lent is for others
SWEEP_SECONDS = 1.0
MOST_MESSAGES = 100  # over one connection; servers have limits of that size
MOST_REFUSALS = 5

Address = tuple[str, int]

NOBODY: Address = ("192.0.2.1", 50_000)  # an address that no machine has (RFC 5737)


@dataclass(frozen=True, slots=True)
class ClientFacts:
    """Who a server is told the client is. client, server: (address, port) of both ends of the
    client's connection; helo: empty if unknown."""

    client: Address
    server: Address
    helo: str = ""
    esmtp: bool = True

    @property
    def description(self) -> dict[str, str | None]:
        """The attributes of XCLIENT; None is what we do not know: we look no names up."""
        return {
            "NAME": None,
            "ADDR": self.client[0],
            "PORT": str(self.client[1]) if self.client[1] else None,  # a front need not say it
            "PROTO": "ESMTP" if self.esmtp else "SMTP",
            "HELO": self.helo or None,
        }


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """How all servers are spoken to. kept: connections to keep, of all servers together."""

    helo_name: str
    times: ClientTimes = field(default_factory=ClientTimes)
    access: ServerAccess = PLAIN
    client_info: ClientInfo = ClientInfo.NONE
    kept: int = 32


@dataclass(slots=True)
class Lent:
    """A relay and who has it: the desk's own boxes `backend` in, `to_backend` and `abandon` out."""

    relay: SMTPClientSession
    backend: Backend
    desk: component
    ready: bool  # its connection stands, and has been greeted
    facts: ClientFacts | None  # whose mail it is
    since: float  # when it was last seen in use
    done: int = 0  # messages and refusals by then: mails may come and go between two looks


def _wires(desk: component, relay: component) -> tuple[tuple[Outbox, Inbox], ...]:
    ours, theirs = desk.outboxes, relay.inboxes
    return (
        (ours["to_backend"], theirs["inbox"]),
        (ours["abandon"], theirs["abandon"]),
        (relay.outboxes["outbox"], desk.inboxes["backend"]),
    )


def _link(desk: component, relay: component) -> None:
    for source, sink in _wires(desk, relay):
        join(source, sink)


def _unlink(desk: component, relay: component) -> None:
    for source, sink in _wires(desk, relay):
        part(source, sink)


class RelayPool(component):
    """RelayPool(backends, settings) -> relays for desks."""

    Inboxes = {
        "inbox": "object: unused",
        "control": "producerFinished (those lent may finish) or shutdownMicroprocess: end",
    }
    Outboxes = {
        "outbox": "object: unused",
        "signal": "the shutdown that came in",
    }

    woken_by_collection = False  # it never waits for that

    def __init__(self, backends: Backends[Backend], settings: RelaySettings) -> None:
        super().__init__()
        self.backends = backends
        self.settings = settings
        self._kept: dict[Backend, list[tuple[float, SMTPClientSession]]] = {}
        self._lent: dict[component, Lent] = {}  # by desk
        self._ending = False
        self._sweeper: Timer | None = None

    def main(self) -> Iterator[object]:
        while (stop := self.told_to_stop()) is None:
            self.pause(self._forget_the_old())
            yield 1
        self._ending = True
        self._forget_the_old(all_of_them=True)
        while self.children and not self._told_to_end_now():
            self.pause(1.0)
            yield 1
        for relay in self.children:
            relay.stop()
        self.send(stop, "signal")

    def _told_to_end_now(self) -> bool:
        return isinstance(self.told_to_stop(), shutdownMicroprocess)

    @property
    def lent(self) -> int:
        """How many are in use now."""
        return len(self._lent)

    @property
    def kept(self) -> int:
        """How many wait for the next client."""
        return sum(map(len, self._kept.values()))

    # ---- for desks

    def take(
        self,
        desk: component,
        domain: str,
        facts: ClientFacts | None,
        tried: set[Backend],
        fresh: bool = False,
    ) -> Lent | None:
        """Link a relay for mail to this domain to the desk; None if there is no server for it now
        besides those that were tried. facts: None if it is no client's mail. fresh: with a
        connection of its own."""
        now = self.now()
        for backend in self.backends.candidates(domain, now):
            if backend in tried or not self.backends.usable(backend, now):
                continue
            self._tell(self.backends.opened(backend))
            kept = None if fresh else self._kept_for(backend)
            relay = kept or self._make(backend, facts)
            lent = self._lent[desk] = Lent(relay, backend, desk, relay.reusable, facts, now)
            _link(desk, relay)
            if self._sweeper is None:
                self._sweep_later()
            return lent
        return None

    def same(self, backend: Backend, domain: str) -> bool:
        """Whether mail to this domain may go to the same server."""
        return self.backends.same(backend, domain)

    def give_back(self, desk: component, keep: bool = True, drop: bool = False) -> None:
        """The desk needs its relay no more. What is not in order, or is not to be kept, says QUIT
        and ends; drop: it hangs up at once, in the middle of whatever it is."""
        lent = self._lent.pop(desk, None)
        if lent is None:
            return
        relay = lent.relay
        _unlink(desk, relay)
        self._tell(self.backends.closed(lent.backend))
        if drop:
            relay.inboxes["abandon"].deliver(producerFinished(self))
        if keep and self._may_be_kept(relay):
            if not self._kept:
                self.unpause()  # so that it counts the time
            self._kept.setdefault(lent.backend, []).append((self.now() + KEPT_SECONDS, relay))
        else:
            relay.inboxes["control"].deliver(producerFinished(self))

    def succeeded(self, backend: Backend) -> None:
        """The server has greeted us."""
        self._tell(self.backends.succeeded(backend))

    def failed(self, backend: Backend) -> None:
        """The server could not be used."""
        self._tell(self.backends.failed(backend, self.now()))

    # ---- relays

    def _kept_for(self, backend: Backend) -> SMTPClientSession | None:
        kept = self._kept.get(backend)
        while kept:
            _, relay = kept.pop()  # the one that was used last: it is the least likely to be closed
            if not kept:
                del self._kept[backend]
            if relay.reusable:
                return relay
            relay.inboxes["control"].deliver(producerFinished(self))
        return None

    def new_session(self, backend: Backend, facts: ClientFacts | None = None) -> SMTPClientSession:
        """A session with this server, not yet active. facts: who it is told the client is; None for
        nobody but us."""
        settings = self.settings
        description, preamble = None, b""
        match settings.client_info:
            case ClientInfo.XCLIENT if facts is not None:
                description = facts.description
            case ClientInfo.PROXY1:
                # Postfix does not take UNKNOWN: who has no client speaks for nobody's address.
                client, server = NOBODY, (backend.host, backend.port)
                if facts is not None:
                    client, server = facts.client, facts.server
                preamble = make_v1(client, server)
            case ClientInfo.PROXY2:
                preamble = LOCAL_V2
                if facts is not None:
                    preamble = make_v2(facts.client, facts.server)
        return SMTPClientSession(
            backend.host,
            backend.port,
            settings.helo_name,
            settings.times,
            settings.access,
            description,
            preamble,
        )

    def _make(self, backend: Backend, facts: ClientFacts | None) -> SMTPClientSession:
        relay = self.new_session(backend, facts)
        self.addChildren(relay)
        relay.isolate(lambda culprit, error: self._relay_failed(relay, culprit, error))
        relay.call_on_close(lambda: self._relay_ended(relay))
        relay.activate(Scheduler=self.scheduler)
        return relay

    def _may_be_kept(self, relay: SMTPClientSession) -> bool:
        return (
            not self._ending
            and self.settings.client_info is ClientInfo.NONE
            and relay.reusable
            and relay.refusals <= MOST_REFUSALS
            and relay.messages < MOST_MESSAGES
            and self.kept < self.settings.kept
        )

    def _forget_the_old(self, all_of_them: bool = False) -> float | None:
        """Say QUIT where a connection was kept for long enough; the seconds until the next."""
        now, soonest = self.now(), float("inf")
        for backend, kept in list(self._kept.items()):
            while kept and (all_of_them or kept[0][0] <= now):
                kept.pop(0)[1].inboxes["control"].deliver(producerFinished(self))
            if kept:
                soonest = min(soonest, kept[0][0])
            else:
                del self._kept[backend]
        return max(0.0, soonest - now) if self._kept else None

    def _sweep_later(self) -> None:
        # One timer for all, while there is something to look at: a mail costs none.
        self._sweeper = self.scheduler.call_later(SWEEP_SECONDS, self._sweep)

    def _sweep(self) -> None:
        """Have those who sit on a relay without using it give it back."""
        self._sweeper = None
        if not self._lent or self._isStopped():
            return
        now = self.now()
        for lent in list(self._lent.values()):
            done = lent.relay.messages + lent.relay.refusals
            desk: Any = lent.desk  # one that stays as long as its client has these two
            if done != lent.done or not getattr(desk, "is_idle", False):
                lent.since, lent.done = now, done
            elif now - lent.since >= IDLE_SECONDS:
                desk.leave_server()  # which gives it back
        if self._lent:
            self._sweep_later()

    def _relay_failed(
        self, relay: SMTPClientSession, culprit: microprocess, error: Exception
    ) -> None:
        log.error("connection to a mail server: %s failed", culprit.name, exc_info=error)
        relay.stop()
        for lent in list(self._lent.values()):
            if lent.relay is relay:
                # What the desk says next, which may be at once, must not be said to nobody.
                _unlink(lent.desk, relay)
                lent.relay = self._make(lent.backend, lent.facts)
                _link(lent.desk, lent.relay)
                lent.desk.inboxes["backend"].deliver(SessionFailed(FailReason.LOST, None))

    def _relay_ended(self, relay: SMTPClientSession) -> None:
        self.removeChild(relay)
        for backend, kept in list(self._kept.items()):  # one that failed while it was kept
            kept[:] = [each for each in kept if each[1] is not relay]
            if not kept:
                del self._kept[backend]
        if not self.children:
            self.unpause()  # it may be the last one that is waited for

    def _tell(self, change: Change | None) -> None:
        if change is not None:
            bad = logging.WARNING if change.after is Circuit.OPEN else logging.INFO
            log.log(bad if change.news else logging.DEBUG, "%s", change)


__kamaelia_components__ = (RelayPool,)
