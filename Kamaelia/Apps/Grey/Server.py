"""
From a Config to the running system: the only place where things are wired
==========================================================================
::

    GreyServer
      +-- StoreService          who was seen when (one thread)
      +-- MailLog               a line a decision (one thread)
      +-- BackendProbe          what the real server offers
      +-- ServerCore            one for each address that is listened on
            +-- SMTPProxy       one for each client

Example Usage
-------------
A greylister in a program of one's own, stopped after a minute::

    server = GreyServer(loads("smtp_port = 2525"))
    scheduler.run.call_later(60, lambda: server.shut_down("the minute is over"))
    server.run()

Ending
------
shut_down() (or shutdownMicroprocess at "control") drains: the ports are closed, clients between two
messages hear 421, those inside one may finish it for ``drain_timeout`` seconds; then all that is
left is closed, the store is written and the system ends. A second shut_down() does not wait.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Self

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Scheduler import scheduler
from Kamaelia.Apps.Grey import OwnComponents
from Kamaelia.Apps.Grey.Config.Schema import Config
from Kamaelia.Apps.Grey.Core.Types import Policy
from Kamaelia.Apps.Grey.FrontDoor.Backend import Backend
from Kamaelia.Apps.Grey.FrontDoor.BackendProbe import BackendProbe
from Kamaelia.Apps.Grey.FrontDoor.SMTPProxy import ProxySettings, SMTPProxy
from Kamaelia.Apps.Grey.GreylistDecider import GreylistDecider
from Kamaelia.Apps.Grey.Store.Interface import Store
from Kamaelia.Apps.Grey.Store.Sqlite import SqliteStore
from Kamaelia.Apps.Grey.Store.StoreService import StoreService
from Kamaelia.Apps.Grey.Watch.MailLog import MailLog
from Kamaelia.Chassis.ConnectedServer import ServerCore, stop_tree
from Kamaelia.Support.Protocol.SMTP.ClientCommands import (
    ClientTimes,
)
from Kamaelia.Support.Protocol.SMTP.ServerSession import ServerLimits

log = logging.getLogger(__name__)

REUSE_ADDRESS = (socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
# Clients above max_connections hear 421. Above this many more they wait in the kernel: even a 421
# costs a descriptor and a session for as long as the client likes to look at it.
REFUSALS_AT_ONCE = 100


def policy_of(config: Config) -> Policy:
    """What the decision needs to know of the configuration."""
    return Policy(
        delay_seconds=config.greylist_delay,
        window_seconds=config.retry_window,
        pass_seconds=config.pass_lifetime,
        prefix4=config.network_prefix4,
        prefix6=config.network_prefix6,
        allowed_senders=config.allowed_senders,
        allowed_sender_nets=config.allowed_sender_nets,
        allowed_domains=config.allowed_domains,
        whitelisted_triples=config.whitelisted_triples,
        nonstandard_triples=config.whitelisted_nonstandard_triples,
        store_failure=config.store_failure,
    )


def settings_of(config: Config) -> ProxySettings:
    """What a client's session needs to know of the configuration."""
    return ProxySettings(
        hostname=config.servername,
        greeting=f"ESMTP {config.serverid}".strip(),
        size_limit=config.message_size_limit,
        timeout=float(config.inactivity_timeout),
        limits=ServerLimits(
            max_recipients=config.max_recipients, message_bytes=config.message_size_limit
        ),
        times=ClientTimes(
            connect=float(config.connect_timeout),
            reply=float(config.backend_reply_timeout),
            final=float(config.backend_final_timeout),
        ),
    )


class GreyServer(component):
    """GreyServer(config, clock=time.time, open_store=None) -> the whole greylister.

    clock: seconds since the epoch, for decisions and logs. open_store: makes the store, in its own
    thread; by default the SQLite file of the configuration. Raises OwnComponentError for what
    before_decider names and cannot be used."""

    Inboxes = {
        "inbox": "object: unused",
        "control": "producerFinished or shutdownMicroprocess: drain, then end; once more: end",
    }
    Outboxes = {
        "outbox": "object: unused",
        "signal": "the shutdown that came in",
    }

    def __init__(
        self,
        config: Config,
        clock: Callable[[], float] = time.time,
        open_store: Callable[[], Store] | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self._own = OwnComponents.load_all(config.before_decider)
        self._policy = policy_of(config)
        self._settings = settings_of(config)
        self._clock = clock
        self.backend = Backend(config.smtp_ip, config.smtp_port)
        self.store = StoreService(
            open_store or partial(SqliteStore, config.database),
            self._policy.lifetimes,
            clock=clock,
            sweep_interval=float(config.sweep_interval),
        )
        self.mail_log = MailLog(config.greylist_log)
        self.probe = BackendProbe(self.backend, config.servername)
        self.doors = [
            ServerCore(
                host=address,
                port=config.port,
                socketOptions=REUSE_ADDRESS,
                protocol=self._proxy,
                connection_limit=config.max_connections + REFUSALS_AT_ONCE,
            )
            for address in config.listen
        ]
        self._sessions: set[SMTPProxy] = set()

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """(host, port) of each door; known once the server is active."""
        return [door.address for door in self.doors]

    @property
    def connections(self) -> int:
        """Number of clients connected now."""
        return sum(door.connections for door in self.doors)

    def activate(
        self, Scheduler: scheduler | None = None, Tracker: object = None, mainmethod: str = "main"
    ) -> Self:
        """Bind the ports and start. Raises OSError if one cannot be had; then nothing is
        started."""
        opened: list[ServerCore] = []
        try:
            for door in self.doors:
                door.activate(Scheduler)
                opened.append(door)
        except OSError:
            for door in opened:
                door.stop()
            raise
        self.addChildren(*self.doors, self.store, self.mail_log, self.probe)
        for part in (self.store, self.mail_log, self.probe):
            part.activate(Scheduler)
        return super().activate(Scheduler, Tracker, mainmethod)

    def shut_down(self, why: str = "") -> None:
        """Drain and end; called again, end without waiting. Only in the scheduler's thread."""
        self.inboxes["control"].deliver(shutdownMicroprocess(self, why))

    def main(self) -> Iterator[object]:
        while (stop := self._told_to_end()) is None:
            self.pause()
            yield 1
        yield from self._drain()
        # The clients are gone: what they left to be written is in the boxes of these by now.
        for part in (self.probe, self.store, self.mail_log):
            part.inboxes["control"].deliver(producerFinished(self))
            while not part._isStopped():
                if self._told_to_end() is not None:
                    stop_tree(part)
                self.pause()
                yield 1
        self.send(stop, "signal")

    def stop(self) -> None:
        for door in self.doors:
            door.stop()
        super().stop()

    def _drain(self) -> Iterator[object]:
        patience = self.config.drain_timeout
        log.info("shutting down: %d clients have %d s to finish", self.connections, patience)
        for door in self.doors:
            door.inboxes["control"].deliver(shutdownMicroprocess(self))
        until = self.now() + patience
        while (left := until - self.now()) > 0 and not self._is_drained():
            if self._told_to_end() is not None:
                break
            self.pause(left)
            yield 1
        if self._sessions:
            log.warning("%d sessions did not finish in time", len(self._sessions))
        for door in self.doors:
            door.stop()
        for session in list(self._sessions):  # those whose clients are gone are no door's any more
            stop_tree(session)
        while not self._is_drained():
            self.pause()
            yield 1

    def _is_drained(self) -> bool:
        return not self._sessions and all(door._isStopped() for door in self.doors)

    def _told_to_end(self) -> object:
        """The oldest shutdown at "control", or None. One at a time: a second one has a meaning."""
        while self.dataReady("control"):
            message: object = self.recv("control")
            if isinstance(message, (producerFinished, shutdownMicroprocess)):
                return message
        return None

    def _proxy(self, peer: str, **_: object) -> SMTPProxy:
        # Sessions whose clients have gone wait for the mail server's answer to a dot: without a
        # limit to those too, a client that always leaves after its dot could pile them up.
        limit = self.config.max_connections
        full = self.connections >= limit or len(self._sessions) >= 2 * limit
        session = SMTPProxy(
            peer,
            self._settings,
            self.backend,
            self.make_decider,
            self.mail_log,
            self._clock,
            full=full,
        )
        # A session may outlive its connection: after the dot the mail server's answer is awaited.
        self._sessions.add(session)
        session.call_on_close(lambda: self._session_over(session))
        return session

    def _session_over(self, session: SMTPProxy) -> None:
        self._sessions.discard(session)
        if not self._sessions:
            self.unpause()

    def make_decider(self) -> component:
        """The component that turns one client's Attempts into Decisions; override it to put one of
        your own behind or in the place of the greylister (before it: see before_decider)."""
        decider = GreylistDecider(self._policy, self.store, self._clock)
        return OwnComponents.before(self._own, decider)


__kamaelia_components__ = (GreyServer,)
