"""
kamaelia-grey: the program
==========================
Options, logging, signals and exit codes around a GreyServer::

    kamaelia-grey -D -f greylist.conf        run in the foreground (for now the only way to run)
    kamaelia-grey -c -f greylist.conf        check the file and what it names, the real server too
    kamaelia-grey --reload -f greylist.conf  check the file, then have the running program read it

TERM or Ctrl-C drains: no new clients, those inside a message may finish it; once more ends at once.
HUP reads the file again: if anything is wrong with it, nothing changes and the log says what. With
``workers`` above 1 this process is their supervisor (Kamaelia.Apps.Grey.Workers).

The order of a start: read the file, open the ports, write the pid file, become another user, look
at the surroundings and at the real mail server, take mail. Ports come first, so that after a
restart clients wait in the kernel's queue instead of being refused.

Exit codes are those of sysexits.h: 0 after a proper end, 64 for wrong usage, 69 if --reload finds
nobody, 70 for a fault of ours, 71 if a port or the pid file cannot be had, 78 for a bad
configuration or a real mail server that would relay."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import stat
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from Kamaelia.Apps.Grey import Checks
from Kamaelia.Apps.Grey.Config.Contradictions import contradictions
from Kamaelia.Apps.Grey.Config.Loader import Config, ConfigError, find, load
from Kamaelia.Apps.Grey.PidFile import PidFile, PidFileError, running_pid
from Kamaelia.Apps.Grey.Privileges import PrivilegeError, become
from Kamaelia.Apps.Grey.Process import log_directly, serve
from Kamaelia.Apps.Grey.Server import RESTART
from Kamaelia.Apps.Grey.SystemdSockets import Notifier, SystemdError, take_inherited
from Kamaelia.Apps.Grey.Workers import HELD_SIGNALS, Link, Supervisor, open_ports

log = logging.getLogger("kamaelia-grey")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    options = _options(arguments)
    path = Path(options.file) if options.file else find()
    try:
        config = load(path) if path is not None else Config()
    except ConfigError as error:
        print(error, file=sys.stderr)
        return os.EX_CONFIG
    if options.check:
        return _check(config, path)
    if options.reload:
        return _reload(config)
    # Until there are handlers: who reads the pid file may be quick with a HUP.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_SIGNALS)
    try:
        return _Program(config, path).run()
    except _StartError as error:
        for line in error.lines:
            print(line, file=sys.stderr)
        return error.code
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Parser(argparse.ArgumentParser):
    """Wrong usage ends with the code of sysexits.h, not with argparse's own."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(os.EX_USAGE, f"{self.prog}: {message}\n")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = _Parser(
        prog="kamaelia-grey",
        description="Greylisting SMTP proxy: strangers are asked to come back, friends get in.",
        epilog="Without -f the configuration is looked for in /usr/local/etc/Kamaelia, "
        "/usr/local/etc, /etc/Kamaelia, /etc and here, as greylist.conf and greylist.conf.dist.",
    )
    parser.add_argument("-D", action="store_true", help="stay in the foreground (the default)")
    parser.add_argument("-f", dest="file", metavar="FILE", help="configuration file")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "-c", dest="check", action="store_true", help="check the file and what it names, then end"
    )
    what.add_argument(
        "-R", "--reload", action="store_true", help="check the file, have the program read it, end"
    )
    return parser.parse_args(arguments)


# ---- -c and --reload


def _check(config: Config, path: Path | None) -> int:
    # What root alone may do or see comes first; all else is to be judged as the user that runs it.
    warnings = Checks.ports(config)
    problems = Checks.pid_folder(config)
    if config.user and os.geteuid() == 0:
        try:
            become(config.user)
        except PrivilegeError as error:
            problems.append(str(error))
    problems += Checks.surroundings(config)
    warnings += Checks.expiring(config)
    if not problems:
        findings = Checks.real_servers(config)
        problems += findings.problems
        warnings += findings.warnings
        for note in findings.notes:
            print(note)
    for line in (*problems, *warnings):
        print(line, file=sys.stderr)
    if problems:
        return os.EX_CONFIG
    print(f"{path}: no problems found" if path else "no greylist.conf found: defaults are used")
    return os.EX_OK


def _reload(config: Config) -> int:
    code = _code_as_its_user(config)
    if code:
        return code
    if config.pid_file is None:
        print("--reload needs to know whom to tell: set pid_file", file=sys.stderr)
        return os.EX_CONFIG
    try:
        os.kill(running_pid(config.pid_file), signal.SIGHUP)
    except (PidFileError, OSError) as error:
        print(error, file=sys.stderr)
        return os.EX_UNAVAILABLE
    return os.EX_OK


def _code_as_its_user(config: Config) -> int:
    """Look at the surroundings as the user that the program runs as: root may read any key."""
    if not config.user or os.geteuid() != 0:
        return _say_what_is_wrong(Checks.surroundings(config))
    child = os.fork()  # for there is no way back, and only root may send the signal
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = os.EX_SOFTWARE
    try:
        become(config.user)
        code = _say_what_is_wrong(Checks.surroundings(config))
    except PrivilegeError as error:
        code = _say_what_is_wrong([str(error)])
    except Exception:  # noqa: BLE001 - it is said, and the code is that of a fault of ours
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(code)


def _say_what_is_wrong(problems: list[str]) -> int:
    for line in problems:
        print(line, file=sys.stderr)
    return os.EX_CONFIG if problems else os.EX_OK


# ---- running


class _StartError(Exception):
    """The program cannot start: its exit code, and what to say."""

    def __init__(self, code: int, *lines: str) -> None:
        super().__init__(*lines)
        self.code = code
        self.lines = lines


class _Program:
    """From a good file to taking mail; holds the configuration that is in force."""

    def __init__(self, config: Config, path: Path | None) -> None:
        self._config = config
        self._path = path
        # What takes a restart stays as it is, in a worker that is started later, too: there is one
        # database, and each port has one meaning.
        self._kept: dict[str, Any] = {name: getattr(config, name) for name in RESTART}

    def run(self) -> int:
        """Raises _StartError."""
        config = self._config
        try:
            notifier = Notifier.from_environment(os.environ)
            inherited = [each.sock for each in take_inherited(os.environ)]
        except SystemdError as error:
            raise _StartError(os.EX_CONFIG, str(error)) from error
        log_directly(config, to_file=False)
        try:
            ports = [inherited] * config.workers if inherited else self._open_ports()
        except OSError as error:
            log.critical("%s", error.strerror or error)
            return os.EX_OSERR
        try:
            with PidFile(config.pid_file) if config.pid_file else nullcontext() as pid_file:
                self._prepare()
                return self._serve(ports, notifier, pid_file)
        except PidFileError as error:
            raise _StartError(os.EX_OSERR, str(error)) from error

    def _serve(
        self, ports: list[list[socket.socket]], notifier: Notifier, pid_file: PidFile | None
    ) -> int:
        names = Checks.names_of(ports[0])  # the supervisor's end closes them

        def ready() -> None:
            self._say_what_we_do(names)

        if len(ports) == 1:
            return serve(self._config, ports[0], self._read_again, ready, notifier=notifier)

        def work(number: int, sockets: list[socket.socket], link: Link) -> int:
            if pid_file is not None:
                pid_file.leave()
            # The configuration of now: it may be a later one than at the start.
            return serve(
                *(self._config, sockets, self._read_again),
                workers=len(ports),
                number=number,
                link=link,
            )

        return Supervisor(
            ports,
            work,
            self._check_again,
            ready,
            drain_seconds=lambda: self._config.drain_timeout,
            notifier=notifier,
        ).run()

    def _open_ports(self) -> list[list[socket.socket]]:
        return open_ports(Checks.addresses_of(self._config), self._config.workers)

    def _prepare(self) -> None:
        """Become who we are to be, and look whether that one can work."""
        config = self._config
        if config.user:
            try:
                become(config.user)
            except PrivilegeError as error:
                raise _StartError(os.EX_CONFIG, str(error)) from error
        problems = Checks.surroundings(config)
        if not problems:
            log_directly(config)
        if not problems and config.relay_check:
            findings = Checks.real_servers(config)
            problems = findings.problems
            for line in findings.warnings:
                log.warning("%s", line)
        if problems:
            raise _StartError(os.EX_CONFIG, *problems)
        for line in Checks.expiring(config):
            log.warning("%s", line)
        if not config.allowed_domains:
            log.warning(
                "allowed_domains is empty: mail from strangers is refused, whoever it is for"
            )

    def _say_what_we_do(self, names: list[tuple[str, int]]) -> None:
        for host, port in names:
            log.info("taking mail on %s port %d", host, port)
        servers = [(row[0], row[1]) for row in self._config.backends]
        for host, port in servers or [(self._config.smtp_ip, self._config.smtp_port)]:
            where = self._path if self._path is not None else "built in"
            log.info("handing it to %s port %d, configuration %s", host, port, where)

    # ---- HUP

    def _read_again(self) -> Config | None:
        """The configuration from now on; None if the one before stays in force. It may be called
        in a thread: it changes nothing but ours."""
        if self._path is None:
            log.error("there is no configuration file to be read again")
            return None
        began = time.monotonic()
        new, problems = self._read(self._path)
        if new is None or problems:
            for line in problems:
                log.error("%s", line)
            log.error("the configuration stays as it was: %s cannot be used", self._path)
            return None
        log.info("read %s again in %.3f s", self._path, time.monotonic() - began)
        self._config = replace(new, **self._kept)
        return new

    def _read(self, path: Path) -> tuple[Config | None, list[str]]:
        """What the file says, and what keeps it from being used now."""
        with suppress(OSError):  # load() has words for that
            if not stat.S_ISREG(path.stat().st_mode):  # a pipe may never say a word
                return None, [f"{path}: is no file"]
        try:
            new = load(path)
        except ConfigError as error:
            return None, str(error).splitlines()
        together = replace(new, **self._kept)
        problems = [f"{what}: {cure}; or restart" for _, what, cure in contradictions(together)]
        problems += Checks.bounces_all(self._config, new)
        problems += Checks.surroundings(new)
        return new, problems or Checks.may_relay_now(self._config, new)

    def _check_again(self) -> bool:
        return self._read_again() is not None


if __name__ == "__main__":
    sys.exit(main())
