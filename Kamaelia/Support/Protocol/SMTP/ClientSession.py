"""
The client's side of one SMTP connection
========================================
Replies from the server in, commands and events out:

>>> session = ClientSession("proxy.example.org")
>>> session.receive_data(b"220 mx ESMTP\\r\\n")
>>> session.next_event() is None, session.data_to_send()
(True, b'EHLO proxy.example.org\\r\\n')
>>> session.receive_data(b"250-mx\\r\\n250 PIPELINING\\r\\n")
>>> session.next_event().capabilities.pipelining
True
>>> session.mail(Path(b"a@b", b"a", b"b"), {})
>>> session.rcpt(Path(b"c@d", b"c", b"d"), {"NOTIFY": b"NEVER"})
>>> session.data_to_send()
b'MAIL FROM:<a@b>\\r\\nRCPT TO:<c@d> NOTIFY=NEVER\\r\\n'

The way to READY is in ClientGreeting.py. What the session is inside of while it is READY::

    NOTHING --data()--> ASKED --354--> OPEN      NOTHING --auth()--> AUTH <--auth_line()-- 334
       ^------refused----'----end_data()-'          ^---235, refused--'
    any --failure, early refusal, QUIT--> OVER

Rules. To a server without PIPELINING one command is sent at a time, the rest waits here. Replies
belong to commands in order; one that nobody asked for, or that does not fit its command (a 250 to
RCPT after a refused MAIL), means that we and the server no longer speak of the same thing: the
session fails. A refusal in the middle of a message is given out at once as the reply to the dot;
the message can then neither be finished nor anything else be said, so the session is over. A server
that *accepts* an unfinished message has lost its place: that fails, too. 421 is SHUTTING_DOWN and
answers all that is open. LMTP (RFC 2033) has one reply for each recipient after the dot; they are
made one: a mixed result is temporary, though some have their message then.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from Kamaelia.Exceptions import LocalProtocolError
from Kamaelia.Support.Protocol.SMTP.Address import Path
from Kamaelia.Support.Protocol.SMTP.ClientCommands import (
    ClientCommand,
    EndData,
    GiveAuth,
    GiveAuthLine,
    GiveRecipient,
    GiveSender,
    Greet,
    ResetTransaction,
    StartData,
)
from Kamaelia.Support.Protocol.SMTP.ClientGreeting import ClientGreeting, Phase, TLSPolicy
from Kamaelia.Support.Protocol.SMTP.CommandLines import (
    auth_response,
    auth_start,
    hello_name,
    mail_line,
    rcpt_line,
)
from Kamaelia.Support.Protocol.SMTP.Events import (
    ClientEvent,
    DataReceived,
    FailReason,
    Parameters,
    ReplyReceived,
    SessionFailed,
)
from Kamaelia.Support.Protocol.SMTP.Replies import (
    Reply,
    ReplyLimits,
    ReplyParser,
    ReplySyntaxError,
)

DOT = "."  # stands for the end of the message where a command name is asked for
_MIXED = Reply.of(451, "4.3.0", "not every recipient was served, try again later")


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """How much we take from a server."""

    replies: ReplyLimits = field(default_factory=ReplyLimits)


DEFAULT_LIMITS = ClientLimits()


class _Inside(Enum):
    NOTHING = auto()
    ASKED = auto()  # DATA was given, its reply has not come
    OPEN = auto()  # 354 came, the dot is not sent
    AUTH = auto()
    GOODBYE = auto()  # QUIT was given


# Looking a member up in its Enum costs as much as all else that a command is checked for.
_NOTHING, _OPEN = _Inside.NOTHING, _Inside.OPEN


class ClientSession(ClientGreeting):
    """ClientSession(helo_name, *, lmtp=False, tls=TLSPolicy.OFF, description=None,
    preceded=False) -> one session with a server; see the module for its states and rules.

    description: who the client is that we speak for, see Xclient.encode_description. A server that
    cannot be told that fails the session. preceded: something that is not SMTP, such as a PROXY
    header, is sent before all else; a server that refuses EHLO then has not taken it."""

    __slots__ = (
        *("_accepted", "_dot_replies", "_eof", "_failure", "_inside", "_sender_refused", "_tail"),
        *("_transaction", "_withheld"),
        *("after_dot", "authenticated", "due", "mail_accepted", "messages", "receive_data"),
        "refusals",
    )

    def __init__(
        self,
        helo_name: str,
        *,
        limits: ClientLimits = DEFAULT_LIMITS,
        lmtp: bool = False,
        tls: TLSPolicy = TLSPolicy.OFF,
        description: Mapping[str, str | None] | None = None,
        preceded: bool = False,
    ) -> None:
        parser = ReplyParser(limits.replies)
        self.receive_data = parser.receive_data  # in any slices; not a call more for each piece
        super().__init__(
            parser,
            hello_name(helo_name),
            lmtp=lmtp,
            tls=tls,
            description=description,
            preceded=preceded,
        )
        self._inside = _NOTHING
        self.due: deque[str] = deque()  # commands whose reply is due
        self._withheld: deque[tuple[str, bytes]] = deque()  # until those are answered
        self._tail = b"\r\n"  # the last bytes of the message so far
        self._sender_refused = False
        self._transaction = False  # MAIL was accepted; neither the dot nor RSET was answered
        self._accepted = 0  # recipients of the transaction
        self._dot_replies: list[Reply] = []  # of LMTP, so far
        self._failure: SessionFailed | None = None  # one that is not the answer to anything
        self._eof = False
        self.after_dot = False  # of the latest message: its reply may take long
        self.authenticated = False
        self.mail_accepted = False  # ever: before that, another server may be asked instead
        self.messages = 0  # that were accepted
        self.refusals = 0  # replies to commands, with 4xx or 5xx

    # --- what the owner can see -------------------------------------------------------------

    @property
    def in_data(self) -> bool:
        """Whether 354 came and the dot is not sent: closing now loses no accepted message."""
        return self._inside is _OPEN

    @property
    def outstanding(self) -> int:
        """How many commands have no reply yet; the end of a message counts as one."""
        return len(self.due) + len(self._withheld)

    @property
    def reusable(self) -> bool:
        """Whether somebody else's mail may go over this connection now.

        Not in a transaction, not after AUTH, and not as the wrong client: one who was described
        must be replaced by `describe`, which Postfix allows once for each connection. `messages`
        and `refusals` are for the owner to judge by."""
        return (
            self._is_idle()
            and not (self._eof or self.parser.pending or self.authenticated)
            and (not self._told or b"ADDR" in self.capabilities.xclient)
        )

    # --- what the owner can say -------------------------------------------------------------

    def say(self, command: ClientCommand) -> None:
        """Do what the command is called for; see the methods that follow. Greet has been done."""
        kind = type(command)  # those of every message first: no table is as fast
        known: Any = command
        if kind is GiveRecipient:
            self.rcpt(known.path, known.parameters)
        elif kind is GiveSender:
            self.mail(known.path, known.parameters)
        elif kind is StartData:
            self.data()
        elif kind is DataReceived:
            self.send_data(known.data)
        elif kind is EndData:
            self.end_data()
        else:
            _SAY[kind](self, command)

    def mail(self, path: Path, parameters: Parameters) -> None:
        """Begin a transaction. SIZE is left out for a server that does not know it (RFC 1870)."""
        if "SIZE" in parameters and not self.capabilities.size_offered:
            parameters = {key: value for key, value in parameters.items() if key != "SIZE"}
        self._command("MAIL", mail_line(path, parameters))
        self.after_dot = False

    def rcpt(self, path: Path, parameters: Parameters) -> None:
        self._command("RCPT", rcpt_line(path, parameters))

    def data(self) -> None:
        self._command("DATA", b"DATA\r\n")
        self._inside = _Inside.ASKED

    def reset(self) -> None:
        self._command("RSET", b"RSET\r\n")

    def quit(self) -> None:
        """Say goodbye; after the end of the session that is no longer possible, and no error."""
        if not self.closed:
            self._command("QUIT", b"QUIT\r\n")
            self._inside = _Inside.GOODBYE

    def send_data(self, chunk: bytes) -> None:
        """Send a piece of the message in wire form, as DataReceived gives it: not stuffed again."""
        if self._inside is not _OPEN:
            if self.closed:
                return  # the server has refused the message already
            raise LocalProtocolError("message data before the server said 354")
        self.out += chunk
        self._tail = chunk[-2:] if len(chunk) > 1 else (self._tail + chunk)[-2:]

    def end_data(self) -> None:
        """Send the dot: from here on the message may have been accepted."""
        if self.closed:
            return
        if self._inside is not _OPEN or self._tail != b"\r\n":
            raise LocalProtocolError("the message has not begun, or ends inside a line")
        self._inside = _NOTHING
        self.after_dot = True
        self.due.append(DOT)
        self.out += b".\r\n"

    def auth(self, mechanism: bytes, initial: bytes | None) -> None:
        """Begin AUTH (RFC 4954) with what a client said. Nothing else may be said before its end.

        initial: base64; empty: the "=" of an empty response; None: there was none."""
        if not self._is_idle() or self.authenticated:
            raise LocalProtocolError("AUTH outside a session, inside a transaction, or twice")
        self._command("AUTH", auth_start(mechanism, initial))
        self._inside = _Inside.AUTH

    def auth_line(self, line: bytes) -> None:
        """Answer a 334 with what the client said to it: base64, or "*" to give up."""
        if self._inside is not _Inside.AUTH or self.due:
            raise LocalProtocolError("the server has asked for nothing")
        self.out += auth_response(line)
        self.due.append("AUTH")

    def describe(self, description: Mapping[str, str | None]) -> None:
        """Tell the server of the next client, between two transactions; ends with Ready, or fails.

        What was said of the client before and is not said of this one is taken back."""
        if not (description and self._is_idle()):
            raise LocalProtocolError("a client is described between two transactions")
        self._set_description({**dict.fromkeys(self._told), **description})
        self._failure = self._tell_client()

    def _is_idle(self) -> bool:
        quiet = not (self.due or self._withheld or self._transaction)
        return quiet and self._inside is _NOTHING and self.ready

    # --- bytes and events -------------------------------------------------------------------

    def receive_eof(self) -> None:
        self._eof = True

    def next_event(self) -> ClientEvent | None:
        """Return the next event; None: more data is wanted, or all is over."""
        parser = self.parser
        while not self.closed:
            if self.ready:
                if not parser.unread and not self._eof:
                    return None
            elif self._phase is Phase.HANDSHAKE and parser.pending:
                return self._fail(FailReason.SYNTAX, None)
            try:
                reply = parser.next_reply()
            except ReplySyntaxError:
                return self._fail(FailReason.SYNTAX, None)
            if reply is None:
                return self._lost() if self._eof else None
            event = self._answer(reply) if self.ready else self._greeted(reply)
            if event is not None:
                return event
        failure, self._failure = self._failure, None
        return failure

    # --- replies to commands ------------------------------------------------------------------

    def _answer(self, reply: Reply) -> ClientEvent | None:
        code = reply.code
        if code == 421:
            return self._fail(FailReason.SHUTTING_DOWN, reply)
        if not self.due:
            return self._unasked(reply)
        if self._lmtp and self.due[0] == DOT and not 300 <= code <= 399:
            self._dot_replies.append(reply)
            if len(self._dot_replies) < self._accepted:
                return None
            reply = self._fold()
            code = reply.code
        command = self.due.popleft()
        if not self._fits(command, code):
            return self._fail(FailReason.SYNTAX, reply)
        if code >= 400:
            self.refusals += 1
        if command == "QUIT":
            self._stop()
        elif self._withheld and not self.due:
            name, line = self._withheld.popleft()
            self.due.append(name)
            self.out += line
        return ReplyReceived(command, reply)

    def _unasked(self, reply: Reply) -> ClientEvent:
        """Only a message that is refused before its end is answered without being asked."""
        if not self.in_data or reply.code < 400:
            return self._fail(FailReason.SYNTAX, reply)
        self._stop()
        self.refusals += 1
        return ReplyReceived(DOT, reply)

    def _fold(self) -> Reply:
        """Make one reply of those to all recipients (RFC 2033, section 4.2)."""
        replies, self._dot_replies = self._dot_replies, []
        refusals = [reply for reply in replies if reply.code >= 400]
        if not refusals:
            return replies[0]
        return refusals[0] if len(refusals) == len(replies) else _MIXED

    def _fits(self, command: str, code: int) -> bool:
        """Note what the reply means for the transaction; return whether it makes sense."""
        refused = code >= 400
        if command == "RCPT":
            if self._sender_refused:
                return refused
            self._accepted += not refused
        elif command == "MAIL":
            self._sender_refused = refused
            self._accepted = 0
            if code < 300:
                self._transaction = self.mail_accepted = True
        elif command == "DATA":
            can_open = not self._sender_refused and (self._accepted > 0 or not self._lmtp)
            opens = code == 354 and can_open
            self._inside = _OPEN if opens else _NOTHING
            self._tail = b"\r\n"  # of the DATA command: an empty message may end at once
            return opens or refused
        elif command == DOT:
            self._transaction = False
            self.messages += code < 300
        elif command == "AUTH":
            return self._take_auth(code)
        elif command == "RSET" and not refused:
            self._transaction = False
        return refused or code < 300

    def _take_auth(self, code: int) -> bool:
        if code != 334:
            self._inside = _NOTHING
            self.authenticated = code == 235
        return code >= 400 or code in {235, 334}

    # --- writing commands ---------------------------------------------------------------------

    def _command(self, name: str, line: bytes) -> None:
        if self._inside is not _NOTHING or not self.ready:
            raise LocalProtocolError(f"{name} outside a session, or inside a message or AUTH")
        if self.due and not self.capabilities.pipelining:
            self._withheld.append((name, line))
        else:
            self.due.append(name)
            self.out += line

    # --- ends ---------------------------------------------------------------------------------

    def _lost(self) -> SessionFailed | None:
        """The server closed the connection, which is no failure if only QUIT was open."""
        if self._inside is _Inside.GOODBYE and self.outstanding == 1:
            self._stop()
            return None
        return self._fail(FailReason.LOST, None)

    def _stop(self) -> None:
        super()._stop()
        self._inside = _NOTHING
        self.due.clear()
        self._withheld.clear()


_SAY: dict[type, Callable[[ClientSession, Any], None]] = {
    GiveAuth: lambda session, command: session.auth(command.mechanism, command.initial),
    GiveAuthLine: lambda session, command: session.auth_line(command.line),
    Greet: lambda _session, _command: None,
    ResetTransaction: lambda session, _: session.reset(),
}
