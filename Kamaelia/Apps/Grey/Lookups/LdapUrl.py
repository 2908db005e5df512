"""
Addresses of what is in a directory
===================================
LDAP URLs (RFC 4516), as `ldapcheck` and `ldapconf` of greylist.conf have them: which server, and
what to search for there.

>>> url = LdapUrl.parse("ldap://ldap.example.net/dc=example,dc=net?mail,uid?one?(mail=a%20b)")
>>> url.server, url.base, url.attributes, url.scope, url.filter
('ldap://ldap.example.net:389', 'dc=example,dc=net', ('mail', 'uid'), 'one', '(mail=a b)')

Rules: `%` and two hexadecimal digits stand for a byte, in UTF-8; they are taken in after the parts
are told apart, so what is meant to be text must have its own `%`, `?` and `,` written like that
before it is put into an address. Nothing is left of them that has control characters. An extension
that the address calls critical is refused, as the RFC says; we know none.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

PORTS = {"ldap": 389, "ldaps": 636}
SCOPES = ("base", "one", "sub")
LONGEST = 8_192  # characters

_shape = re.compile(r"(ldaps?)://([^/?#]*)(?:/([^#]*))?", re.IGNORECASE).fullmatch
_host_and_port = re.compile(
    r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]*))(?::([0-9]{1,5}))?"
).fullmatch
_attribute = re.compile(r"[A-Za-z0-9.;_-]{1,128}|\*|\+").fullmatch
_control = re.compile(r"[\x00-\x1f\x7f]").search


@dataclass(frozen=True, slots=True)
class LdapUrl:
    """host "": the address names no server. attributes (): all of them."""

    secure: bool
    host: str
    port: int
    base: str
    attributes: tuple[str, ...]
    scope: str
    filter: str

    @classmethod
    def parse(cls, text: str) -> "LdapUrl":
        """Raises ValueError, with a text that says what is wrong."""
        match = _shape(text) if len(text) <= LONGEST else None
        if match is None:
            raise ValueError("not an address that begins with ldap:// or ldaps://")
        scheme = match[1].lower()
        server = _host_and_port(match[2])
        if server is None or not 0 < int(server[3] or PORTS[scheme]) < 65_536:
            raise ValueError("no host and port in the LDAP address")
        base, attributes, scope, search, extensions = (match[3] or "").split("?", 4) + [""] * (
            4 - (match[3] or "").count("?")
        )
        if any(extension.startswith("!") for extension in extensions.split(",")):
            raise ValueError("an extension that is not known in the LDAP address")
        if (scope.lower() or "base") not in SCOPES:
            raise ValueError("the scope of an LDAP address is base, one or sub")
        names = tuple(_decoded(name) for name in attributes.split(",") if name)
        if not all(map(_attribute, names)):
            raise ValueError("not the name of an attribute in the LDAP address")
        return cls(
            scheme == "ldaps",
            (server[1] or server[2]).lower(),
            int(server[3] or PORTS[scheme]),
            _decoded(base),
            names,
            scope.lower() or "base",
            _in_brackets(_decoded(search)),
        )

    @property
    def server(self) -> str:
        """What to connect to."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"ldap{'s' * self.secure}://{host}:{self.port}"


def _decoded(part: str) -> str:
    try:
        text = unquote_to_bytes(part).decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("not UTF-8 in the LDAP address") from None
    if _control(text):
        raise ValueError("a control character in the LDAP address")
    return text


def _in_brackets(search: str) -> str:
    """Of a filter the outer ones may be left out, as with OpenLDAP."""
    if not search:
        return "(objectClass=*)"
    return search if search.startswith("(") else f"({search})"
