"""
STARTTLS, AUTH, XCLIENT and BDAT of a server session
====================================================
The middle layer of ServerSession. All four are off unless the offer has them:

>>> from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities
>>> from Kamaelia.Support.Protocol.SMTP.ServerSession import ServerSession
>>> session = ServerSession("mx.example.org", capabilities=lambda: Capabilities(starttls=True))
>>> session.greet()
>>> for line in (b"EHLO client.example\\r\\n", b"STARTTLS\\r\\n"):
...     session.receive_data(line)
...     print(session.next_event())
HelloReceived(verb='EHLO', name=b'client.example')
TLSRequested()
>>> session.tls_started()  # the owner did the handshake in between
>>> session.tls, session.hello_name
(True, b'')

States::

    READY --STARTTLS: 220, TLSRequested--> TLS --tls_started()--> HELLO
    READY --AUTH: AuthRequested, 334--> AUTH --a line: AuthResponse, 334--> AUTH
                            |                          +--any other reply--> READY
                            +--any other reply--> READY
    READY --XCLIENT: ClientDescribed, 220--> HELLO --XCLIENT: the same again--> HELLO
    MAIL --BDAT: DataRequested--> CHUNKS --BDAT LAST: MessageComplete--> MAIL --reply--> READY
                                    +--RSET, EHLO: MessageFailed, TransactionReset--> READY

Rules. What came in plain text never takes effect behind STARTTLS (CVE-2011-0411): it ends the
session. AUTH is hidden, and refused, without TLS; what a client says there is in no repr and no
reply. A chunk is eaten whatever becomes of its message, so that its text is never taken for a
command (CVE-2017-16944 was such a confusion); where nobody can know how long it is the session
ends. Once a chunk was refused all others of its message are, until LAST or RSET. A message must not
lose its beginning.
"""

import re
from dataclasses import replace

from Kamaelia.Exceptions import LocalProtocolError
from Kamaelia.Support.Protocol.SMTP.Body import Fault
from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities
from Kamaelia.Support.Protocol.SMTP.Chunking import ChunkedMessage, parse_bdat
from Kamaelia.Support.Protocol.SMTP.Events import (
    AuthRequested,
    AuthResponse,
    ClientDescribed,
    DataReceived,
    DataRequested,
    EndReason,
    MessageComplete,
    MessageFailed,
    TLSRequested,
    TransactionReset,
)
from Kamaelia.Support.Protocol.SMTP.Offer import NO_OFFER
from Kamaelia.Support.Protocol.SMTP.Refusals import (
    ABSENT,
    AUTH_FAILURES,
    EARLY,
    FAULTS,
    GREETING_FIRST,
    KNOWN,
    LONG_RESPONSE,
    NO_CHUNK,
    NO_MECHANISM,
    NO_PARAMETERS,
    NO_RECIPIENT_NOW,
    NO_VALID_RECIPIENTS,
    NOT_BASE64,
    NOT_NOW,
    RCPT_FIRST,
    SMUGGLING,
    STRANGER,
    TAKEN_BACK,
    TLS_FIRST,
    UNDER_TLS,
)
from Kamaelia.Support.Protocol.SMTP.Replies import Reply
from Kamaelia.Support.Protocol.SMTP.ServerState import ServerState, State
from Kamaelia.Support.Protocol.SMTP.Xclient import parse_xclient

RESPONSE_BYTES = 12_288  # with CR LF (RFC 4954, section 4)
GIVEN_UP = b"*"
_is_initial = re.compile(rb"[A-Za-z0-9+/]+={0,2}|=").fullmatch
_is_response = re.compile(rb"[A-Za-z0-9+/]*={0,2}|\*").fullmatch
_START_TLS = b"220 2.0.0 Ready to start TLS\r\n"


class ServerExtensions(ServerState):
    """What a server session can do beyond the plain commands; see the module."""

    __slots__ = ()

    # --- STARTTLS ---------------------------------------------------------------------------

    def tls_started(self) -> None:
        """The handshake is done: the client begins again with EHLO (RFC 3207, section 4.2).

        LocalProtocolError unless a TLSRequested came.
        """
        if self.closed:
            return  # the handshake took longer than the owner's time-out
        if self._state is not State.TLS:
            raise LocalProtocolError("the client has not asked for TLS")
        self._state = State.HELLO
        self.tls = True
        self._forget_client()

    def _on_starttls(self, _verb: str, argument: bytes) -> None:
        if self.unread:
            self._abuse(EARLY)
        elif self.tls:
            self._refuse(UNDER_TLS)
        elif not self._offer.capabilities.starttls:
            self._refuse(GREETING_FIRST if self._state is State.HELLO else ABSENT)
        elif argument:
            self._refuse(NO_PARAMETERS)
        else:
            self._leave_transaction()
            self.out += _START_TLS
            self._state = State.TLS
            self.events.append(TLSRequested())

    def _leave_transaction(self) -> None:
        """Tell the owner that nothing comes of what was begun, and forget it."""
        if self.in_transaction:
            if self._state is State.CHUNKS and self.in_data:
                # The real server has half a message by now, which must not get its dot.
                self.events.append(MessageFailed(TAKEN_BACK.tagged(self._tag)))
            self.events.append(TransactionReset())
        self._clear_transaction()

    # --- AUTH -------------------------------------------------------------------------------

    def _on_auth(self, _verb: str, argument: bytes) -> None:
        mechanism, _, initial = argument.partition(b" ")
        mechanism, initial = mechanism.upper(), initial.lstrip(b" ")
        if self._offer.auth_hidden:
            self._refuse(TLS_FIRST)
        elif not self._offer.capabilities.auth:
            self._refuse(GREETING_FIRST if self._state is State.HELLO else ABSENT)
        elif self.authenticated:
            self._refuse(KNOWN)
        elif self._state is not State.READY:
            self._refuse(NOT_NOW)
        elif mechanism not in self._offer.capabilities.auth:
            self._refuse(NO_MECHANISM)
        elif initial and not _is_initial(initial):
            self._refuse(NOT_BASE64)
        else:
            self.events.append(AuthRequested(mechanism, initial or None))

    def _read_response(self) -> bool:
        """Read the line that answers a 334."""
        start = self._start
        end = self.unread.find(b"\n", start, start + RESPONSE_BYTES) + 1
        if not end:
            if len(self.unread) - start < RESPONSE_BYTES:
                return False
            self._abuse(LONG_RESPONSE)
            return True
        line = self.unread[start:end]
        self._consume(end)
        response = line[:-2]
        # What is no base64 cannot be handed on, yet somebody waits for it: they hear "never mind".
        good = line.endswith(b"\r\n") and _is_response(response) is not None
        self.events.append(AuthResponse(response if good else GIVEN_UP))
        return True

    def _auth_answered(self, reply: Reply) -> None:
        if reply.code == 334:
            self._state = State.AUTH
            return
        self._state = State.READY
        if reply.code == 235:
            self.authenticated = True
            return
        self._auth_failures += 1
        if self._auth_failures >= self._limits.max_auth_failures:
            self._send(AUTH_FAILURES.tagged(self._tag))
            self._end(EndReason.ERRORS)

    # --- XCLIENT ----------------------------------------------------------------------------

    def _on_xclient(self, _verb: str, argument: bytes) -> None:
        if not self._xclient_allowed:
            self._refuse(STRANGER)
        elif not self._offer.capabilities.xclient:
            self._refuse(GREETING_FIRST if self._state is State.HELLO else STRANGER)
        elif self._state not in (State.READY, State.HELLO):  # HELLO: behind another XCLIENT
            self._refuse(NOT_NOW)
        else:
            attributes = parse_xclient(argument)
            offered = self._offer.capabilities.xclient
            if not {name.encode("ascii") for name in attributes} <= offered:
                self._error(501, "5.5.4", "XCLIENT attribute not offered")
                return
            self._forget_client()
            # What does not fit into one command comes in several, with EHLO between them or not.
            self._offer = replace(NO_OFFER, capabilities=Capabilities(xclient=offered))
            self._state = State.HELLO
            self.out += self._greeting
            self.events.append(ClientDescribed(attributes))

    # --- BDAT -------------------------------------------------------------------------------

    def _on_bdat(self, _verb: str, argument: bytes) -> None:
        found = parse_bdat(argument)
        if not self._offer.capabilities.chunking:
            # Behind BDAT comes text of a length that we did not agree to: no commands, please.
            self._abuse(ABSENT)
            return
        if found is None:
            self._abuse(NO_CHUNK)
            return
        chunks, self._state = self._chunks, State.CHUNKS
        if first := chunks is None:
            chunks = self._chunks = ChunkedMessage()
            if not self._accepted:
                chunks.refusal = self._no_recipients()
        chunks.begin(found[0], last=found[1])
        if chunks.refusal is None and chunks.total > self._offer.message_limits.message_bytes:
            self._fail_chunks(chunks, Fault.TOO_LARGE)
        if first and chunks.refusal is None:
            self.events.append(DataRequested())  # the chunk waits for its reply
        elif not chunks.left:
            self._end_chunk(chunks)

    def _no_recipients(self) -> Reply:
        """Return what DATA or BDAT hears without a good recipient: whether another try helps."""
        if self._any_permanent:
            return NO_VALID_RECIPIENTS.tagged(self._tag)
        return (NO_RECIPIENT_NOW if self._any_temporary else RCPT_FIRST).tagged(self._tag)

    def _chunks_answered(self, chunks: ChunkedMessage, reply: Reply) -> None:
        """The owner answered DataRequested; the client hears of a refusal behind its chunk."""
        if reply.code == 354:
            chunks.open(self._offer.message_limits)
        else:
            chunks.refusal = reply
        if not chunks.left:
            self._end_chunk(chunks)

    def _read_chunk(self, chunks: ChunkedMessage) -> bool:
        piece = self.unread[self._start : self._start + chunks.left]
        self._consume(self._start + len(piece))
        self._pass_on(chunks, chunks.receive_data(piece))
        if not chunks.left:
            self._end_chunk(chunks)
        return True

    def _pass_on(self, chunks: ChunkedMessage, data: bytes) -> None:
        if data:
            self.events.append(DataReceived(data))
        if chunks.refusal is None and chunks.fault is not None:
            self._fail_chunks(chunks, chunks.fault)

    def _fail_chunks(self, chunks: ChunkedMessage, fault: Fault) -> None:
        refusal = FAULTS[fault].tagged(self._tag)
        if chunks.is_open:
            self.events.append(MessageFailed(refusal))
        chunks.refusal = refusal

    def _end_chunk(self, chunks: ChunkedMessage) -> None:
        if chunks.last:
            self._pass_on(chunks, chunks.finish())
        refusal = chunks.refusal
        if refusal is not None:
            self._refuse_chunk(chunks, refusal)
        elif not chunks.last:
            wire = b"250 2.0.0 %d octets received\r\n" % chunks.octets
            if chunks.octets:
                self.out += wire
            else:
                self._idle(wire)
        else:
            self._state, self._chunks = State.MAIL, None
            self.events.append(MessageComplete(chunks.size))

    def _refuse_chunk(self, chunks: ChunkedMessage, refusal: Reply) -> None:
        if chunks.fault in SMUGGLING:
            self._send(refusal)
            self._end(EndReason.ABUSE)
            return
        if chunks.last:
            self._clear_transaction()
            self.events.append(TransactionReset())
        self._idle(refusal.to_wire())

    def _consume(self, end: int) -> None:
        """What stands before `end` was read; an empty buffer says that nothing is left."""
        if end < len(self.unread):
            self._start = end
        else:
            self.unread, self._start = b"", 0
