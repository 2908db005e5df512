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
