"""
--import and --big-senders
==========================
What other modules do, with the configuration's files and as the configuration's user: the records
of another greylister are put into our database (Importers), and the networks of ``big_senders`` are
shown with their age (Lookups.BigSenders).

Example Usage
-------------
::

    kamaelia-grey --import postgrey /var/lib/postgrey/postgrey.db
    kamaelia-grey --big-senders

The program must not run during an import: what it has in memory it takes for all that there is.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from Kamaelia.Apps.Grey.Config.Schema import Config
from Kamaelia.Apps.Grey.Importers import Importing
from Kamaelia.Apps.Grey.Importers.Found import ImportFailedError
from Kamaelia.Apps.Grey.Lookups import BigSendersFile
from Kamaelia.Apps.Grey.Options.Checking import say
from Kamaelia.Apps.Grey.Options.Expect import as_its_user
from Kamaelia.Apps.Grey.PidFile import PidFileError, running_pid
from Kamaelia.Apps.Grey.Privileges import PrivilegeError
from Kamaelia.Apps.Grey.Settings import policy_of
from Kamaelia.Apps.Grey.Store.Interface import StoreError
from Kamaelia.Apps.Grey.Store.Sqlite import SqliteStore

PROBLEMS_SHOWN = 20


def import_records(
    config: Config, kind: str, path: str, clock: Callable[[], float] = time.time
) -> int:
    """Take over the records in that file; returns the exit code."""
    who = _runs(config)
    if who:
        say([f"process {who} runs, and would not see what is taken over: stop it first"])
        return os.EX_UNAVAILABLE
    try:
        as_its_user(config)
        store = SqliteStore(config.database)
        try:
            done = Importing.run(kind, Path(path), store, int(clock()), policy_of(config))
        finally:
            store.close()
    except PrivilegeError as error:
        say([str(error)])
        return error.exit_code
    except (OSError, StoreError, ImportFailedError) as error:
        say([f"--import {kind} {path}: {error}"])
        return os.EX_OSERR
    problems = list(done.problems)
    say(str(problem) for problem in problems[:PROBLEMS_SHOWN])
    if len(problems) > PROBLEMS_SHOWN:
        say([f"... and {len(problems) - PROBLEMS_SHOWN} more"])
    sys.stdout.write(f"read {done.read}, taken over {done.merged}, left out {done.skipped}\n")
    return os.EX_OK if done.merged or not problems else os.EX_DATAERR


def _runs(config: Config) -> int:
    """The number of the process that has the pid file; 0: none."""
    if config.pid_file is None:
        return 0
    try:
        return running_pid(config.pid_file)
    except PidFileError:
        return 0


def show_big_senders(config: Config, clock: Callable[[], float] = time.time) -> int:
    """Show the networks, their domains and their age; returns the exit code."""
    if config.big_senders_file is None:
        say(["--big-senders shows what is kept in a file: set big_senders_file"])
        return os.EX_CONFIG
    lines = BigSendersFile.report(config.big_senders_file, clock())
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return os.EX_OK
