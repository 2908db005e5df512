"""
What a server session keeps, and how it says no
===============================================
The lowest of the three layers of ServerSession: its states, its buffers, what it counts, and the
ways in which it answers, refuses and ends. ServerExtensions puts STARTTLS, AUTH, XCLIENT and BDAT
on top, ServerSession the plain commands and all that an owner calls.

>>> session = ServerState("mx.example.org", capabilities=Capabilities)
>>> session.close(Reply.of(421, "4.3.2", "busy"))
>>> session.closed, session.data_to_send()
(True, b'421 4.3.2 busy\\r\\n')

Rules. Our own refusals bear the session's tag, so that a postmaster can find it in the log, and
count as errors. So do commands that bring nothing forward, beyond `max_idle_commands` of them.
After `max_errors` between two accepted messages the client hears 421.
"""

from collections.abc import Callable
from enum import Enum, auto

from Kamaelia.Support.Protocol.SMTP.Body import BodyScanner
from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities
from Kamaelia.Support.Protocol.SMTP.Chunking import ChunkedMessage
from Kamaelia.Support.Protocol.SMTP.Events import EndReason, ServerEvent, SessionEnded
from Kamaelia.Support.Protocol.SMTP.Offer import DEFAULT_LIMITS, NO_OFFER, Offer, ServerLimits
from Kamaelia.Support.Protocol.SMTP.Refusals import TOO_MANY_ERRORS
from Kamaelia.Support.Protocol.SMTP.Replies import Reply


class State(Enum):
    """Where in the dialogue a session is."""

    GREETING = auto()
    HELLO = auto()
    READY = auto()
    MAIL = auto()
    BODY = auto()
    CHUNKS = auto()  # from the first BDAT of a message to its last, or RSET
    AUTH = auto()  # the next line answers a 334
    TLS = auto()  # STARTTLS has its 220; nothing is read until the handshake is done
    CLOSED = auto()


class Wait(Enum):
    """What the reply that is waited for will answer."""

    RECIPIENT = auto()
    DATA = auto()
    DOT = auto()
    AUTH = auto()


class ServerState:
    """The state of one server session; nothing here reads what the client says.

    `waiting`, `closed`, `errors`, `unread`, `events`, `eof` and `out` are for owners to read, after
    each command and so without the call of a property; nobody else sets them, but that an owner may
    empty `out` by itself.

    hostname: ASCII, the name that we greet with. capabilities: asked at each EHLO. tag: stands in
    our refusals, so that a postmaster can find the session in the log. xclient_allowed: the client
    is a front that may say for whom it speaks. tls: the connection was under TLS from its first
    byte.
    """

    __slots__ = (
        *("_ask_capabilities", "_hostname", "_limits", "_offer", "_tag", "_xclient_allowed"),
        *("_greeting", "_start", "_state", "_wait", "eof", "events", "out", "unread"),
        *("_accepted", "_any_permanent", "_any_temporary", "_body", "_chunks", "_recipients"),
        *("_auth_failures", "_idle_commands"),
        *("authenticated", "closed", "errors", "esmtp", "hello_name", "smtputf8", "tls", "waiting"),
    )

    def __init__(
        self,
        hostname: str,
        *,
        capabilities: Callable[[], Capabilities],
        limits: ServerLimits = DEFAULT_LIMITS,
        tag: str = "",
        xclient_allowed: bool = False,
        tls: bool = False,
    ) -> None:
        self._hostname = hostname
        self._ask_capabilities = capabilities
        self._limits = limits
        self._tag = tag
        self._xclient_allowed = xclient_allowed
        self.tls = tls
        self._state = State.GREETING
        self._wait: Wait | None = None
        self.waiting = False  # whether an event waits for its `reply`: do not feed more
        self.closed = False  # whether to close the connection once `data_to_send` has been sent
        self._greeting = b""
        self.events: list[ServerEvent] = []  # never more than three: a deque would be larger
        # What `data_to_send` will return: to add a reply to another costs less than list and join.
        self.out = b""
        self.unread = b""  # what the client has sent; always empty when all of it was read
        self._start = 0  # where the first unread command begins
        self.eof = False
        self._idle_commands = self._auth_failures = 0
        # Since the last accepted message; an owner may answer slowly after a few.
        self.errors = 0
        self._body: BodyScanner | None = None  # of a message that comes in more than one piece
        self._clear_transaction()
        self._forget_client()

    def _forget_client(self) -> None:
        """Begin again at EHLO, as RFC 3207 (section 4.2) asks after STARTTLS."""
        self._offer: Offer = NO_OFFER
        self.hello_name = b""
        self.esmtp = False
        self.authenticated = False

    def _clear_transaction(self) -> None:
        if self._state in (State.MAIL, State.BODY, State.CHUNKS):
            self._state = State.READY
        self.smtputf8 = False
        self._recipients = 0
        self._accepted = 0
        self._any_permanent = False
        self._any_temporary = False
        self._chunks: ChunkedMessage | None = None

    # --- what an owner may ask --------------------------------------------------------------

    @property
    def tag(self) -> str:
        """The session's short id, as it stands in our own replies."""
        return self._tag

    @property
    def in_transaction(self) -> bool:
        """Whether MAIL was taken, and neither the message was answered nor RSET said."""
        return self._state in (State.MAIL, State.BODY, State.CHUNKS)

    @property
    def in_data(self) -> bool:
        """Whether a message has begun and its end has not come."""
        if self._state is State.CHUNKS:
            return self._chunks is not None and self._chunks.is_open
        return self._state is State.BODY

    @property
    def has_event(self) -> bool:
        """Whether another event follows the last one, without more data or a reply."""
        return bool(self.events)

    def forbid_xclient(self) -> None:
        """It is no front that we speak with, but a client of its."""
        self._xclient_allowed = False

    def data_to_send(self) -> bytes:
        """Return what is to go to the client, once."""
        data, self.out = self.out, b""
        return data

    def close(self, reply: Reply) -> None:
        """End the session from any state, for instance with 421 after a time-out."""
        if not self.closed:
            self.events.clear()
            self._send(reply)
            self._close()

    # --- replies and ends -------------------------------------------------------------------

    def _send(self, reply: Reply) -> None:
        self.out += reply.wire or reply.to_wire()

    def _idle(self, wire: bytes) -> None:
        """Answer a command that brings nothing forward; beyond some it counts as an error."""
        self.out += wire
        self._idle_commands += 1
        if self._idle_commands > self._limits.max_idle_commands:
            self._count_error()

    def _error(self, code: int, enhanced: str, text: str) -> None:
        self._refuse(Reply.of(code, enhanced, text))

    def _refuse(self, reply: Reply) -> None:
        self._send(reply.tagged(self._tag))
        self._count_error()

    def _count_error(self) -> None:
        self.errors += 1
        if self.errors >= self._limits.max_errors:
            self._send(TOO_MANY_ERRORS.tagged(self._tag))
            self._end(EndReason.ERRORS)

    def _abuse(self, reply: Reply) -> None:
        self._send(reply.tagged(self._tag))
        self._end(EndReason.ABUSE)

    def _end(self, reason: EndReason) -> None:
        self.events.append(SessionEnded(reason, in_data=self.in_data))
        self._close()

    def _close(self) -> None:
        self._state = State.CLOSED
        self.closed, self.waiting = True, False
        self._wait = self._body = self._chunks = None
        self.unread, self._start = b"", 0
