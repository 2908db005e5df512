"""
In which country an address is
==============================
Reads databases in MaxMind's format (.mmdb), from whoever makes them: the country is in
`country.iso_code` or in `country_code`. An address that is in none is in "ZZ".

Example Usage
-------------
A Handler of the LookupService; `handlers` in Others.py makes it::

    countries = CountryLookup("/var/lib/geoip/country.mmdb", "")
    countries.start(Country("192.0.2.7"), done)     # done("NZ", 60.0), at once

Rules:

- The file is read into memory as a whole. Mapped, as it usually is, it would end the process as
  soon as somebody wrote over it in its place.
- Whether it has changed is looked at once in ten seconds at most. A new one that is broken or gone
  does not take the place of one that was good.
- A file for IPv6 has IPv4 addresses in it too, as a rule: if one of the two is not given, the other
  is for both.
- What is wrong with a file is logged once, until something else is.
"""

import ipaddress
import logging
import os
import re
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from Kamaelia.Apps.Grey.Core.Access.Questions import Country
from Kamaelia.Apps.Grey.Lookups.Answers import KEEP_NOTHING, Done, clean, failed

log = logging.getLogger(__name__)

UNKNOWN = "ZZ"
KEEP_SECONDS = 60.0  # a look costs nearly nothing, and the file may change
CHECK_SECONDS = 10.0
FILE_BYTES = 268_435_456

_code = re.compile(r"[A-Za-z]{2}").fullmatch


class Reader(Protocol):
    """An open database, as far as we need one."""

    def get(self, address: str) -> object: ...


class CountryLookup:
    """CountryLookup(ipv4, ipv6, clock=time.monotonic) -> answers Country questions, at once, from
    the files at these paths; "": none."""

    def __init__(self, ipv4: str, ipv6: str, clock: Callable[[], float] = time.monotonic) -> None:
        files = {path: _Database(Path(path), clock) for path in (ipv4, ipv6) if path}
        self._ipv4 = files.get(ipv4 or ipv6)
        self._ipv6 = files.get(ipv6 or ipv4)

    def start(self, question: Country, done: Done) -> None:
        try:
            address = ipaddress.ip_address(question.client)
        except ValueError:  # came by a local socket
            done(UNKNOWN, KEEP_SECONDS)
            return
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        database = self._ipv4 if address.version == 4 else self._ipv6
        if database is None:
            done(failed("there is no geoipdb in the configuration"), KEEP_NOTHING)
            return
        try:
            # Without the zone of a link-local address, which nobody has a database of.
            done(database.country_of(str(address).partition("%")[0]), KEEP_SECONDS)
        except _Unusable as error:
            done(failed(error), KEEP_NOTHING)


class _Unusable(Exception):  # noqa: N818 - said by what is wrong
    """The file cannot be used; the text says why."""


class _Database:
    """One file."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._reader: Reader | None = None
        self._stamp: object = None  # of the file that was read, or could not be
        self._check_at = float("-inf")
        self._complaint = ""

    def country_of(self, address: str) -> str:
        """Raises _Unusable."""
        now = self._clock()
        if now >= self._check_at:
            self._check_at = now + CHECK_SECONDS
            self._look_again()
        if self._reader is None:
            raise _Unusable(self._complaint)
        try:
            record = self._reader.get(address)
        except ValueError:  # an address of IPv6, and the file is for IPv4; or it is broken inside
            return UNKNOWN
        except _broken() as error:
            self._complain(f"it is broken: {error}")
            raise _Unusable(self._complaint) from None
        return country_in(record)

    def _look_again(self) -> None:
        try:
            found = self._path.stat()
            stamp = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
            if stamp == self._stamp:
                return
            self._stamp = stamp
            self._reader = _opened(self._path, found)
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                self._stamp = None
            self._complain(error.strerror or str(error))
        except ImportError:
            self._complain("the Python package maxminddb is not installed")
        except _broken() as error:
            self._complain(f"not a database: {error}")
        else:
            self._complaint = ""

    def _complain(self, why: str) -> None:
        complaint = f"countries: {self._path}: {clean(why)[:200]}"
        if complaint != self._complaint:
            self._complaint = complaint
            log.warning(
                "%s%s", complaint, "; the one that was read before stays" if self._reader else ""
            )


def country_in(record: object) -> str:
    """The code in a record of whichever kind of database; "ZZ" if there is none.

    >>> country_in({"country": {"iso_code": "NZ"}}), country_in({"country_code": "nz"})
    ('NZ', 'NZ')
    """
    if not isinstance(record, dict):
        return UNKNOWN
    country = record.get("country")
    code = country.get("iso_code") if isinstance(country, dict) else None
    code = code or record.get("country_code")
    return code.upper() if isinstance(code, str) and _code(code) else UNKNOWN


def _opened(path: Path, found: os.stat_result) -> Reader:
    if not stat.S_ISREG(found.st_mode):  # a pipe would keep us for ever
        raise OSError("not a file")
    if found.st_size > FILE_BYTES:
        raise OSError(f"larger than {FILE_BYTES} bytes")
    import maxminddb  # nobody but the users of a geoip clause has it

    with path.open("rb") as file:
        return maxminddb.open_database(file, maxminddb.MODE_FD)


def _broken() -> tuple[type[Exception], ...]:
    """What a file whose bytes make no sense may raise, here or in the reader."""
    import maxminddb

    # It follows offsets and sizes from the file without much asking.
    return (
        maxminddb.InvalidDatabaseError,
        ArithmeticError,
        LookupError,
        MemoryError,
        RecursionError,
        TypeError,
        ValueError,
    )
