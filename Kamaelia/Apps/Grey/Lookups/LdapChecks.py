"""
What a directory says
=====================
The `ldapcheck` of greylist.conf: a search, whose attributes are taken for `key: value` lines
(Answers.py has the keys that mean something: milterGreylistStatus and the like).

Example Usage
-------------
In a thread; `handlers` in Others.py does so::

    look = LdapLookup(config.definitions)
    answer, keep_seconds = look(LdapCheck("prefs", "ldap:///dc=example,dc=net??sub?(mail=anna)"))

Rules:

- Servers are those of `ldapconf`, in their order, until one answers; without that statement, the
  one of the check's own address. With ldaps:// the server's certificate is checked.
- An entry that is not there is no match. With `domatch`, or the statement `fixldapcheck`, any entry
  that is found is one, unless its milterGreylistStatus says otherwise; without, only what the
  milterGreylist attributes say counts.
- At most ten entries are looked at. Referrals are not followed.
- Connections are kept for the next question; one that the server has closed meanwhile is made
  again, once.
"""

import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cached_property, partial
from math import ceil
from threading import Lock
from typing import TYPE_CHECKING, Any

from Kamaelia.Apps.Grey.Core.Access.Definitions import Definitions, LdapCheckDef, LdapConf
from Kamaelia.Apps.Grey.Core.Access.Questions import LdapCheck, LookupText
from Kamaelia.Apps.Grey.Lookups.Answers import KEEP_NOTHING, failed, lookup_text
from Kamaelia.Apps.Grey.Lookups.LdapUrl import LdapUrl

if TYPE_CHECKING:
    from ldap3 import Connection  # type: ignore[import-untyped]

MOST_ENTRIES = 10
MOST_IDLE = 4  # connections that are kept, in all

_SUCCESS, _SIZE_LIMIT, _NO_SUCH_OBJECT = 0, 4, 32  # RFC 4511, appendix A

Connect = Callable[[LdapUrl], "Connection"]


class _Refused(Exception):  # noqa: N818 - said by what is wrong
    """The server will not; the text says why."""


class LdapLookup:
    """LdapLookup(definitions, connect=None) -> answers LdapCheck questions.

    connect(url) -> a bound connection; None: by ldap3, with what `ldapconf` says."""

    def __init__(self, definitions: Definitions, connect: Connect | None = None) -> None:
        self._checks = definitions.ldapchecks
        self._conf = definitions.ldapconf
        self._any_entry = "fixldapcheck" in definitions.flags
        self._connect = connect or Connector(self._conf)
        self._idle: list[tuple[str, Connection]] = []
        self._lock = Lock()

    def seconds(self, _question: LdapCheck) -> float:
        """How long that one may take."""
        return seconds_of(self._conf)

    def __call__(self, question: LdapCheck) -> tuple[object, float]:
        definition = self._checks.get(question.name)
        if definition is None:
            return failed(f"there is no ldapcheck {question.name}"), KEEP_NOTHING
        try:
            url = LdapUrl.parse(question.url)
            servers = servers_of(self._conf, url)
        except ValueError as error:
            return failed(f"ldapcheck {question.name}: {error}"), KEEP_NOTHING
        try:
            import ldap3  # nobody but the users of an ldapcheck has it
        except ImportError:
            return failed("ldapcheck: the Python package ldap3 is not installed"), KEEP_NOTHING
        reason: object = ""
        for server in servers:
            try:
                return self._found(server, url, definition), KEEP_NOTHING
            except (ldap3.core.exceptions.LDAPException, OSError, ValueError, _Refused) as error:
                reason = f"ldapcheck {question.name}: {server.server}: {_said(error)}"
        return failed(reason), KEEP_NOTHING

    def _found(self, server: LdapUrl, url: LdapUrl, definition: LdapCheckDef) -> LookupText:
        entries = self._search(server, url)
        pairs = (pair for entry in entries for pair in _pairs(entry))
        found_is_match = bool(entries) and (definition.domatch or self._any_entry)
        text = lookup_text(pairs, found_is_match=found_is_match)
        if found_is_match and not text.lines:  # an entry that shows us no attribute
            return LookupText(True)
        return text

    def _search(self, server: LdapUrl, url: LdapUrl) -> list[dict[str, Any]]:
        import ldap3

        kept = self._kept(server)
        if kept is not None:
            # The server may have hung up while nobody looked.
            with suppress(ldap3.core.exceptions.LDAPException, OSError):
                return self._searched_by(kept, server, url)
        return self._searched_by(self._connect(server), server, url)

    def _searched_by(
        self, connection: "Connection", server: LdapUrl, url: LdapUrl
    ) -> list[dict[str, Any]]:
        try:
            entries = _searched(connection, url)
        except BaseException:
            _drop(connection)
            raise
        self._keep(server, connection)
        return entries

    def _kept(self, server: LdapUrl) -> "Connection | None":
        with self._lock:
            for at, (name, connection) in enumerate(self._idle):
                if name == server.server:
                    del self._idle[at]
                    return connection
        return None

    def _keep(self, server: LdapUrl, connection: "Connection") -> None:
        with self._lock:
            if len(self._idle) < MOST_IDLE:
                self._idle.append((server.server, connection))
                return
        _drop(connection)

    def close(self) -> None:
        """Hang up. Called when no question is on its way any more."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, connection in idle:
            _drop(connection)


class Connector:
    """Connector(conf, ca_file=None) -> makes connections as `ldapconf` says; ca_file: of the only
    authority that is believed, for ldaps; None: those of the system."""

    def __init__(self, conf: LdapConf, ca_file: str | None = None) -> None:
        self._conf = conf
        self._ca_file = ca_file

    def __call__(self, url: LdapUrl) -> "Connection":
        """Raises LDAPException or OSError, and _Refused if the server will not have us."""
        import ldap3

        seconds = seconds_of(self._conf)
        server = ldap3.Server(
            url.host,
            url.port,
            use_ssl=url.secure,
            tls=self._tls() if url.secure else None,
            connect_timeout=seconds,
            get_info=ldap3.NONE,
        )
        connection = ldap3.Connection(
            server,
            user=self._conf.bind_dn or None,
            password=self._conf.bind_password or None,
            authentication=ldap3.SIMPLE if self._conf.bind_dn else ldap3.ANONYMOUS,
            receive_timeout=ceil(seconds),  # it takes whole ones only
            auto_referrals=False,
            read_only=True,
            check_names=False,
        )
        try:
            if connection.bind():
                return connection
            reason = connection.result.get("description")
        except BaseException:
            _drop(connection)
            raise
        _drop(connection)
        raise _Refused(f"it does not let us in: {reason}")

    def _tls(self) -> Any:  # noqa: ANN401 - untyped
        import ldap3

        # Its own way of checking names is of an older Python; this one is Python's.
        tls = ldap3.Tls()
        tls.wrap_socket = partial(_wrap, self._context)
        return tls

    @cached_property
    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._ca_file)


def _wrap(context: ssl.SSLContext, connection: "Connection", do_handshake: bool = False) -> None:
    connection.socket = context.wrap_socket(
        connection.socket,
        server_hostname=connection.server.host,
        do_handshake_on_connect=do_handshake,
    )


def seconds_of(conf: LdapConf) -> float:
    """How long a look-up may take."""
    return float(conf.seconds) if conf.seconds > 0 else float(LdapConf().seconds)


def servers_of(conf: LdapConf, url: LdapUrl) -> list[LdapUrl]:
    """Whom to ask, the first first. Raises ValueError."""
    servers = [LdapUrl.parse(text) for text in conf.uri.split()] or [url]
    if not all(server.host for server in servers):
        raise ValueError("no server in the LDAP address, and no ldapconf")
    return servers


def _searched(connection: "Connection", url: LdapUrl) -> list[dict[str, Any]]:
    import ldap3

    scopes = {"base": ldap3.BASE, "one": ldap3.LEVEL, "sub": ldap3.SUBTREE}
    connection.search(
        url.base,
        url.filter,
        scopes[url.scope],
        attributes=list(url.attributes) or ldap3.ALL_ATTRIBUTES,
        size_limit=MOST_ENTRIES,
    )
    result = connection.result
    if result["result"] == _NO_SUCH_OBJECT:
        return []
    if result["result"] not in (_SUCCESS, _SIZE_LIMIT):
        raise _Refused(str(result.get("description")))
    entries = [each for each in connection.response or () if each["type"] == "searchResEntry"]
    return entries[:MOST_ENTRIES]


def _pairs(entry: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, values in entry["raw_attributes"].items():
        for value in values:
            yield name, value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _drop(connection: "Connection") -> None:
    import ldap3

    with suppress(ldap3.core.exceptions.LDAPException, OSError):  # it may be gone already
        connection.unbind()
    if getattr(connection, "socket", None) is not None:  # of one that was never made, it is left
        connection.socket.close()


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__
