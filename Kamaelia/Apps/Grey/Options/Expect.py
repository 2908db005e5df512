"""
--expect: somebody waits for a mail
===================================
Writes a line into ``expect_file``: for a while, or for one mail, whoever writes to this recipient
is let in at once. The running program looks at that file and needs no reload.

Example Usage
-------------
::

    kamaelia-grey --expect anna@example.org             for 15 minutes
    kamaelia-grey --expect anna@example.org --for 2h
    kamaelia-grey --expect @example.org --once          the next mail to that domain, within a day

Root does it as the user of the program, whose file it is. How it is written: ExpectFile.py.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from Kamaelia.Apps.Grey.Config.Schema import Config
from Kamaelia.Apps.Grey.ExpectFile import add
from Kamaelia.Apps.Grey.Options.Checking import say
from Kamaelia.Apps.Grey.Privileges import PrivilegeError, become


def expect(
    config: Config,
    recipient: str,
    seconds: int,
    *,
    once: bool = False,
    clock: Callable[[], float] = time.time,
) -> int:
    """Write it down; returns the exit code."""
    if config.expect_file is None:
        say(["--expect needs a file for it: set expect_file"])
        return os.EX_CONFIG
    try:
        as_its_user(config)
        add(config.expect_file, recipient, seconds, int(clock()), once=once)
    except PrivilegeError as error:
        say([str(error)])
        return error.exit_code
    except OSError as error:
        say([f"expect_file = {config.expect_file}: {error.strerror or error}"])
        return os.EX_OSERR
    return os.EX_OK


def as_its_user(config: Config) -> None:
    """What root writes for the program belongs to the user that this one runs as. Raises
    PrivilegeError."""
    if config.user and os.geteuid() == 0:
        become(config.user)
