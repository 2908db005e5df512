"""
Choices an administrator has about the real mail server
=======================================================
The values are what stands in greylist.conf.

>>> Verify("new").value
'new'
"""

from enum import Enum


class ServerProtocol(Enum):
    """What the real mail server speaks."""

    SMTP = "smtp"
    LMTP = "lmtp"  # RFC 2033; one recipient a message then, since each has a reply of its own


class ServerTLS(Enum):
    """Whether the connection to the real mail server is encrypted."""

    OFF = "off"
    MAY = "may"  # if it offers STARTTLS; whatever its certificate says
    REQUIRE = "require"  # or no mail; whatever its certificate says
    VERIFY = "verify"  # or no mail; and its certificate must be for its name


class ClientInfo(Enum):
    """How the real mail server hears who the client is."""

    NONE = "none"  # it sees our address
    XCLIENT = "xclient"  # Postfix's extension; Exim and Dovecot have it, too
    PROXY1 = "proxy1"  # the PROXY protocol, before anything else on the connection
    PROXY2 = "proxy2"


class Verify(Enum):
    """Which recipients the real mail server is asked about before they are greylisted."""

    ALWAYS = "always"  # every one that would be deferred, each time
    NEW = "new"  # those that would be deferred, unless it has been asked a while ago
    CACHED = "cached"  # none; but what it said in passing is remembered
    NEVER = "never"


class Mode(Enum):
    """Whom greylisting is for."""

    ALL = "all"  # every stranger
    SUSPICIOUS = "suspicious"  # those that do not look like a mail server; the others pass
    OFF = "off"  # nobody; the access rules still hold


class KeyKind(Enum):
    """What stands for a client in the key of a record."""

    SPF = "spf"  # the domain for which SPF passed
    NAME = "name"  # the organisational domain of its forward-confirmed name
    NETWORK = "network"  # its address, cut at network_prefix4 or 6


class LookupFailure(Enum):
    """What a rule means whose look-up failed."""

    IGNORE = "ignore"  # it does not match
    DEFER = "defer"  # nobody can tell: a temporary refusal


class Report(Enum):
    """Which messages get an X-Greylist header."""

    NONE = "none"
    DELAYS = "delays"
    NODELAYS = "nodelays"
    ALL = "all"


class LogTo(Enum):
    """Where the log of the program goes."""

    STDERR = "stderr"
    SYSLOG = "syslog"
    JOURNAL = "journal"
    FILE = "file"  # greylist_debuglog


class LogFormat(Enum):
    """What a line of the log looks like."""

    TEXT = "text"
    JSON = "json"
