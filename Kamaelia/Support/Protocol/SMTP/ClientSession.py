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

States of the session, and of the message inside READY::

    BANNER --220--> EHLO --250----------> READY        NONE --data()--> ASKED --354--> OPEN
                      \\--5xx--> HELO --250--/           ^                |              |
    any --failure, early refusal, QUIT--> OVER          +----refused-----+--end_data()--+

Rules. To a server without PIPELINING one command is sent at a time, the rest waits here. Replies
belong to commands in order; one that nobody asked for, or that does not fit its command (a 250 to
RCPT after a refused MAIL), means that we and the server no longer speak of the same thing: the
session fails. A refusal in the middle of a message is given out at once as the reply to the dot;
the message can then neither be finished nor anything else be said, so the session is over. A server
that *accepts* an unfinished message has lost its place: that fails, too. Before Ready, a refusal is
BANNER or HELLO, whatever its code; after it, 421 is SHUTTING_DOWN and answers all that is open.
"""

import re
from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto

from Kamaelia.Exceptions import LocalProtocolError
from Kamaelia.Support.Protocol.SMTP.Address import Path
from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities
from Kamaelia.Support.Protocol.SMTP.Events import (
    ClientEvent,
    FailReason,
    Parameters,
    Ready,
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
_harmful = re.compile(rb"[\x00-\x1f\x7f]").search
_is_parameter = re.compile(rb"[A-Za-z0-9-]+(?:=[!-<>-~]+)?").fullmatch


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """How much we take from a server."""

    replies: ReplyLimits = field(default_factory=ReplyLimits)


DEFAULT_LIMITS = ClientLimits()


class _Phase(Enum):
    BANNER = auto()
    EHLO = auto()
    HELO = auto()
    READY = auto()
    OVER = auto()


class _Message(Enum):
    NONE = auto()
    ASKED = auto()  # DATA was given, its reply has not come
    OPEN = auto()  # 354 came, the dot is not sent


class ClientSession:
    """One session with a server; see the module for its states and rules."""

    __slots__ = (
        *("_eof", "_events", "_message", "_name", "_out", "_parser", "_phase", "_quitting"),
        *("_sender_refused", "_sent", "_tail", "_withheld", "capabilities", "failed"),
    )

    def __init__(self, helo_name: str, *, limits: ClientLimits = DEFAULT_LIMITS) -> None:
        self._name = helo_name.encode("ascii")
        if not self._name or _harmful(self._name):
            raise LocalProtocolError("EHLO needs a name without control characters")
        self._parser = ReplyParser(limits.replies)
        self._phase = _Phase.BANNER
        self._message = _Message.NONE
        self._events: deque[ClientEvent] = deque()
        self._out: list[bytes] = []
        self._sent: deque[str] = deque()  # commands whose reply is due
        self._withheld: deque[tuple[str, bytes]] = deque()  # until those are answered
        self._tail = b"\r\n"  # the last bytes of the message so far
        self._sender_refused = False
        self._quitting = False
        self._eof = False
        self.capabilities = Capabilities()
        self.failed = False

    # --- what the owner can see -------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether transactions are possible: greeted, and not over."""
        return self._phase is _Phase.READY

    @property
    def closed(self) -> bool:
        """Whether nothing more can be said here: close the connection."""
        return self._phase is _Phase.OVER

    @property
    def in_data(self) -> bool:
        """Whether 354 came and the dot is not sent: closing now loses no accepted message."""
        return self._message is _Message.OPEN

    @property
    def outstanding(self) -> int:
        """How many commands have no reply yet; the end of a message counts as one."""
        return len(self._sent) + len(self._withheld)

    # --- what the owner can say -------------------------------------------------------------

    def mail(self, path: Path, parameters: Parameters) -> None:
        """Begin a transaction. SIZE is left out for a server that does not know it (RFC 1870)."""
        if not self.capabilities.size_offered:
            parameters = {key: value for key, value in parameters.items() if key != "SIZE"}
        self._command("MAIL", b"MAIL FROM:" + _encode(path, parameters))

    def rcpt(self, path: Path, parameters: Parameters) -> None:
        self._command("RCPT", b"RCPT TO:" + _encode(path, parameters))

    def data(self) -> None:
        self._command("DATA", b"DATA\r\n")
        self._message = _Message.ASKED

    def reset(self) -> None:
        self._command("RSET", b"RSET\r\n")

    def quit(self) -> None:
        """Say goodbye; after the end of the session that is no longer possible, and no error."""
        if not self.closed:
            self._command("QUIT", b"QUIT\r\n")
            self._quitting = True

    def send_data(self, chunk: bytes) -> None:
        """Send a piece of the message in wire form, as DataReceived gives it: not stuffed again."""
        if self.closed:
            return  # the server has refused the message already
        if self._message is not _Message.OPEN:
            raise LocalProtocolError("message data before the server said 354")
        self._out.append(chunk)
        self._tail = (self._tail + chunk)[-2:] if len(chunk) < len(b"\r\n") else chunk[-2:]

    def end_data(self) -> None:
        """Send the dot: from here on the message may have been accepted."""
        if self.closed:
            return
        if self._message is not _Message.OPEN or self._tail != b"\r\n":
            raise LocalProtocolError("the message has not begun, or ends inside a line")
        self._message = _Message.NONE
        self._sent.append(DOT)
        self._out.append(b".\r\n")

    # --- bytes and events -------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        self._parser.receive_data(data)

    def receive_eof(self) -> None:
        self._eof = True

    def data_to_send(self) -> bytes:
        data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        return data

    def next_event(self) -> ClientEvent | None:
        """Return the next event; None: more data is wanted, or all is over."""
        while not self._events:
            if self.closed:
                return None
            try:
                reply = self._parser.next_reply()
            except ReplySyntaxError:
                self._fail(FailReason.SYNTAX, None)
                continue
            if reply is not None:
                self._take(reply)
            elif self._eof:
                self._lost()
            else:
                return None
        return self._events.popleft()

    def _take(self, reply: Reply) -> None:
        match self._phase:
            case _Phase.BANNER:
                if reply.code == 220:
                    self._greet(_Phase.EHLO, b"EHLO ")
                else:
                    self._fail(FailReason.BANNER, reply)
            case _Phase.EHLO if reply.is_permanent:
                self._greet(_Phase.HELO, b"HELO ")  # an old server (RFC 5321, section 3.2)
            case _Phase.EHLO | _Phase.HELO:
                self._take_hello(reply)
            case _:
                self._take_answer(reply)

    def _greet(self, phase: _Phase, verb: bytes) -> None:
        self._phase = phase
        self._out.append(verb + self._name + b"\r\n")

    def _take_hello(self, reply: Reply) -> None:
        if reply.code != 250:
            self._fail(FailReason.HELLO, reply)
            return
        if self._phase is _Phase.EHLO:
            self.capabilities = Capabilities.from_ehlo(reply.lines)
        self._phase = _Phase.READY
        self._events.append(Ready(self.capabilities))

    def _take_answer(self, reply: Reply) -> None:
        if reply.code == 421:
            self._fail(FailReason.SHUTTING_DOWN, reply)
        elif self._sent:
            command = self._sent.popleft()
            if not self._fits(command, reply):
                self._fail(FailReason.SYNTAX, reply)
                return
            self._events.append(ReplyReceived(command, reply))
            if command == "QUIT":
                self._stop()
            self._send_withheld()
        elif self.in_data and (reply.is_temporary or reply.is_permanent):
            self._stop()
            self._events.append(ReplyReceived(DOT, reply))
        else:
            self._fail(FailReason.SYNTAX, reply)

    def _fits(self, command: str, reply: Reply) -> bool:
        """Note what the reply means for the transaction; return whether it makes sense."""
        refused = reply.is_temporary or reply.is_permanent
        match command:
            case "MAIL":
                self._sender_refused = refused
            case "RCPT" if self._sender_refused:
                return refused
            case "DATA":
                opens = reply.code == 354 and not self._sender_refused
                self._message = _Message.OPEN if opens else _Message.NONE
                self._tail = b"\r\n"  # of the DATA command: an empty message may end at once
                return opens or refused
        return refused or reply.is_positive

    # --- writing commands -------------------------------------------------------------------

    def _command(self, name: str, line: bytes) -> None:
        if not self.ready or self._quitting:
            raise LocalProtocolError(f"{name} outside a session")
        if self._message is not _Message.NONE:
            raise LocalProtocolError(f"{name} inside a message")
        if self._sent and not self.capabilities.pipelining:
            self._withheld.append((name, line))
        else:
            self._sent.append(name)
            self._out.append(line)

    def _send_withheld(self) -> None:
        if self._withheld and not self._sent:
            name, line = self._withheld.popleft()
            self._sent.append(name)
            self._out.append(line)

    # --- ends -------------------------------------------------------------------------------

    def _lost(self) -> None:
        """The server closed the connection, which is no failure if only QUIT was open."""
        if self._quitting and self.outstanding == 1:
            self._stop()
        else:
            self._fail(FailReason.LOST, None)

    def _fail(self, reason: FailReason, reply: Reply | None) -> None:
        self._stop()
        self.failed = True
        self._events.append(SessionFailed(reason, reply))

    def _stop(self) -> None:
        self._phase = _Phase.OVER
        self._message = _Message.NONE
        self._sent.clear()
        self._withheld.clear()
        self._out.clear()


def _encode(path: Path, parameters: Parameters) -> bytes:
    words = [b"<%b>" % path.raw]
    for keyword, value in parameters.items():
        word = keyword.encode("ascii") + (b"" if value is None else b"=" + value)
        if not _is_parameter(word):
            raise LocalProtocolError("parameter would break the command line")
        words.append(word)
    if _harmful(path.raw):
        raise LocalProtocolError("address would break the command line")
    return b" ".join(words) + b"\r\n"
