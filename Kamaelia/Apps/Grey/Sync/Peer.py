"""
A machine that is told
======================
What is to be told waits here in its order, and goes out one by one over a connection that is kept.
It is made at the start, so that what is wrong with it is seen then and a peer for which we were
away hears that we are back, and later when there is something to say. Nothing that fails is lost
while there is room: it is told again, after a while that grows from one second to a minute, or when
the peer calls us, for then it is there again.

Example Usage
-------------
::

    peer = Peer("mx2.example.org", settings, names, clock=time.time)
    peer.tell(Flush("192.0.2.7"))

Rules. Commands are values: what is told is what was so when it was told. When `queue_limit` of them
wait, the new one is dropped, not an old one, as milter-greylist does. A command that the peer has
read and refuses is dropped, for it would refuse it again. The name is looked up anew for each
connection; if one of its addresses is that on which we are called ourselves, it is us, and nothing
is told. What waits when all ends is tried once more where the peer was last, for a second: who does
not restart at the same moment gets it.
"""

from __future__ import annotations

import logging
import socket
from collections import deque
from collections.abc import Callable, Generator, Iterator
from ipaddress import ip_address
from math import inf
from random import SystemRandom

from Axon.AtOnce import act_at_once
from Axon.Component import component
from Axon.Ipc import ipc, producerFinished, shutdownMicroprocess, stops_at_once
from Kamaelia.Apps.Grey.Sync.PeerNames import Place, Where
from Kamaelia.Apps.Grey.Sync.SyncSettings import PeerStatus, SyncSettings
from Kamaelia.Internet.TCPClient import TCPClient
from Kamaelia.Protocol.MXSync import MXSyncClient
from Kamaelia.Support.Data.Seldom import Seldom
from Kamaelia.Support.Protocol.MXSync.Commands import Command
from Kamaelia.Support.Protocol.MXSync.SyncClient import Established, Failed, Outcome, Sent, Skipped

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds, between two attempts
CONNECT_SECONDS = 60.0  # for a peer that may take for ever
LAST_SECONDS = 5.0  # for what waits, when all ends and there is a connection
LAST_CALL = 1.0  # to get one then
LOOK_AGAIN = 300.0  # whether a peer that was ourselves still is
ANY_ADDRESS = ("", "*", "0.0.0.0", "::")  # noqa: S104 - what is compared, not bound


def is_local(address: str) -> bool:
    """Whether it is an address of this machine: what is sent there would come from there. (To bind
    to it says less, where an address may be bound that somebody else has now.) Nothing is sent."""
    if ip_address(address).is_loopback:
        return True
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
            source: str = probe.getsockname()[0]
    except OSError:
        return False
    return source.partition("%")[0] == address


def is_ours(address: str, settings: SyncSettings, local: Callable[[str], bool] = is_local) -> bool:
    """Whether it is this machine at that address, given where it is called."""
    if settings.listen_host in ANY_ADDRESS:
        return local(address)
    # An own name may lead to 127.0.1.1 in /etc/hosts; nobody else is there.
    own = ip_address(settings.listen_host)
    return address == str(own) or (ip_address(address).is_loopback and not own.is_loopback)


class Peer(component):
    """Peer(name, settings, names, timeout=3.0, local=is_local, jitter=...) -> is told what others
    are to know.

    names: a PeerNames. timeout: seconds for each of its answers, 0 for ever. local: whether an
    address is ours. jitter: a factor around 1, new each time."""

    Inboxes = {
        "inbox": "Command: to be told; acted on at once",
        "control": "producerFinished (tell what waits if it takes no time) or shutdownMicroprocess",
        "places": "Place: where it is",
        "_outcomes": "Outcome: from the session; acted on at once",
    }
    Outboxes = {
        "outbox": "object: unused",
        "signal": "the shutdown that came in",
        "_where": "Where: to the names, linked here",
        "_commands": "Command: to the session",
        "_stop": "producerFinished or shutdownMicroprocess: to the session",
    }

    woken_by_collection = False  # it never waits for that

    def __init__(
        self,
        name: str,
        settings: SyncSettings,
        names: component,
        timeout: float = 3.0,
        local: Callable[[str], bool] = is_local,
        jitter: Callable[[], float] = lambda: SystemRandom().uniform(0.75, 1.25),
    ) -> None:
        super().__init__()
        self.peer = name
        self._settings = settings
        self._timeout = timeout
        self._local = local
        self._jitter = jitter
        self._queue: deque[Command] = deque()
        self._under_way: Command | None = None
        self._version = 0  # of the connection that there is
        self._gap = 0.0  # the latest, between two attempts
        self._not_before = -inf  # the next attempt
        self._ourselves_until = -inf
        self._ended_at = -inf  # the latest attempt
        self._addresses_seen: tuple[str, ...] = ()  # where it was then
        self._reached = False  # in the attempt under way
        self._to_greet = True  # it is called though there is nothing to say
        self._stopped_at = inf
        self._sent = self._dropped = 0
        self._error = ""
        self._complaints = Seldom(60.0)
        self.link((self, "_where"), (names, "inbox"))

    # ---- what others ask

    def change(self, settings: SyncSettings, timeout: float) -> None:
        """From the next connection on it is called like this; what waits, stays."""
        self._settings, self._timeout = settings, timeout
        self._not_before = self._ourselves_until = -inf
        self.unpause()

    def tell(self, command: Command) -> None:
        """As "inbox"."""
        now = self.now() if self.scheduler else 0.0
        if now < self._ourselves_until:
            return
        limit = self._settings.queue_limit
        if len(self._queue) >= limit:
            self._dropped += 1
            if self._complaints.is_due("overflow", now):
                log.warning(
                    "peer %s queue overflow (%d entries), discarding new entry", self.peer, limit
                )
            return
        self._queue.append(command)
        self.unpause()

    def is_there(self) -> None:
        """It has called, so what waits need not wait for the end of a pause. Who calls and hangs up
        all the time is called back once in a second."""
        self._gap = 0.0
        self._not_before = min(self._not_before, self._ended_at + FIRST_PAUSE)
        self.unpause()

    def take_over(self, other: Peer, now: float) -> None:
        """Go on in the place of one that has failed, after the longest pause."""
        self._to_greet = False
        self._queue.extend(other.waiting)
        self._sent, self._dropped = other._sent, other._dropped
        self._gap = LONGEST_PAUSE
        self._not_before = now + LONGEST_PAUSE
        self._error = other._error

    @property
    def waiting(self) -> tuple[Command, ...]:
        """What it has not been told yet."""
        first = () if self._under_way is None else (self._under_way,)
        return (*first, *self._queue)

    @property
    def status(self) -> PeerStatus:
        """How it goes."""
        ourselves = bool(self.scheduler) and self.now() < self._ourselves_until
        return PeerStatus(
            self.peer,
            self._version > 0,
            self._version,
            len(self.waiting),
            self._sent,
            self._dropped,
            self._error,
            ourselves,
        )

    # ---- life

    def main(self) -> Iterator[object]:
        act_at_once(self, "inbox", self.tell)
        act_at_once(self, "_outcomes", self._hear)
        while not self.told_to_stop():
            left = self._not_before - self.now()
            wanted = bool(self._queue) or self._to_greet
            if wanted and left <= 0:
                yield from self._call()
            elif not self.anyReady():
                self.pause(left if wanted else None)
            yield 1
        yield from self._last_call()
        if self.waiting:
            log.warning("peer %s was not told of %d entries", self.peer, len(self.waiting))

    def stop(self) -> None:
        for child in self.children:
            child.stop()
        super().stop()

    def _call(self) -> Iterator[object]:
        """One attempt, with all addresses; returns when there is no connection any more."""
        sent, self._error, self._reached = self._sent, "", False
        greeting, self._to_greet = self._to_greet, False
        addresses = yield from self._addresses()
        self._addresses_seen = addresses or self._addresses_seen
        for address in addresses:
            yield from self._talk(address)
            unheard = bool(self._queue) or (greeting and not self._reached)
            if self._sent > sent or not unheard or self.told_to_stop():
                break
        self._ended_at = self.now()
        if self._sent > sent:
            self._gap = 0.0
        if self.told_to_stop():
            return
        if self._queue:
            self._gap = min(max(FIRST_PAUSE, 2 * self._gap), LONGEST_PAUSE)
            # Never less than the first: so often it may be, and so often a peer is called that
            # calls us without end.
            self._not_before = self._ended_at + max(FIRST_PAUSE, self._gap * self._jitter())
        if self._queue or (greeting and not self._reached and not self.status.ourselves):
            self._complain()

    def _last_call(self) -> Iterator[object]:
        """All ends, and maybe what waits can still be told."""
        if self._ended_at >= self._stopped_at or stops_at_once(self.told_to_stop()):
            return
        for address in self._addresses_seen:
            if not self._queue or self._is_over():
                return
            yield from self._talk(address)

    def _complain(self) -> None:
        if self._complaints.is_due("cannot", self.now()):
            log.warning(
                "cannot sync with peer %s: %s (%d entries queued)",
                self.peer,
                self._error or "connection closed",
                len(self._queue),
            )

    def _addresses(self) -> Generator[object, None, tuple[str, ...]]:
        for _ in self.Inbox("places"):
            pass  # of an attempt that was given up
        self.send(Where(self.peer, (self, "places")), "_where")
        while not self.dataReady("places"):
            if self.told_to_stop():
                return ()
            self.pause()
            yield 1
        place: Place = self.recv("places")
        self._error = place.error
        if any(map(self._is_ours, place.addresses)):
            if self._ourselves_until == -inf:  # else that has been said
                log.info("peer %s is this machine itself, and not called", self.peer)
            self._ourselves_until = self.now() + LOOK_AGAIN
            self._queue.clear()
            return ()
        return place.addresses

    def _is_ours(self, address: str) -> bool:
        settings = self._settings
        return settings.port == settings.listen_port and is_ours(address, settings, self._local)

    # ---- one connection

    def _talk(self, address: str) -> Iterator[object]:
        tcp, session = self._make_connection(address)
        told: ipc | None = None
        while not (session._isStopped() and tcp._isStopped()):
            self._give()
            word = self._last_word()
            if word is not None and type(word) is not type(told):
                told = word
                self.send(word, "_stop")
                if stops_at_once(word):
                    tcp.inboxes["control"].deliver(word)
            patient = self._stopped_at < inf and not stops_at_once(told)
            self.pause(max(0.0, self._stopping_until - self.now()) if patient else None)
            yield 1
        self._version = 0
        self.removeChild(session)
        self.removeChild(tcp)

    def _make_connection(self, address: str) -> tuple[TCPClient, MXSyncClient]:
        source = self._settings.source
        tcp = TCPClient(
            address,
            self._settings.port,
            connect_timeout=self._timeout or CONNECT_SECONDS,
            source_address=(source, 0) if source not in ("", "*") else None,
        )
        session = MXSyncClient(self._timeout, None if self._timeout else CONNECT_SECONDS)
        self.link((tcp, "outbox"), (session, "inbox"))
        self.link((tcp, "signal"), (session, "closed"))
        self.link((session, "outbox"), (tcp, "inbox"))
        self.link((session, "signal"), (tcp, "control"))
        self.link((session, "outcomes"), (self, "_outcomes"))
        self.link((self, "_commands"), (session, "commands"))
        self.link((self, "_stop"), (session, "control"))
        self.addChildren(tcp, session)
        tcp.activate(Scheduler=self.scheduler)
        session.activate(Scheduler=self.scheduler)
        return tcp, session

    def _last_word(self) -> ipc | None:
        """What the session is to hear now, if all is to end."""
        if self.told_to_stop() is None:
            return None
        if self._is_over():
            return shutdownMicroprocess(self)
        return None if self.waiting else producerFinished(self)

    def _is_over(self) -> bool:
        """All is to end, and there is no time left for what waits."""
        stop = self.told_to_stop()
        if stop is None:
            return False
        if self._stopped_at == inf:
            self._stopped_at = self.now()
        return stops_at_once(stop) or self.now() >= self._stopping_until

    @property
    def _stopping_until(self) -> float:
        return self._stopped_at + (LAST_SECONDS if self._version else LAST_CALL)

    def _give(self) -> None:
        """The next command, if the one before it has its answer."""
        if self._version and self._under_way is None and self._queue:
            self._under_way = self._queue.popleft()
            self.send(self._under_way, "_commands")

    def _hear(self, outcome: Outcome) -> None:
        match outcome:
            case Established(version):
                self._version, self._error, self._reached = version, "", True
                if self._complaints.is_due(("established", version), self.now()):
                    log.info(
                        "Connection to %s established, protocol version %d", self.peer, version
                    )
            case Sent():
                self._sent += 1
                self._under_way = None
                self._give()
            case Skipped(_, why):
                self._lose(f"not told: {why}", why)
            case Failed(_, why, refused):
                self._version = 0
                self._error = why
                if refused:
                    self._lose(f"refused: {why}", why)
                elif self._under_way is not None:
                    self._queue.appendleft(self._under_way)
                    self._under_way = None
        self.unpause()

    def _lose(self, what: str, kind: str) -> None:
        """It would not do so later either."""
        self._under_way = None
        self._dropped += 1
        if self._complaints.is_due(kind, self.now()):
            log.warning("peer %s: an entry is dropped, %s", self.peer, what)


__kamaelia_components__ = (Peer,)
