"""
Command lines as a client writes them
=====================================
The one place where an address, a parameter or a password becomes a line to a server. Whatever would
end the line too early, and so begin another command, raises LocalProtocolError: by then it should
have been refused (a parser of ours has read it), so it is our own mistake.

>>> rcpt_line(Path(b"c@d", b"c", b"d"), {"NOTIFY": b"NEVER"})
b'RCPT TO:<c@d> NOTIFY=NEVER\\r\\n'
>>> auth_start(b"PLAIN", b"")
b'AUTH PLAIN =\\r\\n'

The texts of the errors never repeat what was wrong, since it may be secret.
"""

import re

from Kamaelia.Exceptions import LocalProtocolError
from Kamaelia.Support.Protocol.SMTP.Address import Path
from Kamaelia.Support.Protocol.SMTP.Events import Parameters

AUTH_BYTES = 12_288  # of a line with its end (RFC 4954, section 4)
_harmful = re.compile(rb"[\x00-\x1f\x7f]").search
_is_parameter = re.compile(rb"[A-Za-z0-9-]+(?:=[!-<>-~]+)?").fullmatch
_is_mechanism = re.compile(rb"[A-Za-z0-9_-]{1,20}").fullmatch
_is_response = re.compile(rb"[!-~]*").fullmatch  # base64 is for the server to judge


def mail_line(path: Path, parameters: Parameters) -> bytes:
    """Return MAIL with its end; values of parameters are xtext or the like, never quoted here."""
    if _harmful(path.raw):
        raise LocalProtocolError("address would break the command line")
    return b"MAIL FROM:<%b>%b\r\n" % (path.raw, _words(parameters) if parameters else b"")


def rcpt_line(path: Path, parameters: Parameters) -> bytes:
    """Return RCPT with its end."""
    if _harmful(path.raw):
        raise LocalProtocolError("address would break the command line")
    return b"RCPT TO:<%b>%b\r\n" % (path.raw, _words(parameters) if parameters else b"")


def hello_name(name: str) -> bytes:
    """Check and return a name for EHLO."""
    found = name.encode("ascii")
    if not found or _harmful(found):
        raise LocalProtocolError("EHLO needs a name without control characters")
    return found


def auth_start(mechanism: bytes, initial: bytes | None) -> bytes:
    """Return AUTH with its end; an empty initial response is written "=" (RFC 4954, section 4)."""
    if not _is_mechanism(mechanism):
        raise LocalProtocolError("AUTH needs the name of a mechanism")
    if initial is None:
        return b"AUTH %b\r\n" % mechanism
    return b"AUTH %b %b" % (mechanism, auth_response(initial or b"=", len(mechanism) + 6))


def auth_response(text: bytes, used: int = 0) -> bytes:
    """Return a response to 334 with its end. used: bytes of the line that stand before it."""
    if not _is_response(text) or used + len(text) + len(b"\r\n") > AUTH_BYTES:
        raise LocalProtocolError("a response of AUTH would break its line, or is too long")
    return text + b"\r\n"


def _words(parameters: Parameters) -> bytes:
    line = b""
    for keyword, value in parameters.items():
        word = keyword.encode("ascii") + (b"" if value is None else b"=" + value)
        if not _is_parameter(word):
            raise LocalProtocolError("parameter would break the command line")
        line += b" " + word
    return line
