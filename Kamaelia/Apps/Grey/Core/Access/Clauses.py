"""
All kinds of clauses
====================
Whoever makes rules finds them here; what they do is told where they are written. All take `text`
(as it stands in the file) and `negated` by keyword.

>>> rule_is_for = Rcpt(["postmaster@example.org"], text="rcpt postmaster@example.org")
>>> literal_key(rule_is_for).of, literal_key(Auth(["joe"]))
('rcpt', None)
"""

from Kamaelia.Apps.Grey.Core.Access.ClausesOfContent import Body, DkimIs, Header, MsgSize, SpamdIs
from Kamaelia.Apps.Grey.Core.Access.ClausesOfLookups import (
    CountryIs,
    DnsrblIn,
    MxNear,
    P0fIs,
    SpfIs,
)
from Kamaelia.Apps.Grey.Core.Access.ClausesOfMail import (
    From,
    PropertyGlob,
    PropertyIs,
    RawFrom,
    Rcpt,
    RcptCount,
)
from Kamaelia.Apps.Grey.Core.Access.ClausesOfServices import LdapSays, UrlSays
from Kamaelia.Apps.Grey.Core.Access.ClausesOfSession import (
    Addr,
    Always,
    Auth,
    Domain,
    Helo,
    MacroIs,
    TimeIs,
    Tls,
)
from Kamaelia.Apps.Grey.Core.Access.ClausesThatAct import Log, RateOver, SetProperty, Tarpit
from Kamaelia.Apps.Grey.Core.Access.RuleIndex import literal_key

__all__ = [
    "Addr",
    "Always",
    "Auth",
    "Body",
    "CountryIs",
    "DkimIs",
    "DnsrblIn",
    "Domain",
    "From",
    "Header",
    "Helo",
    "LdapSays",
    "Log",
    "MacroIs",
    "MsgSize",
    "MxNear",
    "P0fIs",
    "PropertyGlob",
    "PropertyIs",
    "RateOver",
    "RawFrom",
    "Rcpt",
    "RcptCount",
    "SetProperty",
    "SpamdIs",
    "SpfIs",
    "Tarpit",
    "TimeIs",
    "Tls",
    "UrlSays",
    "literal_key",
]
