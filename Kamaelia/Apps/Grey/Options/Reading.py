"""
The file and the command line together
======================================
`read` gives the configuration that is in force: what the file says, with the options of the command
line over it. It is what all tasks of the program begin with, and what a reload does.

Example Usage
-------------
::

    try:
        config, warnings = read(path, command.overrides)
    except ConfigError as error:
        code = code_of(error)

>>> read(None, Overrides((("quiet", True),)))[0].quiet
True
"""

from __future__ import annotations

import os
from pathlib import Path

from Kamaelia.Apps.Grey.Config.Loader import Config, ConfigError, load_with_warnings
from Kamaelia.Apps.Grey.Options.Overrides import Overrides


def read(
    path: Path | None, overrides: Overrides, *, strict: bool = False
) -> tuple[Config, list[str]]:
    """The configuration (path None: the defaults), and what is odd in the file. strict: what
    milter-greylist itself would refuse is wrong. Raises ConfigError."""
    if path is None:
        return overrides.apply(Config()), []
    loaded = load_with_warnings(path, strict)
    return overrides.apply(loaded.config), [str(warning) for warning in loaded.warnings]


def code_of(error: ConfigError) -> int:
    """The exit code: 65 for what is wrong in the file, 71 for a file that cannot be read or an
    expression that is none."""
    return os.EX_OSERR if isinstance(error.__cause__, OSError) else error.exit_code
