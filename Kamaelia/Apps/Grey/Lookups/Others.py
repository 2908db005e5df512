"""
All look-ups but those of the DNS
=================================
Who answers for countries, p0f, HTTP servers, directories, SpamAssassin and signatures, for a
LookupService; and what they lack, for those who check a configuration.

Example Usage
-------------
When the service is made, and again when the configuration has changed::

    contents = Contents()
    LookupService(definitions, settings, handlers(definitions, settings, contents))

What a rule may ask without the file saying whom, gets a failure with that text:

>>> missing(Definitions(), ["p0f", "addr"])
['p0f: there is no p0fsock statement']

The libraries that some of these need are imported with the first question.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from Kamaelia.Apps.Grey.Core.Access.Definitions import Definitions
from Kamaelia.Apps.Grey.Core.Access.Questions import (
    Country,
    Dkim,
    LdapCheck,
    P0f,
    Spamd,
    UrlCheck,
)
from Kamaelia.Apps.Grey.Lookups.Answers import KEEP_NOTHING, Done, LookupSettings, failed
from Kamaelia.Apps.Grey.Lookups.Contents import Contents
from Kamaelia.Apps.Grey.Lookups.Country import CountryLookup
from Kamaelia.Apps.Grey.Lookups.Dkim import DkimLookup
from Kamaelia.Apps.Grey.Lookups.DnsTexts import DnsTexts
from Kamaelia.Apps.Grey.Lookups.LdapChecks import LdapLookup, seconds_of
from Kamaelia.Apps.Grey.Lookups.LookupService import Handler, LookupService, ThreadedHandler
from Kamaelia.Apps.Grey.Lookups.P0f import P0fLookup
from Kamaelia.Apps.Grey.Lookups.Spamd import SpamdLookup
from Kamaelia.Apps.Grey.Lookups.UrlChecks import UrlChecks

THREADS = 4  # for each kind

# Of a kind of clause: the module it needs, and the package that has it.
_MODULES = {
    "geoip": ("maxminddb", "maxminddb"),
    "ldapcheck": ("ldap3", "ldap3"),
    "dkim": ("dkim", "dkimpy"),
}
_STATEMENTS: dict[str, tuple[str, Callable[[Definitions], object]]] = {
    "geoip": ("geoipdb", lambda definitions: definitions.geoipdb or definitions.geoipv6db),
    "p0f": ("p0fsock", lambda definitions: definitions.p0fsock),
    "spamd": ("spamdsock", lambda definitions: definitions.spamdsock),
}


def handlers(
    definitions: Definitions, settings: LookupSettings, contents: Contents
) -> dict[type, Handler]:
    """Who answers for which kind of question."""
    seconds = float(settings.lookup_timeout)
    directory = LdapLookup(definitions)
    return {
        Country: CountryLookup(definitions.geoipdb, definitions.geoipv6db),
        P0f: (
            Blocking(P0fLookup(definitions.p0fsock, seconds), seconds)
            if definitions.p0fsock
            else Unable("p0f")
        ),
        UrlCheck: UrlChecks(definitions.urlchecks, contents),
        LdapCheck: Blocking(directory, seconds_of(definitions.ldapconf), ended=directory.close),
        Spamd: _spamd(definitions, contents, seconds),
        Dkim: _Signatures(contents, seconds),
    }


def missing(definitions: Definitions, kinds: Collection[str]) -> list[str]:
    """What clauses of these kinds need and do not have, a text for each: statements of the file
    and Python packages."""
    texts = []
    for kind in sorted(set(kinds)):
        statement, given = _STATEMENTS.get(kind, ("", lambda _: True))
        if not given(definitions):
            texts.append(f"{kind}: there is no {statement} statement")
        module, package = _MODULES.get(kind, ("sys", ""))
        if find_spec(module) is None:
            texts.append(
                f"{kind}: the Python package {package} is not installed (pip install {package})"
            )
    return texts


def _spamd(definitions: Definitions, contents: Contents, seconds: float) -> Handler:
    if definitions.spamdsock is None:
        return Unable("spamd")
    try:
        return Blocking(SpamdLookup(definitions.spamdsock, contents, seconds), seconds)
    except ValueError as error:
        return Unable("spamd", str(error))


class Unable:
    """Unable(kind, why="") -> the answer to all of them is a failure."""

    def __init__(self, kind: str, why: str = "") -> None:
        self._failure = failed(why or f"{kind}: there is no {_STATEMENTS[kind][0]} statement")

    def start(self, _question: object, done: Done) -> None:
        done(self._failure, KEEP_NOTHING)


@dataclass(frozen=True, slots=True)
class _Due:
    """A question, and the time from which on nobody waits for its answer."""

    question: object
    until: float


class Blocking(ThreadedHandler):
    """Blocking(look_up, seconds, ended=None, clock=time.monotonic) -> a Handler for a look-up that
    takes so long at most, and blocks.

    When its peer is dead, questions wait for those in front of them, each for all of its time; what
    has waited for as long is not asked any more. ended: called when it is closed."""

    def __init__(
        self,
        look_up: Callable[[Any], tuple[object, float]],
        seconds: float,
        ended: Callable[[], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(self._answer, THREADS)
        self._look_up = look_up
        self._seconds = seconds
        self._ended = ended
        self._clock = clock

    def seconds(self, _question: object) -> float:
        """How long that one may take."""
        return self._seconds

    def start(self, question: object, done: Done) -> None:
        super().start(_Due(question, self._clock() + self._seconds), done)

    def close(self) -> None:
        super().close()
        if self._ended is not None:
            self._ended()

    def _answer(self, due: _Due) -> tuple[object, float]:
        """In a thread."""
        if self._clock() >= due.until:
            return failed("no answer in time"), KEEP_NOTHING
        return self._look_up(due.question)


class _Signatures(Blocking):
    """The one that asks the service's own resolver."""

    def __init__(self, contents: Contents, seconds: float) -> None:
        self._texts = DnsTexts()
        super().__init__(DkimLookup(contents, self._texts, seconds), seconds)

    def open(self, service: LookupService) -> None:
        self._texts.open(service)
        super().open(service)

    def close(self) -> None:
        self._texts.close()
        super().close()
