"""
The proxy's desk: one client's mail between greylister and real server
======================================================================
Events of the client's session come in; attempts go to the decider, commands to the real mail
server, replies back to the client. The rule: **the client hears about its message only what the
real server said.**

What answers what::

    RCPT, decider says defer or reject   451 or 550, ours, or what a rule says
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
from Kamaelia.Apps.Grey.Core.Replies import hours
from Kamaelia.Apps.Grey.Core.Types import Attempt, Decision, Verdict
from Kamaelia.Apps.Grey.FrontDoor.Backend import Backend
from Kamaelia.Apps.Grey.FrontDoor.LoginName import LoginName
from Kamaelia.Apps.Grey.FrontDoor.RelayPool import ClientFacts, RelayPool
from Kamaelia.Apps.Grey.FrontDoor.RuleSide import RuleSide, reply_of
from Kamaelia.Apps.Grey.FrontDoor.ServerSide import (
    LOGGED_OUT,
    LOST,
    NO_AUTH,
    RELAY_DENIED,
)
from Kamaelia.Apps.Grey.FrontDoor.Transaction import Transaction
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
    from Kamaelia.Apps.Grey.FrontDoor.DoorRules import DoorRules
    from Kamaelia.Apps.Grey.FrontDoor.Verifier import Verifier
    from Kamaelia.Apps.Grey.FrontDoor.WayToDecider import WayToDecider

log = logging.getLogger(__name__)


_START, _DOT = StartData(), EndData()  # nothing is in them: one of each will do
_PASS, _DEFER = Verdict.PASS, Verdict.DEFER  # a look into the Enum costs as much as a message


@dataclass(slots=True)
class WholeMessage:
    """A message that came in one piece with its end: DataReceived and MessageComplete in one."""

    data: bytes
    size: int


class ProxyDesk(RuleSide, component):
    """ProxyDesk(client, session, backend, clock, relays=None, verifier=None, facts=None,
    rules=None) -> the desk for the client with that address.

    session: the id that stands in replies and the log. backend: the server to which "to_backend"
    leads, if it is linked; else relays lends one for each recipient's domain, and facts says who it
    is told the client is. clock: seconds since the epoch, for the log. rules: what the access rules
    want; None: there are none. It acts on each message inside the send() that brings it."""

    Inboxes = {
        "inbox": "ServerEvent or WholeMessage: what the client does; full while the server takes no"
        " more of it",
        "decisions": "Decision: one an Attempt, in order; Verified: what the verifier was asked",
        "backend": "ClientEvent or Abandoned: from the real server's session",
        "judged": "tuple: a Judged and its MessageDecision, of the rules of the DATA stage",
        "control": "shutdownMicroprocess: stop now",
    }
    Outboxes = {
        "outbox": "Reply: to the client's session, one for each event that needs one",
        "attempts": "Attempt or MessageAttempt: to the decider",
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
        rules: DoorRules | None = None,
    ) -> None:
        super().__init__()
        self._rules = rules
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
        self.way: WayToDecider | None = None  # of "attempts"; it ends with us

    def axon_box_made(self, box: Inbox | Outbox) -> None:
        """All but the shutdown is acted on as it comes."""
        if box.name == "inbox":
            act_at_once(self, "inbox", self._handle)
        elif box.name == "decisions":
            act_at_once(self, "decisions", self._decided)
        elif box.name == "backend":
            act_at_once(self, "backend", self._hear)
        elif box.name == "judged":
            act_at_once(self, "judged", self._message_decided)

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
            judged = self._transaction.judged
            if judged is not None and self._has_more:
                self._send_kept(judged)
            if not (self._over and not self._owed()) and not self._has_more:
                self.pause()
            yield 1
        self._leave_server()
        self.send(producerFinished(self), "signal")

    def _closeDownMicroprocess(self) -> object:
        # However it ends, by a fault or with the program: the log says what we knew last, and the
        # server's session is not for the next client.
        self._leave_tarpit(None)
        if self._transaction.judged is not None:
            self._forget_judged()
        transaction, self._transaction = self._transaction, Transaction(NULL_PATH, {})
        if transaction.after_dot:
            self._log_outcome(transaction, Fate.UNKNOWN, "stopped")
        elif transaction.in_data:
            self._log_outcome(transaction, Fate.ABANDONED, "stopped")
        self._leave_server(drop=True)
        if self.way is not None:
            self.way.end()
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
        if self._known is not None:
            self._known.helo = self._helo

    def _sender(self, event: SenderGiven) -> None:
        self._transaction = transaction = Transaction(event.path, event.parameters)
        transaction.sender_text = event.path.text
        self._mail = None

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
        rules = self._rules
        attempt = Attempt(
            self._client,
            self._helo,
            transaction.sender_text,
            text,
            self._id,
            path.local.decode("utf-8", "backslashreplace"),
            path.domain.decode("utf-8", "backslashreplace"),
            authenticated=self._pinned,
            reply_to=(self, "decisions"),
            subject=self._subject(rules, text)
            if rules is not None and rules.needs_subject
            else None,
        )
        if rules is not None and rules.needs_subject:
            self._attempt = attempt
        transaction.putting_off = None
        self.send(attempt, "attempts")

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
        verdict, rules, said = decision.verdict, self._rules, decision.reply
        if rules is not None:
            transaction.decision = decision
            if (
                decision.ruling is not None
                and decision is not self._endured
                and self._keep_waiting(rules, decision)
            ):
                return
            self._endured = None
        if verdict is _PASS:
            self._offer_recipient()
        elif verdict is _DEFER:
            if rules is not None and rules.delayedreject and self._put_off(decision):
                return
            if said is None:
                reply = self._greylisted(decision.wait_seconds)
            else:
                reply = reply_of(verdict, said, self._id)
            if self._verifier is None:
                self._answer_recipient(reply)
            else:
                transaction.deferral = reply
                self._verifier.ask(self, transaction.sender, pending.path, self._facts_now())
        elif said is None:
            self._answer_recipient(RELAY_DENIED.tagged(self._id))
        else:
            self._answer_recipient(reply_of(verdict, said, self._id))

    def _greylisted(self, seconds: int) -> Reply:
        said = self._said  # nearly always the same number: of one who has just come
        if said is None or said[0] != seconds:
            text = f"Greylisting in action, please come back in {hours(seconds)}"
            said = self._said = seconds, Reply.of(451, "4.7.1", text).tagged(self._id)
        return said[1]

    def _data_requested(self, _: DataRequested) -> None:
        if self._transaction.put_off is not None:
            self._swallow(self._transaction.put_off)
        elif self._connected and self._transaction.accepted:
            self._transaction.data_asked = True
            self._say(_START)
        else:
            self.send(LOST.tagged(self._id), "outbox")

    def _message_data(self, event: DataReceived) -> None:
        transaction = self._transaction
        if transaction.in_data and transaction.early is None:
            if transaction.judged is not None:
                self._keep(transaction.judged, event.data)
                return
            if transaction.front:
                event = DataReceived(self._behind_front(event.data))
            self._say(event)

    def _complete(self, event: MessageComplete) -> None:
        transaction = self._transaction
        transaction.size = event.size
        transaction.complete = True
        if transaction.early is not None:
            self._message_answered(transaction.early)
        elif transaction.judged is not None and self._rules is not None:
            self._judge(self._rules, transaction.judged)
        elif self._connected:
            if transaction.front:
                self._say(DataReceived(self._behind_front(b"")))
            transaction.after_dot = True
            self._say(_DOT)
        else:
            self._message_answered(LOST.tagged(self._id))

    def _whole(self, event: WholeMessage) -> None:
        transaction = self._transaction
        if (
            transaction.in_data
            and transaction.early is None
            and self._connected
            and transaction.judged is None
        ):
            data = event.data
            if transaction.front:
                data = self._behind_front(data)
            transaction.size = event.size
            transaction.complete = transaction.after_dot = True
            self._say((DataReceived(data), _DOT))
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
        elif self._transaction.judged is not None:
            self.client_left()
        self._leave_tarpit(None)
        self._transaction.pending = None
        self.unpause()  # main has the last word

    def _give_up(self, why: str) -> None:
        """The message will not be completed: the server must not take what it has for all of it."""
        if self._transaction.in_data:
            self._log_outcome(self._transaction, Fate.ABANDONED, why)
            self._transaction.in_data = False
        if self._transaction.judged is not None:
            self._forget_judged()
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
            if self._rules is not None and self._rules.needs_subject:
                self._login = LoginName(event.mechanism, event.initial)
            self._say(GiveAuth(event.mechanism, event.initial))
        else:
            self.send(NO_AUTH.tagged(self._id), "outbox")

    def _auth_line(self, event: AuthResponse) -> None:
        self._clients_turn = False
        if self._login is not None:
            self._login.said(event.line)
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
