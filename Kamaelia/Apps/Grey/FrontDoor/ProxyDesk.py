"""
The proxy's desk: one client's mail between greylister and real server
======================================================================
Events of the client's session come in; attempts go to the decider, commands to the real mail
server, replies back to the client. The rule: **the client hears about its message only what the
real server said.**

What answers what::

    RCPT, decider says defer or reject   451 or 550, ours
    RCPT, decider says pass              the server's reply to MAIL if it refused that, else to RCPT
    DATA                                 the server's reply; the message begins only after its 354
    the final dot                        the server's reply
    the server is away, before the dot   451 4.4.1 or 4.4.2
    the server is away, after the dot    451 4.4.2 and "unknown" in the log: it may have the message
    the server says 421                  421

The connection to the server is made at the first recipient that passes, so a stranger costs it
nothing, and is used again for the client's next messages. If there is none, or it turns out dead,
before any recipient was taken, other servers are tried, and this one once more. A client that logs
in stays with the server that knows it.

Recipients of one message whose mail goes to different servers, and all but one for a server that
speaks LMTP, hear 452: their sender comes back with them at once, in a message of their own.

A stranger who would be deferred hears first of all if there is no such recipient, when a verifier
is there to be asked: a final refusal must not hide behind a temporary one.

A message is never called complete that is not: when the client goes away inside it, or it breaks
the rules, the server's connection is dropped without the dot. When the client goes away after the
dot, the server's answer is still waited for, and logged."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from Axon.AtOnce import act_at_once
from Axon.AxonExceptions import noSpaceInBox
from Axon.Box import Inbox, Outbox
from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Kamaelia.Apps.Grey.Core.Outcome import Fate
from Kamaelia.Apps.Grey.Core.Types import Attempt, Decision, Verdict
from Kamaelia.Apps.Grey.FrontDoor.Backend import Backend
from Kamaelia.Apps.Grey.FrontDoor.RelayPool import ClientFacts, RelayPool
from Kamaelia.Apps.Grey.FrontDoor.ServerSide import (
    LOGGED_OUT,
    LOST,
    NO_AUTH,
    RELAY_DENIED,
    ServerSide,
    Transaction,
)
from Kamaelia.Apps.Grey.FrontDoor.VerifyCache import Verified
from Kamaelia.Support.Protocol.SMTP.Address import NULL_PATH
from Kamaelia.Support.Protocol.SMTP.ClientCommands import (
    EndData,
    GiveAuth,
    GiveAuthLine,
    ResetTransaction,
    StartData,
)
from Kamaelia.Support.Protocol.SMTP.Events import (
    AuthRequested,
    AuthResponse,
    DataReceived,
    DataRequested,
    HelloReceived,
    MessageComplete,
    MessageFailed,
    RecipientGiven,
    SenderGiven,
    ServerEvent,
    SessionEnded,
    TransactionReset,
)
from Kamaelia.Support.Protocol.SMTP.Replies import Reply

if TYPE_CHECKING:
    from Kamaelia.Apps.Grey.FrontDoor.Verifier import Verifier

log = logging.getLogger(__name__)


_START, _DOT = StartData(), EndData()  # nothing is in them: one of each will do
_PASS, _DEFER = Verdict.PASS, Verdict.DEFER  # a look into the Enum costs as much as a message


@dataclass(slots=True)
class WholeMessage:
    """A message that came in one piece with its end: DataReceived and MessageComplete in one."""

    data: bytes
    size: int


class ProxyDesk(ServerSide, component):
    """ProxyDesk(client, session, backend, clock, relays=None, verifier=None, facts=None) -> the
    desk for the client with that address.

    session: the id that stands in replies and the log. backend: the server to which "to_backend"
    leads, if it is linked; else relays lends one for each recipient's domain, and facts says who it
    is told the client is. clock: seconds since the epoch, for the log. It acts on each message
    inside the send() that brings it."""

    Inboxes = {
        "inbox": "ServerEvent or WholeMessage: what the client does; full while the server takes no"
        " more of it",
        "decisions": "Decision: one an Attempt, in order; Verified: what the verifier was asked",
        "backend": "ClientEvent or Abandoned: from the real server's session",
        "control": "shutdownMicroprocess: stop now",
    }
    Outboxes = {
        "outbox": "Reply: to the client's session, one for each event that needs one",
        "attempts": "Attempt: to the decider",
        "to_backend": "ClientCommand, or a tuple of some that go together: to the relay",
        "abandon": "producerFinished: drop the real server's session",
        "outcomes": "Outcome: one for each message that reached the real server",
        "signal": "producerFinished: the client's session is over",
    }

    lazy_boxes = True  # a client that is refused needs four of them
    woken_by_collection = False  # it asks for room itself
    handles_secrets = True  # passwords pass: what is said of a fault shows no variables

    def __init__(
        self,
        client: str,
        session: str,
        backend: Backend | None,
        clock: Callable[[], float],
        relays: RelayPool | None = None,
        verifier: Verifier | None = None,
        facts: ClientFacts | None = None,
    ) -> None:
        super().__init__()
        self._client = client
        self._id = session
        self._backend = backend
        self._clock = clock
        self._relays = relays
        self._verifier = verifier
        self._facts = facts
        self._helo = ""
        self._said: tuple[int, Reply] | None = None  # how long a recipient has to wait
        self._esmtp = True
        self._over = False

    def axon_box_made(self, box: Inbox | Outbox) -> None:
        """All but the shutdown is acted on as it comes."""
        if box.name == "inbox":
            act_at_once(self, "inbox", self._handle)
        elif box.name == "decisions":
            act_at_once(self, "decisions", self._decided)
        elif box.name == "backend":
            act_at_once(self, "backend", self._hear)

    def main(self) -> Iterator[object]:
        while not self._over or self._owed():
            for message in self.Inbox("control"):
                if isinstance(message, shutdownMicroprocess):
                    return
            if self._kept:
                commands, self._kept = self._kept, []
                self._say(tuple(commands))
            if not self._kept:
                self._let_go_on()
            if not self._over or self._owed():
                self.pause()
            yield 1
        self._leave_server()
        self.send(producerFinished(self), "signal")

    def _closeDownMicroprocess(self) -> object:
        # However it ends, by a fault or with the program: the log says what we knew last, and the
        # server's session is not for the next client.
        transaction, self._transaction = self._transaction, Transaction(NULL_PATH, {})
        if transaction.after_dot:
            self._log_outcome(transaction, Fate.UNKNOWN, "stopped")
        elif transaction.in_data:
            self._log_outcome(transaction, Fate.ABANDONED, "stopped")
        self._leave_server(drop=True)
        return super()._closeDownMicroprocess()

    def _owed(self) -> bool:
        """The client is gone, but the server has yet to say what became of its message."""
        return self._transaction.after_dot

    # ---- what the client does

    def _handle(self, event: ServerEvent | WholeMessage) -> None:
        """Raises noSpaceInBox while the server does not take what came before."""
        if self._kept and not isinstance(event, SessionEnded):
            raise noSpaceInBox(1, 1)
        _HANDLERS[type(event)](self, event)

    def _hello(self, event: HelloReceived) -> None:
        self._helo = event.name.decode("ascii", "backslashreplace")
        self._esmtp = event.verb == "EHLO"

    def _sender(self, event: SenderGiven) -> None:
        self._transaction = transaction = Transaction(event.path, event.parameters)
        transaction.sender_text = event.path.text

    def _recipient(self, event: RecipientGiven) -> None:
        transaction = self._transaction
        transaction.pending = event
        transaction.offered = transaction.retried = False
        if self._tried:
            self._tried.clear()
        if self._logged_out:
            # Whom we would ask about now is a stranger, who hears 550 or waits: this one does not.
            self._answer_recipient(LOGGED_OUT.tagged(self._id))
            return
        path = event.path
        text = transaction.recipient_text = path.text
        self.send(
            Attempt(
                self._client,
                self._helo,
                transaction.sender_text,
                text,
                self._id,
                path.local.decode("utf-8", "backslashreplace"),
                path.domain.decode("utf-8", "backslashreplace"),
                authenticated=self._pinned,
                reply_to=(self, "decisions"),
            ),
            "attempts",
        )

    def _decided(self, decision: Decision | Verified) -> None:
        transaction = self._transaction
        pending = transaction.pending
        if self._over or pending is None:
            return
        if isinstance(decision, Verified):
            deferral, transaction.deferral = transaction.deferral, None
            if deferral is not None:
                refusal = decision.reply if not decision.found else None
                self._answer_recipient(deferral if refusal is None else refusal)
            return
        verdict = decision.verdict
        if verdict is _PASS:
            self._offer_recipient()
        elif verdict is _DEFER:
            reply = self._greylisted(decision.wait_seconds)
            if self._verifier is None:
                self._answer_recipient(reply)
            else:
                transaction.deferral = reply
                self._verifier.ask(self, transaction.sender, pending.path, self._facts_now())
        else:
            self._answer_recipient(RELAY_DENIED.tagged(self._id))

    def _greylisted(self, seconds: int) -> Reply:
        said = self._said  # nearly always the same number: of one who has just come
        if said is None or said[0] != seconds:
            unit = "second" if seconds == 1 else "seconds"
            text = f"Greylisted, please try again in {seconds} {unit}"
            said = self._said = seconds, Reply.of(451, "4.7.1", text).tagged(self._id)
        return said[1]

    def _data_requested(self, _: DataRequested) -> None:
        if self._connected and self._transaction.accepted:
            self._transaction.data_asked = True
            self._say(_START)
        else:
            self.send(LOST.tagged(self._id), "outbox")

    def _message_data(self, event: DataReceived) -> None:
        transaction = self._transaction
        if transaction.in_data and transaction.early is None:
            self._say(event)

    def _complete(self, event: MessageComplete) -> None:
        transaction = self._transaction
        transaction.size = event.size
        transaction.complete = True
        if transaction.early is not None:
            self._message_answered(transaction.early)
        elif self._connected:
            transaction.after_dot = True
            self._say(_DOT)
        else:
            self._message_answered(LOST.tagged(self._id))

    def _whole(self, event: WholeMessage) -> None:
        transaction = self._transaction
        if transaction.in_data and transaction.early is None and self._connected:
            transaction.size = event.size
            transaction.complete = transaction.after_dot = True
            self._say((DataReceived(event.data), _DOT))
        else:
            self._message_data(DataReceived(event.data))
            self._complete(MessageComplete(event.size))

    def _message_failed(self, event: MessageFailed) -> None:
        self._give_up(event.reply.text)

    def _reset(self, _: TransactionReset) -> None:
        if self._transaction.sender_given and self._connected:
            self._say(ResetTransaction())
        self._transaction = Transaction(NULL_PATH, {})

    def _session_ended(self, _: SessionEnded) -> None:
        self._over = True
        if self._transaction.in_data and not self._transaction.complete:
            self._give_up("client went away inside the message")
        self._transaction.pending = None
        self.unpause()  # main has the last word

    def _give_up(self, why: str) -> None:
        """The message will not be completed: the server must not take what it has for all of it."""
        if self._transaction.in_data:
            self._log_outcome(self._transaction, Fate.ABANDONED, why)
            self._transaction.in_data = False
        self._abandon()
        self._transaction = Transaction(NULL_PATH, {})

    # ---- logging in

    def _auth(self, event: AuthRequested) -> None:
        self._tried.clear()
        # With a connection of its own: one that was kept may have gone stale, and on ours the reply
        # to a RSET may be due.
        self._leave_server()
        if self._server_for(b"", fresh=True):
            self._authenticating = True
            self._say(GiveAuth(event.mechanism, event.initial))
        else:
            self.send(NO_AUTH.tagged(self._id), "outbox")

    def _auth_line(self, event: AuthResponse) -> None:
        self._clients_turn = False
        if self._connected:
            self._say(GiveAuthLine(event.line))
        else:
            self._auth_over(NO_AUTH.tagged(self._id))


_HANDLERS: dict[type, Callable[[ProxyDesk, Any], None]] = {
    HelloReceived: ProxyDesk._hello,
    SenderGiven: ProxyDesk._sender,
    RecipientGiven: ProxyDesk._recipient,
    DataRequested: ProxyDesk._data_requested,
    DataReceived: ProxyDesk._message_data,
    MessageComplete: ProxyDesk._complete,
    WholeMessage: ProxyDesk._whole,
    MessageFailed: ProxyDesk._message_failed,
    TransactionReset: ProxyDesk._reset,
    AuthRequested: ProxyDesk._auth,
    AuthResponse: ProxyDesk._auth_line,
    SessionEnded: ProxyDesk._session_ended,
}
__kamaelia_components__ = (ProxyDesk,)
