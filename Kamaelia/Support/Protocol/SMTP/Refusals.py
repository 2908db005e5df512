"""
What the server session says no with
====================================
>>> REFUSALS["EXPN"].to_wire()
b'502 5.5.1 command not offered\\r\\n'

Verbs in `REFUSALS` are known, but not offered: an error like any other. Those in `ABUSES` end the
session at once, and so does what can only be the text of a message, or a command that comes before
its turn (`EARLY`). `FAULTS` says what is wrong with a message; those in `SMUGGLING` are attempts to
make two servers disagree about where it ends. None of the texts tells anything about this machine.
"""

from Kamaelia.Support.Protocol.SMTP.Body import Fault
from Kamaelia.Support.Protocol.SMTP.Replies import Reply

NOT_TLS = Reply.of(501, "5.5.2", "TLS was not asked for")
ENDLESS = Reply.of(500, "5.5.2", "command line too long")
NUL = Reply.of(500, "5.5.2", "NUL in a command")
UNKNOWN = Reply.of(500, "5.5.2", "command not recognised")
ABSENT = Reply.of(502, "5.5.1", "command not offered")
STRANGER = Reply.of(550, "5.7.0", "not for strangers")
TOO_MANY_ERRORS = Reply.of(421, "4.7.0", "too many errors")
EARLY = Reply.of(554, "5.5.0", "you speak before your turn")
HEADER = Reply.of(421, "4.7.0", "that is no command but a message")
NO_CHUNK = Reply.of(501, "5.5.4", "BDAT needs a number of octets")
TAKEN_BACK = Reply.of(503, "5.5.1", "the client took the message back")
# What cannot be done now, or not with what was said.
GREETING_FIRST = Reply.of(503, "5.5.1", "EHLO first")
NOT_NOW = Reply.of(503, "5.5.1", "not inside a transaction")
UNDER_TLS = Reply.of(503, "5.5.1", "TLS is already in use")
TLS_FIRST = Reply.of(538, "5.7.11", "this needs STARTTLS first")
KNOWN = Reply.of(503, "5.5.1", "already authenticated")
NO_MECHANISM = Reply.of(504, "5.5.4", "mechanism not offered")
NOT_BASE64 = Reply.of(501, "5.5.2", "not base64")
LONG_RESPONSE = Reply.of(500, "5.5.6", "response too long")
AUTH_FAILURES = Reply.of(421, "4.7.0", "too many failures to authenticate")
NO_PARAMETERS = Reply.of(501, "5.5.4", "this command has no parameters")
RCPT_FIRST = Reply.of(503, "5.5.1", "RCPT first")
NO_VALID_RECIPIENTS = Reply.of(554, "5.5.1", "no valid recipients")
NO_RECIPIENT_NOW = Reply.of(451, "4.7.1", "no recipient can be taken now")
TOO_MANY_RECIPIENTS = Reply.of(452, "4.5.3", "too many recipients")
REFUSALS = {
    **dict.fromkeys(("EXPN", "ETRN", "TURN", "LHLO", "SEND", "SOML", "SAML"), ABSENT),
    "XFORWARD": STRANGER,
}
ABUSES = {
    **dict.fromkeys(
        ("GET", "POST", "CONNECT", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH", "TRACE", "PRI"),
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
