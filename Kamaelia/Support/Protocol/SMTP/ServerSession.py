"""
The server's side of one SMTP connection
========================================
Bytes from the client in, replies and events out:

>>> from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities
>>> session = ServerSession("mx.example.org", capabilities=Capabilities)
>>> session.greet()
>>> session.receive_data(b"EHLO client.example\\r\\n")
>>> session.next_event()
HelloReceived(verb='EHLO', name=b'client.example')
>>> session.receive_data(b"MAIL FROM:<a@example.org>\\r\\n")
>>> session.next_event().path.text
'a@example.org'
>>> session.data_to_send()
b'220 mx.example.org ESMTP\\r\\n250 mx.example.org\\r\\n250 2.1.0 Ok\\r\\n'

States (ServerExtensions has those of STARTTLS, AUTH and BDAT)::

    GREETING --greet--> HELLO --EHLO--> READY --MAIL--> MAIL --354 to DATA--> BODY
                                          ^               |                     |
                                          +--RSET, EHLO---+<------the dot-------+
    any --QUIT, 421, too many errors, abuse, end of input--> CLOSED

Rules. Commands are read only while no event waits for `reply`, so replies keep the order of the
commands. What we promise at EHLO holds until the next EHLO. A client that speaks before its turn
(before the greeting, behind EHLO or DATA) does not listen: it gets 554 and is closed. So is a
session that tried to smuggle (a bare CR, bare LF or NUL in a message, NUL in a command), after its
reply: whatever stands behind the end of such a message may be a command that its sender never meant
to give. An owner must not feed more while `waiting`; that is the only bound on what lies here
beyond one command line.

The common way of a message is short: `simple_command` reads MAIL and RCPT at one go, and
`is_whole_message` the message. All else goes the long way round and means the same.
"""

import re
from collections.abc import Callable
from typing import ClassVar, get_args

from Kamaelia.Exceptions import LocalProtocolError
from Kamaelia.Support.Protocol.SMTP.Address import LABEL_BYTES, Path, parse_path, simple_command
from Kamaelia.Support.Protocol.SMTP.Body import BodyScanner, Fault, is_whole_message
from Kamaelia.Support.Protocol.SMTP.Commands import CommandError, parse_command, parse_parameters
from Kamaelia.Support.Protocol.SMTP.Events import (
    AuthRequested,
    AuthResponse,
    DataReceived,
    DataRequested,
    EndReason,
    HelloReceived,
    MessageComplete,
    MessageFailed,
    RecipientGiven,
    SenderGiven,
    ServerEvent,
    TransactionReset,
)
from Kamaelia.Support.Protocol.SMTP.Offer import DEFAULT_LIMITS as DEFAULT_LIMITS
from Kamaelia.Support.Protocol.SMTP.Offer import ServerLimits as ServerLimits
from Kamaelia.Support.Protocol.SMTP.Offer import make_banner, make_offer
from Kamaelia.Support.Protocol.SMTP.Refusals import (
    ABUSES,
    EARLY,
    ENDLESS,
    FAULTS,
    HEADER,
    NO_PARAMETERS,
    NOT_NOW,
    NOT_TLS,
    NUL,
    REFUSALS,
    SMUGGLING,
    TOO_MANY_RECIPIENTS,
    UNKNOWN,
)
from Kamaelia.Support.Protocol.SMTP.Replies import RefusedError, Reply
from Kamaelia.Support.Protocol.SMTP.ServerExtensions import RESPONSE_BYTES, ServerExtensions
from Kamaelia.Support.Protocol.SMTP.ServerState import State, Wait

# Every event is in it: a look-up that fails costs more.
_WAITS: dict[type, Wait | None] = {
    **dict.fromkeys(get_args(ServerEvent)),
    RecipientGiven: Wait.RECIPIENT,
    DataRequested: Wait.DATA,
    MessageComplete: Wait.DOT,
    AuthRequested: Wait.AUTH,
    AuthResponse: Wait.AUTH,
}
# A member of an Enum costs more to look up than a name of this module, and these are asked for
# with every command.
_READY, _MAIL, _BODY = State.READY, State.MAIL, State.BODY
_GREETING, _TLS, _CLOSED = State.GREETING, State.TLS, State.CLOSED
_RECIPIENT, _DATA, _DOT, _AUTH = Wait.RECIPIENT, Wait.DATA, Wait.DOT, Wait.AUTH
_TLS_HELLO = b"\x16\x03"  # a TLS record where a command should stand
_DATA_LINE, _RSET_LINE = b"DATA\r\n", b"RSET\r\n"
_END_BYTES = len(b".\r\n")
_is_name = re.compile(rb"[ -~]+").fullmatch
_is_header = re.compile(rb"[A-Za-z][A-Za-z0-9-]*:").match


class ServerSession(ServerExtensions):
    """One client's SMTP session; see the module for its states and rules."""

    __slots__ = ()

    # --- for the owner ----------------------------------------------------------------------

    def greet(self, text: str = "ESMTP") -> None:
        """Send the banner. LocalProtocolError if the client has had one."""
        if self.closed:
            return  # it spoke before, and has been told
        if self._state is not _GREETING:
            raise LocalProtocolError("the client has had its greeting")
        self._greeting = make_banner(self._hostname, text)
        self.out += self._greeting
        self._state = State.HELLO

    def refuse(self, reply: Reply) -> None:
        """Send a 421 or 554 instead of a banner."""
        self.close(reply)

    def receive_data(self, data: bytes) -> None:
        """Take what the client sent, in any slices."""
        self.unread = self.unread[self._start :] + data if self.unread else data
        self._start = 0
        state = self._state
        if (state is _GREETING or state is _TLS or state is _CLOSED) and data:
            self._untimely_data(state)

    def _untimely_data(self, state: State) -> None:
        if state is _TLS:
            # It came in plain text behind the 220. What the client hears next must be TLS.
            self._end(EndReason.ABUSE)
        elif state is _CLOSED:
            self.unread = b""
        elif self._limits.forbid_early_talk:
            self._abuse(NOT_TLS if data_is_tls(self.unread) else EARLY)

    def receive_eof(self) -> None:
        """The client sends no more; commands that arrived before are still carried out."""
        self.eof = True

    def next_event(self) -> ServerEvent | None:
        """Return the next event; None: more data or a `reply` is wanted, or all is over."""
        events = self.events
        while not events:
            if self.waiting:
                return None
            if self.unread:
                state = self._state
                if state is _READY or state is _MAIL:
                    done = self._read_command()
                else:
                    done = self._read_seldom(state)
                if done:
                    continue
            if not (self.eof and self._at_end()):
                return None
        event = events.pop(0)
        wait = self._wait = _WAITS[type(event)]
        self.waiting = wait is not None
        return event

    def reply(self, reply: Reply) -> None:
        """Answer the event that waits; 421 ends the session."""
        if self._state is _CLOSED:
            return  # the owner's answer took longer than its own time-out
        wait, self._wait = self._wait, None
        self.waiting = False
        if wait is None:
            raise LocalProtocolError("no event waits for a reply")
        code = reply.code
        if wait is _DATA and self._chunks is not None and code != 421:
            self._chunks_answered(self._chunks, reply)
            return
        if wait is _DATA and code == 354:
            self._state = _BODY
            if self.unread and self._limits.forbid_early_talk:
                self._abuse(EARLY)
                return
        self.out += reply.wire or reply.to_wire()
        if code == 421:
            self._close()
        elif wait is _RECIPIENT:
            self._recipient_answered(code)
        elif wait is _DOT:
            self._clear_transaction()
            if code < 300:
                self.errors = self._idle_commands = 0
        elif wait is _AUTH:
            self._auth_answered(reply)

    def discard_data(self) -> None:
        """Eat the rest of the message silently; MessageComplete still comes at its end."""
        if self._state is _BODY:
            self._body = self._body or BodyScanner(self._offer.message_limits)
            self._body.discard()
        elif self._chunks is not None and self._chunks.scanner is not None:
            self._chunks.scanner.discard()

    # --- reading ----------------------------------------------------------------------------

    def _at_end(self) -> bool:
        """Nothing is left to read, or will come; return whether that is the end."""
        if self._state is _CLOSED or self._state is _GREETING:
            return False
        self._end(EndReason.EOF)
        return True

    def _read_seldom(self, state: State) -> bool:
        """Read one thing more that is no command; False: the rest of it has to come first."""
        if state is _BODY:
            return self._read_body()
        if self._chunks is not None and self._chunks.left:
            return self._read_chunk(self._chunks)
        if state is State.AUTH:
            return self._read_response()
        return state is not _GREETING and self._read_command()

    # --- the data phase ---------------------------------------------------------------------

    def _read_body(self) -> bool:
        piece = self.unread[self._start :] if self._start else self.unread
        self.unread, self._start = b"", 0
        body = self._body
        if body is None:
            if is_whole_message(piece, self._offer.message_limits):
                self._state = _MAIL
                self.events += (
                    DataReceived(piece[:-_END_BYTES]),
                    MessageComplete(len(piece) - _END_BYTES),
                )
                return True
            body = self._body = BodyScanner(self._offer.message_limits)
        had_fault = body.fault is not None
        data = body.receive_data(piece)
        if data:
            self.events.append(DataReceived(data))
        if body.fault is not None and not had_fault:
            self.events.append(MessageFailed(FAULTS[body.fault].tagged(self._tag)))
        if body.ended:
            self.unread = body.rest
            self._end_message(body.fault, body.size)
        return True

    def _end_message(self, fault: Fault | None, size: int) -> None:
        self._body = None
        self._state = _MAIL
        if fault is None:
            self.events.append(MessageComplete(size))
            return
        self._clear_transaction()
        self._send(FAULTS[fault].tagged(self._tag))
        if fault in SMUGGLING:
            self._end(EndReason.ABUSE)

    # --- the command phase ------------------------------------------------------------------

    def _read_command(self) -> bool:
        buffer, start = self.unread, self._start
        size = len(buffer)
        end = buffer.find(b"\n", start, start + self._limits.command_bytes) + 1
        if not end:
            limit = self._command_limit()
            end = buffer.find(b"\n", start, start + limit) + 1
            if not end:
                return self._half_a_command(limit)
        if end == size:
            line = buffer[start:]  # no copy if this is all
            self.unread, self._start = b"", 0
        else:
            line = buffer[start:end]
            self._start = end
        try:
            if line == _DATA_LINE:
                self._on_data("DATA", b"")
            elif line == _RSET_LINE:
                self._on_rset("RSET", b"")
            elif not self._obey_simple(line, end - start):
                self._obey(line)
        except RefusedError as refused:
            self._refuse(refused.reply)
        return True

    def _command_limit(self) -> int:
        """Bytes in a command line: more where what is secret may stand in it."""
        start = self._start
        if self._offer.capabilities.auth and self.unread[start : start + 5].upper() == b"AUTH ":
            return RESPONSE_BYTES
        return self._limits.command_bytes

    def _half_a_command(self, limit: int) -> bool:
        if data_is_tls(self.unread, self._start):
            self._abuse(NOT_TLS)
            return True
        if len(self.unread) - self._start < limit:
            return False
        self._abuse(ENDLESS)
        return True

    def _obey_simple(self, line: bytes, size: int) -> bool:
        """Obey a MAIL or RCPT in the commonest form; False: the long way has to be gone."""
        found = simple_command(line)
        if found is None:
            return False
        is_mail, raw, local, domain, rest = found.groups()
        # Nothing in a line is longer than the line.
        if size > self._limits.local_part_bytes and len(local) > self._limits.local_part_bytes:
            return False
        if size > LABEL_BYTES and len(domain) > LABEL_BYTES:
            return False
        if is_mail:
            if self._state is not _READY:
                return False
            self._take_sender(
                Path(raw, local, domain),
                parse_parameters(rest, for_verb="MAIL", capabilities=self._offer.capabilities)
                if rest
                else {},
            )
        elif rest or self._state is not _MAIL:
            return False
        else:
            self._take_recipient(Path(raw, local, domain), {})
        return True

    def _obey(self, line: bytes) -> None:
        if data_is_tls(line):
            self._abuse(NOT_TLS)
        elif b"\0" in line:
            self._abuse(NUL)
        # Nobody may see a line end where we see none, or the other way round: a line that ends
        # with LF alone is answered (its sender would wait for ever), but never obeyed.
        elif line.find(b"\r") != len(line) - 2 or len(line) < 2:
            self._error(500, "5.5.2", "command lines end with CR LF")
        elif _is_header(line):
            self._abuse(HEADER)  # a client that sends its message whatever we answer
        else:
            command = parse_command(line[:-2])
            verb = command.verb
            if (handler := self._handlers.get(verb)) is not None:
                handler(self, verb, command.argument)
            elif verb in ABUSES:
                self._abuse(ABUSES[verb])
            else:
                self._refuse(REFUSALS.get(verb, UNKNOWN))

    def _on_hello(self, verb: str, argument: bytes) -> None:
        if self.unread and self._limits.forbid_pipelined_hello:
            self._abuse(EARLY)
            return
        if not _is_name(argument) or len(argument) > self._limits.hello_bytes:
            self._error(501, "5.5.4", f"{verb} needs a name")
            return
        self._leave_transaction()
        self._state = _READY
        self._offer = offer = make_offer(
            self._hostname, self._ask_capabilities(), self._limits, self.tls, self._xclient_allowed
        )
        self.hello_name, self.esmtp = argument, verb == "EHLO"
        # The client's name is not repeated: nothing that it says needs to come back to it.
        self.out += offer.ehlo if self.esmtp else offer.helo
        self.events.append(HelloReceived(verb, argument))

    def _on_mail(self, verb: str, argument: bytes) -> None:
        if self._state is not _READY:
            nested = self._state is not State.HELLO
            self._error(503, "5.5.1", "nested MAIL" if nested else "EHLO first")
            return
        # After HELO a client may not use extensions, but some do; real servers let them.
        path, parameters = self._read_path(verb, b"FROM:", argument, smtputf8=True)
        self._take_sender(path, parameters)

    def _take_sender(self, path: Path, parameters: dict[str, bytes | None]) -> None:
        smtputf8 = "SMTPUTF8" in parameters
        if not smtputf8 and not path.raw.isascii():
            self._error(553, "5.6.7", "non-ASCII address needs SMTPUTF8")
            return
        limit = self._offer.message_limits.message_bytes
        if parameters and int(parameters.get("SIZE") or b"0") > limit:
            self._send(FAULTS[Fault.TOO_LARGE].tagged(self._tag))
            return
        self.smtputf8 = smtputf8
        self._state = _MAIL
        self.out += b"250 2.1.0 Ok\r\n"
        self.events.append(SenderGiven(path, parameters))

    def _on_rcpt(self, verb: str, argument: bytes) -> None:
        if self._state is not _MAIL:
            chunks = self._state is State.CHUNKS
            self._refuse(NOT_NOW) if chunks else self._error(503, "5.5.1", "MAIL first")
            return
        try:
            path, parameters = self._read_path(verb, b"TO:", argument, smtputf8=self.smtputf8)
        except RefusedError:
            self._any_permanent = True
            raise
        self._take_recipient(path, parameters)

    def _take_recipient(self, path: Path, parameters: dict[str, bytes | None]) -> None:
        if self._recipients >= self._offer.max_recipients:
            # No error: the client shall come back with the rest after this message.
            self._any_temporary = True
            self._send(TOO_MANY_RECIPIENTS.tagged(self._tag))
            return
        self._recipients += 1
        self.events.append(RecipientGiven(path, parameters))

    def _read_path(
        self, verb: str, keyword: bytes, argument: bytes, *, smtputf8: bool
    ) -> tuple[Path, dict[str, bytes | None]]:
        length = len(keyword)
        if argument[:length].upper() != keyword:
            raise CommandError(Reply.of(501, "5.5.4", f"{verb} {keyword.decode()}<address>"))
        path, rest = parse_path(
            argument[length:],
            smtputf8=smtputf8 and self._offer.capabilities.smtputf8,
            recipient=keyword == b"TO:",
            local_bytes=self._limits.local_part_bytes,
        )
        if not rest:
            return path, {}
        return path, parse_parameters(rest, for_verb=verb, capabilities=self._offer.capabilities)

    def _recipient_answered(self, code: int) -> None:
        if code < 300:
            self._accepted += 1
        elif code >= 500:
            self._any_permanent = True
            self._count_error()  # else addresses could be harvested by the thousand
        else:
            self._any_temporary = True

    def _on_data(self, _verb: str, argument: bytes) -> None:
        if self.unread and self._limits.forbid_early_talk:
            # DATA ends a group of pipelined commands (RFC 2920, section 3.1).
            self._abuse(EARLY)
        elif argument:
            self._refuse(NO_PARAMETERS)
        elif self._state is State.CHUNKS:
            self._refuse(NOT_NOW)
        elif self._accepted:
            self.events.append(DataRequested())
        # A pipelining client asks even if every RCPT failed (RFC 2920, section 3.1). It must hear
        # from this reply, too, whether another try makes sense.
        elif self._any_permanent or self._any_temporary:
            self._send(self._no_recipients())
        else:
            self._error(503, "5.5.1", "RCPT first")

    def _on_rset(self, _verb: str, argument: bytes) -> None:
        if argument:
            self._refuse(NO_PARAMETERS)
            return
        if not self.in_transaction:
            self.events.append(TransactionReset())
        self._leave_transaction()
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
        self.out += b"221 2.0.0 Bye\r\n"
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
        "STARTTLS": ServerExtensions._on_starttls,
        "AUTH": ServerExtensions._on_auth,
        "XCLIENT": ServerExtensions._on_xclient,
        "BDAT": ServerExtensions._on_bdat,
    }


def data_is_tls(data: bytes, start: int = 0) -> bool:
    """Whether a TLS record begins here: a client that takes this port for another."""
    return data.startswith(_TLS_HELLO, start)
