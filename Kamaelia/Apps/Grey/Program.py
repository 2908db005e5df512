"""
From a good file to taking mail
===============================
`Program` holds the configuration that is in force, starts what takes the mail (one process or
several), and reads the file again when it is told to, or when somebody has changed it.

The order of a start: open the ports, write the pid file, become another user, look at the
surroundings and at the real mail server, take mail. Ports come first, so that after a restart
clients wait in the kernel's queue instead of being refused.

Example Usage
-------------
::

    try:
        code = Program(config, path, overrides).run(Notifier(), inherited=[])
    except StartError as error:
        print(*error.lines, sep="\\n", file=sys.stderr)
"""

from __future__ import annotations

import logging
import os
import socket
import stat
import time
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from Kamaelia.Apps.Grey import Checks
from Kamaelia.Apps.Grey.Config.Contradictions import contradictions
from Kamaelia.Apps.Grey.Config.Loader import Config, ConfigError
from Kamaelia.Apps.Grey.Detach import Detached
from Kamaelia.Apps.Grey.Doors import (
    DoorKind,
    doors_of,
    files_of,
    is_stranger,
    kind_of,
    name_of,
    open_doors,
    remove_files,
)
from Kamaelia.Apps.Grey.Logs import RULES, log_directly
from Kamaelia.Apps.Grey.Options.Overrides import Overrides
from Kamaelia.Apps.Grey.Options.Reading import read
from Kamaelia.Apps.Grey.PidFile import PidFile, PidFileError
from Kamaelia.Apps.Grey.Privileges import PrivilegeError, become
from Kamaelia.Apps.Grey.Process import serve
from Kamaelia.Apps.Grey.Server import RESTART
from Kamaelia.Apps.Grey.SystemdSockets import Notifier
from Kamaelia.Apps.Grey.Watch.FileWatch import Seen
from Kamaelia.Apps.Grey.Workers import Link, Supervisor

log = logging.getLogger("kamaelia-grey")
rules_log = logging.getLogger(RULES)


class StartError(Exception):
    """The program cannot start: its exit code, and what to say."""

    def __init__(self, code: int, *lines: str) -> None:
        super().__init__(*lines)
        self.code = code
        self.lines = lines


class Program:
    """Program(config, path, overrides=..., detached=None) -> the program, with the configuration
    that is in force. overrides: are in config already. detached: of a daemon."""

    def __init__(
        self,
        config: Config,
        path: Path | None,
        overrides: Overrides = Overrides(),  # noqa: B008 - frozen
        detached: Detached | None = None,
    ) -> None:
        self._config = config
        self._path = path
        self._overrides = overrides
        self._detached = detached
        # What takes a restart stays as it is, in a worker that is started later, too: there is one
        # database, and each port has one meaning.
        self._kept: dict[str, Any] = {name: getattr(config, name) for name in RESTART}
        self.seen = Seen(path) if path is not None else None

    def run(self, notifier: Notifier, inherited: list[socket.socket]) -> int:
        """Until it is told to end; returns the exit code. Raises StartError."""
        config = self._config
        log_directly(config, to_file=False, detached=self._detached)
        self._log_rules()
        self._refuse_strangers(inherited)
        try:
            doors = [] if inherited else doors_of(config)
            ports = open_doors(doors, config.workers) if doors else [inherited] * config.workers
        except OSError as error:
            log.critical("%s", error.strerror or error)
            return os.EX_OSERR
        if not (config.peers or any(kind_of(s, config) is DoorKind.SYNC for s in ports[0])):
            self._kept["peers"] = ()  # the first of them takes a restart
        there = {kind_of(sock, config) for sock in inherited}
        for door in doors_of(config) if inherited else ():
            if door.kind not in there:
                log.warning("%s: systemd has not opened that, it stays closed", door)
        files = [] if inherited else files_of(ports[0])
        try:
            with PidFile(config.pid_file) if config.pid_file else nullcontext() as pid_file:
                self._prepare()
                return self._serve(ports, notifier, pid_file)
        except PidFileError as error:
            raise StartError(os.EX_OSERR, str(error)) from error
        finally:
            remove_files(files)

    def _refuse_strangers(self, inherited: list[socket.socket]) -> None:
        """Without a proxy a port of systemd's that no door names would become one, which refuses
        everybody's mail for good: port 25 of the shipped unit, say, that should be Postfix's."""
        if self._config.listens:
            return
        cure = "take its ListenStream away, name it (socket, policy_socket), or set listen"
        problems = [
            f"systemd has opened {name_of(sock)}, where greylist.conf has no door: {cure}"
            for sock in inherited
            if is_stranger(sock, self._config)
        ]
        if problems:
            raise StartError(os.EX_CONFIG, *problems)

    def _serve(
        self, ports: list[list[socket.socket]], notifier: Notifier, pid_file: PidFile | None
    ) -> int:
        # The supervisor's end closes them.
        names = [f"{kind_of(sock, self._config).value} on {name_of(sock)}" for sock in ports[0]]
        detached = self._detached

        def ready() -> None:
            self._say_what_we_do(names)
            if detached is not None:
                detached.ready()

        if len(ports) == 1:
            return serve(
                *(self._config, ports[0], self.read_again, ready),
                notifier=notifier,
                watched=self.seen,
                detached=detached,
            )

        def work(number: int, sockets: list[socket.socket], link: Link) -> int:
            if pid_file is not None:
                pid_file.leave()
            # The configuration of now: it may be a later one than at the start.
            return serve(
                *(self._config, sockets, self.read_again),
                *([detached.leave] if detached is not None else []),
                workers=len(ports),
                number=number,
                link=link,
                watched=self.seen,
                detached=detached,
            )

        return Supervisor(
            ports,
            work,
            lambda: self.read_again() is not None,
            ready,
            drain_seconds=lambda: self._config.drain_timeout,
            notifier=notifier,
        ).run()

    def _prepare(self) -> None:
        """Become who we are to be, and look whether that one can work."""
        config = self._config
        if config.user:
            try:
                become(config.user)
            except PrivilegeError as error:
                raise StartError(error.exit_code, str(error)) from error
        problems = Checks.surroundings(config)
        if not problems:
            log_directly(config, detached=self._detached)
        if not problems and config.relay_check and config.listens:
            findings = Checks.real_servers(config)
            problems = findings.problems
            for line in findings.warnings:
                log.warning("%s", line)
        if problems:
            raise StartError(os.EX_CONFIG, *problems)
        for line in (
            *Checks.expiring(config),
            *Checks.exposed(config),
            *Checks.rereadable(config, self._path),
        ):
            log.warning("%s", line)
        if config.listens and not config.allowed_domains:
            log.warning(
                "allowed_domains is empty: mail from strangers is refused, whoever it is for"
            )

    def _say_what_we_do(self, names: list[str]) -> None:
        config = self._config
        for name in names:
            log.info("taking %s", name)
        where = self._path if self._path is not None else "built in"
        servers = [(row[0], row[1]) for row in config.backends]
        for host, port in servers or [(config.smtp_ip, config.smtp_port)]:
            if config.listens:
                log.info("handing it to %s port %d, configuration %s", host, port, where)
        if not config.listens:
            log.info("configuration %s", where)
        if config.dry_run:
            log.warning("dry_run is on: all mail for our domains is let through")

    def _log_rules(self) -> None:
        """Of -l: all of them, as they are in force now."""
        if rules_log.isEnabledFor(logging.DEBUG):
            for rule in self._config.access_rules:
                rules_log.debug("%s:%d: %s", rule.path, rule.line, rule.source)

    # ---- reading the file again

    def read_again(self) -> Config | None:
        """The configuration from now on; None if the one before stays in force. It may be called
        in a thread: it changes nothing but ours."""
        if self._path is None or self.seen is None:
            log.error("there is no configuration file to be read again")
            return None
        log.info('reloading config file "%s"', self._path)
        began = time.monotonic()
        self.seen.note()  # first: what is written from now on is to be noticed
        new, problems = self._read(self._path)
        if new is None or problems:
            for line in problems:
                log.error("%s", line)
            log.error("the configuration stays as it was: %s cannot be used", self._path)
            return None
        log.info('reloaded config file "%s" in %.6fs', self._path, time.monotonic() - began)
        self._config = replace(new, **self._kept)
        self._log_rules()
        return new

    def _read(self, path: Path) -> tuple[Config | None, list[str]]:
        """What the file says, and what keeps it from being used now."""
        with suppress(OSError):  # the reader has words for that
            if not stat.S_ISREG(path.stat().st_mode):  # a pipe may never say a word
                return None, [f"{path}: is no file"]
        try:
            new, warnings = read(path, self._overrides)
        except ConfigError as error:
            return None, str(error).splitlines()
        for line in warnings:
            log.warning("%s", line)
        together = replace(new, **self._kept)
        problems = [f"{what}: {cure}; or restart" for _, what, cure in contradictions(together)]
        problems += Checks.bounces_all(self._config, new)
        problems += Checks.surroundings(new)
        return new, problems or Checks.may_relay_now(self._config, new)
