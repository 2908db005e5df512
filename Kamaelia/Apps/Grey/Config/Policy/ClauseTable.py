"""
What a rule may say
===================
One row for each kind of clause, and one for each word behind the clauses. The grammar, the checks,
the lists, the manual and the completion of a shell are made of these rows.

Example Usage
-------------
>>> CLAUSES["addr"].meaning
"the client's address is in this network"
>>> [row.keyword for row in CLAUSES.values() if row.once]
['addr', 'domain', 'from', 'rawfrom', 'helo', 'mx', 'tarpit']
>>> sorted(row.keyword for row in VALUES.values() if row.since_3_0)
['autowhite', 'code', 'delay', 'ecode', 'flushaddr', 'msg']
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from Kamaelia.Apps.Grey.Core.Access.Rule import Stage


class Shape(Enum):
    """What stands behind a word; the values are for people."""

    NOTHING = ""
    NETWORK = "ADDRESS[/LENGTH]"
    DOMAIN = "DOMAIN or /REGEX/"
    MAIL = "USER@DOMAIN or /REGEX/"
    TEXT = '"TEXT" or /REGEX/'
    CONTENT = '"TEXT", /REGEX/ or $PROPERTY'
    NAME = '"NAME"'
    STRING = '"TEXT"'
    COMPARE = "OPERATOR NUMBER or $PROPERTY"
    MAY_COMPARE = "[OPERATOR NUMBER or $PROPERTY]"
    SPF = "[pass, fail, softfail, neutral, unknown, error, none or self]"
    DKIM = "[pass, fail, softfail, neutral, unknown, error or none]"
    PREFIX = "/LENGTH"
    CRONTAB = '"MINUTE HOUR DAY MONTH WEEKDAY"'
    DURATION = "TIME"
    ASSIGN = '$PROPERTY = "TEXT", NUMBER or $PROPERTY'
    PROPERTY = '"TEXT", /REGEX/ or OPERATOR NUMBER'
    GLOB = '$PROPERTY "TEXT"'
    NUMBER = "NUMBER"
    HEADER = '"TEXT"[, NUMBER]'
    SCOPE = "session or command"


@dataclass(frozen=True, slots=True)
class ClauseRow:
    """once: of this kind a rule has one at the most. listed: there are lists of it. text: what an
    item of such a list is. missing: why it cannot be offered."""

    keyword: str
    shape: Shape
    meaning: str
    stages: frozenset[Stage] = frozenset(Stage)
    once: bool = False
    listed: bool = False
    since_3_0: bool = False
    missing: str = ""


@dataclass(frozen=True, slots=True)
class ValueRow:
    """One of the words behind the clauses."""

    keyword: str
    shape: Shape
    meaning: str
    since_3_0: bool = False


_RCPT = frozenset({Stage.RCPT})
_DATA = frozenset({Stage.DATA})
NO_NSUPDATE = "names in the DNS are not updated from here"


def _clause(keyword: str, shape: Shape, meaning: str, flags: str = "") -> ClauseRow:
    words = flags.split()
    stages = _RCPT if "rcpt" in words else _DATA if "data" in words else frozenset(Stage)
    return ClauseRow(
        keyword,
        shape,
        meaning,
        stages,
        once="once" in words,
        listed="listed" in words,
        since_3_0="3.0" in words,
        missing=NO_NSUPDATE if keyword == "nsupdate" else "",
    )


_CLAUSES = (
    _clause("addr", Shape.NETWORK, "the client's address is in this network", "once listed 3.0"),
    _clause("domain", Shape.DOMAIN, "the client's host name ends so", "once listed 3.0"),
    _clause("from", Shape.MAIL, "this is the sender", "once listed 3.0"),
    _clause("rawfrom", Shape.MAIL, "the same, before the address was cleaned", "once listed"),
    _clause("rcpt", Shape.MAIL, "this is the recipient, at DATA one of them", "listed 3.0"),
    _clause("rcptcount", Shape.COMPARE, "so many recipients have been accepted"),
    _clause("helo", Shape.TEXT, "the client has called itself so", "rcpt once listed"),
    _clause("auth", Shape.TEXT, "the client has logged in as this user", "listed"),
    _clause("tls", Shape.TEXT, "the client has shown a certificate for this name", "listed"),
    _clause("spf", Shape.SPF, "what the sender's domain says of the client"),
    _clause("dkim", Shape.DKIM, "whether the signatures of the message hold", "data"),
    _clause("dnsrbl", Shape.NAME, "the client is in this DNS list", "listed 3.0"),
    _clause("mx", Shape.PREFIX, "a mail server of the sender's domain is that near", "once"),
    _clause("sm_macro", Shape.NAME, "this test of a macro of the MTA holds", "listed 3.0"),
    _clause("ratelimit", Shape.NAME, "more has come than this rate allows"),
    _clause("time", Shape.CRONTAB, "it is that time, in the words of crontab", "listed"),
    _clause("geoip", Shape.NAME, "the client is in this country", "listed"),
    _clause("p0f", Shape.TEXT, "p0f takes the client for this system", "listed"),
    _clause("urlcheck", Shape.NAME, "an HTTP server says so", "listed"),
    _clause("ldapcheck", Shape.NAME, "a directory says so"),
    _clause("nsupdate", Shape.NAME, "change a name in the DNS"),
    _clause("log", Shape.STRING, "write this to the log; always true"),
    _clause("tarpit", Shape.DURATION, "keep the reply back so long; always true", "once"),
    _clause("set", Shape.ASSIGN, "set a property of the session; always true"),
    _clause("rset", Shape.ASSIGN, "set a property until the next recipient; always true"),
    _clause("body", Shape.CONTENT, "this is in the text of the message", "data listed"),
    _clause("header", Shape.CONTENT, "this is in a line of the header", "data listed"),
    _clause("msgsize", Shape.COMPARE, "the message has so many bytes", "data"),
    _clause("spamd", Shape.MAY_COMPARE, "SpamAssassin takes it for spam, or scores so", "data"),
    _clause("list", Shape.NAME, "one of the items of this list holds", "3.0"),
)
CLAUSES: Mapping[str, ClauseRow] = MappingProxyType({row.keyword: row for row in _CLAUSES})
# A clause that begins with $property, and with * before it.
PROPERTY_TEST = _clause("$property", Shape.PROPERTY, "this property has such a value")
GLOB_TEST = _clause("*", Shape.GLOB, "the value of this property is a pattern that fits")

_VALUES = (
    ValueRow("delay", Shape.DURATION, "how long a retry has to wait", since_3_0=True),
    ValueRow("autowhite", Shape.DURATION, "how long who got in stays known", since_3_0=True),
    ValueRow("flushaddr", Shape.NOTHING, "forget all about the client", since_3_0=True),
    ValueRow("nolog", Shape.NOTHING, "do not log it"),
    ValueRow("code", Shape.STRING, "reply code", since_3_0=True),
    ValueRow("ecode", Shape.STRING, "enhanced code of the reply", since_3_0=True),
    ValueRow("msg", Shape.STRING, "text of the reply", since_3_0=True),
    ValueRow("report", Shape.STRING, "text of X-Greylist"),
    ValueRow("addheader", Shape.HEADER, "a header line to add, and its place"),
    ValueRow("addfooter", Shape.STRING, "text to add behind the message"),
    ValueRow("subjtag", Shape.STRING, "text to put before the subject"),
    ValueRow("maxpeek", Shape.NUMBER, "how much of the message the DATA rules see"),
    ValueRow("tarpit_scope", Shape.SCOPE, "what a tarpit keeps back"),
)
VALUES: Mapping[str, ValueRow] = MappingProxyType({row.keyword: row for row in _VALUES})
# Those that may stand in a rule several times.
REPEATED_VALUES = frozenset({"maxpeek", "addheader"})
LIST_KINDS = tuple(row.keyword for row in _CLAUSES if row.listed)

# Words behind which milter-greylist takes a colon.
COLON = frozenset(
    [
        "addr",
        "from",
        "rawfrom",
        "rcpt",
        "peer",
        "greylist",
        "autowhite",
        "pidfile",
        "dumpfile",
        "subnetmatch",
        "subnetmatch6",
        "socket",
        "user",
        "report",
        "dumpfreq",
        "timeout",
        "domain",
        "syncaddr",
        "syncsrcaddr",
        "syncmaxqlen",
        "whitelist",
        "blacklist",
    ]
)
