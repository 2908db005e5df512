"""
Reverse-paths and forward-paths of MAIL and RCPT (RFC 5321, section 4.1.2)
==========================================================================
>>> path, rest = parse_path(b'<"a@b"@Example.org> SIZE=100', smtputf8=False, recipient=False)
>>> path.local, path.domain, rest
(b'a@b', b'Example.org', b'SIZE=100')

The rules. The domain is what follows the last unquoted @; an unquoted @ in the local part is a
syntax error. Source routes (`@a,@b:user@d`) are read and forgotten, as appendix C asks. Quoted
strings may hold printable characters only: a quoted CR LF would begin a command of its own at the
server behind us. Non-ASCII text needs SMTPUTF8 and must be valid, printable UTF-8. `<>` is for
senders only, `<postmaster>` without a domain for recipients only.

More lenient than the grammar, because mail that real servers take must not bounce at a proxy: dots
may stand anywhere in an unquoted local part (old mobile carriers gave out such addresses), labels
of a domain may hold "_", and blanks may stand before the "<".
"""

import ipaddress
import re
from dataclasses import dataclass

from Kamaelia.Support.Protocol.SMTP.Mailbox import mailbox_of
from Kamaelia.Support.Protocol.SMTP.Replies import RefusedError, Reply

LOCAL_PART_BYTES = 64  # this and the next two: RFC 5321, section 4.5.3.1
DOMAIN_BYTES = 255
PATH_BYTES = 256  # with < and >

_LABEL = rb"[A-Za-z0-9_\x80-\xff](?:[A-Za-z0-9_\x80-\xff-]{0,61}[A-Za-z0-9_\x80-\xff])?"
_DOMAIN = rb"%b(?:\.%b)*" % (_LABEL, _LABEL)
_DOT_STRING = rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\x80-\xff-]+"
_QUOTED = rb'"(?:[ !#-\[\]-~\x80-\xff]|\\[ -~])*"'
_path = re.compile(
    rb" *<(?P<route>@%b(?:,@%b)*:)?(?P<raw>(?P<local>%b|%b)@(?P<domain>%b|\[[^\[\]\\\s]+\]))>"
    rb"(?P<rest>| .*)" % (_DOMAIN, _DOMAIN, _DOT_STRING, _QUOTED, _DOMAIN),
    re.DOTALL,
).fullmatch
_null = re.compile(rb" *<>(?P<rest>| .*)", re.DOTALL).fullmatch
_postmaster = re.compile(rb" *<(?P<raw>postmaster)>(?P<rest>| .*)", re.DOTALL | re.I).fullmatch
_quoted_pair = re.compile(rb"\\(.)")
# MAIL and RCPT as they mostly come: an address of plain letters, perhaps with parameters. It takes
# nothing that `parse_path` would not take, but for the length of a label or a local part. The first
# group says whether it is MAIL. It never gives back what it took ("++" and "*+"): it stays linear.
simple_command = re.compile(
    rb"(?:((?i:MAIL FROM))|(?i:RCPT TO)):<(([A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,190}+)@"
    rb"([A-Za-z0-9_]++(?:(?:\.|-++)[A-Za-z0-9_]++)*+))>(?: ([ -~]*+))?\r\n"
).fullmatch
LABEL_BYTES = 63  # a domain that has no more cannot hold a label that does
_JOINERS = str.maketrans("", "", "\u200c\u200d")  # invisible, but part of words in some scripts


class AddressError(RefusedError):
    """The path cannot be taken; `reply` says why."""


@dataclass(slots=True, unsafe_hash=True)  # two for every message: frozen ones cost twice as much
class Path:
    """An address as it was written (`raw`), and its parts as they are meant. Nobody changes one.

    `raw` has no <>, no source route and no control characters. `local` is without quotes and
    backslashes, so that a rule about "%" or "@" in it cannot be dodged by quoting.
    """

    raw: bytes
    local: bytes
    domain: bytes

    @property
    def is_null(self) -> bool:
        """Whether this is <>, the sender of bounces."""
        return not self.raw

    @property
    def text(self) -> str:
        """The address for logs and keys, and for rules: one for each mailbox, see Mailbox.py."""
        if self.raw[:1] == b'"':
            return mailbox_of(_text(self.local), _text(self.domain))
        return _text(self.raw)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")


NULL_PATH = Path(b"", b"", b"")


def parse_path(
    argument: bytes, *, smtputf8: bool, recipient: bool, local_bytes: int = LOCAL_PART_BYTES
) -> tuple[Path, bytes]:
    """Read the path that follows "FROM:" or "TO:"; return it and the text of the parameters."""
    found = _path(argument)
    if found is None:
        return _parse_special(argument, recipient=recipient)
    raw, local, domain = found.group("raw", "local", "domain")
    route_bytes = len(found["route"] or b"")
    if len(local) > local_bytes:
        raise _refusal("local part too long", recipient=recipient)
    if len(domain) > DOMAIN_BYTES or len(raw) + route_bytes + len("<>") > PATH_BYTES:
        raise _refusal("address too long", recipient=recipient)
    if not argument.isascii():
        _check_text(argument[: found.end("raw")], smtputf8=smtputf8, recipient=recipient)
    if domain.startswith(b"["):
        _check_literal(domain[1:-1], recipient=recipient)
    if local.startswith(b'"'):
        local = _quoted_pair.sub(rb"\1", local[1:-1])
    return Path(raw, local, domain), found["rest"].strip(b" ")


def _parse_special(argument: bytes, *, recipient: bool) -> tuple[Path, bytes]:
    found = _postmaster(argument) if recipient else _null(argument)
    if found is None:
        raise _refusal("bad address syntax", recipient=recipient)
    rest = found["rest"].strip(b" ")
    return (Path(found["raw"], found["raw"], b"") if recipient else NULL_PATH), rest


def _check_text(text: bytes, *, smtputf8: bool, recipient: bool) -> None:
    if text.isascii():
        return
    if not smtputf8:
        raise AddressError(Reply.of(553, "5.6.7", "non-ASCII address needs SMTPUTF8"))
    try:
        decoded = text.decode("utf-8")
    except UnicodeDecodeError:
        raise _refusal("address is not valid UTF-8", recipient=recipient) from None
    # Line separators and marks that turn the direction of text would forge what a log shows.
    if not decoded.translate(_JOINERS).isprintable():
        raise _refusal("unprintable character in the address", recipient=recipient)


def _check_literal(text: bytes, *, recipient: bool) -> None:
    """Take the two kinds of literal that exist; no other was registered (RFC 5321 4.1.3)."""
    try:
        if text[:5].upper() == b"IPV6:":
            ipaddress.IPv6Address(text[5:].decode("ascii"))
        else:
            ipaddress.IPv4Address(text.decode("ascii"))
    except ValueError:  # a UnicodeDecodeError is one, too
        raise _refusal("bad address literal", recipient=recipient) from None


def _refusal(text: str, *, recipient: bool) -> AddressError:
    # X.1.3: bad destination mailbox address syntax; X.1.7: bad sender's (RFC 3463, section 3.2)
    return AddressError(Reply.of(501, "5.1.3" if recipient else "5.1.7", text))
