"""
From a Config to the running system: the only place where things are wired
==========================================================================
::

    GreyServer
      +-- StoreService          who was seen when (one thread)
      +-- MailLog               a line a decision (one thread)
      +-- GreylistDecider       who gets in            \
      +-- RelayPool             the real mail servers   | one set for each configuration
      +-- Verifier              have they such a user?  | that some session still has
      +-- BackendProbe          what each offers       /
      +-- SyncService           tells other machines, and hears from them
      +-- ServerCore            one for each address that is listened on
            +-- SMTPProxy       one for each client,
            +-- MilterDoor      for each connection of a mail server that has us as a milter,
            +-- PolicyDoor      or as its policy service

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

Changing the configuration
--------------------------
reload() makes the parts that depend on it anew, for the clients that come from then on. Those that
are there keep what they began with until they leave; then their set of parts ends.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Self, TypeVar

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Scheduler import scheduler
from Kamaelia.Apps.Grey.Certificates import certificates_of
from Kamaelia.Apps.Grey.Config.Schema import Config
from Kamaelia.Apps.Grey.Core.Access.Evaluate import RuleSet
from Kamaelia.Apps.Grey.Core.Access.Patterns import bare
from Kamaelia.Apps.Grey.Core.Access.Rates import Rates
from Kamaelia.Apps.Grey.Core.Modes import LogFormat
from Kamaelia.Apps.Grey.Core.Newcomers import Newcomers
from Kamaelia.Apps.Grey.Core.Tarpits import Tarpits
from Kamaelia.Apps.Grey.Core.Types import Attempt, Triplet
from Kamaelia.Apps.Grey.Doors import DoorKind, files_of, kind_of, remove_files
from Kamaelia.Apps.Grey.DoorServers import REFUSALS_AT_ONCE, servers_of
from Kamaelia.Apps.Grey.Era import Era
from Kamaelia.Apps.Grey.ExpectFile import ExpectFile
from Kamaelia.Apps.Grey.FrontDoor.Admission import Admission, Memory
from Kamaelia.Apps.Grey.FrontDoor.BackendProbe import BackendProbe
from Kamaelia.Apps.Grey.FrontDoor.MilterDoor import MilterDoor
from Kamaelia.Apps.Grey.FrontDoor.PolicyDoor import PolicyDoor
from Kamaelia.Apps.Grey.FrontDoor.PolicyMemory import PolicyMemory
from Kamaelia.Apps.Grey.FrontDoor.RelayPool import RelayPool
from Kamaelia.Apps.Grey.FrontDoor.SMTPProxy import SMTPProxy
from Kamaelia.Apps.Grey.GreylistDecider import GreylistDecider
from Kamaelia.Apps.Grey.Settings import (
    admission_rules_of,
    dump_plan_of,
    engine_of,
    policy_of,
    site_of,
    sync_settings_of,
)
from Kamaelia.Apps.Grey.Store.DumpFile import opened_with_dump
from Kamaelia.Apps.Grey.Store.DumpService import DumpService
from Kamaelia.Apps.Grey.Store.Interface import Store
from Kamaelia.Apps.Grey.Store.Sqlite import SqliteStore
from Kamaelia.Apps.Grey.Store.StoreService import StoreService
from Kamaelia.Apps.Grey.Sync.SyncService import SyncService
from Kamaelia.Apps.Grey.SystemdSockets import close_all
from Kamaelia.Apps.Grey.Watch.MailLog import MailLog
from Kamaelia.Apps.Grey.Watch.StatLog import StatLog, stat_line
from Kamaelia.Chassis.ConnectedServer import ServerCore, stop_tree
from Kamaelia.Support.Protocol.SMTP.Mailbox import mailbox
from Kamaelia.Support.Protocol.SMTP.Replies import Reply

log = logging.getLogger(__name__)

_Asking = TypeVar("_Asking", bound=component)

LOOK_SECONDS = 60.0  # between looks at certificates' files, and at what is to be logged
EXPECT_SECONDS = 1.0  # between looks at the file of those who wait for a mail
TOO_MANY = Reply.of(421, "4.3.2", "too many connections, try again later")
# What a running server cannot change: its ports, its files, its processes.
RESTART = (
    *(
        "listen",
        "port",
        "tls_port",
        *("socket", "socket_mode", "socket_owner"),
        *("policy_socket", "policy_socket_mode", "policy_socket_owner", "syncaddr"),
        "max_connections",
        "database",
        "sweep_interval",
        "memory_records",
    ),
    # The store sweeps by these: a longer one would come too late for what is swept meanwhile.
    *("retry_window", "pass_lifetime"),
    *("greylist_log", "greylist_debuglog", "workers", "pid_file", "user"),
    *("log_to", "log_format", "logfac", "verbose", "logexpired", "nodetach"),
    *("dumpfile", "dumpfile_mode", "dumpfreq", "dump_at_end_only", "dump_no_time_translation"),
)


class GreyServer(component):
    """GreyServer(config, clock=time.time, open_store=None, listening=None) -> the whole greylister.

    clock: seconds since the epoch, for decisions and logs. open_store: makes the store, in its own
    thread; by default the SQLite file of the configuration. listening: sockets to take clients from
    instead of opening the configuration's ports; connections to tls_port begin encrypted.
    writes_dumps: of several processes, one writes the dump. Raises
    OwnComponentError for what before_decider names and cannot be used, CertificateError for a
    certificate."""

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
        listening: Sequence[socket.socket] | None = None,
        writes_dumps: bool = True,
    ) -> None:
        super().__init__()
        self.config = config
        self.clock = clock
        open_store = open_store or partial(
            SqliteStore, config.database, pass_seconds=config.pass_lifetime
        )
        dump = dump_plan_of(config)
        if dump is not None:
            open_store = partial(opened_with_dump, open_store, dump, clock)
        self.store = StoreService(
            open_store,
            policy_of(config).lifetimes,
            clock=clock,
            sweep_interval=float(config.sweep_interval),
            memory_records=config.memory_records,
            shared=config.workers > 1,
            log_expired=config.logexpired or config.verbose,
        )
        self.tarpits = Tarpits()
        self.rates = Rates()  # what rules count goes on at a reload
        self.dumps: DumpService | None = None
        if dump is not None and writes_dumps:
            seconds = -1 if config.dump_at_end_only else config.dumpfreq
            self.dumps = DumpService(self.store, dump, seconds)
        self.expected: ExpectFile | None = None
        self.mail_log = MailLog(config.greylist_log, as_json=config.log_format is LogFormat.JSON)
        self.stat = self._make_stat(config)
        # Also for a port of peers where there are none (any more): everybody hears so.
        is_called = any(kind_of(sock, config) is DoorKind.SYNC for sock in listening or ())
        self.sync = self._make_sync(config) if config.peers or is_called else None
        self.admission = Admission(admission_rules_of(config), Memory(time.monotonic))
        self.certificates = certificates_of(config)
        self._era = Era(self, config, self.certificates)
        self._eras = [self._era]
        self._sessions: dict[component, Era] = {}
        self._proxies = 0  # of these
        self._when_over = self._session_over  # one bound method for all of them
        self._letters = PolicyMemory()
        self.doors = self._make_doors(listening)
        socks = [door.sock for door in self.doors if door.sock is not None]
        self._opened = socks if listening is None else []  # to be taken back if it cannot start
        self._files = files_of(self._opened)

    def tarpit_left(self, attempt: Attempt, seconds: float) -> None:
        """A client has hung up after so long in its tarpit."""
        self.tarpits.left((attempt.client, attempt.sender, attempt.recipient), seconds)

    def _make_sync(self, config: Config) -> SyncService:
        return SyncService(
            sync_settings_of(config),
            self.store,
            self._triplet_of,
            self.clock,
            delay_seconds=config.greylist_delay,
            lifetimes=policy_of(config).lifetimes,
        )

    def _triplet_of(self, client: str, sender: str, recipient: str) -> Triplet:
        """The key for what another machine tells."""
        return self._era.rules.triplet_of(
            Attempt(client, "", mailbox(bare(sender)), mailbox(bare(recipient)), "", "", "")
        )

    def _make_stat(self, config: Config) -> StatLog | None:
        stat = config.definitions.stat
        if stat is None:
            return None
        target, text = stat
        if config.workers > 1 and not target.startswith((">>", "|")):
            target = f">{target}"  # each worker has its own: none may truncate the others'
        return StatLog(target, stat_line(text, site_of(config)))

    def _make_doors(self, listening: Sequence[socket.socket] | None) -> list[ServerCore]:
        protocols: dict[DoorKind, Callable[..., component]] = {
            DoorKind.SMTP: self._proxy,
            DoorKind.SMTPS: partial(self._proxy, encrypted=True),
            DoorKind.MILTER: self._milter,
            DoorKind.POLICY: self._policy,
        }
        if self.sync is not None:
            protocols[DoorKind.SYNC] = self.sync.protocol
        return servers_of(self.config, listening, protocols)

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """(host, port) of each door; known once the server is active."""
        return [door.address for door in self.doors]

    @property
    def connections(self) -> int:
        """Number of clients connected now."""
        return sum(door.connections for door in self.doors)

    @property
    def pool(self) -> RelayPool:
        """The connections to the real mail servers, and how those fare."""
        return self._era.pool

    @property
    def probes(self) -> list[BackendProbe]:
        """Who asks the real mail servers what they offer: one for each."""
        return self._era.probes

    def make_decider(self, config: Config, rules: RuleSet, lookups: component | None) -> component:
        """The component that turns Attempts into Decisions, which go to the box that the Attempt
        names; override it to put one of your own in its place (before it: see before_decider).
        rules: the access rules. lookups: answers questions; None: with this configuration there are
        none."""
        newcomers = Newcomers(config.new_per_network)
        self.expected = self._expected(config)
        engine = engine_of(
            config,
            rules,
            admit=lambda network: newcomers.admit(network, time.monotonic()),
            expectations=self.expected,
            tarpits=self.tarpits,
        )
        return GreylistDecider(
            policy_of(config),
            self.store,
            self.clock,
            engine,
            lookups,
            float(config.decision_timeout),
            plain=engine.plain and lookups is None and self.expected is None,
        )

    def _expected(self, config: Config) -> ExpectFile | None:
        """The one that is in use, if it is of the same file: what was used up stays so, and clients
        of before hear of what is added, too."""
        path, before = config.expect_file, self.expected
        if path is None or (before is not None and before.path == path):
            return before if path is not None else None
        made = ExpectFile(path, self.clock)
        made.look()  # who is waited for may come before our next look
        return made

    def activate(
        self, Scheduler: scheduler | None = None, Tracker: object = None, mainmethod: str = "main"
    ) -> Self:
        """Bind the ports and start. Raises OSError if one cannot be had; then nothing is started,
        and no file of a socket is left behind."""
        opened: list[ServerCore] = []
        try:
            for door in self.doors:
                door.activate(Scheduler)
                opened.append(door)
        except OSError:
            for door in opened:
                door.stop()
            remove_files(self._files)
            close_all(self._opened)
            raise
        self.addChildren(*self.doors)
        others = [one for one in (self.dumps, self.stat, self.sync) if one is not None]
        self._start([self.store, self.mail_log, *others, *self._era.parts], Scheduler)
        return super().activate(Scheduler, Tracker, mainmethod)

    def _start(self, parts: Sequence[component], running: scheduler | None) -> None:
        self.addChildren(*parts)
        for part in parts:
            part.activate(running)

    def shut_down(self, why: str = "") -> None:
        """Drain and end; called again, end without waiting. Only in the scheduler's thread."""
        self.inboxes["control"].deliver(shutdownMicroprocess(self, why))

    def reload(self, config: Config) -> list[str]:
        """Serve clients that come from now on by this configuration. Returns the names of the
        settings that have changed and need a restart. Raises OwnComponentError or CertificateError,
        and then nothing has changed. Only in the scheduler's thread."""
        changed = [name for name in RESTART if getattr(config, name) != getattr(self.config, name)]
        if config.peers and self.sync is None:
            changed.append("peers")  # for the first of them a port has to be opened
        config = replace(config, **{name: getattr(self.config, name) for name in changed})
        rules = admission_rules_of(config)
        certificates = certificates_of(config)
        era = Era(self, config, certificates)
        self._start(era.parts, self.scheduler or None)
        before, self._era = self._era, era
        self._eras.append(era)
        self.certificates = certificates
        self.admission.change(rules)
        for known in before.pool.backends.all:  # until the probes have asked
            for backend in era.pool.backends.all:
                if (known.host, known.port) == (backend.host, backend.port) and known.seen:
                    backend.learn(known.seen)
        self.config = config
        if self.sync is not None:
            self.sync.reload(sync_settings_of(config), config.greylist_delay)
        for session in self._sessions:
            if isinstance(session, PolicyDoor):
                # A Postfix keeps such a connection for hours; each question stands for itself.
                session.office = era.office
                if not session.is_asking:
                    self._move(session)
            elif isinstance(session, MilterDoor):  # from its next client on
                session.turn_to(era.office, era.macros, config.milter_patience)
        self.unpause()  # there may be more to look at than before
        for old in self._eras[:-1]:
            self._retire(old)
        return changed

    def _move(self, session: component) -> Era:
        """A session is one of the present configuration from now on. Which one it was of?"""
        before, era = self._sessions[session], self._era
        self._sessions[session] = era
        before.sessions -= 1
        era.sessions += 1
        return before

    def _turned(self, session: component) -> None:
        """A session that was asking at the time of a reload asks by the present configuration."""
        before = self._move(session)
        if before is not self._era:
            self._retire(before)

    def main(self) -> Iterator[object]:
        next_look = self.now() + LOOK_SECONDS
        while (stop := self._told_to_end()) is None:
            if self.expected is not None:
                self.expected.look()
            self.pause(EXPECT_SECONDS if self.expected is not None else LOOK_SECONDS)
            yield 1
            if self.now() >= next_look:
                next_look = self.now() + LOOK_SECONDS
                self._look_around()
        yield from self._drain()
        for era in self._eras:
            era.office.tell_refused(self.now(), all_of_it=True)
        # The clients are gone: what they left to be written is in the boxes of these by now.
        parts = [part for era in self._eras for part in era.parts]
        others = (self.sync, self.dumps, self.store, self.mail_log, self.stat)
        for part in (*parts, *(one for one in others if one is not None)):
            part.inboxes["control"].deliver(producerFinished(self))
            while not part._isStopped():
                if self._told_to_end() is not None:
                    stop_tree(part)
                self.pause()
                yield 1
        self.send(stop, "signal")

    def _look_around(self) -> None:
        for era in self._eras:
            era.office.tell_refused(self.now())
        if self.certificates.changed():
            for problem in self.certificates.reload():
                log.error("%s", problem)

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
            if not session.scheduler:  # it could not be activated, so nothing of it ever ends
                self._session_over(session)
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

    def _proxy(
        self, peer: str, peerport: int, localip: str, localport: int, encrypted: bool = False
    ) -> SMTPProxy:
        # Sessions whose clients have gone wait for the mail server's answer to a dot: without a
        # limit to those too, a client that always leaves after its dot could pile them up.
        full = self._proxies >= 2 * self.config.max_connections + REFUSALS_AT_ONCE
        era = self._era
        session = SMTPProxy(
            era.office,
            peer,
            peerport,
            localip,
            localport,
            full=TOO_MANY if full else None,
            encrypted=encrypted,
        )
        # A session may outlive its connection: after the dot the mail server's answer is awaited.
        self._sessions[session] = era
        self._proxies += 1
        era.sessions += 1
        session.when_over = self._when_over
        return session

    def _milter(self, **peer: Any) -> MilterDoor:  # noqa: ANN401 - as ServerCore gives them
        era, patience = self._era, self.config.milter_patience
        door = MilterDoor(era.office, **peer, macros=era.macros, patience=patience)
        door.when_turned = self._turned
        return self._asking(door, era)

    def _policy(self, **peer: Any) -> PolicyDoor:  # noqa: ANN401
        era = self._era
        session = PolicyDoor(era.office, **peer, memory=self._letters)
        session.when_turned = self._turned
        return self._asking(session, era)

    def _asking(self, session: _Asking, era: Era) -> _Asking:
        """A mail server's connection; it has nothing of its own to outlive."""
        self._sessions[session] = era
        era.sessions += 1
        session.call_on_close(partial(self._session_over, session))
        return session

    def _session_over(self, session: component) -> None:
        era = self._sessions.pop(session)
        if isinstance(session, SMTPProxy):
            self._proxies -= 1
        era.sessions -= 1
        if era is not self._era:
            self._retire(era)
        if not self._sessions:
            self.unpause()

    def _retire(self, era: Era) -> None:
        """End the parts of a configuration that no session has any more."""
        if era.sessions:
            return
        self._eras.remove(era)
        era.office.tell_refused(self.now(), all_of_it=True)
        for part in era.parts:
            part.call_on_close(partial(self.removeChild, part))
            part.inboxes["control"].deliver(producerFinished(self))


__kamaelia_components__ = (GreyServer,)
