"""
What greylist.conf defines beside its rules
===========================================
Lists of names that rules use (black lists, rates, macros, look-ups) and the switches that say how a
rule is to be read. Made by Config.Policy, read by the rules and by Lookups.

>>> Definitions().flags
frozenset()
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from Kamaelia.Apps.Grey.Core.Networks import Network


class Expression(Protocol):
    """A regular expression, made ready by Config (linear in the text, whoever wrote it)."""

    @property
    def source(self) -> str:
        """As it stands in the file, without the slashes."""

    def search(self, text: str) -> tuple[str, ...] | None:
        """None: it is nowhere in the text; else the groups (may be none of them)."""


@dataclass(frozen=True, slots=True)
class DnsrblZone:
    """answers: which addresses in 127/8 mean "listed"."""

    zone: str
    answers: Network


@dataclass(frozen=True, slots=True)
class RateLimit:
    """counts: "rcpt", "session" or "data"; key: a template, what counts together."""

    counts: str
    limit: int
    seconds: int
    key: str = "%I"


@dataclass(frozen=True, slots=True)
class MacroTest:
    """value: equal to it; expression: matches; neither: the macro is not set."""

    macro: str
    value: str | None = None
    expression: Expression | None = None


@dataclass(frozen=True, slots=True)
class UrlCheckDef:
    url: str
    seconds: int
    postmsg: bool = False
    getprop: bool = False
    clear: bool = False
    noencode: bool = False


@dataclass(frozen=True, slots=True)
class LdapCheckDef:
    url: str
    clear: bool = False
    domatch: bool = False
    noescape: bool = False


@dataclass(frozen=True, slots=True)
class LdapConf:
    uri: str = ""
    seconds: int = 5
    bind_dn: str = ""
    bind_password: str = ""


@dataclass(frozen=True, slots=True)
class Definitions:
    """flags: of the statements without a value, those that are on ("domainexact", "unbracket",
    "fixldapcheck", "multiracl"). stat: (target, format) or None."""

    dnsrbls: Mapping[str, DnsrblZone] = field(default_factory=dict)
    ratelimits: Mapping[str, RateLimit] = field(default_factory=dict)
    macros: Mapping[str, MacroTest] = field(default_factory=dict)
    urlchecks: Mapping[str, UrlCheckDef] = field(default_factory=dict)
    ldapchecks: Mapping[str, LdapCheckDef] = field(default_factory=dict)
    ldapconf: LdapConf = field(default_factory=LdapConf)
    geoipdb: str = ""
    geoipv6db: str = ""
    p0fsock: str = ""
    spamdsock: tuple[str, str] | None = None  # ("inet" or "unix", address)
    localaddr: str = ""
    maxpeek: int | None = None  # None: the file is silent
    tarpit: int | None = None  # seconds, of the statement
    tarpit_scope: str = "session"
    stat: tuple[str, str] | None = None
    flags: frozenset[str] = frozenset()
