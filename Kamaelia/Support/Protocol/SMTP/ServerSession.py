"""
The server's side of one SMTP connection
========================================
Bytes from the client in, replies and events out:

>>> session = ServerSession("mx.example.org", capabilities=Capabilities)
>>> session.greet()
>>> session.receive_data(b"EHLO client.example\\r\\nMAIL FROM:<a@example.org>\\r\\n")
>>> session.next_event()
HelloReceived(verb='EHLO', name=b'client.example')
>>> session.next_event().path.text
'a@example.org'
>>> session.data_to_send()
b'220 mx.example.org ESMTP\\r\\n250 mx.example.org\\r\\n250 2.1.0 Ok\\r\\n'

States::

    GREETING --greet--> HELLO --EHLO--> READY --MAIL--> MAIL --354 to DATA--> BODY
                                          ^               |                     |
                                          +--RSET, EHLO---+<------the dot-------+
    any --QUIT, 421, too many errors, abuse, end of input--> CLOSED

Rules. Commands are read only while no event waits for `reply`, so replies keep the order of the
commands. What we promise at EHLO holds until the next EHLO. A session that tried to smuggle (a bare
CR, bare LF or NUL in a message, NUL in a command) is closed after its reply: whatever stands behind
the end of such a message may be a command that its sender never meant to give. An owner must not
feed more while `waiting`; that is the only bound on what lies here beyond one command line.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import ClassVar

from Kamaelia.Exceptions import LocalProtocolError
from Kamaelia.Support.Protocol.SMTP.Address import LOCAL_PART_BYTES, Path, parse_path
from Kamaelia.Support.Protocol.SMTP.Body import DEFAULT_BODY_LIMITS, BodyLimits, BodyScanner, Fault
from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities
from Kamaelia.Support.Protocol.SMTP.Commands import parse_command, parse_parameters
from Kamaelia.Support.Protocol.SMTP.Events import (
    DataReceived,
    DataRequested,
    EndReason,
    HelloReceived,
    MessageComplete,
    MessageFailed,
    RecipientGiven,
    SenderGiven,
    ServerEvent,
    SessionEnded,
    TransactionReset,
)
from Kamaelia.Support.Protocol.SMTP.Refusals import (
    ABUSES,
    ENDLESS,
    FAULTS,
    NOT_TLS,
    NUL,
    REFUSALS,
    SMUGGLING,
    UNKNOWN,
)
from Kamaelia.Support.Protocol.SMTP.Replies import RefusedError, Reply


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """What one client may ask of us before it is told to stop."""

    command_bytes: int = 2_048  # RFC 5321 wants 512, each extension adds some
    hello_bytes: int = 255  # the length of a domain name
    local_part_bytes: int = LOCAL_PART_BYTES
    max_recipients: int = 1_000
    max_errors: int = 20
    max_idle_commands: int = 100  # NOOP, RSET, VRFY, HELP; more of them count as errors
    line_bytes: int = 65_535  # of a message; wrapping longer ones would break DKIM
    message_bytes: int = 1 << 30  # only where EHLO named no smaller SIZE


DEFAULT_LIMITS = ServerLimits()


class _State(Enum):
    GREETING = auto()
    HELLO = auto()
    READY = auto()
    MAIL = auto()
    BODY = auto()
    CLOSED = auto()


class _Wait(Enum):
    RECIPIENT = auto()
    DATA = auto()
    DOT = auto()


_WAITS: dict[type, _Wait] = {
    RecipientGiven: _Wait.RECIPIENT,
    DataRequested: _Wait.DATA,
    MessageComplete: _Wait.DOT,
}
_TLS_HELLO = b"\x16\x03"  # a TLS record where a command should stand
_is_name = re.compile(rb"[ -~]+").fullmatch


class ServerSession:
    """One client's SMTP session; see the module for its states and rules."""

    __slots__ = (
        *("_ask_capabilities", "_capabilities", "_hostname", "_limits", "_message_limits", "_tag"),
        *("_buffer", "_eof", "_events", "_out", "_start", "_state", "_wait"),
        *("_accepted", "_any_permanent", "_any_temporary", "_body", "_recipients", "smtputf8"),
        *("_errors", "_idle_commands", "esmtp", "hello_name"),
    )

    def __init__(
        self,
        hostname: str,
        *,
        capabilities: Callable[[], Capabilities],
        limits: ServerLimits = DEFAULT_LIMITS,
        tag: str = "",
    ) -> None:
        self._hostname = hostname
        self._ask_capabilities = capabilities
        self._limits = limits
        self._tag = tag  # in our refusals, so that a postmaster can find the session in the log
        self._capabilities = Capabilities()
        self._state = _State.GREETING
        self._wait: _Wait | None = None
        self._events: list[ServerEvent] = []  # never more than three: a deque would be larger
        self._out: list[bytes] = []
        self._buffer = b""
        self._start = 0  # where the first unread command begins
        self._eof = False
        self._errors = 0
        self._idle_commands = 0
        self._body: BodyScanner | None = None  # of the message that is being received
        self._message_limits = DEFAULT_BODY_LIMITS
        self._clear_transaction()
        self.hello_name = b""
        self.esmtp = False

    # --- for the owner ----------------------------------------------------------------------

    @property
    def waiting(self) -> bool:
        """Whether an event waits for its `reply`: do not feed more."""
        return self._wait is not None

    @property
    def closed(self) -> bool:
        """Whether the connection should be closed once `data_to_send` has been sent."""
        return self._state is _State.CLOSED

    @property
    def tag(self) -> str:
        """The session's short id, as it stands in our own replies."""
        return self._tag

    @property
    def in_transaction(self) -> bool:
        return self._state in (_State.MAIL, _State.BODY)

    @property
    def in_data(self) -> bool:
        return self._state is _State.BODY

    @property
    def errors(self) -> int:
        """Errors since the last accepted message; an owner may answer slowly after a few."""
        return self._errors

    def greet(self, text: str = "ESMTP") -> None:
        if self._state is not _State.GREETING:
            raise LocalProtocolError("the client has had its greeting")
        self._send(Reply.of(220, "", f"{self._hostname} {text}"))
        self._state = _State.HELLO

    def refuse(self, reply: Reply) -> None:
        """Send a 421 or 554 instead of a banner."""
        self.close(reply)

    def close(self, reply: Reply) -> None:
        """End the session from any state, for instance with 421 after a time-out."""
        if not self.closed:
            self._events.clear()
            self._send(reply)
            self._close()

    def receive_data(self, data: bytes) -> None:
        if not self.closed:
            self._buffer = self._buffer[self._start :] + data if self._buffer else data
            self._start = 0

    def receive_eof(self) -> None:
        """The client sends no more; commands that arrived before are still carried out."""
        self._eof = True

    def data_to_send(self) -> bytes:
        data = b"".join(self._out)
        self._out.clear()
        return data

    def next_event(self) -> ServerEvent | None:
        """Return the next event; None: more data or a `reply` is wanted, or all is over."""
        while not self._events:
            if self._wait is not None or self._state in (_State.CLOSED, _State.GREETING):
                return None
            body = self._body
            if not (self._read_command() if body is None else self._read_body(body)):
                if not self._eof:
                    return None
                self._end(EndReason.EOF)
        event = self._events.pop(0)
        self._wait = _WAITS.get(type(event))
        return event

    def reply(self, reply: Reply) -> None:
        """Answer the event that waits; 421 ends the session."""
        if self.closed:
            return  # the owner's answer took longer than its own time-out
        wait, self._wait = self._wait, None
        if wait is None:
            raise LocalProtocolError("no event waits for a reply")
        self._send(reply)
        if reply.code == 421:
            self._close()
        elif wait is _Wait.RECIPIENT:
            self._recipient_answered(reply)
        elif wait is _Wait.DATA:
            if reply.code == 354:
                self._state = _State.BODY
                self._body = BodyScanner(self._message_limits)
        else:
            self._clear_transaction()
            if reply.is_positive:
                self._errors = self._idle_commands = 0

    def discard_data(self) -> None:
        """Eat the rest of the message silently; MessageComplete still comes at its end."""
        if self._body is not None:
            self._body.discard()

    # --- the data phase ---------------------------------------------------------------------

    def _read_body(self, body: BodyScanner) -> bool:
        piece = self._buffer[self._start :]
        self._buffer, self._start = b"", 0
        if not piece:
            return False
        had_fault = body.fault is not None
        data = body.receive_data(piece)
        if data:
            self._events.append(DataReceived(data))
        if body.fault is not None and not had_fault:
            self._events.append(MessageFailed(FAULTS[body.fault].tagged(self._tag)))
        if body.ended:
            self._buffer = body.rest
            self._end_message(body.fault, body.size)
        return True

    def _end_message(self, fault: Fault | None, size: int) -> None:
        self._body = None
        self._state = _State.MAIL
        if fault is None:
            self._events.append(MessageComplete(size))
            return
        self._clear_transaction()
        self._send(FAULTS[fault].tagged(self._tag))
        if fault in SMUGGLING:
            self._end(EndReason.ABUSE)

    # --- the command phase ------------------------------------------------------------------

    def _read_command(self) -> bool:
        start, limit = self._start, self._limits.command_bytes
        if start == len(self._buffer):
            return False
        end = self._buffer.find(b"\n", start, start + limit)
        if self._buffer.startswith(_TLS_HELLO, start):
            self._abuse(NOT_TLS)
        elif end < 0:
            if len(self._buffer) - start < limit:
                return False
            self._abuse(ENDLESS)
        else:
            self._start = end + 1
            self._obey(self._buffer[start:end])
        return True

    def _obey(self, line: bytes) -> None:
        if b"\0" in line:
            self._abuse(NUL)
            return
        # Nobody may see a line end where we see none, or the other way round: a line that ends
        # with LF alone is answered (its sender would wait for ever), but never obeyed.
        if line.find(b"\r") != len(line) - 1 or not line:
            self._error(500, "5.5.2", "command lines end with CR LF")
            return
        try:
            command = parse_command(line[:-1])
            verb = command.verb
            if (handler := self._handlers.get(verb)) is not None:
                handler(self, verb, command.argument)
            elif verb in ABUSES:
                self._abuse(ABUSES[verb])
            else:
                self._refuse(REFUSALS.get(verb, UNKNOWN))
        except RefusedError as refused:
            self._refuse(refused.reply)

    def _on_hello(self, verb: str, argument: bytes) -> None:
        if not _is_name(argument) or len(argument) > self._limits.hello_bytes:
            self._error(501, "5.5.4", f"{verb} needs a name")
            return
        if self.in_transaction:
            self._events.append(TransactionReset())
        self._clear_transaction()
        self._state = _State.READY
        self._capabilities = offer = self._ask_capabilities()
        size = self._limits.message_bytes if offer.size is None else offer.size
        self._message_limits = BodyLimits(self._limits.line_bytes, size)
        self.hello_name, self.esmtp = argument, verb == "EHLO"
        # The client's name is not repeated: nothing that it says needs to come back to it.
        lines = (self._hostname.encode("ascii"), *(offer.ehlo_keywords() if self.esmtp else ()))
        self._send(Reply(250, lines))
        self._events.append(HelloReceived(verb, argument))

    def _on_mail(self, verb: str, argument: bytes) -> None:
        if self._state is not _State.READY:
            nested = self._state is _State.MAIL
            self._error(503, "5.5.1", "nested MAIL" if nested else "EHLO first")
            return
        # After HELO a client may not use extensions, but some do; real servers let them.
        path, parameters = self._read_path(verb, b"FROM:", argument, smtputf8=True)
        smtputf8 = "SMTPUTF8" in parameters
        if not path.raw.isascii() and not smtputf8:
            self._error(553, "5.6.7", "non-ASCII address needs SMTPUTF8")
            return
        if int(parameters.get("SIZE") or b"0") > self._message_limits.message_bytes:
            self._send(FAULTS[Fault.TOO_LARGE].tagged(self._tag))
            return
        self._state = _State.MAIL
        self.smtputf8 = smtputf8
        self._out.append(b"250 2.1.0 Ok\r\n")
        self._events.append(SenderGiven(path, parameters))

    def _on_rcpt(self, verb: str, argument: bytes) -> None:
        if self._state is not _State.MAIL:
            self._error(503, "5.5.1", "MAIL first")
            return
        try:
            path, parameters = self._read_path(verb, b"TO:", argument, smtputf8=self.smtputf8)
        except RefusedError:
            self._any_permanent = True
            raise
        if self._recipients >= self._limits.max_recipients:
            # No error: the client shall come back with the rest after this message.
            self._any_temporary = True
            self._send(Reply.of(452, "4.5.3", "too many recipients").tagged(self._tag))
            return
        self._recipients += 1
        self._events.append(RecipientGiven(path, parameters))

    def _read_path(
        self, verb: str, keyword: bytes, argument: bytes, *, smtputf8: bool
    ) -> tuple[Path, dict[str, bytes | None]]:
        length = len(keyword)
        if argument[:length].upper() != keyword:
            raise RefusedError(Reply.of(501, "5.5.4", f"{verb} {keyword.decode()}<address>"))
        path, rest = parse_path(
            argument[length:],
            smtputf8=smtputf8 and self._capabilities.smtputf8,
            recipient=keyword == b"TO:",
            local_bytes=self._limits.local_part_bytes,
        )
        if not rest:
            return path, {}
        return path, parse_parameters(rest, for_verb=verb, capabilities=self._capabilities)

    def _recipient_answered(self, reply: Reply) -> None:
        if reply.is_positive:
            self._accepted += 1
        elif reply.is_permanent:
            self._any_permanent = True
            self._count_error()  # else addresses could be harvested by the thousand
        else:
            self._any_temporary = True

    def _on_data(self, verb: str, argument: bytes) -> None:
        if argument:
            self._error(501, "5.5.4", f"{verb} has no parameters")
        elif self._accepted:
            self._events.append(DataRequested())
        # A pipelining client asks even if every RCPT failed (RFC 2920, section 3.1). It must hear
        # from this reply, too, whether another try makes sense.
        elif self._any_permanent:
            self._send(Reply.of(554, "5.5.1", "no valid recipients").tagged(self._tag))
        elif self._any_temporary:
            self._send(Reply.of(451, "4.7.1", "no recipient can be taken now").tagged(self._tag))
        else:
            self._error(503, "5.5.1", "RCPT first")

    def _on_rset(self, _verb: str, argument: bytes) -> None:
        if argument:
            self._error(501, "5.5.4", "RSET has no parameters")
            return
        self._clear_transaction()
        self._events.append(TransactionReset())
        self._idle(b"250 2.0.0 Ok\r\n")

    def _on_noop(self, _verb: str, _argument: bytes) -> None:
        self._idle(b"250 2.0.0 Ok\r\n")

    def _on_vrfy(self, _verb: str, argument: bytes) -> None:
        if argument:  # never say who exists (RFC 5321, section 7.3)
            self._idle(b"252 2.5.2 Send some mail, we will see\r\n")
        else:
            self._error(501, "5.5.4", "VRFY needs a name")

    def _on_help(self, _verb: str, _argument: bytes) -> None:
        self._idle(b"214 2.0.0 See RFC 5321\r\n")

    def _on_quit(self, _verb: str, _argument: bytes) -> None:
        self._out.append(b"221 2.0.0 Bye\r\n")
        self._end(EndReason.QUIT)

    _handlers: ClassVar[dict[str, Callable[["ServerSession", str, bytes], None]]] = {
        "EHLO": _on_hello,
        "HELO": _on_hello,
        "MAIL": _on_mail,
        "RCPT": _on_rcpt,
        "DATA": _on_data,
        "RSET": _on_rset,
        "NOOP": _on_noop,
        "VRFY": _on_vrfy,
        "HELP": _on_help,
        "QUIT": _on_quit,
    }

    # --- replies and ends -------------------------------------------------------------------

    def _send(self, reply: Reply) -> None:
        self._out.append(reply.to_wire())

    def _idle(self, wire: bytes) -> None:
        """Answer a command that brings nothing forward; beyond some it counts as an error."""
        self._out.append(wire)
        self._idle_commands += 1
        if self._idle_commands > self._limits.max_idle_commands:
            self._count_error()

    def _error(self, code: int, enhanced: str, text: str) -> None:
        self._refuse(Reply.of(code, enhanced, text))

    def _refuse(self, reply: Reply) -> None:
        self._send(reply.tagged(self._tag))
        self._count_error()

    def _count_error(self) -> None:
        self._errors += 1
        if self._errors >= self._limits.max_errors:
            self._send(Reply.of(421, "4.7.0", "too many errors").tagged(self._tag))
            self._end(EndReason.ERRORS)

    def _abuse(self, reply: Reply) -> None:
        self._send(reply.tagged(self._tag))
        self._end(EndReason.ABUSE)

    def _end(self, reason: EndReason) -> None:
        self._events.append(SessionEnded(reason, in_data=self.in_data))
        self._close()

    def _close(self) -> None:
        self._state = _State.CLOSED
        self._wait = self._body = None
        self._buffer, self._start = b"", 0

    def _clear_transaction(self) -> None:
        if self._state in (_State.MAIL, _State.BODY):
            self._state = _State.READY
        self.smtputf8 = False
        self._recipients = 0
        self._accepted = 0
        self._any_permanent = False
        self._any_temporary = False
