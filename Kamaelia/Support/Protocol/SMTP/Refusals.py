"""
What the server session says no with
====================================
>>> REFUSALS["STARTTLS"].to_wire()
b'502 5.5.1 command not offered\\r\\n'

Verbs in `REFUSALS` are known, but not offered: an error like any other. Those in `ABUSES` end the
session at once. `FAULTS` says what is wrong with a message; those in `SMUGGLING` are attempts to
make two servers disagree about where it ends. None of the texts tells anything about this machine.
"""

from Kamaelia.Support.Protocol.SMTP.Body import Fault
from Kamaelia.Support.Protocol.SMTP.Replies import Reply

NOT_TLS = Reply.of(501, "5.5.2", "TLS was not asked for")
ENDLESS = Reply.of(500, "5.5.2", "command line too long")
NUL = Reply.of(500, "5.5.2", "NUL in a command")
UNKNOWN = Reply.of(500, "5.5.2", "command not recognised")
_ABSENT = Reply.of(502, "5.5.1", "command not offered")
_STRANGER = Reply.of(550, "5.7.0", "not for strangers")
REFUSALS = {
    **dict.fromkeys(("EXPN", "STARTTLS", "AUTH", "ETRN", "TURN", "LHLO"), _ABSENT),
    **dict.fromkeys(("SEND", "SOML", "SAML"), _ABSENT),
    **dict.fromkeys(("XCLIENT", "XFORWARD"), _STRANGER),
}
ABUSES = {
    # Behind BDAT comes raw text of a length that we did not agree to: it must not become commands.
    "BDAT": _ABSENT,
    **dict.fromkeys(
        ("GET", "POST", "CONNECT", "PUT", "HEAD", "OPTIONS"),
        Reply.of(421, "4.7.0", "this is a mail server"),
    ),
}
FAULTS = {
    Fault.BARE_NEWLINE: Reply.of(550, "5.6.0", "message contains a bare CR or LF"),
    Fault.NUL: Reply.of(550, "5.6.0", "message contains a NUL"),
    Fault.LONG_LINE: Reply.of(500, "5.5.2", "line too long"),
    Fault.TOO_LARGE: Reply.of(552, "5.3.4", "message too large"),
}
SMUGGLING = (Fault.BARE_NEWLINE, Fault.NUL)
