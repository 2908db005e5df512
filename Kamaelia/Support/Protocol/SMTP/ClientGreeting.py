"""
The first part of a client session: from the banner until mail may be sent
==========================================================================
`ClientSession` is built upon it; nobody else needs it. After each greeting the server may be asked
for TLS, and then be told who the client is; after each of these it is greeted again::

    BANNER --220--> EHLO --250--+-----------------------------+--> READY
                      \\--5xx--> HELO --250--+                 |
                    EHLO <--tls_started()-- STARTTLS <--------+  if TLS is wanted
                    EHLO <------------220-- XCLIENT <---------+  if there is a client to describe

>>> from Kamaelia.Support.Protocol.SMTP.ClientSession import ClientSession
>>> session = ClientSession("proxy.example.org", tls=TLSPolicy.MAY)
>>> session.receive_data(b"220 mx ESMTP\\r\\n250-mx\\r\\n250 STARTTLS\\r\\n220 go\\r\\n")
>>> session.next_event(), session.data_to_send()
(TLSWanted(), b'EHLO proxy.example.org\\r\\nSTARTTLS\\r\\n')
>>> session.tls_started()  # when the owner has done the handshake
>>> session.encrypted, session.data_to_send()
(True, b'EHLO proxy.example.org\\r\\n')

A refusal here is BANNER, HELLO, TLS or XCLIENT, whatever its code. Plain text behind the 220 to
STARTTLS could be anybody's: the session fails (RFC 3207, section 4.2). After XCLIENT we greet with
the name of the client that was described: Postfix, for one, judges and records the name in EHLO,
not the one in XCLIENT.
"""

import re
from collections.abc import Mapping
from enum import Enum, auto

from Kamaelia.Exceptions import LocalProtocolError
from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities
from Kamaelia.Support.Protocol.SMTP.Events import (
    ClientEvent,
    FailReason,
    Ready,
    SessionFailed,
    TLSWanted,
)
from Kamaelia.Support.Protocol.SMTP.Replies import Reply, ReplyParser
from Kamaelia.Support.Protocol.SMTP.Xclient import encode_description, pack

_is_hello_name = re.compile(r"[A-Za-z0-9_.:\[\]-]{1,255}").fullmatch


class TLSPolicy(Enum):
    """Whether to ask a server for TLS. Whom to believe is a matter of the SSL context."""

    OFF = auto()
    MAY = auto()  # if it is offered and not refused
    REQUIRE = auto()


class Phase(Enum):
    """What the next reply answers."""

    BANNER = auto()
    EHLO = auto()
    HELO = auto()
    STARTTLS = auto()
    HANDSHAKE = auto()  # the owner's: no text may come or go
    XCLIENT = auto()
    READY = auto()
    OVER = auto()


class ClientGreeting:
    """ClientGreeting(parser, name, *, lmtp=False, tls=TLSPolicy.OFF, description=None,
    preceded=False)."""

    __slots__ = (
        *("_client_name", "_commands", "_description", "_lmtp", "_may_helo", "_name", "_own_name"),
        "_phase",
        *("_tls", "_told"),
        *("capabilities", "closed", "encrypted", "failed", "out", "parser", "ready"),
    )

    def __init__(
        self,
        parser: ReplyParser,
        name: bytes,
        *,
        lmtp: bool = False,
        tls: TLSPolicy = TLSPolicy.OFF,
        description: Mapping[str, str | None] | None = None,
        preceded: bool = False,
    ) -> None:
        self.parser = parser
        self._own_name = self._client_name = self._name = name
        self._lmtp = lmtp
        # A server that does not know what came first answers that: from then on each reply would be
        # taken for the one to the next command.
        self._may_helo = not (lmtp or preceded)
        self._tls = tls
        self._phase = Phase.BANNER
        self.out = b""  # what `data_to_send` will return; an owner may empty it by itself
        self.ready = False  # whether transactions are possible: greeted, and not over
        self.closed = False  # whether nothing more can be said here: close the connection
        self._description: dict[str, bytes] = {}  # what the server is yet to be told
        self._commands: list[bytes] = []  # XCLIENT, not yet sent
        self._told: dict[str, None] = {}  # attributes that the server has heard
        self.capabilities = Capabilities()
        self.encrypted = False  # tls_started() was called
        self.failed = False
        if description is not None:
            self._set_description(description)

    def data_to_send(self) -> bytes:
        """Return what is to go to the server, once."""
        data, self.out = self.out, b""
        return data

    def tls_started(self) -> None:
        """The handshake that TLSWanted asked for is done: greet again (RFC 3207, section 4.2)."""
        if self._phase is not Phase.HANDSHAKE:
            raise LocalProtocolError("the server has not agreed to TLS")
        if not self.parser.pending:  # else next_event() tells what is wrong
            self.encrypted = True
            self._greet(Phase.EHLO)

    def _greeted(self, reply: Reply) -> ClientEvent | None:
        match self._phase:
            case Phase.BANNER:
                if reply.code != 220:
                    return self._fail(FailReason.BANNER, reply)
                self._greet(Phase.EHLO)
            case Phase.EHLO if reply.is_permanent and self._may_helo:
                self._greet(Phase.HELO)  # an old server (RFC 5321, section 3.2)
            case Phase.STARTTLS:
                return self._take_starttls(reply)
            case Phase.XCLIENT:
                return self._take_xclient(reply)
            case phase:
                if reply.code != 250:
                    return self._fail(FailReason.HELLO, reply)
                if phase is Phase.EHLO:
                    self.capabilities = Capabilities.from_ehlo(reply.lines)
                return self._go_on()
        return None

    def _greet(self, phase: Phase) -> None:
        self._phase, self.ready = phase, False
        self.capabilities = Capabilities()  # whatever it was before TLS, or to another client
        verb = b"HELO" if phase is Phase.HELO else b"LHLO" if self._lmtp else b"EHLO"
        self.out += b"%b %b\r\n" % (verb, self._name)

    def _go_on(self) -> ClientEvent | None:
        """Do what is still to be done after a greeting: TLS, then XCLIENT, then we are ready."""
        if self._tls is not TLSPolicy.OFF and not self.encrypted:
            if self.capabilities.starttls:
                self._phase = Phase.STARTTLS
                self.out += b"STARTTLS\r\n"
                return None
            if self._tls is TLSPolicy.REQUIRE:
                return self._fail(FailReason.TLS, None)
        if self._description:
            return self._tell_client()
        self._phase, self.ready = Phase.READY, True
        return Ready(self.capabilities)

    def _take_starttls(self, reply: Reply) -> ClientEvent | None:
        if reply.code == 220:
            if self.parser.pending:  # nobody knows who put that there
                return self._fail(FailReason.SYNTAX, None)
            self._phase = Phase.HANDSHAKE
            return TLSWanted()
        if self._tls is TLSPolicy.REQUIRE:
            return self._fail(FailReason.TLS, reply)
        if reply.code < 400:
            return self._fail(FailReason.SYNTAX, reply)
        if reply.code == 421:
            return self._fail(FailReason.HELLO, reply)
        self._tls = TLSPolicy.OFF  # or we would ask again after XCLIENT
        return self._go_on()

    def _tell_client(self) -> SessionFailed | None:
        self._commands = pack(self._description, self.capabilities.xclient)
        if not self._commands:
            return self._fail(FailReason.XCLIENT, None)
        self._phase, self.ready = Phase.XCLIENT, False
        self.out += self._commands.pop(0)
        return None

    def _take_xclient(self, reply: Reply) -> SessionFailed | None:
        if reply.code != 220:
            reason = FailReason.XCLIENT if reply.code >= 400 else FailReason.SYNTAX
            return self._fail(reason, reply)
        if self._commands:
            self.out += self._commands.pop(0)
        else:
            self._description = {}
            self._name = self._client_name
            self._greet(Phase.EHLO)
        return None

    def _set_description(self, description: Mapping[str, str | None]) -> None:
        if not description:
            raise LocalProtocolError("a description needs attributes")
        self._description = encode_description(description)
        self._told |= dict.fromkeys(description)
        name = description.get("HELO")
        fits = name is not None and _is_hello_name(name)
        self._client_name = name.encode("ascii") if name and fits else self._own_name

    def _fail(self, reason: FailReason, reply: Reply | None) -> SessionFailed:
        self._stop()
        self.failed = True
        return SessionFailed(reason, reply)

    def _stop(self) -> None:
        self._phase, self.ready, self.closed = Phase.OVER, False, True
        self.out = b""
