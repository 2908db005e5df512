"""
Command lines: the verb, and the parameters of MAIL and RCPT
============================================================
>>> parse_command(b"mail FROM:<a@example.org> SIZE=100")
Command(verb='MAIL', argument=b'FROM:<a@example.org> SIZE=100')
>>> offered = Capabilities(size_offered=True, eightbitmime=True)
>>> parse_parameters(b"SIZE=100 body=8BITMIME", for_verb="MAIL", capabilities=offered)
{'SIZE': b'100', 'BODY': b'8BITMIME'}

Parameters are passed on to the server behind us, so they are checked as strictly as if we meant to
act on them: each keyword has its syntax (RFC 1870, 2852, 3461, 4954, 6152, 6531, 6710, 8689), xtext
must decode to printable text (a hidden CR LF would inject a command, section 4 of RFC 3461),
nothing may come twice (501), and what was not offered is refused with 555 (RFC 5321, section
4.1.1.11).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from Kamaelia.Support.Protocol.SMTP.Address import AddressError, parse_path
from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities
from Kamaelia.Support.Protocol.SMTP.Replies import RefusedError, Reply


class CommandError(RefusedError):
    """The command line cannot be taken; `reply` says why."""


@dataclass(slots=True)  # one for most commands; nobody changes it
class Command:
    """A verb in upper case and the rest of the line, without blanks around it."""

    verb: str
    argument: bytes


def parse_command(line: bytes) -> Command:
    """Split a command line (without its end); any verb of ASCII letters will do."""
    verb, _, argument = line.partition(b" ")
    if not verb.isalpha():  # of bytes: ASCII letters only
        raise CommandError(Reply.of(500, "5.5.2", "command not understood"))
    return Command(verb.decode("ascii").upper(), argument.strip(b" \t"))


_ENVID_BYTES = 100  # RFC 3461, section 4.4
_ORCPT_BYTES = 500  # RFC 3461, section 4.2
_parameter = re.compile(rb"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~]+))?").fullmatch
_size = re.compile(rb"[0-9]{1,20}").fullmatch
_body = re.compile(rb"7BIT|8BITMIME", re.I).fullmatch
_ret = re.compile(rb"FULL|HDRS", re.I).fullmatch
_notify = re.compile(
    rb"NEVER|(?:SUCCESS|FAILURE|DELAY)(?:,(?:SUCCESS|FAILURE|DELAY))*", re.I
).fullmatch
_address_type = re.compile(rb"[A-Za-z0-9!#$%&'*+/?^_`{|}~-]+").fullmatch
_xtext = re.compile(rb"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*").fullmatch
_hidden_control = re.compile(rb"\+(?:[01][0-9A-F]|7F)").search
_hexchar = re.compile(rb"\+(..)")
# RFC 2852, section 4: R (return) needs a time that is yet to come, N (notify) does not.
_by = re.compile(rb"\+?0*[1-9][0-9]*;RT?|[+-]?[0-9]+;NT?", re.I).fullmatch
_BY_BYTES = len(b"+123456789;RT")
_priority = re.compile(rb"-?[1-9]|0").fullmatch  # RFC 6710, section 8
_AUTH_BYTES = 500  # RFC 4954, section 5
_NULL_AUTH = b"<>"
# What most clients say, and nothing else.
_common = re.compile(rb"SIZE=([0-9]{1,20}+)(?: BODY=(8BITMIME|7BIT))?+").fullmatch


def _is_xtext(value: bytes) -> bool:
    return _xtext(value) is not None and _hidden_control(value) is None


def _is_envid(value: bytes) -> bool:
    return 0 < len(value) <= _ENVID_BYTES and _is_xtext(value)


def _is_orcpt(value: bytes) -> bool:
    kind, semicolon, address = value.partition(b";")
    fits = len(value) <= _ORCPT_BYTES and bool(semicolon)
    return fits and _address_type(kind) is not None and _is_xtext(address)


def _is_by(value: bytes) -> bool:
    return len(value) <= _BY_BYTES and _by(value) is not None


def _is_auth(value: bytes) -> bool:
    """A mailbox in xtext, or <> for "nobody we know" (RFC 4954, section 5)."""
    if value == _NULL_AUTH:
        return True
    if not 0 < len(value) <= _AUTH_BYTES or not _is_xtext(value):
        return False
    mailbox = _hexchar.sub(lambda found: bytes([int(found[1], 16)]), value)
    try:
        _, rest = parse_path(b"<%b>" % mailbox, smtputf8=True, recipient=False)
    except AddressError:
        return False
    return not rest


def _matches(pattern: Callable[[bytes], object]) -> Callable[[bytes], bool]:
    return lambda value: pattern(value) is not None


def _is_absent(value: bytes) -> bool:
    return not value  # a value that is written has at least one byte


_VALUE_TESTS: dict[str, dict[str, Callable[[bytes], bool]]] = {
    "MAIL": {
        "SIZE": _matches(_size),
        "BODY": _matches(_body),
        "SMTPUTF8": _is_absent,
        "RET": _matches(_ret),
        "ENVID": _is_envid,
        "BY": _is_by,
        "MT-PRIORITY": _matches(_priority),
        "REQUIRETLS": _is_absent,
        "AUTH": _is_auth,
    },
    "RCPT": {
        "NOTIFY": _matches(_notify),
        "ORCPT": _is_orcpt,
    },
}


def parse_parameters(
    text: bytes, *, for_verb: str, capabilities: Capabilities
) -> dict[str, bytes | None]:
    """Read the parameters of a MAIL or RCPT command, in the order they came."""
    if (most := _common(text)) is not None and for_verb == "MAIL" and capabilities.size_offered:
        size, body = most.groups()
        if body is None:
            return {"SIZE": size}
        if capabilities.eightbitmime:
            return {"SIZE": size, "BODY": body}
    parameters: dict[str, bytes | None] = {}
    for word in text.split(b" "):
        if not word:
            continue  # more blanks than one between parameters harm nobody
        found = _parameter(word)
        if found is None:
            raise _bad("bad parameter syntax")
        keyword = found[1].decode("ascii").upper()
        if keyword in parameters:
            raise _bad("parameter given twice")
        is_valid = _VALUE_TESTS[for_verb].get(keyword)
        if is_valid is None or not capabilities.takes(keyword):
            raise CommandError(Reply.of(555, "5.5.4", "parameter not recognised or not offered"))
        if not is_valid(found[2] or b""):
            raise _bad("bad parameter value")
        parameters[keyword] = found[2]
    return parameters


def _bad(text: str) -> CommandError:
    return CommandError(Reply.of(501, "5.5.4", text))
