"""
-c and --reload: is this configuration good, here and now?
==========================================================
`check` is ``kamaelia-grey -c``: it looks at what the file names (folders, certificates, ports, the
real mail servers) and changes nothing: no file is made or truncated, no port stays open. `reload`
does the part of it that takes no time, and then has the running program read its file.

The file's own problems come before these, and are the reader's (Reading.py).

Example Usage
-------------
::

    code = check(config, path, warnings)

Exit codes: 0; 78 for what this machine lacks or would do wrong; 71 for a user that it does not
know; 69 if --reload finds nobody.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

from Kamaelia.Apps.Grey import Checks
from Kamaelia.Apps.Grey.Config.Schema import Config
from Kamaelia.Apps.Grey.PidFile import PidFileError, running_pid
from Kamaelia.Apps.Grey.Privileges import PrivilegeError, become


def check(config: Config, path: Path | None, warnings: Iterable[str] = ()) -> int:
    """Say on standard error what is wrong, what is odd, or that all is well; what the real mail
    servers offer, on standard output. warnings: of the file. Returns the exit code."""
    say(warnings)
    # What root alone may do or see comes first; all else is to be judged as the user that runs it.
    odd = Checks.ports(config)
    problems = Checks.pid_folder(config)
    if problems and Checks.is_service_managers(config):
        odd += [f"{each} (no fault if a unit has it as its RuntimeDirectory)" for each in problems]
        problems = []
    code = os.EX_CONFIG
    if config.user and os.geteuid() == 0:
        try:
            become(config.user)
        except PrivilegeError as error:
            problems.append(str(error))
            code = error.exit_code
    problems += Checks.surroundings(config)
    odd += [*Checks.expiring(config), *Checks.exposed(config), *Checks.logs(config)]
    odd += Checks.rereadable(config, path)
    if not problems:
        findings = Checks.real_servers(config)
        problems += findings.problems
        odd += findings.warnings
        for note in findings.notes:
            sys.stdout.write(f"{note}\n")
    say((*problems, *odd))
    if problems:
        return code
    name = f'config file "{path}" is okay' if path else "no greylist.conf found: defaults are used"
    say([name])
    return os.EX_OK


def reload(config: Config) -> int:
    """Have the program that holds pid_file read its file, if this one is good. Returns the exit
    code."""
    code = _code_as_its_user(config)
    if code:
        return code
    if config.pid_file is None:
        say(["--reload needs to know whom to tell: set pid_file"])
        return os.EX_CONFIG
    try:
        os.kill(running_pid(config.pid_file), signal.SIGHUP)
    except (PidFileError, OSError) as error:
        say([str(error)])
        return os.EX_UNAVAILABLE
    return os.EX_OK


def _code_as_its_user(config: Config) -> int:
    """Look at the surroundings as the user that the program runs as: root may read any key."""
    if not config.user or os.geteuid() != 0:
        return _judged(Checks.surroundings(config))
    child = os.fork()  # for there is no way back, and only root may send the signal
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = os.EX_SOFTWARE
    try:
        become(config.user)
        code = _judged(Checks.surroundings(config))
    except PrivilegeError as error:
        say([str(error)])
        code = error.exit_code
    except Exception:  # noqa: BLE001 - it is said, and the code is that of a fault of ours
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(code)


def _judged(problems: list[str]) -> int:
    say(problems)
    return os.EX_CONFIG if problems else os.EX_OK


def say(lines: Iterable[str]) -> None:
    """On standard error."""
    for line in lines:
        sys.stderr.write(f"{line}\n")
