"""
Find greylist.conf and read it
==============================
`find` looks where the first versions of this program looked, `load` reads a file, `loads` a text.
Whatever is wrong with a file, that it cannot be read included, comes as one ConfigError with all
its problems. Without a file there is `Config()`: the caller decides whether defaults will do.

Example Usage
-------------
Read the configuration of this machine, or show what is wrong with it::

    try:
        path = find()
        config = load(path) if path else Config()
    except ConfigError as error:
        sys.exit(f"{error}")

>>> loads("greylist_delay = 5m").greylist_delay
300
"""

import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from Kamaelia.Apps.Grey.Config.Postgrey import rules_from
from Kamaelia.Apps.Grey.Config.Problem import OS_ERROR, ConfigError, Problem, Report
from Kamaelia.Apps.Grey.Config.Reader import configure
from Kamaelia.Apps.Grey.Config.Schema import Config

__all__ = [
    "SEARCH_PATH",
    "Config",
    "ConfigError",
    "Loaded",
    "Problem",
    "find",
    "load",
    "load_with_warnings",
    "loads",
]

MAX_BYTES = 64 << 20

_NAMES = (
    "/usr/local/etc/Kamaelia/greylist.conf",
    "/usr/local/etc/greylist.conf",
    "/etc/Kamaelia/greylist.conf",
    "/etc/greylist.conf",
    "greylist.conf",
)
SEARCH_PATH = tuple(Path(name + suffix) for suffix in ("", ".dist") for name in _NAMES)


def find(paths: Iterable[Path] = SEARCH_PATH) -> Path | None:
    """Give the first file that exists."""
    return next(filter(_may_be_there, paths), None)


def _may_be_there(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except PermissionError:
        # A later, perhaps older file must not be taken in its place. When this one is read, the
        # message names it.
        return True
    except OSError:
        return False


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a file means, and what is odd in it."""

    config: Config
    warnings: tuple[Problem, ...]


def load(path: Path) -> Config:
    """Read a file; raise ConfigError with every problem of it."""
    return load_with_warnings(path).config


def load_with_warnings(path: Path, strict: bool = False) -> Loaded:
    """The same, with what is odd but can be used. strict: what milter-greylist 4.6 itself would
    refuse is a problem."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise ConfigError([Problem(str(path), 0, 0, "", message, exit_code=OS_ERROR)]) from error
    if len(data) > MAX_BYTES:
        message = f"is larger than {MAX_BYTES >> 20} MiB: is this a greylist.conf?"
        raise ConfigError([Problem(str(path), 0, 0, "", message)])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Read on, so that the author sees the other mistakes too; the report makes it fail.
        report = Report(str(path), data.decode("utf-8-sig", "replace"))
        for bad in re.finditer("\N{REPLACEMENT CHARACTER}[^\n]*", report.text):
            report.add_at(bad.start(), "this is not UTF-8", "save the file in the encoding UTF-8")
    else:
        report = Report(str(path), text)
    return _finish(report, strict)


def loads(text: str, name: str = "greylist.conf") -> Config:
    """Read a text; `name` stands for the file in messages."""
    return _finish(Report(name, text)).config


def _finish(report: Report, strict: bool = False) -> Loaded:
    config = configure(report, strict)
    if report.problems:
        raise ConfigError(report.problems)
    files = config.postgrey_whitelist_clients, config.postgrey_whitelist_recipients
    if any(files):
        white = rules_from(*files, report.warnings)
        config = replace(config, access_rules=(*white, *config.access_rules))
    return Loaded(config, tuple(report.warnings))
