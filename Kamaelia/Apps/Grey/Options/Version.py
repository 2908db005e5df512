"""
Which program this is
=====================
What ``kamaelia-grey -r`` says: the version, and what it stands on here. A report of a fault begins
with it.

>>> lines = version_lines()
>>> lines[0].startswith("kamaelia-grey-")
True
"""

from __future__ import annotations

import platform
import sqlite3
import ssl
from importlib import metadata

# What may be missing, or be of another version on another machine.
_PACKAGES = (
    *("pyparsing", "google-re2", "dnspython", "h11", "spftrace", "publicsuffixlist"),
    *("dkimpy", "maxminddb", "ldap3"),
)


def version() -> str:
    """Of the distribution; "0" where it runs from a folder that was never installed."""
    return _version_of("kamaelia-grey") or "0"


def version_lines() -> list[str]:
    """What is here, one line each."""
    packages = ((name, _version_of(name)) for name in _PACKAGES)
    return [
        f"kamaelia-grey-{version()}",
        f"Python {platform.python_version()} on {platform.system()} {platform.machine()}",
        f"SQLite {sqlite3.sqlite_version}, {ssl.OPENSSL_VERSION}",
        *(f"{name} {number or 'is not installed'}" for name, number in packages),
    ]


def _version_of(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
