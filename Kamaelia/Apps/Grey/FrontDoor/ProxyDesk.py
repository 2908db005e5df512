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
nothing, and is used again for the client's next messages. If it turns out dead when it is used
again, before any recipient was taken, a new one is tried once.

A message is never called complete that is not: when the client goes away inside it, or it breaks
the rules, the server's connection is dropped without the dot. When the client goes away after the
dot, the server's answer is still waited for, and logged."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Kamaelia.Apps.Grey.Core.Outcome import Fate, Outcome
from Kamaelia.Apps.Grey.Core.Types import Attempt, Decision, Verdict
from Kamaelia.Apps.Grey.FrontDoor.Backend import Backend
from Kamaelia.Protocol.SMTP import WINDOW
from Kamaelia.Support.Protocol.SMTP.Address import NULL_PATH, Path
from Kamaelia.Support.Protocol.SMTP.ClientCommands import (
    Abandoned,
    ClientCommand,
    EndData,
    GiveRecipient,
    GiveSender,
    ResetTransaction,
    StartData,
)
from Kamaelia.Support.Protocol.SMTP.Events import (
    DataReceived,
    DataRequested,
    FailReason,
    HelloReceived,
    MessageComplete,
    MessageFailed,
    Parameters,
    Ready,
    RecipientGiven,
    ReplyReceived,
    SenderGiven,
    SessionEnded,
    SessionFailed,
    TransactionReset,
)
from Kamaelia.Support.Protocol.SMTP.Replies import Reply

log = logging.getLogger(__name__)

AWAY = Reply.of(451, "4.4.1", "the mail server cannot be reached, try again later")
LOST = Reply.of(451, "4.4.2", "connection to the mail server lost, try again later")
NOT_NOW = Reply.of(451, "4.3.2", "the mail server is not taking mail now, try again later")
CHANGED = Reply.of(451, "4.3.0", "the mail server no longer offers what was asked, try again later")
RELAY_DENIED = Reply.of(550, "5.7.1", "relaying denied")
START = Reply.of(354, "", "end data with <CR><LF>.<CR><LF>")

_FATES = {2: Fate.DELIVERED, 4: Fate.DEFERRED, 5: Fate.REFUSED}


class _Transaction:
    """One message on its way: from MAIL to the reply to the dot, RSET, or the end."""

    __slots__ = (
        "accepted",
        "after_dot",
        "complete",
        "data_asked",
        "early",
        "in_data",
        "parameters",
        "pending",
        "retried",
        "sender",
        "sender_given",
        "sender_refusal",
        "size",
    )

    def __init__(self, sender: Path, parameters: Parameters) -> None:
        self.sender = sender
        self.parameters = parameters
        self.pending: RecipientGiven | None = None  # the recipient that waits for its reply
        self.accepted: list[str] = []  # those that the real server took
        self.sender_given = False  # the real server has been told of MAIL
        self.sender_refusal: Reply | None = None
        self.retried = False
        self.data_asked = False  # the server has been told of DATA and has not answered
        self.in_data = False  # the server's 354 came
        self.early: Reply | None = None  # the reply to the message, if it came before the dot
        self.complete = False  # the client's dot came
        self.after_dot = False  # the server was sent the dot
        self.size = 0


class ProxyDesk(component):
    """ProxyDesk(client, session, backend, clock) -> the desk for the client with that address.

    session: the id that stands in replies and the log. clock: seconds since the epoch, for the log.
    """

    Inboxes = {
        "inbox": "ServerEvent: what the client does",
        "decisions": "Decision: one an Attempt, in order",
        "backend": "ClientEvent or Abandoned: from the real server's session",
        "control": "shutdownMicroprocess: stop now",
    }
    Outboxes = {
        "outbox": "Reply: to the client's session, one for each event that needs one",
        "attempts": "Attempt: to the decider",
        "to_backend": "ClientCommand: to the real server's session",
        "abandon": "producerFinished: drop the real server's session",
        "outcomes": "Outcome: one for each message that reached the real server",
        "signal": "producerFinished: the client's session is over",
    }

    woken_by_collection = False  # it asks isFull(), or puts

    def __init__(
        self, client: str, session: str, backend: Backend, clock: Callable[[], float]
    ) -> None:
        super().__init__()
        self._client = client
        self._id = session
        self._backend = backend
        self._clock = clock
        self._helo = ""
        self._transaction = _Transaction(NULL_PATH, {})
        self._connected = False  # as far as we know, the server's session stands
        self._abandoning = 0
        self._commands: list[ClientCommand] = []
        self._over = False
        self.inboxes["inbox"].setSize(WINDOW)

    def main(self) -> Iterator[object]:
        while not self._over or self._owed():
            for message in self.Inbox("control"):
                if isinstance(message, shutdownMicroprocess):
                    return
            for answer in self.Inbox("backend"):
                self._hear(answer)
            for decision in self.Inbox("decisions"):
                self._decided(decision)
            while self.dataReady("inbox") and len(self._commands) < WINDOW:
                self._handle(self.recv("inbox"))
            for command in self._commands:
                yield from self.put(command, "to_backend")
            self._commands.clear()
            if not self.anyReady() and (not self._over or self._owed()):
                self.pause()
            yield 1
        self.send(producerFinished(self), "signal")

    def stop(self) -> None:
        """Ended from outside, by a fault or with the program: the log says what we knew last."""
        transaction, self._transaction = self._transaction, _Transaction(NULL_PATH, {})
        if transaction.after_dot:
            self._log_outcome(transaction, Fate.UNKNOWN, "stopped")
        elif transaction.in_data:
            self._log_outcome(transaction, Fate.ABANDONED, "stopped")
        super().stop()

    def _owed(self) -> bool:
        """The client is gone, but the server has yet to say what became of its message."""
        return self._transaction.after_dot

    # ---- what the client does

    def _handle(self, event: object) -> None:
        match event:
            case DataReceived():
                self._message_data(event)
            case RecipientGiven():
                self._recipient(event)
            case SenderGiven(path=path, parameters=parameters):
                self._transaction = _Transaction(path, parameters)
            case HelloReceived(name=name):
                self._helo = name.decode("ascii", "backslashreplace")
            case DataRequested():
                self._data_requested()
            case MessageComplete(size=size):
                self._complete(size)
            case MessageFailed(reply=reply):
                self._give_up(reply.text)
            case TransactionReset():
                self._reset()
            case SessionEnded():
                self._session_ended(event)

    def _recipient(self, event: RecipientGiven) -> None:
        transaction, path = self._transaction, event.path
        transaction.pending = event
        self.send(
            Attempt(
                client=self._client,
                helo=self._helo,
                sender=transaction.sender.text,
                recipient=path.text,
                session=self._id,
                recipient_local=path.local.decode("utf-8", "backslashreplace"),
                recipient_domain=path.domain.decode("utf-8", "backslashreplace"),
            ),
            "attempts",
        )

    def _decided(self, decision: Decision) -> None:
        if self._over or self._transaction.pending is None:
            return
        match decision.verdict:
            case Verdict.PASS:
                self._offer_recipient()
            case Verdict.DEFER:
                self._answer_recipient(self._greylisted(decision.wait_seconds))
            case Verdict.REJECT:
                self._answer_recipient(RELAY_DENIED.tagged(self._id))

    def _greylisted(self, seconds: int) -> Reply:
        unit = "second" if seconds == 1 else "seconds"
        text = f"Greylisted, please try again in {seconds} {unit}"
        return Reply.of(451, "4.7.1", text).tagged(self._id)

    def _answer_recipient(self, reply: Reply) -> None:
        self._transaction.pending = None
        self.send(reply, "outbox")

    def _data_requested(self) -> None:
        if self._connected and self._transaction.accepted:
            self._transaction.data_asked = True
            self._say(StartData())
        else:
            self.send(LOST.tagged(self._id), "outbox")

    def _message_data(self, event: DataReceived) -> None:
        transaction = self._transaction
        if transaction.in_data and transaction.early is None:
            self._say(event)

    def _complete(self, size: int) -> None:
        transaction = self._transaction
        transaction.size = size
        transaction.complete = True
        if transaction.early is not None:
            self._message_answered(transaction.early)
        elif self._connected:
            transaction.after_dot = True
            self._say(EndData())
        else:
            self._message_answered(LOST.tagged(self._id))

    def _reset(self) -> None:
        if self._transaction.sender_given and self._connected:
            self._say(ResetTransaction())
        self._transaction = _Transaction(NULL_PATH, {})

    def _session_ended(self, event: SessionEnded) -> None:
        self._over = True
        if self._transaction.in_data and not self._transaction.complete:
            self._give_up("client went away inside the message")
        self._transaction.pending = None

    def _give_up(self, why: str) -> None:
        """The message will not be completed: the server must not take what it has for all of it."""
        if self._transaction.in_data:
            self._log_outcome(self._transaction, Fate.ABANDONED, why)
            self._transaction.in_data = False
        self._abandon()
        self._transaction = _Transaction(NULL_PATH, {})

    # ---- what the real server says

    def _offer_recipient(self) -> None:
        transaction = self._transaction
        pending = transaction.pending
        if pending is None:
            return
        if transaction.sender_refusal is not None:
            self._answer_recipient(transaction.sender_refusal)
        elif transaction.accepted and not self._connected:
            # Those who were taken before are lost with the connection: say so at each step.
            self._answer_recipient(LOST.tagged(self._id))
        else:
            if not transaction.sender_given:
                transaction.sender_given = True
                self._say(GiveSender(transaction.sender, transaction.parameters))
            self._say(GiveRecipient(pending.path, pending.parameters))

    def _hear(self, answer: object) -> None:
        if isinstance(answer, Abandoned):
            self._abandoning -= 1
        if self._abandoning:
            return  # about a session that we have left
        match answer:
            case ReplyReceived(command="RCPT", reply=reply):
                self._recipient_answered(reply)
            case ReplyReceived(command="MAIL", reply=reply):
                self._sender_answered(reply)
            case ReplyReceived(command="DATA", reply=reply):
                self._data_answered(reply)
            case ReplyReceived(command=".", reply=reply):
                self._dot_answered(reply)
            case Ready(capabilities=capabilities):
                self._connected = True
                self._backend.learn(capabilities)
                self._check_parameters()
            case SessionFailed(reason=reason, reply=reply):
                self._connected = False
                self._server_failed(reason, reply)

    def _check_parameters(self) -> None:
        """The server offers another set than it did when the client chose its parameters. Leaving
        out DSN or SMTPUTF8 would change the mail, so the client has to ask anew."""
        transaction, pending = self._transaction, self._transaction.pending
        if pending is None:
            return
        offer = self._backend.offered(1)
        asked = [*transaction.parameters, *pending.parameters]
        if not all(offer.takes(keyword) for keyword in asked if keyword != "SIZE"):
            self._abandon()
            transaction.sender_given = False
            self._answer_recipient(CHANGED.tagged(self._id))

    def _sender_answered(self, reply: Reply) -> None:
        if not reply.is_positive:
            self._transaction.sender_refusal = reply

    def _recipient_answered(self, reply: Reply) -> None:
        transaction = self._transaction
        if transaction.pending is None:
            return
        if transaction.sender_refusal is not None:
            reply = transaction.sender_refusal
        elif reply.is_positive:
            transaction.accepted.append(transaction.pending.path.text)
        self._answer_recipient(reply)

    def _data_answered(self, reply: Reply) -> None:
        self._transaction.data_asked = False
        if reply.code == 354:
            self._transaction.in_data = True
            reply = START
        self.send(reply, "outbox")

    def _dot_answered(self, reply: Reply) -> None:
        transaction = self._transaction
        if transaction.complete:
            self._message_answered(reply)
        elif transaction.in_data:
            # Refused in the middle. The client hears of it after its own dot; what it sends till
            # then goes nowhere. The server's session is over (see ClientSession).
            transaction.early = reply
            self._connected = False

    def _message_answered(self, reply: Reply) -> None:
        fate = _FATES.get(reply.code // 100, Fate.UNKNOWN)
        self._log_outcome(self._transaction, fate, f"{reply.code} {reply.text}")
        self._end_message(reply)

    def _end_message(self, reply: Reply) -> None:
        self._transaction = _Transaction(NULL_PATH, {})
        if not self._over:
            self.send(reply, "outbox")

    def _server_failed(self, reason: FailReason, reply: Reply | None) -> None:
        transaction = self._transaction
        transaction.sender_given = False  # the next session knows nothing of it
        answer = self._failure_reply(reason, reply)
        busy = transaction.pending or transaction.data_asked or transaction.in_data
        log.log(
            logging.WARNING if busy else logging.DEBUG,  # a server may close an idle connection
            "session %s: mail server %s port %d: %s%s",
            self._id,
            self._backend.host,
            self._backend.port,
            reason.name.lower().replace("_", " "),
            f": {reply.code} {reply.text}" if reply is not None else "",
        )
        if transaction.after_dot:
            # A 421 is an answer, too: it has not taken the message. Anything else says nothing.
            fate = Fate.DEFERRED if reply is not None and reply.code == 421 else Fate.UNKNOWN
            self._log_outcome(transaction, fate, reason.name.lower())
            self._end_message(answer)
        elif transaction.in_data:
            transaction.early = answer
        elif transaction.pending is not None:
            self._recipient_failed(reason, answer)
        elif transaction.data_asked:
            transaction.data_asked = False
            self.send(answer, "outbox")

    def _recipient_failed(self, reason: FailReason, answer: Reply) -> None:
        transaction = self._transaction
        stale = reason in (FailReason.LOST, FailReason.SHUTTING_DOWN)
        if stale and not transaction.accepted and not transaction.retried:
            # Most likely a connection that the server closed while it was idle: nothing has been
            # promised to anybody yet, so try once more with a new one.
            transaction.retried = True
            self._offer_recipient()
        elif transaction.sender_refusal is not None:
            self._answer_recipient(transaction.sender_refusal)
        else:
            self._answer_recipient(answer)

    def _failure_reply(self, reason: FailReason, reply: Reply | None) -> Reply:
        match reason:
            case FailReason.SHUTTING_DOWN if reply is not None:
                return reply
            case FailReason.UNREACHABLE:
                return AWAY.tagged(self._id)
            case FailReason.BANNER | FailReason.HELLO:
                return NOT_NOW.tagged(self._id)
            case _:
                return LOST.tagged(self._id)

    # ---- small things

    def _say(self, command: ClientCommand) -> None:
        self._commands.append(command)

    def _abandon(self) -> None:
        self._abandoning += 1
        self._connected = False
        self._commands.clear()
        self.send(producerFinished(self), "abandon")

    def _log_outcome(self, transaction: _Transaction, fate: Fate, reply: str) -> None:
        self.send(
            Outcome(
                self._id,
                self._client,
                transaction.sender.text,
                tuple(transaction.accepted),
                transaction.size,
                fate,
                reply,
                self._clock(),
            ),
            "outcomes",
        )


__kamaelia_components__ = (ProxyDesk,)
