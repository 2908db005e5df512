"""
kamaelia-grey: the program
==========================
From the command line to an exit code: which file, which task, in the foreground or as a daemon::

    kamaelia-grey -f greylist.conf           become a daemon that takes mail
    kamaelia-grey -D -f greylist.conf        the same in the foreground
    kamaelia-grey -c -f greylist.conf        check the file and what it names, the real server too
    kamaelia-grey --reload -f greylist.conf  check the file, then have the running program read it
    kamaelia-grey --explain 192.0.2.7 a@example.net b@example.org     what would be decided

TERM or Ctrl-C drains: no new clients, those inside a message may finish it; once more ends at once.
HUP, or a change of the file, has it read again: if anything is wrong with it, nothing changes and
the log says what. With ``workers`` above 1 there is a supervisor (Kamaelia.Apps.Grey.Workers).

Who starts a daemon gets its exit code: 0 when mail is taken, else what went wrong is on standard
error. A start that fails leaves no files of sockets behind: while the program has root's rights to
give up for them, another process keeps these until mail is taken.

Exit codes are those of sysexits.h, as milter-greylist uses them: 0 after a proper end, 64 for wrong
usage (and for -h), 65 for what is wrong in the file, 69 if --reload finds nobody, 70 for a fault of
ours, 71 for a file that cannot be read, an expression, user, port or pid file that cannot be had;
and 78 for what the configuration asks of this machine or of the real mail server in vain."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

from Kamaelia.Apps.Grey.Config.Loader import Config, ConfigError, find
from Kamaelia.Apps.Grey.Detach import Detached, detach
from Kamaelia.Apps.Grey.Doors import doors_of, files_there, remove_new
from Kamaelia.Apps.Grey.Logs import log_rules
from Kamaelia.Apps.Grey.Options import Checking, Expect, Explain, Others, Postgrey
from Kamaelia.Apps.Grey.Options.CommandLine import Command, Task, parse
from Kamaelia.Apps.Grey.Options.Reading import code_of, read
from Kamaelia.Apps.Grey.Options.Version import version_lines
from Kamaelia.Apps.Grey.Privileges import Caretaker, PrivilegeError, found
from Kamaelia.Apps.Grey.Program import Program, StartError
from Kamaelia.Apps.Grey.SystemdSockets import Notifier, SystemdError, take_inherited
from Kamaelia.Apps.Grey.Workers import HELD_SIGNALS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code. Raises SystemExit for wrong usage."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["--from-postgrey"]:
        return Postgrey.show(words[1:])  # what comes behind is in postgrey's words
    command = parse(words)
    if command.task is Task.VERSION:
        sys.stdout.writelines(f"{line}\n" for line in version_lines())
        return os.EX_OK
    path = command.file or find()
    try:
        config, warnings = read(path, command.overrides, strict=command.strict)
    except ConfigError as error:
        Checking.say([str(error)])
        return code_of(error)
    wrong = [*command.overrides.problems(config), *_user_problems(command)]
    if wrong:
        Checking.say(f"kamaelia-grey: {line}" for line in wrong)
        return os.EX_USAGE
    match command.task:
        case Task.CHECK:
            return Checking.check(config, path, warnings)
        case Task.RELOAD:
            return Checking.reload(config)
        case Task.EXPECT:
            return Expect.expect(config, command.words[0], command.seconds, once=command.once)
        case Task.IMPORT:
            kind, where = command.words
            return Others.import_records(config, kind, where)
        case Task.BIG_SENDERS:
            return Others.show_big_senders(config)
        case Task.EXPLAIN:
            client, sender, recipient = command.words
            return Explain.explain(config, client, sender, recipient, command.helo)
        case _:
            Checking.say(warnings)
            return _start(command, config, path)


def _user_problems(command: Command) -> list[str]:
    """-u is for root alone; anybody may say that he is who he is."""
    for name, value in command.overrides.values:
        if name == "user" and os.geteuid() != 0:
            try:
                if found(value)[0].pw_uid == os.geteuid():
                    continue
            except PrivilegeError:
                pass
            return [f"-u {value}: only root can become somebody else"]
    return []


def _start(command: Command, config: Config, path: Path | None) -> int:
    if command.log_rules:
        log_rules()
    # Until there are handlers: who reads the pid file may be quick with a HUP.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_SIGNALS)
    try:
        # Before the daemon is another process: the variables are for this one.
        notifier = _StartNotifier.from_environment(os.environ)
        inherited = [each.sock for each in take_inherited(os.environ)]
        overrides, detached = command.overrides, None
        if not (command.foreground or config.nodetach):
            here = Path.cwd()  # a daemon leaves it
            overrides = replace(overrides, folder=here)
            config = overrides.apply(config)
            path = None if path is None else here / path
            detached = detach()
            if detached.is_parent:
                return detached.wait()
        if not inherited:
            notifier.caretaker = _caretaker_of(config)
        return _run(Program(config, path, overrides, detached), notifier, inherited, detached)
    except SystemdError as error:
        Checking.say([str(error)])
        return os.EX_CONFIG
    except OSError as error:  # no second process, or nowhere to be
        Checking.say([f"kamaelia-grey: {error}"])
        return os.EX_OSERR
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _StartNotifier(Notifier):
    """Who hears that the start is over: the service manager, and who would undo it."""

    __slots__ = ("caretaker",)

    def __init__(self, path: str = "", watchdog_seconds: float = 0.0) -> None:
        super().__init__(path, watchdog_seconds)
        self.caretaker: Caretaker | None = None

    def ready(self, status: str = "") -> None:
        if self.caretaker is not None:
            self.caretaker.dismiss()
        super().ready(status)


def _caretaker_of(config: Config) -> Caretaker | None:
    """Who removes files that we make as root, if the start fails when we are not root any more."""
    before = files_there(doors_of(config))
    if not (before and config.user and os.geteuid() == 0):
        return None
    return Caretaker(partial(remove_new, before, os.getpid()))


def _run(
    program: Program,
    notifier: _StartNotifier,
    inherited: list[socket.socket],
    detached: Detached | None,
) -> int:
    code = os.EX_SOFTWARE
    try:
        with notifier.caretaker or nullcontext():
            code = program.run(notifier, inherited)
    except StartError as error:
        Checking.say(error.lines)
        code = error.code
    finally:
        if detached is not None:
            detached.ended(code)
    return code


if __name__ == "__main__":
    sys.exit(main())
